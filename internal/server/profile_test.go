package server

import (
	"net/http"
	"strings"
	"testing"
)

func TestProfilesAreForThisMachine(t *testing.T) {
	off, on := New(one("tiny", nil, nil), Options{}), New(one("tiny", nil, nil), Options{Profiles: true})
	keyed := New(one("tiny", nil, nil), Options{Profiles: true, Keys: plain("k")})
	for _, c := range []struct {
		s      *Server
		path   string
		header [2]string
		status int
		has    string
	}{
		{on, "/debug/pprof/", [2]string{"A", "b"}, 200, "goroutine"},
		{on, "/debug/pprof", [2]string{"A", "b"}, 200, "goroutine"},
		{on, "/debug/pprof/goroutine?debug=1", [2]string{"A", "b"}, 200, "goroutine profile: total"},
		{on, "/debug/pprof/heap", [2]string{"A", "b"}, 200, ""},
		{on, "/debug/pprof/cmdline", [2]string{"A", "b"}, 404, "nothing at"},
		{on, "/debug/pprof/", [2]string{"X-Forwarded-For", "8.8.8.8"}, 403, "this machine"},
		{on, "/debug/pprof/", [2]string{"Forwarded", "for=8.8.8.8"}, 403, "this machine"},
		{off, "/debug/pprof/", [2]string{"A", "b"}, 404, "nothing at"},
		{off, "/debug/pprof/heap", [2]string{"A", "b"}, 404, "nothing at"},
		{keyed, "/debug/pprof/heap", [2]string{"A", "b"}, 401, ""},
		{keyed, "/debug/pprof/heap", [2]string{"Authorization", "Bearer k"}, 200, ""},
	} {
		rec := serve(c.s, "GET", c.path, "", c.header[0], c.header[1])
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.has) {
			t.Errorf("%s with %v: %d %.100q, want %d", c.path, c.header, rec.Code, rec.Body, c.status)
		}
	}
	r, err := http.NewRequest("GET", "/debug/pprof/heap", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.168.1.9:4321"
	if err := on.profiles(nil, r); err == nil {
		t.Error("another machine gets a profile")
	}
}
