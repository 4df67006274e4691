package kernel

// Q4_1: blocks of 32 elements in 20 bytes.
//
//	byte 0      2      4              20
//	     d F16  m F16  n[0] … n[15]
//
//	element i = d · (low half of n[i]) + m,  element 16+i = d · (high half of n[i]) + m

func readQ4_1(b *block32, w []byte) {
	b.d, b.m = float16(w), float16(w[2:])
	halves4(&b.n, w[4:])
}
