package transformer

import (
	"parley/internal/kernel"
)

// Short convolutions (LFM2): in place of attention, a layer makes three rows of each
// token, b, c and x. Its column is b·x, element by element; what it gives is c times the
// sum of its own column and those of the taps−1 tokens before it, each times the weights
// of its distance. The sum begins with the farthest.
//
// So all that a layer has to know of a sequence is its last taps−1 columns. What is kept
// of them, and where a sequence can go on, is said in carried.go.

const mostTaps = 16

// A convolution is the weights of one.
type convolution struct {
	in   kernel.Matrix // (3·dim, dim)
	taps [][]float32   // (dim) each, of the farthest token first
	out  kernel.Matrix // (dim, dim)
}

// readKVHeads reads how many heads of keys and values each layer has: none where a
// short convolution is in place of attention.
func (r *reader) readKVHeads(arch architecture, layers int, otherwise []int) []int {
	const key = "attention.head_count_kv"
	if arch.convolved || arch.scanned || arch.mamba1 || arch.kda || arch.lacking {
		return r.perLayerFrom(0, key, layers, otherwise)
	}
	return r.perLayer(key, layers, otherwise)
}

func (r *reader) readTaps() int {
	const key = "shortconv.l_cache"
	n := r.count(key, -1)
	if r.err == nil && (n < 2 || n > mostTaps) {
		r.fail(key, "is %d: from 2 to %d is supported", n, mostTaps)
	}
	if window := r.optional("attention.sliding_window", 0); window > 0 {
		r.fail("attention.sliding_window", "is %d, which is not supported in this architecture", window)
	}
	return n
}

func (l *loader) convolution(p string, dim, taps int) *convolution {
	c := &convolution{in: l.matrix(p+"shortconv.in_proj.weight", 3*dim, dim)}
	c.taps = l.taps(p+"shortconv.conv.weight", dim, taps)
	c.out = l.matrix(p+"shortconv.out_proj.weight", dim, dim)
	return c
}

// convolve makes y of the input.
func (m *Model) convolve(index, n int) {
	w, c, dim := &m.work, m.layers[index].convolution, m.config.Dim
	before := len(c.taps) - 1
	w.gates, w.seen = grown(w.gates, n*3*dim), grown(w.seen, n*dim)
	w.columns = grown(w.columns, (n+before*(len(w.sequences)-1))*dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &c.in, Out: w.gates})
	const part = 256 // elements, each of which is by itself
	m.pool.Run((dim+part-1)/part, func(i int) {
		from, to := i*part, min((i+1)*part, dim)
		for s, first := range w.sequences[:len(w.sequences)-1] {
			rows := w.rows[first:w.sequences[s+1]]
			column := func(i int) []float32 { return w.columns[(first+s*before+i)*dim:][from:to] } // of rows[i−before]
			memory := rows[0].kv.columns(index)
			memory.read(column, rows[0].position-before, before, from)
			for i := range rows {
				gates := w.gates[(first+i)*3*dim:][:3*dim]
				b, g, x := gates[from:to], gates[dim+from:dim+to], gates[2*dim+from:2*dim+to]
				own, out := column(before+i), w.seen[(first+i)*dim:][from:to]
				copy(own, b)
				kernel.Products(own, x)
				clear(out)
				for t, tap := range c.taps {
					kernel.AddProducts(out, column(i+t), tap[from:to])
				}
				kernel.Products(out, g)
			}
			memory.keep(column, rows[0].position-before, before+len(rows), from)
		}
	})
	w.in.Set(w.seen, n, dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &c.out, Out: w.y})
}
