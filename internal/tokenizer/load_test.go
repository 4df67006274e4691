package tokenizer

import (
	"fmt"
	"strings"
	"testing"

	"parley/internal/gguf"
)

// load makes a tokenizer of a GGUF file's metadata, by the rules that the reference applies.
func load(f *gguf.File) (*Tokenizer, error) {
	model, _, err := f.String("tokenizer.ggml.model")
	if err != nil {
		return nil, err
	}
	pre, _, err := f.String("tokenizer.ggml.pre") // absent: "default"
	if err != nil {
		return nil, err
	}
	v := Defaults(model, pre)
	if v.Tokens, _, err = f.Strings("tokenizer.ggml.tokens"); err != nil {
		return nil, err
	}
	if v.Scores, _, err = f.Floats("tokenizer.ggml.scores"); err != nil {
		return nil, err
	}
	if v.Merges, _, err = f.Strings("tokenizer.ggml.merges"); err != nil {
		return nil, err
	}
	types, _, err := f.Ints("tokenizer.ggml.token_type")
	if err != nil {
		return nil, err
	}
	for _, x := range types {
		if x < 0 || x > int64(Byte) {
			x = 0 // as in the reference: a token of unknown kind is never matched as a special one
		}
		v.Types = append(v.Types, TokenType(x))
	}
	for key, id := range map[string]*int{
		"bos": &v.BOS, "eos": &v.EOS, "eot": &v.EOT, "eom": &v.EOM, "unknown": &v.UNK, "padding": &v.PAD,
	} {
		n, ok, err := f.Uint("tokenizer.ggml." + key + "_token_id")
		if err != nil {
			return nil, err
		}
		if ok && n < uint64(len(v.Tokens)) {
			*id = int(n)
		} else if *id >= len(v.Tokens) {
			*id = -1
		}
	}
	for key, flag := range map[string]*bool{
		"add_bos_token": &v.AddBOS, "add_eos_token": &v.AddEOS, "add_space_prefix": &v.AddSpacePrefix,
	} {
		x, ok, err := f.Bool("tokenizer.ggml." + key)
		if err != nil {
			return nil, err
		}
		if ok {
			*flag = x
		}
	}
	name, _, err := f.String("general.name")
	if err != nil {
		return nil, err
	}
	if name = strings.ToLower(name); strings.Contains(name, "phi-3") || strings.Contains(name, "phi3") {
		for id, text := range v.Tokens {
			special := len(v.Types) > 0 && (v.Types[id] == Control || v.Types[id] == UserDefined || v.Types[id] == Unknown)
			if special && text != "<unk>" && text != "<s>" && text != "<|endoftext|>" {
				v.TrimAfter = append(v.TrimAfter, id)
			}
		}
	}
	t, err := New(v)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	return t, nil
}

// open loads a vocabulary of the test data, and skips the test where there is none.
func open(t testing.TB, name string) *Tokenizer {
	t.Helper()
	f, err := gguf.Open(testdata(t, "ggml-vocab-"+name+".gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := load(f)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
