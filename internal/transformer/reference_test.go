package transformer

import (
	"math"

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
	}
	for i := range m.layers {
		l := &m.layers[i]
		s := &l.spec
		q, k, v := make([][]float64, len(ids)), make([][]float64, len(ids)), make([][]float64, len(ids))
		for p := range ids {
			n := referenceNorm(x[p], l.attnNorm, c.Eps)
			q[p], k[p], v[p] = referenceMul(&l.q, n, l.qb), referenceMul(&l.k, n, l.kb), referenceMul(&l.v, n, l.vb)
			q[p], k[p] = referenceHeads(q[p], l.qNorm, c.Eps), referenceHeads(k[p], l.kNorm, c.Eps)
			referenceRotate(m, s, q[p], p)
			referenceRotate(m, s, k[p], p)
		}
		for p := range ids {
			seen := make([]float64, s.heads*s.valueDim)
			for h := range s.heads {
				kh := h / (s.heads / s.kvHeads)
				var weights []float64
				var sum float64
				first := 0
				if s.window > 0 {
					first = max(0, p+1-s.window)
				}
				for o := first; o <= p; o++ {
					var dot float64
					for d := range s.keyDim {
						dot += q[p][h*s.keyDim+d] * k[o][kh*s.keyDim+d]
					}
					dot *= float64(s.scale)
					if s.cap > 0 {
						dot = float64(s.cap) * math.Tanh(dot/float64(s.cap))
					}
					w := math.Exp(dot)
					weights, sum = append(weights, w), sum+w
				}
				for o, w := range weights {
					for d := range s.valueDim {
						seen[h*s.valueDim+d] += w / sum * v[first+o][kh*s.valueDim+d]
					}
				}
			}
			add := func(y []float64, post []float32) {
				for d, y := range referenceHeads(y, post, c.Eps) {
					x[p][d] += y * float64(c.residualScale)
				}
			}
			add(referenceMul(&l.o, seen, l.ob), l.attnPost)
			n := referenceNorm(x[p], l.ffnNorm, c.Eps)
			if s.experts == 0 {
				add(referenceExpert(&l.experts[0], s, n), l.ffnPost)
				continue
			}
			y, chosen, sum := make([]float64, c.Dim), map[int]float64{}, 0.0
			route, all := referenceMul(&l.router, n, nil), 0.0
			for _, v := range route {
				all += math.Exp(v)
			}
			for range s.used {
				best := -1
				for e, v := range route {
					if _, taken := chosen[e]; !taken && (best < 0 || v > route[best]) {
						best = e
					}
				}
				chosen[best] = math.Exp(route[best]) / all
				sum += chosen[best]
			}
			for e, weight := range chosen {
				if s.normUsed {
					weight /= sum
				}
				for d, v := range referenceExpert(&l.experts[e], s, n) {
					y[d] += weight * v
				}
			}
			add(y, l.ffnPost)
		}
	}
	var out []float64
	for p := range ids {
		for _, v := range referenceMul(&m.output, referenceNorm(x[p], m.norm, c.Eps), nil) {
			v *= float64(c.logitScale)
			if c.logitCap > 0 {
				v = float64(c.logitCap) * math.Tanh(v/float64(c.logitCap))
			}
			out = append(out, v)
		}
	}
	return out
}

func referenceExpert(e *expert, s *layerSpec, n []float64) []float64 {
	gate, up := referenceMul(&e.gate, n, nil), referenceMul(&e.up, n, nil)
	for d, g := range gate {
		if s.gelu {
			gate[d] = g / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+0.044715*g*g*g))) * up[d]
		} else {
			gate[d] = g / (1 + math.Exp(-g)) * up[d]
		}
	}
	return referenceMul(&e.down, gate, nil)
}

// referenceHeads normalises x in groups as long as w, if there is one.
func referenceHeads(x []float64, w []float32, eps float32) []float64 {
	if w == nil {
		return x
	}
	var out []float64
	for ; len(x) > 0; x = x[len(w):] {
		out = append(out, referenceNorm(x[:len(w)], w, eps)...)
	}
	return out
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
	out := make([]float64, m.Rows)
	for r := range out {
		for i, w := range matrixRow(m, r) {
			out[r] += w * x[i]
		}
		if bias != nil {
			out[r] += float64(bias[r])
		}
	}
	return out
}

func referenceNorm(x []float64, w []float32, eps float32) []float64 {
	if w == nil {
		return x
	}
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / math.Sqrt(sum/float64(len(x))+float64(eps)) * float64(w[i])
	}
	return out
}

func referenceRotate(m *Model, s *layerSpec, x []float64, position int) {
	if s.turns < 0 {
		return
	}
	for h := 0; h < len(x); h += s.keyDim {
		for i := range s.rotated / 2 {
			a, b := h+2*i, h+2*i+1
			if s.pairing == halves {
				a, b = h+i, h+i+s.rotated/2
			}
			sin, cos := math.Sincos(float64(position) * m.turns[s.turns].frequency[i])
			x[a], x[b] = x[a]*cos-x[b]*sin, x[a]*sin+x[b]*cos
		}
	}
}
