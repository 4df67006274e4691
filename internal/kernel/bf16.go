package kernel

import (
	"encoding/binary"
	"math"
)

// BF16: a row is its elements, two bytes each, little endian: the upper half of
// a float32.

func rowBF16(dst []float32, w []byte) {
	for i := range dst {
		dst[i] = fromBF16(binary.LittleEndian.Uint16(w[2*i:]))
	}
}

// dotBF16 adds element i to lane i mod 16.
func dotBF16(w []byte, x *tile, t int) float32 {
	var acc [lanes]float32
	for c := 0; c*floatChunk < x.cols; c++ {
		a := x.floats(c, t)
		for i, v := range a[:min(floatChunk, x.cols-c*floatChunk)] {
			k := c*floatChunk + i
			acc[k%lanes] += float32(v * fromBF16(binary.LittleEndian.Uint16(w[2*k:])))
		}
	}
	return sum16(&acc)
}

func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// toBF16 is exact for what BF16 has, and cuts off the rest.
func toBF16(f float32) uint16 { return uint16(math.Float32bits(f) >> 16) }
