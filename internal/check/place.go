package check

import (
	"context"
	"encoding/json"
	"math"
	"strings"
)

// place finds out whether message k of a list stands in the prompt where it
// stands in the list. x is the exchange that sent the list last. Three
// instruments can tell: the prompt as the server shows it, the prompt cache,
// and what the model makes of the list and of the one in which the message was
// moved.
func (s *subject) place(ctx context.Context, l list, k int, moved []int, x *exchange) finding {
	if f := s.placeShown(ctx, l); f.verdict != CannotTell {
		return f
	}
	if f := s.placeCached(ctx, l, k); f.verdict != CannotTell {
		return f
	}
	if len(moved) > 0 {
		return s.placeFelt(ctx, l, k, moved)
	}
	return cannotTell("the place is not shown")
}

// placeShown looks at the prompt that the server shows.
func (s *subject) placeShown(ctx context.Context, l list) finding {
	if s.renders == "" {
		return cannotTell("the server shows no prompts")
	}
	x, err := s.do(ctx, "POST", s.renders, request{Model: s.model, Messages: l.build(l.weights())})
	var shown struct{ Text, Prompt string }
	if err != nil || json.Unmarshal(x.body, &shown) != nil {
		return cannotTell("the server shows no prompts")
	}
	text, last := shown.Text+shown.Prompt, -1
	for i := range l {
		switch at := strings.Index(text, sentinels[i]); {
		case at < 0:
			return cannotTell("the server shows another prompt")
		case at < last:
			return broken(of(x), "%s stands behind the message that follows it", l.labels()[i-1])
		default:
			last = at
		}
	}
	return kept("the prompt that the server shows has them in order")
}

// placeCached changes message k and looks how far the prompt is the same as
// before: that is where the message stands.
func (s *subject) placeCached(ctx context.Context, l list, k int) finding {
	untold := cannotTell("the cache tells nothing")
	again, x, err := s.touch(ctx, l.build(l.weights()))
	if err != nil || again.cached < 0 || again.cached > again.prompt() {
		return untold
	}
	grain := max(16, again.prompt()-again.cached) // caches of blocks are coarse
	if grain > 40 {
		return untold
	}
	at, x2, ok := s.parts(ctx, l, k)
	if !ok {
		return untold
	}
	least, most := s.between(l, k, again.prompt())
	if at >= least-grain && at <= most+4 {
		return kept("the cache says that %s is in its place", l.labels()[k])
	}
	// A cache that holds only whole prompts knows of no place.
	other := len(l) - 1
	if other == k {
		other--
	}
	first, _ := s.between(l, other, again.prompt())
	if at, _, ok := s.parts(ctx, l, other); !ok || at < first-grain {
		return untold
	}
	if at > most {
		return broken(of(x, x2), "%s is moved to the back: when it changes the prompt stays the same for %d tokens, though it stands before token %d",
			l.labels()[k], at, most)
	}
	return broken(of(x, x2), "%s is moved to the front: when it changes the prompt is another from token %d on, though %d tokens are before it",
		l.labels()[k], at, least)
}

// parts sends the list with another message k and gives how many tokens were
// in the cache.
func (s *subject) parts(ctx context.Context, l list, k int) (at int, x *exchange, ok bool) {
	m := l.build(l.weights())
	m[k].Content = "Quartz" + m[k].Content.(string)
	r, x, err := s.touch(ctx, m)
	if err != nil || r.cached < 0 || r.cached > r.prompt() {
		return 0, x, false
	}
	return r.cached, x, true
}

// between says how many tokens are before message k, at least and at most, of
// so many in all.
func (s *subject) between(l list, k, total int) (least, most int) {
	before, behind := 0, 0
	for i, t := range l {
		if i < k {
			before += t.words
		} else {
			behind += t.words
		}
	}
	return round(s.tokens(before)), total - round(s.tokens(behind))
}

// placeFelt compares what the model says to the list and to the one in which
// message k is moved. Different words, or different probabilities, come of
// different prompts.
func (s *subject) placeFelt(ctx context.Context, l list, k int, order []int) finding {
	messages := l.build(l.weights())
	elsewhere := make([]message, len(messages))
	for i, from := range order {
		elsewhere[i] = messages[from]
	}
	ask := func(m []message) (*reply, *exchange, error) {
		q := request{Messages: m, MaxTokens: 6, Temperature: new(0.0), LogProbs: true, TopLogProbs: 5}
		r, x, err := s.chat(ctx, q)
		if err != nil {
			q.LogProbs, q.TopLogProbs = false, 0
			r, x, err = s.chat(ctx, q)
		}
		return r, x, err
	}
	one, x, err := ask(messages)
	if err != nil {
		return cannotTell("%v", err)
	}
	other, x2, err := ask(elsewhere)
	if err != nil {
		return cannotTell("%v", err)
	}
	again, _, err := ask(messages)
	if err != nil {
		return cannotTell("%v", err)
	}
	differ, known := distance(one, other)
	noise, _ := distance(one, again)
	switch {
	case again.said() == one.said() && other.said() != one.said():
		return kept("the answer is another one when %s stands elsewhere", l.labels()[k])
	case !known:
		return cannotTell("whether %s stays in its place is not shown", l.labels()[k])
	case differ > max(0.02, 4*noise):
		return kept("the probabilities are others when %s stands elsewhere", l.labels()[k])
	case differ <= max(1e-4, noise) && one.prompt() == other.prompt():
		return broken(of(x, x2), "%s is moved: it makes no difference to the model where it stands", l.labels()[k])
	}
	return cannotTell("whether %s stays in its place is not shown", l.labels()[k])
}

// distance is the greatest difference of the probabilities of two replies'
// first tokens, as logarithms. Without probabilities it is not known.
func distance(a, b *reply) (d float64, known bool) {
	p, q := first(a), first(b)
	if len(p) == 0 || len(p) != len(q) {
		return 0, false
	}
	for i := range p {
		d = math.Max(d, math.Abs(p[i]-q[i]))
	}
	return d, true
}

// first is the probabilities of a reply's first token, the likeliest first.
func first(r *reply) (p []float64) {
	if r.logProbs == nil || len(r.logProbs.Content) == 0 {
		return nil
	}
	for _, t := range r.logProbs.Content[0].Top {
		p = append(p, t.LogProb)
	}
	return p
}
