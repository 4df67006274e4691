package chatformat_test

import (
	"slices"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// FuzzReply divides an output in two ways: text, thoughts and tokens come out
// the same.
func FuzzReply(f *testing.F) {
	f.Add(" \n<think>\nHm <\n\n</think>\n\nYes <think> no", uint8(3), false)
	f.Add("<thin", uint8(1), false)
	f.Add(" all.\n</think>\n", uint8(2), true)
	f.Add("Hello", uint8(1), true)
	f.Fuzz(func(t *testing.T, output string, step uint8, inside bool) {
		c := hello()
		if inside {
			c.Messages = append(c.Messages, chat.Say(chat.Assistant, "<think>So"))
			c.Continue = true
		}
		m, err := chatformat.Lookup("qwen3")
		if err != nil {
			t.Fatal(err)
		}
		r, err := m.Render(c)
		if err != nil {
			t.Fatal(err)
		}
		text, thoughts, _ := read(r.Reply(), output, len(output)+1)
		text2, thoughts2, tokens := read(r.Reply(), output, int(step)%8+1)
		if text != text2 || thoughts != thoughts2 {
			t.Errorf("at once %q, %q\nin pieces %q, %q", thoughts, text, thoughts2, text2)
		}
		if !slices.IsSorted(tokens) || len(tokens) != (len(output)+int(step)%8)/(int(step)%8+1) && output != "" {
			t.Errorf("tokens %v", tokens)
		}
	})
}

func read(p chatformat.Parser, output string, step int) (text, thoughts string, tokens []int) {
	for i := 0; ; i++ {
		n := min(step, len(output))
		piece := llm.Piece{Text: output[:n]}
		if n > 0 {
			piece.Tokens = []llm.Token{{ID: i, Text: output[:n]}}
		}
		if output = output[n:]; output == "" {
			piece.Finish = &llm.Finish{}
		}
		for _, e := range p.Parse(piece) {
			switch e := e.(type) {
			case chat.TextDelta:
				text += e.Text
				tokens = append(tokens, ids(e.Tokens)...)
			case chat.ReasoningDelta:
				thoughts += e.Text
				tokens = append(tokens, ids(e.Tokens)...)
			}
		}
		if piece.Finish != nil {
			return text, thoughts, tokens
		}
	}
}
