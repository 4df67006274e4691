package kernel

// IQ4_NL: blocks of 32 elements in 18 bytes, as Q4_0, but the four bits stand
// for numbers that are denser near zero.
//
//	byte 0      2              18
//	     d F16  n[0] … n[15]
//
//	element i = d · levels[low half of n[i]],  element 16+i = d · levels[high half of n[i]]

var levelsIQ4 = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func expandIQ4_NL(parts [][]byte, _ []float32, w []byte) {
	out := parts[0]
	copy(out, w[:2])
	levels(out[2:], w[2:18], &levelsIQ4)
}

// levels writes what the low halves of 16 bytes stand for, then the high ones.
func levels(out, n []byte, level *[16]int8) {
	out = out[:32]
	for i, v := range n[:16] {
		out[i], out[16+i] = uint8(level[v&15]), uint8(level[v>>4])
	}
}
