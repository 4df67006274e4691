package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"parley/internal/kernel"
	"parley/llm"
)

// BenchOptions say what to measure.
type BenchOptions struct {
	Prompt    int   // tokens of the prompt of each sequence, at least 1
	Generate  int   // tokens that each of them generates, at least 1
	Sequences []int // so many at a time, in rising order, at least one number
	Contexts  []int // lengths of context behind which sequences generate, in rising order
	Behind    []int // so many sequences at a time behind a context; none: one
	Turns     int   // of a chat that grows
	Beside    int   // tokens of a prompt that is read beside a sequence that generates; 0: none

	// Foreseen are percentages of an answer that a proposal has right, for how
	// fast one is that is read ahead.
	Foreseen []int

	// Progress is told how much of the work is done, from 0 to 1, and what comes
	// next; nil: nobody watches.
	Progress func(done float64, next string)
}

// BenchResult is what was measured.
type BenchResult struct {
	Model   string `json:"model"`
	Type    string `json:"type"`
	Bytes   int64  `json:"bytes"` // of the weights
	Threads int    `json:"threads"`
	Kernels string `json:"kernels"`
	KVCache string `json:"kv_cache"` // how keys and values are stored
	// LoadSeconds is how long the weights took to be read and laid out.
	LoadSeconds float64 `json:"load_s"`

	// The ceilings, by as many threads: 10⁹ bytes of memory read in a second, 10⁹
	// operations on int8 (0: not known), and what they come to: tokens of one
	// sequence generated in a second if reading the weights were all, tokens of
	// prompts read if multiplying with them were (0: not known).
	ReadGBPS          float64 `json:"read_gbps"`
	Int8GOPS          float64 `json:"int8_gops"`
	DecodeCeilingTPS  float64 `json:"decode_ceiling_tps"`
	PrefillCeilingTPS float64 `json:"prefill_ceiling_tps"`

	Prompt     int     `json:"prompt"`
	Generate   int     `json:"generate"`
	PrefillTPS float64 `json:"prefill_tps"` // tokens of the prompt read in a second
	DecodeTPS  float64 `json:"decode_tps"`  // of the first of Sequences

	Sequences []BenchSequences `json:"sequences"`
	Contexts  []BenchContext   `json:"contexts,omitempty"`
	Turns     []BenchTurn      `json:"turns,omitempty"`
	Beside    *BenchBeside     `json:"beside,omitempty"`
	Foreseen  []BenchForeseen  `json:"foreseen,omitempty"`
}

// BenchSequences is how fast so many sequences generate at a time.
type BenchSequences struct {
	Sequences int     `json:"sequences"`
	DecodeTPS float64 `json:"decode_tps"` // of all together
	// CeilingTPS is so many times what reading the weights would allow one sequence, by how fast
	// memory was read between the steps: on a machine that others share it is not the same for long.
	CeilingTPS float64 `json:"decode_ceiling_tps"`
}

// BenchContext is how fast sequences are behind so many tokens each. Of a long context
// the last 256 tokens and what makes up a block are read; the keys and values before them are
// copies, each in memory of its own, since reading does not depend on what they are.
type BenchContext struct {
	Context    int     `json:"context"`
	Sequences  int     `json:"sequences"`
	PrefillTPS float64 `json:"prefill_tps"` // of the last tokens of the first one's context
	DecodeTPS  float64 `json:"decode_tps"`  // of all together
	// CeilingTPS counts the keys and values of the contexts as read, too, and memory as it was read between the steps.
	CeilingTPS float64 `json:"decode_ceiling_tps"`
	// CacheGBPS is how fast keys and values were read, 10⁹ bytes a second: by how much longer a
	// step takes than behind Prompt tokens; 0: not known.
	CacheGBPS float64 `json:"cache_gbps,omitempty"`
}

// BenchTurn is a turn of a chat: what is new is read, the rest is cached.
type BenchTurn struct {
	Prompt  int     `json:"prompt"` // tokens
	Cached  int     `json:"cached"`
	FirstMS float64 `json:"first_ms"` // until the first token
}

// BenchBeside is the time between two tokens of a stream, in milliseconds:
// alone, and while a long prompt is read.
type BenchBeside struct {
	Prompt      int     `json:"prompt"`
	PromptTPS   float64 `json:"prompt_tps"` // how fast it was read
	AloneP50MS  float64 `json:"alone_p50_ms"`
	AloneP99MS  float64 `json:"alone_p99_ms"`
	BesideP50MS float64 `json:"beside_p50_ms"`
	BesideP99MS float64 `json:"beside_p99_ms"`
}

// BenchForeseen is how fast an answer is of which so many percent of the tokens
// are proposed as they come.
type BenchForeseen struct {
	Percent    int     `json:"percent"`
	DecodeTPS  float64 `json:"decode_tps"`
	LiteralTPS float64 `json:"literal_tps"` // nothing is read ahead
	Drafted    int     `json:"drafted"`
	Accepted   int     `json:"accepted"`
}

// Bench measures the speed of the model. Requests of others make the figures
// wrong, and wait for the greater part of it.
func (e *Engine) Bench(ctx context.Context, o BenchOptions) (BenchResult, error) {
	if err := e.checkBench(o); err != nil {
		return BenchResult{}, err
	}
	b := newBenching(e, o)
	var failed error
	err := e.loop.do(ctx, func() {
		b.tell("ceilings")
		memory, err := e.model.NewBandwidth()
		if err != nil {
			failed = err
			return
		}
		defer memory.Close()
		b.memory = memory.Sample
		b.ceilings(memory.Typical())
		if failed = b.sequences(ctx); failed == nil {
			failed = b.contexts(ctx)
		}
	})
	for _, part := range []func(context.Context) error{b.turns, b.beside, b.foreseen} {
		if err == nil && failed == nil {
			err = part(ctx)
		}
	}
	if err := cmp.Or(err, failed); err != nil {
		return BenchResult{}, err
	}
	return b.result, nil
}

func (e *Engine) checkBench(o BenchOptions) error {
	switch {
	case o.Prompt < 1 || o.Generate < 1 || len(o.Sequences) == 0 || slices.Min(o.Sequences) < 1:
		return llm.Errorf(llm.Invalid, "", "prompt, generate and sequences are at least 1")
	case len(o.Behind) > 0 && slices.Min(o.Behind) < 1:
		return llm.Errorf(llm.Invalid, "", "at least one sequence is behind a context")
	case !slices.IsSorted(o.Sequences) || !slices.IsSorted(o.Contexts):
		return llm.Errorf(llm.Invalid, "", "sequences and contexts are measured in rising order")
	case len(o.Contexts) > 0 && o.Contexts[0] < 1 || o.Turns < 0 || o.Beside < 0:
		return llm.Errorf(llm.Invalid, "", "contexts, turns and beside are not less than none")
	}
	for _, n := range o.Foreseen {
		if n < 0 || n > 100 {
			return llm.Errorf(llm.Invalid, "", "%d percent of an answer are not foreseen", n)
		}
	}
	longest := max(o.Prompt+o.Generate, o.Beside+1)
	if n := len(o.Contexts); n > 0 {
		longest = max(longest, o.Contexts[n-1]+o.Generate)
	}
	if o.Turns > 0 {
		longest = max(longest, o.Prompt+o.Turns*(benchMessage+o.Generate))
	}
	if len(o.Foreseen) > 0 {
		longest = max(longest, benchMessage+benchAnswer)
	}
	most := o.Sequences[len(o.Sequences)-1]
	behind := int64(0)
	if n := len(o.Contexts); n > 0 {
		behind = int64(slices.Max(o.behind())) * e.model.KVBytes(o.Contexts[n-1]+o.Generate)
	}
	switch {
	case longest > e.info.Context:
		return llm.TooLongError(longest, e.info.Context)
	case o.Beside > 0 && e.loop.slots < 2:
		return llm.Errorf(llm.Invalid, "", "nothing is read beside a stream where one sequence at a time is worked on")
	case int64(most)*e.model.KVBytes(o.Prompt+o.Generate) > e.loop.budget:
		return llm.Errorf(llm.Invalid, "", "%d sequences do not fit the cache", most)
	case behind > e.loop.budget:
		return &llm.Error{
			Code: llm.Invalid, Hint: "ask for shorter contexts, or fewer sequences behind them, or give engine.cache more memory",
			Message: fmt.Sprintf("%d sequences behind %d tokens do not fit the cache", slices.Max(o.behind()), o.Contexts[len(o.Contexts)-1]),
		}
	}
	return nil
}

// behind are the numbers of sequences that are measured behind contexts.
func (o *BenchOptions) behind() []int {
	if len(o.Behind) == 0 {
		return []int{1}
	}
	return o.Behind
}

// ceilings are what the machine could do at best, if so many bytes of memory are read in a second.
func (b *benching) ceilings(read float64) {
	r, int8s := &b.result, kernel.Arithmetic(b.e.Threads())
	r.ReadGBPS, r.Int8GOPS = read/1e9, int8s/1e9
	r.DecodeCeilingTPS = read / float64(b.e.BytesPerToken())
	r.PrefillCeilingTPS = int8s / float64(b.e.model.OperationsPerToken())
	b.work(benchCeilings)
}
