package lorebook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/limits"
)

// between stands between texts that are looked through, so that no key is
// found across two of them.
const between = "\n\x01"

// A haystackKey says which text is looked through.
type haystackKey struct {
	depth int
	lower bool
}

// last are the last messages, newest first, each with its speaker.
func (s *scanner) last(depth int, lower bool) []string {
	kept := &s.plain
	if lower {
		kept = &s.small
	}
	for len(*kept) < depth {
		m := s.Messages[len(s.Messages)-1-len(*kept)]
		line := m.Text
		if m.Name != "" {
			line = m.Name + ": " + line
		}
		if lower {
			line = strings.ToLower(line)
		}
		*kept = append(*kept, line)
	}
	return (*kept)[:depth]
}

// haystack is the last messages, newest first, and what is looked through
// besides.
func (s *scanner) haystack(k haystackKey) string {
	if h, ok := s.haystacks[k]; ok {
		return h
	}
	var b strings.Builder
	for _, line := range s.last(k.depth, k.lower) {
		b.WriteString(line + between)
	}
	for _, also := range s.Also {
		if k.lower {
			also = strings.ToLower(also)
		}
		b.WriteString(also + between)
	}
	s.haystacks[k] = b.String()
	return b.String()
}

// A pattern is a regular expression, or why there is none.
type pattern struct {
	re  *regexp.Regexp
	err string
}

// compile reads a regular expression: bare, or as JavaScript writes it, with
// slashes and flags. What only JavaScript has is an error.
func (s *scanner) compile(expression, flags string) pattern {
	source := expression
	if flags = strings.Map(func(r rune) rune {
		if strings.ContainsRune("gumy", r) && r != 'm' { // how it is searched, not what is found
			return -1
		}
		return r
	}, flags); flags != "" {
		source = "(?" + flags + ")" + expression
	}
	if p, ok := s.patterns[source]; ok {
		return p
	}
	var p pattern
	switch {
	case strings.Trim(flags, "ims") != "":
		p.err = "unknown flags"
	default:
		var err error
		if p.re, err = regexp.Compile(source); err != nil {
			p.err = "no regular expression that we know"
		}
	}
	s.patterns[source] = p
	return p
}

// slashed takes a regular expression between slashes apart.
func slashed(key string) (expression, flags string, ok bool) {
	end := strings.LastIndexByte(key, '/')
	if len(key) < 3 || key[0] != '/' || end < 2 {
		return "", "", false
	}
	flags = key[end+1:]
	if strings.Trim(flags, "dgimsuvy") != "" {
		return "", "", false
	}
	return strings.ReplaceAll(key[1:end], `\/`, "/"), flags, true
}

// A matcher looks for one key.
type matcher struct {
	lower bool // whether it wants the text in lower case
	cost  int  // of looking through one byte
	match func(text string) bool
}

// slow is how much longer a regular expression takes than a plain key.
const slow = 50

// matcher is for a key of an entry; ok is false if it can be found nowhere.
func (s *scanner) matcher(c *candidate, key string) (m matcher, ok bool) {
	if len(key) > limits.LoreKeyBytes.Int() {
		c.verdict.Notes = "a key is too long"
		return m, false
	}
	if s.Expand != nil {
		var err error
		if key, err = s.Expand("key of "+c.verdict.Place(), key); err != nil {
			return m, false
		}
	}
	if key = strings.TrimSpace(key); key == "" {
		return m, false
	}
	sensitive := c.settings.CaseSensitive != nil && *c.settings.CaseSensitive
	if c.entry.CaseSensitive != nil { // the specification's own goes first
		sensitive = *c.entry.CaseSensitive
	}
	expression, flags, isRegexp := slashed(key)
	if c.entry.HasPatterns() && !isRegexp {
		expression, isRegexp = key, true
		if c.entry.CaseSensitive != nil && !sensitive {
			flags = "i"
		}
	}
	if isRegexp {
		p := s.compile(expression, flags)
		if p.err != "" {
			c.verdict.Notes = fmt.Sprintf("the key %q is %s", key, p.err)
			return m, false
		}
		return matcher{false, slow, p.re.MatchString}, true
	}
	if !sensitive {
		key = strings.ToLower(key)
	}
	whole := s.WholeWords
	if c.settings.WholeWords != nil {
		whole = *c.settings.WholeWords
	}
	whole = whole && !strings.ContainsFunc(key, unicode.IsSpace) // SillyTavern's rule: of one word only
	return matcher{!sensitive, 1, func(text string) bool { return contains(text, key, whole) }}, true
}

// finds looks for a key where the entry looks.
func (s *scanner) finds(c *candidate, key string, round int) bool {
	m, ok := s.matcher(c, key)
	if !ok {
		return false
	}
	texts := []string{s.haystack(haystackKey{s.depth(c), m.lower})}
	if s.recursive(c) && round > 0 {
		texts = append(texts, s.told(m.lower))
	}
	for _, name := range c.settings.Match {
		if text := s.Sources[name]; text != "" {
			if m.lower {
				text = strings.ToLower(text)
			}
			texts = append(texts, text)
		}
	}
	for _, text := range texts {
		if s.work += len(text) * m.cost; limits.LoreScanBytes.CheckInt(s.work) != nil {
			c.verdict.Notes = "the lorebooks have more keys than can be looked for"
			return false
		}
		if m.match(text) {
			return true
		}
	}
	return false
}

// told is what entries told so far say.
func (s *scanner) told(lower bool) string {
	if !lower {
		return s.recursion
	}
	if len(s.recursionLower) == 0 || s.lowered != len(s.recursion) {
		s.recursionLower, s.lowered = strings.ToLower(s.recursion), len(s.recursion)
	}
	return s.recursionLower
}

// contains looks for a key, or for one that is not part of a longer word.
func contains(text, key string, whole bool) bool {
	if !whole {
		return strings.Contains(text, key)
	}
	for from := 0; ; {
		at := strings.Index(text[from:], key)
		if at < 0 {
			return false
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		behind, _ := utf8.DecodeRuneInString(text[at+len(key):])
		if !inWord(before) && !inWord(behind) {
			return true
		}
		_, width := utf8.DecodeRuneInString(text[at:])
		from = at + width
	}
}

// inWord reports whether a character continues a word. In scripts that put no
// spaces between words none does.
func inWord(r rune) bool {
	if r == utf8.RuneError {
		return false
	}
	return (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_') && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// depth is how many messages the entry looks through.
func (s *scanner) depth(c *candidate) int {
	depth := float64(s.Depth)
	if c.book.ScanDepth != nil && *c.book.ScanDepth >= 0 {
		depth = *c.book.ScanDepth
	}
	if c.settings.ScanDepth != nil {
		depth = float64(*c.settings.ScanDepth)
	}
	if c.marks.has("scan_depth") {
		depth = float64(c.marks.number("scan_depth", 0))
	}
	return int(min(depth, limits.LoreDepth.Max, float64(len(s.Messages)))) // beyond all there are is the same text
}

// recursive reports whether the entry may be called by others.
func (s *scanner) recursive(c *candidate) bool {
	if c.book.Recursive != nil {
		return *c.book.Recursive
	}
	return s.Recursive
}

// matches decides by the entry's keys.
func (s *scanner) matches(c *candidate, round int) bool {
	found := ""
	c.keysFound = 0
	for _, key := range c.entry.Keys {
		if !s.finds(c, key, round) {
			continue
		}
		if c.keysFound++; found == "" {
			found = key
		}
		if len(c.settings.Groups) == 0 { // in a group it may count how many there are
			break
		}
	}
	if found == "" {
		return c.say("no_key", "")
	}
	if more := c.marks.values("additional_keys"); len(more) > 0 && !slices.ContainsFunc(more, func(k string) bool { return s.finds(c, k, round) }) {
		return c.say("additional_keys", "none of them was said")
	}
	if !c.entry.HasPatterns() {
		for _, k := range c.marks.values("exclude_keys") {
			if s.finds(c, k, round) {
				return c.say("exclude_keys", "%q was said", k)
			}
		}
	}
	why := s.where(c, found, round)
	keys := slices.DeleteFunc(slices.Clone(c.entry.SecondaryKeys), func(k string) bool { return strings.TrimSpace(k) == "" })
	if !c.entry.Selective || len(keys) == 0 || c.entry.HasPatterns() {
		return c.call("key", "%s", why)
	}
	said := 0
	for _, k := range keys {
		if s.finds(c, k, round) {
			said++
		}
	}
	ok := said > 0
	if logic := c.settings.Logic; logic == 0 || logic == 3 && said == len(keys) {
		c.keysFound += said
	}
	switch c.settings.Logic {
	case 1:
		ok = said < len(keys)
	case 2:
		ok = said == 0
	case 3:
		ok = said == len(keys)
	}
	if !ok {
		return c.say("secondary_keys", "%d of %d were said, it wants %s", said, len(keys), [...]string{"any", "not all", "none", "all"}[min(c.settings.Logic, 3)])
	}
	return c.call("key", "%s", why)
}

// where says in which message a key was found.
func (s *scanner) where(c *candidate, key string, round int) string {
	short := key
	if len(short) > limits.QuotedBytes.Int() {
		short = strings.ToValidUTF8(short[:limits.QuotedBytes.Int()], "") + "…"
	}
	m, _ := s.matcher(c, key)
	for i, line := range s.last(s.depth(c), m.lower) {
		if m.match(line) {
			return fmt.Sprintf("%q in message %d", short, len(s.Messages)-1-i)
		}
	}
	if round > 0 {
		return fmt.Sprintf("%q in another entry", short)
	}
	return fmt.Sprintf("%q in what is looked through besides", short)
}
