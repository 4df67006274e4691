package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/llm"
)

var warm = llm.Params{Seed: new(int64(11)), Temperature: new(0.9), TopP: new(0.95), RepetitionPenalty: new(1.1)}

func TestTheSameAnswerWhateverElseGoesOn(t *testing.T) {
	alone := map[int]string{}
	for i := range 8 {
		l, _ := newFake(t, nil)
		alone[i] = l.collect(t.Context(), l.ask(prompt(20+30*i, int32(i)), 40, warm), nil).String()
	}
	l, _ := newFake(t, nil)
	for round := range 6 {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if i%3 == round%3 && round > 0 { // a neighbour that leaves
					n := 0
					l.collect(t.Context(), l.ask(prompt(33, int32(round)), 40, warm), func(llm.Piece) bool { n++; return n > 5*i })
				}
				if got := l.collect(t.Context(), l.ask(prompt(20+30*i, int32(i)), 40, warm), nil).String(); got != alone[i] {
					t.Errorf("round %d: request %d gave\n%s\nalone\n%s", round, i, got, alone[i])
				}
			})
		}
		wg.Wait()
	}
}

func TestTokensSpellTheText(t *testing.T) {
	l, _ := newFake(t, nil)
	r := l.collect(t.Context(), l.ask(prompt(5, 1), 200, llm.Params{IgnoreEOS: true, Seed: new(int64(1))}), nil)
	if r.text != spell(r.ids) || len(r.ids) != 200 || r.finish.Reason != llm.ReasonLength || r.finish.Usage.CompletionTokens != 200 {
		t.Errorf("%d tokens, %v: %q", len(r.ids), r.finish, r.text)
	}
}

func TestTheEndOfTheModelsOwnAccord(t *testing.T) {
	l, _ := newFake(t, nil)
	p := llm.Params{Seed: new(int64(1)), LogitBias: map[int]float64{fakeSize - 2: 1000}}
	r := l.collect(t.Context(), l.ask(prompt(5, 1), 9, p), nil)
	if r.text != "" || len(r.ids) != 0 || r.finish.Reason != llm.ReasonEnd || r.finish.Stop != "<end>" || r.finish.Usage.CompletionTokens != 1 {
		t.Errorf("got %v", r)
	}
}

func TestAStopStringThatIsAControlToken(t *testing.T) {
	l, _ := newFake(t, nil)
	p := llm.Params{Seed: new(int64(1)), LogitBias: map[int]float64{fakeSize - 1: 1000}, Stop: []string{"<ctl>"}}
	if r := l.collect(t.Context(), l.ask(prompt(5, 1), 9, p), nil); r.text != "" || r.finish.Reason != llm.ReasonStop || r.finish.Stop != "<ctl>" {
		t.Errorf("as a stop: %v", r)
	}
	p.Stop = nil
	if r := l.collect(t.Context(), l.ask(prompt(5, 1), 2, p), nil); r.text != "" || len(r.ids) != 2 || r.finish.Reason != llm.ReasonLength {
		t.Errorf("without: %v", r)
	}
	ask := l.ask(prompt(5, 1), 2, p)
	ask.words = fakeWords{size: fakeSize, mark: true}
	if r := l.collect(t.Context(), ask, nil); r.text != "<ctl><ctl>" {
		t.Errorf("as a mark: %v", r)
	}
}

func TestPrefixesAreReadOnce(t *testing.T) {
	l, m := newFake(t, nil)
	p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true}
	chat := prompt(300, 1)
	ask := func(tokens []int32, p llm.Params) llm.Usage {
		t.Helper()
		r := l.collect(t.Context(), l.ask(tokens, 10, p), nil)
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.finish.Usage
	}
	if u := ask(chat, p); u.CachedTokens != 0 || u.PromptTokens != 300 {
		t.Errorf("cold: %+v", u)
	}
	reads := m.reads
	if u := ask(chat, p); u.CachedTokens != 299 || m.reads-reads != 10 {
		t.Errorf("again: %+v, %d tokens read", u, m.reads-reads)
	}
	other := p
	other.CacheScope = "other"
	if u := ask(chat, other); u.CachedTokens != 0 {
		t.Errorf("another scope: %+v", u)
	}
	// Another chat with the same first 100 tokens copies them; the first chat
	// loses nothing.
	branch := append(slices.Clone(chat[:100]), prompt(50, 2)...)
	if u := ask(branch, p); u.CachedTokens != 100 {
		t.Errorf("a branch: %+v", u)
	}
	if u := ask(chat, p); u.CachedTokens != 299 {
		t.Errorf("the first after the branch: %+v", u)
	}
}

func TestChoicesOfOneRequestReadThePromptOnce(t *testing.T) {
	for _, n := range []int{40, 1000} {
		l, m := newFake(t, nil)
		results := make([]result, 6)
		var wg sync.WaitGroup
		for i := range results {
			p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true, Choice: i}
			wg.Go(func() { results[i] = l.collect(t.Context(), l.ask(prompt(n, 1), 10, p), nil) })
		}
		wg.Wait()
		texts := map[string]bool{}
		for i, r := range results {
			texts[r.text] = true
			lone, _ := newFake(t, nil)
			p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true, Choice: i}
			if want := lone.collect(t.Context(), lone.ask(prompt(n, 1), 10, p), nil); want.String() != r.String() {
				t.Errorf("choice %d: %v, alone %v", i, r, want)
			}
		}
		if len(texts) != len(results) {
			t.Errorf("%d different texts of %d choices", len(texts), len(results))
		}
		if most := n + 6*10 + 6*worthWaiting; m.reads > most {
			t.Errorf("%d tokens read, want at most %d", m.reads, most)
		}
	}
}

func TestCancellationWhereverARequestIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := newFake(t, func(l *loop, m *fakeModel) { l.slots = 1; m.cost = time.Millisecond })
		cause := errors.New("gone home")
		background := func(ctx context.Context, prompt []int32, tokens int) <-chan result {
			out := make(chan result, 1)
			go func() {
				out <- l.collect(ctx, l.ask(prompt, tokens, llm.Params{Seed: new(int64(1)), IgnoreEOS: true}), nil)
			}()
			return out
		}
		check := func(where string, got <-chan result) {
			t.Helper()
			before := time.Now()
			r := <-got
			if r.err != cause || time.Since(before) > 0 {
				t.Errorf("%s: %v after %v", where, r, time.Since(before))
			}
			synctest.Wait()
			time.Sleep(250 * time.Millisecond)
			synctest.Wait()
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		holder := background(ctx, prompt(5, 1), 100_000)
		time.Sleep(50 * time.Millisecond)

		queued, cancelQueued := context.WithCancelCause(t.Context())
		waiting := background(queued, prompt(5, 2), 10)
		time.Sleep(50 * time.Millisecond)
		cancelQueued(cause)
		check("queue", waiting)
		if len(l.queue) != 0 {
			t.Error("it is still in the queue")
		}

		cancel(cause)
		check("decode", holder)
		reads := m.reads
		time.Sleep(time.Second)
		if m.reads != reads {
			t.Error("the model works for nobody")
		}

		reading, cancelReading := context.WithCancelCause(t.Context())
		long := background(reading, prompt(100_000, 3), 10)
		time.Sleep(2 * time.Second)
		cancelReading(cause)
		check("prompt", long)
		if m.reads >= 100_000 {
			t.Errorf("%d tokens read", m.reads)
		}
		if r := <-background(t.Context(), prompt(100_000, 3)[:2000], 1); r.finish.Usage.CachedTokens < 1000 {
			t.Errorf("what was read before is lost: %+v", r.finish.Usage)
		}
	})
}

func TestWaitingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := newFake(t, func(l *loop, m *fakeModel) { l.slots = 1; m.cost = 10 * time.Millisecond })
		var wg sync.WaitGroup
		results := make([]result, 3)
		for i := range results {
			wg.Go(func() {
				results[i] = l.collect(t.Context(), l.ask(prompt(500, int32(i)), 2, llm.Params{IgnoreEOS: true}), nil)
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		if w := results[0].waited; len(w) < 4 || w[0].Queue != 0 || w[0].Total != 500 || w[2].Done <= w[0].Done || w[3].Done > 500 {
			t.Errorf("the first: %v", w)
		}
		if w := results[2].waited; len(w) < 12 || w[0].Queue != 2 || w[6].Queue != 1 || w[len(w)-1].Queue != 0 {
			t.Errorf("the third: %v", w)
		}
		if u := results[2].finish.Usage; u.Queued < 9*time.Second || u.Prefill < 4*time.Second || u.Decode > time.Second {
			t.Errorf("times of the third: %+v", u)
		}
	})
}

// While a long prompt is read, those who generate go on, and a short prompt
// does not wait for its end.
func TestALongPromptStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := newFake(t, func(l *loop, m *fakeModel) { m.cost = 2 * time.Millisecond })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			last := time.Now()
			l.collect(ctx, l.ask(prompt(5, 1), 5000, llm.Params{IgnoreEOS: true, Seed: new(int64(1))}), func(p llm.Piece) bool {
				if d := time.Since(last); p.Text != "" && d > 250*time.Millisecond {
					t.Errorf("%v between two tokens", d)
				}
				last = time.Now()
				return false
			})
		})
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() { l.collect(ctx, l.ask(prompt(20_000, 2), 5, llm.Params{}), nil) })
		time.Sleep(time.Second)
		before := time.Now()
		l.collect(ctx, l.ask(prompt(50, 3), 1, llm.Params{}), nil)
		if d := time.Since(before); d > 2*time.Second {
			t.Errorf("a short prompt took %v", d)
		}
		cancel()
		wg.Wait()
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	gate := make(chan struct{})
	l, _ := newFake(t, func(l *loop, m *fakeModel) {
		l.slots, l.maxQueue = 1, 2
		m.before = func([]step) { <-gate }
	})
	var wg sync.WaitGroup
	began := make(chan bool, 3)
	for i := range 3 {
		wg.Go(func() {
			l.collect(t.Context(), l.ask(prompt(5, int32(i)), 2, llm.Params{}), func(p llm.Piece) bool {
				if p.Finish == nil && p.Text == "" {
					began <- true
				}
				return false
			})
		})
		<-began
		for i == 0 && l.counts().Running == 0 {
			runtime.Gosched()
		}
	}
	if e := llm.AsError(l.collect(t.Context(), l.ask(prompt(5, 9), 2, llm.Params{}), nil).err); e.Code != llm.Overloaded {
		t.Errorf("got %v", e)
	}
	close(gate)
	wg.Wait()
}

func TestMemoryIsNeverPromisedTwice(t *testing.T) {
	const blocks = 9
	together := 0
	var l *loop
	l, m := newFake(t, func(l *loop, m *fakeModel) {
		l.budget = m.CacheBytes(blocks * blockTokens)
		m.before = func(batch []step) {
			for together == 0 && len(l.running)+l.counts().Queued < 12 {
				runtime.Gosched() // until all the others are there
			}
			if p := l.promised(); p > l.budget {
				t.Errorf("%d bytes are promised of %d", p, l.budget)
			}
			together = max(together, len(l.running))
		}
	})
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			ask := l.ask(prompt(60+i, int32(i%5)), 70, llm.Params{IgnoreEOS: true})
			if r := l.collect(t.Context(), ask, nil); r.err != nil {
				t.Error(r.err)
			}
		})
	}
	wg.Wait()
	if m.most > blocks || together < 2 {
		t.Errorf("%d blocks of %d in use, %d sequences together", m.most, blocks, together)
	}
}

func TestAPanicEndsOnlyThoseWhoTookPart(t *testing.T) {
	for name, fault := range map[string]func(m *fakeModel){
		"panic": func(m *fakeModel) {
			m.before = func(batch []step) {
				for _, s := range batch {
					if len(s.tokens) == 3 && s.tokens[0] == 47 {
						panic("index out of range")
					}
				}
			}
		},
		"not a number": func(m *fakeModel) {
			m.bad = func(tokens []int32) bool { return tokens[0] == 47 }
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := newFake(t, func(_ *loop, m *fakeModel) { fault(m) })
			good := prompt(20, 1)
			want := l.collect(t.Context(), l.ask(good, 10, warm), nil).String()
			r := l.collect(t.Context(), l.ask([]int32{47, 1, 2}, 10, warm), nil)
			if e := llm.AsError(r.err); e == nil || e.Code != llm.Broken {
				t.Errorf("got %v", r)
			}
			if got := l.collect(t.Context(), l.ask(good, 10, warm), nil).String(); got != want {
				t.Errorf("afterwards %s, before %s", got, want)
			}
		})
	}
}

func TestAFaultInTheLoopEndsOnlyWhatItWorkedOn(t *testing.T) {
	l, m := newFake(t, nil)
	m.faults = 1
	first := l.collect(t.Context(), l.ask(prompt(9, 1), 10, warm), nil)
	if e := llm.AsError(first.err); e == nil || e.Code != llm.Broken {
		t.Errorf("got %v", first)
	}
	if r := l.collect(t.Context(), l.ask(prompt(9, 1), 10, warm), nil); r.err != nil {
		t.Error(r.err)
	}
}

func TestClosingEndsEverything(t *testing.T) {
	l, _ := newFake(t, func(l *loop, m *fakeModel) { l.slots = 2 })
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			r := l.collect(t.Context(), l.ask(prompt(5, int32(i)), 1<<30, llm.Params{IgnoreEOS: true}), nil)
			if e := llm.AsError(r.err); e.Code != llm.Unavailable {
				t.Errorf("got %v", r.err)
			}
		})
	}
	for l.counts().GeneratedTokens < 10 {
		runtime.Gosched()
	}
	l.close()
	wg.Wait()
	if e := llm.AsError(l.collect(t.Context(), l.ask(prompt(5, 1), 2, llm.Params{}), nil).err); e.Code != llm.Unavailable {
		t.Errorf("afterwards: %v", e)
	}
	if e := llm.AsError(l.do(t.Context(), func() {})); e.Code != llm.Unavailable {
		t.Errorf("a task afterwards: %v", e)
	}
}

// One who does not read must not hold up the others.
func TestASlowCallerBlocksNobody(t *testing.T) {
	l, _ := newFake(t, nil)
	slow := make(chan struct{})
	var wg sync.WaitGroup
	var got result
	wg.Go(func() {
		got = l.collect(t.Context(), l.ask(prompt(9, 1), 60, warm), func(p llm.Piece) bool { <-slow; return false })
	})
	want := func() string {
		lone, _ := newFake(t, nil)
		return lone.collect(t.Context(), lone.ask(prompt(9, 1), 60, warm), nil).String()
	}()
	for i := range 5 {
		if r := l.collect(t.Context(), l.ask(prompt(50, int32(i)), 50, warm), nil); r.err != nil {
			t.Error(r.err)
		}
	}
	close(slow)
	wg.Wait()
	if got.String() != want {
		t.Errorf("the slow one got %v, want %v", got, want)
	}
}

// Cancelled at any moment, a stream ends exactly once and leaves nothing.
func TestCancellationRaces(t *testing.T) {
	l, _ := newFake(t, func(l *loop, m *fakeModel) { l.slots = 3 })
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 150 {
				ctx, cancel := context.WithCancel(t.Context())
				n, after := 0, r.IntN(16)
				got := l.collect(ctx, l.ask(prompt(1+r.IntN(200), int32(r.IntN(4))), 12, llm.Params{}), func(llm.Piece) bool {
					if n++; n == after {
						go cancel()
					}
					return n == after+3
				})
				if got.err != nil && !errors.Is(got.err, context.Canceled) {
					t.Error(got.err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	for l.counts().Running > 0 {
		runtime.Gosched()
		l.do(t.Context(), l.publish)
	}
	if c := l.counts(); c.Queued != 0 || c.Running != 0 {
		t.Errorf("left over: %+v", c)
	}
}

func TestTasksRunBetweenSteps(t *testing.T) {
	l, _ := newFake(t, nil)
	ran := false
	if err := l.do(t.Context(), func() { ran = true }); err != nil || !ran {
		t.Errorf("%v, %v", ran, err)
	}
	if err := l.do(t.Context(), func() { panic("oh") }); err == nil {
		t.Error("a panic went unnoticed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.do(ctx, func() { t.Error("it ran") }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What happens to a chat reads new tokens only.
func TestOnlyNewTokensAreRead(t *testing.T) {
	l, m := newFake(t, nil)
	p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true}
	read := func(what string, tokens []int32, want int) []int32 {
		t.Helper()
		before := m.reads
		r := l.collect(t.Context(), l.ask(tokens, 10, p), nil)
		if r.err != nil {
			t.Fatal(r.err)
		}
		u := r.finish.Usage
		if n := m.reads - before; n != want+9 || u.CachedTokens != len(tokens)-want || u.PromptTokens != len(tokens) {
			t.Errorf("%s: %d tokens of %d read, %d of them new in truth; %+v", what, n-9, len(tokens), want, u)
		}
		reply := slices.Clone(tokens)
		for _, id := range r.ids {
			reply = append(reply, int32(id))
		}
		return reply
	}
	system := prompt(300, 1)
	first := slices.Concat(system, prompt(40, 2))
	reply := read("a chat begins", first, 340)
	p.Choice = 1
	read("a swipe", first, 1)
	p.Choice = 0
	read("the same again", first, 1)
	second := slices.Concat(reply, prompt(25, 3))
	// The last token of a reply was never read.
	reply = read("the chat goes on", second, 26)
	for i := range int32(5) {
		read("another character with the same system prompt", slices.Concat(system, prompt(70, 10+i)), 70)
	}
	third := slices.Concat(reply, prompt(9, 4))
	read("the chat goes on after others", third, 10)
	edited := slices.Clone(second)
	edited[320]++
	read("an edit", edited, len(edited)-320)
	read("the edit is taken back", third, 1)
	for i := range int32(3) {
		read("a fork", slices.Concat(third[:345], prompt(30, 20+i)), 30)
	}
	if err := l.do(t.Context(), func() { checkTree(t, &l.prefixes) }); err != nil {
		t.Error(err)
	}
}
