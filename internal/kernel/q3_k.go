package kernel

// Q3_K: blocks of 256 elements in 110 bytes; 16 groups of 16 have a scale each,
// of six bits.
//
//	byte 0                 32               96                108    110
//	     high[0] … [31]    n[0] … n[63]     scales, 12 bytes  d F16
//
// Two halves of 128 elements, each four quarters of 32. Half p, quarter k, element i:
//
//	h = two bits of n[32·p + i] from bit 2k on, + 4 · bit 4p+k of high[i]
//	value = d · (scale[8·p + 2·k + i/16] − 32) · (h − 4)
//
// Scale j: its low four bits are the low half of byte j for j < 8, the high half
// of byte j−8 otherwise; its high two are bits 2·(j/4) and on of byte 8 + j mod 4.

func readQ3_K(b *block256, w []byte) {
	b.d = float16(w[108:])
	for j := range b.scale {
		b.scale[j] = int8(w[96+j%8]>>(j/8*4)&15|w[104+j%4]>>(j/4*2)&3<<4) - 32
	}
	for i := range b.n {
		b.n[i] = int8(w[32+i/128*32+i%32]>>(i/32%4*2)&3|w[i%32]>>(i/32)&1<<2) - 4
	}
}

// Lines of a panel: 0 to 2 have the scales; then high[i] and n[i] of four columns in turn, for
// i < 32, then the rest of n.
var orderQ3_K = order(27, func(word int) int {
	switch {
	case word >= 24:
		return word - 24
	case word >= 16:
		return 3 + word
	case word >= 8:
		return 4 + 2*(word-8)
	}
	return 3 + 2*word
})
