package chatformat_test

import (
	"slices"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// TestThoughtsThatATemplateLeavesOutAreReported, also where a client sent them
// within the text of a reply.
func TestThoughtsThatATemplateLeavesOutAreReported(t *testing.T) {
	const (
		drops = `{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`
		keeps = `{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`
		moves = `{% for m in messages %}<|{{ m.role }}|>{% if '</think>' in m.content %}<think>{{ m.content.split('</think>')[0].split('<think>')[-1] }}</think>{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`
	)
	c := chat.Conversation{Messages: []chat.Message{
		chat.Say(chat.User, "The capital of France?"),
		chat.Say(chat.Assistant, "<think>It is Paris.</think>Paris."),
		chat.Say(chat.User, "And of Italy?"),
	}}
	for source, want := range map[string]bool{drops: true, keeps: false, moves: false} {
		f, err := chatformat.NewTemplate("test", source, chatformat.SpecialTokens{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Render(c)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.ContainsFunc(r.Report, func(n llm.Note) bool {
			return n.Code == chatformat.CodeReasoningOmitted && n.Value == "messages[1]"
		})
		if got != want {
			t.Errorf("%s\nreported: %v, want %v (%v)\nprompt %q", source, got, want, r.Report, r.Prompt.String())
		}
	}
}
