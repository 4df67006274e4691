package engine

import (
	"strconv"

	"parley/llm"
)

// mostRewinds is how often a reply may be taken back beyond once for each of
// its tokens. It bounds the work that phrases can cause that the model insists
// on.
const mostRewinds = 256

// takeBack removes the last n tokens, which led to a banned phrase, and sees
// to it that the first of them is not chosen there again. It reports whether
// the sequence has ended because there is no way on.
func (s *sequence) takeBack(n int) (ended bool) {
	s.output.takeBack(n)
	at := len(s.tokens) - n
	for place := range s.tried {
		if place > at {
			delete(s.tried, place)
		}
	}
	s.tried[at] = append(s.tried[at], s.tokens[at])
	s.tokens = s.tokens[:at]
	s.guesses.rewind(at)
	s.sampler.rewind(s.tokens[len(s.prompt):])
	if s.held != nil {
		s.held.rewind(s.generated())
	}
	s.cache.Truncate(at - 1) // the last token is read again, for its logits
	if s.rewound++; s.rewound > mostRewinds+s.generated() {
		s.giveUp()
		return true
	}
	return false
}

// giveUp ends a sequence of which every continuation leads to a banned phrase.
func (s *sequence) giveUp() {
	phrase := s.output.ban
	if phrase == "" {
		phrase = s.banned[0]
	}
	piece, stop := s.output.finish(false)
	piece.Finish = s.end(llm.ReasonStop, stop)
	if stop == "" {
		piece.Finish.Stop = phrase
		piece.Finish.Report.Add("banned_unavoidable", strconv.Quote(phrase), "every way on led to a banned phrase, so the output ended before it")
	}
	s.put(piece)
}
