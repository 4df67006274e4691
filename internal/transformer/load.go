package transformer

import (
	"cmp"
	"fmt"
	"math"
	"sync"

	"parley/internal/gguf"
	"parley/internal/kernel"
)

// Options are what a caller decides of a model.
type Options struct {
	Threads int // that compute; less than one is one
	Cache   CacheType
	Context int // tokens of the longest sequence to come, as far as it decides on frequencies (longrope); 0: the model's
}

// A Model is the weights of one file, ready to compute. Its methods are for one
// goroutine at a time, except those of Config and BytesPerToken.
type Model struct {
	// Unwanted, if set, is asked now and then whether nobody wants what Forward makes.
	Unwanted func() bool

	config Config
	pool   *kernel.Pool
	single *kernel.Pool // of one thread, for products within a Run

	embed      kernel.Matrix // (vocab, dim)
	positions  kernel.Matrix // (context, dim), their embeddings; or of no rows
	embedNorm  *norm
	layers     []layer
	norm       *norm
	output     kernel.Matrix // (vocab, dim); the embedding where they are tied
	outputBias []float32     // (vocab)

	packed      *kernel.Packed
	turns       []*turns // layers name theirs
	angleCount  int      // cosines and sines of all, for one token
	perLayer    perLayer
	altup       altup
	kv          *kvLayout
	memory      memory
	batchTokens int // that are computed at a time
	work        buffers
	desks       sync.Pool // *desk, one for each thread at work
}

// A layer is the weights of one layer; what a file may lack is nil.
type layer struct {
	spec layerSpec

	attnNorm       *norm
	q              kernel.Matrix // (heads·keyDim, dim)
	k              kernel.Matrix // (kvHeads·keyDim, dim)
	v              kernel.Matrix // (kvHeads·valueDim, dim)
	o              kernel.Matrix // (dim, heads·valueDim)
	gate           kernel.Matrix // (heads·valueDim or heads, dim), where gates are not made with queries
	qb, kb, vb, ob []float32     // biases of the four
	qNorm, kNorm   *norm
	vNorm          *norm
	latent         *latent      // in place of q, k and v
	convolution    *convolution // in place of attention
	mamba          *mamba       // likewise
	mamba1         *mamba1      // likewise
	delta          *delta       // likewise
	rwkv           *rwkv        // likewise
	sinks          []float32    // (heads), what each head may see that is no token
	seenNorm       *norm        // of what all heads see
	slopes         []float32    // (heads), what a position of distance takes from each head's products
	attnPost       *norm

	ffnNorm    *norm
	ffnPost    *norm
	channels   *channelMix   // in place of a feed-forward part, whose two matrices are the one expert's
	router     kernel.Matrix // (experts, dim)
	routerBias []float32     // (experts), of its logits
	choiceBias []float32     // (experts), added to what experts are chosen by
	experts    []expert      // one where there is no router
	narrow     kernel.Matrix // (routing.narrow, dim), makes what experts read
	widen      kernel.Matrix // (dim, routing.narrow), and of what they give what is added to the stream
	shared     *expert       // that sees every token
	sharedGate kernel.Matrix // (1, dim), how much of it is taken

	// Where a feed-forward part stands beside the experts: it is shared.
	routerNorm  *norm     // (dim), of what the router reads
	expertsNorm *norm     // (dim), of what the experts read
	sharedPost  *norm     // (dim), of what it gives
	expertsPost *norm     // (dim), of what they give together
	expertScale []float32 // (experts), what each one's weight is multiplied by

	opening     *opening
	alternation *alternation
	laurel      *laurel
	scale       float32 // the stream is multiplied by it at the end of the layer
}

// An expert is the weights of one feed-forward part.
type expert struct {
	gate, up                   kernel.Matrix // (ffn, dim); no gate where the activation has none
	down                       kernel.Matrix // (dim, ffn)
	gateBias, upBias, downBias []float32
	norm                       *norm // (ffn), of what down reads
}

// cut makes gate and up of a matrix that has one above the other, and of its bias, if
// there is one.
func (e *expert) cut(both kernel.Matrix, bias []float32) {
	ffn := both.Rows / 2
	e.gate, e.up = both.Slice(0, ffn), both.Slice(ffn, 2*ffn)
	if bias != nil {
		e.gateBias, e.upBias = bias[:ffn], bias[ffn:]
	}
}

// Load makes a model of a file, which has to stay open as long as the model is
// used: some weights are used where they lie. Every number and shape that the
// file declares is checked; the error names the key or the tensor, and what is
// supported. Close the model to end its threads.
func Load(f *gguf.File, o Options) (*Model, error) {
	m, err := read(f, o)
	if err != nil {
		return nil, err
	}
	for i := range m.layers {
		if x := m.layers[i].latent; x != nil {
			x.turnKeys()
		}
	}
	m.pool, m.single = kernel.NewPool(o.Threads), kernel.NewPool(1)
	if err := m.pack(f); err != nil {
		m.Close()
		return nil, fmt.Errorf("transformer: %w", err)
	}
	return m, nil
}

// Check gives the error that Load would give. It reads what describes a model,
// and no weights but the few that are vectors.
func Check(f *gguf.File) error {
	_, err := read(f, Options{})
	return err
}

// Outline is what is known of a model before it is loaded: its shape, and what
// KVBytes will give. It reads as much as Check, and the error is the same.
func Outline(f *gguf.File, o Options) (c Config, kvBytes func(tokens int) int64, err error) {
	m, err := read(f, o)
	if err != nil {
		return Config{}, nil, err
	}
	return m.config, m.KVBytes, nil
}

// read makes a model that cannot compute yet.
func read(f *gguf.File, o Options) (*Model, error) {
	c, err := readConfig(f)
	if err != nil {
		return nil, fmt.Errorf("transformer: %w", err)
	}
	l := &loader{f: f, used: map[string]bool{}, eps: c.Eps}
	m := &Model{config: *c}
	l.context = cmp.Or(o.Context, c.Context)
	l.model(m)
	if l.err != nil {
		return nil, fmt.Errorf("transformer: %w", l.err)
	}
	m.kv = newKVLayout(c.layers, c.Dim, o.Cache)
	m.memory.sizes = m.kv.sizes
	m.batchTokens = batchTokens
	if r := &c.layers[len(c.layers)-1].routing; r.experts > 0 {
		m.batchTokens *= min(mostBatches, r.experts/r.used)
	}
	return m, nil
}

// Close ends the model's threads, and gives its memory back, that of keys and values too.
func (m *Model) Close() {
	m.pool.Close()
	if m.packed != nil {
		m.packed.Free()
	}
	m.memory.arena.Free()
}

// Config is the shape of the model.
func (m *Model) Config() Config { return m.config }

// Threads is the number of threads that compute.
func (m *Model) Threads() int { return m.pool.Threads() }

// NewBandwidth measures how fast the model's threads read memory, between its steps.
func (m *Model) NewBandwidth() (*kernel.Bandwidth, error) { return kernel.NewBandwidth(m.pool) }

// BytesPerToken is how much of the weights is read to compute one token alone;
// keys and values come on top.
func (m *Model) BytesPerToken() int64 {
	n := int64(m.output.Bytes()) + m.perToken((*kernel.Matrix).Bytes)
	for i := range m.altup.to {
		n += int64(m.altup.to[i].Bytes())
	}
	return n
}

// OperationsPerToken is how many operations on weights, two for each
// multiply-add, read a token whose logits nobody wants.
func (m *Model) OperationsPerToken() int64 {
	return m.perToken(func(w *kernel.Matrix) int { return 2 * w.Rows * w.Cols })
}

// perToken adds something up over the matrices of all layers that a token meets.
func (m *Model) perToken(of func(*kernel.Matrix) int) (n int64) {
	n = int64(of(&m.perLayer.from))
	for i := range m.altup.from {
		n += int64(of(&m.altup.from[i]))
	}
	for i := range m.layers {
		l := &m.layers[i]
		for _, w := range l.fixed() {
			n += int64(of(w))
		}
		for _, w := range l.experts[0].matrices() { // all are of one size
			n += int64(of(w) * max(1, l.spec.routing.used))
		}
	}
	return n
}

func (l *loader) model(m *Model) {
	c := &m.config
	embed := "token_embd.weight"
	if c.arch.outputIn && !l.has(embed) {
		embed = "output.weight"
	}
	m.embed = l.tall(embed, c.Dim, "vocabulary")
	c.Vocab = m.embed.Rows
	m.norm = l.norm(cmp.Or(c.arch.outputNorm, "output_norm"), c.arch.traits, c.Dim)
	m.output = m.embed
	if l.has("output.weight") && !c.arch.tied {
		m.output, m.outputBias = l.linear("output", c.Vocab, c.Dim)
	}
	if c.arch.embedNorm {
		m.embedNorm = l.norm("token_embd_norm", c.arch.traits, c.Dim)
	}
	if name := "position_embd.weight"; c.arch.learned && (c.arch.alibi == 0 || l.has(name)) {
		m.positions = l.matrix(name, c.Context, c.Dim)
	}
	m.perLayer, m.altup = l.perLayer(c), l.altup(c)
	for i := range c.layers {
		if l.err != nil {
			return // before a hostile count of layers costs time
		}
		p := fmt.Sprintf("blk.%d.", i)
		m.layers = append(m.layers, l.layer(p, c.Dim, c.layers[i]))
		if c.perLayer > 0 {
			m.layers[i].opening = l.opening(p, c.perLayer, c.Dim, c.arch.traits)
		}
		if n := c.altup.streams; n > 0 {
			m.layers[i].alternation, m.layers[i].laurel = l.alternation(p, c.Dim, n, c.arch.traits), l.laurel(p, c.Dim, c.arch.traits)
		}
	}
	divisors := l.ropeFreqs(c)
	for _, t := range c.turns {
		x := newTurns(t, divisors)
		x.first, m.angleCount = m.angleCount, m.angleCount+t.rotated
		m.turns = append(m.turns, x)
		divisors = nil // they are of the first alone
	}
	for i := range l.f.Tensors {
		if name := l.f.Tensors[i].Name; l.err == nil && !l.used[name] && !c.guesses(name) {
			l.err = fmt.Errorf("tensor %s is not one that this program knows of architecture %s: without it the answers would be wrong", name, c.Architecture)
		}
	}
}

// guesses says whether a tensor is of the blocks that guess at tokens beyond the next:
// they have no part in logits.
func (c *Config) guesses(tensor string) bool {
	var block int
	if _, err := fmt.Sscanf(tensor, "blk.%d.", &block); err != nil {
		return false
	}
	return block >= c.Layers && block < c.blocks
}

func (l *loader) layer(p string, dim int, s layerSpec) layer {
	w := layer{spec: s, scale: 1}
	l.norms(&w, p, dim)
	if l.has(p + "layer_output_scale.weight") {
		if v := l.vector(p+"layer_output_scale.weight", 1); l.err == nil {
			w.scale = v[0]
		}
	}
	switch {
	case s.taps > 0:
		w.convolution = l.convolution(p, dim, s.taps)
	case s.delta.heads > 0:
		w.delta = l.delta(p, dim, &s.delta)
	case s.rwkv.heads > 0:
		w.rwkv = l.rwkv(p, dim, &s.rwkv)
		if s.rwkv.halved {
			w.scale = 0.5
		}
	case s.mamba1.inner > 0:
		w.mamba1 = l.mamba1(p, dim, &s.mamba1)
	case s.linear:
		w.o, w.ob = l.linear(p+"attn_output", dim, dim)
	case s.kvHeads > 0:
		l.attention(&w, p, dim)
	}
	if s.mamba.heads > 0 {
		w.mamba = l.mamba(p, dim, &s.mamba)
	}
	switch {
	case s.routing.experts > 0:
		l.mixture(&w, p, dim)
	case s.ffn == 0:
		w.experts = make([]expert, 1)
	case s.rwkv.channels():
		w.experts = make([]expert, 1)
		w.channels, w.experts[0] = l.channelMix(p, dim, &s)
	default:
		w.experts = []expert{l.expert(p, "", s.ffn, dim, &s)}
	}
	if s.innerNorms {
		l.innerNorms(&w, p)
	}
	return w
}

func (l *loader) attention(w *layer, p string, dim int) {
	s := &w.spec
	if s.latent.rank > 0 {
		w.latent = l.latent(p, dim, s)
	} else {
		l.projections(w, p, dim)
	}
	if s.sinks && (!s.sinksMaybe || l.has(p+"attn_sinks.weight")) {
		w.sinks = l.vector(p+"attn_sinks.weight", s.heads)
	}
	w.o, w.ob = l.linear(p+"attn_output", dim, s.heads*s.headOut())
	if s.alibi > 0 && l.err == nil { // before a hostile count of heads takes memory
		w.slopes = slopes(s.heads, s.alibi)
	}
}

// norms reads the norms of a layer.
func (l *loader) norms(w *layer, p string, dim int) {
	s := &w.spec
	attn, ffn := p+cmp.Or(s.attnNorm, "attn_norm"), p+cmp.Or(s.ffnNorm, "ffn_norm")
	if s.attnNorm != "" && !l.has(attn+".weight") { // then there is one for both
		attn, ffn = ffn, attn
	}
	if !s.mixes() {
		if s.ffn > 0 {
			w.ffnNorm = l.norm(ffn, s.traits, dim)
		}
		return
	}
	if s.parallel == unlessNormed {
		s.parallel = sequential
		if !l.has(ffn + ".weight") {
			s.parallel = parallel
		}
	}
	if !s.noPreNorms {
		w.attnNorm = l.norm(attn, s.traits, dim)
		if s.parallel == sequential && s.ffn > 0 || l.has(ffn+".weight") {
			w.ffnNorm = l.norm(ffn, s.traits, dim)
		}
	}
	if s.postNorms {
		w.attnPost = l.norm(p+"post_attention_norm", s.traits, dim)
		w.ffnPost = l.norm(p+"post_ffw_norm", s.traits, dim)
	}
	if s.kvHeads == 0 || s.qkNormMaybe && !l.has(p+"attn_q_norm.weight") {
		return
	}
	if s.valueNorm {
		w.vNorm = l.bareNorm(s.valueDim)
	}
	switch s.qkNorm {
	case eachHead:
		w.qNorm = l.norm(p+"attn_q_norm", s.traits, s.keyDim)
		if l.ownKV(p, s) {
			w.kNorm = l.norm(p+"attn_k_norm", s.traits, s.keyDim)
		}
	case headsOwn:
		w.qNorm, w.kNorm = l.headsNorm(p+"attn_q_norm", s.heads, s), l.headsNorm(p+"attn_k_norm", s.kvHeads, s)
	case headsBare:
		w.qNorm, w.kNorm = l.bareNorm(s.keyDim), l.bareNorm(s.keyDim)
	case allOfToken:
		w.qNorm, w.kNorm = l.norm(p+"attn_q_norm", s.traits, s.heads*s.keyDim), l.norm(p+"attn_k_norm", s.traits, s.kvHeads*s.keyDim)
	}
}

// innerNorms reads the norms of what heads see and of what lies between the halves of the
// feed-forward part (BitNet b1.58, Ma et al. 2024, arXiv 2402.17764), and the numbers that the products
// of a file's matrices are multiplied by, each by its own. Nothing is left of them to be done for a
// token: those of queries and keys go into the scale of their products, and those of matrices that
// read what a norm with weights gives, ffn_gate, attn_output and ffn_down, into these weights. What a
// norm reads, values and ffn_up's, may as well be multiplied by nothing if its eps is divided by the
// number's square; of ffn_up's that is what is left of it, since ffn_gate's norm is its own, too.
func (l *loader) innerNorms(w *layer, p string) {
	s, e := &w.spec, &w.experts[0]
	w.seenNorm = l.norm(p+"attn_sub_norm", s.traits, s.heads*s.valueDim)
	e.norm = l.norm(p+"ffn_sub_norm", s.traits, s.ffn)
	by := map[string]float64{}
	for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"} {
		by[name] = l.factor(p + name)
	}
	if l.err != nil {
		return
	}
	s.scale = float32(float64(s.scale) * by["attn_q"] * by["attn_k"])
	w.seenNorm.eps = float32(float64(l.eps) / (by["attn_v"] * by["attn_v"]))
	kernel.Scale(w.seenNorm.weight, float32(by["attn_output"]))
	kernel.Scale(w.ffnNorm.weight, float32(by["ffn_gate"]))
	left := by["ffn_up"] / by["ffn_gate"]
	e.norm.eps = float32(float64(l.eps) / (left * left))
	kernel.Scale(e.norm.weight, float32(by["ffn_down"]))
}

// factor is what the products of a matrix are multiplied by: one where the file does not say.
func (l *loader) factor(name string) float64 {
	if l.has(name + ".bias") { // it would be multiplied, too
		l.fail("tensor %s.bias is not supported in this architecture", name)
	}
	if !l.has(name + ".scale") {
		return 1
	}
	v := l.vector(name+".scale", 1)
	if l.err != nil {
		return 1
	}
	if !(v[0] > 1e-9 && v[0] < 1e9) {
		l.fail("tensor %s.scale is %g: from 1e-09 to 1e+09 is supported", name, v[0])
	}
	return float64(v[0])
}

// mixture reads experts and what chooses them.
func (l *loader) mixture(w *layer, p string, dim int) {
	s := &w.spec
	r := &s.routing
	w.router, w.routerBias = l.linear(p+"ffn_gate_inp", r.experts, dim)
	if l.has(p + "exp_probs_b.bias") {
		w.choiceBias = l.vector(p+"exp_probs_b.bias", r.experts)
	}
	if l.err != nil {
		return // before a hostile count of experts takes memory
	}
	w.experts = make([]expert, r.experts)
	width := dim
	if r.narrow > 0 {
		width = r.narrow
		w.narrow, w.widen = l.matrix(p+"ffn_latent_down.weight", width, dim), l.matrix(p+"ffn_latent_up.weight", dim, width)
	}
	if l.has(p + "ffn_gate_up_exps.weight") {
		for i, x := range l.linears(p+"ffn_gate_up_exps", r.experts, 2*s.ffn, width) {
			w.experts[i].cut(x.w, x.bias)
		}
	} else {
		if s.activation.gated() {
			for i, x := range l.linears(p+"ffn_gate_exps", r.experts, s.ffn, width) {
				w.experts[i].gate, w.experts[i].gateBias = x.w, x.bias
			}
		}
		for i, x := range l.linears(p+"ffn_up_exps", r.experts, s.ffn, width) {
			w.experts[i].up, w.experts[i].upBias = x.w, x.bias
		}
	}
	for i, x := range l.linears(p+"ffn_down_exps", r.experts, width, s.ffn) {
		w.experts[i].down, w.experts[i].downBias = x.w, x.bias
	}
	if l.has(p + "ffn_down_exps.scale") {
		w.expertScale = l.vector(p+"ffn_down_exps.scale", r.experts)
	}
	if s.denseToo {
		l.besideExperts(w, p, dim)
	} else if s.shared > 0 {
		w.shared = new(l.expert(p, "_shexp", s.shared, dim, s))
		if l.has(p + "ffn_gate_inp_shexp.weight") {
			w.sharedGate = l.matrix(p+"ffn_gate_inp_shexp.weight", 1, dim)
		}
	}
}

// besideExperts reads the feed-forward part that stands beside the experts, and what
// normalises both.
func (l *loader) besideExperts(w *layer, p string, dim int) {
	s := &w.spec
	w.shared = new(l.expert(p, "", s.shared, dim, s))
	w.routerNorm = &norm{eps: l.eps, group: dim, weight: l.vector(p+"ffn_gate_inp.scale", dim)}
	for i := range w.routerNorm.weight {
		w.routerNorm.weight[i] /= float32(math.Sqrt(float64(dim)))
	}
	w.expertsNorm = l.norm(p+"pre_ffw_norm_2", s.traits, dim)
	w.sharedPost = l.norm(p+"post_ffw_norm_1", s.traits, dim)
	w.expertsPost = l.norm(p+"post_ffw_norm_2", s.traits, dim)
}

// ownKV says whether a layer has keys and values.
func (l *loader) ownKV(p string, s *layerSpec) bool {
	if p == fmt.Sprintf("blk.%d.", s.source) {
		return true
	}
	for _, name := range []string{"attn_k.weight", "attn_v.weight", "attn_k_norm.weight"} { // some files have them for nothing
		l.used[p+name] = true
	}
	return false
}

// expert reads a feed-forward part that is not one of a stack.
func (l *loader) expert(p, suffix string, ffn, dim int, s *layerSpec) (e expert) {
	switch {
	case s.fusedGate && suffix == "":
		both, bias := l.linear(p+"ffn_up", 2*ffn, dim)
		if l.err == nil {
			e.cut(both, bias)
		}
	case s.activation.gated():
		e.gate, e.gateBias = l.linear(p+"ffn_gate"+suffix, ffn, dim)
		e.up, e.upBias = l.linear(p+"ffn_up"+suffix, ffn, dim)
	default:
		e.up, e.upBias = l.linear(p+"ffn_up"+suffix, ffn, dim)
	}
	e.down, e.downBias = l.linear(p+"ffn_down"+suffix, dim, ffn)
	return e
}

// projections are those of queries, keys and values: three matrices, or one
// above the other in attn_qkv.
func (l *loader) projections(w *layer, p string, dim int) {
	s := &w.spec
	q, k, v := s.heads*s.keyDim, s.kvHeads*s.keyDim, s.kvHeads*s.valueDim
	switch s.gates {
	case gatesInQueries:
		q *= 2
	case gatesOfAll:
		w.gate = l.matrix(p+"attn_gate.weight", s.heads*s.valueDim, dim)
	case gateOfHead:
		if !l.has(p + "attn_gate.weight") {
			s.gates = ungated
			break
		}
		w.gate = l.matrix(p+"attn_gate.weight", s.heads, dim)
	}
	if !l.has(p + "attn_qkv.weight") {
		w.q, w.qb = l.linear(p+"attn_q", q, dim)
		if !l.ownKV(p, s) {
			return
		}
		w.k, w.kb = l.linear(p+"attn_k", k, dim)
		if !s.valueNorm || s.keyDim != s.valueDim || l.has(p+"attn_v.weight") { // otherwise keys are values
			w.v, w.vb = l.linear(p+"attn_v", v, dim)
		}
		return
	}
	all, bias := l.linear(p+"attn_qkv", q+k+v, dim)
	if l.err != nil {
		return
	}
	w.q, w.k, w.v = all.Slice(0, q), all.Slice(q, q+k), all.Slice(q+k, q+k+v)
	if bias != nil {
		w.qb, w.kb, w.vb = bias[:q], bias[q:q+k], bias[q+k:]
		return
	}
	w.qb, w.kb, w.vb = l.bias(p+"attn_q", q), l.bias(p+"attn_k", k), l.bias(p+"attn_v", v)
}

// ropeFreqs are the divisors of the frequencies: one vector for the model, as long as the longest
// of its frequencies, or nil. Some
// files have two, for contexts that are longer than the original one and for others.
func (l *loader) ropeFreqs(c *Config) []float32 {
	name := "rope_freqs.weight"
	const short, long = "rope_factors_short.weight", "rope_factors_long.weight"
	if !l.has(name) {
		l.used[short], l.used[long] = true, true
		if name = short; l.context > c.turns[0].original {
			name = long
		}
	}
	if !l.has(name) || l.err != nil {
		return nil
	}
	pairs := 0
	for _, t := range c.turns {
		pairs = max(pairs, t.rotated/2)
	}
	divisors := l.vector(name, pairs)
	for i, d := range divisors {
		if !(d > 0) || math.IsInf(float64(d), 0) {
			l.fail("tensor %s: element %d is %g, but has to be positive", name, i, d)
		}
	}
	return divisors
}
