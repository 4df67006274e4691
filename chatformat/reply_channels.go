package chatformat

import (
	"strings"
)

// Marks of Harmony, in which gpt-oss replies: messages, each with a header and
// an end.
//
//	<|start|>assistant<|channel|>analysis<|message|>thoughts<|end|>
//	<|start|>assistant<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{…}<|call|>
//	<|start|>assistant<|channel|>final<|message|>text<|return|>
const (
	channelStart   = "<|start|>"
	channelMark    = "<|channel|>"
	channelMessage = "<|message|>"
	channelEnd     = "<|end|>"
	channelAnalyse = "analysis"
)

// channelMarks are the control tokens that the reader has to see.
var channelMarks = []string{channelStart, channelMark, channelMessage, channelEnd, "<|constrain|>"}

// harmonyCall reads the body of a message that is addressed to a function.
var harmonyCall = &callSyntax{name: "harmony", call: []step{jsonArguments}}

// header reads what stands before a message, and decides by it what the
// message is.
func (r *reply) header(last bool) bool {
	text := r.held[spaces(r.held):]
	if text == "" && !last {
		return false
	}
	begin := headerBegin(text, last)
	if begin < 0 {
		r.state = talking
		return true
	}
	const longest = 1024
	size := strings.Index(r.held, channelMessage)
	switch {
	case size < 0 && !last && len(r.held) < longest+len(channelMessage):
		return false
	case size < 0 || size > longest: // no header: the mark must not begin one again
		r.state = talking
		r.emit(len(r.held)-len(text)+begin, false)
		return true
	}
	head := r.held[:size]
	size += len(channelMessage)
	to, channel := recipient(head), channelOf(head)
	switch {
	case to != "" && r.o.tools != nil:
		r.attempt([]*callSyntax{harmonyCall}, 0, false)
		r.tries.at = size
		if !r.tries.run.call.named(strings.TrimPrefix(to, "functions.")) {
			r.broken(size)
		}
	case to != "":
		r.state = talking
		r.emit(size, false)
	case channel == channelAnalyse:
		r.drop(size)
		r.state = reasoning
	default:
		r.drop(size)
		r.state = talking
	}
	return true
}

// headerBegin is the length of the mark with which a header begins that text
// begins with, or of what there is of it; -1 if text begins otherwise.
func headerBegin(text string, last bool) int {
	for _, begin := range []string{channelStart, channelMark, channelMessage, "to="} {
		switch {
		case strings.HasPrefix(text, begin):
			return len(begin)
		case !last && strings.HasPrefix(begin, text):
			return len(text)
		}
	}
	return -1
}

// recipient is whom a message is addressed to; "" is everybody.
func recipient(head string) string {
	_, to, found := strings.Cut(head, "to=")
	if !found {
		return ""
	}
	w, _ := word(to, true)
	return w
}

// channelOf is the channel that a header names.
func channelOf(head string) string {
	_, name, _ := strings.Cut(head, channelMark)
	w, _ := word(name, true)
	return w
}
