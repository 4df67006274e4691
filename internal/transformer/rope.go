package transformer

import "math"

// Rotary positions (Su et al., RoFormer): pair i of a head is turned by the
// angle position · base^(−2i/n), n being the number of rotated elements. Where
// the file has divisors (Llama 3's scaling), each frequency is divided by its own.

// A turning is what metadata says of frequencies: positions are divided by factor.
type turning struct{ base, factor float64 }

// turns are the frequencies of a model, or of those of its layers that see a window.
type turns struct {
	frequency []float64 // of pair i, in radians a token
}

func newTurns(t turning, rotated int, divisors []float32) *turns {
	out := &turns{frequency: make([]float64, rotated/2)}
	for i := range out.frequency {
		out.frequency[i] = math.Pow(t.base, -2*float64(i)/float64(rotated)) / t.factor
		if divisors != nil {
			out.frequency[i] /= float64(divisors[i])
		}
	}
	return out
}

// at writes cosine and sine of each pair's angle at a position, alternating.
func (t *turns) at(out []float32, position int) {
	for i, f := range t.frequency {
		sin, cos := math.Sincos(float64(position) * f)
		out[2*i], out[2*i+1] = float32(cos), float32(sin)
	}
}

// rotate turns the pairs of each head of x, dim elements each, by the angles
// that at wrote.
func rotate(x []float32, dim int, p pairing, angles []float32) {
	n := len(angles)
	for ; len(x) >= dim; x = x[dim:] {
		if p == halves {
			rotateHalves(x[:n/2], x[n/2:n], angles)
			continue
		}
		head := x[:n]
		for i := 0; i+1 < len(head) && i+1 < len(angles); i += 2 {
			a, b, cos, sin := head[i], head[i+1], angles[i], angles[i+1]
			head[i] = float32(a*cos) - float32(b*sin)
			head[i+1] = float32(a*sin) + float32(b*cos)
		}
	}
}

func rotateHalves(low, high, angles []float32) {
	for i, a := range low {
		b, cos, sin := high[i], angles[2*i], angles[2*i+1]
		low[i] = float32(a*cos) - float32(b*sin)
		high[i] = float32(a*sin) + float32(b*cos)
	}
}
