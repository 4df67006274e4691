// Package tokenizer turns text into tokens and back, as llama.cpp or Hugging Face's tokenizers do, for
// SentencePiece-style ("llama", "gemma4"), byte-level BPE ("gpt2") and RWKV's ("rwkv") vocabularies. It takes a
// plain vocabulary and knows no file.
//
// Its contract: a control token arises only where every character of it lies in spans that may
// contain one, whatever type the model's file gives to the token; all other text is tokenised as
// one string between control tokens, however it is divided into spans, so that a harmless prompt
// gets exactly the reference's ids. Time is linear in the text, up to a logarithm, whatever it says.
package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/limits"
)

// TokenType is what a model's file says a token is, numbered as in tokenizer.ggml.token_type.
type TokenType uint8

// The token types.
const (
	Normal      TokenType = 1
	Unknown     TokenType = 2 // stands for what cannot be written
	Control     TokenType = 3 // has a meaning to the model, and no text
	UserDefined TokenType = 4 // an added token: matched before the rest is split up
	Unused      TokenType = 5
	Byte        TokenType = 6 // "<0x0A>": one byte
)

// Vocab is a vocabulary and how it is applied. [Defaults] gives the settings that the reference
// uses where a file is silent; special ids are -1 where there is none.
type Vocab struct {
	Model string // tokenizer.ggml.model: "llama" (SentencePiece), "gpt2" (byte-level BPE), "gemma4" (as "llama", merged by a list of pairs) or "rwkv" (the longest token at each place)
	Pre   string // tokenizer.ggml.pre: how "gpt2" splits text into words; "" is "default"; unused by the others

	Tokens []string    // texts by id; those of "gpt2" in its byte alphabet, those of "rwkv" with escapes, those of the others with ▁ for space
	Scores []float32   // by id, "llama" only: what merges first
	Types  []TokenType // by id; nil if all are normal
	Merges []string    // "gpt2", "gemma4", and "llama" with HF: pairs "left right", what merges first

	BOS, EOS, EOT, EOM, UNK, PAD int

	AddBOS         bool // whoever builds a prompt puts BOS before it. Encode never does.
	AddEOS         bool // likewise EOS after it
	AddSpacePrefix bool // "llama" only: a space is put before text that begins the prompt or follows a special token
	IgnoreMerges   bool // "gpt2" only: a word that is a token is that token, whatever the merges say

	// TrimAfter lists tokens that swallow the white space after them. GGUF does not say so; the
	// reference does it for the special tokens of models whose general.name contains "phi-3" or
	// "phi3", all but <unk>, <s> and <|endoftext|>.
	TrimAfter []int

	// Ends lists further tokens that end a reply.
	Ends []int

	HF *HF // nil: as llama.cpp
}

// Tokenizer is a vocabulary made ready. It is safe for concurrent use.
type Tokenizer struct {
	v       Vocab
	ids     map[string]int32 // text → id
	pieces  []string         // id → the bytes it stands for
	class   []class          // id → where it may arise
	ends    map[int32]bool   // tokens that end a reply
	trim    map[int32]bool
	special *trie // tokens matched before the rest is split up
	late    *trie // with HF: those matched after them, in normalised text
	model   encoder
}

// An encoder tokenises text between special tokens. It appends to out tokens whose offsets count
// from base, and never one whose class is not free. first is false for text that continues what the
// call before it was given.
type encoder interface {
	encode(out []Token, text string, base int, class []class, first bool) []Token
}

// New makes a vocabulary ready. It keeps the slices of v, which must not change any more. An error
// says what is wrong with the vocabulary or not supported, and what is.
func New(v Vocab) (*Tokenizer, error) {
	if err := check(&v); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t := &Tokenizer{v: v, ids: make(map[string]int32, len(v.Tokens)), trim: map[int32]bool{}}
	for id, s := range v.Tokens {
		if s == "" {
			s = fmt.Sprintf("[EMPTY_%d]", id) // as the reference names it; no text may match it
		}
		if first, ok := t.ids[s]; ok {
			return nil, fmt.Errorf("tokenizer: tokens %d and %d are both %q", first, id, s)
		}
		t.ids[s] = int32(id)
	}
	for _, id := range v.TrimAfter {
		t.trim[int32(id)] = true
	}
	var err error
	switch v.Model {
	case "gpt2":
		t.pieces = bytePieces(&v)
		t.model, err = newBPE(&v)
	case "rwkv":
		if t.pieces, err = rwkvPieces(&v); err == nil {
			t.model, err = newRWKV(&v, t.pieces)
		}
	default:
		t.pieces = spacePieces(&v)
		t.model, err = newSPM(&v, t.ids)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t.ends = ends(&v, t.ids)
	t.class = t.classify()
	t.buildTries()
	return t, nil
}

// Check reports whether vocabularies of a kind and a pre-tokenizer, as Vocab has them, are supported.
func Check(model, pre string) error {
	switch model {
	case "llama", "gemma4", "rwkv":
		return nil
	case "gpt2":
		_, err := preOf(pre)
		return err
	}
	return fmt.Errorf("the vocabulary is of kind %q, which is not supported; supported: llama (SentencePiece), gpt2 (byte-level BPE), gemma4, rwkv", model)
}

func check(v *Vocab) error {
	if v.HF == nil {
		if err := Check(v.Model, v.Pre); err != nil {
			return err
		}
	}
	n := len(v.Tokens)
	switch {
	case n == 0:
		return fmt.Errorf("the vocabulary is empty")
	case limits.Vocabulary.CheckInt(n) != nil:
		return fmt.Errorf("the vocabulary: %w", limits.Vocabulary.CheckInt(n))
	case v.Model == "llama" && v.HF == nil && len(v.Scores) != n:
		return fmt.Errorf("%d scores for %d tokens", len(v.Scores), n)
	case len(v.Types) != 0 && len(v.Types) != n:
		return fmt.Errorf("%d token types for %d tokens", len(v.Types), n)
	}
	for _, x := range []struct {
		name string
		id   int
	}{{"BOS", v.BOS}, {"EOS", v.EOS}, {"EOT", v.EOT}, {"EOM", v.EOM}, {"UNK", v.UNK}, {"PAD", v.PAD}} {
		if x.id < -1 || x.id >= n {
			return fmt.Errorf("%s is token %d, and the vocabulary has %d", x.name, x.id, n)
		}
	}
	if i := slices.IndexFunc(v.TrimAfter, func(id int) bool { return id < 0 || id >= n }); i >= 0 {
		return fmt.Errorf("TrimAfter has token %d, and the vocabulary has %d", v.TrimAfter[i], n)
	}
	if i := slices.IndexFunc(v.Ends, func(id int) bool { return id < 0 || id >= n }); i >= 0 {
		return fmt.Errorf("Ends has token %d, and the vocabulary has %d", v.Ends[i], n)
	}
	if v.HF != nil {
		if err := v.HF.check(v); err != nil {
			return err
		}
	}
	if v.AddBOS && v.BOS < 0 {
		return fmt.Errorf("a BOS token is to be added, and there is none")
	}
	if v.AddEOS && v.EOS < 0 {
		return fmt.Errorf("an EOS token is to be added, and there is none")
	}
	return nil
}

func (v *Vocab) typeOf(id int) TokenType {
	if len(v.Types) == 0 {
		return Normal
	}
	return v.Types[id]
}

// A Span is a stretch of text with what may arise in it.
type Span struct {
	Text    string
	Control bool // every character is the format's own: control tokens and marks may match
	Marks   bool // the model's own earlier words: reply marks may match, see WithMarks
}

// Token is one token of an encoded text.
type Token struct {
	ID         int
	Start, End int  // the bytes of the concatenated spans that it stands for; empty for an added space
	Control    bool // a control token or a mark, matched as such
}

// Encode tokenises the spans as one text. Nothing is added before or after; see Vocab.AddBOS. Bytes
// that the vocabulary cannot write become its unknown token or, as in the reference, are left out;
// only old vocabularies lack some, and of those that occur in UTF-8 mostly control characters.
func (t *Tokenizer) Encode(spans []Span) []Token {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.Text)
	}
	text := b.String()
	out := make([]Token, 0, len(text)/3+1)
	return t.around(out, t.special, text, spans, 0, func(out []Token, from, to int) []Token {
		if t.v.HF != nil {
			return t.normalised(out, text[from:to], cutSpans(spans, from, to), from)
		}
		return t.plain(out, text[from:to], from)
	})
}

// around appends the special tokens of one trie in a text, whose offsets count from base, and gives
// each stretch between them to rest.
func (t *Tokenizer) around(out []Token, tr *trie, text string, spans []Span, base int, rest func(out []Token, from, to int) []Token) []Token {
	at := 0
	for _, m := range t.matches(tr, text, spans) {
		if at < m.start {
			out = rest(out, at, m.start)
		}
		out = append(out, Token{ID: int(m.id), Start: base + m.start, End: base + m.end, Control: t.class[m.id] != free})
		if at = m.end; t.trim[m.id] {
			at += t.blanksAt(text[at:])
		}
	}
	if at == len(text) {
		return out
	}
	return rest(out, at, len(text))
}

// matches finds the tokens of a trie in a text.
func (t *Tokenizer) matches(tr *trie, text string, spans []Span) []match {
	if t.v.HF != nil {
		return tr.leftmost(text, spans, t.class)
	}
	return tr.find(text, spans, t.class)
}

// blanksAt is how many bytes of white space a token that trims takes.
func (t *Tokenizer) blanksAt(text string) int {
	if t.v.HF != nil {
		return len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace))
	}
	return len(text) - len(strings.TrimLeft(text, " \t\n\v\f\r"))
}

// plain tokenises text that stands between special tokens. Offsets in it are kept in 32 bits, so
// it is cut should it ever be longer than that allows.
func (t *Tokenizer) plain(out []Token, text string, base int) []Token {
	const most = 1 << 28
	for first := true; text != ""; first = false {
		n := len(text)
		if n > most {
			for n = most; n > most-utf8.UTFMax && !utf8.RuneStart(text[n]); n-- {
			}
		}
		out = t.model.encode(out, text[:n], base, t.class, first)
		text, base = text[n:], base+n
	}
	return out
}

// EncodeText gives the ids of a text; special says whether control tokens may match in it.
func (t *Tokenizer) EncodeText(text string, special bool) []int {
	tokens := t.Encode([]Span{{Text: text, Control: special}})
	ids := make([]int, len(tokens))
	for i, x := range tokens {
		ids[i] = x.ID
	}
	return ids
}

// Size returns the number of tokens.
func (t *Tokenizer) Size() int { return len(t.v.Tokens) }

// ID returns the token that has exactly this text, as the vocabulary writes it.
func (t *Tokenizer) ID(text string) (int, bool) {
	id, ok := t.ids[text]
	return int(id), ok
}

// Vocab returns the vocabulary, which must not be changed.
func (t *Tokenizer) Vocab() *Vocab { return &t.v }

// BOS returns the token that begins a text, or -1.
func (t *Tokenizer) BOS() int { return t.v.BOS }

// EOS returns the token that ends a text, or -1. There may be further ends: see IsEOG.
func (t *Tokenizer) EOS() int { return t.v.EOS }

// AddBOS reports whether a prompt begins with BOS.
func (t *Tokenizer) AddBOS() bool { return t.v.AddBOS }

// AddEOS reports whether a text to be embedded ends with EOS.
func (t *Tokenizer) AddEOS() bool { return t.v.AddEOS }

// IsControl reports whether the token has a meaning instead of a text: it never arises from what
// a user wrote, and is not shown.
func (t *Tokenizer) IsControl(id int) bool {
	return id >= 0 && id < len(t.class) && t.class[id] == control
}

// IsEOG reports whether the token ends a reply.
func (t *Tokenizer) IsEOG(id int) bool { return t.ends[int32(id)] }

// Ends returns the tokens that end a reply, in ascending order.
func (t *Tokenizer) Ends() []int {
	ids := make([]int, 0, len(t.ends))
	for id := range t.ends {
		ids = append(ids, int(id))
	}
	slices.Sort(ids)
	return ids
}
