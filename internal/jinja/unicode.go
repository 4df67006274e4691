package jinja

import (
	"unicode"
	"unicode/utf8"
)

// IsSpace is Python's str.isspace for one character, and \s of its regular
// expressions.
func IsSpace(r rune) bool {
	switch {
	case r >= 0x09 && r <= 0x0d, r >= 0x1c && r <= 0x20, r == 0x85, r == 0xa0, r == 0x1680:
		return true
	case r >= 0x2000 && r <= 0x200a, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000:
		return true
	}
	return false
}

// isLineBreak is what str.splitlines splits at.
func isLineBreak(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

func addUpper(r rune, b *builder, org Origin) {
	if s, ok := upperSpecial[r]; ok && r >= utf8.RuneSelf {
		b.add(s, org)
		return
	}
	b.addRune(unicode.ToUpper(r), org)
}

func addTitle(r rune, b *builder, org Origin) {
	if r >= utf8.RuneSelf {
		if s, ok := titleSpecial[r]; ok {
			b.add(s, org)
			return
		}
		if s, ok := upperSpecial[r]; ok {
			b.add(s, org)
			return
		}
	}
	b.addRune(unicode.ToTitle(r), org)
}

func addLower(r rune, b *builder, org Origin) {
	if r == 'İ' {
		b.add("i̇", org)
		return
	}
	b.addRune(unicode.ToLower(r), org)
}

// isCased is Unicode's property Cased; isIgnorable is Case_Ignorable.
func isCased(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) || unicode.In(r, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

func isIgnorable(r rune) bool {
	switch r {
	case '\'', '.', ':', 0xb7, 0x387, 0x55f, 0x5f4, 0x2018, 0x2019, 0x2024, 0x2027, 0xfe13, 0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a:
		return true
	}
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}

// casing rewrites a string with one function for each character that may look
// at what surrounds it: i is the character's number in runes.
func casing(t *Str, f func(runes []rune, i int, b *builder, org Origin)) *Str {
	runes := []rune(t.s)
	i := 0
	return t.perRune(func(_ rune, b *builder, org Origin) {
		f(runes, i, b, org)
		i++
	})
}

func upper(t *Str) *Str { return t.perRune(addUpper) }

func lower(t *Str) *Str {
	if isASCII(t.s) {
		return t.perRune(addLower)
	}
	return casing(t, lowerAt)
}

// lowerAt knows the one rule of lower case that looks at its surroundings: a
// sigma that ends a word.
func lowerAt(runes []rune, i int, b *builder, org Origin) {
	if runes[i] == 'Σ' && endsWord(runes, i) {
		b.addRune('ς', org)
		return
	}
	addLower(runes[i], b, org)
}

func endsWord(runes []rune, i int) bool {
	const reach = 64 // nobody puts more marks between two letters
	before, after := i-1, i+1
	for before >= 0 && i-before < reach && isIgnorable(runes[before]) {
		before--
	}
	for after < len(runes) && after-i < reach && isIgnorable(runes[after]) {
		after++
	}
	return before >= 0 && isCased(runes[before]) && (after == len(runes) || !isCased(runes[after]))
}

func capitalize(t *Str) *Str {
	return casing(t, func(runes []rune, i int, b *builder, org Origin) {
		if i == 0 {
			addTitle(runes[0], b, org)
			return
		}
		lowerAt(runes, i, b, org)
	})
}

// title is str.title: a letter after something that is no letter is a capital.
func title(t *Str) *Str {
	return casing(t, func(runes []rune, i int, b *builder, org Origin) {
		if i > 0 && isCased(runes[i-1]) {
			lowerAt(runes, i, b, org)
			return
		}
		addTitle(runes[i], b, org)
	})
}

func swapcase(t *Str) *Str {
	return casing(t, func(runes []rune, i int, b *builder, org Origin) {
		switch r := runes[i]; {
		case unicode.IsUpper(r):
			lowerAt(runes, i, b, org)
		case unicode.IsLower(r):
			addUpper(r, b, org)
		default:
			b.addRune(r, org)
		}
	})
}

// casefold is near enough to str.casefold: lower case, with the letters that
// have several capitals written out.
func casefold(t *Str) *Str {
	return t.perRune(func(r rune, b *builder, org Origin) {
		switch r {
		case 'ß', 'ẞ':
			b.add("ss", org)
		case 'ς':
			b.addRune('σ', org)
		default:
			if s, ok := upperSpecial[r]; ok {
				for _, u := range s {
					b.addRune(unicode.ToLower(u), org)
				}
				return
			}
			addLower(r, b, org)
		}
	})
}
