package chatformat

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// tags are arguments that each stand between marks:
//
//	open KEY middle VALUE close   …   end
type tags struct {
	open, middle, close string
	// valueOpen stands between middle and the value, with white space before it.
	valueOpen string
	// kind stands between key and middle where the mark tells whether the value
	// is a string: kind true middle or kind false middle.
	kind string
	// padded says that one line break on either side of a value is not its own.
	padded bool
	// cdata says that a value may be wrapped as XML has it, closing mark and all.
	cdata bool
	// end are the texts of which one comes behind the last argument. The first
	// one is taken, others are left for what follows.
	end []string
}

type tagsState struct {
	keys   []string
	string stringPlace // where in a string that is passed on as it comes
}

type stringPlace uint8

const (
	outside stringPlace = iota
	stringBegin
	inside
)

// arguments reads all of them. A string is passed on as it comes. Another value
// is taken whole: what it becomes may depend on its last character.
func (t tags) arguments(c *call, text string, last bool) (n int, s status) {
	state := scratch[tagsState](c)
	for {
		if state.string != outside {
			size, s := t.continued(c, state, text[n:], last)
			if n += size; s != done {
				return n, s
			}
		}
		at := n + spaces(text[n:])
		rest := text[at:]
		for i, end := range t.end {
			switch {
			case strings.HasPrefix(rest, end):
				if !t.begin(c) {
					return n, broken
				}
				c.argue("}")
				if i == 0 {
					at += len(end)
				}
				return at, done
			case strings.HasPrefix(end, rest):
				return n, wait(last)
			}
		}
		if !strings.HasPrefix(rest, t.open) {
			if strings.HasPrefix(t.open, rest) {
				return n, wait(last)
			}
			return n, broken
		}
		if !t.begin(c) {
			return n, broken
		}
		key, kind, size, s := t.head(rest, last)
		if s != done {
			return n, s
		}
		if slices.Contains(state.keys, key) {
			return n, broken
		}
		before := quoteJSON(key) + ": "
		if len(state.keys) > 0 {
			before = ", " + before
		}
		types := argumentTypes(c.tools.schemas[c.name], key)
		if !t.cdata && isString(types, kind) {
			c.argue(before + `"`)
			state.string = stringBegin
		} else {
			value, valueSize, s := t.value(types, kind, rest[size:], last)
			if s != done {
				return n, s
			}
			c.argue(before + value)
			size += valueSize
		}
		state.keys = append(state.keys, key)
		n = at + size
	}
}

// begin gives the call and the bracket around its arguments away, once.
func (t tags) begin(c *call) bool {
	if c.begun {
		return true
	}
	if !c.begin() {
		return false
	}
	c.argue("{")
	return true
}

// head reads what stands before a value. n is its length.
func (t tags) head(text string, last bool) (key, kind string, n int, s status) {
	head, rest, s := until(text[len(t.open):], t.middle, last)
	if s != done {
		return "", "", 0, s
	}
	key = head
	if t.kind != "" {
		key, kind, _ = strings.Cut(head, t.kind)
	}
	if t.valueOpen != "" {
		rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		value, ok := strings.CutPrefix(rest, t.valueOpen)
		switch {
		case !ok && strings.HasPrefix(t.valueOpen, rest):
			return "", "", 0, wait(last)
		case !ok:
			return "", "", 0, broken
		}
		rest = value
	}
	return strings.TrimSpace(key), kind, len(text) - len(rest), done
}

// value reads a whole value and its closing mark, as JSON.
func (t tags) value(types map[string]bool, kind, text string, last bool) (value string, n int, s status) {
	raw, rest := text, text
	if inner, ok := strings.CutPrefix(strings.TrimLeftFunc(text, unicode.IsSpace), cdataOpen); ok && t.cdata {
		if raw, rest, s = until(inner, cdataClose, last); s != done {
			return "", 0, s
		}
		_, rest, s = until(rest, t.close, last)
	} else {
		raw, rest, s = until(text, t.close, last)
		if t.padded {
			raw = strings.TrimPrefix(raw, "\n")
			raw = strings.TrimSuffix(raw, "\n")
		}
	}
	if s != done {
		return "", 0, s
	}
	return convert(raw, kind, types), len(text) - len(rest), done
}

// continued goes on with a string, up to its closing mark. What may be the
// beginning of the mark, and a line break before it, is held back.
func (t tags) continued(c *call, state *tagsState, text string, last bool) (n int, s status) {
	if state.string == stringBegin {
		if text == "" {
			return 0, wait(last)
		}
		if t.padded && text[0] == '\n' {
			n = 1
		}
		state.string = inside
	}
	value, _, found := strings.Cut(text[n:], t.close)
	size := len(value)
	if !found {
		size -= overlap(value, t.close)
	}
	if t.padded && strings.HasSuffix(value[:size], "\n") {
		size--
	}
	quoted := quoteJSON(value[:size])
	c.argue(quoted[1 : len(quoted)-1])
	if !found {
		return n + size, wait(last)
	}
	c.argue(`"`)
	state.string = outside
	return n + len(value) + len(t.close), done
}

const (
	cdataOpen  = "<![CDATA["
	cdataClose = "]]>"
)

// until divides text at a mark.
func until(text, mark string, last bool) (before, after string, s status) {
	before, after, found := strings.Cut(text, mark)
	if !found {
		return before, "", wait(last)
	}
	return before, after, done
}

// isString reports whether a value can be nothing but a string: its types are
// those of the schema, none if it does not say, and kind is what the mark says.
func isString(types map[string]bool, kind string) bool {
	return kind == "true" || kind == "" && len(types) == 1 && types["string"]
}

// convert makes JSON of an argument's text: what the tool's schema says it is,
// or what it looks like where the schema does not say.
func convert(text, kind string, types map[string]bool) string {
	if isString(types, kind) {
		return quoteJSON(text)
	}
	value, ok := strings.TrimSpace(text), false
	if ok = json.Valid([]byte(value)); !ok {
		value, ok = literalJSON(text)
	}
	if !ok || kind == "" && types["string"] && !types[jsonType(value)] {
		return quoteJSON(text)
	}
	if kind == "" && len(types) == 0 && strings.HasPrefix(value, `"`) {
		return quoteJSON(text) // quotes that belong to the text
	}
	return value
}

// jsonType is the name that JSON schema has for a value's type.
func jsonType(value string) string {
	switch value[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// argumentTypes are the types that a schema allows for an argument; none if it
// does not say.
func argumentTypes(schema json.RawMessage, key string) map[string]bool {
	var root struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &root) != nil {
		return nil
	}
	t := typeCollector{types: map[string]bool{}, root: schema}
	t.collect(root.Properties[key])
	return t.types
}

// A typeCollector follows a schema to what it allows.
type typeCollector struct {
	types   map[string]bool
	root    json.RawMessage
	visited int // schemas may refer to themselves
}

func (t *typeCollector) collect(schema json.RawMessage) {
	var s struct {
		Type  json.RawMessage   `json:"type"`
		Ref   string            `json:"$ref"`
		AnyOf []json.RawMessage `json:"anyOf"`
		OneOf []json.RawMessage `json:"oneOf"`
		AllOf []json.RawMessage `json:"allOf"`
		Enum  []json.RawMessage `json:"enum"`
		Const json.RawMessage   `json:"const"`
	}
	const most = 64
	if t.visited++; t.visited > most || len(schema) == 0 || json.Unmarshal(schema, &s) != nil {
		return
	}
	add := func(name string) {
		if name == "integer" {
			name = "number"
		}
		t.types[name] = true
	}
	var one string
	var several []string
	switch {
	case json.Unmarshal(s.Type, &one) == nil:
		add(one)
	case json.Unmarshal(s.Type, &several) == nil:
		for _, name := range several {
			add(name)
		}
	default:
		for _, v := range append(s.Enum, s.Const) {
			if len(v) > 0 {
				add(jsonType(string(v)))
			}
		}
	}
	for _, list := range [][]json.RawMessage{s.AnyOf, s.OneOf, s.AllOf} {
		for _, alternative := range list {
			t.collect(alternative)
		}
	}
	if path, ok := strings.CutPrefix(s.Ref, "#/"); ok {
		t.collect(within(t.root, strings.Split(path, "/")))
	}
}

// within is the part of a JSON document at a path of keys; nil if there is
// none.
func within(doc json.RawMessage, path []string) json.RawMessage {
	for _, key := range path {
		var o map[string]json.RawMessage
		if json.Unmarshal(doc, &o) != nil {
			return nil
		}
		doc = o[strings.NewReplacer("~1", "/", "~0", "~").Replace(key)]
	}
	return doc
}
