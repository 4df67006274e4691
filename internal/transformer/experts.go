package transformer

import (
	"math"

	"parley/internal/kernel"
)

// Mixtures of experts (Shazeer et al. 2017): a router says which few of many
// feed-forward parts see a token, and with what weight.

// A routing says how experts are chosen.
type routing struct {
	experts, used int // how many there are, and how many see a token
	gating        gating
	normed        bool    // the weights of those used are made to add up to one
	scale         float32 // and multiplied by this
	groups        int     // experts are in so many groups of neighbours; 0: in none
	groupsUsed    int     // of which those are open whose two best are best
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
	m.gating = arch.gating
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
	m.sharedCount = r.optional("expert_shared_count", 0)
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

// mixture makes y of the input, which is xn. What a token's experts give is added in
// the order of the experts, whichever tokens share them; the one that all tokens
// share comes first, or last where it has a norm of its own.
func (m *Model) mixture(l *layer, n int) {
	w, s, dim := &m.work, &l.spec, m.config.Dim
	used := s.routing.used
	w.mixed, w.shared = grown(w.mixed, n*dim), grown(w.shared, n*dim)
	if l.routerNorm != nil {
		m.share(l, n)
		m.normalise(l.routerNorm, n)
		m.route(l, n)
		m.normalise(l.expertsNorm, n)
		clear(w.mixed)
	} else {
		m.route(l, n)
		m.share(l, n)
		copy(w.mixed, w.shared)
	}
	w.packed = grown(w.packed, n*dim)
	for e := range l.experts {
		w.members, w.weights = w.members[:0], w.weights[:0]
		for i, c := range w.chosen {
			if c.expert == e {
				copy(w.packed[len(w.members)*dim:][:dim], w.xn[i/used*dim:][:dim])
				w.members, w.weights = append(w.members, i/used), append(w.weights, c.weight)
			}
		}
		if len(w.members) == 0 {
			continue
		}
		w.in.Set(w.packed, len(w.members), dim)
		m.ask(&l.experts[e], s.activation, len(w.members))
		for i, token := range w.members {
			y := w.y[i*dim:][:dim]
			kernel.Scale(y, w.weights[i])
			kernel.Add(w.mixed[token*dim:][:dim], y)
		}
	}
	if l.expertsPost != nil {
		l.expertsPost.apply(w.mixed, w.mixed)
		kernel.Add(w.mixed, w.shared)
	}
	copy(w.y, w.mixed)
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
	m.ask(l.shared, l.spec.activation, n)
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
