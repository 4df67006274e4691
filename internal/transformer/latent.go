package transformer

import (
	"encoding/binary"
	"math"

	"parley/internal/kernel"
)

// Multi-head latent attention (DeepSeek-AI 2024): what is kept of a token is one
// short row that stands for the keys and values of all heads, and the rotated part
// of the keys, which they share. A head's key is a matrix times that row: the
// products of queries and keys are the same if queries are multiplied by the
// matrix, turned, instead. So every head sees one key, [row, rotated part], and one
// value, the row; what a head sees of the rows is multiplied by its matrix of values
// at the end.

// A latentSpec is the shape of it; the zero value is none.
type latentSpec struct {
	rank      int // of the row
	queryRank int // of a like row that queries come from, or 0
	plain     int // elements of a head's query that are not rotated; those that are stand behind them
	value     int // elements of a head's value
}

// A latent is the weights of it.
type latent struct {
	queryDown kernel.Matrix // (queryRank, dim)
	queryNorm *norm
	query     kernel.Matrix   // (heads·(plain+rotated), dim or queryRank)
	down      kernel.Matrix   // (rank+rotated, dim)
	norm      *norm           // of the row
	keys      []kernel.Matrix // of each head (rank, plain): from its query to the row's space
	turned    []kernel.Matrix // as some files have them instead: (plain, rank)
	values    []kernel.Matrix // of each head (value, rank)
}

// headOut is the number of elements that a head gives.
func (s *layerSpec) headOut() int {
	if s.latent.rank > 0 {
		return s.latent.value
	}
	return s.valueDim
}

// readLatent reads how keys and values are compressed, if they are, into a spec of
// which the heads are known.
func (r *reader) readLatent(s *layerSpec, yarn turning) {
	x := &s.latent
	x.rank = r.count("attention.kv_lora_rank", -1)
	x.queryRank = r.optional("attention.q_lora_rank", 0)
	// Files that keep keys and values compressed say so by how long they are then.
	key := r.count("attention.key_length_mla", r.optional("attention.key_length", -1))
	x.value = r.count("attention.value_length_mla", r.optional("attention.value_length", -1))
	s.rotated = r.count("rope.dimension_count", -1)
	if x.plain = key - s.rotated; r.err == nil && x.plain < 1 {
		r.fail("rope.dimension_count", "is %d of a head's %d: some have to be left", s.rotated, key)
	}
	s.kvHeads, s.keyDim, s.valueDim = 1, x.rank+s.rotated, x.rank
	s.scale = float32(1 / math.Sqrt(float64(key)))
	if yarn.yarn && yarn.factor > 1 {
		by := r.number("rope.scaling.yarn_log_multiplier", 0, 0, 100) * 10 // files have a tenth of it
		grown := (1 + 0.1*by*math.Log(yarn.factor)) * r.number("rope.scaling.attn_factor", 1, 1e-3, 1e3)
		if by == 0 {
			grown *= 1 + 0.1*math.Log(yarn.factor)
		}
		s.scale *= float32(grown * grown)
	}
}

func (l *loader) latent(p string, dim int, s *layerSpec) *latent {
	x, spec, t := &latent{}, &s.latent, traits{}
	rows, from := s.heads*(spec.plain+s.rotated), dim
	if l.has(p + "attn_q.weight") {
		x.query = l.matrix(p+"attn_q.weight", rows, from)
	} else {
		from = spec.queryRank
		if from == 0 {
			l.fail("tensor %s is missing", p+"attn_q.weight")
			return nil
		}
		x.queryDown = l.matrix(p+"attn_q_a.weight", from, dim)
		x.queryNorm = l.norm(p+"attn_q_a_norm", t, from)
		x.query = l.matrix(p+"attn_q_b.weight", rows, from)
	}
	x.down = l.matrix(p+"attn_kv_a_mqa.weight", spec.rank+s.rotated, dim)
	x.norm = l.norm(p+"attn_kv_a_norm", t, spec.rank)
	if !l.has(p + "attn_kv_b.weight") {
		x.keys = l.stack(p+"attn_k_b.weight", s.heads, spec.rank, spec.plain)
		x.values = l.stack(p+"attn_v_b.weight", s.heads, spec.value, spec.rank)
		return x
	}
	each := spec.plain + spec.value
	both := l.matrix(p+"attn_kv_b.weight", s.heads*each, spec.rank)
	if l.err != nil {
		return nil
	}
	for h := range s.heads {
		x.turned = append(x.turned, both.Slice(h*each, h*each+spec.plain))
		x.values = append(x.values, both.Slice(h*each+spec.plain, (h+1)*each))
	}
	return x
}

// turnKeys makes keys of turned, in floats.
func (x *latent) turnKeys() {
	for _, w := range x.turned {
		data, row := make([]byte, 4*w.Rows*w.Cols), make([]float32, w.Cols)
		for r := range w.Rows {
			w.Row(row, r)
			for c, v := range row {
				binary.LittleEndian.PutUint32(data[4*(c*w.Rows+r):], math.Float32bits(v))
			}
		}
		m, err := kernel.NewMatrix(kernel.F32, w.Cols, w.Rows, data)
		if err != nil {
			panic(err) // the sizes are our own
		}
		x.keys = append(x.keys, m)
	}
	x.turned = nil
}

func (x *latent) matrices() []*kernel.Matrix {
	list := []*kernel.Matrix{&x.queryDown, &x.query, &x.down}
	for h := range x.keys {
		list = append(list, &x.keys[h], &x.values[h])
	}
	return list
}

// latentQueries makes q of the input, and keeps the tokens' rows.
func (m *Model) latentQueries(index, n int) {
	w, l := &m.work, &m.layers[index]
	s, x := &l.spec, l.latent
	rank, plain := s.latent.rank, s.latent.plain
	each, rows := plain+s.rotated, s.heads*(plain+s.rotated)
	w.k, w.full = grown(w.k, n*s.keyDim), grown(w.full, n*rows)
	down := kernel.Product{W: &x.down, Out: w.k}
	if x.queryNorm == nil {
		kernel.Multiply(m.pool, &w.in, down, kernel.Product{W: &x.query, Out: w.full})
	} else {
		w.v = grown(w.v, n*s.latent.queryRank)
		kernel.Multiply(m.pool, &w.in, down, kernel.Product{W: &x.queryDown, Out: w.v})
		x.queryNorm.apply(w.v, w.v)
		w.in.Set(w.v, n, s.latent.queryRank)
		kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.query, Out: w.full})
	}
	m.eachRow(func(i int) {
		r := &w.rows[i]
		k, q := w.k[i*s.keyDim:][:s.keyDim], w.full[i*rows:][:rows]
		x.norm.apply(k[:rank], k[:rank])
		if s.turns >= 0 {
			angles := m.angles(s, i, n)
			rotate(k[rank:], s.rotated, s.pairing, angles)
			for h := range s.heads {
				rotate(q[h*each+plain:][:s.rotated], s.rotated, s.pairing, angles)
			}
		}
		for h := range s.heads {
			copy(w.q[(i*s.heads+h)*s.keyDim+rank:][:s.rotated], q[h*each+plain:])
		}
		r.kv.put(index, r.position, k, k[:rank])
	})
	m.eachHead(x.keys, n, perHead{w.full, each, plain}, perHead{w.q, s.keyDim, rank})
	for i := range n {
		kernel.Scale(w.q[i*s.heads*s.keyDim:][:s.heads*s.keyDim], s.growth.at(w.rows[i].position))
	}
}

// latentValues makes of what the heads saw of rows what they saw of values.
func (m *Model) latentValues(l *layer, n int) {
	w, s := &m.work, &l.spec
	w.full = grown(w.full, n*s.heads*s.latent.value)
	m.eachHead(l.latent.values, n, perHead{w.seen, s.valueDim, s.valueDim}, perHead{w.full, s.latent.value, s.latent.value})
}

// A perHead is a batch of rows of all heads, stride elements each, of which the first
// size count.
type perHead struct {
	x            []float32
	stride, size int
}

// eachHead multiplies each head's part of the rows by the head's matrix.
func (m *Model) eachHead(matrices []kernel.Matrix, n int, from, to perHead) {
	w, heads := &m.work, len(matrices)
	w.heads = grown(w.heads, heads)
	m.pool.Run(heads, func(h int) {
		b := &w.heads[h]
		b.x, b.y = grown(b.x, n*from.size), grown(b.y, n*to.size)
		for i := range n {
			copy(b.x[i*from.size:][:from.size], from.x[(i*heads+h)*from.stride:])
		}
		b.in.Set(b.x, n, from.size)
		kernel.Multiply(m.single, &b.in, kernel.Product{W: &matrices[h], Out: b.y})
		for i := range n {
			copy(to.x[(i*heads+h)*to.stride:][:to.size], b.y[i*to.size:])
		}
	})
}
