package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestInputsEqualGo: the bytes of an input and what belongs to them are the same whatever made
// them, in tiles of all widths, with blocks that have no scale and that are no numbers.
func TestInputsEqualGo(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	p := NewPool(2)
	defer p.Close()
	for _, ty := range []Type{Q8_0, Q6_K} {
		for _, cols := range []int{256, 1280, 5 * 1024} {
			if ty == Q8_0 {
				cols -= 32
			}
			for _, tokens := range []int{1, 2, 3, 5, 8, 12, 25} {
				x := randomFloats(r, tokens*cols)
				odd := []float32{0, 0x1p-101, 0x1p-100, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, -math.MaxFloat32}
				for range tokens {
					block := x[r.IntN(len(x)/32)*32:][:32]
					clear(block)
					block[r.IntN(32)] = odd[r.IntN(len(odd))]
				}
				clear(x[:min(256, cols)])
				w := Matrix{Type: ty, Rows: 1, Cols: cols}
				for _, i := range available() {
					with(i, func() {
						var in, want Input
						in.Set(x, tokens, cols)
						in.Prepare(p, &w)
						want.Set(x, tokens, cols)
						f, g := &in.forms[types[ty].activation], &want.forms[types[ty].activation]
						want.cut(g, types[ty].activation) // in the tiles of the same kernels
						onlyGo(func() {
							for k := range g.tiles {
								if ty == Q8_0 {
									want.fill32(&g.tiles[k], 0, want.chunks(bytes32Chunk))
								} else {
									want.fill256(&g.tiles[k], 0, want.chunks(bytes256Chunk))
								}
							}
						})
						if !slices.Equal(f.q, g.q) || !slices.Equal(f.meta, g.meta) {
							t.Errorf("%s, %s, %d tokens of %d: not what Go makes", i, ty, tokens, cols)
						}
					})
				}
			}
		}
	}
}

func TestSumsOfBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for n := 0; n <= 64; n += 8 {
		q, want := make([]int8, n), int32(0)
		for i := range q {
			q[i] = int8(r.IntN(256) - 128)
			want += int32(q[i])
		}
		if got := sum(q); got != want {
			t.Errorf("%d bytes: %d, want %d", n, got, want)
		}
	}
	for _, v := range []int8{-128, 127} {
		if got := sum(slices.Repeat([]int8{v}, 32)); got != 32*int32(v) {
			t.Errorf("32 times %d: %d", v, got)
		}
	}
}
