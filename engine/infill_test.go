package engine

import (
	"reflect"
	"testing"

	"parley/internal/gguf"
	"parley/llm"
)

func TestTheFileNamesTheTokensOfAGap(t *testing.T) {
	if f := (tiny{}).open(t, Options{}).Describe().Infill; f != nil {
		t.Errorf("a model without such tokens fills gaps with %+v", f)
	}
	var meta []gguf.KV
	for i, name := range []string{"fim_pre", "suffix", "fim_mid", "fim_sep"} {
		meta = append(meta, gguf.KV{Key: "tokenizer.ggml." + name + "_token_id", Value: gguf.ValueOf(uint32(20 + i))})
	}
	e := tiny{meta: meta}.open(t, Options{})
	f := e.Describe().Infill
	if want := (&llm.Infill{Prefix: []int{20}, Suffix: []int{21}, Middle: []int{22}, File: []int{23}, BOS: []int{0}}); !reflect.DeepEqual(f, want) {
		t.Fatalf("%+v, want %+v", f, want)
	}
	tokens, err := e.Tokenize(t.Context(), f.Prompt(llm.Text("the"), llm.Text(""), llm.Text("a")))
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, tok := range tokens {
		text += "|" + tok.Text
	}
	mark := func(id int) string { return "|" + e.words.Piece(id) }
	if want := "|<s>" + mark(23) + "|a" + mark(23) + mark(20) + "|the" + mark(21) + mark(22); text != want {
		t.Errorf("%q, want %q", text, want)
	}
}
