//go:build !purego

package kernel

// A panelsFunc is addPanelsGo or addBytesGo, a dotFunc dotPanelsGo, for a number of rows.
type (
	panelsFunc func(out *float32, outStride int, a *float32, aStride int, b *byte, panelBytes int, k int, panels int, next *byte, fresh bool)
	dotFunc    func(out *float32, outStride int, q *int8, d *float32, offsets *int32, count, blocks int, b *byte, panels int, next *byte)
)

// Those by the power of two of rows.
var (
	panelsAVX2   = []panelsFunc{addPanelsF16x1AVX2, addPanelsF16x2AVX2, addPanelsF16x4AVX2}
	panelsAVX512 = []panelsFunc{addPanelsF16x1AVX512, addPanelsF16x2AVX512, addPanelsF16x4AVX512, addPanelsF16x8AVX512}
	bytesAVX2    = []panelsFunc{addPanelsBytesx1AVX2, addPanelsBytesx2AVX2, addPanelsBytesx4AVX2}
	bytesAVX512  = []panelsFunc{addPanelsBytesx1AVX512, addPanelsBytesx2AVX512, addPanelsBytesx4AVX512, addPanelsBytesx8AVX512}
	dotAVX2      = []dotFunc{dotPanelsQ8_0x1AVX2, dotPanelsQ8_0x2AVX2, dotPanelsQ8_0x4AVX2}
	dotAVX512    = []dotFunc{dotPanelsQ8_0x1AVX512, dotPanelsQ8_0x2AVX512, dotPanelsQ8_0x4AVX512, dotPanelsQ8_0x8AVX512}
)

func addPanels(out, a Rows, b Panels, fresh bool) {
	if chosen == goOnly {
		addPanelsGo(out, a, b, fresh)
		return
	}
	list := panelsAVX2
	if chosen == avx512 {
		list = panelsAVX512
	}
	addBy(list, out, a, b, fresh)
}

func addBytes(out, a Rows, b Panels) {
	if chosen == goOnly {
		addBytesGo(out, a, b)
		return
	}
	list := bytesAVX2
	if chosen == avx512 {
		list = bytesAVX512
	}
	addBy(list, out, a, b, false)
}

func addBy(list []panelsFunc, out, a Rows, b Panels, fresh bool) {
	pieces(a.Count, len(list), func(r, i int) {
		list[i](&out.Data[r*out.Stride], 4*out.Stride, &a.Data[r*a.Stride], 4*a.Stride, &b.Data[0], b.PanelBytes, b.Rows, b.Count, first(b.Next, b.Data), fresh)
	})
}

func dotPanels(out Rows, q *Queries, keys []byte, panels int, next []byte) {
	if chosen == goOnly {
		dotPanelsGo(out, q, keys, panels)
		return
	}
	list := dotAVX2
	if chosen == avx512 {
		list = dotAVX512
	}
	pieces(q.count, len(list), func(r, i int) {
		list[i](&out.Data[r*out.Stride], 4*out.Stride, &q.q[32*r], &q.d[r], &q.offsets[r], q.count, q.blocks, &keys[0], panels, first(next, keys))
	})
}

// scaleByF16 is for a multiple of 16.
func scaleByF16(out, x []float32, d []byte) {
	switch chosen {
	case goOnly:
		scaleByF16Go(out, x, d)
	case avx512:
		scaleByF16AVX512(&out[0], &x[0], &d[0], len(x)/lanes)
	default:
		scaleByF16AVX2(&out[0], &x[0], &d[0], len(x)/lanes)
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

// addRows, updateRows, updateEachRow, replaceRows and fadeRows are for rows of RowColumns, and say whether there is code for them.
func addRows(out, rows, k []float32) bool {
	switch chosen {
	case goOnly:
		return false
	case avx512:
		addRowsAVX512(&out[0], &rows[0], &k[0], len(k))
	default:
		addRowsAVX2(&out[0], &rows[0], &k[0], len(k))
	}
	return true
}

func updateRows(out, rows []float32, keep float32, add, k, q []float32) bool {
	switch chosen {
	case goOnly:
		return false
	case avx512:
		updateRowsAVX512(&out[0], &rows[0], &add[0], &k[0], &q[0], len(k), keep)
	default:
		updateRowsAVX2(&out[0], &rows[0], &add[0], &k[0], &q[0], len(k), keep)
	}
	return true
}

func updateEachRow(out, rows, keep, add, k, q []float32) bool {
	switch chosen {
	case goOnly:
		return false
	case avx512:
		updateEachRowAVX512(&out[0], &rows[0], &add[0], &k[0], &q[0], &keep[0], len(k))
	default:
		updateEachRowAVX2(&out[0], &rows[0], &add[0], &k[0], &q[0], &keep[0], len(k))
	}
	return true
}

func replaceRows(out, rows, keep, back, b, add, k, q []float32) bool {
	switch chosen {
	case goOnly:
		return false
	case avx512:
		replaceRowsAVX512(&out[0], &rows[0], &keep[0], &back[0], &b[0], &add[0], &k[0], &q[0], len(k))
	default:
		replaceRowsAVX2(&out[0], &rows[0], &keep[0], &back[0], &b[0], &add[0], &k[0], &q[0], len(k))
	}
	return true
}

func fadeRows(out, rows, a, step, add, k, q []float32) bool {
	switch chosen {
	case goOnly:
		return false
	case avx512:
		fadeRowsAVX512(&out[0], &rows[0], &a[0], &step[0], &add[0], &k[0], &q[0], len(k))
	default:
		fadeRowsAVX2(&out[0], &rows[0], &a[0], &step[0], &add[0], &k[0], &q[0], len(k))
	}
	return true
}

// scaleBy writes x[i]·a·w[i], and says how many.
func scaleBy(out, x, w []float32, a float32) int {
	if chosen == goOnly || len(x) < lanes {
		return 0
	}
	if chosen == avx512 {
		scaleByAVX512(&out[0], &x[0], &w[0], len(x)/lanes, a)
	} else {
		scaleByAVX2(&out[0], &x[0], &w[0], len(x)/lanes, a)
	}
	return len(x) &^ (lanes - 1)
}
