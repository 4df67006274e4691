package engine

import (
	"strings"
	"unicode/utf8"

	"parley/internal/textmatch"
	"parley/llm"
)

// An output turns tokens into pieces of text. It holds back the bytes of an
// unfinished rune, what may become a stop string, and from the token on in
// which it begins what may become a banned phrase; nothing else.
type output struct {
	reading
	banned  *bans  // nil: there are none
	waiting string // text that no stop string can take back, not yet given away
	passed  int    // bytes of text that have been given away
	pending []placed

	back int    // tokens to be taken back, after push
	ban  string // because of this phrase
}

// reading is what an output knows of the text so far, and what is restored
// where tokens are taken back.
type reading struct {
	stops *textmatch.Cutter
	bans  *textmatch.Scanner // nil: there are none

	partial []byte // of a rune whose other bytes have not come
	broken  bool   // the text so far ends in U+FFFD for bytes that are no UTF-8

	decoded int // bytes of text that the tokens make so far
	cleared int // bytes of them that no stop string can take back
}

// placed is a token that has not been given away, with the place in the text
// at which it begins, and, where it might be taken back, what was known before.
type placed struct {
	token  llm.Token
	start  int
	before *reading
}

func (r *reading) clone() *reading {
	c := *r
	c.stops = c.stops.Clone()
	if c.bans != nil {
		c.bans = c.bans.Clone()
	}
	return &c
}

// newOutput prepares to find stops and banned phrases.
func newOutput(stops textmatch.Stops, banned *bans) *output {
	o := &output{banned: banned}
	if banned != nil {
		o.bans = banned.set.NewScanner()
	}
	o.stops = textmatch.NewCutter(stops)
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
// found the piece is the last, up to the stop exactly. If a banned phrase was
// found, o.back is how many tokens must be taken back.
func (o *output) push(t llm.Token) (piece llm.Piece, stop string) {
	p := placed{token: t, start: o.decoded}
	if o.bans != nil {
		p.before = o.clone()
	}
	o.pending = append(o.pending, p)
	o.back = 0
	if t.Control {
		return llm.Piece{}, ""
	}
	text := o.decode(t.Text)
	o.decoded += len(text)
	start, end, found := o.forbidden(text)
	stop = o.match(text)
	switch {
	case found && (stop == "" || end <= o.cleared):
		o.back = len(o.pending) - o.holding(start)
		return llm.Piece{}, ""
	case stop != "":
		return o.release(o.cleared), stop
	}
	return o.release(o.free()), ""
}

// forbidden looks for a banned phrase in the text and gives its place.
func (o *output) forbidden(text string) (start, end int, found bool) {
	if o.bans == nil {
		return 0, 0, false
	}
	_, m := o.bans.Feed(fold(text))
	if m == nil {
		return 0, 0, false
	}
	o.ban = o.banned.phrases[m.Index]
	end = o.decoded - o.bans.Held()
	return end - len(m.Text), end, true
}

// holding is the index of the pending token in which a place in the text lies.
// Of tokens that begin there it is the last: those before have no text. Where
// that token was given away, because one that was since taken back had made it
// harmless, it is the first pending one.
func (o *output) holding(at int) int {
	i := len(o.pending) - 1
	for i > 0 && o.pending[i].start > at {
		i--
	}
	return i
}

// revocable is how many of the last tokens might still be taken back.
func (o *output) revocable() int {
	if o.bans == nil || o.bans.Held() == 0 {
		return 0
	}
	return len(o.pending)
}

// free is how much of the text can be given away. What a stop string can no
// longer take back only because of a token that may itself be taken back has
// to wait with it.
func (o *output) free() int {
	if o.bans == nil || o.bans.Held() == 0 {
		return o.cleared
	}
	return o.pending[o.holding(o.decoded-o.bans.Held())].before.cleared
}

// takeBack undoes the last n pushes.
func (o *output) takeBack(n int) {
	first := len(o.pending) - n
	o.reading = *o.pending[first].before
	o.pending = o.pending[:first]
	o.waiting = o.waiting[:o.cleared-o.passed]
	o.back = 0
}

// match looks for stop strings in the text, and clears what is before one or
// cannot become one.
func (o *output) match(text string) (stop string) {
	text, stop = o.stops.Feed(text)
	o.clear(text)
	return stop
}

func (o *output) clear(text string) {
	o.waiting += text
	o.cleared += len(text)
}

// armed reports whether a token that is a stop string ends the output. Where
// the opening marker may still come, one that is not it does.
func (o *output) armed() bool { return o.stops.Armed() }

// finish gives the rest when the output ends of itself. A stop string that
// might have grown into a longer one is decided now. The beginning of a rune
// becomes U+FFFD, or nothing if the output was only cut there: what goes on
// with it begins with the whole rune.
func (o *output) finish(cut bool) (piece llm.Piece, stop string) {
	text := ""
	if len(o.partial) > 0 && !o.broken && !cut {
		text = "\ufffd"
	}
	o.partial = nil
	o.decoded += len(text)
	start, end, banned := o.forbidden(text)
	stop = o.match(text)
	if stop == "" {
		var rest string
		rest, stop = o.stops.Flush()
		o.clear(rest)
	}
	if banned && end <= o.cleared { // it ends in the character that was not finished
		return o.release(start), o.ban
	}
	piece = o.release(o.cleared)
	if stop == "" { // tokens without text at the very end
		for _, p := range o.pending {
			piece.Tokens = append(piece.Tokens, p.token)
		}
		o.pending = nil
	}
	return piece, stop
}

// release gives the text up to a place away, with the tokens that begin in it.
func (o *output) release(end int) llm.Piece {
	if end <= o.passed {
		return llm.Piece{}
	}
	text := o.waiting[:end-o.passed]
	o.waiting = o.waiting[len(text):]
	o.passed = end
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
