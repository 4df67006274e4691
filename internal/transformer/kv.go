package transformer

import "parley/internal/kernel"

// blockTokens is the number of positions of one block of keys and values.
const blockTokens = 64

// A KV is the keys and values of one sequence, F16, as far as it was computed. It
// grows by blocks of 64 tokens. It belongs to the model that made it, and is for
// one goroutine at a time.
type KV struct {
	layout *kvLayout
	length int
	// A block holds for each layer the keys, then the values: for each head,
	// 64 rows of keyDim (valueDim) numbers.
	blocks [][]byte
}

// A kvLayout says where things lie in a block.
type kvLayout struct {
	keys, values []int // offset of each layer
	size         int
	layers       []layerSpec
}

func newKVLayout(specs []layerSpec) *kvLayout {
	l := &kvLayout{layers: specs}
	for _, s := range specs {
		l.keys = append(l.keys, l.size)
		l.size += s.kvHeads * s.keyDim * blockTokens * 2
		l.values = append(l.values, l.size)
		l.size += s.kvHeads * s.valueDim * blockTokens * 2
	}
	return l
}

// NewKV makes an empty one.
func (m *Model) NewKV() *KV { return &KV{layout: m.kv} }

// KVBytes is the memory that a KV of so many tokens takes.
func (m *Model) KVBytes(tokens int) int64 { return int64(blocksFor(tokens)) * int64(m.kv.size) }

// Len is the number of tokens whose keys and values are held.
func (kv *KV) Len() int { return kv.length }

// Bytes is the memory taken.
func (kv *KV) Bytes() int64 { return int64(len(kv.blocks)) * int64(kv.layout.size) }

// Truncate forgets all but the first n tokens, and frees the blocks behind. More
// than there are changes nothing.
func (kv *KV) Truncate(n int) {
	kv.length = min(kv.length, max(0, n))
	kept := blocksFor(kv.length)
	clear(kv.blocks[kept:])
	kv.blocks = kv.blocks[:kept]
}

// CopyPrefix makes kv hold the first n tokens of src, at most as many as src has,
// in memory of its own. Both are of one model.
func (kv *KV) CopyPrefix(src *KV, n int) {
	if kv.layout != src.layout {
		panic("transformer: keys and values of another model")
	}
	n = min(src.length, max(0, n))
	if kv == src {
		kv.Truncate(n)
		return
	}
	kv.length = 0
	kv.reserve(n)
	kv.length = n
	kv.Truncate(n)
	for i, b := range kv.blocks {
		copy(b, src.blocks[i])
	}
}

func blocksFor(tokens int) int { return (tokens + blockTokens - 1) / blockTokens }

// reserve makes room for n tokens.
func (kv *KV) reserve(n int) {
	for len(kv.blocks) < blocksFor(n) {
		kv.blocks = append(kv.blocks, make([]byte, kv.layout.size))
	}
}

// put stores the keys and values of one position.
func (kv *KV) put(layer, position int, k, v []float32) {
	s, block, at := &kv.layout.layers[layer], kv.blocks[position/blockTokens], position%blockTokens
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
