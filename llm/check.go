package llm

import (
	"fmt"

	"parley/internal/limits"
)

// Check finds numbers that are out of range. The error is an *Error whose
// Field is the name of the parameter as OpenAI spells it; dialects with other
// names translate it.
func (p Params) Check() error {
	checks := []struct {
		field string
		limit *limits.Limit
		value *float64
	}{
		{"max_tokens", limits.MaxTokens, number(p.MaxTokens)},
		{"temperature", limits.Temperature, p.Temperature},
		{"top_k", limits.TopK, number(p.TopK)},
		{"top_p", limits.TopP, p.TopP},
		{"min_p", limits.MinP, p.MinP},
		{"repetition_penalty", limits.RepetitionPenalty, p.RepetitionPenalty},
		{"repetition_range", limits.RepetitionRange, number(p.RepetitionRange)},
		{"presence_penalty", limits.PresencePenalty, p.PresencePenalty},
		{"frequency_penalty", limits.FrequencyPenalty, p.FrequencyPenalty},
		{"logprobs", limits.LogProbs, number(p.LogProbs)},
	}
	for _, c := range checks {
		if c.value == nil {
			continue
		}
		if err := c.limit.Check(*c.value); err != nil {
			return outOfRange(c.field, err)
		}
	}
	if err := limits.Stops.CheckInt(len(p.Stop)); err != nil {
		return outOfRange("stop", err)
	}
	for i, s := range p.Stop {
		if err := limits.StopBytes.CheckInt(len(s)); err != nil {
			return outOfRange(fmt.Sprintf("stop[%d]", i), err)
		}
	}
	if err := limits.LogitBiases.CheckInt(len(p.LogitBias)); err != nil {
		return outOfRange("logit_bias", err)
	}
	for id, bias := range p.LogitBias {
		if err := limits.LogitBias.Check(bias); err != nil {
			return outOfRange(fmt.Sprintf("logit_bias.%d", id), err)
		}
	}
	return nil
}

func number(p *int) *float64 {
	if p == nil {
		return nil
	}
	return new(float64(*p))
}

func outOfRange(field string, err error) *Error {
	return &Error{Code: Invalid, Field: field, Message: err.Error()}
}
