package server

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"sync"
	"time"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/openai"
	"parley/llm"
)

// An asking starts one of the answers to a request.
type asking func(ctx context.Context, choice int) iter.Seq2[chat.Event, error]

// errTimeout is why a request ends that has taken too long.
var errTimeout = &llm.Error{Code: llm.Unavailable, Message: "the request took longer than any may"}

// work is the context of a request: it ends when the client leaves, when the
// server stops, or when the request has taken too long.
func (s *Server) work(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(r.Context())
	unhook := context.AfterFunc(s.stopping, func() { cancel(context.Cause(s.stopping)) })
	ctx, cancelTime := context.WithTimeoutCause(ctx, seconds(limits.RequestTimeout), errTimeout)
	return ctx, func() {
		unhook()
		cancelTime()
		cancel(nil)
	}
}

// collect reads n answers to their ends, all at the same time. The first
// error ends them all.
func collect(ctx context.Context, n int, ask asking) ([]chat.Reply, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	replies := make([]chat.Reply, n)
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for i := range n {
		wg.Go(func() {
			var err error
			replies[i], err = chat.Collect(accounted(ctx, i, ask))
			if err != nil {
				once.Do(func() {
					first = err
					cancel(err)
				})
			}
		})
	}
	wg.Wait()
	return replies, first
}

// checked is a stream that ends with Done or an error even if the one below
// it breaks its contract or panics.
func checked(events iter.Seq2[chat.Event, error]) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		over := false // nobody listens any more
		defer func() {
			if p := recover(); p != nil && !over {
				yield(nil, broken(p))
			}
		}()
		for e, err := range events {
			_, done := e.(chat.Done)
			if over = !yield(e, err) || done || err != nil; over {
				return
			}
		}
		yield(nil, &llm.Error{Code: llm.Broken, Message: "the answer broke off", Err: errors.New("a stream ended without Done")})
	}
}

// A step is an event or the error of one answer.
type step struct {
	choice int
	event  chat.Event
	err    error
}

// play runs n answers at the same time and gives their events as they come.
// When ctx is done, no more come; wait then waits until all have ended.
func play(ctx context.Context, n int, ask asking) (steps <-chan step, wait func()) {
	c := make(chan step)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for e, err := range accounted(ctx, i, ask) {
				select {
				case c <- step{i, e, err}:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return c, wg.Wait
}

// stream sends n answers as they come. An error before the first byte is
// returned; afterwards it is the last event.
func (s *Server) stream(ctx context.Context, out *events, r *http.Request, n int, ask asking, parts telling, report llm.Report) error {
	ctx, cancel := context.WithCancel(ctx)
	steps, wait := play(ctx, n, ask)
	defer wait()
	defer cancel()

	silence := time.NewTicker(seconds(limits.PingSeconds))
	defer silence.Stop()
	for running := n; running > 0; {
		var err error
		var say []byte
		select {
		case <-silence.C:
			if out.ping != nil {
				out.begin(report)
				err = out.write(out.ping)
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		case st := <-steps:
			switch e := st.event.(type) {
			case chat.Accepted:
				report.Merge(e.Report)
				out.begin(report)
			case chat.Done:
				report.Merge(e.Finish.Report)
				running--
			}
			if err = st.err; err == nil {
				say = parts.Event(st.choice, st.event)
			}
		}
		if err == nil && say != nil {
			out.begin(report)
			err = out.send(say)
			silence.Reset(seconds(limits.PingSeconds))
		}
		if err != nil {
			return s.breakOff(out, r, err)
		}
	}
	if last := parts.End(report); last != nil {
		if err := out.send(last); err != nil {
			return err
		}
	}
	return out.write(out.last)
}

// A telling turns the events of answers into what a client is sent.
type telling interface {
	// Event is what is sent for an event of one of the answers; nil is nothing.
	Event(choice int, e chat.Event) []byte
	// End is what is sent when all answers have ended; nil is nothing.
	End(report llm.Report) []byte
}

// breakOff ends a stream with an error: as a response of its own if nothing
// has been sent, otherwise as the last event, without [DONE].
func (s *Server) breakOff(out *events, r *http.Request, err error) error {
	if !out.begun || errors.Is(err, errLeft) || r.Context().Err() != nil {
		return err
	}
	note(out.w, err)
	problem := openai.Explain(err)
	if out.failed != nil {
		return out.write(out.failed(problem))
	}
	_, body := mannerOf(r).problem(problem)
	if out.fail != nil {
		return out.write(out.fail(body))
	}
	return out.send(body)
}

// events writes an answer part by part.
type events struct {
	framing
	w     http.ResponseWriter
	rc    *http.ResponseController
	begun bool

	// failed is how an error is told that depends on what was told before it;
	// nil: as the dialect does it.
	failed func(openai.Problem) []byte
}

// newEvents prepares to answer a request in the manner of its dialect.
func newEvents(w http.ResponseWriter, r *http.Request) *events {
	return &events{framing: mannerOf(r).stream, w: w, rc: http.NewResponseController(w)}
}

// pinging sends signs of life until it is stopped. The context ends when the
// client turns out to have gone. Nothing else may be sent meanwhile.
func (e *events) pinging(ctx context.Context, report llm.Report) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		silence := time.NewTicker(seconds(limits.PingSeconds))
		defer silence.Stop()
		for {
			select {
			case <-silence.C:
				if e.ping == nil {
					continue
				}
				e.begin(report)
				if err := e.write(e.ping); err != nil {
					cancel(err)
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		wg.Wait()
	}
}

// begin sends the headers, once.
func (e *events) begin(report llm.Report) {
	if e.begun {
		return
	}
	e.begun = true
	h := e.w.Header()
	h.Set("Content-Type", e.contentType)
	h.Set("X-Accel-Buffering", "no") // for a proxy in between
	setReport(h, report)
	e.w.WriteHeader(http.StatusOK)
}

func (e *events) send(data []byte) error { return e.write(e.frame(data)) }

// write sends bytes as they are; of nothing, it sees to it that the client has
// the headers.
func (e *events) write(data []byte) error {
	if len(data) > 0 {
		if _, err := e.w.Write(data); err != nil {
			return unsent(err)
		}
	}
	if err := e.rc.Flush(); err != nil {
		return unsent(err)
	}
	return nil
}

func setReport(h http.Header, report llm.Report) {
	if len(report) > 0 {
		h.Set("Parley-Report", report.Header())
	}
}
