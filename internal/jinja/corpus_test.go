package jinja

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// corpusFile opens a file of third-party test data. It lies outside the
// repository; without it the test is skipped, but not on CI.
func corpusFile(t testing.TB, name string) *os.File {
	t.Helper()
	root := os.Getenv("PARLEY_TESTDATA")
	if root == "" {
		root = "../../../shared/data"
	}
	f, err := os.Open(filepath.Join(root, "chat-templates", name))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no chat-template corpus: ", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func corpusJSON(t testing.TB, name string, to any) {
	t.Helper()
	zr, err := gzip.NewReader(corpusFile(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(zr).Decode(to); err != nil {
		t.Fatal(err)
	}
}

// wellKnown are the templates whose speed is followed, on the corpus's long
// chat of 30 messages; testdata/bench.py measures jinja2 on the same.
var wellKnown = []string{
	"unsloth-chatml_template", "meta-llama-llama-2-70b-chat-hf", "meta-llama-llama-3.2-3b-instruct", "mistralai-mistral-7b-instruct-v0.3-json-schema",
	"qwen-qwen2.5-vl-7b-instruct", "llamacpppython-qwen3.5-0.8b", "deepseek-ai-deepseek-v3.2", "ibm-granite-granite-3.3-2b-instruct",
	"openai-gpt-oss-120b", "contrapuntal-gemma4-upstream-12b-it",
}

func BenchmarkCorpus(b *testing.B) {
	var templates map[string]struct{ Template string }
	corpusJSON(b, "templates.dev.json.gz", &templates)
	var conversations []struct {
		ID       string
		Messages json.RawMessage
	}
	if err := json.NewDecoder(corpusFile(b, "conversations.json")).Decode(&conversations); err != nil {
		b.Fatal(err)
	}
	vars := longChat()
	for _, c := range conversations {
		if c.ID != "long" {
			continue
		}
		messages, err := FromJSON(c.Messages, DefaultLimits(), func([]PathStep, bool) Origin { return 1 })
		if err != nil {
			b.Fatal(err)
		}
		vars.Set("messages", messages)
	}
	for _, name := range wellKnown {
		b.Run(name, func(b *testing.B) {
			t, err := Parse(name, templates[name+".jinja"].Template, DefaultLimits())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.Render(context.Background(), vars, clock); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
