package chatformat

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"parley/chat"
	"parley/llm"
)

// A turn is a message on its way into a prompt. Repairs join and re-role
// turns; what they hold remembers where it came from.
type turn struct {
	role      chat.Role
	content   []run
	name      string // who of several speakers, where the format can say so
	reasoning []run
	calls     []chat.ToolCall
	callID    string
	index     int   // the message that the turn began as; -1: put in by a repair
	tokens    []int // of an assistant's whole message, if they are known
}

// A run is text of one origin, or a picture or sound.
type run struct {
	text   string
	media  *llm.Media
	trust  llm.Trust
	source llm.Source
	ours   bool // written by the format or a repair
}

func ours(text string) run { return run{text: text, ours: true} }

// turns takes a conversation apart. Roles and the number of messages are as
// the client sent them.
func turns(c chat.Conversation) []turn {
	list := make([]turn, len(c.Messages))
	for i, m := range c.Messages {
		t := turn{role: m.Role, name: m.Name, calls: m.ToolCalls, callID: m.ToolCallID, index: i, tokens: m.Tokens}
		trust := llm.TrustClient
		if m.Role == chat.Assistant {
			trust = llm.TrustModel
		}
		for j, p := range m.Parts {
			r := run{text: p.Text, media: p.Media, trust: trust, source: source(i, j, fieldContent)}
			if p.Media != nil {
				r.text, r.trust = "", llm.TrustClient
			}
			t.content = append(t.content, r)
		}
		if m.Reasoning != "" {
			t.reasoning = []run{{text: m.Reasoning, trust: trust, source: source(i, 0, fieldReasoning)}}
		}
		list[i] = t
	}
	return list
}

// messages puts turns together again, for those who lay messages out
// themselves.
func messages(turns []turn) []chat.Message {
	list := make([]chat.Message, len(turns))
	for i, t := range turns {
		m := chat.Message{Role: t.role, Name: t.name, Reasoning: textOf(t.reasoning), ToolCalls: t.calls, ToolCallID: t.callID, Tokens: t.tokens}
		for _, r := range t.content {
			last := len(m.Parts) - 1
			switch {
			case r.media != nil:
				m.Parts = append(m.Parts, chat.Part{Media: r.media})
			case last >= 0 && m.Parts[last].Media == nil:
				m.Parts[last].Text += r.text
			default:
				m.Parts = append(m.Parts, chat.Part{Text: r.text})
			}
		}
		list[i] = m
	}
	return list
}

func source(message, part int, field string) llm.Source {
	return llm.Source{Kind: llm.FromMessage, Index: message, Part: part, Field: field}
}

// text is the text of a turn's content.
func (t turn) text() string { return textOf(t.content) }

func textOf(runs []run) string {
	if len(runs) == 1 {
		return runs[0].text
	}
	var b strings.Builder
	for _, r := range runs {
		b.WriteString(r.text)
	}
	return b.String()
}

// void reports whether a turn says nothing at all.
func (t turn) void() bool {
	return empty(t.content) && len(t.calls) == 0 && len(t.reasoning) == 0
}

func empty(runs []run) bool {
	return !slices.ContainsFunc(runs, func(r run) bool { return r.text != "" || r.media != nil })
}

// trimmed is runs without white space at the ends chosen.
func trimmed(runs []run, left, right bool) []run {
	runs = slices.Clone(runs)
	if left {
		for i := range runs {
			if runs[i].media != nil {
				break
			}
			if runs[i].text = strings.TrimLeftFunc(runs[i].text, unicode.IsSpace); runs[i].text != "" {
				break
			}
		}
	}
	if right {
		for i := len(runs) - 1; i >= 0 && runs[i].media == nil; i-- {
			if runs[i].text = strings.TrimRightFunc(runs[i].text, unicode.IsSpace); runs[i].text != "" {
				break
			}
		}
	}
	return runs
}

// join puts the content of b behind that of a, with a separator where both
// say something.
func join(a, b []run) []run {
	switch {
	case empty(a):
		return b
	case empty(b):
		return a
	}
	return slices.Concat(a, []run{ours(separator)}, b)
}

// at names the message that a turn began as.
func (t turn) at() string {
	if t.index < 0 {
		return "the user message put in"
	}
	return fmt.Sprintf("%s[%d]", messagesField, t.index)
}
