package llm

import "slices"

// A Sampler is a step on the way from logits to a token, named as llama.cpp
// names it.
type Sampler string

const (
	SamplePenalties   Sampler = "penalties" // repetition, presence, frequency
	SampleDRY         Sampler = "dry"
	SampleTopNSigma   Sampler = "top_n_sigma"
	SampleTopK        Sampler = "top_k"
	SampleTypicalP    Sampler = "typ_p"
	SampleTopP        Sampler = "top_p"
	SampleMinP        Sampler = "min_p"
	SampleXTC         Sampler = "xtc"
	SampleTemperature Sampler = "temperature"
)

// llama.cpp's order.
var usualSamplers = []Sampler{
	SamplePenalties, SampleDRY, SampleTopNSigma, SampleTopK, SampleTypicalP,
	SampleTopP, SampleMinP, SampleXTC, SampleTemperature,
}

// DefaultSamplers are all steps in llama.cpp's order.
func DefaultSamplers() []Sampler { return slices.Clone(usualSamplers) }

// Valid reports whether there is such a step.
func (s Sampler) Valid() bool { return slices.Contains(usualSamplers, s) }
