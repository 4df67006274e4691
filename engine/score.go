package engine

import (
	"context"

	"parley/llm"
)

var _ llm.Scorer = (*Engine)(nil)

// A scoring tells how likely each token of a text was.
type scoring struct {
	tokens  []llm.Token
	words   vocabulary
	top     int
	done    int // tokens whose logits were seen
	scratch scratch
}

// add takes the logits behind the next token.
func (s *scoring) add(logits []float32) {
	if s.done++; s.done == len(s.tokens) {
		return // of what comes behind the text
	}
	t := &s.tokens[s.done]
	of, best, logProb := probabilities(logits, int32(t.ID), s.top, &s.scratch)
	t.LogProb = of
	for _, c := range best {
		text, _ := s.words.Text(int(c.id))
		t.Top = append(t.Top, llm.TokenProb{ID: int(c.id), Text: text, LogProb: logProb(c.logit)})
	}
}

// Score tells how likely each token of a prompt is behind those before it: by
// the model's own probabilities, as Complete tells them.
func (e *Engine) Score(ctx context.Context, p llm.Prompt, params llm.Params) ([]llm.Token, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := params.Check(); err != nil {
		return nil, err
	}
	if p.Empty() {
		return nil, llm.Errorf(llm.Invalid, "prompt", "the prompt is empty")
	}
	tokens, err := e.words.Tokenize(ctx, p)
	switch {
	case err != nil:
		return nil, err
	case len(tokens) > e.info.Context:
		return nil, llm.TooLongError(len(tokens), e.info.Context)
	}
	s := &scoring{tokens: tokens, words: newView(e.words, p.Marks), top: value(params.LogProbs, 0)}
	r := &request{
		prompt: ids(tokens), see: s.add, scores: true,
		words: s.words, scope: params.CacheScope, need: e.model.KVBytes(len(tokens)),
	}
	if len(tokens) > 0 {
		err = e.loop.read(ctx, r)
	}
	return tokens, err
}
