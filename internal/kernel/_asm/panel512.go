package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// With AVX-512 a register holds 16 rows, and VPDPBUSD adds to each the products of
// a quad, four columns, with four activations that all rows share.

// vnni is VPDPBUSD or VPDPWSSD, which avo does not have: acc += w·x, where x is 32 bits in memory.
func vnni(opcode string, x Mem, w, acc VecVirtual) {
	Instruction(&ir.Instruction{
		Opcode:   opcode,
		Suffixes: []string{"BCST"},
		Operands: []Op{x, w, acc},
		Inputs:   []Op{x, w, acc},
		Outputs:  []Op{acc},
		ISA:      []string{"AVX512VNNI"},
	})
}

func registers(n int) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = ZMM()
	}
	return r
}

// constants are kept in registers, each made once for a function.
type constants512 map[string]VecVirtual

func (c constants512) bytes(v byte) VecVirtual {
	return c.once(string(rune(v)), func(r VecVirtual) { VPBROADCASTB(repeatedBytes(v), r) })
}

func (c constants512) table(name string, levels [16]int8) VecVirtual {
	return c.once(name, func(r VecVirtual) { VBROADCASTI32X4(tableOf(name, levels), r) })
}

func (c constants512) once(name string, load func(r VecVirtual)) VecVirtual {
	r, ok := c[name]
	if !ok {
		r = ZMM()
		load(r)
		c[name] = r
	}
	return r
}

// bits is the numbers under mask of the line shifted right (or left).
func (c constants512) bits(line Mem, by int, mask byte) VecVirtual {
	v := ZMM()
	if by == 0 {
		VPANDD(line, c.bytes(mask), v)
		return v
	}
	v = c.shifted(line, by)
	VPANDD(c.bytes(mask), v, v)
	return v
}

// orBits adds those to v, which has none there.
func (c constants512) orBits(v VecVirtual, line Mem, by int, mask byte) {
	VPTERNLOGD(U8(0xf8), c.bytes(mask), c.shifted(line, by), v) // v | line&mask
}

func (constants512) lookUp(v, table VecVirtual) VecVirtual {
	VPSHUFB(v, table, v)
	return v
}

func (constants512) plain(line Mem) VecVirtual {
	v := ZMM()
	VMOVDQU32(line, v)
	return v
}

func (constants512) shifted(v Op, by int) VecVirtual {
	out := ZMM()
	switch {
	case by > 0:
		VPSRLD(U8(by), v, out)
	case by < 0:
		VPSLLD(U8(-by), v, out)
	default:
		VMOVDQU32(v, out)
	}
	return out
}

func (constants512) and(v VecVirtual, mask uint32) VecVirtual {
	VPANDD_BCST(repeatedIntsOf(mask), v, v)
	return v
}

func (constants512) or(v, other VecVirtual, mask uint32) {
	VPTERNLOGD_BCST(U8(0xf8), repeatedIntsOf(mask), other, v)
}

func (constants512) minus(v VecVirtual, n uint32) VecVirtual {
	VPSUBD_BCST(repeatedIntsOf(n), v, v)
	return v
}

func (constants512) signed(v VecVirtual, bits int) VecVirtual {
	VPSRAD(U8(32-bits), v, v)
	return v
}

// floatsOf are the halves of each 32 bits, F16: the lower ones, or the upper.
func floatsOf(line Mem, upper bool) VecVirtual {
	half, v := YMM(), ZMM()
	if upper {
		VPSRLD(U8(16), line, v)
		VPMOVDW(v, half)
	} else {
		VMOVDQU32(line, v)
		VPMOVDW(v, half)
	}
	VCVTPH2PS(half, v)
	return v
}

type floatSums512 struct {
	p     *panelFunc
	acc   []VecVirtual
	local Mem // where registers do not suffice
	c     constants512
}

func (f *floatSums512) begin(p *panelFunc, inMemory bool) {
	f.p, f.c = p, constants512{}
	if inMemory {
		if f.local.Base == nil {
			f.local = AllocLocal(64 * p.width)
		}
		z := ZMM()
		clearAll(z)
		for t := range p.width {
			VMOVUPS(z, f.local.Offset(64*t))
		}
		return
	}
	f.acc = registers(p.width)
	for _, a := range f.acc {
		clearAll(a)
	}
}

// add adds to a token's sum whole numbers times the scale times the token's at d.
func (f *floatSums512) add(t int, whole, scale VecVirtual, d Mem) {
	f.scaled(whole, scale, d)
	if f.acc != nil {
		VADDPS(whole, f.acc[t], f.acc[t])
		return
	}
	VADDPS(f.local.Offset(64*t), whole, whole)
	VMOVUPS(whole, f.local.Offset(64*t))
}

func (f *floatSums512) subtract(t int, whole, scale VecVirtual, d Mem) {
	f.scaled(whole, scale, d)
	if f.acc != nil {
		VSUBPS(whole, f.acc[t], f.acc[t])
		return
	}
	v := ZMM()
	VMOVUPS(f.local.Offset(64*t), v)
	VSUBPS(whole, v, v)
	VMOVUPS(v, f.local.Offset(64*t))
}

func (f *floatSums512) scaled(whole, scale VecVirtual, d Mem) {
	s := ZMM()
	VMULPS_BCST(d, scale, s)
	VCVTDQ2PS(whole, whole)
	VMULPS(s, whole, whole)
}

func (f *floatSums512) end(p *panelFunc, store func(t, row int, sum VecVirtual)) {
	for t := range p.width {
		v := ZMM()
		if f.acc != nil {
			v = f.acc[t]
		} else {
			VMOVUPS(f.local.Offset(64*t), v)
		}
		store(t, 0, v)
	}
}

// blocks32x512 are types of blocks of 32.
type blocks32x512 struct {
	floatSums512
	kind *kind32
}

func (b *blocks32x512) form() activation   { return bytes32 }
func (b *blocks32x512) bytes() int         { return b.kind.bytes() }
func (b *blocks32x512) ask(line Mem)       { PREFETCHT0(line) }
func (b *blocks32x512) begin(p *panelFunc) { b.floatSums512.begin(p, false) }

func (b *blocks32x512) chunk(p *panelFunc) {
	k := b.kind
	for block := range 2 {
		var scale, minimum VecVirtual
		line := func(i int) Mem { return p.line(k.line(block, i)) }
		switch k.scale {
		case scaleF16:
			scale = ZMM()
			VCVTPH2PS(Mem{Base: p.w, Disp: 32 * block}, scale)
		case scaleBF16:
			scale = ZMM()
			VPMOVZXWD(Mem{Base: p.w, Disp: 32 * block}, scale)
			VPSLLD(U8(16), scale, scale)
		default:
			scale, minimum = floatsOf(line(0), false), floatsOf(line(0), true)
		}
		sum := registers(p.width)
		for t, s := range sum {
			switch k.bias {
			case 0:
				clearAll(s)
			case 8:
				VPBROADCASTD(p.word(words32*block+eighths32, t), s)
			case 16:
				VPBROADCASTD(p.word(words32*block+eighths32, t), s)
				VPSLLD(U8(1), s, s)
			case 128:
				VPBROADCASTD(p.word(words32*block+whole32, t), s)
			}
		}
		for quad := range 8 {
			w := k.quad(b.c, line, quad)
			for t := range sum {
				vnni("VPDPBUSD", p.four(64, t, 8*block+quad), w, sum[t])
			}
		}
		for t, s := range sum {
			b.add(t, s, scale, p.word(words32*block+scaleOf32, t))
			if minimum != nil {
				m := ZMM()
				VMULPS_BCST(p.word(words32*block+sum32, t), minimum, m)
				VADDPS(m, b.acc[t], b.acc[t])
			}
		}
	}
}

// blocks256x512 are types of blocks of 256.
type blocks256x512 struct {
	floatSums512
	kind *kind256
}

func (b *blocks256x512) form() activation { return bytes256 }
func (b *blocks256x512) bytes() int       { return 64 * b.kind.lines }
func (b *blocks256x512) ask(line Mem)     { PREFETCHT1(line) }

func (b *blocks256x512) begin(p *panelFunc) { b.floatSums512.begin(p, p.width > 8) }

func (b *blocks256x512) chunk(p *panelFunc) {
	k := b.kind
	line := k.at(p.line)
	total := registers(p.width)
	groups := 256 / k.group
	for g := range groups {
		sum := registers(p.width)
		for t, s := range sum {
			switch k.bias {
			case 0:
				clearAll(s)
			case 4:
				VPBROADCASTD(p.word(sixteens+g, t), s)
				VPSRAD(U8(3), s, s)
			case 32:
				VPBROADCASTD(p.word(sixteens+g, t), s)
			case 128:
				VPBROADCASTD(p.word(thirtyTwos+g, t), s)
			}
		}
		for quad := range k.group / 4 {
			w := k.quad(b.c, line, g, quad)
			for t := range sum {
				vnni("VPDPBUSD", p.four(256, t, g*k.group/4+quad), w, sum[t])
			}
		}
		scale := k.scale(b.c, line, g)
		for t, s := range sum {
			if g == 0 {
				VPMULLD(scale, s, total[t])
				continue
			}
			VPMULLD(scale, s, s)
			VPADDD(s, total[t], total[t])
		}
	}
	d := ZMM()
	if k.pair >= 0 {
		d = floatsOf(line(k.pair), false)
	} else {
		VCVTPH2PS(p.line(k.lines-1), d)
	}
	for t, s := range total {
		b.add(t, s, d, p.word(scaleOf256, t))
	}
	if k.minima == nil {
		return
	}
	low, first := registers(p.width), pairs16
	if k.group == 32 {
		first = pairs32
	}
	for _, l := range low {
		clearAll(l)
	}
	for i := range groups / 2 {
		m := k.minima(b.c, line, i)
		for t, l := range low {
			vnni("VPDPWSSD", p.word(first+i, t), m, l)
		}
	}
	d = floatsOf(line(k.pair), true)
	for t, l := range low {
		b.subtract(t, l, d, p.word(scaleOf256, t))
	}
}
