package kernel

import "encoding/binary"

// Q5_K: blocks of 256 elements in 176 bytes; as Q4_K, with a fifth bit.
//
//	byte 0      2       4                16                48                176
//	     d F16  dm F16  scales, 12 bytes  high[0] … [31]   n[0] … n[127]
//
//	group g, element i of it: h = half of n[32·(g/2) + i], low for even g, high for odd,
//	                              + 16 · bit g of high[i]
//	value = d · scale[g] · h − dm · minimum[g]
//
// The twelve bytes are those of Q4_K.

func expandQ5_K(parts [][]byte, low []float32, w []byte) {
	le := binary.LittleEndian
	var n [256]uint8
	scale, minimum := scalesQ4_K(w[4:16])
	dm, out := fromF16(le.Uint16(w[2:])), parts[0]
	for g := range 8 {
		for i := 0; i < 32; i += 8 {
			four, one := le.Uint64(w[48+g/2*32+i:])>>(g%2*4)&eachLow4, le.Uint64(w[16+i:])>>g&eachOne
			le.PutUint64(n[32*g+i:], four|one<<4|32*eachOne)
		}
		out[192+2*g], out[193+2*g] = scale[g], scale[g]
		low[2*g] = dm * float32(minimum[g])
		low[2*g+1] = low[2*g]
	}
	packSixBits(out, &n)
	copy(out[208:], w[:2])
}
