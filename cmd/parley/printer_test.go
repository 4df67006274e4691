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
