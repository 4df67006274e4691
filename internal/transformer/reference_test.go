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
	}
	for i := range m.layers {
		l := &m.layers[i]
		s := &l.spec
		q, k, v := make([][]float64, len(ids)), make([][]float64, len(ids)), make([][]float64, len(ids))
		for p := range ids {
			n := referenceNorm(x[p], l.attnNorm, c.Eps)
			q[p], k[p], v[p] = referenceMul(&l.q, n, l.qb), referenceMul(&l.k, n, l.kb), referenceMul(&l.v, n, l.vb)
			referenceRotate(m, s, q[p], p)
			referenceRotate(m, s, k[p], p)
		}
		for p := range ids {
			seen := make([]float64, s.heads*s.valueDim)
			for h := range s.heads {
				kh := h / (s.heads / s.kvHeads)
				var weights []float64
				var sum float64
				for o := 0; o <= p; o++ {
					var dot float64
					for d := range s.keyDim {
						dot += q[p][h*s.keyDim+d] * k[o][kh*s.keyDim+d]
					}
					w := math.Exp(dot / math.Sqrt(float64(s.keyDim)))
					weights, sum = append(weights, w), sum+w
				}
				for o, w := range weights {
					for d := range s.valueDim {
						seen[h*s.valueDim+d] += w / sum * v[o][kh*s.valueDim+d]
					}
				}
			}
			for d, y := range referenceMul(&l.o, seen, l.ob) {
				x[p][d] += y
			}
			n := referenceNorm(x[p], l.ffnNorm, c.Eps)
			gate, up := referenceMul(&l.gate, n, nil), referenceMul(&l.up, n, nil)
			for d, g := range gate {
				gate[d] = g / (1 + math.Exp(-g)) * up[d]
			}
			for d, y := range referenceMul(&l.down, gate, nil) {
				x[p][d] += y
			}
		}
	}
	var out []float64
	for p := range ids {
		out = append(out, referenceMul(&m.output, referenceNorm(x[p], m.norm, c.Eps), nil)...)
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
	for h := 0; h < len(x); h += s.keyDim {
		for i := range s.rotated / 2 {
			a, b := h+2*i, h+2*i+1
			if s.pairing == halves {
				a, b = h+i, h+i+s.rotated/2
			}
			sin, cos := math.Sincos(float64(position) * m.turns.frequency[i])
			x[a], x[b] = x[a]*cos-x[b]*sin, x[a]*sin+x[b]*cos
		}
	}
}
