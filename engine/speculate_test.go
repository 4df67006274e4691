package engine

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/gguf"
	"parley/llm"
)

func TestWidenReadsWhatIsWorthIt(t *testing.T) {
	flat := func(int) time.Duration { return 100 }                           // reading the weights is all
	steep := func(n int) time.Duration { return time.Duration(100 * n) }     // nothing is shared
	slope := func(n int) time.Duration { return time.Duration(100 + 10*n) }  // a token more costs a tenth of a step
	tiles := func(n int) time.Duration { return time.Duration((n + 3) / 4) } // in fours
	full := offer{most: mostProposed, right: 0.9}
	model := offer{most: 8, right: 0.8, model: true}
	for name, c := range map[string]struct {
		offers []offer
		base   int
		cost   func(int) time.Duration
		round  time.Duration
		want   []int
	}{
		"nothing is offered":                 {[]offer{{}, {}}, 2, flat, 0, []int{0, 0}},
		"what costs nothing is read":         {[]offer{{most: 5, right: 0.3}}, 1, flat, 0, []int{5}},
		"what never is right is not":         {[]offer{{most: 5, right: 0}}, 1, flat, 0, []int{0}},
		"what costs as much as it gives":     {[]offer{{most: 5, right: 0.9}}, 1, steep, 0, []int{0}},
		"as long as a token pays":            {[]offer{{most: 9, right: 0.5}}, 1, slope, 0, []int{2}},
		"a likely one is read for longer":    {[]offer{{most: 3, right: 0.1}, full}, 2, slope, 0, []int{0, 9}},
		"a tile that is begun is filled":     {[]offer{{most: 9, right: 0.5}}, 1, tiles, 0, []int{3}},
		"no more than a step takes":          {[]offer{full, full, full}, 3, flat, 0, []int{11, 11, 10}},
		"a small model that costs nothing":   {[]offer{model}, 1, flat, 0, []int{8}},
		"a small model that costs too much":  {[]offer{model}, 1, flat, 90, []int{0}},
		"a small model between":              {[]offer{model}, 1, flat, 20, []int{4}},
		"a small model for two in one round": {[]offer{model, model}, 2, flat, 20, []int{4, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := widen(c.offers, c.base, c.cost, c.round); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestStepCostsLieBetweenWhatIsKnown(t *testing.T) {
	var c stepCosts
	if c.of(3) <= 0 {
		t.Error("a step that nothing is known of costs nothing")
	}
	c.observe(1, 1000)
	if a, b := c.of(1), c.of(2); a != 1000 || b <= a || b > 1100 {
		t.Errorf("a second token is not assumed to be cheap: %d, %d", a, b)
	}
	c.observe(5, 2000)
	if got := c.of(3); got != 1500 {
		t.Errorf("between: %d", got)
	}
	c.observe(5, 4000)
	if got := c.of(5); got <= 2000 || got >= 4000 {
		t.Errorf("after two steps that differ: %d", got)
	}
	for range costHolds {
		c.observe(1, 1000)
	}
	if got := c.of(5); got > 1300 {
		t.Errorf("what was measured long ago counts: %d", got)
	}
	c.observe(1<<20, 1)
	if c.of(1<<20) <= 0 {
		t.Error("a great step costs nothing")
	}
}

func TestOddsFollowWhatHappens(t *testing.T) {
	var o odds
	if got := o.behind(0.7); got != 0.7 {
		t.Errorf("nothing is known, and yet %v", got)
	}
	for range 100 {
		o.observe(true)
	}
	high := o.behind(0.1)
	for range 100 {
		o.observe(false)
	}
	if low := o.behind(0.1); high < 0.8 || low > 0.15 {
		t.Errorf("always right: %v, then always wrong: %v", high, low)
	}
}

// spoiled is a text with some of it changed, as something to expect.
func spoiled(r *rand.Rand, text string) string {
	b := []byte(text)
	for range len(b) / 15 {
		b[r.IntN(len(b))] = "aeiou the"[r.IntN(9)]
	}
	return strings.ToValidUTF8(string(b), "")
}

// One request has one answer, with any tokens proposed and any number of them
// read, whatever it asks for, among others that come and leave.
func TestSpeculationChangesNoAnswer(t *testing.T) {
	for name, m := range map[string]tiny{"attention": {}, "convolutions": {convolved: true}} {
		all, want := manyAnswers(t, m)
		t.Run(name+", lookups and predictions", func(t *testing.T) { speculateOn(t, m, all, want, "", 500) })
		t.Run(name+", a small model, too", func(t *testing.T) {
			// Nearly the same model, so that it is often right.
			small := m
			small.meta = []gguf.KV{{Key: "llama.attention.layer_norm_rms_epsilon", Value: gguf.ValueOf(float32(0.05))}}
			speculateOn(t, m, all, want, small.write(t), 1000)
		})
	}
}

func (m tiny) write(t *testing.T) (path string) {
	path = filepath.Join(t.TempDir(), "small.gguf")
	if err := os.WriteFile(path, m.file(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// An asked is a request of a test.
type asked struct {
	p      llm.Prompt
	params llm.Params
}

// manyAnswers are requests, most with a prediction, and their answers without
// speculation.
func manyAnswers(t *testing.T, m tiny) (all []asked, want []string) {
	literal := m.open(t, Options{Threads: 1, Literal: true})
	for i := range 120 {
		r := rand.New(rand.NewPCG(uint64(i), 404))
		p, params := anyRequest(r)
		answered := answer(t, literal, p, params, 0)
		var text strings.Builder
		for piece, err := range literal.Complete(t.Context(), p, params) {
			if err == nil {
				text.WriteString(piece.Text)
			}
		}
		if r.IntN(4) > 0 {
			params.Prediction = spoiled(r, text.String())
		}
		all, want = append(all, asked{p, params}), append(want, answered)
	}
	if s := literal.Stats(); s.DraftedTokens != 0 {
		t.Errorf("%d tokens were drafted where none should be", s.DraftedTokens)
	}
	return all, want
}

// speculateOn asks again, with at least so many tokens that are right.
func speculateOn(t *testing.T, m tiny, all []asked, want []string, draft string, least uint64) {
	e := m.open(t, Options{Sequences: 4, Threads: 2, Draft: draft})
	chance := rand.New(rand.NewPCG(1, 2))
	err := e.loop.do(t.Context(), func() {
		e.loop.guesser.decide = func(offers []offer) []int {
			widths := make([]int, len(offers))
			for i, o := range offers {
				widths[i] = chance.IntN(o.most + 1)
			}
			return widths
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	order, mixed := make(chan int), rand.New(rand.NewPCG(3, 4))
	var clients sync.WaitGroup
	for client := range 6 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(client), 8))
			for i := range order {
				if r.IntN(4) == 0 { // someone who leaves
					other := all[r.IntN(len(all))]
					answer(t, e, other.p, other.params, 1+r.IntN(6))
				}
				if got := answer(t, e, all[i].p, all[i].params, 0); got != want[i] {
					t.Errorf("request %d with speculation gave\n%s\nwithout\n%s", i, got, want[i])
				}
			}
		})
	}
	for range 2 {
		for _, i := range mixed.Perm(len(all)) {
			order <- i
		}
	}
	close(order)
	clients.Wait()
	if s := e.Stats(); s.AcceptedTokens < least || s.DraftedTokens < s.AcceptedTokens+500 || s.CachedTokens == 0 && !m.convolved {
		t.Errorf("too little was tried: %+v", s)
	}
}

// A model that takes as long for many tokens as for one is asked for many where
// a text repeats itself; one that takes as much longer is not.
func TestSpeculationIsAMatterOfCosts(t *testing.T) {
	for name, each := range map[string]time.Duration{"the first token costs all": 0, "each costs as much": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, m := newFake(t, func(l *loop, m *fakeModel) {
					l.guesser.off = false
					if m.cost = each; each == 0 {
						m.before = func([]step) { time.Sleep(time.Millisecond) }
					}
				})
				p := llm.Params{Seed: new(int64(1)), Temperature: new(0.0), IgnoreEOS: true}
				want := l.collect(t.Context(), l.ask(prompt(5, 1), 300, p), nil)
				if want.err != nil {
					t.Fatal(want.err)
				}
				r := l.ask(prompt(5, 1), 300, p)
				for _, id := range want.ids {
					r.expected = append(r.expected, int32(id))
				}
				steps, reads := l.counts().Steps, m.reads
				got := l.collect(t.Context(), r, nil)
				if !slices.Equal(got.ids, want.ids) {
					t.Errorf("%v, want %v", got.ids, want.ids)
				}
				u := got.finish.Usage
				switch took := l.counts().Steps - steps; {
				case each == 0 && (took > 40 || u.AcceptedTokens < 250 || u.DraftedTokens < u.AcceptedTokens):
					t.Errorf("%d steps for what was expected to the word, %+v", took, u)
				case each > 0 && m.reads-reads > 340:
					t.Errorf("%d tokens read where each costs as much as the first, %+v", m.reads-reads, u)
				}
			})
		})
	}
}

func TestASmallModelMustKnowTheSameTokens(t *testing.T) {
	_, err := OpenBytes(tiny{}.file(t), Options{Draft: tiny{spm: true}.write(t)})
	if err == nil || !strings.Contains(err.Error(), "of the same family") || !strings.Contains(err.Error(), "small.gguf") {
		t.Errorf("another vocabulary: %v", err)
	}
	_, err = OpenBytes(tiny{}.file(t), Options{Draft: "nothing.gguf"})
	if draft, ok := errors.AsType[*DraftError](err); !ok || draft.Path != "nothing.gguf" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	list := tiny{}.vocabulary()
	var texts []string
	for _, e := range list {
		texts = append(texts, e.text)
	}
	texts[60] = "other"
	other := tiny{meta: []gguf.KV{{Key: "tokenizer.ggml.tokens", Value: gguf.ArrayOf(texts)}}}
	if _, err := OpenBytes(tiny{}.file(t), Options{Draft: other.write(t)}); err == nil || !strings.Contains(err.Error(), `token 60 is "other"`) {
		t.Errorf("another token: %v", err)
	}
}

func TestASmallModelThatTookLongIsTriedAgain(t *testing.T) {
	g := guesser{drafter: &drafter{}}
	g.costs.observe(1, time.Millisecond)
	g.drafter.observe(time.Second) // others worked, too
	asked := func() bool {
		widths := g.widths([]offer{{most: 8, right: 0.8, model: true}}, 1, false, 0)
		if widths[0] == 0 {
			g.draft(nil, nil, nil, nil, nil)
		}
		return widths[0] > 0
	}
	steps := 0
	for !asked() {
		if steps++; steps > 20*draftHolds {
			t.Fatal("it is never asked again")
		}
	}
	if steps < draftHolds {
		t.Errorf("it is asked again after %d steps", steps)
	}
}

// A small model that is right saves steps, and one that fails ends no answer.
func TestASmallModelSavesSteps(t *testing.T) {
	p := llm.Params{MaxTokens: new(300), Seed: new(int64(1)), Temperature: new(0.0), IgnoreEOS: true}
	ask := func(e *Engine) (string, uint64) {
		got := answer(t, e, llm.Text("the cat in the hat"), p, 0)
		return got, e.Stats().Steps
	}
	literal := tiny{}.open(t, Options{Threads: 1, Literal: true})
	want, alone := ask(literal)
	e := tiny{}.open(t, Options{Threads: 1, Draft: tiny{}.write(t)})
	always := func(offers []offer) []int {
		widths := make([]int, len(offers))
		for i, o := range offers {
			widths[i] = o.most
		}
		return widths
	}
	e.loop.guesser.decide = always
	if got, steps := ask(e); got != want || steps > alone/4 {
		t.Errorf("%d steps instead of %d, the same answer: %v", steps, alone, got == want)
	}
	err := e.loop.do(t.Context(), func() {
		if used := e.draft.model.CacheUsed(); used != 0 {
			t.Errorf("%d bytes are left in the small model's memory", used)
		}
	})
	if err != nil {
		t.Error(err)
	}
	broken := tiny{}.open(t, Options{Threads: 1, Draft: tiny{}.write(t)})
	broken.loop.guesser.decide = always
	broken.draft.model = &fakeModel{before: func([]step) { panic("out of memory") }}
	if got, _ := ask(broken); got != want {
		t.Errorf("a small model that fails: %s", got)
	}
}
