package chatformat

import (
	"fmt"
	"strings"
	"unicode"

	"parley/chat"
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
	where := o.places()
	at := 0
	for i, t := range turns {
		first, last, err := o.find(t, where)
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

// places are where the runs came out, by label.
type places struct {
	list []place
	next int // label where the search for the next run begins
}

type place struct {
	first, last int  // offsets in the output; last is 0 for a run that did not come out
	full        bool // all of it came out at once, whatever came out besides
	letters     int  // letters and digits of what came out in pieces
}

func (o output) places() *places {
	p := &places{list: make([]place, len(o.labels.runs))}
	for _, s := range o.spans {
		r, ok := o.labels.run(s.Origin)
		if !ok {
			continue
		}
		at := &p.list[s.Origin-1]
		if at.last == 0 {
			at.first = s.Start
		}
		at.last = s.End
		if s.End-s.Start == len(r.text) {
			at.full = true
		} else {
			at.letters += letters(o.text[s.Start:s.End])
		}
	}
	return p
}

// of finds the place of a run. Labels were given in the order of the turns, so
// that the next one asked for is mostly the next one there.
func (p *places) of(r run, l *labels) (place, bool) {
	for range l.runs {
		i := p.next % len(l.runs)
		p.next = i + 1
		if l.runs[i].source == r.source && l.runs[i].text == r.text {
			return p.list[i], p.list[i].last > 0
		}
	}
	return place{}, false
}

// whole reports whether all letters of a run came out.
func (at place) whole(r run, role chat.Role) bool {
	if at.full {
		return true
	}
	return at.letters >= letters(withoutSwitches.Replace(r.text)) || role == chat.Assistant && thoughtsDropped(r.text, at.letters)
}

// withoutThoughts reports whether the reasoning that an assistant's text holds
// did not come out with it.
func (at place) withoutThoughts(r run) bool {
	if at.full {
		return false
	}
	bare := r.text
	for _, m := range thinkMarks { // a template may write marks of its own
		bare = strings.NewReplacer(m.Open, "", m.Close, "").Replace(bare)
	}
	return at.letters < letters(bare) && thoughtsDropped(r.text, at.letters)
}

// find gives the extent of a turn's content in the output, -1 if it has none
// to look for, or an error where some of it is missing.
func (o output) find(t turn, where *places) (first, last int, err error) {
	first, last = -1, -1
	for _, r := range t.content {
		if r.ours || strings.TrimSpace(r.text) == "" {
			continue
		}
		p, ok := where.of(r, o.labels)
		if !ok || !p.whole(r, t.role) {
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
