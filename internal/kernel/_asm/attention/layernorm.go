package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

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
