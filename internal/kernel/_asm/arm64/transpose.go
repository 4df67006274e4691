package main

import "fmt"

// transpose takes four words of four rows at a time, the last of them again where they are no
// multiple of four.
func (p *program) transpose() {
	parameters := []parameter{{"dst", "*byte"}, {"src", "*byte"}, {"rowBytes", "int"}, {"blocks", "int"}, {"srcStep", "int"}, {"dstStep", "int"}, {"words", "int"}, {"lines", "*uint8"}, {"flip", "uint32"}}
	p.function("transposeNEON", "is transposeGo for 16 rows, and four words at least.", 0, parameters, "", func(f *function) {
		for i, parameter := range parameters {
			if parameter.name != "flip" {
				f.load(parameter.name, i)
			}
		}
		flip := f.float("flip")
		f.label("block")
		f.line("MOVD R1, R8")
		for four := range 4 {
			label := func(name string) string { return fmt.Sprintf("%s%d", name, four) }
			f.line("ADD R2, R8, R9")
			f.line("ADD R2, R9, R10")
			f.line("ADD R2, R10, R11")
			f.line("ADD R2, R11, R16") // the next four
			f.line("SUB $4, R6, R12")
			f.line("MOVD R7, R13")
			f.line("ADD $%d, R0, R14", 16*four)
			f.label(label("words"))
			a, t := f.vectors(4), f.vectors(4)
			for i, v := range a {
				f.ld(16, v, 8+i, 0)
			}
			zip := func(which int, lanes string, d, n, m vector) {
				code := map[string]uint32{"4s": 0x4e803800, "2d": 0x4ec03800}[lanes] | uint32(which-1)<<14
				f.do(code, fmt.Sprintf("zip%d %%v.%s, %%v.%s, %%v.%s", which, lanes, lanes, lanes), d, n, m)
			}
			zip(1, "4s", t[0], a[0], a[1])
			zip(2, "4s", t[1], a[0], a[1])
			zip(1, "4s", t[2], a[2], a[3])
			zip(2, "4s", t[3], a[2], a[3])
			zip(1, "2d", a[0], t[0], t[2])
			zip(2, "2d", a[1], t[0], t[2])
			zip(1, "2d", a[2], t[1], t[3])
			zip(2, "2d", a[3], t[1], t[3])
			for i, v := range a {
				f.eor(v, v, flip)
				f.line("MOVBU %d(R13), R15", i)
				f.line("ADD R15<<6, R14, R15")
				f.st(16, v, 15, 0)
			}
			f.free(a...)
			f.free(t...)
			f.line("CBZ R12, %s", label("done"))
			f.line("MOVD $4, R15")
			f.line("CMP R15, R12")
			f.line("CSEL LT, R12, R15, R15")
			f.line("SUB R15, R12")
			f.line("ADD R15, R13")
			for i := range a {
				f.line("ADD R15<<2, R%d", 8+i)
			}
			f.line("B %s", label("words"))
			f.label(label("done"))
			f.line("MOVD R16, R8")
		}
		f.line("ADD R4, R1")
		f.line("ADD R5, R0")
		f.next(3, "block")
		f.line("RET")
	})
}
