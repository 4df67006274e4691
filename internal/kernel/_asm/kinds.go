package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// What the types have of their own: how the bytes of a quad are made of lines. Each
// type is drawn in its file of package kernel, a panel in panel.go there.

// unpacker makes quads: the operations that a set of instructions has for it.
type unpacker interface {
	bits(line Mem, by int, mask byte) VecVirtual
	orBits(v VecVirtual, line Mem, by int, mask byte)
	lookUp(v, table VecVirtual) VecVirtual
	table(name string, levels [16]int8) VecVirtual
	plain(line Mem) VecVirtual
	// The same on 32 bits.
	shifted(v Op, by int) VecVirtual
	and(v VecVirtual, mask uint32) VecVirtual
	or(v, other VecVirtual, mask uint32)
	minus(v VecVirtual, n uint32) VecVirtual
	signed(v VecVirtual, bits int) VecVirtual // the number in the upper bits
}

// The forms of activations, as input.go has them.
var (
	bytes32  = activation{cols: 64, words: 2 * words32}
	bytes256 = activation{cols: 256, words: words256}
)

const (
	scaleOf32 = iota
	eighths32
	whole32
	sum32
	words32
)

const (
	scaleOf256 = 0
	sixteens   = 1
	thirtyTwos = sixteens + 16
	pairs32    = thirtyTwos + 8
	pairs16    = pairs32 + 4
	words256   = pairs16 + 8
)

type scaleKind int

const (
	scaleF16  scaleKind = iota // of both blocks in the first line
	scaleBF16                  // likewise
	scalePair                  // word 0: scale and minimum, F16
)

// A kind32 is a type of blocks of 32.
type kind32 struct {
	name  string
	words int // lines of a block
	scale scaleKind
	bias  int // of the quads
	size  int // what a number is at most, without what bias adds where that is not 8 or 16
	quad  func(u unpacker, line func(int) Mem, quad int) VecVirtual
}

func (k *kind32) line(block, i int) int {
	if k.scale == scalePair {
		return block*k.words + i
	}
	return 1 + block*k.words + i
}

func (k *kind32) bytes() int { return 64 * k.line(2, 0) }

// nibble is quad i of four lines of halves from first on.
func nibble(u unpacker, line func(int) Mem, first, quad int) VecVirtual {
	return u.bits(line(first+quad%4), quad/4*4, 15)
}

func fiveBits(u unpacker, line func(int) Mem, first, quad int) VecVirtual {
	v := nibble(u, line, first+1, quad)
	u.orBits(v, line(first), quad-4, 0x10)
	return v
}

var levelsIQ4 = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

var kinds32 = []kind32{
	{"Q8_0", 8, scaleF16, 128, 128, func(u unpacker, line func(int) Mem, quad int) VecVirtual { return u.plain(line(quad)) }},
	{"Q4_0", 4, scaleF16, 8, 15, func(u unpacker, line func(int) Mem, quad int) VecVirtual { return nibble(u, line, 0, quad) }},
	{"Q4_1", 5, scalePair, 0, 15, func(u unpacker, line func(int) Mem, quad int) VecVirtual { return nibble(u, line, 1, quad) }},
	{"Q5_0", 5, scaleF16, 16, 31, func(u unpacker, line func(int) Mem, quad int) VecVirtual { return fiveBits(u, line, 0, quad) }},
	{"Q5_1", 6, scalePair, 0, 31, func(u unpacker, line func(int) Mem, quad int) VecVirtual { return fiveBits(u, line, 1, quad) }},
	{"IQ4_NL", 4, scaleF16, 128, 127, func(u unpacker, line func(int) Mem, quad int) VecVirtual {
		return u.lookUp(nibble(u, line, 0, quad), u.table("levelsIQ4", levelsIQ4))
	}},
	{"MXFP4", 4, scaleBF16, 128, 12, func(u unpacker, line func(int) Mem, quad int) VecVirtual {
		return u.lookUp(nibble(u, line, 0, quad), u.table("numbersMXFP4", [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}))
	}},
}

// A kind256 is a type of blocks of 256.
type kind256 struct {
	name   string
	lines  int
	group  int // columns of one scale: 16 or 32
	bias   int
	size   int // what a number is at most, without what bias adds where that is not 8 or 16
	apart  int // groups so far apart
	alike  int // are so many made of the same lines; 0: one
	pair   int // the line that has the scale and that of the minima, or −1: a scale in the last one
	quad   func(u unpacker, line func(int) Mem, group, quad int) VecVirtual
	scale  func(u unpacker, line func(int) Mem, group int) VecVirtual
	minima func(u unpacker, line func(int) Mem, pair int) VecVirtual // of two groups, in the halves of 32 bits
	order  func(word int) int                                        // the line of a word, if another one
}

// at is the line of a word.
func (k *kind256) at(line func(int) Mem) func(int) Mem {
	if k.order == nil {
		return line
	}
	return func(word int) Mem { return line(k.order(word)) }
}

// place is where a group of 16 is in types of two halves of four quarters, and a
// quad of it: half, quarter, and which four of its 32 elements.
func place(group, quad int) (p, k, i int) { return group / 8, group / 2 % 4, group%2*4 + quad }

var kinds256 = []kind256{
	{
		name: "Q4_K", size: 15, lines: 36, group: 32, apart: 1, alike: 2, pair: 0, scale: scaleQ4_K, minima: minimaQ4_K,
		quad: func(u unpacker, line func(int) Mem, group, quad int) VecVirtual {
			return u.bits(line(4+8*(group/2)+quad), group%2*4, 15)
		},
	},
	{
		name: "Q5_K", size: 31, lines: 44, group: 32, apart: 1, alike: 2, pair: 0, scale: scaleQ4_K, minima: minimaQ4_K,
		order: func(word int) int {
			switch {
			case 4 <= word && word < 12:
				return 4 + 2*(word-4)
			case 12 <= word && word < 20:
				return 5 + 2*(word-12)
			}
			return word
		},
		quad: func(u unpacker, line func(int) Mem, group, quad int) VecVirtual {
			v := u.bits(line(12+8*(group/2)+quad), group%2*4, 15)
			u.orBits(v, line(4+quad), group-4, 0x10)
			return v
		},
	},
	{
		name: "Q6_K", size: 32, lines: 53, group: 16, apart: 2, alike: 4, bias: 32, pair: -1,
		order: func(word int) int {
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
		},
		quad: func(u unpacker, line func(int) Mem, group, quad int) VecVirtual {
			p, k, i := place(group, quad)
			v := u.bits(line(16*p+8*(k%2)+i), k/2*4, 15)
			u.orBits(v, line(32+8*p+i), 2*k-4, 0x30)
			return v
		},
		scale: func(u unpacker, line func(int) Mem, group int) VecVirtual {
			return u.signed(u.shifted(line(48+group/4), group%4*8-24), 8)
		},
	},
	{
		name: "Q3_K", size: 4, lines: 28, group: 16, apart: 2, alike: 4, bias: 4, pair: -1,
		order: func(word int) int {
			switch {
			case word >= 24:
				return word - 24
			case word >= 16:
				return 3 + word
			case word >= 8:
				return 4 + 2*(word-8)
			}
			return 3 + 2*word
		},
		quad: func(u unpacker, line func(int) Mem, group, quad int) VecVirtual {
			p, k, i := place(group, quad)
			v := u.bits(line(8+8*p+i), 2*k, 3)
			u.orBits(v, line(i), 4*p+k-2, 4)
			return v
		},
		scale: func(u unpacker, line func(int) Mem, group int) VecVirtual {
			low := u.and(u.shifted(line(24+group%8/4), group%4*8+group/8*4), 15)
			u.or(low, u.shifted(line(26), group%4*8+group/4*2-4), 0x30)
			return u.minus(low, 32)
		},
	},
	{
		name: "Q2_K", size: 3, lines: 21, group: 16, apart: 2, alike: 4, pair: 20,
		quad: func(u unpacker, line func(int) Mem, group, quad int) VecVirtual {
			p, k, i := place(group, quad)
			return u.bits(line(4+8*p+i), 2*k, 3)
		},
		scale: func(u unpacker, line func(int) Mem, group int) VecVirtual {
			return u.and(u.shifted(line(group/4), group%4*8), 15)
		},
		minima: func(u unpacker, line func(int) Mem, pair int) VecVirtual {
			low := u.and(u.shifted(line(pair/2), pair%2*16+4), 15)
			u.or(low, u.shifted(line(pair/2), pair%2*16-4), 15<<16)
			return low
		},
	},
	{
		name: "IQ4_XS", size: 127, lines: 34, group: 32, bias: 128, pair: 0,
		quad: func(u unpacker, line func(int) Mem, group, quad int) VecVirtual {
			return u.lookUp(nibble(u, line, 2+4*group, quad), u.table("levelsIQ4", levelsIQ4))
		},
		scale: func(u unpacker, line func(int) Mem, group int) VecVirtual {
			low := u.and(u.shifted(line(1), 4*group), 15)
			u.or(low, u.shifted(line(0), 16+2*group-4), 0x30)
			return u.minus(low, 32)
		},
	},
}

func scaleQ4_K(u unpacker, line func(int) Mem, group int) VecVirtual {
	by := group % 4 * 8
	if group < 4 {
		return u.and(u.shifted(line(1), by), 63)
	}
	low := u.and(u.shifted(line(3), by), 15)
	u.or(low, u.shifted(line(1), by+2), 0x30)
	return low
}

func minimaQ4_K(u unpacker, line func(int) Mem, pair int) VecVirtual {
	by := pair % 2 * 16
	if pair < 2 {
		low := u.and(u.shifted(line(2), by), 63)
		u.or(low, u.shifted(line(2), by-8), 63<<16)
		return low
	}
	low := u.and(u.shifted(line(3), by+4), 15|15<<8)
	u.or(low, u.shifted(line(2), by+2), 0x3030)
	high := u.shifted(low, -8)
	low = u.and(low, 63)
	u.or(low, high, 63<<16)
	return low
}
