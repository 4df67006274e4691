//go:build engines

package engines

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"parley/internal/upstream"
	"parley/llm"
)

// Who breaks an answer off at its first piece has llama.cpp's server stop long
// before the thousands of tokens that were asked for.
func TestLeavingEndsTheWorkOfARealEngine(t *testing.T) {
	if !slices.Contains(Built(t), "llama-server") {
		return
	}
	url := start(t, "llama-server", program("llama-server"), engine{
		args: func(gguf, port string) []string {
			return []string{"--model", gguf, "--host", "127.0.0.1", "--port", port, "--threads", "1", "--parallel", "1", "--ctx-size", "4096", "--alias", ModelName}
		},
		ready: "/health",
	}, demo)
	e, err := upstream.Dial(t.Context(), upstream.Options{URL: url, Way: upstream.AsModel})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	o, err := e.Open(t.Context(), ModelName)
	if err != nil {
		t.Fatal(err)
	}
	for piece, err := range o.Model.Complete(t.Context(), llm.Text("Hi"), llm.Params{MaxTokens: new(4000), IgnoreEOS: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if piece.Text != "" {
			break
		}
	}
	for deadline := time.Now().Add(time.Minute); ; {
		working, tokens := slot(t, url)
		if !working && (tokens == 0 || tokens > 2000) {
			t.Errorf("%d tokens were computed", tokens)
		}
		if !working {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it was still at work after a minute, at token %d", tokens)
		}
	}
}

// slot says whether the only slot of a llama.cpp server is at work, and how many
// tokens it holds.
func slot(t *testing.T, url string) (working bool, tokens int) {
	t.Helper()
	resp, err := http.Get(url + "/slots")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var slots []struct {
		Working bool `json:"is_processing"`
		Tokens  int  `json:"n_prompt_tokens"` // the reply's, too, once it is over
	}
	if err := json.NewDecoder(resp.Body).Decode(&slots); err != nil || len(slots) != 1 {
		t.Fatalf("%d slots, %v", len(slots), err)
	}
	return slots[0].Working, slots[0].Tokens
}
