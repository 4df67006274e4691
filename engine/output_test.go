package engine

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/internal/textmatch"
	"parley/llm"
)

// whole is the slow twin of output: it looks at the whole text.
func whole(tokens []string, stops, lines []string, within bool, after, open string) (text, stop string) {
	text = strings.ToValidUTF8(strings.Join(tokens, ""), "\ufffd")
	from := 0
	if after != "" && strings.HasPrefix(strings.TrimSpace(text), open) {
		i := strings.Index(text, after)
		if i < 0 {
			return text, ""
		}
		from, within = i+len(after), false
	}
	for at := from; at < len(text); at++ {
		may := stops
		if at == from && !within || at > from && text[at-1] == '\n' {
			may = slices.Concat(stops, lines)
		}
		for _, s := range may {
			if s != "" && strings.HasPrefix(text[at:], s) && len(s) > len(stop) {
				stop = s
			}
		}
		if stop != "" {
			return text[:at], stop
		}
	}
	return text, ""
}

// cutRune takes the beginning of a rune off the end.
func cutRune(tokens []string) []string {
	text := strings.Join(tokens, "")
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if end := text[len(text)-n:]; utf8.RuneStart(end[0]) {
			if !utf8.FullRuneInString(end) {
				text = text[:len(text)-n]
			}
			break
		}
	}
	return []string{text}
}

// play pushes tokens and checks each piece.
func play(t *testing.T, tokens, stops, lines []string, within bool, after, open string) (text, stop string, ids []int) {
	t.Helper()
	o := newOutput((&request{stop: stops, stopLines: lines, withinLine: within, stopAfter: after, stopOpen: open}).stops(), nil)
	add := func(p llm.Piece) {
		if !utf8.ValidString(p.Text) {
			t.Fatalf("tokens %q: piece %q is not UTF-8", tokens, p.Text)
		}
		text += p.Text
		for _, tok := range p.Tokens {
			ids = append(ids, tok.ID)
		}
	}
	for i, s := range tokens {
		p, stop := o.push(llm.Token{ID: i, Text: s})
		add(p)
		if stop != "" {
			return text, stop, ids
		}
	}
	p, stop := o.finish(false)
	add(p)
	return text, stop, ids
}

func TestACutOutputEndsBeforeAnUnfinishedRune(t *testing.T) {
	for said, want := range map[string]string{"a\xf0\x9f\x8d": "a", "\xff\xc3": "\ufffd", "ü\xbc": "ü\ufffd", "ü": "ü", "\xe2": ""} {
		o := newOutput(textmatch.Stops{Anywhere: []string{"\ufffd\ufffd"}}, nil)
		first, _ := o.push(llm.Token{Text: said})
		rest, stop := o.finish(true)
		if got := first.Text + rest.Text; got != want || stop != "" || len(first.Tokens)+len(rest.Tokens) != 1 {
			t.Errorf("%q: %q %q with %d tokens, want %q", said, got, stop, len(first.Tokens)+len(rest.Tokens), want)
		}
	}
}

func TestOutputEndsWhereTheWholeTextDoes(t *testing.T) {
	alphabet := []string{"a", "a", "b", "ü", "\xc3", "\xbc", "\xff", "🍏", "\xf0\x9f", "", " ", "\n"}
	for i := range uint64(30000) {
		r := rand.New(rand.NewPCG(i, 3))
		word := func(n int) (s string) {
			for range n {
				s += alphabet[r.IntN(len(alphabet))]
			}
			return s
		}
		var tokens, stops, lines []string
		for range r.IntN(12) {
			tokens = append(tokens, word(r.IntN(4)))
		}
		for range r.IntN(4) {
			stops = append(stops, strings.ToValidUTF8(word(r.IntN(4)), "a"))
		}
		for range r.IntN(3) * r.IntN(2) {
			lines = append(lines, strings.ToValidUTF8(word(r.IntN(4)), "a"))
		}
		within := r.IntN(2) == 0
		after := ""
		if r.IntN(3) == 0 {
			after = strings.ToValidUTF8(word(2), "")
		}
		open := ""
		if r.IntN(2) == 0 {
			open = strings.TrimSpace(strings.ToValidUTF8(word(r.IntN(3)), ""))
		}
		wantText, wantStop := whole(tokens, stops, lines, within, after, open)
		text, stop, ids := play(t, tokens, stops, lines, within, after, open)
		if text != wantText || stop != wantStop {
			t.Fatalf("tokens %q, stops %q, at lines %q (within one: %v) after %q opened by %q:\n got %q, %q\nwant %q, %q", tokens, stops, lines, within, after, open, text, stop, wantText, wantStop)
		}
		for k, id := range ids {
			if k != id {
				t.Fatalf("tokens %q: ids %v", tokens, ids)
			}
		}
		if stop == "" && len(ids) != len(tokens) {
			t.Fatalf("tokens %q: only %v given away", tokens, ids)
		}
	}
}

func TestOutputHoldsBackOnlyWhatItMust(t *testing.T) {
	o := newOutput(textmatch.Stops{Anywhere: []string{"\nUser:"}}, nil)
	for _, c := range []struct{ token, want string }{
		{"Hi", "Hi"}, {"\n", ""}, {"\n", "\n"}, {"Use", ""}, {" it", "\nUse it"}, {"\xf0\x9f", ""}, {"\x8d\x8f!", "🍏!"},
	} {
		if p, stop := o.push(llm.Token{Text: c.token}); p.Text != c.want || stop != "" {
			t.Errorf("after %q: %q %q, want %q", c.token, p.Text, stop, c.want)
		}
	}
	p, stop := o.push(llm.Token{Text: " x\nUser: y"})
	if p.Text != " x" || stop != "\nUser:" {
		t.Errorf("got %q, %q", p.Text, stop)
	}
}

func TestALineIsHeldBackOnlyWhereItMayBeAStop(t *testing.T) {
	o := newOutput(textmatch.Stops{Lines: []string{"User:"}}, nil)
	for _, c := range []struct{ token, want string }{
		{"Use", ""}, {"d User:", "Used User:"}, {"\n", "\n"}, {"\nUse", "\n"}, {"d\n", "Used\n"}, {"User", ""},
	} {
		if p, stop := o.push(llm.Token{Text: c.token}); p.Text != c.want || stop != "" {
			t.Errorf("after %q: %q %q, want %q", c.token, p.Text, stop, c.want)
		}
	}
	if p, stop := o.push(llm.Token{Text: ": y"}); p.Text != "" || stop != "User:" {
		t.Errorf("got %q, %q", p.Text, stop)
	}
}

func TestTokensStandWhereTheirTextBegins(t *testing.T) {
	o := newOutput(textmatch.Stops{Anywhere: []string{"END"}}, nil)
	o.push(llm.Token{ID: 1, Text: "a"})
	o.push(llm.Token{ID: 2, Text: "E"})
	o.push(llm.Token{ID: 3, Text: "<ctl>", Control: true})
	p, _ := o.push(llm.Token{ID: 4, Text: "x"})
	if p.Text != "Ex" || len(p.Tokens) != 3 || p.Tokens[0].ID != 2 || p.Tokens[1].ID != 3 {
		t.Errorf("got %q %v", p.Text, p.Tokens)
	}
	o.push(llm.Token{ID: 5, Text: "EN"})
	if p, stop := o.push(llm.Token{ID: 6, Text: "D"}); stop != "END" || len(p.Tokens) != 0 || p.Text != "" {
		t.Errorf("tokens of the stop string were given away: %q %v", p.Text, p.Tokens)
	}
}

func TestAStopThatMightGrowIsDecidedAtTheEnd(t *testing.T) {
	if text, stop, _ := play(t, []string{"x", "ab"}, []string{"ab", "abc"}, nil, false, "", ""); text != "x" || stop != "ab" {
		t.Errorf("got %q, %q", text, stop)
	}
}
