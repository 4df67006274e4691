package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// strMethod is a method of Python's str.
type strMethod func(st *state, t *Str, a *args) (Value, error)

var strMethods map[string]strMethod

func init() {
	strMethods = map[string]strMethod{
		"capitalize": textMethod("capitalize", capitalize), "casefold": textMethod("casefold", casefold),
		"lower": textMethod("lower", lower), "upper": textMethod("upper", upper), "title": textMethod("title", title),
		"swapcase": textMethod("swapcase", swapcase),
		"strip":    stripMethod("strip", true, true), "lstrip": stripMethod("lstrip", true, false), "rstrip": stripMethod("rstrip", false, true),
		"split": methodSplit, "rsplit": methodRsplit, "splitlines": methodSplitlines,
		"partition": partition("partition", strings.Index), "rpartition": partition("rpartition", strings.LastIndex),
		"startswith": affix("startswith", strings.HasPrefix), "endswith": affix("endswith", strings.HasSuffix),
		"removeprefix": methodRemovePrefix, "removesuffix": methodRemoveSuffix,
		"find": finding("find", strings.Index, false), "rfind": finding("rfind", strings.LastIndex, false),
		"index": finding("index", strings.Index, true), "rindex": finding("rindex", strings.LastIndex, true),
		"count": methodCount, "replace": methodReplace, "join": methodJoin, "format": methodFormat, "format_map": methodFormatMap,
		"center": methodCenter, "ljust": methodLjust, "rjust": methodRjust, "zfill": methodZfill, "expandtabs": methodExpandtabs,
		"isalpha": charTest("isalpha", unicode.IsLetter), "isalnum": charTest("isalnum", isAlnum), "isdigit": charTest("isdigit", isDigit),
		"isdecimal": charTest("isdecimal", unicode.IsDigit), "isnumeric": charTest("isnumeric", unicode.IsNumber), "isspace": charTest("isspace", IsSpace),
		"isascii": emptyTrue("isascii", func(r rune) bool { return r <= unicode.MaxASCII }), "isprintable": emptyTrue("isprintable", unicode.IsPrint),
		"islower": wholeTest("islower", isLower), "isupper": wholeTest("isupper", isUpper), "istitle": wholeTest("istitle", isTitle),
		"isidentifier": wholeTest("isidentifier", isIdentifier),
	}
}

func textMethod(name string, f func(*Str) *Str) strMethod {
	return func(st *state, t *Str, a *args) (Value, error) {
		if _, err := a.positional(name, 0, 0); err != nil {
			return nil, err
		}
		return f(t), st.alloc(len(t.s))
	}
}

func charTest(name string, f func(rune) bool) strMethod {
	return wholeTest(name, func(s string) bool { return s != "" && strings.IndexFunc(s, func(r rune) bool { return !f(r) }) < 0 })
}

func emptyTrue(name string, f func(rune) bool) strMethod {
	return wholeTest(name, func(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return !f(r) }) < 0 })
}

func wholeTest(name string, f func(string) bool) strMethod {
	return func(_ *state, t *Str, a *args) (Value, error) {
		if _, err := a.positional(name, 0, 0); err != nil {
			return nil, err
		}
		return boolean(f(t.s)), nil
	}
}

func isDigit(r rune) bool {
	return unicode.IsDigit(r) || strings.ContainsRune("²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", r)
}
func isAlnum(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

func isTitle(s string) bool {
	found, inWord := false, false
	for _, r := range s {
		switch {
		case unicode.IsUpper(r) || unicode.IsTitle(r):
			if inWord {
				return false
			}
			found, inWord = true, true
		case unicode.IsLower(r):
			if !inWord {
				return false
			}
		default:
			inWord = false
		}
	}
	return found
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r) && !unicode.In(r, unicode.Mn, unicode.Mc)) {
			return false
		}
	}
	return s != ""
}

// optional is an argument that may be a string or None.
func optional(v Value) (*Str, error) {
	if isNone(v) {
		return nil, nil
	}
	return strArg(v)
}

func stripMethod(name string, left, right bool) strMethod {
	return func(_ *state, t *Str, a *args) (Value, error) {
		p, err := a.positional(name, 0, 1)
		if err != nil {
			return nil, err
		}
		return strip(t, p[0], left, right)
	}
}

// strip takes white space, or the given characters, off the ends.
func strip(t *Str, chars Value, left, right bool) (Value, error) {
	set, err := optional(chars)
	if err != nil {
		return nil, typeErrorf("strip arg must be None or str, not %s", chars.typeName())
	}
	in := IsSpace
	if set != nil {
		in = runeSet(set.s)
	}
	i, j := 0, len(t.s)
	if left {
		i = j - len(strings.TrimLeftFunc(t.s, in))
	}
	if right {
		j = i + len(strings.TrimRightFunc(t.s[i:], in))
	}
	return t.slice(i, j), nil
}

// runeSet is the test for the characters of s.
func runeSet(s string) func(rune) bool {
	var ascii [utf8.RuneSelf]bool
	var others map[rune]bool
	for _, r := range s {
		if r < utf8.RuneSelf {
			ascii[r] = true
			continue
		}
		if others == nil {
			others = map[rune]bool{}
		}
		others[r] = true
	}
	return func(r rune) bool {
		if r < utf8.RuneSelf {
			return ascii[r]
		}
		return others[r]
	}
}

// pieces is a list of parts of a string.
func (st *state) pieces(parts []*Str) (Value, error) {
	const partBytes = 80
	if err := st.alloc(partBytes * len(parts)); err != nil {
		return nil, err
	}
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = p
	}
	return NewList(items...), nil
}

func splitArgs(name string, a *args) (*Str, int, error) {
	p, err := a.bind(name, 0, "sep", "maxsplit")
	if err != nil {
		return nil, 0, err
	}
	sep, err := optional(p[0])
	if err != nil {
		return nil, 0, err
	}
	if sep != nil && sep.s == "" {
		return nil, 0, valueErrorf("empty separator")
	}
	n, err := intArg(p[1], -1)
	return sep, n, err
}

func methodSplit(st *state, t *Str, a *args) (Value, error) {
	sep, most, err := splitArgs("split", a)
	if err != nil {
		return nil, err
	}
	if sep == nil {
		return st.pieces(fields(t, most))
	}
	if err := st.alloc(80 * strings.Count(t.s, sep.s)); err != nil {
		return nil, err
	}
	var out []*Str
	pos := 0
	for ; most != 0; most-- {
		i := strings.Index(t.s[pos:], sep.s)
		if i < 0 {
			break
		}
		out = append(out, t.slice(pos, pos+i))
		pos += i + len(sep.s)
	}
	return st.pieces(append(out, t.slice(pos, len(t.s))))
}

// fields is split() without a separator.
func fields(t *Str, most int) []*Str {
	var out []*Str
	pos := 0
	for {
		pos = len(t.s) - len(strings.TrimLeftFunc(t.s[pos:], IsSpace))
		if pos == len(t.s) {
			return out
		}
		end := len(t.s)
		if most != 0 {
			if i := strings.IndexFunc(t.s[pos:], IsSpace); i >= 0 {
				end = pos + i
			}
		}
		out = append(out, t.slice(pos, end))
		pos, most = end, most-1
	}
}

func methodRsplit(st *state, t *Str, a *args) (Value, error) {
	sep, most, err := splitArgs("rsplit", a)
	if err != nil {
		return nil, err
	}
	var out []*Str
	end := len(t.s)
	for ; ; most-- {
		i, n := -1, 0
		if sep == nil {
			if end = len(strings.TrimRightFunc(t.s[:end], IsSpace)); end == 0 {
				break
			}
		}
		if most != 0 && sep == nil {
			if i = strings.LastIndexFunc(t.s[:end], IsSpace); i >= 0 {
				_, n = utf8.DecodeRuneInString(t.s[i:])
			}
		} else if most != 0 {
			i, n = strings.LastIndex(t.s[:end], sep.s), len(sep.s)
		}
		if err := st.alloc(80); err != nil {
			return nil, err
		}
		if i < 0 {
			out = append(out, t.slice(0, end))
			break
		}
		out = append(out, t.slice(i+n, end))
		end = i
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return st.pieces(out)
}

// splitLines splits at every kind of line break.
func splitLines(t *Str, keep bool) []*Str {
	var out []*Str
	for pos := 0; pos < len(t.s); {
		i := strings.IndexFunc(t.s[pos:], isLineBreak)
		if i < 0 {
			return append(out, t.slice(pos, len(t.s)))
		}
		end := pos + i
		_, n := utf8.DecodeRuneInString(t.s[end:])
		if strings.HasPrefix(t.s[end:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, t.slice(pos, end+n))
		} else {
			out = append(out, t.slice(pos, end))
		}
		pos = end + n
	}
	return out
}

func methodSplitlines(st *state, t *Str, a *args) (Value, error) {
	p, err := a.bind("splitlines", 0, "keepends")
	if err != nil {
		return nil, err
	}
	return st.pieces(splitLines(t, boolArg(p[0], false)))
}

func partition(name string, find func(s, sep string) int) strMethod {
	return func(_ *state, t *Str, a *args) (Value, error) {
		p, err := a.positional(name, 1, 1)
		if err != nil {
			return nil, err
		}
		sep, err := strArg(p[0])
		if err != nil {
			return nil, err
		}
		if sep.s == "" {
			return nil, valueErrorf("empty separator")
		}
		i := find(t.s, sep.s)
		if i < 0 && name == "partition" {
			return newTuple(t, emptyStr, emptyStr), nil
		}
		if i < 0 {
			return newTuple(emptyStr, emptyStr, t), nil
		}
		j := i + len(sep.s)
		return newTuple(t.slice(0, i), t.slice(i, j), t.slice(j, len(t.s))), nil
	}
}

// window cuts t to the characters from start to end; ok is false where start
// lies behind the end of the string.
func window(t *Str, start, end Value) (s string, offset int, ok bool, err error) {
	if isNone(start) && isNone(end) {
		return t.s, 0, true, nil
	}
	from, _, n, err := sliceIndices([3]Value{start, end, nil}, runeLen(t.s))
	if err != nil {
		return "", 0, false, err
	}
	if first, ok := smallInt(start); ok && n == 0 && first > int64(runeLen(t.s)) {
		return "", 0, false, nil
	}
	i := runeOffset(t.s, from)
	if n == 0 {
		if first, ok := smallInt(start); ok {
			if first < 0 {
				first = max(0, first+int64(runeLen(t.s)))
			}
			from = int(first)
		}
		return "", from, true, nil
	}
	return t.s[i : i+runeOffset(t.s[i:], n)], from, true, nil
}

func affix(name string, has func(s, part string) bool) strMethod {
	return func(_ *state, t *Str, a *args) (Value, error) {
		p, err := a.positional(name, 1, 3)
		if err != nil {
			return nil, err
		}
		s, _, ok, err := window(t, p[1], p[2])
		if err != nil {
			return nil, err
		}
		parts := []Value{p[0]}
		if l, isTuple := p[0].(*List); isTuple && l.tuple {
			parts = l.items
		}
		for _, part := range parts {
			x, isStr := part.(*Str)
			if !isStr {
				if len(parts) == 1 && part == p[0] {
					return nil, typeErrorf("%s first arg must be str or a tuple of str, not %s", name, part.typeName())
				}
				return nil, typeErrorf("tuple for %s must only contain str, not %s", name, part.typeName())
			}
			if ok && has(s, x.s) {
				return pyTrue, nil
			}
		}
		return pyFalse, nil
	}
}

func methodRemovePrefix(_ *state, t *Str, a *args) (Value, error) {
	p, err := a.positional("removeprefix", 1, 1)
	if err != nil {
		return nil, err
	}
	x, err := strArg(p[0])
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(t.s, x.s) {
		return t.slice(len(x.s), len(t.s)), nil
	}
	return t, nil
}

func methodRemoveSuffix(_ *state, t *Str, a *args) (Value, error) {
	p, err := a.positional("removesuffix", 1, 1)
	if err != nil {
		return nil, err
	}
	x, err := strArg(p[0])
	if err != nil {
		return nil, err
	}
	return t.slice(0, len(strings.TrimSuffix(t.s, x.s))), nil
}

func finding(name string, find func(s, part string) int, must bool) strMethod {
	return func(_ *state, t *Str, a *args) (Value, error) {
		p, err := a.positional(name, 1, 3)
		if err != nil {
			return nil, err
		}
		x, err := strArg(p[0])
		if err != nil {
			return nil, err
		}
		s, offset, ok, err := window(t, p[1], p[2])
		if err != nil {
			return nil, err
		}
		if ok {
			if i := find(s, x.s); i >= 0 {
				return integer(offset + runeLen(s[:i])), nil
			}
		}
		if must {
			return nil, valueErrorf("substring not found")
		}
		return Int{N: -1}, nil
	}
}

func methodCount(_ *state, t *Str, a *args) (Value, error) {
	p, err := a.positional("count", 1, 3)
	if err != nil {
		return nil, err
	}
	x, err := strArg(p[0])
	if err != nil {
		return nil, err
	}
	s, _, ok, err := window(t, p[1], p[2])
	if err != nil || !ok {
		return integer(0), err
	}
	return integer(strings.Count(s, x.s)), nil
}

func methodReplace(st *state, t *Str, a *args) (Value, error) {
	p, err := a.bind("replace", 2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	old, err := strArg(p[0])
	if err != nil {
		return nil, typeErrorf("replace() argument 1 must be str, not %s", p[0].typeName())
	}
	with, err := strArg(p[1])
	if err != nil {
		return nil, typeErrorf("replace() argument 2 must be str, not %s", p[1].typeName())
	}
	n, err := intArg(p[2], -1)
	if err != nil {
		return nil, err
	}
	if t.safe {
		with = escapeHTML(with)
	}
	out, err := st.replace(t, old, with, n)
	if err != nil {
		return nil, err
	}
	if t.safe {
		c := *out
		c.safe = true
		out = &c
	}
	return out, nil
}

// replace puts with in the place of the first n occurrences of old, of all
// where n < 0.
func (st *state) replace(t, old, with *Str, n int) (*Str, error) {
	found := strings.Count(t.s, old.s)
	if n >= 0 {
		found = min(found, n)
	}
	if found == 0 {
		return t, nil
	}
	if len(with.s) > 0 && found > st.lim.LiveBytes/len(with.s) {
		return nil, st.alloc(-1)
	}
	if err := st.alloc(len(t.s) + found*(len(with.s)+16*len(with.runs))); err != nil {
		return nil, err
	}
	var b builder
	pos := 0
	for i := range found {
		at := pos
		if old.s == "" {
			if i > 0 {
				at += runeOffset(t.s[pos:], 1)
			}
		} else {
			at += strings.Index(t.s[pos:], old.s)
		}
		b.addRange(t, pos, at)
		b.addStr(with)
		pos = at + len(old.s)
	}
	b.addRange(t, pos, len(t.s))
	return b.str(), nil
}

func methodJoin(st *state, t *Str, a *args) (Value, error) {
	p, err := a.positional("join", 1, 1)
	if err != nil {
		return nil, err
	}
	it, err := st.iterate(p[0])
	if err != nil {
		return nil, typeErrorf("can only join an iterable")
	}
	b := &st.scratch
	start := len(b.buf)
	for i := 0; ; i++ {
		item, ok, err := it.step(st)
		if err != nil {
			return nil, err
		}
		if !ok {
			return value(st.cut(b, start))
		}
		x, isStr := item.(*Str)
		if !isStr {
			return nil, typeErrorf("sequence item %d: expected str instance, %s found", i, item.typeName())
		}
		if i > 0 {
			if err := st.write(b, t); err != nil {
				return nil, err
			}
		}
		if err := st.write(b, x); err != nil {
			return nil, err
		}
	}
}

// pad puts fill characters around t.
func (st *state) pad(t *Str, left, right int, fill *Str) (*Str, error) {
	left, right = max(left, 0), max(right, 0)
	if left+right == 0 {
		return t, nil
	}
	if left+right > st.lim.LiveBytes {
		return nil, st.alloc(-1)
	}
	if err := st.alloc(len(t.s) + (left+right)*len(fill.s)); err != nil {
		return nil, err
	}
	var b builder
	for range left {
		b.addStr(fill)
	}
	b.addStr(t)
	for range right {
		b.addStr(fill)
	}
	return b.str(), nil
}

func (st *state) center(t *Str, width int, fill *Str) (*Str, error) {
	n := width - runeLen(t.s)
	if n <= 0 {
		return t, nil
	}
	left := n/2 + n&width&1
	return st.pad(t, left, n-left, fill)
}

func padArgs(name string, a *args) (int, *Str, error) {
	p, err := a.positional(name, 1, 2)
	if err != nil {
		return 0, nil, err
	}
	width, err := intArg(p[0], 0)
	if err != nil || p[1] == nil {
		return width, text(" "), err
	}
	fill, ok := p[1].(*Str)
	if !ok || runeLen(fill.s) != 1 {
		return 0, nil, typeErrorf("The fill character must be exactly one character long")
	}
	return width, fill, nil
}

func methodCenter(st *state, t *Str, a *args) (Value, error) {
	width, fill, err := padArgs("center", a)
	if err != nil {
		return nil, err
	}
	return value(st.center(t, width, fill))
}

func methodLjust(st *state, t *Str, a *args) (Value, error) {
	width, fill, err := padArgs("ljust", a)
	if err != nil {
		return nil, err
	}
	return value(st.pad(t, 0, width-runeLen(t.s), fill))
}

func methodRjust(st *state, t *Str, a *args) (Value, error) {
	width, fill, err := padArgs("rjust", a)
	if err != nil {
		return nil, err
	}
	return value(st.pad(t, width-runeLen(t.s), 0, fill))
}

func methodZfill(st *state, t *Str, a *args) (Value, error) {
	p, err := a.positional("zfill", 1, 1)
	if err != nil {
		return nil, err
	}
	width, err := intArg(p[0], 0)
	if err != nil {
		return nil, err
	}
	n, sign := width-runeLen(t.s), 0
	if strings.HasPrefix(t.s, "-") || strings.HasPrefix(t.s, "+") {
		sign = 1
	}
	if n <= 0 {
		return t, nil
	}
	rest, err := st.pad(t.slice(sign, len(t.s)), n, 0, text("0"))
	if err != nil {
		return nil, err
	}
	return value(st.join2(t.slice(0, sign), rest))
}

func methodExpandtabs(st *state, t *Str, a *args) (Value, error) {
	p, err := a.bind("expandtabs", 0, "tabsize")
	if err != nil {
		return nil, err
	}
	size, err := intArg(p[0], 8)
	if err != nil {
		return nil, err
	}
	tabs := strings.Count(t.s, "\t")
	if size > st.lim.LiveBytes/max(tabs, 1) {
		return nil, st.alloc(-1)
	}
	if err := st.alloc(len(t.s) + tabs*max(size, 0)); err != nil {
		return nil, err
	}
	col := 0
	return t.perRune(func(r rune, b *builder, org Origin) {
		switch {
		case r == '\t' && size > 0:
			n := size - col%size
			b.add(strings.Repeat(" ", n), org)
			col += n
		case r == '\t':
		default:
			b.addRune(r, org)
			col++
			if r == '\n' || r == '\r' {
				col = 0
			}
		}
	}), nil
}
