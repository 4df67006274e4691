package transformer

import (
	"math"

	"parley/internal/kernel"
)

// attend computes for one token of the batch and one key/value head what the
// query heads that it serves see: softmax(q·k/√dim) over all positions up to the
// token's own, times v. Positions are added one after the other from the first,
// so that neither blocks nor batches show in the sums.
func (m *Model) attend(layerIndex int, r *row, head int, q, out []float32) {
	s := &m.layers[layerIndex].spec
	n := r.position + 1
	group := s.heads / s.kvHeads
	buffer := m.scratch(group * n)
	defer m.score.Put(buffer)
	scores := *buffer
	for b, start := 0, 0; start < n; b, start = b+1, start+blockTokens {
		keys, end := m.kv.keyRows(r.kv.blocks[b], layerIndex, head), min(n, start+blockTokens)
		for g := range group {
			kernel.DotsF16(scores[g*n+start:g*n+end], keys, q[(head*group+g)*s.keyDim:][:s.keyDim])
		}
	}
	scale := float32(1 / math.Sqrt(float64(s.keyDim)))
	for g := range group {
		kernel.Softmax(scores[g*n:][:n], scale)
	}
	clear(out[head*group*s.valueDim : (head+1)*group*s.valueDim])
	for b, start := 0, 0; start < n; b, start = b+1, start+blockTokens {
		values, end := m.kv.valueRows(r.kv.blocks[b], layerIndex, head), min(n, start+blockTokens)
		for g := range group {
			kernel.AddRowsF16(out[(head*group+g)*s.valueDim:][:s.valueDim], values, scores[g*n+start:g*n+end])
		}
	}
}

// scratch is room for n scores, given back to m.score.
func (m *Model) scratch(n int) *[]float32 {
	b, _ := m.score.Get().(*[]float32)
	if b == nil {
		b = new([]float32)
	}
	if cap(*b) < n {
		*b = make([]float32, n, n+n/4)
	}
	*b = (*b)[:n]
	return b
}
