package engine

import (
	"strings"
	"unicode/utf8"

	"parley/internal/textmatch"
	"parley/llm"
)

// An output turns tokens into pieces of text. It holds back the bytes of an
// unfinished rune and what may become a stop string, and nothing else.
type output struct {
	stops *textmatch.Scanner // nil: there are none
	after *textmatch.Scanner // finds the marker that arms stops; nil: they are armed

	partial []byte // of a rune whose other bytes have not come
	broken  bool   // the text so far ends in U+FFFD for bytes that are no UTF-8

	decoded int // bytes of text that the tokens make so far
	passed  int // bytes of text that have been given away
	pending []placed
}

// placed is a token that has not been given away, with the place in the text
// at which it begins.
type placed struct {
	token llm.Token
	start int
}

// newOutput prepares to find stops, once the text has had the marker after.
func newOutput(stops []string, after string) *output {
	o := &output{}
	// Output is UTF-8: what is not cannot occur in it, and looking for it might
	// divide a rune.
	set := textmatch.New(valid(stops)...)
	if set.Empty() {
		return o
	}
	o.stops = set.NewScanner()
	if after != "" {
		o.after = textmatch.New(after).NewScanner()
	}
	return o
}

func valid(strs []string) (ok []string) {
	for _, s := range strs {
		if utf8.ValidString(s) {
			ok = append(ok, s)
		}
	}
	return ok
}

// push adds a token and gives what can be passed on. If a stop string was
// found the piece is the last, up to the stop exactly.
func (o *output) push(t llm.Token) (piece llm.Piece, stop string) {
	o.pending = append(o.pending, placed{t, o.decoded})
	if t.Control {
		return llm.Piece{}, ""
	}
	text := o.decode(t.Text)
	o.decoded += len(text)
	return o.match(text)
}

func (o *output) match(text string) (llm.Piece, string) {
	if o.stops == nil {
		return o.pass(text), ""
	}
	free := ""
	if o.after != nil {
		_, m := o.after.Feed(text)
		if m == nil {
			return o.pass(text), ""
		}
		// One string alone is found at its last byte: what the scanner still
		// holds is the text behind it.
		n := len(text) - o.after.Held()
		free, text, o.after = text[:n], text[n:], nil
	}
	safe, m := o.stops.Feed(text)
	if m != nil {
		return o.pass(free + safe), m.Text
	}
	return o.pass(free + safe), ""
}

// armed reports whether stop strings count already.
func (o *output) armed() bool { return o.after == nil }

// finish gives the rest when the output ends of itself. A stop string that
// might have grown into a longer one is decided now.
func (o *output) finish() (piece llm.Piece, stop string) {
	text := ""
	if len(o.partial) > 0 && !o.broken {
		text = "\ufffd"
	}
	o.partial = nil
	o.decoded += len(text)
	piece, stop = o.match(text)
	if stop == "" && o.stops != nil && o.after == nil {
		rest, m := o.stops.Flush()
		more := o.pass(rest)
		piece.Text += more.Text
		piece.Tokens = append(piece.Tokens, more.Tokens...)
		if m != nil {
			stop = m.Text
		}
	}
	if stop == "" { // tokens without text at the very end
		for _, p := range o.pending {
			piece.Tokens = append(piece.Tokens, p.token)
		}
		o.pending = nil
	}
	return piece, stop
}

// pass gives text away, with the tokens that begin in it.
func (o *output) pass(text string) llm.Piece {
	o.passed += len(text)
	n := 0
	for n < len(o.pending) && o.pending[n].start < o.passed {
		n++
	}
	var tokens []llm.Token
	for _, p := range o.pending[:n] {
		tokens = append(tokens, p.token)
	}
	o.pending = o.pending[n:]
	return llm.Piece{Text: text, Tokens: tokens}
}

// decode gives the text that bytes complete. Each run of bytes that are no
// UTF-8 becomes one U+FFFD, as strings.ToValidUTF8 has it for a whole text.
func (o *output) decode(text string) string {
	if len(o.partial) == 0 && utf8.ValidString(text) {
		if text != "" {
			o.broken = false
		}
		return text
	}
	buf := append(o.partial, text...)
	var b strings.Builder
	for len(buf) > 0 {
		r, size := utf8.DecodeRune(buf)
		if r == utf8.RuneError && size == 1 {
			if !utf8.FullRune(buf) {
				break
			}
			if !o.broken {
				b.WriteRune(utf8.RuneError)
				o.broken = true
			}
		} else {
			b.Write(buf[:size])
			o.broken = false
		}
		buf = buf[size:]
	}
	o.partial = append([]byte(nil), buf...)
	return b.String()
}
