package anthropic

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/llm"
)

func TestWrongRequestsNameTheField(t *testing.T) {
	with := func(fields string) string {
		return `{"max_tokens":5,"messages":[{"role":"user","content":"Hi"}],` + fields + `}`
	}
	block := func(role, block string) string {
		return `{"max_tokens":5,"messages":[{"role":"user","content":"Hi"},{"role":"` + role + `","content":[` + block + `]}]}`
	}
	for body, field := range map[string]string{
		`[]`:               "",
		`{"max_tokens":5}`: "messages",
		`{"messages":[]}`:  "max_tokens",
		with(`"max_tokens2":1,"temperature":"hot"`):                             "temperature",
		with(`"system":7`):                                                      "system",
		with(`"system":[{"type":"image"}]`):                                     "system[0].type",
		with(`"tools":[{"input_schema":{}}]`):                                   "tools[0].name",
		with(`"tools":[{"type":"bash_20250124","name":"bash"}]`):                "tools[0].type",
		with(`"tool_choice":{"type":"any"}`):                                    "tool_choice",
		with(`"tool_choice":{"type":"x"}`):                                      "tool_choice.type",
		with(`"tools":[{"name":"a"}],"tool_choice":{"type":"tool","name":"b"}`): "tool_choice.name",
		with(`"thinking":{"type":"much"}`):                                      "thinking.type",
		with(`"mcp_servers":[{}]`):                                              "mcp_servers",
		with(`"output_format":{"type":"xml"}`):                                  "output_format.type",
		`{"max_tokens":5,"messages":[{"role":"tool","content":"x"}]}`:           "messages[0].role",
		`{"max_tokens":5,"messages":[{"role":"user"}]}`:                         "messages[0].content",
		block("user", `{"type":"video"}`):                                       "messages[1].content[0].type",
		block("user", `{"type":"text"}`):                                        "messages[1].content[0].text",
		block("user", `{"type":"image","source":{"type":"base64","media_type":"text/plain","data":"QQ=="}}`): "messages[1].content[0].source.media_type",
		block("user", `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"?"}}`):     "messages[1].content[0].source.data",
		block("user", `{"type":"document","source":{"type":"base64","data":"QQ=="}}`):                        "messages[1].content[0].source.type",
		block("user", `{"type":"tool_result","content":"x"}`):                                                "messages[1].content[0].tool_use_id",
		block("assistant", `{"type":"tool_use","id":"a","input":{}}`):                                        "messages[1].content[0].name",
		block("assistant", `{"type":"tool_use","name":"a","input":7}`):                                       "messages[1].content[0].input",
		block("assistant", `{"type":"image"}`):                                                               "messages[1].content[0].type",
	} {
		_, err := ParseMessages([]byte(body))
		if e := llm.AsError(err); err == nil || e.Field != field || e.Code != llm.Invalid && e.Code != llm.Unsupported {
			t.Errorf("%s: got %v (field %q), want field %q", body, err, llm.AsError(err).Field, field)
		}
	}
}

// TestErrorsNameTheClientsMessage: what is one message of the client's may be
// several here.
func TestErrorsNameTheClientsMessage(t *testing.T) {
	q, err := ParseMessages([]byte(`{"max_tokens":5,"system":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"messages":[
		{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"tool_use","id":"x","name":"f","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"1"},{"type":"text","text":"go on"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"system[0]", "system[1]", "messages[0]", "messages[1]", "messages[2]", "messages[2]"} {
		field := "messages[" + string(rune('0'+i)) + "].content[0]"
		if e := llm.AsError(q.Locate(llm.Errorf(llm.Invalid, field, "x"))); e.Field != want+".content[0]" {
			t.Errorf("message %d is at %s, want %s", i, e.Field, want)
		}
	}
	for _, field := range []string{"", "messages", "messages[17]", "stop[0]"} {
		if e := llm.AsError(q.Locate(llm.Errorf(llm.Invalid, field, "x"))); e.Field != field {
			t.Errorf("%q became %q", field, e.Field)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"tool_result","tool_use_id":"x","content":[{"type":"text","text":"b"}]}]}]}`,
		`{"max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a"},{"type":"tool_use","name":"f","input":{}}]}],"tools":[{"name":"f"}],"tool_choice":{"type":"tool","name":"f"}}`,
		`{"max_tokens":"5","messages":[{"role":"user","content":[{"type":"document","title":"t","source":{"type":"text","data":"x"}}]}],"output_config":{"format":{"type":"json_schema","schema":{}},"effort":"low"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, parse := range []func([]byte) (*Request, error){ParseMessages, ParseCount} {
			q, err := parse(body)
			if err != nil {
				if e, ok := errors.AsType[*llm.Error](err); !ok || e.Message == "" {
					t.Fatalf("error %#v", err)
				}
				continue
			}
			if len(q.places) != len(q.Conversation.Messages) || q.Params.Check() != nil {
				t.Fatalf("understood as %+v", q)
			}
			for _, m := range q.Conversation.Messages {
				if !m.Role.Valid() || !utf8.ValidString(m.Text()) {
					t.Fatalf("message %+v", m)
				}
				for _, c := range m.ToolCalls {
					if !json.Valid([]byte(c.Arguments)) || strings.TrimSpace(c.Name) == "" && c.Name == "" {
						t.Fatalf("call %+v", c)
					}
				}
			}
		}
	})
}
