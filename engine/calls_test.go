package engine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// callTemplates write calls as families of models do that write them in JSON.
var callTemplates = map[string]string{
	"Hermes and Qwen": "<tool_call>\n{\"name\": \"NAME\", \"arguments\": ARGS}\n</tool_call>",
	"Llama 3":         `{"name": "NAME", "parameters": ARGS}`,
	"Mistral":         `[TOOL_CALLS] [{"name": "NAME", "arguments": ARGS}]`,
	"Granite":         `<|tool_call|>[{"name": "NAME", "arguments": ARGS}]`,
	"Jamba":           "<tool_calls>[\n{\"name\": \"NAME\", \"arguments\": ARGS}\n]</tool_calls>",
	"Command R":       "Action: ```json\n[\n    {\n        \"tool_name\": \"NAME\",\n        \"parameters\": ARGS\n    }\n]```",
	"a name alone":    "[TOOL_CALLS]NAME[ARGS]ARGS",
}

// callFormat is a chat format that writes calls so.
func callFormat(t *testing.T, call string) *chatformat.Template {
	t.Helper()
	call = strings.NewReplacer("NAME", "{{ c.function.name }}", "[ARGS]ARGS", "[ARGS]{{ c.function.arguments | tojson }}", "ARGS", "{{ c.function.arguments | tojson }}").Replace(call)
	f, err := chatformat.NewTemplate("test", `{% if tools %}<|im_start|>system
{{ tools | tojson }}<|im_end|>
{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.content %}{{ m.content }}{% endif %}{% for c in m.tool_calls %}`+call+`{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`, chatformat.SpecialTokens{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var heldTools = []chat.ToolSpec{
	{Name: "weather", Parameters: json.RawMessage(`{"type":"object","properties":{"city":{"enum":["Ulm","Bonn"]},"days":{"type":"integer","minimum":1,"maximum":9},
		"where":{"$ref":"#/$defs/place"}},"required":["city","where"],"additionalProperties":false,
		"$defs":{"place":{"type":"object","properties":{"in":{"type":"boolean"}},"required":["in"],"additionalProperties":false}}}`)},
	{Name: "now"},
	{Name: "list", Parameters: json.RawMessage(`{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string","maxLength":3},"minItems":1,"maxItems":2}},"required":["tags"],"additionalProperties":false}`)},
}

// valid reports whether arguments are what the tool of heldTools takes.
func valid(call chat.ToolCall) bool {
	d := json.NewDecoder(strings.NewReader(call.Arguments))
	d.DisallowUnknownFields()
	switch call.Name {
	case "weather":
		var a struct {
			City  *string
			Days  *int
			Where *struct{ In *bool }
		}
		return d.Decode(&a) == nil && a.City != nil && slices.Contains([]string{"Ulm", "Bonn"}, *a.City) &&
			(a.Days == nil || 1 <= *a.Days && *a.Days <= 9) && a.Where != nil && a.Where.In != nil
	case "now":
		return d.Decode(&struct{}{}) == nil
	case "list":
		var a struct{ Tags []string }
		return d.Decode(&a) == nil && 1 <= len(a.Tags) && len(a.Tags) <= 2
	}
	return false
}

// TestADemandedCallIsWholeAndValid asks a model that was never shown a tool,
// at a temperature at which it babbles: what comes is one call all the same,
// with arguments that its tool takes.
func TestADemandedCallIsWholeAndValid(t *testing.T) {
	e := builtIn(t)
	called := map[string]int{}
	for family, call := range callTemplates {
		r := chatformat.NewResponder(e, callFormat(t, call), chatformat.Options{})
		for name, choice := range map[string]chat.ToolChoice{
			"any": {Mode: chat.ToolRequired}, "any, alone": {Mode: chat.ToolRequired, Single: true},
			"weather": {Mode: chat.ToolNamed, Name: "weather"}, "now": {Mode: chat.ToolNamed, Name: "now"}, "list": {Mode: chat.ToolNamed, Name: "list"},
		} {
			if choice.Name == "" && family == "a name alone" {
				continue
			}
			for seed := range int64(6) {
				c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "Is it warm in Ulm?")}, Tools: heldTools, Choice: choice}
				got := reply(t, r, c, llm.Params{Temperature: new(4.0), Seed: new(seed)})
				m := got.Message
				if len(m.ToolCalls) != 1 || m.Text() != "" || !valid(m.ToolCalls[0]) || choice.Name != "" && m.ToolCalls[0].Name != choice.Name {
					t.Errorf("%s, %s, seed %d: %+v", family, name, seed, m)
					continue
				}
				if got.Finish.Reason != llm.ReasonEnd || len(got.Accepted.Report)+len(got.Finish.Report) > 0 {
					t.Errorf("%s, %s, seed %d: ended by %s, reports %v %v", family, name, seed, got.Finish.Reason, got.Accepted.Report, got.Finish.Report)
				}
				if choice.Name == "" {
					called[m.ToolCalls[0].Name]++
				}
			}
		}
	}
	if len(called) != len(heldTools) {
		t.Errorf("of any tools only %v were called", called)
	}
}

// TestASchemaThatCannotBeHeldToIsReported: then any object will do.
func TestASchemaThatCannotBeHeldToIsReported(t *testing.T) {
	r := chatformat.NewResponder(builtIn(t), callFormat(t, callTemplates["Hermes and Qwen"]), chatformat.Options{})
	odd := chat.ToolSpec{Name: "odd", Parameters: json.RawMessage(`{"type":"object","propertyNames":{"maxLength":3}}`)}
	for range 2 { // also when it is remembered
		got := reply(t, r, chat.Conversation{
			Messages: []chat.Message{chat.Say(chat.User, "Hi")}, Tools: append([]chat.ToolSpec{odd}, heldTools...), Choice: chat.ToolChoice{Mode: chat.ToolRequired},
		}, llm.Params{MaxTokens: new(60), Seed: new(int64(1))})
		if report := got.Accepted.Report; len(report) != 1 || report[0].Code != llm.CodeArgumentsUnheld || report[0].Value != "odd" {
			t.Errorf("report %v", report)
		}
	}
}
