package server

import (
	"net/http"
	"strings"
	"time"

	"parley/llm"
)

type wireInfo struct {
	ID           string   `json:"id"`
	Aliases      []string `json:"aliases,omitempty"`
	Name         string   `json:"name,omitempty"`
	Description  string   `json:"description,omitempty"`
	Architecture string   `json:"architecture,omitempty"`
	Quantisation string   `json:"quantisation,omitempty"`
	Parameters   int64    `json:"parameters,omitempty"`
	Bytes        int64    `json:"bytes,omitempty"`
	Context      int      `json:"context,omitempty"`
	Trained      int      `json:"trained,omitempty"`
	Vocabulary   int      `json:"vocabulary,omitempty"`
	ChatTemplate string   `json:"chat_template,omitempty"`

	Engine   *wireEngine                 `json:"engine,omitempty"`
	Promises map[llm.Promise]llm.Keeping `json:"promises,omitempty"`

	wireStatus
}

type wireEngine struct {
	Kind    string `json:"kind"`
	Version string `json:"version,omitempty"`
	URL     string `json:"url,omitempty"`
	Way     string `json:"way,omitempty"`
	Slots   int    `json:"slots,omitempty"`
}

type wireStatus struct {
	State   State     `json:"state"`
	Since   time.Time `json:"since"`
	Running int       `json:"running"`
	Waiting int       `json:"waiting"`
	Idle    float64   `json:"idle_seconds"`
	Memory  int64     `json:"memory,omitempty"`
	GPUs    []string  `json:"gpus,omitempty"`
	Group   string    `json:"group,omitempty"`
	Error   string    `json:"last_error,omitempty"`
}

// describeModels tells what is known of every model, and what becomes of it.
func (s *Server) describeModels(w http.ResponseWriter, r *http.Request) error {
	listed, err := s.models.List(r.Context())
	if err != nil {
		return err
	}
	all := []wireInfo{}
	for _, m := range listed {
		all = append(all, infoOf(m))
	}
	return writeValue(w, r, struct {
		Models []wireInfo `json:"models"`
	}{all})
}

func infoOf(m Listed) wireInfo {
	i, st := m.Info, m.Status
	info := wireInfo{
		ID: m.ID, Aliases: m.Aliases, Name: i.Name, Description: i.Description, Architecture: i.Architecture, Quantisation: i.Quantisation,
		Parameters: i.Parameters, Bytes: i.Bytes, Context: i.Context, Trained: i.Trained, Vocabulary: i.Vocabulary,
		ChatTemplate: i.ChatTemplate, Promises: m.Promises,
		wireStatus: wireStatus{
			State: st.State, Since: st.Since.UTC().Truncate(time.Second), Running: st.Running, Waiting: st.Waiting,
			Idle: st.Idle.Truncate(time.Second).Seconds(), Memory: st.Memory, GPUs: st.GPUs, Group: st.Group,
		},
	}
	if m.Engine.Kind != "" {
		info.Engine = new(wireEngine(m.Engine))
	}
	if st.Err != nil {
		e := llm.AsError(st.Err)
		info.Error = e.Message
		if e.Hint != "" {
			info.Error += " (" + e.Hint + ")"
		}
	}
	return info
}

// changeModel loads or unloads the model whose id stands in the path, which
// may itself have slashes, and answers when that is done.
func (s *Server) changeModel(w http.ResponseWriter, r *http.Request) error {
	if _, err := readBody(w, r); err != nil {
		return err
	}
	rest := strings.TrimPrefix(clean(r.URL.Path), "/parley/v1/models/")
	var change = s.models.LoadModel
	id, load := strings.CutSuffix(rest, "/load")
	if !load {
		var unload bool
		if id, unload = strings.CutSuffix(rest, "/unload"); !unload {
			return &refusal{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
				Message: "there is nothing at POST " + printable(r.URL.Path) + " (a model's path ends in /load or /unload)"}
		}
		change = s.models.UnloadModel
	}
	ctx, cancel := s.work(r)
	defer cancel()
	if err := change(ctx, id); err != nil {
		return err
	}
	listed, err := s.models.List(ctx)
	if err != nil {
		return err
	}
	for _, m := range listed {
		if m.ID == id {
			return writeValue(w, r, infoOf(m))
		}
	}
	return writeValue(w, r, struct {
		ID string `json:"id"`
	}{id}) // by an alias, or unlisted
}
