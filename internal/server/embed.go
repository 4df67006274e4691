package server

import (
	"context"
	"math"
	"net/http"

	"parley/internal/openai"
	"parley/llm"
)

// embeddings answers in OpenAI's form, which KoboldCpp has under a path of its
// own.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	e, err := openai.ParseEmbed(body)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	target, err := s.find(ctx, w, e.Model, false, &e.Report, nil)
	if err != nil {
		return err
	}
	defer target.release()
	vectors, usage, err := embed(ctx, target, e.Prompts, e.Dimensions)
	if err != nil {
		return err
	}
	setReport(w.Header(), e.Report)
	return writeJSON(w, r, http.StatusOK, openai.Embeddings(e, target.ID, vectors, usage))
}

// embed turns texts into vectors of so many numbers; 0 is as many as the model
// gives.
func embed(ctx context.Context, t Target, texts []llm.Prompt, dimensions int) ([][]float32, llm.Usage, error) {
	embedder, ok := t.Model.(llm.Embedder)
	if !ok {
		return nil, llm.Usage{}, cannot(t, "turn texts into vectors", "serve an embedding model")
	}
	vectors, usage, err := embedder.Embed(ctx, texts)
	if err != nil {
		return nil, llm.Usage{}, err
	}
	for i, v := range vectors {
		if dimensions > len(v) {
			return nil, llm.Usage{}, llm.Errorf(llm.Invalid, "dimensions", "the vectors of %s have %d numbers, not %d", t.ID, len(v), dimensions)
		}
		if dimensions > 0 {
			vectors[i] = shortened(v[:dimensions])
		}
	}
	return vectors, usage, nil
}

// shortened gives the first numbers of a vector the length 1 again. For models
// that were trained for it (Kusupati et al., 2022, "Matryoshka Representation
// Learning") this is a coarser vector of the same text.
func shortened(v []float32) []float32 {
	squares := 0.0
	for _, x := range v {
		squares += float64(x) * float64(x)
	}
	out := make([]float32, len(v))
	for i, x := range v {
		if squares > 0 {
			out[i] = float32(float64(x) / math.Sqrt(squares))
		}
	}
	return out
}

// plainTexts are texts in which no control token can match.
func plainTexts(texts []string) []llm.Prompt {
	prompts := make([]llm.Prompt, len(texts))
	for i, text := range texts {
		prompts[i] = llm.Prompt{Segments: []llm.Segment{{Text: text, Source: llm.Source{Kind: llm.FromPrompt, Index: i}}}}
	}
	return prompts
}
