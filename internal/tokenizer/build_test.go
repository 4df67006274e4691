package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// tokenOf is a token of a vocabulary made here.
type tokenOf struct {
	text string
	typ  TokenType
}

// byteVocab makes a byte-level vocabulary: the 256 bytes, what the merges build, and more tokens.
func byteVocab(merges []string, more ...tokenOf) Vocab {
	v := Defaults("gpt2", "gpt-2")
	add := func(text string, typ TokenType) {
		if !slices.Contains(v.Tokens, text) {
			v.Tokens = append(v.Tokens, text)
			v.Types = append(v.Types, typ)
		}
	}
	for _, c := range alphabet.char {
		add(string(c), Normal)
	}
	for _, m := range more {
		add(m.text, m.typ)
	}
	for _, m := range merges {
		v.Merges = append(v.Merges, m)
		add(strings.Replace(m, " ", "", 1), Normal)
	}
	return v
}

// spaceVocab makes a SentencePiece-style vocabulary: <unk>, <s>, </s>, the bytes, and more tokens,
// which merge in the order in which they stand here.
func spaceVocab(more ...tokenOf) Vocab {
	v := Defaults("llama", "")
	v.Tokens = []string{"<unk>", "<s>", "</s>"}
	v.Types = []TokenType{Unknown, Control, Control}
	for b := range 256 {
		v.Tokens = append(v.Tokens, fmt.Sprintf("<0x%02X>", b))
		v.Types = append(v.Types, Byte)
	}
	for _, m := range more {
		v.Tokens = append(v.Tokens, m.text)
		v.Types = append(v.Types, m.typ)
	}
	v.Scores = make([]float32, len(v.Tokens))
	for i := range more {
		v.Scores[259+i] = float32(-i)
	}
	return v
}

func normal(texts ...string) []tokenOf {
	list := make([]tokenOf, len(texts))
	for i, s := range texts {
		list[i] = tokenOf{s, Normal}
	}
	return list
}

func build(t testing.TB, v Vocab) *Tokenizer {
	t.Helper()
	tok, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// texts names the tokens, as the vocabulary writes them.
func texts(tok *Tokenizer, tokens []Token) []string {
	var s []string
	for _, x := range tokens {
		s = append(s, tok.v.Tokens[x.ID])
	}
	return s
}
