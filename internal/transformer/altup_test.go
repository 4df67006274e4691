package transformer

import (
	"math"
	"slices"
	"strings"
	"testing"

	"parley/internal/gguf"
)

// fewStreams is a Gemma 3n of other sizes than the published ones: three streams, of which the
// second is active, five layers, of which two see the keys and values of others, and as many
// sparse ones as there are kinds of thresholds.
func fewStreams() tiny {
	for _, r := range recipes {
		if r.name != "gemma3n" {
			continue
		}
		r.name, r.layers = "gemma3n-few", 5
		r.sizes = map[string]int{"p": 16, "l": 5, "r": 24, "s": 3, "s-1": 2}
		r.meta = slices.Concat(r.meta,
			meta("llama.embedding_length_per_layer_input", uint32(16)), meta("llama.altup.num_inputs", uint32(3)), meta("llama.altup.active_idx", uint32(1)),
			meta("llama.attention.shared_kv_layers", uint32(2)), []gguf.KV{
				{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf([]bool{true, true, false, true, false})},
				{Key: "llama.activation_sparsity_scale", Value: gguf.ArrayOf([]float32{1.6448536, float32(math.Inf(-1)), 0, -0.5, float32(math.Inf(-1))})},
			})
		return r
	}
	panic("the recipe is gone")
}

// What the metadata says of streams, sharing and sparsity is what is computed.
func TestStreamsOfOtherSizesAreNearTheReference(t *testing.T) {
	m := fewStreams().load(t, 2)
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"streams", m.altup.altupSpec, altupSpec{streams: 3, active: 1}},
		{"matrices of them", len(m.altup.from) + len(m.altup.to), 4},
		{"rank", m.layers[0].laurel.down.Rows, 24},
		{"layer 0's gates", m.layers[0].spec.sparsity, sparsity{true, 1.6448536}},
		{"layer 1's gates", m.layers[1].spec.sparsity, sparsity{}},
		{"layer 2's gates", m.layers[2].spec.sparsity, sparsity{true, 0}},
		{"layer 3's keys", m.layers[3].spec.source, 1},
		{"layer 4's keys", m.layers[4].spec.source, 2},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	ids := sequence(20, 3)
	var ours []float64
	for _, row := range forward(t, m, Step{m.NewKV(), ids, All}) {
		for _, v := range row {
			ours = append(ours, float64(v))
		}
	}
	if e := distance(ours, referenceLogits(m, ids)); !(e < 2e-3) {
		t.Errorf("relative error %.2e", e)
	}
}

// States are made of the merged streams, also where nobody wants logits, and tokens of which
// nobody wants anything leave the others' as they are.
func TestStreamsAreMergedForStates(t *testing.T) {
	m := fewStreams().load(t, 2)
	ids := sequence(9, 3)
	kv := m.NewKV()
	forward(t, m, Step{kv, ids[:4], None})
	states := forward(t, m, Step{kv, ids[4:], States})
	var x []float64
	for _, v := range states[len(states)-1] {
		x = append(x, float64(v))
	}
	logits := referenceMul(&m.output, x, nil)
	for i, v := range logits {
		logits[i] = float64(m.config.logitCap) * math.Tanh(v/float64(m.config.logitCap))
	}
	want := referenceLogits(m, ids)
	if e := distance(logits, want[len(want)-len(logits):]); !(e < 2e-3) {
		t.Errorf("relative error of logits from states %.2e", e)
	}
}

// What files leave out is as in the models that there are.
func TestStreamsWithoutMetadata(t *testing.T) {
	for _, r := range recipes {
		if r.name != "gemma3n" {
			continue
		}
		for _, key := range []string{"embedding_length_per_layer_input", "altup.num_inputs", "altup.active_idx", "attention.shared_kv_layers", "attention.sliding_window_pattern"} {
			r.meta = append(slices.Clone(r.meta), meta("llama."+key, absent)...)
		}
		m := r.load(t, 1)
		if m.altup.altupSpec != (altupSpec{streams: 4}) || m.perLayer.size != 256 || m.config.logitCap != 30 {
			t.Errorf("%+v, embeddings of %d, logits below %g", m.altup.altupSpec, m.perLayer.size, m.config.logitCap)
		}
		for i := range m.layers {
			s := &m.layers[i].spec
			if s.sparsity.on != (i < 10) || (s.window.tokens == 0) != (i%5 == 4) || (s.source == i) != (i < 20) {
				t.Errorf("layer %d: sparse %t, window %+v, keys of %d", i, s.sparsity.on, s.window, s.source)
			}
		}
	}
}

// A token reads every matrix once; of embeddings one row, and of keys and values only those of the
// layers that have their own.
func TestBytesOfStreamsAreCounted(t *testing.T) {
	r := fewStreams()
	f, err := gguf.Parse(r.file(t))
	if err != nil {
		t.Fatal(err)
	}
	var bytes, operations int64
	for _, s := range f.Tensors {
		switch {
		case len(s.Shape) < 2 || strings.Contains(s.Name, "_coef") || s.Name == "per_layer_token_embd.weight":
		case strings.HasPrefix(s.Name, "blk.3.attn_k") || strings.HasPrefix(s.Name, "blk.4.attn_k") || strings.HasPrefix(s.Name, "blk.3.attn_v") || strings.HasPrefix(s.Name, "blk.4.attn_v"):
		default:
			bytes += int64(len(s.Data))
			if s.Name != "token_embd.weight" && s.Name != "altup_unembd_proj.weight" { // which make logits
				operations += 2 * int64(s.Elements())
			}
		}
	}
	m := r.load(t, 1)
	if m.BytesPerToken() != bytes || m.OperationsPerToken() != operations {
		t.Errorf("%d bytes and %d operations, want %d and %d", m.BytesPerToken(), m.OperationsPerToken(), bytes, operations)
	}
}

// A stream of zeros stays one, and divides nothing.
func TestZerosHaveNoLength(t *testing.T) {
	x := make([]float32, 8)
	lengthen(x, 3)
	if slices.ContainsFunc(x, func(v float32) bool { return v != 0 }) {
		t.Errorf("zeros became %v", x)
	}
	x[2] = 2
	lengthen(x, 3)
	if got := math.Sqrt(meanSquare(x)); math.Abs(got-3) > 1e-6 {
		t.Errorf("made %g long, want 3", got)
	}
}

func TestGatesAboveTheThresholdAreOpen(t *testing.T) {
	gates := []float32{1, 2, 3, 4, 10} // the mean is 4, the deviation of a sample √12.5
	sparsity{true, 0.5}.close(gates)
	want := []float32{0, 0, 0, 0, float32(6 - math.Sqrt(12.5)/2)}
	for i := range gates {
		if math.Abs(float64(gates[i]-want[i])) > 1e-5 {
			t.Fatalf("%v, want %v", gates, want)
		}
	}
	alike := slices.Repeat([]float32{0.1}, 23) // whose squares come to less than is taken away
	sparsity{true, 1}.close(alike)
	for _, v := range alike {
		if !(v >= 0 && v < 1e-6) {
			t.Fatalf("gates that are all alike became %v", alike)
		}
	}
	one := []float32{7}
	if (sparsity{true, 1}).close(one); one[0] != 0 {
		t.Errorf("of a single gate %g is left", one[0])
	}
}
