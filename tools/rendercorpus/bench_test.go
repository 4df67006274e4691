package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"parley/internal/jinja"
)

// wellKnown are templates that many people's models have; bench.py measures
// the same.
var wellKnown = []string{
	"meta-llama-meta-llama-3-8b-instruct", "meta-llama-llama-3.2-3b-instruct", "gemma-2-9b-it", "microsoft-phi-3.5-mini-instruct",
	"mistralai-mistral-nemo-instruct-2407", "mistralai-mixtral-8x7b-instruct-v0.1", "deepseek-ai-deepseek-r1-distill-llama-8b",
	"ibm-granite-granite-3.3-2b-instruct", "ollama-qwen3-next-80b", "huggingfaceh4-zephyr-7b-gemma-sft-v0.1",
}

// BenchmarkTemplates renders a conversation of 30 messages in each, and
// compiles each.
func BenchmarkTemplates(b *testing.B) {
	dir := os.Getenv("PARLEY_TESTDATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	path := filepath.Join(dir, "chat-templates", "templates.dev.json.gz")
	if _, err := os.Stat(path); err != nil && os.Getenv("CI") == "" {
		b.Skip(err)
	}
	templates, err := readTemplates(path)
	if err != nil {
		b.Fatal(err)
	}
	byName := map[string]template{}
	for _, t := range templates {
		byName[t.Name] = t
	}
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var talk conversation
	var messages []message
	for i := range 30 {
		messages = append(messages, message{[]string{"user", "assistant"}[i%2], fmt.Sprintf("Message number %d of a talk about bread, wine and the weather.", i)})
	}
	raw, err := json.Marshal(map[string]any{"id": "long", "messages": messages[:29], "add_generation_prompt": true})
	if err == nil {
		err = json.Unmarshal(raw, &talk)
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range wellKnown {
		t, ok := byName[name+".jinja"]
		if !ok {
			b.Fatalf("the corpus has no template %s", name)
		}
		compiled, err := jinja.Parse(t.Name, t.Template, jinja.DefaultLimits())
		if err != nil {
			b.Fatal(err)
		}
		vars, err := talk.variables(t)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("render/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := compiled.Render(context.Background(), vars, now); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("compile/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := jinja.Parse(t.Name, t.Template, jinja.DefaultLimits()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
