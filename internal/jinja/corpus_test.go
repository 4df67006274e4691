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

// The templates whose speed is followed, on a chat of 30 messages.
var wellKnown = []string{
	"chatml-teknium-openhermes-2.5", "meta-llama-llama-2-70b-chat-hf", "llama-3.1-8b-instruct", "mistral-7b-instruct-v0.3", "gemma-3-4b-it",
	"qwen-qwen2.5-3b-instruct", "qwen-qwen3.5-4b", "deepseek-ai-deepseek-v3.1", "ibm-granite-granite-3.3-2b-instruct", "openai-gpt-oss-120b",
}

func BenchmarkCorpus(b *testing.B) {
	var templates map[string]struct{ Template string }
	corpusJSON(b, "templates.dev.json.gz", &templates)
	vars := longChat()
	for _, name := range wellKnown {
		src, ok := templates[name+".jinja"]
		if !ok {
			continue
		}
		b.Run(name, func(b *testing.B) {
			t, err := Parse(name, src.Template, DefaultLimits())
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
