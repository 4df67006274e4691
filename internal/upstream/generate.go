package upstream

import (
	"context"
	"iter"
	"sync"
	"time"

	"parley/llm"
)

const (
	// waitingEvery is how often a call without output says that it waits.
	waitingEvery = time.Second
	// acceptedAfter is when a call counts as taken. Some engines answer
	// nothing before there is output, but all refuse what they refuse at once.
	acceptedAfter = 5
	// abortWithin is how long an engine has to take note that a call is over.
	abortWithin = time.Second
)

// generate sends a call and yields what the answer says. The first chunk has
// accepted set. While there is no output a chunk with progress comes from time
// to time. Breaking off the range, or cancelling ctx, ends the engine's work.
func (e *Engine) generate(ctx context.Context, ep *endpoint, c *call) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		body, err := ep.encode(c)
		if err == nil {
			err = ep.constrained(c, e.kind.Title, body)
		}
		if err != nil {
			yield(chunk{}, err)
			return
		}
		g := e.begin(ctx, ep, c, body)
		defer g.end()
		ticker := time.NewTicker(waitingEvery)
		defer ticker.Stop()
		accepted, silent, ticks := false, true, 0
		for {
			var s step
			open := true
			select {
			case s, open = <-g.steps:
			case <-ticker.C:
				if ticks++; accepted && silent {
					s.progress = &llm.Waiting{}
				} else if accepted || ticks < acceptedAfter {
					continue
				}
				s.accepted = !accepted
			case <-ctx.Done():
				s.err = context.Cause(ctx)
			}
			if !open {
				g.over = true
				return
			}
			if s.accepted && accepted {
				continue
			}
			accepted = true
			silent = silent && s.text == "" && s.reasoning == "" && len(s.calls) == 0
			g.over = g.over || s.finish != ""
			if !yield(s.chunk, s.err) || s.err != nil {
				return
			}
		}
	}
}

// A step is a chunk or the error that ends them.
type step struct {
	chunk
	err error
}

// A generation is a call that an engine works on.
type generation struct {
	engine *Engine
	call   *call
	steps  chan step // not buffered: nothing is read ahead
	cancel context.CancelFunc
	reader sync.WaitGroup
	over   bool // the engine is done with it
}

func (e *Engine) begin(ctx context.Context, ep *endpoint, c *call, body any) *generation {
	g := &generation{engine: e, call: c, steps: make(chan step)}
	ctx, g.cancel = context.WithCancel(ctx)
	g.reader.Go(func() {
		defer close(g.steps)
		for c, err := range e.transport.chunks(ctx, ep, body) {
			select {
			case g.steps <- step{c, err}:
			case <-ctx.Done():
				return
			}
		}
	})
	return g
}

// end gives the connection up, waits until nothing of the call is left here,
// and tells an engine that would not notice.
func (g *generation) end() {
	g.cancel()
	g.reader.Wait()
	abort := g.engine.kind.asks.abort
	if g.over || abort == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), abortWithin)
	defer cancel()
	path, body := abort(g.call.id)
	var ignored any
	if err := g.engine.transport.post(ctx, path, body, &ignored); err != nil {
		g.engine.log.Debug("a call was not aborted", "engine", g.engine.transport.String(), "err", err)
	}
}
