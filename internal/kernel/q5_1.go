package kernel

import "encoding/binary"

// Q5_1: blocks of 32 elements in 24 bytes.
//
//	byte 0      2      4               8              24
//	     d F16  m F16  high, 32 bits   n[0] … n[15]
//
//	element i = d · h + m, h as in Q5_0

func expandQ5_1(parts [][]byte, low []float32, w []byte) {
	out := parts[0]
	copy(out, w[:2])
	low[0] = -fromF16(binary.LittleEndian.Uint16(w[2:]))
	fiveBits(out[2:], w[4:24])
}
