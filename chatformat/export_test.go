package chatformat

import (
	"slices"
	"time"

	"parley/chat"
)

// SetClock sets what a template takes for the current time.
func (t *Template) SetClock(now time.Time) { t.now = func() time.Time { return now } }

// Addition is what a prompt has beyond another one.
var Addition = addition

// CallSyntax is the syntax in which the calls of a template's models are read,
// "" where others are looked for.
func (t *Template) CallSyntax() string {
	if f := t.calls(); f.known {
		return f.syntaxes[0].name
	}
	return ""
}

// NewCallParser reads a reply with calls in the syntaxes of these names.
func NewCallParser(c chat.Conversation, prefill string, names ...string) Parser {
	o := replyOptions{}
	if slices.Contains(names, "harmony") {
		o.channels, o.close = true, channelEnd
		o.tools = newToolReading(c, []*callSyntax{harmonyCall})
	} else {
		o.open, o.close = "<think>", "</think>"
		o.tools = newToolReading(c, syntaxesNamed(names...))
	}
	if o.tools != nil {
		o.tools.prefill = prefill
	}
	return newReply(o)
}

// CallMarks are the texts by which calls are noticed.
func CallMarks() (list []string) {
	for _, s := range toolSyntaxes {
		list = append(list, s.begins...)
	}
	return list
}

// ToolSyntaxes are the names of the syntaxes in which calls can be read.
func ToolSyntaxes() []string {
	names := []string{harmonyCall.name}
	for _, s := range toolSyntaxes {
		names = append(names, s.name)
	}
	return names
}
