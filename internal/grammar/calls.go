package grammar

import (
	"fmt"
	"unicode/utf8"

	"parley/internal/limits"
)

// A Call is a text with a JSON object behind it, as models write calls of
// functions.
type Call struct {
	Before string
	Schema []byte // of the object
}

// Calls is the language of one of some calls. Where a schema cannot be held
// to, any object does; unheld says why, by the index of the call.
func Calls(calls []Call) (g *Grammar, unheld map[int]error, err error) {
	if len(calls) == 0 {
		return nil, nil, fmt.Errorf("there is nothing to call")
	}
	if err := limits.GrammarChoices.CheckInt(len(calls)); err != nil {
		return nil, nil, err
	}
	unheld = map[int]error{}
	var d definition
	object := &value{kind: '{', members: []member{{"type", &value{kind: 's', text: "object"}}}}
	free := newSchema(object, &d)
	anyObject, err := free.all([]*value{object})
	if err != nil {
		return nil, nil, err
	}
	anyObject = free.document(anyObject)
	var all alt
	for i, c := range calls {
		if !utf8.ValidString(c.Before) {
			return nil, nil, fmt.Errorf("the text %q before a call is no valid UTF-8", c.Before)
		}
		arguments, err := c.arguments(object, &d)
		if err != nil {
			unheld[i], arguments = err, anyObject
		}
		all = append(all, seq{text(c.Before), arguments})
	}
	g, err = d.compile(d.define("call", all))
	return g, unheld, err
}

// arguments is the rule for what is an object and valid under the schema. What
// has no such object is an error.
func (c Call) arguments(object *value, d *definition) (ref, error) {
	if err := limits.GrammarBytes.CheckInt(len(c.Schema)); err != nil {
		return 0, err
	}
	root, err := parseJSON(c.Schema)
	if err != nil {
		return 0, fmt.Errorf("the schema is no valid JSON: %w", err)
	}
	alone := newSchema(root, new(definition))
	r, err := alone.all([]*value{object, root})
	if err != nil {
		return 0, err
	}
	if _, err := alone.d.compile(alone.document(r)); err != nil {
		return 0, err
	}
	s := newSchema(root, d)
	if r, err = s.all([]*value{object, root}); err != nil {
		return 0, err
	}
	return s.document(r), nil
}
