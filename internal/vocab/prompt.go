package vocab

import (
	"context"
	"fmt"
	"strings"

	"parley/internal/tokenizer"
	"parley/llm"
)

// Tokenize makes tokens of a prompt, with the beginning-of-text token where the
// vocabulary asks for one. The text of neighbouring segments is one string to
// the tokenizer, and what is said of its spelling counts as far as it is true. Tokens pass through as they are; as in llama.cpp, text behind
// them is tokenised as if it began a text.
func (m *Model) Tokenize(_ context.Context, p llm.Prompt) ([]llm.Token, error) {
	v := m.Marked(p.Marks)
	var tokens []llm.Token
	var run textRun
	for i, s := range p.Segments {
		switch {
		case s.Media != nil:
			return nil, &llm.Error{
				Code: llm.Unsupported, Field: field(s.Source),
				Message: fmt.Sprintf("this model reads text only, and this is %s", kindOfMedia(s.Media)),
				Hint:    "serve a model that takes media, or leave it out",
			}
		case len(s.Tokens) > 0:
			tokens = run.flush(tokens, v)
			for _, id := range s.Tokens {
				if id < 0 || id >= m.Size() {
					return nil, llm.Errorf(llm.Invalid, field(s.Source), "token id %d is outside the vocabulary of %d", id, m.Size())
				}
				tokens = append(tokens, llm.Token{ID: id, Text: v.Piece(id), Control: v.IsControl(id), Segment: i})
			}
		case s.Text != "":
			run.add(i, s)
		}
	}
	tokens = run.flush(tokens, v)
	return m.begin(p, tokens), nil
}

// begin puts the beginning-of-text token before a prompt, where the file asks
// for one, the prompt has none, and it does not begin with tokens.
func (m *Model) begin(p llm.Prompt, tokens []llm.Token) []llm.Token {
	bos := m.BOS()
	if !m.AddBOS() || len(tokens) > 0 && tokens[0].ID == bos {
		return tokens
	}
	for _, s := range p.Segments {
		if len(s.Tokens) > 0 {
			return tokens
		}
		if s.Text != "" {
			break
		}
	}
	return append([]llm.Token{{ID: bos, Text: m.Piece(bos), Control: true, Segment: -1}}, tokens...)
}

// A textRun is neighbouring segments of text.
type textRun struct {
	spans    []tokenizer.Span
	segments []int // of each span
	bytes    int
	spelt    []spelling
}

func (r *textRun) add(segment int, s llm.Segment) {
	r.spans = append(r.spans, tokenizer.Span{Text: s.Text, Control: s.Control, Marks: s.Trust == llm.TrustModel})
	r.segments = append(r.segments, segment)
	if len(s.Spelling) > 0 {
		r.spelt = append(r.spelt, spelling{r.bytes, s.Spelling})
	}
	r.bytes += len(s.Text)
}

// flush appends the run's tokens, each with the segment in which it begins.
func (r *textRun) flush(tokens []llm.Token, v *tokenizer.Tokenizer) []llm.Token {
	if len(r.spans) == 0 {
		return tokens
	}
	at, end := 0, len(r.spans[0].Text)
	encoded := v.Encode(r.spans)
	if len(r.spelt) > 0 {
		encoded = respelt(v, r.spans, encoded, r.spelt)
	}
	for _, t := range encoded {
		for t.Start >= end && at+1 < len(r.spans) {
			at++
			end += len(r.spans[at].Text)
		}
		tokens = append(tokens, llm.Token{ID: t.ID, Text: v.Piece(t.ID), Control: t.Control, Segment: r.segments[at]})
	}
	*r = textRun{}
	return tokens
}

// field names the place in the request from which a segment came.
func field(s llm.Source) string {
	switch s.Kind {
	case llm.FromMessage:
		if s.Field == "content" {
			return fmt.Sprintf("messages[%d].content[%d]", s.Index, s.Part)
		}
		return strings.TrimSuffix(fmt.Sprintf("messages[%d].%s", s.Index, s.Field), ".")
	case llm.FromTool:
		return fmt.Sprintf("tools[%d]", s.Index)
	case llm.FromDocument:
		return fmt.Sprintf("documents[%d]", s.Index)
	}
	return "prompt"
}

func kindOfMedia(m *llm.Media) string {
	if m.MIME == "" {
		return "something else"
	}
	return m.MIME
}

// Detokenize gives the text of token ids, the names of control tokens included.
func (m *Model) Detokenize(_ context.Context, ids []int) (string, error) {
	for i, id := range ids {
		if id < 0 || id >= m.Size() {
			return "", llm.Errorf(llm.Invalid, fmt.Sprintf("tokens[%d]", i), "token id %d is outside the vocabulary of %d", id, m.Size())
		}
	}
	return string(m.Decode(ids, tokenizer.DecodeOptions{Start: true, Control: true})), nil
}
