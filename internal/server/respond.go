package server

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"parley/internal/limits"
	"parley/internal/openai"
	"parley/llm"
)

// errLeft ends a request whose client has gone: there is nobody to tell.
var errLeft = errors.New("the client has gone")

// errSlow ends a request whose client is there and takes nothing any more.
var errSlow = fmt.Errorf("the client has stopped reading: %w", errLeft)

// unsent is why nothing more can be sent.
func unsent(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlow
	}
	return errLeft
}

// statusLeft is what the log says then. No response has it.
const statusLeft = 499

// refusal is an error about HTTP itself, for which package llm has no code.
type refusal openai.Problem

func (e *refusal) Error() string { return e.Message }

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*tooMuch](err); ok {
		w.Header().Set("Retry-After", wholeSeconds(e.wait))
		s.problem(w, r, e.problem())
		return
	}
	if e, ok := errors.AsType[*refusal](err); ok {
		s.problem(w, r, openai.Problem(*e))
		return
	}
	if errors.Is(err, errLeft) || r.Context().Err() != nil {
		noteLeft(w, err)            // and no cause: nothing of ours is broken
		panic(http.ErrAbortHandler) // cut the connection: returning would end the response as if it were whole
	}
	note(w, err)
	p := openai.Explain(err)
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter(err))
	}
	s.problem(w, r, p)
}

// retryAfter is how many seconds a client should wait: as many as the engine
// asked for, or one.
func retryAfter(err error) string {
	if busy, ok := errors.AsType[*llm.BusyError](err); ok {
		return wholeSeconds(busy.RetryAfter)
	}
	return wholeSeconds(0)
}

// wholeSeconds is a time to wait as a header has it: at least one second.
func wholeSeconds(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}

func (s *Server) problem(w http.ResponseWriter, r *http.Request, p openai.Problem) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	m := mannerOf(r)
	status, body := m.problem(p)
	writeAs(w, r, status, cmp.Or(m.problems, jsonType), body)
}

const jsonType = "application/json; charset=utf-8"

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) error {
	return writeAs(w, r, status, jsonType, body)
}

func writeAs(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write(append(body, '\n')); err != nil {
		return unsent(err)
	}
	return nil
}

// mostExpected is how many bytes a body gets room for before they have come.
const mostExpected = 64 << 10

// readBody reads a body to its end: only then does the HTTP server notice
// when the client goes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if e := strings.TrimSpace(r.Header.Get("Content-Encoding")); e != "" && !strings.EqualFold(e, "identity") {
		return nil, &refusal{Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Code: "unsupported_encoding",
			Message: "bodies in encoding " + printable(e) + " are not read (send the body as it is)"}
	}
	if r.ContentLength > limits.BodyBytes.Int64() {
		return nil, tooLarge()
	}
	var all bytes.Buffer
	all.Grow(int(min(max(r.ContentLength, 0), mostExpected)) + bytes.MinRead)
	_, err := all.ReadFrom(http.MaxBytesReader(w, r.Body, limits.BodyBytes.Int64()))
	body := all.Bytes()
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, &refusal{Status: http.StatusRequestTimeout, Type: "invalid_request_error", Code: "incomplete_body",
			Message: "the body did not arrive whole in time"}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // see observe
	noteBody(w, body)
	return body, nil
}

func tooLarge() error {
	return &refusal{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "body_too_large",
		Message: fmt.Sprintf("the body is larger than the %d bytes allowed (limit %s)", limits.BodyBytes.Int(), limits.BodyBytes.Name)}
}
