package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// largestOf is the bits of the largest absolute value of 32·n numbers, in all that it is
// kept in: compared as whole numbers, which orders NaN above infinity.
func largestOf(x Register, n int) VecVirtual {
	mask, largest := repeatedInts("absolute", 1<<31-1), make([]VecVirtual, 4)
	m := YMM()
	VMOVDQU(mask, m)
	for i := range 4 * n {
		v := YMM()
		VANDPS(Mem{Base: x, Disp: 32 * i}, m, v)
		if i < 4 {
			largest[i] = v
		} else {
			VPMAXSD(v, largest[i%4], largest[i%4])
		}
	}
	VPMAXSD(largest[1], largest[0], largest[0])
	VPMAXSD(largest[3], largest[2], largest[2])
	VPMAXSD(largest[2], largest[0], largest[0])
	high, next := XMM(), XMM()
	VEXTRACTI128(U8(1), largest[0], high)
	VPMAXSD(largest[0].AsX(), high, high)
	VPSHUFD(U8(0b01001110), high, next)
	VPMAXSD(next, high, high)
	VPSHUFD(U8(0b10110001), high, next)
	VPMAXSD(next, high, high)
	return high
}

// unlessOdd goes to a label if the largest is too small or too large for a scale.
func unlessOdd(largest VecVirtual, label string) {
	const least = 0x1p-100 // minScale
	bits := GP32()
	VMOVD(largest, bits)
	SUBL(U32(math.Float32bits(least)), bits)
	CMPL(bits, U32(math.Float32bits(math.MaxFloat32)-math.Float32bits(least)))
	JHI(LabelRef(label))
}

// scalesOf are what leads to bytes, in all lanes, and what leads back.
func scalesOf(largest VecVirtual) (up, d VecVirtual) {
	to, d := XMM(), XMM()
	up = YMM()
	most := repeatedFloats("float127", 127)
	VMOVSS(most, to)
	VDIVSS(largest, to, to)
	VBROADCASTSS(to, up)
	VDIVSS(most, largest, d)
	return up, d
}

// round makes 32 bytes of numbers, in their order.
func round(x Register, disp int, up, order VecVirtual) VecVirtual {
	v := []VecVirtual{YMM(), YMM(), YMM(), YMM()}
	for i := range v {
		VMULPS(Mem{Base: x, Disp: disp + 32*i}, up, v[i])
		VCVTPS2DQ(v[i], v[i])
	}
	VPACKSSDW(v[1], v[0], v[0])
	VPACKSSDW(v[3], v[2], v[2])
	VPACKSSWB(v[2], v[0], v[0])
	VPERMD(v[0], order, v[0])
	return v[0]
}

func orderOfPacks() VecVirtual {
	order := YMM()
	VMOVDQU(constant("everyFourth", func() []byte {
		return []byte{0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 6, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0}
	}), order)
	return order
}

// fill32 ends early where a block has no scale; the rest is for Go.
func fill32() {
	TEXT("fill32AVX2", NOSPLIT, "func(q *int8, meta *uint32, x *float32, blocks int) (left int)")
	Pragma("noescape")
	Doc("fill32AVX2 makes bytes32 of blocks of one token, and says how many are left: those from the first that is odd on.")
	q, meta := Load(Param("q"), GP64()), Load(Param("meta"), GP64())
	x, n := Load(Param("x"), GP64()), Load(Param("blocks"), GP64())
	order, flip := orderOfPacks(), YMM()
	VMOVDQU(repeatedBytes(128), flip)
	Label("loop")
	largest := largestOf(x, 1)
	unlessOdd(largest, "end")
	up, d := scalesOf(largest)
	v := round(x, 0, up, order)
	VMOVDQU(v, Mem{Base: q})
	// The sum, of bytes that are made positive first.
	none, high := YMM(), XMM()
	zero(none)
	VPXOR(flip, v, v)
	VPSADBW(none, v, v)
	VEXTRACTI128(U8(1), v, high)
	VPADDD(v.AsX(), high, high)
	next := XMM()
	VPSHUFD(U8(0b01001110), high, next)
	VPADDD(next, high, high)
	sum := GP32()
	VMOVD(high, sum)
	SUBL(U32(32*128), sum)
	VMOVD(d, Mem{Base: meta})
	f := XMM()
	VXORPS(f, f, f)
	VCVTSI2SSL(sum, f, f)
	VMULSS(d, f, f)
	VMOVSS(f, Mem{Base: meta, Disp: 12})
	NEGL(sum)
	SHLL(U8(3), sum)
	MOVL(sum, Mem{Base: meta, Disp: 4})
	SHLL(U8(4), sum)
	MOVL(sum, Mem{Base: meta, Disp: 8})
	ADDQ(I32(128), x)
	ADDQ(I8(32), q)
	ADDQ(I8(16), meta)
	DECQ(n)
	JNZ(LabelRef("loop"))
	Label("end")
	Store(n, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func fill256() {
	TEXT("fill256AVX2", NOSPLIT, "func(q *int8, meta *uint32, x *float32, blocks int) (left int)")
	Pragma("noescape")
	Doc("fill256AVX2 makes bytes256 of blocks of one token, and says how many are left: those from the first that is odd on.")
	q, meta := Load(Param("q"), GP64()), Load(Param("meta"), GP64())
	x, n := Load(Param("x"), GP64()), Load(Param("blocks"), GP64())
	order, ones, pairs := orderOfPacks(), YMM(), YMM()
	VMOVDQU(repeatedBytes(1), ones)
	VMOVDQU(repeatedWords(1), pairs)
	word := func(i int) Mem { return Mem{Base: meta, Disp: 4 * i} }
	Label("loop")
	largest := largestOf(x, 8)
	unlessOdd(largest, "end")
	up, d := scalesOf(largest)
	VMOVD(d, word(0))
	none := YMM()
	zero(none)
	const sixteens, thirtyTwos, pairs32, pairs16 = 1, 17, 25, 29
	var halves [2]VecVirtual // sums of eight groups of 32
	for h := range halves {
		var fours [4]VecVirtual
		for i := range fours {
			v := round(x, 128*(4*h+i), up, order)
			VMOVDQU(v, Mem{Base: q, Disp: 32 * (4*h + i)})
			fours[i] = YMM()
			VPMADDUBSW(v, ones, fours[i])
			VPMADDWD(fours[i], pairs, fours[i])
		}
		VPHADDD(fours[1], fours[0], fours[0])
		VPHADDD(fours[3], fours[2], fours[2])
		VPHADDD(fours[2], fours[0], fours[0]) // low: the first 16 of each, high: the last 16
		second, s := XMM(), [2]VecVirtual{XMM(), XMM()}
		VEXTRACTI128(U8(1), fours[0], second)
		VPUNPCKLDQ(second, fours[0].AsX(), s[0])
		VPUNPCKHDQ(second, fours[0].AsX(), s[1])
		both := XMM()
		VPACKSSDW(s[1], s[0], both)
		VMOVDQU(both, word(pairs16+4*h))
		halves[h] = XMM()
		VPHADDD(s[1], s[0], halves[h])
		for i, v := range s {
			VPSLLD(U8(5), v, v)
			VPSUBD(v, none.AsX(), v)
			VMOVDQU(v, word(sixteens+8*h+4*i))
		}
	}
	both := XMM()
	VPACKSSDW(halves[1], halves[0], both)
	VMOVDQU(both, word(pairs32))
	for h, v := range halves {
		VPSLLD(U8(7), v, v)
		VPSUBD(v, none.AsX(), v)
		VMOVDQU(v, word(thirtyTwos+4*h))
	}
	ADDQ(I32(1024), x)
	ADDQ(I32(256), q)
	ADDQ(I32(4*37), meta)
	DECQ(n)
	JNZ(LabelRef("loop"))
	Label("end")
	Store(n, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
