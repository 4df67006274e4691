package kernel

// Q4_0: blocks of 32 elements in 18 bytes.
//
//	byte 0      2                                    18
//	     d F16  n[0] n[1] … n[15]                    element i      = d · (low  half of n[i] − 8)
//	                                                 element i + 16 = d · (high half of n[i] − 8)

func readQ4_0(b *block32, w []byte) {
	b.d = float16(w)
	halves4(&b.n, w[2:])
	for i := range b.n {
		b.n[i] -= 8
	}
}
