package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/engine"
	"parley/internal/demo"
	"parley/internal/limits"
	"parley/internal/server"
	"parley/llm"
)

// A machine runs models that take a second to load and to unload, and counts
// them.
type machine struct {
	mu    sync.Mutex
	alive map[string]int
	most  int            // alive at the same time
	loads map[string]int // that were begun
	ended []string       // loads that were broken off
	gone  map[string]chan struct{}
	fail  error
}

func newMachine() *machine {
	return &machine{alive: map[string]int{}, loads: map[string]int{}, gone: map[string]chan struct{}{}}
}

func (m *machine) entry(name string, change func(*Entry)) Entry {
	e := Entry{Name: name, OnDemand: true, Load: func(ctx context.Context) (*Loaded, error) {
		m.mu.Lock()
		m.loads[name]++
		m.alive[name]++
		total := 0
		for _, n := range m.alive {
			total += n
		}
		m.most = max(m.most, total)
		gone := make(chan struct{})
		m.gone[name] = gone
		fail := m.fail
		m.mu.Unlock()
		down := func() error {
			time.Sleep(time.Second)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.alive[name]--
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			m.mu.Lock()
			m.ended = append(m.ended, name)
			m.mu.Unlock()
			down()
			return nil, context.Cause(ctx)
		}
		if fail != nil {
			down()
			return nil, fail
		}
		l := says(name)
		l.Close, l.Gone = down, gone
		l.Lost = func() error { return llm.Errorf(llm.Broken, "", "%s has crashed", name) }
		return l, nil
	}}
	if change != nil {
		change(&e)
	}
	return e
}

// underClock makes a test of f under a clock of its own.
func underClock(f func(t *testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

// use asks for a model, works with it for a time, and gives it back.
func use(t *testing.T, c *Catalog, name string, work time.Duration) error {
	target, err := c.Resolve(t.Context(), name)
	if err != nil {
		return err
	}
	time.Sleep(work)
	target.Release()
	target.Release() // no harm is done
	return nil
}

func states(c *Catalog) (all []string) {
	list, _ := c.List(context.Background())
	for _, m := range list {
		all = append(all, string(m.Status.State))
	}
	return all
}

func TestTwoModelsThatExcludeEachOtherAnswerAllWhoAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		in := func(e *Entry) { e.Group, e.Parallel = "g", 4 }
		c := catalogOf(t, Options{Groups: map[string]Group{"g": {Together: 1}}}, m.entry("a", in), m.entry("b", in))
		answered := make(chan error)
		for i := range 20 {
			go func() {
				for range 5 {
					if err := use(t, c, []string{"a", "b"}[i%2], time.Second); err != nil {
						answered <- err
						return
					}
				}
				answered <- nil
			}()
		}
		for range 20 {
			if err := <-answered; err != nil {
				t.Error(err)
			}
		}
		if m.most != 1 {
			t.Errorf("%d were alive at a time", m.most)
		}
		// Fifty answers at four a second are 13 seconds for each of the two,
		// and a turn has ten: nobody swaps for every request.
		if n := m.loads["a"] + m.loads["b"]; n > 4 {
			t.Errorf("loaded %v", m.loads)
		}
	})
}

func TestAHundredRequestsDoNotKeepAnotherModelWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		in := func(e *Entry) { e.Group, e.Parallel = "g", 2 }
		c := catalogOf(t, Options{Groups: map[string]Group{"g": {Together: 1}}}, m.entry("a", in), m.entry("b", in))
		var crowd sync.WaitGroup
		for range 100 {
			crowd.Go(func() { use(t, c, "a", 5*time.Second) })
		}
		synctest.Wait()
		time.Sleep(3 * time.Second)
		begun := time.Now()
		if err := use(t, c, "b", 0); err != nil {
			t.Fatal(err)
		}
		// The rest of a's turn, the answers under way, an unload and a load.
		if took := time.Since(begun); took > 17*time.Second {
			t.Errorf("waited %s", took)
		}
		crowd.Wait()
	})
}

func TestAModelThatNobodyUsesIsUnloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		c := catalogOf(t, Options{}, m.entry("a", func(e *Entry) { e.Idle = time.Minute }))
		if err := use(t, c, "a", time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		if got := states(c); got[0] != "ready" {
			t.Errorf("before its time: %v", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := states(c); got[0] != "unloading" {
			t.Errorf("at its time: %v", got)
		}
		if list, _ := c.List(t.Context()); list[0].Info.Name != "a" {
			t.Errorf("what it is is forgotten: %+v", list[0].Info)
		}
		if err := c.Ready(); err != nil {
			t.Errorf("an unloaded model keeps the server from being ready: %v", err)
		}
		if err := use(t, c, "a", 0); err != nil || m.loads["a"] != 2 || m.most != 1 {
			t.Errorf("%v; loaded %v, %d at a time", err, m.loads, m.most)
		}
	})
}

func TestALostModelIsLoadedAgain(t *testing.T) {
	for _, name := range []string{"on demand", "background"} {
		t.Run(name, underClock(func(t *testing.T) {
			m := newMachine()
			c := catalogOf(t, Options{}, m.entry("a", func(e *Entry) { e.OnDemand, e.Background = name == "on demand", name != "on demand" }))
			if err := c.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			target, err := c.Resolve(t.Context(), "a")
			if err != nil || c.Ready() != nil {
				t.Fatal(err, c.Ready())
			}
			close(m.gone["a"])
			synctest.Wait()
			list, _ := c.List(t.Context())
			if st := list[0].Status; st.Err == nil || st.Running != 0 || st.State != map[string]server.State{"on demand": server.Failed, "background": server.Waiting}[name] {
				t.Errorf("status %+v", st)
			}
			if (c.Ready() == nil) != (name == "on demand") {
				t.Errorf("ready: %v", c.Ready())
			}
			target.Release() // of the one that is lost
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if want := map[string]int{"on demand": 1, "background": 2}[name]; m.loads["a"] != want {
				t.Errorf("loaded %d times, want %d", m.loads["a"], want)
			}
			if err := use(t, c, "a", 0); err != nil || c.Ready() != nil {
				t.Error(err, c.Ready())
			}
		}))
	}
}

func TestABackgroundModelThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.fail = errors.New("no memory")
		c := catalogOf(t, Options{}, m.entry("a", func(e *Entry) { e.OnDemand, e.Background = false, true }), m.entry("b", nil))
		if err := c.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // after 1, 2, 4, 8, 16 seconds, and two for each
		synctest.Wait()
		if n := m.loads["a"]; n != 6 {
			t.Errorf("tried %d times", n)
		}
		synctest.Wait()
		m.fail = nil
		if err := use(t, c, "b", 0); err != nil {
			t.Errorf("the other one: %v", err)
		}
		time.Sleep(time.Minute)
		if err := c.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestALoadThatFailsIsTheErrorOfThoseWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		c := catalogOf(t, Options{Memory: 10}, m.entry("good", func(e *Entry) { e.Memory = 5 }), m.entry("bad", func(e *Entry) {
			e.Memory = 5
			e.Load = func(context.Context) (*Loaded, error) {
				time.Sleep(time.Second)
				return nil, errors.New("damaged")
			}
		}))
		good := make(chan error)
		go func() { good <- use(t, c, "good", 5*time.Second) }()
		for range 3 {
			if err := use(t, c, "bad", 0); err == nil || err.Error() != "damaged" {
				t.Errorf("got %v", err)
			}
		}
		if err := <-good; err != nil {
			t.Error(err)
		}
		if got := states(c); !slices.Equal(got, []string{"ready", "failed"}) {
			t.Errorf("states %v", got)
		}
	})
}

func TestALoadGoesOnWithoutItsAskersUnlessItIsInTheWay(t *testing.T) {
	for name, rival := range map[string]bool{"nobody else": false, "somebody else": true} {
		t.Run(name, underClock(func(t *testing.T) {
			m := newMachine()
			in := func(e *Entry) { e.Group = "g" }
			c := catalogOf(t, Options{Groups: map[string]Group{"g": {Together: 1}}}, m.entry("a", in), m.entry("b", in))
			ctx, leave := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer leave()
			if _, err := c.Resolve(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if rival {
				if err := use(t, c, "b", 0); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(5 * time.Second)
			want := "[ready unloaded]"
			if rival {
				want = "[unloaded ready]"
			}
			if got := fmt.Sprint(states(c)); got != want || (len(m.ended) == 1) != rival || m.most != 1 {
				t.Errorf("states %v, broken off %v", got, m.ended)
			}
		}))
	}
}

func TestModelsAreLoadedAndUnloadedByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		c := catalogOf(t, Options{}, m.entry("a", func(e *Entry) { e.Parallel = 1 }), m.entry("b", nil))
		if err := c.LoadModel(t.Context(), "a"); err != nil || m.alive["a"] != 1 {
			t.Fatal(err)
		}
		target, err := c.Resolve(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.LoadModel(t.Context(), "a"); err != nil || m.loads["a"] != 1 {
			t.Errorf("loaded already: %v, %v", err, m.loads)
		}
		done := make(chan error, 1)
		begun := time.Now()
		go func() { done <- c.UnloadModel(t.Context(), "a") }()
		synctest.Wait()
		later := make(chan error, 1)
		go func() { later <- use(t, c, "a", 0) }() // it gets the next one
		time.Sleep(5 * time.Second)
		target.Release()
		if err := <-done; err != nil || time.Since(begun) != 6*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		if err := <-later; err != nil || m.loads["a"] != 2 {
			t.Errorf("%v; loaded %v", err, m.loads)
		}
		if err := c.UnloadModel(t.Context(), "b"); err != nil {
			t.Errorf("not loaded: %v", err)
		}
		go func() { later <- use(t, c, "b", 0) }()
		synctest.Wait()
		if err := c.UnloadModel(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		err = <-later
		synctest.Wait()
		if llm.AsError(err).Code != llm.Unavailable || len(m.ended) != 1 {
			t.Errorf("while it is loaded: %v, %v", err, m.ended)
		}
		for _, f := range []func(context.Context, string) error{c.LoadModel, c.UnloadModel} {
			if err := f(t.Context(), "other"); llm.AsError(err).Code != llm.NotFound {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestWhatCannotFitIsRefusedWithASentence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gib = 1 << 30
		m := newMachine()
		c := catalogOf(t, Options{Memory: 16 * gib, GPUs: map[string]int64{"0": 8 * gib}, Groups: map[string]Group{"kept": {Keep: true}}},
			m.entry("huge", func(e *Entry) { e.Memory = 40 * gib }),
			m.entry("card", func(e *Entry) { e.Memory, e.GPUs = 9*gib, []string{"0"} }),
			m.entry("kept", func(e *Entry) { e.Memory, e.Group = 4*gib, "kept" }),
			m.entry("beside", func(e *Entry) { e.Memory = 13 * gib }))
		if err := use(t, c, "beside", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := use(t, c, "kept", 0); err != nil {
			t.Fatal(err)
		}
		for name, says := range map[string]string{
			"huge":   "the model huge needs 40.0 GiB of the memory for models, and there are 16.0 GiB",
			"card":   "needs 9.0 GiB of GPU 0, and there are 8.0 GiB",
			"beside": "there are 16.0 GiB, of which models that are kept have 4.0 GiB",
		} {
			err := use(t, c, name, 0)
			if e := llm.AsError(err); e.Code != llm.Unavailable || !strings.Contains(e.Message, says) || e.Hint == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestWaitingHasBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		in := func(e *Entry) { e.Group = "g" }
		c := catalogOf(t, Options{Groups: map[string]Group{"g": {Together: 1}}}, m.entry("a", in), m.entry("b", in))
		target, err := c.Resolve(t.Context(), "a") // and it never ends
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var waiting sync.WaitGroup
		for range limits.Queue.Int() {
			waiting.Go(func() {
				if err := use(t, c, "b", 0); llm.AsError(err).Code != llm.Unavailable || time.Since(begun) != seconds(limits.Waiting) {
					t.Errorf("after %s: %v", time.Since(begun), err)
				}
			})
		}
		synctest.Wait()
		if err := use(t, c, "b", 0); llm.AsError(err).Code != llm.Overloaded {
			t.Errorf("one too many: %v", err)
		}
		waiting.Wait()
		target.Release()
	})
}

func TestMemoryIsLearnedFromWhatAModelUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		var uses int64 = 6
		learn := func(e *Entry) {
			load := e.Load
			e.Load = func(ctx context.Context) (*Loaded, error) {
				l, err := load(ctx)
				if err == nil {
					l.Memory = func() int64 { return uses }
				}
				return l, err
			}
		}
		c := catalogOf(t, Options{Memory: 10}, m.entry("a", learn), m.entry("b", func(e *Entry) {
			e.Memory, e.AtLeast = 1, true
			learn(e)
		}))
		for range 2 {
			for _, name := range []string{"a", "b"} {
				if err := use(t, c, name, 0); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
			}
		}
		// At first nothing is known of b, so that both are there together until
		// it is; then one goes before the other comes.
		if got := fmt.Sprint(states(c)); got != "[unloaded ready]" || m.most != 2 || m.loads["a"] != 2 || m.loads["b"] != 2 {
			t.Errorf("states %v, %d at a time, loaded %v", got, m.most, m.loads)
		}
	})
}

// What a model of this process may take is also its keys and values.
func TestTheCacheOfAModelCounts(t *testing.T) {
	const mib = 1 << 20
	loaded, err := File{Engine: engine.Options{CacheBytes: 16 * mib}}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	if got, file := loaded.Memory(), int64(len(demo.Model())); got <= 16*mib+file/2 || got > 16*mib+file {
		t.Errorf("%d bytes, of a file of %d", got, file)
	}
}

func TestAGroupMustExist(t *testing.T) {
	if _, err := New([]Entry{{Name: "a", Group: "g"}}, Options{}); err == nil {
		t.Error("no error")
	}
}
