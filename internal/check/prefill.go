package check

import (
	"context"
	"strings"
)

// prefill gives the beginning of the sample as the assistant's last message:
// what follows must be the rest of the sample.
func prefill(ctx context.Context, s *subject) finding {
	one, f := s.take(ctx)
	if one == nil {
		return f
	}
	if one.path != chatPath {
		return cannotTell("the model says too little in a chat")
	}
	space := strings.IndexByte(one.text[len(one.text)/3:], ' ')
	if space < 0 {
		return cannotTell("the model says no two words: %q", short(one.text))
	}
	space += len(one.text) / 3
	begin, rest := one.text[:space], one.text[space:]
	// Only the beginning is compared: a text that is read is not always
	// divided into the tokens with which it was written.
	begins := rest[:min(len(rest), 1+max(1, strings.IndexByte(rest[1:]+" ", ' ')))]
	var last finding
	for _, way := range []struct {
		how    string
		change func(*request)
	}{
		{"without being asked", func(*request) {}},
		{"with continue_final_message", func(q *request) { q.Continue, q.AddGeneration = true, new(false) }},
	} {
		r, x, err := s.again(ctx, one, false, func(q *request) {
			q.MaxTokens = 8
			q.Messages = append(q.Messages[:len(q.Messages):len(q.Messages)], say("assistant", begin))
			way.change(q)
		})
		switch {
		case err != nil:
			last = failed(x, err)
			continue
		case strings.HasPrefix(r.text(), begins):
			return kept("%q is continued %s, with its space", tail(begin), way.how)
		}
		switch s.prefilled(ctx, one, begin, r) {
		case dropped:
			return broken(of(x), "the assistant's last message %q is not in the prompt", tail(begin))
		case newTurn:
			last = notOffered("the assistant's last message is not continued: a new turn begins")
		case continued:
			text, repeated := strings.CutPrefix(r.text(), begin) // as llama.cpp does
			switch {
			case repeated && strings.HasPrefix(text, begins):
				return kept("%q is continued %s, with its space; the answer repeats it", tail(begin), way.how)
			case strings.HasPrefix(text, begins[1:]):
				return broken(of(x), "the space behind %q is lost: the continuation is %s", tail(begin), parting(text, ""))
			}
			return cannotTell("%q is continued %s, but with other words than before", tail(begin), way.how)
		default:
			last = cannotTell("another text follows than before, which may be a new turn")
		}
	}
	return last
}

// What became of a prefill.
type prefillFate int

const (
	unknownFate prefillFate = iota
	dropped
	newTurn
	continued
)

// prefilled finds out by counting what became of a prefill whose continuation
// is not the expected one: a new turn costs more than the text.
func (s *subject) prefilled(ctx context.Context, one *sample, begin string, r *reply) prefillFate {
	if s.calibrate(ctx) != nil {
		return unknownFate
	}
	with := r.prompt()
	without, _, err := s.count(ctx, one.q.Messages)
	if err != nil || with < 0 {
		return unknownFate
	}
	question := one.q.Messages[0].Content.(string)
	both, _, err := s.count(ctx, []message{say("user", question+" "+begin)})
	switch {
	case err != nil:
		return unknownFate
	case with <= without:
		return dropped
	case with-without > both-without+1:
		return newTurn
	}
	return continued
}

// tail is the last word or two of a text.
func tail(s string) string {
	words := strings.Fields(s)
	return strings.Join(words[max(0, len(words)-2):], " ")
}
