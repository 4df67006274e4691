package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

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
