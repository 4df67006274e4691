package main

import (
	"fmt"
	"math"
)

func rows(p *program) {
	for _, tokens := range []int{1, 2, 4} {
		p.dots("F32", tokens)
		p.dots("F16", tokens)
		p.dots("BF16", tokens)
	}
	p.sumSquares()
	p.quantise()
	p.expSum()
	p.putF16()
	p.read()
	p.transpose()
	p.multiplyAdds()
}

// sixteenFloats reads 16 numbers at a register, and says how many bytes that was.
func (f *function) sixteenFloats(kind string, base, at int) (v []vector, bytes int) {
	v = f.vectors(4)
	if kind == "F32" {
		for i := range v {
			f.ld(16, v[i], base, at+16*i)
		}
		return v, 64
	}
	convert := f.fromF16
	if kind == "BF16" {
		convert = f.fromBF16
	}
	for i := range 2 {
		f.ld(16, v[2*i], base, at+16*i)
		convert(v[2*i+1], v[2*i], 1)
		convert(v[2*i], v[2*i], 0)
	}
	return v, 32
}

// dots keeps 16 lanes for each token in four registers.
func (p *program) dots(kind string, tokens int) {
	parameters := []parameter{{"out", "*float32"}, {"stride", "int"}, {"w", "*byte"}, {"rowBytes", "int"}, {"rows", "int"}, {"chunks", "int"}, {"x", "*byte"}}
	p.function(fmt.Sprintf("dots%sx%dNEON", kind, tokens), fmt.Sprintf("is dotsGo for %s and tiles of %d.", kind, tokens), 0, parameters, "", func(f *function) {
		const out, stride, w, rowBytes, rows, chunks, x, at, to = 0, 1, 2, 3, 4, 5, 6, 7, 8
		f.load("out", out)
		f.load("stride", stride)
		f.line("LSL $2, R%d, R%d", stride, stride)
		f.load("w", w)
		f.load("rowBytes", rowBytes)
		f.load("rows", rows)
		acc := f.grid(tokens, 4)
		f.label("row")
		f.line("MOVD R%d, R%d", w, at)
		f.load("x", x)
		f.load("chunks", chunks)
		for _, a := range acc {
			f.zero(a...)
		}
		f.label("chunk")
		v, bytes := f.sixteenFloats(kind, at, 0)
		for t := range acc {
			for i := range v {
				y := f.vector()
				f.ld(16, y, x, 64*t+16*i)
				f.fmul(y, y, v[i])
				f.fadd(acc[t][i], acc[t][i], y)
				f.free(y)
			}
		}
		f.free(v...)
		f.line("ADD $%d, R%d", bytes, at)
		f.line("ADD $%d, R%d", 64*tokens, x)
		f.next(chunks, "chunk")
		f.line("MOVD R%d, R%d", out, to)
		for t, a := range acc {
			f.addUp(a)
			f.st(4, a[0], to, 0)
			if t+1 < tokens {
				f.line("ADD R%d, R%d", stride, to)
			}
		}
		f.line("ADD $4, R%d", out)
		f.line("ADD R%d, R%d", rowBytes, w)
		f.next(rows, "row")
		f.line("RET")
	})
}

func (p *program) sumSquares() {
	p.function("sumSquaresNEON", "is sumSquaresGo for chunks of 16.", 0, []parameter{{"x", "*float32"}, {"chunks", "int"}}, "float32", func(f *function) {
		f.load("x", 0)
		f.load("chunks", 1)
		acc := f.vectors(4)
		f.zero(acc...)
		f.label("loop")
		for i, a := range acc {
			v := f.vector()
			f.ld(16, v, 0, 16*i)
			f.fmul(v, v, v)
			f.fadd(a, a, v)
			f.free(v)
		}
		f.line("ADD $64, R0")
		f.next(1, "loop")
		f.addUp(acc)
		f.result(acc[0])
	})
}

// result returns the first lane.
func (f *function) result(v vector) {
	f.line("FMOVS F%d, ret+%d(FP)", v, f.offsets["ret"])
	f.line("RET")
}

func (p *program) quantise() {
	p.function("largestNEON", "is the largest absolute value of chunks of 32.", 0, []parameter{{"x", "*float32"}, {"chunks", "int"}}, "float32", func(f *function) {
		f.load("x", 0)
		f.load("chunks", 1)
		most := f.vectors(4)
		f.zero(most...)
		f.label("loop")
		for i := range 8 {
			v := f.vector()
			f.ld(16, v, 0, 16*i)
			f.fabs(v, v)
			f.fmax(most[i%4], most[i%4], v)
			f.free(v)
		}
		f.line("ADD $128, R0")
		f.next(1, "loop")
		f.largestOf(most)
		f.result(most[0])
	})
	p.function("roundNEON", "rounds x·up to bytes, chunks of 32.", 0, []parameter{{"q", "*int8"}, {"x", "*float32"}, {"chunks", "int"}, {"up", "float32"}}, "", func(f *function) {
		f.load("q", 0)
		f.load("x", 1)
		f.load("chunks", 2)
		up := f.float("up")
		f.label("loop")
		v := f.vectors(8)
		for i, w := range v {
			f.ld(16, w, 1, 16*i)
			f.fmul(w, w, up)
			f.do(0x4e21a800, "fcvtns %v.4s, %v.4s", w, w)
		}
		for i := 0; i < 8; i += 2 {
			f.do(0x0e612800, "xtn %v.4h, %v.4s", v[i], v[i])
			f.do(0x4e612800, "xtn2 %v.8h, %v.4s", v[i], v[i+1])
		}
		for i := 0; i < 8; i += 4 {
			f.do(0x0e212800, "xtn %v.8b, %v.8h", v[i], v[i])
			f.do(0x4e212800, "xtn2 %v.16b, %v.8h", v[i], v[i+2])
			f.st(16, v[i], 0, 4*i)
		}
		f.line("ADD $128, R1")
		f.line("ADD $32, R0")
		f.next(2, "loop")
		f.line("RET")
	})
}

// largestOf is the largest of four registers, in the first lane of the first.
func (f *function) largestOf(v []vector) {
	f.fmax(v[0], v[0], v[1])
	f.fmax(v[2], v[2], v[3])
	f.fmax(v[0], v[0], v[2])
	f.do(0x6e30f800, "fmaxv s%[1]v, %[2]v.4s", v[0], v[0])
}

// holdFloats holds numbers in all lanes.
func (f *function) holdFloat(name string, v float32) {
	r := f.vector()
	f.floatsHeld[name] = r
	f.bits(r, math.Float32bits(v))
}

var expTerms = []struct {
	name string
	v    float32
}{{"720", 1. / 720}, {"120", 1. / 120}, {"24", 1. / 24}, {"6", 1. / 6}, {"2", 1. / 2}, {"1", 1}, {"1", 1}}

// holdExp holds what exponential needs: twelve registers.
func (f *function) holdExp() {
	f.holdFloat("low", -87.33654)
	f.holdFloat("high", 88.02969)
	f.holdFloat("log2e", 1.44269504088896340736)
	f.holdFloat("round", 0x1.8p23)
	f.holdFloat("ln2High", 0.693359375)
	f.holdFloat("ln2Low", -2.12194440054690583e-4)
	for _, c := range expTerms[1:] {
		if _, held := f.floatsHeld[c.name]; !held {
			f.holdFloat(c.name, c.v)
		}
	}
	f.holdFloat("720", expTerms[0].v)
}

// exponential is exp of each number, in place. It wants the operations in the order of
// the Go code, each rounded. A few registers go side by side.
func (f *function) exponential(x ...vector) {
	c := f.floatsHeld
	m, n, y := f.vectors(len(x)), f.vectors(len(x)), f.vectors(len(x))
	each := func(do func(i int)) {
		for i := range x {
			do(i)
		}
	}
	each(func(i int) { f.fmax(x[i], x[i], c["low"]) })
	each(func(i int) { f.fmin(x[i], x[i], c["high"]) })
	each(func(i int) { f.fmul(m[i], x[i], c["log2e"]) })
	each(func(i int) { f.fadd(m[i], m[i], c["round"]) })
	each(func(i int) { f.fsub(n[i], m[i], c["round"]) })
	for _, part := range []string{"ln2High", "ln2Low"} {
		each(func(i int) { f.fmul(y[i], n[i], c[part]) })
		each(func(i int) { f.fsub(x[i], x[i], y[i]) })
	}
	each(func(i int) { f.fmul(y[i], x[i], c["720"]) })
	for i, term := range expTerms[1:] {
		if i > 0 {
			each(func(i int) { f.fmul(y[i], y[i], x[i]) })
		}
		each(func(i int) { f.fadd(y[i], y[i], c[term.name]) })
	}
	each(func(i int) { f.shift(32, m[i], -23) })
	each(func(i int) { f.add(m[i], m[i], c["1"]) })
	each(func(i int) { f.fmul(x[i], y[i], m[i]) })
	f.free(m...)
	f.free(n...)
	f.free(y...)
}

func (p *program) expSum() {
	p.function("expSumNEON", "makes of x exp((x−largest)·scale), chunks of 16, and adds it to the lanes.", 0, []parameter{{"acc", "*[16]float32"}, {"x", "*float32"}, {"chunks", "int"}, {"scale", "float32"}, {"largest", "float32"}}, "", func(f *function) {
		f.load("acc", 0)
		f.load("x", 1)
		f.load("chunks", 2)
		scale, largest := f.float("scale"), f.float("largest")
		f.holdExp()
		acc := f.vectors(4)
		for i, a := range acc {
			f.ld(16, a, 0, 16*i)
		}
		f.label("loop")
		for i := 0; i < 4; i += 2 {
			v := f.vectors(2)
			for j, w := range v {
				f.ld(16, w, 1, 16*(i+j))
				f.fsub(w, w, largest)
				f.fmul(w, w, scale)
			}
			f.exponential(v...)
			for j, w := range v {
				f.st(16, w, 1, 16*(i+j))
				f.fadd(acc[i+j], acc[i+j], w)
			}
			f.free(v...)
		}
		f.line("ADD $64, R1")
		f.next(2, "loop")
		for i, a := range acc {
			f.st(16, a, 0, 16*i)
		}
		f.line("RET")
	})
}

func (p *program) putF16() {
	p.function("putF16NEON", "stores x as F16, chunks of 8.", 0, []parameter{{"dst", "*byte"}, {"x", "*float32"}, {"chunks", "int"}}, "", func(f *function) {
		f.load("dst", 0)
		f.load("x", 1)
		f.load("chunks", 2)
		f.label("loop")
		v, w := f.vector(), f.vector()
		f.ld(16, v, 1, 0)
		f.ld(16, w, 1, 16)
		f.do(0x0e216800, "fcvtn %v.4h, %v.4s", v, v)
		f.do(0x4e216800, "fcvtn2 %v.8h, %v.4s", v, w)
		f.st(16, v, 0, 0)
		f.line("ADD $32, R1")
		f.line("ADD $16, R0")
		f.next(2, "loop")
		f.line("RET")
	})
}

func (p *program) read() {
	p.function("readNEON", "reads chunks of 256 bytes, and returns something of them.", 0, []parameter{{"x", "*byte"}, {"chunks", "int"}}, "uint64", func(f *function) {
		f.load("x", 0)
		f.load("chunks", 1)
		acc := f.vectors(8)
		f.zero(acc...)
		f.label("loop")
		for i := range 16 {
			v := f.vector()
			f.ld(16, v, 0, 16*i)
			f.eor(acc[i%8], acc[i%8], v)
			f.free(v)
		}
		f.line("ADD $256, R0")
		f.next(1, "loop")
		for _, a := range acc[1:] {
			f.eor(acc[0], acc[0], a)
		}
		f.line("FMOVD F%d, R0", acc[0])
		f.line("MOVD R0, ret+%d(FP)", f.offsets["ret"])
		f.line("RET")
	})
}

// multiplyAdds is for the ceiling of arithmetic.
func (p *program) multiplyAdds() {
	p.function("multiplyAddsNEON", "makes 16 times 16 multiply-adds a round: SDOT on registers.", 0, []parameter{{"rounds", "int"}}, "", func(f *function) {
		f.load("rounds", 0)
		acc, w, x := f.vectors(16), f.vector(), f.vector()
		f.zero(acc...)
		f.bytes(w, 1)
		f.bytes(x, 1)
		f.label("loop")
		for i, a := range acc {
			f.sdot(a, w, x, i%4)
		}
		f.next(0, "loop")
		f.line("RET")
	})
}
