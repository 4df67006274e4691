package server

import (
	"net/http"
	"path"
	"slices"
	"strings"

	"parley/internal/apikey"
	"parley/internal/openai"
)

// A Dialect is a set of routes that clients of one kind look for.
type Dialect string

// The dialects. Health is part of every face.
const (
	OpenAI    Dialect = "openai"
	Responses Dialect = "responses" // OpenAI's later API
	Native    Dialect = "parley"
	Anthropic Dialect = "anthropic"
	Ollama    Dialect = "ollama"
	LlamaCPP  Dialect = "llamacpp"
	Kobold    Dialect = "kobold"
	Textgen   Dialect = "textgen"
	Health    Dialect = "health"
)

// A Face is what a listener looks like: which dialects it speaks, and on
// which ports clients expect it. Clients recognise a server by the paths that
// answer, so a path that is not the face's is a real 404.
type Face struct {
	Name     string
	Ports    []int // where its clients look by default
	Dialects []Dialect
}

// Faces are all that there are; the first is Parley's own and has everything.
var Faces = []Face{
	{Name: "parley", Ports: []int{7275}, Dialects: []Dialect{OpenAI, Responses, Anthropic, Ollama, LlamaCPP, Kobold, Textgen, Native}},
	{Name: "openai", Ports: []int{7275}, Dialects: []Dialect{OpenAI, Responses}},
	{Name: "anthropic", Ports: []int{7275}, Dialects: []Dialect{Anthropic, OpenAI, Responses}},
	{Name: "ollama", Ports: []int{11434}, Dialects: []Dialect{Ollama, OpenAI, Responses, Anthropic}},
	{Name: "llamacpp", Ports: []int{8080}, Dialects: []Dialect{LlamaCPP, OpenAI, Responses, Anthropic}},
	{Name: "koboldcpp", Ports: []int{5001}, Dialects: []Dialect{Kobold, OpenAI}},
	{Name: "textgen", Ports: []int{5000, 5005}, Dialects: []Dialect{Textgen, OpenAI, Anthropic}},
	{Name: "mlc", Ports: []int{8000}, Dialects: []Dialect{OpenAI}},
}

// Own is the face that has every dialect.
var Own = Faces[0]

// FaceNamed finds a face.
func FaceNamed(name string) (Face, bool) {
	i := slices.IndexFunc(Faces, func(f Face) bool { return f.Name == name })
	if i < 0 {
		return Face{}, false
	}
	return Faces[i], true
}

// A route is one line of the server's contract. A path that ends in "/" has
// one more part, which may itself contain slashes (the id of a model). A part
// "*" stands for any one part.
type route struct {
	dialect Dialect
	method  string // GET includes HEAD
	path    string
	scope   apikey.Scope // what a key must be good for, where keys are asked for
	work    bool         // counts as a request of its client and is drained at shutdown
	handle  func(*Server, http.ResponseWriter, *http.Request) error
}

// What a route asks of a key. A route without one of these is closed to all.
const (
	forReaders = apikey.Read
	forChat    = apikey.Chat
	forAdmins  = apikey.Admin
	forAnyone  = apikey.Scope(1 << 7) // needs no key
)

// routes are those of all dialects.
var routes = slices.Concat(openaiRoutes, responsesRoutes, anthropicRoutes, ollamaRoutes, llamaRoutes, koboldRoutes, textgenRoutes, nativeRoutes, sessionRoutes, healthRoutes)

var healthRoutes = []route{
	{Health, "GET", "/healthz", forAnyone, false, (*Server).healthz},
	{Health, "GET", "/readyz", forAnyone, false, (*Server).readyz},
	{Health, "GET", "/metrics", forReaders, false, (*Server).serveMetrics},
	{Health, "GET", "/debug/pprof", forAdmins, false, (*Server).profiles},
	{Health, "GET", "/debug/pprof/", forAdmins, false, (*Server).profiles},
	{Health, "GET", "/", forAnyone, false, (*Server).home},
}

// clean is a path without doubled and trailing slashes: they come from base
// URLs that were put together carelessly and mean nothing.
func clean(p string) string { return path.Clean("/" + p) }

// match finds the routes of a path.
func (f Face) match(p string) (found []route) {
	p = clean(p)
	for _, r := range routes {
		if r.dialect != Health && !slices.Contains(f.Dialects, r.dialect) {
			continue
		}
		if r.fits(p) {
			found = append(found, r)
		}
	}
	return found
}

func (r route) fits(p string) bool {
	if strings.Contains(r.path, "*") {
		want, have := strings.Split(r.path, "/"), strings.Split(p, "/")
		return slices.EqualFunc(want, have, func(w, h string) bool { return w == h || w == "*" })
	}
	rest, below := strings.CutPrefix(p, r.path)
	return p == r.path || below && rest != "" && r.path != "/" && strings.HasSuffix(r.path, "/")
}

// route finds the handler of a request, checks the key and the limits, and
// turns an error of the handler into a response.
func (s *Server) route(f Face) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := f.match(r.URL.Path)
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		i := slices.IndexFunc(found, func(x route) bool { return x.method == method })
		if i >= 0 {
			noteRoute(w, found[i])
		}
		need := apikey.All // of which a key has some: nobody else learns what there is
		if i >= 0 {
			need = found[i].scope
		}
		key, err := s.authorize(r, need)
		if err != nil {
			if err.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			s.problem(w, r, *err)
			return
		}
		noteKey(w, key)
		switch {
		case len(found) == 0:
			s.problem(w, r, openai.Problem(*nothingAt(r)))
			return
		case i < 0:
			allow := methods(found)
			w.Header().Set("Allow", allow)
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			s.problem(w, r, openai.Problem{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
				Message: printable(r.URL.Path) + " takes " + allow + ", not " + printable(r.Method)})
			return
		}
		if found[i].work {
			asking, leave, err := s.admit(r, recorderOf(r.Context()))
			if err != nil {
				s.fail(w, r, err)
				return
			}
			defer leave()
			r = asking
		}
		if err := found[i].handle(s, w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

func methods(found []route) string {
	var all []string
	for _, r := range found {
		all = append(all, r.method)
		if r.method == http.MethodGet {
			all = append(all, http.MethodHead)
		}
	}
	return strings.Join(append(all, http.MethodOptions), ", ")
}

// printable is text of a client for a sentence or a log: short, on one line.
func printable(s string) string {
	const longest = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '.'
		}
		return r
	}, strings.ToValidUTF8(s, "."))
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "…"
	}
	return s
}
