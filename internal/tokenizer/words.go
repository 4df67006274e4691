package tokenizer

import "unicode"

// Byte-level vocabularies cut a text into words before they merge, each family by its own regular
// expressions. They need lookahead, which Go's regexp lacks, so each is written out here, with its
// expression beside it. All take time linear in the text.

// A splitter cuts a stretch of text, characters lo to hi, into words: it appends the end of each
// word to ends, the last being hi.
type splitter func(c *chars, lo, hi int, ends []int) []int

// split cuts a whole text.
func split(c *chars, s splitter) []int { return s(c, 0, len(c.r), nil) }

// passes applies one splitter after the other, each to the words of the one before it.
func passes(list ...splitter) splitter {
	return func(c *chars, lo, hi int, ends []int) []int {
		words := list[0](c, lo, hi, nil)
		for _, s := range list[1:] {
			var finer []int
			at := lo
			for _, end := range words {
				finer = s(c, at, end, finer)
				at = end
			}
			words = finer
		}
		return append(ends, words...)
	}
}

// matches makes a splitter of a function that matches at a place: it returns the end of the match,
// or i if there is none. What lies between matches is a word too.
func matches(match func(c *chars, i, hi int) int) splitter {
	return func(c *chars, lo, hi int, ends []int) []int {
		from := lo
		for i := lo; i < hi; {
			end := match(c, i, hi)
			if end == i {
				i++
				continue
			}
			if from < i {
				ends = append(ends, i)
			}
			ends = append(ends, end)
			i, from = end, end
		}
		if from < hi {
			ends = append(ends, hi)
		}
		return ends
	}
}

// blanks matches white space at i as these do, or gives i:
//
//	\s*[\r\n]+ (where lines is set) | \s+(?!\S) | \s+
func blanks(c *chars, i, hi int, lines bool) int {
	end := c.run(i, hi, space)
	if end == i {
		return i
	}
	if lines {
		for j := end; j > i; j-- {
			if r := c.r[j-1]; r == '\n' || r == '\r' {
				return j
			}
		}
	}
	if end < hi && end-i > 1 {
		return end - 1 // the last one belongs to what follows
	}
	return end
}

// gpt2 is the expression that GPT-2 was published with:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
var gpt2 = matches(func(c *chars, i, hi int) int {
	if end := c.contraction(i, hi, exactCase); end > i {
		return end
	}
	j := i
	if c.r[i] == ' ' && i+1 < hi {
		j++
	}
	for _, k := range []kind{letter, number} {
		if c.is(j, hi, k) {
			return c.run(j, hi, k)
		}
	}
	if end := c.others(j, hi, space|letter|number); end > j {
		return end
	}
	return blanks(c, i, hi, false)
})

// lineWords are the words of the family of cl100k, Llama 3 and Qwen:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
type lineWords struct {
	letters     kind   // what words consist of: letter, or letter|mark
	digits      int    // the most digits in a word; 0 is any number
	tail        string // what a word of other characters takes with it
	noEnglish   bool   // contractions are not split off
	foldLetters bool   // words are cut where lower case is followed by upper case: see casedWord
	longS       bool   // 'ſ is a contraction: see foldUnicode
	han         bool   // Chinese characters are words of their own, before all else: see casedWord
}

func (w lineWords) fold() folding {
	if w.longS {
		return foldUnicode
	}
	return foldASCII
}

func (w lineWords) splitter() splitter {
	return matches(func(c *chars, i, hi int) int {
		if w.han && unicode.Is(unicode.Han, c.r[i]) {
			for i++; i < hi && unicode.Is(unicode.Han, c.r[i]); i++ {
			}
			return i
		}
		if !w.noEnglish && !w.foldLetters {
			if end := c.contraction(i, hi, w.fold()); end > i {
				return end
			}
		}
		if w.foldLetters {
			if end := casedWord(c, i, hi, &w); end > i {
				return end
			}
		} else if c.is(i, hi, w.letters) {
			return c.run(i, hi, w.letters)
		} else if leads(c, i) && c.is(i+1, hi, w.letters) {
			return c.run(i+1, hi, w.letters)
		}
		if c.is(i, hi, number) {
			return c.digits(i, hi, w.digits)
		}
		j := i
		if c.r[i] == ' ' {
			j++
		}
		if end := c.others(j, hi, space|number|w.letters|letter); end > j {
			return c.among(end, hi, w.tail)
		}
		return blanks(c, i, hi, true)
	})
}

// leads reports whether a character may stand before a word's letters: [^\r\n\p{L}\p{N}].
func leads(c *chars, i int) bool {
	return c.r[i] != '\r' && c.r[i] != '\n' && c.k[i]&(letter|number) == 0
}

// casedWord matches a word of o200k and Tekken, which is cut before an upper case letter that
// follows lower case; English contractions stay with their word.
//
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//
// Kimi's (tokenization_kimi.py of Kimi K2 and Kimi Linear) has \p{Han}+ before, and no such character in either list of
// letters.
func casedWord(c *chars, i, hi int, w *lineWords) int {
	end := i
	if leads(c, i) { // greedy: first with the character before, then without
		end = w.lowerEnding(c, i+1, hi)
		if end == i+1 {
			end = i
		}
	}
	if end == i {
		end = w.lowerEnding(c, i, hi)
	}
	if end == i && leads(c, i) {
		if end = w.upperOnly(c, i+1, hi); end == i+1 {
			end = i
		}
	}
	if end == i {
		end = w.upperOnly(c, i, hi)
	}
	if end > i && !w.noEnglish {
		end = c.contraction(end, hi, w.fold())
	}
	return end
}

// cased says whether a character is a letter of a word or a mark, and not of the other case.
func (w *lineWords) cased(c *chars, i int, other kind) bool {
	return c.k[i]&(letter|mark) != 0 && c.k[i]&other == 0 && !(w.han && unicode.Is(unicode.Han, c.r[i]))
}

// lowerEnding matches upperish* lowerish+ at i, or gives i. Letters without case are both.
func (w *lineWords) lowerEnding(c *chars, i, hi int) int {
	j := i
	for j < hi && w.cased(c, j, lower) {
		j++
	}
	if j < hi && w.cased(c, j, upper) {
		for j < hi && w.cased(c, j, upper) {
			j++
		}
		return j
	}
	for j > i { // give back until one of those without case can be the lower part
		if w.cased(c, j-1, upper) {
			return j
		}
		j--
	}
	return i
}

// upperOnly matches upperish+ at i where no lowerish follows, or gives i.
func (w *lineWords) upperOnly(c *chars, i, hi int) int {
	for i < hi && w.cased(c, i, lower) {
		i++
	}
	return i
}

// digitGroups matches \p{N}{1,n}; n 0 is any number.
func digitGroups(n int) splitter {
	return matches(func(c *chars, i, hi int) int { return c.digits(i, hi, n) })
}

// digitsFromEnd cuts runs of digits into threes from their end, as numbers are written with commas:
//
//	\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))
func digitsFromEnd(c *chars, lo, hi int, ends []int) []int {
	from := lo
	for i := lo; i < hi; {
		end := c.run(i, hi, number)
		if end == i {
			i++
			continue
		}
		if from < i {
			ends = append(ends, i)
		}
		for at := i + (end-i-1)%3 + 1; at <= end; at += 3 {
			ends = append(ends, at)
		}
		i, from = end, end
	}
	if from < hi {
		ends = append(ends, hi)
	}
	return ends
}

// severalWords is the expression of K-EXAONE, in which words that spaces divide are one:
//
//	'(?i:s|t|re|ve|m|ll|d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+
var severalWords = matches(func(c *chars, i, hi int) int {
	if end := c.contraction(i, hi, foldASCII); end > i {
		return end
	}
	j := i
	if !c.is(j, hi, letter) && leads(c, j) {
		j++
	}
	if c.is(j, hi, letter) {
		for c.is(j, hi, letter) {
			j = c.run(c.run(j, hi, letter), hi, mark)
			if j < hi && c.r[j] == ' ' && c.is(j+1, hi, letter) {
				j++
			}
		}
		return j
	}
	if c.is(i, hi, number) {
		return i + 1
	}
	j = i
	if c.r[i] == ' ' {
		j++
	}
	if end := c.others(j, hi, space|number|letter); end > j {
		return min(end+1, c.among(end, hi, "\r\n/"))
	}
	return blanks(c, i, hi, true)
})

// threeDigits matches [0-9][0-9][0-9].
var threeDigits = matches(func(c *chars, i, hi int) int {
	for j := i; j < i+3; j++ {
		if j >= hi || c.r[j] < '0' || c.r[j] > '9' {
			return i
		}
	}
	return i + 3
})

// punctuation matches [\p{P} and the given signs]+.
func punctuation(signs string) splitter {
	return matches(func(c *chars, i, hi int) int {
		for i < hi && (c.k[i]&punct != 0 || c.r[i] < 128 && containsByte(signs, byte(c.r[i]))) {
			i++
		}
		return i
	})
}

// spacesInPowers cuts words of white space that do not end a line, as Jais 2 has them in place of
// \s+(?!\S)|\s+:
//
//	\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}
//
// The space before what is none stays a word of its own, or belongs to what follows; of those before
// it as many are a word as the largest of these numbers that they reach.
func spacesInPowers(c *chars, lo, hi int, ends []int) []int {
	if lo < hi && c.run(lo, hi, space) == hi && c.r[hi-1] != '\n' && c.r[hi-1] != '\r' {
		for size := 512; size > 1; size /= 2 {
			for hi-lo > size {
				lo += size
				ends = append(ends, lo)
			}
			if hi-lo == size {
				break
			}
		}
	}
	return append(ends, hi)
}

// line matches [\r\n].
var line = matches(func(c *chars, i, hi int) int {
	if c.r[i] == '\r' || c.r[i] == '\n' {
		return i + 1
	}
	return i
})

// newlineRuns matches [^\n]+|[\n]+.
var newlineRuns = matches(func(c *chars, i, hi int) int {
	lf := c.r[i] == '\n'
	for i < hi && (c.r[i] == '\n') == lf {
		i++
	}
	return i
})

// spaceThen matches \s?X+, where in tells what X is.
func spaceThen(in func(c *chars, i int) bool) splitter {
	return matches(func(c *chars, i, hi int) int {
		j := i
		if c.k[j]&space != 0 && j+1 < hi && in(c, j+1) {
			j++
		}
		for j < hi && in(c, j) {
			j++
		}
		return j
	})
}

// trailing matches \s+$.
func trailing(c *chars, lo, hi int, ends []int) []int {
	at := hi
	for at > lo && c.k[at-1]&space != 0 {
		at--
	}
	if lo < at && at < hi {
		ends = append(ends, at)
	}
	return append(ends, hi)
}

// within matches the characters of the ranges, [first-last…]+.
func within(ranges ...[2]rune) splitter {
	return matches(func(c *chars, i, hi int) int {
		for i < hi && inRanges(c.r[i], ranges) {
			i++
		}
		return i
	})
}

func inRanges(r rune, ranges [][2]rune) bool {
	for _, x := range ranges {
		if x[0] <= r && r <= x[1] {
			return true
		}
	}
	return false
}

// deepseek3 is the last expression of DeepSeek V3:
//
//	[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
var deepseek3 = matches(func(c *chars, i, hi int) int {
	r := c.r[i]
	if r < 128 && c.k[i]&(punct|sign) != 0 {
		if end := asciiLetters(c, i+1, hi); end > i+1 {
			return end
		}
	}
	if r != '\r' && r != '\n' && c.k[i]&(letter|punct|sign) == 0 && c.is(i+1, hi, letter|mark) {
		return c.run(i+1, hi, letter|mark)
	}
	if end := c.run(i, hi, letter|mark); end > i {
		return end
	}
	j := i
	if r == ' ' {
		j++
	}
	if end := c.run(j, hi, punct|sign); end > j {
		return c.among(end, hi, "\r\n")
	}
	return blanks(c, i, hi, true)
})

func asciiLetters(c *chars, i, hi int) int {
	for i < hi && (c.r[i]|0x20 >= 'a' && c.r[i]|0x20 <= 'z') {
		i++
	}
	return i
}

// clauses matches " ?[^(\s|.,!?…。，、।۔،)]+", the expression of Bloom.
var clauses = matches(func(c *chars, i, hi int) int {
	in := func(j int) bool {
		if j >= hi || c.k[j]&space != 0 {
			return false
		}
		switch c.r[j] {
		case '(', '|', '.', ',', '!', '?', '…', '。', '，', '、', '।', '۔', '،', ')':
			return false
		}
		return true
	}
	j := i
	if c.r[j] == ' ' && in(j+1) {
		j++
	}
	for in(j) {
		j++
	}
	return j
})
