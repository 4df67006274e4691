package kernel

// What layers do that keep a state instead of keys and values: small matrices that change with
// every token.

// RowColumns is the length of rows that there is vector code for.
const RowColumns = 32

// AddRows adds to out the rows of a matrix, each times its number of k, the first row first.
// Rows are as long as out, and there are len(k).
func AddRows(out, rows, k []float32) {
	_ = rows[:len(out)*len(k)]
	if len(out) != RowColumns || len(k) == 0 || !addRows(out, rows, k) {
		addRowsGo(out, rows, k)
	}
}

func addRowsGo(out, rows, k []float32) {
	for e, k := range k {
		row := rows[e*len(out):][:len(out)]
		for i, v := range row {
			out[i] += float32(v * k)
		}
	}
}

// UpdateRows makes of each row of a matrix keep times what it was and its number of k times add,
// and adds it to out, times its number of q, the first row first. Rows are as long as out and
// add, and there are len(k) and len(q).
func UpdateRows(out, rows []float32, keep float32, add, k, q []float32) {
	_, _, _ = rows[:len(out)*len(k)], add[:len(out)], q[:len(k)]
	if len(out) != RowColumns || len(k) == 0 || !updateRows(out, rows, keep, add, k, q) {
		updateRowsGo(out, rows, keep, add, k, q)
	}
}

func updateRowsGo(out, rows []float32, keep float32, add, k, q []float32) {
	add = add[:len(out)]
	for e, k := range k {
		row, q := rows[e*len(out):][:len(out)], q[e]
		for i, v := range row {
			v = float32(v*keep) + float32(add[i]*k)
			row[i] = v
			out[i] += float32(v * q)
		}
	}
}

// UpdateEachRow is UpdateRows where each row keeps what its own number of keep says.
func UpdateEachRow(out, rows, keep, add, k, q []float32) {
	_, _, _, _ = rows[:len(out)*len(k)], keep[:len(k)], add[:len(out)], q[:len(k)]
	if len(out) != RowColumns || len(k) == 0 || !updateEachRow(out, rows, keep, add, k, q) {
		updateEachRowGo(out, rows, keep, add, k, q)
	}
}

func updateEachRowGo(out, rows, keep, add, k, q []float32) {
	for e := range k {
		updateRowsGo(out, rows[e*len(out):], keep[e], add, k[e:e+1], q[e:e+1])
	}
}

// ReplaceRows makes of each row of a matrix its number of keep times what it was, and its number of b
// times back, and its number of k times add, and adds it to out, times its number of q, the first
// row first. Rows are as long as out, back and add, and there are len(k), len(keep), len(b) and len(q).
func ReplaceRows(out, rows, keep, back, b, add, k, q []float32) {
	n := len(k)
	_, _, _, _, _, _ = rows[:len(out)*n], keep[:n], back[:len(out)], b[:n], add[:len(out)], q[:n]
	if len(out) != RowColumns || n == 0 || !replaceRows(out, rows, keep, back, b, add, k, q) {
		replaceRowsGo(out, rows, keep, back, b, add, k, q)
	}
}

func replaceRowsGo(out, rows, keep, back, b, add, k, q []float32) {
	back, add = back[:len(out)], add[:len(out)]
	for e, k := range k {
		row, keep, b, q := rows[e*len(out):][:len(out)], keep[e], b[e], q[e]
		for i, v := range row {
			v = float32(v*keep) + float32(back[i]*b) + float32(add[i]*k)
			row[i] = v
			out[i] += float32(v * q)
		}
	}
}

// FadeRows makes of each row of a matrix what it was times exp(a·step), by the same row of a, and
// its number of k times add, and adds it to out, times its number of q, the first row first. Rows
// are as long as out, step and add, and there are len(k) and len(q).
func FadeRows(out, rows, a, step, add, k, q []float32) {
	_, _, _, _, _ = rows[:len(out)*len(k)], a[:len(out)*len(k)], step[:len(out)], add[:len(out)], q[:len(k)]
	if len(out) != RowColumns || len(k) == 0 || !fadeRows(out, rows, a, step, add, k, q) {
		fadeRowsGo(out, rows, a, step, add, k, q)
	}
}

func fadeRowsGo(out, rows, a, step, add, k, q []float32) {
	step, add = step[:len(out)], add[:len(out)]
	for e, k := range k {
		row, a, q := rows[e*len(out):][:len(out)], a[e*len(out):][:len(out)], q[e]
		for i, v := range row {
			v = float32(v*exp(float32(a[i]*step[i]))) + float32(add[i]*k)
			row[i] = v
			out[i] += float32(v * q)
		}
	}
}
