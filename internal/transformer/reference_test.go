package transformer

import (
	"math"
	"slices"

	"parley/internal/kernel"
)

// The model again, in float64 and as plainly as it can be written: weights made
// floats, no cache, no blocks, no batches. Shares with the real one only the
// loaded weights and their conversion.

func referenceLogits(m *Model, ids []int32) []float64 {
	c := &m.config
	x := make([][]float64, len(ids))
	for i, id := range ids {
		x[i] = matrixRow(&m.embed, int(id))
		for d := range x[i] {
			x[i][d] *= float64(c.embedScale)
		}
		if m.positions.Rows > 0 {
			for d, v := range matrixRow(&m.positions, i) {
				x[i][d] += v
			}
		}
		x[i] = referenceNorm(x[i], m.embedNorm)
	}
	begins := make([][]float64, len(ids))
	for p := range x {
		begins[p] = slices.Clone(x[p])
	}
	streams := make([][][]float64, len(ids))
	for p := range ids {
		streams[p] = referenceStreams(m, x[p])
	}
	firstValues, channelReads := make([][]float64, len(ids)), make([][]float64, len(ids))
	keys, values := make([][][]float64, len(m.layers)), make([][][]float64, len(m.layers))
	for i := range m.layers {
		l := &m.layers[i]
		s := &l.spec
		predicted := make([][][]float64, len(ids))
		for p := range ids {
			if l.alternation != nil {
				predicted[p] = referencePrediction(m, l, streams[p])
				x[p] = slices.Clone(predicted[p][m.altup.active])
			}
		}
		q, k, v, reads := make([][]float64, len(ids)), make([][]float64, len(ids)), make([][]float64, len(ids)), make([][]float64, len(ids))
		before := make([][]float64, len(ids))
		kvHeads, keyDim := s.kvHeads, s.keyDim
		if l.latent != nil {
			kvHeads, keyDim = s.heads, s.latent.plain+s.rotated
		}
		for p := range ids {
			before[p] = slices.Clone(x[p])
			reads[p] = referenceNorm(x[p], l.attnNorm)
			if s.kvHeads == 0 {
				continue
			}
			if l.latent != nil {
				q[p], k[p], v[p] = referenceLatent(m, l, reads[p], p)
			} else {
				q[p], k[p], v[p] = referenceProjections(m, l, reads[p], p)
			}
			for d := range q[p] {
				q[p][d] *= 1 + s.growth.scale*math.Log(1+math.Floor(float64(p+s.growth.ahead)/float64(max(1, s.growth.every))))
			}
		}
		keys[i], values[i] = k, v
		k, v = keys[s.source], values[s.source]
		valueDim := s.headOut()
		for p := range ids {
			seen := make([]float64, s.heads*valueDim)
			for h := range s.heads {
				kh := h / (s.heads / kvHeads)
				var weights []float64
				var sum float64
				first := 0
				if s.window.chunked {
					first = p - p%s.window.tokens
				} else if s.window.tokens > 0 {
					first = max(0, p+1-s.window.tokens)
				}
				for o := first; o <= p; o++ {
					var dot float64
					for d := range keyDim {
						dot += q[p][h*keyDim+d] * k[o][kh*keyDim+d]
					}
					dot *= float64(s.scale)
					if s.cap > 0 {
						dot = float64(s.cap) * math.Tanh(dot/float64(s.cap))
					}
					if s.alibi > 0 {
						dot -= float64(l.slopes[h]) * float64(p-o)
					}
					w := math.Exp(dot)
					weights, sum = append(weights, w), sum+w
				}
				if l.sinks != nil {
					sum += math.Exp(float64(l.sinks[h]))
				}
				for o, w := range weights {
					for d := range valueDim {
						seen[h*valueDim+d] += w / sum * v[first+o][kh*valueDim+d]
					}
				}
			}
			switch s.gates {
			case gatesInQueries:
				gates := referenceMul(&l.q, reads[p], nil)
				for d := range seen {
					seen[d] /= 1 + math.Exp(-gates[(2*(d/keyDim)+1)*keyDim+d%keyDim])
				}
			case gateOfHead:
				gates := referenceMul(&l.gate, reads[p], nil)
				for d := range seen {
					seen[d] /= 1 + math.Exp(-gates[d/valueDim])
				}
			case gatesOfAll:
				for d, g := range referenceMul(&l.gate, reads[p], nil) {
					seen[d] /= 1 + math.Exp(-g)
				}
			}
			add := func(y []float64, post *norm) {
				for d, y := range referenceNorm(y, post) {
					x[p][d] += y * float64(m.config.residualScale)
				}
			}
			n := reads[p]
			if s.parallel == parallel && l.ffnNorm != nil {
				n = referenceNorm(x[p], l.ffnNorm)
			}
			if l.convolution != nil {
				add(referenceConvolution(l.convolution, reads[:p+1]), nil)
			} else if s.delta.kda {
				add(referenceKDA(l.delta, &s.delta, reads[:p+1]), nil)
			} else if l.delta != nil {
				add(referenceDelta(l.delta, &s.delta, reads[:p+1]), nil)
			} else if s.rwkv.version == 7 {
				add(referenceRWKV7(l.rwkv, &s.rwkv, reads[:p+1], firstValues), nil)
			} else if s.rwkv.version == 6 {
				add(referenceRWKV6(l.rwkv, &s.rwkv, reads[:p+1]), nil)
			} else if s.linear {
				add(referenceMul(&l.o, reads[p], l.ob), nil)
			} else if s.kvHeads > 0 {
				add(referenceMul(&l.o, referenceNorm(seen, l.seenNorm), l.ob), l.attnPost)
			}
			if l.laurel != nil {
				for d, y := range referenceNorm(referenceMul(&l.laurel.up, referenceMul(&l.laurel.down, reads[p], nil), nil), l.laurel.post) {
					x[p][d] = (x[p][d] + reads[p][d] + y) / math.Sqrt2
				}
			}
			if l.mamba1 != nil {
				add(referenceChannels(l.mamba1, &s.mamba1, reads[:p+1]), nil)
			}
			if l.mamba != nil {
				add(referenceScan(l.mamba, &s.mamba, reads[:p+1]), nil)
			}
			if s.ffn == 0 {
				continue
			}
			if s.parallel != parallel {
				n = referenceNorm(x[p], l.ffnNorm)
			}
			if l.channels != nil {
				channelReads[p] = n
				add(referenceChannelMix(l, channelReads[:p+1]), nil)
			} else if s.routing.experts == 0 {
				add(referenceExpert(&l.experts[0], s, s.limit, n), l.ffnPost)
			} else {
				add(referenceMixture(l, x[p], n, before[p]), l.ffnPost)
			}
			if l.alternation != nil {
				streams[p] = referenceCorrection(m, l, predicted[p], x[p])
				scaled := slices.Clone(streams[p][m.altup.active])
				for d := range scaled {
					scaled[d] *= float64(l.alternation.scale[d])
				}
				opened := referenceNorm(referenceOpening(m, l, i, ids[p], begins[p], scaled), l.opening.post)
				for _, stream := range streams[p][1:] {
					for d := range stream {
						stream[d] += opened[d]
					}
				}
				x[p] = referenceMerged(m, streams[p])
			} else if l.opening != nil {
				add(referenceOpening(m, l, i, ids[p], begins[p], x[p]), l.opening.post)
			}
			for d := range x[p] {
				x[p][d] *= float64(l.scale)
			}
		}
	}
	var out []float64
	for p := range ids {
		for _, v := range referenceMul(&m.output, referenceNorm(x[p], m.norm), m.outputBias) {
			v *= float64(c.logitScale)
			if c.logitCap > 0 {
				v = float64(c.logitCap) * math.Tanh(v/float64(c.logitCap))
			}
			out = append(out, v)
		}
	}
	return out
}

// referenceStreams are those that begin with an embedding, if there are several.
func referenceStreams(m *Model, x []float64) [][]float64 {
	streams := [][]float64{slices.Clone(x)}
	for i := range m.altup.from {
		streams = append(streams, referenceAsLong(referenceMul(&m.altup.from[i], x, nil), x))
	}
	return streams
}

// referenceMerged is the mean of what streams become in the end.
func referenceMerged(m *Model, streams [][]float64) []float64 {
	x := slices.Clone(streams[0])
	for i := range m.altup.to {
		for d, y := range referenceAsLong(referenceMul(&m.altup.to[i], streams[i+1], nil), streams[0]) {
			x[d] += y
		}
	}
	for d := range x {
		x[d] /= float64(len(streams))
	}
	return x
}

func referenceAsLong(x, as []float64) []float64 {
	var of, to float64
	for d := range x {
		of, to = of+x[d]*x[d], to+as[d]*as[d]
	}
	for d := range x {
		x[d] *= math.Sqrt(to / of)
	}
	return x
}

// referenceRouter is what the router says of x.
func referenceRouter(l *layer, x []float64) []float64 {
	said := referenceMul(&l.alternation.router, referenceNorm(x, l.alternation.routerNorm), nil)
	for i := range said {
		said[i] = math.Tanh(said[i] / float64(len(x)))
	}
	return said
}

func referencePrediction(m *Model, l *layer, streams [][]float64) (out [][]float64) {
	said := referenceRouter(l, streams[m.altup.active])
	for to := range streams {
		x := slices.Clone(streams[to])
		for from := range streams {
			for k, v := range said {
				for d := range x {
					x[d] += float64(l.alternation.predict[to*len(streams)+from][k]) * v * streams[from][d]
				}
			}
		}
		out = append(out, x)
	}
	return out
}

func referenceCorrection(m *Model, l *layer, predicted [][]float64, x []float64) (out [][]float64) {
	said := referenceRouter(l, x)
	for to := range predicted {
		by := 1.0
		for k, v := range said {
			by += float64(l.alternation.correct[to][k]) * v
		}
		stream := slices.Clone(predicted[to])
		for d := range stream {
			stream[d] += by * (x[d] - predicted[m.altup.active][d])
		}
		out = append(out, stream)
	}
	return out
}

// referenceConvolution is what a short convolution makes of the last of some tokens.
func referenceConvolution(c *convolution, reads [][]float64) []float64 {
	sum := make([]float64, len(reads[0]))
	for t, tap := range c.taps {
		p := len(reads) - len(c.taps) + t
		if p < 0 {
			continue
		}
		gates := referenceMul(&c.in, reads[p], nil)
		for d := range sum {
			sum[d] += float64(tap[d]) * gates[d] * gates[2*len(sum)+d]
		}
	}
	gates := referenceMul(&c.in, reads[len(reads)-1], nil)
	for d := range sum {
		sum[d] *= gates[len(sum)+d]
	}
	return referenceMul(&c.out, sum, nil)
}

// referenceScan is what Mamba-2 makes of the last of some tokens: all are read again.
func referenceScan(x *mamba, s *mambaSpec, reads [][]float64) []float64 {
	silu := func(v float64) float64 { return v / (1 + math.Exp(-v)) }
	state := make([]float64, s.inner*s.state)
	var made [][]float64
	y := make([]float64, s.inner)
	for p, read := range reads {
		made = append(made, referenceMul(&x.in, read, nil))
		columns := make([]float64, s.channels())
		for c := range columns {
			sum := float64(x.tapsBias[c])
			for t, tap := range x.taps {
				if at := p - len(x.taps) + 1 + t; at >= 0 {
					sum += float64(tap[c]) * made[at][s.inner+c]
				}
			}
			columns[c] = silu(sum)
		}
		for e := range s.inner {
			h := e / (s.inner / s.heads)
			group := h / (s.heads / s.groups)
			step := math.Log1p(math.Exp(made[p][s.inner+s.channels()+h] + float64(x.stepBias[h])))
			y[e] = float64(x.d[h]) * columns[e]
			for i := range s.state {
				v := &state[e*s.state+i]
				*v = *v*math.Exp(step*float64(x.a[h])) + columns[s.inner+group*s.state+i]*step*columns[e]
				y[e] += *v * columns[s.inner+(s.groups+group)*s.state+i]
			}
			y[e] *= silu(made[p][e])
		}
	}
	return referenceMul(&x.out, referenceNorm(y, x.norm), nil)
}

// referenceChannels is what Mamba 1 makes of the last of some tokens: all are read again.
func referenceChannels(x *mamba1, s *mamba1Spec, reads [][]float64) []float64 {
	silu := func(v float64) float64 { return v / (1 + math.Exp(-v)) }
	states := make([][]float64, s.inner)
	for c := range states {
		states[c] = make([]float64, s.state)
	}
	rate := func(c, i int) float64 { // as a matrix that is cut into blocks of columns
		block, columns := c/kernel.RowColumns*kernel.RowColumns, kernel.RowColumns
		columns = min(columns, s.inner-block)
		return float64(x.a[block*s.state+i*columns+c-block])
	}
	var made [][]float64 // x and z
	y := make([]float64, s.inner)
	for p, read := range reads {
		made = append(made, referenceMul(&x.in, read, nil))
		columns := make([]float64, s.inner)
		for c := range columns {
			sum := float64(x.tapsBias[c])
			for t, tap := range x.taps {
				if at := p - len(x.taps) + 1 + t; at >= 0 {
					sum += float64(tap[c]) * made[at][c]
				}
			}
			columns[c] = silu(sum)
		}
		of := referenceMul(&x.made, columns, nil)
		short, b, k := referenceNorm(of[:s.rank], x.stepNorm), referenceNorm(of[s.rank:s.rank+s.state], x.bNorm), referenceNorm(of[s.rank+s.state:], x.cNorm)
		for c, step := range referenceMul(&x.step, short, x.stepBias) {
			step = math.Log1p(math.Exp(step))
			y[c] = float64(x.d[c]) * columns[c]
			for i := range s.state {
				states[c][i] = states[c][i]*math.Exp(step*rate(c, i)) + step*columns[c]*b[i]
				y[c] += states[c][i] * k[i]
			}
			y[c] *= silu(made[p][s.inner+c])
		}
	}
	return referenceMul(&x.out, y, nil)
}

// referenceKDA is what Kimi Delta Attention makes of the last of some tokens: all are read again.
func referenceKDA(x *delta, s *deltaSpec, reads [][]float64) []float64 {
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	state := make([][]float64, s.inner()) // of all heads, a row for each element of a key
	for e := range state {
		state[e] = make([]float64, s.dim)
	}
	var y []float64
	for p := range reads {
		part := func(matrix *kernel.Matrix, which int) []float64 { // of queries, keys or values
			sum := make([]float64, s.inner())
			for t, tap := range x.taps {
				if at := p - len(x.taps) + 1 + t; at >= 0 {
					for c, v := range referenceMul(matrix, reads[at], nil) {
						sum[c] += float64(tap[which*s.inner()+c]) * v
					}
				}
			}
			for c, v := range sum {
				sum[c] = v * sigmoid(v)
			}
			return sum
		}
		q, k, v := part(&x.kda.q, 0), part(&x.kda.k, 1), part(&x.kda.v, 2)
		logits := referenceMul(&x.kda.keepUp, referenceMul(&x.kda.keepDown, reads[p], nil), x.keepBias)
		take := referenceMul(&x.take, reads[p], nil)
		y = make([]float64, s.inner())
		for h := range s.heads {
			from := h * s.dim
			unit := func(x []float64) []float64 {
				var sum float64
				for _, v := range x[from:][:s.dim] {
					sum += v * v
				}
				out := slices.Clone(x[from:][:s.dim])
				for i := range out {
					out[i] /= math.Sqrt(sum)
				}
				return out
			}
			q, k := unit(q), unit(k)
			seen := make([]float64, s.dim)
			for e := range k {
				for j := range seen {
					state[from+e][j] *= math.Exp(float64(x.a[h]) * math.Log1p(math.Exp(logits[from+e])))
					seen[j] += k[e] * state[from+e][j]
				}
			}
			for e := range k {
				for j := range seen {
					state[from+e][j] += k[e] * sigmoid(take[h]) * (v[from+j] - seen[j])
					y[from+j] += q[e] * state[from+e][j] / math.Sqrt(float64(s.dim))
				}
			}
		}
		y = referenceNorm(y, x.norm)
		for e, g := range referenceMul(&x.kda.zUp, referenceMul(&x.kda.zDown, reads[p], nil), nil) {
			y[e] *= sigmoid(g)
		}
	}
	return referenceMul(&x.out, y, nil)
}

// referenceShift is the last of some rows, shifted towards the one before it.
func referenceShift(reads [][]float64, mu []float64) []float64 {
	x := slices.Clone(reads[len(reads)-1])
	for d, v := range x {
		before := 0.0
		if len(reads) > 1 {
			before = reads[len(reads)-2][d]
		}
		x[d] += mu[d] * (before - v)
	}
	return x
}

func floats64(x []float32) (out []float64) {
	for _, v := range x {
		out = append(out, float64(v))
	}
	return out
}

// referenceChannelMix is what channel mixing makes of the last of some tokens.
func referenceChannelMix(l *layer, reads [][]float64) []float64 {
	x := l.channels
	y := referenceExpert(&l.experts[0], &l.spec, 0, referenceShift(reads, floats64(x.shifts[0])))
	if x.receptance.Rows > 0 {
		for d, r := range referenceMul(&x.receptance, referenceShift(reads, floats64(x.shifts[1])), nil) {
			y[d] /= 1 + math.Exp(-r)
		}
	}
	return y
}

func referenceLow(x *lowRank, read []float64, between func(float64) float64) []float64 {
	short := referenceMul(&x.down, read, nil)
	for i, v := range short {
		short[i] = between(v)
	}
	return referenceMul(&x.up, short, x.bias)
}

// referenceRWKV7 is what time mixing of RWKV 7 makes of the last of some tokens: all are read
// again. The first layer fills in the values of each token, all others use them. States lie
// as in the paper: a row for each element of a value.
func referenceRWKV7(x *rwkv, s *rwkvSpec, reads, firstValues [][]float64) []float64 {
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	same := func(v float64) float64 { return v }
	t := &x.seven
	state := make([][]float64, s.inner())
	for e := range state {
		state[e] = make([]float64, s.dim)
	}
	y := make([]float64, s.inner())
	for p := range reads {
		shifted := func(which int) []float64 { return referenceShift(reads[:p+1], floats64(x.shifts[which])) }
		r, k, v := referenceMul(&x.r, shifted(0), nil), referenceMul(&x.k, shifted(2), nil), referenceMul(&x.v, shifted(3), nil)
		w, a := referenceLow(&t.low[decays], shifted(1), math.Tanh), referenceLow(&t.low[rates], shifted(4), same)
		if t.low[residuals].up.Rows > 0 {
			for e, share := range referenceLow(&t.low[residuals], shifted(3), same) {
				v[e] += (firstValues[p][e] - v[e]) * sigmoid(share)
			}
		} else {
			firstValues[p] = v
		}
		for h := range s.heads {
			at := h * s.dim
			var length, bonus float64
			kappa := make([]float64, s.dim)
			for e := range kappa {
				kappa[e] = k[at+e] * float64(t.kappa[at+e])
				length += kappa[e] * kappa[e]
			}
			for e := range kappa {
				kappa[e] /= math.Sqrt(length)
				k[at+e] *= 1 + (sigmoid(a[at+e])-1)*float64(t.alpha[at+e])
				bonus += r[at+e] * k[at+e] * float64(t.rho[at+e])
			}
			for i := range s.dim {
				row, found := state[at+i], 0.0
				for j := range row {
					found += row[j] * kappa[j]
				}
				y[at+i] = 0
				for j := range row {
					row[j] = row[j]*math.Exp(-0.606531*sigmoid(w[at+j])) - found*kappa[j]*sigmoid(a[at+j]) + v[at+i]*k[at+j]
					y[at+i] += row[j] * r[at+j]
				}
			}
			copy(y[at:], referenceHeadNorm(y[at:][:s.dim], x.norm, at))
			for i := range s.dim {
				y[at+i] += bonus * v[at+i]
			}
		}
		if t.low[gates].up.Rows > 0 {
			for e, g := range referenceLow(&t.low[gates], shifted(5), sigmoid) {
				y[e] *= g
			}
		}
	}
	return referenceMul(&x.out, y, nil)
}

// referenceHeadNorm normalises one head of those that the norm has weights for.
func referenceHeadNorm(x []float64, n *norm, at int) []float64 {
	if n == nil {
		return x
	}
	one := *n
	one.weight, one.bias = n.weight[at:][:len(x)], n.bias[at:][:len(x)]
	return referenceNorm(x, &one)
}

// referenceRWKV6 is what time mixing of RWKV 6 makes of the last of some tokens: all are read again.
func referenceRWKV6(x *rwkv, s *rwkvSpec, reads [][]float64) []float64 {
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	t := &x.six
	state := make([][]float64, s.inner())
	for e := range state {
		state[e] = make([]float64, s.dim)
	}
	y := make([]float64, s.inner())
	for p := range reads {
		mixing := referenceMul(&t.down, referenceShift(reads[:p+1], floats64(t.shift)), nil)
		for i, v := range mixing {
			mixing[i] = math.Tanh(v)
		}
		shifted := func(which int) []float64 {
			mu := referenceMul(&t.up[which], mixing[which*s.mixing:][:s.mixing], x.shifts[which])
			return referenceShift(reads[:p+1], mu)
		}
		w := referenceLow(&t.decay, shifted(0), math.Tanh)
		k, v := referenceMul(&x.k, shifted(1), x.kb), referenceMul(&x.v, shifted(2), x.vb)
		r, g := referenceMul(&x.r, shifted(3), x.rb), referenceMul(&t.gate, shifted(4), nil)
		for h := range s.heads {
			at, of := h*s.dim, h/(s.heads/s.kvHeads)*s.dim
			for j := range s.dim {
				y[at+j] = 0
			}
			for i := range s.dim {
				keep := math.Exp(-math.Exp(w[at+i]))
				for j := range s.dim {
					before, add := state[at+i][j], k[of+i]*v[of+j]
					if t.bonus == nil {
						state[at+i][j] = keep*before + (1-keep)*add
						y[at+j] += r[at+i] * state[at+i][j] / math.Sqrt(float64(s.dim))
					} else {
						state[at+i][j] = keep*before + add
						y[at+j] += r[at+i] * (before + float64(t.bonus[at+i])*add)
					}
				}
			}
			copy(y[at:], referenceHeadNorm(y[at:][:s.dim], x.norm, at))
		}
		for e := range y {
			if t.bonus != nil {
				y[e] *= g[e]
			}
			y[e] *= sigmoid(g[e])
		}
	}
	return referenceMul(&x.out, y, nil)
}

// referenceDelta is what Gated DeltaNet makes of the last of some tokens: all are read again.
func referenceDelta(x *delta, s *deltaSpec, reads [][]float64) []float64 {
	silu := func(v float64) float64 { return v / (1 + math.Exp(-v)) }
	each, rows := s.heads/s.keyHeads, make([][]float64, s.heads*s.dim) // of the states, transposed
	for e := range rows {
		rows[e] = make([]float64, s.dim)
	}
	var made [][]float64 // queries, keys and values
	y := make([]float64, s.inner())
	for p, read := range reads {
		var in, z, take, keep []float64
		if x.mixed.Rows > 0 {
			all := referenceMul(&x.mixed, read, nil)
			var keys, values []float64
			for h := range s.keyHeads {
				of := all[h*2*(1+each)*s.dim:]
				in, keys = append(in, of[:s.dim]...), append(keys, of[s.dim:2*s.dim]...)
				values, z = append(values, of[2*s.dim:(2+each)*s.dim]...), append(z, of[(2+each)*s.dim:(2+2*each)*s.dim]...)
			}
			in = append(append(in, keys...), values...)
		} else {
			in, z = referenceMul(&x.in, read, nil), referenceMul(&x.z, read, nil)
		}
		if x.both.Rows > 0 {
			all := referenceMul(&x.both, read, nil)
			for h := range s.keyHeads {
				take, keep = append(take, all[2*h*each:(2*h+1)*each]...), append(keep, all[(2*h+1)*each:(2*h+2)*each]...)
			}
		} else {
			take, keep = referenceMul(&x.take, read, nil), referenceMul(&x.keep, read, nil)
		}
		made = append(made, in)
		columns := make([]float64, s.channels())
		for c := range columns {
			for t, tap := range x.taps {
				if at := p - len(x.taps) + 1 + t; at >= 0 {
					columns[c] += float64(tap[c]) * made[at][c]
				}
			}
			columns[c] = silu(columns[c])
		}
		for h := range s.heads {
			from := h % s.keyHeads
			if s.neighbour {
				from = h / each
			}
			q, k, v := columns[from*s.dim:][:s.dim], columns[(s.keyHeads+from)*s.dim:][:s.dim], columns[(2*s.keyHeads+h)*s.dim:][:s.dim]
			length := func(x []float64) (sum float64) {
				for _, v := range x {
					sum += v * v
				}
				return math.Sqrt(sum)
			}
			kept, taken := math.Exp(float64(x.a[h])*math.Log1p(math.Exp(keep[h]+float64(x.keepBias[h])))), 1/(1+math.Exp(-take[h]))
			for e := range s.dim {
				row, dot := rows[h*s.dim+e], 0.0
				for i := range row {
					row[i] *= kept
					dot += row[i] * k[i] / length(k)
				}
				y[h*s.dim+e] = 0
				for i := range row {
					row[i] += taken * (v[e] - dot) * k[i] / length(k)
					y[h*s.dim+e] += row[i] * q[i] / length(q) / math.Sqrt(float64(s.dim))
				}
			}
		}
		y = referenceNorm(y, x.norm)
		for e := range y {
			y[e] *= silu(z[e])
		}
	}
	return referenceMul(&x.out, y, nil)
}

func referenceProjections(m *Model, l *layer, n []float64, p int) (q, k, v []float64) {
	s := &l.spec
	q = referenceMul(&l.q, n, l.qb)
	if s.gates == gatesInQueries { // every second head's is a gate
		for h := range s.heads {
			copy(q[h*s.keyDim:][:s.keyDim], q[2*h*s.keyDim:])
		}
		q = q[:s.heads*s.keyDim]
	}
	if l.k.Rows > 0 {
		k = referenceMul(&l.k, n, l.kb)
		if v = slices.Clone(k); l.v.Rows > 0 {
			v = referenceMul(&l.v, n, l.vb)
		}
		for d := range v {
			v[d] *= float64(s.values)
		}
		v = referenceNorm(v, l.vNorm)
	}
	for _, x := range [][]float64{q, k, v} {
		for d := range x {
			if s.clamp > 0 {
				x[d] = min(max(x[d], -float64(s.clamp)), float64(s.clamp))
			}
		}
	}
	if !s.qkNormLate {
		q, k = referenceNorm(q, l.qNorm), referenceNorm(k, l.kNorm)
	}
	for h := 0; h < len(q); h += s.keyDim {
		referenceRotate(m, s, q[h:], p)
	}
	for h := 0; h < len(k); h += s.keyDim {
		referenceRotate(m, s, k[h:], p)
	}
	if s.qkNormLate {
		q, k = referenceNorm(q, l.qNorm), referenceNorm(k, l.kNorm)
	}
	return q, k, v
}

// referenceLatent makes the keys and values of all heads, as the model was trained.
func referenceLatent(m *Model, l *layer, n []float64, p int) (q, k, v []float64) {
	s, x := &l.spec, l.latent
	from := n
	if x.queryNorm != nil {
		from = referenceNorm(referenceMul(&x.queryDown, n, nil), x.queryNorm)
	}
	q = referenceMul(&x.query, from, nil)
	down := referenceMul(&x.down, n, nil)
	row := referenceNorm(down[:s.latent.rank], x.norm)
	shared := down[s.latent.rank:]
	referenceRotate(m, s, shared, p)
	for h := range s.heads {
		referenceRotate(m, s, q[h*(s.latent.plain+s.rotated)+s.latent.plain:], p)
		plain := make([]float64, s.latent.plain)
		for r, y := range row {
			for d, w := range matrixRow(&x.keys[h], r) {
				plain[d] += w * y
			}
		}
		k = append(append(k, plain...), shared...)
		v = append(v, referenceMul(&x.values[h], row, nil)...)
	}
	return q, k, v
}

// referenceOpening is what the stream opens of a layer's own embedding.
func referenceOpening(m *Model, l *layer, index int, id int32, begin, x []float64) []float64 {
	p, o := &m.perLayer, l.opening
	given := referenceMul(&p.from, begin, nil)
	for d := range given {
		given[d] /= math.Sqrt(float64(len(begin)))
	}
	given = referenceNorm(given, p.norm)
	own, gate := matrixRow(&p.embed, int(id)), referenceMul(&o.gate, x, nil)
	for d, g := range gate {
		at := index*p.size + d
		e := (given[at] + own[at]*math.Sqrt(float64(p.size))) / math.Sqrt2
		gate[d] = g / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+0.044715*g*g*g))) * e
	}
	return referenceMul(&o.out, gate, nil)
}

// referenceMixture is what experts make of the stream x, which is n when normalised and was
// before that before attention.
func referenceMixture(l *layer, x, n, before []float64) []float64 {
	s := &l.spec
	r := &s.routing
	y := make([]float64, len(n))
	if l.shared != nil {
		gate := 1.0
		if l.sharedGate.Rows > 0 {
			gate = 1 / (1 + math.Exp(-referenceMul(&l.sharedGate, n, nil)[0]))
		}
		for d, v := range referenceNorm(referenceExpert(l.shared, s, s.limit, n), l.sharedPost) {
			y[d] += gate * v
		}
	}
	routed := n
	if l.routerNorm != nil {
		routed, n = referenceNorm(x, l.routerNorm), referenceNorm(x, l.expertsNorm)
	}
	if r.first {
		routed = before
	}
	route := referenceMul(&l.router, routed, l.routerBias)
	probability, all := make([]float64, len(route)), 0.0
	for _, v := range route {
		all += math.Exp(v)
	}
	for e, v := range route {
		switch r.gating {
		case softmax:
			probability[e] = math.Exp(v) / all
		case sigmoid:
			probability[e] = 1 / (1 + math.Exp(-v))
		case softmaxOfUsed:
			probability[e] = math.Exp(v) // made to add up to one below
		}
	}
	rank := func(e int) float64 {
		if l.choiceBias != nil {
			return probability[e] + float64(l.choiceBias[e])
		}
		return probability[e]
	}
	open := map[int]bool{}
	for range r.groupsUsed {
		best, most := -1, 0.0
		for g := range r.groups {
			var ranks []float64
			for e := range r.experts / r.groups {
				ranks = append(ranks, rank(g*r.experts/r.groups+e))
			}
			slices.Sort(ranks)
			if sum := ranks[len(ranks)-1] + ranks[len(ranks)-2]; !open[g] && (best < 0 || sum > most) {
				best, most = g, sum
			}
		}
		open[best] = true
	}
	chosen, sum := map[int]float64{}, 0.0
	for range r.used {
		best := -1
		for e := range route {
			if r.groups > 0 && !open[e/(r.experts/r.groups)] {
				continue
			}
			if _, taken := chosen[e]; !taken && (best < 0 || rank(e) > rank(best)) {
				best = e
			}
		}
		chosen[best] = probability[best]
		sum += chosen[best]
	}
	if r.narrow > 0 {
		n = referenceMul(&l.narrow, n, nil)
	}
	given := make([]float64, len(n))
	for e, weight := range chosen {
		if r.normed || r.gating == softmaxOfUsed {
			weight /= sum
		}
		if l.expertScale != nil {
			weight *= float64(l.expertScale[e])
		}
		weight *= float64(r.scale)
		read := n
		if r.weightFirst {
			read = slices.Clone(n)
			for d := range read {
				read[d] *= weight
			}
			weight = 1
		}
		for d, v := range referenceExpert(&l.experts[e], s, r.limit, read) {
			given[d] += weight * v
		}
	}
	if r.narrow > 0 {
		given = referenceMul(&l.widen, given, nil)
	}
	for d, v := range referenceNorm(given, l.expertsPost) {
		y[d] += v
	}
	return y
}

func referenceExpert(e *expert, s *layerSpec, limit float32, n []float64) []float64 {
	up := referenceMul(&e.up, n, e.upBias)
	gate := up
	if e.gate.Rows > 0 {
		gate = referenceMul(&e.gate, n, e.gateBias)
	}
	if s.sparsity.on {
		var mean, variance float64
		for _, g := range gate {
			mean += g / float64(len(gate))
		}
		for _, g := range gate {
			variance += (g - mean) * (g - mean) / float64(len(gate)-1)
		}
		for i, g := range gate {
			gate[i] = max(0, g-mean-float64(s.sparsity.deviations)*math.Sqrt(variance))
		}
	}
	out := make([]float64, len(up))
	for d, g := range gate {
		asGELU := g / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+0.044715*g*g*g)))
		switch s.activation {
		case swiGLU:
			if limit > 0 {
				out[d] = min(g/(1+math.Exp(-g)), float64(limit)) * min(max(up[d], -float64(limit)), float64(limit))
				continue
			}
			out[d] = g / (1 + math.Exp(-g)) * up[d]
		case geGLU:
			out[d] = asGELU * up[d]
		case swiGLUClamped:
			g = min(g, 7)
			out[d] = g / (1 + math.Exp(-1.702*g)) * (min(max(up[d], -7), 7) + 1)
		case reGLU:
			out[d] = max(g, 0) * up[d]
		case gelu:
			out[d] = asGELU
		case xIELU:
			x := &s.xielu
			if out[d] = float64(x.Beta) * g; g > 0 {
				out[d] += float64(x.Positive) * g * g
			} else {
				out[d] += float64(x.Negative) * (math.Expm1(min(g, float64(x.Edge))) - g)
			}
		case squaredReLU:
			out[d] = max(g, 0) * max(g, 0)
		}
	}
	return referenceMul(&e.down, referenceNorm(out, e.norm), e.downBias)
}

func matrixRow(m *kernel.Matrix, r int) []float64 {
	row := make([]float32, m.Cols)
	m.Row(row, r)
	out := make([]float64, m.Cols)
	for i, v := range row {
		out[i] = float64(v)
	}
	return out
}

func referenceMul(m *kernel.Matrix, x []float64, bias []float32) []float64 {
	out, row := make([]float64, m.Rows), make([]float32, m.Cols)
	for r := range out {
		m.Row(row, r)
		for i, w := range row {
			out[r] += float64(w) * x[i]
		}
		if bias != nil {
			out[r] += float64(bias[r])
		}
	}
	return out
}

func referenceNorm(x []float64, n *norm) []float64 {
	if n == nil {
		return x
	}
	out := make([]float64, len(x))
	for from := 0; from < len(x); from += n.group {
		var mean, sum float64
		group := x[from : from+n.group]
		for _, v := range group {
			mean += v / float64(n.group)
		}
		if !n.centred {
			mean = 0
		}
		for _, v := range group {
			sum += (v - mean) * (v - mean) / float64(n.group)
		}
		for i, v := range group {
			v = (v - mean) / math.Sqrt(sum+float64(n.eps))
			if n.weight != nil {
				v *= float64(n.weight[(from+i)%len(n.weight)])
			}
			if n.bias != nil {
				v += float64(n.bias[(from+i)%len(n.bias)])
			}
			out[from+i] = v
		}
	}
	return out
}

// referenceRotate rotates the leading elements of x.
func referenceRotate(m *Model, s *layerSpec, x []float64, position int) {
	if s.turns < 0 {
		return
	}
	for i := range s.rotated / 2 {
		a, b := 2*i, 2*i+1
		if s.pairing == halves {
			a, b = i, i+s.rotated/2
		}
		sin, cos := math.Sincos(float64(position) * m.turns[s.turns].frequency[i])
		sin, cos = sin*m.turns[s.turns].length, cos*m.turns[s.turns].length
		x[a], x[b] = x[a]*cos-x[b]*sin, x[a]*sin+x[b]*cos
	}
}
