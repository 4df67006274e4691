package transformer

import (
	"sync"

	"parley/internal/gguf"
	"parley/internal/kernel"
)

// pack lays the weights out for multiplication, a layer at a time, and lets the
// operating system have the pages of the file back: they are not read again, but for rows of
// the embedding. Meanwhile the file is read from its beginning to its end.
func (m *Model) pack(f *gguf.File) error {
	groups := [][]*kernel.Matrix{{&m.output, &m.perLayer.from}}
	for i := range m.altup.from {
		groups[0] = append(groups[0], &m.altup.from[i], &m.altup.to[i])
	}
	for i := range m.layers {
		groups = append(groups, m.layers[i].matrices())
	}
	var asked sync.WaitGroup
	asked.Go(f.ReadAhead)
	defer asked.Wait()
	var err error
	m.packed, err = kernel.Pack(m.pool, groups, f.Forget)
	return err
}

// matrices are all of a layer that are multiplied.
func (l *layer) matrices() []*kernel.Matrix {
	list := l.fixed()
	for i := range l.experts {
		list = append(list, l.experts[i].matrices()...)
	}
	return list
}

// fixed are the matrices that every token meets: all but the experts.
func (l *layer) fixed() []*kernel.Matrix {
	list := []*kernel.Matrix{&l.q, &l.k, &l.v, &l.o, &l.gate, &l.router, &l.narrow, &l.widen, &l.sharedGate}
	if l.latent != nil {
		list = append(list, l.latent.matrices()...)
	}
	if l.convolution != nil {
		list = append(list, &l.convolution.in, &l.convolution.out)
	}
	if l.mamba != nil {
		list = append(list, &l.mamba.in, &l.mamba.out)
	}
	if l.mamba1 != nil {
		list = append(list, l.mamba1.matrices()...)
	}
	if l.delta != nil {
		list = append(list, l.delta.matrices()...)
	}
	if l.rwkv != nil {
		list = append(list, l.rwkv.matrices()...)
	}
	if l.channels != nil {
		list = append(list, &l.channels.receptance)
	}
	if l.shared != nil {
		list = append(list, l.shared.matrices()...)
	}
	if l.opening != nil {
		list = append(list, &l.opening.gate, &l.opening.out)
	}
	if l.laurel != nil {
		list = append(list, &l.alternation.router, &l.laurel.down, &l.laurel.up)
	}
	return list
}

func (e *expert) matrices() []*kernel.Matrix {
	return []*kernel.Matrix{&e.gate, &e.up, &e.down}
}
