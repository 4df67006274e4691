package chatformat_test

import (
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

const (
	ownTemplate = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
	ownMarkup   = "[user]\nprefix = \"Q: \"\nsuffix = \"\\n\"\n[assistant]\nprefix = \"A: \"\nsuffix = \"\\n\"\n"
)

func TestARequestBringsItsFormatOnlyWhereThatIsAllowed(t *testing.T) {
	for _, c := range []struct {
		layout      chat.Layout
		field, want string
	}{
		{chat.Layout{Template: ownTemplate}, "chat_template", "<|system|>Be brief.<|user|>Hello!<|assistant|>"},
		{chat.Layout{Markup: ownMarkup}, "parley.format_toml", "Q: Be brief.\n\nHello!\nA:"},
	} {
		talk := hello()
		talk.Layout = c.layout
		for range 2 { // the second time it is known
			shown, err := chatformat.NewResponder(nil, lookup(t, "chatml"), chatformat.Options{RequestFormats: true}).Render(t.Context(), talk)
			if err != nil || shown.Prompt.String() != c.want || shown.Format != "of the request" {
				t.Errorf("got %q in %s, %v", shown.Prompt.String(), shown.Format, err)
			}
		}
		_, err := chatformat.NewResponder(nil, lookup(t, "chatml"), chatformat.Options{}).Render(t.Context(), talk)
		if e := llm.AsError(err); e.Code != llm.Forbidden || e.Field != c.field || !strings.Contains(e.Hint, "request_formats") {
			t.Errorf("got %v", err)
		}
	}
}

func TestARequestsFormatThatIsNoneIsAnError(t *testing.T) {
	for _, c := range []struct {
		layout      chat.Layout
		field, says string
	}{
		{chat.Layout{Template: "{% for %}"}, "chat_template", "line 1"},
		{chat.Layout{Template: "Hello."}, "chat_template", "user message"},
		{chat.Layout{Markup: "[usr]\n"}, "parley.format_toml", "line 1"},
		{chat.Layout{Template: ownTemplate, Markup: ownMarkup}, "parley.format", "one chat format"},
		{chat.Layout{Template: ownTemplate, Format: "chatml"}, "parley.format", "one chat format"},
	} {
		talk := hello()
		talk.Layout = c.layout
		_, err := chatformat.NewResponder(nil, lookup(t, "chatml"), chatformat.Options{RequestFormats: true}).Render(t.Context(), talk)
		if e := llm.AsError(err); e.Code != llm.Invalid || e.Field != c.field || !strings.Contains(e.Message, c.says) {
			t.Errorf("%+v: got %v", c.layout, err)
		}
	}
}

func TestTheTemplateOfATokenizersConfiguration(t *testing.T) {
	for file, want := range map[string]string{
		`{"bos_token": "<s>"}`:    "",
		`{"chat_template": null}`: "",
		`{"chat_template": "a"}`:  "a",
		`{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "a"}]}`: "a",
		`{"chat_template": [{"name": "rag", "template": "a"}]}`:                                            "a",
	} {
		if got, err := chatformat.TemplateOfTokenizerConfig([]byte(file)); got != want || err != nil {
			t.Errorf("%s: got %q, %v", file, got, err)
		}
	}
	for file, says := range map[string]string{
		`[]`: "JSON", `{`: "JSON", `{"chat_template": 7}`: "neither",
		`{"chat_template": [{"name": "rag", "template": "a"}, {"name": "tool_use", "template": "b"}]}`: "rag, tool_use",
	} {
		if _, err := chatformat.TemplateOfTokenizerConfig([]byte(file)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v", file, err)
		}
	}
}
