package upstream

import (
	"context"
	"fmt"
	"strings"

	"parley/llm"
)

// words make tokens of a prompt, with control tokens only where its segments
// allow them.
type words interface {
	llm.Tokenizer
}

// read makes a prompt what the engine takes: token ids where it takes them and
// the vocabulary is known, else text. It gives the number of tokens, or 0.
func (m *model) read(ctx context.Context, c *call, p llm.Prompt) (count int, err error) {
	ids, isIDs, err := m.givenIDs(p)
	if err != nil {
		return 0, err
	}
	takes := m.engine.kind.facts.tokens
	switch {
	case isIDs && takes:
		c.tokens = ids
		return len(ids), nil
	case m.words != nil && takes:
		tokens, err := m.words.Tokenize(ctx, p)
		if err != nil {
			return 0, err
		}
		c.tokens = make([]int, len(tokens))
		for i, t := range tokens {
			c.tokens[i] = t.ID
		}
		return len(tokens), nil
	}
	if c.text, err = m.plain(ctx, p); err != nil {
		return 0, err
	}
	bos := m.beginning(c.text)
	c.begun = bos != ""
	if rest := c.text[len(bos):]; c.begun && m.bos && !m.engine.kind.facts.begun && rest != "" {
		c.text, c.begun = rest, false // the engine puts it there
	}
	return m.count(ctx, c, p)
}

// givenIDs are the ids of a prompt that consists of nothing else.
func (m *model) givenIDs(p llm.Prompt) (ids []int, all bool, err error) {
	all = true
	for _, s := range p.Segments {
		if s.Media != nil {
			e := llm.Errorf(llm.Unsupported, "prompt", "the engine takes no %s in a prompt that is laid out here", kindOfMedia(s.Media))
			if s.Source.Kind == llm.FromMessage {
				e.Field = fmt.Sprintf("messages[%d].content[%d]", s.Source.Index, s.Source.Part)
			}
			e.Hint = `use the engine with way = "chat", or have media replaced by a placeholder`
			return nil, false, e
		}
		all = all && s.Text == ""
		ids = append(ids, s.Tokens...)
	}
	return ids, all, nil
}

func kindOfMedia(m *llm.Media) string {
	if m.MIME == "" {
		return "media"
	}
	return m.MIME
}

// plain is a prompt as text.
func (m *model) plain(ctx context.Context, p llm.Prompt) (string, error) {
	var b strings.Builder
	for _, s := range p.Segments {
		if len(s.Tokens) == 0 {
			b.WriteString(s.Text)
			continue
		}
		if m.words == nil {
			e := llm.Errorf(llm.Unsupported, "prompt", "the prompt has token ids, and the engine takes only text")
			e.Hint = "send text, or name the model's vocabulary: tokenizer = FILE"
			return "", e
		}
		text, err := m.words.Detokenize(ctx, s.Tokens)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// usualBOS are the beginning-of-text tokens that there are, for engines that
// do not tell the model's.
var usualBOS = []string{
	"<s>", "<bos>", "<|begin_of_text|>", "<｜begin▁of▁sentence｜>", "<|startoftext|>", "[gMASK]<sop>", "<BOS_TOKEN>",
}

// beginning is the beginning-of-text token with which a text begins, or "".
func (m *model) beginning(text string) string {
	known := usualBOS
	if m.info.BOS != "" {
		known = []string{m.info.BOS}
	}
	for _, bos := range known {
		if strings.HasPrefix(text, bos) {
			return bos
		}
	}
	return ""
}

// count asks for the number of tokens of a prompt that is sent as text, where
// something depends on it.
func (m *model) count(ctx context.Context, c *call, p llm.Prompt) (int, error) {
	if m.words != nil {
		tokens, err := m.words.Tokenize(ctx, p)
		return len(tokens), err
	}
	kind := m.engine.kind
	open := c.params.MaxTokens == nil || *c.params.MaxTokens < 0
	if kind.asks.count == nil || m.info.Context == 0 || !kind.facts.truncates && (kind.facts.endless || !open) {
		return 0, nil
	}
	return kind.asks.count(ctx, m.engine.transport, m.name, c.text)
}
