package transformer

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// TestQ8_0CacheLikeLlamaCpp holds the logits with keys and values in Q8_0 beside llama.cpp's,
// which rounds queries, keys and values to the same bytes and adds up in another order, so that here and there a
// number is rounded to another byte: of a model whose layers see everything, and of one with windows that are
// shorter than the text. What the rounding loses is more.
func TestQ8_0CacheLikeLlamaCpp(t *testing.T) {
	for _, name := range []string{"f32", "gemma3"} {
		r := recipes[slices.IndexFunc(recipes, func(r tiny) bool { return r.name == name })]
		t.Run(name, func(t *testing.T) {
			file := r
			file.name = name + "-cache-q8_0"
			if *update {
				ask(t, file, goldenIDs)
			}
			var g golden
			b, err := os.ReadFile(goldenPath(file.name))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &g); err != nil {
				t.Fatal(err)
			}
			logits := func(kind CacheType) (list []float64) {
				r.cache = kind
				m := r.load(t, 2)
				for _, row := range forward(t, m, Step{m.NewKV(), g.IDs, All}) {
					for _, v := range row {
						list = append(list, float64(v))
					}
				}
				return list
			}
			theirs, ours, whole := g.floats(t), logits(CacheQ8_0), logits(CacheF16)
			e, lost, theirsLost := distance(ours, theirs), distance(ours, whole), distance(theirs, whole)
			t.Logf("from llama.cpp %.2e; from keys and values in F16 %.2e, llama.cpp %.2e", e, lost, theirsLost)
			if !(e <= 5e-3) || e > lost/2 {
				t.Errorf("relative error against llama.cpp is %.2e", e)
			}
			if !(lost <= 1.3*theirsLost) || lost < 1e-4 {
				t.Errorf("we are %.2e from what F16 gives, llama.cpp %.2e", lost, theirsLost)
			}
		})
	}
}
