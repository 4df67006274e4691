package openai_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/openai"
	"parley/llm"
)

var streamTexts = []string{
	"word", " two", "\x00", `"\u0000"`, "<b>&amp;", `back\slash "quoted"`, "line\nend\ttab", "ünï", "🍏", "a\u2028b\u2029c\u0085d", "\x7f", "\xff", " ", "{}",
}

// Each chunk of a stream is JSON in one line that says its text and nothing of
// another's.
func TestChunksSayTheirTexts(t *testing.T) {
	for _, model := range []string{"tiny", `a "model"`, "\x00", `"\u0000"`} {
		for _, body := range []string{
			`{"model":"m","stream":true,"n":2,"messages":[{"role":"user","content":"x"}]}`,
			`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`,
		} {
			q, err := openai.ParseChat([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			s := openai.NewChat(openai.Head{ID: "chatcmpl-1", Created: 7, Model: model}, q)
			for i, text := range streamTexts {
				choice := i % q.Choices
				for _, e := range []chat.Event{chat.TextDelta{Text: text}, chat.ReasoningDelta{Text: text, Tokens: make([]llm.Token, 1)}} {
					chunk := s.Event(choice, e)
					var got struct {
						ID, Object, Model string
						Created           int64
						Choices           []struct {
							Index  int
							Delta  map[string]string
							Finish any `json:"finish_reason"`
						}
						Usage json.RawMessage
					}
					if err := json.Unmarshal(chunk, &got); err != nil || strings.ContainsAny(string(chunk), "\n\u0085\u2028\u2029") {
						t.Fatalf("%s: %v", chunk, err)
					}
					field := "content"
					if _, thought := e.(chat.ReasoningDelta); thought {
						field = "reasoning_content"
					}
					want := strings.ToValidUTF8(text, "\ufffd")
					if got.ID != "chatcmpl-1" || got.Object != "chat.completion.chunk" || got.Model != model || got.Created != 7 || len(got.Choices) != 1 ||
						got.Choices[0].Index != choice || got.Choices[0].Finish != nil || fmt.Sprint(got.Choices[0].Delta) != fmt.Sprint(map[string]string{field: want}) ||
						(string(got.Usage) == "null") != q.IncludeUsage {
						t.Errorf("%q as %s: %s", text, field, chunk)
					}
				}
			}
		}
	}
}

func TestChunksOfACompletionSayTheirTexts(t *testing.T) {
	q, err := openai.ParseCompletion([]byte(`{"model":"m","stream":true,"prompt":["x","y"]}`))
	if err != nil {
		t.Fatal(err)
	}
	s := openai.NewCompletion(openai.Head{ID: "cmpl-1", Model: "m"}, q, nil)
	for i, text := range streamTexts {
		var got struct {
			Choices []struct {
				Index int
				Text  string
			}
		}
		chunk := s.Event(i%2, chat.TextDelta{Text: text})
		if err := json.Unmarshal(chunk, &got); err != nil || len(got.Choices) != 1 || got.Choices[0].Index != i%2 || got.Choices[0].Text != strings.ToValidUTF8(text, "\ufffd") {
			t.Errorf("%q: %s, %v", text, chunk, err)
		}
	}
	if chunk := s.Event(0, chat.ReasoningDelta{Text: "hm"}); chunk != nil {
		t.Errorf("a completion has thoughts: %s", chunk)
	}
}

func BenchmarkChunk(b *testing.B) {
	q, err := openai.ParseChat([]byte(`{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`))
	if err != nil {
		b.Fatal(err)
	}
	s := openai.NewChat(openai.Head{ID: "chatcmpl-1", Model: "m"}, q)
	b.ReportAllocs()
	for b.Loop() {
		s.Event(0, chat.TextDelta{Text: " word"})
	}
}
