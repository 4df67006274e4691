package kernel

import "encoding/binary"

// Q5_0: blocks of 32 elements in 22 bytes.
//
//	byte 0      2               6              22
//	     d F16  high, 32 bits   n[0] … n[15]
//
//	element i = d · (h − 16), h being the low half of n[i] for i < 16, the high half of
//	n[i−16] otherwise, + 16 · bit i of high

func expandQ5_0(parts [][]byte, _ []float32, w []byte) {
	out := parts[0]
	copy(out, w[:2])
	fiveBits(out[2:], w[2:22])
	for i, v := range out[2:34] {
		out[2+i] = v - 16
	}
}

// fiveBits writes 32 numbers, 0 to 31, of four bytes of fifth bits and 16 of halves.
func fiveBits(out, w []byte) {
	halves4(out, w[4:20])
	high := binary.LittleEndian.Uint32(w)
	for i := range 32 {
		out[i] |= uint8(high>>i&1) << 4
	}
}
