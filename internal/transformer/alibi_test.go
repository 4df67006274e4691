package transformer

import (
	"math"
	"testing"
)

// The slopes of eight heads are those of the paper, and those of twelve as it says for numbers that
// are no powers of two.
func TestSlopesAreThoseOfThePaper(t *testing.T) {
	for _, c := range []struct {
		heads     int
		most      float64
		exponents []float64
	}{
		{1, 8, []float64{8}},
		{8, 8, []float64{1, 2, 3, 4, 5, 6, 7, 8}},
		{12, 8, []float64{1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5}},
		{3, 4, []float64{2, 4, 1}},
	} {
		got := slopes(c.heads, c.most)
		if len(got) != c.heads {
			t.Fatalf("%d heads have %d slopes", c.heads, len(got))
		}
		for h, e := range c.exponents {
			if want := math.Exp2(-e); math.Abs(float64(got[h])-want) > 1e-7*want {
				t.Errorf("head %d of %d has slope %v, want %v", h, c.heads, got[h], want)
			}
		}
	}
}

// What a token sees of one far away is next to nothing, however large the product of the two of them
// without their distance; and where distance counts for little, it is much.
func TestDistanceTakesFromProducts(t *testing.T) {
	s := &layerSpec{scale: 1}
	near, far := make([]float32, spanTokens), make([]float32, spanTokens)
	near[100], far[100] = 50, 50
	exponentials(near, 0, 201, s, 0.25) // at a distance of 100, which takes 25
	exponentials(far, 0, 201, s, 1)     // takes 100
	for i := range 201 {
		want := math.Exp(float64(i-200)/4 - 25) // the 101st is the largest
		if i == 100 {
			want = 1
		}
		if math.Abs(float64(near[i])-want) > 1e-5*want {
			t.Errorf("position %d has %v, want %v", i, near[i], want)
		}
	}
	if far[100] > 1e-20 || far[200] != 1 {
		t.Errorf("far away is %v, near is %v", far[100], far[200])
	}
}
