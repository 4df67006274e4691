package check

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The tests run whole servers and their checks on connections in memory under
// a clock of their own: minutes pass in no time.

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// against checks a server that h is, under a clock of its own.
func against(t *testing.T, h http.Handler, o Options) (r *Report, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
		served := make(chan struct{})
		go func() { server.Serve(p); close(served) }()
		transport := &http.Transport{DialContext: p.dial}
		o.URL, o.Transport = "http://127.0.0.1:1", transport
		r, err = Run(t.Context(), o)
		transport.CloseIdleConnections()
		server.Close()
		<-served
		synctest.Wait()
		time.Sleep(time.Hour) // requests that nobody waits for any more come to their ends
	})
	return r, err
}

func healthy() *fake {
	return &fake{context: 3000, list: `{"object":"list","data":[{"id":"fake","object":"model","owned_by":"us","max_model_len":3000}]}`}
}

// verdicts lists the checks with the verdict.
func verdicts(r *Report, v Verdict) (names []string) {
	for _, x := range r.Results {
		if x.Verdict == v {
			names = append(names, x.Check)
		}
	}
	return names
}

func explain(t *testing.T, r *Report) {
	t.Helper()
	for _, x := range r.Results {
		if x.Verdict != Kept {
			t.Logf("%s %s: %s", x.Check, x.Verdict, x.Evidence)
		}
	}
}

func TestAHealthyServerKeepsEveryPromise(t *testing.T) {
	for name, f := range map[string]struct {
		fake  *fake
		tells []string // what cannot be told or is not offered
	}{
		"that tells its cache":          {healthy(), []string{"logit-bias"}},
		"that shows its prompt":         {with(func(f *fake) { f.shows = true }), nil},
		"that tells nothing":            {with(func(f *fake) { f.secret = true }), []string{"cheap-turns", "cheap-regenerate", "cheap-edit", "cached-told", "logit-bias"}},
		"with a cache of blocks":        {with(func(f *fake) { f.block = 16 }), []string{"logit-bias"}},
		"that does one thing at a time": {with(func(f *fake) { f.single = true }), []string{"logit-bias"}},
		"that says little": {with(func(f *fake) { f.brief = 2 }), []string{"prefill", "stop-whole", "stop-streamed", "stop-across-tokens",
			"stop-multibyte", "stop-many", "stop-reported", "leave-stream", "leave-whole", "logit-bias"}},
		"that thinks": {with(func(f *fake) { f.thinks = true }), []string{"prefill", "logit-bias"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := against(t, f.fake, Options{nonce: 1000})
			if err != nil {
				t.Fatal(err)
			}
			explain(t, r)
			for _, x := range r.Results {
				if x.Verdict != Kept && !slices.Contains(f.tells, x.Check) || x.Verdict == Broken {
					t.Errorf("%s: %s", x.Check, x.Verdict)
				}
			}
			if len(r.Results) != len(All()) {
				t.Errorf("%d results of %d checks", len(r.Results), len(All()))
			}
		})
	}
}

func with(fault func(*fake)) *fake {
	f := healthy()
	fault(f)
	return f
}

func TestAnUnreachableServerIsNoVerdict(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"wants a key":   func(w http.ResponseWriter, r *http.Request) { refuse(w, 401, "no key") },
		"hangs":         func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"is no server":  func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>hello</html>") },
		"has no models": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"object":"list","data":[]}`) },
		"breaks off":    func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"never ends":    endless("["),
		"nests too deep": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			io.WriteString(w, strings.Repeat(`{"error":`, 5000)+"1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := against(t, h, Options{})
			if e, ok := errors.AsType[*UnreachableError](err); !ok {
				t.Errorf("got %v", err)
			} else if len(e.Error()) > 400 {
				t.Errorf("a long error: %d bytes", len(e.Error()))
			}
		})
	}
}

func endless(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		chunk := strings.Repeat(text, 1<<16)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}
}

func TestTheDocumentationNamesEveryCheckAndNoOther(t *testing.T) {
	text, err := os.ReadFile("../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range All() {
		known[c.Name] = true
		if !strings.Contains(string(text), "`"+c.Name+"`") {
			t.Errorf("docs/check.md lacks `%s`", c.Name)
		}
		if c.What == "" || known[string(c.Promise)] {
			t.Errorf("%s does not say what it looks at", c.Name)
		}
		if !strings.Contains(string(text), "\n## "+string(c.Promise)+"\n") {
			t.Errorf("docs/check.md has no chapter %q", c.Promise)
		}
	}
	for row := range strings.Lines(string(text)) {
		first, isRow := strings.CutPrefix(row, "| `")
		if !isRow {
			continue
		}
		names, _, _ := strings.Cut(first, " | ")
		for name := range strings.SplitSeq(names, ", ") {
			if name = strings.Trim(name, "`"); !known[name] {
				t.Errorf("docs/check.md has `%s`, which is no check", name)
			}
		}
	}
}

// A server that generates 5 tokens a second and reads 30.
func TestASlowServerIsCheckedInAFewMinutes(t *testing.T) {
	for name, c := range map[string]struct {
		forgetful bool
		minutes   float64
	}{"with a cache": {false, 4}, "without one": {true, 7}} {
		t.Run(name, func(t *testing.T) {
			f := with(func(f *fake) {
				f.reading, f.saying, f.forgetful = 33*time.Millisecond, 200*time.Millisecond, c.forgetful
			})
			r, err := against(t, f, Options{nonce: 1000})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d requests, %d tokens said, %.0f s", f.requests, f.said, r.Seconds)
			if r.Seconds > 60*c.minutes || r.Count(CannotTell) > 1 {
				explain(t, r)
				t.Errorf("%.0f s, %d cannot be told", r.Seconds, r.Count(CannotTell))
			}
		})
	}
}
