package main

import (
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// What is between the halves of a feed-forward part, and its kin: all divide by 1 + exp. As in
// Go, what is no number stays none: of two operands the processor gives the second, first
// in avo's order, if one is none.
func activations(s set) {
	s.inPlace("swiGLU", "gate, up *float32, chunks int", func(g, u []VecVirtual) {
		y := s.times(g, "minusOne", -1)
		s.divide(g, y)
		s.each(g, func(i int) { VMULPS(u[i], g[i], g[i]) })
	})
	s.inPlace("geGLU", "gate, up *float32, chunks int", func(g, u []VecVirtual) {
		s.divide(g, s.bendOfGELU(g))
		s.each(g, func(i int) { VMULPS(u[i], g[i], g[i]) })
	})
	s.inPlace("gelu", "x *float32, chunks int", func(x, _ []VecVirtual) {
		s.divide(x, s.bendOfGELU(x))
	})
	s.inPlace("swiGLUClamped", "gate, up *float32, chunks int", func(g, u []VecVirtual) {
		seven, one := s.number("seven", 7), s.number("one", 1)
		s.each(g, func(i int) { VMINPS(g[i], seven, g[i]) })
		y := s.times(g, "minusSteep", -1.702)
		s.divide(g, y)
		low := s.number("minusSeven", -7)
		s.each(u, func(i int) {
			VMAXPS(u[i], low, u[i])
			VMINPS(u[i], seven, u[i])
			VADDPS(one, u[i], u[i])
			VMULPS(u[i], g[i], g[i])
		})
	})
	s.inPlace("sigmoid", "x *float32, chunks int", func(x, _ []VecVirtual) {
		y, one := s.times(x, "minusOne", -1), s.number("one", 1)
		s.each(x, func(i int) { VMOVAPS(one, x[i]) })
		s.divide(x, y)
	})
	s.inPlace("softCap", "x *float32, chunks int, scale, limit float32", func(x, _ []VecVirtual) {
		scale, limit, two, one := s.parameter("scale"), s.parameter("limit"), s.number("two", 2), s.number("one", 1)
		y := s.vectors(len(x))
		s.each(x, func(i int) {
			VMULPS(scale, x[i], y[i])
			VDIVPS(limit, y[i], y[i])
			VMULPS(two, y[i], y[i])
			VMOVAPS(two, x[i])
		})
		s.divide(x, y)
		s.each(x, func(i int) {
			VSUBPS(x[i], one, x[i])
			VMULPS(limit, x[i], x[i])
		})
	})
}

// inPlace writes a function that works on chunks of 16 of its first vector, in place, by those of
// the second, if there is one.
func (s set) inPlace(name, parameters string, write func(x, y []VecVirtual)) {
	vectors, _, _ := strings.Cut(parameters, " *float32")
	TEXT(name+s.name, NOSPLIT, "func("+parameters+")")
	Pragma("noescape")
	Doc(name + s.name + " is " + name + "Go for chunks of 16.")
	var at []Register
	for _, p := range strings.Split(vectors, ", ") {
		at = append(at, Load(Param(p), GP64()))
	}
	n := Load(Param("chunks"), GP64())
	Label("loop")
	var read [2][]VecVirtual
	for p, from := range at {
		read[p] = s.vectors(s.registers)
		for i, v := range read[p] {
			VMOVUPS(Mem{Base: from, Disp: s.bytes() * i}, v)
		}
	}
	write(read[0], read[1])
	for i, v := range read[0] {
		VMOVUPS(v, Mem{Base: at[0], Disp: s.bytes() * i})
	}
	for _, r := range at {
		ADDQ(I8(64), r)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func (s set) each(x []VecVirtual, do func(i int)) {
	for i := range x {
		do(i)
	}
}

// times is each number times a constant, in registers of its own.
func (s set) times(x []VecVirtual, name string, by float32) []VecVirtual {
	y, c := s.vectors(len(x)), s.number(name, by)
	s.each(x, func(i int) { VMULPS(c, x[i], y[i]) })
	return y
}

// divide makes of x x/(1 + exp(y)). y is gone.
func (s set) divide(x, y []VecVirtual) {
	s.exp(y...)
	one := s.number("one", 1)
	s.each(x, func(i int) {
		VADDPS(one, y[i], y[i])
		VDIVPS(y[i], x[i], x[i])
	})
}

// bendOfGELU is what gelu takes the exponential of.
func (s set) bendOfGELU(x []VecVirtual) []VecVirtual {
	y := s.vectors(len(x))
	cubic, outer := s.number("geluCubic", 0.044715), s.number("geluOuter", -2*0.79788456080286535588)
	s.each(x, func(i int) {
		VMULPS(x[i], x[i], y[i])
		VMULPS(x[i], y[i], y[i])
		VMULPS(cubic, y[i], y[i])
		VADDPS(x[i], y[i], y[i])
		VMULPS(outer, y[i], y[i])
	})
	return y
}
