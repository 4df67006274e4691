package transformer

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"parley/internal/gguf"
)

// The contract of the package: logits are the same to the last bit whatever
// surrounds their computation.

// orderRecipes cover each kind of activation, grouped heads, windows, and experts.
func orderRecipes() []tiny {
	var list []tiny
	for _, r := range recipes {
		switch r.name {
		case "f32-tied", "f16", "q8_0", "q4_k-mixed", "q5_1", "iq4_xs", "mixtral-q8_0", "gemma3", "gpt-oss-mxfp4", "deepseek2", "deepseek2-lite", "cohere2", "mistral3", "gemma4", "gemma4-experts", "lfm2", "lfm2-four-taps", "lfm2-q8_0", "lfm2moe",
			"falcon-h1", "falcon-h1-norm", "nemotron_h", "nemotron_h_moe", "qwen35", "qwen35-q8_0", "qwen35moe", "qwen3next", "qwen3next-first", "mamba", "mamba-norms", "jamba", "jamba-q8_0", "jamba-experts", "mamba2", "granitehybrid", "granitehybrid-experts", "granitehybrid-q8_0",
			"llama4-dense-too", "llama4-q8_0", "afmoe-q8_0", "smallthinker", "apertus", "mimo2-fused", "step35", "nemotron_h_moe-latent-q8_0", "kimi-linear", "kimi-linear-q8_0", "mpt", "refact-q8_0", "bloom", "starcoder-q8_0", "deci-q8_0", "bitnet-q8_0",
			"rwkv6", "rwkv6-q8_0", "rwkv6-first", "rwkv7", "rwkv7-q8_0", "arwkv7", "arwkv7-gated", "rwkv6qwen2":
			r.context = 4 * batchTokens
			list = append(list, r)
		}
	}
	for _, r := range append([]tiny{fewStreams(), chunked(90)}, otherHeads()...) { // chunks of which none ends with a block
		r.context = 4 * batchTokens
		list = append(list, r)
	}
	return list
}

// alone computes one token at a time on one thread: what all else must equal.
func alone(t *testing.T, r tiny, ids []int32) [][]float32 {
	m := r.load(t, 1)
	kv := m.NewKV()
	var out [][]float32
	for _, id := range ids {
		rows := forward(t, m, Step{kv, []int32{id}, All})
		out = append(out, slices.Clone(rows[0]))
	}
	return out
}

func forward(t *testing.T, m *Model, steps ...Step) [][]float32 {
	t.Helper()
	rows, err := m.Forward(steps)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func sequence(n int, seed uint64) []int32 {
	r := &random{state: seed}
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.next() % 64)
	}
	return ids
}

func same(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for i := range got {
		for j := range got[i] {
			if math.Float32bits(got[i][j]) != math.Float32bits(want[i][j]) {
				t.Fatalf("%s: logit %d of token %d is %v, alone it is %v", what, j, i, got[i][j], want[i][j])
			}
		}
	}
}

func TestLogitsDependOnTheTokensAlone(t *testing.T) {
	for _, r := range orderRecipes() {
		t.Run(r.name, func(t *testing.T) {
			a, b := sequence(batchTokens+13, 5), sequence(71, 6)
			wantA, wantB := alone(t, r, a), alone(t, r, b)
			few := 1
			if r.layout != "" { // how threads share work is the same in all architectures
				few = 3
			}
			for threads := few; threads <= 3; threads++ {
				m := r.load(t, threads)
				what := func(s string) string { return fmt.Sprintf("%s, %d threads", s, threads) }
				same(t, what("in one chunk"), forward(t, m, Step{m.NewKV(), a, All}), wantA)

				kv := m.NewKV()
				for i, n := 0, 1; i < len(a); i, n = i+n, n+2 {
					end := min(i+n, len(a))
					same(t, what("in growing chunks"), forward(t, m, Step{kv, a[i:end], All}), wantA[i:end])
				}

				ka, kb := m.NewKV(), m.NewKV()
				forward(t, m, Step{ka, a[:100], None}, Step{kb, b[:3], None})
				rows := forward(t, m, Step{kb, b[3:70], All}, Step{ka, a[100:101], Last}, Step{m.NewKV(), b, Last})
				same(t, what("in a batch"), rows[:67], wantB[3:70])
				same(t, what("in a batch"), rows[67:], [][]float32{wantA[100], wantB[70]})

				kc := m.NewKV()
				kc.CopyPrefix(ka, 65)
				ka.Truncate(90)
				c := kc.Len()
				left := ka.Len()
				switch {
				case m.HasStates() && c == 0 && left == 0:
				case c != 65 && (m.Rewinds() || c != blockTokens) || left != 90:
					t.Fatalf("%d tokens after a copied prefix, %d after a truncation", c, left)
				}
				rows = forward(t, m, Step{kc, a[c:80], All}, Step{ka, a[left:], All})
				same(t, what("after a copied prefix"), rows[:80-c], wantA[c:80])
				same(t, what("after a truncation"), rows[80-c:], wantA[left:])

				kd := m.NewKV()
				kd.CopyPrefix(kc, 80)
				rows = forward(t, m, Step{kd, a[80:], All}, Step{kc, a[80:90], All})
				same(t, what("after a copy of all"), rows[:len(a)-80], wantA[80:])
				same(t, what("beside a copy of all"), rows[len(a)-80:], wantA[80:90])
			}
		})
	}
}

// Where there are more tokens than are computed at a time, and more guests than are
// asked at a time.
func TestManyTokensOfExpertsAreAsFew(t *testing.T) {
	for _, r := range orderRecipes() {
		if r.name != "mixtral-q8_0" && r.name != "gpt-oss-mxfp4" {
			continue
		}
		r.context = 2 * mostGuests
		m := r.load(t, 2)
		ids := sequence(mostGuests+100, 5)
		few, kv := [][]float32(nil), m.NewKV()
		for i := 0; i < len(ids); i += 50 {
			for _, row := range forward(t, m, Step{kv, ids[i:min(i+50, len(ids))], All}) {
				few = append(few, slices.Clone(row))
			}
		}
		same(t, r.name, forward(t, m, Step{m.NewKV(), ids, All}), few)
		m.batchTokens = len(ids)
		same(t, r.name+", all at once", forward(t, m, Step{m.NewKV(), ids, All}), few)
	}
}

func TestKVGrowsAndShrinksByBlocks(t *testing.T) {
	m := recipe("f32", gguf.F32).load(t, 1)
	kv := m.NewKV()
	if kv.Len() != 0 || kv.Bytes() != 0 {
		t.Fatalf("an empty KV has %d tokens in %d bytes", kv.Len(), kv.Bytes())
	}
	forward(t, m, Step{kv, sequence(blockTokens+1, 1), None})
	block := int64(2 * 2 * (64 + 64) * blockTokens * 2) // layers, heads, key and value, tokens, F16
	if kv.Len() != blockTokens+1 || kv.Bytes() != 2*block {
		t.Fatalf("%d tokens in %d bytes, want %d in %d", kv.Len(), kv.Bytes(), blockTokens+1, 2*block)
	}
	kv.Truncate(blockTokens)
	if kv.Len() != blockTokens || kv.Bytes() != block {
		t.Fatalf("truncated: %d tokens in %d bytes", kv.Len(), kv.Bytes())
	}
	other := m.NewKV()
	other.CopyPrefix(kv, 1000)
	if other.Len() != blockTokens {
		t.Fatalf("the copy has %d tokens", other.Len())
	}
}

func TestForwardRefusesWhatItCannotDo(t *testing.T) {
	m, other := recipe("f32", gguf.F32).load(t, 1), recipe("f32", gguf.F32).load(t, 1)
	kv := m.NewKV()
	forward(t, m, Step{kv, []int32{1, 2, 3}, None})
	for name, steps := range map[string][]Step{
		"a token beyond the vocabulary": {{kv, []int32{1, 256}, None}},
		"a negative token":              {{kv, []int32{-1}, None}},
		"more than the context":         {{kv, make([]int32, 510), None}},
		"one sequence twice":            {{kv, []int32{1}, None}, {kv, []int32{1}, None}},
		"another model's":               {{other.NewKV(), []int32{1}, None}},
		"no KV":                         {{nil, []int32{1}, None}},
		"a good step before a bad one":  {{m.NewKV(), []int32{1}, None}, {kv, []int32{256}, None}},
	} {
		if _, err := m.Forward(steps); err == nil {
			t.Errorf("%s: no error", name)
		}
		if kv.Len() != 3 {
			t.Fatalf("%s: the sequence has %d tokens", name, kv.Len())
		}
	}
	if rows := forward(t, m); len(rows) != 0 {
		t.Errorf("no steps gave %d rows", len(rows))
	}
	if rows := forward(t, m, Step{kv, nil, Last}); len(rows) != 0 {
		t.Errorf("no tokens gave %d rows", len(rows))
	}
}
