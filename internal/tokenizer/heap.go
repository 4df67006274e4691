package tokenizer

// entry is what a heap holds: a key, smallest first, and what the key is about.
type entry struct {
	key         uint64
	right, size int32 // of a merge: the right symbol, and the bytes that both have
	id          int32
}

// heap is a binary heap of entries, the smallest key first. It is written out because container/heap
// allocates for each entry, and a megabyte of text makes a million of them.
type heap []entry

func (h heap) init() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h *heap) push(e entry) {
	*h = append(*h, e)
	x := *h
	i := len(x) - 1
	for i > 0 && x[(i-1)/2].key > e.key {
		x[i] = x[(i-1)/2]
		i = (i - 1) / 2
	}
	x[i] = e
}

func (h *heap) pop() entry {
	x := *h
	top := x[0]
	last := len(x) - 1
	x[0] = x[last]
	*h = x[:last]
	if last > 0 {
		(*h).down(0)
	}
	return top
}

func (h heap) down(i int) {
	e := h[i]
	for {
		kid := 2*i + 1
		if kid >= len(h) {
			break
		}
		if kid+1 < len(h) && h[kid+1].key < h[kid].key {
			kid++
		}
		if e.key <= h[kid].key {
			break
		}
		h[i] = h[kid]
		i = kid
	}
	h[i] = e
}
