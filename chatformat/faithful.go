package chatformat

import (
	"fmt"
	"strings"
	"unicode"

	"parley/chat"
	"parley/llm"
)

// A lostError is a template that renders and leaves something out, or puts it
// elsewhere.
type lostError struct {
	field string
	what  string
}

func (e *lostError) Error() string { return e.what }

// faithful checks a whole prompt: the text of every message is in it, in
// order, and something stands between two messages. A template that renders
// without an error may still have dropped, moved or welded them.
func (o output) faithful(turns []turn) error {
	places := o.places()
	at := 0
	for i, t := range turns {
		first, last, err := o.find(t, places)
		if err != nil {
			return err
		}
		if first < 0 {
			continue // nothing to be found
		}
		if first < at {
			return lost(t, "the chat template puts %s before earlier ones", t.at())
		}
		if i > 0 && first == at && at > 0 {
			return lost(t, "the chat template puts nothing between %s and the message before it", t.at())
		}
		at = last
	}
	return nil
}

func lost(t turn, format string, args ...any) error {
	return &lostError{t.at(), fmt.Sprintf(format, args...)}
}

// A place is where the text of one run came out.
type place struct {
	first, last int // offsets in the output
	letters     int // letters and digits
}

// places finds each run by its source and text.
func (o output) places() map[placeKey]place {
	m := map[placeKey]place{}
	for _, s := range o.spans {
		r, ok := o.labels.run(s.Origin)
		if !ok {
			continue
		}
		k := placeKey{r.source, r.text}
		p, seen := m[k]
		if !seen {
			p.first = s.Start
		}
		p.last = s.End
		p.letters += letters(o.text[s.Start:s.End])
		m[k] = p
	}
	return m
}

type placeKey struct {
	source llm.Source
	text   string
}

// find gives the extent of a turn's content in the output, -1 if it has none
// to look for, or an error where some of it is missing.
func (o output) find(t turn, places map[placeKey]place) (first, last int, err error) {
	first, last = -1, -1
	for _, r := range t.content {
		if r.ours || strings.TrimSpace(r.text) == "" {
			continue
		}
		p, ok := places[placeKey{r.source, r.text}]
		if !ok || p.letters < letters(withoutSwitches.Replace(r.text)) && !(t.role == chat.Assistant && thoughtsDropped(r.text, p.letters)) {
			return 0, 0, lost(t, "the chat template leaves out text of %s", t.at())
		}
		if first < 0 || p.first < first {
			first = p.first
		}
		last = max(last, p.last)
	}
	for i, call := range t.calls {
		from := run{text: call.Name, source: source(t.index, i, fieldToolCalls)}
		if !o.has(from) {
			return 0, 0, lost(t, "the chat template leaves out a tool call of %s", t.at())
		}
	}
	return first, last, nil
}

// withoutSwitches leaves out the words with which users of some models switch
// thinking on and off: their templates take them out of the text.
var withoutSwitches = strings.NewReplacer("/think", "", "/no_think", "")

// thoughtsDropped reports whether all that is missing of an assistant's text
// is the reasoning before its last mark, which templates leave out of history.
func thoughtsDropped(text string, letterCount int) bool {
	for _, m := range thinkMarks {
		if i := strings.LastIndex(text, m.Close); i >= 0 && letterCount >= letters(text[i+len(m.Close):]) {
			return true
		}
	}
	return false
}

func letters(s string) int {
	n := 0
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n++
		}
	}
	return n
}
