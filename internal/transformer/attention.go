package transformer

import (
	"parley/internal/kernel"
)

// attend computes for one token of the batch and one key/value head what the
// query heads that it serves see: softmax(q·k·scale) over the positions up to the
// token's own that the layer sees, times v. Positions are added one after the other
// from the first, so that neither blocks nor batches show in the sums.
func (m *Model) attend(layerIndex int, r *row, head int, q, out []float32) {
	s := &m.layers[layerIndex].spec
	end, first := r.position+1, 0
	if s.window > 0 {
		first = max(0, end-s.window)
	}
	n, group := end-first, s.heads/s.kvHeads
	buffer := m.scratch(group * (n + 1))
	defer m.score.Put(buffer)
	scores := *buffer
	for from := first; from < end; {
		to := min(end, from-from%blockTokens+blockTokens)
		keys := m.kv.keyRows(r.kv.page(layerIndex, from/blockTokens), layerIndex, head)[from%blockTokens*s.keyDim*2:]
		for g := range group {
			kernel.DotsF16(scores[g*(n+1)+from-first:g*(n+1)+to-first], keys, q[(head*group+g)*s.keyDim:][:s.keyDim])
		}
		from = to
	}
	for g := range group {
		row, scale := scores[g*(n+1):][:n], s.scale
		if s.cap > 0 {
			kernel.SoftCap(row, s.scale, s.cap)
			scale = 1
		}
		if sinks := m.layers[layerIndex].sinks; sinks != nil {
			row = append(row, sinks[head*group+g]/scale) // seen like a position, but nothing is there
		}
		kernel.Softmax(row, scale)
	}
	clear(out[head*group*s.valueDim : (head+1)*group*s.valueDim])
	for from := first; from < end; {
		to := min(end, from-from%blockTokens+blockTokens)
		values := m.kv.valueRows(r.kv.page(layerIndex, from/blockTokens), layerIndex, head)[from%blockTokens*s.valueDim*2:]
		for g := range group {
			kernel.AddRowsF16(out[(head*group+g)*s.valueDim:][:s.valueDim], values, scores[g*(n+1)+from-first:g*(n+1)+to-first])
		}
		from = to
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
