package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/llm"
)

func TestAModelWithoutATemplateFindsOneBesideIt(t *testing.T) {
	const loop = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
	for name, c := range map[string]struct {
		inModel string
		files   map[string]string
		want    string // the format's name
		wrong   string // or what is said
	}{
		"the model's own first": {loop, map[string]string{"chat_template.jinja": loop}, "of the model's file", ""},
		"jinja before json":     {"", map[string]string{"chat_template.jinja": loop, "tokenizer_config.json": "{}"}, "chat_template.jinja", ""},
		"json":                  {"", map[string]string{"tokenizer_config.json": `{"chat_template": "` + loop + `"}`}, "tokenizer_config.json", ""},
		"json without one":      {"", map[string]string{"tokenizer_config.json": "{}"}, "none", ""},
		"nothing":               {"", nil, "none", ""},
		"no fall back":          {"", map[string]string{"chat_template.jinja": "{% if %}", "tokenizer_config.json": `{"chat_template": "` + loop + `"}`}, "", "chat_template.jinja"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f, err := modelsOwn(filepath.Join(dir, "model.gguf"))(llm.Info{ChatTemplate: c.inModel})
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || f.Name() != c.want {
				t.Errorf("got %v, %v, want %s", f, err, c.want)
			}
		})
	}
	// Where there is none either, what all models of an architecture were trained with.
	if f, err := modelsOwn(filepath.Join(t.TempDir(), "model.gguf"))(llm.Info{Architecture: "rwkv7"}); err != nil || f.Name() != "rwkv-world" {
		t.Errorf("RWKV 7: got %v, %v", f, err)
	}
}
