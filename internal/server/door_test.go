package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/apikey"
	"parley/internal/limits"
	"parley/llm"
)

// doors is what each route asks for, stated here once more on purpose: a
// route that is added without a line here fails the tests, and so does one
// whose line says something else.
const doors = `
anyone  GET    /
anyone  GET    /healthz
anyone  GET    /readyz
anyone  GET    /health
anyone  GET    /v1/health
read    GET    /metrics
read    GET    /v1/models
read    GET    /v1/models/
chat    POST   /v1/chat/completions
chat    POST   /v1/completions
chat    POST   /v1/embeddings
admin   GET    /debug/pprof
admin   GET    /debug/pprof/
chat    POST   /embeddings
chat    POST   /api/extra/embeddings
chat    POST   /v1/messages
chat    POST   /v1/messages/count_tokens
chat    POST   /api/chat
chat    POST   /api/generate
chat    POST   /api/embed
chat    POST   /api/embeddings
read    GET    /api/tags
read    GET    /api/ps
read    POST   /api/show
read    GET    /api/version
read    POST   /api/pull
admin   POST   /api/push
admin   POST   /api/create
admin   POST   /api/copy
admin   DELETE /api/delete
admin   GET    /api/blobs/
admin   POST   /api/blobs/
chat    POST   /completion
chat    POST   /completions
chat    POST   /chat/completions
read    GET    /models
chat    POST   /tokenize
chat    POST   /detokenize
chat    POST   /apply-template
chat    POST   /embedding
chat    POST   /infill
read    GET    /props
read    GET    /slots
chat    POST   /api/extra/generate/stream
chat    GET    /api/extra/generate/check
chat    POST   /api/extra/generate/check
chat    POST   /api/extra/abort
chat    POST   /api/extra/tokencount
chat    POST   /api/extra/tokenize
chat    POST   /api/extra/detokenize
read    GET    /api/extra/true_max_context_length
read    GET    /api/extra/version
read    GET    /api/extra/perf
read    GET    /api/extra/preloadstory
chat    POST   /api/v1/generate
read    GET    /api/v1/model
read    GET    /api/v1/info/version
read    GET    /api/v1/config/max_context_length
read    GET    /api/v1/config/max_length
read    GET    /api/v1/config/soft_prompt
read    GET    /api/v1/config/soft_prompts_list
chat    POST   /api/latest/generate
read    GET    /api/latest/model
read    GET    /api/latest/info/version
read    GET    /api/latest/config/max_context_length
read    GET    /api/latest/config/max_length
read    GET    /api/latest/config/soft_prompt
read    GET    /api/latest/config/soft_prompts_list
read    GET    /parley/v1/models
admin   POST   /parley/v1/models/
chat    POST   /parley/v1/render
chat    POST   /parley/v1/tokenize
chat    GET    /parley/v1/sessions
chat    POST   /parley/v1/sessions
chat    POST   /parley/v1/sessions/import
chat    GET    /parley/v1/sessions/*
chat    PATCH  /parley/v1/sessions/*
chat    DELETE /parley/v1/sessions/*
chat    POST   /parley/v1/sessions/*/restore
chat    POST   /parley/v1/sessions/*/fork
chat    GET    /parley/v1/sessions/*/export
chat    GET    /parley/v1/sessions/*/media/*
chat    GET    /parley/v1/search
admin   GET    /parley/v1/export
admin   POST   /parley/v1/import
chat    POST   /parley/v1/sessions/*/send
chat    POST   /parley/v1/sessions/*/messages
chat    POST   /parley/v1/sessions/*/answer
chat    POST   /parley/v1/sessions/*/regenerate
chat    POST   /parley/v1/sessions/*/continue
chat    POST   /parley/v1/sessions/*/impersonate
chat    POST   /parley/v1/sessions/*/undo
chat    POST   /parley/v1/sessions/*/stop
chat    GET    /parley/v1/sessions/*/summary
chat    PUT    /parley/v1/sessions/*/summary
chat    POST   /parley/v1/sessions/*/summary
chat    GET    /parley/v1/sessions/*/messages
chat    PATCH  /parley/v1/sessions/*/messages/*
chat    DELETE /parley/v1/sessions/*/messages/*
chat    POST   /parley/v1/sessions/*/messages/*/restore
chat    POST   /parley/v1/sessions/*/messages/*/swipe
chat    GET    /parley/v1/sessions/*/messages/*/prompt
chat    GET    /parley/v1/sessions/*/messages/*/inspect
chat    GET    /parley/v1/runs/*
chat    GET    /parley/v1/runs/*/events
chat    POST   /parley/v1/runs/*/stop
chat    DELETE /parley/v1/runs/*
chat    GET    /parley/v1/characters
chat    POST   /parley/v1/characters
chat    GET    /parley/v1/characters/*
chat    PUT    /parley/v1/characters/*
chat    DELETE /parley/v1/characters/*
chat    GET    /parley/v1/characters/*/file
chat    POST   /parley/v1/characters/import
chat    GET    /parley/v1/characters/*/export
chat    GET    /parley/v1/lorebooks
chat    POST   /parley/v1/lorebooks
chat    GET    /parley/v1/lorebooks/*
chat    PUT    /parley/v1/lorebooks/*
chat    DELETE /parley/v1/lorebooks/*
chat    GET    /parley/v1/lorebooks/*/file
chat    GET    /parley/v1/personas
chat    POST   /parley/v1/personas
chat    GET    /parley/v1/personas/*
chat    PUT    /parley/v1/personas/*
chat    DELETE /parley/v1/personas/*
chat    GET    /parley/v1/personas/*/file
chat    GET    /parley/v1/presets
chat    POST   /parley/v1/presets
chat    GET    /parley/v1/presets/*
chat    PUT    /parley/v1/presets/*
chat    DELETE /parley/v1/presets/*
chat    GET    /parley/v1/presets/*/file
read    GET    /parley/v1/openapi.json
chat    POST   /v1/responses
chat    GET    /v1/responses/
chat    DELETE /v1/responses/
chat    POST   /api/v1/chat
chat    POST   /api/v1/stop-stream
read    POST   /api/v1/model
chat    POST   /api/v1/token-count
chat    GET    /api/v1/stream
chat    GET    /api/v1/chat-stream
anyone  GET    /v1/internal/health
chat    POST   /v1/internal/encode
chat    POST   /v1/internal/decode
chat    POST   /v1/internal/token-count
chat    POST   /v1/internal/logits
chat    POST   /v1/internal/chat-prompt
chat    POST   /v1/internal/stop-generation
read    GET    /v1/internal/model/info
read    GET    /v1/internal/model/list
admin   POST   /v1/internal/model/load
admin   POST   /v1/internal/model/unload
read    GET    /v1/internal/lora/list
admin   POST   /v1/internal/lora/load
admin   POST   /v1/internal/lora/unload
`

// asked reads doors: "GET /models" → "read".
func asked(t *testing.T) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(doors)) {
		f := strings.Fields(line)
		if len(f) != 3 || all[f[1]+" "+f[2]] != "" {
			t.Fatalf("the line %q", line)
		}
		all[f[1]+" "+f[2]] = f[0]
	}
	return all
}

// below is a path that a route has.
func below(r route) string {
	if strings.HasSuffix(r.path, "/") && r.path != "/" {
		return r.path + "tiny/load"
	}
	return r.path
}

func TestEveryRouteAsksForTheKeyThatIsStatedHere(t *testing.T) {
	said, met := asked(t), map[string]bool{}
	keys := map[string]apikey.Key{"read": apikey.Plain("r"), "chat": apikey.Plain("c"), "admin": apikey.Plain("a")}
	text := map[string]string{"read": "r", "chat": "c", "admin": "a"}
	var ring []apikey.Key
	for name, k := range keys {
		k.Scopes, _ = apikey.ParseScope(name)
		ring = append(ring, k)
	}
	s := New(one("tiny", chat.Script(), llm.Script()), Options{Keys: ring})
	for _, r := range routes {
		want, known := said[r.method+" "+r.path]
		if !known {
			t.Errorf("%s %s is not in the list of this test: decide who may use it", r.method, r.path)
			continue
		}
		met[r.method+" "+r.path] = true
		p := below(r)
		for _, variant := range []string{p, "/" + p, p + "/", strings.Replace(p, "/", "//", 2), "/x/.." + p} {
			code := func(key string) int {
				return serve(s, r.method, variant, "{}", "Authorization", "Bearer "+key).Code
			}
			if got := code(""); (got == http.StatusUnauthorized) != (want != "anyone") {
				t.Errorf("%s %s without a key: %d", r.method, variant, got)
			}
			if got := code("x"); (got == http.StatusUnauthorized) != (want != "anyone") {
				t.Errorf("%s %s with a wrong key: %d", r.method, variant, got)
			}
			for name := range keys {
				refused := want != "anyone" && name != want
				if got := code(text[name]); got == http.StatusUnauthorized || (got == http.StatusForbidden) != refused {
					t.Errorf("%s %s with a key for %s: %d", r.method, variant, name, got)
				}
			}
		}
	}
	for r := range said {
		if !met[r] {
			t.Errorf("the list has %s, and there is no such route", r)
		}
	}
}

// TestWhatIsNotThereIsHiddenFromThoseWithoutAKey: paths and methods that are
// nothing tell a stranger nothing.
func TestWhatIsNotThereIsHiddenFromThoseWithoutAKey(t *testing.T) {
	s := New(one("tiny", chat.Script(), llm.Script()), Options{Keys: plain("k")})
	for _, r := range routes {
		for _, p := range []string{strings.ToUpper(r.path) + "X", r.path + "-x"} {
			for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "CONNECT"} {
				if rec := serve(s, method, p, "{}"); rec.Code != http.StatusUnauthorized {
					t.Errorf("%s %s: %d", method, p, rec.Code)
				}
			}
		}
		for _, method := range []string{"OPTIONS", "PUT", "PATCH"} {
			if rec := serve(s, method, below(r), "{}"); rec.Code != http.StatusUnauthorized {
				t.Errorf("%s %s: %d", method, r.path, rec.Code)
			}
		}
	}
	if rec := serve(s, "GET", "/nowhere", "", "X-Api-Key", "k"); rec.Code != http.StatusNotFound {
		t.Errorf("with a key: %d", rec.Code)
	}
}

func TestNoRouteServesOtherHostsOrPages(t *testing.T) {
	m := one("tiny", chat.Script(), llm.Script())
	s := New(m, Options{})
	for _, r := range routes {
		for name, headers := range map[string][]string{
			"another host":       {"Host", "evil.example"},
			"a rebound host":     {"Host", "localhost.evil.example"},
			"a page":             {"Origin", "https://evil.example", "Content-Type", "application/json"},
			"a page of no place": {"Origin", "null", "Content-Type", "application/json"},
			"a page, no origin":  {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"},
			"a socket of a page": {"Origin", "https://evil.example", "Connection", "Upgrade", "Upgrade", "websocket"},
		} {
			for _, p := range []string{below(r), path.Join("/x/..", below(r))} {
				rec := serve(s, r.method, p, "{}", headers...)
				if rec.Code != http.StatusForbidden || rec.Header().Get("Access-Control-Allow-Origin") != "" || !strings.Contains(rec.Body.String(), "--allow-") {
					t.Errorf("%s %s of %s: %d %s", r.method, p, name, rec.Code, rec.Body)
				}
			}
		}
		rec := serve(s, r.method, below(r), "{}", "Origin", "http://127.0.0.1:3000", "Content-Type", "application/json")
		if rec.Code == http.StatusForbidden || rec.Header().Get("Access-Control-Allow-Origin") != "http://127.0.0.1:3000" {
			t.Errorf("%s %s of a page of this machine: %d, allowed %q", r.method, r.path, rec.Code, rec.Header().Get("Access-Control-Allow-Origin"))
		}
		if r.method == http.MethodPost {
			if rec := serve(s, r.method, below(r), "{}", "Origin", "http://127.0.0.1:3000", "Content-Type", "text/plain"); rec.Code < 400 || !strings.Contains(rec.Body.String(), "web pages must send") {
				t.Errorf("%s %s with a form: %d %s", r.method, r.path, rec.Code, rec.Body)
			}
		}
		rec = serve(s, "OPTIONS", below(r), "", "Origin", "http://127.0.0.1:3000", "Access-Control-Request-Method", r.method,
			"Access-Control-Request-Headers", "authorization, content-type", "Access-Control-Request-Private-Network", "true")
		h := rec.Header()
		if rec.Code != http.StatusNoContent || !strings.Contains(h.Get("Access-Control-Allow-Methods"), r.method) ||
			h.Get("Access-Control-Allow-Headers") != "authorization, content-type" || h.Get("Access-Control-Allow-Private-Network") != "true" {
			t.Errorf("preflight of %s %s: %d %v", r.method, r.path, rec.Code, h)
		}
	}
	if len(m.changed) > 0 && m.changed[0] != "load" {
		t.Errorf("models were changed: %v", m.changed)
	}
}

func TestKeysChangeWhileTheServerRuns(t *testing.T) {
	s := New(one("tiny", nil, nil), Options{Keys: plain("old")})
	code := func(key string) int { return serve(s, "GET", "/v1/models", "", "X-Api-Key", key).Code }
	s.SetKeys(plain("new"))
	if code("old") != http.StatusUnauthorized || code("new") != http.StatusOK {
		t.Errorf("old %d, new %d", code("old"), code("new"))
	}
	s.SetKeys(nil)
	if code("new") != http.StatusUnauthorized || code("") != http.StatusUnauthorized {
		t.Error("a server whose last key is gone serves everybody")
	}
}

func TestUnloadingInOllamasWayIsForAdmins(t *testing.T) {
	chatter, admin := apikey.Plain("c"), apikey.Plain("a")
	chatter.Scopes, admin.Scopes = apikey.Chat, apikey.Chat|apikey.Admin
	m := one("tiny", chat.Script(), llm.Script())
	s := New(m, Options{Keys: []apikey.Key{chatter, admin}})
	const unload = `{"model":"tiny","keep_alive":0}`
	if rec := serve(s, "POST", "/api/generate", unload, "X-Api-Key", "c"); rec.Code != http.StatusForbidden || len(m.changed) != 0 || !strings.Contains(rec.Body.String(), "admin") {
		t.Errorf("with a key for chat: %d %s, %v", rec.Code, rec.Body, m.changed)
	}
	if rec := serve(s, "POST", "/api/generate", unload, "X-Api-Key", "a"); rec.Code != http.StatusOK || len(m.changed) != 1 {
		t.Errorf("with one for admins: %d %s, %v", rec.Code, rec.Body, m.changed)
	}
}

func TestRequestIDs(t *testing.T) {
	var log bytes.Buffer
	s := New(one("tiny", chat.Script(chat.TextDelta{Text: "x"}), nil), Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	n := 0
	s.newID = func() string { n++; return fmt.Sprint("made", n) }
	long := strings.Repeat("x", limits.RequestIDBytes.Int())
	for sent, taken := range map[string]bool{
		"abc-1.2_3:4": true, long: true, "0af7651916cd43dd8448eb211c80319c": true,
		"": false, long + "x": false, "a b": false, "a\tb": false, "é": false, "a=b": false, `"`: false,
	} {
		log.Reset()
		rec := serve(s, "POST", "/v1/chat/completions", whole, "X-Request-Id", sent)
		id := rec.Header().Get("X-Request-Id")
		if (id == sent) != taken || !taken && !strings.HasPrefix(id, "made") || !strings.Contains(log.String(), " id="+id+" ") {
			t.Errorf("sent %q, given %q, logged %s", sent, id, log.String())
		}
		if !strings.Contains(rec.Body.String(), `"id":"chatcmpl-made`) {
			t.Errorf("sent %q: the answer's id is the client's: %s", sent, rec.Body)
		}
	}
}

func TestWhoAsksThroughAProxy(t *testing.T) {
	trusting := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		trusted []netip.Prefix
		remote  string
		header  []string
		want    string
	}{
		{nil, "127.0.0.1:5", []string{"203.0.113.7"}, "127.0.0.1"},
		{trusting, "127.0.0.1:5", nil, "127.0.0.1"},
		{trusting, "127.0.0.1:5", []string{"203.0.113.7"}, "203.0.113.7"},
		{trusting, "127.0.0.1:5", []string{"203.0.113.7:1234"}, "203.0.113.7"},
		{trusting, "127.0.0.1:5", []string{"[2001:db8::7]:1234"}, "2001:db8::7"},
		{trusting, "127.0.0.1:5", []string{"2001:db8::7"}, "2001:db8::7"},
		{trusting, "[::ffff:127.0.0.1]:5", []string{"203.0.113.7"}, "203.0.113.7"},
		{trusting, "192.0.2.1:5", []string{"203.0.113.7"}, "192.0.2.1"},                             // no proxy of ours
		{trusting, "127.0.0.1:5", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},             // the first is what the client claims
		{trusting, "127.0.0.1:5", []string{"198.51.100.1", "203.0.113.7, 10.1.2.3"}, "203.0.113.7"}, // through two of ours
		{trusting, "127.0.0.1:5", []string{"203.0.113.7, nonsense"}, "127.0.0.1"},                   // and what stands before it is not believed
		{trusting, "127.0.0.1:5", []string{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		{trusting, "@", []string{"203.0.113.7"}, "invalid IP"},
	} {
		s := New(one("tiny", nil, nil), Options{Proxies: c.trusted})
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.header
		if got := s.client(r).String(); got != c.want {
			t.Errorf("%s for %q: %s, want %s", c.remote, c.header, got, c.want)
		}
	}
}
