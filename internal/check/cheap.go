package check

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var cheapChecks = []Check{
	{"cheap-turns", Cheap, "each turn of a growing chat", cheapTurns},
	{"cheap-regenerate", Cheap, "the same request again", cheapRegenerate},
	{"cheap-edit", Cheap, "an earlier message is edited", cheapEdit},
}

// turns is how many questions the growing chat has.
const turns = 10

// talk is the growing chat up to a question, counted from 1.
func talk(title string, upTo int) []message {
	m := []message{say("system", title)}
	for i := 1; i <= upTo; i++ {
		if i > 1 {
			m = append(m, say("assistant", "Birch"+fill(6)))
		}
		m = append(m, say("user", fmt.Sprintf("Amber %d:%s", i, fill(10))))
	}
	return m
}

// growth is what was counted while a chat grew: the tokens of the prompt of
// each turn and those of them that were in the cache.
type growth struct {
	title    string
	prompt   []int
	cached   []int
	exchange *exchange // the last turn
}

var errNoCache = errors.New("the server does not tell how many tokens were in its cache")

// grow lets a chat grow, turn by turn, once for all checks.
func (s *subject) grow(ctx context.Context) (*growth, *exchange, error) {
	if s.grown != nil {
		return s.grown, s.grown.exchange, nil
	}
	g := &growth{title: s.fresh("You answer briefly.")}
	for i := 1; i <= turns; i++ {
		r, x, err := s.touch(ctx, talk(g.title, i))
		switch {
		case err != nil:
			return nil, x, err
		case r.prompt() < 0:
			return nil, x, errNoCount
		case r.cached < 0 && i > 1 || r.cached > r.prompt(): // a first turn may have nothing to tell
			return nil, x, errNoCache
		}
		g.prompt, g.cached, g.exchange = append(g.prompt, r.prompt()), append(g.cached, r.cached), x
	}
	s.grown = g
	return g, g.exchange, nil
}

// turn is the tokens of one more turn, and grace what a turn may be read again
// of what was there: caches of blocks are coarse, and templates lay the last
// message out otherwise than those before it.
func (g *growth) turn() int  { return (g.prompt[turns-1] - g.prompt[0]) / (turns - 1) }
func (g *growth) grace() int { return 2*g.turn() + 32 }

func cheapTurns(ctx context.Context, s *subject) finding {
	g, x, err := s.grow(ctx)
	if errors.Is(err, errNoCache) || errors.Is(err, errNoCount) {
		return s.cheapTimed(ctx, false)
	} else if err != nil {
		return failed(x, err)
	}
	worst, at := 0, 0
	for i := 2; i < turns; i++ {
		if read := g.prompt[i] - g.cached[i]; read > worst {
			worst, at = read, i
		}
	}
	if worst > g.turn()+g.grace() {
		return broken(of(g.exchange), "turn %d reads %d of %d tokens again, though it is only %d longer than the one before",
			at+1, worst, g.prompt[at], g.turn())
	}
	return kept("turn %d reads %d of %d tokens", turns, g.prompt[turns-1]-g.cached[turns-1], g.prompt[turns-1])
}

func cheapRegenerate(ctx context.Context, s *subject) finding {
	g, x, err := s.grow(ctx)
	if errors.Is(err, errNoCache) || errors.Is(err, errNoCount) {
		return s.cheapTimed(ctx, true)
	} else if err != nil {
		return failed(x, err)
	}
	r, x, err := s.touch(ctx, talk(g.title, turns))
	if err != nil {
		return failed(x, err)
	}
	if read := r.prompt() - r.cached; read > g.grace() {
		return broken(of(g.exchange, x), "the same request again reads %d of %d tokens", read, r.prompt())
	}
	return kept("the same request again reads %d of %d tokens", r.prompt()-r.cached, r.prompt())
}

func cheapEdit(ctx context.Context, s *subject) finding {
	g, x, err := s.grow(ctx)
	if errors.Is(err, errNoCache) || errors.Is(err, errNoCount) {
		return cannotTell("%v", err)
	} else if err != nil {
		return failed(x, err)
	}
	const edited = 6 // of the questions
	m := talk(g.title, turns)
	m[2*edited-1] = say("user", "Quartz"+fill(10))
	r, x, err := s.touch(ctx, m)
	if err != nil {
		return failed(x, err)
	}
	same := g.prompt[edited-2]
	if r.cached < same-g.grace() {
		return broken(of(g.exchange, x), "after an edit of question %d only %d tokens of %d are kept, though the first %d are the same", edited, r.cached, r.prompt(), same)
	}
	return kept("after an edit of question %d of %d, %d of %d tokens are kept", edited, turns, r.cached, r.prompt())
}

// cheapTimed compares how long a prompt takes that is new, and one whose
// beginning the server has read already.
func (s *subject) cheapTimed(ctx context.Context, again bool) finding {
	const words = 500
	const enough = 100 * time.Millisecond // less is noise
	measure := func(title string, upTo int) (time.Duration, *exchange, error) {
		m := talk(title, upTo)
		m[0] = say("system", title+fill(words))
		_, x, err := s.touch(ctx, m)
		return x.took, x, err
	}
	var cold, warm time.Duration
	var last *exchange
	for i := range 2 {
		title := s.fresh("You answer briefly.")
		c, x, err := measure(title, 2)
		if err != nil {
			return failed(x, err)
		}
		upTo := 3
		if again {
			upTo = 2
		}
		w, x, err := measure(title, upTo)
		if err != nil {
			return failed(x, err)
		}
		last = x
		if i == 0 || c < cold {
			cold = c
		}
		if i == 0 || w < warm {
			warm = w
		}
	}
	what := "one turn more"
	if again {
		what = "the same request again"
	}
	switch {
	case cold < enough:
		return cannotTell("the server does not tell what was in its cache, and is too fast to be measured (%v)", cold.Round(time.Millisecond))
	case warm < cold*6/10:
		return kept("a new prompt of %d words takes %.1f s, %s %.1f s", words, cold.Seconds(), what, warm.Seconds())
	case warm > cold*9/10:
		return broken(of(last), "a new prompt of %d words takes %.1f s, and %s %.1f s", words, cold.Seconds(), what, warm.Seconds())
	}
	return cannotTell("a new prompt of %d words takes %.1f s, %s %.1f s", words, cold.Seconds(), what, warm.Seconds())
}
