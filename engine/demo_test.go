package engine_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"parley/engine"
	"parley/internal/demo"
	"parley/llm"
	"parley/llm/llmtest"
)

func builtIn(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.OpenBytes(demo.Model(), engine.Options{Name: demo.Name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// TestTheBuiltInModelTellsItsStory compares the greedy text with that of an
// independent implementation, which tools/demomodel made the story with.
func TestTheBuiltInModelTellsItsStory(t *testing.T) {
	e := builtIn(t)
	story, err := os.ReadFile("../internal/demo/testdata/story.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(story)); lines.Scan(); {
		var c struct {
			Name, Prompt string
			PromptTokens []int `json:"prompt_tokens"`
			Stop         *string
			Text         string
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		t.Run(c.Name, func(t *testing.T) {
			tokens, err := e.Tokenize(t.Context(), llm.Text(c.Prompt))
			if err != nil {
				t.Fatal(err)
			}
			var ids []int
			for _, tok := range tokens {
				ids = append(ids, tok.ID)
			}
			if !slices.Equal(ids, c.PromptTokens) {
				t.Errorf("tokens %v\nwant   %v", ids, c.PromptTokens)
			}
			params := llm.Params{MaxTokens: new(200)} // the file itself recommends temperature 0
			if c.Stop != nil {
				params.Stop = []string{*c.Stop}
			}
			text := ""
			for piece, err := range e.Complete(t.Context(), llm.Text(c.Prompt), params) {
				if err != nil {
					t.Fatal(err)
				}
				text += piece.Text
			}
			want := c.Text
			if c.Stop != nil {
				want, _, _ = strings.Cut(want, *c.Stop) // the reference looks behind whole tokens whether to stop
			}
			if text != want {
				t.Errorf("got  %q\nwant %q", text, want)
			}
		})
	}
}

func TestTheBuiltInModelKeepsTheContract(t *testing.T) {
	llmtest.Run(t, llmtest.Subject{
		Model:  builtIn(t),
		Prompt: llm.Text("<|im_start|>user\nWrite a haiku about apples.<|im_end|>\n<|im_start|>assistant\n"),
	})
}
