package kernel

import "encoding/binary"

// IQ4_XS: blocks of 256 elements in 136 bytes; 8 groups of 32 have a scale each,
// of six bits, and the levels of IQ4_NL.
//
//	byte 0      2           4          8               136
//	     d F16  high       low[0]…[3]  n[0] … n[127]
//
//	scale of group g: half of low[g/2], low for even g, high for odd, + 16 · two bits of
//	                  high from bit 2g on
//	value = d · (scale − 32) · level; a group has 16 bytes of n, laid out as IQ4_NL

func scaleIQ4_XS(w []byte, g int) int8 {
	high := binary.LittleEndian.Uint16(w[2:])
	return int8(w[4+g/2]>>(g%2*4)&15|uint8(high>>(2*g)&3)<<4) - 32
}

func readIQ4_XS(b *block256, w []byte) {
	b.d = float16(w)
	for g := range 8 {
		s := scaleIQ4_XS(w, g)
		b.scale[2*g], b.scale[2*g+1] = s, s
		levels(b.n[32*g:], w[8+16*g:], &levelsIQ4)
	}
}
