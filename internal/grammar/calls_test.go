package grammar

import (
	"strings"
	"testing"
)

func TestCallsAreATextAndAnObjectUnderItsOwnSchema(t *testing.T) {
	const place = `{"type":"object","properties":{"at":{"$ref":"#/$defs/x"}},"required":["at"],"additionalProperties":false,"$defs":{"x":{"type":"string","maxLength":3}}}`
	g, unheld, err := Calls([]Call{
		{"look:", []byte(place)},
		{"looks:", []byte(strings.Replace(place, `"string","maxLength":3`, `"integer"`, 1))},
		{"any:", []byte(`true`)},
		{"loose:", []byte(`{"properties":{"a":{"type":"null"}}}`)},
		{"odd:", []byte(`{"type":"object","not":{}}`)},
		{"never:", []byte(`{"type":"string"}`)},
		{"broken:", []byte(`{`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		if (unheld[i] != nil) != (i >= 4) {
			t.Errorf("call %d: %v", i, unheld[i])
		}
	}
	for _, in := range []string{`look:{"at":"x"}`, `look: {"at": "abc"}`, `looks:{"at":7}`, `any:{"x":[1]}`, `loose:{"a":null}`, `loose:{}`, `odd:{"x":1}`, `never:{}`, `broken:{"a":1}`} {
		if !g.Matches(in) {
			t.Errorf("%s is not in the language", in)
		}
	}
	for _, out := range []string{`look:{"at":7}`, `look:{"at":"long one"}`, `look:{}`, `looks:{"at":"x"}`, `any:[]`, `any:1`, `loose:{"a":1}`, `loose:[]`, `odd:[]`, `never:"x"`, `look:{"at":"x"}}`, `{"at":"x"}`, `look:{"at":"x"}look:{"at":"x"}`} {
		if g.Matches(out) {
			t.Errorf("%s is in the language", out)
		}
	}
}

func TestCallsThatCannotBe(t *testing.T) {
	for _, calls := range [][]Call{nil, {{Before: "\xff", Schema: []byte("{}")}}} {
		if _, _, err := Calls(calls); err == nil {
			t.Errorf("%v: no error", calls)
		}
	}
}
