package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestMergesGoByRankThenFromTheLeft(t *testing.T) {
	bytes := build(t, byteVocab([]string{"b c", "a b", "a a", "aa a", "Ġ a"}))
	for text, want := range map[string]string{
		"abc": "a bc", "aaaaa": "aa aaa", "aaa": "aaa", "ab ab": "ab Ġ ab", "a a": "a Ġa", "xyz": "x y z",
	} {
		if got := strings.Join(texts(bytes, bytes.Encode([]Span{{Text: text}})), " "); got != want {
			t.Errorf("bytes: %q gives %s, want %s", text, got, want)
		}
	}
	spaces := build(t, spaceVocab(normal("bc", "ab", "▁a", "▁", "a", "b", "c", "▁▁")...))
	for text, want := range map[string]string{
		"abc": "▁a bc", "ab": "▁ ab", "b": "▁ b", " a": "▁ ▁a", "   ": "▁▁ ▁▁", "é": "▁ <0xC3> <0xA9>", "": "", "▁a": "▁ ▁a",
	} {
		if got := strings.Join(texts(spaces, spaces.Encode([]Span{{Text: text}})), " "); got != want {
			t.Errorf("spaces: %q gives %s, want %s", text, got, want)
		}
	}
}

func TestSpaceIsAddedAfterSpecialTokens(t *testing.T) {
	v := spaceVocab(normal("▁", "a")...)
	tok := build(t, v)
	got := texts(tok, tok.Encode([]Span{{"a<s>a", true, false}}))
	if want := []string{"▁", "a", "<s>", "▁", "a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	v.AddSpacePrefix = false
	tok = build(t, v)
	got = texts(tok, tok.Encode([]Span{{"a<s>a", true, false}}))
	if want := []string{"a", "<s>", "a"}; !slices.Equal(got, want) {
		t.Errorf("without prefix got %q, want %q", got, want)
	}
	v.TrimAfter = []int{1}
	tok = build(t, v)
	got = texts(tok, tok.Encode([]Span{{"a<s> \n a ", true, false}}))
	if want := []string{"a", "<s>", "a", "▁"}; !slices.Equal(got, want) {
		t.Errorf("trimmed got %q, want %q", got, want)
	}
}

func TestOffsets(t *testing.T) {
	tok := build(t, spaceVocab(normal("▁", "▁a", "a", "b")...))
	text := "a é▁b"
	var parts []string
	at := 0
	for _, x := range tok.Encode([]Span{{Text: text}}) {
		if x.Start != at {
			t.Errorf("a token begins at %d, and the one before ended at %d", x.Start, at)
		}
		at = x.End
		parts = append(parts, text[x.Start:x.End])
	}
	if want := []string{"a", " ", "\xc3", "\xa9", "▁", "b"}; !slices.Equal(parts, want) {
		t.Errorf("tokens stand for %q, want %q", parts, want)
	}
}

// TestLongestSpecialFirst: the longer token wins, wherever it stands; of equal ones the earlier.
func TestLongestSpecialFirst(t *testing.T) {
	tok := build(t, byteVocab(nil, tokenOf{"ab", UserDefined}, tokenOf{"bcd", UserDefined}, tokenOf{"ca", UserDefined}, tokenOf{"  ", UserDefined}, tokenOf{"    ", UserDefined}, tokenOf{"abcdefgh", UserDefined}))
	for text, want := range map[string]string{
		"abcd": "a|bcd", "abca": "ab|ca", "bcab": "b|ca|b", "       ": "    |  |Ġ", "abcdefg": "a|bcd|e|f|g", "abcdefgh": "abcdefgh",
	} {
		if got := strings.Join(texts(tok, tok.Encode([]Span{{Text: text}})), "|"); got != want {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}

// TestSpecialsAgainstTheSlowWay compares with taking one token after the other, longest first.
func TestSpecialsAgainstTheSlowWay(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var more []tokenOf
		for range 1 + rng.IntN(8) {
			n := 2 + rng.IntN(4)
			s := ""
			for range n {
				s += string("ab<"[rng.IntN(3)])
			}
			more = append(more, tokenOf{s, []TokenType{UserDefined, Control}[rng.IntN(2)]})
		}
		tok := build(t, byteVocab(nil, more...))
		var spans []Span
		for range 1 + rng.IntN(5) {
			s := ""
			for range rng.IntN(12) {
				s += string("ab<"[rng.IntN(3)])
			}
			spans = append(spans, Span{Text: s, Control: rng.IntN(2) == 0})
		}
		var got []match
		var b strings.Builder
		for _, s := range spans {
			b.WriteString(s.Text)
		}
		got = append(got, tok.special.find(b.String(), spans, tok.class)...)
		if want := slowFind(tok, b.String(), spans); !slices.Equal(got, want) {
			t.Fatalf("%+v of %v: got %v, want %v", spans, more, got, want)
		}
	}
}

func slowFind(tok *Tokenizer, text string, spans []Span) (found []match) {
	may := make([]bool, 0, len(text))
	for _, s := range spans {
		for range s.Text {
			may = append(may, s.Control)
		}
	}
	taken := make([]bool, len(text))
	for n := len(text); n > 1; n-- {
		for i := 0; i+n <= len(text); i++ {
			id, ok := tok.ids[text[i:i+n]]
			if !ok || slices.Contains(taken[i:i+n], true) || tok.class[id] == control && slices.Contains(may[i:i+n], false) {
				continue
			}
			for j := range n {
				taken[i+j] = true
			}
			found = append(found, match{i, i + n, id})
		}
	}
	slices.SortFunc(found, func(a, b match) int { return a.start - b.start })
	return found
}

func TestDecoder(t *testing.T) {
	tok := build(t, byteVocab([]string{"ð Ł"}, tokenOf{"<|end|>", Control}))
	push := func(tok *Tokenizer, o DecodeOptions, ids ...int) []string {
		d := tok.Decoder(o)
		var parts []string
		for _, id := range ids {
			parts = append(parts, d.Push(id))
		}
		return append(parts, d.Flush())
	}
	ids := tok.EncodeText("a😀", false)
	if got, want := push(tok, DecodeOptions{}, ids...), []string{"a", "", "", "😀", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := push(tok, DecodeOptions{}, ids[:3]...), []string{"a", "", "", "\uFFFD\uFFFD\uFFFD"}; !slices.Equal(got, want) {
		t.Errorf("cut short: got %q, want %q", got, want)
	}
	if got, want := push(tok, DecodeOptions{}, 0xff, 0x80, 'a', 0xc3, 'b'), []string{"\uFFFD", "\uFFFD", "a", "", "\uFFFDb", ""}; !slices.Equal(got, want) {
		t.Errorf("no UTF-8: got %q, want %q", got, want)
	}
	end, _ := tok.ID("<|end|>")
	if got := push(tok, DecodeOptions{}, 'a', end, 'b', -1, 1<<30); !slices.Equal(got, []string{"a", "", "b", "", "", ""}) {
		t.Errorf("control tokens show: %q", got)
	}
	if got := push(tok, DecodeOptions{Control: true}, 'a', end); !slices.Equal(got, []string{"a", "<|end|>", ""}) {
		t.Errorf("control tokens do not show: %q", got)
	}
	spaces := build(t, spaceVocab(normal("▁a", "▁", "a")...))
	ids = append([]int{1}, spaces.EncodeText(" a a", false)...)
	if got := push(spaces, DecodeOptions{Start: true}, ids...); strings.Join(got, "") != " a a" {
		t.Errorf("at the start: %q", got)
	}
	if got := push(spaces, DecodeOptions{}, ids...); strings.Join(got, "") != "  a a" {
		t.Errorf("in the middle: %q", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Vocab)
		want   string
	}{
		"model":         {func(v *Vocab) { v.Model = "bert" }, `the vocabulary is of kind "bert", which is not supported; supported: llama`},
		"pre-tokenizer": {func(v *Vocab) { v.Pre = "new-one" }, `the pre-tokenizer "new-one" is not supported; supported are a.x-4.0, `},
		"empty":         {func(v *Vocab) { v.Tokens, v.Types = nil, nil }, "empty"},
		"types":         {func(v *Vocab) { v.Types = v.Types[1:] }, "token types"},
		"duplicate":     {func(v *Vocab) { v.Tokens[1] = v.Tokens[0] }, "tokens 0 and 1 are both"},
		"merge":         {func(v *Vocab) { v.Merges = []string{"ab"} }, `merge 0, "ab", is not a pair`},
		"BOS":           {func(v *Vocab) { v.BOS = 1 << 20 }, "BOS is token 1048576, and the vocabulary has 256"},
		"negative EOS":  {func(v *Vocab) { v.EOS = -2 }, "EOS is token -2"},
		"add BOS":       {func(v *Vocab) { v.AddBOS = true }, "BOS token is to be added"},
		"add EOS":       {func(v *Vocab) { v.AddEOS = true }, "EOS token is to be added"},
		"trim":          {func(v *Vocab) { v.TrimAfter = []int{-1} }, "TrimAfter"},
	} {
		v := byteVocab(nil)
		c.change(&v)
		if _, err := New(v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	v := spaceVocab()
	v.Scores = v.Scores[1:]
	if _, err := New(v); err == nil || !strings.Contains(err.Error(), "258 scores for 259 tokens") {
		t.Errorf("scores: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	if v := Defaults("llama", ""); v.BOS != 1 || v.EOS != 2 || v.UNK != 0 || !v.AddBOS || !v.AddSpacePrefix {
		t.Errorf("llama: %+v", v)
	}
	if v := Defaults("gpt2", "llama-bpe"); v.BOS != -1 || !v.AddBOS || !v.IgnoreMerges || v.AddSpacePrefix {
		t.Errorf("llama-bpe: %+v", v)
	}
	if v := Defaults("gpt2", "qwen2"); v.AddBOS || v.IgnoreMerges {
		t.Errorf("qwen2: %+v", v)
	}
}

func TestHostileText(t *testing.T) {
	doubling := []string{"a a", "aa aa", "aaaa aaaa", "aaaaaaaa aaaaaaaa", "Ġ Ġ", "ĠĠ ĠĠ", "! !", "1 1", "a b", "ab ab", "Ġ a"}
	bytes := build(t, byteVocab(doubling, tokenOf{"  ", UserDefined}, tokenOf{"        ", UserDefined}, tokenOf{"<|im_end|>", Control}))
	more := normal("▁", "a", "b", "ab", "▁a", "1", "!", "<", "|")
	for n := 2; n < 100; n++ {
		more = append(more, tokenOf{strings.Repeat("a", n), Normal}, tokenOf{strings.Repeat(" ", n), UserDefined})
	}
	spaces := build(t, spaceVocab(more...))
	check := func(tok *Tokenizer, text string) {
		got := tok.Encode([]Span{{text[:len(text)/3], true, false}, {text[len(text)/3:], false, false}})
		if len(got) == 0 || got[len(got)-1].End != len(text) {
			t.Errorf("the tokens of %q… do not reach its end", text[:20])
		}
	}
	for what, text := range hostile(1 << 15) {
		inTime(t, what, 4*time.Second, func() { check(bytes, text); check(spaces, text) })
	}
	big := hostile(1 << 20)
	for _, what := range []string{"a", " ", "<|im_end|"} {
		inTime(t, "a megabyte of "+what, 30*time.Second, func() { check(bytes, big[what]) })
	}
	text := strings.Repeat(" <|im_end|> ab", 1<<14)
	var spans []Span
	for i := range len(text) {
		spans = append(spans, Span{text[i : i+1], i%40 > 20, false})
	}
	inTime(t, "many small spans", 10*time.Second, func() {
		if got := bytes.Encode(spans); len(got) == 0 || got[len(got)-1].End != len(text) {
			t.Error("the tokens of many spans do not reach the end")
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	bytes := map[string]*Tokenizer{}
	for _, p := range []string{"gpt-2", "llama-bpe", "gpt-4o", "deepseek-v3", "deepseek-llm", "falcon", "viking"} {
		v := byteVocab([]string{"Ġ a", "a b", "Ã ©", "< |"}, tokenOf{"<|end|>", Control}, tokenOf{"<think>", UserDefined}, tokenOf{"  ", UserDefined})
		v.Pre = p
		bytes[p] = build(f, v).WithMarks(nil, []string{"<think>"})
	}
	_, bytes["rwkv"] = openRWKV(f)
	spaces := build(f, spaceVocab(append(normal("▁", "a", "b", "▁a", "<", "|", "é"), tokenOf{"<think>", Control})...))
	for _, s := range []string{"", "a b", "  é\n", "<|end|>", "<think> 'll 123\xff", "日本 ▁"} {
		f.Add(s, 2, true)
	}
	f.Fuzz(func(t *testing.T, text string, cut int, first bool) {
		cut = min(max(cut, 0), len(text))
		spans := []Span{{text[:cut], first, false}, {text[cut:], false, first}}
		for name, tok := range bytes {
			var ids []int
			at := 0
			for _, x := range tok.Encode(spans) {
				if x.Start != at || x.End <= at {
					t.Fatalf("%s: a token of %q covers %d to %d after %d", name, text, x.Start, x.End, at)
				}
				if x.Control && x.End > cut && !(first && tok.v.Tokens[x.ID] == "<think>") {
					t.Fatalf("%s: %q forges a control token", name, text)
				}
				at = x.End
				ids = append(ids, x.ID)
			}
			if got := string(tok.Decode(ids, DecodeOptions{Control: true})); got != text {
				t.Fatalf("%s: %q comes back as %q", name, text, got)
			}
			d := tok.Decoder(DecodeOptions{Control: true})
			var b strings.Builder
			for _, id := range ids {
				s := d.Push(id)
				if !utf8.ValidString(s) {
					t.Fatalf("%s: pushed %q", name, s)
				}
				b.WriteString(s)
			}
			if b.WriteString(d.Flush()); b.String() != string([]rune(text)) {
				t.Fatalf("%s: %q is streamed as %q", name, text, b.String())
			}
		}
		ids := spaces.EncodeText(text, false)
		if got, want := string(spaces.Decode(ids, DecodeOptions{Start: true})), strings.ReplaceAll(text, spaceMark, " "); got != want {
			t.Fatalf("spaces: %q comes back as %q", text, got)
		}
	})
}
