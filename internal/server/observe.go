package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"parley/internal/limits"
	"parley/internal/openai"
	"parley/llm"
)

// A recorder is a ResponseWriter that knows what became of the response and
// that no client can hold up: each write has its own deadline.
type recorder struct {
	http.ResponseWriter
	rc      *http.ResponseController
	status  int
	written int64
	model   string
	err     error
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

// hurry gives the client so long to take what comes next.
func (w *recorder) hurry() {
	_ = w.rc.SetWriteDeadline(time.Now().Add(seconds(limits.WriteSeconds))) // not every connection has one
}

// note keeps the cause of a failure for the log.
func note(w http.ResponseWriter, err error) {
	if rec, ok := w.(*recorder); ok {
		rec.err = err
	}
}

// noteStatus keeps a status for the log that is not sent.
func noteStatus(w http.ResponseWriter, status int) {
	if rec, ok := w.(*recorder); ok {
		rec.status = status
	}
}

// noteModel keeps which model answered.
func noteModel(w http.ResponseWriter, id string) {
	if rec, ok := w.(*recorder); ok {
		rec.model = id
	}
}

// observe gives every request an id, a line in the log (without a word of
// what was said) and protection from panics.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.now()
		id := s.newID()
		w.Header().Set("X-Request-Id", id)
		rec := &recorder{ResponseWriter: w, rc: http.NewResponseController(w)}
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
			s.logRequest(rec, r, id, s.now().Sub(start))
			if p != nil {
				panic(p)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// broken is the error for a panic.
func broken(p any) error {
	return &llm.Error{Code: llm.Broken, Message: "internal error", Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
}

func (s *Server) logRequest(rec *recorder, r *http.Request, id string, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("id", id),
		slog.String("client", client(r).String()),
		slog.String("method", printable(r.Method)),
		slog.String("path", printable(r.URL.Path)),
		slog.Int("status", rec.status),
		slog.Int64("bytes", rec.written),
		slog.Duration("took", took),
	}
	if rec.model != "" {
		attrs = append(attrs, slog.String("model", rec.model))
	}
	level := slog.LevelInfo
	if rec.err != nil {
		e := llm.AsError(rec.err)
		attrs = append(attrs, slog.String("code", string(e.Code)))
		if e.Field != "" {
			attrs = append(attrs, slog.String("field", printable(e.Field)))
		}
		if e.Err != nil && e.Code == llm.Broken {
			level = slog.LevelError
			attrs = append(attrs, slog.String("cause", e.Err.Error()))
		}
	}
	s.log.LogAttrs(r.Context(), level, "request", attrs...)
}
