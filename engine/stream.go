package engine

import (
	"context"
	"time"

	"parley/llm"
)

// waitingEvery is how often a request without output says what it waits for.
const waitingEvery = time.Second

// stream submits a request and yields its pieces, beginning with accepted. It
// returns when the stream has ended, the caller breaks off or ctx is
// cancelled; in each case nothing of the request remains in the loop after its
// present step.
func (l *loop) stream(ctx context.Context, r *request, accepted *llm.Accepted, yield func(llm.Piece, error) bool) {
	s := newSequence(r)
	if err := l.submit(s); err != nil {
		yield(llm.Piece{}, err)
		return
	}
	defer l.leave(s)
	if !yield(llm.Piece{Accepted: accepted}, nil) {
		return
	}
	ticker := time.NewTicker(waitingEvery)
	defer ticker.Stop()
	silent := true
	for {
		select {
		case <-ctx.Done():
		case <-r.ready:
			silent = false
		case <-ticker.C:
			if silent && ctx.Err() == nil && !yield(llm.Piece{Waiting: l.waiting(s)}, nil) {
				return
			}
		}
		if !forward(ctx, r, yield) {
			return
		}
	}
}

// forward yields what is new and reports whether the stream goes on.
func forward(ctx context.Context, r *request, yield func(llm.Piece, error) bool) bool {
	pieces, failed := r.fetch()
	for _, p := range pieces {
		if err := context.Cause(ctx); err != nil {
			yield(llm.Piece{}, err)
			return false
		}
		if !yield(p, nil) || p.Finish != nil {
			return false
		}
	}
	if err := context.Cause(ctx); err != nil {
		failed = err
	}
	if failed != nil {
		yield(llm.Piece{}, failed)
		return false
	}
	return true
}

func (l *loop) waiting(s *sequence) *llm.Waiting {
	return &llm.Waiting{Queue: l.position(s), Done: int(s.read.Load()), Total: len(s.request.prompt)}
}
