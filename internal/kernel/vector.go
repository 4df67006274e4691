package kernel

import (
	"math"
)

// Floats add in the order said at each function, in assembly too.

// sumSquaresGo adds the square of element i to lane i mod 16.
func sumSquaresGo(x []float32) float32 {
	var acc [lanes]float32
	for i, v := range x {
		acc[i%lanes] += float32(v * v)
	}
	return sum16(&acc)
}

// SumSquares is the sum of the squares of x. Element i adds to lane i mod 16.
func SumSquares(x []float32) float32 { return sumSquares(x) }

// RMSNorm writes x[i]·w[i]/√(mean of squares + eps) to out, which may be x.
func RMSNorm(out, x, w []float32, eps float32) {
	mean := sumSquares(x) / float32(len(x))
	scale := float32(1 / math.Sqrt(float64(mean+eps)))
	out, w = out[:len(x)], w[:len(x)]
	for i := scaleBy(out, x, w, scale); i < len(x); i++ {
		out[i] = float32(x[i]*scale) * w[i]
	}
}

// Add adds y to x.
func Add(x, y []float32) {
	y = y[:len(x)]
	for i := mix(x, 1, y, 1); i < len(x); i++ {
		x[i] += y[i]
	}
}

// Products makes of x x·w.
func Products(x, w []float32) {
	w = w[:len(x)]
	for i := scaleBy(x, x, w, 1); i < len(x); i++ {
		x[i] *= w[i]
	}
}

// AddProducts adds x·w to out, as long as x and w at most, each rounded.
func AddProducts(out, x, w []float32) {
	x, w = x[:len(out)], w[:len(out)]
	n := addProducts(out, x, w)
	addProductsGo(out[n:], x[n:], w[n:])
}

func addProductsGo(out, x, w []float32) {
	for i, v := range x {
		out[i] += float32(v * w[i])
	}
}

// Softmax makes of x, of at least one element, exp(x·scale)/sum(exp(x·scale)).
// Element i adds to lane i mod 16.
func Softmax(x []float32, scale float32) {
	largest := x[0]
	for _, v := range x {
		largest = max(largest, v)
	}
	var acc [lanes]float32
	n := expSum(&acc, x, scale, largest)
	for i := n; i < len(x); i++ {
		x[i] = exp(float32((x[i] - largest) * scale))
		acc[i%lanes] += x[i]
	}
	up := 1 / sum16(&acc)
	for i := range x {
		x[i] *= up
	}
}

// The exponential function on float32: x = n·ln 2 + r with |r| ≤ ½ ln 2, and
// eˣ = 2ⁿ·eʳ with a polynomial for eʳ; the coefficients are those of Taylor's
// series, whose remainder r⁷/5040·(1+…) is 1.3·10⁻⁷ at most, about the rounding.
// ln 2 is taken in two parts, of which the first has zeros at its end, so that
// n times it is exact.
const (
	expLow   = -87.33654 // below, the result would be subnormal: as at this point
	expHigh  = 88.02969  // above, likewise: 1.7·10³⁸
	log2e    = 1.44269504088896340736
	ln2High  = 0.693359375
	ln2Low   = -2.12194440054690583e-4
	expRound = 0x1.8p23
)

var expTerms = [...]float32{1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2, 1, 1}

func exp(x float32) float32 {
	x = min(max(x, expLow), expHigh)
	m := float32(x*log2e) + expRound
	n := m - expRound
	r := x - float32(n*ln2High)
	r -= float32(n * ln2Low)
	y := expTerms[0]
	for _, c := range expTerms[1:] {
		y = float32(y*r) + c
	}
	return y * math.Float32frombits(math.Float32bits(m)<<23+127<<23)
}

// PutF16 stores x as F16 in dst, two bytes each, rounded to the nearest. What is
// beyond 65504 becomes infinite.
func PutF16(dst []byte, x []float32) {
	n := putF16(dst[:2*len(x)], x)
	for i, v := range x[n:] {
		h := toF16(v)
		dst[2*(n+i)], dst[2*(n+i)+1] = byte(h), byte(h>>8)
	}
}

// Scale multiplies x by s.
func Scale(x []float32, s float32) {
	if s == 1 {
		return
	}
	for i := scale(x, s); i < len(x); i++ {
		x[i] *= s
	}
}
