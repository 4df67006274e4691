package upstream

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// repeated reads frames that differ from one before them in one string only, as
// nearly all of a stream do: the string alone is decoded, which costs a tenth
// of decoding the frame. The zero value knows no frame yet.
type repeated struct{ head, tail []byte }

// learn takes a frame that means a text and nothing else. value is how that
// text stands in it, as a string with its quotes.
func (r *repeated) learn(data []byte, value json.RawMessage, text string) {
	r.head, r.tail = r.head[:0], r.tail[:0]
	if plainText(value) != text {
		return // it is put together of several
	}
	at := bytes.Index(data, value)
	if at < 0 || bytes.LastIndex(data, value) != at {
		return // it cannot be told which one it is
	}
	r.head = append(r.head, data[:at+1]...)
	r.tail = append(r.tail, data[at+len(value)-1:]...)
}

// text is the string of a frame that is otherwise as the one that was learned.
func (r *repeated) text(data []byte) (string, bool) {
	if len(r.head) == 0 || len(data) < len(r.head)+len(r.tail) || !bytes.HasPrefix(data, r.head) || !bytes.HasSuffix(data, r.tail) {
		return "", false
	}
	inside := data[len(r.head) : len(data)-len(r.tail)]
	for _, c := range inside {
		if c < ' ' || c == '"' {
			return "", false // the string ends before, or is none
		}
		if c == '\\' {
			var s string
			err := json.Unmarshal(data[len(r.head)-1:len(data)-len(r.tail)+1], &s)
			return s, err == nil
		}
	}
	return string(inside), utf8.Valid(inside)
}
