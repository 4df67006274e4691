// Command asm writes the assembly of package kernel:
//
//	go generate ./internal/kernel
//
// Every function here has a twin in Go that says what it computes; the tests hold
// the two together bit by bit. The order in which floats are added is part of it.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	part := flag.String("part", "rows", "what to write: rows, panels")
	flag.Parse()
	ConstraintExpr("!purego")
	if *part == "panels" {
		panels()
		Generate()
		if err := encode(flag.Lookup("out").Value.String()); err != nil {
			log.Fatal(err)
		}
		return
	}
	for _, width := range []int{1, 2, 4} {
		dotsOf("F32", width, 1, "AVX2", floatsAVX2{32})
		dotsOf("F16", width, 1, "AVX2", floatsAVX2{16})
		dotsOf("BF16", width, 1, "AVX2", floatsAVX2{-16})
	}
	for _, width := range []int{1, 2, 4, 8} {
		rows := 1
		if width > 2 {
			rows = 3
		}
		dotsOf("F32", width, rows, "AVX512", &floatsAVX512{bits: 32})
		dotsOf("F16", width, rows, "AVX512", &floatsAVX512{bits: 16})
		dotsOf("BF16", width, rows, "AVX512", &floatsAVX512{bits: -16})
	}
	sumSquaresAVX2()
	quantiseAVX2()
	fill32()
	fill256()
	expSumAVX2()
	putF16AVX2()
	readAVX2()
	transposeAVX2()
	Generate()
}
