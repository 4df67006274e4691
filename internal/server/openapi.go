package server

import (
	_ "embed"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"parley/internal/wire"
	"parley/llm"
)

//go:embed openapi.json
var openAPIDocument []byte

// openAPI answers with the description of the routes of sessions and of what
// they are made of.
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, r, http.StatusOK, openAPIDocument)
}

// asDescribed makes routes refuse parameters of the query that their description does not
// have: a filter whose name is misspelt would let everything through.
func asDescribed(routes []route) []route {
	for i := range routes {
		r := &routes[i]
		name, handle := r.method+" "+r.path, r.handle
		r.handle = func(s *Server, w http.ResponseWriter, req *http.Request) error {
			known := queryParameters()[name]
			for _, p := range slices.Sorted(maps.Keys(req.URL.Query())) {
				if slices.Contains(known, p) {
					continue
				}
				e := llm.Errorf(llm.Invalid, wire.Short(p), "there is no such parameter here")
				if e.Hint = "this route has none"; len(known) > 0 {
					e.Hint = "there is " + strings.Join(known, ", ")
				}
				return e
			}
			return handle(s, w, req)
		}
	}
	return routes
}

// queryParameters are those of each route, by its method and path.
var queryParameters = sync.OnceValue(func() map[string][]string {
	var d struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	all, variable := map[string][]string{}, regexp.MustCompile(`{\w+}`)
	if json.Unmarshal(openAPIDocument, &d) != nil {
		return all // its test says so
	}
	for path, methods := range d.Paths {
		for method, data := range methods {
			var o struct {
				Parameters []struct{ Name, In string } `json:"parameters"`
			}
			if method == "parameters" || json.Unmarshal(data, &o) != nil {
				continue
			}
			name := strings.ToUpper(method) + " " + variable.ReplaceAllString(path, "*")
			for _, p := range o.Parameters {
				if p.In == "query" {
					all[name] = append(all[name], p.Name)
				}
			}
		}
	}
	return all
})
