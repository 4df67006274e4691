package kernel

import "encoding/binary"

// Q8_0: blocks of 32 elements in 34 bytes.
//
//	byte 0      2                                    34
//	     d F16  q[0] q[1] … q[31], int8              element i = d · q[i]

const q8_0Bytes = 34

func rowQ8_0(dst []float32, w []byte) {
	for b := 0; b < len(dst)/32; b++ {
		block := w[b*q8_0Bytes:][:q8_0Bytes]
		d := fromF16(binary.LittleEndian.Uint16(block))
		for i, q := range block[2:] {
			dst[b*32+i] = d * float32(int8(q))
		}
	}
}

// dotQ8_0 adds element i of two neighbouring blocks, 64 elements, to lane i/4:
// four products are added as whole numbers, then scaled, then added.
func dotQ8_0(w []byte, x *tile, t int) float32 {
	var acc [lanes]float32
	for b := 0; b < x.cols/32; b++ {
		block := w[b*q8_0Bytes:][:q8_0Bytes]
		q, d := x.bytes32(b, t)
		s := fromF16(binary.LittleEndian.Uint16(block)) * d
		half := acc[b%2*8:][:8]
		for l := range half {
			v, u := block[2+4*l:][:4], q[4*l:][:4]
			sum := int32(int8(v[0]))*int32(u[0]) + int32(int8(v[1]))*int32(u[1]) +
				int32(int8(v[2]))*int32(u[2]) + int32(int8(v[3]))*int32(u[3])
			half[l] += float32(s * float32(sum))
		}
	}
	return sum16(&acc)
}
