package check

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A server that lists its model well and then does what it likes to whoever
// wants a reply.
func listing(f http.HandlerFunc) http.Handler {
	list := healthy().list
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			io.WriteString(w, list)
		case "/v1/chat/completions", "/v1/completions":
			io.Copy(io.Discard, r.Body) // only then a server learns that its client has left
			f(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

func event(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, text)
	}
}

func saying(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }
}

func TestAHostileServerEndsTheRunInTimeAndWithinBounds(t *testing.T) {
	delta := func(d string) string { return `data: {"choices":[{"index":0,"delta":` + d + "}]}\n\n" }
	for name, h := range map[string]http.HandlerFunc{
		"hangs": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"hangs after the headers": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"hangs in a stream": func(w http.ResponseWriter, r *http.Request) {
			event(delta(`{"content":"Hello"}`))(w, r)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"breaks off": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"choices":[`)
			panic(http.ErrAbortHandler)
		},
		"says nothing":            saying(""),
		"says HTML":               saying("<html><body>Welcome</body></html>"),
		"says null":               saying("null"),
		"never ends":              endless(`{"choices":[`),
		"never ends a stream":     endless(delta(`{"content":"x"}`)),
		"never ends a line":       endless("x"),
		"numbers choices at will": saying(`{"choices":[{"index":-1,"message":{"content":"a"}},{"index":1000000000,"message":{"content":"b"}}]}`),
		"counts at will":          saying(`{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":-7,"completion_tokens":1e9,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":-3}}}`),
		"says other types":        saying(`{"choices":{"0":"a"},"usage":[]}`),
		"has no choices":          saying(`{"choices":[]}`),
		"nests":                   saying(strings.Repeat("[", 100000)),
		"streams garbage":         event("data: {\n\ndata: [DONE]\n\n\x00\xff: x\ndata\n\n"),
		"streams an error":        event(delta(`{"content":"a"}`) + "data: {\"error\":{\"message\":\"" + strings.Repeat("no ", 5000) + "\"}}\n\n"),
		"says no bytes of a text": saying(`{"choices":[{"message":{"content":"\ud800\udfff\u0000 ` + strings.Repeat(`\ufffd`, 50) + `"},"logprobs":{"content":[{},{"top_logprobs":[{},{}]}]}}],"usage":{}}`),
		"fails":                   func(w http.ResponseWriter, r *http.Request) { refuse(w, 500, strings.Repeat("x", 100000)) },
		"is busy":                 func(w http.ResponseWriter, r *http.Request) { refuse(w, 503, "loading") },
		"redirects for ever": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/v1/chat/completions", http.StatusTemporaryRedirect)
		},
		"steers the terminal":      saying(`{"choices":[{"message":{"content":"\u001b[2J\u001b]0;x\u0007 and more of this"},"finish_reason":"\u001b[31m"}],"usage":{"prompt_tokens":1}}`),
		"has a long reason to end": saying(`{"choices":[{"message":{"content":"Hi"},"finish_reason":"` + strings.Repeat("y", 9000) + `"}]}`),
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			r, err := against(t, listing(h), Options{nonce: 1000, Timeout: 5 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Results) != len(All()) {
				t.Errorf("%d results", len(r.Results))
			}
			if r.Seconds > 301 {
				t.Errorf("the run takes %.0f s", r.Seconds)
			}
			for _, x := range r.Results {
				if len(x.Evidence) > 2000 || strings.ContainsRune(x.Evidence, '\x1b') {
					t.Errorf("%s: %q", x.Check, x.Evidence)
				}
				if name == "is busy" && x.Verdict == Broken || name == "fails" && x.Check == "usage" && x.Verdict != Broken {
					t.Errorf("%s: %s, %s", x.Check, x.Verdict, x.Evidence)
				}
			}
		})
	}
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	asked := 0
	r, err := against(t, listing(func(w http.ResponseWriter, r *http.Request) {
		asked++
		<-r.Context().Done()
	}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if asked > 8 || r.Seconds > 400 {
		t.Errorf("%d requests in %.0f s", asked, r.Seconds)
	}
	last := r.Results[len(r.Results)-1]
	if last.Verdict != CannotTell || !strings.Contains(last.Evidence, "did not answer") {
		t.Errorf("%+v", last)
	}
}

func TestAServerThatDiesIsGivenUp(t *testing.T) {
	var s *httptest.Server
	f := healthy()
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.ServeHTTP(w, r); r.URL.Path == chatPath {
			s.Listener.Close()
		}
	}))
	defer s.Close()
	s.Config.SetKeepAlivesEnabled(false)
	r, err := Run(t.Context(), Options{URL: s.URL, Only: []string{"usage", "bad-json", "wrong-type", "unknown-field", "same-twice"}})
	if err != nil {
		t.Fatal(err)
	}
	last := r.Results[len(r.Results)-1]
	if r.Count(Broken) > 0 || last.Verdict != CannotTell || !strings.Contains(last.Evidence, "did not answer") {
		t.Errorf("%+v", r.Results)
	}
}

func TestAnOpenRefusalIsNotOfferedAndASilentOneIsBroken(t *testing.T) {
	strict := func(m []message) string {
		for i, x := range m {
			if x.Role == "system" && i > 0 {
				return fmt.Sprintf("System prompt at position %d is invalid", i)
			}
		}
		return ""
	}
	r, err := against(t, with(func(f *fake) { f.refuse = strict }), Options{Only: []string{"systems-leading", "system-middle", "greeting-first"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Verdict{NotOffered, NotOffered, Kept} {
		if x := r.Results[i]; x.Verdict != want {
			t.Errorf("%s: %s, %s", x.Check, x.Verdict, x.Evidence)
		}
	}
	if want := `refused: HTTP 400 "System prompt at position 1 is invalid"`; r.Results[0].Evidence != want {
		t.Errorf("got %s", r.Results[0].Evidence)
	}
	r, err = against(t, listing(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(400) }), Options{Only: []string{"system-middle"}})
	if err != nil || r.Results[0].Verdict != Broken {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = against(t, with(func(f *fake) { f.mostStops = 40 }), Options{nonce: 1000, Only: []string{"stop-many", "stop-whole"}})
	if err != nil || r.Results[1].Verdict != NotOffered || !strings.HasPrefix(r.Results[1].Evidence, "300 stop strings: refused") || r.Results[0].Verdict != Kept {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTheKeyIsSentAndNeverShown(t *testing.T) {
	const key = "sk-verysecret"
	f := with(func(f *fake) { f.silent, f.noDone = true, true })
	r, err := against(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			refuse(w, 401, "no key")
			return
		}
		f.ServeHTTP(w, r)
	}), Options{Key: key, Only: []string{"stream-form", "unknown-field"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Results {
		if x.Verdict != Broken || len(x.Requests) != 1 || !strings.Contains(x.Requests[0], `-H "Authorization: Bearer $PARLEY_API_KEY"`) || strings.Contains(fmt.Sprint(x), key) {
			t.Errorf("%+v", x)
		}
	}
}

func TestARequestIsALineForAShell(t *testing.T) {
	x := &exchange{method: "POST", url: "http://h:1/v1/chat/completions", sent: encode(request{Messages: []message{say("user", "it's <|im_end|>\n$HOME")}})}
	want := `curl -s http://h:1/v1/chat/completions -H 'Content-Type: application/json' -d '{"messages":[{"role":"user","content":"it'\''s <|im_end|>\n$HOME"}]}'`
	if got := x.curl(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOnlyWhatIsAskedForIsChecked(t *testing.T) {
	var asked []string
	r, err := against(t, healthy(), Options{Only: []string{"usage", "models"}, Progress: func(_ int, c Check) { asked = append(asked, c.Name) }})
	if err != nil || fmt.Sprint(asked) != "[models usage]" || len(r.Results) != 2 {
		t.Errorf("%v, %v", asked, err)
	}
	if _, err := Run(t.Context(), Options{URL: "http://127.0.0.1:1", Only: []string{"models", "usual"}}); err == nil || !strings.Contains(err.Error(), `"usual"`) {
		t.Errorf("got %v", err)
	}
}

func TestATimeoutLeavesTheRestOpen(t *testing.T) {
	r, err := against(t, healthy(), Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	last := r.Results[len(r.Results)-1]
	if r.Count(Kept) == 0 || last.Verdict != CannotTell || last.Evidence != "the time was over" || r.Count(Broken) > 0 {
		t.Errorf("%d kept, %+v", r.Count(Kept), last)
	}
}

func TestNoAddressIsNoServer(t *testing.T) {
	for _, url := range []string{"", "localhost:8080", "ftp://x", "http://", "::"} {
		if _, err := Run(t.Context(), Options{URL: url}); err == nil {
			t.Errorf("%q is taken", url)
		} else if _, ok := errors.AsType[*UnreachableError](err); ok {
			t.Errorf("%q was tried", url)
		}
	}
}

func TestComplaintsOfAllKindsAreFound(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"message":"no"}}`:                        "no",
		`{"error":"no"}`:                                    "no",
		`{"detail":[{"loc":["body"],"msg":"no","type":1}]}`: "no",
		`{"detail":"no"}`:                                   "no",
		`{"object":"error","message":"no"}`:                 "no",
		`"{\"object\":\"error\",\"message\":\"no\"}"`:       "no",
		`{"error":{"code":400}}`:                            "",
		`<html>`:                                            "",
		``:                                                  "",
	} {
		if got := complaint([]byte(body)); got != want {
			t.Errorf("%s: %q", body, got)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\ndata: [DONE]\n\n")
	f.Add(": ping\r\n\r\nevent: message\ndata: {\"error\":{}}\ndata: x\n\n")
	f.Add("data: {\"choices\":[{\"index\":7,\"text\":\"\\ud800\",\"logprobs\":{\"content\":[]}}],\"usage\":{}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := &reply{cached: -1}
		s := &events{reply: r, each: func(string) error { return nil }}
		s.read(strings.NewReader(text))
		if len(r.texts) > maxChoices+1 || len(strings.Join(r.form, "")) > 8*1000 {
			t.Errorf("%d choices, %d faults", len(r.texts), len(r.form))
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add(`{"choices":[{"index":0,"message":{"content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`)
	f.Add(`{"error":{"message":"{\"error\":\"x\"}"}}`)
	f.Fuzz(func(t *testing.T, body string) {
		if r, err := parseReply([]byte(body)); err == nil {
			r.said()
			r.prompt()
			distance(r, r)
		}
		if len(complaint([]byte(body))) > 1000 {
			t.Error("a long complaint")
		}
		models([]byte(body))
	})
}
