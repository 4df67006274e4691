package session

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/openai"
	"parley/internal/scene"
	"parley/internal/wire"
	"parley/llm"
)

// A ToolCall is the model's wish to have a function called, as OpenAI's
// protocol has it. Its result is a message of the role tool with its id.
type ToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"` // "function"
	Function ToolFunction `json:"function"`
}

// A ToolFunction is which function is called.
type ToolFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // JSON text, as generated
}

func toolCall(c chat.ToolCall) ToolCall {
	return ToolCall{c.ID, "function", ToolFunction{c.Name, c.Arguments}}
}

// Tools are the functions that a reply may call, as a chat completion has them.
type Tools struct {
	List     json.RawMessage `json:"tools,omitempty"`
	Choice   json.RawMessage `json:"tool_choice,omitempty"`
	Parallel *bool           `json:"parallel_tool_calls,omitempty"`
}

// over lays the tools of a request over those of the session: a list takes the
// place of all, and a choice that of a choice.
func (t *Tools) over(usual Tools) Tools {
	switch {
	case t == nil:
		return usual
	case t.List != nil:
		return *t
	}
	if t.Choice != nil {
		usual.Choice = t.Choice
	}
	if t.Parallel != nil {
		usual.Parallel = t.Parallel
	}
	return usual
}

func (t *Tools) none() bool {
	return t == nil || len(t.List) == 0 && len(t.Choice) == 0 && t.Parallel == nil
}

// read reads what may be called.
func (t Tools) read() ([]chat.ToolSpec, chat.ToolChoice, error) {
	if t.none() {
		return nil, chat.ToolChoice{}, nil
	}
	v, err := wire.Parse(wire.Encode(t))
	if err != nil {
		return nil, chat.ToolChoice{}, err
	}
	r := &wire.Reader{}
	tools, choice := openai.ReadTools(r.Object("", v))
	return tools, choice, r.Err
}

// offer gives a conversation the tools that a reply may call. In a script none
// are called, and in the rest of a message none must be.
func (t Tools) offer(c *scene.Composed, kind Kind, style scene.Style) error {
	tools, choice, err := t.read()
	if err != nil || len(tools) == 0 || kind == Impersonate {
		return err
	}
	if style != scene.Turns {
		c.Report.Notes.Add("tools_unused", fmt.Sprint(len(tools)), "in the styles chat and chat-instruct no tools are called")
		return nil
	}
	if kind == Continue && choice.Mode != chat.ToolNone {
		choice.Mode, choice.Name = chat.ToolAuto, ""
	}
	c.Conversation.Tools, c.Conversation.Choice = tools, choice
	return nil
}

// A Result is what a tool came to.
type Result struct {
	CallID string
	Parts  []chat.Part
}

// calling finds the message whose calls of tools a result behind a message may
// be of, which has nothing but results behind it: which of its calls have one,
// by the messages. Gone are messages that were deleted there. It is nil if there is
// none.
func (t *Tree) calling(at int) (by *Node, results map[string]int, gone []*Node) {
	results = map[string]int{}
	for at > 0 {
		n := t.Nodes[at-1]
		switch v := n.last(); {
		case v.Deleted:
			gone = append(gone, n)
		case n.Role == chat.Tool:
			results[n.ToolCallID] = n.ID
		case n.Role == chat.Assistant && len(v.ToolCalls) > 0:
			return n, results, gone
		default:
			return nil, nil, gone
		}
		at = n.Parent
	}
	return nil, nil, gone
}

// waiting gives the ids of calls whose results are missing behind a message.
func (t *Tree) waiting(at int) (ids []string) {
	by, results, _ := t.calling(at)
	if by == nil {
		return nil
	}
	for _, call := range by.last().ToolCalls {
		if results[call.ID] == 0 {
			ids = append(ids, call.ID)
		}
	}
	return ids
}

// unanswered is why there is no reply behind calls of tools.
func unanswered(ids []string) error {
	return &llm.Error{Code: llm.Invalid, Field: "tool_call_id", Message: "the last reply calls tools, and the results of " + strings.Join(ids, ", ") + " are missing",
		Hint: "send them as messages of the role tool, or regenerate the reply"}
}

// putResult adds a tool's result at the head.
func (t *Tree) putResult(now time.Time, field string, r Result) error {
	by, results, gone := t.calling(t.Session.Head)
	of := func(n *Node) int {
		return slices.IndexFunc(n.last().ToolCalls, func(c ToolCall) bool { return c.ID == r.CallID })
	}
	refuse := func(code llm.Code, hint, format string, args ...any) error {
		return &llm.Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...), Hint: hint}
	}
	if by == nil || of(by) < 0 {
		for _, n := range gone {
			if slices.ContainsFunc(n.Versions, func(v Version) bool {
				return slices.ContainsFunc(v.ToolCalls, func(c ToolCall) bool { return c.ID == r.CallID })
			}) {
				return refuse(llm.NotFound, "restore it", "the call %q is that of message %d, which is deleted", wire.Short(r.CallID), n.ID)
			}
		}
	}
	if by == nil {
		return refuse(llm.Invalid, "a result stands behind the reply that calls the tool", "no call of a tool waits for a result here")
	}
	i := of(by)
	if i < 0 {
		return refuse(llm.Invalid, "", "message %d calls no tool under the id %q: its calls are %s", by.ID, wire.Short(r.CallID), strings.Join(callIDs(by.last().ToolCalls), ", "))
	}
	if at := results[r.CallID]; at != 0 {
		return refuse(llm.Conflict, "edit that message", "the call %q has its result already, in message %d", r.CallID, at)
	}
	text, attachments, files := divide(r.Parts)
	t.files = append(t.files, files...)
	id := t.Add(t.Session.Head, chat.Tool, Author{Name: by.last().ToolCalls[i].Function.Name}, Version{Created: now, Text: text, Attachments: attachments, State: Complete})
	t.Nodes[id-1].ToolCallID = r.CallID
	return nil
}

// result adds a tool's result behind the head.
func (r *reader) result(field string, result Result) error {
	err := r.tree.putResult(r.now, field, result)
	if err != nil {
		return llm.Errorf(llm.Unreadable, field, "%s", llm.AsError(err).Message)
	}
	return nil
}

// readCalls reads calls of tools as OpenAI's protocol has them; there may be none.
func readCalls(path string, data []byte) (all []ToolCall, err error) {
	if len(data) == 0 {
		return nil, nil
	}
	v, err := wire.Parse(data)
	if err != nil || v.Null() {
		return nil, err
	}
	r := &wire.Reader{}
	for _, c := range openai.ReadToolCalls(r, path, v) {
		all = append(all, toolCall(c))
	}
	return all, r.Err
}

// paired is a talk without the results of tools whose calls are not in it.
func paired(talk []Message) []Message {
	open := map[string]bool{}
	return slices.DeleteFunc(talk, func(m Message) bool {
		if m.Role == chat.Tool {
			alone := !open[m.ToolCallID]
			delete(open, m.ToolCallID)
			return alone
		}
		clear(open)
		for _, c := range m.ToolCalls {
			open[c.ID] = true
		}
		return false
	})
}

// worded is a talk without tools, for those who know none.
func worded(talk []Message) []Message {
	return slices.DeleteFunc(talk, func(m Message) bool {
		return m.Role == chat.Tool || len(m.ToolCalls) > 0 && m.Text == ""
	})
}

func callIDs(calls []ToolCall) (ids []string) {
	for _, c := range calls {
		ids = append(ids, c.ID)
	}
	return ids
}

// checkCalls finds what cannot be in a message.
func checkCalls(role chat.Role, calls []ToolCall, callID string) error {
	if err := limits.NameBytes.CheckInt(len(callID)); err != nil {
		return err
	}
	if err := limits.Tools.CheckInt(len(calls)); err != nil {
		return err
	}
	switch {
	case callID != "" && role != chat.Tool:
		return fmt.Errorf("only a tool's message answers a call")
	case len(calls) > 0 && role != chat.Assistant:
		return fmt.Errorf("only the assistant calls tools")
	}
	for i, c := range calls {
		if c.Function.Name == "" || limits.NameBytes.CheckInt(len(c.Function.Name)) != nil || limits.NameBytes.CheckInt(len(c.ID)) != nil {
			return fmt.Errorf("the call %d has no name, or its name or id is too long", i)
		}
		if err := limits.MessageBytes.CheckInt(len(c.Function.Arguments)); err != nil {
			return err
		}
		if slices.ContainsFunc(calls[:i], func(o ToolCall) bool { return o.ID == c.ID }) {
			return fmt.Errorf("two calls have the id %q", c.ID)
		}
	}
	return nil
}

// Words is what a message is found by: its text, and the calls of tools.
func (v *Version) Words() string {
	if len(v.ToolCalls) == 0 {
		return v.Text
	}
	words := []string{}
	if v.Text != "" {
		words = append(words, v.Text)
	}
	for _, c := range v.ToolCalls {
		words = append(words, c.Function.Name+" "+c.Function.Arguments)
	}
	return strings.Join(words, "\n")
}

// called puts the calls of a reply together from what a model tells of them.
type called []chat.ToolCall

// add takes more of a call. Those that turn out to be none are left out at the end.
func (c *called) add(d chat.ToolCallDelta) {
	for len(*c) <= d.Index {
		*c = append(*c, chat.ToolCall{})
	}
	call := &(*c)[d.Index]
	if d.Broken {
		*call = chat.ToolCall{}
		return
	}
	call.ID += d.ID
	call.Name += d.Name
	call.Arguments += d.Arguments
}

// whole are the calls that were written to their ends.
func (c called) whole() (all []ToolCall) {
	for _, call := range c {
		if call.Name != "" && json.Valid([]byte(call.Arguments)) {
			all = append(all, toolCall(call))
		}
	}
	return all
}
