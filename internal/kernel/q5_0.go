package kernel

import "encoding/binary"

// Q5_0: blocks of 32 elements in 22 bytes.
//
//	byte 0      2               6              22
//	     d F16  high, 32 bits   n[0] … n[15]
//
//	element i = d · (h − 16), h being the low half of n[i] for i < 16, the high half of
//	n[i−16] otherwise, + 16 · bit i of high

func readQ5_0(b *block32, w []byte) {
	b.d = float16(w)
	fiveBits(&b.n, w[2:])
	for i := range b.n {
		b.n[i] -= 16
	}
}

// fiveBits writes 32 numbers, 0 to 31, of four bytes of fifth bits and 16 of halves.
func fiveBits(out *[32]int8, w []byte) {
	halves4(out, w[4:])
	high := binary.LittleEndian.Uint32(w)
	for i := range out {
		out[i] |= int8(high>>i&1) << 4
	}
}

// A panel has the fifth bits so that bit k of byte j is that of element 4k+j.
func fifthBits(v uint32) uint32 {
	t := &spreadBits
	return t[v&255] | t[v>>8&255]<<2 | t[v>>16&255]<<4 | t[v>>24]<<6
}

// spreadBits has bits 0 to 3 of a number as the lowest bits of four bytes, and bits 4 to 7 above them.
var spreadBits = func() (t [256]uint32) {
	for v := range t {
		for bit := range 8 {
			t[v] |= uint32(v>>bit&1) << (bit%4*8 + bit/4)
		}
	}
	return t
}()
