package grammar

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"parley/internal/limits"
)

// Schema is the language of the JSON texts that a JSON schema (draft 2020-12,
// and what draft 7 spells differently) allows, in one canonical form:
//
//   - properties stand in the schema's order; those that it does not name come
//     behind, and only where additionalProperties is given or the schema names
//     none; their names have no escapes
//   - behind { [ : and , and before } and ] stands nothing, a space, or a line
//     feed and at most 40 spaces and tabs; before the whole, nothing, a space or
//     a line feed; behind it nothing
//   - numbers have at most 20 digits before the point, 20 behind, and an
//     exponent of at most 2; those of a bounded range have none
//   - strings have the escapes \" \\ \/ \b \f \n \r \t and \uXXXX for all but
//     surrogates; those of a pattern, a format or a constant only where they
//     must
//
// Everything in the language is valid under the schema. A keyword that is not
// supported, and a combination that is not, is an error that names it and its
// place as a JSON pointer. Words that no draft knows say nothing, as the
// specification has it; the grammar lists them.
func Schema(source []byte) (*Grammar, error) {
	if err := limits.GrammarBytes.CheckInt(len(source)); err != nil {
		return nil, err
	}
	root, err := parseJSON(source)
	if err != nil {
		return nil, fmt.Errorf("the schema is no valid JSON: %w", err)
	}
	return newSchema(root, new(definition)).grammar(root)
}

// JSON is the language of all JSON objects, in the same form.
func JSON() (*Grammar, error) { return Schema([]byte(`{"type": "object"}`)) }

// A schema is a JSON schema while it is being made into rules.
type schema struct {
	root   *value
	d      *definition
	known  map[string]ref // rules by the schemas that hold at once
	common map[string]ref // rules by name
	chain  []string       // references being followed
	spaces ref
	words  *[]string // that no draft knows

	negations int // of those inside of each other that are being read
}

func newSchema(root *value, d *definition) *schema {
	s := &schema{root: root, d: d, known: map[string]ref{}, common: map[string]ref{}, words: new([]string)}
	s.spaces = s.d.define("space", alt{nothing, text(" "), seq{text("\n"), repeat{alt{text(" "), text("\t")}, 0, 40}}})
	return s
}

func (s *schema) grammar(v *value) (*Grammar, error) {
	r, err := s.all([]*value{v})
	if err != nil {
		return nil, err
	}
	g, err := s.d.compile(s.document(r))
	if err == nil {
		g.Ignored = *s.words
	}
	return g, err
}

// document is a whole text, with the white space that may stand before it.
func (s *schema) document(r ref) ref {
	return s.d.define("document", seq{optional(alt{text(" "), text("\n")}), r})
}

// A place is an error's place in a schema.
type placeError struct {
	path string
	err  error
}

func (e *placeError) Error() string {
	if e.path == "" {
		return e.err.Error()
	}
	return "at " + e.path + ": " + e.err.Error()
}

func (e *placeError) Unwrap() error { return e.err }

// under adds a step to the place of an error.
func under(step string, err error) error {
	step = "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
	if e, ok := err.(*placeError); ok {
		return &placeError{step + e.path, e.err}
	}
	return &placeError{step, err}
}

// all is the rule for what is valid under all of some schemas.
func (s *schema) all(conj []*value) (ref, error) {
	key := keyOf(conj)
	if r, ok := s.known[key]; ok {
		return r, nil
	}
	r := s.d.rule("schema " + strconv.Itoa(len(s.known)))
	s.known[key] = r
	ways, err := s.ways(conj)
	if err != nil {
		return 0, err
	}
	var e alt
	for _, w := range ways {
		one, err := s.way(w)
		if err != nil {
			return 0, err
		}
		e = append(e, one)
	}
	s.d.rules[r] = e
	return r, nil
}

func keyOf(conj []*value) string {
	texts := make([]string, 0, len(conj))
	for _, v := range conj {
		if t := v.String(); !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "\n")
}

// ways gives what is valid under all of some schemas as alternatives.
func (s *schema) ways(conj []*value) ([]*way, error) {
	ways := []*way{anything()}
	for _, v := range conj {
		more, err := s.expand(v)
		if err != nil {
			return nil, err
		}
		if ways, err = product(ways, more); err != nil {
			return nil, err
		}
	}
	return ways, nil
}

// product joins each of some alternatives with each of others, and leaves out
// what no value can be.
func product(a, b []*way) ([]*way, error) {
	if err := limits.GrammarChoices.CheckInt(len(a) * len(b)); err != nil {
		return nil, fmt.Errorf("too many combinations of anyOf, oneOf and allOf: %w", err)
	}
	var out []*way
	for _, x := range a {
		for _, y := range b {
			z := join(x, y)
			if z.types != 0 {
				out = append(out, z)
			}
		}
	}
	return out, nil
}

// ignored are keywords that say nothing of what is valid.
var ignored = []string{
	"$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$comment", "$defs", "definitions", "$vocabulary",
	"title", "description", "default", "examples", "example", "readOnly", "writeOnly", "deprecated", "contentEncoding",
	"contentMediaType", "contentSchema",
}

// unsupported are keywords that say something that a text is not held to.
var unsupported = []string{
	"if", "patternProperties", "propertyNames", "contains", "minContains", "maxContains", "unevaluatedItems",
	"unevaluatedProperties", "dependentSchemas", "$dynamicRef", "$recursiveRef", "extends", "disallow", "divisibleBy",
}

// expand gives the alternatives of one schema.
func (s *schema) expand(v *value) ([]*way, error) {
	switch {
	case v.kind == 'b' && v.truth:
		return []*way{anything()}, nil
	case v.kind == 'b':
		return nil, nil
	case v.kind != '{':
		return nil, fmt.Errorf("a schema is an object, true or false, not %s", v)
	}
	own := anything()
	var combined [][]*way
	for _, m := range v.members {
		ways, err := s.keyword(own, v, m)
		if err != nil {
			return nil, under(m.name, err)
		}
		if ways != nil {
			combined = append(combined, *ways)
		}
	}
	if err := own.settle(v); err != nil {
		return nil, err
	}
	ways := []*way{own}
	for _, more := range combined {
		var err error
		if ways, err = product(ways, more); err != nil {
			return nil, err
		}
	}
	return ways, nil
}

// keyword takes a member of a schema into own, or gives the alternatives that
// it stands for.
func (s *schema) keyword(own *way, v *value, m member) (*[]*way, error) {
	switch m.name {
	case "$ref":
		return s.follow(m)
	case "allOf", "anyOf", "oneOf":
		return s.combine(m)
	case "dependentRequired", "dependencies":
		return s.depend(m)
	case "not":
		ways, err := s.not(m.value)
		return &ways, err
	}
	if slices.Contains(ignored, m.name) {
		return nil, nil
	}
	if slices.Contains(unsupported, m.name) {
		return nil, fmt.Errorf("the keyword %q is not supported", m.name)
	}
	known, err := own.take(m, v)
	if !known && !slices.Contains(*s.words, m.name) && len(*s.words) < limits.IgnoredFields.Int() {
		*s.words = append(*s.words, m.name)
	}
	return nil, err
}

// depend gives the alternatives of properties that others have to stand
// beside: each is not there, or they are there, too.
func (s *schema) depend(m member) (*[]*way, error) {
	if m.value.kind != '{' {
		return nil, fmt.Errorf("%s is an object", m.name)
	}
	out := []*way{anything()}
	for _, d := range m.value.members {
		if d.value.kind != '[' {
			return nil, under(d.name, fmt.Errorf("only lists of names are supported"))
		}
		without, with := anything(), anything()
		never := &value{kind: 'b'}
		without.properties = []property{{d.name, schemas{never}}}
		if err := with.takeRequired(&value{kind: '[', items: append([]*value{{kind: 's', text: d.name}}, d.value.items...)}); err != nil {
			return nil, under(d.name, err)
		}
		for _, name := range with.required {
			with.properties = append(with.properties, property{name: name})
		}
		other := anything()
		other.types &^= typeObject
		var err error
		if out, err = product(out, []*way{without, with, other}); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

func (s *schema) follow(m member) (*[]*way, error) {
	ways, err := s.followed(m, s.expand)
	return &ways, err
}

// followed is what a reference leads to, read in one way or another.
func (s *schema) followed(m member, read func(*value) ([]*way, error)) ([]*way, error) {
	if m.value.kind != 's' {
		return nil, fmt.Errorf("a reference is a string")
	}
	where := m.value.text
	if slices.Contains(s.chain, where) {
		return nil, fmt.Errorf("the reference %q leads back to itself", where)
	}
	if err := limits.GrammarDepth.CheckInt(len(s.chain)); err != nil {
		return nil, err
	}
	target, err := s.find(where)
	if err != nil {
		return nil, err
	}
	s.chain = append(s.chain, where)
	ways, err := read(target)
	s.chain = s.chain[:len(s.chain)-1]
	return ways, err
}

// find looks a reference up in the document: "#", "#/a/b" or "#anchor".
func (s *schema) find(where string) (*value, error) {
	fragment, ok := strings.CutPrefix(where, "#")
	if id := s.root.get("$id"); !ok && id != nil && id.kind == 's' && id.text != "" && strings.HasPrefix(where, id.text) {
		fragment, ok = strings.CutPrefix(where[len(id.text):], "#")
		ok = ok || where == id.text
	}
	if !ok {
		return nil, fmt.Errorf("the reference %q leads out of the schema, where nothing is fetched", where)
	}
	if fragment != "" && fragment[0] != '/' {
		if v := anchor(s.root, fragment); v != nil {
			return v, nil
		}
		return nil, fmt.Errorf("the schema has no anchor %q", fragment)
	}
	v := s.root
	for _, step := range strings.Split(fragment, "/")[1:max(1, strings.Count(fragment, "/")+1)] {
		step, err := unescape(step)
		if err != nil {
			return nil, fmt.Errorf("the reference %q: %w", where, err)
		}
		var next *value
		if i, err := strconv.Atoi(step); err == nil && v.kind == '[' && i >= 0 && i < len(v.items) {
			next = v.items[i]
		} else {
			next = v.get(step)
		}
		if next == nil {
			return nil, fmt.Errorf("the reference %q leads to nothing", where)
		}
		v = next
	}
	return v, nil
}

func anchor(v *value, name string) *value {
	if a := v.get("$anchor"); a != nil && a.kind == 's' && a.text == name {
		return v
	}
	for _, m := range v.members {
		if found := anchor(m.value, name); found != nil {
			return found
		}
	}
	for _, x := range v.items {
		if found := anchor(x, name); found != nil {
			return found
		}
	}
	return nil
}

// combine gives the alternatives of allOf, anyOf and oneOf. Where several of
// oneOf might hold at once there is no language to give.
func (s *schema) combine(m member) (*[]*way, error) {
	if m.value.kind != '[' || len(m.value.items) == 0 {
		return nil, fmt.Errorf("%s is a list of schemas", m.name)
	}
	var each [][]*way
	for i, x := range m.value.items {
		ways, err := s.expand(x)
		if err != nil {
			return nil, under(strconv.Itoa(i), err)
		}
		each = append(each, ways)
	}
	var out []*way
	if m.name == "allOf" {
		out = []*way{anything()}
		for _, ways := range each {
			var err error
			if out, err = product(out, ways); err != nil {
				return nil, err
			}
		}
		return &out, nil
	}
	for i, ways := range each {
		for j, others := range each[:i] {
			if m.name == "oneOf" && !s.apart(ways, others) {
				return nil, fmt.Errorf("a value might be valid under both schema %d and schema %d, and no more than one may hold; not supported (write anyOf, or tell them apart by a constant)", j, i)
			}
		}
		out = append(out, ways...)
	}
	if err := limits.GrammarChoices.CheckInt(len(out)); err != nil {
		return nil, err
	}
	return &out, nil
}
