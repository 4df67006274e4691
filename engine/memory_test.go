package engine

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/llm"
)

// With memory for very few blocks everything is answered, in turn, as it would be
// alone; nothing more than that memory is ever used.
func TestFewBlocksServeEverybody(t *testing.T) {
	for blocks := 4; blocks <= 12; blocks += 4 {
		t.Run(fmt.Sprint(blocks), func(t *testing.T) { fewBlocksServe(t, blocks, func(*fakeModel) {}) })
		t.Run(fmt.Sprint(blocks, " of a model that runs along"), func(t *testing.T) { fewBlocksServe(t, blocks, func(m *fakeModel) { m.runs = true }) })
		t.Run(fmt.Sprint(blocks, " of a model with windows"), func(t *testing.T) { fewBlocksServe(t, blocks, func(m *fakeModel) { m.window = 40 }) })
		t.Run(fmt.Sprint(blocks, " of a model with chunks"), func(t *testing.T) { fewBlocksServe(t, blocks, func(m *fakeModel) { m.window, m.chunks = 90, true }) })
	}
}

func fewBlocksServe(t *testing.T, blocks int, kind func(*fakeModel)) {
	of := func(l *loop, i int) *request {
		r := rand.New(rand.NewPCG(uint64(i), 2))
		p := warm
		p.IgnoreEOS, p.Choice = r.IntN(2) == 0, r.IntN(3)
		if r.IntN(3) == 0 {
			p.BannedStrings = []string{"w1", "4 w", "w3"} // tokens are taken back
		}
		p.CacheScope = []string{"", "", "mine"}[r.IntN(3)]
		text := append(prompt(1+r.IntN(100), int32(r.IntN(3))), prompt(r.IntN(60), int32(i))...)
		return l.ask(text, 1+r.IntN(4*blockTokens-len(text)), p)
	}
	const requests = 40
	var alone [requests]string
	for i := range alone {
		l, _ := newFake(t, func(_ *loop, m *fakeModel) { kind(m) })
		alone[i] = l.collect(t.Context(), of(l, i), nil).String()
		l.close()
	}
	together := 0
	l, m := newFake(t, func(_ *loop, m *fakeModel) { kind(m) })
	l.do(t.Context(), func() {
		l.budget = m.CacheBytes(blocks * blockTokens)
		m.before = func([]step) {
			checkTree(t, &l.prefixes)
			if p := l.promised(); p > l.budget {
				t.Errorf("%d bytes are promised of %d", p, l.budget)
			}
			together = max(together, len(l.running))
		}
	})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 3))
			for range 40 {
				i, n, leave := r.IntN(requests), 0, 0
				if r.IntN(4) == 0 {
					leave = 1 + r.IntN(20)
				}
				got := l.collect(t.Context(), of(l, i), func(llm.Piece) bool { n++; return n == leave })
				if n != leave && got.String() != alone[i] {
					t.Errorf("request %d gave\n%s\nalone\n%s", i, got, alone[i])
				}
			}
		})
	}
	wg.Wait()
	l.close()
	if m.most > blocks && m.window == 0 || m.bytes > l.budget || blocks > 4 && together < 2 {
		t.Errorf("%d blocks of %d in use, %d requests together", m.most, blocks, together)
	}
	if l.total.CachedTokens == 0 {
		t.Error("nothing was found in the cache")
	}
}

// A text that grows takes no more of what layers with a window have, while all else grows: it
// fits where all of it would not, and a chat goes on at its end, though its beginning was thinned.
func TestWindowsTakeNoMoreAsTextsGrow(t *testing.T) {
	t.Run("windows", func(t *testing.T) { takeNoMoreAsTextsGrow(t, func(m *fakeModel) { m.window = 100 }) })
	// The text ends not far behind the beginning of a chunk, when what is before that is gone.
	t.Run("chunks", func(t *testing.T) { takeNoMoreAsTextsGrow(t, func(m *fakeModel) { m.window, m.chunks = 250, true }) })
}

func takeNoMoreAsTextsGrow(t *testing.T, kind func(*fakeModel)) {
	l, m := newFake(t, func(_ *loop, m *fakeModel) { kind(m) })
	const long = 40 * blockTokens
	l.do(t.Context(), func() { l.budget = m.CacheBytes(long + 4*blockTokens) })
	if full := 2 * long * fakeBytes; l.budget > int64(full*7/10) {
		t.Fatalf("%d bytes for %d tokens, of %d that both kinds of layers would take", l.budget, long, full)
	}
	text := prompt(long, 1)
	for turn := range 3 {
		r := l.collect(t.Context(), l.ask(text, 40, llm.Params{IgnoreEOS: true, Seed: new(int64(2)), LoopGuard: new(0)}), nil)
		if r.err != nil {
			t.Fatal(r.err)
		}
		if cached := r.finish.Usage.CachedTokens; turn > 0 && cached < len(text)-60 {
			t.Errorf("turn %d: %d of %d tokens were found", turn, cached, len(text))
		}
		for _, id := range r.ids {
			text = append(text, int32(id))
		}
		text = append(text, prompt(10, int32(turn))...)
	}
	// A fork far back has to be read from the beginning: what its window reaches into is gone.
	fork := l.collect(t.Context(), l.ask(append(slices.Clone(text[:20*blockTokens]), 1, 2, 3), 4, llm.Params{}), nil)
	if fork.err != nil || fork.finish.Usage.CachedTokens != 0 {
		t.Errorf("a fork far back: %+v, %v", fork.finish, fork.err)
	}
	if m.bytes > l.budget {
		t.Errorf("%d bytes of %d in use", m.bytes, l.budget)
	}
}

// What choices of one prompt share is counted once, but each has pages of its own for what its
// window sees, and these are promised to each.
func TestWhatWindowsSeeIsPromisedToEach(t *testing.T) {
	l, m := newFake(t, func(_ *loop, m *fakeModel) { m.window = 2 * blockTokens })
	text := prompt(10*blockTokens+1, 1)
	var promised, running int64
	l.do(t.Context(), func() {
		m.before = func([]step) {
			if n := int64(len(l.running)); n > running && l.running[n-1].cache.depth() == 10 {
				promised, running = l.promised(), n
			}
		}
	})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			l.collect(t.Context(), l.ask(text, 3*blockTokens, llm.Params{Seed: new(int64(3)), IgnoreEOS: true, Choice: i, LoopGuard: new(0)}), nil)
		})
	}
	wg.Wait()
	l.close()
	one, shared := m.CacheBytes(len(text)+3*blockTokens), int64(10*blockTokens*fakeBytes)
	if want := running*one - (running-1)*shared; running < 2 || promised != want {
		t.Errorf("%d bytes are promised to %d sequences, want %d", promised, running, want)
	}
}

// Choices of one prompt share its blocks, so that they run together where each of
// them alone would fill the memory.
func TestWhatIsSharedIsPromisedOnce(t *testing.T) {
	together := 0
	l, m := newFake(t, nil)
	l.do(t.Context(), func() {
		l.budget = m.CacheBytes(16 * blockTokens)
		m.before = func(steps []step) {
			for together == 0 && len(l.running)+l.counts().Queued < 5 {
				runtime.Gosched() // until all are there
			}
			together = max(together, len(steps))
		}
	})
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true, Choice: i}
			if r := l.collect(t.Context(), l.ask(prompt(10*blockTokens+1, 1), 60, p), nil); r.err != nil {
				t.Error(r.err)
			}
		})
	}
	wg.Wait()
	if together < 5 || m.most > 16 {
		t.Errorf("%d of 5 choices were generated together, in %d blocks", together, m.most)
	}
}

func TestWhatNeverFitsIsRefusedWithNumbers(t *testing.T) {
	l, m := newFake(t, nil)
	l.do(t.Context(), func() { l.budget = m.CacheBytes(2 * blockTokens) })
	e := llm.AsError(l.collect(t.Context(), l.ask(prompt(100, 1), 29, llm.Params{}), nil).err)
	if e == nil || e.Code != llm.Unsupported || !strings.Contains(e.Message, "1920 bytes") || !strings.Contains(e.Message, "1280") {
		t.Errorf("got %v", e)
	}
	if r := l.collect(t.Context(), l.ask(prompt(100, 1), 28, llm.Params{}), nil); r.err != nil {
		t.Errorf("what just fits: %v", r.err)
	}
}

func TestTheContextIsCutToTheMemory(t *testing.T) {
	block := tiny{}.open(t, Options{}).model.KVBytes(1)
	for _, c := range []struct {
		bytes   int64
		context int
	}{{block, 64}, {3*block + block/2, 192}, {8*block - 1, 448}, {8 * block, tinyContext}, {100 * block, tinyContext}} {
		e := tiny{}.open(t, Options{CacheBytes: c.bytes})
		if got := e.Describe().Context; got != c.context {
			t.Errorf("%d bytes of cache: a context of %d tokens, want %d", c.bytes, got, c.context)
		}
		long := llm.Text(strings.Repeat("#", c.context))
		if err := failure(t, e, long, llm.Params{}); err.Code != llm.TooLong || !strings.Contains(err.Message, fmt.Sprint(c.context)) {
			t.Errorf("%d bytes of cache: %v", c.bytes, err)
		}
		r := complete(t, e, llm.Text(strings.Repeat("#", c.context-10)), llm.Params{IgnoreEOS: true, Temperature: new(0.0), LoopGuard: new(0)})
		if len(r.ids) == 0 || r.finish.Usage.PromptTokens+r.finish.Usage.CompletionTokens != c.context {
			t.Errorf("%d bytes of cache: %+v", c.bytes, r.finish)
		}
		if s := e.Stats(); s.CacheBytes > c.bytes {
			t.Errorf("%d bytes of %d in use", s.CacheBytes, c.bytes)
		}
	}
	if _, err := OpenBytes(tiny{}.file(t), Options{CacheBytes: block - 1}); err == nil || !strings.Contains(err.Error(), fmt.Sprint(block)) {
		t.Errorf("memory for less than a block: %v", err)
	}
}
