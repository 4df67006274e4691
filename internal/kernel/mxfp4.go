package kernel

import "math"

// MXFP4: blocks of 32 elements in 17 bytes (OCP Microscaling Formats 1.0): numbers
// of one sign, two exponent and one fraction bit under a power of two.
//
//	byte 0     1              17
//	     e     n[0] … n[15]
//
//	element i = 2^(e−127) · number(low half of n[i]),  element 16+i = that of the high half
//	numbers 0 to 7: 0, ½, 1, 1½, 2, 3, 4, 6; 8 to 15: the same, negative

// numbersMXFP4 are twice the numbers.
var numbersMXFP4 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// scaleMXFP4 is 2^(e−128), for twice the numbers.
func scaleMXFP4(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(0x00200000 << e) // subnormal
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

func readMXFP4(b *block32, w []byte) {
	b.d = scaleMXFP4(w[0])
	levels(b.n[:], w[1:], &numbersMXFP4)
}
