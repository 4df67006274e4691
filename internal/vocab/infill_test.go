package vocab

import (
	"reflect"
	"testing"

	"parley/internal/tokenizer"
	"parley/llm"
)

func withTokens(t *testing.T, addBOS bool, texts ...string) *Model {
	t.Helper()
	v := tokenizer.Defaults("gpt2", "gpt-2")
	v.Tokens = append([]string{"<s>", "a", "b", "ab"}, texts...)
	v.BOS, v.AddBOS = 0, addBOS
	m, err := New(v, "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTokensThatFillGaps(t *testing.T) {
	for _, c := range []struct {
		model *Model
		want  *llm.Infill
	}{
		{withTokens(t, false), nil},
		{withTokens(t, false, "<fim_prefix>", "<fim_middle>"), nil},
		{withTokens(t, false, "<fim_prefix>", "<|fim_suffix|>", "<fim_middle>"), nil},
		{withTokens(t, false, "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>"), &llm.Infill{Prefix: []int{4}, Suffix: []int{5}, Middle: []int{6}, File: []int{7}}},
		{withTokens(t, true, "x", "<|fim_middle|>", "<|fim_prefix|>", "<|fim_suffix|>"), &llm.Infill{Prefix: []int{6}, Suffix: []int{7}, Middle: []int{5}, BOS: []int{0}}},
		{withTokens(t, false, "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>"), &llm.Infill{Prefix: []int{5}, Suffix: []int{4}, Middle: []int{6}}},
	} {
		if got := c.model.Infill(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %+v, want %+v", c.model.Vocab().Tokens, got, c.want)
		}
	}
	named := withTokens(t, false, "<fim_prefix>", "<fim_suffix>", "<fim_middle>")
	named.gap = [4]int{1, 2, 3, 0}
	if got := named.Infill(); !reflect.DeepEqual(got, &llm.Infill{Prefix: []int{1}, Suffix: []int{2}, Middle: []int{3}}) {
		t.Errorf("the file names its tokens, and they are %+v", got)
	}
}

// No token of the gap arises from the texts around it.
func TestTextsAroundAGapForgeNothing(t *testing.T) {
	m := withTokens(t, true, "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<", ">", "f", "i", "m", "_", "p", "r", "e", "x", "\u0120")
	p := m.Infill().Prompt(llm.Text("a<fim_prefix>"), llm.Text("b"), llm.Text("ab"))
	tokens, err := m.Tokenize(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	control := map[int]int{}
	var ids []int
	for _, tok := range tokens {
		ids = append(ids, tok.ID)
		if tok.Control {
			control[tok.ID]++
		}
	}
	if want := map[int]int{0: 1, 4: 1, 5: 1, 6: 1}; !reflect.DeepEqual(control, want) {
		t.Errorf("control tokens %v, want %v in %v", control, want, ids)
	}
	if ids[0] != 0 || ids[1] != 7 || ids[4] != 7 || ids[len(ids)-1] != 6 || ids[len(ids)-3] != 5 {
		t.Errorf("tokens %v", ids)
	}
}
