package kernel

import "math"

// LayerNorm writes (x[i] − mean)/√(variance + eps) to out, which may be x, times
// w[i] and plus b[i] where there are such (Ba et al. 2016).
// Element i adds to lane i mod 16 in both sums.
func LayerNorm(out, x, w, b []float32, eps float32) {
	out = out[:len(x)]
	mean := sumOf(x) / float32(len(x))
	for i := subtract(out, x, mean); i < len(x); i++ {
		out[i] = x[i] - mean
	}
	scale := float32(1 / math.Sqrt(float64(sumSquares(out)/float32(len(x))+eps)))
	if w == nil {
		Scale(out, scale)
	} else {
		w = w[:len(x)]
		for i := scaleBy(out, out, w, scale); i < len(x); i++ {
			out[i] = float32(out[i]*scale) * w[i]
		}
	}
	if b != nil {
		Add(out, b)
	}
}

// sumOfGo adds element i to lane i mod 16.
func sumOfGo(x []float32) float32 {
	var acc [lanes]float32
	for i, v := range x {
		acc[i%lanes] += v
	}
	return sum16(&acc)
}
