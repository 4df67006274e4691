//go:build !purego

package kernel

import (
	"math"
	"slices"
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate sh -c "cd _asm && go run . -out ../asm_amd64.s -stubs ../asm_amd64.go -pkg kernel"

const (
	avx2   implementation = "avx2"
	avx512 implementation = "avx512" // with VNNI; what is not a dot product stays AVX2
)

// available is what this processor can run, the best first.
func available() []implementation {
	list := []implementation{goOnly}
	x := &cpu.X86
	if x.HasAVX2 && x.HasF16C {
		list = slices.Insert(list, 0, avx2)
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI {
			list = slices.Insert(list, 0, avx512)
		}
	}
	return list
}

// A dotsFunc is dotsGo for one type and one width, for rows of whole chunks.
type dotsFunc func(out *float32, stride int, w *byte, rowBytes, rows, chunks int, x *byte, d *float32, sums *int16, offsets *int32)

// Those by type and width; chunkSizes are the elements of a chunk.
var (
	dotsAVX2 = [...][maxWidth + 1]dotsFunc{
		F32:  {1: dotsF32x1AVX2, 2: dotsF32x2AVX2, 4: dotsF32x4AVX2},
		F16:  {1: dotsF16x1AVX2, 2: dotsF16x2AVX2, 4: dotsF16x4AVX2},
		BF16: {1: dotsBF16x1AVX2, 2: dotsBF16x2AVX2, 4: dotsBF16x4AVX2},
		Q8_0: {1: dotsQ8_0x1AVX2, 2: dotsQ8_0x2AVX2, 4: dotsQ8_0x4AVX2},
		Q4_0: {1: dotsQ4_0x1AVX2, 2: dotsQ4_0x2AVX2, 4: dotsQ4_0x4AVX2},
		Q4_K: {1: dotsQ4_Kx1AVX2, 2: dotsQ4_Kx2AVX2, 4: dotsQ4_Kx4AVX2},
		Q6_K: {1: dotsQ6_Kx1AVX2, 2: dotsQ6_Kx2AVX2, 4: dotsQ6_Kx4AVX2},
	}
	dotsAVX512 = [...][maxWidth + 1]dotsFunc{
		F32:  {1: dotsF32x1AVX512, 2: dotsF32x2AVX512, 4: dotsF32x4AVX512, 8: dotsF32x8AVX512},
		F16:  {1: dotsF16x1AVX512, 2: dotsF16x2AVX512, 4: dotsF16x4AVX512, 8: dotsF16x8AVX512},
		BF16: {1: dotsBF16x1AVX512, 2: dotsBF16x2AVX512, 4: dotsBF16x4AVX512, 8: dotsBF16x8AVX512},
		Q8_0: {1: dotsQ8_0x1AVX512, 2: dotsQ8_0x2AVX512, 4: dotsQ8_0x4AVX512, 8: dotsQ8_0x8AVX512},
		Q4_0: {1: dotsQ4_0x1AVX512, 2: dotsQ4_0x2AVX512, 4: dotsQ4_0x4AVX512, 8: dotsQ4_0x8AVX512},
		Q4_K: {1: dotsQ4_Kx1AVX512, 2: dotsQ4_Kx2AVX512, 4: dotsQ4_Kx4AVX512, 8: dotsQ4_Kx8AVX512},
		Q6_K: {1: dotsQ6_Kx1AVX512, 2: dotsQ6_Kx2AVX512, 4: dotsQ6_Kx4AVX512, 8: dotsQ6_Kx8AVX512},
	}
	chunkSizes = [activations]int{floats: floatChunk, bytes32: bytes32Chunk, bytes256: bytes256Chunk}
)

// widest is how many tokens a tile has at most.
func widest() int {
	if chosen == avx512 {
		return 8
	}
	return 4
}

// wantsOffsets reports whether tiles need offsets.
func wantsOffsets() bool { return chosen == avx512 }

// putOffsets writes −8 times the sums of each four numbers of q, whole chunks.
func putOffsets(offsets []int32, q []int8) {
	offsetsAVX512(&offsets[0], &q[0], len(q)/bytes32Chunk)
}

// dots is dotsGo. A row that ends in a part of a chunk is left to it.
func dots(ty Type, out []float32, stride int, w []byte, rows int, x *tile) {
	a := types[ty].activation
	size := chunkSizes[a]
	if chosen == goOnly || x.cols%size != 0 || rows == 0 {
		dotsGo(ty, out, stride, w, rows, x)
		return
	}
	rowBytes := ty.RowBytes(x.cols)
	_, _ = out[(x.width-1)*stride+rows-1], w[rows*rowBytes-1]
	f, chunks := dotsAVX2[ty][x.width], x.cols/size
	if chosen == avx512 {
		f = dotsAVX512[ty][x.width]
	}
	switch a {
	case floats:
		f(&out[0], stride, &w[0], rowBytes, rows, chunks, (*byte)(unsafe.Pointer(&x.f[0])), nil, nil, nil)
	case bytes32:
		f(&out[0], stride, &w[0], rowBytes, rows, chunks, (*byte)(unsafe.Pointer(&x.q[0])), &x.d[0], nil, unsafe.SliceData(x.offsets))
	case bytes256:
		f(&out[0], stride, &w[0], rowBytes, rows, chunks, (*byte)(unsafe.Pointer(&x.q[0])), &x.d[0], &x.sums[0], nil)
	}
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

func sumSquares(x []float32) float32 {
	if chosen == goOnly || len(x)%lanes != 0 || len(x) == 0 {
		return sumSquaresGo(x)
	}
	return sumSquaresAVX2(&x[0], len(x)/lanes)
}

// The following do the greatest part of their work that is a multiple of what a
// register holds, and say how much that was.

func swiGLU(gate, up []float32) int {
	if chosen == goOnly || len(gate) < 8 {
		return 0
	}
	swiGLUAVX2(&gate[0], &up[0], len(gate)/8)
	return len(gate) &^ 7
}

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

func addRowsF16(out []float32, v []byte, p []float32) int {
	if chosen == goOnly || len(out) < 16 || len(p) == 0 {
		return 0
	}
	addRowsF16AVX2(&out[0], &v[0], 2*len(out), len(p), len(out)/16, &p[0])
	return len(out) &^ 15
}

// read touches all of b and returns something of it.
func read(b []byte) uint64 {
	if chosen == goOnly || len(b)%256 != 0 || len(b) == 0 {
		return readGo(b)
	}
	return readAVX2(&b[0], len(b)/256)
}
