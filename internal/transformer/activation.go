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
	xIELU
)

// gated says whether it is of two products of the input rather than one.
func (a activation) gated() bool { return a < gelu }

// gate makes of gate what it and up are together. Both are cut to the limit, if there is one.
func (a activation) gate(gate, up []float32, limit float32) {
	switch a {
	case swiGLU:
		if limit > 0 {
			kernel.SwiGLULimited(gate, up, limit)
			return
		}
		kernel.SwiGLU(gate, up)
	case geGLU:
		kernel.GeGLU(gate, up)
	case swiGLUClamped:
		kernel.SwiGLUClamped(gate, up)
	case reGLU:
		kernel.ReGLU(gate, up)
	}
}

func (s *layerSpec) bend(x []float32) {
	switch s.activation {
	case gelu:
		kernel.GELU(x)
	case squaredReLU:
		kernel.SquaredReLU(x)
	case xIELU:
		s.xielu.Apply(x)
	}
}

// limits reads what is cut to what in each layer: nothing where a file says 0, or nothing.
func (r *reader) limits(key string, layers int) []float32 {
	if _, ok := r.f.Value(r.prefix + key); !ok || r.err != nil {
		return make([]float32, layers)
	}
	if list := r.numberPerLayer(key, layers, 0, 1e6); r.err == nil {
		return list
	}
	return make([]float32, layers)
}

// readXIELU reads the numbers of xIELU in each layer, as they were trained: what multiplies is
// their softplus.
func (r *reader) readXIELU(layers int) []kernel.XIELU {
	bare := &reader{f: r.f, trunk: r.trunk, err: r.err} // these keys have no architecture before them
	positive, negative := bare.numberPerLayer("xielu.alpha_p", layers, -100, 100), bare.numberPerLayer("xielu.alpha_n", layers, -100, 100)
	beta, edge := bare.numberPerLayer("xielu.beta", layers, -100, 100), bare.numberPerLayer("xielu.eps", layers, -1, 0)
	r.err = bare.err
	out := make([]kernel.XIELU, layers)
	if r.err == nil {
		for i := range out[:r.trunk] {
			out[i] = kernel.XIELU{Positive: softplus(positive[i]), Negative: beta[i] + softplus(negative[i]), Beta: beta[i], Edge: edge[i]}
		}
	}
	return out
}
