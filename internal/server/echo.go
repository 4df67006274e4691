package server

import (
	"context"
	"strings"

	"parley/internal/openai"
	"parley/llm"
)

// echoes are the prompts of a completion as its answers repeat them.
func echoes(ctx context.Context, t Target, q *openai.Request) ([]openai.Echo, error) {
	list := make([]openai.Echo, len(q.Prompts))
	for i, p := range q.Prompts {
		var err error
		if list[i].Text, err = promptText(ctx, t, p); err != nil {
			return nil, err
		}
		if q.Params.LogProbs == nil {
			continue
		}
		scorer, ok := t.Model.(llm.Scorer)
		if !ok {
			return nil, &llm.Error{Code: llm.Unsupported, Field: "echo", Message: "the model " + t.ID + " does not tell how likely the prompt's own tokens are", Hint: "leave out logprobs or echo"}
		}
		tokens, err := scorer.Score(ctx, p, q.Params)
		if err != nil {
			return nil, err
		}
		if len(tokens) > 0 && tokens[0].Segment < 0 { // the model's own beginning is no part of the prompt
			tokens, list[i].Foretold = tokens[1:], true
		}
		if len(tokens) > 0 && !strings.HasPrefix(list[i].Text, " ") {
			tokens[0].Text = strings.TrimPrefix(tokens[0].Text, " ") // nor is a space that a tokenizer puts there
		}
		list[i].Tokens = tokens
	}
	return list, nil
}

// promptText is a prompt as text.
func promptText(ctx context.Context, t Target, p llm.Prompt) (string, error) {
	ids := p.Segments[0].Tokens
	if len(ids) == 0 {
		return p.String(), nil
	}
	tokenizer, ok := t.Model.(llm.Tokenizer)
	if !ok {
		return "", &llm.Error{Code: llm.Unsupported, Field: "echo", Message: "the model " + t.ID + " cannot turn token ids into text", Hint: "send the prompt as text"}
	}
	text, err := tokenizer.Detokenize(ctx, ids)
	return strings.ToValidUTF8(text, "\ufffd"), err
}
