package transformer

import (
	"math"

	"parley/internal/kernel"
)

// RWKV (Peng et al.), in place of attention: time mixing, of version 7 (rwkv7.go) or 6 (rwkv6.go).
// What a layer makes of a token, it makes of rows that lie between the token's own and that of the
// token before it, each element as far as its number says: the token shift. In models that are
// RWKV as a whole the feed-forward part, channel mixing, begins with one too, and in version 6 says
// of each element of what it gives how much of it counts:
//
//	x + μ·(before − x)      y = σ(r)·value·relu(key)²
//
// Models that were Qwen 2.5 before have its feed-forward part.
//
// Each head has a state, a square with a row for each element of a key, whose rows fade each by a
// number of its own that is made of the token. All that a layer knows of a sequence is its states and
// the one or two rows of its last token: see state.go. As with Mamba-2, tokens are taken one after the
// other, and each sum is made in one order.

// An rwkvSpec is the shape of such a layer; heads are 0 where it is of another kind.
type rwkvSpec struct {
	version int // 6 or 7
	heads   int
	dim     int  // of a head
	kvHeads int  // of keys and values, each serving heads/kvHeads that follow each other
	shifts  int  // rows of the last token: of time mixing, and of channel mixing, if there is that
	halved  bool // the stream is, at the end of the layer

	ranks  [lowRanks]int // of version 7
	mixing int           // of what token shifts of version 6 are made of
	decay  int           // of what its decays are made of
}

func (s *rwkvSpec) inner() int { return s.heads * s.dim }

// channels says whether the feed-forward part is channel mixing.
func (s *rwkvSpec) channels() bool { return s.shifts > 1 }

// floats is the size of a layer's state, with the rows of the last token.
func (s *rwkvSpec) floats() int { return s.inner() * (s.dim + s.shifts) }

// last is a row of the last token in a layer's state.
func (s *rwkvSpec) last(state []float32, which int) []float32 {
	return state[s.inner()*(s.dim+which):][:s.inner()]
}

// An rwkv is the weights of time mixing.
type rwkv struct {
	shifts     [][]float32   // (dim) each, μ of the rows that are made of a token
	r          kernel.Matrix // (inner, dim), receptance: what in others is a query
	k, v       kernel.Matrix // (kvHeads·head, dim)
	out        kernel.Matrix // (dim, inner)
	rb, kb, vb []float32     // biases of the three
	norm       *norm         // of heads, (inner), or nil
	seven      rwkv7
	six        rwkv6
}

func (x *rwkv) matrices() []*kernel.Matrix {
	list := []*kernel.Matrix{&x.r, &x.k, &x.v, &x.out}
	for i := range x.seven.low {
		list = append(list, &x.seven.low[i].down, &x.seven.low[i].up)
	}
	list = append(list, &x.six.gate, &x.six.down, &x.six.decay.down, &x.six.decay.up)
	for i := range x.six.up {
		list = append(list, &x.six.up[i])
	}
	return list
}

// A channelMix is the weights of channel mixing that other feed-forward parts have not.
type channelMix struct {
	shifts     [][]float32   // (dim) each, μ of what the key reads, and of what the receptance does
	receptance kernel.Matrix // (dim, dim); of no rows in version 7
}

// A lowRank makes a row by way of a short one.
type lowRank struct {
	down kernel.Matrix // (rank, dim)
	up   kernel.Matrix // (inner, rank)
	bias []float32     // (inner), or nil
}

func (l *loader) lowRank(down, up, bias string, rank, inner, dim int) (x lowRank) {
	x.down, x.up = l.matrix(down, rank, dim), l.matrix(up, inner, rank)
	if bias != "" {
		x.bias = l.vector(bias, inner)
	}
	return x
}

func (r *reader) readRWKV(arch architecture, width int) (s rwkvSpec) {
	s.version, s.shifts = arch.rwkv, 1
	if arch.channelMix {
		s.shifts = 2
	}
	s.dim = r.count("wkv.head_size", -1)
	if n := r.optional("token_shift_count", 2); n != s.shifts {
		r.fail("token_shift_count", "is %d, but has to be %d in this architecture", n, s.shifts)
	}
	switch {
	case r.err != nil:
		return rwkvSpec{}
	case s.dim > mostState:
		r.fail("wkv.head_size", "is %d: up to %d is supported", s.dim, mostState)
	case width%s.dim != 0:
		r.fail("wkv.head_size", "is %d, which does not divide the width of %d", s.dim, width)
	}
	s.heads = width / s.dim
	s.kvHeads = s.heads
	if s.version == 7 {
		r.readRWKV7(&s)
	} else {
		r.readRWKV6(&s)
	}
	return s
}

func (l *loader) rwkv(p string, dim int, s *rwkvSpec) *rwkv {
	x := &rwkv{}
	x.r, x.rb = l.linear(p+"time_mix_receptance", s.inner(), dim)
	x.k, x.kb = l.linear(p+"time_mix_key", s.kvHeads*s.dim, dim)
	x.v, x.vb = l.linear(p+"time_mix_value", s.kvHeads*s.dim, dim)
	x.out = l.matrix(p+"time_mix_output.weight", dim, s.inner())
	if s.version == 7 {
		l.rwkv7(x, p, dim, s)
	} else {
		l.rwkv6(x, p, dim, s)
	}
	return x
}

// headNorm is the norm of what heads give.
func (l *loader) headNorm(p string, s *rwkvSpec) *norm {
	const eps = 64e-5 // whatever the metadata says of other norms
	return &norm{centred: true, eps: eps, group: s.dim, weight: l.vector(p+"time_mix_ln.weight", s.inner()), bias: l.vector(p+"time_mix_ln.bias", s.inner())}
}

// channelMix reads a feed-forward part that is channel mixing.
func (l *loader) channelMix(p string, dim int, s *layerSpec) (x *channelMix, e expert) {
	x = &channelMix{shifts: l.vectors(p+"channel_mix_lerp_k.weight", 1, dim)}
	if s.rwkv.version == 6 {
		x.shifts = append(x.shifts, l.vector(p+"channel_mix_lerp_r.weight", dim))
		x.receptance = l.matrix(p+"channel_mix_receptance.weight", dim, dim)
	}
	e.up, e.down = l.matrix(p+"channel_mix_key.weight", s.ffn, dim), l.matrix(p+"channel_mix_value.weight", dim, s.ffn)
	return x, e
}

// An rwkvWork is what such a layer makes of the rows of a batch.
type rwkvWork struct {
	before  []float32             // (dim), the row of the token before, less its own
	shifted [mostShifts][]float32 // (dim)
	in      [mostShifts]kernel.Input
	low     [mostShifts][]float32 // (rank)
	made    [lowRanks][]float32   // (inner)
	first   []float32             // (inner), values of the first layer
	mixing  []float32             // (5·rank), what token shifts are made of
	moved   []float32             // (dim), what is added to the μ of one
}

const mostShifts = 6

// shift makes the rows of before from the input, of which the last ones become those of the state.
func (m *Model) shift(index, which, n int) {
	w, d, dim, s := &m.work, &m.work.rwkv, m.config.Dim, &m.layers[index].spec.rwkv
	d.before = grown(d.before, n*dim)
	last := func(i int) []float32 { return s.last(w.rows[i].kv.stateOf(index), which) }
	m.eachPart(n, func(i, from, to int) {
		before := last(i)
		if i > 0 && w.rows[i-1].kv == w.rows[i].kv {
			before = w.xn[(i-1)*dim:]
		}
		before, own, out := before[from:to], w.xn[i*dim+from:i*dim+to], d.before[i*dim+from:i*dim+to]
		for e, v := range before {
			out[e] = v - own[e]
		}
	})
	for i := 1; i < len(w.sequences); i++ {
		row := w.sequences[i] - 1
		copy(last(row), w.xn[row*dim:][:dim])
	}
}

// lerp makes shifted rows by each μ.
func (m *Model) lerp(shifts [][]float32, n int) {
	w, d, dim := &m.work, &m.work.rwkv, m.config.Dim
	for j := range shifts {
		d.shifted[j] = grown(d.shifted[j], n*dim)
	}
	m.eachPart(n, func(i, from, to int) {
		own, before := w.xn[i*dim+from:i*dim+to], d.before[i*dim+from:i*dim+to]
		for j, mu := range shifts {
			mu, out := mu[from:to], d.shifted[j][i*dim+from:i*dim+to]
			for e, v := range own {
				out[e] = v + float32(mu[e]*before[e])
			}
		}
	})
}

// eachPart calls do for parts of n rows of the stream's width, on all threads.
func (m *Model) eachPart(n int, do func(row, from, to int)) {
	const part = 1024
	dim := m.config.Dim
	parts := (dim + part - 1) / part
	m.pool.Run(n*parts, func(i int) { do(i/parts, i%parts*part, min((i%parts+1)*part, dim)) })
}

// mixTime makes y of the input.
func (m *Model) mixTime(index, n int) {
	w, x, s := &m.work, m.layers[index].rwkv, &m.layers[index].spec.rwkv
	w.q, w.k, w.v = grown(w.q, n*s.inner()), grown(w.k, n*x.k.Rows), grown(w.v, n*x.v.Rows)
	w.seen = grown(w.seen, n*s.inner())
	m.shift(index, 0, n)
	head := m.rwkv7Head
	if s.version == 7 {
		m.rwkv7Inputs(index, n)
	} else {
		m.rwkv6Inputs(index, n)
		head = m.rwkv6Head
	}
	m.pool.Run((len(w.sequences)-1)*s.heads, func(i int) { head(index, i/s.heads, i%s.heads) })
	w.in.Set(w.seen, n, s.inner())
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.out, Out: w.y})
}

// mixChannels makes y of the input.
func (m *Model) mixChannels(index, n int) {
	w, d, l, dim := &m.work, &m.work.rwkv, &m.layers[index], m.config.Dim
	x := l.channels
	m.shift(index, 1, n)
	m.lerp(x.shifts, n)
	w.in.Set(d.shifted[0], n, dim)
	m.ask(&l.experts[0], &l.spec, n)
	if x.receptance.Rows == 0 {
		return
	}
	w.seen = grown(w.seen, n*dim)
	w.in.Set(d.shifted[1], n, dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.receptance, Out: w.seen})
	m.eachPart(n, func(i, from, to int) {
		share, y := w.seen[i*dim+from:i*dim+to], w.y[i*dim+from:i*dim+to]
		kernel.Sigmoid(share)
		kernel.Products(y, share)
	})
}

func tanh(x []float32) {
	for i, v := range x {
		x[i] = float32(math.Tanh(float64(v)))
	}
}
