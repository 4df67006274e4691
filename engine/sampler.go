package engine

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"

	"parley/llm"
)

// settings are the parts of llm.Params that choose tokens, with nothing left
// open.
type settings struct {
	temperature float64
	topK        int // 0: all
	topP        float64
	minP        float64

	repetition float64
	lookBack   int // tokens that repetition looks at; -1: all
	presence   float64
	frequency  float64

	bias      map[int]float64
	ignoreEOS bool
	logProbs  int // alternatives to report; -1: no probabilities at all

	seed   int64
	choice int
}

// settle fills in the neutral value of everything that p leaves open.
func settle(p llm.Params) settings {
	s := settings{
		temperature: value(p.Temperature, 1),
		topK:        max(0, value(p.TopK, 0)),
		topP:        value(p.TopP, 1),
		minP:        value(p.MinP, 0),
		repetition:  value(p.RepetitionPenalty, 1),
		lookBack:    value(p.RepetitionRange, 64),
		presence:    value(p.PresencePenalty, 0),
		frequency:   value(p.FrequencyPenalty, 0),
		bias:        p.LogitBias,
		ignoreEOS:   p.IgnoreEOS,
		logProbs:    value(p.LogProbs, -1),
		choice:      p.Choice,
	}
	if p.Seed != nil {
		s.seed = *p.Seed
	} else {
		s.seed = rand.Int64N(1 << 53) // every JSON reader can hold it
	}
	return s
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// A sampler chooses the tokens of one sequence. The order of its steps is
// llama.cpp's: bias, penalties, top-k, top-p, min-p, temperature, chance.
type sampler struct {
	settings
	chance *rand.ChaCha8
	ends   []int32 // tokens that ignoreEOS forbids

	window    []int32       // the last lookBack tokens, prompt included; unused for -1
	seen      map[int32]int // how often each token occurs in the window
	generated map[int32]int
}

func newSampler(s settings, prompt, ends []int32) *sampler {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], uint64(s.seed))
	binary.LittleEndian.PutUint64(key[8:], uint64(s.choice))
	copy(key[16:], "parley engine v1")
	sm := &sampler{
		settings: s, chance: rand.NewChaCha8(key), ends: ends,
		seen: map[int32]int{}, generated: map[int32]int{},
	}
	if s.repetition != 1 {
		if s.lookBack >= 0 {
			prompt = prompt[max(0, len(prompt)-s.lookBack):]
		}
		for _, id := range prompt {
			sm.see(id)
		}
	}
	return sm
}

// accept takes note of a token that was chosen.
func (s *sampler) accept(id int32) {
	if s.presence != 0 || s.frequency != 0 {
		s.generated[id]++
	}
	if s.repetition != 1 {
		s.see(id)
	}
}

func (s *sampler) see(id int32) {
	if s.lookBack == 0 {
		return
	}
	s.seen[id]++
	if s.lookBack < 0 {
		return
	}
	s.window = append(s.window, id)
	if len(s.window) > s.lookBack {
		old := s.window[0]
		s.window = s.window[1:]
		if s.seen[old]--; s.seen[old] == 0 {
			delete(s.seen, old)
		}
	}
}

// A candidate is a token that may still be chosen.
type candidate struct {
	logit float32
	id    int32
}

func better(a, b candidate) bool {
	return a.logit > b.logit || a.logit == b.logit && a.id < b.id
}

// A scratch is working memory for sampling, shared by all sequences of a loop.
type scratch struct {
	logits     []float32
	candidates []candidate
	edge       []candidate
	weights    []float64
}

// pick chooses a token. It fails where no logit is a number.
func (s *sampler) pick(raw []float32, b *scratch) (id int32, ok bool) {
	logits := b.clean(raw)
	for id, bias := range s.bias {
		logits[id] += float32(bias)
	}
	if s.ignoreEOS {
		for _, id := range s.ends {
			logits[id] = float32(math.Inf(-1))
		}
	}
	s.penalise(logits)
	best := argmax(logits)
	if math.IsInf(float64(best.logit), -1) {
		return 0, false
	}
	if s.temperature == 0 {
		return best.id, true
	}
	return s.draw(s.cut(logits, best, b), best, b), true
}

// clean copies logits and leaves neither NaN nor +Inf among them.
func (b *scratch) clean(raw []float32) []float32 {
	b.logits = append(b.logits[:0], raw...)
	for i, x := range b.logits {
		if !(x <= math.MaxFloat32) { // NaN or +Inf
			if x != x {
				b.logits[i] = float32(math.Inf(-1))
			} else {
				b.logits[i] = math.MaxFloat32
			}
		}
	}
	return b.logits
}

// penalise lowers what was said before. Which map comes first matters, the
// order within a map does not.
func (s *sampler) penalise(logits []float32) {
	if s.repetition != 1 {
		p := float32(s.repetition)
		for id := range s.seen {
			if logits[id] > 0 {
				logits[id] /= p
			} else {
				logits[id] *= p
			}
		}
	}
	for id, n := range s.generated {
		logits[id] -= float32(s.presence + float64(n)*s.frequency)
	}
}

func argmax(logits []float32) candidate {
	best := candidate{float32(math.Inf(-1)), 0}
	for i, x := range logits {
		if x > best.logit {
			best = candidate{x, int32(i)}
		}
	}
	return best
}

// cut applies top-k, top-p and min-p.
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
		kept = b.nucleus(logits, s.topP, best.logit)
	default:
		kept = b.candidates[:0]
		for i, x := range logits {
			if x >= floor {
				kept = append(kept, candidate{x, int32(i)})
			}
		}
		b.candidates = kept
		return kept
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

// top gives the k best candidates in falling order. A heap of k with its worst
// on top makes that one comparison for nearly every logit.
func (b *scratch) top(logits []float32, k int) []candidate {
	h := b.candidates[:0]
	for i, x := range logits[:k] {
		h = append(h, candidate{x, int32(i)})
	}
	for i := k/2 - 1; i >= 0; i-- {
		sink(h, i)
	}
	for i := k; i < len(logits); i++ {
		// Equal logits: the lower id, which is in the heap already, is better.
		if x := logits[i]; x > h[0].logit {
			h[0] = candidate{x, int32(i)}
			sink(h, 0)
		}
	}
	fall(h)
	b.candidates = h
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
		w := math.Exp(float64(x) - float64(greatest))
		masses[bucket(greatest, x)] += w
		total += w
	}
	last, before := 0, 0.0
	for last < buckets-1 && before+masses[last] < p*total {
		before += masses[last]
		last++
	}
	in, edge := b.candidates[:0], b.edge[:0]
	for i, x := range logits {
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
		sum += math.Exp(float64(c.logit) - float64(greatest))
		if sum >= wanted {
			return i + 1
		}
	}
	return len(cs)
}

func mass(cs []candidate, greatest float32) (total float64) {
	for _, c := range cs {
		total += math.Exp(float64(c.logit) - float64(greatest))
	}
	return total
}

// draw takes one of the candidates by chance, at the sampler's temperature.
func (s *sampler) draw(cs []candidate, best candidate, b *scratch) int32 {
	b.weights = b.weights[:0]
	total := 0.0
	for _, c := range cs {
		w := math.Exp((float64(c.logit) - float64(best.logit)) / s.temperature)
		b.weights = append(b.weights, w)
		total += w
	}
	// 53 bits, uniform in [0, 1).
	at := float64(s.chance.Uint64()>>11) / (1 << 53) * total
	for i, w := range b.weights {
		if at < w {
			return cs[i].id
		}
		at -= w
	}
	return best.id // rounding took the sum beyond the last
}

// leastLogProb stands for the logarithm of zero, which JSON cannot hold.
const leastLogProb = -9999

// probabilities gives the logarithm of the model's own probability of a token,
// before bias, penalties and cuts, and of the most likely tokens.
func probabilities(raw []float32, id int32, top int, b *scratch) (of float64, best []candidate, logProb func(float32) float64) {
	logits := b.clean(raw)
	greatest := float64(argmax(logits).logit)
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - greatest)
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
