package gguf

import (
	"errors"
	"fmt"
	"math/bits"
)

const (
	maxDims          = 4
	defaultAlignment = 32
	maxAlignment     = 1 << 16
)

var errOverflow = errors.New("its size overflows 64 bits")

// layout computes how many bytes a tensor of this type and shape takes. It is the only place that
// does: reader and writer both rely on it, so that one check cannot be forgotten beside another.
func layout(t Type, shape []uint64) (size uint64, err error) {
	if !t.Known() {
		return 0, fmt.Errorf("unknown tensor %s", t)
	}
	if len(shape) == 0 || len(shape) > maxDims {
		return 0, fmt.Errorf("%d dimensions, want 1 to %d", len(shape), maxDims)
	}
	elements := uint64(1)
	for i, d := range shape {
		if d == 0 {
			return 0, fmt.Errorf("dimension %d is zero", i)
		}
		var high uint64
		if high, elements = bits.Mul64(elements, d); high != 0 {
			return 0, errOverflow
		}
	}
	if shape[0]%t.BlockSize() != 0 {
		return 0, fmt.Errorf("rows of %s elements do not divide into %s blocks of %d", decimal(shape[0]), t, t.BlockSize())
	}
	high, size := bits.Mul64(elements/t.BlockSize(), t.BlockBytes())
	if high != 0 || size > 1<<63-1 {
		return 0, errOverflow
	}
	return size, nil
}

// align rounds n up to a multiple of alignment, a power of two; ok is false on overflow.
func align(n, alignment uint64) (aligned uint64, ok bool) {
	sum, carry := bits.Add64(n, alignment-1, 0)
	return sum &^ (alignment - 1), carry == 0
}

func checkAlignment(a uint64) error {
	if a == 0 || a&(a-1) != 0 || a > maxAlignment {
		return fmt.Errorf("alignment %d, want a power of two from 1 to %s", a, decimal(maxAlignment))
	}
	return nil
}
