package kernel

import "encoding/binary"

// Q4_K: blocks of 256 elements in 144 bytes; 8 groups of 32 have a scale and a
// minimum each, of six bits.
//
//	byte 0      2       4                16                              144
//	     d F16  dm F16  scales, 12 bytes  n[0] … n[127]
//
//	group g, element i of it: h = half of n[32·(g/2) + i], low for even g, high for odd
//	value = d · scale[g] · h − dm · minimum[g]
//
// The twelve bytes, s0 to s11, by bits (7…0):
//
//	s0 … s3    high two of scale 4…7    | scale 0…3
//	s4 … s7    high two of minimum 4…7  | minimum 0…3
//	s8 … s11   low four of minimum 4…7  | low four of scale 4…7

const q4_kBytes = 144

// scalesQ4_K unpacks the twelve bytes, eight numbers at a time as bytes of a word.
func scalesQ4_K(s []byte) (scale, minimum [8]uint8) {
	a, b, c := binary.LittleEndian.Uint32(s), binary.LittleEndian.Uint32(s[4:]), binary.LittleEndian.Uint32(s[8:])
	binary.LittleEndian.PutUint32(scale[:4], a&0x3f3f3f3f)
	binary.LittleEndian.PutUint32(scale[4:], c&0x0f0f0f0f|a>>2&0x30303030)
	binary.LittleEndian.PutUint32(minimum[:4], b&0x3f3f3f3f)
	binary.LittleEndian.PutUint32(minimum[4:], c>>4&0x0f0f0f0f|b>>2&0x30303030)
	return
}

func rowQ4_K(dst []float32, w []byte) {
	for b := 0; b < len(dst)/256; b++ {
		block, out := w[b*q4_kBytes:][:q4_kBytes], dst[b*256:][:256]
		d, dm := fromF16(binary.LittleEndian.Uint16(block)), fromF16(binary.LittleEndian.Uint16(block[2:]))
		scale, minimum := scalesQ4_K(block[4:16])
		for g := range 8 {
			ds, m := d*float32(scale[g]), dm*float32(minimum[g])
			for i := range 32 {
				h := block[16+g/2*32+i] >> (g % 2 * 4) & 15
				out[g*32+i] = float32(ds*float32(h)) - m
			}
		}
	}
}

// dotQ4_K adds element i to lane i/4 mod 16, within a block as whole numbers,
// scales included. The minima are multiplied with the sums of the activations
// of their groups, groups 2j and 2j+1 in lane j of four more.
func dotQ4_K(w []byte, x *tile, t int) float32 {
	var acc [lanes]float32
	var low [4]float32
	for b := 0; b < x.cols/256; b++ {
		block := w[b*q4_kBytes:][:q4_kBytes]
		q, d, sums := x.bytes256(b, t)
		scale, minimum := scalesQ4_K(block[4:16])
		var total [lanes]int32
		for g := range 8 {
			n, u := block[16+g/2*32:][:32], q[g*32:][:32]
			shift, s, half := g%2*4, int32(scale[g]), total[g%2*8:][:8]
			for l := range half {
				i := 4 * l
				sum := int32(n[i]>>shift&15)*int32(u[i]) + int32(n[i+1]>>shift&15)*int32(u[i+1]) +
					int32(n[i+2]>>shift&15)*int32(u[i+2]) + int32(n[i+3]>>shift&15)*int32(u[i+3])
				half[l] += s * sum
			}
		}
		s, m := fromF16(binary.LittleEndian.Uint16(block))*d, fromF16(binary.LittleEndian.Uint16(block[2:]))*d
		for l := range acc {
			acc[l] += float32(s * float32(total[l]))
		}
		for j := range low {
			g := 2 * j
			sum := int32(minimum[g])*(int32(sums[2*g])+int32(sums[2*g+1])) +
				int32(minimum[g+1])*(int32(sums[2*g+2])+int32(sums[2*g+3]))
			low[j] += float32(m * float32(sum))
		}
	}
	return sum16(&acc) - sum4(&low)
}
