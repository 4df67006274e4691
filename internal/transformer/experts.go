package transformer

import (
	"fmt"
	"math"

	"parley/internal/kernel"
)

// Mixtures of experts (Shazeer et al. 2017): a router says which few of many
// feed-forward parts see a token, and with what weight. They may all read a narrower row that
// is made of the token's, and what they give together is made wide again (LatentMoE, NVIDIA 2025).

// A routing says how experts are chosen.
type routing struct {
	experts, used int // how many there are, and how many see a token
	gating        gating
	normed        bool    // the weights of those used are made to add up to one
	scale         float32 // and multiplied by this
	groups        int     // experts are in so many groups of neighbours; 0: in none
	groupsUsed    int     // of which those are open whose two best are best
	limit         float32 // what is inside experts is cut to it; 0: it is not
	narrow        int     // width of the row that experts read and give instead of the stream's (LatentMoE); 0: there is none
	first         bool    // the router reads what attention reads, before its norm (SmallThinker)
	weightFirst   bool    // weights multiply what experts read, not what they give
}

// gating says what makes weights of the router's logits.
type gating uint8

const (
	softmax       gating = iota // over all experts
	sigmoid                     // of each by itself
	softmaxOfUsed               // over those used
)

// A mixtureSpec is what metadata says of a model's experts.
type mixtureSpec struct {
	routing
	first, every int // the first layer with experts, and how many layers from one to the next
	sharedCount  int
	sharedFFN    int // of all of them, or 0
	// They are as wide as a feed-forward part where there are no experts.
	sharedLikeDense bool
}

// in says whether layer i has experts.
func (m *mixtureSpec) in(i int) bool {
	return m.experts > 0 && i >= m.first && (i+1)%m.every == 0
}

// shared is the inner width of the experts that see every token, which are as one;
// ffn is that of one of the others, dense that of a layer without experts.
func (m *mixtureSpec) shared(ffn, dense int) int {
	switch {
	case m.sharedLikeDense:
		return dense
	case m.sharedFFN > 0:
		return m.sharedFFN
	}
	return m.sharedCount * ffn
}

// routed says whether the file has a router for a layer.
func (r *reader) routed(layer int) bool {
	_, ok := r.f.Tensor(fmt.Sprintf("blk.%d.ffn_gate_inp.weight", layer))
	return ok
}

func (r *reader) readMixture(arch architecture) mixtureSpec {
	m := mixtureSpec{every: 1}
	m.experts = r.optional("expert_count", 0)
	if m.experts == 0 || m.experts == 1 && !arch.experts { // some files of models without any say one
		m.experts = 0
		return m
	}
	if !arch.experts {
		r.fail("expert_count", "is %d: mixtures of experts are not supported in this architecture", m.experts)
	}
	if m.used = r.count("expert_used_count", -1); m.used > m.experts {
		r.fail("expert_used_count", "is %d of %d experts", m.used, m.experts)
	}
	m.first = r.optional("leading_dense_block_count", 0)
	m.every = r.count("interleave_moe_layer_step", 1)
	m.gating, m.routing.first, m.weightFirst = arch.gating, arch.routedFirst, arch.weightFirst
	switch kind := r.optional("expert_gating_func", 0); kind {
	case 0:
	case 1:
		m.gating = softmax
	case 2:
		m.gating = sigmoid
	case 3:
		m.gating = softmaxOfUsed
	default:
		r.fail("expert_gating_func", "is %d, which is not supported; supported: 1 (softmax), 2 (sigmoid), 3 (softmax of those used)", kind)
	}
	m.normed = r.flag("expert_weights_norm", arch.expertsSum1)
	if m.scale = float32(r.number("expert_weights_scale", 1, 0, 1e6)); m.scale == 0 {
		m.scale = 1
	}
	m.readGroups(r)
	if arch.narrowed {
		m.narrow = r.optional("moe_latent_size", 0)
	}
	m.sharedCount = r.optional("expert_shared_count", arch.shared)
	if m.sharedCount > 1024 {
		r.fail("expert_shared_count", "is %d: up to 1024 is supported", m.sharedCount)
	}
	m.sharedFFN = r.optional("expert_shared_feed_forward_length", 0)
	if arch.sharedEach {
		m.sharedFFN *= m.sharedCount
	}
	m.sharedLikeDense = arch.sharedFFN && m.sharedFFN == 0
	return m
}

func (m *mixtureSpec) readGroups(r *reader) {
	if m.groups = r.optional("expert_group_count", 0); m.groups <= 1 {
		m.groups = 0
		return
	}
	m.groupsUsed = r.count("expert_group_used_count", -1)
	if r.err != nil {
		return
	}
	size := m.experts / m.groups
	switch {
	case m.experts%m.groups != 0 || size < 2:
		r.fail("expert_group_count", "is %d for %d experts: each group has to have the same number, at least two", m.groups, m.experts)
	case m.groupsUsed > m.groups || m.used > m.groupsUsed*size:
		r.fail("expert_group_used_count", "is %d of %d groups of %d experts, of which %d are used", m.groupsUsed, m.groups, size, m.used)
	}
}

// A choice is one expert of one token.
type choice struct {
	expert int
	weight float32
}

// A guest is a token at one of its experts.
type guest struct {
	token  int // row of the batch
	weight float32
}

// A table is one expert and the tokens that it sees in a batch, in their order.
type table struct {
	*expert
	from, to int          // its guests, as rows
	in       kernel.Input // what they bring; then what is inside the expert
	read     *kernel.Input
}

// mostGuests are the tokens of several experts that are asked at a time, or all of one:
// what they bring and get should not be much more than caches hold.
const mostGuests = 1024

// mixture makes y of the input, which is xn. What a token's experts give is added in
// the order of the experts, whichever tokens share them; the one that all tokens
// share comes first, or last where it has a norm of its own.
func (m *Model) mixture(l *layer, n int) {
	w, s, dim := &m.work, &l.spec, m.config.Dim
	from, width := w.xn, dim // of what experts read
	if s.routing.narrow > 0 {
		width = s.routing.narrow
	}
	w.mixed, w.shared = grown(w.mixed, n*width), grown(w.shared, n*dim)
	switch {
	case l.routerNorm != nil:
		m.share(l, n)
		m.normalise(l.routerNorm, n)
		m.route(l, n)
		m.normalise(l.expertsNorm, n)
		clear(w.mixed)
	case s.routing.narrow > 0:
		m.route(l, n)
		w.low = grown(w.low, n*width)
		kernel.Multiply(m.pool, &w.in, kernel.Product{W: &l.narrow, Out: w.low})
		m.share(l, n)
		clear(w.mixed)
		from = w.low
		w.in.Set(w.low, n, width)
	default:
		if !s.routing.first {
			m.route(l, n)
		}
		m.share(l, n)
		copy(w.mixed, w.shared)
		w.in.Set(w.xn, n, dim)
	}
	tables := w.seat(l, n)
	for len(tables) > 0 {
		end := 1
		for end < len(tables) && tables[end].to-tables[0].from <= mostGuests {
			end++
		}
		m.askTables(tables[:end], s, from, n)
		tables = tables[end:]
	}
	if s.routing.narrow > 0 {
		w.in.Set(w.mixed, n, width)
		kernel.Multiply(m.pool, &w.in, kernel.Product{W: &l.widen, Out: w.y})
		kernel.Add(w.y[:n*dim], w.shared)
		return
	}
	if l.expertsPost != nil {
		l.expertsPost.apply(w.mixed, w.mixed)
		kernel.Add(w.mixed, w.shared)
	}
	copy(w.y, w.mixed)
}

// seat makes guests of what was chosen, in the order of the experts and then of the
// tokens, and gives the tables of the experts that have any.
func (w *buffers) seat(l *layer, n int) []table {
	used := l.spec.routing.used
	w.seats = grown(w.seats, len(l.experts)+1)
	clear(w.seats)
	for _, c := range w.chosen {
		w.seats[c.expert+1]++
	}
	asked := 0
	for e := range l.experts {
		if w.seats[e+1] > 0 {
			asked++
		}
		w.seats[e+1] += w.seats[e]
	}
	w.guests = grown(w.guests, n*used)
	for i, c := range w.chosen {
		w.guests[w.seats[c.expert]] = guest{i / used, c.weight}
		w.seats[c.expert]++
	}
	if len(w.tables) < asked {
		w.tables = append(w.tables, make([]table, asked-len(w.tables))...)
	}
	tables, from := w.tables[:0], 0
	for e := range l.experts {
		if to := w.seats[e]; to > from {
			tables = tables[:len(tables)+1]
			t := &tables[len(tables)-1]
			t.expert, t.from, t.to = &l.experts[e], from, to
			from = to
		}
	}
	return tables
}

// askTables adds to mixed what the experts of some tables give, who read rows of from. Of n
// tokens each reads the input that all read, if it sees all of them as they are.
func (m *Model) askTables(tables []table, s *layerSpec, from []float32, n int) {
	w, dim, a := &m.work, tables[0].up.Cols, s.activation
	first := tables[0].from
	rows, ffn := tables[len(tables)-1].to-first, tables[0].up.Rows
	w.packed, w.up, w.gate, w.given = grown(w.packed, rows*dim), grown(w.up, rows*ffn), grown(w.gate, rows*ffn), grown(w.given, rows*dim)
	guests := w.guests[first:][:rows]
	// Where the rows of a table are, of so many numbers each.
	part := func(x []float32, t *table, size int) []float32 {
		return x[(t.from-first)*size : (t.to-first)*size]
	}
	m.pool.Run(len(tables), func(i int) {
		t := &tables[i]
		if t.read = &w.in; t.to-t.from == n && !s.routing.weightFirst {
			return // a token is a guest of each expert once
		}
		t.read = &t.in
		mine := part(w.packed, t, dim)
		for k, g := range w.guests[t.from:t.to] {
			brought := mine[k*dim:][:dim]
			copy(brought, from[g.token*dim:][:dim])
			if s.routing.weightFirst {
				kernel.Scale(brought, g.weight)
			}
		}
		t.in.Set(mine, t.to-t.from, dim)
		t.in.Prepare(m.single, &t.up)
	})
	w.groups, w.products = w.groups[:0], grown(w.products, 2*len(tables))[:0]
	for i := range tables {
		t := &tables[i]
		at := len(w.products)
		if a.gated() {
			w.products = append(w.products, kernel.Product{W: &t.gate, Out: part(w.gate, t, ffn)})
		}
		w.products = append(w.products, kernel.Product{W: &t.up, Out: part(w.up, t, ffn)})
		w.groups = append(w.groups, kernel.Group{In: t.read, Products: w.products[at:]})
	}
	kernel.MultiplyGroups(m.pool, w.groups)
	m.pool.Run(len(tables), func(i int) {
		t := &tables[i]
		gate, up := part(w.gate, t, ffn), part(w.up, t, ffn)
		addBiases(up, t.upBias, t.to-t.from)
		if a.gated() {
			addBiases(gate, t.gateBias, t.to-t.from)
			a.gate(gate, up, s.routing.limit)
			up = gate
		} else {
			s.bend(up)
		}
		t.in.Set(up, t.to-t.from, ffn)
		t.in.Prepare(m.single, &t.down)
	})
	w.groups, w.products = w.groups[:0], w.products[:0]
	for i := range tables {
		t := &tables[i]
		w.products = append(w.products, kernel.Product{W: &t.down, Out: part(w.given, t, dim)})
		w.groups = append(w.groups, kernel.Group{In: &t.in, Products: w.products[i:]})
	}
	kernel.MultiplyGroups(m.pool, w.groups)
	// Each thread adds up some of a row's numbers, of all rows in their order.
	const columns = 256
	m.pool.Run((dim+columns-1)/columns, func(i int) {
		from, to := i*columns, min((i+1)*columns, dim)
		t := 0
		for k, g := range guests {
			for k >= tables[t].to-first {
				t++
			}
			y := w.given[k*dim:][from:to]
			if b := tables[t].downBias; b != nil {
				kernel.Add(y, b[from:to])
			}
			if !s.routing.weightFirst {
				kernel.Scale(y, g.weight)
			}
			kernel.Add(w.mixed[g.token*dim:][from:to], y)
		}
	})
}

// routeFirst chooses each token's experts by the stream, before attention adds to it.
func (m *Model) routeFirst(l *layer, n int) {
	m.normalise(nil, n)
	m.route(l, n)
}

// route chooses each token's experts by the input.
func (m *Model) route(l *layer, n int) {
	w, r := &m.work, &l.spec.routing
	w.route = grown(w.route, n*r.experts)
	products := []kernel.Product{{W: &l.router, Out: w.route}}
	if l.sharedGate.Rows > 0 {
		w.shareGates = grown(w.shareGates, n)
		products = append(products, kernel.Product{W: &l.sharedGate, Out: w.shareGates})
	}
	kernel.Multiply(m.pool, &w.in, products...)
	w.chosen, w.rank = grown(w.chosen, n*r.used), grown(w.rank, n*r.experts)
	m.pool.Run(n, func(i int) {
		logits, chosen := w.route[i*r.experts:][:r.experts], w.chosen[i*r.used:][:r.used]
		addBias(logits, l.routerBias)
		r.choose(chosen, logits, l.choiceBias, w.rank[i*r.experts:][:r.experts])
		if l.expertScale != nil {
			for j, c := range chosen {
				chosen[j].weight *= l.expertScale[c.expert]
			}
		}
	})
}

// share makes shared of the input: what the expert that sees every token gives, times the
// sigmoid of what its gate says, if it has one; zero where there is none.
func (m *Model) share(l *layer, n int) {
	w, dim := &m.work, m.config.Dim
	if l.shared == nil {
		clear(w.shared)
		return
	}
	m.ask(l.shared, &l.spec, n)
	copy(w.shared, w.y)
	if l.sharedPost != nil {
		l.sharedPost.apply(w.shared, w.shared)
	}
	if l.sharedGate.Rows > 0 {
		kernel.Sigmoid(w.shareGates)
		for i, g := range w.shareGates {
			kernel.Scale(w.shared[i*dim:][:dim], g)
		}
	}
}

// choose takes the experts of the greatest probability plus bias, if there is one; of
// equal ones the first. It overwrites the router's logits, and rank, which is as long.
func (r *routing) choose(out []choice, logits, bias, rank []float32) {
	switch r.gating {
	case softmax:
		kernel.Softmax(logits, 1)
	case sigmoid:
		kernel.Sigmoid(logits)
	}
	copy(rank, logits)
	addBias(rank, bias)
	if r.groups > 0 {
		r.closeGroups(rank)
	}
	none := float32(math.Inf(-1))
	for i := range out {
		best := -1
		for e, p := range rank {
			if p > none && (best < 0 || p > rank[best]) {
				best = e
			}
		}
		if best < 0 { // no number among them: what follows is no number either
			out[i] = choice{i, float32(math.NaN())}
			continue
		}
		out[i] = choice{best, logits[best]}
		rank[best] = none
	}
	r.weigh(out)
}

// closeGroups leaves only the experts of the groups whose two best are best, of equal
// ones the first.
func (r *routing) closeGroups(rank []float32) {
	none := float32(math.Inf(-1))
	size := r.experts / r.groups
	sums := make([]float32, r.groups)
	for g := range sums {
		first, second := none, none
		for _, p := range rank[g*size:][:size] {
			first, second = max(first, p), max(second, min(first, p))
		}
		sums[g] = first + second
	}
	open := make([]bool, r.groups)
	for range r.groupsUsed {
		best := -1
		for g, sum := range sums {
			if !open[g] && (best < 0 || sum > sums[best]) {
				best = g
			}
		}
		open[best] = true
	}
	for e := range rank {
		if !open[e/size] {
			rank[e] = none
		}
	}
}

// weigh makes the weights of those chosen what they are to be in the end.
func (r *routing) weigh(out []choice) {
	if r.gating == softmaxOfUsed {
		weights := make([]float32, len(out))
		for i, c := range out {
			weights[i] = c.weight
		}
		kernel.Softmax(weights, 1)
		for i := range out {
			out[i].weight = weights[i]
		}
	}
	if r.normed {
		var sum float32
		for _, c := range out {
			sum += c.weight
		}
		for i := range out {
			out[i].weight /= max(sum, 0x1p-14)
		}
	}
	if r.scale != 1 {
		for i := range out {
			out[i].weight *= r.scale
		}
	}
}
