package grammar

import (
	"slices"
	"unicode/utf8"
)

func sortRanges(c class) {
	slices.SortFunc(c, func(a, b runeRange) int { return int(a.lo) - int(b.lo) })
}

// byteRange is one byte out of some.
type byteRange struct{ lo, hi byte }

// sequences gives the UTF-8 of a range of characters as products of byte
// ranges. Surrogates have none.
func sequences(lo, hi rune) (all [][]byteRange) {
	const (
		firstSurrogate = 0xd800
		lastSurrogate  = 0xdfff
	)
	if lo < firstSurrogate && hi >= firstSurrogate {
		return append(sequences(lo, firstSurrogate-1), sequences(firstSurrogate, hi)...)
	}
	if lo >= firstSurrogate && lo <= lastSurrogate {
		lo = lastSurrogate + 1
	}
	if lo > hi {
		return nil
	}
	for _, last := range []rune{0x7f, 0x7ff, 0xffff} {
		if lo <= last && last < hi {
			return append(sequences(lo, last), sequences(last+1, hi)...)
		}
	}
	n := utf8.RuneLen(lo)
	for i := 1; i < n; i++ {
		// All characters that differ in the last i bytes alone stand together.
		m := rune(1)<<(6*i) - 1
		if lo&^m != hi&^m {
			if lo&m != 0 {
				return append(sequences(lo, lo|m), sequences(lo|m+1, hi)...)
			}
			if hi&m != m {
				return append(sequences(lo, hi&^m-1), sequences(hi&^m, hi)...)
			}
		}
	}
	var a, b [utf8.UTFMax]byte
	utf8.EncodeRune(a[:], lo)
	utf8.EncodeRune(b[:], hi)
	one := make([]byteRange, n)
	for i := range one {
		one[i] = byteRange{a[i], b[i]}
	}
	return [][]byteRange{one}
}
