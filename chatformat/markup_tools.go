package chatformat

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"parley/chat"
	"parley/llm"
)

// toolsTag is how a format in TOML lists tools and writes calls.
type toolsTag struct {
	List    string `toml:"list"`    // at the end of the system message; {tools} are the tools, as JSON, one a line
	Call    string `toml:"call"`    // one call, with {name}, {arguments} and perhaps {id}
	Calls   string `toml:"calls"`   // all calls of a message, {calls}
	Between string `toml:"between"` // what stands between two calls, and between text and calls
}

const (
	toolsPlaceholder     = "{tools}"
	namePlaceholder      = "{name}"
	argumentsPlaceholder = "{arguments}"
	idPlaceholder        = "{id}"
	callsPlaceholder     = "{calls}"
)

func (t *toolsTag) check() error {
	if t.Calls == "" {
		t.Calls = callsPlaceholder
	}
	for _, c := range []struct{ key, text, placeholder string }{
		{"list", t.List, toolsPlaceholder}, {"call", t.Call, namePlaceholder}, {"call", t.Call, argumentsPlaceholder}, {"calls", t.Calls, callsPlaceholder},
	} {
		if strings.Count(c.text, c.placeholder) != 1 {
			return fmt.Errorf("tools.%s must hold %s once", c.key, c.placeholder)
		}
	}
	if strings.Index(t.Call, namePlaceholder) > strings.Index(t.Call, argumentsPlaceholder) {
		return errors.New("tools.call must hold {name} before {arguments}")
	}
	return nil
}

// form finds the syntax in which the calls read back.
func (t *toolsTag) form() (callForm, bool) {
	id := probedIDs[0]
	probed := turn{calls: []chat.ToolCall{{ID: id, Name: probedTool.Name, Arguments: richArguments}}}
	text := textOf(t.called(probed, nil))
	for _, s := range toolSyntaxes {
		if _, ok := readsBack(replyOptions{}, s, text, richArguments); ok {
			form := callForm{syntaxes: []*callSyntax{s}, known: true}
			probed.calls[0].Arguments = plainArguments
			form.divide(replyOptions{}, textOf(t.called(probed, nil)), id)
			return form, true
		}
	}
	return callForm{}, false
}

// listed puts the list of tools at the end of the first system message, or
// into one of its own behind the format's usual one.
func (t *toolsTag) listed(turns []turn, tools []chat.ToolSpec, usual string) []turn {
	before, after, _ := strings.Cut(t.List, toolsPlaceholder)
	list := []run{ours(before)}
	for i, tool := range tools {
		raw := tool.Raw
		if raw == nil {
			raw = toolJSON(tool)
		}
		if i > 0 {
			list = append(list, ours("\n"))
		}
		list = append(list, run{text: string(raw), source: llm.Source{Kind: llm.FromTool, Index: i}})
	}
	list = append(list, ours(after))
	turns = slices.Clone(turns)
	if len(turns) > 0 && turns[0].role == chat.System {
		turns[0].content = join(turns[0].content, list)
		return turns
	}
	if usual != "" {
		list = join([]run{ours(usual)}, list)
	}
	return slices.Insert(turns, 0, turn{role: chat.System, content: list, index: -1})
}

// called is an assistant's content with its calls behind it.
func (t *toolsTag) called(assistant turn, content []run) []run {
	before, after, _ := strings.Cut(t.Calls, callsPlaceholder)
	out := slices.Clone(content)
	if !empty(content) {
		out = append(out, ours(t.Between))
	}
	out = append(out, ours(before))
	for i, call := range assistant.calls {
		if i > 0 {
			out = append(out, ours(t.Between))
		}
		name, arguments := strings.Trim(quoteJSON(call.Name), `"`), call.Arguments
		if strings.TrimSpace(arguments) == "" {
			arguments = "{}"
		}
		from := run{trust: llm.TrustModel, source: source(assistant.index, i, fieldToolCalls)}
		for text := t.Call; text != ""; {
			at, what, value := len(text), "", ""
			for _, p := range [][2]string{{namePlaceholder, name}, {argumentsPlaceholder, arguments}, {idPlaceholder, call.ID}} {
				if i := strings.Index(text, p[0]); i >= 0 && i < at {
					at, what, value = i, p[0], p[1]
				}
			}
			out = append(out, ours(text[:at]))
			if value != "" {
				from.text = value
				out = append(out, from)
			}
			text = text[at+len(what):]
		}
	}
	return append(out, ours(after))
}
