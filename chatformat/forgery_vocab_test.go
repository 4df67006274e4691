package chatformat_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"parley/engine"
	"parley/internal/gguf"
)

// A vocabulary is one to attack: a real model's, or one made here that has the
// marks of all formats and templates as tokens.
type vocabulary struct {
	name string
	*engine.Tokenizer
	marks []string // its tokens that are more than text
}

// The types of tokens in tokenizer.ggml.token_type.
const (
	normalToken      int32 = 1
	unknownToken     int32 = 2
	controlToken     int32 = 3
	userDefinedToken int32 = 4
	byteToken        int32 = 6
)

// realVocabularies opens the vocabularies of the test data.
func realVocabularies(t *testing.T) []vocabulary {
	t.Helper()
	dir := os.Getenv("PARLEY_TESTDATA")
	if dir == "" {
		dir = "../../shared/data"
	}
	paths, err := filepath.Glob(filepath.Join(dir, "vocab", "*.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	var list []vocabulary
	for _, path := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "ggml-vocab-"), ".gguf")
		if strings.HasPrefix(name, "bert") {
			continue // not one of a model that writes
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, vocabulary{name, openVocabulary(t, data), specialTokens(t, data)})
	}
	if len(list) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatalf("no vocabularies in %s", dir)
		}
		t.Log("no vocabularies of real models to test with")
	}
	return list
}

func openVocabulary(t *testing.T, data []byte) *engine.Tokenizer {
	t.Helper()
	words, err := engine.OpenTokenizerBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	return words
}

// specialTokens are the tokens that a file itself sets apart from text.
func specialTokens(t *testing.T, data []byte) (marks []string) {
	t.Helper()
	f, err := gguf.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	tokens, _, err := f.Strings("tokenizer.ggml.tokens")
	if err != nil {
		t.Fatal(err)
	}
	types, _, err := f.Ints("tokenizer.ggml.token_type")
	if err != nil {
		t.Fatal(err)
	}
	for i, typ := range types {
		special := int32(typ) == controlToken || int32(typ) == unknownToken || int32(typ) == userDefinedToken
		if special && len(tokens[i]) > 2 && !strings.HasPrefix(tokens[i], "[PAD") && strings.Trim(tokens[i], " \n\t▁") != "" {
			marks = append(marks, tokens[i])
		}
	}
	return marks
}

// madeVocabularies has the marks as tokens in each of the ways in which model
// files have them.
func madeVocabularies(t *testing.T, marks []string) []vocabulary {
	t.Helper()
	var spaces []string
	for n := 2; n <= 16; n++ {
		spaces = append(spaces, strings.Repeat(" ", n))
	}
	return []vocabulary{
		{"made: control", byteVocabulary(t, "qwen2", marks, controlToken, nil, false), marks},
		// As Gemma and GPT-NeoX have them, runs of spaces too are added tokens.
		{"made: user-defined", byteVocabulary(t, "llama-bpe", marks, userDefinedToken, append(spaces, "\n\n", "\t\t"), false), marks},
		// Words of any characters, and merges that build each mark from letters.
		{"made: merges", byteVocabulary(t, "bloom", marks, controlToken, spaces, true), marks},
		{"made: spaces", spaceVocabulary(t, marks), marks},
	}
}

// byteVocabulary is a byte-level vocabulary: the bytes, a few words, the marks
// and more added tokens.
func byteVocabulary(t *testing.T, pre string, marks []string, typ int32, added []string, build bool) *engine.Tokenizer {
	t.Helper()
	var tokens, merges []string
	var types []int32
	seen := map[string]bool{}
	add := func(token string, typ int32) {
		if !seen[token] {
			seen[token] = true
			tokens, types = append(tokens, token), append(types, typ)
		}
	}
	next := rune(256)
	alphabet := map[byte]string{}
	for b := range 256 {
		c := rune(b)
		if b < '!' || b > '~' && b < 0xa1 || b == 0xad {
			c = next
			next++
		}
		alphabet[byte(b)] = string(c)
		add(string(c), normalToken)
	}
	for _, s := range marks {
		add(s, typ)
	}
	for _, s := range added {
		add(s, userDefinedToken)
	}
	words := []string{" the", " is", "user", "system", "assistant", "tool", "Paris", " capital", "You", "im_", "start", "end"}
	for _, s := range marks {
		if build && !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) { // those have another text there
			words = append(words, s)
		}
	}
	pairs := map[string]bool{}
	for _, w := range words {
		left := alphabet[w[0]]
		for i := 1; i < len(w); i++ {
			right := alphabet[w[i]]
			if pair := left + " " + right; !pairs[pair] {
				pairs[pair] = true
				merges = append(merges, pair)
			}
			left += right
			add(left, normalToken)
		}
	}
	return openVocabulary(t, vocabularyFile(t, "gpt2", pre, tokens, types, nil, merges))
}

// spaceVocabulary is a SentencePiece-style vocabulary in which every beginning
// of a mark is a token, so that merging comes as near to it as it can.
func spaceVocabulary(t *testing.T, marks []string) *engine.Tokenizer {
	t.Helper()
	tokens := []string{"<unk>", "<s>", "</s>"}
	types := []int32{unknownToken, controlToken, controlToken}
	seen := map[string]bool{"<unk>": true, "<s>": true, "</s>": true}
	add := func(token string, typ int32) {
		if !seen[token] {
			seen[token] = true
			tokens, types = append(tokens, token), append(types, typ)
		}
	}
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), byteToken)
	}
	for _, s := range marks {
		add(s, controlToken)
	}
	for _, s := range []string{"▁", "▁▁", "▁▁▁▁"} {
		add(s, normalToken)
	}
	for _, s := range append(slices.Clone(marks), "▁the", "user", "system", "Paris") {
		s = strings.ReplaceAll(s, " ", "▁")
		for i, r := range s {
			add(string(r), normalToken)
			if i > 0 {
				add(s[:i], normalToken)
			}
		}
	}
	scores := make([]float32, len(tokens))
	for i := range scores {
		scores[i] = float32(-i)
	}
	return openVocabulary(t, vocabularyFile(t, "llama", "", tokens, types, scores, nil))
}

func vocabularyFile(t *testing.T, model, pre string, tokens []string, types []int32, scores []float32, merges []string) []byte {
	t.Helper()
	meta := []gguf.KV{
		{Key: "general.architecture", Value: gguf.ValueOf("llama")},
		{Key: "tokenizer.ggml.model", Value: gguf.ValueOf(model)},
		{Key: "tokenizer.ggml.tokens", Value: gguf.ArrayOf(tokens)},
		{Key: "tokenizer.ggml.token_type", Value: gguf.ArrayOf(types)},
		{Key: "tokenizer.ggml.add_bos_token", Value: gguf.ValueOf(false)},
	}
	if pre != "" {
		meta = append(meta, gguf.KV{Key: "tokenizer.ggml.pre", Value: gguf.ValueOf(pre)})
	}
	if scores != nil {
		meta = append(meta, gguf.KV{Key: "tokenizer.ggml.scores", Value: gguf.ArrayOf(scores)})
	}
	if merges != nil {
		meta = append(meta, gguf.KV{Key: "tokenizer.ggml.merges", Value: gguf.ArrayOf(merges)})
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, meta, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
