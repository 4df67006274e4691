// Command attention writes the assembly of what attention asks of package kernel:
//
//	go generate ./internal/kernel
//
// Every function here has a twin in Go, in attention.go, that says what it computes.
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
				addPanels(s, rows)
			}
		}
		largest(s)
		exponentials(s)
		mix(s)
		scale(s)
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
func addPanels(s set, rows int) {
	name := fmt.Sprintf("addPanelsF16x%d%s", rows, s.name)
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
		VCVTPH2PS(Mem{Base: p, Disp: 16 * i}, w[i])
	}
	for r := range rows {
		if s.registers == 1 { // faster than a broadcast by itself, where there is such a product
			y := s.vector()
			VMULPS_BCST(at(a, r), w[0], y)
			VADDPS(y, acc[r][0], acc[r][0])
			continue
		}
		x := s.broadcast(at(a, r))
		for i := range w {
			y := s.vector()
			VMULPS(w[i], x, y)
			VADDPS(y, acc[r][i], acc[r][i])
		}
	}
	ADDQ(I8(4), a)
	ADDQ(I8(32), p)
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
	memory := func(name string, bits uint32) Mem { return constant(name, bits) }
	apply := func(op func(ops ...Op), bcst func(ops ...Op), name string, bits uint32, from, to VecVirtual) {
		if s.registers == 1 {
			bcst(memory(name, bits), from, to)
			return
		}
		op(s.broadcast(memory(name, bits)), from, to)
	}
	float := math.Float32bits
	Label("loop")
	for h := range acc {
		v, m, t, y := s.vector(), s.vector(), s.vector(), s.vector()
		at := Mem{Base: x, Disp: s.bytes() * h}
		VMOVUPS(at, v)
		VSUBPS(top, v, v)
		VMULPS(scale, v, v)
		apply(VMAXPS, VMAXPS_BCST, "expLow", float(-87.33654), v, v)
		apply(VMINPS, VMINPS_BCST, "expHigh", float(88.02969), v, v)
		apply(VMULPS, VMULPS_BCST, "log2e", float(1.44269504088896340736), v, m)
		apply(VADDPS, VADDPS_BCST, "expRound", float(0x1.8p23), m, m)
		apply(VSUBPS, VSUBPS_BCST, "expRound", float(0x1.8p23), m, t)
		for _, c := range []struct {
			name string
			v    float32
		}{{"ln2High", 0.693359375}, {"ln2Low", -2.12194440054690583e-4}} {
			apply(VMULPS, VMULPS_BCST, c.name, float(c.v), t, y)
			VSUBPS(y, v, v)
		}
		VBROADCASTSS(constant("exp720", float(1./720)), y)
		for _, c := range []struct {
			name string
			v    float32
		}{{"exp120", 1. / 120}, {"exp24", 1. / 24}, {"exp6", 1. / 6}, {"exp2", 1. / 2}, {"one", 1}, {"one", 1}} {
			VMULPS(v, y, y)
			apply(VADDPS, VADDPS_BCST, c.name, float(c.v), y, y)
		}
		VPSLLD(U8(23), m, m)
		if s.registers == 1 {
			VPADDD_BCST(constant("one", float(1)), m, m)
		} else {
			VPADDD(s.broadcast(constant("one", float(1))), m, m)
		}
		VMULPS(m, y, v)
		VMOVUPS(v, at)
		VADDPS(v, acc[h], acc[h])
	}
	ADDQ(I8(64), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	low, high := halves(acc)
	VADDPS(high, low, low)
	x4, y, z := XMM(), XMM(), XMM()
	VEXTRACTF128(U8(1), low, x4)
	VADDPS(low.AsX(), x4, x4)
	VMOVHLPS(x4, x4, y)
	VADDPS(x4, y, y)
	VMOVSHDUP(y, z)
	VADDSS(z, y, y)
	Store(y, ReturnIndex(0))
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
