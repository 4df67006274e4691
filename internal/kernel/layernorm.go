package kernel

import "math"

// LayerNorm writes (x[i] − mean)/√(variance + eps) to out, which may be x, times
// w[i] and plus b[i] where there are such (Ba et al. 2016).
// Element i adds to lane i mod 16 in both sums.
func LayerNorm(out, x, w, b []float32, eps float32) {
	var acc [lanes]float32
	for i, v := range x {
		acc[i%lanes] += v
	}
	mean := sum16(&acc) / float32(len(x))
	clear(acc[:])
	out = out[:len(x)]
	for i, v := range x {
		v -= mean
		out[i] = v
		acc[i%lanes] += float32(v * v)
	}
	scale := float32(1 / math.Sqrt(float64(sum16(&acc)/float32(len(x))+eps)))
	for i, v := range out {
		out[i] = float32(v * scale)
	}
	if w != nil {
		w = w[:len(x)]
		for i := range out {
			out[i] *= w[i]
		}
	}
	if b != nil {
		Add(out, b)
	}
}
