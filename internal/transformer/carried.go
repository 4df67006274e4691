package transformer

// What layers carry along, and where a sequence can go on.
//
// Keys and values of all positions are there, so that attention can go on behind any
// token. A short convolution knows no more of a sequence than its last columns (see
// convolution.go). These are kept
//
//   - at the end of each whole block, in a page of the group carried: the columns that
//     the next position needs, of each layer;
//   - of the end of the sequence, in a ring that the KV has for itself: as many more as
//     tokens may be taken back (Rewinds);
//   - of the end of a part of a block, in the Block that refers to it.
//
// So a sequence can go on behind nothing, behind a whole block, behind the part of a
// block that a Block was taken of, and behind any of its last tokens. Where it is to go
// on behind another place, it goes on behind the last whole block before it.

// Rewinds is how many of the tokens of a step may be taken back, such as those that
// were only proposed.
const Rewinds = 16

// Rewinds reports whether sequences can go on behind any of their tokens.
func (m *Model) Rewinds() bool { return m.memory.sizes[carried] == 0 && !m.HasStates() }

// A carriedLayout says where columns lie: for each layer that has some, and then for
// each position, a row.
type carriedLayout struct {
	order   []int // of each layer, among those that have columns
	layers  int   // that have some
	columns int   // that the next position needs
	dim     int
}

func newCarriedLayout(specs []layerSpec, dim int) (l carriedLayout) {
	l.dim = dim
	for _, s := range specs {
		l.order = append(l.order, l.layers)
		if s.taps > 0 {
			l.columns = s.taps - 1
			l.layers++
		}
	}
	return l
}

// sizes are the bytes of a page and of a ring.
func (l *carriedLayout) sizes() (page, ring int) {
	row := l.layers * l.dim * 4
	return row * l.columns, row * l.slots()
}

// slots is how many positions a ring holds.
func (l *carriedLayout) slots() int {
	if l.layers == 0 {
		return 0
	}
	return l.columns + Rewinds
}

// inPage and inRing are columns of a layer: the i-th of those that end a block, and that
// of a position.
func (l *carriedLayout) inPage(p *page, order, i int) []float32 {
	return p.floats[(order*l.columns+i)*l.dim:][:l.dim]
}

func (l *carriedLayout) inRing(p *page, order, position int) []float32 {
	return p.floats[(order*l.slots()+position%l.slots())*l.dim:][:l.dim]
}

// A columnStore is what one layer keeps of a sequence.
type columnStore struct {
	kv    *KV
	order int
}

func (kv *KV) columns(layer int) columnStore { return columnStore{kv, kv.layout.carried.order[layer]} }

// read gives the columns of n positions to into, elements from on; before the first
// token there are zeros.
func (s columnStore) read(into func(i int) []float32, position, n, from int) {
	for i := range n {
		if column := into(i); position+i < 0 {
			clear(column)
		} else {
			copy(column, s.kv.layout.carried.inRing(s.kv.ring, s.order, position+i)[from:])
		}
	}
}

// keep takes the columns of n positions, elements from on, of which the first are those
// that were read.
func (s columnStore) keep(column func(i int) []float32, position, n, from int) {
	l := &s.kv.layout.carried
	for end := (position + l.columns) / blockTokens * blockTokens; end <= position+n; end += blockTokens {
		if end <= position+l.columns {
			continue // it was there
		}
		for i := range l.columns {
			copy(l.inPage(s.kv.pages[carried][end/blockTokens-1], s.order, i)[from:], column(end-l.columns+i-position))
		}
	}
	for i := max(l.columns, n-l.slots()); i < n; i++ {
		copy(l.inRing(s.kv.ring, s.order, position+i)[from:], column(i))
	}
}

// Behind is the last place up to n, at most Len, behind which the sequence can go on.
func (kv *KV) Behind(n int) int {
	l := &kv.layout.carried
	switch {
	case !kv.seesWindow(n):
		return 0
	case kv.memory.sizes[whole] > 0:
		if n == kv.at {
			return n
		}
		return 0
	case l.layers == 0 || n == kv.length || n%blockTokens == 0:
		return n
	case kv.ring != nil && (kv.since == 0 || kv.since+l.columns <= n):
		return n
	}
	return n / blockTokens * blockTokens
}

// recall makes ready the ring of a sequence that goes on.
func (kv *KV) recall() {
	l := &kv.layout.carried
	if l.layers == 0 {
		return
	}
	if kv.ring == nil {
		kv.ring, kv.since = kv.memory.page(recent), kv.length
	}
	if from := max(0, kv.length-l.columns); kv.since > from {
		p := kv.tail
		if p == nil {
			p = kv.pages[carried][kv.length/blockTokens-1]
		}
		for order := range l.layers {
			for i := range l.columns {
				if position := kv.length - l.columns + i; position >= 0 {
					copy(l.inRing(kv.ring, order, position), l.inPage(p, order, i))
				}
			}
		}
		kv.since = from
	}
	kv.dropTail()
}

// forgetColumns follows the ring, which holds the last positions only.
func (kv *KV) forgetColumns() {
	if kv.ring != nil {
		kv.since = max(kv.since, kv.length-kv.layout.carried.slots())
	}
}

// ending is a page of the columns at the end of the sequence, inside a block.
func (kv *KV) ending() *page {
	if kv.tail != nil {
		share(kv.tail)
		return kv.tail
	}
	l := &kv.layout.carried
	p := kv.memory.page(carried)
	for order := range l.layers {
		for i := range l.columns {
			if position := kv.length - l.columns + i; position >= 0 {
				copy(l.inPage(p, order, i), l.inRing(kv.ring, order, position))
			}
		}
	}
	return p
}

func (kv *KV) dropTail() {
	kv.memory.release(carried, kv.tail)
	kv.tail = nil
}

func (kv *KV) dropRing() {
	kv.memory.release(recent, kv.ring)
	kv.ring = nil
}
