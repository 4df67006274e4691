package transformer

import (
	"math"
	"math/bits"

	"parley/internal/kernel"
)

// ALiBi (Press et al. 2021, arXiv 2108.12409): in place of positions, the product of a query and a
// key becomes smaller by their distance times a number of the head's own, its slope.

// slopes are those of some heads. Those of 2ⁿ heads are powers of two whose exponents lie as far
// from each other as from zero, and the last of which is −most; where there are more than 2ⁿ heads
// and less than twice as many, the others have every second one of those that 2ⁿ⁺¹ heads have.
func slopes(heads int, most float64) []float32 {
	power := 1 << (bits.Len(uint(heads)) - 1)
	out := make([]float32, heads)
	for h := range out {
		exponent := float64(h+1) / float64(power)
		if h >= power {
			exponent = float64(2*(h-power)+1) / float64(2*power)
		}
		out[h] = float32(math.Exp2(-most * exponent))
	}
	return out
}

// nearness is minus the distances from the last position of a span.
var nearness = func() (x [spanTokens]float32) {
	for i := range x {
		x[i] = float32(i - spanTokens + 1)
	}
	return x
}()

// slant makes of products that a query has with positions, one after the other, what they are when
// scaled and as much smaller as those positions are further away than the last of them.
func slant(products []float32, scale, slope float32) {
	kernel.Mix(products, scale, nearness[spanTokens-len(products):], slope)
}
