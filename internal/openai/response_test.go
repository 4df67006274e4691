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

// Who asks for the report is told what of the prompt was in memory, where the engine
// knows it, and what broke it.
func TestWhoAsksIsToldWhereAPromptBroke(t *testing.T) {
	q := &Request{Choices: 1, WantReport: true}
	for want, u := range map[string]llm.Usage{
		`"cache":{"prompt":90,"cached":40}}`: {PromptTokens: 90, CachedTokens: 40},
		`"cache":{"prompt":90,"cached":40,"broke_at":{"token":40,"unused":300,"source":{"kind":"message","index":2,"part":0,"field":"content"}}}}`: {
			PromptTokens: 90, CachedTokens: 40, Broke: &llm.Break{Token: 40, Unused: 300, Source: llm.Source{Kind: llm.FromMessage, Index: 2, Field: "content"}},
		},
		`"timings":{"queued_ms":0,"prefill_ms":0,"decode_ms":0}}`: {PromptTokens: 90, CacheUntold: true},
	} {
		if got := string(Chat(Head{ID: "x"}, q, []chat.Reply{{Finish: llm.Finish{Usage: u}}}, nil)); !strings.Contains(got, want) {
			t.Errorf("%s\nhas no %s", got, want)
		}
	}
}
