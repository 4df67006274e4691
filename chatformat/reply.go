package chatformat

import (
	"strings"
	"unicode"

	"parley/chat"
	"parley/llm"
)

// PlainReply reads a reply that is nothing but text.
func PlainReply() Parser { return newReply(replyOptions{}) }

// ThinkingReply reads a reply that may begin with thoughts between <think> and
// </think>, as most models that think write them.
func ThinkingReply() Parser {
	return newReply(replyOptions{open: thinkMarks[0].Open, close: thinkMarks[0].Close})
}

type replyOptions struct {
	open, close string       // the marks of reasoning; empty: the format has none
	inside      bool         // the prompt ended inside of reasoning
	lead        string       // text at the beginning of a reply that belongs to the format
	begun       bool         // the prompt ends with the beginning of the reply
	wrap        *thinkTag    // marks around the text of a reply; nil: there are none
	channels    bool         // replies come as messages with a channel each, as gpt-oss writes them
	tools       *toolReading // nil: calls stay text
}

// think decides how thoughts are told from the reply, and where stop strings
// do not count.
func (o *replyOptions) think(t *thinkTag, r *Rendering) {
	switch {
	case o.channels:
		o.close = channelEnd
		r.unheld = "in this format it comes in several channels"
		if !o.begun {
			r.StopAfter, r.StopOpen = channelEnd, channelMark+channelAnalyse
		}
	case t != nil:
		o.open, o.close = t.Open, t.Close
		o.inside = insideReasoning(r.Prompt, t.Open, t.Close)
		r.StopAfter, r.StopOpen = o.sleep()
	}
}

// sleep are the marks between which stop strings do not count: of a reply that
// goes on inside of reasoning, or that may begin with it.
func (o replyOptions) sleep() (after, open string) {
	switch {
	case o.inside:
		return o.close, ""
	case o.begun:
		return "", ""
	}
	return o.close, o.open
}

// A reply is the Parser of all formats here: text, with thoughts before it and
// tool calls in it where the format marks them.
//
// White space around thoughts and calls is the format's and is taken away, as
// the marks are; the tokens that wrote them travel with the text that follows.
type reply struct {
	o     replyOptions
	state replyState

	held   string // text not passed on yet
	tokens []llm.Token
	starts []int // where each of tokens begins, counted from the start of held
	events []chat.Event
	report llm.Report

	began bool // the text has
	calls int  // how many have begun
	tries tries
}

type replyState uint8

const (
	atStart   replyState = iota // nothing but white space yet: the opening mark may come
	beginning                   // the reply's text begins: the lead may come
	reasoning                   // inside of reasoning, nothing of it yet
	thinking                    // inside of reasoning
	between                     // behind reasoning or a call: white space is skipped
	talking                     // the reply's text
	calling                     // inside of a tool call
	atHeader                    // a message of a channel begins
)

func newReply(o replyOptions) *reply {
	o.tools = o.tools.fresh()
	r := &reply{o: o, state: beginning}
	switch {
	case o.open != "":
		r.state = atStart
	case o.channels:
		r.state = atHeader
	}
	switch {
	case o.inside && o.begun:
		r.state = thinking
	case o.inside:
		r.state = reasoning
	case o.begun:
		r.state = talking
	}
	if o.tools != nil && o.tools.prefill != "" {
		r.held = o.tools.prefill
		if r.state != atHeader {
			r.state = beginning
		}
	}
	return r
}

// Parse reads the next piece.
func (r *reply) Parse(p llm.Piece) []chat.Event {
	at := len(r.held)
	for _, t := range p.Tokens {
		r.tokens = append(r.tokens, t)
		r.starts = append(r.starts, at)
		if !t.Control {
			at = min(at+len(t.Text), len(r.held)+len(p.Text))
		}
	}
	r.held += p.Text
	last := p.Finish != nil
	for r.step(last) {
	}
	if last && len(r.tokens) > 0 {
		r.events = append(r.events, chat.TextDelta{Tokens: r.tokens})
		r.tokens, r.starts = nil, nil
	}
	events := r.events
	r.events = nil
	return events
}

// Report says what was read otherwise than it was written.
func (r *reply) Report() llm.Report { return r.report }

// step does what the text held allows and reports whether there may be more
// to do.
func (r *reply) step(last bool) bool {
	switch r.state {
	case atStart:
		return r.start(last)
	case beginning:
		return r.begin(last)
	case reasoning, between:
		return r.skipWhite(last)
	case thinking:
		return r.think(last)
	case calling:
		return r.call(last)
	case atHeader:
		return r.header(last)
	}
	return r.talk(last)
}

// start waits for the opening mark of reasoning.
func (r *reply) start(last bool) bool {
	text := strings.TrimLeftFunc(r.held, unicode.IsSpace)
	if strings.HasPrefix(text, r.o.open) {
		r.drop(len(r.held) - len(text) + len(r.o.open))
		r.state = reasoning
		return true
	}
	if !last && strings.HasPrefix(r.o.open, text) {
		return false
	}
	r.state = beginning
	return true
}

// begin takes away what the format writes before a reply, and looks for calls
// that nothing marks.
func (r *reply) begin(last bool) bool {
	for _, lead := range r.leads() {
		if !last && len(r.held) < len(lead) && strings.HasPrefix(lead, r.held) {
			return false
		}
		if strings.HasPrefix(r.held, lead) {
			r.drop(len(lead))
			break
		}
	}
	r.state, r.began = talking, true
	if bare := r.o.tools.bare(); len(bare) > 0 {
		r.attempt(bare, 0, true)
	}
	return true
}

// leads are the texts of which one may stand before the reply's own.
func (r *reply) leads() (list []string) {
	if w := r.o.wrap; w != nil {
		list = append(list, w.Open)
	}
	if r.o.tools != nil {
		for _, s := range r.o.tools.syntaxes {
			if s.lead != "" {
				list = append(list, s.lead)
			}
		}
	}
	return append(list, r.o.lead)
}

func (r *reply) skipWhite(last bool) bool {
	text := strings.TrimLeftFunc(r.held, unicode.IsSpace)
	r.drop(len(r.held) - len(text))
	if text == "" && !last {
		return false
	}
	switch {
	case r.state == reasoning:
		r.state = thinking
	case !r.began:
		r.state = beginning
	default:
		r.state = talking
	}
	return true
}

// think passes thoughts on, up to the mark that ends them. White space is held
// back, since it may stand before the mark.
func (r *reply) think(last bool) bool {
	if i := strings.Index(r.held, r.o.close); i >= 0 {
		r.emit(len(strings.TrimRightFunc(r.held[:i], unicode.IsSpace)), true)
		r.drop(strings.Index(r.held, r.o.close) + len(r.o.close))
		r.state = between
		if r.o.channels {
			r.state = atHeader
		}
		return true
	}
	end := len(r.held)
	if !last {
		end -= overlap(r.held, r.o.close)
		end = len(strings.TrimRightFunc(r.held[:end], unicode.IsSpace))
	}
	r.emit(end, true)
	return false
}

// emit passes text on, with the tokens that begin in it or were dropped before
// it.
func (r *reply) emit(end int, thought bool) {
	if end == 0 {
		return
	}
	n := 0
	for n < len(r.starts) && r.starts[n] < end {
		n++
	}
	text, tokens := r.held[:end], r.tokens[:n:n]
	if len(tokens) == 0 {
		tokens = nil
	}
	r.tokens, r.starts = r.tokens[n:], r.starts[n:]
	r.shift(end)
	if thought {
		r.events = append(r.events, chat.ReasoningDelta{Text: text, Tokens: tokens})
	} else {
		r.events = append(r.events, chat.TextDelta{Text: text, Tokens: tokens})
	}
}

// drop takes text away; its tokens stay, for the text that follows.
func (r *reply) drop(n int) { r.shift(n) }

func (r *reply) shift(n int) {
	r.held = r.held[n:]
	for i := range r.starts {
		r.starts[i] = max(r.starts[i]-n, 0)
	}
}
