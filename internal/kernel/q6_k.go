package kernel

import "encoding/binary"

// Q6_K: blocks of 256 elements in 210 bytes; 16 groups of 16 have a scale each.
//
//	byte 0                  128              192                208    210
//	     low[0] … low[127]  high[0] … [63]   scale[0] … [15]    d F16
//	     four bits          two bits         int8
//
// Two halves of 128 elements, each four quarters of 32. Half p, quarter k, element i:
//
//	bits 0…3 = low[64·p + 32·(k mod 2) + i], its low half for k < 2, its high half otherwise
//	bits 4…5 = high[32·p + i] >> 2k
//	value = d · scale[8·p + 2·k + i/16] · (bits − 32)

const q6_kBytes = 210

// sixBits gives the 32 numbers, 0 to 63, of quarter k of half p.
func sixBits(out *[32]uint8, block []byte, p, k int) {
	low, high := block[64*p+32*(k%2):][:32], block[128+32*p:][:32]
	for i := range out {
		out[i] = low[i]>>(k/2*4)&15 | high[i]>>(2*k)&3<<4
	}
}

func rowQ6_K(dst []float32, w []byte) {
	var bits [32]uint8
	for b := 0; b < len(dst)/256; b++ {
		block := w[b*q6_kBytes:][:q6_kBytes]
		d := fromF16(binary.LittleEndian.Uint16(block[208:]))
		for g := range 8 {
			sixBits(&bits, block, g/4, g%4)
			for i, v := range bits {
				ds := d * float32(int8(block[192+2*g+i/16]))
				dst[b*256+g*32+i] = ds * float32(int(v)-32)
			}
		}
	}
}

// dotQ6_K adds element i to lane i/4 mod 16, within a block as whole numbers,
// scales included. The bits are multiplied as they are, 0 to 63; what the −32
// would have done is subtracted by the sums of the activations, groups 2j and
// 2j+1 in lane j.
func dotQ6_K(w []byte, x *tile, t int) float32 {
	var acc [lanes]float32
	var bits [32]uint8
	for b := 0; b < x.cols/256; b++ {
		block := w[b*q6_kBytes:][:q6_kBytes]
		scale := block[192:208]
		q, d, sums := x.bytes256(b, t)
		var total [lanes]int32
		for j := range 8 {
			total[j] = -32 * (int32(int8(scale[2*j]))*int32(sums[2*j]) + int32(int8(scale[2*j+1]))*int32(sums[2*j+1]))
		}
		for g := range 8 {
			sixBits(&bits, block, g/4, g%4)
			u, half := q[g*32:][:32], total[g%2*8:][:8]
			for l := range half {
				i := 4 * l
				sum := int32(bits[i])*int32(u[i]) + int32(bits[i+1])*int32(u[i+1]) +
					int32(bits[i+2])*int32(u[i+2]) + int32(bits[i+3])*int32(u[i+3])
				half[l] += int32(int8(scale[2*g+l/4])) * sum
			}
		}
		s := fromF16(binary.LittleEndian.Uint16(block[208:])) * d
		for l := range acc {
			acc[l] += float32(s * float32(total[l]))
		}
	}
	return sum16(&acc)
}
