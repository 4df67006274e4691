package transformer

import (
	"math"

	"parley/internal/kernel"
)

// RWKV 6, Finch (Peng et al. 2024, arXiv 2404.05892). How far each row is shifted is made of the token
// itself, by way of short rows, and so is the decay w. Of the shifted rows a layer makes a
// receptance r, a key k, a value v and a gate g. A head's token counts more than u times what
// it adds to the state, which the next token sees:
//
//	w = exp(−exp(w))      y = rᵀ·(state + diag(u)·k·vᵀ)      state ← diag(w)·state + k·vᵀ
//
// What it gives is y, normalised by heads, times SiLU of g, and multiplied once more.
//
// In models that were Qwen 2.5 before (QRWKV) it is gated linear attention: keys are made smaller, the
// token sees what it adds like all others, y is not normalised, and the gate is σ of g:
//
//	k ← k·(1 − w)      state ← diag(w)·state + k·vᵀ      y = rᵀ·state/√dim
//
// Heads of keys and values may then be fewer than those of receptances.

// rwkv6 is the weights of it that are its own.
type rwkv6 struct {
	shift []float32       // (dim), μ of what shifts are made of
	down  kernel.Matrix   // (5·rank, dim)
	up    []kernel.Matrix // (dim, rank) each, of the five
	decay lowRank
	gate  kernel.Matrix // (inner, dim)
	bonus []float32     // (inner), u; nil: gated linear attention
}

// Which row is shifted for what, in version 6.
const (
	shift6W = iota
	shift6K
	shift6V
	shift6R
	shift6G
	shifts6
)

func (r *reader) readRWKV6(s *rwkvSpec) {
	s.mixing = r.count("time_mix_extra_dim", -1)
	s.decay = r.count("time_decay_extra_dim", -1)
	if s.channels() {
		return
	}
	if n := r.optional("attention.head_count_kv", 0); n > 0 {
		s.kvHeads = n
	}
	if r.err == nil && s.heads%s.kvHeads != 0 {
		r.fail("attention.head_count_kv", "is %d, which does not divide the %d heads", s.kvHeads, s.heads)
	}
}

func (l *loader) rwkv6(x *rwkv, p string, dim int, s *rwkvSpec) {
	t, inner := &x.six, s.inner()
	t.shift = l.vector(p+"time_mix_lerp_x.weight", dim)
	t.down, t.up = l.matrix(p+"time_mix_w1.weight", shifts6*s.mixing, dim), l.stack(p+"time_mix_w2.weight", shifts6, dim, s.mixing)
	if fused := p + "time_mix_lerp_fused.weight"; l.has(fused) || !s.channels() {
		x.shifts = l.vectors(fused, shifts6, dim)
	} else { // so the first files had it
		for _, letter := range [shifts6]string{shift6W: "w", shift6K: "k", shift6V: "v", shift6R: "r", shift6G: "g"} {
			x.shifts = append(x.shifts, l.vector(p+"time_mix_lerp_"+letter+".weight", dim))
		}
	}
	t.decay = l.lowRank(p+"time_mix_decay_w1.weight", p+"time_mix_decay_w2.weight", p+"time_mix_decay.weight", s.decay, inner, dim)
	t.gate = l.matrix(p+"time_mix_gate.weight", inner, dim)
	if first := p + "time_mix_first.weight"; s.channels() || l.has(first) {
		for _, u := range l.vectors(first, s.heads, s.dim) {
			t.bonus = append(t.bonus, u...)
		}
		x.norm = l.headNorm(p, s)
	}
}

// rwkv6Inputs makes of the input what heads work with.
func (m *Model) rwkv6Inputs(index, n int) {
	w, d, x, s := &m.work, &m.work.rwkv, m.layers[index].rwkv, &m.layers[index].spec.rwkv
	t, dim := &x.six, m.config.Dim
	m.lerp([][]float32{t.shift}, n)
	d.mixing, d.moved = grown(d.mixing, n*t.down.Rows), grown(d.moved, shifts6*n*dim)
	w.in.Set(d.shifted[0], n, dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &t.down, Out: d.mixing})
	groups := make([]kernel.Group, 0, shifts6)
	for j := range shifts6 {
		d.low[j], d.shifted[j] = grown(d.low[j], n*s.mixing), grown(d.shifted[j], n*dim)
		d.in[j].Set(d.low[j], n, s.mixing)
		groups = append(groups, kernel.Group{In: &d.in[j], Products: []kernel.Product{{W: &t.up[j], Out: d.moved[j*n*dim:][:n*dim]}}})
	}
	m.pool.Run(n, func(i int) {
		row := d.mixing[i*t.down.Rows:][:t.down.Rows]
		tanh(row)
		for j := range shifts6 {
			copy(d.low[j][i*s.mixing:][:s.mixing], row[j*s.mixing:])
		}
	})
	kernel.MultiplyGroups(m.pool, groups)
	m.eachPart(n, func(i, from, to int) {
		own, before := w.xn[i*dim+from:i*dim+to], d.before[i*dim+from:i*dim+to]
		for j, mu := range x.shifts {
			mu, moved, out := mu[from:to], d.moved[(j*n+i)*dim+from:(j*n+i)*dim+to], d.shifted[j][i*dim+from:i*dim+to]
			for e, v := range own {
				out[e] = v + float32((mu[e]+moved[e])*before[e])
			}
		}
	})
	d.low[0], d.made[decays], d.made[gates] = grown(d.low[0], n*s.decay), grown(d.made[decays], n*s.inner()), grown(d.made[gates], n*s.inner())
	groups = groups[:0]
	for j, product := range [shifts6]kernel.Product{
		shift6W: {W: &t.decay.down, Out: d.low[0]}, shift6K: {W: &x.k, Out: w.k}, shift6V: {W: &x.v, Out: w.v},
		shift6R: {W: &x.r, Out: w.q}, shift6G: {W: &t.gate, Out: d.made[gates]},
	} {
		d.in[j].Set(d.shifted[j], n, dim)
		groups = append(groups, kernel.Group{In: &d.in[j], Products: []kernel.Product{product}})
	}
	kernel.MultiplyGroups(m.pool, groups)
	m.pool.Run(n, func(i int) { tanh(d.low[0][i*s.decay:][:s.decay]) })
	w.in.Set(d.low[0], n, s.decay)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &t.decay.up, Out: d.made[decays]})
	addBiases(w.q, x.rb, n)
	addBiases(w.k, x.kb, n)
	addBiases(w.v, x.vb, n)
}

// rwkv6Head makes what a head gives for the rows of a sequence.
func (m *Model) rwkv6Head(index, sequence, head int) {
	w, d, x, s := &m.work, &m.work.rwkv, m.layers[index].rwkv, &m.layers[index].spec.rwkv
	t, at := &x.six, head*s.dim
	keys, values := s.kvHeads*s.dim, head/(s.heads/s.kvHeads)*s.dim
	state := w.rows[w.sequences[sequence]].kv.stateOf(index)[at*s.dim:][:s.dim*s.dim]
	part := func(of []float32) []float32 { return part(of, at, s.dim) }
	desk := m.desk(2 * s.dim)
	defer m.desks.Put(desk)
	own, unseen := desk.room[:s.dim], desk.room[s.dim:]
	for i := w.sequences[sequence]; i < w.sequences[sequence+1]; i++ {
		row := func(of []float32) []float32 { return of[i*s.inner()+at:][:s.dim] }
		r, y, decay, gate := row(w.q), row(w.seen), row(d.made[decays]), row(d.made[gates])
		k, v := w.k[i*keys+values:][:s.dim], w.v[i*keys+values:][:s.dim]
		kernel.Add(decay, part(t.decay.bias))
		kernel.ExpEach(decay, 1)
		kernel.ExpEach(decay, -1)
		clear(y)
		if t.bonus == nil {
			for e, v := range k {
				own[e] = v - float32(v*decay[e])
			}
			kernel.Scale(r, float32(1/math.Sqrt(float64(s.dim))))
			eachBlock(state, s.dim, func(from, to int, rows []float32) {
				kernel.UpdateEachRow(y[from:to], rows, decay, v[from:to], own, r)
			})
			kernel.Sigmoid(gate)
			kernel.Products(y, gate)
			continue
		}
		var sum float32
		for e, u := range part(t.bonus) {
			sum += float32(r[e] * u * k[e])
		}
		eachBlock(state, s.dim, func(from, to int, rows []float32) {
			kernel.AddRows(y[from:to], rows, r)
			kernel.UpdateEachRow(unseen[from:to], rows, decay, v[from:to], k, r)
		})
		kernel.Mix(y, 1, v, sum)
		kernel.LayerNorm(y, y, part(x.norm.weight), part(x.norm.bias), x.norm.eps)
		kernel.SwiGLU(gate, y)
		copy(y, gate)
	}
}
