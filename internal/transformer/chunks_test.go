package transformer

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"parley/internal/gguf"
)

func recipeOf(name string) tiny {
	return recipes[slices.IndexFunc(recipes, func(r tiny) bool { return r.name == name })]
}

// chunked is Llama 4 with chunks of so many tokens, behind each of which queries grow.
func chunked(tokens uint32) tiny {
	r := recipeOf("llama4")
	r.meta = append(slices.Clone(r.meta), gguf.KV{Key: "llama.attention.chunk_size", Value: gguf.ValueOf(tokens)},
		gguf.KV{Key: "llama.attention.temperature_length", Value: gguf.ValueOf(tokens)})
	return r
}

// llama.cpp knows chunks of 8192 tokens alone. The last of these tokens are on both sides of where
// one ends and queries grow.
func TestChunksAreThoseOfLlamaCpp(t *testing.T) {
	r := recipeOf("llama4") // all experts are used: a rounding cannot change which
	r.name, r.dim, r.heads, r.kvHeads, r.experts, r.context = "llama4-chunks", 64, 2, 1, 2, 9000
	r.meta = append(slices.Clone(r.meta), gguf.KV{Key: "llama.expert_count", Value: gguf.ValueOf(uint32(2))}, gguf.KV{Key: "llama.expert_used_count", Value: gguf.ValueOf(uint32(2))})
	ids := sequence(8198, 5)
	if *update {
		ask(t, r, ids)
	}
	var g golden
	b, err := os.ReadFile(goldenPath(r.name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	m := r.load(t, 2)
	theirs, kv := g.floats(t), m.NewKV()
	for at := 0; at < len(g.IDs); {
		n := min(len(g.IDs)-at, m.MostRead())
		rows := forward(t, m, Step{kv, g.IDs[at:][:n], All})
		for i := range rows {
			from := (at + i - len(g.IDs)) * m.config.Vocab
			if from += len(theirs); from < 0 {
				continue
			}
			var ours []float64
			for _, v := range rows[i] {
				ours = append(ours, float64(v))
			}
			e := distance(ours, theirs[from:][:len(ours)])
			t.Logf("token %d: %.2e", at+i, e)
			if !(e <= 2e-3) {
				t.Errorf("relative error of token %d is %.2e", at+i, e)
			}
		}
		at += n
	}
}
