package enginetest

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// A stream writes the parts of an answer as they come, each flushed.
type stream struct {
	x     *exchange
	types string // Content-Type
	eol   string // "\n"; "\r\n" with sse_starlette

	mu   sync.Mutex
	stop chan struct{}
	wg   sync.WaitGroup
}

func (x *exchange) events() *stream { return &stream{x: x, types: "text/event-stream", eol: "\n"} }

func (x *exchange) lines() *stream { return &stream{x: x, types: "application/x-ndjson", eol: "\n"} }

// begin sends the header, and from then on a comment where nothing else comes
// for so long.
func (s *stream) begin(ping time.Duration) {
	if s.x.begun {
		return
	}
	s.x.begun = true
	s.x.w.Header().Set("Content-Type", s.types)
	s.x.w.Header().Set("Cache-Control", "no-cache")
	s.x.w.WriteHeader(200)
	http.NewResponseController(s.x.w).Flush()
	if ping <= 0 {
		return
	}
	s.stop = make(chan struct{})
	s.wg.Go(func() {
		tick := time.NewTicker(ping)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.raw(":" + s.eol + s.eol)
			case <-s.stop:
				return
			}
		}
	})
}

func (s *stream) end() {
	if s.stop != nil {
		close(s.stop)
		s.wg.Wait()
	}
}

func (s *stream) raw(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.x.w.Write([]byte(text)); err != nil {
		if s.x.e.o.Deaf {
			return nil // it does not look
		}
		return errGone
	}
	http.NewResponseController(s.x.w).Flush()
	return nil
}

// data sends an event that has only data.
func (s *stream) data(v any) error { return s.raw("data: " + compact(v) + s.eol + s.eol) }

// event sends an event with a name.
func (s *stream) event(name string, v any) error {
	return s.raw("event: " + name + s.eol + "data: " + compact(v) + s.eol + s.eol)
}

// line sends one value on a line.
func (s *stream) line(v any) error { return s.raw(compact(v) + "\n") }

func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
