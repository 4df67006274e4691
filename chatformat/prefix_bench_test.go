package chatformat_test

import (
	"fmt"
	"testing"

	"parley/chat"
	"parley/chatformat"
)

// growing are chats as front ends send them: turn by turn the same list with
// more at its end.
var growing = map[string]func(turns int) []chat.Message{
	"plain": func(turns int) []chat.Message {
		return exchange([]chat.Message{chat.Say(chat.System, "You are Mira, a gardener.")}, turns)
	},
	"reminder each turn": func(turns int) []chat.Message {
		m := []chat.Message{chat.Say(chat.System, "You are Mira, a gardener.")}
		for i := range turns {
			m = append(m, chat.Say(chat.System, fmt.Sprintf("It is %d o'clock.", i)))
			m = exchange(m, 1)
		}
		return m
	},
	"note three from the end": func(turns int) []chat.Message {
		m := exchange([]chat.Message{chat.Say(chat.System, "You are Mira."), chat.Say(chat.System, "You love roses.")}, turns)
		at := max(2, len(m)-3)
		note := chat.Say(chat.System, "[Write in a quiet voice, at most three sentences.]")
		return append(append(append([]chat.Message{}, m[:at]...), note), m[at:]...)
	},
}

// exchange appends turns; the last one is the user's.
func exchange(m []chat.Message, turns int) []chat.Message {
	for i := range turns {
		if last := len(m) - 1; m[last].Role == chat.User {
			m = append(m, chat.Say(chat.Assistant, fmt.Sprintf("The roses of bed %d are in bloom, and the bees have found them.", i)))
		}
		m = append(m, chat.Say(chat.User, fmt.Sprintf("And what have you seen in bed %d this morning?", i)))
	}
	return m
}

// BenchmarkPrefixKept reports how much of a prompt the next one of a growing
// chat begins with, in percent of its bytes: what a prefix cache need not read
// again.
func BenchmarkPrefixKept(b *testing.B) {
	const turns = 20
	for _, name := range []string{"chatml", "llama-2"} {
		f, err := chatformat.Lookup(name)
		if err != nil {
			b.Fatal(err)
		}
		for _, policy := range chatformat.Policies() {
			for kind, list := range growing {
				b.Run(name+"/"+policy+"/"+kind, func(b *testing.B) {
					var kept, whole int
					for b.Loop() {
						before := ""
						for n := 1; n <= turns; n++ {
							r, err := f.Render(chat.Conversation{Messages: list(n), Layout: chat.Layout{Policy: policy}})
							if err != nil {
								b.Skip(err)
							}
							now := r.Prompt.String()
							if n > 1 {
								whole += len(before)
								kept += common(before, now)
							}
							before = now
						}
					}
					b.ReportMetric(100*float64(kept)/float64(whole), "%kept")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}

func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
