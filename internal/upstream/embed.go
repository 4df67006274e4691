package upstream

import (
	"context"
	"fmt"
	"math"

	"parley/llm"
)

// embedder is what a model can do whose engine turns texts into vectors.
type embedder struct{ of *model }

var _ llm.Embedder = embedder{}

// Embed asks by OpenAI's route, which all engines have that can do it. Their
// vectors are given the length 1.
func (e embedder) Embed(ctx context.Context, prompts []llm.Prompt) ([][]float32, llm.Usage, error) {
	m := e.of
	texts := make([]string, len(prompts))
	for i, p := range prompts {
		text, err := m.plain(ctx, p)
		if err != nil {
			return nil, llm.Usage{}, inInput(err, i)
		}
		if text == "" {
			return nil, llm.Usage{}, inInput(llm.Errorf(llm.Invalid, "prompt", "the text is empty"), i)
		}
		texts[i] = text
	}
	if err := m.who.check(ctx, m.engine.transport); err != nil {
		return nil, llm.Usage{}, err
	}
	var answer struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float64 `json:"embedding"`
		} `json:"data"`
		Usage struct {
			PromptTokens int `json:"prompt_tokens"`
		} `json:"usage"`
	}
	const path = "/v1/embeddings"
	if err := m.engine.transport.post(ctx, path, map[string]any{"model": m.name, "input": texts, "encoding_format": "float"}, &answer); err != nil {
		return nil, llm.Usage{}, err
	}
	vectors := make([][]float32, len(texts))
	for _, d := range answer.Data {
		if d.Index < 0 || d.Index >= len(vectors) || vectors[d.Index] != nil || len(d.Embedding) == 0 || len(d.Embedding) != len(answer.Data[0].Embedding) {
			return nil, llm.Usage{}, e.odd(path, "vectors that do not belong to the texts")
		}
		v, ok := unit(d.Embedding)
		if !ok {
			return nil, llm.Usage{}, e.odd(path, "a vector without a direction")
		}
		vectors[d.Index] = v
	}
	if len(answer.Data) != len(vectors) {
		return nil, llm.Usage{}, e.odd(path, fmt.Sprintf("%d vectors for %d texts", len(answer.Data), len(texts)))
	}
	return vectors, llm.Usage{PromptTokens: answer.Usage.PromptTokens, CacheUntold: true}, nil
}

func (e embedder) odd(path, what string) error {
	return &llm.Error{
		Code: llm.Broken, Message: fmt.Sprintf("the engine at %s answers %s with %s", e.of.engine.transport, path, what),
		Hint: "is its model one for embeddings?",
	}
}

// inInput is an error about one of several texts.
func inInput(err error, i int) error {
	e := *llm.AsError(err)
	e.Field = fmt.Sprintf("input[%d]", i)
	return &e
}

// unit is a vector with the length 1; false where it has none.
func unit(v []float64) ([]float32, bool) {
	squares := 0.0
	for _, x := range v {
		squares += x * x
	}
	length := math.Sqrt(squares)
	if length == 0 || math.IsNaN(length) || math.IsInf(length, 0) {
		return nil, false
	}
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x / length)
	}
	return out, true
}
