package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// kind is a set of properties of a character, as pre-tokenizers ask for them.
type kind uint8

const (
	letter kind = 1 << iota // \p{L}
	upper                   // \p{Lu} or \p{Lt}
	lower                   // \p{Ll}
	mark                    // \p{M}
	number                  // \p{N}
	punct                   // \p{P}
	sign                    // \p{S}
	space                   // \s: the property White_Space
)

// chars is a text as pre-tokenizers see it. A byte that is no UTF-8 counts as a character of the
// kind of U+FFFD.
type chars struct {
	r  []rune
	k  []kind
	at []int32 // byte offset of each character, and of the end
}

func newChars(text string) *chars {
	n := utf8.RuneCountInString(text)
	c := &chars{make([]rune, 0, n), make([]kind, 0, n), make([]int32, 0, n+1)}
	for i, r := range text {
		c.r = append(c.r, r)
		c.k = append(c.k, kindOf(r))
		c.at = append(c.at, int32(i))
	}
	c.at = append(c.at, int32(len(text)))
	return c
}

func (c *chars) offset(i int) int { return int(c.at[i]) }

var asciiKinds = func() (k [128]kind) {
	for r := range k {
		k[r] = tableKind(rune(r))
	}
	return k
}()

func kindOf(r rune) kind {
	if r < 128 {
		return asciiKinds[r]
	}
	return tableKind(r)
}

func tableKind(r rune) kind {
	switch {
	case unicode.IsSpace(r):
		return space
	case unicode.Is(unicode.Ll, r):
		return letter | lower
	case unicode.Is(unicode.Lu, r), unicode.Is(unicode.Lt, r):
		return letter | upper
	case unicode.IsLetter(r):
		return letter
	case unicode.IsMark(r):
		return mark
	case unicode.IsNumber(r):
		return number
	case unicode.IsPunct(r):
		return punct
	case unicode.IsSymbol(r):
		return sign
	}
	return 0
}

// run gives the end of the characters from i on that have one of these properties.
func (c *chars) run(i, hi int, any kind) int {
	for i < hi && c.k[i]&any != 0 {
		i++
	}
	return i
}

// digits gives the end of \p{N}{1,most} at i, or i; most 0 is any number.
func (c *chars) digits(i, hi, most int) int {
	if most > 0 {
		hi = min(hi, i+most)
	}
	return c.run(i, hi, number)
}

// others gives the end of the characters from i on that have none of these properties.
func (c *chars) others(i, hi int, none kind) int {
	for i < hi && c.k[i]&none == 0 {
		i++
	}
	return i
}

// among gives the end of the characters from i on that are in the set.
func (c *chars) among(i, hi int, set string) int {
	for i < hi && c.r[i] < 128 && containsByte(set, byte(c.r[i])) {
		i++
	}
	return i
}

func containsByte(set string, b byte) bool {
	for i := range len(set) {
		if set[i] == b {
			return true
		}
	}
	return false
}

// is reports whether character i is in the text and has one of these properties.
func (c *chars) is(i, hi int, any kind) bool { return i < hi && c.k[i]&any != 0 }

// folding says which letters an expression takes for equal.
type folding uint8

const (
	exactCase   folding = iota
	foldASCII           // as llama.cpp folds: A is a
	foldUnicode         // as regular expressions do: A is a, and ſ is s
)

// contraction gives the end of an English 's 't 'm 'd 're 've 'll at i, or i.
func (c *chars) contraction(i, hi int, fold folding) int {
	if i+1 >= hi || c.r[i] != '\'' {
		return i
	}
	at := func(j int) rune {
		if j >= hi {
			return -1
		}
		switch r := c.r[j]; {
		case fold != exactCase && 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case fold == foldUnicode && r == 'ſ':
			return 's'
		}
		return c.r[j]
	}
	switch a, b := at(i+1), at(i+2); {
	case a == 's', a == 't', a == 'm', a == 'd':
		return i + 2
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return i + 3
	}
	return i
}
