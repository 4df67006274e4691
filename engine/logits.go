package engine

import (
	"cmp"
	"math"
	"slices"

	"parley/internal/kernel"
)

// A vocabulary has 150,000 words and more, of which nearly none can be chosen. So
// logits are cut into parts of which the greatest is known, and most parts are never
// looked into.

// partSize is the number of logits of a part, a multiple of 16.
const partSize = 256

// A scratch is working memory for sampling, shared by all sequences of a loop.
type scratch struct {
	logits     []float32 // whole parts
	peaks      []float32 // the greatest of each part
	floats     []float32
	candidates []candidate
	edge       []candidate
	weights    []float64
}

// most bounds logits, so that whatever is done to a finite one, it stays
// finite: penalties multiply by 100 and subtract no more than this.
const most = 1e30

// clean copies logits and leaves neither NaN nor +Inf nor very great numbers
// among them.
func (b *scratch) clean(raw []float32) []float32 {
	whole := len(raw) / partSize * partSize
	b.logits = append(b.logits[:0], raw...)
	for at := 0; at < whole; at += partSize {
		// Where squares add up to a number, each of them is one, and less than 10²⁰ was squared.
		if part := b.logits[at : at+partSize]; !(kernel.SumSquares(part) <= math.MaxFloat32) {
			bounded(part)
		}
	}
	bounded(b.logits[whole:])
	for len(b.logits)%partSize > 0 {
		b.logits = append(b.logits, float32(math.Inf(-1)))
	}
	return b.logits[:len(raw)]
}

func bounded(logits []float32) {
	bound := math.Float32bits(most)
	for i, x := range logits {
		if math.Float32bits(x)&^(1<<31) > bound {
			switch {
			case x > 0:
				logits[i] = most
			case x >= -math.MaxFloat32:
				logits[i] = -most
			default: // -Inf or NaN
				logits[i] = float32(math.Inf(-1))
			}
		}
	}
}

// peak finds the greatest of the logits that clean gave, the first if there are
// several, and of each part.
func (b *scratch) peak(logits []float32) candidate {
	b.peaks = b.peaks[:0]
	best := float32(math.Inf(-1))
	for at := 0; at < len(logits); at += partSize {
		x := kernel.Largest(b.logits[at : at+partSize])
		b.peaks = append(b.peaks, x)
		best = max(best, x)
	}
	at := slices.Index(b.peaks, best) * partSize
	return candidate{best, int32(at + slices.Index(b.logits[at:], best))}
}

// argmax is the token of the greatest logit; of numbers that are none, any.
func argmax(logits []float32) int32 {
	best, at, n := float32(math.Inf(-1)), 0, len(logits)
	for i := 0; i < len(logits); i += partSize {
		end := min(i+partSize, len(logits))
		whole := i + (end-i)/16*16
		if whole > i {
			if x := kernel.Largest(logits[i:whole]); x > best {
				best, at, n = x, i, end
			}
		}
		for _, x := range logits[whole:end] {
			if x > best {
				best, at, n = x, i, end
			}
		}
	}
	return int32(max(0, at+slices.Index(logits[at:n], best)))
}

// reaching lists, behind peak, the tokens whose logit is possible and at least floor.
func (b *scratch) reaching(logits []float32, floor float32) []candidate {
	floor = max(floor, last)
	cs := b.candidates[:0]
	for i, x := range b.peaks {
		if x < floor {
			continue
		}
		at := i * partSize
		for j, x := range logits[at:min(at+partSize, len(logits))] {
			if x >= floor {
				cs = append(cs, candidate{x, int32(at + j)})
			}
		}
	}
	b.candidates = cs
	return cs
}

// top gives the k best candidates in falling order; fewer, if no more are possible. So
// many parts hold one that reaches the least of the k greatest peaks.
func (b *scratch) top(logits []float32, k int) []candidate {
	floor := float32(math.Inf(-1))
	if k < len(b.peaks) {
		b.candidates = b.candidates[:0]
		for i, x := range b.peaks {
			b.candidates = append(b.candidates, candidate{x, int32(i)})
		}
		floor = topOf(b.candidates, k)[0].logit
	}
	h := topOf(b.reaching(logits, floor), k)
	fall(h)
	return h
}

// drawAny takes one of all tokens by chance. It gives what drawAt would, and takes the
// exponentials in float64 only where those in float32 leave it in doubt.
func (s *sampler) drawAny(logits []float32, best candidate, b *scratch) int32 {
	u := s.uniform()
	if id, sure := b.drawNear(u, best, s.temperature); sure {
		return id
	}
	return drawAt(u, b.reaching(logits, last), best, s.temperature, b)
}

// drawSlack is how far a sum of exponentials in float32 may be from the true one, as a
// part of all. An exponential is wrong by 3·10⁻⁷ of itself, and by 1.8·10⁻⁷ for
// each unit of its argument, which in turn is rounded three times; those of arguments
// below −16 come to less than 10⁻⁷ of the greatest, even of 262,144 tokens; the sum of a part
// adds 1.2·10⁻⁶. That makes 5·10⁻⁶ for a sum, and as much for the share of it.
const drawSlack = 1e-5

// near adds up the exponentials of b.logits below the greatest, in float32: of each part
// in b.weights, and all.
func (b *scratch) near(best candidate, scale float32) (total float64) {
	b.weights = b.weights[:0]
	for i := range b.peaks {
		w := b.nearPart(i, best, scale)
		b.weights = append(b.weights, w)
		total += w
	}
	return total
}

// nearPart makes b.floats the exponentials of one part and adds them up.
func (b *scratch) nearPart(i int, best candidate, scale float32) float64 {
	b.floats = append(b.floats[:0], b.logits[i*partSize:][:partSize]...)
	return float64(kernel.ExponentialsBelow(b.floats, scale, best.logit))
}

// drawNear is drawAt for the tokens of b.logits, with exponentials in float32. It is
// sure where none of their errors could change the token.
func (b *scratch) drawNear(u float64, best candidate, temperature float64) (id int32, sure bool) {
	if temperature < 0.01 || temperature > 100 {
		return 0, false
	}
	scale := float32(1 / temperature)
	total := b.near(best, scale)
	slack, at := drawSlack*total, u*total
	for i, w := range b.weights {
		if at >= w {
			at -= w
			continue
		}
		b.nearPart(i, best, scale)
		for j, x := range b.floats {
			w := float64(x)
			if at < w {
				return int32(i*partSize + j), at > slack && w-at > slack
			}
			at -= w
		}
		break
	}
	return 0, false
}

// nearMost is how many tokens nucleusNear looks at.
const nearMost = 256

// nucleusNear is nucleus with all exponentials but those of the likeliest in float32. It
// is sure where it finds few tokens, and no error could make them one more or less.
func (b *scratch) nucleusNear(logits []float32, p float64, best candidate) (kept []candidate, sure bool) {
	total := b.near(best, 1)
	wanted, slack := p*total, drawSlack*total
	kept = b.top(logits, nearMost)
	sum, n := 0.0, 0
	for n < len(kept) && (n == 0 || sum < wanted-slack) {
		sum += exp(float64(kept[n].logit) - float64(best.logit))
		n++
	}
	if sum <= wanted+slack {
		return nil, false
	}
	// The order of nucleus: the last bucket sorted, and before it all by their ids.
	kept = kept[:n]
	edge := bucket(best.logit, kept[n-1].logit)
	in := slices.IndexFunc(kept, func(c candidate) bool { return bucket(best.logit, c.logit) == edge })
	slices.SortFunc(kept[:in], func(a, b candidate) int { return cmp.Compare(a.id, b.id) })
	return kept, true
}
