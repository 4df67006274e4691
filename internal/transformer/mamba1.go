package transformer

import (
	"slices"

	"parley/internal/kernel"
	"parley/internal/limits"
)

// Mamba 1 (Gu and Dao 2023, arXiv 2312.00752), in place of attention. Of each token a layer makes
// x and a gate z. A short convolution runs over x. Of what it gives are made the rows b and c, and
// a short row that is made as long as x, the steps d. In Falcon-Mamba and in Jamba (Lieber et al.
// 2024, arXiv 2403.19887) the three rows are normalised. Then each channel has a state, a row of its own,
// whose elements fade each at its own rate a:
//
//	state ← exp(d·a)·state + d·x·b      y = state·c + D·x
//
// What it gives is y, gated by z, and multiplied once more. So it differs from Mamba-2 (mamba.go)
// in what b, c and steps are made of, and in that no two numbers fade alike.
//
// As there, tokens are taken one after the other, each sum is made in one order, and a layer knows
// of a sequence its state and the last columns of the convolution.

// A mamba1Spec is the shape of such a layer; inner is 0 where it is of another kind.
type mamba1Spec struct {
	inner int // channels
	state int // elements of each one's state
	rank  int // elements that steps are made of
	taps  int

	normed  bool // what steps are made of, b and c
	weights bool // their norms have some
}

// made is what is made of the channels: what steps are made of, b and c.
func (s *mamba1Spec) made() int { return s.rank + 2*s.state }

// floats is the size of a layer's state, with columns of the convolution.
func (s *mamba1Spec) floats() int { return s.inner * (s.state + max(s.taps-1, 0)) }

// A mamba1 is the weights of such a layer.
type mamba1 struct {
	in                     kernel.Matrix // (2·inner, dim): x and z
	taps                   [][]float32   // (inner) each, of the farthest token first
	tapsBias               []float32     // (inner)
	made                   kernel.Matrix // (rank + 2·state, inner)
	stepNorm, bNorm, cNorm *norm         // (rank), (state), (state), or nil
	step                   kernel.Matrix // (inner, rank)
	stepBias               []float32     // (inner)
	a                      []float32     // (state, inner), negative, as the state lies: see eachBlock
	d                      []float32     // (inner)
	out                    kernel.Matrix // (dim, inner)
}

func (x *mamba1) matrices() []*kernel.Matrix {
	return []*kernel.Matrix{&x.in, &x.made, &x.step, &x.out}
}

func (r *reader) readMamba1(weights bool) (s mamba1Spec) {
	s.taps = r.count("ssm.conv_kernel", -1)
	s.inner = r.count("ssm.inner_size", -1)
	s.state = r.count("ssm.state_size", -1)
	s.rank = r.count("ssm.time_step_rank", -1)
	s.weights = weights
	s.normed = weights || r.flag("ssm.dt_b_c_rms", false)
	switch {
	case r.err != nil:
		return mamba1Spec{}
	case s.taps < 2 || s.taps > mostTaps:
		r.fail("ssm.conv_kernel", "is %d: from 2 to %d is supported", s.taps, mostTaps)
	case s.state > mostState:
		r.fail("ssm.state_size", "is %d: up to %d is supported", s.state, mostState)
	case s.rank > s.inner:
		r.fail("ssm.time_step_rank", "is %d, more than ssm.inner_size %d", s.rank, s.inner)
	case limits.ModelWidth.CheckInt(2*s.inner) != nil:
		r.fail("ssm.inner_size", "is %d, twice: %v", s.inner, limits.ModelWidth.CheckInt(2*s.inner))
	}
	if r.optional("attention.sliding_window", 0) > 0 {
		r.fail("attention.sliding_window", "is not supported in this architecture")
	}
	return s
}

func (l *loader) mamba1(p string, dim int, s *mamba1Spec) *mamba1 {
	x := &mamba1{in: l.matrix(p+"ssm_in.weight", 2*s.inner, dim)}
	x.taps = l.taps(p+"ssm_conv1d.weight", s.inner, s.taps)
	x.tapsBias = l.vector(p+"ssm_conv1d.bias", s.inner)
	x.made = l.matrix(p+"ssm_x.weight", s.made(), s.inner)
	if s.normed {
		x.stepNorm, x.bNorm, x.cNorm = l.rowNorm(p+"ssm_dt_norm", s.rank, s), l.rowNorm(p+"ssm_b_norm", s.state, s), l.rowNorm(p+"ssm_c_norm", s.state, s)
	}
	x.step, x.stepBias = l.matrix(p+"ssm_dt.weight", s.inner, s.rank), l.vector(p+"ssm_dt.bias", s.inner)
	rates := l.vectors(p+"ssm_a", s.inner, s.state)
	x.d = l.vector(p+"ssm_d", s.inner)
	x.out = l.matrix(p+"ssm_out.weight", dim, s.inner)
	if l.err != nil {
		return nil
	}
	x.a = make([]float32, s.inner*s.state)
	eachBlock(x.a, s.inner, func(from, to int, rows []float32) {
		for i := range rows {
			rows[i] = rates[from+i%(to-from)][i/(to-from)]
		}
	})
	return x
}

// rowNorm normalises a row of n numbers.
func (l *loader) rowNorm(name string, n int, s *mamba1Spec) *norm {
	if s.weights {
		return l.norm(name, traits{}, n)
	}
	return &norm{eps: l.eps, group: n, weight: slices.Repeat([]float32{1}, n)}
}

// A mamba1Work is what such a layer makes of the rows of a batch.
type mamba1Work struct {
	made  []float32 // (rank + 2·state)
	short []float32 // (rank), what steps are made of, alone
	steps []float32 // (inner)
}

// scanChannels makes y of the input.
func (m *Model) scanChannels(index, n int) {
	w, l := &m.work, &m.layers[index]
	x, s, own := l.mamba1, &l.spec.mamba1, &m.work.mamba1
	w.gates, w.columns, w.seen = grown(w.gates, 2*n*s.inner), grown(w.columns, n*s.inner), grown(w.seen, n*s.inner)
	own.made, own.short, own.steps = grown(own.made, n*s.made()), grown(own.short, n*s.rank), grown(own.steps, n*s.inner)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.in, Out: w.gates})
	m.convolveChannels(s.inner, func(first, n int) convolving {
		return convolving{
			in: w.gates[2*first*s.inner:], stride: 2 * s.inner, rows: n, out: w.columns[first*s.inner:], channels: s.inner,
			taps: x.taps, bias: x.tapsBias, kept: w.rows[first].kv.stateOf(index)[s.inner*s.state:],
		}
	})
	w.in.Set(w.columns, n, s.inner)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.made, Out: own.made})
	m.pool.Run(n, func(i int) {
		made, short := own.made[i*s.made():][:s.made()], own.short[i*s.rank:][:s.rank]
		copy(short, made)
		if s.normed {
			b, c := made[s.rank:][:s.state], made[s.rank+s.state:]
			x.stepNorm.apply(short, short)
			x.bNorm.apply(b, b)
			x.cNorm.apply(c, c)
		}
	})
	w.in.Set(own.short, n, s.rank)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.step, Out: own.steps})
	parts := (s.inner + convolvePart - 1) / convolvePart
	m.pool.Run((len(w.sequences)-1)*parts, func(i int) {
		from := i % parts * convolvePart
		m.scanPart(index, i/parts, from, min(from+convolvePart, s.inner))
	})
	w.in.Set(w.seen, n, s.inner)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.out, Out: w.y})
}

// scanPart makes what some channels give for the rows of a sequence, gated. Their states lie
// in blocks of them (see eachBlock), so that from is a multiple of kernel.RowColumns; all rows
// go through a block, which the nearest cache holds, before the next one.
func (m *Model) scanPart(index, sequence, from, to int) {
	w, x, s, own := &m.work, m.layers[index].mamba1, &m.layers[index].spec.mamba1, &m.work.mamba1
	first, end := w.sequences[sequence], w.sequences[sequence+1]
	row := func(of []float32, i int) []float32 { return of[i*s.inner+from : i*s.inner+to] }
	for i := first; i < end; i++ {
		y, steps, columns := row(w.seen, i), row(own.steps, i), row(w.columns, i)
		kernel.Add(steps, x.stepBias[from:to])
		kernel.Softplus(steps)
		for c, v := range columns {
			y[c] = v * x.d[from+c]
			columns[c] = v * steps[c] // from now on, what is added to the state
		}
	}
	a, state := x.a[from*s.state:to*s.state], w.rows[first].kv.stateOf(index)[from*s.state:to*s.state]
	eachBlock(state, to-from, func(from, to int, rows []float32) {
		rates := a[from*s.state : to*s.state]
		for i := first; i < end; i++ {
			made := own.made[i*s.made()+s.rank:][:2*s.state]
			kernel.FadeRows(row(w.seen, i)[from:to], rows, rates, row(own.steps, i)[from:to], row(w.columns, i)[from:to], made[:s.state], made[s.state:])
		}
	})
	for i := first; i < end; i++ {
		y, z := row(w.seen, i), w.gates[(2*i+1)*s.inner+from:(2*i+1)*s.inner+to]
		kernel.SwiGLU(z, y)
		copy(y, z)
	}
}
