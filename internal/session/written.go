package session

import (
	"context"
	"slices"
	"strings"

	"parley/chat"
	"parley/llm"
)

// written are the ids with which a model writes a reply, as far as it has come.
// Those of a reply that is stopped or cut are kept, too: a prompt has as many of
// them as make up the text that was kept (llm.Segment.Spelling), and the rest
// of the text as it is tokenised.
type written struct {
	goesOn  bool        // behind what is there
	begun   []llm.Token // that, as the model reads it; nil if it does not tell
	tokens  []llm.Token
	text    strings.Builder // all that it has written, before anything is taken off
	unknown bool            // the engine does not tell them
}

// wrote notes more of a reply.
func (r *Run) wrote(text string, tokens []llm.Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.written
	w.text.WriteString(text)
	w.tokens = append(w.tokens, tokens...)
	w.unknown = w.unknown || slices.ContainsFunc(tokens, func(t llm.Token) bool { return t.ID < 0 })
}

// before gives the tokens in which a model reads the message that goes on, the
// last of a conversation, where it can show them.
func before(ctx context.Context, model Answerer, c chat.Conversation) []llm.Token {
	renderer, ok := model.Responder.(chat.Renderer)
	if !ok {
		return nil
	}
	shown, err := renderer.Render(ctx, c)
	if err != nil {
		return nil
	}
	last := len(c.Messages) - 1
	for i, t := range shown.Tokens {
		if t.Segment < 0 || t.Segment >= len(shown.Prompt.Segments) {
			continue
		}
		if s := shown.Prompt.Segments[t.Segment]; s.Source.Kind == llm.FromMessage && s.Source.Index == last && s.Trust == llm.TrustModel {
			return shown.Tokens[i:]
		}
	}
	return nil
}

// ids are all of them; nil if they are not known.
func (w *written) ids() []int {
	switch {
	case w.unknown || w.goesOn && len(w.begun) == 0:
		return nil
	case !w.goesOn:
		return idsOf(w.tokens)
	}
	// The last tokens of what was there may have been chosen anew, together
	// with what comes behind them.
	const mostAnew = 16
	whole, more := textOf(w.begun)+w.text.String(), textOf(w.tokens)
	for n := len(w.begun); n >= max(0, len(w.begun)-mostAnew); n-- {
		if strings.HasPrefix(textOf(w.begun[:n])+more, whole) {
			return idsOf(slices.Concat(w.begun[:n], w.tokens))
		}
	}
	return idsOf(w.begun)
}

func textOf(tokens []llm.Token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.Text)
	}
	return b.String()
}

func idsOf(tokens []llm.Token) (ids []int) {
	for _, t := range tokens {
		ids = append(ids, t.ID)
	}
	return ids
}
