package engine

// penalties lower the logits of tokens that were there before.
//
// The repetition penalty (Keskar et al., 2019) divides positive logits and
// multiplies negative ones, as llama.cpp and transformers do: dividing a
// negative one would make its token likelier. It looks at the last tokens, the
// prompt included. Presence and frequency penalties are OpenAI's and look at
// what was generated.
type penalties struct {
	of *settings

	window    []int32       // the last lookBack tokens, prompt included; unused for -1
	seen      map[int32]int // how often each token occurs in the window
	generated map[int32]int
}

func newPenalties(s *settings, prompt []int32) *penalties {
	p := &penalties{of: s, seen: map[int32]int{}, generated: map[int32]int{}}
	if s.repeats() {
		if s.lookBack >= 0 {
			prompt = prompt[max(0, len(prompt)-s.lookBack):]
		}
		for _, id := range prompt {
			p.see(id)
		}
	}
	return p
}

// accept takes note of a token that was chosen.
func (p *penalties) accept(id int32) {
	if p.of.presence != 0 || p.of.frequency != 0 {
		p.generated[id]++
	}
	if p.of.repeats() {
		p.see(id)
	}
}

func (p *penalties) see(id int32) {
	p.seen[id]++
	if p.of.lookBack < 0 {
		return
	}
	p.window = append(p.window, id)
	if len(p.window) > p.of.lookBack {
		old := p.window[0]
		p.window = p.window[1:]
		if p.seen[old]--; p.seen[old] == 0 {
			delete(p.seen, old)
		}
	}
}

// apply lowers the logits of a whole vocabulary. Which map comes first
// matters, the order within a map does not.
func (p *penalties) apply(logits []float32) {
	for id := range p.seen {
		logits[id] = p.repeated(logits[id])
	}
	for id, n := range p.generated {
		logits[id] -= p.said(n)
	}
}

// applyTo does the same to some tokens.
func (p *penalties) applyTo(cs []candidate) {
	for i := range cs {
		c := &cs[i]
		if p.seen[c.id] > 0 {
			c.logit = p.repeated(c.logit)
		}
		if n := p.generated[c.id]; n > 0 {
			c.logit -= p.said(n)
		}
		c.logit = held(float64(c.logit))
	}
}

func (p *penalties) repeated(logit float32) float32 {
	if logit > 0 {
		return logit / float32(p.of.repetition)
	}
	return logit * float32(p.of.repetition)
}

func (p *penalties) said(times int) float32 {
	return float32(p.of.presence + float64(times)*p.of.frequency)
}
