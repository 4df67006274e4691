package vocab

import (
	"errors"
	"strings"

	"parley/internal/gguf"
	"parley/internal/tokenizer"
)

// FromGGUF reads the vocabulary of a GGUF file, whose weights may be missing.
// It keeps nothing of the file.
func FromGGUF(f *gguf.File) (*Model, error) {
	v, err := readVocab(f)
	if err != nil {
		return nil, err
	}
	template, _, _ := f.String("tokenizer.chat_template") // of another type: as if there were none
	m, err := New(v, template)
	if err != nil {
		return nil, err
	}
	r := keyReader{f: f}
	for i, names := range [][]string{{"prefix", "fim_pre"}, {"suffix", "fim_suf"}, {"middle", "fim_mid"}, {"fim_sep"}} { // the older first
		for _, name := range names {
			r.id("tokenizer.ggml."+name+"_token_id", &m.gap[i], len(v.Tokens))
		}
	}
	return m, r.err
}

// CheckGGUF says whether vocabularies of the kind that a file names can be
// read, without reading it.
func CheckGGUF(f *gguf.File) error {
	r := keyReader{f: f}
	model, pre := r.text("tokenizer.ggml.model"), r.text("tokenizer.ggml.pre")
	switch {
	case r.err != nil:
		return r.err
	case model == "":
		return errNone
	}
	return tokenizer.Check(model, pre)
}

var errNone = errors.New("the file has no vocabulary: tokenizer.ggml.model is missing")

// readVocab maps the keys of a file to a vocabulary. Where the file is silent
// the defaults of its kind of vocabulary hold.
func readVocab(f *gguf.File) (tokenizer.Vocab, error) {
	r := keyReader{f: f}
	model := r.text("tokenizer.ggml.model")
	if r.err == nil && model == "" {
		r.err = errNone
	}
	v := tokenizer.Defaults(model, r.text("tokenizer.ggml.pre"))
	v.Tokens = r.texts("tokenizer.ggml.tokens")
	v.Merges = r.texts("tokenizer.ggml.merges")
	v.Scores = r.floats("tokenizer.ggml.scores")
	v.Types = r.types("tokenizer.ggml.token_type")
	for key, id := range map[string]*int{
		"bos": &v.BOS, "eos": &v.EOS, "eot": &v.EOT, "eom": &v.EOM, "unknown": &v.UNK, "padding": &v.PAD,
	} {
		r.id("tokenizer.ggml."+key+"_token_id", id, len(v.Tokens))
	}
	r.flag("tokenizer.ggml.add_bos_token", &v.AddBOS)
	r.flag("tokenizer.ggml.add_eos_token", &v.AddEOS)
	r.flag("tokenizer.ggml.add_space_prefix", &v.AddSpacePrefix)
	v.AddBOS = v.AddBOS && v.BOS >= 0
	v.AddEOS = v.AddEOS && v.EOS >= 0
	if name := strings.ToLower(r.text("general.name")); strings.Contains(name, "phi-3") || strings.Contains(name, "phi3") {
		v.TrimAfter = trimmed(v)
	}
	return v, r.err
}

// trimmed lists the tokens of a Phi-3 vocabulary that swallow the white space
// behind them: see tokenizer.Vocab.
func trimmed(v tokenizer.Vocab) (ids []int) {
	if len(v.Types) != len(v.Tokens) {
		return nil
	}
	for id, text := range v.Tokens {
		typ := v.Types[id]
		special := typ == tokenizer.Control || typ == tokenizer.UserDefined || typ == tokenizer.Unknown
		if special && text != "<unk>" && text != "<s>" && text != "<|endoftext|>" {
			ids = append(ids, id)
		}
	}
	return ids
}

// A keyReader reads keys and remembers the first error.
type keyReader struct {
	f   *gguf.File
	err error
}

func (r *keyReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *keyReader) text(key string) string {
	s, _, err := r.f.String(key)
	r.fail(err)
	return s
}

func (r *keyReader) texts(key string) []string {
	s, _, err := r.f.Strings(key)
	r.fail(err)
	return s
}

func (r *keyReader) floats(key string) []float32 {
	s, _, err := r.f.Floats(key)
	r.fail(err)
	return s
}

func (r *keyReader) flag(key string, to *bool) {
	b, ok, err := r.f.Bool(key)
	r.fail(err)
	if ok {
		*to = b
	}
}

// id reads the number of a token. One that the vocabulary does not have leaves
// the default; a default that it does not have is none.
func (r *keyReader) id(key string, to *int, tokens int) {
	n, ok, err := r.f.Int(key)
	r.fail(err)
	if ok && n >= 0 && n < int64(tokens) {
		*to = int(n)
	} else if *to >= tokens {
		*to = -1
	}
}

func (r *keyReader) types(key string) (types []tokenizer.TokenType) {
	ns, _, err := r.f.Ints(key)
	r.fail(err)
	for _, n := range ns {
		if n < 0 || n > int64(tokenizer.Byte) {
			n = 0 // of no known kind: never matched as a special one
		}
		types = append(types, tokenizer.TokenType(n))
	}
	return types
}
