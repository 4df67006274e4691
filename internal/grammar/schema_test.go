package grammar

import (
	"strings"
	"testing"
)

func TestSchemas(t *testing.T) {
	for name, c := range map[string]struct {
		schema  string
		in, out []string
	}{
		"any": {`true`,
			[]string{`{}`, `[]`, `"a"`, `-0.5e+3`, `null`, `{"a": [1, {"b":false}]}`, "{\n  \"a\": 1\n}"},
			[]string{``, `{`, `01`, `1.`, `"\x"`, "\"\n\"", `{a:1}`, `[1,]`, `"\ud800"`}},
		"properties in order": {`{"properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{}},"required":["b"],"type":"object"}`,
			[]string{`{"a":1,"b":"x","c":null}`, `{"b":""}`, `{ "b":"x", "c":[]}`},
			[]string{`{"a":1}`, `{"b":"x","a":1}`, `{"b":"x","d":1}`, `{"b":1}`, `{,"b":""}`}},
		"additional properties": {`{"type":"object","properties":{"a":{"type":"integer"},"ab":{}},"additionalProperties":{"type":"string"}}`,
			[]string{`{"a":1,"b":"x"}`, `{"abc":"x","":"y"}`, `{"a":1,"ab":2}`, `{}`},
			[]string{`{"a":"x"}`, `{"b":"y","a":"x"}`, `{"b":1}`}},
		"none besides":     {`{"type":"object","properties":{"a":{}},"additionalProperties":false}`, []string{`{"a":1}`, `{}`}, []string{`{"b":1}`}},
		"required unnamed": {`{"type":"object","required":["x"]}`, []string{`{"x":1}`, `{"x":1,"y":2}`}, []string{`{}`, `{"y":1}`}},
		"at least one":     {`{"type":"object","properties":{"a":{},"b":{}},"additionalProperties":false,"minProperties":1}`, []string{`{"a":1}`, `{"b":1}`, `{"a":1,"b":2}`}, []string{`{}`}},
		"at most":          {`{"type":"object","additionalProperties":{"type":"integer"},"maxProperties":2}`, []string{`{}`, `{"a":1}`, `{"a":1,"b":2}`}, []string{`{"a":1,"b":2,"c":3}`}},
		"lists": {`{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}`,
			[]string{`[1]`, `[1, 2,3]`, "[\n\t1,\n\t2\n]"}, []string{`[]`, `[1,2,3,4]`, `["a"]`}},
		"tuples":                               {`{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"null"}}`, []string{`[]`, `[1]`, `[1,"a"]`, `[1,"a",null,null]`}, []string{`["a"]`, `[1,1]`, `[1,"a",1]`}},
		"draft 7 tuples":                       {`{"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"string"}}`, []string{`[1,"a"]`}, []string{`[1,1]`}},
		"tuples of a size":                     {`{"type":"array","prefixItems":[{"type":"integer"}],"minItems":2}`, []string{`[1,"a"]`}, []string{`[1]`, `[1,2,3]`}},
		"empty list":                           {`{"type":"array","maxItems":0}`, []string{`[]`, `[ ]`}, []string{`[1]`}},
		"constants":                            {`{"enum":["a",1,null,{"x":[1,2]},"é\n"]}`, []string{`"a"`, `1`, `null`, `{"x":[1,2]}`, `{"x": [1, 2]}`, `"é\n"`}, []string{`2`, `"b"`, `{}`}},
		"constants of a type":                  {`{"enum":["a",1,2.5,null],"type":["integer","null"]}`, []string{`1`, `null`}, []string{`"a"`, `2.5`}},
		"constants that are valid otherwise":   {`{"enum":["a","abc",3,30],"maxLength":2,"maximum":9}`, []string{`"a"`, `3`}, []string{`"abc"`, `30`}},
		"lengths count characters":             {`{"type":"string","minLength":2,"maxLength":3}`, []string{`"é😀"`, `"\u00e9\n"`, `"abc"`}, []string{`"a"`, `"abcd"`}},
		"patterns are found anywhere":          {`{"type":"string","pattern":"b+"}`, []string{`"abc"`, `"b"`}, []string{`"ac"`}},
		"patterns with anchors":                {`{"type":"string","pattern":"^[a-z\"]+$"}`, []string{`"ab"`, `"a\"b"`}, []string{`"a b"`, `""`}},
		"formats":                              {`{"type":"string","format":"date-time"}`, []string{`"2024-01-31T23:59:59Z"`}, []string{`"2024-02-30T00:00:00Z"`, `"x"`}},
		"unknown formats are notes":            {`{"type":"string","format":"color"}`, []string{`"x"`}, nil},
		"a uuid":                               {`{"type":"string","format":"uuid"}`, []string{`"123e4567-e89b-12d3-a456-426614174000"`}, []string{`"123"`}},
		"references that go round":             {`{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"next":{"$ref":"#/$defs/node"}},"additionalProperties":false}}}`, []string{`{}`, `{"next":{"next":{}}}`}, []string{`{"next":1}`}},
		"a reference to the whole":             {`{"type":"array","items":{"$ref":"#"}}`, []string{`[]`, `[[],[[]]]`}, []string{`[1]`}},
		"a reference with something beside it": {`{"$ref":"#/$defs/a","maximum":5,"$defs":{"a":{"type":"integer"}}}`, []string{`5`}, []string{`6`, `"a"`}},
		"an anchor":                            {`{"items":{"$ref":"#it"},"type":"array","$defs":{"x":{"$anchor":"it","type":"null"}}}`, []string{`[null]`}, []string{`[1]`}},
		"a length that a format keeps":         {`{"type":"string","format":"email","minLength":3,"maxLength":255}`, []string{`"a@b.c"`}, []string{`"abcd"`}},
		"constants of a format":                {`{"enum":["abc","2024-01-31"],"format":"date"}`, []string{`"2024-01-31"`}, []string{`"abc"`}},
		"a length that a pattern keeps":        {`{"type":"string","pattern":"^(a|bc){1,2}$","minLength":1,"maxLength":4}`, []string{`"a"`, `"bcbc"`}, []string{`""`, `"bcbca"`}},
		"bounds as in draft 4":                 {`{"type":"integer","minimum":1,"exclusiveMinimum":true,"maximum":9,"exclusiveMaximum":false}`, []string{`2`, `9`}, []string{`1`, `10`}},
		"repetitions beyond RE2's":             {`{"type":"string","pattern":"^[a{2,3000}]x{1,2000}$"}`, []string{`"ax"`, `"{xx"`}, []string{`"a"`, `"bx"`}},
		"properties beside others":             {`{"dependentRequired":{"a":["b"]}}`, []string{`{}`, `{"b":1}`, `{"a":1,"b":2}`, `{"c":1}`, `3`}, []string{`{"a":1}`, `{"a":1,"c":2}`}},
		"not both": {`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"not":{"required":["a","b"]},"additionalProperties":false}`,
			[]string{`{}`, `{"a":1}`, `{"b":1}`}, []string{`{"a":1,"b":1}`}},
		"neither of two":              {`{"type":"object","properties":{"a":{},"b":{},"c":{}},"not":{"anyOf":[{"required":["a"]},{"required":["b"]}]},"additionalProperties":false}`, []string{`{}`, `{"c":1}`}, []string{`{"a":1}`, `{"b":1,"c":1}`}},
		"not some types":              {`{"not":{"type":["object","string"]}}`, []string{`1`, `null`, `[]`}, []string{`{}`, `"a"`}},
		"not null":                    {`{"not":{"const":null}}`, []string{`1`, `false`, `{}`}, []string{`null`}},
		"a property is not":           {`{"type":"object","properties":{"a":{"type":"integer","maximum":9}},"not":{"properties":{"a":{"minimum":5}},"required":["a"]},"additionalProperties":false}`, []string{`{}`, `{"a":4}`}, []string{`{"a":5}`}},
		"the same in draft 7, closed": {`{"type":"object","properties":{"a":{},"c":{}},"additionalProperties":false,"dependencies":{"a":["b"],"c":["a"]}}`, []string{`{}`}, []string{`{"a":1}`, `{"c":1}`, `{"a":1,"b":1}`}},
		"any of":                      {`{"anyOf":[{"type":"integer"},{"type":"string","maxLength":2}]}`, []string{`1`, `"ab"`}, []string{`"abc"`, `null`}},
		"one of, by type":             {`{"oneOf":[{"type":"integer"},{"type":"string"}]}`, []string{`1`, `"ab"`}, []string{`null`}},
		"one of, by a constant":       {`{"oneOf":[{"type":"object","properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k","x"]},{"type":"object","properties":{"k":{"const":"b"}},"required":["k"]}]}`, []string{`{"k":"a","x":1}`, `{"k":"b"}`}, []string{`{"k":"a"}`, `{"k":"c"}`}},
		"all of":                      {`{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"type":"object","properties":{"a":{"maximum":3},"b":{}}}]}`, []string{`{"a":3}`, `{"a":1,"b":2}`}, []string{`{"a":4}`, `{"b":1}`}},
		"all of, one closed":          {`{"allOf":[{"type":"object","properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}]}`, []string{`{"a":1}`, `{}`}, []string{`{"b":1}`}},
		"any of beside properties":    {`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}`, []string{`{"a":1}`, `{"b":1}`, `{"a":1,"b":1}`}, []string{`{}`}},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := Schema([]byte(c.schema))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range c.in {
				if !g.Matches(s) {
					t.Errorf("%s is not in the language", s)
				}
			}
			for _, s := range c.out {
				if g.Matches(s) {
					t.Errorf("%s is in the language", s)
				}
			}
		})
	}
}

func TestSchemasThatCannotBeHeldToAreRefused(t *testing.T) {
	for schema, want := range map[string]string{
		`{"not":{"pattern":"a"}}`:                          `at /not/pattern: not with the keyword "pattern" is not supported`,
		`{"not":{"type":"integer"}}`:                       `at /not/type: not of type integer`,
		`{"not":{"anyOf":[{"const":1}]}}`:                  `at /not/anyOf/0/const: not with a constant`,
		`{"not":{"$ref":"#"}}`:                             `leads back to itself`,
		`{"properties":{"a/b":{"items":{"if":{}}}}}`:       `at /properties/a~1b/items/if: the keyword "if"`,
		`{"uniqueItems":true}`:                             "uniqueItems is not supported",
		`{"multipleOf":2}`:                                 "multipleOf is not supported",
		`{"patternProperties":{}}`:                         "patternProperties",
		`{"pattern":"a","maxLength":3}`:                    "pattern together with",
		`{"pattern":"^a{1,4}$","maxLength":3}`:             "pattern together with",
		`{"format":"email","maxLength":20}`:                "format together with",
		`{"format":"email","minLength":9}`:                 "format together with",
		`{"dependencies":{"a":{"required":["b"]}}}`:        "only lists of names",
		`{"propertyNames":{"maxLength":3}}`:                `"propertyNames" is not supported`,
		`{"format":"date","pattern":"1$"}`:                 "several patterns and formats",
		`{"format":"date","allOf":[{"format":"email"}]}`:   "several patterns and formats",
		`{"pattern":"(?=a)"}`:                              "invalid",
		`{"oneOf":[{"type":"integer"},{"type":"number"}]}`: "schema 0 and schema 1",
		`{"$ref":"http://example.org/x"}`:                  "leads out of the schema",
		`{"$ref":"#/nowhere"}`:                             "leads to nothing",
		`{"$ref":"#"}`:                                     "leads back to itself",
		`{"type":"strin"}`:                                 `no type "strin"`,
		`{"type":"object","minProperties":2}`:              "minProperties",
		`{"a":1,"a":2}`:                                    "stands twice",
		`{"type":"string","maxLength":100000000}`:          "grammar_places",
		`{"type":"integer","minimum":5,"maximum":4}`:       "no text is in the language",
		`false`: "no text is in the language",
		`{`:     "no valid JSON",
		`3`:     "a schema is an object",
		strings.Repeat(`{"items":`, 200) + `{}` + strings.Repeat(`}`, 200): "grammar_depth",
		`{"type":"object","required":["a"],"properties":{"a":false}}`:      "no text is in the language",
		`{"minimum":1e999}`: "bounds of the number",
	} {
		if _, err := Schema([]byte(schema)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %q", schema, err, want)
		}
	}
}

func TestWordsThatNoDraftKnowsAreListed(t *testing.T) {
	g, err := Schema([]byte(`{"minLenght":3,"id":"x","title":"t","type":"object","properties":{"a":{"javaType":"B","minLenght":1}},"x-y":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(g.Ignored, " "); got != "minLenght x-y javaType" {
		t.Errorf("got %q", got)
	}
}
