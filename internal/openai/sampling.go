package openai

import (
	"slices"
	"strconv"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// sampling reads the samplers that only local servers have.
func (o *object) sampling(p *llm.Params) {
	p.TypicalP = o.float(limits.TypicalP, "typical_p", "typical", "typ_p")
	p.TopNSigma = o.float(limits.TopNSigma, "top_n_sigma", "nsigma")
	p.XTCProbability = o.float(limits.XTCProbability, "xtc_probability")
	p.XTCThreshold = o.float(limits.XTCThreshold, "xtc_threshold")
	o.dynamicTemperature(p)
	o.mirostat(p)
	o.dry(p)
	p.Samplers = o.samplers()
	p.MinTokens, _ = o.integer(limits.MinTokens, "min_tokens", "min_length")
	p.BannedStrings = o.banned("banned_strings", "banned_tokens", "bad_words")
	p.LoopGuard = o.loopGuard()
}

// dynamicTemperature reads a range around the temperature, or
// text-generation-webui's bounds, which count where it is switched on.
func (o *object) dynamicTemperature(p *llm.Params) {
	p.DynamicTemperatureRange = o.float(limits.DynamicTemperatureRange, "dynatemp_range")
	p.DynamicTemperatureExponent = o.float(limits.DynamicTemperatureExponent, "dynatemp_exponent")
	low := o.float(limits.Temperature, "dynatemp_low")
	high := o.float(limits.Temperature, "dynatemp_high")
	if !o.isSet("dynamic_temperature") {
		return
	}
	if low == nil || high == nil || *low > *high {
		o.invalid("dynamic_temperature", "needs dynatemp_low and a dynatemp_high that is no less")
		return
	}
	p.Temperature = new((*low + *high) / 2)
	p.DynamicTemperatureRange = new((*high - *low) / 2)
}

// mirostat reads its version and numbers. Version 1 is reported as ignored.
func (o *object) mirostat(p *llm.Params) {
	version, name := o.integer(limits.Mirostat, "mirostat", "mirostat_mode")
	if version != nil && *version == 1 {
		o.ignore(name)
		version = nil
	}
	p.Mirostat = version
	p.MirostatTau = o.float(limits.MirostatTau, "mirostat_tau")
	p.MirostatEta = o.float(limits.MirostatEta, "mirostat_eta")
}

// dry reads DRY. Clients that have switched it off send the rest all the same,
// and not always in order: then it says nothing.
func (o *object) dry(p *llm.Params) {
	p.DRYMultiplier = o.float(limits.DRYMultiplier, "dry_multiplier")
	if p.DRYMultiplier != nil && *p.DRYMultiplier == 0 {
		for _, name := range []string{"dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_range", "dry_sequence_breakers"} {
			o.take(name)
		}
		return
	}
	p.DRYBase = o.float(limits.DRYBase, "dry_base")
	p.DRYAllowedLength, _ = o.integer(limits.DRYAllowedLength, "dry_allowed_length")
	p.DRYRange, _ = o.integer(limits.DRYRange, "dry_penalty_last_n", "dry_range")
	if v, ok := o.take("dry_sequence_breakers"); ok {
		p.DRYBreakers = o.breakers("dry_sequence_breakers", v)
	}
}

// breakers reads a list, or a string that holds one: in JSON, with or without
// its brackets, or else with commas between.
func (o *object) breakers(path string, v value) []string {
	breakers := []string{} // an empty list is none, and not the usual ones
	add := func(path string, v value) {
		if s := o.textOf(path, v); s != "" {
			breakers = append(breakers, s)
		}
	}
	if v.kind() != '"' {
		o.list(path, v, limits.DRYBreakers, add)
		return breakers
	}
	text := strings.TrimSpace(v.text())
	for _, s := range []string{text, "[" + text + "]"} {
		if list, err := parse([]byte(s)); err == nil && list.kind() == '[' {
			o.list(path, list, limits.DRYBreakers, add)
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
func (o *object) samplers() []llm.Sampler {
	v, ok := o.take("samplers")
	if !ok {
		return nil
	}
	order := []llm.Sampler{} // an empty list is none, and not the usual ones
	add := func(path, name string) {
		if s, ok := samplerNames[name]; ok && !slices.Contains(order, s) {
			order = append(order, s)
		} else {
			o.ignore(path + "." + name)
		}
	}
	if v.kind() == '"' {
		letters := v.text()
		if err := limits.Samplers.CheckInt(len(letters)); err != nil {
			o.invalid("samplers", "%v", err)
			return nil
		}
		for _, c := range letters {
			add("samplers", string(c))
		}
		return order
	}
	o.list("samplers", v, limits.Samplers, func(path string, v value) {
		if name := o.textOf(path, v); o.err == nil {
			add("samplers", name)
		}
	})
	return order
}

// banned gathers phrases from lists; a string is one phrase, or a list in
// JSON.
func (o *object) banned(names ...string) (phrases []string) {
	for _, name := range names {
		v, ok := o.take(name)
		if !ok {
			continue
		}
		if v.kind() == '"' {
			if list, err := parse([]byte(v.text())); err == nil && list.kind() == '[' {
				v = list
			} else {
				v = value("[" + string(v) + "]")
			}
		}
		o.list(name, v, limits.BannedStrings, func(path string, v value) {
			s := o.textOf(path, v)
			if err := limits.BannedStringBytes.CheckInt(len(s)); err != nil && s != "" {
				o.invalid(path, "%v", err)
			}
			if s != "" && !slices.Contains(phrases, s) {
				phrases = append(phrases, s)
			}
		})
	}
	return phrases
}

// loopGuard reads how many tokens of repetition end a reply, or false.
func (o *object) loopGuard() *int {
	if v := o.fields["loop_guard"]; v != nil && v.kind() == 't' {
		o.take("loop_guard")
		if v.isTrue() {
			return nil
		}
		return new(0)
	}
	n, _ := o.integer(limits.LoopGuard, "loop_guard")
	return n
}

// bias reads OpenAI's map from ids, and llama.cpp's list of pairs, in both of
// which words may stand for the tokens of which they consist and false forbids
// a token; and text-generation-webui's list of forbidden ids.
func (o *object) bias(p *llm.Params) {
	read := biasReader{o, p, false}
	if v, ok := o.take("logit_bias_type"); ok {
		switch kind := o.textOf("logit_bias_type", v); kind {
		case "tokens":
			read.words = true
		case "input_ids", "":
		default:
			o.invalid("logit_bias_type", "%q is none of input_ids, tokens", short(kind))
		}
	}
	if v, ok := o.take("logit_bias"); ok && !v.empty() {
		read.all(v)
	}
	if v, ok := o.take("custom_token_bans"); ok && !v.empty() {
		for id := range strings.SplitSeq(o.textOf("custom_token_bans", v), ",") {
			if id = strings.TrimSpace(id); id != "" {
				read.id("custom_token_bans", id, limits.LogitBias.Min)
			}
		}
	}
}

type biasReader struct {
	*object
	params *llm.Params
	words  bool // ids are words, too
}

func (r biasReader) all(v value) {
	switch v.kind() {
	case '{':
		n := 0
		for key, v := range v.fields() {
			if n++; n > limits.LogitBiases.Int() {
				r.invalid("logit_bias", "%v", limits.LogitBiases.CheckInt(n))
				return
			}
			by := r.number("logit_bias."+short(key), v)
			if _, err := strconv.Atoi(key); err == nil && !r.words {
				r.id("logit_bias."+short(key), key, by)
			} else {
				r.word("logit_bias."+short(key), key, by)
			}
		}
	case '[':
		r.list("logit_bias", v, limits.LogitBiases, r.pair)
	default:
		r.invalid("logit_bias", "must be an object, not %s", v.what())
	}
}

func (r biasReader) pair(path string, v value) {
	var pair []value
	if v.kind() == '[' {
		for i, e := range v.elements() {
			if i < 3 {
				pair = append(pair, e)
			}
		}
	}
	switch {
	case len(pair) != 2 || pair[0].kind() != '"' && pair[0].kind() != '0':
		r.invalid(path, "must be a pair of a token id or a text, and a number")
	case pair[0].kind() == '"':
		r.word(path, pair[0].text(), r.number(path, pair[1]))
	default:
		r.id(path, string(pair[0]), r.number(path, pair[1]))
	}
}

func (r biasReader) number(path string, v value) float64 {
	if string(v) == "false" {
		return limits.LogitBias.Min
	}
	f, _ := r.object.number(path, v, limits.LogitBias)
	return f
}

func (r biasReader) id(path, id string, by float64) {
	n, err := strconv.ParseInt(id, 10, 32)
	if err != nil || n < 0 {
		r.invalid(path, "%s is no token id", strconv.Quote(short(id)))
		return
	}
	if r.params.LogitBias == nil {
		r.params.LogitBias = map[int]float64{}
	}
	r.params.LogitBias[int(n)] = by
}

func (r biasReader) word(path, word string, by float64) {
	if err := limits.LogitBiasWordBytes.CheckInt(len(word)); err != nil {
		r.invalid(path, "%v", err)
		return
	}
	if r.params.WordBias == nil {
		r.params.WordBias = map[string]float64{}
	}
	r.params.WordBias[word] = by
}
