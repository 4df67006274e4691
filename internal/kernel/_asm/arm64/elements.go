package main

import "fmt"

// elements are what is done to rows of numbers: pairs are turned, products added, a mean taken off.
func elements(p *program) {
	floats := func(names ...string) (list []parameter) {
		for _, name := range names {
			list = append(list, parameter{name, "*float32"})
		}
		return append(list, parameter{"chunks", "int"})
	}
	// over goes through chunks of 16 of all parameters, four numbers at a time.
	over := func(name string, parameters []parameter, begin func(f *function), write func(f *function, at int)) {
		p.function(name+"NEON", "is "+name+"Go for chunks of 16.", 0, parameters, "", func(f *function) {
			for i, parameter := range parameters {
				f.load(parameter.name, i)
			}
			begin(f)
			f.label("loop")
			for i := range 4 {
				write(f, 16*i)
			}
			last := len(parameters) - 1
			for r := range last {
				f.line("ADD $64, R%d", r)
			}
			f.next(last, "loop")
			f.line("RET")
		})
	}
	nothing := func(*function) {}
	over("rotateHalves", floats("low", "high", "cos", "sin"), nothing, func(f *function, at int) {
		read, x, y := f.vectors(4), f.vector(), f.vector()
		for i, v := range read {
			f.ld(16, v, i, at)
		}
		low, high, cos, sin := read[0], read[1], read[2], read[3]
		f.fmul(x, low, cos)
		f.fmul(y, high, sin)
		f.fsub(x, x, y)
		f.fmul(low, low, sin)
		f.fmul(high, high, cos)
		f.fadd(low, low, high)
		f.st(16, x, 0, at)
		f.st(16, low, 1, at)
		f.free(append(read, x, y)...)
	})
	// Each times its cosine, and its neighbour times its sine, negative for the first of a pair.
	var negative vector
	over("rotateNeighbours", floats("x", "angles"), func(f *function) {
		negative = f.vector()
		f.bits(negative, 1<<31)
		f.word(0x6f600400|uint32(negative)<<5|uint32(negative), "ushr %v.2d, %v.2d, #32", negative, negative)
	}, func(f *function, at int) {
		x, y, cos, sin := f.vector(), f.vector(), f.vector(), f.vector()
		f.ld(16, x, 0, at)
		f.ld(16, sin, 1, at)
		for i, d := range []vector{cos, sin} {
			f.do(0x4e802800|uint32(i)<<14, fmt.Sprintf("trn%d %%v.4s, %%v.4s, %%v.4s", i+1), d, sin, sin)
		}
		f.eor(sin, sin, negative)
		f.do(0x4ea00800, "rev64 %v.4s, %v.4s", y, x)
		f.fmul(x, x, cos)
		f.fmul(y, y, sin)
		f.fadd(x, x, y)
		f.st(16, x, 0, at)
		f.free(x, y, cos, sin)
	})
	over("addProducts", floats("out", "x", "w"), nothing, func(f *function, at int) {
		v, w, sum := f.vector(), f.vector(), f.vector()
		f.ld(16, v, 1, at)
		f.ld(16, w, 2, at)
		f.ld(16, sum, 0, at)
		f.fmul(v, v, w)
		f.fadd(v, v, sum)
		f.st(16, v, 0, at)
		f.free(v, w, sum)
	})
	p.function("subtractNEON", "writes x[i]−a, chunks of 16.", 0, append(floats("out", "x"), parameter{"a", "float32"}), "", func(f *function) {
		for i, name := range []string{"out", "x", "chunks"} {
			f.load(name, i)
		}
		a := f.float("a")
		f.label("loop")
		for i := range 4 {
			v := f.vector()
			f.ld(16, v, 1, 16*i)
			f.fsub(v, v, a)
			f.st(16, v, 0, 16*i)
			f.free(v)
		}
		f.line("ADD $64, R0")
		f.line("ADD $64, R1")
		f.next(2, "loop")
		f.line("RET")
	})
	p.function("sumOfNEON", "is sumOfGo for chunks of 16.", 0, floats("x"), "float32", func(f *function) {
		f.load("x", 0)
		f.load("chunks", 1)
		lanes := f.vectors(4)
		f.zero(lanes...)
		f.label("loop")
		for i, sum := range lanes {
			v := f.vector()
			f.ld(16, v, 0, 16*i)
			f.fadd(sum, sum, v)
			f.free(v)
		}
		f.line("ADD $64, R0")
		f.next(1, "loop")
		f.addUp(lanes)
		f.result(lanes[0])
	})
}
