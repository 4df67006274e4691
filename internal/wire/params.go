package wire

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"parley/internal/limits"
	"parley/llm"
)

// Params reads how to continue. Local clients spell the same parameter in
// several ways; the first name of a row is the one that counts if they
// disagree.
func (o *Object) Params(p *llm.Params) {
	p.MaxTokens, _ = o.Integer(limits.MaxTokens, "max_completion_tokens", "max_tokens", "max_new_tokens", "n_predict")
	p.Constraint = o.Constraint()
	p.Temperature = o.Float(limits.Temperature, "temperature")
	p.TopK, _ = o.Integer(limits.TopK, "top_k")
	if p.TopK != nil {
		*p.TopK = max(*p.TopK, 0) // -1, as vLLM and text-generation-webui write it, keeps all
	}
	p.TopP = o.Float(limits.TopP, "top_p")
	p.MinP = o.Float(limits.MinP, "min_p")
	p.RepetitionPenalty = o.Float(limits.RepetitionPenalty, "repetition_penalty", "repeat_penalty", "rep_pen")
	var name string
	p.RepetitionRange, name = o.Integer(limits.RepetitionRange, "repeat_last_n", "repetition_penalty_range", "rep_pen_range")
	if name == "repetition_penalty_range" && *p.RepetitionRange == 0 {
		*p.RepetitionRange = -1 // text-generation-webui's 0 is the whole text
	}
	p.PresencePenalty = o.Float(limits.PresencePenalty, "presence_penalty")
	p.FrequencyPenalty = o.Float(limits.FrequencyPenalty, "frequency_penalty")
	p.Seed = o.Seed()
	p.IgnoreEOS = o.IsSet("ignore_eos", "ban_eos_token")
	p.TokenHealing = o.Flag("token_healing")
	p.Stop = o.Stops("stop", "stopping_strings", "custom_stopping_strings", "stop_sequence", "stop_sequences")
	if o.IsSet("stop_at_line_start") {
		p.Stop, p.StopLines = nil, p.Stop
	}
	o.Bias(p)
	o.sampling(p)
}

// Seed takes any 64-bit integer; -1 is a random one, as everywhere outside
// OpenAI.
func (o *Object) Seed() *int64 {
	v, path, ok := o.First([]string{"seed", "sampler_seed"})
	if !ok {
		return nil
	}
	s, ok := numeral(v)
	if !ok {
		o.Invalid(path, "must be a number, not %s", v.What())
		return nil
	}
	seed, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(s, 64)
		const exact = 1 << 53
		if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
			o.Invalid(path, "%s is no whole number of 64 bits", Short(s))
			return nil
		}
		seed = int64(f)
	}
	if seed == -1 {
		return nil
	}
	return &seed
}

// Stops gathers the stop strings of all spellings. Empty ones say nothing and
// doubles add nothing.
func (o *Object) Stops(names ...string) (stops []string) {
	seen := map[string]bool{"": true}
	size := 0
	add := func(path string, v Value) {
		s := o.TextOf(path, v)
		if err := limits.StopBytes.CheckInt(len(s)); err != nil && s != "" {
			o.Invalid(path, "%v", err)
		}
		if seen[s] {
			return
		}
		seen[s] = true
		stops = append(stops, s)
		size += len(s)
		if err := cmp.Or(limits.Stops.CheckInt(len(stops)), limits.StopsBytes.CheckInt(size)); err != nil {
			o.Invalid(path, "%v", err)
		}
	}
	for _, name := range names {
		v, ok := o.Take(name)
		switch {
		case !ok:
		case v.Kind() == '"':
			add(o.At(name), v)
		case v.Kind() == '[':
			o.List(o.At(name), v, limits.Stops, add)
		default:
			o.Invalid(o.At(name), "must be a string or a list of strings, not %s", v.What())
		}
	}
	return stops
}

// ChatLogProbs reads logprobs (a boolean) and top_logprobs (a number).
func (o *Object) ChatLogProbs() *int {
	top, _ := o.Integer(limits.LogProbs, "top_logprobs")
	if !o.IsSet("logprobs") {
		if top != nil && *top > 0 {
			o.Ignore("top_logprobs")
		}
		return nil
	}
	if top == nil {
		top = new(int)
	}
	return top
}

// refused are fields that decide which answers are valid at all: an answer
// made without them would be wrong, so they are not ignored. The values are
// the way out.
var refused = map[string]string{
	"stop_token_ids":    "send the text of the tokens as stop strings",
	"allowed_token_ids": "use logit_bias",
	"use_beam_search":   "leave it out",
	"functions":         "send tools",
	"function_call":     "send tools and tool_choice",

	"audio": "this server answers in text",
}

// neutral are the values at which a field that we do not have changes
// nothing. A field with none here is neutral only when it is empty.
var neutral = map[string][]float64{
	"tfs_z": {1}, "tfs": {1},
	"top_a": {0}, "epsilon_cutoff": {0}, "eta_cutoff": {0},
	"rep_pen_slope": {0, 1}, "encoder_repetition_penalty": {1}, "no_repeat_ngram_size": {0},
	"smoothing_factor": {0},
	"adaptive_target":  {0, -1}, "guidance_scale": {1}, "penalty_alpha": {0},
	"length_penalty": {1}, "num_beams": {1}, "n_probs": {0}, "n_keep": {0, -1},
	"id_slot": {-1}, "slot_id": {-1}, "priority": {0}, "prompt_logprobs": {0}, "prompt_lookup_num_tokens": {0},
	"thinking_budget_tokens": {-1}, "sse_ping_interval": {0, -1},
}

// shapes only shape another sampler that is reported itself when it is on.
var shapes = map[string]bool{"smoothing_curve": true, "adaptive_decay": true}

// words are texts and booleans at which a field changes nothing here. A field
// with true among them says something when it is false.
var words = map[string][]string{
	"add_bos_token": {"true"}, "skip_special_tokens": {"true"},
	"spaces_between_special_tokens": {"true"}, "cache_prompt": {"true"}, "do_sample": {"true"},
	"trim_stop":    {"true"},
	"service_tier": {`"auto"`, `"default"`}, "truncation": {`"disabled"`}, "verbosity": {`"medium"`},
	"reasoning_format": {`"auto"`, `"deepseek"`}, "temperature_last": {"true"},
	"mode": {`"instruct"`},
}

// Leftover decides about a field of the request that nobody has read: it is
// refused, means nothing, or is reported as ignored.
func (o *Object) Leftover(name string, v Value) {
	switch name {
	case "modalities":
		o.modalities(v)
		return
	case "metadata":
		if !v.Empty() {
			o.Ignore(name)
		}
		return
	}
	if hint, no := refused[name]; no {
		if !v.Empty() {
			o.Unsupported(name, "this server cannot do that", hint)
		}
		return
	}
	o.Unknown(o.At(name), v)
}

// Unknown reports a field unless it says nothing.
func (o *Object) Unknown(path string, v Value) {
	off := v.Empty() && (v.Kind() != 't' || words[path] == nil) // false says something where true is usual
	if off || shapes[path] || IsNumber(v, neutral[path]...) || slices.Contains(words[path], string(v)) {
		return
	}
	o.Ignore(path)
}

func (o *Object) modalities(v Value) {
	if v.Kind() != '[' {
		return
	}
	for _, m := range v.Elements() {
		if string(m) != `"text"` {
			o.Unsupported("modalities", "this server answers in text", `leave it out or send ["text"]`)
			return
		}
	}
}
