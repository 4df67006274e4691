package transformer

import "parley/internal/kernel"

// Gated attention (Qiu et al. 2025): what a head sees is taken as far as the sigmoid of gates
// says, element by element or as a whole.

// headGates says where the gates of heads come from.
type headGates uint8

const (
	ungated        headGates = iota
	gatesInQueries           // of each head's query there is a second half: Qwen3-Next
	gatesOfAll               // a matrix of their own makes them: AFMoE
	gateOfHead               // it makes one for each head, where the file has it: Step 3.5
)

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
	size := s.heads * s.valueDim
	seen := w.seen[row*size:][:size]
	if s.gates == gateOfHead {
		gates := w.gates[row*s.heads:][:s.heads]
		kernel.Sigmoid(gates)
		for h, g := range gates {
			kernel.Scale(seen[h*s.valueDim:][:s.valueDim], g)
		}
		return
	}
	gates := w.gates[row*size:][:size]
	kernel.Sigmoid(gates)
	kernel.Products(seen, gates)
}
