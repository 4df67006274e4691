//go:build !purego

package kernel

import (
	"math"
	"slices"
	"unsafe"

	"golang.org/x/sys/cpu"
)

const (
	avx2    implementation = "avx2"
	avxvnni implementation = "avxvnni" // AVX-VNNI; what is not a dot product of blocks stays AVX2
	avx512  implementation = "avx512"  // with VNNI
)

// encodedEVEX reports whether the instructions of AVX-VNNI were assembled as those of AVX-512
// that do the same, for a processor to test them that has no others.
//
//go:noescape
func encodedEVEX() bool

// available is what this processor can run, the best first.
func available() []implementation {
	list := []implementation{goOnly}
	x := &cpu.X86
	if x.HasAVX2 && x.HasF16C && x.HasFMA {
		list = slices.Insert(list, 0, avx2)
		large := x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI
		vnni := x.HasAVXVNNI
		if encodedEVEX() {
			large, vnni = false, large
		}
		if vnni {
			list = slices.Insert(list, 0, avxvnni)
		}
		if large {
			list = slices.Insert(list, 0, avx512)
		}
	}
	return list
}

// A dotsFunc is dotsGo for one type of floats and one width, for rows of whole chunks.
type dotsFunc func(out *float32, stride int, w *byte, rowBytes, rows, chunks int, x *byte)

// Those by type and width.
var (
	dotsAVX2 = [...][9]dotsFunc{
		F32:  {1: dotsF32x1AVX2, 2: dotsF32x2AVX2, 4: dotsF32x4AVX2},
		F16:  {1: dotsF16x1AVX2, 2: dotsF16x2AVX2, 4: dotsF16x4AVX2},
		BF16: {1: dotsBF16x1AVX2, 2: dotsBF16x2AVX2, 4: dotsBF16x4AVX2},
	}
	dotsAVX512 = [...][9]dotsFunc{
		F32:  {1: dotsF32x1AVX512, 2: dotsF32x2AVX512, 4: dotsF32x4AVX512, 8: dotsF32x8AVX512},
		F16:  {1: dotsF16x1AVX512, 2: dotsF16x2AVX512, 4: dotsF16x4AVX512, 8: dotsF16x8AVX512},
		BF16: {1: dotsBF16x1AVX512, 2: dotsBF16x2AVX512, 4: dotsBF16x4AVX512, 8: dotsBF16x8AVX512},
	}
)

// A packedFunc multiplies panels of one type with tiles of one width.
type packedFunc func(out *float32, stride int, w *byte, panels, chunks int, x *int8, meta *uint32)

// Those by type and width.
var (
	packedAVX2 = [...][maxWidth + 1]packedFunc{
		Q8_0:   {1: panelsQ8_0x1AVX2, 2: panelsQ8_0x2AVX2, 4: panelsQ8_0x4AVX2},
		Q4_0:   {1: panelsQ4_0x1AVX2, 2: panelsQ4_0x2AVX2, 4: panelsQ4_0x4AVX2},
		Q4_1:   {1: panelsQ4_1x1AVX2, 2: panelsQ4_1x2AVX2, 4: panelsQ4_1x4AVX2},
		Q5_0:   {1: panelsQ5_0x1AVX2, 2: panelsQ5_0x2AVX2, 4: panelsQ5_0x4AVX2},
		Q5_1:   {1: panelsQ5_1x1AVX2, 2: panelsQ5_1x2AVX2, 4: panelsQ5_1x4AVX2},
		IQ4_NL: {1: panelsIQ4_NLx1AVX2, 2: panelsIQ4_NLx2AVX2, 4: panelsIQ4_NLx4AVX2},
		MXFP4:  {1: panelsMXFP4x1AVX2, 2: panelsMXFP4x2AVX2, 4: panelsMXFP4x4AVX2},
		Q2_K:   {1: panelsQ2_Kx1AVX2, 2: panelsQ2_Kx2AVX2, 4: panelsQ2_Kx4AVX2},
		Q3_K:   {1: panelsQ3_Kx1AVX2, 2: panelsQ3_Kx2AVX2, 4: panelsQ3_Kx4AVX2},
		Q4_K:   {1: panelsQ4_Kx1AVX2, 2: panelsQ4_Kx2AVX2, 4: panelsQ4_Kx4AVX2},
		Q5_K:   {1: panelsQ5_Kx1AVX2, 2: panelsQ5_Kx2AVX2, 4: panelsQ5_Kx4AVX2},
		Q6_K:   {1: panelsQ6_Kx1AVX2, 2: panelsQ6_Kx2AVX2, 4: panelsQ6_Kx4AVX2},
		IQ4_XS: {1: panelsIQ4_XSx1AVX2, 2: panelsIQ4_XSx2AVX2, 4: panelsIQ4_XSx4AVX2},
	}
	packedAVXVNNI = [...][maxWidth + 1]packedFunc{
		Q8_0:   {1: panelsQ8_0x1AVXVNNI, 2: panelsQ8_0x2AVXVNNI, 4: panelsQ8_0x4AVXVNNI, 8: panelsQ8_0x8AVXVNNI},
		Q4_0:   {1: panelsQ4_0x1AVXVNNI, 2: panelsQ4_0x2AVXVNNI, 4: panelsQ4_0x4AVXVNNI, 8: panelsQ4_0x8AVXVNNI},
		Q4_1:   {1: panelsQ4_1x1AVXVNNI, 2: panelsQ4_1x2AVXVNNI, 4: panelsQ4_1x4AVXVNNI, 8: panelsQ4_1x8AVXVNNI},
		Q5_0:   {1: panelsQ5_0x1AVXVNNI, 2: panelsQ5_0x2AVXVNNI, 4: panelsQ5_0x4AVXVNNI, 8: panelsQ5_0x8AVXVNNI},
		Q5_1:   {1: panelsQ5_1x1AVXVNNI, 2: panelsQ5_1x2AVXVNNI, 4: panelsQ5_1x4AVXVNNI, 8: panelsQ5_1x8AVXVNNI},
		IQ4_NL: {1: panelsIQ4_NLx1AVXVNNI, 2: panelsIQ4_NLx2AVXVNNI, 4: panelsIQ4_NLx4AVXVNNI, 8: panelsIQ4_NLx8AVXVNNI},
		MXFP4:  {1: panelsMXFP4x1AVXVNNI, 2: panelsMXFP4x2AVXVNNI, 4: panelsMXFP4x4AVXVNNI, 8: panelsMXFP4x8AVXVNNI},
		Q2_K:   {1: panelsQ2_Kx1AVXVNNI, 2: panelsQ2_Kx2AVXVNNI, 4: panelsQ2_Kx4AVXVNNI, 6: panelsQ2_Kx6AVXVNNI},
		Q3_K:   {1: panelsQ3_Kx1AVXVNNI, 2: panelsQ3_Kx2AVXVNNI, 4: panelsQ3_Kx4AVXVNNI, 6: panelsQ3_Kx6AVXVNNI},
		Q4_K:   {1: panelsQ4_Kx1AVXVNNI, 2: panelsQ4_Kx2AVXVNNI, 4: panelsQ4_Kx4AVXVNNI, 6: panelsQ4_Kx6AVXVNNI},
		Q5_K:   {1: panelsQ5_Kx1AVXVNNI, 2: panelsQ5_Kx2AVXVNNI, 4: panelsQ5_Kx4AVXVNNI, 6: panelsQ5_Kx6AVXVNNI},
		Q6_K:   {1: panelsQ6_Kx1AVXVNNI, 2: panelsQ6_Kx2AVXVNNI, 4: panelsQ6_Kx4AVXVNNI, 6: panelsQ6_Kx6AVXVNNI},
		IQ4_XS: {1: panelsIQ4_XSx1AVXVNNI, 2: panelsIQ4_XSx2AVXVNNI, 4: panelsIQ4_XSx4AVXVNNI, 6: panelsIQ4_XSx6AVXVNNI},
	}
	packedAVX512 = [...][maxWidth + 1]packedFunc{
		Q8_0:   {1: panelsQ8_0x1AVX512, 2: panelsQ8_0x2AVX512, 4: panelsQ8_0x4AVX512, 8: panelsQ8_0x8AVX512, 12: panelsQ8_0x12AVX512},
		Q4_0:   {1: panelsQ4_0x1AVX512, 2: panelsQ4_0x2AVX512, 4: panelsQ4_0x4AVX512, 8: panelsQ4_0x8AVX512, 12: panelsQ4_0x12AVX512},
		Q4_1:   {1: panelsQ4_1x1AVX512, 2: panelsQ4_1x2AVX512, 4: panelsQ4_1x4AVX512, 8: panelsQ4_1x8AVX512, 12: panelsQ4_1x12AVX512},
		Q5_0:   {1: panelsQ5_0x1AVX512, 2: panelsQ5_0x2AVX512, 4: panelsQ5_0x4AVX512, 8: panelsQ5_0x8AVX512, 12: panelsQ5_0x12AVX512},
		Q5_1:   {1: panelsQ5_1x1AVX512, 2: panelsQ5_1x2AVX512, 4: panelsQ5_1x4AVX512, 8: panelsQ5_1x8AVX512, 12: panelsQ5_1x12AVX512},
		IQ4_NL: {1: panelsIQ4_NLx1AVX512, 2: panelsIQ4_NLx2AVX512, 4: panelsIQ4_NLx4AVX512, 8: panelsIQ4_NLx8AVX512, 12: panelsIQ4_NLx12AVX512},
		MXFP4:  {1: panelsMXFP4x1AVX512, 2: panelsMXFP4x2AVX512, 4: panelsMXFP4x4AVX512, 8: panelsMXFP4x8AVX512, 12: panelsMXFP4x12AVX512},
		Q2_K:   {1: panelsQ2_Kx1AVX512, 2: panelsQ2_Kx2AVX512, 4: panelsQ2_Kx4AVX512, 8: panelsQ2_Kx8AVX512, 12: panelsQ2_Kx12AVX512},
		Q3_K:   {1: panelsQ3_Kx1AVX512, 2: panelsQ3_Kx2AVX512, 4: panelsQ3_Kx4AVX512, 8: panelsQ3_Kx8AVX512, 12: panelsQ3_Kx12AVX512},
		Q4_K:   {1: panelsQ4_Kx1AVX512, 2: panelsQ4_Kx2AVX512, 4: panelsQ4_Kx4AVX512, 8: panelsQ4_Kx8AVX512, 12: panelsQ4_Kx12AVX512},
		Q5_K:   {1: panelsQ5_Kx1AVX512, 2: panelsQ5_Kx2AVX512, 4: panelsQ5_Kx4AVX512, 8: panelsQ5_Kx8AVX512, 12: panelsQ5_Kx12AVX512},
		Q6_K:   {1: panelsQ6_Kx1AVX512, 2: panelsQ6_Kx2AVX512, 4: panelsQ6_Kx4AVX512, 8: panelsQ6_Kx8AVX512, 12: panelsQ6_Kx12AVX512},
		IQ4_XS: {1: panelsIQ4_XSx1AVX512, 2: panelsIQ4_XSx2AVX512, 4: panelsIQ4_XSx4AVX512, 8: panelsIQ4_XSx8AVX512, 12: panelsIQ4_XSx12AVX512},
	}
)

// wantsPanels reports whether blocks are multiplied as Pack lays them out.
func wantsPanels() bool { return chosen != goOnly }

// dotsPacked writes to out[token·stride + r] the products of n panels' rows with the
// tile's tokens, those of zeros as well.
func dotsPacked(ty Type, out []float32, stride int, w []byte, n int, x *tile) {
	_ = out[(x.width-1)*stride+n*panelRows-1]
	chunks := (x.cols + ty.chunkCols() - 1) / ty.chunkCols()
	_, _, _ = w[n*chunks*ty.chunkLines()*lineBytes-1], x.q[chunks*ty.chunkCols()*x.width-1], x.meta[chunks*x.width-1]
	f := packedAVX2[ty][x.width]
	switch chosen {
	case avxvnni:
		f = packedAVXVNNI[ty][x.width]
	case avx512:
		f = packedAVX512[ty][x.width]
	}
	f(&out[0], stride, &w[0], n, chunks, &x.q[0], &x.meta[0])
}

// tileWidth is how many tokens the next tile has, if there are so many.
func tileWidth(a activation, tokens int) int {
	widths := []int{1, 2, 4}
	switch {
	case chosen == avx512 && a != floats:
		widths = []int{1, 2, 4, 8, maxWidth}
	case chosen == avxvnni && a == bytes32:
		widths = []int{1, 2, 4, 8}
	case chosen == avxvnni && a == bytes256:
		widths = []int{1, 2, 4, 6}
	case chosen == avx512:
		widths = []int{1, 2, 4, 8}
	}
	last := 1
	for _, n := range widths {
		if n >= tokens && a != floats {
			return n
		}
		if n <= tokens {
			last = n
		}
	}
	return last
}

// dots is dotsGo. A row that ends in a part of a chunk is left to it.
func dots(ty Type, out []float32, stride int, w []byte, rows int, x *tile) {
	if chosen == goOnly || types[ty].activation != floats || x.cols%floatChunk != 0 || rows == 0 {
		dotsGo(ty, out, stride, w, rows, x)
		return
	}
	rowBytes := ty.RowBytes(x.cols)
	_, _ = out[(x.width-1)*stride+rows-1], w[rows*rowBytes-1]
	f := dotsAVX2[ty][x.width]
	if chosen == avx512 {
		f = dotsAVX512[ty][x.width]
	}
	f(&out[0], stride, &w[0], rowBytes, rows, x.cols/floatChunk, (*byte)(unsafe.Pointer(&x.f[0])))
}

// quantise is quantiseGo.
func quantise(q []int8, x []float32) float32 {
	if chosen == goOnly {
		return quantiseGo(q, x)
	}
	largest := largestAVX2(&x[0], len(x)/32)
	if !(largest >= minScale) || largest > math.MaxFloat32 {
		clear(q)
		return quantiseOdd(largest)
	}
	roundAVX2(&q[0], &x[0], len(x)/32, 127/largest)
	return largest / 127
}

// fillBlocks32 and fillBlocks256 make blocks of an input, and say how many are left: all from the
// first on that has no scale.
func fillBlocks32(q []int8, meta []uint32, x []float32) int {
	n := len(x) / 32
	if chosen == goOnly || n == 0 {
		return n
	}
	return fill32AVX2(&q[:32*n][0], &meta[:words32*n][0], &x[0], n)
}

func fillBlocks256(q []int8, meta []uint32, x []float32) int {
	n := len(x) / 256
	if chosen == goOnly || n == 0 {
		return n
	}
	return fill256AVX2(&q[:256*n][0], &meta[:words256*n][0], &x[0], n)
}

func sumSquares(x []float32) float32 {
	if chosen == goOnly || len(x)%lanes != 0 || len(x) == 0 {
		return sumSquaresGo(x)
	}
	return sumSquaresAVX2(&x[0], len(x)/lanes)
}

// The following do the greatest part of their work that is a multiple of what a
// register holds, and say how much that was.

func expSum(acc *[lanes]float32, x []float32, scale, largest float32) int {
	if chosen == goOnly || len(x) < lanes {
		return 0
	}
	expSumAVX2(acc, &x[0], len(x)/lanes, scale, largest)
	return len(x) &^ (lanes - 1)
}

func putF16(dst []byte, x []float32) int {
	if chosen == goOnly || len(x) < 8 {
		return 0
	}
	putF16AVX2(&dst[0], &x[0], len(x)/8)
	return len(x) &^ 7
}

// read touches all of b and returns something of it.
func read(b []byte) uint64 {
	if chosen == goOnly || len(b)%256 != 0 || len(b) == 0 {
		return readGo(b)
	}
	return readAVX2(&b[0], len(b)/256)
}

// transpose says whether there is code for it.
func transpose(t *transposition, dst, src []byte) bool {
	if chosen == goOnly {
		return false
	}
	transposeAVX2(&dst[0], &src[0], t.rowBytes, t.blocks, t.srcStep, t.dstStep, t.words, &t.lines[0], t.flip)
	return true
}
