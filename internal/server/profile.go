package server

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"parley/llm"
)

// profiles are Go's, for `go tool pprof`: off unless asked for, and to this
// machine alone. The command line is left out, since it may have a key in it.
func (s *Server) profiles(w http.ResponseWriter, r *http.Request) error {
	if !s.options.Profiles {
		return nothingAt(r)
	}
	// Of a proxy on this machine nobody knows for whom it asks.
	if !s.client(r).IsLoopback() || r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" {
		return &llm.Error{Code: llm.Forbidden, Message: "profiles are for this machine alone"}
	}
	switch strings.TrimPrefix(clean(r.URL.Path), "/debug/pprof") {
	case "/cmdline":
		return nothingAt(r)
	case "/profile":
		pprof.Profile(w, r)
	case "/trace":
		pprof.Trace(w, r)
	case "/symbol":
		pprof.Symbol(w, r)
	default:
		r.URL.Path = clean(r.URL.Path)
		if r.URL.Path == "/debug/pprof" {
			r.URL.Path += "/"
		}
		pprof.Index(w, r)
	}
	return nil
}

// nothingAt is the answer to a path that is not there.
func nothingAt(r *http.Request) *refusal {
	return &refusal{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
		Message: "there is nothing at " + r.Method + " " + printable(r.URL.Path)}
}
