package transformer

import (
	"math"

	"parley/internal/kernel"
)

// Embeddings of each layer (Gemma 3n and 4): a token has, besides the embedding that
// begins the stream, a short one for every layer, which its part of the stream opens
// at the layer's end.

// perLayer is the weights of it that are of the whole model; size 0: there are none.
type perLayer struct {
	size  int           // of a layer's embedding
	embed kernel.Matrix // (vocab, layers·size)
	from  kernel.Matrix // (layers·size, dim), from what begins the stream
	norm  *norm         // (size), of what that gives
}

// opening is the weights of it that are of one layer.
type opening struct {
	gate kernel.Matrix // (size, dim)
	out  kernel.Matrix // (dim, size)
	post *norm         // (dim)
}

func (l *loader) perLayer(c *Config) perLayer {
	p := perLayer{size: c.perLayer}
	if p.size == 0 {
		return p
	}
	p.embed = l.matrix("per_layer_token_embd.weight", c.Vocab, c.Layers*p.size)
	p.from = l.matrix("per_layer_model_proj.weight", c.Layers*p.size, c.Dim)
	p.norm = l.norm("per_layer_proj_norm", c.arch.traits, p.size)
	return p
}

func (l *loader) opening(p string, size, dim int, t traits) *opening {
	return &opening{
		gate: l.matrix(p+"inp_gate.weight", size, dim),
		out:  l.matrix(p+"proj.weight", dim, size),
		post: l.norm(p+"post_norm", t, dim),
	}
}

// embedPerLayer makes the embeddings of the layers from the tokens and the stream that
// they begin.
func (m *Model) embedPerLayer(n int) {
	w, p, dim := &m.work, &m.perLayer, m.config.Dim
	all := m.config.Layers * p.size
	w.each, w.full = grown(w.each, n*all), grown(w.full, n*all)
	w.in.Set(w.x, n, dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &p.from, Out: w.each})
	m.pool.Run(n, func(i int) {
		own, given := w.full[i*all:][:all], w.each[i*all:][:all]
		p.embed.Row(own, int(w.rows[i].token))
		kernel.Scale(own, float32(math.Sqrt(float64(p.size))))
		kernel.Scale(given, float32(1/math.Sqrt(float64(dim))))
		p.norm.apply(given, given)
		kernel.Add(given, own)
		kernel.Scale(given, math.Sqrt2/2)
	})
}

// open adds to the stream what it opens of a layer's embedding.
func (m *Model) open(index, n int) {
	m.opened(index, m.work.x, n)
	m.addToStream(nil, m.layers[index].opening.post, n)
}

// opened makes y what x opens of a layer's embedding.
func (m *Model) opened(index int, x []float32, n int) {
	w, o, size := &m.work, m.layers[index].opening, m.perLayer.size
	all := m.config.Layers * size
	w.gate = grown(w.gate, n*size)
	w.in.Set(x, n, m.config.Dim)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &o.gate, Out: w.gate})
	m.pool.Run(n, func(i int) { kernel.GeGLU(w.gate[i*size:][:size], w.each[i*all+index*size:][:size]) })
	w.in.Set(w.gate, n, size)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &o.out, Out: w.y})
}
