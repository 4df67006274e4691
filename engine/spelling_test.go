package engine_test

import (
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

// A turn behind a reply reads nothing of that again, however its text would
// be tokenised: it was written with tokens that no tokenizer would choose.
func TestARepliesOwnTokensAreReadAgain(t *testing.T) {
	e := builtIn(t)
	r := chatML(t, e)
	ask := chat.Say(chat.User, "Tell me a story.")
	// Whole words are never chosen, letters are.
	wild := llm.Params{Temperature: new(2.0), Seed: new(int64(7)), MaxTokens: new(45), TopK: new(0), TopP: new(1.0), LogitBias: map[int]float64{}}
	for _, letter := range "abcdefghijklmnopqrstuvwxyz ," {
		for _, id := range tokensOf(t, e, string(letter)) {
			wild.LogitBias[id] = 100
		}
	}
	for _, c := range []struct {
		what   string
		params func(*llm.Params)
		text   func(string) string // what is kept of it
	}{
		{"a reply that was cut", func(*llm.Params) {}, nil},
		{"one with a hidden stop string", func(p *llm.Params) { p.Stop = []string{"q"} }, nil},
		{"one that somebody stopped", func(*llm.Params) {}, func(s string) string { return strings.ToValidUTF8(s[:len(s)/2], "") }},
		{"one without the space at its end", func(*llm.Params) {}, func(s string) string { return strings.TrimRight(s[:len(s)-1], " ") }},
	} {
		p := wild
		c.params(&p)
		got := reply(t, r, chat.Conversation{Messages: []chat.Message{ask}}, p)
		m := got.Message
		text := m.Text()
		if c.text != nil {
			text = c.text(text)
		}
		again := func(ids []int) (prompt, cached int) {
			m.Parts, m.Tokens = []chat.Part{{Text: text}}, ids
			u := reply(t, r, chat.Conversation{Messages: []chat.Message{ask, m, chat.Say(chat.User, "And then?")}}, llm.Params{MaxTokens: new(1)}).Finish.Usage
			return u.PromptTokens, u.CachedTokens
		}
		ids := m.Tokens
		spelt := 0 // ids that make up the text
		for all := ""; spelt < len(ids); spelt++ {
			piece, err := e.Detokenize(t.Context(), ids[spelt:spelt+1])
			if err != nil {
				t.Fatal(err)
			}
			if all += piece; len(all) > len(text) {
				break
			}
		}
		before := got.Accepted.PromptTokens
		_, usual := again(nil)
		prompt, cached := again(ids)
		if want := before + spelt - 2; cached < want || spelt < 5 { // the last ones may not have been read, or the joint not be a token's
			t.Errorf("%s: of %d tokens %d were cached, want %d; without its ids %d", c.what, prompt, cached, want, usual)
		}
		if c.text == nil && usual >= cached {
			t.Errorf("%s: its text alone has as many tokens cached, %d: the test shows nothing", c.what, usual)
		}
	}
}

func TestAReplyGoesOnBehindItsOwnTokens(t *testing.T) {
	e := builtIn(t)
	r := chatML(t, e)
	ask := chat.Say(chat.User, "Tell me a story.")
	whole := reply(t, r, chat.Conversation{Messages: []chat.Message{ask}}, llm.Params{}).Message.Text()
	for at := 1; at < len(whole); at += 3 { // its beginning is spelt one character at a time
		m := chat.Say(chat.Assistant, whole[:at])
		for _, c := range whole[:at] {
			m.Tokens = append(m.Tokens, tokensOf(t, e, string(c))...)
		}
		c := chat.Conversation{Messages: []chat.Message{ask, m}, Continue: true}
		shown, err := r.Render(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int
		for _, x := range shown.Tokens {
			ids = append(ids, x.ID)
		}
		if n := len(ids) - len(m.Tokens); n < 0 || !slices.Equal(ids[n:], m.Tokens) {
			t.Fatalf("the prompt is %v, and does not end with %v", ids, m.Tokens)
		}
		got := reply(t, r, c, llm.Params{MaxTokens: new(12)})
		if direct, _ := complete(t, e, llm.Tokens(ids), llm.Params{MaxTokens: new(12)}); got.Message.Text() != direct {
			t.Errorf("behind %q it goes on with %q, want %q", whole[:at], got.Message.Text(), direct)
		}
	}
}

func tokensOf(t *testing.T, e interface {
	llm.Tokenizer
}, text string) (ids []int) {
	t.Helper()
	tokens, err := e.Tokenize(t.Context(), llm.Prompt{Segments: []llm.Segment{{Text: text}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tokens {
		if x.Segment >= 0 {
			ids = append(ids, x.ID)
		}
	}
	return ids
}
