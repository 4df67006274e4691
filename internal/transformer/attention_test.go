package transformer

import (
	"fmt"
	"slices"
	"testing"

	"parley/internal/gguf"
)

// longRecipes cover what attention does in its own way: one head for all, a head for
// each, heads that fill no whole panel, windows, soft caps.
func longRecipes() []tiny {
	count := func(key string, v uint32) gguf.KV { return gguf.KV{Key: "llama." + key, Value: gguf.ValueOf(v)} }
	one, each, odd := recipe("one head for all", gguf.F32), recipe("a head for each", gguf.F32), recipe("odd heads", gguf.F32)
	one.kvHeads = 1
	each.kvHeads = 4
	odd.headDim = 72
	odd.meta = []gguf.KV{count("attention.key_length", 72), count("attention.value_length", 72)}
	windows := recipe("windows", gguf.F32)
	windows.architecture, windows.tied, windows.headDim = "gemma2", true, 64
	windows.meta = []gguf.KV{count("attention.key_length", 64), count("attention.value_length", 64), count("attention.sliding_window", 100)}
	list := []tiny{one, each, odd, windows}
	for i := range list {
		list[i].context, list[i].dim, list[i].ffn = 2048, 128, 128
	}
	return list
}

const longTokens = 2*spanTokens + 30

func TestLongContextsAreNearTheReference(t *testing.T) {
	for _, r := range longRecipes() {
		t.Run(r.name, func(t *testing.T) {
			m := r.load(t, 2)
			ids := sequence(longTokens, 8)
			var ours []float64
			for _, row := range forward(t, m, Step{m.NewKV(), ids, All}) {
				for _, v := range row {
					ours = append(ours, float64(v))
				}
			}
			if e := distance(ours, referenceLogits(m, ids)); !(e < 2e-3) {
				t.Errorf("relative error %.2e", e)
			}
		})
	}
}

func TestLongContextsDependOnTheTokensAlone(t *testing.T) {
	for _, r := range longRecipes() {
		t.Run(r.name, func(t *testing.T) {
			a, b := sequence(longTokens, 9), sequence(spanTokens+70, 10)
			wantA, wantB := alone(t, r, a), alone(t, r, b)
			for threads := 1; threads <= 3; threads++ {
				m := r.load(t, threads)
				what := func(s string) string { return fmt.Sprintf("%s, %d threads", s, threads) }
				same(t, what("in one chunk"), forward(t, m, Step{m.NewKV(), a, All}), wantA)
				kv := m.NewKV()
				for i, n := 0, 1; i < len(a); i, n = i+n, n*2%97 {
					end := min(i+n, len(a))
					same(t, what("in chunks of any size"), forward(t, m, Step{kv, a[i:end], All}), wantA[i:end])
				}
				ka, kb := m.NewKV(), m.NewKV()
				forward(t, m, Step{ka, a[:len(a)-3], None}, Step{kb, b[:len(b)-1], None})
				rows := slices.Clone(forward(t, m, Step{kb, b[len(b)-1:], All}, Step{ka, a[len(a)-3:], All}))
				same(t, what("in a batch"), rows, append([][]float32{wantB[len(b)-1]}, wantA[len(a)-3:]...))
			}
		})
	}
}

// BenchmarkAttention looks at synthetic keys and values of TinyLlama's shape, one layer
// of it: a token after so many, or a batch of a prompt there.
func BenchmarkAttention(b *testing.B) {
	for _, shape := range []struct{ heads, kvHeads, dim int }{{32, 4, 64}, {32, 8, 128}} {
		for _, tokens := range []int{1, batchTokens} {
			for _, context := range []int{512, 4096, 16384, 32768} {
				b.Run(fmt.Sprintf("%dx%d of %d/%d at %d", shape.heads, shape.kvHeads, shape.dim, tokens, context), func(b *testing.B) {
					benchmarkAttention(b, shape.heads, shape.kvHeads, shape.dim, tokens, context)
				})
			}
		}
	}
}

func benchmarkAttention(b *testing.B, heads, kvHeads, dim, tokens, context int) {
	const threads = 2
	// Several layers, so that what is read comes from memory as it does in a model.
	layers := max(1, (256<<20)/(context*kvHeads*dim*4))
	if tokens > 1 {
		layers = 1
	}
	r := recipe("bench", gguf.F16)
	r.heads, r.kvHeads, r.layers, r.context, r.dim, r.ffn = heads, kvHeads, layers, context, 256, 32
	r.headDim = dim
	r.meta = []gguf.KV{{Key: "llama.attention.key_length", Value: gguf.ValueOf(uint32(dim))}, {Key: "llama.attention.value_length", Value: gguf.ValueOf(uint32(dim))}}
	m := r.load(b, threads)
	kv := m.NewKV()
	kv.reserve(context)
	random := &random{state: 3}
	for _, page := range kv.pages[seesAll] {
		block := page.bytes
		for i := 0; i < len(block); i += 2 {
			x := random.next()
			block[i], block[i+1] = byte(x), 0x30|byte(x>>8)&0x87 // some hundredths
		}
	}
	w := &m.work
	w.q, w.seen = make([]float32, tokens*heads*dim), make([]float32, tokens*heads*dim)
	for i := range w.q {
		w.q[i] = float32(random.float() - 0.5)
	}
	w.rows = nil
	for i := range tokens {
		w.rows = append(w.rows, row{kv: kv, position: context - tokens + i})
	}
	n := 0
	for b.Loop() {
		m.attend(n % layers)
		n++
	}
	seconds := b.Elapsed().Seconds() / float64(n)
	if tokens == 1 {
		b.ReportMetric(float64(context*kvHeads*dim*4)/seconds/1e9, "GB/s")
	} else {
		pairs := float64(tokens*context - tokens*(tokens-1)/2)
		b.ReportMetric(pairs*float64(heads*dim*2)/seconds/1e9, "GMAC/s")
	}
}
