package kernel

// SwiGLUClamped makes of gate: gate·sigmoid(1.702·gate)·(up + 1), where gate is
// at most 7 and up from −7 to 7 (gpt-oss).
func SwiGLUClamped(gate, up []float32) {
	const steep, limit = 1.702, 7
	up = up[:len(gate)]
	for i, g := range gate {
		g = min(g, limit)
		u := min(max(up[i], -limit), limit)
		gate[i] = float32(g/(1+exp(-float32(steep*g)))) * (u + 1)
	}
}

// GELU makes of x: gelu(x), as GeGLU has it.
func GELU(x []float32) {
	const rootOf2ByPi = 0.79788456080286535588
	for i, v := range x {
		cube := float32(float32(v*v) * v)
		y := float32(2 * rootOf2ByPi * (v + float32(0.044715*cube)))
		x[i] = v / (1 + exp(-y))
	}
}

// SquaredReLU makes of x its square, and zero where it is negative.
func SquaredReLU(x []float32) {
	for i, v := range x {
		v = max(v, 0)
		x[i] = v * v
	}
}

// Sigmoid makes of x: 1/(1 + exp(−x)).
func Sigmoid(x []float32) {
	for i, v := range x {
		x[i] = 1 / (1 + exp(-v))
	}
}

// Clamp makes of x what lies in it from −limit to limit.
func Clamp(x []float32, limit float32) {
	for i, v := range x {
		x[i] = min(max(v, -limit), limit)
	}
}
