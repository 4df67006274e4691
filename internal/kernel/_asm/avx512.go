package main

import (
	"encoding/binary"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The same sums with AVX-512 and VNNI: the 16 lanes are one register, and
// VPDPBUSD adds four products of an unsigned and a signed byte to each.

// vnni is VPDPBUSD or VPDPWSSD, which avo does not have: acc += x·y.
func vnni(opcode string, y Op, x, acc VecVirtual) {
	Instruction(&ir.Instruction{
		Opcode:   opcode,
		Operands: []Op{y, x, acc},
		Inputs:   []Op{y, x, acc},
		Outputs:  []Op{acc},
		ISA:      []string{"AVX512VNNI"},
	})
}

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

// blocks32AVX512: the weights become unsigned by adding 128 (Q8_0) or as they are
// stored (Q4_0), and the sums start from what that adds too much: offsets has
// −8 times the sum of each four activations.
type blocks32AVX512 struct {
	lanesAVX512
	bytes             int
	second            OpmaskVirtual // the lanes of the second block
	flip, mask, shift VecVirtual
}

func (b *blocks32AVX512) sizes() sizes {
	return sizes{row: 2 * b.bytes, x: 64, d: 8, offsets: 64}
}

func (b *blocks32AVX512) begin(d *dots) {
	b.lanesAVX512.begin(d)
	b.second = K()
	k := GP32()
	MOVL(U32(0xff00), k)
	KMOVW(k, b.second)
	if b.bytes == 34 {
		b.flip = ZMM()
		VPBROADCASTB(repeatedBytes(0x80), b.flip)
		return
	}
	b.mask, b.shift = ZMM(), ZMM()
	VPBROADCASTB(repeatedBytes(15), b.mask)
	VMOVDQU32(shifts("lowHighLowHigh", 0, 4, 0, 4), b.shift)
}

// shifts are counts for the words of each quarter of a register.
func shifts(name string, counts ...uint16) Mem {
	return constant(name, func() []byte {
		var b []byte
		for i := range 32 {
			b = binary.LittleEndian.AppendUint16(b, counts[i/8])
		}
		return b
	})
}

func (b *blocks32AVX512) chunk(d *dots) {
	w := ZMM()
	first, second := Mem{Base: d.w}, Mem{Base: d.w, Disp: b.bytes}
	if b.bytes == 34 {
		VBROADCASTI64X4(first.Offset(2), w)
		VINSERTI64X4(U8(1), second.Offset(2), w, w)
		VPXORD(b.flip, w, w)
	} else {
		VBROADCASTI32X4(first.Offset(2), w)
		VBROADCASTI32X4(second.Offset(2), b.second, w)
		VPSRLVW(b.shift, w, w)
		VPANDD(b.mask, w, w)
	}
	half, scale := YMM(), ZMM()
	VPBROADCASTW(first, half)
	VPBROADCASTW(second, b.second, half)
	VCVTPH2PS(half, scale)
	for t := range d.width {
		p, s := ZMM(), ZMM()
		offsets := Mem{Base: d.o, Disp: 64 * t}
		if b.bytes == 34 {
			VPSLLD(U8(4), offsets, p)
		} else {
			VMOVDQU32(offsets, p)
		}
		vnni("VPDPBUSD", Mem{Base: d.x, Disp: 64 * t}, w, p)
		VCVTDQ2PS(p, p)
		VMULPS_BCST(Mem{Base: d.d, Disp: 8 * t}, scale, s)
		VMULPS_BCST(Mem{Base: d.d, Disp: 8*t + 4}, scale, b.second, s)
		VMULPS(s, p, p)
		VADDPS(p, b.acc[t], b.acc[t])
	}
}

// scaled adds to a lane's total its sum, which fits in 16 bits, times a scale:
// the upper half of each 32 bits of scale is zero, and the product of the upper
// halves with it.
func scaled(x Mem, w, scale, total VecVirtual) {
	p := ZMM()
	clearAll(p)
	vnni("VPDPBUSD", x, w, p)
	vnni("VPDPWSSD", scale, p, total)
}

// toFloat adds totals, times the scale at the address given times the token's, to
// the lanes.
func (l *lanesAVX512) toFloat(d *dots, scale Mem, totals []VecVirtual) {
	dw := ZMM()
	VPBROADCASTW(scale, dw.AsY())
	VCVTPH2PS(dw.AsY(), dw)
	for t, total := range totals {
		s := ZMM()
		VMULPS_BCST(Mem{Base: d.d, Disp: 4 * t}, dw, s)
		VCVTDQ2PS(total, total)
		VMULPS(s, total, total)
		VADDPS(total, l.acc[t], l.acc[t])
	}
}

// indexes are 16 numbers, four after the other as they are stored: constants of
// 16 bytes, widened when they are loaded.
func indexes(name string, at func(lane int) int) VecVirtual {
	m := constant(name, func() []byte {
		b := make([]byte, 32)
		for i := range lanes {
			b[i] = byte(at(i))
		}
		return b
	})
	v := ZMM()
	VPMOVZXBD(m, v)
	return v
}

const lanes = 16

type q4_kAVX512 struct{ lanesAVX512 }

func (q *q4_kAVX512) sizes() sizes { return q4_kAVX2{}.sizes() }

func (q *q4_kAVX512) begin(d *dots) {
	q.lanesAVX512.begin(d)
	if d.low.Base == nil {
		d.low = AllocLocal(16 * d.width)
	}
	z := XMM()
	VPXOR(z, z, z)
	for t := range d.width {
		VMOVDQU(z, d.low.Offset(16*t))
	}
}

func (q *q4_kAVX512) chunk(d *dots) {
	scale, minimum := q4_kScales(d)
	q4_kMinima(d, minimum)
	scales, mask, shift := ZMM(), ZMM(), ZMM()
	VPMOVZXBD(scale, scales) // the upper eight are not used
	VMOVDQU32(shifts("lowLowHighHigh", 0, 0, 4, 4), shift)
	VPBROADCASTB(repeatedBytes(15), mask)
	totals := make([]VecVirtual, d.width)
	for t := range totals {
		totals[t] = ZMM()
		clearAll(totals[t])
	}
	for j := range 4 {
		w, scale := ZMM(), indexes("groups"+string(rune('0'+j)), func(i int) int { return 2*j + i/8 })
		VBROADCASTI64X4(Mem{Base: d.w, Disp: 16 + 32*j}, w)
		VPSRLVW(shift, w, w)
		VPANDD(mask, w, w)
		VPERMD(scales, scale, scale)
		for t := range d.width {
			scaled(Mem{Base: d.x, Disp: 256*t + 64*j}, w, scale, totals[t])
		}
	}
	q.toFloat(d, Mem{Base: d.w}, totals)
}

func (q *q4_kAVX512) end(d *dots, t int) VecVirtual {
	sum, low := q.lanesAVX512.end(d, t), XMM()
	VMOVUPS(d.low.Offset(16*t), low)
	VSUBSS(addUp4(low), sum, sum)
	return sum
}

type q6_kAVX512 struct{ lanesAVX512 }

func (q *q6_kAVX512) sizes() sizes { return q6_kAVX2{}.sizes() }

func (q *q6_kAVX512) chunk(d *dots) {
	words, scales := YMM(), ZMM()
	VPMOVSXBW(Mem{Base: d.w, Disp: 192}, words)
	VPMOVZXWD(words, scales)
	totals := make([]VecVirtual, d.width)
	for t := range totals {
		// What the −32 does, in the lower half.
		p := YMM()
		totals[t] = ZMM()
		VPMADDWD(Mem{Base: d.s, Disp: 32 * t}, words, p)
		VPSLLD(U8(5), p, p)
		clearAll(totals[t])
		VPSUBD(p, totals[t].AsY(), totals[t].AsY())
	}
	mask, maskHigh := ZMM(), ZMM()
	VPBROADCASTB(repeatedBytes(15), mask)
	VPBROADCASTB(repeatedBytes(0x30), maskHigh)
	for g := 0; g < 8; g += 2 {
		p := g / 4
		bits, high := ZMM(), ZMM()
		VMOVDQU32(Mem{Base: d.w, Disp: 64 * p}, bits)
		VBROADCASTI64X4(Mem{Base: d.w, Disp: 128 + 32*p}, high)
		if g%4 == 0 {
			VPSLLVW(shifts("leftFourTwo", 4, 4, 2, 2), high, high)
		} else {
			VPSRLW(U8(4), bits, bits)
			VPSRLVW(shifts("rightNoneTwo", 0, 0, 2, 2), high, high)
		}
		VPANDD(mask, bits, bits)
		VPTERNLOGD(U8(0xf8), maskHigh, high, bits) // bits | high&maskHigh
		scale := indexes("sixteens"+string(rune('0'+g/2)), func(i int) int { return 2*g + i/4 })
		VPERMD(scales, scale, scale)
		for t := range d.width {
			scaled(Mem{Base: d.x, Disp: 256*t + 32*g}, bits, scale, totals[t])
		}
	}
	q.toFloat(d, Mem{Base: d.w, Disp: 208}, totals)
}

func offsetsAVX512() {
	TEXT("offsetsAVX512", NOSPLIT, "func(offsets *int32, q *int8, chunks int)")
	Pragma("noescape")
	Doc("offsetsAVX512 writes −8 times the sums of each four numbers, chunks of 64.")
	o, q, n := Load(Param("offsets"), GP64()), Load(Param("q"), GP64()), Load(Param("chunks"), GP64())
	eight, zero := ZMM(), ZMM()
	VPBROADCASTB(repeatedBytes(8), eight)
	clearAll(zero)
	Label("loop")
	p := ZMM()
	clearAll(p)
	vnni("VPDPBUSD", Mem{Base: q}, eight, p)
	VPSUBD(p, zero, p)
	VMOVDQU32(p, Mem{Base: o})
	ADDQ(I8(64), q)
	ADDQ(I8(64), o)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
