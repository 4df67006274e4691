package upstream

import (
	"unicode"
	"unicode/utf8"

	"parley/internal/textmatch"
	"parley/llm"
)

// usualLoop is how many words of mere repetition end a reply: see
// llm.Params.LoopGuard.
const usualLoop = 1024

// An output ends text before its first stop string, and where it only repeats
// itself. It holds back what may become a stop string, and nothing else.
type output struct {
	stops *textmatch.Cutter
	guard textmatch.LoopGuard
	word  []byte // that may go on
	words int
	least int // words before which the guard does not end anything

	came    int // bytes of text so far
	passed  int // bytes of it that have been given away
	pending []placed
}

// placed is a token that has not been given away, with the place in the text
// at which it begins.
type placed struct {
	token llm.Token
	start int
}

// newOutput begins a text, within a line or at the beginning of one.
func newOutput(p llm.Params, within bool) *output {
	stops := textmatch.Stops{Anywhere: p.Stop, Lines: p.StopLines, Within: within, After: p.StopAfter}
	if p.StopOpen != "" {
		stops.Opens = p.Opens
	}
	o := &output{stops: textmatch.NewCutter(stops)}
	switch {
	case p.LoopGuard != nil:
		o.guard.Bound = *p.LoopGuard
	case !p.IgnoreEOS:
		o.guard.Bound = usualLoop
	}
	if p.MinTokens != nil {
		o.least = *p.MinTokens
	}
	return o
}

// push adds text and the tokens of which it consists, and gives what can be
// passed on. If stop is not empty, or loop is set, the output ends with it.
func (o *output) push(text string, tokens []llm.Token) (clear string, given []llm.Token, stop string, loop bool) {
	at := o.came
	for _, t := range tokens {
		o.pending = append(o.pending, placed{t, min(at, o.came+len(text))})
		if !t.Control {
			at += len(t.Text)
		}
	}
	o.came += len(text)
	clear, stop = o.stops.Feed(text)
	return clear, o.release(clear), stop, stop == "" && o.repeats(text)
}

// finish gives the rest when the output ends of itself.
func (o *output) finish() (clear string, given []llm.Token, stop string) {
	clear, stop = o.stops.Flush()
	given = o.release(clear)
	if stop == "" { // tokens without text at the very end
		for _, p := range o.pending {
			given = append(given, p.token)
		}
		o.pending = nil
	}
	return clear, given, stop
}

// release gives the tokens that begin in text that is passed on.
func (o *output) release(clear string) (tokens []llm.Token) {
	o.passed += len(clear)
	n := 0
	for n < len(o.pending) && o.pending[n].start < o.passed {
		tokens = append(tokens, o.pending[n].token)
		n++
	}
	o.pending = o.pending[n:]
	return tokens
}

// repeats shows the guard the words that have ended and reports whether the
// text only repeats itself. Not every engine tells its tokens, and none divides
// its text always in the same way: so words stand in for tokens.
func (o *output) repeats(text string) (loop bool) {
	if o.guard.Bound == 0 {
		return false
	}
	for _, r := range text {
		letter := unicode.IsLetter(r) || unicode.IsDigit(r)
		if len(o.word) > 0 && (!letter || len(o.word) >= longestWord) {
			loop = o.see() || loop
		}
		o.word = utf8.AppendRune(o.word, r)
		if !letter {
			loop = o.see() || loop
		}
	}
	return loop && o.words >= o.least
}

// longestWord is how many bytes of letters count as one word.
const longestWord = 8

func (o *output) see() bool {
	hash := uint32(2166136261) // FNV-1a
	for _, c := range o.word {
		hash = (hash ^ uint32(c)) * 16777619
	}
	o.word = o.word[:0]
	o.words++
	return o.guard.See(hash)
}
