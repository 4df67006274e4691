package transformer

import "parley/internal/kernel"

// Gated attention (Qwen3-Next): of each head's query there is a second half, and what the head
// sees is taken as far as its sigmoid says, element by element.

// splitGates takes the queries of w.full apart: those of a row go to w.q, their gates to w.gates.
func (w *buffers) splitGates(s *layerSpec, row int) {
	size := s.heads * s.keyDim
	for h := range s.heads {
		from := w.full[2*(row*size+h*s.keyDim):]
		copy(w.q[row*size+h*s.keyDim:][:s.keyDim], from)
		copy(w.gates[row*size+h*s.keyDim:][:s.keyDim], from[s.keyDim:])
	}
}

// applyGates takes as much of what a row's heads see as its gates say.
func (w *buffers) applyGates(s *layerSpec, row int) {
	size := s.heads * s.keyDim
	seen, gates := w.seen[row*size:][:size], w.gates[row*size:][:size]
	kernel.Sigmoid(gates)
	kernel.Products(seen, gates)
}
