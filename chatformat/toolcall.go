package chatformat

import (
	"encoding/json"
	"fmt"
	"strings"

	"parley/chat"
	"parley/internal/limits"
)

// A callSyntax is a way in which models write tool calls. A section of calls
// begins with the steps of open, has calls, and ends with the texts of close:
//
//	open  call  sep  call …  close
//
// Where it holds no more than one call, as most do, all that is in open and
// close stands around each call.
type callSyntax struct {
	name string
	// begins are the texts by which a section is noticed, wherever it stands.
	begins []string
	// bare says that a reply may also begin with a section without any of
	// these. What is then read is a call only if its name is that of a tool.
	bare bool
	// lead stands before a reply that is text, where calls are bare.
	lead string
	// words says that begins, or lead, are words that any text may hold: where
	// it is not known how a model calls, they are not looked for.
	words bool
	// hint is what a template's source has that shows a list of tools to models
	// that call so, where it writes no calls itself.
	hint string

	open  []step
	call  []step
	many  bool     // a section may hold several calls
	sep   string   // characters that may stand between them, white space besides
	close []string // one after the other; any of them may be missing
}

// A step reads a part of a call: it takes n bytes of text, and says whether
// that was all of its part. With last set, no more text will come. What it
// must remember until then it keeps in scratch.
type step func(c *call, text string, last bool) (n int, s status)

type status uint8

const (
	more   status = iota // it needs more text
	done                 // its part is read
	broken               // this is not what the syntax demands
)

// wait is the status of a step that has come to the end of the text.
func wait(last bool) status {
	if last {
		return broken
	}
	return more
}

// A call is a tool call being read.
type call struct {
	bare  bool
	tools *toolReading
	emit  func(chat.ToolCallDelta)

	id, name string
	begun    bool // its first delta is out
	state    any  // of the step
}

// scratch is what the current step remembers, zero at first.
func scratch[T any](c *call) *T {
	s, ok := c.state.(*T)
	if !ok {
		s = new(T)
		c.state = s
	}
	return s
}

// named sets the function's name and reports whether it can be one.
func (c *call) named(name string) bool {
	c.name = strings.TrimSpace(name)
	return c.name != "" && limits.NameBytes.CheckInt(len(c.name)) == nil
}

// begin gives the first delta away. It reports whether there is to be a call.
func (c *call) begin() bool {
	if c.name == "" {
		return false
	}
	if _, known := c.tools.schemas[c.name]; c.bare && !known {
		return false
	}
	c.begun = true
	c.id = c.tools.take(c.id)
	c.emit(chat.ToolCallDelta{ID: c.id, Name: c.name})
	return true
}

// argue continues the arguments.
func (c *call) argue(text string) {
	if text != "" {
		c.emit(chat.ToolCallDelta{Arguments: text})
	}
}

// A toolReading is what the reader of one reply knows of tools.
type toolReading struct {
	syntaxes []*callSyntax
	schemas  map[string]json.RawMessage // of the functions' parameters, by name
	taken    map[string]bool            // ids of the conversation's calls
	prefill  string                     // the beginning of a call, which the prompt ends with
}

// take chooses a call's id: the model's own, unless the conversation has it
// already. Ours are nine letters and digits, which all templates accept.
func (t *toolReading) take(own string) string {
	id := own
	for n := len(t.taken) + 1; id == "" || t.taken[id]; n++ {
		id = fmt.Sprintf("call%05d", n)
	}
	t.taken[id] = true
	return id
}

// newToolReading prepares to read a reply to a conversation; nil where calls
// stay text.
func newToolReading(c chat.Conversation, syntaxes []*callSyntax) *toolReading {
	if len(c.Tools) == 0 || c.Choice.Mode == chat.ToolNone || len(syntaxes) == 0 {
		return nil
	}
	t := &toolReading{syntaxes: syntaxes, schemas: map[string]json.RawMessage{}, taken: map[string]bool{}}
	for _, tool := range c.Tools {
		t.schemas[tool.Name] = tool.Parameters
	}
	for _, m := range c.Messages {
		for _, call := range m.ToolCalls {
			t.taken[call.ID] = true
		}
	}
	return t
}

// fresh is a copy for one more reply.
func (t *toolReading) fresh() *toolReading {
	if t == nil {
		return nil
	}
	n := *t
	n.taken = make(map[string]bool, len(t.taken))
	for id := range t.taken {
		n.taken[id] = true
	}
	return &n
}

// A callRun reads one section of calls.
type callRun struct {
	syntax *callSyntax
	call   call
	at     runPlace
	step   int  // index of the step within its list
	fresh  bool // nothing has been read of the call
}

type runPlace uint8

const (
	runOpen runPlace = iota
	runCall
	runNext  // behind a call
	runClose // step counts the closing texts
)

// read takes what it can of text. completed says that it stopped behind a
// whole call, and is to be called again.
func (r *callRun) read(text string, last bool) (n int, completed bool, s status) {
	for {
		switch r.at {
		case runOpen:
			size, s := r.steps(r.syntax.open, text[n:], last)
			if n += size; s != done {
				return n, false, s
			}
			r.at, r.step, r.fresh = runCall, 0, true
		case runCall:
			size, s := r.steps(r.syntax.call, text[n:], last)
			n += size
			r.fresh = r.fresh && size == 0
			if s != done {
				return n, false, s
			}
			r.at, r.step = runNext, 0
			r.call = call{bare: r.call.bare, tools: r.call.tools, emit: r.call.emit}
			return n, true, more
		case runNext:
			if !r.syntax.many {
				r.at = runClose
				continue
			}
			n += len(text[n:]) - len(strings.TrimLeft(text[n:], jsonSpace+r.syntax.sep))
			if n == len(text) {
				if last {
					return n, false, done
				}
				return n, false, more
			}
			switch r.closes(text[n:], last) {
			case more:
				return n, false, more
			case done:
				r.at = runClose
			default:
				r.at, r.fresh = runCall, true
			}
		case runClose:
			if r.step == len(r.syntax.close) {
				return n, false, done
			}
			end := r.syntax.close[r.step]
			rest := text[n+spaces(text[n:]):]
			switch {
			case strings.HasPrefix(rest, end):
				n = len(text) - len(rest) + len(end)
			case !last && strings.HasPrefix(end, rest):
				return n, false, more
			}
			r.step++
		}
	}
}

// closes reports whether text goes on with the section's end.
func (r *callRun) closes(text string, last bool) status {
	for _, end := range r.syntax.close {
		switch {
		case strings.HasPrefix(text, end):
			return done
		case !last && strings.HasPrefix(end, text):
			return more
		}
	}
	return broken
}

func (r *callRun) steps(list []step, text string, last bool) (n int, s status) {
	for r.step < len(list) {
		size, s := list[r.step](&r.call, text[n:], last)
		if n += size; s != done {
			if s == more && last {
				s = broken
			}
			return n, s
		}
		r.step++
		r.call.state = nil
	}
	return n, done
}
