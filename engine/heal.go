package engine

import (
	"context"
	"math"
	"slices"
	"strings"
	"unicode"

	"parley/llm"
)

// Token healing. A text that is to be continued may end where no token of the
// whole text would: inside a word, behind a space. Its last tokens are not the
// ones with which the model would have written it, and what the model says
// behind them is not what it would have said. So they are taken off the prompt,
// and the model chooses tokens anew that spell the same text; the last of them
// may go on beyond it, and what does is the beginning of the output.
//
// The name and the idea are Scott Lundberg's ("The Art of Prompt Design: Prompt
// Boundaries and Token Healing", 2023).

// mostHealed is how many tokens are taken off at most. Each that comes in
// their place costs a step of its own.
const mostHealed = 16

// healable is how many tokens stay in front, and the text of the others, which
// is to be spelled anew; "" is nothing. It is the last word of a text and the
// white space behind it, since a tokenizer decides on these together. It holds words of the model's own, or of a raw
// prompt if that is asked for, and no control tokens. whole says that these are
// all words of the kind at the end.
func healable(p llm.Prompt, tokens []llm.Token, raw bool) (keep int, rest string, whole bool) {
	keep = len(tokens)
	for keep > 1 && len(tokens)-keep < mostHealed {
		t := tokens[keep-1]
		if t.Segment < 0 || !heals(p.Segments[t.Segment], raw) {
			return keep, rest, true
		}
		if t.Control || t.Text == "" {
			break
		}
		keep--
		if rest = t.Text + rest; lastWord(rest) > 0 {
			break
		}
	}
	return keep, rest, false
}

func heals(s llm.Segment, raw bool) bool {
	return len(s.Tokens) == 0 && (s.Trust == llm.TrustModel || raw && s.Source.Kind == llm.FromPrompt)
}

// lastWord is where the last word of a text begins.
func lastWord(text string) int {
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	return len(strings.TrimRightFunc(text, func(r rune) bool { return !unicode.IsSpace(r) }))
}

// heal takes the last tokens off a request's prompt, if they are to be chosen
// anew.
func (e *Engine) heal(ctx context.Context, r *request, p llm.Prompt, tokens []llm.Token, want *bool) error {
	if want != nil && !*want {
		return nil
	}
	if wrote(p, tokens) {
		return nil // the model's own last token, behind which it goes on
	}
	keep, rest, whole := healable(p, tokens, want != nil)
	prompt := r.prompt[:keep]
	if before, text := cutModel(p); whole && text != "" {
		// The model began with the tokens of what is before its words alone,
		// and a token over the joint is none of them.
		alone, err := e.words.Tokenize(ctx, before)
		if err != nil {
			return err
		}
		if t := ids(alone); len(t) > 0 && !slices.Equal(t, prompt) {
			prompt, rest = t, text
		}
	}
	if rest == "" || len(prompt)+len(rest) >= e.info.Context {
		return nil // it might come to as many tokens as bytes
	}
	r.asked, r.prompt, r.rest = r.prompt, prompt, rest
	return nil
}

// wrote reports whether a prompt ends with tokens that the model has generated
// itself.
func wrote(p llm.Prompt, tokens []llm.Token) bool {
	const enough = 8 // in a row, or as many as there are
	for _, s := range slices.Backward(p.Segments) {
		if !heals(s, false) {
			break
		}
		for n := len(s.Spelling); n > 0; n-- {
			same := 0
			for same < min(n, enough, len(tokens)) && s.Spelling[n-1-same] == tokens[len(tokens)-1-same].ID {
				same++
			}
			if same == min(n, enough) {
				return true
			}
		}
	}
	return false
}

// cutModel divides a prompt before the model's words at its end.
func cutModel(p llm.Prompt) (before llm.Prompt, text string) {
	n := len(p.Segments)
	for n > 0 && heals(p.Segments[n-1], false) {
		n--
		text = p.Segments[n].Text + text
	}
	p.Segments = p.Segments[:n]
	return p, text
}

// healing is the text that the next token must spell or begin with; "" if that
// is no more so.
func (s *sequence) healing() string {
	if s.generated() > 0 {
		return ""
	}
	return s.rest
}

// respell makes impossible what does not spell the text, and of what goes on
// beyond it, what a constraint does not allow.
func (s *sequence) respell(logits []float32, rest string) {
	for id := range logits {
		text, control := s.words.Text(id)
		fits := !control && !s.words.Ends(id) && text != ""
		switch {
		case !fits:
		case len(text) <= len(rest):
			fits = strings.HasPrefix(rest, text)
		default:
			fits = strings.HasPrefix(text, rest) && (s.held == nil || s.held.takes(text[len(rest):]))
		}
		if !fits {
			logits[id] = float32(math.Inf(-1))
		}
	}
}

// healed adds a token that spells some of the text, or all of it, to the
// prompt. One that goes on beyond it is none of the prompt, and healed reports
// false.
func (s *sequence) healed(id int32) bool {
	text, _ := s.words.Text(int(id))
	if len(text) > len(s.rest) {
		return false
	}
	s.rest = s.rest[len(text):]
	s.tokens = append(s.tokens, id)
	s.prompt = s.tokens
	s.sampler.read(id)
	return true
}

// unheal goes on with the prompt as it was, where no token spells the text.
func (s *sequence) unheal() {
	s.rest = ""
	n := shared(s.tokens, s.asked)
	s.cache.Truncate(min(n, len(s.asked)-1))
	s.tokens = slices.Clone(s.asked)
	s.prompt = s.asked
	s.guesses.draft.release()
	s.guesses = guesses{}
	chance := s.sampler.chance
	s.sampler = s.newSampler()
	s.sampler.chance = chance
}
