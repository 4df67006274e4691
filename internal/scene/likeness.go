package scene

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/limits"

	"golang.org/x/text/unicode/norm"
)

// colons end a name in a script, or look like what does.
const colons = ":\uff1a\ufe55\u2236"

// PlainName is a name on one line, without what ends a name in a script, what
// nobody sees and what turns text around. Joiners stay: words of some scripts
// and some pictures have them.
func PlainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' {
			return -1
		}
		return r
	}, name)
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool {
		return strings.ContainsRune(colons, r) || unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}

// Likeness is the same for names that look the same: without what nobody sees
// and what stands around the words, in one case and one form of letters.
func Likeness(name string) string {
	name = strings.ToLower(norm.NFKC.String(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, name)))
	if word := strings.TrimFunc(name, func(r rune) bool { return !unicode.In(r, unicode.Letter, unicode.Number, unicode.Mark) }); word != "" {
		return word
	}
	return strings.TrimSpace(name)
}

// A Quoter knows how everyone of a talk is called, by the likeness of the names.
type Quoter map[string]bool

// NewQuoter makes a Quoter of names.
func NewQuoter(names []string) Quoter {
	q := Quoter{}
	for _, name := range names {
		q[Likeness(name)] = true
	}
	return q
}

// Quote puts "> " before lines of a user's text that look like somebody's turn,
// and reports whether there are any. A line ends with whatever may end one.
func (q Quoter) Quote(text string) (string, bool) {
	if !strings.ContainsAny(text, colons) {
		return text, false
	}
	var b strings.Builder
	forged := false
	for text != "" {
		line, rest := text, ""
		if end := strings.IndexAny(text, "\n\r\v\f\u0085\u2028\u2029"); end >= 0 {
			_, width := utf8.DecodeRuneInString(text[end:])
			line, rest = text[:end+width], text[end+width:]
		}
		if end := strings.IndexAny(line, colons); end >= 0 && end <= 4*limits.NameBytes.Int() && q[Likeness(line[:end])] {
			b.WriteString("> ")
			forged = true
		}
		b.WriteString(line)
		text = rest
	}
	return b.String(), forged
}
