package transformer

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"parley/internal/gguf"
)

// oddRecipes are one model of each architecture with as few layers as it can have, heads
// of other sizes than powers of two, and a vocabulary that fills no whole vector.
func oddRecipes() (list []tiny) {
	fixed := []string{"apertus", "exaone", "phi3", "gemma4", "openelm", "deci"} // their files say how long heads are, or have divisors of so many frequencies
	seen := map[string]bool{}
	for _, r := range recipes {
		name := cmp.Or(r.architecture, "llama")
		if seen[name] || r.matrices != gguf.F32 {
			continue
		}
		seen[name] = true
		r.name, r.vocab, r.context = name, 61, 64
		if !slices.Contains(fixed, name) {
			r.dim = r.heads * []int{80, 96, 112}[len(list)%3]
		}
		if architectures[name].rwkv > 0 {
			r.headDim = r.dim / r.heads
			r.meta = slices.Concat(r.meta, meta("llama.wkv.head_size", uint32(r.headDim)))
		}
		listed := slices.ContainsFunc(r.meta, func(kv gguf.KV) bool { return kv.Value.Kind == gguf.Array && int(kv.Value.Len) == r.layers })
		if !strings.Contains(r.layout, ":") && !listed {
			r.layers = 1
		} else if !slices.ContainsFunc(r.meta, func(kv gguf.KV) bool { return kv.Value.Kind == gguf.Array }) {
			r.layers = 2
		}
		r.ffn = min(r.ffn, 192)
		list = append(list, r)
	}
	return list
}

func TestOddSizesAreNearTheReferenceAndTheSameInAllWays(t *testing.T) {
	ids := []int32{1, 60, 17, 0, 33}
	for _, r := range oddRecipes() {
		t.Run(r.name, func(t *testing.T) {
			m := r.load(t, 2)
			rows := forward(t, m, Step{m.NewKV(), ids, All})
			var ours []float64
			for _, row := range rows {
				for _, v := range row {
					ours = append(ours, float64(v))
				}
			}
			if e := distance(ours, referenceLogits(m, ids)); !(e < 2e-3) {
				t.Errorf("relative error %.2e", e)
			}
			same(t, "all at once", rows, alone(t, r, ids))
		})
	}
}
