package transformer

import (
	"errors"
	"fmt"
	"sync/atomic"

	"parley/internal/kernel"
)

// Want says what a caller asks for.
type Want uint8

// Of a step: nothing, the last token's logits, all tokens' logits; or what the
// last layer makes of each token, normalised, from which logits would be made.
const (
	None Want = iota
	Last
	All
	States
)

// A Step continues one sequence by some tokens.
type Step struct {
	KV     *KV
	Tokens []int32
	Logits Want
}

// batchTokens is how many tokens are computed at a time: enough that the weights
// are read seldom, few enough that their activations stay in the cache. Where there
// are experts, each of which sees few of them, there are up to so many times as many.
const (
	batchTokens = 128
	mostBatches = 4
)

// A row is one token of a batch.
type row struct {
	kv       *KV
	position int
	token    int32
	logits   int // which of them it is, or -1
	state    int // likewise
}

// buffers are the activations of a batch, each as many rows as it has tokens.
type buffers struct {
	rows          []row
	x, xn, y      []float32 // (dim)
	q, k, v, seen []float32 // (heads·keyDim), (kvHeads·keyDim), (kvHeads·valueDim), (heads·valueDim)
	gate, up      []float32 // (ffn)
	full          []float32 // (heads·(plain+rotated)) or (heads·value), where keys and values are compressed; (2·heads·keyDim) with gates
	heads         []headWork
	each          []float32 // (layers·size), embeddings of the layers
	angles        []float32 // (turns, rotated)
	route, rank   []float32 // (experts)
	shareGates    []float32 // (1)
	mixed, shared []float32 // (dim), what experts give, added up; what the shared one gives
	chosen        []choice  // of each token, routing.used of them, the likeliest first
	guests        []guest   // the same, in the order of the experts
	seats         []int     // (experts), where the guests of each are
	tables        []table
	packed, given []float32 // (dim), what guests bring and what they get
	groups        []kernel.Group
	products      []kernel.Product
	in            kernel.Input
	pieces        []int     // where rows begin that one thread stores, and the end
	sequences     []int     // where rows begin of another sequence, and the end
	gates         []float32 // (3·dim), what a short convolution reads; or all that Mamba-2 makes of a token; or (2·inner), what Mamba 1 does; or (heads·keyDim), of attention
	columns       []float32 // (dim), what it adds up, of the rows and of those before them; or (channels), what it gives
	mamba1        mamba1Work
	delta         deltaWork
	rwkv          rwkvWork
	tiles         []tile
	portions      []portion
	views         []float32 // of spans of tiles
	streams       []float32 // (streams, tokens, dim)
	predicted     []float32 // likewise, what each layer predicts of them
	low           []float32 // (rank), of the path beside attention; or (routing.narrow), what experts read
	left          []atomic.Int32
	logits        []float32 // (vocab), all of a call
	states        []float32 // (dim), likewise
	results       [][]float32
}

// A headWork is one head's part of a batch.
type headWork struct {
	in   kernel.Input
	x, y []float32
}

// Forward appends each step's tokens to its KV, and returns what was asked for,
// by step and then by token: logits of Vocab floats, states of Dim. They belong to the
// model and are valid until the next Forward. A token that the model does not
// have, a sequence longer than its context, or one KV in two steps is an error,
// and then nothing was done. Once m.Unwanted reports true it ends soon with ErrLeft: every
// KV is as long as before, but can only be released.
func (m *Model) Forward(steps []Step) ([][]float32, error) {
	logits, states, err := m.check(steps)
	if err != nil {
		return nil, fmt.Errorf("transformer: %w", err)
	}
	w, vocab, dim := &m.work, m.config.Vocab, m.config.Dim
	w.logits, w.states = grown(w.logits, logits*vocab), grown(w.states, states*dim)
	w.results = w.results[:0]
	logits, states = 0, 0
	w.rows = w.rows[:0]
	for _, s := range steps {
		start := s.KV.length
		s.KV.reserve(start + len(s.Tokens))
		for i, token := range s.Tokens {
			r := row{kv: s.KV, position: start + i, token: token, logits: -1, state: -1}
			switch {
			case s.Logits == All || s.Logits == Last && i == len(s.Tokens)-1:
				r.logits = logits
				w.results = append(w.results, w.logits[logits*vocab:][:vocab])
				logits++
			case s.Logits == States:
				r.state = states
				w.results = append(w.results, w.states[states*dim:][:dim])
				states++
			}
			if w.rows = append(w.rows, r); len(w.rows) == m.batchTokens && !m.batch() {
				return nil, ErrLeft
			}
		}
	}
	if !m.batch() {
		return nil, ErrLeft
	}
	for _, s := range steps {
		s.KV.length += len(s.Tokens)
		s.KV.at = s.KV.length
		s.KV.forgetColumns()
		s.KV.slide()
	}
	return w.results, nil
}

// check counts the results of the steps.
func (m *Model) check(steps []Step) (logits, states int, err error) {
	for i, s := range steps {
		if s.KV == nil || s.KV.layout != m.kv {
			return 0, 0, fmt.Errorf("step %d has keys and values that are not of this model", i)
		}
		if s.KV.at != s.KV.length && m.HasStates() {
			return 0, 0, fmt.Errorf("step %d continues a sequence behind %d tokens, where it has no state", i, s.KV.length)
		}
		for _, other := range steps[:i] {
			if other.KV == s.KV {
				return 0, 0, fmt.Errorf("step %d continues the sequence of an earlier one", i)
			}
		}
		if total := s.KV.length + len(s.Tokens); total > m.config.Context {
			return 0, 0, fmt.Errorf("a sequence of %d tokens is longer than the context of %d", total, m.config.Context)
		}
		for _, t := range s.Tokens {
			if t < 0 || int(t) >= m.config.Vocab {
				return 0, 0, fmt.Errorf("token %d is not one of the vocabulary's %d", t, m.config.Vocab)
			}
		}
		switch {
		case s.Logits == All:
			logits += len(s.Tokens)
		case s.Logits == States:
			states += len(s.Tokens)
		case s.Logits == Last && len(s.Tokens) > 0:
			logits++
		}
	}
	return logits, states, nil
}

// ErrLeft is the error of a call of Forward that nobody wanted any more.
var ErrLeft = errors.New("transformer: left before its end")

// batch computes the rows that were collected, and empties them. It reports whether it
// came to the end: not if nobody wants that any more.
func (m *Model) batch() bool {
	w, n := &m.work, len(m.work.rows)
	if n == 0 {
		return true
	}
	dim := m.config.Dim
	w.x, w.xn, w.y = grown(w.x, n*dim), grown(w.xn, n*dim), grown(w.y, n*dim)
	w.angles = grown(w.angles, m.angleCount*n)
	for i, r := range w.rows {
		x := w.x[i*dim:][:dim]
		m.embed.Row(x, int(r.token))
		kernel.Scale(x, m.config.embedScale)
		if m.positions.Rows > 0 {
			position := w.y[i*dim:][:dim]
			m.positions.Row(position, r.position)
			kernel.Add(x, position)
		}
		if m.embedNorm != nil {
			m.embedNorm.apply(x, x)
		}
		for _, t := range m.turns {
			t.at(t.of(w.angles, i, n), r.position, m.config.arch.pairing)
		}
	}
	if m.perLayer.size > 0 {
		m.embedPerLayer(n)
	}
	if m.altup.streams > 0 {
		m.beginStreams(n)
	}
	w.cutPieces()
	for i := range m.layers {
		if m.Unwanted != nil && m.Unwanted() {
			return false
		}
		l := &m.layers[i]
		if l.alternation != nil {
			m.predict(l, n)
		}
		switch {
		case !l.spec.mixes():
			if l.spec.ffn == 0 {
				continue
			}
			m.normalise(l.ffnNorm, n)
		case l.spec.parallel == parallel:
			m.mix(i, n)
			if l.ffnNorm != nil {
				m.normalise(l.ffnNorm, n) // otherwise xn is what attention read
			}
			m.addToStream(l.ob, l.attnPost, n)
			w.in.Set(w.xn, n, dim)
		default:
			if l.spec.routing.first {
				m.routeFirst(l, n)
			}
			m.mix(i, n)
			m.addToStream(l.ob, l.attnPost, n)
			if l.laurel != nil {
				m.addLaurel(l.laurel, n)
			}
			if l.spec.ffn == 0 {
				continue
			}
			m.normalise(l.ffnNorm, n)
		}
		switch {
		case l.spec.routing.experts > 0:
			m.mixture(l, n)
		case l.channels != nil:
			m.mixChannels(i, n)
		default:
			m.ask(&l.experts[0], &l.spec, n)
		}
		m.addToStream(nil, l.ffnPost, n)
		switch {
		case l.alternation != nil:
			m.correct(l, n)
			m.openStreams(i, n)
		case l.opening != nil:
			m.open(i, n)
		}
		kernel.Scale(w.x[:n*dim], l.scale)
	}
	if m.altup.streams > 0 {
		m.endStreams(n)
	}
	m.results()
	w.rows = w.rows[:0]
	return true
}

// mix makes y of the stream: what the tokens get of those before them.
func (m *Model) mix(index, n int) {
	l := &m.layers[index]
	m.normalise(l.attnNorm, n)
	switch {
	case l.convolution != nil:
		m.convolve(index, n)
	case l.delta != nil:
		m.delta(index, n)
	case l.rwkv != nil:
		m.mixTime(index, n)
	case l.mamba1 != nil:
		m.scanChannels(index, n)
	case l.mamba != nil && l.spec.kvHeads > 0:
		m.scanBeside(index, n)
	case l.mamba != nil:
		m.scan(index, n)
	case l.spec.linear:
		kernel.Multiply(m.pool, &m.work.in, kernel.Product{W: &l.o, Out: m.work.y})
	default:
		m.attention(index, n)
	}
}

// cutPieces keeps tokens together whose keys lie in the same lines of memory, so that
// threads do not fight for them.
func (w *buffers) cutPieces() {
	w.pieces, w.sequences = w.pieces[:0], w.sequences[:0]
	for i := range w.rows {
		r, last := &w.rows[i], &w.rows[max(0, i-1)]
		if i == 0 || r.kv != last.kv {
			w.sequences = append(w.sequences, i)
		}
		if i == 0 || r.kv != last.kv || r.position%panelColumns == 0 {
			w.pieces = append(w.pieces, i)
		}
	}
	w.pieces, w.sequences = append(w.pieces, len(w.rows)), append(w.sequences, len(w.rows))
}

// eachRow calls do for every row, which may store keys and values.
func (m *Model) eachRow(do func(i int)) {
	pieces := m.work.pieces
	m.pool.Run(len(pieces)-1, func(piece int) {
		for i := pieces[piece]; i < pieces[piece+1]; i++ {
			do(i)
		}
	})
}

// attention makes y of the input: what the tokens see of those before them.
func (m *Model) attention(index, n int) {
	w, l := &m.work, &m.layers[index]
	s := &l.spec
	w.q, w.seen = grown(w.q, n*s.heads*s.keyDim), grown(w.seen, n*s.heads*s.valueDim)
	if l.latent != nil {
		m.latentQueries(index, n)
	} else {
		m.project(index, n)
	}
	m.attend(index)
	if s.gates != ungated {
		m.pool.Run(n, func(i int) { w.applyGates(s, i) })
	}
	if by := l.seenNorm; by != nil {
		size := s.heads * s.valueDim
		m.pool.Run(n, func(i int) { by.apply(w.seen[i*size:][:size], w.seen[i*size:][:size]) })
	}
	if l.latent != nil {
		m.latentValues(l, n)
		w.in.Set(w.full, n, s.heads*s.headOut())
	} else {
		w.in.Set(w.seen, n, s.heads*s.valueDim)
	}
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &l.o, Out: w.y})
}

// project makes q of the input, and keeps the tokens' keys and values, if the layer
// has its own.
func (m *Model) project(index, n int) {
	w, l := &m.work, &m.layers[index]
	s := &l.spec
	qn, kn, vn := s.heads*s.keyDim, s.kvHeads*s.keyDim, s.kvHeads*s.valueDim
	w.k, w.v = grown(w.k, n*kn), grown(w.v, n*vn)
	q := w.q
	if s.gates == gatesInQueries {
		w.full, w.gates = grown(w.full, 2*n*qn), grown(w.gates, n*qn)
		q = w.full
	}
	products := [4]kernel.Product{{W: &l.q, Out: q}, {W: &l.k, Out: w.k}, {W: &l.v, Out: w.v}}
	own := s.source == index
	switch {
	case !own:
		kernel.Multiply(m.pool, &w.in, products[:1]...)
	case l.v.Rows == 0: // keys are values
		kernel.Multiply(m.pool, &w.in, products[:2]...)
		copy(w.v, w.k)
	case l.gate.Rows > 0:
		w.gates = grown(w.gates, n*l.gate.Rows)
		products[3] = kernel.Product{W: &l.gate, Out: w.gates}
		kernel.Multiply(m.pool, &w.in, products[:]...)
	default:
		kernel.Multiply(m.pool, &w.in, products[:3]...)
	}
	m.eachRow(func(i int) {
		if s.gates == gatesInQueries {
			w.splitGates(s, i)
		}
		q, k, v, r := w.q[i*qn:][:qn], w.k[i*kn:][:kn], w.v[i*vn:][:vn], &w.rows[i]
		m.prepare(q, l.qb, l.qNorm, s, i, n)
		kernel.Scale(q, s.growth.at(r.position))
		if !own {
			return
		}
		m.prepare(k, l.kb, l.kNorm, s, i, n)
		addBias(v, l.vb)
		clamp(v, s.clamp)
		kernel.Scale(v, s.values)
		if l.vNorm != nil {
			l.vNorm.apply(v, v)
		}
		r.kv.put(index, r.position, k, v)
	})
}

// prepare makes queries or keys of row i of n of their products.
func (m *Model) prepare(x, bias []float32, by *norm, s *layerSpec, i, n int) {
	addBias(x, bias)
	clamp(x, s.clamp)
	if by != nil && !s.qkNormLate {
		by.apply(x, x)
	}
	if s.turns >= 0 {
		rotate(x, s.keyDim, s.pairing, m.angles(s, i, n))
	}
	if by != nil && s.qkNormLate {
		by.apply(x, x)
	}
}

func clamp(x []float32, limit float32) {
	if limit > 0 {
		kernel.Clamp(x, limit)
	}
}

// angles are those of row i of n for a layer that is rotated.
func (m *Model) angles(s *layerSpec, i, n int) []float32 {
	return m.turns[s.turns].of(m.work.angles, i, n)
}

// ask makes y of the input by one expert.
func (m *Model) ask(e *expert, s *layerSpec, n int) {
	w, a, ffn := &m.work, s.activation, e.up.Rows
	w.up = grown(w.up, n*ffn)
	if a.gated() {
		w.gate = grown(w.gate, n*ffn)
		kernel.Multiply(m.pool, &w.in, kernel.Product{W: &e.gate, Out: w.gate}, kernel.Product{W: &e.up, Out: w.up})
	} else {
		kernel.Multiply(m.pool, &w.in, kernel.Product{W: &e.up, Out: w.up})
	}
	addBiases(w.gate, e.gateBias, n)
	addBiases(w.up, e.upBias, n)
	if s.sparsity.on {
		m.pool.Run(n, func(i int) { s.sparsity.close(w.gate[i*ffn:][:ffn]) })
	}
	const part = 512
	parts := (n*ffn + part - 1) / part
	m.pool.Run(parts, func(i int) {
		from, to := i*part, min((i+1)*part, n*ffn)
		if a.gated() {
			a.gate(w.gate[from:to], w.up[from:to], s.limit)
		} else {
			s.bend(w.up[from:to])
		}
	})
	inner := w.up
	if a.gated() {
		inner = w.gate
	}
	if e.norm != nil {
		m.pool.Run(n, func(i int) { e.norm.apply(inner[i*ffn:][:ffn], inner[i*ffn:][:ffn]) })
	}
	w.in.Set(inner, n, ffn)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &e.down, Out: w.y})
	addBiases(w.y, e.downBias, n)
}

// normalise makes the stream, normalised if there is a norm, the input of what
// follows.
func (m *Model) normalise(by *norm, n int) {
	w, dim := &m.work, m.config.Dim
	if by == nil {
		copy(w.xn, w.x)
	} else {
		m.pool.Run(n, func(i int) { by.apply(w.xn[i*dim:][:dim], w.x[i*dim:][:dim]) })
	}
	w.in.Set(w.xn, n, dim)
}

// addToStream adds y to x, normalised if there is a norm.
func (m *Model) addToStream(bias []float32, by *norm, n int) {
	w, dim := &m.work, m.config.Dim
	m.pool.Run(n, func(i int) {
		y := w.y[i*dim:][:dim]
		addBias(y, bias)
		if by != nil {
			by.apply(y, y)
		}
		kernel.Scale(y, m.config.residualScale)
		kernel.Add(w.x[i*dim:][:dim], y)
	})
}

func addBias(x, bias []float32) {
	if bias != nil {
		kernel.Add(x, bias)
	}
}

// addBiases adds the bias, if there is one, to each of n rows.
func addBiases(x, bias []float32, n int) {
	if bias == nil {
		return
	}
	for i := range n {
		kernel.Add(x[i*len(bias):][:len(bias)], bias)
	}
}

// results makes the states and logits that were asked for. Those of a batch are
// neighbours, in order.
func (m *Model) results() {
	w, dim := &m.work, m.config.Dim
	n, first := 0, 0
	for i, r := range w.rows {
		if r.state >= 0 {
			m.norm.apply(w.states[r.state*dim:][:dim], w.x[i*dim:][:dim])
		}
		if r.logits < 0 {
			continue
		}
		if n == 0 {
			first = r.logits
		}
		m.norm.apply(w.xn[n*dim:][:dim], w.x[i*dim:][:dim])
		n++
	}
	if n > 0 {
		w.in.Set(w.xn, n, dim)
		out := w.logits[first*m.config.Vocab:][:n*m.config.Vocab]
		kernel.Multiply(m.pool, &w.in, kernel.Product{W: &m.output, Out: out})
		addBiases(out, m.outputBias, n)
		kernel.Scale(out, m.config.logitScale)
		if m.config.logitCap > 0 {
			kernel.SoftCap(out, 1, m.config.logitCap)
		}
	}
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
