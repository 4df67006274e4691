package kernel

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

// scalesQ4_K reads the first 16 bytes.
func (b *block256) scalesQ4_K(w []byte) {
	b.d, b.dm = float16(w), float16(w[2:])
	for g := range 16 {
		j := g / 2
		if j < 4 {
			b.scale[g], b.minimum[g] = int8(w[4+j]&63), w[8+j]&63
		} else {
			b.scale[g] = int8(w[8+j]&15 | w[j]>>6<<4)
			b.minimum[g] = w[8+j]>>4 | w[4+j]>>6<<4
		}
	}
}

func readQ4_K(b *block256, w []byte) {
	b.scalesQ4_K(w)
	for i := range b.n {
		b.n[i] = int8(w[16+i/64*32+i%32] >> (i / 32 % 2 * 4) & 15)
	}
}
