package ollama

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"parley/internal/wire"
	"parley/llm"
)

// A Model is a model in the lists of this dialect.
type Model struct {
	ID       string
	Modified time.Time
	Info     llm.Info
	Expires  time.Time // in the list of loaded ones
}

// Tagged is a model's name with a tag, as clients expect one.
func Tagged(id string) string {
	if strings.Contains(id, ":") {
		return id
	}
	return id + ":latest"
}

type details struct {
	Parent       string   `json:"parent_model"`
	Format       string   `json:"format"`
	Family       string   `json:"family"`
	Families     []string `json:"families"`
	Parameters   string   `json:"parameter_size"`
	Quantisation string   `json:"quantization_level"`
}

func detailsOf(i llm.Info) details {
	return details{Format: "gguf", Family: i.Architecture, Families: []string{i.Architecture}, Parameters: short(i.Parameters), Quantisation: i.Quantisation}
}

func short(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1fB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2fM", float64(n)/1e6)
	case n > 0:
		return fmt.Sprintf("%.2fK", float64(n)/1e3)
	}
	return ""
}

type row struct {
	Name     string  `json:"name"`
	Model    string  `json:"model"`
	Modified string  `json:"modified_at,omitempty"`
	Size     int64   `json:"size"`
	Digest   string  `json:"digest"`
	Details  details `json:"details"`
	Expires  string  `json:"expires_at,omitempty"`
	VRAM     *int64  `json:"size_vram,omitempty"`
	Context  int     `json:"context_length,omitempty"`
}

func rowOf(m Model) row {
	// Not of the file, which may be large: clients only compare it.
	digest := sha256.Sum256([]byte(fmt.Sprint(m.ID, m.Info.Bytes, m.Info.Quantisation)))
	return row{Name: Tagged(m.ID), Model: Tagged(m.ID), Size: m.Info.Bytes, Digest: hex.EncodeToString(digest[:]), Details: detailsOf(m.Info)}
}

// Tags is the list of all models.
func Tags(models []Model) []byte {
	rows := []row{}
	for _, m := range models {
		r := rowOf(m)
		r.Modified = m.Modified.UTC().Format(time.RFC3339)
		rows = append(rows, r)
	}
	return list(rows)
}

// Running is the list of those that are loaded.
func Running(models []Model) []byte {
	rows := []row{}
	for _, m := range models {
		r := rowOf(m)
		r.Expires, r.VRAM, r.Context = m.Expires.UTC().Format(time.RFC3339), new(int64(0)), m.Info.Context
		rows = append(rows, r)
	}
	return list(rows)
}

func list(rows []row) []byte {
	return wire.Encode(struct {
		Models []row `json:"models"`
	}{rows})
}

// Show is all that is told of a model.
func Show(m Model) []byte {
	i := m.Info
	about := map[string]any{"general.architecture": i.Architecture, "general.parameter_count": i.Parameters, "general.basename": i.Name}
	if i.Architecture != "" {
		about[i.Architecture+".context_length"] = i.Context
		about[i.Architecture+".vocab_size"] = i.Vocabulary
	}
	capabilities := []string{"completion"}
	if strings.Contains(i.ChatTemplate, "tools") {
		capabilities = append(capabilities, "tools")
	}
	if strings.Contains(i.ChatTemplate, "think") {
		capabilities = append(capabilities, "thinking")
	}
	return wire.Encode(struct {
		Modelfile    string         `json:"modelfile"`
		Parameters   string         `json:"parameters"`
		Template     string         `json:"template"`
		Details      details        `json:"details"`
		Info         map[string]any `json:"model_info"`
		Capabilities []string       `json:"capabilities"`
		Modified     string         `json:"modified_at"`
	}{"FROM " + m.ID + "\n", fmt.Sprintf("num_ctx %d", i.Context), i.ChatTemplate, detailsOf(i), about, capabilities, m.Modified.UTC().Format(time.RFC3339)})
}

// Told is the body that tells the version.
func Told() []byte {
	return wire.Encode(struct {
		Version string `json:"version"`
	}{Version})
}
