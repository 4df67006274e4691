package upstream_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/upstream"
	"parley/llm"
)

// An answer is what a server says to a request for text.
type answer func(w http.ResponseWriter, r *http.Request)

// serve runs a server of OpenAI's protocol that answers requests for text as it
// is told, one after the other, the last one again and again.
func serve(t *testing.T, answers ...answer) (server *httptest.Server, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"object":"list","data":[{"id":"m","max_model_len":100}]}`)
	})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		n := int(asked.Add(1))
		answers[min(n, len(answers))-1](w, r)
	})
	server = httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server, asked
}

// modelAt opens the model of a server.
func modelAt(t *testing.T, o upstream.Options) llm.Model {
	t.Helper()
	o.Kind, o.Way = "openai", upstream.AsModel
	e, err := upstream.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	opened, err := e.Open(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	return opened.Model
}

// say reads a whole stream.
func say(ctx context.Context, m llm.Model, p llm.Params) (text string, f *llm.Finish, err error) {
	for piece, err := range m.Complete(ctx, llm.Text("Hi"), p) {
		if err != nil {
			return text, nil, err
		}
		text, f = text+piece.Text, piece.Finish
	}
	return text, f, nil
}

func events(lines ...string) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, l := range lines {
			fmt.Fprintf(w, "data: %s\n\n", l)
			http.NewResponseController(w).Flush()
		}
	}
}

const (
	first = `{"choices":[{"index":0,"text":"Hello"}]}`
	last  = `{"choices":[{"index":0,"text":"!","finish_reason":"stop"}]}`
	done  = `[DONE]`
)

func status(code int, headers ...string) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, `{"error":{"message":"no"}}`)
	}
}

func hangUp(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }

func TestWhatHasNotBegunIsAskedAgain(t *testing.T) {
	whole := events(first, last, done)
	for _, c := range []struct {
		name    string
		answers []answer
		asked   int32
		code    llm.Code // "": it succeeds
	}{
		{"hung up, then answered", []answer{hangUp, whole}, 2, ""},
		{"busy for a moment", []answer{status(503, "Retry-After", "1"), whole}, 2, ""},
		{"busy without saying how long", []answer{status(503), whole}, 1, llm.Unavailable},
		{"busy for long", []answer{status(429, "Retry-After", "30"), whole}, 1, llm.Overloaded},
		{"hung up again and again", []answer{hangUp}, 3, llm.Broken},
		{"a bad request", []answer{status(400), whole}, 1, llm.Invalid},
		{"a failure", []answer{status(500), whole}, 1, llm.Broken},
		{"broken off after the first token", []answer{events(first), whole}, 1, llm.Broken},
		{"an error after the first token", []answer{events(first, `{"error":{"message":"no"}}`), whole}, 1, llm.Broken},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server, asked := serve(t, c.answers...)
			text, f, err := say(t.Context(), modelAt(t, upstream.Options{URL: server.URL}), llm.Params{})
			if c.code == "" && (err != nil || text != "Hello!" || f == nil) {
				t.Errorf("got %q, %v", text, err)
			}
			if c.code != "" && llm.AsError(err).Code != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
			// A connection that the server had given up in the meantime is no try.
			if got := asked.Load(); got != c.asked && got != c.asked+1 || c.asked == 1 && got != 1 {
				t.Errorf("asked %d times, want %d", got, c.asked)
			}
		})
	}
}

func TestRetryAfterReachesTheClient(t *testing.T) {
	server, _ := serve(t, status(429, "Retry-After", "30"))
	_, _, err := say(t.Context(), modelAt(t, upstream.Options{URL: server.URL}), llm.Params{})
	if busy, ok := errors.AsType[*llm.BusyError](err); !ok || busy.RetryAfter != 30*time.Second {
		t.Errorf("got %v", err)
	}
}

func TestAnAnswerIsWholeOrAnError(t *testing.T) {
	raw := func(contentType, body string) answer {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			io.WriteString(w, body)
		}
	}
	const sse = "text/event-stream"
	for _, c := range []struct {
		name string
		answer
		text string
		says string // of the error
	}{
		{"streamed", events(first, last, done), "Hello!", ""},
		{"without [DONE]", events(first, last), "Hello!", ""},
		{"with [DONE] and no reason", events(first, done), "", "broke off"},
		{"not streamed", raw("application/json", `{"choices":[{"text":"Hello!","finish_reason":"stop"}]}`), "Hello!", ""},
		{"without a reason", events(first), "", "broke off"},
		{"within an event", raw(sse, "data: "+first+"\n\ndata: {\"choi"), "", "broke off"},
		{"nothing", raw(sse, ""), "", "broke off"},
		{"a page", raw("text/html", "<!doctype html><html></html>"), "", "a web page"},
		{"an error", raw("application/json", `{"error":{"message":"no such thing"}}`), "", "no such thing"},
		{"an error event", raw(sse, "event: error\ndata: it broke\n\n"), "", "it broke"},
		{"an error field", raw(sse, "data: "+first+"\n\nerror: {\"message\":\"it broke\"}\n\n"), "", "it broke"},
		{"nonsense", raw(sse, "data: {]\n\n"), "", "cannot be read"},
		{"a number for a text", events(`{"choices":[{"text":7}]}`), "", "cannot be read"},
		{"no choices", events(`{}`, `{"choices":null}`, first, last), "Hello!", ""},
		{"a line without end", raw(sse, "data: "+strings.Repeat("x", 2<<20)), "", "longer than"},
		{"gzip, not asked for", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", sse)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprintf(z, "data: %s\n\ndata: %s\n\n", first, last)
			z.Close()
		}, "Hello!", ""},
		{"gzip, cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprintf(z, "data: %s\n\n", first)
			z.Flush()
		}, "", "broke off"},
		{"another encoding", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, "x")
		}, "", "broke off"},
		{"text behind the end", events(last, first, done), "!", ""},
		{"two reasons", events(last, last, done), "!", ""},
		{"no UTF-8", raw(sse, "data: {\"choices\":[{\"text\":\"a\xff\",\"finish_reason\":\"stop\"}]}\n\n"), "a\ufffd", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, _ := serve(t, c.answer)
			text, f, err := say(t.Context(), modelAt(t, upstream.Options{URL: server.URL}), llm.Params{})
			switch {
			case c.says == "" && (err != nil || text != c.text || f == nil || f.Reason != llm.ReasonEnd):
				t.Errorf("got %q, %+v, %v; want %q", text, f, err, c.text)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("got %q, %v; want an error that says %q", text, err, c.says)
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { followed.Store(true) }))
	defer thief.Close()
	server, _ := serve(t, status(307, "Location", thief.URL+"/v1/completions"))
	_, _, err := say(t.Context(), modelAt(t, upstream.Options{URL: server.URL, Key: "sk-secret"}), llm.Params{})
	if followed.Load() || err == nil || !strings.Contains(err.Error(), thief.URL) {
		t.Errorf("followed: %v; got %v", followed.Load(), err)
	}
}

func TestNothingOfAnotherAnswerIsSentAlong(t *testing.T) {
	var seen http.Header
	server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		w.Header().Set("Set-Cookie", "a=b")
		events(last)(w, r)
	})
	m := modelAt(t, upstream.Options{URL: server.URL + "/v1/", Key: "sk-secret", Headers: http.Header{"X-Team": {"chat"}}})
	for range 2 {
		if _, _, err := say(t.Context(), m, llm.Params{}); err != nil {
			t.Fatal(err)
		}
	}
	if seen.Get("Cookie") != "" || seen.Get("Authorization") != "Bearer sk-secret" || seen.Get("X-Team") != "chat" || seen.Get("Accept-Encoding") != "" {
		t.Errorf("sent %v", seen)
	}
}

func TestASilentEngineIsGivenUp(t *testing.T) {
	silent := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	inTheMiddle := func(w http.ResponseWriter, r *http.Request) {
		events(first)(w, r)
		<-r.Context().Done()
	}
	atTheEnd := func(w http.ResponseWriter, r *http.Request) {
		events(first, last)(w, r)
		<-r.Context().Done()
	}
	for name, c := range map[string]struct {
		answer answer
		fails  bool
	}{"before the answer": {silent, true}, "in its middle": {inTheMiddle, true}, "behind its end": {atTheEnd, false}} {
		t.Run(name, func(t *testing.T) {
			server, _ := serve(t, c.answer)
			m := modelAt(t, upstream.Options{URL: server.URL, First: 100 * time.Millisecond, Silence: 100 * time.Millisecond})
			text, _, err := say(t.Context(), m, llm.Params{})
			if c.fails != (err != nil) || c.fails && !strings.Contains(err.Error(), "went silent") || !c.fails && text != "Hello!" {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
}

// pipes is a listener whose connections hold nothing: what is written has been
// read.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p <- far:
		return near, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func TestASlowReaderHoldsTheEngineBack(t *testing.T) {
	const most = 256 << 10
	var sent atomic.Int64
	server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, err := fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":%q}]}\n\n", strings.Repeat("x", 1000))
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})
	listener := make(pipes)
	piped := &http.Server{Handler: server.Config.Handler}
	go piped.Serve(listener)
	defer piped.Close()
	m := modelAt(t, upstream.Options{URL: "http://engine", Client: &http.Client{Transport: &http.Transport{DialContext: listener.dial}}})
	pieces := 0
	for piece, err := range m.Complete(t.Context(), llm.Text("Hi"), llm.Params{LoopGuard: new(0)}) {
		if err != nil {
			t.Fatal(err)
		}
		if piece.Text != "" {
			pieces++
		}
		if pieces == 3 {
			break
		}
	}
	if got := sent.Load(); got > most {
		t.Errorf("the engine sent %d bytes to a reader that took %d pieces", got, pieces)
	}
}

func TestLeavingEndsTheEnginesWork(t *testing.T) {
	const within = 250 * time.Millisecond
	left := make(chan time.Time, 1)
	endless := func(w http.ResponseWriter, r *http.Request) {
		events(first)(w, r)
		<-r.Context().Done()
		left <- time.Now()
	}
	for name, leave := range map[string]func(m llm.Model){
		"breaking off": func(m llm.Model) {
			for piece := range m.Complete(t.Context(), llm.Text("Hi"), llm.Params{}) {
				if piece.Text != "" {
					return
				}
			}
		},
		"cancelling": func(m llm.Model) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for piece, err := range m.Complete(ctx, llm.Text("Hi"), llm.Params{}) {
				if piece.Text != "" {
					cancel()
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			}
		},
		"a stop string": func(m llm.Model) {
			if text, f, err := say(t.Context(), m, llm.Params{Stop: []string{"ll"}}); text != "He" || f.Stop != "ll" || err != nil {
				t.Errorf("got %q, %+v, %v", text, f, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := serve(t, endless)
			m := modelAt(t, upstream.Options{URL: server.URL})
			goroutines := runtime.NumGoroutine()
			leave(m)
			gone := time.Now()
			select {
			case at := <-left:
				if at.Sub(gone) > within {
					t.Errorf("noticed after %s", at.Sub(gone))
				}
			case <-time.After(5 * time.Second):
				t.Fatal("never noticed")
			}
			// Those of the connection end by themselves.
			for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatalf("%d goroutines before, %d afterwards", goroutines, runtime.NumGoroutine())
				}
			}
		})
	}
}

func TestWhatIsWrongWithAnAddressIsSaid(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>router</html>") }))
	defer page.Close()
	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }))
	defer locked.Close()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for _, c := range []struct {
		name string
		o    upstream.Options
		says string
	}{
		{"no address", upstream.Options{URL: "localhost:8080"}, "is not the address of an engine"},
		{"nobody there", upstream.Options{URL: "http://" + dead.Addr().String()}, "nothing listens there"},
		{"somebody else", upstream.Options{URL: page.URL}, "no engine that is known"},
		{"no key", upstream.Options{URL: locked.URL}, "wants a key"},
		{"a wrong key", upstream.Options{URL: locked.URL, Key: "sk-secret"}, "does not accept the key"},
		{"silent", upstream.Options{URL: "http://" + mute.Addr().String(), First: 100 * time.Millisecond}, "went silent"},
		{"an unknown kind", upstream.Options{URL: page.URL, Kind: "foo"}, `no kind of engine called "foo"`},
		{"https without it", upstream.Options{URL: strings.Replace(page.URL, "http:", "https:", 1)}, "no safe connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := upstream.Dial(t.Context(), c.o)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "sk-secret") {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if e, ok := errors.AsType[*llm.Error](err); !ok || e.Hint == "" {
				t.Errorf("%v has no way out", err)
			}
		})
	}
}
