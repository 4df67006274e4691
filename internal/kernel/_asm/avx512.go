package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The same sums with AVX-512: the 16 lanes are one register.

// clearAll is VPXORD of a register with itself, which avo would take to read it.
func clearAll(r VecVirtual) {
	Instruction(&ir.Instruction{Opcode: "VPXORD", Operands: []Op{r, r, r}, Outputs: []Op{r}, ISA: []string{"AVX512F"}})
}

// lanesAVX512 are the sums of each row and token; 32 registers hold those of three and eight.
type lanesAVX512 struct{ acc []VecVirtual }

func (l *lanesAVX512) begin(d *dots) {
	l.acc = make([]VecVirtual, d.rows*d.width)
	for t := range l.acc {
		l.acc[t] = ZMM()
		clearAll(l.acc[t])
	}
}

// end is sum16.
func (l *lanesAVX512) end(d *dots, r, t int) VecVirtual {
	acc, high := l.acc[r*d.width+t], YMM()
	VEXTRACTF64X4(U8(1), acc, high)
	sum, upper := YMM(), XMM()
	VADDPS(high, acc.AsY(), sum)
	VEXTRACTF32X4(U8(1), sum, upper) // unlike VEXTRACTF128 of all registers
	VADDPS(sum.AsX(), upper, upper)
	return addUp4(upper)
}

type floatsAVX512 struct {
	lanesAVX512
	bits int
}

func (f *floatsAVX512) sizes() sizes { return floatsAVX2{f.bits}.sizes() }

func (f *floatsAVX512) chunk(d *dots) {
	w := make([]VecVirtual, d.rows)
	for r := range w {
		w[r] = ZMM()
		switch f.bits {
		case 32:
			VMOVUPS(d.row(r, 0), w[r])
		case 16:
			VCVTPH2PS(d.row(r, 0), w[r])
		default:
			VPMOVZXWD(d.row(r, 0), w[r])
			VPSLLD(U8(16), w[r], w[r])
		}
	}
	for t := range d.width {
		x := Op(Mem{Base: d.x, Disp: 64 * t})
		if d.rows > 1 {
			v := ZMM()
			VMOVUPS(x, v)
			x = v
		}
		for r := range w {
			p := ZMM()
			VMULPS(x, w[r], p)
			acc := f.acc[r*d.width+t]
			VADDPS(p, acc, acc)
		}
	}
}
