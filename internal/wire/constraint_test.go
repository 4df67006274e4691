package wire

import (
	"reflect"
	"testing"

	"parley/llm"
)

func TestConstraintsInTheirSpellings(t *testing.T) {
	schema := func(field string) *llm.Constraint {
		return &llm.Constraint{Kind: llm.ConstrainSchema, Source: `{"type":"object"}`, Field: field}
	}
	for body, want := range map[string]*llm.Constraint{
		`"response_format":{"type":"text"}`:                                                                            nil,
		`"response_format":{"type":"json_object"}`:                                                                     {Kind: llm.ConstrainJSON, Field: "response_format.type"},
		`"response_format":{"type":"json_object","schema":{"type":"object"}}`:                                          schema("response_format.schema"),
		`"response_format":{"type":"json_object","schema":"{\"type\":\"object\"}"}`:                                    schema("response_format.schema"),
		`"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object"}}}`: schema("response_format.json_schema.schema"),
		`"response_format":{"type":"json_schema","schema":{"type":"object"}}`:                                          schema("response_format.schema"),
		`"json_schema":{"type":"object"}`:                                                                              schema("json_schema"),
		`"guided_json":{"type":"object"}`:                                                                              schema("guided_json"),
		`"structured_outputs":{"json":{"type":"object"}}`:                                                              schema("structured_outputs.json"),
		`"structured_outputs":{"choice":["a","b"]}`:                                                                    {Kind: llm.ConstrainChoice, Choices: []string{"a", "b"}, Field: "structured_outputs.choice"},
		`"guided_choice":["a"]`:                                                                                        {Kind: llm.ConstrainChoice, Choices: []string{"a"}, Field: "guided_choice"},
		`"guided_regex":"a+"`:                                                                                          {Kind: llm.ConstrainRegexp, Source: "a+", Field: "guided_regex"},
		`"grammar":"root ::= \"a\""`:                                                                                   {Kind: llm.ConstrainGBNF, Source: `root ::= "a"`, Field: "grammar"},
		`"grammar_string":"root ::= \"a\"","grammar":""`:                                                               {Kind: llm.ConstrainGBNF, Source: `root ::= "a"`, Field: "grammar_string"},
		`"grammar":"","json_schema":null,"guided_choice":[],"structured_outputs":{}`:                                   nil,
	} {
		v, err := Parse([]byte("{" + body + "}"))
		if err != nil {
			t.Fatal(err)
		}
		r := &Reader{}
		got := r.Object("", v).Constraint()
		if r.Err != nil {
			t.Errorf("%s: %v", body, r.Err)
		} else if !reflect.DeepEqual(got, want) || len(r.Report) > 0 {
			t.Errorf("%s: got %+v, report %v", body, got, r.Report)
		}
	}
}
