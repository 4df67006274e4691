package grammar

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestWhatIsWrittenIsValid writes texts under random schemas, by chance within
// the masks, and has another implementation of JSON Schema validate them.
func TestWhatIsWrittenIsValid(t *testing.T) {
	vocabulary := testVocabulary()
	v := NewVocabulary(vocabulary)
	written := 0
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 9))
		source, err := json.Marshal(randomSchema(random, 3))
		if err != nil {
			t.Fatal(err)
		}
		g, err := Schema(source)
		if err != nil {
			continue // nothing is in the language, or it cannot be held to
		}
		valid := validator(t, source)
		m := NewMasker(g, v)
		for range 5 {
			text, ok := write(g, m, vocabulary, random)
			if !ok {
				continue
			}
			written++
			x, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%s\n%q is no JSON: %v", source, text, err)
			}
			if err := valid.Validate(x); err != nil {
				t.Fatalf("%s\n%s\n%v", source, text, err)
			}
		}
	}
	if written < 500 {
		t.Errorf("only %d texts came to an end", written)
	}
}

func validator(t *testing.T, source []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(source)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return s
}

// write chooses among the tokens that may come. The longer the text, the more
// it is drawn to those that close something.
func write(g *Grammar, m *Masker, vocabulary []string, random *rand.Rand) (string, bool) {
	var b strings.Builder
	s := g.Start()
	for range 400 {
		if s.Ended() || s.Accepts() && random.IntN(3) == 0 {
			return b.String(), true
		}
		mask := m.Mask(s)
		var may, closing []int
		for id, text := range vocabulary {
			if mask.Has(id) {
				may = append(may, id)
				if strings.ContainsAny(text[:1], "\"]},:") && len(text) < 3 {
					closing = append(closing, id)
				}
			}
		}
		if len(closing) > 0 && random.IntN(200) < b.Len() {
			may = closing
		}
		text := vocabulary[may[random.IntN(len(may))]]
		b.WriteString(text)
		s = g.Step(s, text)
	}
	return "", false
}

// randomSchema is a schema of supported keywords, some of which contradict
// each other.
func randomSchema(r *rand.Rand, depth int) any {
	type object = map[string]any
	few := func(n int) int { return r.IntN(n) }
	s := object{}
	switch k := few(13); {
	case depth == 0 || k < 4:
		switch few(6) {
		case 0:
			s["type"] = "string"
			if few(2) == 0 {
				s["minLength"], s["maxLength"] = few(4), 3+few(40)
			} else if few(3) == 0 {
				s = object{"type": "string", "pattern": []string{"^a+[bc\"]?$", "x|y", "^.{2,4}$", `\d-\d`}[few(4)]}
			} else if few(3) == 0 {
				s = object{"type": "string", "format": []string{"date", "time", "date-time", "uuid", "ipv4", "ipv6", "email", "hostname", "uri", "duration"}[few(10)]}
			}
		case 1:
			s["type"] = "integer"
			if few(2) == 0 {
				s["minimum"] = few(300) - 150
			}
			if few(2) == 0 {
				s["exclusiveMaximum"] = few(300)
			}
		case 2:
			s["type"] = "number"
			if few(2) == 0 {
				s["minimum"] = json.Number(fmt.Sprintf("%d.%02d", few(40)-20, few(100)))
			}
			if few(2) == 0 {
				s["maximum"] = json.Number(fmt.Sprintf("%d.%d", few(40), few(10)))
			}
		case 3:
			s["enum"] = []any{"a", 1, nil, []any{1, "x"}, object{"k": true}, 2.5}[few(4):]
		case 4:
			s["type"] = []string{"boolean", "null"}
		}
	case k < 6:
		s["type"] = "array"
		s["items"] = randomSchema(r, depth-1)
		if few(2) == 0 {
			s["prefixItems"] = []any{randomSchema(r, depth-1), randomSchema(r, 0)}
		}
		if few(2) == 0 {
			s["minItems"], s["maxItems"] = few(3), 1+few(4)
		}
	case k < 9:
		s["type"] = "object"
		properties := object{}
		var required []string
		for _, name := range []string{"a", "ab", "name", "é\"", "v"}[few(3):] {
			properties[name] = randomSchema(r, depth-1)
			if few(2) == 0 {
				required = append(required, name)
			}
		}
		s["properties"] = properties
		if required != nil {
			s["required"] = required
		}
		switch few(3) {
		case 0:
			s["additionalProperties"] = false
		case 1:
			s["additionalProperties"] = randomSchema(r, 0)
		}
		if few(4) == 0 {
			s["minProperties"] = 1
		}
	case k == 9:
		s["anyOf"] = []any{randomSchema(r, depth-1), randomSchema(r, depth-1)}
	case k == 10:
		s["oneOf"] = []any{randomSchema(r, depth-1), randomSchema(r, depth-1)}
	case k == 11:
		s["not"] = randomNot(r, depth)
		if few(2) == 0 {
			s["properties"] = object{"a": randomSchema(r, 0), "ab": true}
		}
	default:
		s["allOf"] = []any{randomSchema(r, depth-1), randomSchema(r, depth-1)}
	}
	return s
}

// randomNot is a schema under "not".
func randomNot(r *rand.Rand, depth int) any {
	type object = map[string]any
	switch n := r.IntN(10); {
	case n == 0 && depth > 0:
		return object{"anyOf": []any{randomNot(r, depth-1), randomNot(r, depth-1)}, "title": "x"}
	case n == 1 && depth > 0:
		return object{"allOf": []any{randomNot(r, depth-1), randomNot(r, depth-1)}}
	case n == 2 && depth > 0:
		return object{"not": randomSchema(r, depth-1)}
	case n == 3 && depth > 0:
		return object{"properties": object{"a": randomNot(r, depth-1), "v": randomNot(r, depth-1)}, "required": []string{"a"}}
	case n < 5:
		return object{"required": []string{"a", "ab", "v"}[r.IntN(3):]}
	case n == 5:
		return object{"type": [][]string{{"string"}, {"number", "null"}, {"object", "integer"}, {"array", "boolean", "string"}}[r.IntN(4)]}
	case n == 6:
		return object{"enum": []any{nil, true, false}[r.IntN(3):]}
	case n == 7:
		return object{[]string{"minLength", "maxLength", "minItems", "maxItems"}[r.IntN(4)]: r.IntN(4)}
	case n == 8:
		return object{[]string{"minimum", "maximum"}[r.IntN(2)]: r.IntN(40) - 20, "type": "number"}
	}
	return object{"const": r.IntN(2) == 0}
}

func FuzzGrammars(f *testing.F) {
	f.Add(`root ::= "a" [b-c]* ("d" | e){2,3}` + "\ne ::= \"x\"?")
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#"}},"additionalProperties":{"minimum":-1.5}}`)
	f.Add(`^(a|b)*[^c]{1,20}$`)
	f.Fuzz(func(t *testing.T, source string) {
		for _, read := range []func(string) (*Grammar, error){
			GBNF, Regexp, func(s string) (*Grammar, error) { return Schema([]byte(s)) },
		} {
			g, err := read(source)
			if err != nil {
				continue
			}
			m := NewMasker(g, NewVocabulary([]string{"", "a", "\"", "{", "}", "[", "]", " ", "1", "ab", "\xc3"}))
			s := g.Start()
			for range 8 {
				mask := m.Mask(s)
				if mask.Has(1) {
					s = g.Step(s, "a")
				} else if mask.Has(3) {
					s = g.Step(s, "{")
				}
			}
		}
	})
}
