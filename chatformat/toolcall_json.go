package chatformat

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"parley/internal/limits"
)

// A jsonText reads one JSON value from text that arrives in pieces, and passes
// it on as valid JSON. An escape, a number and a word (true) are taken whole.
// What models write within strings and JSON forbids becomes what was meant:
// control characters, and backslashes that escape nothing, are escaped, and \'
// is an apostrophe. All else stays as it was written.
type jsonText struct {
	out strings.Builder // what was read and is to be passed on

	stack  []byte // the brackets that are open
	expect jsonExpect
}

type jsonExpect uint8

const (
	expectValue    jsonExpect = iota
	expectKeyOrEnd            // behind {
	expectKey                 // behind a comma in an object
	expectColon
	expectValueOrEnd // behind [
	expectNext       // a comma, or the end of what is open
	insideKey
	insideString
)

const jsonSpace = " \t\r\n"

// read takes of text what belongs to the value. It is done at the value's last
// character.
func (j *jsonText) read(text string, last bool) (n int, s status) {
	for n < len(text) {
		size, s := j.one(text[n:], last)
		if s == broken {
			return n, broken
		}
		n += size
		if s == done {
			return n, done
		}
		if size == 0 {
			break
		}
	}
	if last {
		return n, broken
	}
	return n, more
}

// one takes a character, an escape, a number or a word; 0 is none of it
// because it might go on.
func (j *jsonText) one(text string, last bool) (n int, s status) {
	c := text[0]
	if j.expect == insideKey || j.expect == insideString {
		return j.within(text, last)
	}
	if strings.IndexByte(jsonSpace, c) >= 0 {
		return j.pass(text[:1]), more
	}
	switch j.expect {
	case expectColon:
		if c != ':' {
			return 0, broken
		}
		j.expect = expectValue
		return j.pass(":"), more
	case expectKeyOrEnd, expectKey:
		switch {
		case c == '"':
			j.expect = insideKey
			return j.pass(`"`), more
		case c == '}' && j.expect == expectKeyOrEnd:
			return j.close(c)
		}
		return 0, broken
	case expectNext:
		switch {
		case c == '}' || c == ']':
			return j.close(c)
		case c != ',':
			return 0, broken
		case j.stack[len(j.stack)-1] == '{':
			j.expect = expectKey
		default:
			j.expect = expectValue
		}
		return j.pass(","), more
	}
	switch c {
	case '{', '[':
		if limits.ToolCallDepth.CheckInt(len(j.stack)+1) != nil {
			return 0, broken
		}
		j.stack = append(j.stack, c)
		j.expect = expectKeyOrEnd
		if c == '[' {
			j.expect = expectValueOrEnd
		}
		return j.pass(text[:1]), more
	case ']':
		if j.expect == expectValueOrEnd {
			return j.close(c)
		}
		return 0, broken
	case '"':
		j.expect = insideString
		return j.pass(`"`), more
	}
	return j.scalar(text, last)
}

func (j *jsonText) pass(text string) int {
	j.out.WriteString(text)
	return len(text)
}

// ended says that a value has ended, and whether it was the whole one.
func (j *jsonText) ended() status {
	if len(j.stack) == 0 {
		return done
	}
	j.expect = expectNext
	return more
}

func (j *jsonText) close(c byte) (int, status) {
	open := j.stack[len(j.stack)-1]
	if (c == '}') != (open == '{') {
		return 0, broken
	}
	j.stack = j.stack[:len(j.stack)-1]
	j.out.WriteByte(c)
	return 1, j.ended()
}

// within takes a character of a string.
func (j *jsonText) within(text string, last bool) (int, status) {
	switch c := text[0]; {
	case c == '"':
		j.out.WriteByte(c)
		if j.expect == insideKey {
			j.expect = expectColon
			return 1, more
		}
		return 1, j.ended()
	case c == '\\':
		n := escapeLength(text)
		switch {
		case n < 0 && text[1] == '\'': // as Python and JavaScript have it
			j.out.WriteByte('\'')
			return 2, more
		case n < 0 && text[1] != 'u':
			j.out.WriteString(`\\`)
			return 1, more
		case n < 0 || n == 0 && last:
			return 0, broken
		case n == 0:
			return 0, more
		}
		return j.pass(text[:n]), more
	case c < ' ':
		escaped, _ := json.Marshal(text[:1])
		j.out.Write(escaped[1 : len(escaped)-1])
		return 1, more
	}
	end := strings.IndexFunc(text, func(r rune) bool { return r == '"' || r == '\\' || r < ' ' })
	if end < 0 {
		end = len(text)
	}
	return j.pass(text[:end]), more
}

// escapeLength is the length of the escape that text begins with, both halves
// of a pair of surrogates together; 0 where text is too short to tell, -1 for
// none that JSON knows.
func escapeLength(text string) int {
	if len(text) < 2 {
		return 0
	}
	if text[1] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, text[1]) < 0 {
			return -1
		}
		return 2
	}
	const size = len(`\u0000`)
	for _, c := range []byte(text[2:min(size, len(text))]) {
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return -1
		}
	}
	if len(text) < size {
		return 0
	}
	if high := strings.ToLower(text[2:4]); high < "d8" || high > "db" {
		return size
	}
	rest := text[size:]
	if rest == "" || rest == `\` || strings.HasPrefix(rest, `\u`) && len(rest) < size {
		return 0
	}
	if strings.HasPrefix(rest, `\u`) && escapeLength(rest) > 0 {
		return 2 * size
	}
	return size
}

// scalar takes a number or a word, once it is known where it ends.
func (j *jsonText) scalar(text string, last bool) (int, status) {
	end := strings.IndexFunc(text, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '+' || r == '-' || r == '.')
	})
	const longest = 512 // of a number
	switch {
	case end > longest || end < 0 && len(text) > longest:
		return 0, broken
	case end < 0 && !last:
		return 0, more
	case end < 0:
		end = len(text)
	}
	if !json.Valid([]byte(text[:end])) {
		return 0, broken
	}
	return j.pass(text[:end]), j.ended()
}

// take gives what has been read since the last call.
func (j *jsonText) take() string {
	text := j.out.String()
	j.out.Reset()
	return text
}

// quoteJSON is a text as a JSON string.
func quoteJSON(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil { // no string fails
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// isObject reports whether text is one JSON object, and a text that a client
// can read.
func isObject(text string) bool {
	return strings.HasPrefix(strings.TrimLeft(text, jsonSpace), "{") && utf8.ValidString(text) && json.Valid([]byte(text))
}
