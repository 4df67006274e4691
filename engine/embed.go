package engine

import (
	"context"
	"fmt"
	"math"
	"sync"

	"parley/internal/gguf"
	"parley/llm"
)

var _ llm.Embedder = (*Engine)(nil)

// A pooling says how the states of a text's tokens become one vector. The
// numbers are those of pooling_type in a file.
type pooling uint8

const (
	poolNone  pooling = iota // the file leaves it open
	poolMean                 // their mean
	poolFirst                // the first token's
	poolLast                 // the last token's
	poolRank                 // a judgement on the text, which is no vector
)

// poolingOf reads what a file says of itself. Where it says nothing, the mean
// is taken.
func poolingOf(f *gguf.File, architecture string) (pooling, error) {
	if causal, ok, err := f.Bool(architecture + ".attention.causal"); err == nil && ok && !causal {
		return 0, &llm.Error{Code: llm.Unsupported, Message: "this model's tokens look at those behind them, which is not supported", Hint: "serve another embedding model"}
	}
	n, ok, err := f.Uint(architecture + ".pooling_type")
	switch p := pooling(min(n, math.MaxUint8)); {
	case err == nil && (!ok || p == poolNone):
		return poolMean, nil
	case err == nil && p < poolRank:
		return p, nil
	}
	return 0, &llm.Error{Code: llm.Unsupported, Message: "this model's file asks for a kind of pooling that gives no vector", Hint: "serve an embedding model"}
}

// A pool gathers the states of one text.
type pool struct {
	pooling pooling
	count   int
	sum     []float64
}

// add takes the state of the next token.
func (p *pool) add(x []float32) {
	if p.sum == nil {
		p.sum = make([]float64, len(x))
	}
	p.count++
	switch p.pooling {
	case poolFirst:
		if p.count > 1 {
			return
		}
	case poolLast:
		clear(p.sum)
	}
	for i, v := range x {
		p.sum[i] += float64(v)
	}
}

// vector is what was gathered, with the length 1. The mean need not be
// divided: only the direction stays.
func (p *pool) vector() ([]float32, error) {
	squares := 0.0
	for _, v := range p.sum {
		squares += v * v
	}
	length := math.Sqrt(squares)
	if math.IsNaN(length) || math.IsInf(length, 0) {
		return nil, &llm.Error{Code: llm.Broken, Message: "the model's output is not a number", Hint: "its file may be damaged"}
	}
	out := make([]float32, len(p.sum))
	for i, v := range p.sum {
		if length > 0 {
			out[i] = float32(v / length)
		}
	}
	return out, nil
}

// Embed gives a vector of length 1 for each prompt: of the states of its
// tokens behind the last layer, pooled as the model's file says, or else their
// mean. An error names the prompt as OpenAI's input.
func (e *Engine) Embed(ctx context.Context, prompts []llm.Prompt) ([][]float32, llm.Usage, error) {
	kind, err := e.pooling, e.poolingErr
	if err != nil {
		return nil, llm.Usage{}, err
	}
	requests := make([]*request, len(prompts))
	pools := make([]pool, len(prompts))
	var usage llm.Usage
	for i, p := range prompts {
		pools[i].pooling = kind
		if requests[i], err = e.embedding(ctx, p, &pools[i]); err != nil {
			return nil, llm.Usage{}, ofInput(err, i, len(prompts))
		}
		usage.PromptTokens += len(requests[i].prompt)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *request)
	var workers sync.WaitGroup
	for range min(e.loop.slots, len(requests)) {
		workers.Go(func() {
			for r := range next {
				if err := e.loop.read(ctx, r); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, r := range requests {
		next <- r
	}
	close(next)
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, llm.Usage{}, err
	}
	vectors := make([][]float32, len(pools))
	for i := range pools {
		if vectors[i], err = pools[i].vector(); err != nil {
			return nil, llm.Usage{}, err
		}
	}
	return vectors, usage, nil
}

// embedding makes a prompt ready for the loop.
func (e *Engine) embedding(ctx context.Context, p llm.Prompt, into *pool) (*request, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if p.Empty() {
		return nil, llm.Errorf(llm.Invalid, "input", "the text is empty")
	}
	read, err := e.words.Tokenize(ctx, p)
	if err != nil {
		return nil, err
	}
	tokens := ids(read)
	if eos := int32(e.words.EOS()); e.words.AddEOS() && (len(tokens) == 0 || tokens[len(tokens)-1] != eos) {
		tokens = append(tokens, eos)
	}
	switch {
	case len(tokens) == 0:
		return nil, llm.Errorf(llm.Invalid, "input", "the text has no tokens")
	case len(tokens) > e.info.Context:
		return nil, &llm.Error{
			Code: llm.TooLong, Field: "input", Hint: "send shorter texts",
			Message: fmt.Sprintf("the text has %d tokens and the context holds %d", len(tokens), e.info.Context),
			Err:     &llm.ContextError{PromptTokens: len(tokens), Context: e.info.Context},
		}
	}
	return &request{prompt: tokens, see: into.add, words: newView(e.words, p.Marks), need: e.model.KVBytes(len(tokens))}, nil
}

// ofInput is an error with the text that it is about as its field.
func ofInput(err error, i, of int) error {
	e := *llm.AsError(err)
	if e.Field == "" {
		return err
	}
	e.Field = "input"
	if of > 1 {
		e.Field = fmt.Sprintf("input[%d]", i)
	}
	return &e
}

// read has a text read that someone sees, and waits for the end of it.
func (l *loop) read(ctx context.Context, r *request) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	l.stream(ctx, r, &llm.Accepted{}, func(_ llm.Piece, failed error) bool {
		err = failed
		return failed == nil
	})
	return err
}
