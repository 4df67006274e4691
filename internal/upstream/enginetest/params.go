package enginetest

import (
	"slices"

	"parley/llm"
)

// setters read one sampling field each, under every name that an engine has
// for it. Which of them an engine knows is said with its route.
var setters = map[string]func(p *llm.Params, fields map[string]any, name string) error{}

func init() {
	f := func(names string, at func(*llm.Params) **float64) {
		for _, name := range words(names) {
			setters[name] = func(p *llm.Params, fields map[string]any, name string) error {
				n, err := number(fields, name)
				if n != nil {
					*at(p) = n
				}
				return err
			}
		}
	}
	i := func(names string, at func(*llm.Params) **int) {
		for _, name := range words(names) {
			setters[name] = func(p *llm.Params, fields map[string]any, name string) error {
				n, err := integer(fields, name)
				if n != nil {
					*at(p) = n
				}
				return err
			}
		}
	}
	f("temperature", func(p *llm.Params) **float64 { return &p.Temperature })
	i("top_k", func(p *llm.Params) **int { return &p.TopK })
	f("top_p", func(p *llm.Params) **float64 { return &p.TopP })
	f("min_p", func(p *llm.Params) **float64 { return &p.MinP })
	f("typical_p typical typ_p", func(p *llm.Params) **float64 { return &p.TypicalP })
	f("top_n_sigma nsigma", func(p *llm.Params) **float64 { return &p.TopNSigma })
	f("dynatemp_range", func(p *llm.Params) **float64 { return &p.DynamicTemperatureRange })
	f("dynatemp_exponent", func(p *llm.Params) **float64 { return &p.DynamicTemperatureExponent })
	f("xtc_probability", func(p *llm.Params) **float64 { return &p.XTCProbability })
	f("xtc_threshold", func(p *llm.Params) **float64 { return &p.XTCThreshold })
	i("mirostat mirostat_mode", func(p *llm.Params) **int { return &p.Mirostat })
	f("mirostat_tau", func(p *llm.Params) **float64 { return &p.MirostatTau })
	f("mirostat_eta", func(p *llm.Params) **float64 { return &p.MirostatEta })
	f("repetition_penalty repeat_penalty rep_pen", func(p *llm.Params) **float64 { return &p.RepetitionPenalty })
	i("repeat_last_n rep_pen_range repetition_penalty_range", func(p *llm.Params) **int { return &p.RepetitionRange })
	f("presence_penalty", func(p *llm.Params) **float64 { return &p.PresencePenalty })
	f("frequency_penalty", func(p *llm.Params) **float64 { return &p.FrequencyPenalty })
	f("dry_multiplier", func(p *llm.Params) **float64 { return &p.DRYMultiplier })
	f("dry_base", func(p *llm.Params) **float64 { return &p.DRYBase })
	i("dry_allowed_length", func(p *llm.Params) **int { return &p.DRYAllowedLength })
	i("dry_penalty_last_n", func(p *llm.Params) **int { return &p.DRYRange })
	i("min_tokens min_length", func(p *llm.Params) **int { return &p.MinTokens })
	i("max_tokens max_completion_tokens n_predict num_predict max_length max_new_tokens",
		func(p *llm.Params) **int { return &p.MaxTokens })
	for _, name := range words("seed sampler_seed") {
		setters[name] = func(p *llm.Params, fields map[string]any, name string) error {
			n, err := number(fields, name)
			if n != nil && *n >= 0 {
				p.Seed = new(int64(*n))
			}
			return err
		}
	}
	for _, name := range words("ignore_eos ban_eos_token") {
		setters[name] = func(p *llm.Params, fields map[string]any, name string) error {
			b, err := flag(fields, name)
			p.IgnoreEOS = p.IgnoreEOS || b
			return err
		}
	}
}

// defaults are an engine's own, under those that the model's file recommends.
func (e *Engine) defaults(own llm.Params) llm.Params {
	if d, ok := e.o.Model.(llm.Describer); ok && e.kind.recommended {
		return d.Describe().Sampling.WithDefaults(own)
	}
	return own
}

// sampling reads the fields that the engine knows, over its defaults.
func sampling(fields map[string]any, known []string, defaults llm.Params) (llm.Params, error) {
	var p llm.Params
	for name := range fields {
		set := setters[name]
		if set == nil || !slices.Contains(known, name) {
			continue
		}
		if err := set(&p, fields, name); err != nil {
			return p, err
		}
	}
	p = p.WithDefaults(defaults)
	if p.MaxTokens != nil && *p.MaxTokens < 0 {
		p.MaxTokens = nil
	}
	for _, n := range []**float64{&p.TopP, &p.MinP, &p.TypicalP, &p.XTCProbability} { // engines that check ranges have done so
		if *n != nil {
			*n = new(min(max(**n, 0), 1)) // the old one may be a default, which others read
		}
	}
	if p.Temperature != nil {
		p.Temperature = new(max(*p.Temperature, 0))
	}
	if p.TopK != nil && *p.TopK < 0 {
		p.TopK = new(0)
	}
	if p.Mirostat != nil && *p.Mirostat == 1 {
		p.Mirostat = new(0) // the models that fakes run have none
	}
	return p, nil
}
