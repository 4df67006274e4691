package transformer

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/internal/gguf"
)

var (
	update = flag.Bool("update", false, "write what llama.cpp says into testdata; needs -oracle and -bins")
	oracle = flag.String("oracle", "", "path of llamacpp_oracle.py")
	bins   = flag.String("bins", "", "folder of llama.cpp's libraries")
)

// recipes are the models that llama.cpp was asked about.
var recipes = func() []tiny {
	f32, tied, freqs, linear, biased := recipe("f32", gguf.F32), recipe("f32-tied", gguf.F32), recipe("f32-rope-freqs", gguf.F32), recipe("f32-linear", gguf.F32), recipe("f32-biases", gguf.F32)
	tied.tied, tied.kvHeads = true, 1
	freqs.ropeFreqs = true
	freqs.meta = []gguf.KV{{Key: "llama.rope.freq_base", Value: gguf.ValueOf(float32(500000))}}
	linear.kvHeads = 4
	linear.meta = []gguf.KV{
		{Key: "llama.rope.scaling.type", Value: gguf.ValueOf("linear")},
		{Key: "llama.rope.scaling.factor", Value: gguf.ValueOf(float32(4))},
		{Key: "llama.rope.dimension_count", Value: gguf.ValueOf(uint32(64))},
	}
	biased.biases = true
	mixed := recipe("q4_k-mixed", gguf.Q4_K)
	mixed.types = map[string]gguf.Type{"attn_v.weight": gguf.Q6_K, "ffn_down.weight": gguf.Q6_K, "output.weight": gguf.Q6_K}
	tiedQ := recipe("q6_k-tied", gguf.Q6_K)
	tiedQ.tied = true
	list := []tiny{
		f32, tied, freqs, linear, biased,
		recipe("f16", gguf.F16), recipe("bf16", gguf.BF16),
		recipe("q8_0", gguf.Q8_0), recipe("q4_0", gguf.Q4_0), recipe("q4_k", gguf.Q4_K), mixed, recipe("q6_k", gguf.Q6_K), tiedQ,
	}
	for _, ty := range []gguf.Type{gguf.Q4_1, gguf.Q5_0, gguf.Q5_1, gguf.Q2_K, gguf.Q3_K, gguf.Q5_K, gguf.IQ4_NL, gguf.IQ4_XS, gguf.MXFP4} {
		list = append(list, recipe(strings.ToLower(ty.String()), ty))
	}
	return append(append(list, families()...), moreFamilies()...)
}()

// families are models of other architectures, each with what is its own.
func families() []tiny {
	number := func(key string, v float32) gguf.KV { return gguf.KV{Key: "llama." + key, Value: gguf.ValueOf(v)} }
	count := func(key string, v uint32) gguf.KV { return gguf.KV{Key: "llama." + key, Value: gguf.ValueOf(v)} }
	of := func(architecture string, ty gguf.Type, meta ...gguf.KV) tiny {
		r := recipe(architecture, ty)
		r.architecture, r.meta = architecture, meta
		return r
	}
	wide := func(r tiny) tiny { // heads wider than dim/heads
		r.headDim = 96
		r.meta = append(r.meta, count("attention.key_length", 96), count("attention.value_length", 96))
		return r
	}
	deep := func(r tiny, layers int) tiny {
		r.layers, r.dim, r.ffn = layers, 128, 128
		return r
	}
	mixture := func(r tiny, ffn int) tiny {
		r.experts, r.ffn = 6, ffn
		r.meta = append(r.meta, count("expert_count", 6), count("expert_used_count", 2))
		return r
	}
	qwen2 := of("qwen2", gguf.F32)
	qwen2.biases = true
	qwen3moe := mixture(wide(of("qwen3moe", gguf.F32, count("feed_forward_length", 512), count("expert_feed_forward_length", 128))), 128)
	mixtral := mixture(recipe("mixtral", gguf.F32), 256)
	// A rounding that changes which expert is used changes all: eight bits, not four.
	mixtralQ := mixture(recipe("mixtral-q8_0", gguf.Q8_0), 256)
	mixtralQ.types = map[string]gguf.Type{"ffn_gate_inp.weight": gguf.F32}
	gemma := wide(of("gemma", gguf.F32))
	gemma.tied = true
	gemma2 := wide(of("gemma2", gguf.F32, count("attention.sliding_window", 5), number("attn_logit_softcapping", 2), number("final_logit_softcapping", 5)))
	gemma2.tied = true
	gemma3 := wide(deep(of("gemma3", gguf.F32, count("attention.sliding_window", 5), number("rope.freq_base", 1e6),
		gguf.KV{Key: "llama.rope.scaling.type", Value: gguf.ValueOf("linear")}, number("rope.scaling.factor", 8)), 6))
	gemma3.tied = true
	return []tiny{
		qwen2, wide(of("qwen3", gguf.F32)), qwen3moe, mixtral, mixtralQ, gemma, gemma2, gemma3,
		of("phi3", gguf.F32), of("olmo2", gguf.F32), of("glm4", gguf.F32, count("rope.dimension_count", 32)),
		of("granite", gguf.F32, number("embedding_scale", 12), number("residual_scale", 0.22), number("attention.scale", 0.02), number("logit_scale", 8)),
		deep(of("smollm3", gguf.F32), 4),
	}
}

// A golden is llama.cpp's answer.
type golden struct {
	IDs    []int32 `json:"ids"`
	Logits string  `json:"logits"` // base64 of float32, little endian, one row for each id
}

var goldenIDs = []int32{1, 200, 17, 17, 255, 0, 93, 128, 41, 7, 77, 230}

func goldenPath(name string) string { return filepath.Join("testdata", name+".json") }

func (g *golden) floats(tb testing.TB) []float64 {
	b, err := base64.StdEncoding.DecodeString(g.Logits)
	if err != nil {
		tb.Fatal(err)
	}
	out := make([]float64, len(b)/4)
	for i := range out {
		out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return out
}

// TestLikeLlamaCpp holds the logits beside llama.cpp's and beside those of the
// plain float64 computation in reference_test.go.
func TestLikeLlamaCpp(t *testing.T) {
	for _, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			if *update {
				ask(t, r, goldenIDs)
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
			rows, err := m.Forward([]Step{{KV: m.NewKV(), Tokens: g.IDs, Logits: All}})
			if err != nil {
				t.Fatal(err)
			}
			var ours []float64
			for _, row := range rows {
				for _, v := range row {
					ours = append(ours, float64(v))
				}
			}
			theirs, exact := g.floats(t), referenceLogits(m, g.IDs)
			limit, exactLimit := 2e-3, 2e-3
			switch {
			case r.matrices == gguf.BF16:
				// llama.cpp rounds activations to eight bits here, and is itself so
				// far from the exact result; we keep float32.
				limit = 1e-2
			case r.layers > 16: // what keys and values are rounded to adds up
				limit, exactLimit = 5e-3, 5e-3
			case r.matrices.BlockSize() > 1 || len(r.types) > 0:
				limit, exactLimit = 5e-2, 5e-2
			}
			e, oursOff, theirsOff := distance(ours, theirs), distance(ours, exact), distance(theirs, exact)
			t.Logf("from llama.cpp %.2e; from the exact result %.2e, llama.cpp %.2e", e, oursOff, theirsOff)
			if !(e <= limit) {
				t.Errorf("relative error against llama.cpp is %.2e, more than %.0e", e, limit)
			}
			if !(oursOff <= exactLimit) {
				t.Errorf("relative error against the exact result is %.2e, more than %.0e", oursOff, exactLimit)
			}
			if !(oursOff <= 1.3*theirsOff) {
				t.Errorf("we are %.2e from the exact result, llama.cpp %.2e", oursOff, theirsOff)
			}
		})
	}
}

// What is said to be supported has been held beside llama.cpp.
func TestEveryArchitectureHasAGolden(t *testing.T) {
	for name := range architectures {
		if !slices.ContainsFunc(recipes, func(r tiny) bool { return cmp.Or(r.architecture, "llama") == name }) {
			t.Errorf("%s has none", name)
		}
	}
}

// distance is |a−b|/|b|, Euclidean.
func distance(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var d, n float64
	for i := range a {
		d += (a[i] - b[i]) * (a[i] - b[i])
		n += b[i] * b[i]
	}
	return math.Sqrt(d / n)
}

// ask writes what llama.cpp says of some tokens by a recipe.
func ask(t *testing.T, r tiny, tokens []int32) {
	path := filepath.Join(t.TempDir(), r.name+".gguf")
	if err := os.WriteFile(path, r.file(t), 0o600); err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(tokens)
	for i := range all {
		all[i] %= int32(r.vocab)
	}
	ids := strings.Trim(strings.ReplaceAll(fmt.Sprint(all), " ", ","), "[]")
	out, err := exec.Command("python3", *oracle, *bins, path, "logits", ids).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	var said struct{ Logits [][]float32 }
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	var b []byte
	for _, row := range said.Logits {
		for _, v := range row {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	text, _ := json.Marshal(golden{all, base64.StdEncoding.EncodeToString(b)})
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenPath(r.name), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
