package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Piece returns the text that a token stands for, which may be part of a character; that of a
// control token is its name. It returns "" for an id that the vocabulary does not have.
func (t *Tokenizer) Piece(id int) string {
	if id < 0 || id >= len(t.pieces) {
		return ""
	}
	return t.pieces[id]
}

// DecodeOptions say how tokens become text.
type DecodeOptions struct {
	Start   bool // the first token begins a text: the space that Encode adds there is taken off again
	Control bool // show the names of control tokens
}

// Decode gives the bytes that the tokens stand for. They are UTF-8 if the tokens were made from
// UTF-8; a model may write others.
func (t *Tokenizer) Decode(ids []int, o DecodeOptions) []byte {
	d := t.Decoder(o)
	var b []byte
	for _, id := range ids {
		b = append(b, d.piece(id)...)
	}
	return b
}

// Decoder turns tokens into text one by one, and holds incomplete characters back.
type Decoder struct {
	t       *Tokenizer
	o       DecodeOptions
	started bool
	held    []byte // the beginning of a character
}

// Decoder begins a text.
func (t *Tokenizer) Decoder(o DecodeOptions) *Decoder { return &Decoder{t: t, o: o} }

// piece gives a token's bytes, less an added space at the start.
func (d *Decoder) piece(id int) string {
	if !d.o.Control && d.t.IsControl(id) {
		return ""
	}
	s := d.t.Piece(id)
	if !d.started && d.o.Start && d.t.v.Model == "llama" && d.t.v.AddSpacePrefix {
		s = strings.TrimPrefix(s, " ")
	}
	d.started = true
	return s
}

// Push takes the next token and returns the text that is complete with it: valid UTF-8, in which
// U+FFFD stands for bytes that are not.
func (d *Decoder) Push(id int) string {
	d.held = append(d.held, d.piece(id)...)
	n := complete(d.held)
	s := valid(d.held[:n])
	d.held = append(d.held[:0], d.held[n:]...)
	return s
}

// Flush returns what is still held back, and begins anew in the middle of a text.
func (d *Decoder) Flush() string {
	s := valid(d.held)
	d.held = d.held[:0]
	return s
}

// valid writes U+FFFD for each byte that is not UTF-8: the same however the bytes arrived.
func valid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string([]rune(string(b)))
}

// complete gives how many bytes are whole characters or can never become one.
func complete(b []byte) int {
	for i := len(b) - 1; i >= 0 && i > len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return i
			}
			break
		}
	}
	return len(b)
}
