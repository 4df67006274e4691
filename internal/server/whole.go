package server

import (
	"io"
	"net/http"
	"time"

	"parley/internal/limits"
)

// exportAll answers with everything that the server keeps, in lines of JSON.
func (s *Server) exportAll(w http.ResponseWriter, r *http.Request) error {
	x, err := s.sessions()
	if err != nil {
		return err
	}
	h := w.Header()
	if r.Method == http.MethodHead {
		h.Set("Content-Type", "application/x-ndjson")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	out := &longAnswer{w: w, begin: func() {
		h.Set("Content-Type", "application/x-ndjson")
		h.Set("Content-Disposition", "attachment; filename=parley-"+time.Now().UTC().Format("2006-01-02")+".jsonl")
	}}
	err = x.ExportAll(r.Context(), out)
	switch {
	case err == nil || !out.begun:
		return err
	case out.err != nil:
		return unsent(out.err)
	}
	note(w, err)
	panic(http.ErrAbortHandler) // cut off, so that nobody takes the half for the whole
}

// A longAnswer writes the head of a response with the first bytes of its body.
type longAnswer struct {
	w     http.ResponseWriter
	begin func()
	begun bool
	err   error // of the client's connection
}

func (b *longAnswer) Write(p []byte) (n int, err error) {
	if !b.begun {
		b.begin()
		b.begun = true
	}
	n, b.err = b.w.Write(p)
	return n, b.err
}

// importAll adds what of an archive is not here. It may be of any size.
func (s *Server) importAll(w http.ResponseWriter, r *http.Request) error {
	x, err := s.sessions()
	if err != nil {
		return err
	}
	merged, err := x.ImportAll(r.Context(), longBody{r.Body, http.NewResponseController(w)})
	if err != nil {
		return err
	}
	return writeValue(w, r, merged)
}

// A longBody reads a body of any size, as long as more of it comes.
type longBody struct {
	body io.Reader
	conn *http.ResponseController
}

func (p longBody) Read(b []byte) (int, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(seconds(limits.BodySeconds))) // not every connection has one
	n, err := p.body.Read(b)
	if err == io.EOF {
		_ = p.conn.SetReadDeadline(time.Time{})
	} else if err != nil {
		err = &refusal{Status: http.StatusRequestTimeout, Type: "invalid_request_error", Code: "incomplete_body",
			Message: "the body did not arrive whole in time"}
	}
	return n, err
}
