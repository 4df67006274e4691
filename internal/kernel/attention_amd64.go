//go:build !purego

package kernel

import "unsafe"

//go:generate sh -c "cd _asm && go run ./attention -out ../attention_asm_amd64.s -stubs ../attention_asm_amd64.go -pkg kernel"

// A panelsFunc is addPanelsGo for a number of rows.
type panelsFunc func(out *float32, outStride int, a *float32, aStride int, b *byte, panelBytes int, k int, panels int, next *byte, fresh bool)

// Those by the power of two of rows.
var (
	panelsAVX2   = []panelsFunc{addPanelsF16x1AVX2, addPanelsF16x2AVX2, addPanelsF16x4AVX2}
	panelsAVX512 = []panelsFunc{addPanelsF16x1AVX512, addPanelsF16x2AVX512, addPanelsF16x4AVX512, addPanelsF16x8AVX512}
)

func addPanels(out, a Rows, b Panels, fresh bool) {
	var list []panelsFunc
	switch chosen {
	case goOnly:
		addPanelsGo(out, a, b, fresh)
		return
	case avx512:
		list = panelsAVX512
	default:
		list = panelsAVX2
	}
	next := unsafe.SliceData(b.Next)
	if next == nil {
		next = &b.Data[0]
	}
	for r, i := 0, len(list)-1; r < a.Count; r += 1 << i {
		for 1<<i > a.Count-r {
			i--
		}
		list[i](&out.Data[r*out.Stride], 4*out.Stride, &a.Data[r*a.Stride], 4*a.Stride, &b.Data[0], b.PanelBytes, b.Rows, b.Count, next, fresh)
	}
}

func largestOf(x []float32) float32 {
	switch chosen {
	case goOnly:
		return largestOfGo(x)
	case avx512:
		return largestOfAVX512(&x[0], len(x)/lanes)
	}
	return largestOfAVX2(&x[0], len(x)/lanes)
}

func exponentials(x []float32, scale, largest float32) float32 {
	switch chosen {
	case goOnly:
		return exponentialsGo(x, scale, largest)
	case avx512:
		return exponentialsAVX512(&x[0], len(x)/lanes, scale, largest)
	}
	return exponentialsAVX2(&x[0], len(x)/lanes, scale, largest)
}

// mix says how much it did, whole chunks.
func mix(x []float32, a float32, y []float32, b float32) int {
	if chosen == goOnly || len(x) < lanes {
		return 0
	}
	if chosen == avx512 {
		mixAVX512(&x[0], &y[0], len(x)/lanes, a, b)
	} else {
		mixAVX2(&x[0], &y[0], len(x)/lanes, a, b)
	}
	return len(x) &^ (lanes - 1)
}

// scale likewise.
func scale(x []float32, a float32) int {
	if chosen == goOnly || len(x) < lanes {
		return 0
	}
	if chosen == avx512 {
		scaleAVX512(&x[0], len(x)/lanes, a)
	} else {
		scaleAVX2(&x[0], len(x)/lanes, a)
	}
	return len(x) &^ (lanes - 1)
}
