package llamaserver

import (
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

// What was drafted is told as llama.cpp does: where there was anything.
func TestTimingsTellOfDrafts(t *testing.T) {
	for _, drafted := range []int{0, 8} {
		f := llm.Finish{Usage: llm.Usage{CompletionTokens: 9, DraftedTokens: drafted}}
		body := string(NewStream("m", &Request{Prompts: []llm.Prompt{llm.Text("x")}}).Whole([]chat.Reply{{Finish: f}}))
		if got := strings.Contains(body, `"draft_n":8,"draft_n_accepted":0}`); got != (drafted > 0) || drafted == 0 && strings.Contains(body, "draft_n") {
			t.Errorf("%d drafted: %s", drafted, body)
		}
	}
}
