package engine

import (
	"log/slog"
	"slices"
	"time"

	"parley/internal/transformer"
)

// Speculation. A step for several tokens of a sequence takes little longer than
// one for a single token, since the weights are read once for all of them. So what
// a sequence may say next is proposed, by a lookup in its own text (lookup.go) or
// by a small model (draft.go), and read in the same step; then the sampler
// chooses behind each token as it would without, and goes on as long as it
// chooses what was proposed (Leviathan et al., 2023). What is chosen is a function
// of the logits, and these do not depend on what is read beside, so an answer is
// the same with speculation and without, to the bit and for all settings.
//
// How many proposed tokens a step reads is decided by widen, from how often such
// proposals were right and how long wide steps took.

const (
	mostProposed = 16 // tokens proposed for one sequence
	mostGuessed  = 32 // proposed tokens that a step reads
	guessedPart  = 4  // beside prompts they are a part of the work on these: others wait for the step

	_ = uint(transformer.Rewinds - mostProposed) // all of them can be taken back
)

// An offer is what is known of a proposal before it is decided on.
type offer struct {
	most  int     // tokens
	right float64 // the probability that one of them is, if those before it were
	model bool    // the small model has to make it, a token of all sequences in each round
}

// worthwhile is by how much more tokens a second a wider step must promise:
// what it is decided on is not known exactly.
const worthwhile = 1.03

// widen gives how many tokens of each offer a step reads, so that the most
// tokens a second are to be expected. Without them it reads base tokens. cost is
// how long a step of so many tokens takes, round how long the small model takes
// for a token.
func widen(offers []offer, base int, cost func(tokens int) time.Duration, round time.Duration) []int {
	widths, best := make([]int, len(offers)), make([]int, len(offers))
	gains := make([]float64, len(offers)) // of the next token of each
	for i, o := range offers {
		gains[i] = o.right
	}
	expected, rounds := float64(len(offers)), 0
	rate := worthwhile * expected / float64(max(1, cost(base)))
	for n := 1; n <= mostGuessed; n++ {
		next := -1
		for i, o := range offers {
			if widths[i] < o.most && gains[i] > 0 && (next < 0 || gains[i] > gains[next]) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		widths[next]++
		expected += gains[next]
		gains[next] *= offers[next].right
		if offers[next].model {
			rounds = max(rounds, widths[next])
		}
		took := cost(base+n) + time.Duration(rounds)*round
		if r := expected / float64(max(1, took)); r > rate {
			rate = r
			copy(best, widths)
		}
	}
	return best
}

// A stepCosts knows how long steps take in which nothing but what is generated
// and proposed is read, by the number of tokens.
type stepCosts struct {
	took [2*mostGuessed + 1]time.Duration // 0: never seen
	seen [2*mostGuessed + 1]uint64        // in which step, counted by observe
	now  uint64
}

const (
	// A wide step that was not made for so many steps is a step never made: what
	// is measured once on a busy machine must not count for ever.
	costHolds = 512
	// What is not known is assumed, so that it will be tried: each further token
	// lengthens a step by so much of its time.
	costAssumed = 0.04
)

// observe learns from a step.
func (c *stepCosts) observe(tokens int, took time.Duration) {
	c.now++
	if tokens >= len(c.took) {
		return
	}
	if old := c.took[tokens]; c.known(tokens) {
		took = (3*old + took) / 4
	}
	c.took[tokens], c.seen[tokens] = max(1, took), c.now
}

func (c *stepCosts) known(tokens int) bool {
	return c.took[tokens] > 0 && c.now-c.seen[tokens] < costHolds
}

// of is how long a step of so many tokens takes, between what is known.
func (c *stepCosts) of(tokens int) time.Duration {
	tokens = min(tokens, len(c.took)-1)
	below, above := tokens, tokens
	for below > 0 && !c.known(below) {
		below--
	}
	for above < len(c.took) && !c.known(above) {
		above++
	}
	switch {
	case below == tokens:
		return c.took[tokens]
	case below > 0 && above < len(c.took):
		span := c.took[above] - c.took[below]
		return c.took[below] + span*time.Duration(tokens-below)/time.Duration(above-below)
	case below > 0:
		return c.took[below] + time.Duration(costAssumed*float64(tokens-below)*float64(c.took[below]))
	case above < len(c.took):
		return c.took[above]
	}
	return 1
}

// odds are how often proposals of a kind were right.
type odds struct{ right, all float64 }

const (
	oddsForget = 0.97 // what an older proposal weighs, each time
	oddsPrior  = 4    // proposals that what is known of others weighs
)

func (o *odds) observe(right bool) {
	o.right, o.all = o.right*oddsForget, o.all*oddsForget+1
	if right {
		o.right++
	}
}

// behind is the probability that the next one is right, where prior is that of
// others like it.
func (o *odds) behind(prior float64) float64 {
	return (o.right + oddsPrior*prior) / (o.all + oddsPrior)
}

// A kind of proposal: by the length of the run before it, or from the small
// model.
type kind int

const (
	fromShortRun kind = iota
	fromRun
	fromLongRun
	fromModel
	kinds
)

func kindOf(run int) kind {
	switch {
	case run < 5:
		return fromShortRun
	case run < 12:
		return fromRun
	}
	return fromLongRun
}

// guesses are what is proposed for one sequence.
type guesses struct {
	lookup *lookup
	odds   [kinds]odds

	draft  draft // of the small model
	rested int   // steps since it proposed anything

	proposal []int32 // for the coming tokens; not all of it may be read
	kind     kind

	drafted, accepted int // tokens that were read because they were proposed; those of them that were chosen
}

// propose looks for what the sequence may say next.
func (s *sequence) propose(prior *[kinds]odds) offer {
	g := &s.guesses
	g.proposal = nil
	most := min(mostProposed, s.maxTokens-s.generated()-1)
	if most < 1 || s.healing() != "" {
		return offer{}
	}
	if g.lookup == nil {
		g.lookup = newLookup(s.tokens, s.expected, len(s.prompt)+s.maxTokens)
	}
	for n := g.lookup.length(); n < len(s.tokens); n++ {
		g.lookup.add(s.tokens[n])
	}
	var run int
	if n := s.generated(); n < lookupRun && n < len(s.expected) && slices.Equal(s.tokens[len(s.prompt):], s.expected[:n]) {
		g.proposal, run = s.expected[n:min(n+most, len(s.expected))], lookupLong
	} else {
		g.proposal, run = g.lookup.find(most)
	}
	g.kind = kindOf(run)
	return offer{most: len(g.proposal), right: g.right(prior)}
}

func (g *guesses) right(prior *[kinds]odds) float64 {
	return g.odds[g.kind].behind(prior[g.kind].behind(0.5))
}

// learn compares the proposal with what was chosen. What was not read counts as
// well, as far as it can be known: the first token that was wrong ends it.
func (g *guesses) learn(chosen []int32, all *[kinds]odds) {
	for i, id := range chosen {
		if i >= len(g.proposal) {
			break
		}
		right := g.proposal[i] == id
		g.odds[g.kind].observe(right)
		all[g.kind].observe(right)
		if !right {
			break
		}
	}
}

// rewind forgets what is behind the first n tokens of the sequence.
func (g *guesses) rewind(n int) {
	if g.lookup != nil && n < g.lookup.length() {
		g.lookup.rewind(n)
	}
}

// A guesser is what a loop knows of proposals.
type guesser struct {
	off     bool
	odds    [kinds]odds // of all sequences
	costs   stepCosts
	drafter *drafter // nil: there is no small model
	// decide, if set, stands in for widen.
	decide func(offers []offer) []int
}

// guess adds proposed tokens to the steps of sequences that generate, and gives
// how many. base is how many tokens the steps have, beside the work that they do on
// prompts; 0: there are none.
func (l *loop) guess(batch []*sequence, steps []step, base int, beside float64) (added int) {
	g := &l.guesser
	if g.off || l.model.HasStates() { // which cannot be taken back
		return 0
	}
	var offers []offer
	var of []int // which of the batch
	any := false
	for i, s := range batch {
		if !steps[i].want || len(steps[i].tokens) > 1 {
			continue
		}
		o := s.propose(&g.odds)
		if g.drafter != nil {
			o = s.orDraft(o, &g.odds)
		}
		any = any || o.most > 0
		offers, of = append(offers, o), append(of, i)
	}
	if !any {
		return 0
	}
	if beside > 0 {
		for j := range offers {
			offers[j].most = min(offers[j].most, int(beside/guessedPart)/len(offers))
		}
	}
	widths := g.widths(offers, base, beside > 0, l.pacer.mixed.perToken)
	g.draft(batch, of, offers, widths, l.log)
	for j, n := range widths {
		s, st := batch[of[j]], &steps[of[j]]
		if n = min(n, len(s.guesses.proposal)); n > 0 {
			st.tokens = append(slices.Clip(st.tokens), s.guesses.proposal[:n]...)
			st.want, st.all = false, true
			added += n
		}
	}
	return added
}

// widths decides how much of the offers is read.
func (g *guesser) widths(offers []offer, base int, mixed bool, perToken time.Duration) []int {
	if g.decide != nil {
		return g.decide(offers)
	}
	cost, round := g.costs.of, time.Duration(0)
	if mixed {
		cost = func(n int) time.Duration { return time.Duration(n) * perToken }
	}
	if g.drafter != nil {
		round = g.drafter.round
	}
	return widen(offers, base, cost, round)
}

// orDraft is the offer of the small model, where it is better than that of a
// lookup.
func (s *sequence) orDraft(found offer, prior *[kinds]odds) offer {
	const better = 1.25 // a lookup costs nothing
	g := &s.guesses
	most := min(draftMost, s.maxTokens-s.generated()-1)
	right := g.odds[fromModel].behind(prior[fromModel].behind(0.6))
	if g.rested++; g.rested > draftRests {
		right = max(right, 0.6)
	}
	if most < 1 || s.healing() != "" || found.most > 0 && found.right*better >= right {
		return found
	}
	return offer{most: most, right: right, model: true}
}

// draft has the small model make what was decided that it should.
func (g *guesser) draft(batch []*sequence, of []int, offers []offer, widths []int, log *slog.Logger) {
	var list []*sequence
	var wanted []int
	for j, o := range offers {
		if !o.model || widths[j] == 0 {
			continue
		}
		s := batch[of[j]]
		s.guesses.kind, s.guesses.rested = fromModel, 0
		list, wanted = append(list, s), append(wanted, widths[j])
	}
	if len(list) == 0 {
		if g.drafter != nil {
			g.drafter.rest()
		}
		return
	}
	if err := g.drafter.propose(list, wanted); err != nil {
		log.Error("the draft model failed and is asked no more", "err", err)
		for _, s := range list {
			s.guesses.proposal = nil
		}
		g.drafter = nil
	}
}

// chooseAll lets a sequence choose behind the last token of its step, or behind
// each as long as it chooses the next one.
func (l *loop) chooseAll(s *sequence, st *step) (ended bool, err error) {
	if !st.all {
		begin := len(s.tokens)
		l.total.GeneratedTokens++
		ended, err = l.choose(s, st.logits)
		s.guesses.learn(s.tokens[min(begin, len(s.tokens)):], &l.guesser.odds)
		return ended, err
	}
	begin, accepted := len(s.tokens), 0
	proposed := st.tokens[1:]
	for i, logits := range st.rows {
		l.total.GeneratedTokens++
		n := len(s.tokens)
		ended, err = l.choose(s, logits)
		if len(s.tokens) != n+1 || i == len(proposed) || s.tokens[n] != proposed[i] {
			break // it chose another one, or took something back
		}
		accepted++
		if ended || err != nil {
			break
		}
	}
	s.cache.Truncate(len(s.tokens) - 1)
	s.guesses.learn(s.tokens[min(begin, len(s.tokens)):], &l.guesser.odds)
	s.guesses.drafted += len(proposed)
	s.guesses.accepted += accepted
	l.total.DraftedTokens += uint64(len(proposed))
	l.total.AcceptedTokens += uint64(accepted)
	return ended, err
}
