package wire

import (
	"slices"
	"strconv"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// sampling reads the samplers that only local servers have.
func (o *Object) sampling(p *llm.Params) {
	p.TypicalP = o.Float(limits.TypicalP, "typical_p", "typical", "typ_p")
	p.TopNSigma = o.Float(limits.TopNSigma, "top_n_sigma", "nsigma")
	p.XTCProbability = o.Float(limits.XTCProbability, "xtc_probability")
	p.XTCThreshold = o.Float(limits.XTCThreshold, "xtc_threshold")
	o.dynamicTemperature(p)
	o.mirostat(p)
	o.dry(p)
	p.Samplers = o.samplers()
	p.MinTokens, _ = o.Integer(limits.MinTokens, "min_tokens", "min_length")
	p.BannedStrings = o.banned("banned_strings", "banned_tokens", "bad_words")
	p.LoopGuard = o.loopGuard()
}

// dynamicTemperature reads a range around the temperature, or
// text-generation-webui's bounds, which count where it is switched on.
func (o *Object) dynamicTemperature(p *llm.Params) {
	p.DynamicTemperatureRange = o.Float(limits.DynamicTemperatureRange, "dynatemp_range")
	p.DynamicTemperatureExponent = o.Float(limits.DynamicTemperatureExponent, "dynatemp_exponent")
	low := o.Float(limits.Temperature, "dynatemp_low")
	high := o.Float(limits.Temperature, "dynatemp_high")
	if !o.IsSet("dynamic_temperature") {
		return
	}
	if low == nil || high == nil || *low > *high {
		o.Invalid("dynamic_temperature", "needs dynatemp_low and a dynatemp_high that is no less")
		return
	}
	p.Temperature = new((*low + *high) / 2)
	p.DynamicTemperatureRange = new((*high - *low) / 2)
}

// mirostat reads its version and numbers. Version 1 is reported as ignored.
func (o *Object) mirostat(p *llm.Params) {
	version, name := o.Integer(limits.Mirostat, "mirostat", "mirostat_mode")
	if version != nil && *version == 1 {
		o.Ignore(name)
		version = nil
	}
	p.Mirostat = version
	p.MirostatTau = o.Float(limits.MirostatTau, "mirostat_tau")
	p.MirostatEta = o.Float(limits.MirostatEta, "mirostat_eta")
}

// dry reads DRY. Clients that have switched it off send the rest all the same,
// and not always in order: then it says nothing.
func (o *Object) dry(p *llm.Params) {
	p.DRYMultiplier = o.Float(limits.DRYMultiplier, "dry_multiplier")
	if p.DRYMultiplier != nil && *p.DRYMultiplier == 0 {
		for _, name := range []string{"dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_range", "dry_sequence_breakers"} {
			o.Take(name)
		}
		return
	}
	p.DRYBase = o.Float(limits.DRYBase, "dry_base")
	p.DRYAllowedLength, _ = o.Integer(limits.DRYAllowedLength, "dry_allowed_length")
	p.DRYRange, _ = o.Integer(limits.DRYRange, "dry_penalty_last_n", "dry_range")
	if v, ok := o.Take("dry_sequence_breakers"); ok {
		p.DRYBreakers = o.breakers("dry_sequence_breakers", v)
	}
}

// breakers reads a list, or a string that holds one: in JSON, with or without
// its brackets, or else with commas between.
func (o *Object) breakers(path string, v Value) []string {
	breakers := []string{} // an empty list is none, and not the usual ones
	add := func(path string, v Value) {
		if s := o.TextOf(path, v); s != "" {
			breakers = append(breakers, s)
		}
	}
	if v.Kind() != '"' {
		o.List(path, v, limits.DRYBreakers, add)
		return breakers
	}
	text := strings.TrimSpace(v.Text())
	for _, s := range []string{text, "[" + text + "]"} {
		if list, err := Parse([]byte(s)); err == nil && list.Kind() == '[' {
			o.List(path, list, limits.DRYBreakers, add)
			return breakers
		}
	}
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			breakers = append(breakers, s)
		}
	}
	return breakers
}

// samplerNames are all spellings of llama.cpp.
var samplerNames = map[string]llm.Sampler{
	"penalties": llm.SamplePenalties, "e": llm.SamplePenalties,
	"dry": llm.SampleDRY, "d": llm.SampleDRY,
	"top_n_sigma": llm.SampleTopNSigma, "top-n-sigma": llm.SampleTopNSigma, "s": llm.SampleTopNSigma,
	"top_k": llm.SampleTopK, "top-k": llm.SampleTopK, "k": llm.SampleTopK,
	"typ_p": llm.SampleTypicalP, "typ-p": llm.SampleTypicalP, "typical_p": llm.SampleTypicalP, "typical-p": llm.SampleTypicalP,
	"typical": llm.SampleTypicalP, "typ": llm.SampleTypicalP, "y": llm.SampleTypicalP,
	"top_p": llm.SampleTopP, "top-p": llm.SampleTopP, "nucleus": llm.SampleTopP, "p": llm.SampleTopP,
	"min_p": llm.SampleMinP, "min-p": llm.SampleMinP, "m": llm.SampleMinP,
	"xtc": llm.SampleXTC, "x": llm.SampleXTC,
	"temperature": llm.SampleTemperature, "temp": llm.SampleTemperature, "t": llm.SampleTemperature,
}

// samplers reads the order of samplers: a list of names, or a string with a
// letter for each. One that we do not have, or that stands there already, is
// reported and left out.
func (o *Object) samplers() []llm.Sampler {
	v, ok := o.Take("samplers")
	if !ok {
		return nil
	}
	order := []llm.Sampler{} // an empty list is none, and not the usual ones
	add := func(path, name string) {
		if s, ok := samplerNames[name]; ok && !slices.Contains(order, s) {
			order = append(order, s)
		} else {
			o.Ignore(path + "." + name)
		}
	}
	if v.Kind() == '"' {
		letters := v.Text()
		if err := limits.Samplers.CheckInt(len(letters)); err != nil {
			o.Invalid("samplers", "%v", err)
			return nil
		}
		for _, c := range letters {
			add("samplers", string(c))
		}
		return order
	}
	o.List("samplers", v, limits.Samplers, func(path string, v Value) {
		if name := o.TextOf(path, v); o.Err == nil {
			add("samplers", name)
		}
	})
	return order
}

// banned gathers phrases from lists; a string is one phrase, or a list in
// JSON.
func (o *Object) banned(names ...string) (phrases []string) {
	for _, name := range names {
		v, ok := o.Take(name)
		if !ok {
			continue
		}
		if v.Kind() == '"' {
			if list, err := Parse([]byte(v.Text())); err == nil && list.Kind() == '[' {
				v = list
			} else {
				v = Value("[" + string(v) + "]")
			}
		}
		o.List(name, v, limits.BannedStrings, func(path string, v Value) {
			s := o.TextOf(path, v)
			if err := limits.BannedStringBytes.CheckInt(len(s)); err != nil && s != "" {
				o.Invalid(path, "%v", err)
			}
			if s != "" && !slices.Contains(phrases, s) {
				phrases = append(phrases, s)
			}
		})
	}
	return phrases
}

// loopGuard reads how many tokens of repetition end a reply, or false.
func (o *Object) loopGuard() *int {
	if v := o.fields["loop_guard"]; v != nil && v.Kind() == 't' {
		o.Take("loop_guard")
		if v.IsTrue() {
			return nil
		}
		return new(0)
	}
	n, _ := o.Integer(limits.LoopGuard, "loop_guard")
	return n
}

// Bias reads OpenAI's map from ids, and llama.cpp's list of pairs, in both of
// which words may stand for the tokens of which they consist and false forbids
// a token; and text-generation-webui's list of forbidden ids.
func (o *Object) Bias(p *llm.Params) {
	read := biasReader{o, p, false}
	if v, ok := o.Take("logit_bias_type"); ok {
		switch kind := o.TextOf("logit_bias_type", v); kind {
		case "tokens":
			read.words = true
		case "input_ids", "":
		default:
			o.Invalid("logit_bias_type", "%q is none of input_ids, tokens", Short(kind))
		}
	}
	if v, ok := o.Take("logit_bias"); ok && !v.Empty() {
		read.all(v)
	}
	if v, ok := o.Take("custom_token_bans"); ok && !v.Empty() {
		for id := range strings.SplitSeq(o.TextOf("custom_token_bans", v), ",") {
			if id = strings.TrimSpace(id); id != "" {
				read.id("custom_token_bans", id, limits.LogitBias.Min)
			}
		}
	}
}

type biasReader struct {
	*Object
	params *llm.Params
	words  bool // ids are words, too
}

func (r biasReader) all(v Value) {
	switch v.Kind() {
	case '{':
		n := 0
		for key, v := range v.Fields() {
			if n++; n > limits.LogitBiases.Int() {
				r.Invalid("logit_bias", "%v", limits.LogitBiases.CheckInt(n))
				return
			}
			by := r.by("logit_bias."+Short(key), v)
			if _, err := strconv.Atoi(key); err == nil && !r.words {
				r.id("logit_bias."+Short(key), key, by)
			} else {
				r.word("logit_bias."+Short(key), key, by)
			}
		}
	case '[':
		r.List("logit_bias", v, limits.LogitBiases, r.pair)
	default:
		r.Invalid("logit_bias", "must be an object, not %s", v.What())
	}
}

func (r biasReader) pair(path string, v Value) {
	var pair []Value
	if v.Kind() == '[' {
		for i, e := range v.Elements() {
			if i < 3 {
				pair = append(pair, e)
			}
		}
	}
	switch {
	case len(pair) != 2 || pair[0].Kind() != '"' && pair[0].Kind() != '0':
		r.Invalid(path, "must be a pair of a token id or a text, and a number")
	case pair[0].Kind() == '"':
		r.word(path, pair[0].Text(), r.by(path, pair[1]))
	default:
		r.id(path, string(pair[0]), r.by(path, pair[1]))
	}
}

func (r biasReader) by(path string, v Value) float64 {
	if string(v) == "false" {
		return limits.LogitBias.Min
	}
	f, _ := r.Number(path, v, limits.LogitBias)
	return f
}

func (r biasReader) id(path, id string, by float64) {
	n, err := strconv.ParseInt(id, 10, 32)
	if err != nil || n < 0 {
		r.Invalid(path, "%s is no token id", strconv.Quote(Short(id)))
		return
	}
	if r.params.LogitBias == nil {
		r.params.LogitBias = map[int]float64{}
	}
	r.params.LogitBias[int(n)] = by
}

func (r biasReader) word(path, word string, by float64) {
	if err := limits.LogitBiasWordBytes.CheckInt(len(word)); err != nil {
		r.Invalid(path, "%v", err)
		return
	}
	if r.params.WordBias == nil {
		r.params.WordBias = map[string]float64{}
	}
	r.params.WordBias[word] = by
}
