package textmatch

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// naive finds strings in a whole text by looking everywhere: the slow twin.
// It gives the text between matches and the matches, as one list.
func naive(strs []string, text string) (out []string) {
	from := 0
	for at := 0; at < len(text); {
		best := ""
		for _, s := range strs {
			if strings.HasPrefix(text[at:], s) && len(s) > len(best) {
				best = s
			}
		}
		if best == "" {
			at++
			continue
		}
		out = append(out, text[from:at], "["+best+"]")
		at += len(best)
		from = at
	}
	return append(out, text[from:])
}

// scan feeds the pieces and checks how much is held back after each.
func scan(t *testing.T, strs []string, pieces []string) (out []string) {
	t.Helper()
	sc := New(strs...).NewScanner()
	text := ""     // between two matches
	consumed := "" // since the last match
	step := func(safe string, m *Match) bool {
		text += safe
		if m == nil {
			return false
		}
		out = append(out, text, "["+m.Text+"]")
		if strs[m.Index] != m.Text {
			t.Fatalf("match %q has index %d, which is %q", m.Text, m.Index, strs[m.Index])
		}
		text, consumed = "", consumed[len(consumed)-sc.Held():]
		return true
	}
	for _, p := range pieces {
		consumed += p
		for feed := p; step(sc.Feed(feed)); feed = "" {
		}
		if want := longestLive(strs, consumed); sc.Held() != want {
			t.Fatalf("strings %q, after %q: %d bytes held, want %d", strs, consumed, sc.Held(), want)
		}
	}
	for step(sc.Flush()) {
	}
	return append(out, text)
}

// longestLive is the length of the longest suffix of the text that is a proper
// prefix of a string.
func longestLive(strs []string, text string) int {
	for n := len(text); n > 0; n-- {
		for _, s := range strs {
			if len(s) > n && strings.HasPrefix(s, text[len(text)-n:]) {
				return n
			}
		}
	}
	return 0
}

func split(r *rand.Rand, text string) (pieces []string) {
	for text != "" {
		n := 1 + r.IntN(min(len(text), 4))
		pieces = append(pieces, text[:n])
		text = text[n:]
	}
	return pieces
}

func TestScannerFindsWhatTheNaiveOneFinds(t *testing.T) {
	for i := range 20000 {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		word := func(n int) string {
			var b strings.Builder
			for range n {
				b.WriteByte("aabc"[r.IntN(4)])
			}
			return b.String()
		}
		var strs []string
		for range 1 + r.IntN(5) {
			strs = append(strs, word(1+r.IntN(6)))
		}
		text := word(r.IntN(30))
		pieces := split(r, text)
		want, got := naive(strs, text), scan(t, strs, pieces)
		if fmt.Sprintf("%q", want) != fmt.Sprintf("%q", got) {
			t.Fatalf("strings %q in %q:\n got %q\nwant %q", strs, pieces, got, want)
		}
	}
}

func TestTheEarliestWinsAndAtItsPlaceTheLongest(t *testing.T) {
	cases := []struct {
		strs []string
		text string
		want string
	}{
		{[]string{"b", "abc"}, "xabcd", `["x" "[abc]" "d"]`},
		{[]string{"b", "abc"}, "xabd", `["xa" "[b]" "d"]`},
		{[]string{"ab", "abcd"}, "abce", `["" "[ab]" "ce"]`},
		{[]string{"ab", "abcd"}, "abcd", `["" "[abcd]" ""]`},
		{[]string{"ab", "abcd"}, "abc", `["" "[ab]" "c"]`},
		{[]string{"bc", "abcde", "cd"}, "abcdx", `["a" "[bc]" "dx"]`},
		{[]string{"</s>", "<"}, "1<2</s>", `["1" "[<]" "2" "[</s>]" ""]`},
		{[]string{"", "a"}, "bab", `["b" "[a]" "b"]`},
		{nil, "anything", `["anything"]`},
		{[]string{"\x00", "\xff\xfe"}, "a\x00b\xff\xff\xfe", `["a" "[\x00]" "b\xff" "[\xff\xfe]" ""]`},
	}
	for _, c := range cases {
		if got := fmt.Sprintf("%q", scan(t, c.strs, strings.Split(c.text, ""))); got != c.want {
			t.Errorf("%q in %q: got %s, want %s", c.strs, c.text, got, c.want)
		}
	}
}

func TestNothingToFindPassesTextAtOnce(t *testing.T) {
	s := New("", "")
	if !s.Empty() || New("a").Empty() {
		t.Error("Empty is wrong")
	}
	if safe, m := s.NewScanner().Feed("text"); safe != "text" || m != nil {
		t.Errorf("got %q, %v", safe, m)
	}
}

// A matcher that goes back on a mismatch would take hours for this.
func TestHostileStringsTakeLinearTime(t *testing.T) {
	var strs []string
	for i := range 512 {
		strs = append(strs, strings.Repeat("a", 4000)+fmt.Sprint("b", i))
	}
	sc := New(strs...).NewScanner()
	text := strings.Repeat("a", 1<<20)
	n := 0
	for i := 0; i < len(text); i += 4 {
		safe, m := sc.Feed(text[i : i+4])
		if m != nil {
			t.Fatal("found what is not there")
		}
		n += len(safe)
	}
	if n != len(text)-4000 {
		t.Errorf("%d bytes passed, want all but 4000", n)
	}
	if _, m := sc.Feed("b37!"); m == nil || m.Index != 37 {
		t.Errorf("got %v, want string 37", m)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add("ab\nabcd\nbcd", "xxabcdabce", uint64(1))
	f.Add("<|im_end|>\n<|im_start|>\n</s>", "a<|im_<|im_end|>b", uint64(2))
	f.Fuzz(func(t *testing.T, list, text string, seed uint64) {
		if len(list) > 200 || len(text) > 200 {
			return
		}
		strs := strings.Split(list, "\n")
		pieces := split(rand.New(rand.NewPCG(seed, 0)), text)
		if got, want := fmt.Sprintf("%q", scan(t, strs, pieces)), fmt.Sprintf("%q", naive(strs, text)); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

func TestACloneGoesOnByItself(t *testing.T) {
	sc := New("abc").NewScanner()
	sc.Feed("xab")
	c := sc.Clone()
	if safe, m := sc.Feed("dd"); safe != "abdd" || m != nil {
		t.Errorf("the first: %q, %v", safe, m)
	}
	if safe, m := c.Feed("c"); safe != "" || m == nil {
		t.Errorf("the clone: %q, %v", safe, m)
	}
}
