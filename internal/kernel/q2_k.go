package kernel

// Q2_K: blocks of 256 elements in 84 bytes; 16 groups of 16 have a scale and a
// minimum each, of four bits.
//
//	byte 0                16             80     82      84
//	     s[0] … s[15]     n[0] … n[63]   d F16  dm F16
//
// Two halves of 128 elements, each four quarters of 32. Half p, quarter k, element i,
// in group g = 8·p + 2·k + i/16:
//
//	h = two bits of n[32·p + i] from bit 2k on
//	value = d · (low half of s[g]) · h − dm · (high half of s[g])

func readQ2_K(b *block256, w []byte) {
	b.d, b.dm = float16(w[80:]), float16(w[82:])
	for g, s := range w[:16] {
		b.scale[g], b.minimum[g] = int8(s&15), s>>4
	}
	for i := range b.n {
		b.n[i] = int8(w[16+i/128*32+i%32] >> (i / 32 % 4 * 2) & 3)
	}
}
