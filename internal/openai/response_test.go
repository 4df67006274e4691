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

// A client that predicts an answer is told what its prediction was good for; no
// other hears of tokens that were drafted.
func TestPredictionsAreCountedForThoseWhoPredict(t *testing.T) {
	f := llm.Finish{Usage: llm.Usage{CompletionTokens: 30, DraftedTokens: 20, AcceptedTokens: 13}}
	for prediction, want := range map[string]bool{"": false, "as it was": true} {
		q := &Request{Choices: 2, Params: llm.Params{Prediction: prediction}, IncludeUsage: true}
		whole := string(Chat(Head{ID: "x"}, q, []chat.Reply{{Finish: f}, {Finish: f}}, nil))
		s := NewChat(Head{ID: "x"}, q)
		stream := string(s.Event(0, chat.Done{Finish: f})) + string(s.Event(1, chat.Done{Finish: f})) + string(s.End(nil))
		for name, body := range map[string]string{"whole": whole, "stream": stream} {
			if got := strings.Contains(body, `"accepted_prediction_tokens":26,"rejected_prediction_tokens":14`); got != want || !want && strings.Contains(body, "prediction") {
				t.Errorf("%q, %s: %s", prediction, name, body)
			}
		}
	}
}
