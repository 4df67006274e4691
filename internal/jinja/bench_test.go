package jinja

import (
	"context"
	"fmt"
	"testing"
)

// longChat is a conversation of 30 messages, about 5 kB.
func longChat() *Dict {
	const sentence = "The lazy and brown while minds jumps band rain, the on quick dog nobody fox the over plays. "
	messages := NewList()
	for i := range 30 {
		role := "user"
		switch {
		case i == 0:
			role = "system"
		case i%2 == 0:
			role = "assistant"
		}
		m := NewDict()
		m.Set("role", String(role, FromTemplate))
		m.Set("content", String(fmt.Sprintf("%d. %s\n\n```py\nprint('<b>%d</b>')\n```", i, sentence, i), Origin(i+1)))
		messages.items = append(messages.items, m)
	}
	vars := NewDict()
	vars.Set("messages", messages)
	vars.Set("tools", None{})
	vars.Set("documents", None{})
	vars.Set("add_generation_prompt", Bool{V: true})
	vars.Set("bos_token", String("<s>", FromTemplate))
	vars.Set("eos_token", String("</s>", FromTemplate))
	return vars
}

const chatML = `{% for message in messages %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}`

func BenchmarkRenderChatML(b *testing.B) {
	t, err := Parse("chatml", chatML, DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	vars := longChat()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.Render(context.Background(), vars, clock); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseChatML(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("chatml", chatML, DefaultLimits()); err != nil {
			b.Fatal(err)
		}
	}
}
