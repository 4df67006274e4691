package upstream

import (
	"bytes"
	"reflect"
	"unicode/utf8"
)

// alike makes a reader faster whose frames differ from one to the next in
// nothing but a string: of most answers that is true of all frames but the
// first and the last, and to take JSON apart is most of what a frame costs. It
// remembers what stands before and behind the text of a frame that says nothing
// else; the next frame that has the same around another string says that
// string. The reader must give the same for the same frame, however often it is
// asked, as far as the frame has only text.
func alike(read func(frame) (chunk, error)) func(frame) (chunk, error) {
	var a around
	return func(f frame) (chunk, error) {
		if text, ok := a.text(f); ok {
			a.misses = 0
			return chunk{text: text}, nil
		}
		c, err := read(f)
		if err == nil && a.misses < mostMisses {
			a.learn(f, c, read)
		}
		return c, err
	}
}

// mostMisses is how many frames in a row may be unlike the one before, until
// nobody expects any more that one will be like it.
const mostMisses = 8

// around is what stands before and behind the text of a frame, quotes included.
type around struct {
	event          string
	before, behind []byte
	misses         int
}

// text is what a frame says that is like the one before.
func (a *around) text(f frame) (string, bool) {
	n := len(f.data) - len(a.before) - len(a.behind)
	if len(a.before) == 0 || n < 0 || f.event != a.event || !bytes.HasPrefix(f.data, a.before) || !bytes.HasSuffix(f.data, a.behind) {
		return "", false
	}
	text := f.data[len(a.before) : len(a.before)+n]
	return string(text), plain(text)
}

// plain reports whether a JSON string has these bytes for its text as they are.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.Valid(text)
}

// learn finds the place of a frame's text, if it says nothing else. Whether it
// is the place is tried with another text there.
func (a *around) learn(f frame, c chunk, read func(frame) (chunk, error)) {
	a.misses++
	a.before = a.before[:0]
	if c.text == "" || !plain([]byte(c.text)) || !reflect.DeepEqual(c, chunk{text: c.text}) {
		return
	}
	quoted := append(append([]byte{'"'}, c.text...), '"')
	at := bytes.Index(f.data, quoted)
	if at < 0 || bytes.Contains(f.data[at+1:], quoted) {
		return
	}
	const other = "another text"
	before, behind := f.data[:at+1], f.data[at+len(quoted)-1:]
	tried, err := read(frame{f.event, bytes.Join([][]byte{before, behind}, []byte(other))})
	if err != nil || !reflect.DeepEqual(tried, chunk{text: other}) {
		return
	}
	a.event = f.event
	a.before = append(a.before, before...)
	a.behind = append(a.behind[:0], behind...)
}
