package engine

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/textmatch"
)

// bans are phrases that must not come. A phrase is found as soon as it is
// complete, whatever the case of its letters.
type bans struct {
	set     *textmatch.Set
	phrases []string // as they were asked for
}

// newBans prepares phrases; it gives nil if there are none.
func newBans(phrases []string) *bans {
	b := &bans{}
	var folded []string
	for _, p := range valid(phrases) {
		folded, b.phrases = append(folded, fold(p)), append(b.phrases, p)
	}
	// A phrase with another in it can never be complete first. Without such
	// ones a match need not wait for a longer one.
	var needed []string
	for _, f := range folded {
		if slices.ContainsFunc(folded, func(g string) bool { return g != f && g != "" && strings.Contains(f, g) }) {
			f = "" // left out; places stay those of phrases
		}
		needed = append(needed, f)
	}
	if b.set = textmatch.New(needed...); b.set.Empty() {
		return nil
	}
	return b
}

// fold gives letters one case, where that does not change how many bytes they
// take: places in the folded text are places in the text.
func fold(s string) string {
	if isLowerASCII(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if low := unicode.ToLower(r); low != r && utf8.RuneLen(low) == n {
			b.WriteRune(low)
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// within lists the tokens of a vocabulary whose own text contains a phrase.
// They need never be tried.
func (b *bans) within(words vocabulary) (ids []int32) {
	sc := b.set.NewScanner()
	for id := range words.Size() {
		text, control := words.Text(id)
		if control || words.Ends(id) {
			continue
		}
		_, m := sc.Feed(fold(text))
		if m != nil {
			ids = append(ids, int32(id))
		}
		for more := true; more; more = m != nil {
			_, m = sc.Flush()
		}
	}
	return ids
}

func isLowerASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}
