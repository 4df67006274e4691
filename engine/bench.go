package engine

import (
	"context"
	"time"

	"parley/internal/kernel"
	"parley/llm"
)

// BenchOptions say what to measure.
type BenchOptions struct {
	Prompt    int // tokens of each sequence's prompt, at least 1
	Generate  int // tokens generated for each, at least 1
	Sequences int // sequences at a time, at least 1
}

// BenchResult is what was measured. Speeds are over all sequences.
type BenchResult struct {
	Model     string `json:"model"`
	Type      string `json:"type"`
	Threads   int    `json:"threads"`
	Kernels   string `json:"kernels"`
	Prompt    int    `json:"prompt"`
	Generate  int    `json:"generate"`
	Sequences int    `json:"sequences"`

	PrefillTPS float64 `json:"prefill_tps"` // tokens of prompts read in a second
	DecodeTPS  float64 `json:"decode_tps"`  // tokens generated in a second
	ReadGBPS   float64 `json:"read_gbps"`   // 10⁹ bytes of memory read in a second by as many threads
	// DecodeCeilingTPS is how many tokens of one sequence could be generated in
	// a second if reading the weights were all.
	DecodeCeilingTPS float64 `json:"decode_ceiling_tps"`
}

// Bench measures the speed of the model. Requests wait meanwhile.
func (e *Engine) Bench(ctx context.Context, o BenchOptions) (BenchResult, error) {
	switch {
	case o.Prompt < 1 || o.Generate < 1 || o.Sequences < 1:
		return BenchResult{}, llm.Errorf(llm.Invalid, "", "prompt, generate and sequences are at least 1")
	case o.Prompt+o.Generate > e.info.Context:
		return BenchResult{}, llm.TooLongError(o.Prompt+o.Generate, e.info.Context)
	case int64(o.Sequences)*e.model.KVBytes(o.Prompt+o.Generate) > e.loop.budget:
		return BenchResult{}, llm.Errorf(llm.Invalid, "", "%d sequences do not fit the cache", o.Sequences)
	}
	r := BenchResult{
		Model: e.info.Name, Type: e.info.Quantisation, Threads: e.Threads(), Kernels: e.Kernels(),
		Prompt: o.Prompt, Generate: o.Generate, Sequences: o.Sequences,
	}
	var failed error
	err := e.loop.do(ctx, func() {
		r.ReadGBPS = kernel.ReadBandwidth(e.Threads()) / 1e9
		r.DecodeCeilingTPS = r.ReadGBPS * 1e9 / float64(e.BytesPerToken())
		failed = e.measure(ctx, o, &r)
	})
	if err != nil {
		return BenchResult{}, err
	}
	return r, failed
}

// benchChunk is how many tokens one call of Forward reads.
const benchChunk = 512

func (e *Engine) measure(ctx context.Context, o BenchOptions, r *BenchResult) error {
	m, size := e.loop.model, int32(e.words.Size())
	prompt := make([]int32, o.Prompt)
	x := uint32(1)
	for i := range prompt {
		x = x*1664525 + 1013904223 // any tokens do
		prompt[i] = int32(x>>8) % size
	}
	// Once for nothing: the weights are paged in.
	if err := m.Forward([]step{{cache: m.NewCache(), tokens: prompt[:1]}}); err != nil {
		return err
	}
	batch := make([]step, o.Sequences)
	next := make([]int32, o.Sequences)
	begun := time.Now()
	for i := range batch {
		c := m.NewCache()
		batch[i] = step{cache: c, want: true}
		for at := 0; at < o.Prompt && ctx.Err() == nil; at += benchChunk {
			one := []step{{cache: c, tokens: prompt[at:min(at+benchChunk, o.Prompt)], want: at+benchChunk >= o.Prompt}}
			if err := m.Forward(one); err != nil {
				return err
			}
			if one[0].want {
				next[i] = argmax(one[0].logits).id
			}
		}
	}
	r.PrefillTPS = float64(o.Prompt*o.Sequences) / time.Since(begun).Seconds()
	begun = time.Now()
	for range o.Generate {
		for i := range batch {
			batch[i].tokens = next[i : i+1]
		}
		if ctx.Err() != nil {
			return nil // do reports why
		}
		if err := m.Forward(batch); err != nil {
			return err
		}
		for i := range batch {
			next[i] = argmax(batch[i].logits).id
		}
	}
	r.DecodeTPS = float64(o.Generate*o.Sequences) / time.Since(begun).Seconds()
	return nil
}
