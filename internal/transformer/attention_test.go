package transformer

import (
	"fmt"
	"os"
	"testing"

	"parley/internal/gguf"
)

// longRecipes cover what attention does in its own way: one head for all, a head for
// each, heads that fill no whole panel, windows, chunks, soft caps, biases by distance.
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
	alibi := recipe("biases by distance", gguf.F32)
	alibi.architecture = "refact"
	bytes, oddBytes := each, odd
	bytes.name, bytes.cache = "cache in q8_0", CacheQ8_0
	oddBytes.name, oddBytes.cache = "odd heads, cache in q8_0", CacheQ8_0
	chunks := chunked(100) // all experts are used: keys that were rounded cannot change which
	chunks.name, chunks.experts = "chunks", 2
	chunks.meta = append(chunks.meta, count("expert_count", 2), count("expert_used_count", 2))
	list := []tiny{one, each, odd, windows, chunks, alibi, bytes, oddBytes}
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
			ids := sequence(spanTokens+90, 8) // the reference takes its time
			var ours []float64
			for _, row := range forward(t, m, Step{m.NewKV(), ids, All}) {
				for _, v := range row {
					ours = append(ours, float64(v))
				}
			}
			limit := 2e-3
			if r.cache == CacheQ8_0 {
				limit = 5e-2 // a few percent; three are measured
			}
			if e := distance(ours, referenceLogits(m, ids)); !(e < limit) {
				t.Errorf("relative error %.2e, more than %.0e", e, limit)
			}
		})
	}
}

func TestLongContextsDependOnTheTokensAlone(t *testing.T) {
	for _, r := range longRecipes() {
		t.Run(r.name, func(t *testing.T) {
			a, b := sequence(longTokens, 9), sequence(spanTokens+70, 10)
			wantA, wantB := alone(t, r, a), alone(t, r, b)
			for _, threads := range []int{1, 3} {
				m := r.load(t, threads)
				what := func(s string) string { return fmt.Sprintf("%s, %d threads", s, threads) }
				same(t, what("in one chunk"), forward(t, m, Step{m.NewKV(), a, All}), wantA)
				kv := m.NewKV()
				for i, n := 0, 1; i < len(a); i, n = i+n, n*2%97 {
					end := min(i+n, len(a))
					same(t, what("in chunks of any size"), forward(t, m, Step{kv, a[i:end], All}), wantA[i:end])
				}
				kb := m.NewKV()
				forward(t, m, Step{kb, b[:len(b)-1], None})
				steps, want := []Step{{kb, b[len(b)-1:], All}}, [][]float32{wantB[len(b)-1]}
				for range 7 { // spans enough that a thread takes several
					ka := m.NewKV()
					ka.CopyPrefix(kv, len(a)-3)
					steps, want = append(steps, Step{ka, a[len(a)-3:], All}), append(want, wantA[len(a)-3:]...)
				}
				same(t, what("in a batch"), forward(t, m, steps...), want)
			}
		})
	}
}

func TestQ8_0HalvesTheCache(t *testing.T) {
	r := recipe("q8_0 cache", gguf.F32)
	half, whole := r, r
	half.cache = CacheQ8_0
	a, b := half.load(t, 1).KVBytes(1000), whole.load(t, 1).KVBytes(1000)
	if want := b * 34 / 64; a != want {
		t.Errorf("%d bytes in Q8_0 and %d in F16, want %d", a, b, want)
	}
}

// BenchmarkAttention looks at synthetic keys and values of TinyLlama's shape, one layer
// of it: a token after so many, or a batch of a prompt there.
func BenchmarkAttention(b *testing.B) {
	for _, shape := range []struct{ heads, kvHeads, dim int }{{32, 4, 64}, {32, 8, 128}} {
		for _, tokens := range []int{1, batchTokens} {
			for _, context := range []int{512, 4096, 16384, 32768} {
				for _, cache := range []CacheType{CacheF16, CacheQ8_0} {
					b.Run(fmt.Sprintf("%dx%d of %d/%d at %d/%v", shape.heads, shape.kvHeads, shape.dim, tokens, context, cache), func(b *testing.B) {
						benchmarkAttention(b, shape.heads, shape.kvHeads, shape.dim, tokens, context, cache)
					})
				}
			}
		}
	}
}

func benchmarkAttention(b *testing.B, heads, kvHeads, dim, tokens, context int, cache CacheType) {
	const threads = 2
	// Several layers, so that what is read comes from memory as it does in a model.
	layers := max(1, (256<<20)/(context*kvHeads*dim*4))
	if tokens > 1 {
		layers = 1
	}
	r := recipe("bench", gguf.F16)
	r.heads, r.kvHeads, r.layers, r.context, r.dim, r.ffn = heads, kvHeads, layers, context, 256, 32
	r.headDim, r.cache = dim, cache
	r.meta = []gguf.KV{{Key: "llama.attention.key_length", Value: gguf.ValueOf(uint32(dim))}, {Key: "llama.attention.value_length", Value: gguf.ValueOf(uint32(dim))}}
	m := r.load(b, threads)
	kv := filled(m, context)
	w := &m.work
	w.q, w.seen = make([]float32, tokens*heads*dim), make([]float32, tokens*heads*dim)
	chance := &random{state: 4}
	for i := range w.q {
		w.q[i] = float32(chance.float() - 0.5)
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
		b.ReportMetric(float64(m.KVBytes(context))/float64(layers)/seconds/1e9, "GB/s")
	} else {
		pairs := float64(tokens*context - tokens*(tokens-1)/2)
		b.ReportMetric(pairs*float64(heads*dim*2)/seconds/1e9, "GMAC/s")
	}
}

// filled are keys and values of so many tokens that nobody computed.
func filled(m *Model, context int) *KV {
	kv := m.NewKV()
	kv.reserve(context)
	chance := &random{state: 3}
	for _, pages := range kv.pages {
		for _, page := range pages {
			for i := 0; i < len(page.bytes); i += 2 {
				x := chance.next()
				page.bytes[i], page.bytes[i+1] = byte(x), 0x30|byte(x>>8)&0x87 // some hundredths
			}
		}
	}
	kv.length = context
	return kv
}

// BenchmarkLongContexts is a whole model, the file that PARLEY_BENCH_MODEL names, behind
// contexts that nobody computed: a token generated, with the share of the bandwidth of
// memory that reading weights, keys and values comes to, and the last tokens of a prompt.
func BenchmarkLongContexts(b *testing.B) {
	path := os.Getenv("PARLEY_BENCH_MODEL")
	if path == "" {
		b.Skip("PARLEY_BENCH_MODEL names no file")
	}
	const threads, prompt = 2, batchTokens
	for _, cache := range []CacheType{CacheF16, CacheQ8_0} {
		f, err := gguf.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		m, err := Load(f, Options{Threads: threads, Cache: cache})
		if err != nil {
			b.Fatal(err)
		}
		full := filled(m, m.config.Context)
		for _, context := range []int{512, 4096, 16384, m.config.Context} {
			run := func(name string, tokens int, report func(b *testing.B, tps float64)) {
				b.Run(fmt.Sprintf("%v/%d/%s", cache, context, name), func(b *testing.B) {
					ids := make([]int32, tokens)
					kv := m.NewKV()
					defer kv.Release()
					kv.CopyPrefix(full, context-tokens)
					n := 0
					for b.Loop() {
						if _, err := m.Forward([]Step{{kv, ids, Last}}); err != nil {
							b.Fatal(err)
						}
						kv.Truncate(context - tokens)
						n += tokens
					}
					tps := float64(n) / b.Elapsed().Seconds()
					b.ReportMetric(tps, "t/s")
					report(b, tps)
				})
			}
			run("generated", 1, func(b *testing.B, tps float64) {
				bytes := float64(m.BytesPerToken() + m.KVBytes(context))
				memory, err := m.NewBandwidth()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(100*tps*bytes/memory.Typical(), "%")
				memory.Close()
			})
			run("prompt", prompt, func(*testing.B, float64) {})
		}
		full.Release()
		m.Close()
		f.Close()
	}
}
