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

func rowIQ4_XS(dst []float32, w []byte) {
	const size = 136
	var n [32]byte
	for b := range len(dst) / 256 {
		block := w[b*size:][:size]
		d := fromF16(binary.LittleEndian.Uint16(block))
		for g := range 8 {
			ds := d * float32(scaleIQ4_XS(block, g))
			levels(n[:], block[8+16*g:][:16], &levelsIQ4)
			for i, v := range n {
				dst[b*256+g*32+i] = ds * float32(int8(v))
			}
		}
	}
}

// expandIQ4_XS takes a level as 4a + b with b from 0 to 3: a fits the six bits
// and four times the scale its byte.
func expandIQ4_XS(parts [][]byte, _ []float32, w []byte) {
	var a, b [256]uint8
	for g := range 8 {
		levels(a[32*g:], w[8+16*g:][:16], &fourthsIQ4)
		levels(b[32*g:], w[8+16*g:][:16], &restsIQ4)
		s := scaleIQ4_XS(w, g)
		for i := range 2 {
			parts[0][192+2*g+i], parts[1][192+2*g+i] = uint8(4*s), uint8(s)
		}
	}
	packSixBits(parts[0], &a)
	packSixBits(parts[1], &b)
	copy(parts[0][208:], w[:2])
	copy(parts[1][208:], w[:2])
}

// A level is 4·(fourth − 32) + rest − 32.
var fourthsIQ4, restsIQ4 = func() (a, b [16]int8) {
	for i, v := range levelsIQ4 {
		a[i], b[i] = v>>2+32, v&3+32
	}
	return
}()
