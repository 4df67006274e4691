//go:build engines

package engines

import (
	"strings"
	"testing"

	"parley/chat"
	"parley/chat/chattest"
	"parley/internal/upstream"
	"parley/llm"
	"parley/llm/llmtest"
)

// recognised is what upstream has to take each for, with what they do not tell.
var recognised = map[string]struct {
	name              string
	untold, uncounted bool
}{
	"llama-server":     {name: "llamacpp"},
	"llama-cpp-python": {name: "llamacpppython", untold: true, uncounted: true},
	"ollama":           {name: "ollama", untold: true, uncounted: true},
	"parley":           {name: "parley", untold: true, uncounted: true},
}

func TestUpstreamKeepsItsContractsOnRealEngines(t *testing.T) {
	for _, name := range Built(t) {
		t.Run(name, func(t *testing.T) {
			kind := recognised[name]
			url := Start(t, name, demo)
			open := func(way upstream.Way) *upstream.Opened {
				e, err := upstream.Dial(t.Context(), upstream.Options{URL: url, Way: way})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { e.Close() })
				if e.Kind().Name != kind.name {
					t.Fatalf("it was taken for %s", e.Kind().Title)
				}
				o, err := e.Open(t.Context(), ModelName)
				if err != nil {
					t.Fatal(err)
				}
				return o
			}
			t.Run("model", func(t *testing.T) {
				llmtest.Run(t, llmtest.Subject{
					Model:  open(upstream.AsModel).Model,
					Prompt: llm.Text("<|im_start|>user\nWrite a haiku about apples.<|im_end|>\n<|im_start|>assistant\n"),
					Untold: kind.untold, Uncounted: kind.uncounted,
				})
			})
			t.Run("chat", func(t *testing.T) {
				chattest.Run(t, chattest.Subject{
					Responder:    open(upstream.AsChat).Responder,
					Conversation: chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "Write a haiku about apples.")}},
				})
			})
		})
	}
}

func TestUpstreamSaysThatAPromptIsTooLongForARealEngine(t *testing.T) {
	for _, name := range Built(t) {
		if name == "parley" {
			continue // its own tests say so, and its context is larger
		}
		t.Run(name, func(t *testing.T) {
			e, err := upstream.Dial(t.Context(), upstream.Options{URL: Start(t, name, demo), Way: upstream.AsModel})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			o, err := e.Open(t.Context(), ModelName)
			if err != nil {
				t.Fatal(err)
			}
			want := llm.TooLong
			if name == "llama-cpp-python" {
				want = llm.Broken // its stream ends without a word
			}
			for _, err := range o.Model.Complete(t.Context(), llm.Text(strings.Repeat("Hi there ", 150)), llm.Params{MaxTokens: new(4)}) {
				if err == nil {
					continue
				}
				if e := llm.AsError(err); e.Code != want {
					t.Errorf("%s: %v", e.Code, err)
				}
				return
			}
			t.Error("the prompt was taken")
		})
	}
}
