package ollama

import (
	"errors"
	"testing"
	"unicode/utf8"

	"parley/llm"
)

func TestWrongRequestsNameTheField(t *testing.T) {
	for body, field := range map[string]string{
		`[]`:                          "",
		`{"messages":7}`:              "messages",
		`{"messages":[{"role":"x"}]}`: "messages[0].role",
		`{"messages":[{"role":"user","images":["?"]}]}`:                                    "messages[0].images[0]",
		`{"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":{}}}]}]}`: "messages[0].tool_calls[0].function.name",
		`{"tools":[{"function":{}}]}`:                                                      "tools[0].function.name",
		`{"options":{"temperature":"hot"}}`:                                                "options.temperature",
		`{"options":{"num_predict":-3}}`:                                                   "options.num_predict",
		`{"format":"xml"}`:                                                                 "format",
		`{"think":7}`:                                                                      "think",
		`{"keep_alive":"soon"}`:                                                            "keep_alive",
		`{"stream":"yes"}`:                                                                 "stream",
		`{"logprobs":true,"top_logprobs":21}`:                                              "top_logprobs",
	} {
		_, err := ParseChat([]byte(body))
		if e := llm.AsError(err); err == nil || e.Field != field {
			t.Errorf("%s: got %v", body, err)
		}
	}
	for body, field := range map[string]string{
		`{"prompt":"a","suffix":"b","system":"c"}`:  "suffix",
		`{"prompt":"a","template":"b"}`:             "template",
		`{"prompt":"a","raw":true,"system":"b"}`:    "raw",
		`{"prompt":"a","raw":true,"images":["QQ"]}`: "images",
		`{"prompt":"a","context":["x"]}`:            "context[0]",
	} {
		_, err := ParseGenerate([]byte(body))
		if e := llm.AsError(err); err == nil || e.Field != field {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestWhenAModelComesAndGoes(t *testing.T) {
	for body, want := range map[string]struct{ idle, unload bool }{
		`{"model":"x"}`:                             {true, false},
		`{"model":"x","keep_alive":0}`:              {true, true},
		`{"model":"x","keep_alive":"0s"}`:           {true, true},
		`{"model":"x","keep_alive":-1}`:             {true, false},
		`{"model":"x","prompt":"a","keep_alive":0}`: {false, false},
	} {
		q, err := ParseGenerate([]byte(body))
		if err != nil || q.Idle() != want.idle || q.Unload != want.unload || q.Model != "x" {
			t.Errorf("%s: %+v, %v", body, q, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"model":"a:latest","messages":[{"role":"user","content":"a","images":["iVBORw0KGgo="]},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{}}}]}],"tools":[{"type":"function","function":{"name":"f"}}],"format":"json","think":"low","options":{"num_predict":-1,"mirostat":2},"keep_alive":"5m"}`,
		`{"prompt":"a","context":[1,2],"system":"s","stream":false,"logprobs":true}`,
		`{"model":"a","input":["a","b"],"truncate":true}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, parse := range []func([]byte) (*Request, error){ParseChat, ParseGenerate} {
			q, err := parse(body)
			if err != nil {
				if e, ok := errors.AsType[*llm.Error](err); !ok || e.Message == "" {
					t.Fatalf("error %#v", err)
				}
				continue
			}
			if err := q.Params.Check(); err != nil {
				t.Fatal(err)
			}
			for _, m := range q.Conversation.Messages {
				if !m.Role.Valid() || !utf8.ValidString(m.Text()) {
					t.Fatalf("message %+v", m)
				}
			}
		}
		ParseNamed(body)
		ParseEmbed(body, false)
	})
}
