package tokenizer

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// gemma4 is what testdata/gemma4.py made.
type gemma4 struct {
	Tokens []string
	Types  []TokenType
	Merges []string
	Texts  []string
	IDs    [][]int
}

func openGemma4(t *testing.T) (g gemma4, tok *Tokenizer) {
	t.Helper()
	b, err := os.ReadFile("testdata/gemma4.json")
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		gemma4
		Types []int // a list of bytes would be base64
	}
	if err := json.Unmarshal(b, &data); err != nil {
		t.Fatal(err)
	}
	g = data.gemma4
	v := Defaults("gemma4", "")
	v.Tokens, v.Merges, v.BOS, v.EOS, v.UNK, v.PAD = g.Tokens, g.Merges, 2, 1, 3, 0
	for _, x := range data.Types {
		v.Types = append(v.Types, TokenType(x))
	}
	if tok, err = New(v); err != nil {
		t.Fatal(err)
	}
	return g, tok
}

func TestGemma4LikeLlamaCpp(t *testing.T) {
	g, tok := openGemma4(t)
	if !tok.AddBOS() || tok.Vocab().AddSpacePrefix {
		t.Error("a prompt has to begin with BOS, and no space is put before it")
	}
	for i, text := range g.Texts {
		if got := tok.EncodeText(text, false); !slices.Equal(got, g.IDs[i]) {
			t.Errorf("%q\n\tgives %v\n\twant  %v", text, got, g.IDs[i])
		}
		back := strings.ReplaceAll(text, "▁", " ") // a character that is written as a space is
		if got := tok.Decode(g.IDs[i], DecodeOptions{Start: true}); string(got) != back {
			t.Errorf("%v\n\tdecodes to %q\n\twant       %q", g.IDs[i], got, back)
		}
	}
}

// Offsets cover the text without a gap.
func TestGemma4Offsets(t *testing.T) {
	g, tok := openGemma4(t)
	for _, text := range g.Texts {
		at := 0
		for _, x := range tok.Encode([]Span{{Text: text}}) {
			if x.Start != at {
				t.Errorf("%q: a token begins at %d, the one before it ended at %d", text, x.Start, at)
			}
			at = x.End
		}
		if at != len(text) {
			t.Errorf("%q: tokens end at %d", text, at)
		}
	}
}
