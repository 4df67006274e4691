package kernel

// Q8_0: blocks of 32 elements in 34 bytes.
//
//	byte 0      2                                    34
//	     d F16  q[0] q[1] … q[31], int8              element i = d · q[i]

const q8_0Bytes = 34

func readQ8_0(b *block32, w []byte) {
	b.d = float16(w)
	for i, q := range w[2:q8_0Bytes] {
		b.n[i] = int8(q)
	}
}

// flipQ8_0 makes numbers without sign of four with, by adding 128: what a panel holds.
const flipQ8_0 = 0x80808080
