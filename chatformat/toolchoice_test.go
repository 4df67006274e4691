package chatformat_test

import (
	"encoding/json"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// hermesTemplate lists tools and calls them as Hermes does, thinking on or off.
const hermesTemplate = `{% if tools %}<|im_start|>system
{% for t in tools %}{{ t | tojson }}
{% endfor %}<|im_end|>
{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.content %}{{ m.content }}{% endif %}{% for c in m.tool_calls %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking %}<think>
{% endif %}{% endif %}{# </think> #}`

// harmonyTemplate divides replies into channels as gpt-oss does.
const harmonyTemplate = `{% if tools %}<|start|>developer<|message|>{{ tools | tojson }}<|end|>{% endif %}{% for m in messages %}{% if m.tool_calls %}<|start|>assistant to=functions.{{ m.tool_calls[0].function.name }}<|channel|>commentary json<|message|>{{ m.tool_calls[0].function.arguments | tojson }}<|call|>{% elif m.role == 'assistant' %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}`

// bareTemplate calls tools by name and nothing else, so that the first token
// of a call is its name.
const bareTemplate = `{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}{% for c in m.tool_calls %}{{ c.function.name }}
{{ c.function.arguments | tojson }}{% endfor %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`

// gluedTemplate has nothing between a tool's name and the mark of an argument.
const gluedTemplate = `{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}{% for c in m.tool_calls %}<tool_call>{{ c.function.name }}{% for k, v in c.function.arguments.items() %}<arg_key>{{ k }}</arg_key><arg_value>{{ v if v is string else v | tojson }}</arg_value>{% endfor %}</tool_call>{% endfor %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`

func templateOf(t *testing.T, source string) *chatformat.Template {
	t.Helper()
	f, err := chatformat.NewTemplate("test", source, chatformat.SpecialTokens{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// asked is a reply of a model that says tokens, and what its prompt was.
func asked(t *testing.T, source string, c chat.Conversation, control []string, tokens ...string) (chat.Reply, string, error) {
	t.Helper()
	m := llm.Script(tokens...)
	m.Control = control
	prompt := ""
	m.Seen = func(p llm.Prompt, _ llm.Params) { prompt = p.String() }
	r, err := chat.Collect(chatformat.NewResponder(m, templateOf(t, source), chatformat.Options{}).Respond(t.Context(), c, llm.Params{}))
	return r, prompt, err
}

func TestCallsReachTheClient(t *testing.T) {
	control := []string{"<tool_call>", "</tool_call>", "<think>", "</think>", "<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|constrain|>"}
	for name, c := range map[string]struct {
		template string
		tokens   []string
	}{
		"hermes": {hermesTemplate, []string{"<think>", "\nHm.\n", "</think>", "\n\n", "I look.", "\n", "<tool_call>", "\n", `{"name": "get_weather", `, `"arguments": {"location": "U`, `lm"}}`, "\n", "</tool_call>"}},
		"harmony": {harmonyTemplate, []string{"<|channel|>", "analysis", "<|message|>", "Hm.", "<|end|>", "<|start|>", "assistant", "<|channel|>", "commentary", "<|message|>", "I look.", "<|end|>",
			"<|start|>", "assistant", "<|channel|>", "commentary", " to=functions.get_weather ", "<|constrain|>", "json", "<|message|>", `{"location": "U`, `lm"}`, "<|call|>"}},
	} {
		for kind, control := range map[string][]string{"control tokens": control, "text": nil} {
			r, _, err := asked(t, c.template, callConversation(), control, c.tokens...)
			if err != nil {
				t.Fatal(err)
			}
			want := []chat.ToolCall{{ID: "call00001", Name: "get_weather", Arguments: `{"location": "Ulm"}`}}
			if m := r.Message; m.Text() != "I look." || m.Reasoning != "Hm." || len(m.ToolCalls) != 1 || m.ToolCalls[0] != want[0] {
				t.Errorf("%s as %s: %+v", name, kind, m)
			}
			if len(r.Finish.Report) > 0 {
				t.Errorf("%s as %s: %v", name, kind, r.Finish.Report)
			}
		}
	}
}

func TestABrokenCallIsTextAndReported(t *testing.T) {
	r, _, err := asked(t, hermesTemplate, callConversation(), nil, "So: ", "<tool_call>", `{"name": "now", "arguments": {"a`)
	if err != nil {
		t.Fatal(err)
	}
	if want := `So: <tool_call>{"name": "now", "arguments": {"a`; r.Message.Text() != want || len(r.Message.ToolCalls) != 0 {
		t.Errorf("got %+v, want the text %q", r.Message, want)
	}
	if len(r.Finish.Report) != 1 || r.Finish.Report[0].Code != chatformat.CodeToolCallBroken {
		t.Errorf("report %v", r.Finish.Report)
	}
}

func TestCallsStayTextWhereThereAreNoTools(t *testing.T) {
	const call = `<tool_call>{"name": "now", "arguments": {}}</tool_call>`
	none := callConversation()
	none.Choice.Mode = chat.ToolNone
	for name, c := range map[string]chat.Conversation{"no tools": hello(), "none": none} {
		r, prompt, err := asked(t, hermesTemplate, c, nil, call)
		if err != nil {
			t.Fatal(err)
		}
		if r.Message.Text() != call || len(r.Message.ToolCalls) != 0 || strings.Contains(prompt, "get_weather") {
			t.Errorf("%s: %+v to %q", name, r.Message, prompt)
		}
	}
}

// TestADemandedCall ends the prompt with the beginning of the call.
func TestADemandedCall(t *testing.T) {
	named := callConversation()
	named.Choice = chat.ToolChoice{Mode: chat.ToolNamed, Name: "get_weather"}
	required := callConversation()
	required.Choice.Mode = chat.ToolRequired
	thinking := named
	thinking.Layout.Arguments = map[string]json.RawMessage{"enable_thinking": json.RawMessage("true")}
	want := chat.ToolCall{ID: "call00001", Name: "get_weather", Arguments: `{"location": "Ulm"}`}
	for name, c := range map[string]struct {
		template     string
		conversation chat.Conversation
		end          string
		tokens       []string
	}{
		"named":             {hermesTemplate, named, "assistant\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\":", []string{` {"loc`, `ation": "Ulm"}`, "}\n</tool_call>"}},
		"required":          {hermesTemplate, required, "assistant\n<tool_call>\n{\"name\": \"", []string{"get_", `weather", "arguments": {"location": "Ulm"}}`, "</tool_call>"}},
		"named, thinking":   {hermesTemplate, thinking, "assistant\n<think>\n\n</think>\n\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\":", []string{` {"location": "Ulm"}}`}},
		"named, harmony":    {harmonyTemplate, named, "<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>", []string{`{"location": "Ulm"}`, "<|call|>"}},
		"required, harmony": {harmonyTemplate, required, "<|start|>assistant to=functions.", []string{"get_weather", "<|channel|>commentary json<|message|>", `{"location": "Ulm"}`}},
		"named, glued":      {gluedTemplate, named, "<|assistant|><tool_call>get_weather<arg_key>", []string{"location</arg_key><arg_value>U", "lm</arg_value></tool_call>"}},
		"named, bare":       {bareTemplate, named, "<|assistant|>get_weather\n", []string{`{"location": "Ulm"}`}},
	} {
		r, prompt, err := asked(t, c.template, c.conversation, nil, c.tokens...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.HasSuffix(prompt, c.end) {
			t.Errorf("%s: the prompt is %q, want it to end with %q", name, prompt, c.end)
		}
		if m := r.Message; len(m.ToolCalls) != 1 || m.ToolCalls[0] != want || m.Text() != "" {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestADemandThatAFormatCannotMeetIsRefused(t *testing.T) {
	required := callConversation()
	required.Choice.Mode = chat.ToolRequired
	nobody := callConversation()
	nobody.Choice = chat.ToolChoice{Mode: chat.ToolNamed, Name: "nobody"}
	without := hello()
	without.Choice.Mode = chat.ToolRequired
	bare := callConversation()
	bare.Choice = chat.ToolChoice{Mode: chat.ToolNamed, Name: "now"}
	goesOn := required
	goesOn.Continue = true
	goesOn.Messages = append([]chat.Message{}, chat.Say(chat.User, "Hi"), chat.Say(chat.Assistant, "So"))
	for name, c := range map[string]struct {
		template     string
		conversation chat.Conversation
		code         llm.Code
	}{
		"nothing before the name": {bareTemplate, required, llm.Unsupported},
		"no arguments after it":   {gluedTemplate, bare, llm.Unsupported},
		"no such tool":            {hermesTemplate, nobody, llm.Invalid},
		"no tools":                {hermesTemplate, without, llm.Invalid},
		"a message to go on with": {hermesTemplate, goesOn, llm.Unsupported},
	} {
		_, _, err := asked(t, c.template, c.conversation, nil, "x")
		if e := llm.AsError(err); err == nil || e.Code != c.code || e.Field != "tool_choice" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAConstraintThatWouldMeanSomethingElseIsRefused: a constraint is on the
// reply's text, and these replies begin with something else.
func TestAConstraintThatWouldMeanSomethingElseIsRefused(t *testing.T) {
	named := callConversation()
	named.Choice = chat.ToolChoice{Mode: chat.ToolNamed, Name: "now"}
	for name, c := range map[string]struct {
		template     string
		conversation chat.Conversation
		refused      bool
	}{
		"a call":   {hermesTemplate, named, true},
		"channels": {harmonyTemplate, hello(), true},
		"text":     {hermesTemplate, callConversation(), false},
	} {
		r := chatformat.NewResponder(llm.Script("{}"), templateOf(t, c.template), chatformat.Options{})
		params := llm.Params{Constraint: &llm.Constraint{Kind: llm.ConstrainJSON, Field: "response_format"}}
		_, err := chat.Collect(r.Respond(t.Context(), c.conversation, params))
		if e := llm.AsError(err); (err != nil) != c.refused || err != nil && (e.Code != llm.Unsupported || e.Field != "response_format") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneCallEndsTheReply(t *testing.T) {
	c := callConversation()
	c.Choice.Single = true
	call := `<tool_call>{"name": "now", "arguments": {}}</tool_call>`
	r, _, err := asked(t, hermesTemplate, c, nil, call, "\n", call, "\n", "More.")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Message.ToolCalls) != 1 || r.Message.Text() != "" || r.Finish.Reason != llm.ReasonEnd || r.Finish.Usage.CompletionTokens != 3 || r.Finish.Usage.PromptTokens == 0 {
		t.Errorf("%+v, %+v", r.Message, r.Finish)
	}
	if len(r.Finish.Report) != 1 || r.Finish.Report[0].Code != chatformat.CodeSingleCall {
		t.Errorf("report %v", r.Finish.Report)
	}
	if r, _, err = asked(t, hermesTemplate, c, nil, call, "\n", "Done."); err != nil || r.Message.Text() != "Done." || len(r.Finish.Report) > 0 {
		t.Errorf("one call and text: %+v, %v, %v", r.Message, r.Finish.Report, err)
	}
}

// TestIdsAreNewInTheConversation: an id that the history has is not given
// again, whoever chose it.
func TestIdsAreNewInTheConversation(t *testing.T) {
	c := callConversation()
	call := chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "call00002", Name: "now", Arguments: "{}"}, {ID: "Xa9fK2mPq", Name: "now", Arguments: "{}"}}}
	result := chat.Say(chat.Tool, "noon")
	result.ToolCallID = "call00002"
	c.Messages = append(c.Messages, call, result)
	r, _, err := asked(t, hermesTemplate, c, nil,
		`<tool_call>{"id": "Xa9fK2mPq", "name": "now", "arguments": {}}</tool_call>`, `<tool_call>{"id": "mine", "name": "now", "arguments": {}}</tool_call>`, `<tool_call>{"name": "now"}</tool_call>`)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{"call00002": true, "Xa9fK2mPq": true}
	for _, call := range r.Message.ToolCalls {
		if ids[call.ID] || call.ID == "" {
			t.Errorf("the id %q is not new", call.ID)
		}
		ids[call.ID] = true
	}
	if len(ids) != 5 || !ids["mine"] {
		t.Errorf("calls %+v", r.Message.ToolCalls)
	}
}
