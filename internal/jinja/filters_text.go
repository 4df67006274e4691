package jinja

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

var htmlEscapes = map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '"': "&#34;", '\'': "&#39;"}

// escapeHTML is markupsafe's escape.
func escapeHTML(t *Str) *Str {
	if t.safe {
		return t
	}
	out := *t.perRune(func(r rune, b *builder, org Origin) {
		if e, ok := htmlEscapes[r]; ok {
			b.add(e, org)
			return
		}
		b.addRune(r, org)
	})
	out.safe = true
	return &out
}

func filterEscape(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("escape", 0); err != nil {
		return nil, err
	}
	t, err := st.soft(v)
	if err != nil {
		return nil, err
	}
	return escapeHTML(t), st.alloc(5 * len(t.s))
}

func filterForceEscape(st *state, v Value, a *args) (Value, error) {
	t, err := st.str(v)
	if err != nil {
		return nil, err
	}
	return filterEscape(st, t, a)
}

// filterTitle is jinja2's own title: the first character of each word is a
// capital, and words end at space, - ( { [ and <.
func filterTitle(t *Str) *Str {
	between := func(r rune) bool { return IsSpace(r) || strings.ContainsRune("-({[<", r) }
	return casing(t, func(runes []rune, i int, b *builder, org Origin) {
		if i == 0 || between(runes[i-1]) {
			addUpper(runes[i], b, org)
			return
		}
		lowerAt(runes, i, b, org)
	})
}

func filterCenter(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("center", 0, "width")
	if err != nil {
		return nil, err
	}
	t, err := st.soft(v)
	if err != nil {
		return nil, err
	}
	width, err := intArg(p[0], 80)
	if err != nil {
		return nil, err
	}
	return value(st.center(t, width, text(" ")))
}

func filterFormat(st *state, v Value, a *args) (Value, error) {
	t, err := st.soft(v)
	if err != nil {
		return nil, err
	}
	if len(a.pos) > 0 && len(a.named) > 0 {
		return nil, failf(KindRuntime, "can't handle positional and keyword arguments at the same time")
	}
	if len(a.named) > 0 {
		d := NewDict()
		for i, name := range a.names {
			d.Set(name, a.named[i])
		}
		return st.percent(t, d)
	}
	return st.percent(t, newTuple(a.pos...))
}

func filterIndent(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("indent", 0, "width", "first", "blank")
	if err != nil {
		return nil, err
	}
	t, ok := v.(*Str)
	if !ok {
		if u, ok := v.(*undefined); ok {
			return nil, u.err()
		}
		return nil, typeErrorf("unsupported operand type(s) for +=: '%s' and 'str'", v.typeName())
	}
	indent, ok := p[0].(*Str)
	if !ok {
		n, err := intArg(p[0], 4)
		if err != nil {
			return nil, err
		}
		if err := st.alloc(max(n, 0)); err != nil {
			return nil, err
		}
		indent = text(strings.Repeat(" ", max(n, 0)))
	}
	// jinja2 adds a newline and splits, so a final newline is kept.
	lines := splitLines(t, false)
	if strings.HasSuffix(t.s, "\n") || t.s == "" || endsInBreak(t.s) {
		lines = append(lines, emptyStr)
	}
	var b builder
	for i, line := range lines {
		if err := st.writable(&b, len(line.s)+len(indent.s)+1); err != nil {
			return nil, err
		}
		if i > 0 {
			b.add("\n", FromTemplate)
		}
		if i == 0 && boolArg(p[1], false) || i > 0 && (line.s != "" || boolArg(p[2], false)) {
			b.addStr(indent)
		}
		b.addStr(line)
	}
	return b.str(), nil
}

// endsInBreak reports whether the last character is a line break.
func endsInBreak(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return s != "" && isLineBreak(r)
}

func filterTruncate(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("truncate", 0, "length", "killwords", "end", "leeway")
	if err != nil {
		return nil, err
	}
	t, ok := v.(*Str)
	if !ok {
		_, err := st.length(v)
		if err == nil {
			err = typeErrorf("'%s' object cannot be truncated", v.typeName())
		}
		return nil, err
	}
	length, err := intArg(p[0], 255)
	if err != nil {
		return nil, err
	}
	end, err := st.textArg(p[2], "...")
	if err != nil {
		return nil, err
	}
	leeway := 5
	if !isNone(p[3]) {
		if leeway, err = intArg(p[3], 5); err != nil {
			return nil, err
		}
	}
	keep := length - runeLen(end.s)
	if keep < 0 {
		return nil, failf(KindRuntime, "expected length >= %d, got %d", runeLen(end.s), length)
	}
	if leeway < 0 {
		return nil, failf(KindRuntime, "expected leeway >= 0, got %d", leeway)
	}
	if runeLen(t.s) <= length+leeway {
		return t, nil
	}
	t = t.slice(0, runeOffset(t.s, keep))
	if !boolArg(p[1], false) {
		if i := strings.LastIndexByte(t.s, ' '); i >= 0 {
			t = t.slice(0, i)
		}
	}
	return value(st.join2(t, end))
}

func filterWordcount(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("wordcount", 0); err != nil {
		return nil, err
	}
	t, err := st.soft(v)
	if err != nil {
		return nil, err
	}
	words, inside := 0, false
	for _, r := range t.s {
		word := r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r)
		if word && !inside {
			words++
		}
		inside = word
	}
	return integer(words), nil
}

func filterStriptags(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("striptags", 0); err != nil {
		return nil, err
	}
	t, err := st.str(v)
	if err != nil {
		return nil, err
	}
	if err := st.alloc(2 * len(t.s)); err != nil {
		return nil, err
	}
	t = cutTags(cutTags(t, "<!--", "-->"), "<", ">")
	// Runs of white space become one space.
	var b builder
	for i, w := range fields(t, -1) {
		if i > 0 {
			b.add(" ", FromTemplate)
		}
		b.addStr(w)
	}
	out := b.str()
	var u builder
	for i := 0; i < len(out.s); {
		n := 0
		for r, e := range htmlEscapes {
			if strings.HasPrefix(out.s[i:], e) {
				u.addRune(r, out.originAt(i))
				n = len(e)
			}
		}
		if n == 0 {
			n = runeOffset(out.s[i:], 1)
			u.addRange(out, i, i+n)
		}
		i += n
	}
	return u.str(), nil
}

// cutTags removes what stands between the marks, and the marks.
func cutTags(t *Str, open, shut string) *Str {
	var b builder
	pos := 0
	for {
		i := strings.Index(t.s[pos:], open)
		if i < 0 {
			break
		}
		j := strings.Index(t.s[pos+i:], shut)
		if j < 0 {
			break
		}
		b.addRange(t, pos, pos+i)
		pos += i + j + len(shut)
	}
	b.addRange(t, pos, len(t.s))
	return b.str()
}

func filterURLEncode(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("urlencode", 0); err != nil {
		return nil, err
	}
	var b builder
	quote := func(v Value, query bool) error {
		t, err := st.str(v)
		if err != nil {
			return err
		}
		if err := st.writable(&b, 3*len(t.s)); err != nil {
			return err
		}
		for i := range len(t.s) {
			c := t.s[i]
			switch {
			case c < utf8.RuneSelf && (unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c))) || strings.IndexByte("_.-~", c) >= 0, c == '/' && !query:
				b.add(string(rune(c)), t.originAt(i))
			case c == ' ' && query:
				b.add("+", t.originAt(i))
			default:
				b.add(fmt.Sprintf("%%%02X", c), t.originAt(i))
			}
		}
		return nil
	}
	var pairs []Value
	switch v := v.(type) {
	case *Dict:
		for i := range v.Len() {
			pairs = append(pairs, v.pair(i))
		}
	case *List, *generator, *view:
		var err error
		if pairs, err = st.listOf(v); err != nil {
			return nil, err
		}
	default:
		err := quote(v, false)
		return b.str(), err
	}
	for i, p := range pairs {
		if i > 0 {
			b.add("&", FromTemplate)
		}
		kv, err := st.unpackable(p)
		if err != nil {
			return nil, err
		}
		if len(kv.items) != 2 {
			return nil, valueErrorf("not enough values to unpack (expected 2, got %d)", len(kv.items))
		}
		if err := quote(kv.items[0], true); err != nil {
			return nil, err
		}
		b.add("=", FromTemplate)
		if err := quote(kv.items[1], true); err != nil {
			return nil, err
		}
	}
	return b.str(), nil
}

func filterXMLAttr(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("xmlattr", 0, "autospace")
	if err != nil {
		return nil, err
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, noAttribute(v, "items")
	}
	var b builder
	for i, k := range d.keys {
		if _, isUndefined := d.vals[i].(*undefined); isUndefined || isNone(d.vals[i]) {
			continue
		}
		key, err := strArg(k)
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(key.s, " \t\n\r\v\f/>=") {
			return nil, valueErrorf("Invalid character in attribute name: %s", reprOf(key.s))
		}
		val, err := st.soft(d.vals[i])
		if err != nil {
			return nil, err
		}
		if err := st.writable(&b, 5*(len(val.s)+len(key.s))); err != nil {
			return nil, err
		}
		if b.len() > 0 || boolArg(p[0], true) {
			b.add(" ", FromTemplate)
		}
		b.addStr(escapeHTML(key))
		b.add("=\"", FromTemplate)
		b.addStr(escapeHTML(val))
		b.add("\"", FromTemplate)
	}
	return b.str(), nil
}

func filterFilesize(_ *state, v Value, a *args) (Value, error) {
	p, err := a.bind("filesizeformat", 0, "binary")
	if err != nil {
		return nil, err
	}
	f, ok := number(v)
	if t, isStr := v.(*Str); isStr {
		f, ok = parsePyFloat(t.s)
	}
	if !ok {
		return nil, typeErrorf("float() argument must be a string or a real number, not '%s'", v.typeName())
	}
	base, prefixes := 1000.0, "kMGTPEZY"
	suffix := "B"
	if boolArg(p[0], false) {
		base, prefixes, suffix = 1024, "KMGTPEZY", "iB"
	}
	out := ""
	switch {
	case f == 1:
		out = "1 Byte"
	case f < base:
		out = fmt.Sprintf("%d Bytes", int64(f))
	default:
		unit := base
		for i, prefix := range prefixes {
			unit = math.Pow(base, float64(i+2))
			out = fmt.Sprintf("%.1f %c%s", base*f/unit, prefix, suffix)
			if f < unit {
				break
			}
		}
	}
	return &Str{s: out, org: originOf(v)}, nil
}

func noAttribute(v Value, name string) error {
	if u, ok := v.(*undefined); ok {
		return u.err()
	}
	return failf(KindRuntime, "'%s' object has no attribute '%s'", v.typeName(), name)
}
