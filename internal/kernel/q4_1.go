package kernel

import "encoding/binary"

// Q4_1: blocks of 32 elements in 20 bytes.
//
//	byte 0      2      4              20
//	     d F16  m F16  n[0] … n[15]
//
//	element i = d · (low half of n[i]) + m,  element 16+i = d · (high half of n[i]) + m

func expandQ4_1(parts [][]byte, low []float32, w []byte) {
	out := parts[0]
	copy(out, w[:2])
	low[0] = -fromF16(binary.LittleEndian.Uint16(w[2:]))
	halves4(out[2:], w[4:20])
}

// halves4 writes the low halves of 16 bytes, then the high ones.
func halves4(out, n []byte) {
	le := binary.LittleEndian
	for i := 0; i < 16; i += 8 {
		v := le.Uint64(n[i:])
		le.PutUint64(out[i:], v&eachLow4)
		le.PutUint64(out[16+i:], v>>4&eachLow4)
	}
}
