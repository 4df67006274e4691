package main

import (
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

func TestPrinting(t *testing.T) {
	thinking := []chat.Event{
		chat.Waiting{Queue: 2},
		chat.Waiting{Done: 5, Total: 10},
		chat.ReasoningDelta{Text: "Hm."},
		chat.TextDelta{Text: "Yes"},
		chat.TextDelta{Text: ".\n"},
		chat.Done{Finish: llm.Finish{Report: llm.Report{{Code: "max_tokens_capped", Value: "7"}}}},
	}
	tests := []struct {
		name   string
		p      printer
		events []chat.Event
		want   string
	}{
		{"for a person", printer{}, thinking, "Hm.\n\nYes.\n"},
		{"for a program", printer{quiet: true}, thinking, "Yes.\n"},
		{"with progress", printer{style: style{true}}, thinking[:2],
			clearLine + "\x1b[2mwaiting: 2 before this one\x1b[0m" + clearLine + "\x1b[2mreading the prompt: 5 of 10 tokens\x1b[0m" + clearLine},
		{"an open line is ended", printer{}, []chat.Event{chat.TextDelta{Text: "a\nb"}}, "a\nb\n"},
		{"nothing", printer{}, nil, ""},
		{"to a terminal", printer{terminal: true}, []chat.Event{chat.ReasoningDelta{Text: "\x1b[2J"}, chat.TextDelta{Text: "a\x1b]0;x\a\u009b\u00a0é\t\u200d\n"}},
			"\ufffd[2J\n\na\ufffd]0;x\ufffd\ufffd\u00a0é\t\u200d\n"},
		{"to a file", printer{quiet: true}, []chat.Event{chat.TextDelta{Text: "a\x1b[2J\n"}}, "a\x1b[2J\n"},
		{"a call", printer{}, []chat.Event{chat.ToolCallDelta{Name: "f"}, chat.ToolCallDelta{Arguments: "{}"}}, "f {}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			tt.p.out = &out
			for _, e := range tt.events {
				tt.p.print(e)
			}
			tt.p.end()
			tt.p.end()
			if out.String() != tt.want {
				t.Errorf("printed %q, want %q", out.String(), tt.want)
			}
		})
	}
}
