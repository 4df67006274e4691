package server

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"parley/chatformat"
	"parley/llm"
)

const toolTemplate = `{% if tools %}{{ tools | tojson }}
{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.content %}{{ m.content }}{% endif %}{% for c in m.tool_calls %}{{ '\n' }}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

// wireMessage is a message as clients see it.
type wireMessage struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content"`
	ToolCalls []wireCall `json:"tool_calls,omitempty"`
}

type wireCall struct {
	Index    int    `json:"index,omitempty"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// TestCallsGoThereAndBack has a model call two tools, whole and streamed, and
// sends its message back as history: the model then reads what it wrote.
func TestCallsGoThereAndBack(t *testing.T) {
	const calls = "I look.\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"\\\"it\\\"\", \"n\": 2}}\n</tool_call>\n<tool_call>\n{\"name\": \"listen\", \"arguments\": {}}\n</tool_call>"
	model := llm.Script(strings.SplitAfter(calls, " ")...)
	var prompt string
	model.Seen = func(p llm.Prompt, _ llm.Params) { prompt = p.String() }
	format, err := chatformat.NewTemplate("test", toolTemplate, chatformat.SpecialTokens{})
	if err != nil {
		t.Fatal(err)
	}
	s := fixed(one("tiny", chatformat.NewResponder(model, format, chatformat.Options{}), model), Options{})
	post := func(messages, rest string) string {
		t.Helper()
		w := httptest.NewRecorder()
		body := `{"messages":` + messages + `,"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}},{"type":"function","function":{"name":"listen"}}]` + rest + `}`
		s.Handler(Own).ServeHTTP(w, request(t, []byte("POST /v1/chat/completions\n\n"+body)))
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	const asked = `{"role":"user","content":"Look and listen."}`

	var whole struct {
		Choices []struct {
			Message json.RawMessage
			Finish  string `json:"finish_reason"`
		}
	}
	if err := json.Unmarshal([]byte(post("["+asked+"]", "")), &whole); err != nil {
		t.Fatal(err)
	}
	var m wireMessage
	if err := json.Unmarshal(whole.Choices[0].Message, &m); err != nil {
		t.Fatal(err)
	}
	if whole.Choices[0].Finish != "tool_calls" || len(m.ToolCalls) != 2 || m.Content == nil || *m.Content != "I look." {
		t.Fatalf("got %s", whole.Choices[0].Message)
	}

	streamed := wireMessage{Role: "assistant", Content: new("")}
	finish := ""
	for line := range strings.Lines(post("["+asked+"]", `,"stream":true`)) {
		data, ok := strings.CutPrefix(line, "data: {")
		if !ok {
			continue
		}
		var chunk struct {
			Choices []struct {
				Delta  wireMessage
				Finish *string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte("{"+data), &chunk); err != nil {
			t.Fatal(err)
		}
		c := chunk.Choices[0]
		if c.Delta.Content != nil {
			*streamed.Content += *c.Delta.Content
		}
		for _, d := range c.Delta.ToolCalls {
			if d.Index == len(streamed.ToolCalls) {
				streamed.ToolCalls = append(streamed.ToolCalls, d)
				continue
			}
			if d.ID != "" || d.Function.Name != "" {
				t.Errorf("a later delta has a name or an id: %+v", d)
			}
			streamed.ToolCalls[d.Index].Function.Arguments += d.Function.Arguments
		}
		if c.Finish != nil {
			finish = *c.Finish
		}
	}
	for i := range streamed.ToolCalls {
		streamed.ToolCalls[i].Index = 0
	}
	if finish != "tool_calls" || !reflect.DeepEqual(streamed, m) {
		t.Errorf("streamed %+v, %s\nwhole    %+v", streamed, finish, m)
	}

	results := `{"role":"tool","tool_call_id":"` + m.ToolCalls[0].ID + `","content":"dark"},{"role":"tool","tool_call_id":"` + m.ToolCalls[1].ID + `","content":"still"}`
	post("["+asked+","+string(whole.Choices[0].Message)+","+results+"]", "")
	if !strings.Contains(prompt, "<|im_start|>assistant\n"+calls+"<|im_end|>\n<|im_start|>tool\ndark<|im_end|>\n<|im_start|>tool\nstill") {
		t.Errorf("the history came out as %q", prompt)
	}
}
