package kernel

import "encoding/binary"

// Q4_0: blocks of 32 elements in 18 bytes.
//
//	byte 0      2                                    18
//	     d F16  n[0] n[1] … n[15]                    element i      = d · (low  half of n[i] − 8)
//	                                                 element i + 16 = d · (high half of n[i] − 8)

const q4_0Bytes = 18

func rowQ4_0(dst []float32, w []byte) {
	for b := 0; b < len(dst)/32; b++ {
		block := w[b*q4_0Bytes:][:q4_0Bytes]
		d := fromF16(binary.LittleEndian.Uint16(block))
		for i, n := range block[2:] {
			dst[b*32+i] = d * float32(int(n&15)-8)
			dst[b*32+i+16] = d * float32(int(n>>4)-8)
		}
	}
}

// dotQ4_0 adds in the lanes of dotQ8_0.
func dotQ4_0(w []byte, x *tile, t int) float32 {
	var acc [lanes]float32
	for b := 0; b < x.cols/32; b++ {
		block := w[b*q4_0Bytes:][:q4_0Bytes]
		q, d := x.bytes32(b, t)
		s := fromF16(binary.LittleEndian.Uint16(block)) * d
		half := acc[b%2*8:][:8]
		for l := range 4 {
			var low, high int32
			for i := 4 * l; i < 4*l+4; i++ {
				n := block[2+i]
				low += (int32(n&15) - 8) * int32(q[i])
				high += (int32(n>>4) - 8) * int32(q[i+16])
			}
			half[l] += float32(s * float32(low))
			half[l+4] += float32(s * float32(high))
		}
	}
	return sum16(&acc)
}
