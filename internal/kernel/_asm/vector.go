package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func sumSquaresAVX2() {
	TEXT("sumSquaresAVX2", NOSPLIT, "func(x *float32, chunks int) float32")
	Pragma("noescape")
	Doc("sumSquaresAVX2 is sumSquaresGo for chunks of 16.")
	x, n := Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	acc := [2]VecVirtual{YMM(), YMM()}
	zero(acc[0], acc[1])
	Label("loop")
	for h := range 2 {
		v := YMM()
		VMOVUPS(Mem{Base: x, Disp: 32 * h}, v)
		VMULPS(v, v, v)
		VADDPS(v, acc[h], acc[h])
	}
	ADDQ(I8(64), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	sum := addUp(acc)
	Store(sum, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// quantiseAVX2: the largest is found by comparing the bits of absolute values as
// whole numbers, which orders NaN above infinity.
func quantiseAVX2() {
	TEXT("largestAVX2", NOSPLIT, "func(x *float32, chunks int) float32")
	Pragma("noescape")
	Doc("largestAVX2 is the largest absolute value of chunks of 32.")
	x, n := Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	largest, mask := []VecVirtual{YMM(), YMM(), YMM(), YMM()}, YMM()
	zero(largest...)
	VMOVDQU(repeatedInts("absolute", 1<<31-1), mask)
	Label("loop")
	for i, l := range largest {
		v := YMM()
		VANDPS(Mem{Base: x, Disp: 32 * i}, mask, v)
		VPMAXSD(v, l, l)
	}
	ADDQ(I32(128), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
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
	Store(high, ReturnIndex(0))
	VZEROUPPER()
	RET()

	TEXT("roundAVX2", NOSPLIT, "func(q *int8, x *float32, chunks int, up float32)")
	Pragma("noescape")
	Doc("roundAVX2 rounds x·up to bytes, chunks of 32.")
	q := Load(Param("q"), GP64())
	x, n = Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	up, order := YMM(), orderOfPacks()
	upAt, err := Param("up").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(upAt.Addr, up)
	Label("loop")
	VMOVDQU(round(x, 0, up, order), Mem{Base: q})
	ADDQ(I32(128), x)
	ADDQ(I8(32), q)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// exponential is exp of eight numbers, in place. It wants the operations in the
// order of the Go code, each rounded.
func exponential(x VecVirtual) {
	VMAXPS(repeatedFloats("expLow", -87.33654), x, x)
	VMINPS(repeatedFloats("expHigh", 88.02969), x, x)
	m, n, y := YMM(), YMM(), YMM()
	round := repeatedFloats("expRound", 0x1.8p23)
	VMULPS(repeatedFloats("log2e", 1.44269504088896340736), x, m)
	VADDPS(round, m, m)
	VSUBPS(round, m, n)
	product := func(c Mem) {
		VMULPS(c, n, y)
		VSUBPS(y, x, x)
	}
	product(repeatedFloats("ln2High", 0.693359375))
	product(repeatedFloats("ln2Low", -2.12194440054690583e-4))
	VMOVUPS(repeatedFloats("exp720", 1./720), y)
	for _, c := range []Mem{
		repeatedFloats("exp120", 1./120), repeatedFloats("exp24", 1./24), repeatedFloats("exp6", 1./6),
		repeatedFloats("exp2", 1./2), repeatedFloats("one", 1), repeatedFloats("one", 1),
	} {
		VMULPS(x, y, y)
		VADDPS(c, y, y)
	}
	VPSLLD(U8(23), m, m)
	VPADDD(repeatedInts("oneBits", 127<<23), m, m)
	VMULPS(m, y, x)
}

func expSumAVX2() {
	TEXT("expSumAVX2", NOSPLIT, "func(acc *[16]float32, x *float32, chunks int, scale, largest float32)")
	Pragma("noescape")
	Doc("expSumAVX2 makes of x exp((x−largest)·scale), chunks of 16, and adds it to the lanes.")
	lanes, x, n := Load(Param("acc"), GP64()), Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	broadcast := func(name string) VecVirtual {
		p, err := Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		v := YMM()
		VBROADCASTSS(p.Addr, v)
		return v
	}
	scale, largest := broadcast("scale"), broadcast("largest")
	acc := [2]VecVirtual{YMM(), YMM()}
	for h := range 2 {
		VMOVUPS(Mem{Base: lanes, Disp: 32 * h}, acc[h])
	}
	Label("loop")
	for h := range 2 {
		v, at := YMM(), Mem{Base: x, Disp: 32 * h}
		VMOVUPS(at, v)
		VSUBPS(largest, v, v)
		VMULPS(scale, v, v)
		exponential(v)
		VMOVUPS(v, at)
		VADDPS(v, acc[h], acc[h])
	}
	ADDQ(I8(64), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	for h := range 2 {
		VMOVUPS(acc[h], Mem{Base: lanes, Disp: 32 * h})
	}
	VZEROUPPER()
	RET()
}

func putF16AVX2() {
	TEXT("putF16AVX2", NOSPLIT, "func(dst *byte, x *float32, chunks int)")
	Pragma("noescape")
	Doc("putF16AVX2 stores x as F16, chunks of 8.")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	Label("loop")
	v := YMM()
	VMOVUPS(Mem{Base: x}, v)
	VCVTPS2PH(U8(0), v, Mem{Base: dst})
	ADDQ(I8(32), x)
	ADDQ(I8(16), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func readAVX2() {
	TEXT("readAVX2", NOSPLIT, "func(x *byte, chunks int) uint64")
	Pragma("noescape")
	Doc("readAVX2 reads chunks of 256 bytes, and returns something of them.")
	x, n := Load(Param("x"), GP64()), Load(Param("chunks"), GP64())
	acc := make([]VecVirtual, 8)
	for i := range acc {
		acc[i] = YMM()
	}
	zero(acc...)
	Label("loop")
	for i, a := range acc {
		if i%2 == 0 {
			askFor(aheads, Mem{Base: x, Disp: 32 * i})
		}
		VPXOR(Mem{Base: x, Disp: 32 * i}, a, a)
	}
	ADDQ(I32(256), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	for _, a := range acc[1:] {
		VPXOR(a, acc[0], acc[0])
	}
	r := GP64()
	VMOVQ(acc[0].AsX(), r)
	Store(r, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
