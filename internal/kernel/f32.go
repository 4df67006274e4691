package kernel

import (
	"encoding/binary"
	"math"
)

// F32: a row is its elements, four bytes each, little endian.

func rowF32(dst []float32, w []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(w[4*i:]))
	}
}

// dotF32 adds element i to lane i mod 16.
func dotF32(w []byte, x *tile, t int) float32 {
	var acc [lanes]float32
	for c := 0; c*floatChunk < x.cols; c++ {
		a := x.floats(c, t)
		for i, v := range a[:min(floatChunk, x.cols-c*floatChunk)] {
			k := c*floatChunk + i
			acc[k%lanes] += float32(v * math.Float32frombits(binary.LittleEndian.Uint32(w[4*k:])))
		}
	}
	return sum16(&acc)
}
