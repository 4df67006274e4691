package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// With AVX2 a register holds 8 rows, so that lines are done in halves. VPMADDUBSW
// makes sums of two products of a byte without sign and one with, in 16 bits; as many of them
// are added up as fit before VPMADDWD makes 32 bits of them, and multiplies with a scale
// where whole numbers have one. The whole numbers are the same as with AVX-512.
//
// Numbers with a sign are multiplied as their size, and the activation takes the sign.

// ops2 are the operations.
type ops2 struct{}

func (o ops2) plain(line Mem) VecVirtual {
	v := YMM()
	VMOVDQU(line, v)
	VPXOR(repeatedBytes(0x80), v, v)
	return v
}

func (o ops2) shifted(v Op, by int) VecVirtual {
	out := YMM()
	if m, ok := v.(Mem); ok {
		VMOVDQU(m, out)
		v = out
	} else if by == 0 {
		VMOVDQA(v, out)
	}
	switch {
	case by > 0:
		VPSRLD(U8(by), v, out)
	case by < 0:
		VPSLLD(U8(-by), v, out)
	}
	return out
}

func (o ops2) bits(line Mem, by int, mask byte) VecVirtual {
	v := o.shifted(line, by)
	VPAND(repeatedBytes(mask), v, v)
	return v
}

func (o ops2) orBits(v VecVirtual, line Mem, by int, mask byte) {
	h := o.bits(line, by, mask)
	VPOR(h, v, v)
}

func (ops2) table(name string, levels [16]int8) VecVirtual {
	v := YMM()
	VMOVDQU(constant("signed"+name, func() []byte {
		b := make([]byte, 32)
		for i := range b {
			b[i] = byte(levels[i%16])
		}
		return b
	}), v)
	return v
}

func (ops2) lookUp(v, table VecVirtual) VecVirtual {
	VPSHUFB(v, table, v)
	return v
}

func (ops2) and(v VecVirtual, mask uint32) VecVirtual {
	VPAND(repeatedIntsOf(mask), v, v)
	return v
}

func (ops2) or(v, other VecVirtual, mask uint32) {
	VPAND(repeatedIntsOf(mask), other, other)
	VPOR(other, v, v)
}

func (ops2) minus(v VecVirtual, n uint32) VecVirtual {
	VPSUBD(repeatedIntsOf(n), v, v)
	return v
}

func (ops2) signed(v VecVirtual, bits int) VecVirtual {
	VPSRAD(U8(32-bits), v, v)
	return v
}

// floatsOf are the halves of each 32 bits, F16: the lower ones, or the upper.
func (o ops2) floatsOf(line Mem, upper bool) VecVirtual {
	by := 0
	if upper {
		by = 16
	}
	v := o.shifted(line, by)
	if !upper {
		VPAND(repeatedIntsOf(0xffff), v, v)
	}
	VPACKUSDW(v, v, v)
	VPERMQ(U8(0b1000), v, v)
	VCVTPH2PS(v.AsX(), v)
	return v
}

// floatSums2 are a tile's sums, in memory: 8 rows for each token, then the other 8.
type floatSums2 struct{ p *panelFunc }

func (f *floatSums2) begin(p *panelFunc) {
	f.p = p
	if p.local.Base == nil {
		p.local = AllocLocal(64 * p.width)
	}
	z := YMM()
	zero(z)
	for i := range 2 * p.width {
		VMOVUPS(z, p.local.Offset(32*i))
	}
}

func (f *floatSums2) at(t int) Mem { return Mem{Base: f.p.sums, Disp: 32 * t} }

// times is v times a token's number at m.
func (f *floatSums2) times(v VecVirtual, m Mem) VecVirtual {
	s := YMM()
	VBROADCASTSS(m, s)
	VMULPS(v, s, s)
	return s
}

func (f *floatSums2) add(t int, v VecVirtual) {
	VADDPS(f.at(t), v, v)
	VMOVUPS(v, f.at(t))
}

// scaled is whole numbers times the scale times the token's at d.
func (f *floatSums2) scaled(whole, scale VecVirtual, d Mem) VecVirtual {
	s := f.times(scale, d)
	VCVTDQ2PS(whole, whole)
	VMULPS(s, whole, whole)
	return whole
}

func (f *floatSums2) end(p *panelFunc, store func(t, row int, sum VecVirtual)) {
	for t := range p.width {
		for half := range 2 {
			v := YMM()
			VMOVUPS(p.local.Offset(32*(half*p.width+t)), v)
			store(t, 8*half, v)
		}
	}
}

// A productSum adds up products of quads in 16 bits.
type productSum struct {
	p      *panelFunc
	bias   int // what is to be subtracted from quads; 128: they have a sign
	most   int // quads that fit
	added  int
	sum    []VecVirtual
	finish func(t int, sum VecVirtual) // takes 16 bits over
}

// add adds the products of a quad with the four activations of each token at x.
func (s *productSum) add(w VecVirtual, x func(t int) Mem) {
	size := w
	if s.signed() {
		if s.bias < 128 {
			VPSUBB(repeatedBytes(byte(s.bias)), w, w)
		}
		size = YMM()
		VPABSB(w, size)
	}
	if s.added == 0 {
		s.sum = make([]VecVirtual, s.p.width)
	}
	for t := range s.p.width {
		v := YMM()
		VPBROADCASTD(x(t), v)
		if s.signed() {
			VPSIGNB(w, v, v)
		}
		VPMADDUBSW(v, size, v)
		if s.added == 0 {
			s.sum[t] = v
		} else {
			VPADDW(v, s.sum[t], s.sum[t])
		}
	}
	if s.added++; s.added == s.most {
		s.flush()
	}
}

// signed reports whether numbers are multiplied with their sign: where the sums would be too
// large else, or what the sums start from too much work.
func (s *productSum) signed() bool { return s.bias == 4 || s.bias >= 32 }

func (s *productSum) flush() {
	if s.added == 0 {
		return
	}
	s.added = 0
	for t, v := range s.sum {
		s.finish(t, v)
	}
}

// most is how many quads fit in 16 bits: size·127·2·most < 2¹⁵.
func most(size int) int { return min(8, 32767/(size*127*2)) }

// blocks32x2 are types of blocks of 32.
type blocks32x2 struct {
	floatSums2
	kind *kind32
}

func (b *blocks32x2) form() activation { return bytes32 }
func (b *blocks32x2) bytes() int       { return b.kind.bytes() }

func (b *blocks32x2) chunk(p *panelFunc) {
	k := b.kind
	for block := range 2 {
		line := func(i int) Mem { return p.line(k.line(block, i)) }
		o := ops2{}
		total := make([]VecVirtual, p.width)
		sum := productSum{p: p, bias: k.bias, most: most(k.size), finish: func(t int, v VecVirtual) {
			VPMADDWD(repeatedWords(1), v, v)
			if total[t] == nil {
				total[t] = v
			} else {
				VPADDD(v, total[t], total[t])
			}
		}}
		for quad := range 8 {
			sum.add(k.quad(o, line, quad), func(t int) Mem { return p.four(64, t, 8*block+quad) })
		}
		sum.flush()
		for t, v := range total {
			if k.bias == 8 || k.bias == 16 {
				start := YMM()
				VPBROADCASTD(p.word(words32*block+eighths32, t), start)
				if k.bias == 16 {
					VPADDD(start, start, start)
				}
				VPADDD(start, v, v)
			}
		}
		b.finish(p, block, total)
	}
}

// finish adds a block's whole numbers, scaled, to the sums.
func (b *blocks32x2) finish(p *panelFunc, block int, total []VecVirtual) {
	o, line := ops2{}, p.line(b.kind.line(block, 0))
	var scale, minimum VecVirtual
	halves := Mem{Base: p.w, Index: p.back, Scale: 1, Disp: 32 * block}
	switch b.kind.scale {
	case scaleF16:
		scale = YMM()
		VCVTPH2PS(halves, scale)
	case scaleBF16:
		scale = YMM()
		VPMOVZXWD(halves, scale)
		VPSLLD(U8(16), scale, scale)
	default:
		scale, minimum = o.floatsOf(line, false), o.floatsOf(line, true)
	}
	for t, v := range total {
		b.add(t, b.scaled(v, scale, p.word(words32*block+scaleOf32, t)))
		if minimum != nil {
			b.add(t, b.times(minimum, p.word(words32*block+sum32, t)))
		}
	}
}

// blocks256x2 are types of blocks of 256.
type blocks256x2 struct {
	floatSums2
	kind *kind256
}

func (b *blocks256x2) form() activation { return bytes256 }
func (b *blocks256x2) bytes() int       { return 64 * b.kind.lines }

func (b *blocks256x2) chunk(p *panelFunc) {
	k := b.kind
	line, groups := k.at(p.line), 256/k.group
	o := ops2{}
	total := make([]VecVirtual, p.width)
	for g := range groups {
		// The scale in both halves of 32 bits.
		scale, upper := k.scale(o, line, g), YMM()
		VPSLLD(U8(16), scale, upper)
		VPBLENDW(U8(0xaa), upper, scale, scale)
		sum := productSum{p: p, bias: k.bias, most: most(k.size), finish: func(t int, v VecVirtual) {
			VPMADDWD(scale, v, v)
			if total[t] == nil {
				total[t] = v
			} else {
				VPADDD(v, total[t], total[t])
			}
		}}
		for quad := range k.group / 4 {
			sum.add(k.quad(o, line, g, quad), func(t int) Mem { return p.four(256, t, g*k.group/4+quad) })
		}
		sum.flush()
	}
	b.finish(p, total)
}

// finish adds a block's whole numbers, scaled, to the sums, and takes the minima away.
func (b *blocks256x2) finish(p *panelFunc, total []VecVirtual) {
	k, o := b.kind, ops2{}
	line, groups := k.at(p.line), 256/k.group
	var d VecVirtual
	if k.pair >= 0 {
		d = o.floatsOf(line(k.pair), false)
	} else {
		d = YMM()
		VCVTPH2PS(Mem{Base: p.w, Index: p.back, Scale: 1, Disp: 64 * (k.lines - 1)}, d)
	}
	for t, v := range total {
		b.add(t, b.scaled(v, d, p.word(scaleOf256, t)))
	}
	if k.minima == nil {
		return
	}
	low, first := make([]VecVirtual, p.width), pairs16
	if k.group == 32 {
		first = pairs32
	}
	for i := range groups / 2 {
		m := k.minima(o, line, i)
		for t := range low {
			v := YMM()
			VPBROADCASTD(p.word(first+i, t), v)
			VPMADDWD(m, v, v)
			if i == 0 {
				low[t] = v
			} else {
				VPADDD(v, low[t], low[t])
			}
		}
	}
	d = o.floatsOf(line(k.pair), true)
	for t, v := range low {
		v = b.scaled(v, d, p.word(scaleOf256, t))
		sum := YMM()
		VMOVUPS(b.at(t), sum)
		VSUBPS(v, sum, sum)
		VMOVUPS(sum, b.at(t))
	}
}
