package kernel

import "encoding/binary"

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

func expandQ2_K(parts [][]byte, low []float32, w []byte) {
	le := binary.LittleEndian
	var n [256]uint8
	dm, out := fromF16(le.Uint16(w[82:])), parts[0]
	for g := range 8 {
		for i := 0; i < 32; i += 8 {
			le.PutUint64(n[32*g+i:], le.Uint64(w[16+g/4*32+i:])>>(g%4*2)&eachLow2|32*eachOne)
		}
	}
	packSixBits(out, &n)
	for g, s := range w[:16] {
		out[192+g] = s & 15
		low[g] = dm * float32(s>>4)
	}
	copy(out[208:], w[80:82])
}
