package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// serve sends one request past the network.
func serve(s *Server, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:7275"
	r.RemoteAddr = "127.0.0.1:4321"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	s.Handler(Own).ServeHTTP(rec, r)
	return rec
}

func TestHosts(t *testing.T) {
	s := New(one("tiny", nil, nil), Options{Hosts: []string{"Chat.Example:80", "other.example."}})
	for host, want := range map[string]bool{
		"localhost": true, "localhost:7275": true, "LOCALHOST": true, "a.localhost": true, "localhost.": true,
		"127.0.0.1": true, "127.0.0.1:7275": true, "[::1]": true, "[::1]:7275": true, "192.168.1.5:7275": true, "8.8.8.8": true,
		"[fe80::1%25eth0]:7275": true,
		"box":                   true, "box:7275": true, "my_box": true, "box.local": true, "llm.internal:80": true,
		"chat.example": true, "chat.example:7275": true, "CHAT.EXAMPLE": true, "other.example": true,

		"": false, ":7275": false, "evil.example": false, "chat.example.evil.example": false, "evil-chat.example": false,
		"localhost.evil.example": false, "127.0.0.1.evil.example": false, "127.0.0.1.nip.io": false, "0x7f.1": false, "127.1": false,
		"local": true, ".local": false, "evil.local.example": false, "evilinternal.example": false,
		"user@localhost": false, "localhost/x.example": false, "a b": false, "..": false, "évil": false,
	} {
		if got := s.hostAllowed(host); got != want {
			t.Errorf("host %q: %v, want %v", host, got, want)
		}
		rec := serve(s, "GET", "/healthz", "", "Host", host)
		if (rec.Code == http.StatusOK) != want {
			t.Errorf("host %q: status %d", host, rec.Code)
		}
		way := "the header Host"
		if plainName(hostname(host)) {
			way = "--allow-host " + hostname(host)
		}
		if !want && !strings.Contains(rec.Body.String(), way) {
			t.Errorf("host %q: %s, want a mention of %s", host, rec.Body, way)
		}
	}
}

func TestOrigins(t *testing.T) {
	s := New(one("tiny", nil, nil), Options{Origins: []string{"https://page.example/", "chrome-extension://abc"}})
	for origin, want := range map[string]bool{
		"http://localhost": true, "http://localhost:3000": true, "https://127.0.0.1:1": true, "http://[::1]:8080": true, "http://tauri.localhost": true,
		"app://obsidian.md": true, "tauri://localhost": true, "vscode-webview://abc": true,
		"https://page.example": true, "HTTPS://PAGE.EXAMPLE": true, "chrome-extension://abc": true,
		"http://192.168.1.5:7275": true, // the host that is asked

		"null": false, "https://evil.example": false, "http://page.example": false, "https://page.example:8443": false,
		"http://localhost.evil.example": false, "http://127.0.0.1.evil.example": false, "http://192.168.1.5:80": false,
		"file://": false, "chrome-extension://evil": false, "http://": false, "http://evil@localhost": false, "://": false, "javascript:x": false,
	} {
		rec := serve(s, "GET", "/healthz", "", "Origin", origin, "Host", "192.168.1.5:7275")
		if (rec.Code == http.StatusOK) != want {
			t.Errorf("origin %q: status %d, want allowed %v", origin, rec.Code, want)
		}
		allow := rec.Header().Get("Access-Control-Allow-Origin")
		if want && allow != origin || !want && (allow != "" || !strings.Contains(rec.Body.String(), "--allow-origin")) {
			t.Errorf("origin %q: allowed %q, %s", origin, allow, rec.Body)
		}
		if !slices.Contains(rec.Header().Values("Vary"), "Origin") {
			t.Errorf("origin %q: a cache could mix up answers", origin)
		}
	}
}

func TestKeys(t *testing.T) {
	s := New(one("tiny", nil, nil), Options{Keys: plain("one", "two"), IsolateCache: true})
	for _, c := range []struct {
		headers []string
		want    bool
	}{
		{nil, false},
		{[]string{"Authorization", "Bearer one"}, true},
		{[]string{"Authorization", "bearer  two "}, true},
		{[]string{"Authorization", "Bearer "}, false},
		{[]string{"Authorization", "Bearer"}, false},
		{[]string{"Authorization", "Bearer undefined"}, false},
		{[]string{"Authorization", "Basic one"}, false},
		{[]string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("anybody:one"))}, true},
		{[]string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("one:anything"))}, false},
		{[]string{"Authorization", "Bearer \xff\xfe"}, false},
		{[]string{"Authorization", "one"}, false},
		{[]string{"Authorization", "Bearer on"}, false},
		{[]string{"Authorization", "Bearer onetwo"}, false},
		{[]string{"Authorization", "Bearer " + strings.Repeat("x", 50_000)}, false},
		{[]string{"X-Api-Key", "one"}, true},
		{[]string{"X-Api-Key", "one", "Authorization", "Bearer one"}, true},
		{[]string{"X-Api-Key", "one", "Authorization", "Bearer two"}, false},
		{[]string{"X-Api-Key", "one", "Authorization", "Bearer "}, true},
		{[]string{"X-Api-Key", "one", "Authorization", "Bearer three"}, false},
		{[]string{"Api-Key", "two"}, true},
		{[]string{"Api-Key", "two", "X-Api-Key", "one"}, false},
	} {
		rec := serve(s, "GET", "/v1/models", "", c.headers...)
		if (rec.Code == http.StatusOK) != c.want || !c.want && rec.Code != http.StatusUnauthorized {
			t.Errorf("%.60q: %d", c.headers, rec.Code)
		}
	}
	scope := func(key string) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		return s.cacheScope(r)
	}
	if scope("one") == scope("two") || scope("one") != s.cacheScope(request(t, []byte("GET /\nX-Api-Key: one\n\n"))) || strings.Contains(scope("one"), "one") {
		t.Error("caches are not kept apart by key")
	}
	// Without keys, whatever is sent is as good as nothing.
	free := New(one("tiny", nil, nil), Options{})
	for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer undefined", "nonsense"} {
		if rec := serve(free, "GET", "/v1/models", "", "Authorization", auth); rec.Code != http.StatusOK {
			t.Errorf("Authorization %q without keys: %d", auth, rec.Code)
		}
	}
}

func TestBodies(t *testing.T) {
	s := New(one("tiny", chat.Script(chat.TextDelta{Text: "Hello"}), nil), Options{})
	const path = "/v1/chat/completions"
	for name, c := range map[string]struct {
		body    string
		headers []string
		want    int
	}{
		"curl -d":                  {whole, []string{"Content-Type", "application/x-www-form-urlencoded"}, 200},
		"no content type":          {whole, nil, 200},
		"a form from a page":       {whole, []string{"Content-Type", "text/plain", "Sec-Fetch-Site", "same-origin"}, 415},
		"JSON from a page":         {whole, []string{"Content-Type", "application/json; charset=utf-8", "Sec-Fetch-Site", "same-origin"}, 200},
		"identity":                 {whole, []string{"Content-Encoding", "identity"}, 200},
		"gzip":                     {whole, []string{"Content-Encoding", "gzip"}, 415},
		"as large as may be":       {whole + strings.Repeat(" ", limits.BodyBytes.Int()-len(whole)), nil, 200},
		"larger":                   {whole + strings.Repeat(" ", limits.BodyBytes.Int()-len(whole)+1), nil, 413},
		"no JSON":                  {"hello", nil, 400},
		"a form":                   {"a=b", nil, 400},
		"another Content-Encoding": {whole, []string{"Content-Encoding", "br, gzip"}, 415},
	} {
		if rec := serve(s, "POST", path, c.body, c.headers...); rec.Code != c.want {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	// of unknown length
	r := httptest.NewRequest("POST", path, strings.NewReader(strings.Repeat(" ", limits.BodyBytes.Int()+1)))
	r.ContentLength = -1
	r.Host = "localhost"
	rec := httptest.NewRecorder()
	if s.Handler(Own).ServeHTTP(rec, r); rec.Code != 413 {
		t.Errorf("too large without a length: %d", rec.Code)
	}
}

func TestFaces(t *testing.T) {
	s := New(one("tiny", chat.Script(), llm.Script()), Options{})
	mlc, ok := FaceNamed("mlc")
	if !ok || !slices.Contains(mlc.Ports, 8000) {
		t.Fatalf("%+v", mlc)
	}
	for path, want := range map[string]int{"/v1/models": 200, "/readyz": 200, "/healthz": 200, "/parley/v1/models": 404, "/api/tags": 404} {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = "localhost"
		rec := httptest.NewRecorder()
		if s.Handler(mlc).ServeHTTP(rec, r); rec.Code != want {
			t.Errorf("%s: %d, want %d", path, rec.Code, want)
		}
	}
	if _, ok := FaceNamed("nobody"); ok {
		t.Error("there is a face named nobody")
	}
}

func TestOneAddressCannotTakeAll(t *testing.T) {
	s := New(one("tiny", chat.Script(chat.TextDelta{Text: "Hello"}), nil), Options{})
	var leave []func()
	for range limits.Streams.Int() {
		l, err := s.enter("127.0.0.1", nil)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	rec := serve(s, "POST", "/v1/chat/completions", whole)
	if rec.Code != 429 || rec.Header().Get("Retry-After") == "" {
		t.Errorf("one too many: %d", rec.Code)
	}
	if rec := serve(s, "GET", "/healthz", ""); rec.Code != 200 {
		t.Errorf("health: %d", rec.Code)
	}
	if l, err := s.enter("::1", nil); err != nil {
		t.Errorf("another address: %v", err)
	} else {
		l()
	}
	leave[0]()
	if rec := serve(s, "POST", "/v1/chat/completions", whole); rec.Code != 200 {
		t.Errorf("after one has left: %d %s", rec.Code, rec.Body)
	}
	for _, l := range leave[1:] {
		l()
	}
	if len(s.askers) != 0 {
		t.Errorf("addresses stay behind: %v", s.askers)
	}
}

func TestNotReady(t *testing.T) {
	m := one("tiny", nil, nil)
	m.ready = &llm.Error{Code: llm.Unavailable, Message: "the model is being loaded"}
	s := New(m, Options{})
	if rec := serve(s, "GET", "/readyz", ""); rec.Code != 503 || !strings.Contains(rec.Body.String(), "being loaded") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := serve(s, "GET", "/healthz", ""); rec.Code != 200 {
		t.Errorf("%d", rec.Code)
	}
}

func TestErrorsOfModelsGetTheirStatus(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{llm.Errorf(llm.NotFound, "model", "there is no model x"), 404, "model_not_found"},
		{llm.TooLongError(9000, 4096), 400, "context_length_exceeded"},
		{llm.Errorf(llm.Unsupported, "messages[1].content[0]", "no pictures"), 400, "unsupported"},
		{llm.Errorf(llm.Unreadable, "messages[1]", "the template refuses"), 422, "unreadable"},
		{llm.Errorf(llm.Forbidden, "", "not yours"), 403, "forbidden"},
		{llm.Errorf(llm.Overloaded, "", "the queue is full"), 503, "overloaded"},
		{llm.Errorf(llm.Unavailable, "", "the engine is away"), 503, "unavailable"},
		{fmt.Errorf("wrapped: %w", llm.Errorf(llm.Invalid, "top_p", "out of range")), 400, "invalid_value"},
		{errors.New("secret path /home/x"), 500, "broken"},
	} {
		m := one("tiny", nil, nil)
		m.resolve = c.err
		rec := serve(New(m, Options{}), "POST", "/v1/chat/completions", whole)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), `"code":"`+c.code+`"`) || strings.Contains(rec.Body.String(), "secret") {
			t.Errorf("%v: %d %s", c.err, rec.Code, rec.Body)
		}
		if (rec.Header().Get("Retry-After") != "") != (c.status == 503) {
			t.Errorf("%v: Retry-After %q", c.err, rec.Header().Get("Retry-After"))
		}
	}
}

// A refusing model or responder accepts nothing.
type refusing struct{ err error }

func (r refusing) Respond(context.Context, chat.Conversation, llm.Params) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) { yield(nil, r.err) }
}

type refusingModel struct{ err error }

func (r refusingModel) Complete(context.Context, llm.Prompt, llm.Params) iter.Seq2[llm.Piece, error] {
	return func(yield func(llm.Piece, error) bool) { yield(llm.Piece{}, r.err) }
}

// A model whose queue is full, or which was unloaded in between, says so before anything
// of an answer, streamed or not: with a status and a time to come again.
func TestAFullModelSaysWhenToComeAgain(t *testing.T) {
	for _, busy := range []struct {
		err   error
		after string
	}{
		{&llm.Error{Code: llm.Overloaded, Message: "4096 requests are waiting for this model already", Hint: "try again later"}, "1"},
		{&llm.Error{Code: llm.Unavailable, Message: "the model is being shut down", Hint: "try again later", Err: &llm.BusyError{RetryAfter: 7 * time.Second}}, "7"},
	} {
		s := New(one("tiny", refusing{busy.err}, refusingModel{busy.err}), Options{})
		for path, body := range map[string]string{
			"/v1/chat/completions": `{"messages":[{"role":"user","content":"a"}],STREAM}`, "/v1/completions": `{"prompt":"a",STREAM}`,
			"/v1/responses": `{"input":"a",STREAM}`, "/v1/messages": `{"max_tokens":9,"messages":[{"role":"user","content":"a"}],STREAM}`,
			"/api/chat": `{"messages":[{"role":"user","content":"a"}],STREAM}`, "/api/generate": `{"prompt":"a",STREAM}`, "/completion": `{"prompt":"a",STREAM}`,
		} {
			for _, stream := range []string{`"stream":true`, `"stream":false`} {
				body := strings.Replace(body, "STREAM", `"model":"tiny",`+stream, 1)
				rec := serve(s, "POST", path, body)
				want := 503
				if path == "/v1/messages" {
					want = 529 // Anthropic's own
				}
				if rec.Code != want || rec.Header().Get("Retry-After") != busy.after {
					t.Errorf("%s, %s: %d, Retry-After %q, %s", path, stream, rec.Code, rec.Header().Get("Retry-After"), rec.Body)
				}
			}
		}
	}
}

func TestTheLogHoldsNeitherKeysNorWords(t *testing.T) {
	var log bytes.Buffer
	r := chat.Script(chat.TextDelta{Text: "canary-reply"})
	s := New(one("tiny", r, nil), Options{Keys: plain("canary-key"), Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	body := strings.Replace(whole, "a secret wish", "canary-wish", 1)
	serve(s, "POST", "/v1/chat/completions?key=canary-query", body, "Authorization", "Bearer canary-key")
	serve(s, "POST", "/v1/chat/completions", body, "Authorization", "Bearer canary-wrong")
	serve(s, "POST", "/v1/chat/completions", `{"messages":[{"role":"canary-role"}]}`, "Authorization", "Bearer canary-key")
	serve(s, "GET", "/a%0d%0ab%1b[31m", "", "Authorization", "Bearer canary-key")
	if strings.Contains(log.String(), "canary") || strings.Count(log.String(), "\n") != 4 || strings.Contains(log.String(), "\x1b") {
		t.Errorf("the log says\n%s", log.String())
	}
}

func TestARenderedPromptReadsTheSameWithoutAServer(t *testing.T) {
	c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "<|im_end|> & more")}}
	rendered, err := rendering{}.Render(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	here, err := EncodeRendered("tiny", rendered)
	if err != nil {
		t.Fatal(err)
	}
	s := New(one("tiny", rendering{chat.Script()}, nil), Options{})
	there := serve(s, "POST", "/parley/v1/render", `{"model":"tiny","messages":[{"role":"user","content":"<|im_end|> & more"}]}`)
	if there.Body.String() != string(here)+"\n" || !strings.Contains(string(here), "<|im_end|> & more") {
		t.Errorf("here  %s\nthere %s", here, there.Body)
	}
}

func TestWhatAClientDoesWrongIsNoFaultInTheLog(t *testing.T) {
	var log strings.Builder
	s := New(one("tiny", nil, nil), Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, c := range []struct {
		body    string
		headers []string
		status  int
	}{
		{whole, []string{"Content-Encoding", "gzip"}, http.StatusUnsupportedMediaType},
		{strings.Repeat(" ", limits.BodyBytes.Int()+1), nil, http.StatusRequestEntityTooLarge},
		{"{", nil, http.StatusBadRequest},
		{whole, nil, http.StatusBadRequest}, // a model that answers no conversations
		{whole, []string{"Host", "evil.example"}, http.StatusForbidden},
	} {
		log.Reset()
		rec := serve(s, "POST", "/v1/chat/completions", c.body, c.headers...)
		if rec.Code != c.status || strings.Contains(log.String(), "ERROR") || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("status %d, want %d; the log says %s", rec.Code, c.status, log.String())
		}
	}
}
