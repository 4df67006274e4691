package session

import (
	"encoding/json"

	"parley/internal/wire"
	"parley/llm"
)

// ParseParams reads parameters as a request has them; none is an empty raw.
// What is no parameter is reported as ignored.
func ParseParams(raw json.RawMessage) (p llm.Params, report llm.Report, err error) {
	if len(raw) == 0 {
		return p, nil, nil
	}
	v, err := wire.Parse(raw)
	if err != nil {
		return p, nil, err
	}
	r := &wire.Reader{}
	o := r.Object("params", v)
	o.Params(&p)
	o.Rest(o.Leftover)
	if r.Err != nil {
		return llm.Params{}, nil, r.Err
	}
	return p, r.Report, p.Check()
}

// over lays the parameters of a request over usual ones.
func over(p, usual llm.Params) llm.Params {
	if p.Stop == nil {
		p.Stop = usual.Stop
	}
	if p.BannedStrings == nil {
		p.BannedStrings = usual.BannedStrings
	}
	if p.LogitBias == nil && p.WordBias == nil {
		p.LogitBias, p.WordBias = usual.LogitBias, usual.WordBias
	}
	p.IgnoreEOS = p.IgnoreEOS || usual.IgnoreEOS
	return p.WithDefaults(usual)
}

// spell writes parameters as a request has them, those left open left out.
func spell(p llm.Params) json.RawMessage {
	return wire.Encode(struct {
		MaxTokens         *int     `json:"max_tokens,omitempty"`
		Temperature       *float64 `json:"temperature,omitempty"`
		TopK              *int     `json:"top_k,omitempty"`
		TopP              *float64 `json:"top_p,omitempty"`
		MinP              *float64 `json:"min_p,omitempty"`
		TypicalP          *float64 `json:"typical_p,omitempty"`
		TopNSigma         *float64 `json:"top_n_sigma,omitempty"`
		DynatempRange     *float64 `json:"dynatemp_range,omitempty"`
		DynatempExponent  *float64 `json:"dynatemp_exponent,omitempty"`
		XTCProbability    *float64 `json:"xtc_probability,omitempty"`
		XTCThreshold      *float64 `json:"xtc_threshold,omitempty"`
		Mirostat          *int     `json:"mirostat,omitempty"`
		MirostatTau       *float64 `json:"mirostat_tau,omitempty"`
		MirostatEta       *float64 `json:"mirostat_eta,omitempty"`
		RepetitionPenalty *float64 `json:"repetition_penalty,omitempty"`
		RepetitionRange   *int     `json:"repeat_last_n,omitempty"`
		PresencePenalty   *float64 `json:"presence_penalty,omitempty"`
		FrequencyPenalty  *float64 `json:"frequency_penalty,omitempty"`
		DRYMultiplier     *float64 `json:"dry_multiplier,omitempty"`
		DRYBase           *float64 `json:"dry_base,omitempty"`
		DRYAllowedLength  *int     `json:"dry_allowed_length,omitempty"`
		DRYRange          *int     `json:"dry_penalty_last_n,omitempty"`
		DRYBreakers       []string `json:"dry_sequence_breakers,omitempty"`

		Samplers      []llm.Sampler      `json:"samplers,omitempty"`
		Stop          []string           `json:"stop,omitempty"`
		BannedStrings []string           `json:"banned_strings,omitempty"`
		LogitBias     map[int]float64    `json:"logit_bias,omitempty"`
		WordBias      map[string]float64 `json:"word_bias,omitempty"`
		MinTokens     *int               `json:"min_tokens,omitempty"`
		IgnoreEOS     bool               `json:"ignore_eos,omitempty"`
		LoopGuard     *int               `json:"loop_guard,omitempty"`
		Constraint    *llm.Constraint    `json:"constraint,omitempty"`
	}{
		p.MaxTokens, p.Temperature, p.TopK, p.TopP, p.MinP, p.TypicalP, p.TopNSigma, p.DynamicTemperatureRange, p.DynamicTemperatureExponent,
		p.XTCProbability, p.XTCThreshold, p.Mirostat, p.MirostatTau, p.MirostatEta, p.RepetitionPenalty, p.RepetitionRange, p.PresencePenalty,
		p.FrequencyPenalty, p.DRYMultiplier, p.DRYBase, p.DRYAllowedLength, p.DRYRange, p.DRYBreakers,
		p.Samplers, p.Stop, p.BannedStrings, p.LogitBias, p.WordBias, p.MinTokens, p.IgnoreEOS, p.LoopGuard, p.Constraint,
	})
}
