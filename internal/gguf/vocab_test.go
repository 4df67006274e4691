package gguf

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRealVocabularies reads third-party files, if they are there: PARLEY_TESTDATA, or ../shared/data.
func TestRealVocabularies(t *testing.T) {
	dir := os.Getenv("PARLEY_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "vocab", "*.gguf"))
	if len(paths) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("no vocabularies under PARLEY_TESTDATA")
		}
		t.Skip("no vocabularies under PARLEY_TESTDATA")
	}
	for _, path := range paths {
		f, err := Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		tokens, ok, err := f.Strings("tokenizer.ggml.tokens")
		if err != nil || !ok || len(tokens) < 10_000 {
			t.Errorf("%s: %d tokens, %v, %v", path, len(tokens), ok, err)
		}
		if types, ok, err := f.Ints("tokenizer.ggml.token_type"); ok && len(types) != len(tokens) || err != nil {
			t.Errorf("%s: %d token types for %d tokens, %v", path, len(types), len(tokens), err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
