package main

import "fmt"

func attention(p *program) {
	for _, rows := range []int{1, 2, 4} {
		p.addPanels("F16", rows)
		p.addPanels("Bytes", rows)
		p.dotPanels(rows)
	}
	chunks := func(name, doc string, parameters []parameter, result string, write func(f *function)) {
		p.function(name, doc, 0, parameters, result, write)
	}
	chunks("largestOfNEON", "is the largest of chunks of 16.", []parameter{{"x", "*float32"}, {"chunks", "int"}}, "float32", func(f *function) {
		f.load("x", 0)
		f.load("chunks", 1)
		most := f.vectors(4)
		for i, m := range most {
			f.ld(16, m, 0, 16*i)
		}
		f.label("loop")
		for i, m := range most {
			v := f.vector()
			f.ld(16, v, 0, 16*i)
			f.fmax(m, m, v)
			f.free(v)
		}
		f.line("ADD $64, R0")
		f.next(1, "loop")
		f.largestOf(most)
		f.result(most[0])
	})
	columns := func(f *function, base int) []vector {
		list := f.vectors(8)
		for i, v := range list {
			f.ld(16, v, base, 16*i)
		}
		return list
	}
	number := func(f *function, base int) vector { // in all lanes, and moves on
		v := f.vector()
		f.ldNext(v, base)
		f.do(0x4e040400, "dup %v.4s, %v.s[0]", v, v)
		return v
	}
	pointers := func(names ...string) (list []parameter) {
		for _, name := range names {
			list = append(list, parameter{name, "*float32"})
		}
		return list
	}
	chunks("addRowsNEON", "is addRowsGo for rows of 32.", append(pointers("out", "rows", "k"), parameter{"n", "int"}), "", func(f *function) {
		for i, name := range []string{"out", "rows", "k", "n"} {
			f.load(name, i)
		}
		sums := columns(f, 0)
		f.label("row")
		x := number(f, 2)
		for i, sum := range sums {
			v := f.vector()
			f.ld(16, v, 1, 16*i)
			f.fmul(v, v, x)
			f.fadd(sum, sum, v)
			f.free(v)
		}
		f.line("ADD $128, R1")
		f.next(3, "row")
		for i, sum := range sums {
			f.st(16, sum, 0, 16*i)
		}
		f.line("RET")
	})
	// updateRows keeps the same of all rows, or of each what its own number says.
	updateRows := func(name string, each bool, parameters []parameter) {
		chunks(name+"NEON", "is "+name+"Go for rows of 32.", parameters, "", func(f *function) {
			for i, p := range parameters[:5] {
				f.load(p.name, i)
			}
			f.load("n", 5)
			var keep vector
			if each {
				f.load("keep", 6)
			} else {
				keep = f.float("keep")
			}
			sums, add := columns(f, 0), columns(f, 2)
			f.label("row")
			x, y := number(f, 3), number(f, 4)
			if each {
				keep = number(f, 6)
			}
			for i, sum := range sums {
				v, w := f.vector(), f.vector()
				f.ld(16, v, 1, 16*i)
				f.fmul(v, v, keep)
				f.fmul(w, add[i], x)
				f.fadd(v, v, w)
				f.st(16, v, 1, 16*i)
				f.fmul(v, v, y)
				f.fadd(sum, sum, v)
				f.free(v, w)
			}
			f.line("ADD $128, R1")
			f.next(5, "row")
			for i, sum := range sums {
				f.st(16, sum, 0, 16*i)
			}
			f.line("RET")
		})
	}
	updateRows("updateRows", false, append(pointers("out", "rows", "add", "k", "q"), parameter{"n", "int"}, parameter{"keep", "float32"}))
	updateRows("updateEachRow", true, append(pointers("out", "rows", "add", "k", "q", "keep"), parameter{"n", "int"}))
	chunks("replaceRowsNEON", "is replaceRowsGo for rows of 32.", append(pointers("out", "rows", "keep", "back", "b", "add", "k", "q"), parameter{"n", "int"}), "", func(f *function) {
		for i, name := range []string{"out", "rows", "keep", "back", "b", "add", "k", "q", "n"} {
			f.load(name, i)
		}
		sums, add := columns(f, 0), columns(f, 5)
		f.label("row")
		x, y, z, w := number(f, 2), number(f, 4), number(f, 6), number(f, 7)
		for i, sum := range sums {
			v, t := f.vector(), f.vector()
			f.ld(16, v, 1, 16*i)
			f.fmul(v, v, x)
			f.ld(16, t, 3, 16*i)
			f.fmul(t, t, y)
			f.fadd(v, v, t)
			f.fmul(t, add[i], z)
			f.fadd(v, v, t)
			f.st(16, v, 1, 16*i)
			f.fmul(v, v, w)
			f.fadd(sum, sum, v)
			f.free(v, t)
		}
		f.line("ADD $128, R1")
		f.next(8, "row")
		for i, sum := range sums {
			f.st(16, sum, 0, 16*i)
		}
		f.line("RET")
	})
	chunks("fadeRowsNEON", "is fadeRowsGo for rows of 32.", append(pointers("out", "rows", "a", "step", "add", "k", "q"), parameter{"n", "int"}), "", func(f *function) {
		for i, name := range []string{"out", "rows", "a", "step", "add", "k", "q", "n"} {
			f.load(name, i)
		}
		f.holdExp()
		sums := columns(f, 0)
		f.label("row")
		x, y := number(f, 5), number(f, 6)
		for i := 0; i < len(sums); i += 2 {
			keep := f.vectors(2)
			for j, v := range keep {
				w := f.vector()
				f.ld(16, v, 2, 16*(i+j))
				f.ld(16, w, 3, 16*(i+j))
				f.fmul(v, v, w)
				f.free(w)
			}
			f.exponential(keep...)
			for j, v := range keep {
				w := f.vector()
				f.ld(16, w, 1, 16*(i+j))
				f.fmul(v, v, w)
				f.ld(16, w, 4, 16*(i+j))
				f.fmul(w, w, x)
				f.fadd(v, v, w)
				f.st(16, v, 1, 16*(i+j))
				f.fmul(v, v, y)
				f.fadd(sums[i+j], sums[i+j], v)
				f.free(w)
			}
			f.free(keep...)
		}
		f.line("ADD $128, R1")
		f.line("ADD $128, R2")
		f.next(7, "row")
		for i, sum := range sums {
			f.st(16, sum, 0, 16*i)
		}
		f.line("RET")
	})
	chunks("scaleByNEON", "writes x[i]·a·w[i], chunks of 16.", append(pointers("out", "x", "w"), parameter{"chunks", "int"}, parameter{"a", "float32"}), "", func(f *function) {
		for i, name := range []string{"out", "x", "w", "chunks"} {
			f.load(name, i)
		}
		a := f.float("a")
		f.label("loop")
		for i := range 4 {
			v, w := f.vector(), f.vector()
			f.ld(16, v, 1, 16*i)
			f.ld(16, w, 2, 16*i)
			f.fmul(v, v, a)
			f.fmul(v, v, w)
			f.st(16, v, 0, 16*i)
			f.free(v, w)
		}
		for r := range 3 {
			f.line("ADD $64, R%d", r)
		}
		f.next(3, "loop")
		f.line("RET")
	})
	chunks("mixNEON", "makes of x x·a + y·b, chunks of 16.", []parameter{{"x", "*float32"}, {"y", "*float32"}, {"chunks", "int"}, {"a", "float32"}, {"b", "float32"}}, "", func(f *function) {
		f.load("x", 0)
		f.load("y", 1)
		f.load("chunks", 2)
		a, b := f.float("a"), f.float("b")
		f.label("loop")
		for i := range 4 {
			v, w := f.vector(), f.vector()
			f.ld(16, v, 0, 16*i)
			f.ld(16, w, 1, 16*i)
			f.fmul(v, v, a)
			f.fmul(w, w, b)
			f.fadd(v, v, w)
			f.st(16, v, 0, 16*i)
		}
		f.line("ADD $64, R0")
		f.line("ADD $64, R1")
		f.next(2, "loop")
		f.line("RET")
	})
	chunks("scaleNEON", "makes of x x·a, chunks of 16.", []parameter{{"x", "*float32"}, {"chunks", "int"}, {"a", "float32"}}, "", func(f *function) {
		f.load("x", 0)
		f.load("chunks", 1)
		a := f.float("a")
		f.label("loop")
		for i := range 4 {
			v := f.vector()
			f.ld(16, v, 0, 16*i)
			f.fmul(v, v, a)
			f.st(16, v, 0, 16*i)
		}
		f.line("ADD $64, R0")
		f.next(1, "loop")
		f.line("RET")
	})
	chunks("scaleByF16NEON", "writes x[i]·d[i], chunks of 16.", []parameter{{"out", "*float32"}, {"x", "*float32"}, {"d", "*byte"}, {"chunks", "int"}}, "", func(f *function) {
		f.load("out", 0)
		f.load("x", 1)
		f.load("d", 2)
		f.load("chunks", 3)
		f.label("loop")
		d, _ := f.sixteenFloats("F16", 2, 0)
		for i, w := range d {
			v := f.vector()
			f.ld(16, v, 1, 16*i)
			f.fmul(v, v, w)
			f.st(16, v, 0, 16*i)
		}
		f.line("ADD $64, R0")
		f.line("ADD $64, R1")
		f.line("ADD $32, R2")
		f.next(3, "loop")
		f.line("RET")
	})
}

// addPanels keeps what it adds to in registers while it goes down a panel.
func (p *program) addPanels(kind string, rows int) {
	parameters := []parameter{{"out", "*float32"}, {"outStride", "int"}, {"a", "*float32"}, {"aStride", "int"}, {"b", "*byte"}, {"panelBytes", "int"}, {"k", "int"}, {"panels", "int"}, {"fresh", "bool"}}
	twin := map[string]string{"F16": "addPanelsGo", "Bytes": "addBytesGo"}[kind]
	p.function(fmt.Sprintf("addPanels%sx%dNEON", kind, rows), fmt.Sprintf("is %s for %d of the rows; strides are in bytes.", twin, rows), 0, parameters, "", func(f *function) {
		const out, outStride, a, aStride, b, panelBytes, k, panels, fresh, at, row, to = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14
		f.load("out", out)
		f.load("outStride", outStride)
		f.load("a", a)
		f.load("aStride", aStride)
		f.load("b", b)
		f.load("panelBytes", panelBytes)
		f.load("panels", panels)
		f.line("MOVBU fresh+%d(FP), R%d", f.offsets["fresh"], fresh)
		acc := f.grid(rows, 4)
		each := func(do func(v vector, i int)) {
			f.line("MOVD R%d, R%d", out, to)
			for r, list := range acc {
				for i, v := range list {
					do(v, i)
				}
				if r+1 < rows {
					f.line("ADD R%d, R%d", outStride, to)
				}
			}
		}
		f.label("panel")
		f.line("CBNZ R%d, fresh", fresh)
		each(func(v vector, i int) { f.ld(16, v, to, 16*i) })
		f.line("B start")
		f.label("fresh")
		for _, list := range acc {
			f.zero(list...)
		}
		f.label("start")
		f.line("MOVD R%d, R%d", b, at)
		f.line("MOVD R%d, R%d", a, row)
		for r := 1; r < rows; r++ {
			f.line("ADD R%d, R%d, R%d", aStride, row+r-1, row+r)
		}
		f.load("k", k)
		f.label("row")
		var w []vector
		bytes := 32
		if kind == "F16" {
			w, _ = f.sixteenFloats("F16", at, 0)
		} else {
			v := f.vector()
			f.ld(16, v, at, 0)
			w, bytes = f.sixteen(v), 16
			f.free(v)
		}
		for r := range rows {
			x := f.vector()
			f.ldNext(x, row+r)
			for i := range w {
				f.fmla(acc[r][i], w[i], x, 0)
			}
			f.free(x)
		}
		f.free(w...)
		f.line("ADD $%d, R%d", bytes, at)
		f.next(k, "row")
		each(func(v vector, i int) { f.st(16, v, to, 16*i) })
		f.line("ADD $64, R%d", out)
		f.line("ADD R%d, R%d", panelBytes, b)
		f.next(panels, "panel")
		f.line("RET")
	})
}

// dotPanels multiplies rows of bytes with panels of bytes, blocks of 32 at a time; four
// rows take half a panel at a time, as registers are not enough for their sums.
func (p *program) dotPanels(rows int) {
	parameters := []parameter{{"out", "*float32"}, {"outStride", "int"}, {"q", "*int8"}, {"d", "*float32"}, {"count", "int"}, {"blocks", "int"}, {"b", "*byte"}, {"panels", "int"}}
	p.function(fmt.Sprintf("dotPanelsQ8_0x%dNEON", rows), fmt.Sprintf("is dotPanelsGo for %d of the rows; outStride is in bytes.", rows), 0, parameters, "", func(f *function) {
		const out, outStride, q, d, count, blocks, b, panels = 0, 1, 2, 3, 4, 5, 6, 7
		const words, scales, left, to, part = 8, 9, 10, 11, 12
		registers := 4
		if rows == 4 {
			registers = 2
		}
		f.load("out", out)
		f.load("outStride", outStride)
		f.load("count", count)
		f.load("blocks", blocks)
		f.load("b", b)
		f.load("panels", panels)
		f.label("panel")
		f.line("MOVD $0, R%d", part)
		f.label("part")
		f.load("q", q)
		f.load("d", d)
		f.line("ADD R%d<<5, R%d, R%d", blocks, b, words)
		f.line("ADD R%d, R%d", part, words)
		f.line("ADD R%d>>1, R%d, R%d", part, b, scales)
		f.line("MOVD R%d, R%d", blocks, left)
		acc := f.grid(rows, registers)
		for _, a := range acc {
			f.zero(a...)
		}
		f.label("block")
		sums := f.grid(rows, registers)
		for _, s := range sums {
			f.zero(s...)
		}
		for j := 0; j < 8; j += 4 {
			x := f.vectors(rows)
			for r, v := range x {
				f.ld(16, v, q, 32*r+4*j)
			}
			for i := range 4 {
				for n := range registers {
					w := f.vector()
					f.ld(16, w, words, 64*(j+i)+16*n)
					for r, v := range x {
						f.sdot(sums[r][n], w, v, i)
					}
					f.free(w)
				}
			}
			f.free(x...)
		}
		factors := f.vector()
		f.ld(4*rows, factors, d, 0)
		for n := range registers {
			scale, s := f.vector(), f.vector()
			f.ld(8, scale, scales, 8*n)
			f.fromF16(scale, scale, 0)
			for r := range rows {
				f.times(s, scale, factors, r)
				f.scvtf(sums[r][n], sums[r][n])
				f.fmul(sums[r][n], sums[r][n], s)
				f.fadd(acc[r][n], acc[r][n], sums[r][n])
			}
			f.free(scale, s)
		}
		f.line("ADD R%d<<5, R%d", count, q)
		f.line("ADD R%d<<2, R%d", count, d)
		f.line("ADD $512, R%d", words)
		f.line("ADD $32, R%d", scales)
		f.next(left, "block")
		f.line("ADD R%d, R%d, R%d", part, out, to)
		for r, a := range acc {
			for n, v := range a {
				f.st(16, v, to, 16*n)
			}
			if r+1 < rows {
				f.line("ADD R%d, R%d", outStride, to)
			}
		}
		if registers == 2 {
			f.line("ADD $32, R%d", part)
			f.line("CMP $64, R%d", part)
			f.line("BNE part")
		}
		f.line("ADD $64, R%d", out)
		// A panel is 544 bytes a block.
		f.line("ADD R%d<<9, R%d", blocks, b)
		f.line("ADD R%d<<5, R%d", blocks, b)
		f.next(panels, "panel")
		f.line("RET")
	})
}
