package scene

import (
	"slices"
	"strconv"

	"parley/chat"
)

// pair leaves out calls of tools without a result, and results without a call:
// of what tools do the model sees whole pairs alone, whatever was deleted or
// told by a summary. A result belongs to the message before it that calls
// tools, with nothing but results between them, and the first of two with one
// id counts. In a script there is no place for either.
func (c *composer) pair() {
	if !slices.ContainsFunc(c.Messages, func(m Message) bool { return m.Role == chat.Tool || len(m.ToolCalls) > 0 }) {
		return
	}
	var all []Message
	calls, results, summarised := 0, 0, c.Summarised
	for i := 0; i < len(c.Messages); {
		m, end := c.Messages[i], i+1
		for end < len(c.Messages) && c.Messages[end].Role == chat.Tool {
			end++
		}
		begin := len(all)
		answered := map[string]Message{}
		for _, result := range c.Messages[i+1 : end] {
			_, twice := answered[result.ToolCallID]
			called := slices.ContainsFunc(m.ToolCalls, func(call chat.ToolCall) bool { return call.ID == result.ToolCallID })
			if called && !twice && c.Style == Turns {
				answered[result.ToolCallID] = result
			} else {
				results++
			}
		}
		whole := slices.DeleteFunc(slices.Clone(m.ToolCalls), func(call chat.ToolCall) bool {
			_, ok := answered[call.ID]
			return !ok
		})
		if calls += len(m.ToolCalls) - len(whole); len(whole) != len(m.ToolCalls) {
			m.ToolCalls, m.Tokens = whole, nil
		}
		switch said := m.Text() != "" || hasMedia(m.Message); {
		case m.Role == chat.Tool: // the talk begins with it
			results++
		case said || len(whole) > 0 || len(c.Messages[i].ToolCalls) == 0:
			all = append(all, m)
		}
		for _, result := range c.Messages[i+1 : end] {
			if of, ok := answered[result.ToolCallID]; ok && of.ID == result.ID {
				all = append(all, result)
			}
		}
		switch {
		case c.Summarised >= end: // all of it is told by the summary
			summarised = len(all)
		case c.Summarised > i: // a part is, and the whole stays
			summarised = begin
		}
		i = end
	}
	c.Messages, c.Summarised = all, summarised
	if calls > 0 {
		c.report.Notes.Add("tool_calls_left_out", strconv.Itoa(calls), "calls of tools whose results are not in the talk were left out")
	}
	if results > 0 {
		c.report.Notes.Add("tool_results_left_out", strconv.Itoa(results), "results of tools whose calls are not in the talk were left out")
	}
}

func hasMedia(m chat.Message) bool {
	return slices.ContainsFunc(m.Parts, func(p chat.Part) bool { return p.Media != nil })
}

// group is where the messages begin that stay or go with one: a result goes
// with the call before it.
func (c *composer) group(i int) int {
	for i > 0 && c.Messages[i].Role == chat.Tool {
		i--
	}
	return i
}
