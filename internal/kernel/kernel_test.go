package kernel

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// with runs f on an implementation.
func with(i implementation, f func()) {
	defer func(c implementation) { chosen = c }(chosen)
	chosen = i
	f()
}

func onlyGo(f func()) { with(goOnly, f) }

// TestExpectedKernel makes a run that meant to test assembly fail where there is
// none: KERNEL=avx2 go test ./internal/kernel.
func TestExpectedKernel(t *testing.T) {
	if want := os.Getenv("KERNEL"); want != "" && Name() != want {
		t.Fatalf("this processor and build run %q, not %q", Name(), want)
	}
	t.Logf("running %q", Name())
}

// weird are numbers at which conversions and roundings turn.
var weird = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.5, 1.5, 2.5, 127, -127, 126.5, 65504, 65519, 65520, 0x1p-14, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-130, 1e30, -1e-30}

func randomFloats(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	if n > 0 && r.IntN(4) == 0 {
		x[r.IntN(n)] = weird[r.IntN(len(weird))]
	}
	return x
}

// randomRows are rows of any bytes, except that what scales is finite.
func randomRows(r *rand.Rand, ty Type, rows, cols int) []byte {
	b := make([]byte, rows*ty.RowBytes(cols))
	for i := range b {
		b[i] = byte(r.Uint32())
		if r.IntN(8) == 0 {
			b[i] = []byte{0, 0x7f, 0x80, 0xff}[r.IntN(4)]
		}
	}
	half := func(at int) { PutF16(b[at:], []float32{float32(r.NormFloat64())}) }
	for at := 0; at < len(b); at += ty.BlockBytes() {
		switch ty {
		case F32:
			b[at+3] = b[at+3]&0x80 | 0x3e + b[at+3]&1
		case F16:
			half(at)
		case BF16:
			b[at+1] = b[at+1]&0x80 | 0x3e + b[at+1]&1
		case Q8_0, Q4_0, Q5_0, IQ4_NL, IQ4_XS:
			half(at)
		case MXFP4:
			b[at] = 110 + b[at]%16
		case Q2_K:
			half(at + 80)
			half(at + 82)
		case Q3_K:
			half(at + 108)
		case Q4_1, Q5_1, Q4_K, Q5_K:
			half(at)
			half(at + 2)
		case Q6_K:
			half(at + 208)
		}
	}
	return b
}

func equal(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %v (%#x), want %v (%#x)", what, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// pack packs a matrix, until what it returns is called.
func pack(t testing.TB, m *Matrix) (free func()) {
	t.Helper()
	p, err := Pack(NewPool(1), [][]*Matrix{{m}}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return p.Free
}

// columns are lengths of rows: whole chunks, and not.
func columns(ty Type) []int {
	var list []int
	for _, n := range []int{1, 2, 3, 4, 5, 8, 11} {
		list = append(list, n*max(ty.BlockSize(), 16))
	}
	if ty.BlockSize() == 1 {
		list = append(list, 1, 7, 17, 100)
	}
	return list
}

func TestMultiplyEqualsGo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, ty := range Types {
		for _, cols := range columns(ty) {
			for tokens := 1; tokens <= 15; tokens++ {
				rows := 1 + r.IntN(2*partRows+2)
				m, err := NewMatrix(ty, rows, cols, randomRows(r, ty, rows, cols))
				if err != nil {
					t.Fatal(err)
				}
				defer pack(t, &m)()
				x := randomFloats(r, tokens*cols)
				got, want := make([]float32, tokens*rows), make([]float32, tokens*rows)
				onlyGo(func() {
					var in Input
					in.Set(x, tokens, cols)
					Multiply(NewPool(1), &in, Product{&m, want})
				})
				p := NewPool(2)
				for _, i := range available() {
					with(i, func() {
						var in Input
						in.Set(x, tokens, cols)
						Multiply(p, &in, Product{&m, got})
					})
					equal(t, fmt.Sprintf("%s: %s, %d rows of %d, %d tokens", i, ty, rows, cols, tokens), got, want)
				}
				p.Close()
			}
		}
	}
}

func TestGroupsAreTheirProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	p := NewPool(2)
	defer p.Close()
	var groups []Group
	var what []string
	var want [][]float32
	for k, ty := range Types {
		tokens := 1 + k%5
		in := new(Input)
		in.Set(randomFloats(r, tokens*256), tokens, 256)
		g := Group{In: in}
		for range k % 3 {
			rows := 1 + r.IntN(4*partRows)
			m, err := NewMatrix(ty, rows, 256, randomRows(r, ty, rows, 256))
			if err != nil {
				t.Fatal(err)
			}
			defer pack(t, &m)()
			one := make([]float32, tokens*rows)
			Multiply(p, in, Product{&m, one})
			want, what = append(want, one), append(what, fmt.Sprintf("%s, %d rows, %d tokens", ty, rows, tokens))
			g.Products = append(g.Products, Product{&m, make([]float32, tokens*rows)})
		}
		if k%2 == 0 {
			in.Set(in.x, tokens, 256)
		}
		groups = append(groups, g)
	}
	MultiplyGroups(p, groups)
	for _, g := range groups {
		for _, job := range g.Products {
			equal(t, what[0], job.Out, want[0])
			what, want = what[1:], want[1:]
		}
	}
}

// TestMultiplyIsNear holds products beside those of the dequantised row in
// float64: it is what tells that the reference itself is right.
func TestMultiplyIsNear(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, ty := range Types {
		const cols = 1024
		m, err := NewMatrix(ty, 20, cols, randomRows(r, ty, 20, cols))
		if err != nil {
			t.Fatal(err)
		}
		defer pack(t, &m)()
		x, out, row := randomFloats(r, cols), make([]float32, 20), make([]float32, cols)
		var in Input
		in.Set(x, 1, cols)
		Multiply(NewPool(1), &in, Product{&m, out})
		var largest float64
		for _, v := range x {
			largest = max(largest, math.Abs(float64(v)))
		}
		for i, got := range out {
			m.Row(row, i)
			var want, squares, weights float64
			for k, w := range row {
				want += float64(w) * float64(x[k])
				squares += math.Pow(float64(w)*float64(x[k]), 2)
				weights += math.Pow(float64(w), 2)
			}
			limit := 1e-6 * math.Sqrt(squares)
			if ty.BlockSize() > 1 {
				// Activations are rounded by up to half a step: six times the
				// standard deviation of that.
				limit += 6 * math.Sqrt(weights/12) * largest / 127
			}
			if e := math.Abs(float64(got) - want); e > limit {
				t.Errorf("%s: row %d gives %v, want %v: off by %.1e, more than %.1e", ty, i, got, want, e, limit)
			}
		}
	}
}

func TestQuantiseEqualsGo(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		x := randomFloats(r, 32*(1+r.IntN(8)))
		if r.IntN(3) == 0 { // ties
			for i := range x {
				x[i] = float32(r.IntN(509)-254) / 2
			}
			x[0] = 127
		}
		got, want := make([]int8, len(x)), make([]int8, len(x))
		var d float32
		onlyGo(func() { d = quantise(want, x) })
		if e := quantise(got, x); e != d {
			t.Fatalf("scale %v, want %v", e, d)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%v becomes %d, want %d", x[i], got[i], want[i])
			}
		}
	}
	nan := make([]float32, 32)
	nan[7] = float32(math.NaN())
	if d := quantise(make([]int8, 32), nan); d == d {
		t.Errorf("a block with NaN has scale %v", d)
	}
}

func TestVectorsEqualGo(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for n := 1; n < 200; n++ {
		x, y := randomFloats(r, n), randomFloats(r, n)
		both := func(what string, f func(out []float32)) {
			t.Helper()
			got, want := append([]float32(nil), x...), append([]float32(nil), x...)
			f(got)
			onlyGo(func() { f(want) })
			equal(t, fmt.Sprintf("%s of %d", what, n), got, want)
		}
		both("RMSNorm", func(out []float32) { RMSNorm(out, out, y, 1e-5) })
		both("Softmax", func(out []float32) { Softmax(out, 0.125) })
		both("LayerNorm", func(out []float32) { LayerNorm(out, out, y, x, 1e-5) })
		both("LayerNorm without weights", func(out []float32) { LayerNorm(out, out, nil, nil, 1e-5) })
		both("Products", func(out []float32) { Products(out, y) })
		both("AddProducts", func(out []float32) { AddProducts(out, y, x) })
		both("RotateNeighbours", func(out []float32) { RotateNeighbours(out[:n&^1], y) })
		both("RotateHalves", func(out []float32) {
			half := n / 2
			RotateHalves(out[:half], out[half:], y, y[half:])
		})
		both("PutF16", func(out []float32) {
			b := make([]byte, 2*n)
			PutF16(b, out)
			rowF16(out, b)
		})
	}
}

func TestF16(t *testing.T) {
	for h := range 1 << 16 {
		f := fromF16(uint16(h))
		if f != f {
			continue
		}
		if back := toF16(f); back != uint16(h) {
			t.Fatalf("%#04x is %v, which becomes %#04x", h, f, back)
		}
		// Halfway to the next: to even. Below and above: down and up.
		next := fromF16(uint16(h + 1))
		if math.IsInf(float64(f), 0) || h&0x7fff >= 0x7bff {
			continue
		}
		even, mid := uint16(h+h&1), (f+next)/2
		if got := toF16(mid); got != even {
			t.Fatalf("%v becomes %#04x, want %#04x", mid, got, even)
		}
		if got := toF16(math.Nextafter32(mid, f)); got != uint16(h) {
			t.Fatalf("just before %v becomes %#04x, want %#04x", mid, got, h)
		}
	}
	for f, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, -1e30: 0xfc00, 1: 0x3c00, -2: 0xc000, 0x1p-24: 1, 0x1p-25: 0} {
		if got := toF16(f); got != want {
			t.Errorf("%v becomes %#04x, want %#04x", f, got, want)
		}
	}
}

func TestExp(t *testing.T) {
	for x := float32(-87); x < 88; x += 0.0137 {
		want := math.Exp(float64(x))
		if e := math.Abs(float64(exp(x))/want - 1); e > 3e-7 {
			t.Fatalf("exp(%v) = %v, want %v: off by %.1e", x, exp(x), want, e)
		}
	}
	if exp(0) != 1 {
		t.Errorf("exp(0) = %v", exp(0))
	}
	if v := exp(-1000); v > 1e-37 {
		t.Errorf("exp(-1000) = %v", v)
	}
	if v := exp(1000); v < 1e38 || math.IsInf(float64(v), 0) {
		t.Errorf("exp(1000) = %v", v)
	}
}

func TestNewMatrixChecksSizes(t *testing.T) {
	for _, c := range []struct {
		ty               Type
		rows, cols, size int
	}{
		{F32, 2, 3, 23}, {F32, 0, 3, 0}, {F32, 3, 0, 0}, {F32, -1, -4, 16}, {Q8_0, 1, 33, 34}, {Q4_K, 1, 128, 72},
		{F32, math.MaxInt / 2, 4, 0}, {Q6_K, 2, 256, 210},
	} {
		if _, err := NewMatrix(c.ty, c.rows, c.cols, make([]byte, c.size)); err == nil {
			t.Errorf("%d rows of %d in %s with %d bytes: no error", c.rows, c.cols, c.ty, c.size)
		}
	}
}

func TestPoolRunsEachOnce(t *testing.T) {
	for threads := range 5 {
		p := NewPool(threads)
		for n := range 40 {
			counts := make([]int32, n)
			p.Run(n, func(i int) { counts[i]++ })
			for i, c := range counts {
				if c != 1 {
					t.Fatalf("%d threads, %d parts: part %d ran %d times", threads, n, i, c)
				}
			}
		}
		p.Close()
		ran := 0
		p.Run(7, func(int) { ran++ })
		if ran != 7 {
			t.Errorf("a closed pool of %d threads ran %d parts of 7", threads, ran)
		}
	}
}

func TestPoolGivesThreadsNeighbours(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var both sync.WaitGroup
	both.Add(2)
	var begun atomic.Int32
	first := make([]int, 2)
	p.Run(10, func(i int) {
		if n := begun.Add(1); n <= 2 {
			first[n-1] = i
			both.Done()
			both.Wait() // so that each thread has one of them
		}
	})
	if slices.Sort(first); !slices.Equal(first, []int{0, 5}) {
		t.Errorf("two threads begin ten parts with %v", first)
	}
}

func BenchmarkMultiply(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, ty := range Types {
		for _, tokens := range []int{1, 4, 128} {
			b.Run(fmt.Sprintf("%s/%d", ty, tokens), func(b *testing.B) {
				const rows, cols = 512, 2048
				m, err := NewMatrix(ty, rows, cols, randomRows(r, ty, rows, cols))
				if err != nil {
					b.Fatal(err)
				}
				defer pack(b, &m)()
				x, out := randomFloats(r, tokens*cols), make([]float32, tokens*rows)
				p := NewPool(1)
				var in Input
				for b.Loop() {
					in.Set(x, tokens, cols)
					Multiply(p, &in, Product{&m, out})
				}
				b.ReportMetric(float64(b.N)*rows*cols*float64(tokens)/b.Elapsed().Seconds()/1e9, "GMAC/s")
			})
		}
	}
}

// BenchmarkMemory multiplies weights that no cache holds, in turn with reading them alone.
func BenchmarkMemory(b *testing.B) {
	r := rand.New(rand.NewPCG(11, 12))
	p := NewPool(2)
	defer p.Close()
	for _, ty := range []Type{Q8_0, Q6_K, Q4_K, Q4_0} {
		const cols, size = 2048, 256 << 20
		rows := size / ty.RowBytes(cols) / 64 * 64
		some := randomRows(r, ty, 64, cols)
		m, err := NewMatrix(ty, rows, cols, bytes.Repeat(some, rows/64))
		if err != nil {
			b.Fatal(err)
		}
		packed, err := Pack(p, [][]*Matrix{{&m}}, func() {})
		if err != nil {
			b.Fatal(err)
		}
		for _, tokens := range []int{1, 4} {
			b.Run(fmt.Sprintf("%s/%d", ty, tokens), func(b *testing.B) {
				if m.packed == nil {
					b.Skip("there is no assembly here")
				}
				x, out := randomFloats(r, tokens*cols), make([]float32, tokens*rows)
				var in Input
				var sink atomic.Uint64
				var speeds, shares []float64
				for b.Loop() {
					const part = 64 << 10
					begun := time.Now()
					p.Run(len(m.packed)/part, func(i int) { sink.Add(read(m.packed[i*part:][:part])) })
					reading := time.Since(begun)
					in.Set(x, tokens, cols)
					begun = time.Now()
					Multiply(p, &in, Product{&m, out})
					took := time.Since(begun)
					speeds = append(speeds, float64(len(m.packed))/float64(took.Nanoseconds()))
					shares = append(shares, 100*reading.Seconds()/took.Seconds())
				}
				slices.Sort(speeds)
				slices.Sort(shares)
				b.ReportMetric(speeds[len(speeds)/2], "GB/s")
				b.ReportMetric(shares[len(shares)/2], "%_of_reading")
			})
		}
		packed.Free()
	}
}

func TestPoolPanicsWhereItCanBeRecoveredFrom(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	for round := range 50 {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), "item 7") {
					t.Errorf("round %d: recovered %v", round, v)
				}
			}()
			p.Run(16, func(i int) {
				if i == 7 {
					panic("item 7")
				}
			})
		}()
		var ran atomic.Int32
		p.Run(16, func(int) { ran.Add(1) })
		if ran.Load() != 16 {
			t.Fatalf("round %d: after a panic %d of 16 ran", round, ran.Load())
		}
	}
}
