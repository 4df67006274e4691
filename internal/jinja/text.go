package jinja

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// Origin says who wrote a character. Zero is the template; any other number is
// the caller's own label for a value that a client sent.
type Origin uint32

// FromTemplate is the origin of all that a template writes itself.
const FromTemplate Origin = 0

// A Span is a run of output bytes of one origin.
type Span struct {
	Start, End int // bytes
	Origin     Origin
}

// User reports whether a client, not the template, wrote the span.
func (s Span) User() bool { return s.Origin != FromTemplate }

// A run is a Span inside a Str: it begins where the run before it ended.
type run struct {
	end int
	org Origin
}

// A Str is a string in which every character knows its origin. It is never
// changed once made.
type Str struct {
	s    string
	runs []run  // nil where all is of one origin
	org  Origin // of all, where runs is nil
	safe bool   // Python's Markup: escapes what is added to it
}

// String makes a string value of one origin. Invalid UTF-8 is replaced by
// U+FFFD.
func String(text string, origin Origin) *Str {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	return &Str{s: text, org: origin}
}

func text(s string) *Str { return &Str{s: s} }

var emptyStr = text("")

// Text is the string itself.
func (t *Str) Text() string { return t.s }

// slice is t[i:j] in bytes; i and j lie on character boundaries.
func (t *Str) slice(i, j int) *Str {
	if i >= j {
		return &Str{safe: t.safe}
	}
	if i == 0 && j == len(t.s) {
		return t
	}
	if t.runs == nil {
		return &Str{s: t.s[i:j], org: t.org, safe: t.safe}
	}
	first := t.runAt(i)
	last := first
	for t.runs[last].end < j {
		last++
	}
	if first == last {
		return &Str{s: t.s[i:j], org: t.runs[first].org, safe: t.safe}
	}
	runs := make([]run, last-first+1)
	for k := range runs {
		runs[k] = run{min(t.runs[first+k].end, j) - i, t.runs[first+k].org}
	}
	return &Str{s: t.s[i:j], runs: runs, safe: t.safe}
}

// runAt is the index of the run that holds byte i.
func (t *Str) runAt(i int) int {
	return sort.Search(len(t.runs), func(k int) bool { return t.runs[k].end > i })
}

// originAt is the origin of byte i.
func (t *Str) originAt(i int) Origin {
	if t.runs == nil {
		return t.org
	}
	return t.runs[t.runAt(i)].org
}

// anyOrigin is a client's origin if any character has one.
func (t *Str) anyOrigin() Origin {
	if len(t.s) == 0 {
		return FromTemplate
	}
	for _, r := range t.runs {
		if r.org != FromTemplate {
			return r.org
		}
	}
	return t.org
}

// plain is t without Python's Markup.
func (t *Str) plain() *Str {
	if !t.safe {
		return t
	}
	c := *t
	c.safe = false
	return &c
}

// A builder collects text with its origins.
type builder struct {
	buf  []byte
	runs []run
}

func (b *builder) len() int { return len(b.buf) }

func (b *builder) add(s string, org Origin) {
	if s == "" {
		return
	}
	b.buf = append(b.buf, s...)
	b.mark(org)
}

// mark gives the bytes after the last run an origin.
func (b *builder) mark(org Origin) {
	if n := len(b.runs); n > 0 && b.runs[n-1].org == org {
		b.runs[n-1].end = len(b.buf)
		return
	}
	b.runs = append(b.runs, run{len(b.buf), org})
}

func (b *builder) addRune(r rune, org Origin) {
	b.buf = utf8.AppendRune(b.buf, r)
	b.mark(org)
}

func (b *builder) addStr(t *Str) {
	if t.runs == nil {
		b.add(t.s, t.org)
		return
	}
	start := 0
	for _, r := range t.runs {
		b.add(t.s[start:r.end], r.org)
		start = r.end
	}
}

// addRange adds t[i:j] in bytes.
func (b *builder) addRange(t *Str, i, j int) {
	if i >= j {
		return
	}
	if t.runs == nil {
		b.add(t.s[i:j], t.org)
		return
	}
	for k := t.runAt(i); i < j; k++ {
		end := min(t.runs[k].end, j)
		b.add(t.s[i:end], t.runs[k].org)
		i = end
	}
}

// str is what was collected; the builder may be used again after reset.
func (b *builder) str() *Str {
	switch len(b.runs) {
	case 0:
		return emptyStr
	case 1:
		return &Str{s: string(b.buf), org: b.runs[0].org}
	}
	return &Str{s: string(b.buf), runs: append([]run(nil), b.runs...)}
}

func (b *builder) reset() {
	b.buf, b.runs = b.buf[:0], b.runs[:0]
}

// spans are the runs as the caller gets them.
func (b *builder) spans() []Span {
	out := make([]Span, len(b.runs))
	start := 0
	for i, r := range b.runs {
		out[i] = Span{start, r.end, r.org}
		start = r.end
	}
	return out
}

// perRune rewrites a string character by character; what f makes of a
// character has that character's origin.
func (t *Str) perRune(f func(r rune, b *builder, org Origin)) *Str {
	var b builder
	b.buf = make([]byte, 0, len(t.s)+8)
	start := 0
	each := func(end int, org Origin) {
		for _, r := range t.s[start:end] {
			f(r, &b, org)
		}
		start = end
	}
	if t.runs == nil {
		each(len(t.s), t.org)
	}
	for _, r := range t.runs {
		each(r.end, r.org)
	}
	out := b.str()
	if t.safe {
		c := *out
		c.safe = true
		return &c
	}
	return out
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// runeOffset is the byte offset of character n, or len(s) if there are fewer.
func runeOffset(s string, n int) int {
	if n <= 0 {
		return 0
	}
	if n >= len(s) {
		return len(s)
	}
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// runeLen is the number of characters.
func runeLen(s string) int { return utf8.RuneCountInString(s) }
