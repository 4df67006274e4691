package llm

import (
	"fmt"
	"slices"

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
		{"typical_p", limits.TypicalP, p.TypicalP},
		{"top_n_sigma", limits.TopNSigma, p.TopNSigma},
		{"dynatemp_range", limits.DynamicTemperatureRange, p.DynamicTemperatureRange},
		{"dynatemp_exponent", limits.DynamicTemperatureExponent, p.DynamicTemperatureExponent},
		{"xtc_probability", limits.XTCProbability, p.XTCProbability},
		{"xtc_threshold", limits.XTCThreshold, p.XTCThreshold},
		{"mirostat", limits.Mirostat, number(p.Mirostat)},
		{"mirostat_tau", limits.MirostatTau, p.MirostatTau},
		{"mirostat_eta", limits.MirostatEta, p.MirostatEta},
		{"repetition_penalty", limits.RepetitionPenalty, p.RepetitionPenalty},
		{"repetition_range", limits.RepetitionRange, number(p.RepetitionRange)},
		{"presence_penalty", limits.PresencePenalty, p.PresencePenalty},
		{"frequency_penalty", limits.FrequencyPenalty, p.FrequencyPenalty},
		{"dry_multiplier", limits.DRYMultiplier, p.DRYMultiplier},
		{"dry_base", limits.DRYBase, p.DRYBase},
		{"dry_allowed_length", limits.DRYAllowedLength, number(p.DRYAllowedLength)},
		{"dry_penalty_last_n", limits.DRYRange, number(p.DRYRange)},
		{"min_tokens", limits.MinTokens, number(p.MinTokens)},
		{"loop_guard", limits.LoopGuard, number(p.LoopGuard)},
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
	if p.Mirostat != nil && *p.Mirostat == 1 {
		return Errorf(Unsupported, "mirostat", "there is no version 1 of mirostat here, only 2")
	}
	for _, c := range []struct {
		field       string
		count, size *limits.Limit
		strings     []string
	}{
		{"stop", limits.AllStops, limits.StopBytes, p.Stop},
		{"stop", limits.AllStops, limits.StopBytes, p.StopLines},
		{"dry_sequence_breakers", limits.DRYBreakers, limits.DRYBreakerBytes, p.DRYBreakers},
		{"banned_strings", limits.BannedStrings, limits.BannedStringBytes, p.BannedStrings},
	} {
		if err := checkStrings(c.field, c.strings, c.count, c.size); err != nil {
			return err
		}
	}
	if err := p.checkSamplers(); err != nil {
		return err
	}
	return p.checkBias()
}

func checkStrings(field string, strings []string, count, size *limits.Limit) error {
	if err := count.CheckInt(len(strings)); err != nil {
		return outOfRange(field, err)
	}
	for i, s := range strings {
		if err := size.CheckInt(len(s)); err != nil {
			return outOfRange(fmt.Sprintf("%s[%d]", field, i), err)
		}
	}
	return nil
}

func (p Params) checkSamplers() error {
	for i, s := range p.Samplers {
		if !s.Valid() {
			return Errorf(Invalid, fmt.Sprintf("samplers[%d]", i), "there is no sampler %q; there are %v", s, usualSamplers)
		}
		if slices.Contains(p.Samplers[:i], s) {
			return Errorf(Invalid, fmt.Sprintf("samplers[%d]", i), "%q stands twice", s)
		}
	}
	return nil
}

func (p Params) checkBias() error {
	if err := limits.LogitBiases.CheckInt(len(p.LogitBias) + len(p.WordBias)); err != nil {
		return outOfRange("logit_bias", err)
	}
	for id, bias := range p.LogitBias {
		if err := limits.LogitBias.Check(bias); err != nil {
			return outOfRange(fmt.Sprintf("logit_bias.%d", id), err)
		}
	}
	for word, bias := range p.WordBias {
		if err := limits.LogitBiasWordBytes.CheckInt(len(word)); err != nil {
			return outOfRange("logit_bias", err)
		}
		if err := limits.LogitBias.Check(bias); err != nil {
			return outOfRange("logit_bias."+word, err)
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
