package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"parley/llm"
)

func TestBenchMeasuresAllThatIsAskedFor(t *testing.T) {
	e := tiny{}.open(t, Options{Threads: 1, Sequences: 4})
	o := BenchOptions{Prompt: 20, Generate: 5, Sequences: []int{1, 3}, Contexts: []int{10, 40, 200}, Behind: []int{1, 3}, Turns: 3, Beside: 300, Foreseen: []int{0, 100}}
	var told []float64
	o.Progress = func(done float64, _ string) { told = append(told, done) }
	b := newBenching(e, o)
	b.memory = func() float64 { return 1e9 }
	b.work(benchCeilings)
	err := e.loop.do(t.Context(), func() {
		for _, part := range []func(context.Context) error{b.sequences, b.contexts} {
			if err := part(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	for _, part := range []func(context.Context) error{b.turns, b.beside, b.foreseen} {
		if err == nil {
			err = part(t.Context())
		}
	}
	r := b.result
	if err != nil || r.PrefillTPS <= 0 || r.DecodeTPS <= 0 || len(r.Sequences) != 2 || len(r.Contexts) != 6 || len(r.Turns) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if s := r.Sequences[1]; s.Sequences != 3 || s.DecodeTPS <= 0 || math.Abs(s.CeilingTPS/r.Sequences[0].CeilingTPS-3) > 1e-9 {
		t.Errorf("three at a time: %+v", s)
	}
	if s, want := r.Sequences[0], 1e9/float64(e.BytesPerToken()); math.Abs(s.CeilingTPS/want-1) > 1e-9 {
		t.Errorf("%g tokens a second are said to be possible, want %g", s.CeilingTPS, want)
	}
	if c := r.Contexts[1]; c.Context != 40 || c.DecodeTPS <= 0 || c.PrefillTPS <= 0 || c.CeilingTPS <= 0 || c.CeilingTPS > r.Contexts[0].CeilingTPS {
		t.Errorf("contexts: %+v", r.Contexts)
	}
	for i, c := range r.Contexts {
		if c.Context != o.Contexts[i%3] || c.Sequences != o.Behind[i/3] || c.DecodeTPS <= 0 {
			t.Errorf("contexts: %+v", r.Contexts)
		}
	}
	for i, turn := range r.Turns {
		// A turn has all before it in the cache but what was said last and not read.
		if want := o.Prompt + i*o.Generate + (i+1)*benchMessage; turn.Prompt != want || turn.FirstMS <= 0 || i > 0 && turn.Cached < want-benchMessage-1 {
			t.Errorf("turn %d: %+v", i, turn)
		}
	}
	if s := r.Beside; s.Prompt != 300 || s.PromptTPS <= 0 || s.AloneP99MS <= 0 || s.AloneP99MS < s.AloneP50MS || s.BesideP99MS <= 0 || s.BesideP99MS < s.BesideP50MS {
		t.Errorf("beside: %+v", s)
	}
	if f := r.Foreseen; len(f) != 2 || f[1].DecodeTPS <= 0 || f[1].LiteralTPS <= 0 || f[0].Accepted > f[1].Accepted || e.loop.guesser.off {
		t.Errorf("foreseen: %+v", f)
	}
	if !slices.IsSorted(told) || told[len(told)-1] > 1 || told[len(told)-1] < 0.4 {
		t.Errorf("progress: %v", told)
	}
}

// A noting model notes how many tokens of a sequence it reads at a time: as many as may
// be, whatever time it takes.
type noting struct {
	model
	read []int
}

func (n *noting) Enough() int      { return mostChunk }
func (n *noting) Seen(int) float64 { return 0 }

func (n *noting) Forward(steps []step) error {
	n.read = append(n.read, len(steps[0].tokens))
	return n.model.Forward(steps)
}

// What is measured of a prompt is what a request gets: the same chunks.
func TestBenchReadsPromptsAsRequestsAre(t *testing.T) {
	chunks := func(read func(e *Engine, b *benching) error) []int {
		e := tiny{}.open(t, Options{Threads: 1})
		n := &noting{model: e.loop.model}
		e.loop.do(t.Context(), func() { e.loop.model = n })
		if err := read(e, newBenching(e, BenchOptions{Prompt: 300, Generate: 1, Sequences: []int{1}})); err != nil {
			t.Error(err)
		}
		e.Close()
		return n.read
	}
	bench := chunks(func(e *Engine, b *benching) (err error) {
		e.loop.do(t.Context(), func() { _, _, err = b.read(t.Context(), e.loop.model.NewCache(), 300) })
		return err
	})
	request := chunks(func(e *Engine, b *benching) error {
		return b.complete(t.Context(), b.prompt(300), 1, func(llm.Piece) bool { return true })
	})
	if !slices.Equal(bench, request) || len(bench) < 5 {
		t.Errorf("a measurement reads %v, a request %v", bench, request)
	}
}

func TestBenchRefusesWhatItCannotMeasure(t *testing.T) {
	e := tiny{}.open(t, Options{Threads: 1, Sequences: 2})
	one := []int{1}
	for _, o := range []BenchOptions{
		{},
		{Prompt: 1, Generate: 1},
		{Prompt: 1, Generate: 1, Sequences: []int{0}},
		{Prompt: 1, Generate: 1, Sequences: []int{4, 1}},
		{Prompt: 600, Generate: 1, Sequences: one},
		{Prompt: 400, Generate: 20, Sequences: []int{1, 50}},
		{Prompt: 1, Generate: 20, Sequences: one, Contexts: []int{500}},
		{Prompt: 1, Generate: 20, Sequences: one, Contexts: []int{20, 10}},
		{Prompt: 1, Generate: 20, Sequences: one, Contexts: []int{20}, Behind: []int{0}},
		{Prompt: 1, Generate: 20, Sequences: one, Contexts: []int{400}, Behind: []int{50}},
		{Prompt: 1, Generate: 20, Sequences: one, Turns: 7},
		{Prompt: 1, Generate: 1, Sequences: one, Beside: 512},
		{Prompt: 1, Generate: 1, Sequences: one, Foreseen: []int{50, 101}},
	} {
		if _, err := e.Bench(t.Context(), o); err == nil {
			t.Errorf("%+v was done", o)
		}
	}
	single := tiny{}.open(t, Options{Threads: 1, Sequences: 1})
	if _, err := single.Bench(t.Context(), BenchOptions{Prompt: 1, Generate: 1, Sequences: one, Beside: 30}); err == nil {
		t.Error("two requests at a time were measured where there is room for one")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Bench(ctx, BenchOptions{Prompt: 1, Generate: 1, Sequences: one}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestQuantiles(t *testing.T) {
	var list []time.Duration
	for i := range 200 {
		list = append(list, time.Duration(200-i))
	}
	if p50, p99, none := quantile(list, 50), quantile(list, 99), quantile(nil, 99); p50 != 100 || p99 != 198 || none != 0 {
		t.Errorf("got %d, %d, %d", p50, p99, none)
	}
}
