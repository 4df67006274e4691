package kernel

// Q6_K: blocks of 256 elements in 210 bytes; 16 groups of 16 have a scale each.
//
//	byte 0                  128              192                208    210
//	     low[0] … low[127]  high[0] … [63]   scale[0] … [15]    d F16
//	     four bits          two bits         int8
//
// Two halves of 128 elements, each four quarters of 32. Half p, quarter k, element i:
//
//	bits 0…3 = low[64·p + 32·(k mod 2) + i], its low half for k < 2, its high half otherwise
//	bits 4…5 = high[32·p + i] >> 2k
//	value = d · scale[8·p + 2·k + i/16] · (bits − 32)

func readQ6_K(b *block256, w []byte) {
	b.d = float16(w[208:])
	for g := range b.scale {
		b.scale[g] = int8(w[192+g])
	}
	for i := range b.n {
		p, k := i/128, i/32%4
		low, high := w[64*p+32*(k%2)+i%32]>>(k/2*4)&15, w[128+32*p+i%32]>>(2*k)&3
		b.n[i] = int8(low|high<<4) - 32
	}
}

// Lines of a panel: 0 to 3 have scale; then for each half of 128 elements 24: low[i], high[i] and
// low[32+i] of four columns in turn.
var orderQ6_K = order(52, func(word int) int {
	switch i := word % 8; {
	case word >= 48:
		return word - 48
	case word >= 32:
		return 5 + 24*((word-32)/8) + 3*i
	case word%16 < 8:
		return 4 + 24*(word/16) + 3*i
	default:
		return 6 + 24*(word/16) + 3*i
	}
})
