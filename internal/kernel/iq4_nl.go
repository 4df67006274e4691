package kernel

// IQ4_NL: blocks of 32 elements in 18 bytes, as Q4_0, but the four bits stand
// for numbers that are denser near zero.
//
//	byte 0      2              18
//	     d F16  n[0] … n[15]
//
//	element i = d · levels[low half of n[i]],  element 16+i = d · levels[high half of n[i]]

var levelsIQ4 = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func readIQ4_NL(b *block32, w []byte) {
	b.d = float16(w)
	levels(b.n[:], w[2:], &levelsIQ4)
}
