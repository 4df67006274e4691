package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/limits"
	"parley/internal/server"
	"parley/llm"
)

// A counter serves a model that works on some requests at a time, each for a
// second, and writes down in which order they had their turns.
type counter struct {
	t     *testing.T
	c     *Catalog
	mu    sync.Mutex
	order []string
	all   sync.WaitGroup
	lasts time.Duration // a turn
}

func newCounter(t *testing.T, atATime int) *counter {
	m := newMachine()
	e := m.entry("a", nil)
	load := e.Load
	e.Load = func(ctx context.Context) (*Loaded, error) {
		l, err := load(ctx)
		l.Engine.Slots = atATime
		return l, err
	}
	k := &counter{t: t, lasts: time.Second, c: catalogOf(t, Options{}, e)}
	if err := k.c.LoadModel(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	return k
}

// ask has an asker's requests come, one behind the other.
func (k *counter) ask(a server.Asker, n int) {
	lasts := k.lasts
	for i := range n {
		k.all.Go(func() {
			target, err := k.c.Resolve(server.ForAsker(k.t.Context(), a), "a")
			if err != nil {
				k.t.Error(err)
				return
			}
			defer target.Release()
			k.mu.Lock()
			k.order = append(k.order, fmt.Sprint(a.Name, i))
			k.mu.Unlock()
			if !a.Aside {
				time.Sleep(lasts)
			}
		})
		synctest.Wait()
	}
}

func (k *counter) at(name string) int { return slices.Index(k.order, name) }

func TestTurnsAreDividedFairly(t *testing.T) {
	for _, atATime := range []int{1, 4} {
		t.Run(fmt.Sprint(atATime), underClock(func(t *testing.T) {
			k := newCounter(t, atATime)
			k.ask(server.Asker{Name: "a"}, 100)
			k.ask(server.Asker{Name: "b"}, 3)
			k.ask(server.Asker{Name: "c"}, 1)
			k.all.Wait()
			// Of those that have their turns at the same time any may note it first.
			if len(k.order) != 104 || k.at("b0") > 2*atATime+1 || k.at("c0") > 2*atATime+1 || k.at("b1") > 2*atATime+3 {
				t.Errorf("the order of turns is %s", strings.Join(k.order, " "))
			}
			if atATime == 1 && (k.at("b0") > k.at("b1") || k.at("b1") > k.at("b2") || k.at("a5") > k.at("a6")) {
				t.Errorf("one asker's requests are not served in their order: %s", strings.Join(k.order, " "))
			}
			if n := len(k.c.slots[0].it.busy) + k.c.slots[0].it.working; n != 0 {
				t.Errorf("%d turns were not given back", n)
			}
		}))
	}
}

// TestALongTurnCounts: for whom the model works already comes behind those for
// whom it does nothing.
func TestALongTurnCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCounter(t, 2)
		k.lasts = time.Minute
		k.ask(server.Asker{Name: "a"}, 1)
		k.lasts = time.Second
		k.ask(server.Asker{Name: "c"}, 1)
		k.ask(server.Asker{Name: "a"}, 3)
		k.ask(server.Asker{Name: "b"}, 3)
		k.all.Wait()
		if got := strings.Join(k.order, " "); got != "a0 c0 b0 b1 b2 a0 a1 a2" {
			t.Errorf("the order of turns is %s", got)
		}
	})
}

func TestWhoCanWaitLetsOthersGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCounter(t, 1)
		k.ask(server.Asker{Name: "a"}, 1)
		k.ask(server.Asker{Name: "idle", Low: true}, 1)
		k.ask(server.Asker{Name: "a"}, 5)
		k.all.Wait()
		if k.at("idle0") != 6 {
			t.Errorf("the order of turns is %v", k.order)
		}
		// but not for ever
		k.order = nil
		k.ask(server.Asker{Name: "b"}, 1)
		k.ask(server.Asker{Name: "idle", Low: true}, 1)
		k.ask(server.Asker{Name: "b"}, 100)
		k.all.Wait()
		if at := k.at("idle0"); at < 50 || at > limits.PatienceSeconds.Int()+2 {
			t.Errorf("it had turn %d of 102", at)
		}
	})
}

func TestALookAtAModelTakesNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCounter(t, 1)
		k.ask(server.Asker{Name: "a"}, 3)
		k.ask(server.Asker{Name: "look", Aside: true}, 1)
		k.mu.Lock()
		got := fmt.Sprint(k.order)
		k.mu.Unlock()
		if got != "[a0 look0]" {
			t.Errorf("turns so far: %s", got)
		}
		k.all.Wait()
	})
}

func TestTurnsOfThoseWhoHaveLeftAreForgotten(t *testing.T) {
	var all turns
	waiting := []*waiter{{Asker: server.Asker{Name: "0"}}}
	for i := range 10_000 {
		all.take(fmt.Sprint(i), waiting)
	}
	if n := len(all.latest); n > 2000 || all.latest["0"] == 0 {
		t.Errorf("%d are remembered, the one who waits: %v", n, all.latest["0"] != 0)
	}
}

func TestAFullRowSaysWhenToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCounter(t, 2)
		k.ask(server.Asker{Name: "a"}, 4)
		k.all.Wait() // a turn lasts a second
		s := k.c.slots[0]
		k.c.mu.Lock()
		s.queue = make([]*waiter, 60)
		err := llm.AsError(s.full(limits.Queue.CheckInt(1 << 20)))
		s.queue = nil
		k.c.mu.Unlock()
		busy, ok := err.Err.(*llm.BusyError)
		if err.Code != llm.Overloaded || !ok || busy.RetryAfter != 30*time.Second {
			t.Errorf("%v, want to be told to come again after 30 seconds", err)
		}
	})
}
