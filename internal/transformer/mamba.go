package transformer

import (
	"math"

	"parley/internal/kernel"
	"parley/internal/limits"
)

// Mamba-2 (Dao and Gu 2024), in place of attention. Of each token a layer makes a gate z,
// the rows x, b and c, and a step d for each head. A short convolution runs over x, b and c.
// Then each head has a state, of as many elements for each element of its x:
//
//	state ← exp(d·a)·state + d·x·b      y = state·c + D·x
//
// What it gives is y, gated by z, normalised, and multiplied once more. All that a layer
// knows of a sequence is its state and the last columns of the convolution: see state.go.
//
// Tokens are taken one after the other, and each sum is made in one order, so that a
// token's result does not depend on how many are read at a time. Heads are each by
// themselves, and so are the channels of the convolution.

// A mambaSpec is the shape of such a layer; heads are 0 where it is of another kind.
type mambaSpec struct {
	inner  int // elements of x, of all heads
	state  int // elements of a row of the state
	heads  int
	groups int // of neighbouring heads that share b and c
	taps   int

	normMaybe bool // where the file has its weights
}

// channels are those of the convolution: x, b and c.
func (s *mambaSpec) channels() int { return s.inner + 2*s.groups*s.state }

// projected is what is made of a token: z, the channels, and a step for each head.
func (s *mambaSpec) projected() int { return s.inner + s.channels() + s.heads }

// floats is the size of a layer's state, with columns of the convolution.
func (s *mambaSpec) floats() int {
	if s.heads == 0 {
		return 0
	}
	return s.inner*s.state + (s.taps-1)*s.channels()
}

// A mamba is the weights of such a layer.
type mamba struct {
	in       kernel.Matrix // (projected, dim)
	taps     [][]float32   // (channels) each, of the farthest token first
	tapsBias []float32     // (channels)
	stepBias []float32     // (heads)
	a, d     []float32     // (heads)
	norm     *norm         // of groups, (inner), or nil
	out      kernel.Matrix // (dim, inner)
}

func (r *reader) readMamba(arch architecture) (s mambaSpec) {
	s.normMaybe = arch.besides
	s.taps = r.count("ssm.conv_kernel", -1)
	s.inner = r.count("ssm.inner_size", -1)
	s.state = r.count("ssm.state_size", -1)
	s.heads = r.count("ssm.time_step_rank", -1)
	s.groups = r.count("ssm.group_count", 1)
	switch {
	case r.err != nil:
		return mambaSpec{}
	case s.taps < 2 || s.taps > mostTaps:
		r.fail("ssm.conv_kernel", "is %d: from 2 to %d is supported", s.taps, mostTaps)
	case s.inner%s.heads != 0:
		r.fail("ssm.time_step_rank", "is %d heads, which do not divide ssm.inner_size %d", s.heads, s.inner)
	case s.heads%s.groups != 0:
		r.fail("ssm.group_count", "is %d, which does not divide the %d heads", s.groups, s.heads)
	case s.state > mostState:
		r.fail("ssm.state_size", "is %d: up to %d is supported", s.state, mostState)
	case limits.ModelWidth.CheckInt(s.projected()) != nil:
		r.fail("ssm.inner_size", "is %d, with %d groups of %d: %v", s.inner, s.groups, s.state, limits.ModelWidth.CheckInt(s.projected()))
	}
	if r.optional("attention.sliding_window", 0) > 0 {
		r.fail("attention.sliding_window", "is not supported in this architecture")
	}
	return s
}

const mostState = 1024

func (l *loader) mamba(p string, dim int, s *mambaSpec) *mamba {
	x := &mamba{in: l.matrix(p+"ssm_in.weight", s.projected(), dim)}
	x.taps = l.taps(p+"ssm_conv1d.weight", s.channels(), s.taps)
	x.tapsBias = l.vector(p+"ssm_conv1d.bias", s.channels())
	x.stepBias = l.vector(p+"ssm_dt.bias", s.heads)
	x.a, x.d = l.column(p+"ssm_a", s.heads), l.column(p+"ssm_d", s.heads)
	if !s.normMaybe || l.has(p+"ssm_norm.weight") {
		x.norm = &norm{eps: l.eps, group: s.inner / s.groups}
		for _, w := range l.vectors(p+"ssm_norm.weight", s.groups, s.inner/s.groups) {
			x.norm.weight = append(x.norm.weight, w...)
		}
	}
	x.out = l.matrix(p+"ssm_out.weight", dim, s.inner)
	return x
}

// taps are the columns of a matrix that has a row for each channel.
func (l *loader) taps(name string, channels, taps int) (out [][]float32) {
	rows := l.vectors(name, channels, taps)
	if l.err != nil {
		return nil
	}
	for t := range taps {
		tap := make([]float32, channels)
		for c, row := range rows {
			tap[c] = row[t]
		}
		out = append(out, tap)
	}
	return out
}

// column is a matrix of rows of one element.
func (l *loader) column(name string, n int) (out []float32) {
	for _, row := range l.vectors(name, n, 1) {
		out = append(out, row[0])
	}
	return out
}

// scan makes y of the input.
func (m *Model) scan(index, n int) {
	w, l := &m.work, &m.layers[index]
	x, s := l.mamba, &l.spec.mamba
	w.gates, w.columns, w.seen = grown(w.gates, n*s.projected()), grown(w.columns, n*s.channels()), grown(w.seen, n*s.inner)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.in, Out: w.gates})
	m.convolveChannels(s.channels(), func(first, n int) convolving {
		return convolving{
			in: w.gates[first*s.projected()+s.inner:], stride: s.projected(), rows: n, out: w.columns[first*s.channels():], channels: s.channels(),
			taps: x.taps, bias: x.tapsBias, kept: w.rows[first].kv.stateOf(index)[s.inner*s.state:],
		}
	})
	m.pool.Run((len(w.sequences)-1)*s.heads, func(i int) { m.scanHead(index, i/s.heads, i%s.heads) })
	m.pool.Run(n, func(i int) {
		y, z := w.seen[i*s.inner:][:s.inner], w.gates[i*s.projected():][:s.inner]
		kernel.SwiGLU(z, y)
		if x.norm != nil {
			x.norm.apply(y, z)
		} else {
			copy(y, z)
		}
	})
	w.in.Set(w.seen, n, s.inner)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.out, Out: w.y})
}

// scanBeside makes y of the input of Mamba-2 and attention, added up.
func (m *Model) scanBeside(index, n int) {
	w, size := &m.work, n*m.config.Dim
	m.scan(index, n)
	w.mixed = grown(w.mixed, size)
	copy(w.mixed, w.y[:size])
	w.in.Set(w.xn, n, m.config.Dim)
	m.attention(index, n)
	kernel.Add(w.y[:size], w.mixed)
}

// A convolving is a short convolution over the channels of a sequence's rows, bent by SiLU.
type convolving struct {
	in     []float32 // of the first row; the next one's are stride further on
	stride int
	rows   int

	out      []float32 // (rows, channels)
	channels int
	taps     [][]float32 // (channels) each, of the farthest token first
	bias     []float32   // (channels), or nil
	kept     []float32   // (taps−1, channels), those of the rows before, and then of the last ones
}

// convolveChannels does that with every sequence of the batch, of which the rows from first on are n.
func (m *Model) convolveChannels(channels int, of func(first, n int) convolving) {
	w, parts := &m.work, (channels+convolvePart-1)/convolvePart
	m.pool.Run((len(w.sequences)-1)*parts, func(i int) {
		sequence, from := i/parts, i%parts*convolvePart
		first := w.sequences[sequence]
		c := of(first, w.sequences[sequence+1]-first)
		c.do(from, min(from+convolvePart, channels))
	})
}

const convolvePart = 256

// do is for some channels.
func (c *convolving) do(from, to int) {
	before := len(c.taps) - 1
	kept := func(i int) []float32 { return c.kept[i*c.channels:][from:to] }
	column := func(i int) []float32 { // of those kept, and then of the rows
		if i < before {
			return kept(i)
		}
		return c.in[(i-before)*c.stride:][from:to]
	}
	for i := range c.rows {
		out := c.out[i*c.channels:][from:to]
		clear(out)
		for t, tap := range c.taps {
			kernel.AddProducts(out, column(i+t), tap[from:to])
		}
		if c.bias != nil {
			kernel.Add(out, c.bias[from:to])
		}
		kernel.SiLU(out)
	}
	for i := range before {
		copy(kept(i), column(i+c.rows))
	}
}

// scanHead makes what a head gives for the rows of a sequence. Its state has a row of the
// head's width for each element of b and c (see eachBlock).
func (m *Model) scanHead(index, sequence, head int) {
	w, x, s := &m.work, m.layers[index].mamba, &m.layers[index].spec.mamba
	width := s.inner / s.heads
	group := head / (s.heads / s.groups)
	state := w.rows[w.sequences[sequence]].kv.stateOf(index)[head*width*s.state:][:width*s.state]
	desk := m.desk(width)
	defer m.desks.Put(desk)
	in := desk.room
	for i := w.sequences[sequence]; i < w.sequences[sequence+1]; i++ {
		columns := w.columns[i*s.channels():][:s.channels()]
		b := columns[s.inner+group*s.state:][:s.state]
		c := columns[s.inner+(s.groups+group)*s.state:][:s.state]
		step := softplus(w.gates[i*s.projected()+s.inner+s.channels()+head] + x.stepBias[head])
		keep := float32(math.Exp(float64(step * x.a[head])))
		out := w.seen[i*s.inner+head*width:][:width]
		copy(out, columns[head*width:])
		copy(in, out)
		kernel.Scale(in, step)
		kernel.Scale(out, x.d[head])
		eachBlock(state, width, func(from, to int, rows []float32) {
			kernel.UpdateRows(out[from:to], rows, keep, in[from:to], b, c)
		})
	}
}

func softplus(x float32) float32 {
	if x > 20 {
		return x
	}
	return float32(math.Log1p(math.Exp(float64(x))))
}
