package chatformat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"parley/chat"
)

// CodeToolCallBroken says that what began like a tool call was none, or not to
// its end, and was passed on as text. Its value is the call's number.
const CodeToolCallBroken = "tool_call_broken"

// tries are the attempts to read what may be calls: each syntax that begins so
// has its turn, until one has given something away.
type tries struct {
	syntaxes []*callSyntax
	begin    int // where in held the section begins, behind white space
	run      *callRun
	at       int  // up to where run has read held
	whole    int  // calls of this section that were read to their end
	partial  bool // a call has begun and not ended
	bare     bool // nothing marked it as a call
}

// bare are the syntaxes in which a call need not be marked.
func (t *toolReading) bare() (list []*callSyntax) {
	if t == nil {
		return nil
	}
	for _, s := range t.syntaxes {
		if s.bare {
			list = append(list, s)
		}
	}
	return list
}

// talk passes text on, up to where a call begins. White space is held back,
// since it may stand before one.
func (r *reply) talk(last bool) bool {
	marks := r.marks()
	if len(marks) == 0 {
		r.emit(len(r.held), false)
		return false
	}
	first, found := len(r.held), ""
	for _, m := range marks {
		if i := strings.Index(r.held, m); i >= 0 && (i < first || i == first && len(m) > len(found)) {
			first, found = i, m
		}
	}
	if found != "" {
		r.emit(len(strings.TrimRightFunc(r.held[:first], unicode.IsSpace)), false)
		return r.mark(found, strings.Index(r.held, found))
	}
	end := len(r.held)
	if !last {
		for _, m := range marks {
			end = min(end, len(r.held)-overlap(r.held, m))
		}
		end = len(strings.TrimRightFunc(r.held[:end], unicode.IsSpace))
	}
	r.emit(end, false)
	return false
}

// marks are the texts at which the reply's text ends.
func (r *reply) marks() (list []string) {
	if r.o.tools != nil && !r.o.channels {
		for _, s := range r.o.tools.syntaxes {
			list = append(list, s.begins...)
		}
	}
	if w := r.o.wrap; w != nil {
		list = append(list, w.Close)
	}
	if r.o.channels {
		list = append(list, channelEnd, channelStart)
	}
	return list
}

// mark does what a mark in the text says. White space before it, of which at
// bytes are left, belongs to it.
func (r *reply) mark(found string, at int) bool {
	switch {
	case r.o.wrap != nil && found == r.o.wrap.Close:
		r.drop(at + len(found))
		r.state = between
	case r.o.channels:
		r.state = atHeader
		if found == channelEnd {
			r.drop(at + len(found))
		}
	default:
		var list []*callSyntax
		for _, s := range r.o.tools.syntaxes {
			if slices.Contains(s.begins, found) {
				list = append(list, s)
			}
		}
		r.attempt(list, at, false)
	}
	return true
}

// attempt begins to read what may be calls. bare says that nothing marks it.
func (r *reply) attempt(list []*callSyntax, at int, bare bool) {
	r.state = calling
	r.tries = tries{syntaxes: list, begin: at, bare: bare}
	r.try()
}

// try gives the next syntax its turn.
func (r *reply) try() {
	t := &r.tries
	t.run = &callRun{syntax: t.syntaxes[0]}
	t.run.call = call{bare: t.bare, tools: r.o.tools, emit: r.delta}
	t.syntaxes = t.syntaxes[1:]
	t.at = t.begin
}

// delta passes a part of a call on.
func (r *reply) delta(d chat.ToolCallDelta) {
	if d.Name != "" {
		r.calls++
		r.tries.partial = true
	}
	d.Index = r.calls - 1
	r.events = append(r.events, d)
}

// call reads on in a section of calls.
func (r *reply) call(last bool) bool {
	t := &r.tries
	if t.bare && t.at == t.begin && t.begin == 0 { // white space before a call that nothing marks
		t.begin = spaces(r.held)
		t.at = t.begin
		if t.begin == len(r.held) && !last {
			t.begin, t.at = 0, 0
			return false
		}
	}
	n, whole, s := t.run.read(r.held[t.at:], last)
	t.at += n
	switch {
	case whole:
		t.whole++
		t.partial = false
		r.drop(t.at)
		t.begin, t.at = 0, 0
	case s == more:
		return false
	case s == done:
		r.drop(t.at)
		r.state = between
	case t.partial:
		r.events = append(r.events, chat.ToolCallDelta{Index: r.calls - 1, Broken: true})
		r.broken(t.at)
	case t.whole > 0 && t.run.fresh:
		r.state = between // what follows is no call, nor like one
	case t.whole > 0:
		r.broken(t.at)
	case len(t.syntaxes) > 0:
		r.try()
	case t.bare:
		r.state = talking
	default:
		r.broken(t.at) // behind the mark, at least
	}
	return true
}

// broken passes on as text what was no call, up to a place in held.
func (r *reply) broken(end int) {
	r.report.Add(CodeToolCallBroken, strconv.Itoa(r.calls), fmt.Sprintf("what began like a tool call in the syntax %s did not go on like one, and is text", r.tries.run.syntax.name))
	r.emit(end, false)
	r.state = talking
}
