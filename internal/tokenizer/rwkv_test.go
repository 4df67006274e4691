package tokenizer

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// rwkvData is what testdata/rwkv.py made.
type rwkvData struct {
	Tokens []string
	Types  []int
	Texts  []string
	IDs    [][]int
}

func openRWKV(t testing.TB) (d rwkvData, tok *Tokenizer) {
	t.Helper()
	b, err := os.ReadFile("testdata/rwkv.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	v := Defaults("rwkv", "")
	v.Tokens, v.BOS, v.EOT = d.Tokens, 0, slices.Index(d.Tokens, `\n\n`)
	for _, x := range d.Types {
		v.Types = append(v.Types, TokenType(x))
	}
	return d, build(t, v)
}

func TestRWKVLikeLlamaCpp(t *testing.T) {
	d, tok := openRWKV(t)
	if tok.AddBOS() || tok.EOS() != 0 {
		t.Errorf("BOS is added %v, EOS is %d", tok.AddBOS(), tok.EOS())
	}
	for i, text := range d.Texts {
		if got := tok.EncodeText(text, false); !slices.Equal(got, d.IDs[i]) {
			t.Errorf("%q\n\tgives %v\n\twant  %v", text, got, d.IDs[i])
		}
		if got := tok.Decode(d.IDs[i], DecodeOptions{Start: true}); string(got) != text {
			t.Errorf("%v\n\tdecodes to %q\n\twant       %q", d.IDs[i], got, text)
		}
		at := 0
		for _, x := range tok.Encode([]Span{{Text: text}}) {
			if x.Start != at || x.End-x.Start != len(tok.Piece(x.ID)) {
				t.Errorf("%q: token %d is from %d to %d, the one before it ended at %d", text, x.ID, x.Start, x.End, at)
			}
			at = x.End
		}
	}
}

// An empty line ends replies of these models, and is text like any other.
func TestWhiteSpaceThatEndsRepliesIsText(t *testing.T) {
	d, tok := openRWKV(t)
	line := slices.Index(d.Tokens, `\n\n`)
	if got := tok.EncodeText("\n\n", false); !slices.Equal(got, []int{line}) || !tok.IsEOG(line) || tok.IsControl(line) || !tok.IsEOG(0) {
		t.Errorf("an empty line gives %v; %d ends replies: %v, is control: %v", got, line, tok.IsEOG(line), tok.IsControl(line))
	}
	// So it is in all vocabularies.
	v := byteVocab([]string{"Ċ Ċ"})
	v.EOS = slices.Index(v.Tokens, "ĊĊ")
	bytes := build(t, v)
	if got := bytes.EncodeText("\n\n", false); !slices.Equal(got, []int{v.EOS}) || !bytes.IsEOG(v.EOS) {
		t.Errorf("with bytes an empty line gives %v, want [%d]", got, v.EOS)
	}
}

// The token that ends texts has the name that the published tokenizer gives it too, where a format writes it.
func TestTheEndOfTextHasTwoNames(t *testing.T) {
	_, tok := openRWKV(t)
	for _, name := range []string{"<s>", rwkvEnd} {
		if got := tok.Encode([]Span{{Text: name, Control: true}, {Text: "User"}}); len(got) < 2 || got[0].ID != 0 || !got[0].Control || got[0].End != len(name) {
			t.Errorf("%q of a format gives %v", name, got)
		}
		got := tok.Encode([]Span{{Text: name}})
		if slices.ContainsFunc(got, func(x Token) bool { return x.ID == 0 }) {
			t.Errorf("%q of a text gives the control token", name)
		}
		var text strings.Builder
		for _, x := range got {
			text.WriteString(tok.Piece(x.ID))
		}
		if text.String() != name {
			t.Errorf("%q of a text becomes %q", name, text.String())
		}
	}
	// A part of the name by someone else is none.
	for _, x := range tok.Encode([]Span{{Text: rwkvEnd[:9], Control: true}, {Text: rwkvEnd[9:]}}) {
		if x.ID == 0 {
			t.Error("half a name gives the control token")
		}
	}
}

func TestVocabulariesOfRWKVAreReadAsTheyAreWritten(t *testing.T) {
	v := Defaults("rwkv", "")
	v.Tokens = []string{"<s>", `\x41`, "AB", `A\'B\\`, `\xe6\x97`, `[X5]`, `\xe6`, "é", `A`}
	v.Types = []TokenType{Control, Normal, Normal, Normal, Normal, Unused, Normal, Normal, Normal}
	tok := build(t, v)
	for text, want := range map[string][]int{
		"A":        {8}, // of two that are alike the later one
		"ABA'B\\":  {2, 3},
		"\xe6\x97": {4},
		"A\xe6A":   {8, 6, 8},
		"é?é":      {7, 7}, // what cannot be written is left out
		"[X5]":     {},     // what only fills up is no text
	} {
		if got := tok.EncodeText(text, false); !slices.Equal(got, want) {
			t.Errorf("%q gives %v, want %v", text, got, want)
		}
	}
	v.UNK = 7
	if got := build(t, v).EncodeText("A?A", false); !slices.Equal(got, []int{8, 7, 8}) {
		t.Errorf("with an unknown token: %v", got)
	}
	for bad, want := range map[string]string{
		`a\`:                     `token 1, "a\\", ends within an escape`,
		`a\x4`:                   `token 1, "a\\x4", has an escape \x without two`,
		`\xzz`:                   `without two hexadecimal digits`,
		strings.Repeat("a", 257): "token 1 has 257 bytes",
	} {
		v := Defaults("rwkv", "")
		v.Tokens = []string{"<s>", bad}
		if _, err := New(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", bad, err, want)
		}
	}
}
