package transformer

import (
	"math"

	"parley/internal/kernel"
	"parley/internal/limits"
)

// Gated DeltaNet (Yang, Kautz, Hatamizadeh 2024), in place of attention, as Qwen3-Next and
// Qwen 3.5 have it. Of each token a layer makes queries, keys and values, a gate z, and two
// numbers for each head: how much of what it knows it keeps, and how much of what is new it
// takes. A short convolution runs over queries, keys and values; queries and keys are made
// to have length one. Then each head has a state, a square with a row for each element of a key:
//
//	state ← keep·state      d = take·(v − kᵀ·state)      state ← state + k·dᵀ      y = qᵀ·state/√dim
//
// What it gives is y, normalised by heads, gated by z, and multiplied once more. All that a layer
// knows of a sequence is its states and the last columns of the convolution: see state.go.
//
// As with Mamba-2, tokens are taken one after the other, and each sum is made in one order.

// A deltaSpec is the shape of such a layer; heads are 0 where it is of another kind.
type deltaSpec struct {
	heads     int  // of values
	keyHeads  int  // of queries and keys, each serving heads/keyHeads of values:
	neighbour bool // those that follow each other, or else every keyHeads-th
	dim       int  // of a head
	taps      int
	kda       bool // Kimi Delta Attention (kda.go)
}

func (s *deltaSpec) inner() int { return s.heads * s.dim }

// channels are those of the convolution: queries, keys and values.
func (s *deltaSpec) channels() int { return (2*s.keyHeads + s.heads) * s.dim }

// floats is the size of a layer's state, with columns of the convolution.
func (s *deltaSpec) floats() int {
	if s.heads == 0 {
		return 0
	}
	return s.heads*s.dim*s.dim + (s.taps-1)*s.channels()
}

// keyHead is the one that serves a head of values.
func (s *deltaSpec) keyHead(head int) int {
	if s.neighbour {
		return head / (s.heads / s.keyHeads)
	}
	return head % s.keyHeads
}

// A delta is the weights of such a layer.
type delta struct {
	in       kernel.Matrix // (channels, dim)
	z        kernel.Matrix // (inner, dim)
	mixed    kernel.Matrix // both, in the place of two; see unmix
	take     kernel.Matrix // (heads, dim)
	keep     kernel.Matrix // (heads, dim)
	both     kernel.Matrix // both, likewise
	kda      kda           // in place of in, z and keep
	taps     [][]float32   // (channels) each, of the farthest token first
	keepBias []float32     // (heads); or (inner)
	a        []float32     // (heads), negative
	norm     *norm         // (dim)
	out      kernel.Matrix // (dim, inner)
}

// matrices are those that there are.
func (x *delta) matrices() (list []*kernel.Matrix) {
	for _, m := range append([]*kernel.Matrix{&x.in, &x.z, &x.mixed, &x.take, &x.keep, &x.both, &x.out}, x.kda.matrices()...) {
		if m.Rows > 0 {
			list = append(list, m)
		}
	}
	return list
}

func (r *reader) readDelta(neighbour bool) (s deltaSpec) {
	s.neighbour = neighbour
	s.taps = r.count("ssm.conv_kernel", -1)
	inner := r.count("ssm.inner_size", -1)
	s.dim = r.count("ssm.state_size", -1)
	s.heads = r.count("ssm.time_step_rank", -1)
	s.keyHeads = r.count("ssm.group_count", -1)
	switch {
	case r.err != nil:
		return deltaSpec{}
	case s.taps < 2 || s.taps > mostTaps:
		r.fail("ssm.conv_kernel", "is %d: from 2 to %d is supported", s.taps, mostTaps)
	case s.dim > mostState:
		r.fail("ssm.state_size", "is %d: up to %d is supported", s.dim, mostState)
	case inner != s.inner():
		r.fail("ssm.inner_size", "is %d, but there are %d heads of %d", inner, s.heads, s.dim)
	case s.heads%s.keyHeads != 0:
		r.fail("ssm.group_count", "is %d, which does not divide the %d heads", s.keyHeads, s.heads)
	case limits.ModelWidth.CheckInt(s.channels()+s.inner()) != nil:
		r.fail("ssm.inner_size", "is %d, with %d keys of %d: %v", inner, s.keyHeads, s.dim, limits.ModelWidth.CheckInt(s.channels()+s.inner()))
	}
	return s
}

// recurrent says which layers have no attention.
func (r *reader) recurrent(layers int) []bool {
	const key = "attention.recurrent_layers"
	if _, ok := r.f.Value(r.prefix + key); ok {
		return r.pattern(key, layers, 0, false)
	}
	return r.pattern("full_attention_interval", layers, 4, false)
}

func (l *loader) delta(p string, dim int, s *deltaSpec) *delta {
	if s.kda {
		return l.kda(p, dim, s)
	}
	x := &delta{}
	if l.has(p + "ssm_in.weight") { // so the first files had it
		x.mixed = l.matrix(p+"ssm_in.weight", s.channels()+s.inner(), dim)
	} else {
		x.in = l.matrix(p+"attn_qkv.weight", s.channels(), dim)
		x.z = l.matrix(p+"attn_gate.weight", s.inner(), dim)
	}
	if l.has(p + "ssm_ba.weight") {
		x.both = l.matrix(p+"ssm_ba.weight", 2*s.heads, dim)
	} else {
		x.take = l.matrix(p+"ssm_beta.weight", s.heads, dim)
		x.keep = l.matrix(p+"ssm_alpha.weight", s.heads, dim)
	}
	x.taps = l.taps(p+"ssm_conv1d.weight", s.channels(), s.taps)
	x.keepBias, x.a = l.vector(p+"ssm_dt.bias", s.heads), l.vector(p+"ssm_a", s.heads)
	x.norm = &norm{eps: l.eps, group: s.dim, weight: l.vector(p+"ssm_norm.weight", s.dim)}
	x.out = l.matrix(p+"ssm_out.weight", dim, s.inner())
	return x
}

// A deltaWork is what such a layer makes of the rows of a batch.
type deltaWork struct {
	in, z, mixed     []float32 // (channels), (inner), both
	take, keep, both []float32 // (heads), (heads) or (inner), both
	zRow, keepRow    []float32 // (dim)
}

// delta makes y of the input.
func (m *Model) delta(index, n int) {
	w, l := &m.work, &m.layers[index]
	x, s, d := l.delta, &l.spec.delta, &m.work.delta
	d.in, d.z, w.columns, w.seen = grown(d.in, n*s.channels()), grown(d.z, n*s.inner()), grown(w.columns, n*s.channels()), grown(w.seen, n*s.inner())
	d.take = grown(d.take, n*s.heads)
	head := m.deltaHead
	if s.kda {
		m.kdaInputs(x, s, n)
		head = m.kdaHead
	} else {
		m.deltaInputs(x, s, n)
	}
	m.convolveChannels(s.channels(), func(first, n int) convolving {
		return convolving{
			in: d.in[first*s.channels():], stride: s.channels(), rows: n, out: w.columns[first*s.channels():], channels: s.channels(),
			taps: x.taps, kept: w.rows[first].kv.stateOf(index)[s.heads*s.dim*s.dim:],
		}
	})
	m.pool.Run((len(w.sequences)-1)*s.heads, func(i int) { head(index, i/s.heads, i%s.heads) })
	m.pool.Run(n, func(i int) {
		y, z := w.seen[i*s.inner():][:s.inner()], d.z[i*s.inner():][:s.inner()]
		x.norm.apply(y, y)
		if s.kda {
			kernel.Sigmoid(z)
			kernel.Products(z, y)
		} else {
			kernel.SwiGLU(z, y)
		}
	})
	w.in.Set(d.z, n, s.inner())
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.out, Out: w.y})
}

// deltaInputs makes of the input queries, keys and values, gates, and what each head takes and keeps.
func (m *Model) deltaInputs(x *delta, s *deltaSpec, n int) {
	w, d := &m.work, &m.work.delta
	d.keep = grown(d.keep, n*s.heads)
	w.products = w.products[:0]
	if x.mixed.Rows > 0 {
		d.mixed = grown(d.mixed, n*x.mixed.Rows)
		w.products = append(w.products, kernel.Product{W: &x.mixed, Out: d.mixed})
	} else {
		w.products = append(w.products, kernel.Product{W: &x.in, Out: d.in}, kernel.Product{W: &x.z, Out: d.z})
	}
	if x.both.Rows > 0 {
		d.both = grown(d.both, n*x.both.Rows)
		w.products = append(w.products, kernel.Product{W: &x.both, Out: d.both})
	} else {
		w.products = append(w.products, kernel.Product{W: &x.take, Out: d.take}, kernel.Product{W: &x.keep, Out: d.keep})
	}
	kernel.Multiply(m.pool, &w.in, w.products...)
	m.pool.Run(n, func(i int) { d.unmix(x, s, i) })
}

// unmix puts a row's parts where they belong that one matrix has made: for each head of
// keys its query, its key, its values and their gates; or what its values take, and keep.
func (d *deltaWork) unmix(x *delta, s *deltaSpec, row int) {
	each := s.heads / s.keyHeads
	if x.mixed.Rows > 0 {
		from, in, z := d.mixed[row*x.mixed.Rows:][:x.mixed.Rows], d.in[row*s.channels():][:s.channels()], d.z[row*s.inner():][:s.inner()]
		for h := range s.keyHeads {
			copy(in[h*s.dim:][:s.dim], from)
			copy(in[(s.keyHeads+h)*s.dim:][:s.dim], from[s.dim:])
			copy(in[(2*s.keyHeads+h*each)*s.dim:][:each*s.dim], from[2*s.dim:])
			copy(z[h*each*s.dim:][:each*s.dim], from[(2+each)*s.dim:])
			from = from[(2+2*each)*s.dim:]
		}
	}
	if x.both.Rows > 0 {
		from, take, keep := d.both[row*x.both.Rows:], d.take[row*s.heads:], d.keep[row*s.heads:]
		for h := range s.keyHeads {
			copy(take[h*each:][:each], from[2*h*each:])
			copy(keep[h*each:][:each], from[(2*h+1)*each:])
		}
	}
}

// deltaHead makes what a head gives for the rows of a sequence.
func (m *Model) deltaHead(index, sequence, head int) {
	w, x, s, d := &m.work, m.layers[index].delta, &m.layers[index].spec.delta, &m.work.delta
	key, scale := s.keyHead(head), float32(1/math.Sqrt(float64(s.dim)))
	state := w.rows[w.sequences[sequence]].kv.stateOf(index)[head*s.dim*s.dim:][:s.dim*s.dim]
	desk := m.desk(3 * s.dim)
	defer m.desks.Put(desk)
	q, k, add := desk.room[:s.dim], desk.room[s.dim:2*s.dim], desk.room[2*s.dim:]
	for i := w.sequences[sequence]; i < w.sequences[sequence+1]; i++ {
		columns := w.columns[i*s.channels():][:s.channels()]
		unit(q, columns[key*s.dim:][:s.dim], m.config.Eps, scale)
		unit(k, columns[(s.keyHeads+key)*s.dim:][:s.dim], m.config.Eps, 1)
		v := columns[(2*s.keyHeads+head)*s.dim:][:s.dim]
		take := 1 / (1 + float32(math.Exp(-float64(d.take[i*s.heads+head]))))
		keep := float32(math.Exp(float64(x.a[head] * softplus(d.keep[i*s.heads+head]+x.keepBias[head]))))
		y := w.seen[i*s.inner()+head*s.dim:][:s.dim]
		clear(add)
		clear(y)
		eachBlock(state, s.dim, func(from, to int, rows []float32) {
			add, y := add[from:to], y[from:to]
			kernel.AddRows(add, rows, k)
			kernel.Mix(add, -keep*take, v[from:to], take)
			kernel.UpdateRows(y, rows, keep, add, k, q)
		})
	}
}

// eachBlock goes through a head's state, which has rows of so many columns: it lies in blocks of
// kernel.RowColumns of them, one after the other, the last of which may have fewer.
func eachBlock(state []float32, columns int, do func(from, to int, rows []float32)) {
	n := len(state) / columns
	for from := 0; from < columns; from += kernel.RowColumns {
		to := min(from+kernel.RowColumns, columns)
		do(from, to, state[n*from:n*to])
	}
}

// unit writes x to out, of a length of scale.
func unit(out, x []float32, eps, scale float32) {
	copy(out, x)
	kernel.Scale(out[:len(x)], scale/max(float32(math.Sqrt(float64(kernel.SumSquares(x)))), eps))
}
