package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func rotateHalves(s set) {
	TEXT("rotateHalves"+s.name, NOSPLIT, "func(low, high, cos, sin *float32, chunks int)")
	Pragma("noescape")
	Doc("rotateHalves" + s.name + " is rotateHalvesGo for chunks of 16.")
	low, high, cos, sin, n := Load(Param("low"), GP64()), Load(Param("high"), GP64()), Load(Param("cos"), GP64()), Load(Param("sin"), GP64()), Load(Param("chunks"), GP64())
	Label("loop")
	for i := range s.registers {
		at := func(r Register) Mem { return Mem{Base: r, Disp: s.bytes() * i} }
		a, b, c, d, x, y := s.vector(), s.vector(), s.vector(), s.vector(), s.vector(), s.vector()
		VMOVUPS(at(low), a)
		VMOVUPS(at(high), b)
		VMOVUPS(at(cos), c)
		VMOVUPS(at(sin), d)
		VMULPS(c, a, x)
		VMULPS(d, b, y)
		VSUBPS(y, x, x)
		VMULPS(d, a, a)
		VMULPS(c, b, b)
		VADDPS(b, a, a)
		VMOVUPS(x, at(low))
		VMOVUPS(a, at(high))
	}
	for _, r := range []Register{low, high, cos, sin} {
		ADDQ(I8(64), r)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// rotateNeighbours multiplies each with its cosine, and its neighbour with its sine, negative for
// the first of a pair.
func rotateNeighbours(s set) {
	TEXT("rotateNeighbours"+s.name, NOSPLIT, "func(x, angles *float32, chunks int)")
	Pragma("noescape")
	Doc("rotateNeighbours" + s.name + " is rotateNeighboursGo for chunks of 16.")
	x, angles, n := Load(Param("x"), GP64()), Load(Param("angles"), GP64()), Load(Param("chunks"), GP64())
	signs, there := constants["firstSigns"]
	if !there {
		signs = GLOBL("firstSigns", 8|16) // RODATA, NOPTR
		DATA(0, U64(1<<31))
		constants["firstSigns"] = signs
	}
	negative := s.vector()
	VBROADCASTSD(signs, negative)
	Label("loop")
	for i := range s.registers {
		v, w, cos, sin := s.vector(), s.vector(), s.vector(), s.vector()
		at := Mem{Base: x, Disp: s.bytes() * i}
		VMOVUPS(at, v)
		VMOVSLDUP(Mem{Base: angles, Disp: s.bytes() * i}, cos)
		VMOVSHDUP(Mem{Base: angles, Disp: s.bytes() * i}, sin)
		if s.registers == 1 {
			VPXORQ(negative, sin, sin)
		} else {
			VPXOR(negative, sin, sin)
		}
		VPERMILPS(U8(0b10110001), v, w)
		VMULPS(cos, v, v)
		VMULPS(sin, w, w)
		VADDPS(w, v, v)
		VMOVUPS(v, at)
	}
	ADDQ(I8(64), x)
	ADDQ(I8(64), angles)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// addProducts adds products to what is there, each rounded.
func addProducts(s set) {
	TEXT("addProducts"+s.name, NOSPLIT, "func(out, x, w *float32, chunks int)")
	Pragma("noescape")
	Doc("addProducts" + s.name + " is addProductsGo for chunks of 16.")
	out, x, w, n := Load(Param("out"), GP64()), Load(Param("x"), GP64()), Load(Param("w"), GP64()), Load(Param("chunks"), GP64())
	Label("loop")
	for i := range s.registers {
		v, at := s.vector(), Mem{Base: out, Disp: s.bytes() * i}
		VMOVUPS(Mem{Base: x, Disp: s.bytes() * i}, v)
		VMULPS(Mem{Base: w, Disp: s.bytes() * i}, v, v)
		VADDPS(at, v, v)
		VMOVUPS(v, at)
	}
	for _, r := range []Register{out, x, w} {
		ADDQ(I8(64), r)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// sumOf adds up as sum16 does.
func sumOf(s set) {
	TEXT("sumOf"+s.name, NOSPLIT, "func(x *float32, chunks int) float32")
	Pragma("noescape")
	Doc("sumOf" + s.name + " is sumOfGo for chunks of 16.")
	x, n := Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	acc := s.vectors(s.registers)
	for _, v := range acc {
		clear(v)
	}
	Label("loop")
	for i, v := range acc {
		VADDPS(Mem{Base: x, Disp: s.bytes() * i}, v, v)
	}
	ADDQ(I8(64), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	Store(addUp(acc), ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func subtract(s set) {
	TEXT("subtract"+s.name, NOSPLIT, "func(out, x *float32, chunks int, a float32)")
	Pragma("noescape")
	Doc("subtract" + s.name + " writes x[i]−a, chunks of 16.")
	out, x, n := Load(Param("out"), GP64()), Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	a := s.parameter("a")
	Label("loop")
	for i := range s.registers {
		v := s.vector()
		VMOVUPS(Mem{Base: x, Disp: s.bytes() * i}, v)
		VSUBPS(a, v, v)
		VMOVUPS(v, Mem{Base: out, Disp: s.bytes() * i})
	}
	ADDQ(I8(64), out)
	ADDQ(I8(64), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
