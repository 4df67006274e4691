package llm

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
	MinP        *float64 // keep p ≥ MinP · max p: 0 keeps all

	RepetitionPenalty *float64 // divides positive and multiplies negative logits of seen tokens (Keskar et al., 2019); neutral 1
	RepetitionRange   *int     // how many of the last tokens count as seen; -1 all; neutral 64
	PresencePenalty   *float64 // subtracted once from the logits of generated tokens; neutral 0
	FrequencyPenalty  *float64 // subtracted per occurrence in the generated text; neutral 0

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
	// StopAfter is a marker after whose first occurrence Stop begins to apply;
	// empty: at once. A format sets it to the end of the model's reasoning.
	StopAfter string

	LogitBias map[int]float64 // added to the logits of these token ids
	IgnoreEOS bool            // never end of the model's own accord

	// LogProbs asks for the natural logarithms of the probabilities of each
	// token and of the so many most likely ones (0: of the token alone);
	// nil asks for none.
	LogProbs *int

	// CacheScope keeps the prompt cache apart: a prompt reuses only what was
	// computed under the same scope.
	CacheScope string
}

// WithDefaults is p with what it leaves open taken from d.
func (p Params) WithDefaults(d Params) Params {
	or(&p.MaxTokens, d.MaxTokens)
	or(&p.Temperature, d.Temperature)
	or(&p.TopK, d.TopK)
	or(&p.TopP, d.TopP)
	or(&p.MinP, d.MinP)
	or(&p.RepetitionPenalty, d.RepetitionPenalty)
	or(&p.RepetitionRange, d.RepetitionRange)
	or(&p.PresencePenalty, d.PresencePenalty)
	or(&p.FrequencyPenalty, d.FrequencyPenalty)
	or(&p.Seed, d.Seed)
	or(&p.LogProbs, d.LogProbs)
	return p
}

func or[T any](p **T, d *T) {
	if *p == nil {
		*p = d
	}
}
