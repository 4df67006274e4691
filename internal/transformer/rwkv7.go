package transformer

import "parley/internal/kernel"

// RWKV 7, Goose (Peng et al. 2025, arXiv 2503.14456). Of each token a layer makes a receptance r, a
// key k and a value v, and by way of short rows a decay w, a rate a, a gate g and, in all layers but
// the first, how much of its value is that of the first layer. κ is the key, times numbers of the layer, of a
// length of one; what κ finds in the state is taken away as far as the rate says, and the key, which the rate makes
// smaller, puts the value in its place:
//
//	w = exp(−0.606531·σ(w))      k ← k·(1 + (a − 1)·α)
//	state ← diag(w)·state − (κ·a)·(κᵀ·state) + k·vᵀ      y = rᵀ·state
//
// What a head gives is y, normalised, and v times the sum of r·k·ρ; all of them are gated by g and
// multiplied once more. In models that were Qwen 2.5 before there may be no gate and no norm.

// What is made by way of short rows.
const (
	decays = iota
	rates
	residuals
	gates
	lowRanks
)

// rwkv7 is the weights of it that are its own.
type rwkv7 struct {
	low          [lowRanks]lowRank
	kappa, alpha []float32 // (inner)
	rho          []float32 // (inner)
}

// Which row is shifted for what.
const (
	shiftR = iota
	shiftW
	shiftK
	shiftV
	shiftA
	shiftG
)

// readOf is which shifted row each of them is made of.
var readOf = [lowRanks]int{decays: shiftW, rates: shiftA, residuals: shiftV, gates: shiftG}

func (r *reader) readRWKV7(s *rwkvSpec) {
	s.ranks[decays] = r.count("attention.decay_lora_rank", -1)
	s.ranks[rates] = r.count("attention.iclr_lora_rank", -1)
	s.ranks[residuals] = r.count("attention.value_residual_mix_lora_rank", -1)
	if s.channels() {
		s.ranks[gates] = r.count("attention.gate_lora_rank", -1)
	} else {
		s.ranks[gates] = r.optional("attention.gate_lora_rank", 0)
	}
}

func (l *loader) rwkv7(x *rwkv, p string, dim int, s *rwkvSpec) {
	t, inner := &x.seven, s.inner()
	for which, letter := range [lowRanks]string{decays: "w", rates: "a", residuals: "v", gates: "g"} {
		name := func(number string) string { return p + "time_mix_" + letter + number + ".weight" }
		bias := name("0")
		switch {
		case which == gates && !s.channels() && !l.has(name("1")):
			continue
		case which == gates:
			bias = ""
		case which == residuals && p == "blk.0.": // files have something there for nothing
			l.used[name("0")], l.used[name("1")], l.used[name("2")] = true, true, true
			continue
		}
		t.low[which] = l.lowRank(name("1"), name("2"), bias, s.ranks[which], inner, dim)
	}
	shifts := mostShifts
	if fused, ok := l.f.Tensor(p + "time_mix_lerp_fused.weight"); ok && t.low[gates].down.Rows == 0 && second(fused.Shape) == shiftG {
		shifts = shiftG
	}
	x.shifts = l.vectors(p+"time_mix_lerp_fused.weight", shifts, dim)
	t.kappa, t.alpha, t.rho = l.vector(p+"time_mix_k_k.weight", inner), l.vector(p+"time_mix_k_a.weight", inner), l.vector(p+"time_mix_r_k.weight", inner)
	if s.channels() || l.has(p+"time_mix_ln.weight") {
		x.norm = l.headNorm(p, s)
	}
}

// rwkv7Inputs makes of the input what heads work with.
func (m *Model) rwkv7Inputs(index, n int) {
	w, d, x, s := &m.work, &m.work.rwkv, m.layers[index].rwkv, &m.layers[index].spec.rwkv
	t, dim := &x.seven, m.config.Dim
	m.lerp(x.shifts, n)
	groups := make([]kernel.Group, 0, mostShifts)
	of := [mostShifts][]kernel.Product{shiftR: {{W: &x.r, Out: w.q}}, shiftK: {{W: &x.k, Out: w.k}}, shiftV: {{W: &x.v, Out: w.v}}}
	for which := range t.low {
		if low := &t.low[which]; low.down.Rows > 0 {
			d.low[which] = grown(d.low[which], n*low.down.Rows)
			of[readOf[which]] = append(of[readOf[which]], kernel.Product{W: &low.down, Out: d.low[which]})
		}
	}
	for i, products := range of {
		if len(products) > 0 {
			d.in[i].Set(d.shifted[i], n, dim)
			groups = append(groups, kernel.Group{In: &d.in[i], Products: products})
		}
	}
	kernel.MultiplyGroups(m.pool, groups)
	m.pool.Run(n, func(i int) {
		rank := t.low[decays].down.Rows
		tanh(d.low[decays][i*rank:][:rank])
		if rank := t.low[gates].down.Rows; rank > 0 {
			kernel.Sigmoid(d.low[gates][i*rank:][:rank])
		}
	})
	groups = groups[:0]
	for which := range t.low {
		if low := &t.low[which]; low.up.Rows > 0 {
			d.made[which] = grown(d.made[which], n*s.inner())
			d.in[which].Set(d.low[which], n, low.up.Cols)
			groups = append(groups, kernel.Group{In: &d.in[which], Products: []kernel.Product{{W: &low.up, Out: d.made[which]}}})
		}
	}
	kernel.MultiplyGroups(m.pool, groups)
	if index == 0 {
		d.first = grown(d.first, n*s.inner())
		copy(d.first, w.v)
	}
}

// rwkv7Head makes what a head gives for the rows of a sequence.
func (m *Model) rwkv7Head(index, sequence, head int) {
	w, d, x, s := &m.work, &m.work.rwkv, m.layers[index].rwkv, &m.layers[index].spec.rwkv
	t, at := &x.seven, head*s.dim
	state := w.rows[w.sequences[sequence]].kv.stateOf(index)[at*s.dim:][:s.dim*s.dim]
	part := func(of []float32) []float32 { return part(of, at, s.dim) }
	desk := m.desk(3 * s.dim)
	defer m.desks.Put(desk)
	kappa, back, found := desk.room[:s.dim], desk.room[s.dim:2*s.dim], desk.room[2*s.dim:]
	for i := w.sequences[sequence]; i < w.sequences[sequence+1]; i++ {
		row := func(of []float32) []float32 { return of[i*s.inner()+at:][:s.dim] }
		r, k, v, y, decay, rate := row(w.q), row(w.k), row(w.v), row(w.seen), row(d.made[decays]), row(d.made[rates])
		kernel.Add(decay, part(t.low[decays].bias))
		kernel.Sigmoid(decay)
		kernel.ExpEach(decay, -0.606531)
		kernel.Add(rate, part(t.low[rates].bias))
		kernel.Sigmoid(rate)
		if t.low[residuals].up.Rows > 0 {
			share := row(d.made[residuals])
			kernel.Add(share, part(t.low[residuals].bias))
			kernel.Sigmoid(share)
			for e, first := range row(d.first) {
				v[e] += float32((first - v[e]) * share[e])
			}
		}
		for e, by := range part(t.kappa) {
			kappa[e] = k[e] * by
		}
		unit(kappa, kappa, 1e-12, 1)
		var sum float32
		for e, rho := range part(t.rho) {
			smaller := k[e] * t.alpha[at+e]
			k[e] += float32(rate[e]*smaller) - smaller
			back[e] = kappa[e] * rate[e]
			kappa[e] = -kappa[e]
			sum += float32(k[e] * r[e] * rho)
		}
		clear(found)
		clear(y)
		eachBlock(state, s.dim, func(from, to int, rows []float32) {
			kernel.AddRows(found[from:to], rows, kappa)
			kernel.ReplaceRows(y[from:to], rows, decay, found[from:to], back, v[from:to], k, r)
		})
		if x.norm != nil {
			kernel.LayerNorm(y, y, part(x.norm.weight), part(x.norm.bias), x.norm.eps)
		}
		kernel.Mix(y, 1, v, sum)
		if t.low[gates].up.Rows > 0 {
			kernel.Products(y, row(d.made[gates]))
		}
	}
}
