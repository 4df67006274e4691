package transformer

import "parley/internal/kernel"

// An activation is the function between the two halves of a feed-forward part.
type activation uint8

const (
	swiGLU activation = iota
	geGLU
	swiGLUClamped
	reGLU
	gelu
	squaredReLU
)

// gated says whether it is of two products of the input rather than one.
func (a activation) gated() bool { return a < gelu }

func (a activation) gate(gate, up []float32) {
	switch a {
	case swiGLU:
		kernel.SwiGLU(gate, up)
	case geGLU:
		kernel.GeGLU(gate, up)
	case swiGLUClamped:
		kernel.SwiGLUClamped(gate, up)
	case reGLU:
		kernel.ReGLU(gate, up)
	}
}

func (a activation) bend(x []float32) {
	switch a {
	case gelu:
		kernel.GELU(x)
	case squaredReLU:
		kernel.SquaredReLU(x)
	}
}
