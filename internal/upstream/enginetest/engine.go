// Package enginetest is fake engines: servers that keep the contracts of the
// engines which package upstream speaks to, strictly, and generate from a
// model that a test gives them.
//
// A fake refuses what the real engine refuses, with its status and its shape
// of error; it has the real defaults, even bad ones (16 tokens, four stop
// strings), the real framing and the real probe routes. It writes down what it
// was asked, what its model read, how many requests run and when it noticed
// that a client had gone. [Chaos] stands before any server and spoils its
// answers.
package enginetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/llm"
)

// Options say how a fake behaves.
type Options struct {
	Model   llm.Model // what generates; nil: a short script
	Name    string    // what it calls its model; "": "fake-model"
	Context int       // tokens that a request may have; 0: 4096
	Key     string    // demanded where it is set

	// Template is the chat template in Jinja by which it lays conversations
	// out; "": the model's own, or ChatML.
	Template string

	// Added are texts of tokens that match in every text, whatever a request
	// says of special tokens: user-defined ones of GGUF files.
	Added []string

	Stops Stops         // how it keeps stop strings
	Deaf  bool          // does not notice that a client has gone
	Ping  time.Duration // between two comments while it has nothing to say, where the real one sends some; 0: never
}

// Stops is how an engine keeps stop strings.
type Stops uint8

const (
	StopsAsReal  Stops = iota // as the real engine does
	StopsIgnored              // not at all
	StopsLeaked               // the output has the stop string
	StopsLate                 // three pieces behind the stop string
)

// An Engine is a fake that runs. Its methods may be used by many goroutines.
type Engine struct {
	URL  string
	Kind string

	o    Options
	kind *kind
	http *httptest.Server

	mu       sync.Mutex
	requests []*Request
	running  map[*Request]bool
	most     int
	read     [][]int // the prompts so far, as token ids
}

// A Request is what the fake was asked, and what became of it. The fields of
// the second half are set when Ended is closed.
type Request struct {
	Method, Path string
	Header       http.Header
	Body         []byte
	Fields       map[string]any // the body as an object
	Unknown      []string       // of these, what the engine does not know, sorted

	Prompt    string      // what the model was given, as text where it was text
	Read      []llm.Token // the same, as tokens
	Stops     []string    // that the engine looked for
	Params    llm.Params  // by which it generated
	Generated int         // tokens
	Status    int         // of the answer
	Outcome   Outcome
	NoticedAt time.Time // when the fake saw that its client had gone, or was told to abort
	Ended     chan struct{}
	generates bool
	genkey    string
	abort     func()
}

// Outcome is how a request ended.
type Outcome string

const (
	Answered  Outcome = "answered"
	Refused   Outcome = "refused"
	Cancelled Outcome = "cancelled" // the client went
	Aborted   Outcome = "aborted"   // a request to abort came
)

// Kinds are the names of the fakes, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Ways reports whether engines of a kind continue prompts, and whether they
// answer conversations.
func Ways(name string) (completes, chats bool) {
	k := kinds[name]
	return k.completes, k.chats
}

// Start runs a fake until the test ends.
func Start(t testing.TB, name string, o Options) *Engine {
	t.Helper()
	k, ok := kinds[name]
	if !ok {
		t.Fatalf("there is no fake engine %q; there are %v", name, Kinds())
	}
	if o.Model == nil {
		o.Model = llm.Script("I", " am", " a", " fake", ",", " and", " I", " say", " always", " the", " same", ".")
	}
	if o.Name == "" {
		o.Name = "fake-model"
	}
	if o.Context == 0 {
		o.Context = 4096
	}
	if o.Template == "" {
		o.Template = templateOf(o.Model)
	}
	e := &Engine{Kind: name, o: o, kind: k, running: map[*Request]bool{}}
	e.http = httptest.NewServer(e.handler())
	e.URL = e.http.URL
	t.Cleanup(e.http.Close)
	return e
}

// Close ends the fake before the test does, and every connection with it.
func (e *Engine) Close() {
	e.http.CloseClientConnections()
	e.http.Close()
}

// Requests are all requests so far, in order.
func (e *Engine) Requests() []*Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.requests)
}

// Generations are the requests that asked for text, in order. It waits until
// those that were begun have ended.
func (e *Engine) Generations() (g []*Request) {
	e.mu.Lock()
	for _, r := range e.requests {
		if r.generates {
			g = append(g, r)
		}
	}
	e.mu.Unlock()
	for _, r := range g {
		<-r.Ended
	}
	return g
}

// Begun is the requests for text so far, ended or not.
func (e *Engine) Begun() (g []*Request) {
	for _, r := range e.Requests() {
		e.mu.Lock()
		if r.generates {
			g = append(g, r)
		}
		e.mu.Unlock()
	}
	return g
}

// Running is how many requests are worked on.
func (e *Engine) Running() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running)
}

// Most is the greatest number of requests that were worked on at a time.
func (e *Engine) Most() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.most
}

// Forget drops the record.
func (e *Engine) Forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = nil
}

// Controls counts the control tokens that a request's prompt had.
func (r *Request) Controls() (n int) {
	for _, t := range r.Read {
		if t.Control {
			n++
		}
	}
	return n
}

// A kind is what distinguishes one family's fake.
type kind struct {
	completes, chats bool
	recommended      bool // takes what the model's file recommends

	server  string            // header Server
	headers map[string]string // others
	routes  func(e *Engine, m *routes)
	fail    func(w http.ResponseWriter, f refusal) // writes an error in the engine's shape
	missing func(w http.ResponseWriter, r *http.Request)
	keyed   func(*http.Request) string // the key that a request has; nil: a bearer token
	open    []string                   // paths that need no key
}

// A refusal is an error that the engine answers with. Each kind writes it in
// its own shape.
type refusal struct {
	status  int
	kind    string // the engine's own word for it, or ""
	field   string
	message string
	more    map[string]any
	path    string // of the request
}

func (f *refusal) Error() string { return f.message }

func refuse(status int, field, format string, args ...any) *refusal {
	return &refusal{status: status, field: field, message: fmt.Sprintf(format, args...)}
}

// routes collects what a fake answers.
type routes struct {
	e     *Engine
	exact map[string]http.HandlerFunc // "GET /path"
}

func (m *routes) get(path string, answer func(*http.Request) any) {
	m.exact["GET "+path] = func(w http.ResponseWriter, r *http.Request) { writeJSON(w, 200, answer(r)) }
}

func (m *routes) handle(pattern string, h http.HandlerFunc) { m.exact[pattern] = h }

// post answers a JSON body with a JSON body.
func (m *routes) post(path string, answer func(*Request) (any, error)) {
	m.exact["POST "+path] = func(w http.ResponseWriter, r *http.Request) {
		req := requestOf(r)
		if f := decode(req); f != nil {
			m.e.refuse(w, req, f)
			return
		}
		v, err := answer(req)
		if err != nil {
			m.e.refuse(w, req, err)
			return
		}
		writeJSON(w, 200, v)
	}
}

// generate is a route that generates.
func (m *routes) generate(path string, run func(*exchange) error) {
	m.exact["POST "+path] = func(w http.ResponseWriter, r *http.Request) {
		req := requestOf(r)
		m.e.mu.Lock()
		req.generates = true
		m.e.running[req] = true
		m.e.most = max(m.e.most, len(m.e.running))
		m.e.mu.Unlock()
		defer func() {
			m.e.mu.Lock()
			delete(m.e.running, req)
			m.e.mu.Unlock()
		}()
		x := &exchange{e: m.e, req: req, w: w, r: r}
		if f := decode(req); f != nil {
			m.e.refuse(w, req, f)
			return
		}
		if err := run(x); err != nil {
			x.failed(err)
		}
	}
}

func (e *Engine) handler() http.Handler {
	m := &routes{e: e, exact: map[string]http.HandlerFunc{}}
	e.kind.routes(e, m)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := newRequest(r)
		r = withRequest(r, req)
		e.mu.Lock()
		e.requests = append(e.requests, req)
		e.mu.Unlock()
		out := &statusWriter{ResponseWriter: w}
		defer func() {
			req.Status = out.status
			(&exchange{e: e, req: req}).came(Answered)
			close(req.Ended)
		}()
		if e.kind.server != "" {
			out.Header().Set("Server", e.kind.server)
		}
		for name, value := range e.kind.headers {
			out.Header().Set(name, value)
		}
		if !e.admits(r) {
			e.refuse(out, req, &refusal{status: 401, kind: "authentication_error", message: "Invalid API Key"})
			return
		}
		h := m.exact[r.Method+" "+r.URL.Path]
		if h == nil && r.Method == http.MethodHead {
			h = m.exact["GET "+r.URL.Path]
		}
		if h == nil {
			(&exchange{e: e, req: req}).came(Refused)
			e.kind.missing(out, r)
			return
		}
		h(out, r)
	})
}

func (e *Engine) admits(r *http.Request) bool {
	if e.o.Key == "" || slices.Contains(e.kind.open, r.URL.Path) {
		return true
	}
	if e.kind.keyed != nil {
		return e.kind.keyed(r) == e.o.Key
	}
	return r.Header.Get("Authorization") == "Bearer "+e.o.Key
}

func (e *Engine) refuse(w http.ResponseWriter, req *Request, err error) {
	(&exchange{e: e, req: req}).came(Refused)
	f, ok := err.(*refusal)
	if !ok {
		f = &refusal{status: 500, message: err.Error()}
	}
	told := *f
	told.path = req.Path
	e.kind.fail(w, told)
}

// remember notes a prompt and gives how much of it was there already.
func (e *Engine) remember(tokens []llm.Token) (cached int) {
	ids := make([]int, len(tokens))
	for i, t := range tokens {
		ids[i] = t.ID
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, old := range e.read {
		n := 0
		for n < len(old) && n < len(ids)-1 && old[n] == ids[n] {
			n++
		}
		cached = max(cached, n)
	}
	e.read = append(e.read, ids)
	return cached
}

// abortAll ends the requests that have the genkey, or all where it is "", and
// reports whether there was one.
func (e *Engine) abortAll(genkey string) (some bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for r := range e.running {
		if r.abort != nil && (genkey == "" || r.genkey == genkey) {
			r.abort()
			some = true
		}
	}
	return some
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func writeText(w http.ResponseWriter, status int, contentType, text string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write([]byte(text))
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = 200
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func bearer(r *http.Request) string {
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return key
}
