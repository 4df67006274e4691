//go:build !purego

package kernel

// These do what is a multiple of 16 of their work, and say how much that was.

func swiGLU(gate, up []float32) int {
	return chunked(gate, func(i, n int) { choose(swiGLUAVX2, swiGLUAVX512)(&gate[i], &up[i], n) })
}

func swiGLUClamped(gate, up []float32) int {
	return chunked(gate, func(i, n int) { choose(swiGLUClampedAVX2, swiGLUClampedAVX512)(&gate[i], &up[i], n) })
}

func geGLU(gate, up []float32) int {
	return chunked(gate, func(i, n int) { choose(geGLUAVX2, geGLUAVX512)(&gate[i], &up[i], n) })
}

func gelu(x []float32) int {
	return chunked(x, func(i, n int) { choose(geluAVX2, geluAVX512)(&x[i], n) })
}

func sigmoid(x []float32) int {
	return chunked(x, func(i, n int) { choose(sigmoidAVX2, sigmoidAVX512)(&x[i], n) })
}

func softCap(x []float32, scale, limit float32) int {
	return chunked(x, func(i, n int) { choose(softCapAVX2, softCapAVX512)(&x[i], n, scale, limit) })
}

func rotateHalves(low, high, cos, sin []float32) int {
	return chunked(low, func(i, n int) { choose(rotateHalvesAVX2, rotateHalvesAVX512)(&low[i], &high[i], &cos[i], &sin[i], n) })
}

func rotateNeighbours(x, angles []float32) int {
	return chunked(x, func(i, n int) { choose(rotateNeighboursAVX2, rotateNeighboursAVX512)(&x[i], &angles[i], n) })
}

func addProducts(out, x, w []float32) int {
	return chunked(out, func(i, n int) { choose(addProductsAVX2, addProductsAVX512)(&out[i], &x[i], &w[i], n) })
}

// sumOf is all of its work.
func sumOf(x []float32) float32 {
	if chosen == goOnly || len(x) == 0 || len(x)%lanes != 0 {
		return sumOfGo(x)
	}
	return choose(sumOfAVX2, sumOfAVX512)(&x[0], len(x)/lanes)
}

func subtract(out, x []float32, a float32) int {
	return chunked(x, func(i, n int) { choose(subtractAVX2, subtractAVX512)(&out[i], &x[i], n, a) })
}

// choose is the one that was chosen, where what is not a dot product of bytes is that of AVX2.
func choose[F any](small, large F) F {
	if chosen == avx512 {
		return large
	}
	return small
}
