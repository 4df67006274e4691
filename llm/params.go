package llm

import (
	"strings"
	"unicode"
)

// Params says how to continue. A nil pointer is a choice left open: the
// model's own recommendation (its file or the configuration) applies, and
// where it has none, the neutral value named here. Ranges are checked by
// [Params.Check].
type Params struct {
	// MaxTokens ends the output after so many tokens; nil or negative is as many as
	// the context holds. More than the context holds is capped and reported.
	MaxTokens *int

	Temperature *float64 // 0 is greedy; neutral 1
	TopK        *int     // keep the k most likely; 0 keeps all
	TopP        *float64 // nucleus (Holtzman et al., 2020): 1 keeps all
	MinP        *float64 // keep p ≥ MinP · max p (Nguyen et al., 2024): 0 keeps all
	TypicalP    *float64 // locally typical sampling (Meister et al., 2023): 1 keeps all
	TopNSigma   *float64 // keep logits within so many standard deviations of the greatest (Tang et al., 2024); 0 and below keep all

	// DynamicTemperatureRange makes the temperature depend on how sure the
	// model is: from Temperature - range (at least 0) where it is certain, to
	// Temperature + range where all candidates are equally likely, by the power
	// DynamicTemperatureExponent of the entropy's share of the greatest
	// possible (kalomaze, KoboldCpp, 2023). Neutral: range 0, exponent 1.
	DynamicTemperatureRange    *float64
	DynamicTemperatureExponent *float64

	// XTCProbability is how often the most likely tokens are taken out of the
	// choice: all whose probability is at least XTCThreshold, but the least of
	// them (p-e-w, text-generation-webui, 2024). Neutral: probability 0,
	// threshold 0.1; a threshold above 0.5 never applies.
	XTCProbability *float64
	XTCThreshold   *float64

	// Mirostat 2 keeps the surprise of the text near MirostatTau bits, adapting
	// at the rate MirostatEta (Basu et al., 2021). It stands in for all steps
	// that cut; penalties, DRY and temperature come before it. 0 is off; neutral
	// tau 5, eta 0.1.
	Mirostat    *int
	MirostatTau *float64
	MirostatEta *float64

	RepetitionPenalty *float64 // divides positive and multiplies negative logits of seen tokens (Keskar et al., 2019); neutral 1
	RepetitionRange   *int     // how many of the last tokens count as seen; -1 all; neutral 64
	PresencePenalty   *float64 // subtracted once from the logits of generated tokens; neutral 0
	FrequencyPenalty  *float64 // subtracted per occurrence in the generated text; neutral 0

	// DRYMultiplier · DRYBase^(n - DRYAllowedLength) is subtracted from the logit
	// of a token that would make a repetition of n tokens, prompt included, one
	// longer, for n ≥ DRYAllowedLength (p-e-w, text-generation-webui, 2024).
	// DRYRange is how many of the last tokens are searched, -1 all. Repetitions
	// are not counted across one of DRYBreakers, strings that may be parts of
	// tokens or several; nil are the usual ones: line feed, colon, double quote,
	// asterisk. Neutral: multiplier 0 (off), base 1.75 (below 1: off), allowed
	// length 2, range -1.
	DRYMultiplier    *float64
	DRYBase          *float64
	DRYAllowedLength *int
	DRYRange         *int
	DRYBreakers      []string

	// Samplers are the steps that choose a token, in order. One that is not
	// named does not take place. Nil is DefaultSamplers; a list without names
	// draws from what the model says.
	Samplers []Sampler

	// Seed chooses the stream of random numbers; nil draws one, which is
	// reported in Finish.
	Seed *int64
	// Choice is which of several answers to the same request this is. Each has
	// a stream of numbers of its own, derived from Seed; 0 is what a request
	// for one answer gets.
	Choice int

	// Stop ends the output exactly before the earliest occurrence of one of
	// these strings in the decoded text; at the same place the longest counts.
	Stop []string
	// StopLines end the output as Stop does, but only where they begin a line of
	// it. Its first one begins with it unless the prompt ends within a line:
	// see [Prompt.EndsLine].
	StopLines []string
	// StopAfter is a marker after whose first occurrence both begin to apply;
	// empty: at once. A format sets it to the end of the model's reasoning.
	StopAfter string
	// StopOpen, where it is set, makes StopAfter hold only for outputs that
	// begin with it, white space aside; in all others Stop applies from the
	// beginning. A format sets it to the mark with which its models open their
	// reasoning, if they do.
	StopOpen string

	// BannedStrings are phrases that the output never contains, whatever the
	// case of their letters. Where one has come, the model goes back to the token
	// in which it began and chooses another. Where every way on leads to one, the
	// output ends before it as before a stop string, and Finish reports it.
	// Tokens taken back are not counted.
	BannedStrings []string

	// LogitBias is added to the logits of token ids, WordBias to those of the
	// tokens that a text consists of. -1000 or less forbids a token.
	LogitBias map[int]float64
	WordBias  map[string]float64

	// MinTokens keeps the model from ending of its own accord, by an end token
	// or a control token that is a stop string, before so many tokens. Stop
	// strings in the text count nevertheless.
	MinTokens *int
	IgnoreEOS bool // never end of the model's own accord

	// LoopGuard ends a reply that only repeats itself with ReasonLoop: where so
	// many tokens in a row have each ended a run of 16 tokens that the reply had
	// four times before. 0 is off; neutral 1024, and off with IgnoreEOS. It never
	// comes before MinTokens.
	LoopGuard *int

	// TokenHealing has the model choose anew the tokens of the last word of a
	// prompt, which is spelled as it stands, for the prompt may end inside a
	// token of the whole text. The output is what comes behind the prompt. nil
	// does so where a prompt ends in the model's own words (TrustModel); true
	// for raw prompts, too. Only engines that choose tokens themselves do.
	TokenHealing *bool

	// Constraint, if set, holds the output to a language.
	Constraint *Constraint

	// LogProbs asks for the natural logarithms of the probabilities of each
	// token and of the so many most likely ones (0: of the token alone);
	// nil asks for none.
	LogProbs *int

	// Prediction is what the output is likely to be, or to hold in long parts: a
	// text that is to be corrected, a file with a few lines to change. An engine
	// that knows how is faster for it; the output is the same.
	Prediction string

	// CacheScope keeps the prompt cache apart: a prompt reuses only what was
	// computed under the same scope.
	CacheScope string
}

// Opens reports whether an output begins with StopOpen, and whether what there
// is of the output can tell.
func (p Params) Opens(output string) (opens, known bool) {
	text := strings.TrimLeftFunc(output, unicode.IsSpace)
	switch {
	case p.StopOpen == "":
		return true, true
	case len(output)-len(text) > mostSpace:
		return false, true
	case strings.HasPrefix(text, p.StopOpen):
		return true, true
	}
	return false, !strings.HasPrefix(p.StopOpen, text)
}

// mostSpace is the white space, in bytes, that may stand before StopOpen: stop
// strings must not wait for ever for a model that writes nothing else.
const mostSpace = 64

// WithDefaults is p with what it leaves open taken from d.
func (p Params) WithDefaults(d Params) Params {
	or(&p.MaxTokens, d.MaxTokens)
	or(&p.Temperature, d.Temperature)
	or(&p.TopK, d.TopK)
	or(&p.TopP, d.TopP)
	or(&p.MinP, d.MinP)
	or(&p.TypicalP, d.TypicalP)
	or(&p.TopNSigma, d.TopNSigma)
	or(&p.DynamicTemperatureRange, d.DynamicTemperatureRange)
	or(&p.DynamicTemperatureExponent, d.DynamicTemperatureExponent)
	or(&p.XTCProbability, d.XTCProbability)
	or(&p.XTCThreshold, d.XTCThreshold)
	or(&p.Mirostat, d.Mirostat)
	or(&p.MirostatTau, d.MirostatTau)
	or(&p.MirostatEta, d.MirostatEta)
	or(&p.RepetitionPenalty, d.RepetitionPenalty)
	or(&p.RepetitionRange, d.RepetitionRange)
	or(&p.PresencePenalty, d.PresencePenalty)
	or(&p.FrequencyPenalty, d.FrequencyPenalty)
	or(&p.DRYMultiplier, d.DRYMultiplier)
	or(&p.DRYBase, d.DRYBase)
	or(&p.DRYAllowedLength, d.DRYAllowedLength)
	or(&p.DRYRange, d.DRYRange)
	if p.DRYBreakers == nil {
		p.DRYBreakers = d.DRYBreakers
	}
	if p.Samplers == nil {
		p.Samplers = d.Samplers
	}
	or(&p.MinTokens, d.MinTokens)
	or(&p.Constraint, d.Constraint)
	or(&p.LoopGuard, d.LoopGuard)
	or(&p.Seed, d.Seed)
	or(&p.LogProbs, d.LogProbs)
	return p
}

func or[T any](p **T, d *T) {
	if *p == nil {
		*p = d
	}
}
