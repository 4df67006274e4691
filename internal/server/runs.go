package server

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"parley/chat"
	"parley/llm"
)

// runs are answers that are being made, whose clients ask for them and end
// them in requests of their own.
type runs struct {
	mu      sync.Mutex
	running map[*run]bool
	last    llm.Finish
	total   int
}

// A run is one of them. Whose it is, is the client's address and key.
type run struct {
	owner owner
	end   context.CancelCauseFunc
	shown bool            // clients may ask how far it has come
	text  strings.Builder // so far, where it is shown; under the runs' lock
}

type owner struct {
	addr   netip.Addr
	scope  string
	genkey string
}

// ownerOf is whose answers a request asks for.
func (s *Server) ownerOf(r *http.Request, genkey string) owner {
	sent, _ := sentKey(r)
	return owner{s.client(r), sent, genkey}
}

// errAborted ends an answer that its client does not want any further.
var errAborted = errors.New("the client has aborted it")

func (k *runs) begin(one *run) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running == nil {
		k.running = map[*run]bool{}
	}
	k.running[one] = true
}

func (k *runs) over(one *run) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.running, one)
}

func (k *runs) note(one *run, e chat.Event) {
	switch e := e.(type) {
	case chat.TextDelta:
		if !one.shown {
			return // most are not: no lock, and no second copy of the answer
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		one.text.WriteString(e.Text)
	case chat.Done:
		k.mu.Lock()
		defer k.mu.Unlock()
		k.last, k.total = e.Finish, k.total+1
	}
}

// of gives the runs of an owner.
func (k *runs) of(o owner) (all []*run) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for r := range k.running {
		if r.owner == o {
			all = append(all, r)
		}
	}
	return all
}

// end ends the runs of an owner, and tells how many there were.
func (k *runs) end(o owner) int {
	all := k.of(o)
	for _, r := range all {
		r.end(errAborted)
	}
	return len(all)
}

// finding finds the model of an answer, which may be ended before there is
// one: the error is errAborted then, and aborted is the answer.
func (k *runs) finding(ctx context.Context, o owner, find func(context.Context) (Target, error)) (Target, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	waiting := &run{owner: o, end: end}
	k.begin(waiting)
	defer k.over(waiting)
	t, err := find(ctx)
	if err != nil && context.Cause(ctx) == errAborted {
		err = errAborted
	}
	return t, err
}

// aborted is how an answer goes on that was aborted.
func aborted(yield func(chat.Event, error) bool) {
	yield(chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd}}, nil)
}

// askNothing is the asking of one that was aborted before it had begun.
func askNothing(context.Context, int) iter.Seq2[chat.Event, error] { return aborted }

// watched is an answer that can be looked at and aborted. One that is aborted
// ends as if the model had ended it.
func (k *runs) watched(one *run, ask func(ctx context.Context) iter.Seq2[chat.Event, error]) func(context.Context) iter.Seq2[chat.Event, error] {
	return func(ctx context.Context) iter.Seq2[chat.Event, error] {
		return func(yield func(chat.Event, error) bool) {
			ctx, end := context.WithCancelCause(ctx)
			one.end = end
			k.begin(one)
			defer k.over(one)
			defer end(nil)
			for e, err := range ask(ctx) {
				if err != nil && context.Cause(ctx) == errAborted {
					aborted(yield)
					return
				}
				if err == nil {
					k.note(one, e)
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}
