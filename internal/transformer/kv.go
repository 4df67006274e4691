package transformer

import "parley/internal/kernel"

// A KV is the keys and values of one sequence, F16, as far as it was computed. It
// grows by blocks of 64 tokens, some of which it may share with others. It belongs
// to the model that made it.
type KV struct {
	layout *kvLayout
	memory *memory
	length int
	// A page holds for each layer of the group the keys, then the values: for
	// each head, 64 rows of keyDim (valueDim) numbers.
	pages [groups][]*page
}

// A kvLayout says where things lie in a page.
type kvLayout struct {
	group        []int // of each layer
	keys, values []int // offset of each layer
	sizes        [groups]int
	layers       []layerSpec
}

func newKVLayout(specs []layerSpec) *kvLayout {
	l := &kvLayout{layers: specs}
	for _, s := range specs {
		group := seesAll
		if s.window > 0 {
			group = windowed
		}
		l.group = append(l.group, group)
		l.keys = append(l.keys, l.sizes[group])
		l.sizes[group] += s.kvHeads * s.keyDim * blockTokens * 2
		l.values = append(l.values, l.sizes[group])
		l.sizes[group] += s.kvHeads * s.valueDim * blockTokens * 2
	}
	return l
}

// NewKV makes an empty one.
func (m *Model) NewKV() *KV { return &KV{layout: m.kv, memory: &m.memory} }

// KVBytes is the memory that a KV of so many tokens takes alone.
func (m *Model) KVBytes(tokens int) (n int64) {
	for _, size := range m.kv.sizes {
		n += int64(blocksFor(tokens)) * int64(size)
	}
	return n
}

// Len is the number of tokens whose keys and values are held.
func (kv *KV) Len() int { return kv.length }

// Bytes is the memory taken, with what is shared.
func (kv *KV) Bytes() (n int64) {
	for g, pages := range kv.pages {
		for _, p := range pages {
			if p != nil {
				n += int64(kv.layout.sizes[g])
			}
		}
	}
	return n
}

// Truncate forgets all but the first n tokens, and the blocks behind. More than
// there are changes nothing.
func (kv *KV) Truncate(n int) {
	kv.length = min(kv.length, max(0, n))
	for g, pages := range kv.pages {
		kept := min(blocksFor(kv.length), len(pages))
		for _, p := range pages[kept:] {
			kv.memory.release(g, p)
		}
		clear(pages[kept:])
		kv.pages[g] = pages[:kept]
	}
}

// Release forgets everything. A KV that is used no more has to be released, or
// its memory counts as used.
func (kv *KV) Release() { kv.Truncate(0) }

// CopyPrefix makes kv hold the first n tokens of src, at most as many as src has.
// Whole blocks are shared.
func (kv *KV) CopyPrefix(src *KV, n int) {
	if kv.layout != src.layout {
		panic("transformer: keys and values of another model")
	}
	n = min(src.length, max(0, n))
	if kv == src {
		kv.Truncate(n)
		return
	}
	kv.Release()
	for i := range blocksFor(n) {
		b := src.Block(i)
		kv.Copy(b, min(blockTokens, n-kv.length))
		b.Release()
	}
}

func blocksFor(tokens int) int { return (tokens + blockTokens - 1) / blockTokens }

// reserve makes room for n tokens, in all of which behind those held one may write.
func (kv *KV) reserve(n int) {
	for g, size := range kv.layout.sizes {
		if size == 0 {
			continue
		}
		if last := kv.length / blockTokens; kv.length%blockTokens > 0 {
			kv.pages[g][last] = kv.memory.own(g, kv.pages[g][last])
		}
		for len(kv.pages[g]) < blocksFor(n) {
			kv.pages[g] = append(kv.pages[g], kv.memory.page(g))
		}
	}
}

// page is the memory of block i in a layer.
func (kv *KV) page(layer, i int) []byte { return kv.pages[kv.layout.group[layer]][i].bytes }

// put stores the keys and values of one position.
func (kv *KV) put(layer, position int, k, v []float32) {
	s, block, at := &kv.layout.layers[layer], kv.page(layer, position/blockTokens), position%blockTokens
	for h := range s.kvHeads {
		kernel.PutF16(kv.layout.keyRows(block, layer, h)[at*s.keyDim*2:], k[h*s.keyDim:][:s.keyDim])
		kernel.PutF16(kv.layout.valueRows(block, layer, h)[at*s.valueDim*2:], v[h*s.valueDim:][:s.valueDim])
	}
}

// keyRows are the keys of one head in a block, valueRows the values.
func (l *kvLayout) keyRows(block []byte, layer, head int) []byte {
	n := l.layers[layer].keyDim * blockTokens * 2
	return block[l.keys[layer]+head*n:][:n]
}

func (l *kvLayout) valueRows(block []byte, layer, head int) []byte {
	n := l.layers[layer].valueDim * blockTokens * 2
	return block[l.values[layer]+head*n:][:n]
}
