package llm

import (
	"context"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// Script is a Model that says what it is told: each string is one token, and
// every request gets the same answer. It keeps the contract of Model, stop
// strings and all, so that whatever needs a model can be tested without one.
func Script(tokens ...string) *Scripted { return &Scripted{tokens: tokens} }

// Scripted is the Model that Script makes. Its fields may be set before use.
type Scripted struct {
	tokens []string

	Err     error           // if set, the stream fails with it after the last token
	Context int             // tokens that fit; 0: as many as asked for
	Control []string        // those of the tokens that are control tokens
	Gate    <-chan struct{} // if set, one value is taken from it before each token

	// Seen is called with every request.
	Seen func(Prompt, Params)
}

// Complete plays the script.
func (s *Scripted) Complete(ctx context.Context, p Prompt, params Params) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		if s.Seen != nil {
			s.Seen(p, params)
		}
		if err := s.refuse(ctx, p, params); err != nil {
			yield(Piece{}, err)
			return
		}
		play := performance{script: s, params: params, prompt: len(s.read(p)), marks: p.Marks, line: p.EndsLine()}
		if params.Seed != nil {
			play.seed = *params.Seed
		}
		if !yield(Piece{Accepted: &Accepted{PromptTokens: play.prompt, Seed: play.seed}}, nil) {
			return
		}
		play.run(ctx, yield)
	}
}

func (s *Scripted) refuse(ctx context.Context, p Prompt, params Params) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := params.Check(); err != nil {
		return err
	}
	if p.Empty() {
		return Errorf(Invalid, "prompt", "the prompt is empty")
	}
	if n := len(s.read(p)); s.Context > 0 && n >= s.Context {
		return TooLongError(n, s.Context)
	}
	return nil
}

// Tokenize calls every word with the space before it a token.
func (s *Scripted) Tokenize(_ context.Context, p Prompt) ([]Token, error) {
	return s.read(p), nil
}

// Detokenize knows the ids of the script itself, counted from 0.
func (s *Scripted) Detokenize(_ context.Context, ids []int) (string, error) {
	var b strings.Builder
	for _, id := range ids {
		if id < 0 || id >= len(s.tokens) {
			return "", Errorf(Invalid, "tokens", "token id %d is outside the vocabulary of %d", id, len(s.tokens))
		}
		b.WriteString(s.tokens[id])
	}
	return b.String(), nil
}

func (s *Scripted) read(p Prompt) []Token {
	var tokens []Token
	for i, seg := range p.Segments {
		for _, id := range seg.Tokens {
			tokens = append(tokens, Token{ID: id, Segment: i})
		}
		for _, word := range strings.SplitAfter(seg.Text, " ") {
			if word != "" {
				tokens = append(tokens, Token{ID: len(tokens), Text: word, Segment: i})
			}
		}
	}
	return tokens
}

// A performance is one playing of a script.
type performance struct {
	script *Scripted
	params Params
	prompt int
	marks  Marks
	line   bool // the output begins a line
	seed   int64

	said    string  // all text of the tokens so far
	emitted int     // bytes of said that have been yielded
	armed   int     // from where in said stop strings count; -1: not yet
	final   bool    // nothing more will be said
	pending []Token // tokens whose text has not been yielded
	starts  []int   // where in said each pending token begins
}

func (w *performance) run(ctx context.Context, yield func(Piece, error) bool) {
	if w.params.StopAfter != "" {
		w.armed = -1
	}
	for i, text := range w.script.tokens {
		if w.script.Gate != nil {
			select {
			case <-w.script.Gate:
			case <-ctx.Done():
			}
		}
		if err := context.Cause(ctx); err != nil {
			yield(Piece{}, err)
			return
		}
		if w.params.MaxTokens != nil && *w.params.MaxTokens >= 0 && i >= *w.params.MaxTokens {
			w.close(yield, ReasonLength, i)
			return
		}
		control := w.control(text)
		w.starts = append(w.starts, len(w.said))
		w.pending = append(w.pending, Token{ID: i, Text: text, Control: control})
		if _, known := w.params.Opens(w.said); control && (w.armed >= 0 || !known) && slices.Contains(w.params.Stop, text) {
			w.finish(yield, len(w.said), ReasonStop, text, i+1)
			return
		}
		if control {
			continue
		}
		w.said += text
		if at, stop := w.match(); at >= 0 {
			w.finish(yield, at, ReasonStop, stop, i+1)
			return
		}
		if w.emit(w.safe(), yield, nil) {
			return
		}
	}
	if w.script.Err != nil {
		if !w.emit(len(w.said), yield, nil) {
			yield(Piece{}, w.script.Err)
		}
		return
	}
	w.close(yield, ReasonEnd, len(w.script.tokens))
}

// control reports whether a token is a control token that no mark makes text.
func (w *performance) control(text string) bool {
	return slices.Contains(w.script.Control, text) && text != w.params.StopAfter && text != w.params.StopOpen &&
		!slices.Contains(w.marks.Reply, text) && !slices.Contains(w.marks.Output, text)
}

// close ends what ends of itself. An output that is too short to begin with
// StopOpen may hold a stop string.
func (w *performance) close(yield func(Piece, error) bool, why Reason, tokens int) {
	w.final = true
	if _, known := w.params.Opens(w.said); !known {
		if at, stop := w.match(); at >= 0 {
			w.finish(yield, at, ReasonStop, stop, tokens)
			return
		}
	}
	w.finish(yield, len(w.said), why, "", tokens)
}

// match finds the earliest stop string, the longest at its place.
func (w *performance) match() (at int, stop string) {
	if w.armed < 0 && !w.arm() {
		return -1, ""
	}
	at = -1
	for _, s := range w.params.Stop {
		i := strings.Index(w.said[w.armed:], s)
		if i < 0 {
			continue
		}
		if i += w.armed; at < 0 || i < at || i == at && len(s) > len(stop) {
			at, stop = i, s
		}
	}
	for i := w.armed; i < len(w.said); i++ {
		for _, s := range w.params.StopLines {
			if w.begins(i) && strings.HasPrefix(w.said[i:], s) && (at < 0 || i < at || i == at && len(s) > len(stop)) {
				at, stop = i, s
			}
		}
	}
	return at, stop
}

// begins reports whether a line begins at a place.
func (w *performance) begins(at int) bool {
	switch {
	case at > 0 && w.said[at-1] == '\n', at > 0 && at == w.armed:
		return true
	}
	return at == 0 && w.line
}

// arm finds from where on stop strings count, and reports whether it is known.
func (w *performance) arm() bool {
	opens, known := w.params.Opens(w.said)
	switch {
	case !known && !w.final:
		return false
	case !opens:
		w.armed = 0
		return true
	}
	i := strings.Index(w.said, w.params.StopAfter)
	if i >= 0 {
		w.armed = i + len(w.params.StopAfter)
	}
	return i >= 0
}

// safe is how much of the text no stop string can take back any more.
func (w *performance) safe() int {
	end := len(w.said)
	for n := 1; n < utf8.UTFMax && n <= len(w.said); n++ {
		if c := w.said[len(w.said)-n:]; utf8.RuneStart(c[0]) {
			if !utf8.FullRuneInString(c) {
				end = len(w.said) - n
			}
			break
		}
	}
	if w.armed < 0 {
		if _, known := w.params.Opens(w.said); !known {
			return w.emitted
		}
		return end
	}
	for i, s := range slices.Concat(w.params.Stop, w.params.StopLines) {
		for n := min(len(s)-1, len(w.said)-w.armed); n > 0; n-- {
			if strings.HasSuffix(w.said, s[:n]) && (i < len(w.params.Stop) || w.begins(len(w.said)-n)) {
				end = min(end, len(w.said)-n)
				break
			}
		}
	}
	return end
}

// emit yields the text up to end and the tokens that begin before it, and
// reports whether the reader has gone.
func (w *performance) emit(end int, yield func(Piece, error) bool, f *Finish) (gone bool) {
	if end <= w.emitted && f == nil {
		return false
	}
	piece := Piece{Finish: f}
	if end > w.emitted {
		piece.Text = strings.ToValidUTF8(w.said[w.emitted:end], "\ufffd")
		w.emitted = end
	}
	n := 0
	for n < len(w.pending) && w.starts[n] < end {
		n++
	}
	if f != nil && f.Reason != ReasonStop { // tokens without text at the very end
		n = len(w.pending)
	}
	piece.Tokens, w.pending, w.starts = w.pending[:n:n], w.pending[n:], w.starts[n:]
	return !yield(piece, nil)
}

func (w *performance) finish(yield func(Piece, error) bool, end int, why Reason, stop string, tokens int) {
	w.emit(end, yield, &Finish{
		Reason: why, Stop: stop, Seed: w.seed,
		Usage: Usage{PromptTokens: w.prompt, CompletionTokens: tokens},
	})
}
