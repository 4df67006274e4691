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

// lanesAVX512 are the sums of each token; 32 registers hold those of eight.
type lanesAVX512 struct{ acc []VecVirtual }

func (l *lanesAVX512) begin(d *dots) {
	l.acc = make([]VecVirtual, d.width)
	for t := range l.acc {
		l.acc[t] = ZMM()
		clearAll(l.acc[t])
	}
}

// end is sum16.
func (l *lanesAVX512) end(d *dots, t int) VecVirtual {
	high := YMM()
	VEXTRACTF64X4(U8(1), l.acc[t], high)
	return addUp8(l.acc[t].AsY(), high)
}

type floatsAVX512 struct {
	lanesAVX512
	bits int
}

func (f *floatsAVX512) sizes() sizes { return floatsAVX2{f.bits}.sizes() }

func (f *floatsAVX512) chunk(d *dots) {
	w := ZMM()
	switch f.bits {
	case 32:
		VMOVUPS(Mem{Base: d.w}, w)
	case 16:
		VCVTPH2PS(Mem{Base: d.w}, w)
	default:
		VPMOVZXWD(Mem{Base: d.w}, w)
		VPSLLD(U8(16), w, w)
	}
	for t := range d.width {
		p := ZMM()
		VMULPS(Mem{Base: d.x, Disp: 64 * t}, w, p)
		VADDPS(p, f.acc[t], f.acc[t])
	}
}
