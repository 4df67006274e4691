package kernel

import (
	"math"
	"slices"
)

// What is between the halves of a feed-forward part, and its kin.

// SwiGLU makes of gate: gate·sigmoid(gate)·up (Shazeer 2020).
func SwiGLU(gate, up []float32) {
	n := swiGLU(gate, up[:len(gate)])
	swiGLUGo(gate[n:], up[n:len(gate)])
}

// SiLU makes of x: x·sigmoid(x).
func SiLU(x []float32) {
	for len(x) > 0 {
		part := x[:min(len(x), len(ones))]
		SwiGLU(part, ones)
		x = x[len(part):]
	}
}

var ones = slices.Repeat([]float32{1}, 32*lanes)

func swiGLUGo(gate, up []float32) {
	for i, g := range gate {
		gate[i] = float32(g/(1+exp(-g))) * up[i]
	}
}

// SwiGLUClamped makes of gate: gate·sigmoid(1.702·gate)·(up + 1), where gate is
// at most 7 and up from −7 to 7 (gpt-oss).
func SwiGLUClamped(gate, up []float32) {
	n := swiGLUClamped(gate, up[:len(gate)])
	swiGLUClampedGo(gate[n:], up[n:len(gate)])
}

func swiGLUClampedGo(gate, up []float32) {
	const steep, limit = 1.702, 7
	for i, g := range gate {
		g = min(g, limit)
		u := min(max(up[i], -limit), limit)
		gate[i] = float32(g/(1+exp(-float32(steep*g)))) * (u + 1)
	}
}

// ReGLU makes of gate: gate·up, and zero where gate is negative (Shazeer 2020).
func ReGLU(gate, up []float32) {
	up = up[:len(gate)]
	for i, g := range gate {
		gate[i] = max(g, 0) * up[i]
	}
}

// SwiGLULimited makes of gate what SwiGLU does, but that gate·sigmoid(gate) is at most limit, and
// up from −limit to limit (Step 3.5).
func SwiGLULimited(gate, up []float32, limit float32) {
	up = up[:len(gate)]
	SiLU(gate)
	for i, v := range gate {
		gate[i] = min(v, limit) * min(max(up[i], -limit), limit)
	}
}

// GeGLU makes of gate: gelu(gate)·up.
func GeGLU(gate, up []float32) {
	n := geGLU(gate, up[:len(gate)])
	geGLUGo(gate[n:], up[n:len(gate)])
}

func geGLUGo(gate, up []float32) {
	for i, g := range gate {
		gate[i] = geluOf(g) * up[i]
	}
}

// GELU makes of x gelu(x), in the approximation by tanh that models are trained with
// (Hendrycks and Gimpel 2016): gelu(x) = x·sigmoid(2·√(2/π)·(x + 0.044715·x³)).
func GELU(x []float32) {
	geluGo(x[gelu(x):])
}

func geluGo(x []float32) {
	for i, v := range x {
		x[i] = geluOf(v)
	}
}

func geluOf(x float32) float32 {
	const rootOf2ByPi = 0.79788456080286535588
	cube := float32(float32(x*x) * x)
	y := float32(2 * rootOf2ByPi * (x + float32(0.044715*cube)))
	return float32(x / (1 + exp(-y)))
}

// SquaredReLU makes of x its square, and zero where it is negative.
func SquaredReLU(x []float32) {
	for i, v := range x {
		v = max(v, 0)
		x[i] = v * v
	}
}

// An XIELU is the activation of Huang and Schlag 2025: of positive numbers x Positive·x² + Beta·x,
// of others Negative·(e^min(x, Edge) − 1 − x) + Beta·x.
type XIELU struct{ Positive, Negative, Beta, Edge float32 }

// Apply makes of x: the activation of each number.
func (a XIELU) Apply(x []float32) {
	var room [8 * lanes]float32
	for len(x) > 0 {
		e := room[:min(len(x), len(room))]
		for i := range e {
			e[i] = min(x[i], a.Edge)
		}
		n := len(e) &^ (lanes - 1)
		if n > 0 {
			exponentials(e[:n], 1, 0)
		}
		for i, v := range e[n:] {
			e[n+i] = exp(v)
		}
		for i, e := range e {
			v := x[i]
			if v > 0 {
				x[i] = float32(float32(a.Positive*v)*v) + float32(a.Beta*v)
			} else {
				x[i] = float32((e-1-v)*a.Negative) + float32(a.Beta*v)
			}
		}
		x = x[len(e):]
	}
}

// Sigmoid makes of x: 1/(1 + exp(−x)).
func Sigmoid(x []float32) {
	sigmoidGo(x[sigmoid(x):])
}

func sigmoidGo(x []float32) {
	for i, v := range x {
		x[i] = 1 / (1 + exp(-v))
	}
}

// ExpEach makes of x: exp(x·scale).
func ExpEach(x []float32, scale float32) {
	n := len(x) &^ (lanes - 1)
	if n > 0 {
		exponentials(x[:n], scale, 0)
	}
	for i, v := range x[n:] {
		x[n+i] = exp(float32(v * scale))
	}
}

// SoftCap makes of x: limit·tanh(x·scale/limit), which is near x·scale where that is
// small and stays below limit.
func SoftCap(x []float32, scale, limit float32) {
	softCapGo(x[softCap(x, scale, limit):], scale, limit)
}

func softCapGo(x []float32, scale, limit float32) {
	for i, v := range x {
		// tanh y = 1 − 2/(1+e²ʸ)
		x[i] = limit * (1 - 2/(1+exp(2*(v*scale/limit))))
	}
}

// Softplus makes of x: ln(1 + exp(x)). That is max(x, 0) + ln(1 + u) with u = exp(−|x|), and
// ln(1 + u) is 2·artanh(s) with s = u/(2 + u), ⅓ at most: of its series 2·(s + s³/3 + …) less
// than 2·10⁻⁷ of it is left out, about the rounding.
func Softplus(x []float32) {
	var room [8 * lanes]float32
	for len(x) > 0 {
		u := room[:min(len(x), len(room))]
		for i := range u {
			u[i] = -float32(math.Abs(float64(x[i])))
		}
		ExpEach(u, 1)
		for i, u := range u {
			s := u / (2 + u)
			square := float32(s * s)
			y := softplusTerms[0]
			for _, c := range softplusTerms[1:] {
				y = float32(y*square) + c
			}
			x[i] = max(x[i], 0) + float32(2*s*y)
		}
		x = x[len(u):]
	}
}

var softplusTerms = [...]float32{1. / 11, 1. / 9, 1. / 7, 1. / 5, 1. / 3, 1}

// Clamp makes of x what lies in it from −limit to limit.
func Clamp(x []float32, limit float32) {
	for i, v := range x {
		x[i] = min(max(v, -limit), limit)
	}
}
