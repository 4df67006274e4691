// Command attention writes the assembly of what attention, states and activations ask of package kernel:
//
//	go generate ./internal/kernel
//
// Every function here has a twin in Go, in attention.go, states.go or activation.go, that says what it computes.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	for _, s := range []set{avx2, avx512} {
		for _, rows := range []int{1, 2, 4, 8} {
			if rows <= s.most {
				addPanels(s, rows, 16)
				addPanels(s, rows, 8)
				dotPanels(s, rows)
			}
		}
		largest(s)
		exponentials(s)
		mix(s)
		addRows(s)
		updateRows(s, false)
		updateRows(s, true)
		fadeRows(s)
		scale(s)
		scaleBy(s)
		scaleByF16(s)
		activations(s)
		rotateHalves(s)
		rotateNeighbours(s)
		addProducts(s)
		sumOf(s)
		subtract(s)
	}
	Generate()
}

// A set is what an instruction set has: 16 floats, a panel's row, are so many registers.
type set struct {
	name      string
	registers int
	most      int // rows that are added to at a time
	vector    func() VecVirtual
}

var (
	avx2   = set{"AVX2", 2, 4, func() VecVirtual { return YMM() }}
	avx512 = set{"AVX512", 1, 8, func() VecVirtual { return ZMM() }}
)

func (s set) bytes() int { return 64 / s.registers }

func (s set) vectors(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = s.vector()
	}
	return v
}

// clear is VXORPS of a register with itself, which avo would take to read it.
func clear(r VecVirtual) {
	Instruction(&ir.Instruction{Opcode: "VPXOR", Operands: []Op{r.AsX(), r.AsX(), r.AsX()}, Outputs: []Op{r}, ISA: []string{"AVX2"}})
}

// constant is one number, to be broadcast.
func constant(name string, bits uint32) Mem {
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, 8|16) // RODATA, NOPTR
		DATA(0, U32(bits))
		constants[name] = m
	}
	return m
}

var constants = map[string]Mem{}

func (s set) broadcast(m Mem) VecVirtual {
	v := s.vector()
	VBROADCASTSS(m, v)
	return v
}

func (s set) number(name string, v float32) VecVirtual {
	return s.broadcast(constant(name, math.Float32bits(v)))
}

func (s set) parameter(name string) VecVirtual {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return s.broadcast(p.Addr)
}

// addPanels keeps what it adds to in registers while it goes down a panel, so that
// memory is read from the beginning to the end: the processor fetches such ahead by
// itself, but not several panels at a time.
func addPanels(s set, rows, bits int) {
	name := fmt.Sprintf("addPanels%sx%d%s", map[int]string{16: "F16", 8: "Bytes"}[bits], rows, s.name)
	TEXT(name, NOSPLIT, "func(out *float32, outStride int, a *float32, aStride int, b *byte, panelBytes, k, panels int, next *byte, fresh bool)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is addPanelsGo for %d of the rows; strides are in bytes.", name, rows))
	out, b, panels := Load(Param("out"), GP64()), Load(Param("b"), GP64()), Load(Param("panels"), GP64())
	ahead := Load(Param("next"), GP64())
	SUBQ(b, ahead)
	// Rows of a: at a + i·stride.
	stride := Load(Param("aStride"), GP64())
	multiples := map[int]Register{1: stride}
	for _, i := range []int{3, 5, 7} {
		if i < rows {
			r := GP64()
			IMUL3Q(Imm(uint64(i)), stride, r)
			multiples[i] = r
		}
	}
	at := func(base Register, i int) Mem {
		switch i {
		case 0:
			return Mem{Base: base}
		case 2, 4:
			return Mem{Base: base, Index: stride, Scale: uint8(i)}
		case 6:
			return Mem{Base: base, Index: multiples[3], Scale: 2}
		}
		return Mem{Base: base, Index: multiples[i], Scale: 1}
	}
	outStride, step := Load(Param("outStride"), GP64()), Load(Param("panelBytes"), GP64())
	acc := make([][]VecVirtual, rows)
	for r := range acc {
		acc[r] = s.vectors(s.registers)
	}
	each := func(f func(m Mem, v VecVirtual)) {
		row := GP64()
		MOVQ(out, row)
		for r := range rows {
			for i, v := range acc[r] {
				f(Mem{Base: row, Disp: s.bytes() * i}, v)
			}
			if r+1 < rows {
				ADDQ(outStride, row)
			}
		}
	}
	Label("panel")
	fresh := Load(Param("fresh"), GP8())
	TESTB(fresh, fresh)
	JNZ(LabelRef("fresh"))
	each(func(m Mem, v VecVirtual) { VMOVUPS(m, v) })
	JMP(LabelRef("start"))
	Label("fresh")
	each(func(m Mem, v VecVirtual) { clear(v) })
	Label("start")
	a, k, p := Load(Param("a"), GP64()), Load(Param("k"), GP64()), GP64()
	MOVQ(b, p)
	Label("row")
	PREFETCHT0(Mem{Base: p, Index: ahead, Scale: 1})
	w := s.vectors(s.registers)
	for i := range w {
		if m := (Mem{Base: p, Disp: bits * i}); bits == 16 {
			VCVTPH2PS(m, w[i])
		} else {
			VPMOVSXBD(m, w[i])
			VCVTDQ2PS(w[i], w[i])
		}
	}
	for r := range rows {
		if s.registers == 1 { // faster than a broadcast by itself
			VFMADD231PS_BCST(at(a, r), w[0], acc[r][0])
			continue
		}
		x := s.broadcast(at(a, r))
		for i := range w {
			VFMADD231PS(w[i], x, acc[r][i])
		}
	}
	ADDQ(I8(4), a)
	ADDQ(I8(2*int8(bits)), p)
	DECQ(k)
	JNZ(LabelRef("row"))
	each(func(m Mem, v VecVirtual) { VMOVUPS(v, m) })
	ADDQ(I8(64), out)
	ADDQ(step, b)
	DECQ(panels)
	JNZ(LabelRef("panel"))
	VZEROUPPER()
	RET()
}

// dotPanels multiplies rows of bytes with panels of bytes, blocks of 32 at a time. AVX-512
// has a product of four unsigned and four signed bytes: 128 is added to what is stored,
// and the sums begin with what that is too much. AVX2 has one of two, which must not grow
// too large: of absolute values, with the sign on the other side; it takes half a panel at
// a time.
func dotPanels(s set, rows int) {
	name := fmt.Sprintf("dotPanelsQ8_0x%d%s", rows, s.name)
	TEXT(name, NOSPLIT, "func(out *float32, outStride int, q *int8, d *float32, offsets *int32, count, blocks int, b *byte, panels int, next *byte)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is dotPanelsGo for %d of the rows; outStride is in bytes.", name, rows))
	b, blocks := Load(Param("b"), GP64()), Load(Param("blocks"), GP64())
	ahead, panels := Load(Param("next"), GP64()), Load(Param("panels"), GP64())
	SUBQ(b, ahead)
	// From one block of the rows to the next: 32 bytes of q and 4 of the others a row.
	step, step4 := Load(Param("count"), GP64()), GP64()
	SHLQ(U8(2), step)
	MOVQ(step, step4)
	SHLQ(U8(3), step)
	out := Load(Param("out"), GP64())
	var ones, flip VecVirtual
	if s.registers == 1 {
		flip = s.broadcast(constant("flip", 0x80808080))
	} else {
		ones = s.vector()
		VPBROADCASTD(constant("ones", 0x00010001), ones)
	}
	Label("panel")
	for half := range s.registers {
		label := func(name string) string { return fmt.Sprintf("%s%d", name, half) }
		acc, sums := s.vectors(rows), s.vectors(rows)
		for _, v := range acc {
			clear(v)
		}
		q, d, w, scales, n := Load(Param("q"), GP64()), Load(Param("d"), GP64()), GP64(), GP64(), GP64()
		var o Register
		if s.registers == 1 {
			o = Load(Param("offsets"), GP64())
		}
		MOVQ(b, scales)
		MOVQ(blocks, n)
		MOVQ(blocks, w)
		SHLQ(U8(5), w)
		ADDQ(b, w)
		Label(label("block"))
		for r, v := range sums {
			if s.registers == 1 {
				VPBROADCASTD(Mem{Base: o, Disp: 4 * r}, v)
			} else {
				clear(v)
			}
		}
		for j := range 8 {
			x := s.vector()
			if half == 0 {
				PREFETCHT0(Mem{Base: w, Index: ahead, Scale: 1, Disp: 64 * j})
			}
			VMOVUPS(Mem{Base: w, Disp: 64*j + 32*half}, x)
			if s.registers == 1 {
				VPXORD(flip, x, x)
				for r := range rows {
					vnni(Mem{Base: q, Disp: 32*r + 4*j}, x, sums[r])
				}
				continue
			}
			abs := s.vector()
			VPABSB(x, abs)
			for r := range rows {
				y := s.vector()
				VPBROADCASTD(Mem{Base: q, Disp: 32*r + 4*j}, y)
				VPSIGNB(x, y, y)
				VPMADDUBSW(y, abs, y)
				VPMADDWD(ones, y, y)
				VPADDD(y, sums[r], sums[r])
			}
		}
		scale := s.vector()
		VCVTPH2PS(Mem{Base: scales, Disp: 16 * half}, scale)
		for r := range rows {
			t := s.broadcast(Mem{Base: d, Disp: 4 * r})
			VMULPS(scale, t, t)
			VCVTDQ2PS(sums[r], sums[r])
			VMULPS(t, sums[r], sums[r])
			VADDPS(sums[r], acc[r], acc[r])
		}
		ADDQ(step, q)
		ADDQ(step4, d)
		if s.registers == 1 {
			ADDQ(step4, o)
		}
		ADDQ(I32(512), w)
		ADDQ(I8(32), scales)
		DECQ(n)
		JNZ(LabelRef(label("block")))
		row := GP64()
		MOVQ(out, row)
		for r := range rows {
			VMOVUPS(acc[r], Mem{Base: row, Disp: 32 * half})
			if r+1 < rows {
				stride, err := Param("outStride").Resolve()
				if err != nil {
					panic(err)
				}
				ADDQ(stride.Addr, row)
			}
		}
	}
	ADDQ(I8(64), out)
	size := GP64()
	IMUL3Q(U32(544), blocks, size)
	ADDQ(size, b)
	DECQ(panels)
	JNZ(LabelRef("panel"))
	VZEROUPPER()
	RET()
}

// vnni is VPDPBUSD with four bytes for all lanes, which avo does not have.
func vnni(bytes Mem, x, acc VecVirtual) {
	Instruction(&ir.Instruction{
		Opcode:   "VPDPBUSD",
		Suffixes: []string{"BCST"},
		Operands: []Op{bytes, x, acc},
		Inputs:   []Op{bytes, x, acc},
		Outputs:  []Op{acc},
		ISA:      []string{"AVX512VNNI"},
	})
}

func scaleByF16(s set) {
	TEXT("scaleByF16"+s.name, NOSPLIT, "func(out, x *float32, d *byte, chunks int)")
	Pragma("noescape")
	Doc("scaleByF16" + s.name + " writes x[i]·d[i], chunks of 16.")
	out, x, d, n := Load(Param("out"), GP64()), Load(Param("x"), GP64()), Load(Param("d"), GP64()), Load(Param("chunks"), GP64())
	Label("loop")
	for h := range s.registers {
		v := s.vector()
		VCVTPH2PS(Mem{Base: d, Disp: 16 * h}, v)
		VMULPS(Mem{Base: x, Disp: s.bytes() * h}, v, v)
		VMOVUPS(v, Mem{Base: out, Disp: s.bytes() * h})
	}
	ADDQ(I8(64), out)
	ADDQ(I8(64), x)
	ADDQ(I8(32), d)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func largest(s set) {
	TEXT("largestOf"+s.name, NOSPLIT, "func(x *float32, chunks int) float32")
	Pragma("noescape")
	Doc("largestOf" + s.name + " is the largest of chunks of 16.")
	x, n := Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	v := s.vectors(s.registers)
	for i := range v {
		VMOVUPS(Mem{Base: x, Disp: s.bytes() * i}, v[i])
	}
	JMP(LabelRef("next"))
	Label("loop")
	for i := range v {
		VMAXPS(Mem{Base: x, Disp: s.bytes() * i}, v[i], v[i])
	}
	Label("next")
	ADDQ(I8(64), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	best, other := halves(v)
	VMAXPS(other, best, best)
	x4 := XMM()
	VEXTRACTF128(U8(1), best, x4)
	VMAXPS(best.AsX(), x4, x4)
	y := XMM()
	VMOVHLPS(x4, x4, y)
	VMAXPS(x4, y, y)
	z := XMM()
	VMOVSHDUP(y, z)
	VMAXSS(z, y, y)
	Store(y, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// halves are two registers of eight numbers.
func halves(v []VecVirtual) (low, high VecVirtual) {
	if len(v) == 2 {
		return v[0], v[1]
	}
	low, high = YMM(), YMM()
	VEXTRACTF64X4(U8(1), v[0], high)
	VEXTRACTF64X4(U8(0), v[0], low)
	return low, high
}

// addUp is the sum of 16 lanes, as sum16 adds them up.
func addUp(lanes []VecVirtual) VecVirtual {
	low, high := halves(lanes)
	VADDPS(high, low, low)
	x4, y, z := XMM(), XMM(), XMM()
	VEXTRACTF128(U8(1), low, x4)
	VADDPS(low.AsX(), x4, x4)
	VMOVHLPS(x4, x4, y)
	VADDPS(x4, y, y)
	VMOVSHDUP(y, z)
	VADDSS(z, y, y)
	return y
}

// exp makes of each number its exponential, in place, some registers side by side. It wants the
// operations in the order of the Go code, each rounded.
func (s set) exp(x ...VecVirtual) {
	m, t, y := s.vectors(len(x)), s.vectors(len(x)), s.vectors(len(x))
	each := func(op, bcst func(ops ...Op), c number, from, to []VecVirtual) {
		at := constant(c.name, math.Float32bits(c.v))
		if s.registers == 1 {
			for i := range x {
				bcst(at, from[i], to[i])
			}
			return
		}
		v := s.broadcast(at)
		for i := range x {
			op(v, from[i], to[i])
		}
	}
	one, round := number{"one", 1}, number{"expRound", 0x1.8p23}
	low, high := s.number("expLow", -87.33654), s.number("expHigh", 88.02969)
	for i := range x { // in this order what is no number stays none
		VMAXPS(x[i], low, x[i])
		VMINPS(x[i], high, x[i])
	}
	each(VMULPS, VMULPS_BCST, number{"log2e", 1.44269504088896340736}, x, m)
	each(VADDPS, VADDPS_BCST, round, m, m)
	each(VSUBPS, VSUBPS_BCST, round, m, t)
	for _, c := range []number{{"ln2High", 0.693359375}, {"ln2Low", -2.12194440054690583e-4}} {
		each(VMULPS, VMULPS_BCST, c, t, y)
		for i := range x {
			VSUBPS(y[i], x[i], x[i])
		}
	}
	for i := range x {
		VBROADCASTSS(constant("exp720", math.Float32bits(1./720)), y[i])
	}
	for _, c := range []number{{"exp120", 1. / 120}, {"exp24", 1. / 24}, {"exp6", 1. / 6}, {"exp2", 1. / 2}, one, one} {
		for i := range x {
			VMULPS(x[i], y[i], y[i])
		}
		each(VADDPS, VADDPS_BCST, c, y, y)
	}
	for i := range x {
		VPSLLD(U8(23), m[i], m[i])
	}
	each(VPADDD, VPADDD_BCST, one, m, m)
	for i := range x {
		VMULPS(m[i], y[i], x[i])
	}
}

// A number is a constant.
type number struct {
	name string
	v    float32
}

// exponentials is exp of each, added to the lanes as sum16 adds them up.
func exponentials(s set) {
	TEXT("exponentials"+s.name, NOSPLIT, "func(x *float32, chunks int, scale, largest float32) float32")
	Pragma("noescape")
	Doc("exponentials" + s.name + " makes of x exp((x−largest)·scale), chunks of 16, and returns the sum of the lanes.")
	x, n := Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	scale, top := s.parameter("scale"), s.parameter("largest")
	acc := s.vectors(s.registers)
	for _, v := range acc {
		clear(v)
	}
	Label("loop")
	for h := range acc {
		v, at := s.vector(), Mem{Base: x, Disp: s.bytes() * h}
		VMOVUPS(at, v)
		VSUBPS(top, v, v)
		VMULPS(scale, v, v)
		s.exp(v)
		VMOVUPS(v, at)
		VADDPS(v, acc[h], acc[h])
	}
	ADDQ(I8(64), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	Store(addUp(acc), ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func mix(s set) {
	TEXT("mix"+s.name, NOSPLIT, "func(x, y *float32, chunks int, a, b float32)")
	Pragma("noescape")
	Doc("mix" + s.name + " makes of x x·a + y·b, chunks of 16.")
	x, y, n := Load(Param("x"), GP64()), Load(Param("y"), GP64()), Load(Param("chunks"), GP64())
	a, b := s.parameter("a"), s.parameter("b")
	Label("loop")
	for h := range s.registers {
		v, w := s.vector(), s.vector()
		at := Mem{Base: x, Disp: s.bytes() * h}
		VMULPS(at, a, v)
		VMULPS(Mem{Base: y, Disp: s.bytes() * h}, b, w)
		VADDPS(w, v, v)
		VMOVUPS(v, at)
	}
	ADDQ(I8(64), x)
	ADDQ(I8(64), y)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// columns reads the 32 that start at m.
func (s set) columns(m Register) []VecVirtual {
	v := s.vectors(2 * s.registers)
	for i := range v {
		VMOVUPS(Mem{Base: m, Disp: s.bytes() * i}, v[i])
	}
	return v
}

func addRows(s set) {
	TEXT("addRows"+s.name, NOSPLIT, "func(out, rows, k *float32, n int)")
	Pragma("noescape")
	Doc("addRows" + s.name + " is addRowsGo for rows of 32.")
	out, rows, k, n := Load(Param("out"), GP64()), Load(Param("rows"), GP64()), Load(Param("k"), GP64()), Load(Param("n"), GP64())
	sums := s.columns(out)
	Label("row")
	x := s.broadcast(Mem{Base: k})
	for i, sum := range sums {
		v := s.vector()
		VMULPS(Mem{Base: rows, Disp: s.bytes() * i}, x, v)
		VADDPS(v, sum, sum)
	}
	ADDQ(I8(4), k)
	SUBQ(I8(-128), rows)
	DECQ(n)
	JNZ(LabelRef("row"))
	for i, sum := range sums {
		VMOVUPS(sum, Mem{Base: out, Disp: s.bytes() * i})
	}
	VZEROUPPER()
	RET()
}

// updateRows keeps the same of all rows, or of each what its own number says.
func updateRows(s set, each bool) {
	name, parameters := "updateRows", "func(out, rows, add, k, q *float32, n int, keep float32)"
	if each {
		name, parameters = "updateEachRow", "func(out, rows, add, k, q, keep *float32, n int)"
	}
	TEXT(name+s.name, NOSPLIT, parameters)
	Pragma("noescape")
	Doc(name + s.name + " is " + name + "Go for rows of 32.")
	out, rows, k, q, n := Load(Param("out"), GP64()), Load(Param("rows"), GP64()), Load(Param("k"), GP64()), Load(Param("q"), GP64()), Load(Param("n"), GP64())
	add := s.columns(Load(Param("add"), GP64()))
	var keep VecVirtual
	var keeps Register
	if each {
		keeps = Load(Param("keep"), GP64())
	} else {
		keep = s.parameter("keep")
	}
	sums := s.columns(out)
	Label("row")
	x, y := s.broadcast(Mem{Base: k}), s.broadcast(Mem{Base: q})
	if each {
		keep = s.broadcast(Mem{Base: keeps})
		ADDQ(I8(4), keeps)
	}
	for i, sum := range sums {
		v, w := s.vector(), s.vector()
		at := Mem{Base: rows, Disp: s.bytes() * i}
		VMULPS(at, keep, v)
		VMULPS(add[i], x, w)
		VADDPS(w, v, v)
		VMOVUPS(v, at)
		VMULPS(y, v, v)
		VADDPS(v, sum, sum)
	}
	ADDQ(I8(4), k)
	ADDQ(I8(4), q)
	SUBQ(I8(-128), rows)
	DECQ(n)
	JNZ(LabelRef("row"))
	for i, sum := range sums {
		VMOVUPS(sum, Mem{Base: out, Disp: s.bytes() * i})
	}
	VZEROUPPER()
	RET()
}

func fadeRows(s set) {
	TEXT("fadeRows"+s.name, NOSPLIT, "func(out, rows, a, step, add, k, q *float32, n int)")
	Pragma("noescape")
	Doc("fadeRows" + s.name + " is fadeRowsGo for rows of 32.")
	out, rows, a, n := Load(Param("out"), GP64()), Load(Param("rows"), GP64()), Load(Param("a"), GP64()), Load(Param("n"), GP64())
	step, add, k, q := Load(Param("step"), GP64()), Load(Param("add"), GP64()), Load(Param("k"), GP64()), Load(Param("q"), GP64())
	sums := s.columns(out)
	Label("row")
	x, y := s.broadcast(Mem{Base: k}), s.broadcast(Mem{Base: q})
	for i := 0; i < len(sums); i += 2 {
		keep := s.vectors(2)
		for j, v := range keep {
			VMOVUPS(Mem{Base: a, Disp: s.bytes() * (i + j)}, v)
			VMULPS(Mem{Base: step, Disp: s.bytes() * (i + j)}, v, v)
		}
		s.exp(keep...)
		for j, v := range keep {
			w, at := s.vector(), Mem{Base: rows, Disp: s.bytes() * (i + j)}
			VMULPS(at, v, v)
			VMULPS(Mem{Base: add, Disp: s.bytes() * (i + j)}, x, w)
			VADDPS(w, v, v)
			VMOVUPS(v, at)
			VMULPS(y, v, v)
			VADDPS(v, sums[i+j], sums[i+j])
		}
	}
	ADDQ(I8(4), k)
	ADDQ(I8(4), q)
	SUBQ(I8(-128), rows)
	SUBQ(I8(-128), a)
	DECQ(n)
	JNZ(LabelRef("row"))
	for i, sum := range sums {
		VMOVUPS(sum, Mem{Base: out, Disp: s.bytes() * i})
	}
	VZEROUPPER()
	RET()
}

func scaleBy(s set) {
	TEXT("scaleBy"+s.name, NOSPLIT, "func(out, x, w *float32, chunks int, a float32)")
	Pragma("noescape")
	Doc("scaleBy" + s.name + " writes x[i]·a·w[i], chunks of 16.")
	out, x, w, n := Load(Param("out"), GP64()), Load(Param("x"), GP64()), Load(Param("w"), GP64()), Load(Param("chunks"), GP64())
	a := s.parameter("a")
	Label("loop")
	for h := range s.registers {
		v := s.vector()
		VMULPS(Mem{Base: x, Disp: s.bytes() * h}, a, v)
		VMULPS(Mem{Base: w, Disp: s.bytes() * h}, v, v)
		VMOVUPS(v, Mem{Base: out, Disp: s.bytes() * h})
	}
	ADDQ(I8(64), out)
	ADDQ(I8(64), x)
	ADDQ(I8(64), w)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func scale(s set) {
	TEXT("scale"+s.name, NOSPLIT, "func(x *float32, chunks int, a float32)")
	Pragma("noescape")
	Doc("scale" + s.name + " makes of x x·a, chunks of 16.")
	x, n := Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	a := s.parameter("a")
	Label("loop")
	for h := range s.registers {
		v := s.vector()
		at := Mem{Base: x, Disp: s.bytes() * h}
		VMULPS(at, a, v)
		VMOVUPS(v, at)
	}
	ADDQ(I8(64), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
