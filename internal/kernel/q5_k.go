package kernel

// Q5_K: blocks of 256 elements in 176 bytes; as Q4_K, with a fifth bit.
//
//	byte 0      2       4                16                48                176
//	     d F16  dm F16  scales, 12 bytes  high[0] … [31]   n[0] … n[127]
//
//	group g, element i of it: h = half of n[32·(g/2) + i], low for even g, high for odd,
//	                              + 16 · bit g of high[i]
//	value = d · scale[g] · h − dm · minimum[g]
//
// The twelve bytes are those of Q4_K.

func readQ5_K(b *block256, w []byte) {
	b.scalesQ4_K(w)
	for i := range b.n {
		b.n[i] = int8(w[48+i/64*32+i%32]>>(i/32%2*4)&15 | w[16+i%32]>>(i/32)&1<<4)
	}
}

// Lines of a panel: 0 to 3 as in the file, then high[i] and n[i] of four columns in turn,
// for i < 32, then the rest of n.
var orderQ5_K = order(44, func(word int) int {
	switch {
	case 4 <= word && word < 12:
		return 4 + 2*(word-4)
	case 12 <= word && word < 20:
		return 5 + 2*(word-12)
	}
	return word
})
