package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transposeAVX2 takes four words of 16 rows at a time, the last of them again where they are no
// multiple of four: four rows and the four below them are the halves of registers.
func transposeAVX2() {
	TEXT("transposeAVX2", NOSPLIT, "func(dst, src *byte, rowBytes, blocks, srcStep, dstStep, words int, lines *uint8, flip uint32)")
	Pragma("noescape")
	Doc("transposeAVX2 is transposeGo for 16 rows, and four words at least.")
	dst, src, row, blocks := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("rowBytes"), GP64()), Load(Param("blocks"), GP64())
	row3 := GP64()
	LEAQ(Mem{Base: row, Index: row, Scale: 2}, row3)
	flip := YMM()
	VMOVD(Load(Param("flip"), GP32()), flip.AsX())
	VPBROADCASTD(flip.AsX(), flip)

	Label("block")
	p := make([]Register, 4) // rows 0, 4, 8 and 12
	for i := range p {
		p[i] = GP64()
	}
	MOVQ(src, p[0])
	LEAQ(Mem{Base: src, Index: row, Scale: 4}, p[1])
	LEAQ(Mem{Base: src, Index: row, Scale: 8}, p[2])
	LEAQ(Mem{Base: src, Index: row3, Scale: 4}, p[3])
	lines, left, step := Load(Param("lines"), GP64()), Load(Param("words"), GP64()), GP64()
	SUBQ(Imm(4), left)

	Label("words")
	for half := range 2 {
		a, t := []VecVirtual{YMM(), YMM(), YMM(), YMM()}, []VecVirtual{YMM(), YMM(), YMM(), YMM()}
		for r, v := range a {
			of := func(base Register) Mem {
				switch r {
				case 0:
					return Mem{Base: base}
				case 3:
					return Mem{Base: base, Index: row3, Scale: 1}
				}
				return Mem{Base: base, Index: row, Scale: uint8(r)}
			}
			VMOVDQU(of(p[2*half]), v.AsX())
			VINSERTI128(U8(1), of(p[2*half+1]), v, v)
		}
		VPUNPCKLDQ(a[1], a[0], t[0])
		VPUNPCKHDQ(a[1], a[0], t[1])
		VPUNPCKLDQ(a[3], a[2], t[2])
		VPUNPCKHDQ(a[3], a[2], t[3])
		VPUNPCKLQDQ(t[2], t[0], a[0])
		VPUNPCKHQDQ(t[2], t[0], a[1])
		VPUNPCKLQDQ(t[3], t[1], a[2])
		VPUNPCKHQDQ(t[3], t[1], a[3])
		for i, v := range a {
			VPXOR(flip, v, v)
			MOVBQZX(Mem{Base: lines, Disp: i}, step)
			SHLQ(U8(6), step)
			VMOVDQU(v, Mem{Base: dst, Index: step, Scale: 1, Disp: 32 * half})
		}
	}
	TESTQ(left, left)
	JZ(LabelRef("done"))
	MOVQ(I32(4), step)
	CMPQ(left, step)
	CMOVQLT(left, step)
	SUBQ(step, left)
	ADDQ(step, lines)
	for _, r := range p {
		LEAQ(Mem{Base: r, Index: step, Scale: 4}, r)
	}
	JMP(LabelRef("words"))

	Label("done")
	ADDQ(Load(Param("srcStep"), GP64()), src)
	ADDQ(Load(Param("dstStep"), GP64()), dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
