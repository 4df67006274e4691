package engine

import "math"

// heat divides logits by the temperature; 0 leaves the most likely token only.
//
// A dynamic temperature (kalomaze, KoboldCpp pull request 464, 2023) goes with
// the entropy of the candidates' probabilities: the lower bound where it is 0,
// the upper one where all are equally likely.
func (s *sampler) heat(cs []candidate) []candidate {
	t, best := s.temperature, greatest(cs)
	if s.dynamicRange > 0 {
		if len(cs) < 2 {
			return cs
		}
		low, high := max(0, t-s.dynamicRange), t+s.dynamicRange
		doubt := max(0, min(1, entropy(cs, best.logit)/math.Log(float64(len(cs)))))
		t = low + (high-low)*math.Pow(doubt, s.exponent)
	}
	if t == 0 {
		cs[0] = best
		return cs[:1]
	}
	zero := float64(best.logit) // of what follows only the repetition penalty minds where 0 is
	if s.plan.signs {
		zero = 0
	}
	for i, c := range cs {
		cs[i].logit = held((float64(c.logit) - zero) / t)
	}
	return cs
}

// entropy is that of the candidates' probabilities, in nats.
func entropy(cs []candidate, best float32) float64 {
	total, sum := 0.0, 0.0
	for _, c := range cs {
		d := float64(c.logit) - float64(best)
		if w := exp(d); w > 0 {
			total += w
			sum += w * d
		}
	}
	return math.Log(total) - sum/total
}

// drawSurprising is mirostat 2 (Basu et al., 2021, algorithm 2, as in
// llama.cpp): tokens more surprising than a bound are left out, at least the
// most likely stays; then the bound moves by eta times the difference between
// the surprise that was drawn and tau. Surprise is counted in bits.
func (s *sampler) drawSurprising(cs []candidate, b *scratch) int32 {
	best := greatest(cs)
	bound := s.surprise[len(s.surprise)-1]
	norm := math.Log(mass(cs, best.logit))
	kept := cs[:0]
	for _, c := range cs {
		if c == best || (norm-float64(c.logit)+float64(best.logit))/math.Ln2 <= bound {
			kept = append(kept, c)
		}
	}
	id := s.draw(kept, best, 1, b)
	for _, c := range kept {
		if c.id == id {
			got := (math.Log(mass(kept, best.logit)) - float64(c.logit) + float64(best.logit)) / math.Ln2
			bound -= s.eta * (got - s.tau)
		}
	}
	s.surprise = append(s.surprise[:s.count+1], bound)
	return id
}
