package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode"

	"parley/engine"
	"parley/internal/gguf"
	"parley/llm"
)

// A summary is what a model file says about itself, read without loading it.
type summary struct {
	llm.Info
	tokenizer string // "gpt2, llama-bpe"
	embedding int
	layers    int
}

// openGGUF opens a model file; its errors say what to do.
func openGGUF(path string) (*gguf.File, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, modelFileError(path, err)
	}
	return f, nil
}

// modelFileError puts the path before what is wrong with a model file.
func modelFileError(path string, err error) error {
	if already, ok := errors.AsType[*userError](err); ok { // of a file beside it
		return already
	}
	what := "model file"
	if d, ok := errors.AsType[*engine.DraftError](err); ok {
		what, path = "draft model", d.Path
	}
	var cause *os.PathError
	if errors.As(err, &cause) {
		return fileError(what, path, err)
	}
	said := strings.TrimPrefix(sentence(err), path+": ")
	for _, layer := range []string{"gguf: ", "transformer: ", "tokenizer: "} {
		said = strings.TrimPrefix(said, layer)
	}
	e := &userError{Message: path + ": " + said, Err: err}
	if errors.Is(err, gguf.ErrNotGGUF) {
		e.Hint = "Parley runs models in the GGUF format, as llama.cpp does"
	}
	if cause, ok := errors.AsType[*llm.Error](err); ok {
		e.Hint = cause.Hint
	}
	return e
}

// summarise reads the usual keys. A key of the wrong type counts as missing:
// this is for looking, and the engine will complain.
func summarise(f *gguf.File) summary {
	text := func(key string) string { s, _, _ := f.String(key); return s }
	number := func(key string) int { n, _, _ := f.Uint(key); return int(min(n, 1<<31)) }

	s := summary{Info: llm.Info{
		Name:         text("general.name"),
		Description:  text("general.description"),
		Architecture: text("general.architecture"),
		ChatTemplate: text("tokenizer.chat_template"),
	}}
	s.Trained = number(s.Architecture + ".context_length")
	s.embedding = number(s.Architecture + ".embedding_length")
	s.layers = number(s.Architecture + ".block_count")
	s.tokenizer = text("tokenizer.ggml.model")
	if pre := text("tokenizer.ggml.pre"); pre != "" {
		s.tokenizer += ", " + pre
	}
	if v, ok := f.Value("tokenizer.ggml.tokens"); ok && v.Kind == gguf.Array {
		s.Vocabulary = int(min(v.Len, 1<<31))
	}
	s.BOS, s.EOS = tokenText(f, "tokenizer.ggml.bos_token_id"), tokenText(f, "tokenizer.ggml.eos_token_id")

	bytesOf := map[string]int64{}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		s.Parameters += int64(t.Elements())
		s.Bytes += int64(len(t.Data))
		bytesOf[t.Type.String()] += int64(len(t.Data))
	}
	for name, n := range bytesOf {
		if n > bytesOf[s.Quantisation] || n == bytesOf[s.Quantisation] && name < s.Quantisation {
			s.Quantisation = name
		}
	}
	return s
}

func tokenText(f *gguf.File, key string) string {
	id, ok, err := f.Uint(key)
	tokens, have, _ := f.Strings("tokenizer.ggml.tokens")
	if !ok || err != nil || !have || id >= uint64(len(tokens)) {
		return ""
	}
	return tokens[id]
}

// printable keeps what a file, a model or a server says from steering the
// terminal. Only control characters do that: joiners and no-break spaces stay.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, s)
}

// count writes a number with its thousands apart: 128,256.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// short writes a large number with its unit: 3.2 billion is 3.2B.
func short(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "K"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f%s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return strconv.FormatInt(n, 10)
}

// size writes a number of bytes.
func size(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// isFile reports whether there is something at a path that is not a folder.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist)
}
