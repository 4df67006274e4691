package transformer

import (
	"math"

	"parley/internal/kernel"
	"parley/internal/limits"
)

// Kimi Delta Attention (Kimi Team 2025, Kimi Linear, arXiv 2510.26692) is Gated DeltaNet (delta.go)
// but for two things. Each element of a key has a number of its own that says how much its row
// of the state keeps, and what a head gives is y, normalised, times the sigmoid of z:
//
//	state ← diag(keep)·state      d = take·(v − kᵀ·state)      state ← state + k·dᵀ      y = qᵀ·state/√dim
//
// What z and keep are made of is first made a row as long as a head. Each head of values has
// its own queries and keys.

// kda is the weights of it that Gated DeltaNet has otherwise.
type kda struct {
	q, k, v         kernel.Matrix // (inner, dim)
	zDown, keepDown kernel.Matrix // (head, dim)
	zUp, keepUp     kernel.Matrix // (inner, head)
}

func (x *kda) matrices() []*kernel.Matrix {
	return []*kernel.Matrix{&x.q, &x.k, &x.v, &x.zDown, &x.keepDown, &x.zUp, &x.keepUp}
}

func (r *reader) readKDA(heads int) deltaSpec {
	s := deltaSpec{kda: true, heads: heads, keyHeads: heads}
	s.taps = r.count("ssm.conv_kernel", -1)
	s.dim = r.count("kda.head_dim", -1)
	switch {
	case r.err != nil:
		return deltaSpec{}
	case s.taps < 2 || s.taps > mostTaps:
		r.fail("ssm.conv_kernel", "is %d: from 2 to %d is supported", s.taps, mostTaps)
	case s.dim > mostState:
		r.fail("kda.head_dim", "is %d: up to %d is supported", s.dim, mostState)
	case limits.ModelWidth.CheckInt(s.channels()) != nil:
		r.fail("kda.head_dim", "is %d, with %d heads: %v", s.dim, heads, limits.ModelWidth.CheckInt(s.channels()))
	}
	return s
}

func (l *loader) kda(p string, dim int, s *deltaSpec) *delta {
	x := &delta{}
	k := &x.kda
	for _, part := range []struct {
		name string
		to   *kernel.Matrix
	}{{"q", &k.q}, {"k", &k.k}, {"v", &k.v}} {
		*part.to = l.matrix(p+"attn_"+part.name+".weight", s.inner(), dim)
		for t, tap := range l.taps(p+"ssm_conv1d_"+part.name+".weight", s.inner(), s.taps) {
			if len(x.taps) == t {
				x.taps = append(x.taps, nil)
			}
			x.taps[t] = append(x.taps[t], tap...)
		}
	}
	k.keepDown, k.keepUp = l.matrix(p+"ssm_f_a.weight", s.dim, dim), l.matrix(p+"ssm_f_b.weight", s.inner(), s.dim)
	k.zDown, k.zUp = l.matrix(p+"ssm_g_a.weight", s.dim, dim), l.matrix(p+"ssm_g_b.weight", s.inner(), s.dim)
	x.take = l.matrix(p+"ssm_beta.weight", s.heads, dim)
	x.keepBias, x.a = l.vector(p+"ssm_dt.bias", s.inner()), l.column(p+"ssm_a", s.heads)
	x.norm = &norm{eps: l.eps, group: s.dim, weight: l.vector(p+"ssm_norm.weight", s.dim)}
	x.out = l.matrix(p+"attn_output.weight", dim, s.inner())
	return x
}

// kdaInputs is deltaInputs.
func (m *Model) kdaInputs(x *delta, s *deltaSpec, n int) {
	w, d, k, inner := &m.work, &m.work.delta, &x.kda, s.inner()
	w.q, w.k, w.v, d.keep = grown(w.q, n*inner), grown(w.k, n*inner), grown(w.v, n*inner), grown(d.keep, n*inner)
	d.zRow, d.keepRow = grown(d.zRow, n*s.dim), grown(d.keepRow, n*s.dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &k.q, Out: w.q}, kernel.Product{W: &k.k, Out: w.k}, kernel.Product{W: &k.v, Out: w.v},
		kernel.Product{W: &k.zDown, Out: d.zRow}, kernel.Product{W: &k.keepDown, Out: d.keepRow}, kernel.Product{W: &x.take, Out: d.take})
	w.in.Set(d.zRow, n, s.dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &k.zUp, Out: d.z})
	w.in.Set(d.keepRow, n, s.dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &k.keepUp, Out: d.keep})
	m.pool.Run(n, func(i int) {
		in := d.in[i*s.channels():]
		for part, from := range [][]float32{w.q, w.k, w.v} {
			copy(in[part*inner:][:inner], from[i*inner:])
		}
	})
}

// kdaHead is deltaHead.
func (m *Model) kdaHead(index, sequence, head int) {
	w, x, s, d := &m.work, m.layers[index].delta, &m.layers[index].spec.delta, &m.work.delta
	at, scale := head*s.dim, float32(1/math.Sqrt(float64(s.dim)))
	state := w.rows[w.sequences[sequence]].kv.stateOf(index)[at*s.dim:][:s.dim*s.dim]
	desk := m.desk(5 * s.dim)
	defer m.desks.Put(desk)
	room := func(i int) []float32 { return desk.room[i*s.dim:][:s.dim] }
	q, k, keep, kept, add := room(0), room(1), room(2), room(3), room(4) // kept: what k finds before the state fades
	for i := w.sequences[sequence]; i < w.sequences[sequence+1]; i++ {
		columns := w.columns[i*s.channels():][:s.channels()]
		unit(q, columns[at:][:s.dim], m.config.Eps, scale)
		unit(k, columns[s.inner()+at:][:s.dim], m.config.Eps, 1)
		v := columns[2*s.inner()+at:][:s.dim]
		take := 1 / (1 + float32(math.Exp(-float64(d.take[i*s.heads+head]))))
		for e, logit := range d.keep[i*s.inner()+at:][:s.dim] {
			keep[e] = float32(math.Exp(float64(x.a[head] * softplus(logit+x.keepBias[at+e]))))
			kept[e] = keep[e] * k[e]
		}
		y := w.seen[i*s.inner()+at:][:s.dim]
		clear(add)
		clear(y)
		eachBlock(state, s.dim, func(from, to int, rows []float32) {
			add, y := add[from:to], y[from:to]
			kernel.AddRows(add, rows, kept)
			kernel.Mix(add, -take, v[from:to], take)
			kernel.UpdateEachRow(y, rows, keep, add, k, q)
		})
	}
}
