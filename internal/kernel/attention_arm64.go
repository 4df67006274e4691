//go:build !purego

package kernel

// A panelsFunc is addPanelsGo or addBytesGo, a dotFunc dotPanelsGo, for a number of rows.
type (
	panelsFunc func(out *float32, outStride int, a *float32, aStride int, b *byte, panelBytes int, k int, panels int, fresh bool)
	dotFunc    func(out *float32, outStride int, q *int8, d *float32, count, blocks int, b *byte, panels int)
)

// Those by the power of two of rows.
var (
	panelsNEON = []panelsFunc{addPanelsF16x1NEON, addPanelsF16x2NEON, addPanelsF16x4NEON}
	bytesNEON  = []panelsFunc{addPanelsBytesx1NEON, addPanelsBytesx2NEON, addPanelsBytesx4NEON}
	dotNEON    = []dotFunc{dotPanelsQ8_0x1NEON, dotPanelsQ8_0x2NEON, dotPanelsQ8_0x4NEON}
)

func addPanels(out, a Rows, b Panels, fresh bool) {
	if chosen == goOnly {
		addPanelsGo(out, a, b, fresh)
		return
	}
	addBy(panelsNEON, out, a, b, fresh)
}

func addBytes(out, a Rows, b Panels) {
	if chosen == goOnly {
		addBytesGo(out, a, b)
		return
	}
	addBy(bytesNEON, out, a, b, false)
}

func addBy(list []panelsFunc, out, a Rows, b Panels, fresh bool) {
	pieces(a.Count, len(list), func(r, i int) {
		list[i](&out.Data[r*out.Stride], 4*out.Stride, &a.Data[r*a.Stride], 4*a.Stride, &b.Data[0], b.PanelBytes, b.Rows, b.Count, fresh)
	})
}

func dotPanels(out Rows, q *Queries, keys []byte, panels int, _ []byte) {
	if chosen == goOnly {
		dotPanelsGo(out, q, keys, panels)
		return
	}
	pieces(q.count, len(dotNEON), func(r, i int) {
		dotNEON[i](&out.Data[r*out.Stride], 4*out.Stride, &q.q[32*r], &q.d[r], q.count, q.blocks, &keys[0], panels)
	})
}

// scaleByF16 is for a multiple of 16.
func scaleByF16(out, x []float32, d []byte) {
	if chosen == goOnly {
		scaleByF16Go(out, x, d)
		return
	}
	scaleByF16NEON(&out[0], &x[0], &d[0], len(x)/lanes)
}

func largestOf(x []float32) float32 {
	if chosen == goOnly {
		return largestOfGo(x)
	}
	return largestOfNEON(&x[0], len(x)/lanes)
}

func exponentials(x []float32, scale, largest float32) float32 {
	if chosen == goOnly {
		return exponentialsGo(x, scale, largest)
	}
	var acc [lanes]float32
	expSumNEON(&acc, &x[0], len(x)/lanes, scale, largest)
	return sum16(&acc)
}

// mix says how much it did, whole chunks.
func mix(x []float32, a float32, y []float32, b float32) int {
	if chosen == goOnly || len(x) < lanes {
		return 0
	}
	mixNEON(&x[0], &y[0], len(x)/lanes, a, b)
	return len(x) &^ (lanes - 1)
}

// scale likewise.
func scale(x []float32, a float32) int {
	if chosen == goOnly || len(x) < lanes {
		return 0
	}
	scaleNEON(&x[0], len(x)/lanes, a)
	return len(x) &^ (lanes - 1)
}

// addRows, updateRows, updateEachRow, replaceRows and fadeRows are for rows of RowColumns, and say whether there is code for them.
func addRows(out, rows, k []float32) bool {
	if chosen == goOnly {
		return false
	}
	addRowsNEON(&out[0], &rows[0], &k[0], len(k))
	return true
}

func updateRows(out, rows []float32, keep float32, add, k, q []float32) bool {
	if chosen == goOnly {
		return false
	}
	updateRowsNEON(&out[0], &rows[0], &add[0], &k[0], &q[0], len(k), keep)
	return true
}

func updateEachRow(out, rows, keep, add, k, q []float32) bool {
	if chosen == goOnly {
		return false
	}
	updateEachRowNEON(&out[0], &rows[0], &add[0], &k[0], &q[0], &keep[0], len(k))
	return true
}

func replaceRows(out, rows, keep, back, b, add, k, q []float32) bool {
	if chosen == goOnly {
		return false
	}
	replaceRowsNEON(&out[0], &rows[0], &keep[0], &back[0], &b[0], &add[0], &k[0], &q[0], len(k))
	return true
}

func fadeRows(out, rows, a, step, add, k, q []float32) bool {
	if chosen == goOnly {
		return false
	}
	fadeRowsNEON(&out[0], &rows[0], &a[0], &step[0], &add[0], &k[0], &q[0], len(k))
	return true
}

// scaleBy writes x[i]·a·w[i], and says how many.
func scaleBy(out, x, w []float32, a float32) int {
	if chosen == goOnly || len(x) < lanes {
		return 0
	}
	scaleByNEON(&out[0], &x[0], &w[0], len(x)/lanes, a)
	return len(x) &^ (lanes - 1)
}
