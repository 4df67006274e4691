package openai

import (
	"parley/internal/wire"
	"parley/llm"
)

// A Model is a row of the list of models.
type Model struct {
	ID      string
	Created int64 // seconds since 1970
	Info    llm.Info
}

type wireModel struct {
	ID      string     `json:"id"`
	Object  string     `json:"object"`
	Created int64      `json:"created"`
	OwnedBy string     `json:"owned_by"`
	Context int        `json:"max_model_len,omitempty"` // vLLM's name
	Meta    *modelMeta `json:"meta,omitempty"`
}

// modelMeta has llama.cpp's names.
type modelMeta struct {
	Vocabulary int   `json:"n_vocab,omitempty"`
	Context    int   `json:"n_ctx,omitempty"`
	Trained    int   `json:"n_ctx_train,omitempty"`
	Parameters int64 `json:"n_params,omitempty"`
	Bytes      int64 `json:"size,omitempty"`
}

func (m Model) wire() wireModel {
	w := wireModel{ID: m.ID, Object: "model", Created: m.Created, OwnedBy: "parley", Context: m.Info.Context}
	meta := modelMeta{m.Info.Vocabulary, m.Info.Context, m.Info.Trained, m.Info.Parameters, m.Info.Bytes}
	if meta != (modelMeta{}) {
		w.Meta = &meta
	}
	return w
}

// JSON is the body that describes one model.
func (m Model) JSON() []byte { return wire.Encode(m.wire()) }

// ModelList is the body that lists models.
func ModelList(models []Model) []byte {
	data := []wireModel{}
	for _, m := range models {
		data = append(data, m.wire())
	}
	return wire.Encode(struct {
		Object string      `json:"object"`
		Data   []wireModel `json:"data"`
	}{"list", data})
}
