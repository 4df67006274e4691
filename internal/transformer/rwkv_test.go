package transformer

import (
	"slices"
	"testing"
)

// otherHeads are models of RWKV with heads of another size than the published 64, which is not one
// of whole blocks of kernel.RowColumns either. llama.cpp is not asked: where it has AVX-512, what it
// gives of such heads is not what is meant.
func otherHeads() (list []tiny) {
	for _, r := range recipes {
		if r.name == "rwkv6" || r.name == "rwkv7" || r.name == "rwkv6qwen2" {
			r.name += "-heads"
			r.dim, r.headDim = r.heads*48, 48
			r.meta = slices.Concat(r.meta, meta("llama.wkv.head_size", uint32(48)))
			list = append(list, r)
		}
	}
	return list
}

func TestHeadsOfOtherSizesAreNearTheReference(t *testing.T) {
	list := otherHeads()
	if len(list) != 3 {
		t.Fatal("a recipe is gone")
	}
	for _, r := range list {
		m := r.load(t, 2)
		ids := sequence(20, 9)
		var ours []float64
		for _, row := range forward(t, m, Step{m.NewKV(), ids, All}) {
			for _, v := range row {
				ours = append(ours, float64(v))
			}
		}
		if e := distance(ours, referenceLogits(m, ids)); !(e < 1e-5) {
			t.Errorf("%s: the logits are %.2e from the reference", r.name, e)
		}
	}
}
