// Command asm writes the assembly of package kernel:
//
//	go generate ./internal/kernel
//
// Every function here has a twin in Go that says what it computes; the tests hold
// the two together bit by bit. The order in which floats are added is part of it.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("!purego")
	for _, width := range []int{1, 2, 4} {
		dotsAVX2("F32", width, floatsAVX2{32})
		dotsAVX2("F16", width, floatsAVX2{16})
		dotsAVX2("BF16", width, floatsAVX2{-16})
		dotsAVX2("Q8_0", width, blocks32AVX2{34})
		dotsAVX2("Q4_0", width, blocks32AVX2{18})
		dotsAVX2("Q4_K", width, q4_kAVX2{})
		dotsAVX2("Q6_K", width, q6_kAVX2{})
	}
	sumSquaresAVX2()
	quantiseAVX2()
	swiGLUAVX2()
	expSumAVX2()
	putF16AVX2()
	addRowsAVX2()
	readAVX2()
	Generate()
}
