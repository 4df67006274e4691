package tokenizer

import (
	"fmt"
	"slices"
	"sort"

	"golang.org/x/text/unicode/norm"
)

// HF is how Hugging Face's tokenizers apply a vocabulary, where that differs from llama.cpp: special
// tokens are found from left to right, the longest first, "llama" merges by a list of pairs, and so on.
// What is a letter or a number is as the Unicode version of Go's tables has it.
type HF struct {
	Words []string // "gpt2" only: expressions that cut text into words, each applied to the words of the one before; instead of Vocab.Pre
	NFC   bool     // "gpt2" only: text is composed first. Of characters that came with Unicode 13 or later more are composed than by the reference
	Late  []int    // special tokens that are matched after the others, in composed text

	// "llama" with AddSpacePrefix only.
	PrefixOnce        bool // a space is put before the prompt only, not after special tokens
	PrefixUnlessSpace bool // none is put before text that begins with a space
}

func (h *HF) check(v *Vocab) error {
	if i := slices.IndexFunc(h.Late, func(id int) bool { return id < 0 || id >= len(v.Tokens) }); i >= 0 {
		return fmt.Errorf("the late token %d is outside the vocabulary of %d", h.Late[i], len(v.Tokens))
	}
	if h.NFC && v.Model != "gpt2" {
		return fmt.Errorf("text for a vocabulary of kind %q cannot be composed (NFC)", v.Model)
	}
	return nil
}

// KnowsWords reports whether text can be cut by an expression, which is written with \r and \n for
// these characters.
func KnowsWords(expression string) bool {
	_, ok := expressions[expression]
	return ok
}

// splitterOf is how a vocabulary cuts text into words.
func splitterOf(v *Vocab) (splitter, error) {
	if v.HF == nil {
		p, err := preOf(v.Pre)
		return p.words, err
	}
	var list []splitter
	for _, x := range v.HF.Words {
		s, ok := expressions[x]
		if !ok {
			return nil, fmt.Errorf("text cannot be cut into words by the expression %q", x)
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("nothing says how text is cut into words")
	}
	return passes(list...), nil
}

// expressions are those that tokenizer.json files cut text by. They are the ones of pres, apart.
var expressions = func() map[string]splitter {
	const (
		english  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
		blanks   = `|\s*[\r\n]+|\s+(?!\S)|\s+`
		letters  = `[^\r\n\p{L}\p{N}]?\p{L}+`
		letters2 = `[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+`
		others   = `| ?[^\s\p{L}\p{N}]+`
		others2  = `| ?[^\s\p{L}\p{M}\p{N}]+`
		upper    = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
		lower    = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
	)
	cased := func(english string) string {
		const lead = `[^\r\n\p{L}\p{N}]?`
		return lead + upper + `*` + lower + `+` + english + `|` + lead + upper + `+` + lower + `*` + english
	}
	lineOf := func(letters kind, digits int) splitter {
		return lineWords{letters: letters, digits: digits, tail: "\r\n", longS: true}.splitter()
	}
	m := map[string]splitter{
		`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`: gpt2,

		english + `|` + letters + `|\p{N}{1,3}` + others + `[\r\n]*` + blanks: lineOf(letter, 3),
		english + `|` + letters + `|\p{N}` + others + `[\r\n]*` + blanks:      lineOf(letter, 1),
		english + `|` + letters2 + `|\p{N}` + others2 + `[\r\n]*` + blanks:    lineOf(letter|mark, 1),

		cased(english+`?`) + `|\p{N}{1,3}` + others + `[\r\n/]*` + blanks: lineWords{letters: letter, digits: 3, tail: "\r\n/", foldLetters: true, longS: true}.splitter(),
		cased("") + `|\p{N}` + others + `[\r\n/]*` + blanks:               lineWords{letters: letter, digits: 1, tail: "\r\n/", foldLetters: true, noEnglish: true}.splitter(),

		`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + "`" + `{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*` + blanks: deepseek3,

		`[一-龥぀-ゟ゠-ヿ]+`:    within(hanAndKana...),
		`[一-龥ࠀ-一가-퟿]+`:    within(hanAndHangul...),
		`[\r\n]`:          line,
		`\s?\p{L}+`:       spaceThen(func(c *chars, i int) bool { return c.k[i]&letter != 0 }),
		`\s?\p{P}+`:       spaceThen(func(c *chars, i int) bool { return c.k[i]&punct != 0 }),
		`\p{N}`:           digitGroups(1),
		`\p{N}+`:          digitGroups(0),
		`\p{N}{1,3}`:      digitGroups(3),
		`[0-9][0-9][0-9]`: threeDigits,
		Punctuation:       punctuation("$+<=>^~|`"),

		` ?[^(\s|[.,!?…。，、।۔،])]+`: clauses,
	}
	return m
}()

// Punctuation is the expression that stands for runs of what is punctuation to Unicode or in ASCII.
const Punctuation = "[\\p{P}$+<=>^`|~]+"

// normalised tokenises text that stands between the special tokens matched first: it is composed if
// need be, and the other special tokens are matched in it.
func (t *Tokenizer) normalised(out []Token, text string, spans []Span, base int) []Token {
	var moved *moves
	if t.v.HF.NFC && !norm.NFC.IsNormalString(text) {
		text, spans, moved = compose(text, spans)
	}
	from := len(out)
	out = t.around(out, t.late, text, spans, base, func(out []Token, from, to int) []Token {
		return t.plain(out, text[from:to], base+from)
	})
	if moved != nil {
		for i := range out[from:] {
			x := &out[from+i]
			x.Start, x.End = base+moved.back(x.Start-base), base+moved.back(x.End-base)
		}
	}
	return out
}

// moves tells where text came from: the n-th stretch of composed text begins at to[n] and was made
// of what begins at from[n]; the last of both are the ends.
type moves struct{ from, to []int }

// back gives the place in the text as it was. One within a stretch is its beginning.
func (m *moves) back(at int) int {
	i := sort.SearchInts(m.to, at+1) - 1
	return m.from[i]
}

// compose brings text into Unicode's normal form C. What was made of several spans may become only
// what may arise in all of them.
func compose(text string, spans []Span) (string, []Span, *moves) {
	var out []byte
	var it norm.Iter
	m := &moves{}
	it.InitString(norm.NFC, text)
	for !it.Done() {
		m.from, m.to = append(m.from, it.Pos()), append(m.to, len(out))
		out = append(out, it.Next()...)
	}
	m.from, m.to = append(m.from, len(text)), append(m.to, len(out))

	normal := string(out)
	var moved []Span
	for i := range len(m.from) - 1 {
		s := Span{Text: normal[m.to[i]:m.to[i+1]], Control: true, Marks: true}
		for _, x := range cutSpans(spans, m.from[i], m.from[i+1]) {
			s.Control = s.Control && x.Control
			s.Marks = s.Marks && (x.Marks || x.Control)
		}
		if n := len(moved); n > 0 && moved[n-1].Control == s.Control && moved[n-1].Marks == s.Marks {
			moved[n-1].Text = normal[m.to[i]-len(moved[n-1].Text) : m.to[i+1]]
			continue
		}
		moved = append(moved, s)
	}
	return normal, moved, m
}

// cutSpans gives the spans of a stretch of their text.
func cutSpans(spans []Span, from, to int) (cut []Span) {
	at := 0
	for _, s := range spans {
		lo, hi := max(from-at, 0), min(to-at, len(s.Text))
		if lo < hi {
			cut = append(cut, Span{Text: s.Text[lo:hi], Control: s.Control, Marks: s.Marks})
		}
		if at += len(s.Text); at >= to {
			break
		}
	}
	return cut
}
