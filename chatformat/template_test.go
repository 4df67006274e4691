package chatformat_test

import (
	"encoding/json"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

func newTemplate(t *testing.T, source string) *chatformat.Template {
	t.Helper()
	f, err := chatformat.NewTemplate("test", source, chatformat.SpecialTokens{BOS: "<s>", EOS: "</s>"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const plainTemplate = `{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`

func TestWhatATemplateTakesIsLeftAlone(t *testing.T) {
	f := newTemplate(t, plainTemplate)
	c := chat.Conversation{Messages: []chat.Message{
		chat.Say(chat.System, "S1"), chat.Say(chat.System, "S2"), chat.Say(chat.Assistant, "A0"),
		chat.Say(chat.User, "U1"), chat.Say(chat.User, "U2"), chat.Say(chat.System, "T"),
	}}
	r, err := f.Render(c)
	if err != nil {
		t.Fatal(err)
	}
	want := "<s><|system|>S1<|end|><|system|>S2<|end|><|assistant|>A0<|end|><|user|>U1<|end|><|user|>U2<|end|><|system|>T<|end|><|assistant|>"
	if got := r.Prompt.String(); got != want || len(r.Report) != 0 {
		t.Errorf("got %q, report %v", got, r.Report)
	}
	if strings.Join(r.Stop, " ") != "<|end|> </s>" {
		t.Errorf("stops %q", r.Stop)
	}
}

func TestATemplateThatDoesNotWorkIsRefused(t *testing.T) {
	for source, want := range map[string]string{
		"{% for m in messages %}":                        "cannot be read",
		"{{ raise_exception('never') }}":                 "cannot lay out one user message",
		"no messages at all":                             "leaves out text of messages[0]",
		"{% for m in messages %}{{ x.y.z }}{% endfor %}": "cannot lay out one user message",
	} {
		_, err := chatformat.NewTemplate("bad", source, chatformat.SpecialTokens{})
		if e := llm.AsError(err); err == nil || e.Code != llm.Unsupported || !strings.Contains(e.Message, want) || !strings.Contains(e.Message, "bad") {
			t.Errorf("%q: got %v, want %q", source, err, want)
		}
	}
}

func TestAConversationThatNoRepairHelpsIsUnreadable(t *testing.T) {
	f := newTemplate(t, `{% for m in messages %}{% if 'forbidden' in m.content %}
{{ raise_exception('I will not say that') }}{% endif %}<|{{ m.role }}|>{{ m.content }}{% endfor %}`)
	c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "fine"), chat.Say(chat.Assistant, "fine"), chat.Say(chat.User, "forbidden")}}
	_, err := f.Render(c)
	e := llm.AsError(err)
	if e.Code != llm.Unreadable || e.Field != "messages[2]" || !strings.Contains(e.Message, "line 2") || !strings.Contains(e.Message, "I will not say that") {
		t.Errorf("got %+v", e)
	}
}

func TestTemplateArguments(t *testing.T) {
	f := newTemplate(t, `{{ style }}`+plainTemplate)
	c := hello()
	c.Layout.Arguments = map[string]json.RawMessage{"style": json.RawMessage(`"<|end|>"`)}
	r, err := f.Render(c)
	if err != nil || !strings.HasPrefix(r.Prompt.String(), "<|end|><s>") {
		t.Fatalf("got %q, %v", r.Prompt.String(), err)
	}
	if s := r.Prompt.Segments[0]; s.Control || s.Source != (llm.Source{Kind: llm.FromOption, Field: "style"}) {
		t.Errorf("an argument became %+v", s)
	}
	for _, name := range []string{"messages", "bos_token"} {
		c.Layout.Arguments = map[string]json.RawMessage{name: json.RawMessage("[]")}
		if _, err := f.Render(c); llm.AsError(err).Code != llm.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAReplyEndsLikeTheTemplatesOwn(t *testing.T) {
	// Phi-3's way: a conversation that is over ends with the end of the text,
	// where one that asks for a reply goes on.
	f := newTemplate(t, `{% for m in messages %}<|{{ m.role }}|>
{{ m.content }}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% else %}{{ eos_token }}{% endif %}`)
	r, err := f.Render(chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "U1")}})
	if err != nil || strings.Join(r.Stop, " ") != "<|end|> </s>" {
		t.Errorf("stops %q, %v", r.Stop, err)
	}
}
