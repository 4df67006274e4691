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

func rowMXFP4(dst []float32, w []byte) {
	const size = 17
	var n [32]byte
	for b := range len(dst) / 32 {
		block := w[b*size:][:size]
		d := scaleMXFP4(block[0])
		levels(n[:], block[1:], &numbersMXFP4)
		for i, v := range n {
			dst[b*32+i] = d * float32(int8(v))
		}
	}
}

// expandMXFP4 has the scale as F16: below 2⁻²⁴ it becomes zero, above 2¹⁵ infinite,
// far from what weights are.
func expandMXFP4(parts [][]byte, _ []float32, w []byte) {
	out := parts[0]
	h := toF16(scaleMXFP4(w[0]))
	out[0], out[1] = byte(h), byte(h>>8)
	levels(out[2:], w[1:17], &numbersMXFP4)
}
