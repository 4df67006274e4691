package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// With AVX-VNNI a register holds 8 rows, as with AVX2, and VPDPBUSD adds to each the products
// of a quad, as with AVX-512: the numbers have no sign, and the sums start from what they are
// too large by.

// opsVNNI are the operations.
type opsVNNI struct{ ops2 }

func (opsVNNI) plain(line Mem) VecVirtual {
	v := YMM()
	VMOVDQU(line, v)
	return v
}

func (opsVNNI) table(name string, levels [16]int8) VecVirtual {
	v := YMM()
	VMOVDQU(tableOf(name, levels), v)
	return v
}

// products adds to each token's sum the products of a quad with the activations at x.
func products(w VecVirtual, sums []VecVirtual, x func(t int) Mem) {
	for t, sum := range sums {
		v := YMM()
		VPBROADCASTD(x(t), v)
		dotProducts(v, w, sum)
	}
}

// dotProducts adds to sum in 32 bits the products of four bytes without a sign, w, with four that
// have one, x. See encode.
func dotProducts(x, w, sum VecVirtual) {
	Instruction(&ir.Instruction{
		Opcode:   "VPDPBUSD",
		Operands: []Op{x, w, sum},
		Inputs:   []Op{x, w, sum},
		Outputs:  []Op{sum},
		ISA:      []string{"AVXVNNI"},
	})
}

// starts are registers with what each token's sum starts from, so many times the word.
func starts(p *panelFunc, word func(t int) Mem, shift int) []VecVirtual {
	sums := make([]VecVirtual, p.width)
	for t := range sums {
		sums[t] = YMM()
		if word == nil {
			zero(sums[t])
			continue
		}
		VPBROADCASTD(word(t), sums[t])
		switch {
		case shift > 0:
			VPSLLD(U8(shift), sums[t], sums[t])
		case shift < 0:
			VPSRAD(U8(-shift), sums[t], sums[t])
		}
	}
	return sums
}

// blocks32xVNNI are types of blocks of 32.
type blocks32xVNNI struct{ blocks32x2 }

func (b *blocks32xVNNI) chunk(p *panelFunc) {
	k := b.kind
	for block := range 2 {
		line := func(i int) Mem { return p.line(k.line(block, i)) }
		word := func(i int) func(int) Mem { return func(t int) Mem { return p.word(words32*block+i, t) } }
		var sums []VecVirtual
		switch k.bias {
		case 0:
			sums = starts(p, nil, 0)
		case 8:
			sums = starts(p, word(eighths32), 0)
		case 16:
			sums = starts(p, word(eighths32), 1)
		case 128:
			sums = starts(p, word(whole32), 0)
		}
		for quad := range 8 {
			products(k.quad(opsVNNI{}, line, quad), sums, func(t int) Mem { return p.four(64, t, 8*block+quad) })
		}
		b.finish(p, block, sums)
	}
}

// blocks256xVNNI are types of blocks of 256.
type blocks256xVNNI struct{ blocks256x2 }

func (b *blocks256xVNNI) chunk(p *panelFunc) {
	k := b.kind
	line := k.at(p.line)
	total := make([]VecVirtual, p.width)
	for g := range 256 / k.group {
		word := func(i int) func(int) Mem { return func(t int) Mem { return p.word(i+g, t) } }
		var sums []VecVirtual
		switch k.bias {
		case 0:
			sums = starts(p, nil, 0)
		case 4:
			sums = starts(p, word(sixteens), -3)
		case 32:
			sums = starts(p, word(sixteens), 0)
		case 128:
			sums = starts(p, word(thirtyTwos), 0)
		}
		for quad := range k.group / 4 {
			products(k.quad(opsVNNI{}, line, g, quad), sums, func(t int) Mem { return p.four(256, t, g*k.group/4+quad) })
		}
		scale := k.scale(opsVNNI{}, line, g)
		for t, sum := range sums {
			VPMULLD(scale, sum, sum)
			if g == 0 {
				total[t] = sum
			} else {
				VPADDD(sum, total[t], total[t])
			}
		}
	}
	b.finish(p, total)
}

// multiplyAddsVNNI makes twelve times 32 multiply-adds a round, on registers.
func multiplyAddsVNNI() {
	const f = "multiplyAddsAVXVNNI"
	TEXT(f, attr.NOSPLIT, "func(rounds int)")
	Pragma("noescape")
	Doc(f + " makes twelve times 32 multiply-adds a round, on registers.")
	rounds, one := GP64(), YMM()
	Load(Param("rounds"), rounds)
	VPCMPEQD(one, one, one)
	VPABSB(one, one)
	sums := make([]VecVirtual, 12)
	for i := range sums {
		sums[i] = YMM()
		zero(sums[i])
	}
	Label("round")
	for _, sum := range sums {
		dotProducts(one, one, sum)
	}
	DECQ(rounds)
	JNZ(LabelRef("round"))
	VZEROUPPER()
	RET()
}
