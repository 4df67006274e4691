package kernel

// Q8_0: blocks of 32 elements in 34 bytes.
//
//	byte 0      2                                    34
//	     d F16  q[0] q[1] … q[31], int8              element i = d · q[i]

func readQ8_0(b *block32, w []byte) {
	b.d = float16(w)
	for i, q := range w[2:34] {
		b.n[i] = int8(q)
	}
}

// flipped makes numbers without sign of four with, by adding 128: what a panel holds.
func flipped(_ int, v uint32) uint32 { return v ^ 0x80808080 }
