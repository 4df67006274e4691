package main

// What the types have of their own: how the bytes of a quad are made of lines. Each
// type is drawn in its file of package kernel, a panel in panel.go there.

// An unpacker makes quads of four rows, and what scales them, of lines of a panel.
type unpacker struct {
	*function
	at func(word int) int // where the four rows' part of a word is, from R7
}

func (u *unpacker) plain(word int) vector {
	v := u.vector()
	u.ld(16, v, lineAt, u.at(word))
	return v
}

// bits are those of each byte that the mask lets through, moved to the right, or left by −by.
func (u *unpacker) bits(word, by int, mask byte) vector {
	v := u.plain(word)
	u.shift(8, v, by)
	there := byte(0xff)
	if by > 0 {
		there >>= by
	} else {
		there <<= -by
	}
	if mask&there != there {
		u.and(v, v, u.numbers[mask])
	}
	return v
}

func (u *unpacker) orBits(v vector, word, by int, mask byte) {
	w := u.bits(word, by, mask)
	u.orr(v, v, w)
	u.free(w)
}

func (u *unpacker) lookUp(v vector, table [16]int8) vector {
	u.do(0x4e000000, "tbl %v.16b, {%v.16b}, %v.16b", v, u.lookUps[table], v)
	return v
}

// The same on 32 bits.

func (u *unpacker) shifted(word, by int) vector {
	v := u.plain(word)
	u.shift(32, v, by)
	return v
}

func (u *unpacker) masked(v vector, mask byte) vector {
	m := u.vector()
	u.ints(m, mask)
	u.and(v, v, m)
	u.free(m)
	return v
}

func (u *unpacker) or(v, other vector, mask byte) {
	u.masked(other, mask)
	u.orr(v, v, other)
	u.free(other)
}

func (u *unpacker) minus(v vector, n byte) vector {
	m := u.vector()
	u.ints(m, n)
	u.sub(v, v, m)
	u.free(m)
	return v
}

// The forms of activations, as input.go has them.
var (
	bytes32  = activation{cols: 64, words: 2 * words32}
	bytes256 = activation{cols: 256, words: words256}
)

// An activation is a form of activations: columns of a chunk, and words of 32 bits
// that belong to a token's.
type activation struct{ cols, words int }

const (
	scaleOf32 = 0
	sum32     = 3
	words32   = 4
)

const (
	scaleOf256 = 0
	sixteens   = 1
	thirtyTwos = sixteens + 16
	words256   = thirtyTwos + 8 + 4 + 8
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
	bias  byte   // of the quads
	masks []byte // that quad uses
	table *[16]int8
	quad  func(u *unpacker, quad int) vector
}

func (k *kind32) line(block, i int) int {
	if k.scale == scalePair {
		return block*k.words + i
	}
	return 1 + block*k.words + i
}

func (k *kind32) bytes() int { return 64 * k.line(2, 0) }

// nibble is quad i of four lines of halves from first on.
func nibble(u *unpacker, first, quad int) vector { return u.bits(first+quad%4, quad/4*4, 15) }

func fiveBits(u *unpacker, first, quad int) vector {
	v := nibble(u, first+1, quad)
	u.orBits(v, first, quad-4, 0x10)
	return v
}

var (
	levelsIQ4    = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	numbersMXFP4 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

var kinds32 = []kind32{
	{name: "Q8_0", words: 8, scale: scaleF16, bias: 128, quad: func(u *unpacker, quad int) vector { return u.plain(quad) }},
	{name: "Q4_0", words: 4, scale: scaleF16, bias: 8, masks: []byte{15}, quad: func(u *unpacker, quad int) vector { return nibble(u, 0, quad) }},
	{name: "Q4_1", words: 5, scale: scalePair, masks: []byte{15}, quad: func(u *unpacker, quad int) vector { return nibble(u, 1, quad) }},
	{name: "Q5_0", words: 5, scale: scaleF16, bias: 16, masks: []byte{15, 16}, quad: func(u *unpacker, quad int) vector { return fiveBits(u, 0, quad) }},
	{name: "Q5_1", words: 6, scale: scalePair, masks: []byte{15, 16}, quad: func(u *unpacker, quad int) vector { return fiveBits(u, 1, quad) }},
	{name: "IQ4_NL", words: 4, scale: scaleF16, masks: []byte{15}, table: &levelsIQ4, quad: func(u *unpacker, quad int) vector { return u.lookUp(nibble(u, 0, quad), levelsIQ4) }},
	{name: "MXFP4", words: 4, scale: scaleBF16, masks: []byte{15}, table: &numbersMXFP4, quad: func(u *unpacker, quad int) vector { return u.lookUp(nibble(u, 0, quad), numbersMXFP4) }},
}

// A kind256 is a type of blocks of 256.
type kind256 struct {
	name    string
	lines   int
	group   int    // columns of one scale: 16 or 32
	bias    byte   // of the quads
	masks   []byte // that quad uses
	table   *[16]int8
	pair    int // the word that has the scale and that of the minima, or −1: a scale in the last line
	quad    func(u *unpacker, group, quad int) vector
	scale   func(u *unpacker, group int) vector
	minimum func(u *unpacker, group int) vector
	order   func(word int) int // the line of a word, if another one
}

// line is the line of a word.
func (k *kind256) line(word int) int {
	if k.order == nil {
		return word
	}
	return k.order(word)
}

// place is where a group of 16 is in types of two halves of four quarters, and a
// quad of it: half, quarter, and which four of its 32 elements.
func place(group, quad int) (p, k, i int) { return group / 8, group / 2 % 4, group%2*4 + quad }

var kinds256 = []kind256{
	{
		name: "Q4_K", lines: 36, group: 32, pair: 0, masks: []byte{15}, scale: scaleQ4_K, minimum: minimumQ4_K,
		quad: func(u *unpacker, group, quad int) vector { return u.bits(4+8*(group/2)+quad, group%2*4, 15) },
	},
	{
		name: "Q5_K", lines: 44, group: 32, pair: 0, masks: []byte{15, 16}, scale: scaleQ4_K, minimum: minimumQ4_K,
		order: func(word int) int {
			switch {
			case 4 <= word && word < 12:
				return 4 + 2*(word-4)
			case 12 <= word && word < 20:
				return 5 + 2*(word-12)
			}
			return word
		},
		quad: func(u *unpacker, group, quad int) vector {
			v := u.bits(12+8*(group/2)+quad, group%2*4, 15)
			u.orBits(v, 4+quad, group-4, 0x10)
			return v
		},
	},
	{
		name: "Q6_K", lines: 53, group: 16, bias: 32, pair: -1, masks: []byte{15, 0x30},
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
		quad: func(u *unpacker, group, quad int) vector {
			p, k, i := place(group, quad)
			v := u.bits(16*p+8*(k%2)+i, k/2*4, 15)
			u.orBits(v, 32+8*p+i, 2*k-4, 0x30)
			return v
		},
		scale: func(u *unpacker, group int) vector {
			v := u.shifted(48+group/4, group%4*8-24)
			u.signedShift(v, 24)
			return v
		},
	},
	{
		name: "Q3_K", lines: 28, group: 16, bias: 4, pair: -1, masks: []byte{3, 4},
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
		quad: func(u *unpacker, group, quad int) vector {
			p, k, i := place(group, quad)
			v := u.bits(8+8*p+i, 2*k, 3)
			u.orBits(v, i, 4*p+k-2, 4)
			return v
		},
		scale: func(u *unpacker, group int) vector {
			low := u.masked(u.shifted(24+group%8/4, group%4*8+group/8*4), 15)
			u.or(low, u.shifted(26, group%4*8+group/4*2-4), 0x30)
			return u.minus(low, 32)
		},
	},
	{
		name: "Q2_K", lines: 21, group: 16, pair: 20, masks: []byte{3},
		quad: func(u *unpacker, group, quad int) vector {
			p, k, i := place(group, quad)
			return u.bits(4+8*p+i, 2*k, 3)
		},
		scale: func(u *unpacker, group int) vector {
			return u.masked(u.shifted(group/4, group%4*8), 15)
		},
		minimum: func(u *unpacker, group int) vector {
			return u.masked(u.shifted(group/4, group%4*8+4), 15)
		},
	},
	{
		name: "IQ4_XS", lines: 34, group: 32, pair: 0, masks: []byte{15}, table: &levelsIQ4,
		quad: func(u *unpacker, group, quad int) vector {
			return u.lookUp(nibble(u, 2+4*group, quad), levelsIQ4)
		},
		scale: func(u *unpacker, group int) vector {
			low := u.masked(u.shifted(1, 4*group), 15)
			u.or(low, u.shifted(0, 16+2*group-4), 0x30)
			return u.minus(low, 32)
		},
	},
}

func scaleQ4_K(u *unpacker, group int) vector {
	by := group % 4 * 8
	if group < 4 {
		return u.masked(u.shifted(1, by), 63)
	}
	low := u.masked(u.shifted(3, by), 15)
	u.or(low, u.shifted(1, by+2), 0x30)
	return low
}

func minimumQ4_K(u *unpacker, group int) vector {
	by := group % 4 * 8
	if group < 4 {
		return u.masked(u.shifted(2, by), 63)
	}
	low := u.masked(u.shifted(3, by+4), 15)
	u.or(low, u.shifted(2, by+2), 0x30)
	return low
}
