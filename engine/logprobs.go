package engine

import "math"

// leastLogProb stands for the logarithm of zero, which JSON cannot hold.
const leastLogProb = -9999

// probabilities gives the logarithm of the model's own probability of a token,
// before bias, penalties and cuts, and of the most likely tokens.
func probabilities(raw []float32, id int32, top int, b *scratch) (of float64, best []candidate, logProb func(float32) float64) {
	logits := b.clean(raw)
	greatest := float64(b.peak(logits).logit)
	sum := 0.0
	for _, x := range logits {
		sum += exp(float64(x) - greatest)
	}
	norm := greatest + math.Log(sum)
	logProb = func(logit float32) float64 {
		return max(leastLogProb, min(0, float64(logit)-norm))
	}
	if top > 0 {
		best = b.top(logits, min(top, len(logits)))
	}
	return logProb(logits[id]), best, logProb
}
