package main

import (
	"encoding/binary"
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

var constants = map[string]Mem{}

// constant is 32 bytes of read-only data, made once.
func constant(name string, data func() []byte) Mem {
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, 8|16) // RODATA, NOPTR
		for i, b := 0, data(); i < len(b); i += 8 {
			DATA(i, U64(binary.LittleEndian.Uint64(b[i:])))
		}
		constants[name] = m
	}
	return m
}

func repeatedBytes(v byte) Mem {
	return constant(fmt.Sprintf("bytes%d", v), func() []byte {
		b := make([]byte, 32)
		for i := range b {
			b[i] = v
		}
		return b
	})
}

func repeatedWords(v uint16) Mem {
	return constant(fmt.Sprintf("words%d", v), func() []byte {
		var b []byte
		for range 16 {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
		return b
	})
}

func repeatedInts(name string, v uint32) Mem {
	return constant(name, func() []byte {
		var b []byte
		for range 8 {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	})
}

func repeatedIntsOf(v uint32) Mem { return repeatedInts(fmt.Sprintf("ints%x", v), v) }

// tableOf are 16 levels, made positive by adding 128, twice.
func tableOf(name string, levels [16]int8) Mem {
	return constant(name, func() []byte {
		b := make([]byte, 32)
		for i := range b {
			b[i] = byte(int(levels[i%16]) + 128)
		}
		return b
	})
}

func repeatedFloats(name string, v float32) Mem { return repeatedInts(name, math.Float32bits(v)) }

// firstThenSecond spreads the two words of each 32 bits over a half each.
func firstThenSecond() Mem {
	return constant("firstThenSecond", func() []byte {
		var b []byte
		for i := range 16 {
			b = append(b, byte(i/8*2), byte(i/8*2+1))
		}
		return b
	})
}
