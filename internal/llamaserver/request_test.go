package llamaserver

import (
	"errors"
	"reflect"
	"testing"

	"parley/llm"
)

func TestPrompts(t *testing.T) {
	text, ids := llm.Text, func(ids ...int) llm.Prompt { return llm.Tokens(ids) }
	mixed := llm.Prompt{Segments: append(append(ids(1).Segments, text("b").Segments...), ids(2, 3).Segments...)}
	for body, want := range map[string]struct {
		prompts []llm.Prompt
		many    bool
	}{
		`"a"`:                     {[]llm.Prompt{text("a")}, false},
		`[1,2]`:                   {[]llm.Prompt{ids(1, 2)}, false},
		`[0]`:                     {[]llm.Prompt{ids(0)}, false},
		`[1,"b",2,3]`:             {[]llm.Prompt{mixed}, false},
		`["a","b"]`:               {[]llm.Prompt{text("a"), text("b")}, true},
		`[[1,"b",2,3],"a"]`:       {[]llm.Prompt{mixed, text("a")}, true},
		`{"prompt_string":"a"}`:   {[]llm.Prompt{text("a")}, false},
		`[{"prompt_string":"a"}]`: {[]llm.Prompt{text("a")}, true},
	} {
		q, err := ParseCompletion([]byte(`{"prompt":` + body + `}`))
		if err != nil || !reflect.DeepEqual(q.Prompts, want.prompts) || q.Many != want.many {
			t.Errorf("%s: %+v, %v", body, q, err)
		}
	}
}

func TestWrongRequestsNameTheField(t *testing.T) {
	for body, field := range map[string]string{
		`[]`:                                   "",
		`{}`:                                   "prompt",
		`{"prompt":[]}`:                        "prompt",
		`{"prompt":[-1]}`:                      "prompt[0]",
		`{"prompt":[1.5]}`:                     "prompt[0]",
		`{"prompt":[[1],{"prompt_string":7}]}`: "prompt[1].prompt_string",
		`{"prompt":{"text":"a"}}`:              "prompt.prompt_string",
		`{"prompt":"a","n_predict":"x"}`:       "n_predict",
		`{"prompt":"a","n_probs":500}`:         "n_probs",
		`{"prompt":"a","response_fields":7}`:   "response_fields",
		`{"prompt":"a","json_schema":{},"grammar":"root ::= x"}`: "grammar",
	} {
		_, err := ParseCompletion([]byte(body))
		if e := llm.AsError(err); err == nil || e.Field != field {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestWhoseBodyItIs(t *testing.T) {
	for body, want := range map[string]bool{
		`{"prompt":"a","n_predict":1}`: true, `{"prompt":"a","cache_prompt":true}`: true, `{"prompt":"a","max_tokens":1}`: false, `{"prompt":"a"}`: false, `x`: false, `[]`: false,
	} {
		if Ours([]byte(body)) != want {
			t.Errorf("%s: got %v", body, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"prompt":[1,"b",2],"n_predict":-2,"n_probs":2,"stream":true,"response_fields":["a/b"]}`,
		`{"prompt":[{"prompt_string":"a"}],"json_schema":{"type":"object"},"cache_prompt":false}`,
		`{"content":"a","with_pieces":true}`, `{"messages":[],"prompt":"a"}`, `{"tokens":[1,2]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := ParseCompletion(body)
		if err != nil {
			if e, ok := errors.AsType[*llm.Error](err); !ok || e.Message == "" {
				t.Fatalf("error %#v", err)
			}
		} else if q.Params.Check() != nil || len(q.Prompts) == 0 {
			t.Fatalf("understood as %+v", q)
		}
		Ours(body)
		ParseTokenize(body)
		ParseDetokenize(body)
		ParseEmbed(body)
		ParseInfill(body)
	})
}
