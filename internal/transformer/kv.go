package transformer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"parley/internal/kernel"
)

// A CacheType is how keys and values are stored.
type CacheType uint8

const (
	CacheF16  CacheType = iota
	CacheQ8_0           // half the memory, and keys are multiplied as bytes: a little is lost
)

// CacheTypes are their names, the usual one first.
var CacheTypes = []string{"f16", "q8_0"}

func (t CacheType) String() string { return CacheTypes[t] }

// ParseCacheType finds one by its name; "" is the usual one.
func ParseCacheType(name string) (CacheType, error) {
	i := slices.Index(CacheTypes, cmp.Or(name, CacheTypes[0]))
	if i < 0 {
		return 0, fmt.Errorf("keys and values cannot be stored as %q; supported: %s", name, strings.Join(CacheTypes, ", "))
	}
	return CacheType(i), nil
}

// A KV is the keys and values of one sequence, as far as it was computed. It
// grows by blocks of 64 tokens, some of which it may share with others. It belongs
// to the model that made it.
type KV struct {
	layout *kvLayout
	memory *memory
	length int
	// By group: a page each blockTokens positions, or none where layers that see a window will
	// not look at it any more (windows.go).
	pages [groups][]*page

	slid int // blocks from the first on whose pages of layers with a window were given up

	// Of layers that carry something along (carried.go):
	ring  *page // columns from the position since on; nil: none
	since int
	tail  *page // columns at the end of a part of a block with which nobody has gone on yet

	// Of layers with large state (state.go):
	state *page
	at    int // behind how many tokens it is
}

// A kvLayout says where things lie in a page: for each layer of its group the keys,
// then the values, of each head what follows, in panels as kernel.AddPanels wants them.
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
//
// That is F16. In Q8_0 panels are alike, and kernel.PutQ8_0Key and its neighbours say
// where scales and bytes lie.
type kvLayout struct {
	kind         CacheType
	group        []int // of each layer
	keys, values []int // offset of each layer
	sizes        [kinds]int
	layers       []layerSpec
	carried      carriedLayout
	states       []int  // offset of each layer's state
	window       window // of layers with one
}

func newKVLayout(specs []layerSpec, dim int, kind CacheType) *kvLayout {
	l := &kvLayout{kind: kind, layers: specs, carried: newCarriedLayout(specs, dim)}
	l.sizes[carried], l.sizes[recent] = l.carried.sizes()
	for i, s := range specs {
		l.states = append(l.states, l.sizes[whole]/4)
		l.sizes[whole] += s.stateFloats() * 4
		group := seesAll
		if s.window.tokens > 0 {
			group, l.window = windowed, s.window
		}
		l.group = append(l.group, group)
		if s.source != i {
			l.keys, l.values = append(l.keys, l.keys[s.source]), append(l.values, l.values[s.source])
			continue
		}
		l.keys = append(l.keys, l.sizes[group])
		l.sizes[group] += s.kvHeads * l.keyBytes(i)
		l.values = append(l.values, l.sizes[group])
		l.sizes[group] += s.kvHeads * l.valueBytes(i)
	}
	return l
}

const panelColumns = kernel.PanelColumns

// keyBytes and valueBytes are what one head takes in a page.
func (l *kvLayout) keyBytes(layer int) int {
	if l.kind == CacheQ8_0 {
		return blockTokens / panelColumns * kernel.Q8_0KeyPanel(l.layers[layer].keyDim)
	}
	return l.layers[layer].keyDim * blockTokens * 2
}

func (l *kvLayout) valueBytes(layer int) int {
	if l.kind == CacheQ8_0 {
		return kernel.Q8_0Values(l.layers[layer].valueDim)
	}
	return l.valueStride(layer) * blockTokens * 2
}

// valueStride is valueDim, filled up to whole panels.
func (l *kvLayout) valueStride(layer int) int {
	n := panelColumns
	if l.kind == CacheQ8_0 {
		n *= 2
	}
	return (l.layers[layer].valueDim + n - 1) / n * n
}

// keysOf and valuesOf are those of one head in a page.
func (l *kvLayout) keysOf(page []byte, layer, head int) []byte {
	n := l.keyBytes(layer)
	return page[l.keys[layer]+head*n:][:n]
}

func (l *kvLayout) valuesOf(page []byte, layer, head int) []byte {
	n := l.valueBytes(layer)
	return page[l.values[layer]+head*n:][:n]
}

// multiply writes to out the products of queries with the keys of one page.
func (l *kvLayout) multiply(out kernel.Rows, q *queries, keys []byte, layer int, next []byte) {
	if l.kind == CacheQ8_0 {
		kernel.DotQ8_0Keys(out, &q.bytes, keys, blockTokens/panelColumns, next)
		return
	}
	dim := l.layers[layer].keyDim
	kernel.MultiplyPanels(out, kernel.Rows{Data: q.floats, Stride: dim, Count: out.Count}, kernel.Panels{
		Data: keys, PanelBytes: dim * kernel.F16PanelRow, Rows: dim, Count: blockTokens / panelColumns, Next: next,
	})
}

// add adds to out the values of positions of one page, from and up to, each times its
// weight; weights has one for each position of the page.
func (l *kvLayout) add(out, weights kernel.Rows, values []byte, layer, from, to int, next []byte) {
	if l.kind == CacheQ8_0 {
		kernel.AddQ8_0Values(out, weights, values, from, to, next)
		return
	}
	weights.Data = weights.Data[from:]
	kernel.AddPanels(out, weights, kernel.Panels{
		Data:       values[from*kernel.F16PanelRow:],
		PanelBytes: blockTokens * kernel.F16PanelRow, Rows: to - from, Count: l.valueStride(layer) / panelColumns, Next: next,
	})
}

// NewKV makes an empty one.
func (m *Model) NewKV() *KV { return &KV{layout: m.kv, memory: &m.memory} }

// CacheType is how the model's keys and values are stored.
func (m *Model) CacheType() CacheType { return m.kv.kind }

// KVBytes is the memory that a KV of so many tokens takes alone, if it grows by MostRead tokens
// at a time at most, and the blocks that others may refer to; of no tokens, what it takes
// besides blocks.
func (m *Model) KVBytes(tokens int) int64 {
	n := int64(m.kv.sizes[recent] + m.kv.sizes[whole])
	for g, size := range m.kv.sizes[:groups] {
		blocks := blocksFor(tokens)
		if g == windowed {
			blocks = min(blocks, m.kv.windowBlocks())
		}
		n += int64(blocks) * int64(size)
	}
	return n
}

// KVRead is how many bytes of keys and values a token behind so many others reads.
func (m *Model) KVRead(tokens int) (n int64) {
	for i, s := range m.kv.layers {
		seen := tokens - s.window.first(tokens)
		n += int64(s.kvHeads) * int64(m.kv.keyBytes(i)+m.kv.valueBytes(i)) * int64(seen) / blockTokens
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
	if kv.ring != nil {
		n += int64(kv.layout.sizes[recent])
	}
	if kv.state != nil {
		n += int64(kv.layout.sizes[whole])
	}
	return n
}

// Truncate forgets all but the first n tokens, and the blocks behind. More than
// there are changes nothing. Where the sequence could not go on behind them (see Behind), it
// forgets more.
func (kv *KV) Truncate(n int) {
	if n = max(0, n); n < kv.length {
		if kv.length = kv.Behind(n); kv.length == 0 {
			kv.dropState()
		}
		kv.since = min(kv.since, kv.length)
		kv.slid = min(kv.slid, blocksFor(kv.length))
		kv.dropTail()
	}
	for g, pages := range kv.pages {
		kept := min(kv.pagesFor(g, kv.length), len(pages))
		for _, p := range pages[kept:] {
			kv.memory.release(g, p)
		}
		clear(pages[kept:])
		kv.pages[g] = pages[:kept]
	}
}

// Release forgets everything. A KV that is used no more has to be released, or
// its memory counts as used.
func (kv *KV) Release() {
	kv.Truncate(0)
	kv.dropRing()
	kv.dropState()
}

// CopyPrefix makes kv hold the first n tokens of src, at most as many as src has, or
// fewer as in Truncate. Whole blocks are shared.
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
	if kv.memory.sizes[whole] > 0 {
		if n == src.length && n > 0 {
			kv.copyWhole(src)
		}
		return
	}
	for i := range blocksFor(n) {
		b := src.Block(i)
		kv.Copy(b, min(blockTokens, n-kv.length))
		b.Release()
	}
	if !kv.seesWindow(kv.length) {
		kv.Release()
	}
}

// pagesFor is how many pages of a group there are for so many tokens.
func (kv *KV) pagesFor(group, tokens int) int {
	if group == carried {
		return tokens / blockTokens
	}
	return blocksFor(tokens)
}

func blocksFor(tokens int) int { return (tokens + blockTokens - 1) / blockTokens }

// reserve makes room for n tokens, in all of which behind those held one may write.
func (kv *KV) reserve(n int) {
	kv.recall()
	kv.ownState()
	for g, size := range kv.layout.sizes[:groups] {
		if size == 0 {
			continue
		}
		if last := kv.length / blockTokens; kv.length%blockTokens > 0 && g != carried {
			kv.pages[g][last] = kv.memory.own(g, kv.pages[g][last])
		}
		for len(kv.pages[g]) < kv.pagesFor(g, n) {
			kv.pages[g] = append(kv.pages[g], kv.memory.page(g))
		}
	}
}

// page is the memory of block i in a layer.
func (kv *KV) page(layer, i int) []byte { return kv.pages[kv.layout.group[layer]][i].bytes }

// put stores the keys and values of one position.
func (kv *KV) put(layer, position int, k, v []float32) {
	l := kv.layout
	s, page, at := &l.layers[layer], kv.page(layer, position/blockTokens), position%blockTokens
	panel, column := at/panelColumns, at%panelColumns
	for h := range s.kvHeads {
		k, v := k[h*s.keyDim:][:s.keyDim], v[h*s.valueDim:][:s.valueDim]
		keys, values := l.keysOf(page, layer, h), l.valuesOf(page, layer, h)
		keys = keys[panel*len(keys)/(blockTokens/panelColumns):]
		if l.kind == CacheQ8_0 {
			kernel.PutQ8_0Key(keys, column, k)
			kernel.PutQ8_0Value(values, at, v)
			continue
		}
		putColumn(keys[2*column:], k)
		for d := 0; d < len(v); d += panelColumns {
			kernel.PutF16(values[(d/panelColumns*blockTokens+at)*kernel.F16PanelRow:], v[d:min(d+panelColumns, len(v))])
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
