package kernel

import (
	"math"
	"testing"
)

// No figure of a machine stands here, and none is compared: only that there is one
// for all kernels.
func TestArithmeticIsMeasured(t *testing.T) {
	defer func(was implementation) { chosen = was }(chosen)
	for _, chosen = range available() {
		if got := Arithmetic(1); !(got > 0) || math.IsInf(got, 0) {
			t.Errorf("%s: %.3g operations a second", chosen, got)
		}
	}
}
