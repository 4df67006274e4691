package transformer

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"parley/internal/gguf"
	"parley/internal/kernel"
	"parley/internal/limits"
)

// Options are what a caller decides of a model.
type Options struct {
	Threads int // that compute; less than one is one
}

// A Model is the weights of one file, ready to compute. Its methods are for one
// goroutine at a time, except those of Config and BytesPerToken.
type Model struct {
	config Config
	pool   *kernel.Pool

	embed  kernel.Matrix // (vocab, dim)
	layers []layer
	norm   []float32     // (dim)
	output kernel.Matrix // (vocab, dim); the embedding where they are tied

	packed []*kernel.Packed

	turns []*turns // layers name theirs
	kv    *kvLayout
	work  buffers
	score sync.Pool // *[]float32, one for each thread at work
}

// A layer is the weights of one layer; vectors that a file may lack are nil.
type layer struct {
	spec layerSpec

	attnNorm       []float32     // (dim); nil where there is none
	q              kernel.Matrix // (heads·keyDim, dim)
	k              kernel.Matrix // (kvHeads·keyDim, dim)
	v              kernel.Matrix // (kvHeads·valueDim, dim)
	o              kernel.Matrix // (dim, heads·valueDim)
	qb, kb, vb, ob []float32     // biases of the four
	qNorm, kNorm   []float32     // (keyDim), or (heads·keyDim), (kvHeads·keyDim)
	attnPost       []float32     // (dim)

	ffnNorm []float32     // (dim)
	ffnPost []float32     // (dim)
	router  kernel.Matrix // (experts, dim)
	experts []expert      // one where there is no router
}

// An expert is the weights of one feed-forward part.
type expert struct {
	gate, up kernel.Matrix // (ffn, dim)
	down     kernel.Matrix // (dim, ffn)
}

// Load makes a model of a file, which has to stay open as long as the model is
// used: some weights are used where they lie. Every number and shape that the
// file declares is checked; the error names the key or the tensor, and what is
// supported. Close the model to end its threads.
func Load(f *gguf.File, o Options) (*Model, error) {
	m, err := read(f)
	if err != nil {
		return nil, err
	}
	m.pool = kernel.NewPool(o.Threads)
	if err := m.pack(f); err != nil {
		m.Close()
		return nil, fmt.Errorf("transformer: %w", err)
	}
	return m, nil
}

// Check gives the error that Load would give. It reads what describes a model,
// and no weights but the few that are vectors.
func Check(f *gguf.File) error {
	_, err := read(f)
	return err
}

// read makes a model that cannot compute yet.
func read(f *gguf.File) (*Model, error) {
	c, err := readConfig(f)
	if err != nil {
		return nil, fmt.Errorf("transformer: %w", err)
	}
	l := &loader{f: f, used: map[string]bool{}}
	m := &Model{config: *c}
	l.model(m)
	if l.err != nil {
		return nil, fmt.Errorf("transformer: %w", l.err)
	}
	return m, nil
}

// Close ends the model's threads, and gives its memory back.
func (m *Model) Close() {
	m.pool.Close()
	for _, p := range m.packed {
		p.Free()
	}
}

// Config is the shape of the model.
func (m *Model) Config() Config { return m.config }

// Threads is the number of threads that compute.
func (m *Model) Threads() int { return m.pool.Threads() }

// BytesPerToken is how much of the weights is read to compute one token alone;
// keys and values come on top.
func (m *Model) BytesPerToken() int64 {
	n := m.output.Bytes()
	for i := range m.layers {
		l := &m.layers[i]
		for _, w := range []*kernel.Matrix{&l.q, &l.k, &l.v, &l.o, &l.router} {
			n += w.Bytes()
		}
		e := &l.experts[0] // all are of one size
		n += (e.gate.Bytes() + e.up.Bytes() + e.down.Bytes()) * max(1, l.spec.used)
	}
	return int64(n)
}

// A loader finds tensors and keeps the first error.
type loader struct {
	f    *gguf.File
	used map[string]bool
	err  error
}

func (l *loader) model(m *Model) {
	c := &m.config
	m.embed = l.embedding("token_embd.weight", c.Dim)
	c.Vocab = m.embed.Rows
	m.norm = l.vector("output_norm.weight", c.Dim)
	m.output = m.embed
	if _, ok := l.f.Tensor("output.weight"); ok {
		m.output = l.matrix("output.weight", c.Vocab, c.Dim)
	}
	for i := range c.layers {
		if l.err != nil {
			return // before a hostile count of layers costs time
		}
		m.layers = append(m.layers, l.layer(fmt.Sprintf("blk.%d.", i), c.Dim, c.layers[i]))
	}
	m.kv = newKVLayout(c.layers)
	divisors := l.ropeFreqs(c)
	for _, t := range c.turns {
		m.turns = append(m.turns, newTurns(t, c.layers[0].rotated, divisors))
		divisors = nil // they are of the first alone
	}
	for i := range l.f.Tensors {
		if name := l.f.Tensors[i].Name; l.err == nil && !l.used[name] {
			l.err = fmt.Errorf("tensor %s is not one that this program knows of architecture %s: without it the answers would be wrong", name, c.Architecture)
		}
	}
}

func (l *loader) layer(p string, dim int, s layerSpec) layer {
	w := layer{spec: s}
	if s.preNorms {
		w.attnNorm = l.vector(p+"attn_norm.weight", dim)
		w.ffnNorm = l.vector(p+"ffn_norm.weight", dim)
	}
	if s.postNorms {
		w.attnPost = l.vector(p+"post_attention_norm.weight", dim)
		w.ffnPost = l.vector(p+"post_ffw_norm.weight", dim)
	}
	switch s.qkNorm {
	case eachHead:
		w.qNorm, w.kNorm = l.vector(p+"attn_q_norm.weight", s.keyDim), l.vector(p+"attn_k_norm.weight", s.keyDim)
	case allOfToken:
		w.qNorm, w.kNorm = l.vector(p+"attn_q_norm.weight", s.heads*s.keyDim), l.vector(p+"attn_k_norm.weight", s.kvHeads*s.keyDim)
	}
	l.projections(&w, p, dim)
	w.o, w.ob = l.linear(p+"attn_output", dim, s.heads*s.valueDim)
	switch {
	case s.experts > 0:
		w.router = l.matrix(p+"ffn_gate_inp.weight", s.experts, dim)
		w.experts = make([]expert, s.experts)
		l.stack(p+"ffn_gate_exps.weight", s.ffn, dim, w.experts, func(e *expert) *kernel.Matrix { return &e.gate })
		l.stack(p+"ffn_up_exps.weight", s.ffn, dim, w.experts, func(e *expert) *kernel.Matrix { return &e.up })
		l.stack(p+"ffn_down_exps.weight", dim, s.ffn, w.experts, func(e *expert) *kernel.Matrix { return &e.down })
	case s.fusedGate:
		both := l.matrix(p+"ffn_up.weight", 2*s.ffn, dim)
		down := l.matrix(p+"ffn_down.weight", dim, s.ffn)
		if l.err == nil {
			w.experts = []expert{{both.Slice(0, s.ffn), both.Slice(s.ffn, 2*s.ffn), down}}
		}
	default:
		w.experts = []expert{{
			gate: l.matrix(p+"ffn_gate.weight", s.ffn, dim),
			up:   l.matrix(p+"ffn_up.weight", s.ffn, dim),
			down: l.matrix(p+"ffn_down.weight", dim, s.ffn),
		}}
	}
	return w
}

// projections are those of queries, keys and values: three matrices, or one
// above the other in attn_qkv.
func (l *loader) projections(w *layer, p string, dim int) {
	s := &w.spec
	q, k, v := s.heads*s.keyDim, s.kvHeads*s.keyDim, s.kvHeads*s.valueDim
	if _, ok := l.f.Tensor(p + "attn_qkv.weight"); !ok {
		w.q, w.qb = l.linear(p+"attn_q", q, dim)
		w.k, w.kb = l.linear(p+"attn_k", k, dim)
		w.v, w.vb = l.linear(p+"attn_v", v, dim)
		return
	}
	all, bias := l.linear(p+"attn_qkv", q+k+v, dim)
	if l.err != nil {
		return
	}
	w.q, w.k, w.v = all.Slice(0, q), all.Slice(q, q+k), all.Slice(q+k, q+k+v)
	if bias != nil {
		w.qb, w.kb, w.vb = bias[:q], bias[q:q+k], bias[q+k:]
	}
}

// stack reads the matrices of all experts, which lie one after the other.
func (l *loader) stack(name string, rows, cols int, experts []expert, part func(*expert) *kernel.Matrix) {
	t, ok := l.f.Tensor(name)
	if !ok {
		l.fail("tensor %s is missing", name)
		return
	}
	l.used[name] = true
	if !slices.Equal(t.Shape, []uint64{uint64(cols), uint64(rows), uint64(len(experts))}) {
		l.fail("tensor %s has shape %v, but the metadata asks for [%d %d %d]", name, t.Shape, cols, rows, len(experts))
		return
	}
	kind, err := kernelType(t)
	if err != nil {
		l.fail("%w", err)
		return
	}
	size := len(t.Data) / len(experts)
	for i := range experts {
		m, err := kernel.NewMatrix(kind, rows, cols, t.Data[i*size:(i+1)*size])
		if err != nil {
			l.fail("tensor %s: %w", name, err)
			return
		}
		*part(&experts[i]) = m
	}
}

// ropeFreqs are the divisors of the frequencies: one vector for the model, or
// nil.
func (l *loader) ropeFreqs(c *Config) []float32 {
	const name = "rope_freqs.weight"
	if _, ok := l.f.Tensor(name); !ok || l.err != nil {
		return nil
	}
	divisors := l.vector(name, c.layers[0].rotated/2)
	for i, d := range divisors {
		if !(d > 0) || math.IsInf(float64(d), 0) {
			l.fail("tensor %s: element %d is %g, but has to be positive", name, i, d)
		}
	}
	return divisors
}

func (l *loader) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

// linear is a matrix and, if there is one, its bias.
func (l *loader) linear(name string, rows, cols int) (kernel.Matrix, []float32) {
	w := l.matrix(name+".weight", rows, cols)
	if _, ok := l.f.Tensor(name + ".bias"); !ok {
		return w, nil
	}
	return w, l.vector(name+".bias", rows)
}

// embedding is a matrix whose number of rows the file decides.
func (l *loader) embedding(name string, cols int) kernel.Matrix {
	t, ok := l.f.Tensor(name)
	if !ok {
		l.fail("tensor %s is missing", name)
		return kernel.Matrix{}
	}
	if len(t.Shape) != 2 || limits.ModelWidth.Check(float64(t.Shape[1])) != nil {
		l.fail("tensor %s has shape %v, not [%d vocabulary]", name, t.Shape, cols)
		return kernel.Matrix{}
	}
	return l.matrix(name, int(t.Shape[1]), cols)
}

func (l *loader) matrix(name string, rows, cols int) kernel.Matrix {
	t, ok := l.f.Tensor(name)
	if !ok {
		l.fail("tensor %s is missing", name)
		return kernel.Matrix{}
	}
	l.used[name] = true
	if len(t.Shape) < 1 || t.Shape[0] != uint64(cols) || t.Elements() != uint64(rows)*uint64(cols) || len(t.Shape) > 1 && t.Shape[1] != uint64(rows) {
		l.fail("tensor %s has shape %v, but the metadata asks for [%d %d]", name, t.Shape, cols, rows)
		return kernel.Matrix{}
	}
	kind, err := kernelType(t)
	if err != nil {
		l.fail("%w", err)
		return kernel.Matrix{}
	}
	m, err := kernel.NewMatrix(kind, rows, cols, t.Data)
	if err != nil {
		l.fail("tensor %s: %w", name, err)
	}
	return m
}

// vector is a row of floats, copied.
func (l *loader) vector(name string, n int) []float32 {
	m := l.matrix(name, 1, n)
	if l.err != nil {
		return nil
	}
	v := make([]float32, n)
	m.Row(v, 0)
	return v
}

var kernelTypes = map[gguf.Type]kernel.Type{
	gguf.F32: kernel.F32, gguf.F16: kernel.F16, gguf.BF16: kernel.BF16,
	gguf.Q8_0: kernel.Q8_0, gguf.Q4_0: kernel.Q4_0, gguf.Q4_K: kernel.Q4_K, gguf.Q6_K: kernel.Q6_K,
	gguf.Q4_1: kernel.Q4_1, gguf.Q5_0: kernel.Q5_0, gguf.Q5_1: kernel.Q5_1,
	gguf.Q2_K: kernel.Q2_K, gguf.Q3_K: kernel.Q3_K, gguf.Q5_K: kernel.Q5_K,
	gguf.IQ4_NL: kernel.IQ4_NL, gguf.IQ4_XS: kernel.IQ4_XS, gguf.MXFP4: kernel.MXFP4,
}

func kernelType(t *gguf.Tensor) (kernel.Type, error) {
	if k, ok := kernelTypes[t.Type]; ok {
		return k, nil
	}
	supported := ""
	for i, k := range kernel.Types {
		if i > 0 {
			supported += ", "
		}
		supported += k.String()
	}
	return 0, fmt.Errorf("tensor %s is stored as %s, which is not supported; supported: %s (llama-quantize of llama.cpp converts)", t.Name, t.Type, supported)
}
