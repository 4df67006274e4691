package llamaswap

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// A reader walks over the file, in its order, and notes what it passes over.
// The first error ends it.
type reader struct {
	config *Config
	env    Env
	macros []macro
	idle   int
	stop   int
	err    error
}

type macro struct{ name, value string }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) note(format string, args ...any) {
	r.config.Notes = append(r.config.Notes, fmt.Sprintf(format, args...))
}

// A section is one table of the file.
type section struct {
	r     *reader
	at    string // "models.llama"
	pairs yaml.MapSlice
	seen  map[string]bool
	fill  func(string) string
}

func (r *reader) section(at string, v any, fill func(string) string) *section {
	s := &section{r: r, at: at, seen: map[string]bool{}, fill: fill}
	switch pairs := v.(type) {
	case yaml.MapSlice:
		s.pairs = pairs
	case nil:
	default:
		r.fail("%s: is no table", at)
	}
	return s
}

// get gives a value, and marks it as read.
func (s *section) get(name string) any {
	s.seen[name] = true
	for _, p := range s.pairs {
		if fmt.Sprint(p.Key) == name {
			return p.Value
		}
	}
	return nil
}

func (s *section) text(name string) string {
	switch v := s.get(name).(type) {
	case nil:
		return ""
	case string:
		return s.fill(v)
	case bool, int, int64, uint64, float64:
		return fmt.Sprint(v)
	default:
		s.r.fail("%s.%s: is no text", s.at, name)
		return ""
	}
}

func (s *section) number(name string, otherwise int) int {
	text := s.text(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 || n > 1<<30 {
		s.r.fail("%s.%s: %q is no number that is understood", s.at, name, text)
	}
	return n
}

func (s *section) flag(name string, otherwise bool) bool {
	switch text := s.text(name); text {
	case "":
		return otherwise
	case "true", "false":
		return text == "true"
	default:
		s.r.fail("%s.%s: %q is neither true nor false", s.at, name, text)
		return false
	}
}

func (s *section) list(name string) (all []string) {
	switch v := s.get(name).(type) {
	case nil:
	case string:
		all = append(all, s.fill(v))
	case []any:
		for _, item := range v {
			switch item.(type) {
			case string, bool, int, int64, uint64, float64:
				all = append(all, s.fill(fmt.Sprint(item)))
			default:
				s.r.fail("%s.%s: is no list of texts", s.at, name)
			}
		}
	default:
		s.r.fail("%s.%s: is no list", s.at, name)
	}
	return all
}

func (s *section) table(name string) *section {
	return s.r.section(s.at+"."+name, s.get(name), s.fill)
}

// rest are the names that nobody has asked for.
func (s *section) rest() (all []string) {
	for _, p := range s.pairs {
		if name := fmt.Sprint(p.Key); !s.seen[name] {
			all = append(all, name)
		}
	}
	return all
}

func (r *reader) root(v yaml.MapSlice) {
	s := r.section("", v, func(s string) string { return r.expand(s, nil) })
	r.macros = r.readMacros(s.table("macros"))
	r.config.StartSeconds = s.number("healthCheckTimeout", 0)
	r.idle = s.number("globalTTL", 0)
	r.stop = s.number("unloadTimeout", 0)
	if keys, is := s.get("apiKeys").([]any); is {
		r.config.Keys = len(keys)
	}
	s.get("startPort") // ports are found, one by one
	models := s.table("models")
	for _, p := range models.pairs {
		r.model(fmt.Sprint(p.Key), p.Value)
	}
	r.routing(s)
	start := s.table("hooks").table("on_startup")
	for _, id := range start.list("preload") {
		if m := r.find(id); m != nil {
			m.Preload = true
		} else {
			r.note("hooks.on_startup.preload: there is no model %q", id)
		}
	}
	peers := s.table("peers")
	for _, p := range peers.pairs {
		r.peer(fmt.Sprint(p.Key), p.Value)
	}
	for _, name := range s.rest() {
		if !strings.HasPrefix(name, "x-") { // a place for anchors
			r.note("%s has no counterpart", name)
		}
	}
}

func (r *reader) find(id string) *Model {
	for i := range r.config.Models {
		if m := &r.config.Models[i]; m.ID == id || slices.Contains(m.Aliases, id) {
			return m
		}
	}
	return nil
}

func (r *reader) model(id string, v any) {
	own := r.section("models."+id, v, func(s string) string { return s })
	macros := append([]macro{{"MODEL_ID", id}}, r.readMacros(own.table("macros"))...)
	s := r.section("models."+id, v, func(s string) string { return r.expand(s, macros) })
	s.seen["macros"], s.seen["cmd"], s.seen["cmdStop"] = true, true, true
	m := Model{ID: id}
	note := func(format string, args ...any) { m.Notes = append(m.Notes, fmt.Sprintf(format, args...)) }

	var err error
	if m.Command, err = splitCommand(r.expand(withoutComments(own.text("cmd")), macros)); err != nil || len(m.Command) == 0 {
		r.fail("models.%s.cmd: is no command: %v", id, err)
	}
	if m.Stop, err = splitCommand(r.expand(withoutComments(own.text("cmdStop")), macros)); err != nil {
		r.fail("models.%s.cmdStop: is no command: %v", id, err)
	}
	m.Env = s.list("env")
	for _, e := range m.Env {
		if name, _, has := strings.Cut(e, "="); !has || name == "" {
			r.fail("models.%s.env: %q is not NAME=value", id, name)
		}
	}
	m.URL = s.text("proxy")
	m.Health = s.text("checkEndpoint")
	if m.Idle = s.number("ttl", -1); m.Idle < 0 {
		m.Idle = r.idle
	}
	if m.StopSeconds = s.number("unloadTimeout", 0); m.StopSeconds == 0 {
		m.StopSeconds = r.stop
	}
	m.StartSeconds = s.number("healthCheckTimeout", 0)
	m.Aliases = s.list("aliases")
	m.Model = s.text("useModelName")
	m.Unlisted = s.flag("unlisted", false)
	m.Parallel = max(0, s.number("concurrencyLimit", 0))
	for _, name := range []string{"name", "description"} {
		if text := s.text(name); text != "" {
			note("%s: %s", name, text)
		}
	}
	if m.Context = s.table("capabilities").number("context", 0); m.Context < 0 {
		m.Context = 0
	}
	filters := s.table("filters")
	strip := filters.text("stripParams") + filters.text("strip_params")
	if strip != "" {
		note("filters.stripParams has no counterpart: what clients send of %s is used", strip)
	}
	set := filters.table("setParams")
	for _, p := range set.pairs {
		value := p.Value
		if text, is := value.(string); is {
			value = s.fill(text)
		}
		m.Set = append(m.Set, Param{fmt.Sprint(p.Key), value})
	}
	for _, name := range filters.rest() {
		note("filters.%s has no counterpart", name)
	}
	for _, name := range s.rest() {
		note("%s has no counterpart", name)
	}
	r.config.Models = append(r.config.Models, m)
}

func (r *reader) peer(id string, v any) {
	s := r.section("peers."+id, v, func(s string) string { return r.expand(s, nil) })
	p := Peer{Name: id, URL: s.text("proxy"), Models: s.list("models")}
	p.Key = s.get("apiKey") != nil
	if p.URL == "" {
		r.fail("peers.%s: has no proxy", id)
	}
	for _, name := range s.rest() {
		r.note("peers.%s.%s has no counterpart", id, name)
	}
	r.config.Peers = append(r.config.Peers, p)
}

// routing reads who may be loaded with whom, where older and newer files say
// it.
func (r *reader) routing(s *section) {
	settings := s.table("routing").table("router").table("settings")
	use := s.table("routing").table("router").text("use")
	groups, matrix := s.table("groups"), s.table("matrix")
	if len(groups.pairs) == 0 {
		groups = settings.table("groups")
	}
	if len(matrix.pairs) == 0 && use == "matrix" {
		matrix = settings.table("matrix")
	}
	if len(matrix.pairs) > 0 {
		r.matrix(matrix)
	} else {
		for _, p := range groups.pairs {
			r.group(fmt.Sprint(p.Key), p.Value)
		}
	}
	r.remaining()
	priorities := s.table("routing").table("scheduler").table("settings").table("fifo").table("priority")
	for _, p := range priorities.pairs {
		m := r.find(fmt.Sprint(p.Key))
		if m == nil {
			r.note("priority: there is no model %q", fmt.Sprint(p.Key))
			continue
		}
		m.Priority = priorities.number(fmt.Sprint(p.Key), 0)
	}
}

func (r *reader) group(name string, v any) {
	s := r.section("groups."+name, v, func(s string) string { return r.expand(s, nil) })
	g := Group{
		Name: name, Swap: s.flag("swap", true), Exclusive: s.flag("exclusive", true), Keep: s.flag("persistent", false),
	}
	for _, id := range s.list("members") {
		if r.find(id) == nil {
			r.note("groups.%s: there is no model %q", name, id)
			continue
		}
		g.Members = append(g.Members, id)
	}
	r.config.Groups = append(r.config.Groups, g)
}

// remaining puts the models that no group has into one of their own, in which
// one is loaded at a time and no other beside it.
func (r *reader) remaining() {
	rest := Group{Name: "default", Swap: true, Exclusive: true}
	for i := range r.config.Models {
		id := r.config.Models[i].ID
		if !slices.ContainsFunc(r.config.Groups, func(g Group) bool { return slices.Contains(g.Members, id) }) {
			rest.Members = append(rest.Members, id)
		}
	}
	for slices.ContainsFunc(r.config.Groups, func(g Group) bool { return g.Name == rest.Name }) {
		rest.Name += "-"
	}
	if len(rest.Members) > 0 {
		r.config.Groups = append(r.config.Groups, rest)
	}
}

func (r *reader) readMacros(s *section) (all []macro) {
	for _, p := range s.pairs {
		name := fmt.Sprint(p.Key)
		switch p.Value.(type) {
		case string, bool, int, int64, uint64, float64:
		default:
			r.fail("%s.%s: a macro is a text, a number or a truth value", s.at, name)
			continue
		}
		all = append(all, macro{name, fmt.Sprint(p.Value)})
	}
	return all
}

var macroPattern = regexp.MustCompile(`\$\{([a-zA-Z0-9_.-]+)\}`)

// expand fills in macros: those of the environment, of a model, and of all.
// A macro may use others.
func (r *reader) expand(text string, own []macro) string {
	const deepest = 16
	for range deepest {
		if !macroPattern.MatchString(text) {
			return text
		}
		before := text
		text = macroPattern.ReplaceAllStringFunc(text, func(mark string) string {
			return r.value(mark, mark[2:len(mark)-1], own)
		})
		if len(text) > mostText {
			r.fail("a value is longer than %d bytes when its macros are filled in", mostText)
			return ""
		}
		if text == before {
			return text
		}
	}
	r.fail("macros use each other without end: %.60s", text)
	return ""
}

func (r *reader) value(mark, name string, own []macro) string {
	switch name {
	case "PORT":
		return "{port}"
	case "PID":
		return "{pid}"
	}
	if variable, is := strings.CutPrefix(name, "env."); is {
		value, found := r.env(variable)
		if !found {
			r.fail("the environment has no %s, which the file uses", variable)
		}
		if note := fmt.Sprintf("${env.%s} was filled in from the environment", variable); !slices.Contains(r.config.Notes, note) {
			r.note("%s", note)
		}
		return value
	}
	for _, list := range [][]macro{own, r.macros} {
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].name == name {
				return list[i].value
			}
		}
	}
	return mark // not ours: ${x} may be the program's own
}
