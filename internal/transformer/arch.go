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
	ffn              int // inner width of the feed-forward part
	pairing          pairing
	rotated          int // leading elements of each head that are rotated, even
}

// An architecture is what general.architecture may name.
type architecture struct {
	pairing pairing
}

var architectures = map[string]architecture{
	"llama": {pairing: neighbours},
}

func findArchitecture(name string) (architecture, error) {
	a, ok := architectures[name]
	if !ok {
		return a, fmt.Errorf("general.architecture is %q, which is not supported; supported: %s",
			name, strings.Join(slices.Sorted(maps.Keys(architectures)), ", "))
	}
	return a, nil
}
