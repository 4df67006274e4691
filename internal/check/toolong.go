package check

import (
	"context"
	"errors"
	"regexp"

	"parley/internal/limits"
)

var figure = regexp.MustCompile(`\d{2,}`)

// tooLong sends more than the context holds. Only an error is an honest
// answer: else a part of the prompt was left out.
func tooLong(ctx context.Context, s *subject) finding {
	switch {
	case s.contextNow(ctx) == 0:
		return cannotTell("the server does not tell how long its context is")
	case s.context > limits.CheckContext.Int():
		return cannotTell("a prompt of more than %d tokens is not tried", s.context)
	}
	if err := s.calibrate(ctx); err != nil {
		return cannotTell("%v", err)
	}
	words := int(float64(s.context)/s.slope)*5/4 + 64
	sent := round(s.tokens(words))
	r, x, err := s.touch(ctx, []message{say("system", "Amber"), say("user", "Birch"+fill(words))})
	if e, refused := errors.AsType[*refusal](err); refused {
		switch {
		case e.status >= 500:
			return broken(of(x), "the server fails: %v", e)
		case e.message == "":
			return broken(of(x), "refused without a reason: HTTP %d", e.status)
		case !figure.MatchString(e.message):
			return kept("refused, though without figures: %v", e)
		}
		return kept("refused: %v", e)
	}
	switch {
	case err != nil:
		return failed(x, err)
	case r.prompt() >= sent:
		return cannotTell("%d tokens are taken, more than the %d that are told to fit", r.prompt(), s.context)
	case x.header.Get("Parley-Report") != "":
		return kept("shortened to %d tokens, and that is reported", r.prompt())
	}
	return broken(of(x), "the prompt is cut in silence: %d tokens were sent, %d are counted", sent, r.prompt())
}
