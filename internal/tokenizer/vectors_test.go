package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// vocabularies are those of the test data that are supported: all but BERT's.
var vocabularies = []string{
	"deepseek-coder", "deepseek-llm", "falcon", "gpt-2", "llama-spm", "mpt", "phi-3", "refact", "starcoder",
}

// testdata finds a file of third-party data: PARLEY_TESTDATA, or ../shared/data.
func testdata(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("PARLEY_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, "vocab", name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no vocabularies under PARLEY_TESTDATA: %v", err)
		}
		t.Skip("no vocabularies under PARLEY_TESTDATA")
	}
	return path
}

// vectors reads the texts of a vocabulary and the ids that the reference gives them.
func vectors(t testing.TB, name string) (texts []string, ids [][]int) {
	t.Helper()
	read := func(suffix string) string {
		b, err := os.ReadFile(testdata(t, "ggml-vocab-"+name+".gguf"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	texts = strings.Split(strings.TrimSuffix(read(".inp"), "\n__ggml_vocab_test__\n"), "\n__ggml_vocab_test__\n")
	for _, line := range strings.Split(strings.TrimSuffix(read(".out"), "\n"), "\n") {
		var list []int
		for _, s := range strings.Fields(line) {
			id, err := strconv.Atoi(s)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, id)
		}
		ids = append(ids, list)
	}
	if len(texts) != len(ids) || len(texts) == 0 {
		t.Fatalf("%d texts and %d lists of ids", len(texts), len(ids))
	}
	return texts, ids
}

func TestVectors(t *testing.T) {
	for _, name := range vocabularies {
		t.Run(name, func(t *testing.T) {
			tok := open(t, name)
			texts, want := vectors(t, name)
			for i, text := range texts {
				if got := tok.EncodeText(text, false); !slices.Equal(got, want[i]) {
					t.Errorf("%q\n\tgives %v\n\twant  %v", text, got, want[i])
				}
				if got := tok.Decode(want[i], DecodeOptions{Start: true}); string(got) != text {
					t.Errorf("%v\n\tdecodes to %q\n\twant       %q", want[i], got, text)
				}
			}
		})
	}
}
