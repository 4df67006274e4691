package kernel

// Q5_1: blocks of 32 elements in 24 bytes.
//
//	byte 0      2      4               8              24
//	     d F16  m F16  high, 32 bits   n[0] … n[15]
//
//	element i = d · h + m, h as in Q5_0

func readQ5_1(b *block32, w []byte) {
	b.d, b.m = float16(w), float16(w[2:])
	fiveBits(&b.n, w[4:])
}
