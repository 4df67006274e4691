package vocab

import (
	"cmp"
	"slices"
	"strings"

	"parley/internal/tokenizer"
)

// A spelling is how a model has written what stands from a place of a run on.
type spelling struct {
	at  int // bytes of the run before the segment's text
	ids []int
}

// mostBefore is how many bytes before a segment its spelling may begin: marks
// of thoughts and of calls, white space and a name that the model wrote and the
// chat format writes.
const mostBefore = 256

// A respeller puts the tokens with which a model wrote parts of a text in the
// place of those that the tokenizer makes of them. The text stays what it is,
// and so do its control tokens: of a spelling those ids count, from the first on, whose text
// stands there, up to a place where a token of the tokenizer's begins.
type respeller struct {
	v     *tokenizer.Tokenizer
	spans []tokenizer.Span
	text  string
	usual []tokenizer.Token // as the tokenizer has them
	out   []tokenizer.Token
	pos   int // bytes of the text that out stands for
}

func respelt(v *tokenizer.Tokenizer, spans []tokenizer.Span, usual []tokenizer.Token, all []spelling) []tokenizer.Token {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.Text)
	}
	r := &respeller{v: v, spans: spans, text: b.String(), usual: usual}
	for _, s := range all {
		r.spell(s)
	}
	return append(r.out, usual[r.index(r.pos):]...)
}

// index is the first of the usual tokens that begins at a place or behind it.
func (r *respeller) index(at int) int {
	i, _ := slices.BinarySearchFunc(r.usual, at, func(t tokenizer.Token, at int) int { return cmp.Compare(t.Start, at) })
	return i
}

// begins reports whether a usual token begins at a place.
func (r *respeller) begins(at int) bool {
	i := r.index(at)
	return i < len(r.usual) && r.usual[i].Start == at || at == len(r.text)
}

// spell puts a spelling where most of it stands.
func (r *respeller) spell(s spelling) {
	pieces := make([]string, len(s.ids))
	for i, id := range s.ids {
		pieces[i] = r.v.Piece(id)
	}
	written := strings.Join(pieces, "")
	from, to, count := 0, s.at, 0
	for at := max(r.pos, s.at-mostBefore); at <= s.at; at++ {
		if !strings.HasPrefix(written, r.text[at:s.at]) {
			continue
		}
		if n, end := r.stands(at, s.ids, pieces); end > to {
			from, to, count = at, end, n
		}
	}
	if count == 0 || !r.until(from) {
		return
	}
	at := from
	for i, id := range s.ids[:count] {
		u := r.index(at)
		control := u < len(r.usual) && r.usual[u].Start == at && r.usual[u].Control
		r.out = append(r.out, tokenizer.Token{ID: id, Start: at, End: at + len(pieces[i]), Control: control})
		at += len(pieces[i])
	}
	r.pos = to
}

// stands is how many of a spelling's ids stand at a place, and where they end.
func (r *respeller) stands(at int, ids []int, pieces []string) (count, end int) {
	u := r.index(at)
	if u > 0 && r.usual[u-1].Control && r.usual[u-1].End > at {
		return 0, 0 // inside of a control token
	}
	for i, id := range ids {
		piece := pieces[i]
		if piece == "" || !strings.HasPrefix(r.text[at:], piece) {
			break
		}
		for u < len(r.usual) && (r.usual[u].Start < at || r.usual[u].Start == at && r.usual[u].End == at) { // an added space is nothing of the text
			u++
		}
		next := u
		for next < len(r.usual) && r.usual[next].Start < at+len(piece) && !r.usual[next].Control {
			next++
		}
		if next < len(r.usual) && r.usual[next].Start < at+len(piece) { // a control token, which must be this one
			if t := r.usual[next]; t.Start != at || t.ID != id {
				break
			}
		} else if r.v.IsControl(id) {
			break
		}
		if at += len(piece); r.begins(at) {
			count, end = i+1, at
		}
	}
	return count, end
}

// until adds tokens for the text up to a place: those that a prompt has which
// ends there, as the one did behind which the model wrote.
func (r *respeller) until(at int) bool {
	from, to := r.index(r.pos), r.index(at)
	if r.begins(at) {
		r.out = append(r.out, r.usual[from:to]...)
		return true
	}
	begin := to - 1
	for begin >= from && !r.usual[begin].Control {
		begin--
	}
	start := 0
	switch {
	case begin >= from:
		start = r.usual[begin].Start
	case r.pos > 0:
		return false // text behind a spelling would be tokenised as if it began one
	default:
		begin = from
	}
	r.out = append(r.out, r.usual[from:begin]...)
	for _, t := range r.v.Encode(cut(r.spans, start, at)) {
		t.Start, t.End = t.Start+start, t.End+start
		r.out = append(r.out, t)
	}
	return true
}

// cut is a part of a text in spans.
func cut(spans []tokenizer.Span, from, to int) (part []tokenizer.Span) {
	at := 0
	for _, s := range spans {
		begin, end := max(from-at, 0), min(to-at, len(s.Text))
		at += len(s.Text)
		if begin < end {
			s.Text = s.Text[begin:end]
			part = append(part, s)
		}
	}
	return part
}
