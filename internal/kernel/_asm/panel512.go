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

// operations512 are the operations, with what is kept in registers.
type operations512 struct {
	constants map[string]VecVirtual // each made once for a function
	lines     map[int]VecVirtual    // while several quads are made of them; nil: they are read for each
}

// of is the line, in a register if it is kept there.
func (c *operations512) of(line Mem) Op {
	if c.lines == nil {
		return line
	}
	r, ok := c.lines[line.Disp]
	if !ok {
		r = ZMM()
		VMOVDQU32(line, r)
		c.lines[line.Disp] = r
	}
	return r
}

// keep lets what f does read a line once.
func (c *operations512) keep(f func()) {
	c.lines = map[int]VecVirtual{}
	f()
	c.lines = nil
}

func (c *operations512) bytes(v byte) VecVirtual {
	return c.once(string(rune(v)), func(r VecVirtual) { VPBROADCASTB(repeatedBytes(v), r) })
}

func (c *operations512) table(name string, levels [16]int8) VecVirtual {
	return c.once(name, func(r VecVirtual) { VBROADCASTI32X4(tableOf(name, levels), r) })
}

func (c *operations512) once(name string, load func(r VecVirtual)) VecVirtual {
	r, ok := c.constants[name]
	if !ok {
		r = ZMM()
		load(r)
		c.constants[name] = r
	}
	return r
}

// bits is the numbers under mask of the line shifted right (or left).
func (c *operations512) bits(line Mem, by int, mask byte) VecVirtual {
	v := ZMM()
	if by == 0 {
		VPANDD(c.of(line), c.bytes(mask), v)
		return v
	}
	v = c.shifted(line, by)
	VPANDD(c.bytes(mask), v, v)
	return v
}

// orBits adds those to v, which has none there.
func (c *operations512) orBits(v VecVirtual, line Mem, by int, mask byte) {
	VPTERNLOGD(U8(0xf8), c.bytes(mask), c.shifted(line, by), v) // v | line&mask
}

func (*operations512) lookUp(v, table VecVirtual) VecVirtual {
	VPSHUFB(v, table, v)
	return v
}

func (*operations512) plain(line Mem) VecVirtual {
	v := ZMM()
	VMOVDQU32(line, v)
	return v
}

func (c *operations512) shifted(v Op, by int) VecVirtual {
	if line, ok := v.(Mem); ok {
		v = c.of(line)
	}
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

func (*operations512) and(v VecVirtual, mask uint32) VecVirtual {
	VPANDD_BCST(repeatedIntsOf(mask), v, v)
	return v
}

func (*operations512) or(v, other VecVirtual, mask uint32) {
	VPTERNLOGD_BCST(U8(0xf8), repeatedIntsOf(mask), other, v)
}

func (*operations512) minus(v VecVirtual, n uint32) VecVirtual {
	VPSUBD_BCST(repeatedIntsOf(n), v, v)
	return v
}

func (*operations512) signed(v VecVirtual, bits int) VecVirtual {
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
	c     *operations512
}

func (f *floatSums512) begin(p *panelFunc, inMemory bool) {
	f.p, f.c = p, &operations512{constants: map[string]VecVirtual{}}
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
		multiply := func(quad int) {
			w := k.quad(b.c, line, quad)
			for t := range sum {
				vnni("VPDPBUSD", p.four(64, t, 8*block+quad), w, sum[t])
			}
		}
		if p.width <= fewTokens {
			for i := range 4 {
				b.c.keep(func() { multiply(i); multiply(i + 4) })
			}
		} else {
			for quad := range 8 {
				multiply(quad)
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

func (b *blocks256x512) begin(p *panelFunc) { b.floatSums512.begin(p, p.width > 8) }

func (b *blocks256x512) chunk(p *panelFunc) {
	k := b.kind
	line := k.at(p.line)
	total := registers(p.width)
	groups := 256 / k.group
	first := true
	for _, set := range k.sets(p.width) {
		sums := make([][]VecVirtual, len(set))
		for i, g := range set {
			sums[i] = registers(p.width)
			for t, s := range sums[i] {
				b.start(s, g, t)
			}
		}
		for quad := range k.group / 4 {
			multiply := func() {
				for i, g := range set {
					w := k.quad(b.c, line, g, quad)
					for t, s := range sums[i] {
						vnni("VPDPBUSD", p.four(256, t, g*k.group/4+quad), w, s)
					}
				}
			}
			if len(set) > 1 {
				b.c.keep(multiply)
			} else {
				multiply()
			}
		}
		for i, g := range set {
			scale := k.scale(b.c, line, g)
			for t, s := range sums[i] {
				if first {
					VPMULLD(scale, s, total[t])
					continue
				}
				VPMULLD(scale, s, s)
				VPADDD(s, total[t], total[t])
			}
			first = false
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
	low, pairs := registers(p.width), pairs16
	if k.group == 32 {
		pairs = pairs32
	}
	for _, l := range low {
		clearAll(l)
	}
	for i := range groups / 2 {
		m := k.minima(b.c, line, i)
		for t, l := range low {
			vnni("VPDPWSSD", p.word(pairs+i, t), m, l)
		}
	}
	d = floatsOf(line(k.pair), true)
	for t, l := range low {
		b.subtract(t, l, d, p.word(scaleOf256, t))
	}
}

// start makes s what the sum of a group starts from.
func (b *blocks256x512) start(s VecVirtual, group, t int) {
	switch b.kind.bias {
	case 0:
		clearAll(s)
	case 4:
		VPBROADCASTD(b.p.word(sixteens+group, t), s)
		VPSRAD(U8(3), s, s)
	case 32:
		VPBROADCASTD(b.p.word(sixteens+group, t), s)
	case 128:
		VPBROADCASTD(b.p.word(thirtyTwos+group, t), s)
	}
}

// fewTokens is how many there are at most where a core computes faster than it gets
// weights from memory, and registers are left: then lines are kept in them.
const fewTokens = 4

// sets are groups that are made of the same lines, and have sums at the same time.
func (k *kind256) sets(width int) (sets [][]int) {
	step, n := max(1, k.apart), max(1, k.alike)
	for at := 0; at < 256/k.group; at += step * n {
		for j := range step {
			set := make([]int, n)
			for i := range set {
				set[i] = at + j + i*step
			}
			switch {
			case width > fewTokens:
				for _, g := range set {
					sets = append(sets, []int{g})
				}
			case width*n > 8 && n == 4:
				sets = append(sets, []int{set[0], set[2]}, []int{set[1], set[3]})
			default:
				sets = append(sets, set)
			}
		}
	}
	return sets
}
