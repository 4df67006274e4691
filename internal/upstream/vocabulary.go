package upstream

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"

	"parley/llm"
)

// The columns of the table of sampling parameters.
const (
	vocabOpenAI vocabulary = iota
	vocabVLLM
	vocabSGLang
	vocabLlamaCPP     // its own route
	vocabLlamaCPPChat // OpenAI's routes
	vocabKobold
	vocabKoboldChat
	vocabKoboldUnited
	vocabTextgen
	vocabOllama // inside of "options"
	vocabTGI    // inside of "parameters"
	vocabTGIChat
	vocabMLC
	vocabLlamaCPPPython
	vocabLMStudio
	vocabLocalAI
	vocabSimpleAI
	vocabBasaran
	vocabAnthropic
	vocabParley
)

// A column is a vocabulary: what an engine calls the parameters that it has,
// by the fields of llm.Params.
type column struct {
	title  string
	words  map[string]word
	finish func(p llm.Params, into map[string]any) // writes what follows from several parameters; may be nil
}

// extend is a vocabulary with other words added. A word without a name takes
// one away.
func extend(base map[string]word, more map[string]word) map[string]word {
	all := maps.Clone(base)
	maps.Copy(all, more)
	maps.DeleteFunc(all, func(_ string, w word) bool { return w.name == "" })
	return all
}

// openAIWords are what services and servers that follow OpenAI have in common.
var openAIWords = map[string]word{
	"MaxTokens":        as("max_tokens").by(positive),
	"Temperature":      as("temperature").within(0, 2),
	"TopP":             as("top_p"),
	"PresencePenalty":  as("presence_penalty").within(-2, 2),
	"FrequencyPenalty": as("frequency_penalty").within(-2, 2),
	"Seed":             as("seed").by(seeded(53)),
	"LogitBias":        as("logit_bias").by(biasByID),
	"LogProbs":         apart("logprobs"),
}

// llamaWords are llama.cpp's, whatever the route.
var llamaWords = map[string]word{
	"Temperature":                as("temperature").begins(),
	"TopK":                       as("top_k").begins(),
	"TopP":                       as("top_p").begins(),
	"MinP":                       as("min_p").begins(),
	"TypicalP":                   as("typical_p").begins(),
	"TopNSigma":                  as("top_n_sigma").begins(),
	"DynamicTemperatureRange":    as("dynatemp_range").begins(),
	"DynamicTemperatureExponent": as("dynatemp_exponent").begins(),
	"XTCProbability":             as("xtc_probability").begins(),
	"XTCThreshold":               as("xtc_threshold").begins(),
	"Mirostat":                   as("mirostat").begins(),
	"MirostatTau":                as("mirostat_tau").begins(),
	"MirostatEta":                as("mirostat_eta").begins(),
	"RepetitionPenalty":          as("repeat_penalty").begins(),
	"RepetitionRange":            as("repeat_last_n").begins(),
	"PresencePenalty":            as("presence_penalty").begins(),
	"FrequencyPenalty":           as("frequency_penalty").begins(),
	"DRYMultiplier":              as("dry_multiplier").begins(),
	"DRYBase":                    as("dry_base").begins(),
	"DRYAllowedLength":           as("dry_allowed_length").begins(),
	"DRYRange":                   as("dry_penalty_last_n").begins(),
	"DRYBreakers":                as("dry_sequence_breakers").by(notEmpty), // an empty list is an error there
	"Samplers":                   as("samplers"),
	"Seed":                       as("seed").by(seeded(31)),
	"LogitBias":                  as("logit_bias").by(biasPairs),
	"WordBias":                   as("logit_bias").by(biasPairs),
	"IgnoreEOS":                  as("ignore_eos"),
	"LogProbs":                   apart("n_probs"),
}

var koboldWords = map[string]word{
	"MaxTokens":                  as("max_length").by(positive),
	"Temperature":                as("temperature").begins(),
	"TopK":                       as("top_k").begins(),
	"TopP":                       as("top_p").begins(),
	"MinP":                       as("min_p"),
	"TypicalP":                   as("typical"),
	"TopNSigma":                  as("nsigma"),
	"DynamicTemperatureRange":    as("dynatemp_range"),
	"DynamicTemperatureExponent": as("dynatemp_exponent"),
	"XTCProbability":             as("xtc_probability"),
	"XTCThreshold":               as("xtc_threshold"),
	"Mirostat":                   as("mirostat"),
	"MirostatTau":                as("mirostat_tau"),
	"MirostatEta":                as("mirostat_eta"),
	"RepetitionPenalty":          as("rep_pen").begins(),
	"RepetitionRange":            as("rep_pen_range").begins().by(wholeAs(1 << 20)),
	"PresencePenalty":            as("presence_penalty"),
	"DRYMultiplier":              as("dry_multiplier"),
	"DRYBase":                    as("dry_base"),
	"DRYAllowedLength":           as("dry_allowed_length"),
	"DRYRange":                   as("dry_penalty_last_n").begins().by(wholeAs(1 << 20)),
	"DRYBreakers":                as("dry_sequence_breakers"),
	"Samplers":                   as("sampler_order").by(koboldOrder),
	"Seed":                       as("sampler_seed").by(seeded(31)),
	"BannedStrings":              as("banned_strings"),
	"LogitBias":                  as("logit_bias").by(biasByID),
	"IgnoreEOS":                  as("ban_eos_token"),
}

var vllmWords = extend(openAIWords, map[string]word{
	"Temperature":       as("temperature").begins(), // the model's own generation_config
	"TopK":              as("top_k").begins().by(minusOne),
	"TopP":              as("top_p").begins(),
	"MinP":              as("min_p").begins(),
	"RepetitionPenalty": as("repetition_penalty").begins(),
	"MinTokens":         as("min_tokens"),
	"IgnoreEOS":         as("ignore_eos"),
})

// columns are in the order of the constants.
var columns = [...]column{
	vocabOpenAI: {title: "OpenAI and services like it", words: openAIWords},
	vocabVLLM: {title: "vLLM", words: extend(vllmWords, map[string]word{
		"BannedStrings": as("bad_words"),
		"CacheScope":    as("cache_salt"),
	})},
	vocabSGLang:       {title: "SGLang", words: vllmWords},
	vocabLlamaCPP:     {title: "llama.cpp, native", words: extend(llamaWords, map[string]word{"MaxTokens": as("n_predict")})},
	vocabLlamaCPPChat: {title: "llama.cpp", words: extend(llamaWords, map[string]word{"MaxTokens": as("max_tokens"), "LogProbs": apart("logprobs")})},
	vocabKobold:       {title: "KoboldCpp, native", words: koboldWords},
	vocabKoboldChat: {title: "KoboldCpp", words: extend(koboldWords, map[string]word{
		"MaxTokens": as("max_tokens").by(positive),
		"Seed":      as("seed").by(seeded(31)),
	})},
	vocabKoboldUnited: {title: "KoboldAI", words: map[string]word{
		"MaxTokens":         as("max_length").within(1, 512).by(positive),
		"Temperature":       as("temperature").begins().by(greedyByTopK),
		"TopK":              as("top_k").begins().by(unlessGreedy),
		"TopP":              as("top_p").begins(),
		"TypicalP":          as("typical").begins(),
		"RepetitionPenalty": as("rep_pen").begins(),
		"RepetitionRange":   as("rep_pen_range").begins().by(wholeAs(0)),
		"Samplers":          as("sampler_order").by(koboldOrder),
		"Seed":              as("sampler_seed").by(seeded(31)),
	}},
	vocabTextgen: {title: "text-generation-webui", words: map[string]word{
		"MaxTokens":                  as("max_tokens").by(positive),
		"Temperature":                as("temperature"),
		"TopK":                       as("top_k"),
		"TopP":                       as("top_p"),
		"MinP":                       as("min_p"),
		"TypicalP":                   as("typical_p"),
		"TopNSigma":                  as("top_n_sigma"),
		"DynamicTemperatureRange":    as("dynatemp_low").by(dynamicBounds),
		"DynamicTemperatureExponent": as("dynatemp_exponent"),
		"XTCProbability":             as("xtc_probability"),
		"XTCThreshold":               as("xtc_threshold"),
		"Mirostat":                   as("mirostat_mode"),
		"MirostatTau":                as("mirostat_tau"),
		"MirostatEta":                as("mirostat_eta"),
		"RepetitionPenalty":          as("repetition_penalty"),
		"RepetitionRange":            as("repetition_penalty_range").begins().by(wholeAs(0)),
		"PresencePenalty":            as("presence_penalty"),
		"FrequencyPenalty":           as("frequency_penalty"),
		"DRYMultiplier":              as("dry_multiplier"),
		"DRYBase":                    as("dry_base"),
		"DRYAllowedLength":           as("dry_allowed_length"),
		"DRYBreakers":                as("dry_sequence_breakers").by(asJSONText),
		"Samplers":                   as("sampler_priority").by(textgenOrder),
		"Seed":                       as("seed").by(seeded(31)),
		"LogitBias":                  as("logit_bias").by(biasByID),
		"IgnoreEOS":                  as("ban_eos_token"),
		"LogProbs":                   apart("logprobs"),
	}, finish: roomForAll},
	vocabOllama: {title: "Ollama", words: map[string]word{ // a model file may have defaults of its own
		"MaxTokens":         as("num_predict"),
		"Temperature":       as("temperature").begins(),
		"TopK":              as("top_k").begins(),
		"TopP":              as("top_p").begins(),
		"MinP":              as("min_p").begins(),
		"TypicalP":          as("typical_p").begins(),
		"RepetitionPenalty": as("repeat_penalty").begins(),
		"RepetitionRange":   as("repeat_last_n").begins(),
		"PresencePenalty":   as("presence_penalty").begins(),
		"FrequencyPenalty":  as("frequency_penalty").begins(),
		"Seed":              as("seed").by(seeded(31)),
		"LogProbs":          apart("logprobs"),
	}},
	vocabTGI: {title: "TGI, native", words: map[string]word{
		"MaxTokens":         as("max_new_tokens").by(positive),
		"Temperature":       as("temperature").by(notGreedy),
		"TopK":              as("top_k"),
		"TopP":              as("top_p").by(aboveZero),
		"TypicalP":          as("typical_p").by(aboveZero),
		"RepetitionPenalty": as("repetition_penalty"),
		"FrequencyPenalty":  as("frequency_penalty").within(-2, 2),
		"Seed":              as("seed").by(seeded(53)),
		"LogProbs":          apart("top_n_tokens"),
	}, finish: sampled},
	vocabTGIChat: {title: "TGI", words: extend(openAIWords, map[string]word{"LogitBias": {}, "TopP": as("top_p").by(aboveZero)})},
	vocabMLC: {title: "MLC-LLM", words: extend(openAIWords, map[string]word{ // mlc-chat-config.json may have defaults of its own
		"Temperature":      as("temperature").within(0, 2).begins(),
		"TopP":             as("top_p").begins(),
		"PresencePenalty":  as("presence_penalty").within(-2, 2).begins(),
		"FrequencyPenalty": as("frequency_penalty").within(-2, 2).begins(),
	})},
	vocabLlamaCPPPython: {title: "llama-cpp-python", words: extend(openAIWords, map[string]word{
		"Temperature":       as("temperature").begins(),
		"TopK":              as("top_k").begins(),
		"TopP":              as("top_p").begins(),
		"MinP":              as("min_p").begins(),
		"Mirostat":          as("mirostat_mode"),
		"MirostatTau":       as("mirostat_tau").begins(),
		"MirostatEta":       as("mirostat_eta").begins(),
		"RepetitionPenalty": as("repeat_penalty").begins(),
		"Seed":              as("seed").by(seeded(31)),
		"MinTokens":         as("min_tokens"),
	})},
	vocabLMStudio: {title: "LM Studio", words: extend(openAIWords, map[string]word{
		"Temperature":       as("temperature").begins(),
		"TopK":              as("top_k").begins(),
		"TopP":              as("top_p").begins(),
		"RepetitionPenalty": as("repeat_penalty").begins(),
		"Seed":              as("seed").by(seeded(31)),
	})},
	vocabLocalAI: {title: "LocalAI", words: extend(openAIWords, map[string]word{
		"Temperature":       as("temperature").begins(),
		"TopK":              as("top_k").begins(),
		"TopP":              as("top_p").begins(),
		"TypicalP":          as("typical_p").begins(),
		"RepetitionPenalty": as("repeat_penalty").begins(),
		"RepetitionRange":   as("repeat_last_n").begins(),
		"Seed":              as("seed").by(seeded(31)),
		"IgnoreEOS":         as("ignore_eos"),
		"LogitBias":         {},
	})},
	vocabSimpleAI: {title: "SimpleAI", words: extend(openAIWords, map[string]word{
		"FrequencyPenalty": as("frequence_penalty").within(-2, 2), // its spelling
		"Seed":             {}, "LogProbs": {},
	})},
	vocabBasaran: {title: "Basaran", words: map[string]word{
		"MaxTokens":   as("max_tokens").by(positive),
		"Temperature": as("temperature"),
		"TopP":        as("top_p"),
		"MinTokens":   as("min_tokens"),
		"LogProbs":    apart("logprobs"),
	}},
	vocabAnthropic: {title: "Anthropic", words: map[string]word{
		"MaxTokens":   as("max_tokens").by(positive),
		"Temperature": as("temperature").within(0, 1),
		"TopK":        as("top_k"),
		"TopP":        as("top_p"),
	}},
	vocabParley: {title: "Parley", words: func() map[string]word {
		all := map[string]word{}
		for _, row := range parameters {
			if !row.ours && !row.apart {
				all[row.field] = as(row.name).begins()
			}
		}
		return extend(all, map[string]word{
			"Seed":       as("seed").by(seeded(53)),
			"LogitBias":  as("logit_bias").by(biasPairs),
			"WordBias":   as("logit_bias").by(biasPairs),
			"LogProbs":   apart("logprobs"),
			"CacheScope": {},
		})
	}(), finish: ownGuard},
}

// positive leaves a number of tokens out that says "as many as fit".
func positive(_ llm.Params, name string, value any, into map[string]any) bool {
	if n := value.(int); n >= 0 {
		into[name] = n
	}
	return true
}

// seeded writes the seed of the answer in so many bits.
func seeded(bits int) func(llm.Params, string, any, map[string]any) bool {
	return func(p llm.Params, name string, value any, into map[string]any) bool {
		into[name] = seedOf(value.(int64), p.Choice, bits)
		return true
	}
}

// wholeAs writes -1, the whole text, as another number.
func wholeAs(whole int) func(llm.Params, string, any, map[string]any) bool {
	return func(_ llm.Params, name string, value any, into map[string]any) bool {
		n := value.(int)
		if n == 0 && whole == 0 {
			return false // the engine takes none for all
		}
		if n < 0 {
			n = whole
		}
		into[name] = n
		return true
	}
}

// minusOne writes 0, which keeps all, as -1: some versions refuse 0.
func minusOne(_ llm.Params, name string, value any, into map[string]any) bool {
	if n := value.(int); n > 0 {
		into[name] = n
	} else {
		into[name] = -1
	}
	return true
}

// notGreedy leaves a temperature of 0 out: there is another word for it.
func notGreedy(_ llm.Params, name string, value any, into map[string]any) bool {
	if t := value.(float64); t > 0 {
		into[name] = t
	}
	return true
}

// greedyByTopK writes a temperature of 0, which is refused, as a choice of one.
func greedyByTopK(_ llm.Params, name string, value any, into map[string]any) bool {
	if t := value.(float64); t > 0 {
		into[name] = t
	} else {
		into["top_k"] = 1
	}
	return true
}

func unlessGreedy(p llm.Params, name string, value any, into map[string]any) bool {
	if p.Temperature == nil || *p.Temperature > 0 {
		into[name] = value
	}
	return true
}

// sampled says whether tokens are drawn at all: it is not the default.
func sampled(p llm.Params, into map[string]any) {
	into["do_sample"] = p.Temperature == nil || *p.Temperature > 0
}

// aboveZero writes a share for engines that refuse 0, as the least there is.
func aboveZero(_ llm.Params, name string, value any, into map[string]any) bool {
	into[name] = max(value.(float64), 1e-6)
	return true
}

func notEmpty(_ llm.Params, name string, value any, into map[string]any) bool {
	if len(value.([]string)) == 0 {
		return false
	}
	into[name] = value
	return true
}

// asJSONText writes a list as a string of its items, as text-generation-webui
// reads it.
func asJSONText(_ llm.Params, name string, value any, into map[string]any) bool {
	text, err := json.Marshal(value)
	if err != nil {
		return false
	}
	into[name] = string(text[1 : len(text)-1])
	return true
}

// dynamicBounds writes a range around the temperature as its bounds.
func dynamicBounds(p llm.Params, _ string, value any, into map[string]any) bool {
	middle, reach := 1.0, value.(float64)
	if p.Temperature != nil {
		middle = *p.Temperature
	}
	into["dynamic_temperature"] = true
	into["dynatemp_low"] = max(middle-reach, 0)
	into["dynatemp_high"] = middle + reach
	return true
}

// roomForAll asks for as many tokens as fit where nobody says how many: the
// default is 512.
func roomForAll(p llm.Params, into map[string]any) {
	if p.MaxTokens == nil || *p.MaxTokens < 0 {
		into["auto_max_new_tokens"] = true
	}
}

// ownGuard tells another Parley how much a reply may repeat itself: it looks
// for that, too, unless it is told not to.
func ownGuard(p llm.Params, into map[string]any) {
	if p.LoopGuard != nil {
		into["loop_guard"] = *p.LoopGuard
	}
}

// biasByID writes OpenAI's object from ids to numbers from -100 to 100. What
// forbids a token here forbids it there.
func biasByID(_ llm.Params, name string, value any, into map[string]any) bool {
	all := map[string]any{}
	for id, by := range value.(map[int]float64) {
		all[strconv.Itoa(id)] = min(max(by, -forcing), forcing)
	}
	into[name] = all
	return true
}

// biasPairs writes llama.cpp's list, in which words may stand for their
// tokens and false forbids one.
func biasPairs(_ llm.Params, name string, value any, into map[string]any) bool {
	list, _ := into[name].([]any)
	add := func(what any, by float64) {
		if by <= -1000 || math.IsInf(by, -1) {
			list = append(list, []any{what, false})
		} else {
			list = append(list, []any{what, by})
		}
	}
	switch value := value.(type) {
	case map[int]float64:
		for _, id := range slices.Sorted(maps.Keys(value)) {
			add(id, value[id])
		}
	case map[string]float64:
		for _, text := range slices.Sorted(maps.Keys(value)) {
			add(text, value[text])
		}
	}
	into[name] = list
	return true
}

// koboldNumbers are KoboldAI's numbers of the steps whose order can be chosen.
var koboldNumbers = map[llm.Sampler]int{
	llm.SampleTopK: 0, llm.SampleTopP: 2, llm.SampleTypicalP: 4, llm.SampleTemperature: 5, llm.SamplePenalties: 6,
}

// koboldOrder writes an order of the steps that have a number. It must name
// all of them; those that the client left out are neutral. An order in which
// another step has a place of its own cannot be said.
func koboldOrder(p llm.Params, name string, value any, into map[string]any) bool {
	order := []int{}
	for _, s := range value.([]llm.Sampler) {
		if n, ok := koboldNumbers[s]; ok {
			order = append(order, n)
		}
	}
	for _, n := range []int{6, 0, 1, 3, 4, 2, 5} {
		if !slices.Contains(order, n) {
			order = append(order, n)
		}
	}
	into[name] = order
	return p.DRYMultiplier == nil && p.XTCProbability == nil && p.MinP == nil && p.TopNSigma == nil
}

var textgenNames = map[llm.Sampler][]string{
	llm.SamplePenalties: {"repetition_penalty", "presence_penalty", "frequency_penalty"},
	llm.SampleDRY:       {"dry"}, llm.SampleTopNSigma: {"top_n_sigma"}, llm.SampleTopK: {"top_k"}, llm.SampleTypicalP: {"typical_p"},
	llm.SampleTopP: {"top_p"}, llm.SampleMinP: {"min_p"}, llm.SampleXTC: {"xtc"}, llm.SampleTemperature: {"dynamic_temperature", "temperature"},
}

func textgenOrder(_ llm.Params, name string, value any, into map[string]any) bool {
	order := []string{}
	for _, s := range value.([]llm.Sampler) {
		order = append(order, textgenNames[s]...)
	}
	into[name] = order
	return true
}
