package transformer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What an architecture does in its own way is said here, once, and resolved
// into one spec for each layer when a model is loaded: the code that computes
// asks the spec, never the architecture's name.

// pairing says which elements of a head are rotated together.
type pairing uint8

const (
	neighbours pairing = iota // 2i and 2i+1, as llama's converted weights want it
	halves                    // i and i+n/2, as GPT-NeoX
)

// A layerSpec is the shape of one layer.
type layerSpec struct {
	heads, kvHeads   int // query heads; key and value heads, each serving heads/kvHeads of them
	keyDim, valueDim int // of a head
	ffn              int // inner width of the feed-forward part, or of each expert
	experts, used    int // experts, and how many of them see a token; 0: one for all
	pairing          pairing
	rotated          int // leading elements of each head that are rotated, even
	turns            int // which of the model's frequencies, or -1: not rotated

	window    int     // positions that a token sees, with its own; 0: all
	scale     float32 // of the products of queries and keys
	cap       float32 // they are bent to stay below it, 0: not
	gelu      bool    // GELU in place of SiLU
	normUsed  bool    // the weights of the experts used are made to add up to one
	preNorms  bool    // what attention and feed-forward get is normalised
	postNorms bool    // what they give is
	qkNorm    norming
	fusedGate bool // gate and up lie in one tensor, ffn_up
}

// norming says over what queries and keys are normalised before they are rotated.
type norming uint8

const (
	notNormed  norming = iota
	eachHead           // Qwen 3, Gemma 3
	allOfToken         // OLMo 2
)

// An architecture is what general.architecture may name.
type architecture struct {
	pairing     pairing
	qkNorm      norming
	noPreNorms  bool
	postNorms   bool
	gelu        bool
	fusedGate   bool
	rootOfDim   bool       // embeddings are multiplied by √dim
	multipliers bool       // Granite's: of embeddings, residuals, attention and logits, in the metadata
	caps        [2]float64 // soft caps of attention and of logits, where the metadata is silent; 0: none

	window      int  // where the metadata is silent
	global      int  // with windows: every so-many-th layer sees all
	localBase   bool // and the others have a frequency of their own
	wide        int  // layers of the one model of the family whose scale is 1/√(dim/heads)
	notRotated  int  // every so-many-th layer
	expertsSum1 bool
	experts     bool // there may be some
}

var architectures = map[string]architecture{
	"llama":    {pairing: neighbours, experts: true, expertsSum1: true},
	"qwen2":    {pairing: halves},
	"qwen3":    {pairing: halves, qkNorm: eachHead},
	"qwen3moe": {pairing: halves, qkNorm: eachHead, experts: true, expertsSum1: true},
	"gemma":    {pairing: halves, gelu: true, rootOfDim: true},
	"gemma2":   {pairing: halves, gelu: true, rootOfDim: true, postNorms: true, caps: [2]float64{50, 30}, window: 4096, global: 2, wide: 46},
	"gemma3":   {pairing: halves, gelu: true, rootOfDim: true, postNorms: true, qkNorm: eachHead, global: 6, localBase: true, wide: 62},
	"phi3":     {pairing: halves, fusedGate: true},
	"olmo2":    {pairing: halves, qkNorm: allOfToken, noPreNorms: true, postNorms: true},
	"glm4":     {pairing: neighbours, fusedGate: true, postNorms: true},
	"granite":  {pairing: neighbours, multipliers: true},
	"smollm3":  {pairing: neighbours, notRotated: 4},
}

func findArchitecture(name string) (architecture, error) {
	a, ok := architectures[name]
	if !ok {
		return a, fmt.Errorf("general.architecture is %q, which is not supported; supported: %s",
			name, strings.Join(slices.Sorted(maps.Keys(architectures)), ", "))
	}
	return a, nil
}
