package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"parley/internal/limits"
	"parley/llm"
)

// A Value is one JSON value of a body that has been checked, without space
// around it. It is a slice of the body: taking a body apart copies nothing,
// however large its pictures are, and keeps the names of fields exactly as
// they were sent (encoding/json would let "Model" override "model").
type Value []byte

// Parse checks a body once, so that everything below may rely on it: it is
// one JSON value in UTF-8, nested no deeper than allowed. A byte order mark is
// skipped. Half of a surrogate pair in an escape becomes U+FFFD when its
// string is read.
func Parse(body []byte) (Value, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if at := invalidUTF8(body); at >= 0 {
		return nil, llm.Errorf(llm.Invalid, "", "the body is not UTF-8 (at byte %d)", at)
	}
	body = bytes.Trim(body, " \t\r\n")
	if len(body) == 0 {
		return nil, &llm.Error{Code: llm.Invalid, Message: "the body is empty", Hint: "send a JSON object"}
	}
	if err := limits.JSONDepth.CheckInt(depth(body)); err != nil {
		return nil, llm.Errorf(llm.Invalid, "", "the body is nested too deeply: %v", err)
	}
	if !json.Valid(body) {
		return nil, notJSON(body)
	}
	return Value(body), nil
}

func notJSON(body []byte) error {
	var nothing struct{}
	err := json.Unmarshal(body, &nothing)
	where := ""
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		where = fmt.Sprintf(": %v (at byte %d)", s, s.Offset)
	}
	return llm.Errorf(llm.Invalid, "", "the body is not JSON%s", where)
}

func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// depth is the deepest nesting of brackets, whether or not they match.
func depth(b []byte) int {
	deepest, now := 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = endOfString(b, i) - 1
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		}
	}
	return deepest
}

// endOfString is the index behind the string that begins at i, or the end.
func endOfString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// endOfValue is the index behind the value that begins at i.
func endOfValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return endOfString(b, i)
	case '{', '[':
		open := 0
		for ; i < len(b); i++ {
			switch b[i] {
			case '"':
				i = endOfString(b, i) - 1
			case '{', '[':
				open++
			case '}', ']':
				if open--; open == 0 {
					return i + 1
				}
			}
		}
		return len(b)
	}
	for i < len(b) && !strings.ContainsRune(",]} \t\r\n:", rune(b[i])) {
		i++
	}
	return i
}

// next is the first index from i on that is neither space nor a separator.
func next(b []byte, i int) int {
	for i < len(b) && strings.IndexByte(" \t\r\n,:", b[i]) >= 0 {
		i++
	}
	return i
}

// Kind is '{', '[', '"', 't' (true or false), 'n' (null) or '0' (a number).
func (v Value) Kind() byte {
	switch c := v[0]; c {
	case '{', '[', '"', 'n', 't':
		return c
	case 'f':
		return 't'
	}
	return '0'
}

// What names the kind of a value in a sentence.
func (v Value) What() string {
	switch v.Kind() {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// Null reports whether the value is null.
func (v Value) Null() bool { return v.Kind() == 'n' }

// IsTrue reports whether the value is true.
func (v Value) IsTrue() bool { return v[0] == 't' }

// Empty reports whether the value says nothing: null, false, "", [] or {}.
func (v Value) Empty() bool {
	switch v.Kind() {
	case 'n':
		return true
	case 't':
		return !v.IsTrue()
	case '"':
		return len(v) == 2
	case '{', '[':
		return next(v, 1) == len(v)-1
	}
	return false
}

// Elements are the values of a list.
func (v Value) Elements() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		for n, i := 0, next(v, 1); i < len(v)-1; n++ {
			end := endOfValue(v, i)
			if !yield(n, v[i:end:end]) {
				return
			}
			i = next(v, end)
		}
	}
}

// Element is the first value of a list that has one.
func (v Value) Element() (first Value, ok bool) {
	if v.Kind() != '[' {
		return nil, false
	}
	for _, e := range v.Elements() {
		return e, true
	}
	return nil, false
}

// Fields are the names and values of an object, in order.
func (v Value) Fields() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i := next(v, 1); i < len(v)-1; {
			key := endOfString(v, i)
			from := next(v, key)
			end := endOfValue(v, from)
			if !yield(v[i:key].Text(), v[from:end:end]) {
				return
			}
			i = next(v, end)
		}
	}
}

// Text is the text of a string.
func (v Value) Text() string {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		return ""
	}
	return s
}

// AppendString appends a string as Encode writes it.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return append(b, Encode(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// Encode is JSON for the wire: U+0085, U+2028 and U+2029 are escaped, since
// there are readers of event streams that take them for the end of a line.
func Encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the body is no HTML, and "<" is frequent in it
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("wire: own types must encode: %v", err))
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return bytes.ReplaceAll(out, []byte("\u0085"), []byte(`\u0085`))
}

// Function is a tool as chat templates print it, which know OpenAI's older form.
// parameters may be nil.
func Function(name, description string, parameters json.RawMessage, strict bool) json.RawMessage {
	type function struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
		Strict      bool            `json:"strict,omitempty"`
	}
	return Encode(struct {
		Type     string   `json:"type"`
		Function function `json:"function"`
	}{"function", function{name, description, parameters, strict}})
}
