package transformer

import (
	"math"
	"slices"

	"parley/internal/kernel"
)

// Alternating updates (AltUp, Baykal et al. 2023, arXiv 2301.13310), as Gemma 3n has them
// (its model card, and the models' published code): there are several streams, and a layer
// computes in the active one alone. Before it, all are predicted from each other; after it,
// all are corrected by how far the active one came out other than predicted:
//
//	predicted[i] = stream[i] + Σ p[i][j]·stream[j]
//	stream[i]    = predicted[i] + (1 + c[i])·(x − predicted[active])
//
// The coefficients p and c are products of what a router says, the tanh of its product
// with the active stream, normalised: with the stream as it was before the layer, or with x,
// what the layer made of its prediction.
//
// The first stream begins as the embedding. The others are each a matrix times it, made as
// long as it is. In the end they go through matrices once more, are made as long as the first
// one, and the mean of all is what the output reads. What a layer opens of its own embedding
// (perlayer.go) is added to all streams but the first.
//
// Attention has a low-rank path beside it (LAuReL, Menghani et al. 2024, arXiv 2411.07501):
// what it reads goes through two thin matrices. And of the first layers' gates only those
// are open that are some standard deviations above the mean of all (sparsity).

// mostStreams bounds what their metadata says; Gemma 3n has 4.
const mostStreams = 16

// shortest is the least mean square that a stream is taken to have, so that nothing is
// divided by zero.
const shortest = 1e-5

// An altupSpec is how many streams there are; 0: one, as usual.
type altupSpec struct {
	streams int
	active  int
}

// An altup is the weights that are of the whole model.
type altup struct {
	altupSpec
	from []kernel.Matrix // (dim, dim), from the embedding to each stream but the first
	to   []kernel.Matrix // (dim, dim), from each of them to what is added up in the end
}

// An alternation is the weights of one layer.
type alternation struct {
	router     kernel.Matrix // (streams, dim)
	routerNorm *norm
	predict    [][]float32 // (streams), for each p[i][j], i·streams+j
	correct    [][]float32 // (streams), for each c[i]
	scale      []float32   // (dim), of the active stream where it opens the layer's embedding
}

// A laurel is the weights of the path beside attention.
type laurel struct {
	down kernel.Matrix // (rank, dim)
	up   kernel.Matrix // (dim, rank)
	post *norm         // (dim)
}

// A sparsity says which gates are open: each as far as it is so many standard deviations
// above the mean of a token's.
type sparsity struct {
	on         bool
	deviations float32
}

func (r *reader) readAltup() (a altupSpec) {
	const count, active = "altup.num_inputs", "altup.active_idx"
	a.streams, a.active = r.count(count, 4), r.optional(active, 0)
	switch {
	case r.err != nil:
		return altupSpec{}
	case a.streams < 2 || a.streams > mostStreams:
		r.fail(count, "is %d: from 2 to %d is supported", a.streams, mostStreams)
	case a.active >= a.streams:
		r.fail(active, "is %d of %d streams, which are numbered from 0", a.active, a.streams)
	}
	return a
}

// readSparsity reads how sparse each layer is: −∞ is not at all. Where the metadata is silent
// the first ten have a twentieth of their gates open, if these are as a Gaussian's.
func (r *reader) readSparsity(layers int) []sparsity {
	const key, first, twentieth = "activation_sparsity_scale", 10, 1.6448533535003662
	out := make([]sparsity, layers)
	list, ok, err := r.f.Floats(r.prefix + key)
	switch {
	case err != nil:
		if r.err == nil {
			r.err = err
		}
	case !ok:
		for i := range min(first, layers) {
			out[i] = sparsity{true, twentieth}
		}
	case r.lists(key, len(list), layers):
		for i, v := range list {
			if math.IsInf(float64(v), -1) {
				continue
			}
			if !(v >= -100 && v <= 100) {
				r.fail(key, "[%d] is %g: from -100 to 100, or -Inf, is supported", i, v)
			}
			out[i] = sparsity{true, v}
		}
	}
	return out
}

func (l *loader) altup(c *Config) altup {
	a := altup{altupSpec: c.altup}
	if a.streams > 0 {
		a.from = l.stack("altup_proj.weight", a.streams-1, c.Dim, c.Dim)
		a.to = l.stack("altup_unembd_proj.weight", a.streams-1, c.Dim, c.Dim)
	}
	return a
}

func (l *loader) alternation(p string, dim, streams int, t traits) *alternation {
	delete(l.used, p+"layer_output_scale.weight") // no stream is there that it would be of
	return &alternation{
		router:     l.matrix(p+"altup_router.weight", streams, dim),
		routerNorm: l.norm(p+"altup_router_norm", t, dim),
		predict:    l.vectors(p+"altup_predict_coef.weight", streams*streams, streams),
		correct:    l.vectors(p+"altup_correct_coef.weight", streams, streams),
		scale:      l.vector(p+"altup_correct_scale.weight", dim),
	}
}

func (l *loader) laurel(p string, dim int, t traits) *laurel {
	x := &laurel{down: l.tall(p+"laurel_l.weight", dim, "rank")}
	if l.err == nil {
		x.up = l.matrix(p+"laurel_r.weight", dim, x.down.Rows)
	}
	x.post = l.norm(p+"laurel_post_norm", t, dim)
	return x
}

// stream is one of all streams, or of all predictions, of n tokens.
func (m *Model) stream(all []float32, which, n int) []float32 {
	size := n * m.config.Dim
	return all[which*size:][:size]
}

// beginStreams makes the streams of the embeddings, which are x.
func (m *Model) beginStreams(n int) {
	w, a, dim := &m.work, &m.altup, m.config.Dim
	w.streams, w.predicted = grown(w.streams, a.streams*n*dim), grown(w.predicted, a.streams*n*dim)
	copy(m.stream(w.streams, 0, n), w.x)
	w.products = w.products[:0]
	for i := range a.from {
		w.products = append(w.products, kernel.Product{W: &a.from[i], Out: m.stream(w.streams, i+1, n)})
	}
	w.in.Set(w.x, n, dim)
	kernel.Multiply(m.pool, &w.in, w.products...)
	m.pool.Run(n, func(i int) {
		length := math.Sqrt(meanSquare(w.x[i*dim:][:dim]))
		for s := 1; s < a.streams; s++ {
			lengthen(m.stream(w.streams, s, n)[i*dim:][:dim], length)
		}
	})
}

// endStreams makes x of the streams, if somebody wants it.
func (m *Model) endStreams(n int) {
	w, a, dim := &m.work, &m.altup, m.config.Dim
	if !slices.ContainsFunc(w.rows, func(r row) bool { return r.logits >= 0 || r.state >= 0 }) {
		return
	}
	first := m.stream(w.streams, 0, n)
	copy(w.x, first)
	for s := 1; s < a.streams; s++ {
		w.in.Set(m.stream(w.streams, s, n), n, dim)
		kernel.Multiply(m.pool, &w.in, kernel.Product{W: &a.to[s-1], Out: w.y})
		m.pool.Run(n, func(i int) {
			y := w.y[i*dim:][:dim]
			lengthen(y, math.Sqrt(meanSquare(first[i*dim:][:dim])))
			kernel.Add(w.x[i*dim:][:dim], y)
		})
	}
	kernel.Scale(w.x[:n*dim], 1/float32(a.streams))
}

// predict makes the predictions of the streams, and x that of the active one.
func (m *Model) predict(l *layer, n int) {
	w, a, t, dim := &m.work, &m.altup, l.alternation, m.config.Dim
	copy(w.x, m.stream(w.streams, a.active, n))
	m.askRouter(t, n)
	m.pool.Run(n, func(i int) {
		said := w.route[i*a.streams:][:a.streams]
		for to := range a.streams {
			x := m.stream(w.predicted, to, n)[i*dim:][:dim]
			copy(x, m.stream(w.streams, to, n)[i*dim:])
			for from := range a.streams {
				kernel.Mix(x, 1, m.stream(w.streams, from, n)[i*dim:], coefficient(t.predict[to*a.streams+from], said))
			}
			if to == a.active {
				copy(w.x[i*dim:], x)
			}
		}
	})
}

// correct makes the streams of their predictions and of x.
func (m *Model) correct(l *layer, n int) {
	w, a, t, dim := &m.work, &m.altup, l.alternation, m.config.Dim
	m.askRouter(t, n)
	m.pool.Run(n, func(i int) {
		said, news := w.route[i*a.streams:][:a.streams], w.y[i*dim:][:dim]
		copy(news, w.x[i*dim:])
		kernel.Mix(news, 1, m.stream(w.predicted, a.active, n)[i*dim:], -1)
		for s := range a.streams {
			x := m.stream(w.streams, s, n)[i*dim:][:dim]
			copy(x, m.stream(w.predicted, s, n)[i*dim:])
			kernel.Mix(x, 1, news, 1+coefficient(t.correct[s], said))
		}
	})
}

// askRouter makes route of x: streams numbers from −1 to 1 for each token.
func (m *Model) askRouter(t *alternation, n int) {
	w := &m.work
	w.route = grown(w.route, n*m.altup.streams)
	m.normalise(t.routerNorm, n)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &t.router, Out: w.route})
	kernel.SoftCap(w.route, 1/float32(m.config.Dim), 1)
}

// addLaurel adds to x, and to what attention gave, the path beside it, which reads the same.
func (m *Model) addLaurel(x *laurel, n int) {
	w, dim := &m.work, m.config.Dim
	w.low = grown(w.low, n*x.down.Rows)
	w.in.Set(w.xn, n, dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.down, Out: w.low})
	w.in.Set(w.low, n, x.down.Rows)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &x.up, Out: w.y})
	m.pool.Run(n, func(i int) {
		y, stream := w.y[i*dim:][:dim], w.x[i*dim:][:dim]
		x.post.apply(y, y)
		kernel.Add(y, w.xn[i*dim:][:dim])
		kernel.Add(stream, y)
		kernel.Scale(stream, math.Sqrt2/2)
	})
}

// openStreams adds to all streams but the first what the active one opens of a layer's
// embedding.
func (m *Model) openStreams(index, n int) {
	w, a, l, dim := &m.work, &m.altup, &m.layers[index], m.config.Dim
	active := m.stream(w.streams, a.active, n)
	m.pool.Run(n, func(i int) {
		for d, scale := range l.alternation.scale {
			w.xn[i*dim+d] = active[i*dim+d] * scale
		}
	})
	m.opened(index, w.xn, n)
	m.pool.Run(n, func(i int) {
		y := w.y[i*dim:][:dim]
		l.opening.post.apply(y, y)
		for s := 1; s < a.streams; s++ {
			kernel.Add(m.stream(w.streams, s, n)[i*dim:][:dim], y)
		}
	})
}

// coefficient is the product of two short rows.
func coefficient(weights, said []float32) (sum float32) {
	for i, v := range said {
		sum += float32(weights[i] * v)
	}
	return sum
}

// meanSquare is that of x. The squares are exact, and added in order.
func meanSquare(x []float32) (mean float64) {
	for _, v := range x {
		mean += float64(v) * float64(v)
	}
	return mean / float64(len(x))
}

// lengthen makes the root of x's mean square length, if x is not as good as zero.
func lengthen(x []float32, length float64) {
	kernel.Scale(x, float32(length/math.Sqrt(max(meanSquare(x), shortest))))
}

// close takes away from the gates of a token what is not above the threshold, which is in
// deviations of a sample: so llama.cpp has it.
func (s sparsity) close(gates []float32) {
	// Every second gate adds to other sums than its neighbours, which need not wait for it.
	var sum, squares, sum2, squares2 float64
	for i := 1; i < len(gates); i += 2 {
		a, b := float64(gates[i-1]), float64(gates[i])
		sum, squares = sum+a, squares+a*a // which is exact, as it is of a float32
		sum2, squares2 = sum2+b, squares2+b*b
	}
	n := float64(len(gates))
	if len(gates)%2 == 1 {
		a := float64(gates[len(gates)-1])
		sum, squares = sum+a, squares+a*a
	}
	sum, squares = sum+sum2, squares+squares2
	variance := max(0, squares-float64(sum*sum)/n) / max(1, n-1)
	threshold := float32(sum/n) + float32(s.deviations*float32(math.Sqrt(variance)))
	for i, v := range gates {
		if v -= threshold; v < 0 {
			v = 0
		}
		gates[i] = v
	}
}
