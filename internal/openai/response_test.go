package openai

import (
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

// TestALoopIsAStop reply that went round in circles has stopped, for OpenAI's clients; who
// asks is told why.
func TestALoopIsAStop(t *testing.T) {
	q := &Request{Choices: 1, WantReport: true}
	f := llm.Finish{Reason: llm.ReasonLoop}
	whole := string(Chat(Head{ID: "x"}, q, []chat.Reply{{Finish: f}}, nil))
	s := NewChat(Head{ID: "x"}, q)
	stream := string(s.Event(0, chat.Done{Finish: f})) + string(s.End(nil))
	for name, body := range map[string]string{"whole": whole, "stream": stream} {
		if !strings.Contains(body, `"finish_reason":"stop"`) || strings.Count(body, `"stop_reason":"loop"`) != 1 {
			t.Errorf("%s: %s", name, body)
		}
	}
}
