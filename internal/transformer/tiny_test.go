package transformer

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"testing"

	"parley/internal/gguf"
	"parley/internal/kernel"
)

// A tiny is the recipe of a small model with random weights: the same recipe gives
// the same bytes on every machine, so the models need not be kept.
type tiny struct {
	name                                             string
	dim, layers, heads, kvHeads, ffn, vocab, context int
	matrices                                         gguf.Type            // of all matrices
	types                                            map[string]gguf.Type // other than that, by tensor name without block
	tied                                             bool                 // no output.weight
	meta                                             []gguf.KV            // beyond or instead of the usual
	ropeFreqs                                        bool
	biases                                           bool
	architecture                                     string // llama where empty
	headDim                                          int    // dim/heads where 0
	cache                                            CacheType
	experts                                          int
	layout                                           string                                       // of the tensors, line by line; the usual one of the architecture where empty
	sizes                                            map[string]int                               // letters in it, beyond the usual
	numbers                                          map[string][2]float64                        // mean and spread of tensors in it that are floats, other than usual
	change                                           func(name string, s *gguf.TensorSource) bool // for hostile ones; false drops the tensor
}

func recipe(name string, t gguf.Type) tiny {
	return tiny{name: name, dim: 256, layers: 2, heads: 4, kvHeads: 2, ffn: 512, vocab: 256, context: 512, matrices: t}
}

// file is the model as GGUF.
func (m tiny) file(tb testing.TB) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := gguf.Write(&b, m.metadata(), m.tensors()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func (m tiny) metadata() []gguf.KV {
	meta := []gguf.KV{
		{Key: "general.architecture", Value: gguf.ValueOf(cmp.Or(m.architecture, "llama"))},
		{Key: "llama.context_length", Value: gguf.ValueOf(uint32(m.context))},
		{Key: "llama.embedding_length", Value: gguf.ValueOf(uint32(m.dim))},
		{Key: "llama.block_count", Value: gguf.ValueOf(uint32(m.layers))},
		{Key: "llama.feed_forward_length", Value: gguf.ValueOf(uint32(m.ffn))},
		{Key: "llama.attention.head_count", Value: gguf.ValueOf(uint32(m.heads))},
		{Key: "llama.attention.head_count_kv", Value: gguf.ValueOf(uint32(m.kvHeads))},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: gguf.ValueOf(float32(1e-5))},
		{Key: "llama.vocab_size", Value: gguf.ValueOf(uint32(m.vocab))},
		{Key: "tokenizer.ggml.model", Value: gguf.ValueOf("no_vocab")},
	}
	for _, kv := range m.meta {
		at := -1
		for i := range meta {
			if meta[i].Key == kv.Key {
				at = i
			}
		}
		switch {
		case at < 0:
			meta = append(meta, kv)
		case kv.Value.Kind == gguf.String && kv.Value.String() == gguf.ValueOf("").String():
			meta = append(meta[:at], meta[at+1:]...)
		default:
			meta[at] = kv
		}
	}
	if m.architecture != "" {
		for i := range meta {
			if name, ok := strings.CutPrefix(meta[i].Key, "llama."); ok {
				meta[i].Key = m.architecture + "." + name
			}
		}
	}
	return meta
}

func (m tiny) tensors() []gguf.TensorSource {
	var list []gguf.TensorSource
	r := &random{state: 1}
	add := func(name string, t gguf.Type, data []byte, shape ...uint64) {
		s := gguf.TensorSource{Name: name, Type: t, Shape: shape, Data: bytes.NewReader(data)}
		if m.change == nil || m.change(name, &s) {
			list = append(list, s)
		}
	}
	matrix := func(prefix, name string, rows, cols int) {
		t := m.matrices
		if other, ok := m.types[name]; ok {
			t = other
		}
		add(prefix+name, t, r.matrix(t, rows, cols), uint64(cols), uint64(rows))
	}
	vector := func(name string, n int, mean, spread float64) {
		var b []byte
		for range n {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(mean+spread*(2*r.float()-1))))
		}
		add(name, gguf.F32, b, uint64(n))
	}
	if m.layout != "" {
		m.laidOut(r, add)
		return list
	}
	hd := cmp.Or(m.headDim, m.dim/m.heads)
	a := architectures[cmp.Or(m.architecture, "llama")]
	matrix("", "token_embd.weight", m.vocab, m.dim)
	vector("output_norm.weight", m.dim, 1, 0.5)
	if !m.tied {
		matrix("", "output.weight", m.vocab, m.dim)
	}
	if m.ropeFreqs {
		vector("rope_freqs.weight", hd/2, 4.5, 3.5)
	}
	for i := range m.layers {
		p := fmt.Sprintf("blk.%d.", i)
		if !a.noPreNorms {
			vector(p+"attn_norm.weight", m.dim, 1, 0.5)
			vector(p+"ffn_norm.weight", m.dim, 1, 0.5)
		}
		if m.architecture == "phi3" {
			matrix(p, "attn_qkv.weight", (m.heads+2*m.kvHeads)*hd, m.dim)
		} else {
			matrix(p, "attn_q.weight", m.heads*hd, m.dim)
			matrix(p, "attn_k.weight", m.kvHeads*hd, m.dim)
			matrix(p, "attn_v.weight", m.kvHeads*hd, m.dim)
		}
		matrix(p, "attn_output.weight", m.dim, m.heads*hd)
		switch {
		case m.experts > 0:
			matrix(p, "ffn_gate_inp.weight", m.experts, m.dim)
			for _, name := range []string{"ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight"} {
				rows, cols := m.ffn, m.dim
				if name == "ffn_down_exps.weight" {
					rows, cols = cols, rows
				}
				add(p+name, m.matrices, r.matrix(m.matrices, m.experts*rows, cols), uint64(cols), uint64(rows), uint64(m.experts))
			}
		case a.fusedGate:
			matrix(p, "ffn_up.weight", 2*m.ffn, m.dim)
			matrix(p, "ffn_down.weight", m.dim, m.ffn)
		default:
			matrix(p, "ffn_gate.weight", m.ffn, m.dim)
			matrix(p, "ffn_up.weight", m.ffn, m.dim)
			matrix(p, "ffn_down.weight", m.dim, m.ffn)
		}
		switch a.qkNorm {
		case eachHead:
			vector(p+"attn_q_norm.weight", hd, 1, 0.5)
			vector(p+"attn_k_norm.weight", hd, 1, 0.5)
		case allOfToken:
			vector(p+"attn_q_norm.weight", m.heads*hd, 1, 0.5)
			vector(p+"attn_k_norm.weight", m.kvHeads*hd, 1, 0.5)
		}
		if a.postNorms {
			vector(p+"post_attention_norm.weight", m.dim, 1, 0.5)
			vector(p+"post_ffw_norm.weight", m.dim, 1, 0.5)
		}
		if m.biases {
			vector(p+"attn_q.bias", m.dim, 0, 0.5)
			vector(p+"attn_k.bias", m.kvHeads*hd, 0, 0.5)
			vector(p+"attn_v.bias", m.kvHeads*hd, 0, 0.5)
			if m.architecture == "" {
				vector(p+"attn_output.bias", m.dim, 0, 0.5)
			}
		}
	}
	return list
}

// laidOut makes the tensors of the layout. A line is a tensor's name and its shape, the
// length of rows first: numbers and letters, added and multiplied; d is the width of
// the stream, v the vocabulary, f the feed-forward part, h a head, q the heads of
// queries, k those of keys, e the experts, c the context. Before the name may stand which layers have
// it: "first:", "second:", "last:", "rest:" (all but the first), "third:" (every third), "delta:" (all others), "odd:", "even:"; "/" is none.
func (m tiny) laidOut(r *random, add func(string, gguf.Type, []byte, ...uint64)) {
	h := cmp.Or(m.headDim, m.dim/m.heads)
	sizes := map[string]int{"d": m.dim, "v": m.vocab, "f": m.ffn, "h": h, "q": m.heads * h, "k": m.kvHeads * h, "H": m.heads, "K": m.kvHeads, "e": m.experts, "c": m.context}
	maps.Copy(sizes, m.sizes)
	size := func(expression string) (sum uint64) {
		for term := range strings.SplitSeq(expression, "+") {
			product := 1
			for factor := range strings.SplitSeq(term, "*") {
				n, ok := sizes[factor]
				if !ok {
					n, _ = strconv.Atoi(factor)
				}
				product *= n
			}
			sum += uint64(product)
		}
		return sum
	}
	tensor := func(prefix string, fields []string) {
		name := fields[0]
		var shape []uint64
		n := 1
		for _, f := range fields[1:] {
			shape = append(shape, size(f))
			n *= int(shape[len(shape)-1])
		}
		t := m.matrices
		if other, ok := m.types[name]; ok {
			t = other
		}
		mean, spread := 0.0, 0.5
		given, ok := m.numbers[name]
		switch {
		case ok:
			mean, spread = given[0], given[1]
		case strings.HasSuffix(name, "norm.weight") || strings.HasSuffix(name, "norm") || strings.HasSuffix(name, "norm_2.weight"):
			mean = 1
		case name == "ssm_a": // it makes states fade
			mean, spread = -1.5, 1
		case strings.HasPrefix(name, "rope_f"):
			mean, spread = 4.5, 3.5
		case strings.HasSuffix(name, ".scale") || strings.HasSuffix(name, "_scale.weight") || strings.Contains(name, "norm_") && strings.HasSuffix(name, ".weight"):
			mean = 1
		case !strings.HasSuffix(name, ".bias") && name != "attn_sinks.weight":
			if len(shape) == 1 {
				t = gguf.F32
			}
			add(prefix+name, t, r.matrix(t, n/int(shape[0]), int(shape[0])), shape...)
			return
		}
		var b []byte
		for range n {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(mean+spread*(2*r.float()-1))))
		}
		add(prefix+name, gguf.F32, b, shape...)
	}
	for line := range strings.Lines(m.layout) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		which, name, ok := strings.Cut(fields[0], ":")
		if ok {
			fields[0] = name
		} else if name, ok = strings.CutPrefix(which, "/"); ok {
			fields[0] = name
			tensor("", fields)
			continue
		} else {
			which = ""
		}
		for i := range m.layers {
			has := map[string]bool{"": true, "first": i == 0, "second": i == 1, "last": i == m.layers-1, "rest": i > 0, "delta": i%3 < 2, "third": i%3 == 2, "odd": i%2 == 1, "even": i%2 == 0}
			if has[which] {
				tensor(fmt.Sprintf("blk.%d.", i), fields)
			}
		}
	}
}

// random is SplitMix64 (Steele, Lea, Flood 2014).
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) float() float64 { return float64(r.next()>>11) * 0x1p-53 }

// matrix makes rows whose elements are of about the size 1.5/√cols, in blocks
// filled at random: scales near each other, everything below them free.
func (r *random) matrix(t gguf.Type, rows, cols int) []byte {
	size := 1.5 / math.Sqrt(float64(cols))
	var b []byte
	half := func(x float64) {
		b = append(b, 0, 0)
		kernel.PutF16(b[len(b)-2:], []float32{float32(x * (0.75 + r.float()/2))})
	}
	bytes := func(n int) {
		for range n {
			b = append(b, byte(r.next()>>32))
		}
	}
	blocks := rows * cols / int(t.BlockSize())
	for range blocks {
		switch t {
		case gguf.F32:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(size*2*(2*r.float()-1))))
		case gguf.F16:
			half(size * 2 * (2*r.float() - 1))
		case gguf.BF16:
			b = binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(float32(size*2*(2*r.float()-1)))>>16))
		case gguf.Q8_0:
			half(size / 64)
			bytes(32)
		case gguf.Q4_0:
			half(size / 4)
			bytes(16)
		case gguf.Q4_K:
			half(size / 4 / 32)
			half(size / 4 / 32 * 7.5)
			scales(&b, r)
			bytes(128)
		case gguf.Q6_K:
			bytes(192)
			for range 16 {
				b = append(b, byte(int8(32+r.next()%32)*int8(1-2*int(r.next()%2))))
			}
			half(size / 16 / 48)
		case gguf.Q4_1:
			half(size / 4)
			half(size / 4 * 7.5)
			b[len(b)-1] |= 0x80
			bytes(16)
		case gguf.Q5_0:
			half(size / 8)
			bytes(20)
		case gguf.Q5_1:
			half(size / 8)
			half(size / 8 * 15.5)
			b[len(b)-1] |= 0x80
			bytes(20)
		case gguf.Q2_K:
			for range 16 {
				b = append(b, byte(6+r.next()%4)|byte(6+r.next()%4)<<4)
			}
			bytes(64)
			half(size / 8)
			half(size / 8 * 1.5)
		case gguf.Q3_K:
			bytes(108) // scales too: any six bits
			half(size / 2 / 16)
		case gguf.Q5_K:
			half(size / 8 / 32)
			half(size / 8 / 32 * 15.5)
			scales(&b, r)
			bytes(160)
		case gguf.IQ4_NL:
			half(size / 64)
			bytes(16)
		case gguf.IQ4_XS:
			half(size / 64 / 16)
			bytes(134)
		case gguf.MXFP4:
			// A power of two near size/4.
			b = append(b, byte(127+int(math.Round(math.Log2(size/4)))+int(r.next()%2)))
			bytes(16)
		}
	}
	return b
}

// scales packs eight scales and minima of Q4_K from 24 to 40.
func scales(b *[]byte, r *random) {
	var s, m [8]byte
	for i := range s {
		s[i], m[i] = byte(24+r.next()%17), byte(24+r.next()%17)
	}
	for i := range 4 {
		*b = append(*b, s[i]|s[i+4]>>4<<6)
	}
	for i := range 4 {
		*b = append(*b, m[i]|m[i+4]>>4<<6)
	}
	for i := range 4 {
		*b = append(*b, s[i+4]&15|m[i+4]<<4)
	}
}

// load makes the model, to be closed at the end of the test.
func (m tiny) load(tb testing.TB, threads int) *Model {
	tb.Helper()
	f, err := gguf.Parse(m.file(tb))
	if err != nil {
		tb.Fatal(err)
	}
	model, err := Load(f, Options{Threads: threads, Cache: m.cache})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(model.Close)
	return model
}
