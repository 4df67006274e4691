package grammar

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"parley/internal/limits"
)

// not gives, as alternatives, what is not valid under a schema: what breaks one
// of its keywords. Keywords of which that cannot be said are errors.
func (s *schema) not(v *value) ([]*way, error) {
	switch {
	case v.kind == 'b' && v.truth:
		return nil, nil
	case v.kind == 'b':
		return []*way{anything()}, nil
	case v.kind != '{':
		return nil, fmt.Errorf("a schema is an object, true or false, not %s", v)
	}
	s.negations++
	defer func() { s.negations-- }()
	if err := limits.GrammarDepth.CheckInt(s.negations); err != nil {
		return nil, err
	}
	var out []*way
	for _, m := range v.members {
		ways, err := s.breaks(m, v)
		if err != nil {
			return nil, under(m.name, err)
		}
		if out = append(out, ways...); limits.GrammarChoices.CheckInt(len(out)) != nil {
			return nil, limits.GrammarChoices.CheckInt(len(out))
		}
	}
	return out, nil
}

// breaks gives what breaks a keyword of a schema.
func (s *schema) breaks(m member, of *value) ([]*way, error) {
	v := m.value
	switch m.name {
	case "not":
		return s.expand(v)
	case "$ref":
		return s.followed(m, s.not)
	case "anyOf":
		out := []*way{anything()}
		err := eachSchema(v, func(x *value) error {
			none, err := s.not(x)
			if err == nil {
				out, err = product(out, none)
			}
			return err
		})
		return out, err
	case "allOf":
		var out []*way
		err := eachSchema(v, func(x *value) error {
			none, err := s.not(x)
			out = append(out, none...)
			return err
		})
		return out, err
	case "type":
		w := anything()
		if err := w.takeType(v); err != nil {
			return nil, err
		}
		if w.types&typeNumber == typeWhole {
			return nil, fmt.Errorf("not of type integer is not supported")
		}
		w.types = typeAny &^ w.types
		return []*way{w}, nil
	case "const", "enum":
		return notAmong(m)
	case "required":
		w := anything()
		if err := w.takeRequired(v); err != nil {
			return nil, err
		}
		var out []*way
		for _, name := range w.required {
			without := of1(typeObject)
			without.properties = []property{{name, schemas{{kind: 'b'}}}}
			out = append(out, without)
		}
		return out, nil
	case "properties":
		if v.kind != '{' {
			return nil, fmt.Errorf("properties are an object")
		}
		var out []*way
		for _, p := range v.members {
			with := of1(typeObject)
			with.required = []string{p.name}
			with.properties = []property{{p.name, schemas{{kind: '{', members: []member{{"not", p.value}}}}}}
			out = append(out, with)
		}
		return out, nil
	case "minLength", "maxLength", "minItems", "maxItems":
		return beyondCount(m.name, v)
	case "minimum", "maximum":
		if of.get("exclusiveMinimum").isTrue() || of.get("exclusiveMaximum").isTrue() {
			return nil, fmt.Errorf("not with a bound of draft 4 is not supported")
		}
		w := of1(typeNumber)
		other := map[string]string{"minimum": "exclusiveMaximum", "maximum": "exclusiveMinimum"}[m.name]
		_, err := w.take(member{other, v}, &value{kind: '{'})
		return []*way{w}, err
	}
	if slices.Contains(ignored, m.name) {
		return nil, nil
	}
	return nil, fmt.Errorf("not with the keyword %q is not supported", m.name)
}

// of1 is anything of some types.
func of1(t types) *way {
	w := anything()
	w.types = t
	return w
}

// eachSchema goes through a list of schemas, of which there is one at least.
func eachSchema(v *value, each func(*value) error) error {
	if v.kind != '[' || len(v.items) == 0 {
		return fmt.Errorf("it is a list of schemas")
	}
	for i, x := range v.items {
		if err := each(x); err != nil {
			return under(strconv.Itoa(i), err)
		}
	}
	return nil
}

// notAmong is what is none of some constants, which can be said of true, false
// and null.
func notAmong(m member) ([]*way, error) {
	list := []*value{m.value}
	if m.name == "enum" {
		if m.value.kind != '[' {
			return nil, fmt.Errorf("enum is a list")
		}
		list = m.value.items
	}
	w, truth := anything(), []*value{{kind: 'b', truth: true}, {kind: 'b'}}
	for _, x := range list {
		switch x.kind {
		case 'n':
			w.types &^= typeNull
		case 'b':
			w.types &^= typeBoolean
			truth = slices.DeleteFunc(truth, func(t *value) bool { return t.truth == x.truth })
		default:
			return nil, fmt.Errorf("not with a constant other than true, false and null is not supported")
		}
	}
	out := []*way{w}
	if w.types&typeBoolean == 0 && len(truth) > 0 {
		left := of1(typeBoolean)
		left.limited, left.constant = true, truth
		out = append(out, left)
	}
	return out, nil
}

// beyondCount is what has too few or too many of something.
func beyondCount(name string, v *value) ([]*way, error) {
	n, err := count(v)
	if err != nil {
		return nil, err
	}
	t, other, beyond := typeString, map[string]string{"minLength": "maxLength", "maxLength": "minLength", "minItems": "maxItems", "maxItems": "minItems"}[name], n-1
	if name == "minItems" || name == "maxItems" {
		t = typeArray
	}
	if name == "maxLength" || name == "maxItems" {
		beyond = n + 1
	}
	if beyond < 0 {
		return nil, nil
	}
	w := of1(t)
	_, err = w.take(member{other, &value{kind: '#', number: json.Number(strconv.Itoa(beyond))}}, &value{kind: '{'})
	return []*way{w}, err
}
