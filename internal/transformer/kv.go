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
	blocks [][]byte
}

// A kvLayout says where things lie in a block: for each layer the keys, then the
// values, of each head what follows, in panels as kernel.AddPanels wants them.
//
//	keys: 4 panels, of 16 positions each      values: a panel for each 16 elements
//
//	row 0           element 0 of 16 positions      row 0           16 elements of position 0
//	row 1           element 1                      row 1           of position 1
//	row keyDim−1    the last element               row 63          of position 63
//
// So products of a query with positions, and sums of values over positions, run over
// rows, with 16 of their results in a register. The last panel of values is filled
// up with zeros.
type kvLayout struct {
	keys, values []int // offset of each layer
	size         int
	layers       []layerSpec
}

func newKVLayout(specs []layerSpec) *kvLayout {
	l := &kvLayout{layers: specs}
	for i, s := range specs {
		l.keys = append(l.keys, l.size)
		l.size += s.kvHeads * l.keyBytes(i)
		l.values = append(l.values, l.size)
		l.size += s.kvHeads * l.valueBytes(i)
	}
	return l
}

const panelColumns = kernel.PanelColumns

// keyBytes and valueBytes are what one head takes in a block.
func (l *kvLayout) keyBytes(layer int) int   { return l.layers[layer].keyDim * blockTokens * 2 }
func (l *kvLayout) valueBytes(layer int) int { return l.valueStride(layer) * blockTokens * 2 }

// valueStride is valueDim, filled up to whole panels.
func (l *kvLayout) valueStride(layer int) int {
	return (l.layers[layer].valueDim + panelColumns - 1) / panelColumns * panelColumns
}

// keys are the keys of one head in a block.
func (l *kvLayout) keysOf(block []byte, layer, head int) kernel.Panels {
	dim := l.layers[layer].keyDim
	return kernel.Panels{
		Data: block[l.keys[layer]+head*l.keyBytes(layer):], PanelBytes: dim * kernel.F16PanelRow,
		Rows: dim, Count: blockTokens / panelColumns,
	}
}

// valuesOf are the values of one head in a block, of so many positions from one on.
func (l *kvLayout) valuesOf(block []byte, layer, head, from, count int) kernel.Panels {
	return kernel.Panels{
		Data:       block[l.values[layer]+head*l.valueBytes(layer)+from*kernel.F16PanelRow:],
		PanelBytes: blockTokens * kernel.F16PanelRow, Rows: count, Count: l.valueStride(layer) / panelColumns,
	}
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

// page is the memory of a layer's positions from 64·i on.
func (kv *KV) page(layer, i int) []byte { return kv.blocks[i] }

// put stores the keys and values of one position.
func (kv *KV) put(layer, position int, k, v []float32) {
	l := kv.layout
	s, block, at := &l.layers[layer], kv.page(layer, position/blockTokens), position%blockTokens
	for h := range s.kvHeads {
		keys := l.keysOf(block, layer, h)
		putColumn(keys.Data[at/panelColumns*keys.PanelBytes+at%panelColumns*2:], k[h*s.keyDim:][:s.keyDim])
		values := l.valuesOf(block, layer, h, at, 1)
		for d := 0; d < s.valueDim; d += panelColumns {
			kernel.PutF16(values.Data[d/panelColumns*values.PanelBytes:], v[h*s.valueDim+d:][:min(panelColumns, s.valueDim-d)])
		}
	}
}

// putColumn stores x down a column of a panel.
func putColumn(column []byte, x []float32) {
	var half [128]byte
	for i := 0; i < len(x); i += len(half) / 2 {
		part := x[i:min(i+len(half)/2, len(x))]
		kernel.PutF16(half[:], part)
		for j := range part {
			copy(column[(i+j)*kernel.F16PanelRow:], half[2*j:2*j+2])
		}
	}
}
