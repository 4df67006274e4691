package kernel

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestAttentionEqualsGo(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for rows := 1; rows <= 17; rows++ {
		for panels := 1; panels <= 7; panels++ {
			k := 1 + r.IntN(70)
			b := Panels{Rows: k, Count: panels, PanelBytes: (k + r.IntN(3)) * F16PanelRow}
			b.Data = randomRows(r, F16, 1, panels*b.PanelBytes/2)
			a := Rows{Stride: k + r.IntN(5), Count: rows}
			a.Data = randomFloats(r, rows*a.Stride)
			start := randomFloats(r, rows*(panels*PanelColumns+3))
			run := func() []float32 {
				out := append([]float32(nil), start...)
				AddPanels(Rows{out, panels*PanelColumns + 3, rows}, a, b)
				fresh := append([]float32(nil), start...)
				MultiplyPanels(Rows{fresh, panels*PanelColumns + 3, rows}, a, b)
				return append(out, fresh...)
			}
			var want []float32
			onlyGo(func() { want = run() })
			for _, i := range available() {
				with(i, func() { equal(t, fmt.Sprintf("%s: %d rows, %d panels of %d", i, rows, panels, k), run(), want) })
			}
		}
	}
	for n := lanes; n < 40*lanes; n += lanes {
		x, y := randomFloats(r, n), randomFloats(r, n)
		x[r.IntN(n)] = float32(math.Inf(-1))
		x[n-1] = -1
		run := func() []float32 {
			out := append([]float32(nil), x...)
			largest, sum := Exponentials(out, 0.37)
			mixed := append([]float32(nil), y[:n-3]...)
			Mix(mixed, 0.3, x[:n-3], -1.7)
			Scale(mixed[2:], 0.7)
			return append(append(out, largest, sum), mixed...)
		}
		var want []float32
		onlyGo(func() { want = run() })
		for _, i := range available() {
			with(i, func() { equal(t, fmt.Sprintf("%s: exponentials of %d", i, n), run(), want) })
		}
	}
}

// TestAttentionIsNear says what the reference itself computes.
func TestAttentionIsNear(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	const rows, k, panels = 3, 50, 2
	b := Panels{Data: randomRows(r, F16, 1, panels*k*PanelColumns), PanelBytes: k * F16PanelRow, Rows: k, Count: panels}
	a, out := randomFloats(r, rows*k), randomFloats(r, rows*panels*PanelColumns)
	want := make([]float64, len(out))
	for i, v := range out {
		row, column := i/(panels*PanelColumns), i%(panels*PanelColumns)
		want[i] = float64(v)
		for j := range k {
			at := column/PanelColumns*b.PanelBytes + j*F16PanelRow + column%PanelColumns*2
			want[i] += float64(a[row*k+j]) * float64(fromF16(uint16(b.Data[at])|uint16(b.Data[at+1])<<8))
		}
	}
	AddPanels(Rows{out, panels * PanelColumns, rows}, Rows{a, k, rows}, b)
	for i, v := range out {
		if math.Abs(float64(v)-want[i]) > 1e-4*(1+math.Abs(want[i])) {
			t.Errorf("element %d is %v, want %v", i, v, want[i])
		}
	}
	x := randomFloats(r, 64)
	x[7] = 9
	before := append([]float32(nil), x...)
	largest, sum := Exponentials(x, 0.5)
	total := 0.0
	for i, v := range before {
		e := math.Exp((float64(v) - 9) / 2)
		total += e
		if math.Abs(float64(x[i])-e) > 1e-6*e {
			t.Errorf("exp of %v is %v, want %v", v, x[i], e)
		}
	}
	if largest != 9 || math.Abs(float64(sum)-total) > 1e-5*total {
		t.Errorf("largest %v, sum %v, want 9 and %v", largest, sum, total)
	}
}

// TestFMARoundsOnce compares with sums of any precision, also where they lie nearly in the middle of
// two floats, are subnormal or too large.
func TestFMARoundsOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	float := func() float32 { return float32(r.NormFloat64() * math.Ldexp(1, r.IntN(280)-140)) }
	middle := 0
	for range 300_000 {
		x, y, z := float(), float(), float()
		switch r.IntN(4) {
		case 0: // z is about as large as the product
			z = float32(-float64(x) * float64(y) * (1 + r.NormFloat64()*1e-6))
		case 1: // the sum is nearly in the middle: z has 24 bits, and the product half of the last and next to nothing
			z = float32(r.Uint32()>>8|1<<23) * 2
			x, y = 1+float32(r.IntN(3)-1)/(1<<23), 1+float32(r.IntN(3)-1)/(1<<23)
		case 2:
			x, y, z = x*1e-20, y*1e-20, z*1e-38
		}
		sum := new(big.Float).SetPrec(2000)
		if p := float64(x) * float64(y); math.IsInf(float64(x), 0) || math.IsInf(float64(y), 0) || math.IsInf(float64(z), 0) {
			if got, want := fma(x, y, z), float32(p+float64(z)); got != want && want == want {
				t.Fatalf("%v·%v + %v is %v, want %v", x, y, z, got, want)
			}
			continue
		}
		sum.Add(sum.Mul(big.NewFloat(float64(x)), big.NewFloat(float64(y))), big.NewFloat(float64(z)))
		want, _ := sum.Float32()
		if got := fma(x, y, z); got != want {
			t.Fatalf("%v·%v + %v is %v, want %v", x, y, z, got, want)
		}
		if float32(float64(float64(x)*float64(y))+float64(z)) != want {
			middle++
		}
	}
	if middle == 0 {
		t.Error("to round twice would have done")
	}
}

// BenchmarkAddPanels is scores of rows against 64 positions, and what they make of the
// values: how near a pass over a cache comes to arithmetic and to memory.
func BenchmarkAddPanels(b *testing.B) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, i := range available() {
		for _, rows := range []int{1, 4, 8, 64} {
			for _, blocks := range []int{1, 16384} { // in the nearest cache, and 128 MiB
				if blocks > 1 && rows > 8 || i == goOnly {
					continue
				}
				b.Run(fmt.Sprintf("%s/%d/%d", i, rows, blocks), func(b *testing.B) {
					const dim, bytes = 64, 64 * 64 * 2
					data := make([]byte, blocks*bytes)
					one := randomRows(r, F16, 1, 64*64)
					for i := range blocks {
						copy(data[i*bytes:], one)
					}
					a, out := randomFloats(r, rows*dim), make([]float32, rows*64)
					defer func(c implementation) { chosen = c }(chosen)
					chosen = i
					n := 0
					for b.Loop() {
						AddPanels(Rows{out, 64, rows}, Rows{a, dim, rows}, Panels{data[n%blocks*bytes:], dim * F16PanelRow, dim, 4, data[(n+1)%blocks*bytes:]})
						n++
					}
					b.ReportMetric(float64(n)*float64(rows)*dim*64/b.Elapsed().Seconds()/1e9, "GMAC/s")
					b.ReportMetric(float64(n)*bytes/b.Elapsed().Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}
