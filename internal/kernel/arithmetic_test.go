package kernel

import "testing"

// No figure of a machine stands here: only that there is one for all kernels,
// and that instructions for many numbers at once are faster than none.
func TestArithmeticIsMeasured(t *testing.T) {
	defer func(was implementation) { chosen = was }(chosen)
	plain := 0.0
	for _, chosen = range []implementation{goOnly, available()[0]} {
		got := Arithmetic(1)
		if got < plain || got == 0 && chosen == goOnly {
			t.Errorf("%s: %.3g operations a second, go %.3g", chosen, got, plain)
		}
		plain = got
	}
}
