package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// attack says how the pieces of a mark are given to Encode.
type origin struct{ control, marks bool }

var origins = []origin{{false, false}, {false, true}, {true, false}}

// marksOf gives the tokens that arise only by provenance; of the many "[PAD1234]" of some
// vocabularies only a few.
func marksOf(tok *Tokenizer) (ids []int32) {
	pads := 0
	for id, c := range tok.class {
		if c != control && c != reply {
			continue
		}
		if strings.HasPrefix(tok.v.Tokens[id], "[PAD") {
			if pads++; pads > 3 {
				continue
			}
		}
		ids = append(ids, int32(id))
	}
	return ids
}

// TestMarksAreNotForged splits each control token and mark in two in every way, and gives the parts
// every origin: it arises only where all of it may, and no other control token does.
func TestMarksAreNotForged(t *testing.T) {
	toks := map[string]*Tokenizer{
		"bytes":  build(t, hostileBytes()).WithMarks([]string{"<|a|>", "[X]"}, []string{"<think>"}),
		"spaces": build(t, hostileSpaces()).WithMarks(nil, []string{"<think>"}),
	}
	_, toks["rwkv"] = openRWKV(t)
	for _, name := range vocabularies {
		t.Run(name, func(t *testing.T) { checkMarks(t, open(t, name)) })
	}
	for name, tok := range toks {
		t.Run(name, func(t *testing.T) { checkMarks(t, tok) })
	}
}

func checkMarks(t *testing.T, tok *Tokenizer) {
	for _, id := range marksOf(tok) {
		text := tok.v.Tokens[id]
		for cut := range len(text) {
			for _, a := range origins {
				for _, b := range origins {
					spans := []Span{{"x ", false, false}, {text[:cut], a.control, a.marks}, {"", false, false}, {text[cut:], b.control, b.marks}, {" y", false, false}}
					if cut == 0 {
						a = b
					}
					c := tok.class[id]
					ok := func(o origin) bool { return o.control || c == reply && o.marks }
					checkOne(t, tok, spans, id, ok(a) && ok(b))
				}
			}
		}
	}
}

func checkOne(t *testing.T, tok *Tokenizer, spans []Span, id int32, may bool) {
	t.Helper()
	got := tok.Encode(spans)
	found := false
	for _, x := range got {
		if int32(x.ID) == id {
			found = true
		}
		if c := tok.class[x.ID]; (c == control || c == reply) != x.Control {
			t.Errorf("%+v: token %q has Control %v", spans, tok.v.Tokens[x.ID], x.Control)
		}
		if x.Control && !may {
			t.Errorf("%+v forges %q", spans, tok.v.Tokens[x.ID])
		}
	}
	if found != may {
		t.Errorf("%+v: has %q: %v, want %v: %q", spans, tok.v.Tokens[id], found, may, texts(tok, got))
	}
}

// hostileBytes is a vocabulary whose merges, and whose words, build control tokens.
func hostileBytes() Vocab {
	v := byteVocab([]string{
		"< |", "| >", "<| a", "<|a |>", "t h", "th i", "thi n", "thin k", "< think", "<think >", "i m", "im _", "im_ e", "im_e n", "im_en d", "<| im_end", "<|im_end |>",
		"[ X", "[X ]", "S T", "ST O", "STO P",
	}, tokenOf{"<|im_end|>", Normal}, tokenOf{"<|a|>", UserDefined}, tokenOf{"<think>", UserDefined}, tokenOf{"STOP", Control}, tokenOf{"  ", UserDefined})
	v.Pre, v.IgnoreMerges = "bloom", true // which keeps signs and letters in one word
	return v
}

func hostileSpaces() Vocab {
	return spaceVocab(append(normal("▁", "<", "/", "s", ">", "|", "a", "x", "0", "A", "</", "</s", "<s", "<|", "|>", "<|a", "<|a|>", "t", "th", "<th", "think", "<0", "<0x", "<0x0", "<0x0A"),
		tokenOf{"<think>", UserDefined}, tokenOf{"<|b|>", Control})...)
}

// TestForgedMarksAreText: what is not matched as a mark comes back as it was.
func TestForgedMarksAreText(t *testing.T) {
	for name, tok := range map[string]*Tokenizer{
		"bytes":  build(t, hostileBytes()).WithMarks([]string{"[X]"}, []string{"<think>"}),
		"spaces": build(t, hostileSpaces()),
	} {
		for _, text := range []string{"<|im_end|>", "a<think>b", "STOP", "<|a|>", "[X]", "</s>", "<s>", "<unk>", "<0x0A>", "<|b|>"} {
			ids := tok.EncodeText(text, false)
			got := string(tok.Decode(ids, DecodeOptions{Start: true}))
			if name == "spaces" {
				got = strings.ReplaceAll(got, "<think> ", "<think>") // the space that follows a special token there
			}
			if got != text {
				t.Errorf("%s: %q comes back as %q", name, text, got)
			}
			for _, id := range ids {
				if tok.IsControl(id) {
					t.Errorf("%s: %q forges %q", name, text, tok.v.Tokens[id])
				}
			}
		}
	}
}

// TestDivisionChangesNothing: text is tokenised as one string however it is divided, where it
// contains no marks; spaces and other user-defined tokens match across spans.
func TestDivisionChangesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, name := range vocabularies {
		t.Run(name, func(t *testing.T) {
			tok := open(t, name)
			list, _ := vectors(t, name)
			for range 200 {
				text := list[rng.IntN(len(list))] + strings.Repeat(" ", rng.IntN(9)) + list[rng.IntN(len(list))]
				want := tok.EncodeText(text, false)
				var spans []Span
				for rest := text; rest != ""; {
					n := 1 + rng.IntN(len(rest))
					o := origins[rng.IntN(len(origins))]
					spans = append(spans, Span{rest[:n], o.control, o.marks})
					rest = rest[n:]
				}
				at := 0
				var got []int
				for _, x := range tok.Encode(spans) {
					got = append(got, x.ID)
					if x.Start != at || x.End < x.Start {
						t.Fatalf("%q: token %q covers %d to %d, and the one before ends at %d", text, tok.v.Tokens[x.ID], x.Start, x.End, at)
					}
					at = x.End
				}
				if !slices.Equal(got, want) || at != len(text) {
					t.Fatalf("%q divided as %+v gives %v to byte %d, whole %v", text, spans, got, at, want)
				}
			}
		})
	}
}

func TestWithMarks(t *testing.T) {
	v := byteVocab([]string{"u s", "us e", "use r", "[ X", "[X ]"},
		tokenOf{"<|end|>", Control}, tokenOf{"<think>", UserDefined}, tokenOf{"[TOOL_CALLS]", Control}, tokenOf{"##", UserDefined})
	v.Pre = "bloom" // which keeps signs and letters in one word
	tok := build(t, v)
	marked := tok.WithMarks([]string{"user", "[X]", "##", "not there"}, []string{"<think>", "<|end|>", "[TOOL_CALLS]"})
	one := func(tok *Tokenizer, text string, o origin) bool {
		got := tok.Encode([]Span{{text, o.control, o.marks}})
		return len(got) == 1 && tok.v.Tokens[got[0].ID] == text
	}
	user, model, format := origins[0], origins[1], origins[2]
	for _, c := range []struct {
		tok  *Tokenizer
		text string
		from origin
		want bool
	}{
		{tok, "<think>", user, true}, // as the reference has it
		{marked, "<think>", user, false},
		{marked, "<think>", model, true},
		{marked, "<think>", format, true},
		{tok, "[TOOL_CALLS]", model, false},
		{marked, "[TOOL_CALLS]", model, true}, // what a reply may contain, its history may
		{marked, "[TOOL_CALLS]", user, false},
		{marked, "<|end|>", model, false}, // but no end of a reply
		{marked, "<|end|>", format, true},
		{tok, "##", user, true},
		{marked, "##", user, false},
		{marked, "##", model, false},
		{marked, "##", format, true},
		{marked, "user", user, true}, // a plain word stays one
		{tok, "[X]", user, true},
		{marked, "[X]", user, false},
		{marked, "[X]", format, true},
	} {
		if got := one(c.tok, c.text, c.from); got != c.want {
			t.Errorf("%q from %+v, marks %v: matched %v, want %v", c.text, c.from, c.tok == marked, got, c.want)
		}
	}
}

// TestMistypedFiles: what looks like a control token is one.
func TestMistypedFiles(t *testing.T) {
	v := byteVocab([]string{"a b", "ab c"},
		tokenOf{"<|im_start|>", Normal}, tokenOf{"<|im_end|>", Normal}, tokenOf{"<end_of_turn>", UserDefined},
		tokenOf{"<|User|>", UserDefined}, tokenOf{"<｜User｜>", UserDefined}, tokenOf{"</s>", UserDefined}, tokenOf{"[INST]", Normal},
		tokenOf{"<tool>", UserDefined}, tokenOf{"<| a |>", UserDefined}, tokenOf{"!", Control}, tokenOf{"<eol>", Normal})
	tok := build(t, v)
	tok.v.EOT = -1
	for _, s := range []string{"<|im_start|>", "<|im_end|>", "<end_of_turn>", "<|User|>", "<｜User｜>", "</s>", "[INST]"} {
		if id, ok := tok.ID(s); !ok || !tok.IsControl(id) {
			t.Errorf("%s is no control token", s)
		}
	}
	for _, s := range []string{"<tool>", "<| a |>", "abc", "!", "a"} {
		if id, ok := tok.ID(s); !ok || tok.IsControl(id) {
			t.Errorf("%s is a control token", s)
		}
	}
	v.EOS, _ = tok.ID("<eol>")
	if tok := build(t, v); !tok.IsControl(v.EOS) || !tok.IsEOG(v.EOS) {
		t.Error("the end of text is no control token")
	}
	v.EOS, _ = tok.ID(",")
	if tok := build(t, v); tok.IsControl(v.EOS) || !tok.IsEOG(v.EOS) {
		t.Error("a comma that a file calls the end of text must stay writable")
	}
}
