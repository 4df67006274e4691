package openai

import (
	"math"
	"strings"
	"unicode/utf8"

	"parley/llm"
)

// tokenProb is a token in a chat completion's logprobs.
type tokenProb struct {
	Token   string       `json:"token"`
	LogProb float64      `json:"logprob"`
	Bytes   []int        `json:"bytes"`
	Top     *[]tokenProb `json:"top_logprobs,omitempty"`
}

type chatProbs struct {
	Content []tokenProb `json:"content"`
}

func chatLogProbs(tokens []llm.Token) chatProbs {
	p := chatProbs{Content: []tokenProb{}}
	for _, t := range tokens {
		if t.Control {
			continue // a mark that the format took away
		}
		top := []tokenProb{}
		for _, other := range t.Top {
			top = append(top, newTokenProb(other.Text, other.LogProb))
		}
		one := newTokenProb(t.Text, t.LogProb)
		one.Top = &top
		p.Content = append(p.Content, one)
	}
	return p
}

// newTokenProb also carries the bytes of a token: its text alone cannot say
// which half of a character it is.
func newTokenProb(text string, logProb float64) tokenProb {
	p := tokenProb{Token: readable(text), LogProb: finite(logProb), Bytes: []int{}}
	for _, b := range []byte(text) {
		p.Bytes = append(p.Bytes, int(b))
	}
	return p
}

// textProbs are a completion's logprobs.
type textProbs struct {
	Tokens     []string             `json:"tokens"`
	LogProbs   []*float64           `json:"token_logprobs"` // null for the first of a prompt, which nothing foretells
	Top        []map[string]float64 `json:"top_logprobs"`
	TextOffset []int                `json:"text_offset"`
}

// textLogProbs counts *offset, in characters, on over the tokens.
func textLogProbs(tokens []llm.Token, offset *int) textProbs {
	p := textProbs{Tokens: []string{}, LogProbs: []*float64{}, Top: []map[string]float64{}, TextOffset: []int{}}
	for _, t := range tokens {
		top := map[string]float64{}
		for _, other := range t.Top {
			text := readable(other.Text)
			if have, twice := top[text]; !twice || have < other.LogProb {
				top[text] = finite(other.LogProb)
			}
		}
		p.Tokens = append(p.Tokens, readable(t.Text))
		p.LogProbs = append(p.LogProbs, new(finite(t.LogProb)))
		p.Top = append(p.Top, top)
		p.TextOffset = append(p.TextOffset, *offset)
		*offset += runeStarts(t.Text)
	}
	return p
}

// An Echo is a prompt as an answer repeats it.
type Echo struct {
	Text string
	// Tokens are the prompt's, with their probabilities, where the request wants
	// those. The first has none, unless the model's own beginning stands before it.
	Tokens   []llm.Token
	Foretold bool // it has one
}

// logProbs are those of the prompt's tokens, and how many characters they have.
func (e Echo) logProbs() (p textProbs, characters int) {
	p = textLogProbs(e.Tokens, &characters)
	if !e.Foretold && len(e.Tokens) > 0 {
		p.LogProbs[0], p.Top[0] = nil, nil
	}
	return p, characters
}

// with is p with the tokens of the answer behind it.
func (p textProbs) with(q textProbs) textProbs {
	p.Tokens, p.LogProbs = append(p.Tokens, q.Tokens...), append(p.LogProbs, q.LogProbs...)
	p.Top, p.TextOffset = append(p.Top, q.Top...), append(p.TextOffset, q.TextOffset...)
	return p
}

// runeStarts counts the characters that begin in s.
func runeStarts(s string) (n int) {
	for i := range len(s) {
		if utf8.RuneStart(s[i]) {
			n++
		}
	}
	return n
}

func readable(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// finite is what JSON can hold of a logarithm; OpenAI writes -9999 for what
// is as good as impossible.
func finite(f float64) float64 {
	const least = -9999
	if math.IsNaN(f) || f < least {
		return least
	}
	return min(f, 0)
}
