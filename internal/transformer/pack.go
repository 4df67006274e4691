package transformer

import (
	"parley/internal/gguf"
	"parley/internal/kernel"
)

// pack lays the weights out for multiplication, a layer at a time, and lets the
// operating system have the pages of the file back: they are not read again, but for rows of
// the embedding.
func (m *Model) pack(f *gguf.File) error {
	groups := [][]*kernel.Matrix{{&m.output, &m.perLayer.from}}
	for i := range m.layers {
		groups = append(groups, m.layers[i].matrices())
	}
	var err error
	m.packed, err = kernel.Pack(m.pool, groups, f.Forget)
	return err
}

// matrices are all of a layer that are multiplied.
func (l *layer) matrices() []*kernel.Matrix {
	list := []*kernel.Matrix{&l.q, &l.k, &l.v, &l.o, &l.router, &l.sharedGate}
	if l.latent != nil {
		l.latent.each(func(w *kernel.Matrix) { list = append(list, w) })
	}
	if l.convolution != nil {
		list = append(list, &l.convolution.in, &l.convolution.out)
	}
	if l.mamba != nil {
		list = append(list, &l.mamba.in, &l.mamba.out)
	}
	if l.delta != nil {
		list = append(list, l.delta.matrices()...)
	}
	ask := func(e *expert) { list = append(list, &e.gate, &e.up, &e.down) }
	for i := range l.experts {
		ask(&l.experts[i])
	}
	if l.shared != nil {
		ask(l.shared)
	}
	if l.opening != nil {
		list = append(list, &l.opening.gate, &l.opening.out)
	}
	return list
}
