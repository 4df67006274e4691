//go:build !purego

package kernel

import (
	"math"
	"runtime"
	"unsafe"

	"golang.org/x/sys/cpu"
)

const neon implementation = "neon" // with dot products

// available is what this processor can run, the best first. All of Apple's have dot products.
func available() []implementation {
	if cpu.ARM64.HasASIMDDP || runtime.GOOS == "darwin" {
		return []implementation{neon, goOnly}
	}
	return []implementation{goOnly}
}

// A dotsFunc is dotsGo for one type of floats and one width, for rows of whole chunks.
type dotsFunc func(out *float32, stride int, w *byte, rowBytes, rows, chunks int, x *byte)

// Those by type and width.
var dotsNEON = [...][5]dotsFunc{
	F32:  {1: dotsF32x1NEON, 2: dotsF32x2NEON, 4: dotsF32x4NEON},
	F16:  {1: dotsF16x1NEON, 2: dotsF16x2NEON, 4: dotsF16x4NEON},
	BF16: {1: dotsBF16x1NEON, 2: dotsBF16x2NEON, 4: dotsBF16x4NEON},
}

// A packedFunc multiplies panels of one type with tiles of one width.
type packedFunc func(out *float32, stride int, w *byte, panels, chunks int, x *int8, meta *uint32)

// Those by type and width.
var packedNEON = [...][5]packedFunc{
	Q8_0:   {1: panelsQ8_0x1NEON, 2: panelsQ8_0x2NEON, 4: panelsQ8_0x4NEON},
	Q4_0:   {1: panelsQ4_0x1NEON, 2: panelsQ4_0x2NEON, 4: panelsQ4_0x4NEON},
	Q4_1:   {1: panelsQ4_1x1NEON, 2: panelsQ4_1x2NEON, 4: panelsQ4_1x4NEON},
	Q5_0:   {1: panelsQ5_0x1NEON, 2: panelsQ5_0x2NEON, 4: panelsQ5_0x4NEON},
	Q5_1:   {1: panelsQ5_1x1NEON, 2: panelsQ5_1x2NEON, 4: panelsQ5_1x4NEON},
	IQ4_NL: {1: panelsIQ4_NLx1NEON, 2: panelsIQ4_NLx2NEON, 4: panelsIQ4_NLx4NEON},
	MXFP4:  {1: panelsMXFP4x1NEON, 2: panelsMXFP4x2NEON, 4: panelsMXFP4x4NEON},
	Q2_K:   {1: panelsQ2_Kx1NEON, 2: panelsQ2_Kx2NEON, 4: panelsQ2_Kx4NEON},
	Q3_K:   {1: panelsQ3_Kx1NEON, 2: panelsQ3_Kx2NEON, 4: panelsQ3_Kx4NEON},
	Q4_K:   {1: panelsQ4_Kx1NEON, 2: panelsQ4_Kx2NEON, 4: panelsQ4_Kx4NEON},
	Q5_K:   {1: panelsQ5_Kx1NEON, 2: panelsQ5_Kx2NEON, 4: panelsQ5_Kx4NEON},
	Q6_K:   {1: panelsQ6_Kx1NEON, 2: panelsQ6_Kx2NEON, 4: panelsQ6_Kx4NEON},
	IQ4_XS: {1: panelsIQ4_XSx1NEON, 2: panelsIQ4_XSx2NEON, 4: panelsIQ4_XSx4NEON},
}

// wantsPanels reports whether blocks are multiplied as Pack lays them out.
func wantsPanels() bool { return chosen != goOnly }

// dotsPacked writes to out[token·stride + r] the products of n panels' rows with the
// tile's tokens, those of zeros as well.
func dotsPacked(ty Type, out []float32, stride int, w []byte, n int, x *tile) {
	_ = out[(x.width-1)*stride+n*panelRows-1]
	chunks := (x.cols + ty.chunkCols() - 1) / ty.chunkCols()
	_, _, _ = w[n*chunks*ty.chunkLines()*lineBytes-1], x.q[chunks*ty.chunkCols()*x.width-1], x.meta[chunks*x.width-1]
	packedNEON[ty][x.width](&out[0], stride, &w[0], n, chunks, &x.q[0], &x.meta[0])
}

// tileWidth is how many tokens the next tile has, if there are so many.
func tileWidth(a activation, tokens int) int {
	if tokens == 3 && a == floats {
		return 2
	}
	return [...]int{1, 1, 2, 4, 4}[min(tokens, 4)]
}

// dots is dotsGo. A row that ends in a part of a chunk is left to it.
func dots(ty Type, out []float32, stride int, w []byte, rows int, x *tile) {
	if chosen == goOnly || types[ty].activation != floats || x.cols%floatChunk != 0 || rows == 0 {
		dotsGo(ty, out, stride, w, rows, x)
		return
	}
	rowBytes := ty.RowBytes(x.cols)
	_, _ = out[(x.width-1)*stride+rows-1], w[rows*rowBytes-1]
	dotsNEON[ty][x.width](&out[0], stride, &w[0], rowBytes, rows, x.cols/floatChunk, (*byte)(unsafe.Pointer(&x.f[0])))
}

// quantise is quantiseGo.
func quantise(q []int8, x []float32) float32 {
	if chosen == goOnly {
		return quantiseGo(q, x)
	}
	largest := largestNEON(&x[0], len(x)/32)
	if !(largest >= minScale) || largest > math.MaxFloat32 {
		clear(q)
		return quantiseOdd(largest)
	}
	roundNEON(&q[0], &x[0], len(x)/32, 127/largest)
	return largest / 127
}

func sumSquares(x []float32) float32 {
	if chosen == goOnly || len(x)%lanes != 0 || len(x) == 0 {
		return sumSquaresGo(x)
	}
	return sumSquaresNEON(&x[0], len(x)/lanes)
}

// The following do the greatest part of their work that is a multiple of what they
// take at a time, and say how much that was.

func expSum(acc *[lanes]float32, x []float32, scale, largest float32) int {
	if chosen == goOnly || len(x) < lanes {
		return 0
	}
	expSumNEON(acc, &x[0], len(x)/lanes, scale, largest)
	return len(x) &^ (lanes - 1)
}

func putF16(dst []byte, x []float32) int {
	if chosen == goOnly || len(x) < 8 {
		return 0
	}
	putF16NEON(&dst[0], &x[0], len(x)/8)
	return len(x) &^ 7
}

// read touches all of b and returns something of it.
func read(b []byte) uint64 {
	if chosen == goOnly || len(b)%256 != 0 || len(b) == 0 {
		return readGo(b)
	}
	return readNEON(&b[0], len(b)/256)
}

// How many blocks of an input are left: here all, Go makes them.
func fillBlocks32(q []int8, meta []uint32, x []float32) int  { return len(x) / 32 }
func fillBlocks256(q []int8, meta []uint32, x []float32) int { return len(x) / 256 }

// transpose says whether there is code for it.
func transpose(t *transposition, dst, src []byte) bool {
	if chosen == goOnly {
		return false
	}
	transposeNEON(&dst[0], &src[0], t.rowBytes, t.blocks, t.srcStep, t.dstStep, t.words, &t.lines[0], t.flip)
	return true
}
