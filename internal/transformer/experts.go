package transformer

import "parley/internal/kernel"

// Mixtures of experts (Shazeer et al. 2017): a router says which few of many
// feed-forward parts see a token, and with what weight.

// A choice is one expert of one token.
type choice struct {
	expert int
	weight float32
}

// mixture makes y of the input. What a token's experts give is added in the order
// of the experts, whichever tokens share them.
func (m *Model) mixture(l *layer, n int) {
	w, s, dim := &m.work, &l.spec, m.config.Dim
	w.route = grown(w.route, n*s.experts)
	kernel.Multiply(m.pool, &w.in, kernel.Product{W: &l.router, Out: w.route})
	w.chosen = grown(w.chosen, n*s.used)
	m.pool.Run(n, func(i int) {
		choose(w.chosen[i*s.used:][:s.used], w.route[i*s.experts:][:s.experts], s.normUsed)
	})
	w.mixed = grown(w.mixed, n*dim)
	clear(w.mixed)
	w.packed = grown(w.packed, n*dim)
	for e := range l.experts {
		w.members, w.weights = w.members[:0], w.weights[:0]
		for i, c := range w.chosen {
			if c.expert == e {
				copy(w.packed[len(w.members)*dim:][:dim], w.xn[i/s.used*dim:][:dim])
				w.members, w.weights = append(w.members, i/s.used), append(w.weights, c.weight)
			}
		}
		if len(w.members) == 0 {
			continue
		}
		w.in.Set(w.packed, len(w.members), dim)
		m.ask(&l.experts[e], s, len(w.members))
		for i, token := range w.members {
			y := w.y[i*dim:][:dim]
			kernel.Scale(y, w.weights[i])
			kernel.Add(w.mixed[token*dim:][:dim], y)
		}
	}
	copy(w.y, w.mixed)
}

// choose takes the experts of the greatest probability, of equal ones the first.
// It overwrites the router's logits.
func choose(out []choice, logits []float32, normed bool) {
	kernel.Softmax(logits, 1)
	for i := range out {
		best := -1
		for e, p := range logits {
			if p >= 0 && (best < 0 || p > logits[best]) {
				best = e
			}
		}
		if best < 0 { // no number among them: what follows is no number either
			out[i] = choice{i, logits[i]}
			continue
		}
		out[i] = choice{best, logits[best]}
		logits[best] = -1
	}
	if normed {
		var sum float32
		for _, c := range out {
			sum += c.weight
		}
		for i := range out {
			out[i].weight /= max(sum, 0x1p-14)
		}
	}
}
