package main

import "fmt"

// Products of panels with tiles (see panel.go of package kernel for what lies where):
//
//	for each panel: for each part of its rows: for each chunk: body;
//	                out[token·stride] … [+ 15] = the tile's sums
//
// A register holds a word of four rows, and a dot product multiplies it with four bytes
// of a token. A part is all 16 rows, or eight where the sums of as many tokens would not
// fit. Sums are in registers, or on the stack where blocks are long.

// The registers.
const (
	outAt, strideOf, panelAt, panelsLeft = 0, 1, 2, 3
	chunksLeft, xAt, metaAt              = 4, 5, 6
	lineAt                               = 7  // the part's words of the chunk
	halfAt                               = 8  // its place in a line of 16 halves
	part                                 = 10 // 0, or 32 for the second one
	tokenAt                              = 11 // out, of a token
	sumsAt                               = 12
)

// A panelFunc is one that is being written.
type panelFunc struct {
	*function
	tokens, registers int // registers for the words of a part's rows
	sums              [][]vector
}

func panels(p *program) {
	for _, tokens := range []int{1, 2, 4} {
		for i := range kinds32 {
			k := &kinds32[i]
			p.panel(k.name, tokens, k.bytes(), bytes32, true, k.masks, k.bias, k.table, func(f *panelFunc) { f.chunk32(k) })
		}
		for i := range kinds256 {
			k := &kinds256[i]
			p.panel(k.name, tokens, 64*k.lines, bytes256, false, k.masks, k.bias, k.table, func(f *panelFunc) { f.chunk256(k) })
		}
	}
}

var panelParameters = []parameter{{"out", "*float32"}, {"stride", "int"}, {"w", "*byte"}, {"panels", "int"}, {"chunks", "int"}, {"x", "*int8"}, {"meta", "*uint32"}}

func (p *program) panel(kind string, tokens, chunkBytes int, form activation, sumsStay bool, masks []byte, bias byte, table *[16]int8, body func(f *panelFunc)) {
	name := fmt.Sprintf("panels%sx%dNEON", kind, tokens)
	registers := 4
	if tokens == 4 {
		registers = 2
	}
	frame := 0
	if !sumsStay {
		frame = 16 + 16*tokens*registers
	}
	p.function(name, fmt.Sprintf("multiplies panels of %s with tiles of %d.", kind, tokens), frame, panelParameters, "", func(fn *function) {
		f := &panelFunc{function: fn, tokens: tokens, registers: registers}
		f.hold(masks...)
		if _, held := f.numbers[bias]; bias != 0 && !held {
			f.hold(bias)
		}
		if table != nil {
			f.holdTable(*table)
		}
		f.load("out", outAt)
		f.load("stride", strideOf)
		f.line("LSL $2, R%d, R%d", strideOf, strideOf)
		f.load("w", panelAt)
		f.load("panels", panelsLeft)
		if sumsStay {
			f.sums = f.grid(tokens, registers)
		} else {
			f.line("ADD $16, RSP, R%d", sumsAt)
		}

		f.label("panel")
		f.line("MOVD $0, R%d", part)
		f.label("rows")
		f.line("ADD R%d, R%d, R%d", part, panelAt, lineAt)
		f.line("ADD R%d>>1, R%d, R%d", part, panelAt, halfAt)
		f.load("x", xAt)
		f.load("meta", metaAt)
		f.load("chunks", chunksLeft)
		if sumsStay {
			for _, s := range f.sums {
				f.zero(s...)
			}
		} else {
			z := f.vector()
			f.zero(z)
			for i := range tokens * registers {
				f.st(16, z, sumsAt, 16*i)
			}
			f.free(z)
		}

		f.label("chunk")
		body(f)
		f.line("ADD $%d, R%d", chunkBytes, lineAt)
		f.line("ADD $%d, R%d", chunkBytes, halfAt)
		f.line("ADD $%d, R%d", form.cols*tokens, xAt)
		f.line("ADD $%d, R%d", 4*form.words*tokens, metaAt)
		f.next(chunksLeft, "chunk")

		f.line("ADD R%d, R%d, R%d", part, outAt, tokenAt)
		for t := range tokens {
			for r := range registers {
				v := f.sum(t, r)
				f.st(16, v, tokenAt, 16*r)
				if !sumsStay {
					f.free(v)
				}
			}
			if t+1 < tokens {
				f.line("ADD R%d, R%d", strideOf, tokenAt)
			}
		}
		if registers == 2 {
			f.line("ADD $32, R%d", part)
			f.line("CMP $64, R%d", part)
			f.line("BNE rows")
			f.line("SUB $32, R%d, R%d", lineAt, panelAt)
		} else {
			f.line("MOVD R%d, R%d", lineAt, panelAt)
		}
		f.line("ADD $64, R%d", outAt)
		f.next(panelsLeft, "panel")
		f.line("RET")
	})
}

// sum is a token's sums of four rows.
func (f *panelFunc) sum(t, r int) vector {
	if f.sums != nil {
		return f.sums[t][r]
	}
	v := f.vector()
	f.ld(16, v, sumsAt, 16*(t*f.registers+r))
	return v
}

// addTo adds v to them, or subtracts it.
func (f *panelFunc) addTo(t, r int, v vector, subtract bool) {
	s := f.sum(t, r)
	if subtract {
		f.fsub(s, s, v)
	} else {
		f.fadd(s, s, v)
	}
	if f.sums == nil {
		f.st(16, s, sumsAt, 16*(t*f.registers+r))
		f.free(s)
	}
}

// meta is a word of all tokens.
func (f *panelFunc) meta(word int) vector {
	v := f.vector()
	f.ld(4*f.tokens, v, metaAt, 4*word*f.tokens)
	return v
}

// unpacker is for the four rows r.
func (f *panelFunc) unpacker(r int, line func(word int) int) *unpacker {
	return &unpacker{f.function, func(word int) int { return 64*line(word) + 16*r }}
}

// products adds to acc the products of some quads, four at a time: from x on, cols
// from one token to the next.
func (f *panelFunc) products(acc [][]vector, quads, x, cols int, quad func(r, quad int) vector) {
	for q := 0; q < quads; q += 4 {
		bytes := f.vectors(f.tokens)
		for t, v := range bytes {
			f.ld(16, v, xAt, cols*t+x+4*q)
		}
		for i := range 4 {
			for r := range f.registers {
				w := quad(r, q+i)
				for t, v := range bytes {
					f.sdot(acc[t][r], w, v, i)
				}
				f.free(w)
			}
		}
		f.free(bytes...)
	}
}

// unbiased takes the bias away, so that bytes have a sign.
func (f *panelFunc) unbiased(w vector, bias byte) vector {
	if bias != 0 {
		f.subB(w, w, f.numbers[bias])
	}
	return w
}

// scaled is whole numbers times the scale times the token's, instead of them.
func (f *panelFunc) scaled(whole, scale, d vector, t int) {
	s := f.vector()
	f.times(s, scale, d, t)
	f.scvtf(whole, whole)
	f.fmul(whole, whole, s)
	f.free(s)
}

// pairOf is the lower F16 of each 32 bits, or the upper, as floats, instead of them.
func (f *panelFunc) pairOf(v vector, upper bool) vector {
	if upper {
		f.do(0x0f108400, "shrn %v.4h, %v.4s, #16", v, v)
	} else {
		f.do(0x0e612800, "xtn %v.4h, %v.4s", v, v)
	}
	f.fromF16(v, v, 0)
	return v
}

func (f *panelFunc) chunk32(k *kind32) {
	for block := range 2 {
		line := func(word int) int { return k.line(block, word) }
		acc := f.grid(f.tokens, f.registers)
		for _, a := range acc {
			f.zero(a...)
		}
		f.products(acc, 8, 32*block, bytes32.cols, func(r, quad int) vector {
			return f.unbiased(k.quad(f.unpacker(r, line), quad), k.bias)
		})
		d := f.meta(words32*block + scaleOf32)
		for r := range f.registers {
			u := f.unpacker(r, line)
			var scale vector
			if k.scale == scalePair {
				scale = f.pairOf(u.plain(0), false)
			} else {
				scale = f.vector()
				f.ld(8, scale, halfAt, 32*block+8*r)
				if k.scale == scaleF16 {
					f.fromF16(scale, scale, 0)
				} else {
					f.fromBF16(scale, scale, 0)
				}
			}
			for t := range acc {
				f.scaled(acc[t][r], scale, d, t)
				f.addTo(t, r, acc[t][r], false)
			}
			f.free(scale)
		}
		if k.scale == scalePair {
			sums := f.meta(words32*block + sum32)
			for r := range f.registers {
				minimum := f.pairOf(f.unpacker(r, line).plain(0), true)
				for t := range acc {
					f.times(acc[t][r], minimum, sums, t)
					f.addTo(t, r, acc[t][r], false)
				}
				f.free(minimum)
			}
			f.free(sums)
		}
		f.free(d)
		for _, a := range acc {
			f.free(a...)
		}
	}
}

func (f *panelFunc) chunk256(k *kind256) {
	groups := 256 / k.group
	total, acc := f.grid(f.tokens, f.registers), f.grid(f.tokens, f.registers)
	clear := func(list [][]vector) {
		for _, a := range list {
			f.zero(a...)
		}
	}
	clear(total)
	for g := range groups {
		clear(acc)
		f.products(acc, k.group/4, g*k.group, bytes256.cols, func(r, quad int) vector {
			return f.unbiased(k.quad(f.unpacker(r, k.line), g, quad), k.bias)
		})
		for r := range f.registers {
			scale := k.scale(f.unpacker(r, k.line), g)
			for t := range acc {
				f.mla(total[t][r], acc[t][r], scale)
			}
			f.free(scale)
		}
	}
	for _, a := range acc {
		f.free(a...)
	}
	f.addTotal(k, total, false)
	if k.minimum != nil {
		// Words hold the sums of groups times −32 or −128.
		first, by := sixteens, 5
		if k.group == 32 {
			first, by = thirtyTwos, 7
		}
		clear(total)
		for g := range groups {
			sums := f.meta(first + g)
			for r := range f.registers {
				minimum := k.minimum(f.unpacker(r, k.line), g)
				for t := range total {
					f.element(0x6f804000, "mls %v.4s, %v.4s, %v.s[%d]", total[t][r], minimum, sums, t)
				}
				f.free(minimum)
			}
			f.free(sums)
		}
		for _, low := range total {
			for _, v := range low {
				f.signedShift(v, by)
			}
		}
		f.addTotal(k, total, true)
	}
	for _, a := range total {
		f.free(a...)
	}
}

// addTotal adds a block's whole numbers, or subtracts those of its minima.
func (f *panelFunc) addTotal(k *kind256, total [][]vector, minima bool) {
	d := f.meta(scaleOf256)
	for r := range f.registers {
		var scale vector
		if k.pair >= 0 {
			scale = f.pairOf(f.unpacker(r, k.line).plain(k.pair), minima)
		} else {
			scale = f.vector()
			f.ld(8, scale, halfAt, 64*(k.lines-1)+8*r)
			f.fromF16(scale, scale, 0)
		}
		for t := range total {
			f.scaled(total[t][r], scale, d, t)
			f.addTo(t, r, total[t][r], minima)
		}
		f.free(scale)
	}
	f.free(d)
}
