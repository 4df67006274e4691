package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The functions beside the plain formula in float64.
func TestActivationsAreTheirFormulas(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	gelu := func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	var x, y []float32
	for i := range 81 {
		x, y = append(x, float32(i-40)/4), append(y, float32(40-i)/3.5)
	}
	for name, c := range map[string]struct {
		got  func(x, y []float32)
		want func(x, y float64) float64
	}{
		"SwiGLUClamped": {SwiGLUClamped, func(g, u float64) float64 {
			g, u = min(g, 7), min(max(u, -7), 7)
			return g * sigmoid(1.702*g) * (u + 1)
		}},
		"ReGLU": {ReGLU, func(g, u float64) float64 { return max(g, 0) * u }},
		"SwiGLULimited": {func(g, u []float32) { SwiGLULimited(g, u, 3) }, func(g, u float64) float64 {
			return min(g*sigmoid(g), 3) * min(max(u, -3), 3)
		}},
		"SwiGLU":      {SwiGLU, func(g, u float64) float64 { return g * sigmoid(g) * u }},
		"GeGLU":       {GeGLU, func(g, u float64) float64 { return gelu(g) * u }},
		"SoftCap":     {func(x, _ []float32) { SoftCap(x, 0.3, 1) }, func(x, _ float64) float64 { return math.Tanh(0.3 * x) }},
		"GELU":        {func(x, _ []float32) { GELU(x) }, func(x, _ float64) float64 { return gelu(x) }},
		"SquaredReLU": {func(x, _ []float32) { SquaredReLU(x) }, func(x, _ float64) float64 { return max(x, 0) * max(x, 0) }},
		"XIELU": {func(x, _ []float32) { XIELU{0.8, 1.3, 0.5, -0.25}.Apply(x) }, func(x, _ float64) float64 {
			if x > 0 {
				return 0.8*x*x + 0.5*x
			}
			return 1.3*(math.Exp(min(x, -0.25))-1-x) + 0.5*x
		}},
		"Sigmoid":  {func(x, _ []float32) { Sigmoid(x) }, func(x, _ float64) float64 { return sigmoid(x) }},
		"Softplus": {func(x, _ []float32) { Softplus(x) }, func(x, _ float64) float64 { return math.Log1p(math.Exp(x)) }},
		"ExpEach":  {func(x, _ []float32) { ExpEach(x, -0.7) }, func(x, _ float64) float64 { return math.Exp(-0.7 * x) }},
		"Clamp":    {func(x, _ []float32) { Clamp(x, 3) }, func(x, _ float64) float64 { return min(max(x, -3), 3) }},
	} {
		got := append([]float32(nil), x...)
		c.got(got, y)
		for i := range got {
			want := c.want(float64(x[i]), float64(y[i]))
			if math.Abs(float64(got[i])-want) > 2e-6*(1+math.Abs(want)) {
				t.Errorf("%s of %v and %v is %v, want %v", name, x[i], y[i], got[i], want)
			}
		}
	}
}

// Whatever computes gives the bits of Go, also of what is huge, infinite or no number, which it
// stays.
func TestActivationsEqualGo(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 5))
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 7, -7, 89, -89, 1e30, -1e30, 1e-40, math.MaxFloat32}
	for _, f := range bends {
		for n := range 200 {
			x, y := randomFloats(r, n), randomFloats(r, n)
			for i := range x {
				x[i] *= 10
			}
			if n == 199 { // each with each
				x, y = nil, nil
				for _, a := range odd {
					for _, b := range odd {
						x, y = append(x, a), append(y, b)
					}
				}
			}
			want := slices.Clone(x)
			onlyGo(func() { f.do(want, y) })
			for _, i := range available() {
				got := slices.Clone(x)
				with(i, func() { f.do(got, y) })
				for k, v := range want {
					if v != v && got[k] != got[k] {
						got[k] = v // there are many that are none
					}
				}
				equal(t, fmt.Sprintf("%s: %s of %d", i, f.name, n), got, want)
			}
			for i, v := range x {
				if v != v && want[i] == want[i] {
					t.Errorf("%s of what is no number is %v", f.name, want[i])
				}
			}
		}
	}
}

var bends = []struct {
	name string
	do   func(x, y []float32)
}{
	{"SwiGLU", SwiGLU},
	{"SwiGLUClamped", SwiGLUClamped},
	{"GeGLU", GeGLU},
	{"SwiGLULimited", func(x, y []float32) { SwiGLULimited(x, y, 3) }},
	{"ReGLU", ReGLU},
	{"XIELU", func(x, _ []float32) { XIELU{0.8, 1.3, 0.5, -0.25}.Apply(x) }},
	{"GELU", func(x, _ []float32) { GELU(x) }},
	{"Sigmoid", func(x, _ []float32) { Sigmoid(x) }},
	{"ExpEach", func(x, _ []float32) { ExpEach(x, -0.606531) }},
	{"SoftCap", func(x, _ []float32) { SoftCap(x, 0.3, 30) }},
}

// Numbers of floats a second.
func BenchmarkActivations(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	x, y := randomFloats(r, 4096), randomFloats(r, 4096)
	room := slices.Clone(x)
	for _, f := range bends {
		for _, i := range available() {
			b.Run(f.name+"/"+string(i), func(b *testing.B) {
				with(i, func() {
					b.SetBytes(int64(4 * len(x)))
					for b.Loop() {
						copy(room, x)
						f.do(room, y)
					}
				})
			})
		}
	}
}

// Where it is small, as it is where states hardly fade, it is as exact as where it is large.
func TestSoftplusIsExactFarOut(t *testing.T) {
	var x []float32
	for v := float32(-80); v < 60; v += 0.003 {
		x = append(x, v)
	}
	for n := range 200 { // however many there are
		got := append([]float32(nil), x[len(x)/200*n:][:n]...)
		if n == 0 {
			got = append(got, x...)
		}
		from := len(x) / 200 * n
		Softplus(got)
		for i, got := range got {
			want := math.Log1p(math.Exp(float64(x[from+i])))
			if math.Abs(float64(got)-want) > 5e-7*want {
				t.Fatalf("element %d of %d, softplus of %v, is %v, want %v", i, n, x[from+i], got, want)
			}
		}
	}
}

func TestLayerNorm(t *testing.T) {
	const eps = 1e-3
	for _, n := range []int{1, 7, 16, 100} {
		x, w, b := make([]float32, n), make([]float32, n), make([]float32, n)
		var mean, variance float64
		for i := range x {
			x[i], w[i], b[i] = float32(i*i%17)+40, 1+float32(i%5)/4, float32(i%3)-1
			mean += float64(x[i]) / float64(n)
		}
		for _, v := range x {
			variance += (float64(v) - mean) * (float64(v) - mean) / float64(n)
		}
		plain, full := make([]float32, n), append([]float32(nil), x...)
		LayerNorm(plain, x, nil, nil, eps)
		LayerNorm(full, full, w, b, eps)
		for i := range x {
			want := (float64(x[i]) - mean) / math.Sqrt(variance+eps)
			if math.Abs(float64(plain[i])-want) > 2e-4 {
				t.Errorf("element %d of %d is %v, want %v", i, n, plain[i], want)
			}
			want = want*float64(w[i]) + float64(b[i])
			if math.Abs(float64(full[i])-want) > 2e-4 {
				t.Errorf("element %d of %d with weight and bias is %v, want %v", i, n, full[i], want)
			}
		}
	}
}
