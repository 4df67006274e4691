package engine

import (
	"cmp"
	"math"
	"slices"
)

// cuts reports whether there is anything for cut to do.
func (s *settings) cuts() bool { return s.topK > 0 || s.topP < 1 || s.minP > 0 }

// cut applies top-k, top-p and min-p, of which there is one at least.
func (s *sampler) cut(logits []float32, best candidate, b *scratch) []candidate {
	floor := float32(math.Inf(-1))
	if s.minP > 0 {
		floor = best.logit + float32(math.Log(s.minP))
	}
	var kept []candidate
	switch {
	case s.topK > 0 && s.topK < len(logits):
		kept = b.top(logits, s.topK)
		if s.topP < 1 {
			kept = kept[:reach(kept, s.topP*mass(kept, best.logit), best.logit)]
		}
	case s.topP < 1:
		var sure bool
		if kept, sure = b.nucleusNear(logits, s.topP, best); !sure {
			kept = b.nucleus(logits, s.topP, best.logit)
		}
	default:
		return b.reaching(logits, floor)
	}
	n := 0
	for _, c := range kept {
		if c.logit >= floor {
			kept[n] = c
			n++
		}
	}
	return kept[:n]
}

// topOf gives the k best candidates, or all if there are no more, in any order. A
// heap of k with its worst on top makes that one comparison for nearly every candidate.
func topOf(cs []candidate, k int) []candidate {
	if k >= len(cs) {
		return cs
	}
	h := cs[:k]
	for i := k/2 - 1; i >= 0; i-- {
		sink(h, i)
	}
	for _, c := range cs[k:] {
		if better(c, h[0]) {
			h[0] = c
			sink(h, 0)
		}
	}
	return h
}

// fall sorts candidates, the best first.
func fall(cs []candidate) {
	slices.SortFunc(cs, func(a, b candidate) int {
		if better(a, b) {
			return -1
		}
		return 1
	})
}

func sink(h []candidate, i int) {
	for {
		worst := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
			if better(h[worst], h[c]) {
				worst = c
			}
		}
		if worst == i {
			return
		}
		h[i], h[worst] = h[worst], h[i]
		i = worst
	}
}

// The likelihood of tokens is sorted into buckets of equal ratio, as far down
// as matters: e⁻³² is below what a float64 adds to 1.
const (
	buckets     = 1024
	bucketDepth = 32
)

// bucket is where a logit lies below the greatest.
func bucket(greatest, logit float32) int {
	d := greatest - logit
	if !(d < bucketDepth) {
		return buckets - 1
	}
	return int(d * (buckets / bucketDepth))
}

// nucleus is top-p over all logits, in no order. Only the bucket in which the
// nucleus ends has to be sorted.
func (b *scratch) nucleus(logits []float32, p float64, greatest float32) []candidate {
	var masses [buckets]float64
	total := 0.0
	for _, x := range logits {
		w := exp(float64(x) - float64(greatest))
		masses[bucket(greatest, x)] += w
		total += w
	}
	last, before := 0, 0.0
	for last < buckets-1 && before+masses[last] < p*total {
		before += masses[last]
		last++
	}
	floor := float32(math.Inf(-1)) // what is below it is in buckets that are left out
	if last < buckets-1 {
		floor = greatest - float32(last+2)*(float32(bucketDepth)/buckets)
	}
	in, edge := b.candidates[:0], b.edge[:0]
	for i, x := range logits {
		if x < floor {
			continue
		}
		switch k := bucket(greatest, x); {
		case k < last:
			in = append(in, candidate{x, int32(i)})
		case k == last:
			edge = append(edge, candidate{x, int32(i)})
		}
	}
	fall(edge)
	b.candidates, b.edge = append(in, edge[:reach(edge, p*total-before, greatest)]...), edge
	return b.candidates
}

// reach is the size of the smallest beginning of the candidates whose mass is
// at least wanted; all of them if there is none.
func reach(cs []candidate, wanted float64, greatest float32) int {
	sum := 0.0
	for i, c := range cs {
		sum += exp(float64(c.logit) - float64(greatest))
		if sum >= wanted {
			return i + 1
		}
	}
	return len(cs)
}

func mass(cs []candidate, greatest float32) (total float64) {
	for _, c := range cs {
		total += exp(float64(c.logit) - float64(greatest))
	}
	return total
}

// topP is nucleus for some tokens.
func (b *scratch) topP(cs []candidate, p float64) []candidate {
	best := greatest(cs).logit
	return b.fewest(cs, p, best, func(c candidate) float64 { return float64(best) - float64(c.logit) })
}

// typical keeps the tokens whose surprise is nearest to what is expected of
// it, as few as have together the probability p (Meister et al., 2023).
func (b *scratch) typical(cs []candidate, p float64) []candidate {
	best := greatest(cs).logit
	norm := math.Log(mass(cs, best))
	expected := entropy(cs, best)
	return b.fewest(cs, p, best, func(c candidate) float64 {
		return math.Abs(norm + float64(best) - float64(c.logit) - expected)
	})
}

// fewest keeps the candidates of least rank, as few as have together the share
// p of the mass, in no order. Only the bucket in which they end is sorted.
func (b *scratch) fewest(cs []candidate, p float64, best float32, rank func(candidate) float64) []candidate {
	place := func(c candidate) int {
		if r := rank(c); r < bucketDepth {
			return int(r * (buckets / bucketDepth))
		}
		return buckets - 1
	}
	var masses [buckets]float64
	total := 0.0
	for _, c := range cs {
		w := exp(float64(c.logit) - float64(best))
		masses[place(c)] += w
		total += w
	}
	end, before := 0, 0.0
	for end < buckets-1 && (before+masses[end] < p*total || before+masses[end] == 0) {
		before += masses[end]
		end++
	}
	in, edge := cs[:0], b.edge[:0]
	for _, c := range cs {
		switch k := place(c); {
		case k < end:
			in = append(in, c)
		case k == end:
			edge = append(edge, c)
		}
	}
	slices.SortFunc(edge, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.id, b.id))
	})
	b.edge = edge
	return append(in, edge[:reach(edge, p*total-before, best)]...)
}

// above keeps what has at least the share p of the greatest probability: min-p.
func above(cs []candidate, p float64) []candidate {
	floor := greatest(cs).logit + float32(math.Log(p))
	kept := cs[:0]
	for _, c := range cs {
		if c.logit >= floor {
			kept = append(kept, c)
		}
	}
	return kept
}

// withinSigmas keeps the logits within n standard deviations of the greatest:
// top-nσ (Tang et al., 2024, "Not all logits are you need"). Forbidden tokens
// do not count.
func withinSigmas(cs []candidate, n float64) []candidate {
	count, sum, squares := 0.0, 0.0, 0.0
	for _, c := range cs {
		if c.logit > last {
			count++
			sum += float64(c.logit)
		}
	}
	if count == 0 {
		return cs
	}
	mean := sum / count
	for _, c := range cs {
		if c.logit > last {
			d := float64(c.logit) - mean
			squares += d * d
		}
	}
	floor := float64(greatest(cs).logit) - n*math.Sqrt(squares/count)
	kept := cs[:0]
	for _, c := range cs {
		if float64(c.logit) >= floor {
			kept = append(kept, c)
		}
	}
	return kept
}

// excludeTop is XTC, "exclude top choices" (p-e-w, text-generation-webui pull
// request 6335, 2024): with its probability, all tokens that reach the
// threshold are taken away but the least likely of them.
func (s *sampler) excludeTop(cs []candidate) []candidate {
	if applies := s.uniform() < s.xtcProbability; !applies || len(cs) < 2 {
		return cs
	}
	best := greatest(cs).logit
	floor := s.xtcThreshold * mass(cs, best)
	reaches := func(c candidate) bool {
		w := exp(float64(c.logit) - float64(best))
		return w >= floor && w > 0
	}
	var least candidate
	found := false
	for _, c := range cs {
		if reaches(c) && (!found || better(least, c)) {
			least, found = c, true
		}
	}
	kept := cs[:0]
	for _, c := range cs {
		if !found || c == least || !reaches(c) {
			kept = append(kept, c)
		}
	}
	return kept
}
