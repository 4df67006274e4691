package kernel

import (
	"fmt"
	"math"
)

// A Matrix is Rows rows of Cols elements, as they lie in a model file.
type Matrix struct {
	Type       Type
	Rows, Cols int

	data     []byte
	rowBytes int
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
	return Matrix{t, rows, cols, data, t.RowBytes(cols)}, nil
}

// Bytes is the size of the matrix in memory.
func (m *Matrix) Bytes() int { return len(m.data) }

// Row writes row r as floats into dst, whose length is Cols.
func (m *Matrix) Row(dst []float32, r int) {
	if row := types[m.Type].row; row != nil {
		row(dst[:m.Cols], m.rows(r, r+1))
		return
	}
	rowExpanded(dst[:m.Cols], m.rows(r, r+1), m.Type)
}

// Slice is the matrix of rows from to to, which share their memory.
func (m *Matrix) Slice(from, to int) Matrix {
	return Matrix{m.Type, to - from, m.Cols, m.rows(from, to), m.rowBytes}
}

func (m *Matrix) rows(from, to int) []byte { return m.data[from*m.rowBytes : to*m.rowBytes] }

// A Product is a matrix to multiply an input with, and where the result goes:
// Out holds for each token of the input, one after the other, Rows floats.
type Product struct {
	W   *Matrix
	Out []float32
}

const (
	chunkRows = 32      // rows that one thread takes at a time
	callWork  = 1 << 20 // products of one call into assembly, which cannot be interrupted: some 50 µs
)

// Multiply makes the products of one input with several matrices, all of
// in's number of columns, on the threads of p.
func Multiply(p *Pool, in *Input, products ...Product) {
	chunks := 0
	for _, job := range products {
		if job.W.Cols != in.cols {
			panic(fmt.Sprintf("kernel: rows of %d times rows of %d", job.W.Cols, in.cols))
		}
		in.as(types[job.W.Type].activation, p)
		chunks += (job.W.Rows + chunkRows - 1) / chunkRows
	}
	p.Run(chunks, func(i int) {
		for _, job := range products {
			n := (job.W.Rows + chunkRows - 1) / chunkRows
			if i < n {
				from := i * chunkRows
				multiplyRows(&job, in, from, min(from+chunkRows, job.W.Rows))
				return
			}
			i -= n
		}
	})
}

func multiplyRows(job *Product, in *Input, from, to int) {
	m := job.W
	if types[m.Type].expansion != nil {
		multiplyExpanded(job, in, from, to)
		return
	}
	f := &in.forms[types[m.Type].activation]
	for i := range f.tiles {
		t := &f.tiles[i]
		step := max(1, callWork/(m.Cols*t.width))
		for r := from; r < to; r += step {
			end := min(r+step, to)
			dots(m.Type, job.Out[t.first*m.Rows+r:], m.Rows, m.rows(r, end), end-r, t)
		}
	}
}

// dotsGo writes to out[token·stride + r] the product of row r of w with the
// tile's tokens: the reference for all that is faster.
func dotsGo(ty Type, out []float32, stride int, w []byte, rows int, x *tile) {
	dot, size := types[ty].dot, ty.RowBytes(x.cols)
	for r := range rows {
		row := w[r*size:][:size]
		for t := range x.width {
			out[t*stride+r] = dot(row, x, t)
		}
	}
}
