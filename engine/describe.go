package engine

import (
	"log/slog"

	"parley/internal/gguf"
	"parley/llm"
)

// describe fills in what is known of the model. What is missing in a file, or
// of a wrong type, is left empty: none of it is needed to run.
func (e *Engine) describe(o Options, contextSize int) {
	f, config := e.file, e.model.Config()
	text := func(key string) string {
		s, _, _ := f.String(key)
		return s
	}
	e.info = llm.Info{
		Name:         text("general.name"),
		Description:  text("general.description"),
		Architecture: config.Architecture,
		Digest:       f.Digest(),
		Context:      contextSize,
		Trained:      config.Context,
		Vocabulary:   e.words.Size(),
		ChatTemplate: e.words.ChatTemplate,
		BOS:          e.words.Piece(e.words.BOS()),
		EOS:          e.words.Piece(e.words.EOS()),
		AddsBOS:      e.words.AddBOS(),
		Infill:       e.words.Infill(),
		Sampling:     o.Sampling.WithDefaults(recommended(f, o.Logger)),
	}
	if o.Name != "" {
		e.info.Name = o.Name
	}
	for _, id := range e.words.Ends() {
		e.info.EndTokens = append(e.info.EndTokens, e.words.Piece(id))
	}
	elements := map[gguf.Type]uint64{}
	most := uint64(0)
	for i := range f.Tensors {
		t := &f.Tensors[i]
		e.info.Parameters += int64(t.Elements())
		e.info.Bytes += int64(len(t.Data))
		elements[t.Type] += t.Elements()
		if n := elements[t.Type]; n > most {
			most, e.info.Quantisation = n, t.Type.String()
		}
	}
}

// recommended reads the sampling that a file recommends, under llama.cpp's
// keys. Numbers out of range are ignored.
func recommended(f *gguf.File, log *slog.Logger) (p llm.Params) {
	float := func(key string, set func(*llm.Params, *float64)) {
		if v, ok, err := f.Float("general.sampling." + key); ok && err == nil {
			adopt(&p, key, log, func(q *llm.Params) { set(q, &v) })
		}
	}
	whole := func(key string, set func(*llm.Params, *int)) {
		if v, ok, err := f.Int("general.sampling." + key); ok && err == nil {
			adopt(&p, key, log, func(q *llm.Params) { set(q, new(int(v))) })
		}
	}
	float("temp", func(q *llm.Params, v *float64) { q.Temperature = v })
	whole("top_k", func(q *llm.Params, v *int) { q.TopK = v })
	float("top_p", func(q *llm.Params, v *float64) { q.TopP = v })
	float("min_p", func(q *llm.Params, v *float64) { q.MinP = v })
	float("penalty_repeat", func(q *llm.Params, v *float64) { q.RepetitionPenalty = v })
	float("xtc_probability", func(q *llm.Params, v *float64) { q.XTCProbability = v })
	float("xtc_threshold", func(q *llm.Params, v *float64) { q.XTCThreshold = v })
	whole("mirostat", func(q *llm.Params, v *int) { q.Mirostat = v })
	float("mirostat_tau", func(q *llm.Params, v *float64) { q.MirostatTau = v })
	float("mirostat_eta", func(q *llm.Params, v *float64) { q.MirostatEta = v })
	whole("penalty_last_n", func(q *llm.Params, v *int) { q.RepetitionRange = v })
	return p
}

func adopt(p *llm.Params, key string, log *slog.Logger, set func(*llm.Params)) {
	q := *p
	set(&q)
	if err := q.Check(); err != nil {
		log.Warn("the file recommends what cannot be", "key", "general.sampling."+key, "err", err)
		return
	}
	*p = q
}
