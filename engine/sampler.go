package engine

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"

	"parley/llm"
)

// A sampler chooses the tokens of one sequence: bias first, then the steps of
// its plan, then chance. What it chooses is a function of its settings, the
// tokens before and the logits, and of nothing else.
type sampler struct {
	settings
	chance *rand.ChaCha8

	ends    []int32 // tokens that end a reply: ignoreEOS and minTokens forbid them
	closers []int32 // others that end it: minTokens forbids them
	barred  []int32 // tokens that must not come next, whatever happens
	never   []int32 // tokens that must never come
	held    *holder // nil: there is no constraint
	// respell, if set, makes impossible what does not spell the end of the
	// prompt. It reports false if that is spelled.
	respell func(logits []float32) bool

	penalties *penalties
	dry       *dry      // nil: off
	surprise  []float64 // mirostat's bound, at first and after each token; nil: off
	count     int       // tokens accepted
	prompt    []int32
}

func newSampler(s settings, prompt, ends []int32, words vocabulary) *sampler {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], uint64(s.seed))
	binary.LittleEndian.PutUint64(key[8:], uint64(s.choice))
	copy(key[16:], "parley engine v1")
	sm := &sampler{settings: s, chance: rand.NewChaCha8(key), ends: ends, prompt: prompt}
	sm.penalties = newPenalties(&sm.settings, prompt)
	if s.does(llm.SampleDRY) {
		sm.dry = newDRY(s.dry, prompt, words)
	}
	if s.mirostat {
		sm.surprise = []float64{2 * s.tau}
	}
	return sm
}

// accept takes note of a token that was chosen.
func (s *sampler) accept(id int32) {
	s.count++
	s.penalties.accept(id)
	if s.dry != nil {
		s.dry.accept(id)
	}
	if n := len(s.surprise); n > 0 && n <= s.count {
		s.surprise = append(s.surprise, s.surprise[n-1]) // nothing was drawn
	}
}

// read takes note of a further token of the prompt.
func (s *sampler) read(id int32) {
	s.prompt = append(slices.Clip(s.prompt), id)
	if s.repeats() {
		s.penalties.see(id)
	}
	if s.dry != nil {
		s.dry.accept(id)
	}
	if s.surprise != nil {
		s.surprise = s.surprise[:1] // what the prompt is spelled with surprises nobody
	}
}

// rewind goes back to where only the given tokens had been accepted. The
// random numbers go on.
func (s *sampler) rewind(accepted []int32) {
	s.count = len(accepted)
	s.penalties = newPenalties(&s.settings, s.prompt)
	for _, id := range accepted {
		s.penalties.accept(id)
	}
	if s.dry != nil {
		s.dry.rewind(len(s.prompt) + len(accepted))
	}
	if s.surprise != nil {
		s.surprise = s.surprise[:len(accepted)+1]
	}
}

// A candidate is a token that may still be chosen. Its logit is finite.
type candidate struct {
	logit float32
	id    int32
}

func better(a, b candidate) bool {
	return a.logit > b.logit || a.logit == b.logit && a.id < b.id
}

// pick chooses a token. It fails where no logit is a number, and where all
// that are belong to barred tokens.
func (s *sampler) pick(raw []float32, b *scratch) (id int32, ok bool) {
	logits := b.clean(raw)
	for _, x := range s.bias {
		logits[x.id] += x.by
	}
	for _, step := range s.plan.first {
		if step == llm.SamplePenalties {
			s.penalties.apply(logits)
		} else {
			s.dry.apply(logits)
		}
	}
	s.forbid(logits)
	best := b.peak(logits)
	switch {
	case math.IsInf(float64(best.logit), -1):
		return 0, false
	case s.plan.greedy:
		return best.id, true
	case s.plan.plain:
		if !s.cuts() {
			return s.drawAny(logits, best, b), true
		}
		return s.draw(s.cut(logits, best, b), best, s.temperature, b), true
	}
	return s.follow(logits, b), true
}

// last is the logit of a token that is forbidden, but not impossible: it comes
// where there is nothing else.
const last = -math.MaxFloat32

// held bounds the logit of a candidate.
func held(logit float64) float32 {
	return float32(max(last, min(-last, logit)))
}

// forbid takes away what settings and banned phrases forbid.
func (s *sampler) forbid(logits []float32) {
	for _, x := range s.bias {
		if x.forbid {
			lower(logits, x.id)
		}
	}
	early := s.count < s.minTokens
	if s.ignoreEOS || early {
		for _, id := range s.ends {
			lower(logits, id)
		}
	}
	if early {
		for _, id := range s.closers {
			lower(logits, id)
		}
	}
	for _, id := range s.barred {
		logits[id] = float32(math.Inf(-1))
	}
	if s.respell != nil && s.respell(logits) {
		return
	}
	for _, id := range s.never {
		logits[id] = float32(math.Inf(-1))
	}
	if s.held != nil {
		s.held.restrict(logits, s.ends, s.closers)
	}
}

func lower(logits []float32, id int32) {
	if logits[id] > last {
		logits[id] = last
	}
}

func isNumber(x float32) bool { return x >= last } // +Inf is cut to one

// follow goes through the steps of the plan with whatever is left of the
// vocabulary after each. There is always something left.
func (s *sampler) follow(logits []float32, b *scratch) int32 {
	cs := b.reaching(logits, last)
	for _, step := range s.plan.rest {
		switch step {
		case llm.SamplePenalties:
			s.penalties.applyTo(cs)
		case llm.SampleDRY:
			s.dry.applyTo(cs)
		case llm.SampleTopNSigma:
			cs = withinSigmas(cs, s.sigmas)
		case llm.SampleTopK:
			cs = topOf(cs, s.topK)
		case llm.SampleTypicalP:
			cs = b.typical(cs, s.typicalP)
		case llm.SampleTopP:
			cs = b.topP(cs, s.topP)
		case llm.SampleMinP:
			cs = above(cs, s.minP)
		case llm.SampleXTC:
			cs = s.excludeTop(cs)
		case llm.SampleTemperature:
			cs = s.heat(cs)
		}
	}
	if s.mirostat {
		return s.drawSurprising(cs, b)
	}
	return s.draw(cs, greatest(cs), 1, b)
}

func greatest(cs []candidate) candidate {
	best := cs[0]
	for _, c := range cs[1:] {
		if better(c, best) {
			best = c
		}
	}
	return best
}

// uniform is a number in [0, 1) of 53 bits.
func (s *sampler) uniform() float64 { return float64(s.chance.Uint64()>>11) / (1 << 53) }

// draw takes one of the candidates by chance, at a temperature.
func (s *sampler) draw(cs []candidate, best candidate, temperature float64, b *scratch) int32 {
	return drawAt(s.uniform(), cs, best, temperature, b)
}

// drawAt is draw with a number in [0, 1) in place of chance.
func drawAt(u float64, cs []candidate, best candidate, temperature float64, b *scratch) int32 {
	b.weights = b.weights[:0]
	total := 0.0
	for _, c := range cs {
		w := exp((float64(c.logit) - float64(best.logit)) / temperature)
		b.weights = append(b.weights, w)
		total += w
	}
	at := u * total
	for i, w := range b.weights {
		if at < w {
			return cs[i].id
		}
		at -= w
	}
	return best.id // rounding took the sum beyond the last
}
