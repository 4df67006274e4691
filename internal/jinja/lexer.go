package jinja

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A token is a piece of the source. Its text is the operator, the name, the
// unescaped string, or the digits of a number.
type token struct {
	kind tokenKind
	text string
	pos  int // byte offset in the normalised source
}

type tokenKind byte

const (
	tokEOF tokenKind = iota
	tokData
	tokVariableBegin
	tokVariableEnd
	tokBlockBegin
	tokBlockEnd
	tokName
	tokString
	tokInteger
	tokFloat
	tokOperator
)

var tokenNames = [...]string{"end of template", "template data", "begin of print statement", "end of print statement",
	"begin of statement block", "end of statement block", "name", "string", "integer", "float", "operator"}

func (t token) describe() string {
	switch t.kind {
	case tokName, tokOperator:
		return t.text
	}
	return tokenNames[t.kind]
}

// lexer splits a template into tokens and removes the white space that
// trim_blocks, lstrip_blocks and the signs - and + take away.
type lexer struct {
	src          string
	pos          int
	tokens       []token
	lineStarting bool // what was read last ended in a newline
}

// normalise makes every newline a \n and drops the last one, as jinja2 does.
func normalise(src string) string {
	if strings.Contains(src, "\r") {
		src = strings.ReplaceAll(src, "\r\n", "\n")
		src = strings.ReplaceAll(src, "\r", "\n")
	}
	return strings.TrimSuffix(src, "\n")
}

// lex splits a normalised source.
func lex(src string) ([]token, int, error) {
	l := &lexer{src: src, lineStarting: true}
	l.tokens = make([]token, 0, len(src)/6+8)
	for l.pos < len(l.src) {
		if err := l.root(); err != nil {
			return nil, l.pos, err
		}
	}
	l.emit(tokEOF, "", len(src))
	return l.tokens, 0, nil
}

func (l *lexer) emit(kind tokenKind, text string, pos int) {
	l.tokens = append(l.tokens, token{kind, text, pos})
}

// root reads data up to the next tag, and the tag.
func (l *lexer) root() error {
	start, tag := l.pos, l.pos
	for {
		i := strings.IndexByte(l.src[tag:], '{')
		if i < 0 || tag+i+1 >= len(l.src) {
			l.data(l.src[start:], start)
			l.pos = len(l.src)
			return nil
		}
		tag += i
		if c := l.src[tag+1]; c == '{' || c == '%' || c == '#' {
			break
		}
		tag++
	}
	data := l.src[start:tag]
	l.pos = tag + 2
	kind := l.src[tag+1]
	sign := l.sign()
	data = l.strip(data, sign, kind != '{')
	l.data(data, start)
	switch kind {
	case '#':
		return l.comment(tag)
	case '{':
		l.emit(tokVariableBegin, "", tag)
		return l.code(tag, tokVariableEnd)
	}
	if end, ok := l.rawBegin(); ok {
		l.advance(end)
		return l.raw(tag)
	}
	l.emit(tokBlockBegin, "", tag)
	return l.code(tag, tokBlockEnd)
}

func (l *lexer) data(s string, pos int) {
	if s != "" {
		l.emit(tokData, s, pos)
	}
}

// sign reads the - or + of a tag's beginning.
func (l *lexer) sign() byte {
	if l.pos < len(l.src) && (l.src[l.pos] == '-' || l.src[l.pos] == '+') {
		l.pos++
		return l.src[l.pos-1]
	}
	return 0
}

// strip takes white space off the data before a tag.
func (l *lexer) strip(data string, sign byte, lstripBlocks bool) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(data, IsSpace)
	case sign == '+' || !lstripBlocks:
		return data
	}
	line := strings.LastIndexByte(data, '\n') + 1
	if (line > 0 || l.lineStarting) && strings.TrimLeftFunc(data[line:], IsSpace) == "" {
		return data[:line]
	}
	return data
}

// advance moves to end and notes how the text up to there ended.
func (l *lexer) advance(end int) {
	if end > 0 {
		l.lineStarting = l.src[end-1] == '\n'
	}
	l.pos = end
}

func (l *lexer) skipSpace(pos int) int {
	for pos < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[pos:])
		if !IsSpace(r) {
			break
		}
		pos += n
	}
	return pos
}

// closing matches a tag's end at pos: "-%}" with the white space after it,
// "+%}" as it is, "%}" with one newline where trim says so.
func (l *lexer) closing(pos int, end string, plus, trim bool) (int, bool) {
	rest := l.src[pos:]
	switch {
	case strings.HasPrefix(rest, "-"+end):
		return l.skipSpace(pos + 1 + len(end)), true
	case plus && strings.HasPrefix(rest, "+"+end):
		return pos + 1 + len(end), true
	case strings.HasPrefix(rest, end):
		pos += len(end)
		if trim && pos < len(l.src) && l.src[pos] == '\n' {
			pos++
		}
		return pos, true
	}
	return 0, false
}

func (l *lexer) comment(tag int) error {
	i := strings.Index(l.src[l.pos:], "#}")
	if i < 0 {
		l.pos = tag
		return failf(KindSyntax, "Missing end of comment tag")
	}
	end := l.pos + i
	if end > l.pos && (l.src[end-1] == '-' || l.src[end-1] == '+') {
		end--
	}
	end, _ = l.closing(end, "#}", true, true)
	l.advance(end)
	return nil
}

// rawBegin matches the rest of "{% raw %}".
func (l *lexer) rawBegin() (int, bool) {
	pos := l.skipSpace(l.pos)
	if !strings.HasPrefix(l.src[pos:], "raw") {
		return 0, false
	}
	return l.closing(l.skipSpace(pos+3), "%}", false, false)
}

func (l *lexer) raw(tag int) error {
	start := l.pos
	for pos := start; ; pos++ {
		i := strings.Index(l.src[pos:], "{%")
		if i < 0 {
			l.pos = tag
			return failf(KindSyntax, "Missing end of raw directive")
		}
		pos += i
		l.pos = pos + 2
		sign := l.sign()
		p := l.skipSpace(l.pos)
		if !strings.HasPrefix(l.src[p:], "endraw") {
			continue
		}
		if end, ok := l.closing(l.skipSpace(p+6), "%}", true, true); ok {
			l.data(l.strip(l.src[start:pos], sign, true), start)
			l.advance(end)
			return nil
		}
	}
}

// code reads tokens up to the end of the tag.
func (l *lexer) code(tag int, endKind tokenKind) error {
	end, isBlock := "}}", false
	if endKind == tokBlockEnd {
		end, isBlock = "%}", true
	}
	var open []byte // brackets that must be closed before the tag may end
	for {
		if l.pos >= len(l.src) {
			l.pos = tag
			return failf(KindSyntax, "unexpected end of template, expected '%s'", end)
		}
		if len(open) == 0 {
			if e, ok := l.closing(l.pos, end, isBlock, isBlock); ok {
				l.emit(endKind, "", l.pos)
				l.advance(e)
				return nil
			}
		}
		r, n := utf8.DecodeRuneInString(l.src[l.pos:])
		switch {
		case IsSpace(r):
			l.pos += n
		case r >= '0' && r <= '9':
			l.number()
		case r == '_' || unicode.IsLetter(r):
			l.name()
		case r == '"' || r == '\'':
			if err := l.string(byte(r)); err != nil {
				return err
			}
		default:
			var err error
			if open, err = l.operator(open); err != nil {
				return err
			}
		}
	}
}

func (l *lexer) name() {
	start := l.pos
	for l.pos < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[l.pos:])
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) {
			break
		}
		l.pos += n
	}
	l.emit(tokName, l.src[start:l.pos], start)
}

// digits reads digits of a base, each possibly after one underscore.
func (l *lexer) digits(pos, base int) int {
	isDigit := func(i int) bool {
		if i >= len(l.src) {
			return false
		}
		c := l.src[i] | 0x20
		return l.src[i] >= '0' && l.src[i] <= '9' && int(l.src[i]-'0') < base || base == 16 && c >= 'a' && c <= 'f'
	}
	for isDigit(pos) || pos < len(l.src) && l.src[pos] == '_' && isDigit(pos+1) {
		pos++
	}
	return pos
}

func (l *lexer) number() {
	start := l.pos
	afterDot := start > 0 && l.src[start-1] == '.'
	if end, ok := l.float(start); ok && !afterDot {
		l.pos = end
		l.emit(tokFloat, strings.ReplaceAll(l.src[start:end], "_", ""), start)
		return
	}
	end := l.digits(start, 10)
	if l.src[start] == '0' {
		end = start + 1
		base := 0
		if end < len(l.src) {
			base = map[byte]int{'b': 2, 'o': 8, 'x': 16}[l.src[end]|0x20]
		}
		if e := l.digits(end+1, base); base > 0 && e > end+1 {
			end = e
		} else {
			for end < len(l.src) && (l.src[end] == '0' || l.src[end] == '_' && end+1 < len(l.src) && l.src[end+1] == '0') {
				end++
			}
		}
	}
	l.pos = end
	l.emit(tokInteger, strings.ReplaceAll(l.src[start:end], "_", ""), start)
}

// float matches 1.5, 1e5 and 1.5e-5 at pos.
func (l *lexer) float(pos int) (int, bool) {
	pos = l.digits(pos, 10)
	ok := false
	if e := l.digits(pos+1, 10); pos < len(l.src) && l.src[pos] == '.' && e > pos+1 && l.src[pos+1] != '_' {
		pos, ok = e, true
	}
	if pos < len(l.src) && l.src[pos]|0x20 == 'e' {
		p := pos + 1
		if p < len(l.src) && (l.src[p] == '+' || l.src[p] == '-') {
			p++
		}
		if e := l.digits(p, 10); e > p && l.src[p] != '_' {
			pos, ok = e, true
		}
	}
	return pos, ok
}

// intLiteral is the value of an integer token.
func intLiteral(digits string) (Value, error) {
	n, ok := new(big.Int).SetString(digits, 0)
	if !ok {
		// Python reads 00 as 0.
		n = new(big.Int)
	}
	return fromBig(n, FromTemplate)
}

var operators = []string{"**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

func (l *lexer) operator(open []byte) ([]byte, error) {
	rest := l.src[l.pos:]
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		switch op {
		case "(", "[", "{":
			open = append(open, closer[op[0]])
		case ")", "]", "}":
			if len(open) == 0 {
				return nil, failf(KindSyntax, "unexpected '%s'", op)
			}
			want := open[len(open)-1]
			if want != op[0] {
				return nil, failf(KindSyntax, "unexpected '%s', expected '%c'", op, want)
			}
			open = open[:len(open)-1]
		}
		l.emit(tokOperator, op, l.pos)
		l.pos += len(op)
		return open, nil
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return nil, failf(KindSyntax, "unexpected char %s", reprOf(string(r)))
}

var closer = map[byte]byte{'(': ')', '[': ']', '{': '}'}

// string reads a quoted string and undoes its escapes.
func (l *lexer) string(quote byte) error {
	start := l.pos
	escaped := false
	for i := start + 1; i < len(l.src); i++ {
		switch l.src[i] {
		case '\\':
			escaped = true
			i++
		case quote:
			s := l.src[start+1 : i]
			if escaped {
				var err error
				if s, err = unescape(s); err != nil {
					return err
				}
			}
			l.emit(tokString, s, start)
			l.pos = i + 1
			return nil
		}
	}
	return failf(KindSyntax, "unexpected char %s: the string has no end", reprOf(string(quote)))
}

var simpleEscapes = map[byte]string{'\n': "", '\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}

// unescape undoes Python's string escapes; unknown ones stay as they are.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if e, ok := simpleEscapes[s[i]]; ok {
			b.WriteString(e)
			continue
		}
		n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i]]
		switch {
		case n > 0:
			v, err := uint64(0), error(strconv.ErrSyntax)
			if i+1+n <= len(s) {
				v, err = strconv.ParseUint(s[i+1:i+1+n], 16, 32)
			}
			if err != nil {
				return "", failf(KindSyntax, "truncated \\%c escape", s[i])
			}
			if v > unicode.MaxRune {
				return "", failf(KindSyntax, "illegal Unicode character")
			}
			b.WriteRune(rune(v))
			i += n
		case s[i] >= '0' && s[i] <= '7':
			v := 0
			end := min(i+3, len(s))
			for ; i < end && s[i] >= '0' && s[i] <= '7'; i++ {
				v = v*8 + int(s[i]-'0')
			}
			i--
			b.WriteRune(rune(v))
		case s[i] == 'N':
			return "", failf(KindSyntax, "character names (\\N) are not known here")
		default:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}
