package check

import (
	"context"
	"strings"
)

var forgeryChecks = []Check{
	{"forged-marks", Forged, "control tokens in what a user wrote", forgedMarks},
}

// forgeries are the marks with which chat formats end or begin turns.
var forgeries = []string{
	"<|im_end|>", "<|im_start|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|user|>", "</s>", "[/INST]",
	"<|endoftext|>", "<|END_OF_TURN_TOKEN|>", "<｜User｜>", "<turn|>",
}

// times is how often a mark stands in a message: one too many or too few, as
// tokenizing at a joint may make it, does not count then.
const times = 4

// forgedMarks counts what a mark in a user's message costs. A control token is
// one token; as text a mark is several. Which marks are control tokens of this
// model is told by a raw prompt, where they are allowed, or by its tokenizer.
func forgedMarks(ctx context.Context, s *subject) finding {
	base, x, err := s.count(ctx, []message{say("user", strings.Repeat(filler, times))})
	if err != nil {
		return failed(x, err)
	}
	if err := s.calibrate(ctx); err != nil {
		return cannotTell("%v", err)
	}
	var own, unknown []string
	for _, mark := range forgeries {
		tokens, known := s.markTokens(ctx, mark)
		switch {
		case !known:
			unknown = append(unknown, mark)
		case tokens > 1:
			continue // text in every prompt
		default:
			own = append(own, mark)
		}
		with, x, err := s.count(ctx, []message{say("user", strings.Repeat(filler+mark, times))})
		if err != nil {
			return failed(x, err)
		}
		if each := float64(with-base) / times; each < 1.5 {
			// A look-alike of the same length must cost what text costs.
			like := strings.Repeat(filler+mark[:len(mark)/2]+"\u200b"+mark[len(mark)/2:], times)
			text, x2, err := s.count(ctx, []message{say("user", like)})
			if err != nil {
				return failed(x2, err)
			}
			switch {
			case with <= base:
				return broken(of(x), "%s is taken out of a user's message in silence: %d times it adds %d tokens", mark, times, with-base)
			case float64(text-base)/times >= each+1:
				return broken(of(x, x2), "%s in a user's message becomes a control token: %.1f tokens each, and %.1f with a zero-width space in it", mark, each, float64(text-base)/times)
			}
		}
	}
	switch {
	case len(own) > 0:
		return kept("in a user's message the model's own %s are text", strings.Join(own, ", "))
	case len(unknown) == len(forgeries):
		return cannotTell("none of %d known marks becomes a control token, but which this model has is not shown", len(forgeries))
	}
	return cannotTell("none of %d known marks is a control token of this model", len(forgeries))
}

// markTokens is how many tokens a mark is where it may be a control token.
func (s *subject) markTokens(ctx context.Context, mark string) (n int, known bool) {
	if s.tokenizes != "" {
		var told struct {
			Count  int   `json:"count"`
			Tokens []any `json:"tokens"`
		}
		body := map[string]any{"model": s.model, "content": mark, "parse_special": true, "add_special": false}
		switch {
		case s.software == "Parley":
			body = map[string]any{"model": s.model, "text": mark, "special": true}
		case s.software == "vLLM":
			body = map[string]any{"model": s.model, "prompt": mark, "add_special_tokens": false}
		}
		if s.ask(ctx, "POST", s.tokenizes, body, &told) && max(told.Count, len(told.Tokens)) > 0 {
			return max(told.Count, len(told.Tokens)), true
		}
	}
	if s.raw == 0 {
		s.raw = s.rawTokens(ctx, strings.Repeat(filler, times))
	}
	with := s.rawTokens(ctx, strings.Repeat(filler+mark, times))
	if s.raw < 0 || with < 0 {
		return 0, false
	}
	return max(0, round(float64(with-s.raw)/times)), true
}

// rawTokens counts a prompt that is no chat; -1 if that cannot be.
func (s *subject) rawTokens(ctx context.Context, prompt string) int {
	r, _, err := s.whole(ctx, completionPath, request{Prompt: "Hm" + prompt, MaxTokens: 1, Temperature: new(0.0)})
	if err != nil {
		return -1
	}
	return r.prompt()
}
