package kernel

import (
	"fmt"
	"math"
)

// A Matrix is Rows rows of Cols elements, as they lie in a model file; Pack lays them out
// anew for multiplication.
type Matrix struct {
	Type       Type
	Rows, Cols int

	data     []byte
	rowBytes int
	packed   []byte // panels of 16 rows, or nil
}

// NewMatrix makes a matrix of data, which is kept, not copied, and must not
// change; it may be a read-only mapping and needs no alignment. It fails where
// the shape and the length do not fit together.
func NewMatrix(t Type, rows, cols int, data []byte) (Matrix, error) {
	if rows <= 0 || cols <= 0 || cols%t.BlockSize() != 0 {
		return Matrix{}, fmt.Errorf("kernel: %s holds rows of a multiple of %d, not %d rows of %d", t, t.BlockSize(), rows, cols)
	}
	if rows > math.MaxInt/t.BlockBytes()/cols || rows*t.RowBytes(cols) != len(data) {
		return Matrix{}, fmt.Errorf("kernel: %d rows of %d in %s are not %d bytes", rows, cols, t, len(data))
	}
	return Matrix{Type: t, Rows: rows, Cols: cols, data: data, rowBytes: t.RowBytes(cols)}, nil
}

// Bytes is the size of the matrix in memory.
func (m *Matrix) Bytes() int { return len(m.data) }

// Row writes row r as floats into dst, whose length is Cols.
func (m *Matrix) Row(dst []float32, r int) {
	if row := types[m.Type].row; row != nil {
		row(dst[:m.Cols], m.rows(r, r+1))
		return
	}
	rowBlocks(dst[:m.Cols], m.rows(r, r+1), m.Type)
}

// Slice is the matrix of rows from to to, which share their memory, before Pack.
func (m *Matrix) Slice(from, to int) Matrix {
	return Matrix{Type: m.Type, Rows: to - from, Cols: m.Cols, data: m.rows(from, to), rowBytes: m.rowBytes}
}

func (m *Matrix) rows(from, to int) []byte { return m.data[from*m.rowBytes : to*m.rowBytes] }

// A Product is a matrix to multiply an input with, and where the result goes:
// Out holds for each token of the input, one after the other, Rows floats.
type Product struct {
	W   *Matrix
	Out []float32
}

const (
	rowGroup  = 3        // rows of floats that assembly multiplies together
	partRows  = 48       // rows that one thread takes at a time,
	partBytes = 64 << 10 // or panels of so many bytes: what a core's cache holds for one tile after the other
	callWork  = 1 << 20  // products of one call into assembly, which cannot be interrupted: some 50 µs
)

// Multiply makes the products of one input with several matrices, all of
// in's number of columns, on the threads of p.
func Multiply(p *Pool, in *Input, products ...Product) {
	parts := 0
	for i := range products {
		job := &products[i]
		if job.W.Cols != in.cols {
			panic(fmt.Sprintf("kernel: rows of %d times rows of %d", job.W.Cols, in.cols))
		}
		in.as(types[job.W.Type].activation, p)
		parts += job.parts()
	}
	p.Run(parts, func(i int) {
		for k := range products {
			job := &products[k]
			if n := job.parts(); i >= n {
				i -= n
				continue
			}
			if job.W.usesPanels() {
				job.panelsPart(in, i)
			} else {
				job.rowsPart(in, i)
			}
			return
		}
	})
}

// usesPanels reports whether the matrix is multiplied as it was packed.
func (m *Matrix) usesPanels() bool { return m.packed != nil && wantsPanels() }

// parts is the number of parts that threads take.
func (job *Product) parts() int {
	if job.W.usesPanels() {
		n := job.W.partPanels()
		return (job.W.panels() + n - 1) / n
	}
	return (job.W.Rows + partRows - 1) / partRows
}

func (m *Matrix) partPanels() int { return (partBytes + m.panelBytes() - 1) / m.panelBytes() }

func (job *Product) rowsPart(in *Input, part int) {
	m, from := job.W, part*partRows
	to, f := min(from+partRows, m.Rows), &in.forms[types[m.Type].activation]
	for i := range f.tiles {
		t := &f.tiles[i]
		step := max(1, callWork/(m.Cols*t.width)/rowGroup) * rowGroup
		for r := from; r < to; r += step {
			end := min(r+step, to)
			dots(m.Type, job.Out[t.first*m.Rows+r:], m.Rows, m.rows(r, end), end-r, t)
		}
	}
}

func (job *Product) panelsPart(in *Input, part int) {
	m, size := job.W, job.W.panelBytes()
	from := part * m.partPanels()
	to, f := min(from+m.partPanels(), m.panels()), &in.forms[types[m.Type].activation]
	for i := range f.tiles {
		t := &f.tiles[i]
		out, step := job.Out[t.first*m.Rows:], max(1, callWork/(panelRows*m.Cols*t.width))
		whole := min(to, m.Rows/panelRows)
		if t.tokens < t.width {
			whole = from
		}
		for k := from; k < whole; k += step {
			end := min(k+step, whole)
			dotsPacked(m.Type, out[k*panelRows:], m.Rows, m.packed[k*size:end*size], end-k, t)
		}
		// Where there are fewer rows or tokens than are computed.
		for k := whole; k < to; k++ {
			var sums [maxWidth * panelRows]float32
			dotsPacked(m.Type, sums[:], panelRows, m.packed[k*size:(k+1)*size], 1, t)
			for token := range t.tokens {
				copy(out[token*m.Rows+k*panelRows : (token+1)*m.Rows][:min(panelRows, m.Rows-k*panelRows)], sums[token*panelRows:])
			}
		}
	}
}

// dotsGo writes to out[token·stride + r] the product of row r of w with the
// tile's tokens: the reference for all that is faster.
func dotsGo(ty Type, out []float32, stride int, w []byte, rows int, x *tile) {
	dot, size := types[ty].dot, ty.RowBytes(x.cols)
	if dot == nil {
		dotsBlocks(ty, out, stride, w, rows, x)
		return
	}
	for r := range rows {
		row := w[r*size:][:size]
		for t := range x.tokens {
			out[t*stride+r] = dot(row, x, t)
		}
	}
}
