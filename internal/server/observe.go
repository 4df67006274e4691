package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"parley/internal/apikey"
	"parley/internal/limits"
	"parley/internal/openai"
	"parley/llm"
)

// A recorder is a ResponseWriter that knows what became of the request and
// that no client can hold up: each write has its own deadline.
type recorder struct {
	http.ResponseWriter
	rc      *http.ResponseController
	server  *Server
	id      string // of the request: the client's own, if it has sent one
	made    string // an id that no other request has
	client  netip.Addr
	key     *apikey.Key // nil: none was asked for
	began   time.Time
	route   route // of the zero value where there is none
	status  int
	written int64
	hurried time.Time // when the client was last given time
	model   string
	found   time.Time // when there was a model to ask
	err     error
	left    bool // the client did not take the whole answer

	span trace.Span // nil: none

	body []byte // where the log holds contents

	mu       sync.Mutex
	accounts []*account
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.hurry()
	n, err := w.ResponseWriter.Write(p)
	w.written += int64(n)
	return n, err
}

// FlushError sends what has been written.
func (w *recorder) FlushError() error {
	w.hurry()
	return w.rc.Flush()
}

// hurry gives the client so long to take what comes next. To move a deadline is
// dear beside a write, so that it may be a second old.
func (w *recorder) hurry() {
	if now := time.Now(); now.Sub(w.hurried) > time.Second {
		w.hurried = now
		_ = w.rc.SetWriteDeadline(now.Add(seconds(limits.WriteSeconds))) // not every connection has one
	}
}

type recorderKey struct{}

// recorderOf is where account of a request is kept; nil: nowhere.
func recorderOf(ctx context.Context) *recorder {
	rec, _ := ctx.Value(recorderKey{}).(*recorder)
	return rec
}

// note keeps the cause of a failure for the log.
func note(w http.ResponseWriter, err error) {
	if rec, ok := w.(*recorder); ok {
		rec.err = err
	}
}

// noteLeft keeps that the client has not taken the whole answer.
func noteLeft(w http.ResponseWriter, err error) {
	if rec, ok := w.(*recorder); ok {
		rec.status, rec.left = statusLeft, true
		if errors.Is(err, errSlow) {
			rec.err = errSlow
		}
	}
}

// noteRoute keeps which route a request took.
func noteRoute(w http.ResponseWriter, found route) {
	if rec, ok := w.(*recorder); ok {
		rec.route = found
	}
}

// noteKey keeps whose request it is.
func noteKey(w http.ResponseWriter, key *apikey.Key) {
	if rec, ok := w.(*recorder); ok {
		rec.key = key
	}
}

// noteModel keeps which model answers.
func noteModel(w http.ResponseWriter, id string) {
	if rec, ok := w.(*recorder); ok {
		rec.model, rec.found = label(id), rec.server.now()
	}
}

// noteBody keeps a body where the log holds contents.
func noteBody(w http.ResponseWriter, body []byte) {
	if rec, ok := w.(*recorder); ok && rec.server.options.LogContents {
		rec.body = body
	}
}

// observe gives every request an id, a line in the log (without a word of
// what was said) and protection from panics.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, rc: http.NewResponseController(w), server: s, made: s.newID(), client: s.client(r), began: s.now()}
		rec.id = rec.made
		if sent := r.Header.Get("X-Request-Id"); plainID(sent) {
			rec.id = sent
		}
		w.Header().Set("X-Request-Id", rec.id)
		r = s.traced(r, rec)
		r = r.WithContext(context.WithValue(r.Context(), recorderKey{}, rec))
		s.metrics.running.Inc()
		if r.ContentLength != 0 {
			// Also a body that nobody wants is read for a while when the request
			// is over, so that the deadline stands until the body has arrived.
			_ = rec.rc.SetReadDeadline(time.Now().Add(seconds(limits.BodySeconds))) // not every connection has one
		}
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				rec.err = broken(p)
				if rec.status == 0 {
					s.problem(rec, r, openai.Explain(rec.err))
					p = nil
				} else {
					p = http.ErrAbortHandler // cut off, so that nobody takes the half for the whole
				}
			}
			took := s.now().Sub(rec.began)
			s.logRequest(rec, r, took)
			s.metrics.running.Dec()
			s.metrics.count(rec, took)
			rec.endSpan(took)
			if p != nil {
				panic(p)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// uniqueID is an id of a request that no other has, whatever clients send.
func uniqueID(w http.ResponseWriter) string {
	if rec, ok := w.(*recorder); ok {
		return rec.made
	}
	return ""
}

// plainID reports whether a client's id of a request can be given back and
// logged.
func plainID(id string) bool {
	return limits.RequestIDBytes.CheckInt(len(id)) == nil && !strings.ContainsFunc(id, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.:", c))
	})
}

// broken is the error for a panic. Only the runtime's own words are repeated:
// others may have those of a conversation in them.
func broken(p any) error {
	what := fmt.Sprintf("a value of type %T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	return &llm.Error{Code: llm.Broken, Message: "internal error", Err: fmt.Errorf("panic: %s\n%s", what, debug.Stack())}
}
