package main

import (
	"maps"
	"slices"
)

// activations are what is between the halves of a feed-forward part, and its kin: all divide by
// 1 + exp.
func activations(p *program) {
	gates, one := []parameter{{"gate", "*float32"}, {"up", "*float32"}}, []parameter{{"x", "*float32"}}
	p.inPlace("swiGLU", gates, nil, nil, func(f *function, g, u []vector) {
		e := f.vectors(2)
		f.each(func(i int) { f.fneg(e[i], g[i]) })
		f.divide(g, e)
		f.each(func(i int) { f.fmul(g[i], g[i], u[i]) })
		f.free(e...)
	})
	gelu := func(f *function, x []vector) {
		e := f.vectors(2)
		f.each(func(i int) {
			f.fmul(e[i], x[i], x[i])
			f.fmul(e[i], e[i], x[i])
			f.fmul(e[i], e[i], f.floatsHeld["cubic"])
			f.fadd(e[i], e[i], x[i])
			f.fmul(e[i], e[i], f.floatsHeld["outer"])
		})
		f.divide(x, e)
		f.free(e...)
	}
	held := map[string]float32{"cubic": 0.044715, "outer": -2 * 0.79788456080286535588}
	p.inPlace("geGLU", gates, nil, held, func(f *function, g, u []vector) {
		gelu(f, g)
		f.each(func(i int) { f.fmul(g[i], g[i], u[i]) })
	})
	p.inPlace("gelu", one, nil, held, func(f *function, x, _ []vector) { gelu(f, x) })
	held = map[string]float32{"seven": 7, "minusSeven": -7, "minusSteep": -1.702}
	p.inPlace("swiGLUClamped", gates, nil, held, func(f *function, g, u []vector) {
		e, h := f.vectors(2), f.floatsHeld
		f.each(func(i int) {
			f.fmin(g[i], g[i], h["seven"])
			f.fmul(e[i], g[i], h["minusSteep"])
		})
		f.divide(g, e)
		f.each(func(i int) {
			f.fmax(u[i], u[i], h["minusSeven"])
			f.fmin(u[i], u[i], h["seven"])
			f.fadd(u[i], u[i], h["1"])
			f.fmul(g[i], g[i], u[i])
		})
		f.free(e...)
	})
	p.inPlace("sigmoid", one, nil, nil, func(f *function, x, _ []vector) {
		e := f.vectors(2)
		f.each(func(i int) {
			f.fneg(e[i], x[i])
			f.orr(x[i], f.floatsHeld["1"], f.floatsHeld["1"])
		})
		f.divide(x, e)
		f.free(e...)
	})
	p.inPlace("softCap", one, []string{"scale", "limit"}, map[string]float32{"two": 2}, func(f *function, x, _ []vector) {
		e, h := f.vectors(2), f.floatsHeld
		f.each(func(i int) {
			f.fmul(e[i], x[i], h["scale"])
			f.fdiv(e[i], e[i], h["limit"])
			f.fmul(e[i], e[i], h["two"])
			f.orr(x[i], h["two"], h["two"])
		})
		f.divide(x, e)
		f.each(func(i int) {
			f.fsub(x[i], h["1"], x[i])
			f.fmul(x[i], x[i], h["limit"])
		})
		f.free(e...)
	})
}

// inPlace writes a function that works on chunks of 16 of its first vector, in place, by those of
// the second, if there is one.
func (p *program) inPlace(name string, vectors []parameter, numbers []string, held map[string]float32, write func(f *function, x, y []vector)) {
	list := append(append([]parameter{}, vectors...), parameter{"chunks", "int"})
	for _, n := range numbers {
		list = append(list, parameter{n, "float32"})
	}
	p.function(name+"NEON", "is "+name+"Go for chunks of 16.", 0, list, "", func(f *function) {
		for i, v := range vectors {
			f.load(v.name, i)
		}
		f.load("chunks", len(vectors))
		for _, n := range numbers {
			f.floatsHeld[n] = f.float(n)
		}
		f.holdExp()
		for _, n := range slices.Sorted(maps.Keys(held)) {
			f.holdFloat(n, held[n])
		}
		f.label("loop")
		for half := range 2 {
			read := [2][]vector{}
			for r := range vectors {
				read[r] = f.vectors(2)
				for i, v := range read[r] {
					f.ld(16, v, r, 32*half+16*i)
				}
			}
			write(f, read[0], read[1])
			for i, v := range read[0] {
				f.st(16, v, 0, 32*half+16*i)
			}
			f.free(read[0]...)
			f.free(read[1]...)
		}
		for r := range vectors {
			f.line("ADD $64, R%d", r)
		}
		f.next(len(vectors), "loop")
		f.line("RET")
	})
}

// each does something for two registers.
func (f *function) each(do func(i int)) {
	for i := range 2 {
		do(i)
	}
}

// divide makes of x x/(1 + exp(y)). y is gone.
func (f *function) divide(x, y []vector) {
	f.exponential(y...)
	f.each(func(i int) {
		f.fadd(y[i], y[i], f.floatsHeld["1"])
		f.fdiv(x[i], x[i], y[i])
	})
}
