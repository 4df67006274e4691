package chatformat

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/limits"
)

// A literal is a value as programs write it: JSON, Python (True, None, 'a',
// (1, 2)), or what Gemma makes of it, with bare words as keys and strings
// between marks of their own. It becomes JSON.
type literalReader struct {
	text  string
	n     int
	last  bool
	quote string // a mark around strings, besides ' and "; "" for none
	depth int
	out   strings.Builder
}

// literalJSON turns a whole text that is one literal into JSON.
func literalJSON(text string) (string, bool) {
	l := literalReader{text: strings.TrimSpace(text), last: true}
	if l.value() != done || l.n != len(l.text) {
		return "", false
	}
	return l.out.String(), true
}

func (l *literalReader) rest() string { return l.text[l.n:] }

// skip passes over white space and reports whether there is text behind it.
func (l *literalReader) skip() bool {
	l.n += spaces(l.rest())
	return l.n < len(l.text)
}

// next takes a text that the literal must go on with.
func (l *literalReader) next(want string) status {
	switch rest := l.rest(); {
	case strings.HasPrefix(rest, want):
		l.n += len(want)
		return done
	case strings.HasPrefix(want, rest):
		return wait(l.last)
	}
	return broken
}

func (l *literalReader) value() status {
	if !l.skip() {
		return wait(l.last)
	}
	if l.quote != "" {
		switch l.next(l.quote) {
		case done:
			return l.marked()
		case more:
			return more
		}
	}
	switch c := l.text[l.n]; c {
	case '{':
		return l.list('{', '}')
	case '[':
		return l.list('[', ']')
	case '(':
		return l.list('(', ')')
	case '"', '\'':
		text, s := l.quoted()
		if s == done {
			l.out.WriteString(quoteJSON(text))
		}
		return s
	}
	return l.scalar()
}

// marked is a string between marks, which has no escapes.
func (l *literalReader) marked() status {
	end := strings.Index(l.rest(), l.quote)
	if end < 0 {
		return wait(l.last)
	}
	l.out.WriteString(quoteJSON(l.rest()[:end]))
	l.n += end + len(l.quote)
	return done
}

// quoted is a string in Python's or JSON's manner.
func (l *literalReader) quoted() (string, status) {
	quote := l.text[l.n]
	var b strings.Builder
	for i := l.n + 1; i < len(l.text); {
		switch c := l.text[i]; c {
		case quote:
			l.n = i + 1
			return b.String(), done
		case '\\':
			text, size := unescape(l.text[i:])
			if size == 0 {
				return "", wait(l.last)
			}
			b.WriteString(text)
			i += size
		default:
			b.WriteByte(c)
			i++
		}
	}
	return "", wait(l.last)
}

// unescape gives what an escape stands for and its length; 0 where text is too
// short to tell. One that neither Python nor JSON knows stays as it is.
func unescape(text string) (string, int) {
	if len(text) < 2 {
		return "", 0
	}
	simple := map[byte]string{'n': "\n", 't': "\t", 'r': "\r", 'b': "\b", 'f': "\f", 'a': "\a", 'v': "\v", '0': "\x00",
		'\\': `\`, '/': "/", '\'': "'", '"': `"`, '\n': ""}
	if s, ok := simple[text[1]]; ok {
		return s, 2
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[1]]
	switch {
	case digits == 0:
		return text[:2], 2
	case len(text) < 2+digits:
		return "", 0
	case text[1] == 'u':
		switch n := escapeLength(text); {
		case n == 0:
			return "", 0
		case n > 0:
			var s string
			if json.Unmarshal([]byte(`"`+text[:n]+`"`), &s) == nil {
				return s, n
			}
		}
		return text[:2], 2
	}
	var r rune
	for _, c := range []byte(text[2 : 2+digits]) {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if d < 0 {
			return text[:2], 2
		}
		r = r<<4 | rune(d)
	}
	if !utf8.ValidRune(r) {
		r = unicode.ReplacementChar
	}
	return string(r), 2 + digits
}

// list is what stands between brackets.
func (l *literalReader) list(open, end byte) status {
	l.depth++
	if limits.ToolCallDepth.CheckInt(l.depth) != nil {
		return broken
	}
	l.n++
	brackets := "[]"
	if open == '{' {
		brackets = "{}"
	}
	l.out.WriteByte(brackets[0])
	for first := true; ; first = false {
		if !l.skip() {
			return wait(l.last)
		}
		if l.text[l.n] == end {
			l.n++
			l.out.WriteByte(brackets[1])
			l.depth--
			return done
		}
		if !first {
			if l.text[l.n] != ',' {
				return broken
			}
			l.n++
			if !l.skip() {
				return wait(l.last)
			}
			if l.text[l.n] == end {
				continue // a comma behind the last value
			}
			l.out.WriteString(", ")
		}
		if open == '{' {
			if s := l.key(); s != done {
				return s
			}
		}
		if s := l.value(); s != done {
			return s
		}
	}
}

// key is a string, or where strings have marks of their own a bare word, with
// the colon behind it.
func (l *literalReader) key() status {
	marked := broken
	if l.quote != "" {
		marked = l.next(l.quote)
	}
	switch c := l.text[l.n:]; {
	case marked == more:
		return more
	case marked == done:
		if s := l.marked(); s != done {
			return s
		}
	case c[0] == '"' || c[0] == '\'':
		text, s := l.quoted()
		if s != done {
			return s
		}
		l.out.WriteString(quoteJSON(text))
	case l.quote == "":
		return broken
	default:
		end := strings.IndexByte(c, ':')
		if end < 0 {
			return wait(l.last)
		}
		l.out.WriteString(quoteJSON(strings.TrimSpace(c[:end])))
		l.n += end
	}
	if !l.skip() {
		return wait(l.last)
	}
	if l.text[l.n] != ':' {
		return broken
	}
	l.n++
	l.out.WriteString(": ")
	return done
}

// scalar is a number or a word.
func (l *literalReader) scalar() status {
	rest := l.rest()
	end := strings.IndexFunc(rest, func(r rune) bool {
		return !(unicode.IsLetter(r) || unicode.IsDigit(r) || r == '+' || r == '-' || r == '.' || r == '_')
	})
	if end < 0 {
		if !l.last {
			return more
		}
		end = len(rest)
	}
	word := rest[:end]
	switch word {
	case "True":
		word = "true"
	case "False":
		word = "false"
	case "None":
		word = "null"
	}
	if word == "" || !json.Valid([]byte(word)) {
		return broken
	}
	l.out.WriteString(word)
	l.n += end
	return done
}

// pythonCall is a call as Python writes it: name(key=value, …).
func pythonCall(c *call, text string, last bool) (n int, s status) {
	w, s := word(text, last)
	if s != done {
		return 0, s
	}
	l := literalReader{text: text, n: len(w), last: last}
	if s := l.next("("); s != done || !c.named(w) {
		return 0, s
	}
	l.out.WriteByte('{')
	for first := true; ; first = false {
		if !l.skip() {
			return 0, wait(last)
		}
		if l.text[l.n] == ')' {
			break
		}
		if !first {
			if l.text[l.n] != ',' {
				return 0, broken
			}
			l.n++
			if !l.skip() {
				return 0, wait(last)
			}
			if l.text[l.n] == ')' {
				break
			}
			l.out.WriteString(", ")
		}
		key, s := word(l.rest(), last)
		if s != done {
			return 0, s
		}
		l.n += len(key)
		l.skip()
		if s := l.next("="); s != done {
			return 0, s
		}
		l.out.WriteString(quoteJSON(key) + ": ")
		if s := l.value(); s != done {
			return 0, s
		}
	}
	l.out.WriteByte('}')
	if !c.begin() {
		return 0, broken
	}
	c.argue(l.out.String())
	return l.n + 1, done
}

// jsonOrPythonCall is a call as either of them writes it.
func jsonOrPythonCall(c *call, text string, last bool) (n int, s status) {
	n = spaces(text)
	switch _, begun := c.state.(*jsonCallState); {
	case begun:
		return jsonCall(c, text, last)
	case n == len(text):
		return 0, wait(last)
	case text[n] == '{':
		return jsonCall(c, text, last)
	}
	size, s := pythonCall(c, text[n:], last)
	if s != done {
		return 0, s
	}
	return n + size, done
}

// bracedArguments are arguments as Gemma writes them: {key:value, …}, strings
// between marks.
func bracedArguments(quote string) step {
	return func(c *call, text string, last bool) (int, status) {
		l := literalReader{text: text, last: last, quote: quote}
		if text == "" {
			return 0, wait(last)
		}
		if text[0] != '{' {
			return 0, broken
		}
		if s := l.value(); s != done {
			return 0, s
		}
		if !c.begin() {
			return 0, broken
		}
		c.argue(l.out.String())
		return l.n, done
	}
}
