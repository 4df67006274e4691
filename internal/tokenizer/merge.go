package tokenizer

// symbol is a piece of text that merging has come to. Symbols form a list, so that a merge costs
// the same wherever it happens.
type symbol struct {
	at, n      int32 // bytes of the text; n is 0 once it has become part of its left neighbour
	prev, next int32 // -1 at the ends
	id         int32 // what the encoder knows it by, or -1
}

// merger joins neighbouring symbols, the best pair first, until none fits: both kinds of
// vocabulary do that and differ in what is best. Its memory is used again from text to text.
type merger struct {
	symbols []symbol
	queue   heap
}

// reset begins a text.
func (m *merger) reset() {
	m.symbols, m.queue = m.symbols[:0], m.queue[:0]
}

// add appends a symbol.
func (m *merger) add(at, n, id int32) {
	i := int32(len(m.symbols))
	if i > 0 {
		m.symbols[i-1].next = i
	}
	m.symbols = append(m.symbols, symbol{at: at, n: n, prev: i - 1, next: -1, id: id})
}

// run merges. pair says what two neighbours would become and how good that is, smaller being
// better; equally good pairs are merged from left to right.
func (m *merger) run(pair func(left, right *symbol) (id int32, rank uint32, ok bool)) {
	entryOf := func(left, right int32) (entry, bool) {
		if left < 0 || right < 0 {
			return entry{}, false
		}
		l, r := &m.symbols[left], &m.symbols[right]
		id, rank, ok := pair(l, r)
		return entry{key: uint64(rank)<<32 | uint64(left), right: right, size: l.n + r.n, id: id}, ok
	}
	for i := 1; i < len(m.symbols); i++ {
		if e, ok := entryOf(int32(i-1), int32(i)); ok {
			m.queue = append(m.queue, e)
		}
	}
	m.queue.init()
	for len(m.queue) > 0 {
		e := m.queue.pop()
		left := int32(e.key & (1<<32 - 1))
		l, r := &m.symbols[left], &m.symbols[e.right]
		if l.n == 0 || r.n == 0 || l.n+r.n != e.size {
			continue // one of the two has been merged since
		}
		l.n, l.id, l.next = e.size, e.id, r.next
		r.n = 0
		if l.next >= 0 {
			m.symbols[l.next].prev = left
		}
		if e, ok := entryOf(l.prev, left); ok {
			m.queue.push(e)
		}
		if e, ok := entryOf(left, l.next); ok {
			m.queue.push(e)
		}
	}
}
