package kernel

import (
	"encoding/binary"
	"math"
)

// F16: a row is its elements, two bytes each, little endian:
//
//	15  14…10     9…0
//	s   exponent  fraction     IEEE 754 binary16
//
// Activations stay float32, so that nothing is lost beyond the weights.

func rowF16(dst []float32, w []byte) {
	for i := range dst {
		dst[i] = fromF16(binary.LittleEndian.Uint16(w[2*i:]))
	}
}

// dotF16 adds element i to lane i mod 16.
func dotF16(w []byte, x *tile, t int) float32 {
	var acc [lanes]float32
	for c := 0; c*floatChunk < x.cols; c++ {
		a := x.floats(c, t)
		for i, v := range a[:min(floatChunk, x.cols-c*floatChunk)] {
			k := c*floatChunk + i
			acc[k%lanes] += float32(v * fromF16(binary.LittleEndian.Uint16(w[2*k:])))
		}
	}
	return sum16(&acc)
}

// fromF16 is exact.
func fromF16(h uint16) float32 {
	sign, rest := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	switch {
	case rest >= 0x7c00: // infinity, NaN: a signalling one becomes quiet
		f := rest<<13 | 0x7f800000
		if rest > 0x7c00 {
			f |= 0x400000
		}
		return math.Float32frombits(sign | f)
	case rest >= 0x0400:
		return math.Float32frombits(sign | (rest<<13 + (127-15)<<23))
	}
	// A subnormal: rest units of 2⁻²⁴.
	return math.Float32frombits(sign | math.Float32bits(float32(rest)*0x1p-24))
}

// toF16 rounds to the nearest, ties to even; what is too large becomes
// infinite.
func toF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign, abs := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case abs > 0x7f800000:
		return sign | 0x7e00 | uint16(abs>>13)&0x3ff
	case abs >= 0x477ff000: // 65520 and above
		return sign | 0x7c00
	case abs < 0x38800000: // below 2⁻¹⁴: adding ½ leaves units of 2⁻²⁴, rounded
		return sign | uint16(math.Float32bits(math.Float32frombits(abs)+0.5))
	}
	abs -= (127 - 15) << 23
	return sign | uint16((abs+0xfff+abs>>13&1)>>13)
}
