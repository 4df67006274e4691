package transformer

import (
	"math"
	"sync/atomic"

	"parley/internal/kernel"
)

// Attention: what a query sees is softmax(q·k·scale − slope·distance) over the positions up to its
// token's own that its layer sees, times v; most models have no slopes.
//
// Positions are cut into spans, always at the same places. For each query and span there
// is a view: the largest product, the exponentials of all relative to it, added up,
// and the values, each times its exponential, added from the first position on. The
// views of a query are folded from the first span on. So nothing shows in the sums of how
// many queries look at a span together (a tile of tokens does, with all heads that a
// key/value head serves, so that what is stored is read once for all of them), or of
// whether the spans are looked at one after the other or on several threads at once.

const (
	spanTokens = 256 // a multiple of blockTokens
	// scoreStride is the room of one row of products: a span, and apart from the row
	// behind it by more than a power of two, so that they do not meet in the same places
	// of the cache.
	scoreStride = spanTokens + kernel.PanelColumns
	// tileRows are the queries that look together, if there are so many.
	tileRows = 64
	// splitTokens are the tokens of a tile whose spans are shared among threads.
	splitTokens = 4
)

// A tile is tokens of one sequence, one after the other, in a batch.
type tile struct {
	kv       *KV
	first    int // row of the batch
	tokens   int
	position int // of the first
	// Where the spans are shared among threads:
	views int            // where their views begin in buffers.views
	left  []atomic.Int32 // for each key/value head, the portions that are not done
}

// A portion is some spans of a tile, for one key/value head: all that it sees, or some.
type portion struct {
	tile, head int
	from, to   int // spans
	all        bool
}

// spans are those that the tile's tokens see, from and up to.
func (t *tile) spans(s *layerSpec) (from, to int) {
	first, _ := t.sees(s, 0)
	return first / spanTokens, (t.position+t.tokens-1)/spanTokens + 1
}

// sees are the positions that a token of the tile sees, from and up to.
func (t *tile) sees(s *layerSpec, token int) (from, to int) {
	before := t.position + token
	return s.window.first(before), before + 1
}

// A view is what queries see of one span, or of several folded.
type view struct {
	largest, sum []float32 // of each query; nothing was seen where the sum is zero
	values       []float32 // of each query, stride numbers
	stride       int
}

func viewSize(rows, stride int) int { return rows * (stride + 2) }

func viewOf(room []float32, rows, stride int) view {
	return view{room[:rows], room[rows : 2*rows], room[2*rows : rows*(stride+2)], stride}
}

// empty makes it a view of nothing.
func (v *view) empty() {
	for r := range v.largest {
		v.largest[r] = float32(math.Inf(-1))
	}
	clear(v.sum)
	clear(v.values)
}

// fold adds the view of the next span.
func (v *view) fold(next view) {
	for r, sum := range next.sum {
		if sum == 0 {
			continue
		}
		values, more := v.values[r*v.stride:][:v.stride], next.values[r*v.stride:][:v.stride]
		if largest := next.largest[r]; largest > v.largest[r] {
			c := kernel.Exp(v.largest[r] - largest)
			v.largest[r], v.sum[r] = largest, float32(v.sum[r]*c)+sum
			kernel.Mix(values, c, more, 1)
		} else {
			c := kernel.Exp(largest - v.largest[r])
			v.sum[r] += float32(sum * c)
			kernel.Mix(values, 1, more, c)
		}
	}
}

// attend writes to seen what the batch's tokens see in a layer.
func (m *Model) attend(index int) {
	w, l := &m.work, &m.layers[index]
	s := &l.spec
	w.cut(s, m.kv.valueStride(index), m.pool.Threads())
	m.pool.Run(len(w.portions), func(i int) {
		p := &w.portions[i]
		t := &w.tiles[p.tile]
		group, stride := s.heads/s.kvHeads, m.kv.valueStride(index)
		rows := t.tokens * group
		size := viewSize(rows, stride)
		desk := m.desk(rows*(s.keyDim+scoreStride) + 2*size)
		defer m.desks.Put(desk)
		q := &desk.queries
		q.floats, desk.scores = desk.room[:rows*s.keyDim], desk.room[rows*s.keyDim:][:rows*scoreStride]
		for r := range rows {
			token, head := t.first+r/group, p.head*group+r%group
			copy(q.floats[r*s.keyDim:][:s.keyDim], w.q[(token*s.heads+head)*s.keyDim:])
		}
		if m.kv.kind == CacheQ8_0 {
			q.bytes.Set(q.floats, s.keyDim, rows)
		}
		rest := desk.room[rows*(s.keyDim+scoreStride):]
		all, one := viewOf(rest, rows, stride), viewOf(rest[size:], rows, stride)
		if p.all {
			all.empty()
			for span := p.from; span < p.to; span++ {
				m.look(index, t, p.head, span, desk, one)
				all.fold(one)
			}
			m.finish(l, t, p.head, all)
			return
		}
		from, to := t.spans(s)
		views := w.views[t.views+p.head*(to-from)*size:]
		for span := p.from; span < p.to; span++ {
			m.look(index, t, p.head, span, desk, viewOf(views[(span-from)*size:], rows, stride))
		}
		if t.left[p.head].Add(-1) > 0 {
			return
		}
		all.empty()
		for span := range to - from {
			all.fold(viewOf(views[span*size:], rows, stride))
		}
		m.finish(l, t, p.head, all)
	})
}

// cut makes tiles of the rows, and portions of the tiles for threads.
func (w *buffers) cut(s *layerSpec, stride, threads int) {
	w.tiles, w.portions = w.tiles[:0], w.portions[:0]
	group := s.heads / s.kvHeads
	most := max(1, tileRows/group)
	for i, r := range w.rows {
		if n := len(w.tiles); n > 0 && w.tiles[n-1].kv == r.kv && w.tiles[n-1].tokens < most {
			w.tiles[n-1].tokens++
			continue
		}
		w.tiles = append(w.tiles, tile{kv: r.kv, first: i, tokens: 1, position: r.position})
	}
	room, counters, spans := 0, 0, 0
	for i := range w.tiles {
		t := &w.tiles[i]
		if from, to := t.spans(s); t.tokens <= splitTokens && to-from > 1 {
			t.views = room
			room += s.kvHeads * (to - from) * viewSize(t.tokens*group, stride)
			counters += s.kvHeads
			spans += s.kvHeads * (to - from)
		}
	}
	w.views = grown(w.views, room)
	w.left = grown(w.left, counters)
	left := w.left
	// A few portions for each thread are enough to keep all of them busy to the end.
	each := max(1, spans/(16*threads))
	for i := range w.tiles {
		t := &w.tiles[i]
		from, to := t.spans(s)
		if t.tokens > splitTokens || to-from == 1 {
			for head := range s.kvHeads {
				w.portions = append(w.portions, portion{i, head, from, to, true})
			}
			continue
		}
		t.left, left = left[:s.kvHeads], left[s.kvHeads:]
		for head := range s.kvHeads {
			t.left[head].Store(int32((to - from + each - 1) / each))
			for at := from; at < to; at += each {
				w.portions = append(w.portions, portion{i, head, at, min(at+each, to), false})
			}
		}
	}
}

// look makes the view that a tile's queries have of one span.
func (m *Model) look(index int, t *tile, head, span int, d *desk, v view) {
	l := &m.layers[index]
	s := &l.spec
	group, start := s.heads/s.kvHeads, span*spanTokens
	rows := t.tokens * group
	// What any of the tokens sees: the first sees the earliest, the last the latest.
	low, _ := t.sees(s, 0)
	low = max(low, start)
	high := min(start+spanTokens, t.position+t.tokens)
	keys := func(block int) []byte { return m.kv.keysOf(t.kv.page(index, block), index, head) }
	values := func(block int) []byte { return m.kv.valuesOf(t.kv.page(index, block), index, head) }
	scores := d.scores
	for block := low / blockTokens; block*blockTokens < high; block++ {
		var next []byte
		if (block+1)*blockTokens < high {
			next = keys(block + 1)
		} else {
			next = values(low / blockTokens)
		}
		m.kv.multiply(kernel.Rows{Data: scores[block*blockTokens-start:], Stride: scoreStride, Count: rows}, &d.queries, keys(block), index, next)
	}
	for r := range rows {
		from, to := t.sees(s, r/group)
		slope := float32(0)
		if l.slopes != nil {
			slope = l.slopes[head*group+r%group]
		}
		last := min(to, start+spanTokens)
		v.largest[r], v.sum[r] = exponentials(scores[r*scoreStride:][:spanTokens], max(from-start, 0), last-start, s, slope)
		v.largest[r] -= float32(slope * float32(to-last))
	}
	clear(v.values)
	add := func(first, count, block, from, to int) {
		from, to = max(from, block*blockTokens), min(to, (block+1)*blockTokens)
		if from >= to {
			return
		}
		var next []byte
		if (block+1)*blockTokens < high {
			next = values(block + 1)
		}
		m.kv.add(kernel.Rows{Data: v.values[first*group*v.stride:], Stride: v.stride, Count: count * group},
			kernel.Rows{Data: scores[first*group*scoreStride+block*blockTokens-start:], Stride: scoreStride, Count: count * group},
			values(block), index, from-block*blockTokens, to-block*blockTokens, next)
	}
	for block := low / blockTokens; block*blockTokens < high; block++ {
		_, shared := t.sees(s, 0)
		last, _ := t.sees(s, t.tokens-1)
		if last <= block*blockTokens && shared >= (block+1)*blockTokens {
			add(0, t.tokens, block, start, high)
			continue
		}
		for token := range t.tokens {
			from, to := t.sees(s, token)
			add(token, 1, block, from, to)
		}
	}
}

// exponentials makes of a row of products their exponentials, from and up to. Distances count from
// the last of them.
func exponentials(row []float32, from, to int, s *layerSpec, slope float32) (largest, sum float32) {
	none := float32(math.Inf(-1))
	if from >= to {
		return none, 0
	}
	scale := s.scale
	if s.cap > 0 {
		kernel.SoftCap(row[from:to], s.scale, s.cap)
		scale = 1
	}
	if slope > 0 {
		slant(row[from:to], scale, slope)
		scale = 1
	}
	// Registers are filled up with what disappears.
	const width = kernel.PanelColumns
	low, high := from/width*width, (to+width-1)/width*width
	for i := low; i < from; i++ {
		row[i] = none
	}
	for i := to; i < high; i++ {
		row[i] = none
	}
	largest, sum = kernel.Exponentials(row[low:high], scale)
	return largest * scale, sum
}

// finish writes what the tile's queries see. A sink takes its share like a position of
// which the product is known, and gives nothing.
func (m *Model) finish(l *layer, t *tile, head int, v view) {
	s := &l.spec
	group := s.heads / s.kvHeads
	for r, sum := range v.sum {
		query := head*group + r%group
		scale := 1 / sum
		if l.sinks != nil {
			largest := max(v.largest[r], l.sinks[query])
			c := kernel.Exp(v.largest[r] - largest)
			scale = c / (float32(sum*c) + kernel.Exp(l.sinks[query]-largest))
		}
		out := m.work.seen[((t.first+r/group)*s.heads+query)*s.valueDim:][:s.valueDim]
		copy(out, v.values[r*v.stride:])
		kernel.Scale(out, scale)
	}
}

// A desk is what one thread needs to look at spans.
type desk struct {
	room    []float32
	queries queries
	scores  []float32 // a row for each query
}

// queries are rows of one head's queries, as bytes too where keys are.
type queries struct {
	floats []float32
	bytes  kernel.Queries
}

// desk has room for n numbers, and is given back to m.desks.
func (m *Model) desk(n int) *desk {
	d, _ := m.desks.Get().(*desk)
	if d == nil {
		d = new(desk)
	}
	if cap(d.room) < n {
		d.room = make([]float32, n, n+n/4)
	}
	d.room = d.room[:n]
	return d
}
