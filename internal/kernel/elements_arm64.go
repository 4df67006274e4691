//go:build !purego

package kernel

// These do what is a multiple of 16 of their work, and say how much that was.

func swiGLU(gate, up []float32) int {
	return chunked(gate, func(i, n int) { swiGLUNEON(&gate[i], &up[i], n) })
}

func swiGLUClamped(gate, up []float32) int {
	return chunked(gate, func(i, n int) { swiGLUClampedNEON(&gate[i], &up[i], n) })
}

func geGLU(gate, up []float32) int {
	return chunked(gate, func(i, n int) { geGLUNEON(&gate[i], &up[i], n) })
}

func gelu(x []float32) int {
	return chunked(x, func(i, n int) { geluNEON(&x[i], n) })
}

func sigmoid(x []float32) int {
	return chunked(x, func(i, n int) { sigmoidNEON(&x[i], n) })
}

func softCap(x []float32, scale, limit float32) int {
	return chunked(x, func(i, n int) { softCapNEON(&x[i], n, scale, limit) })
}

func rotateHalves(low, high, cos, sin []float32) int {
	return chunked(low, func(i, n int) { rotateHalvesNEON(&low[i], &high[i], &cos[i], &sin[i], n) })
}

func rotateNeighbours(x, angles []float32) int {
	return chunked(x, func(i, n int) { rotateNeighboursNEON(&x[i], &angles[i], n) })
}

func addProducts(out, x, w []float32) int {
	return chunked(out, func(i, n int) { addProductsNEON(&out[i], &x[i], &w[i], n) })
}

// sumOf is all of its work.
func sumOf(x []float32) float32 {
	if chosen == goOnly || len(x) == 0 || len(x)%lanes != 0 {
		return sumOfGo(x)
	}
	return sumOfNEON(&x[0], len(x)/lanes)
}

func subtract(out, x []float32, a float32) int {
	return chunked(x, func(i, n int) { subtractNEON(&out[i], &x[i], n, a) })
}
