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
		dotsOf("F32", width, "AVX2", floatsAVX2{32})
		dotsOf("F16", width, "AVX2", floatsAVX2{16})
		dotsOf("BF16", width, "AVX2", floatsAVX2{-16})
		dotsOf("Q8_0", width, "AVX2", blocks32AVX2{34})
		dotsOf("Q4_0", width, "AVX2", blocks32AVX2{18})
		dotsOf("Q4_K", width, "AVX2", q4_kAVX2{})
		dotsOf("Q6_K", width, "AVX2", q6_kAVX2{})
	}
	for _, width := range []int{1, 2, 4, 8} {
		dotsOf("F32", width, "AVX512", &floatsAVX512{bits: 32})
		dotsOf("F16", width, "AVX512", &floatsAVX512{bits: 16})
		dotsOf("BF16", width, "AVX512", &floatsAVX512{bits: -16})
		dotsOf("Q8_0", width, "AVX512", &blocks32AVX512{bytes: 34})
		dotsOf("Q4_0", width, "AVX512", &blocks32AVX512{bytes: 18})
		dotsOf("Q4_K", width, "AVX512", &q4_kAVX512{})
		dotsOf("Q6_K", width, "AVX512", &q6_kAVX512{})
	}
	offsetsAVX512()
	sumSquaresAVX2()
	quantiseAVX2()
	swiGLUAVX2()
	expSumAVX2()
	putF16AVX2()
	addRowsAVX2()
	readAVX2()
	Generate()
}
