package chatformat

import (
	"fmt"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// Normalise makes a conversation expressible for whoever lays it out with the
// abilities given, by the policy, names, note and media of its layout, which
// are carried out and so empty in the result: it changes what cannot be taken
// and nothing else, drops nothing that anybody said, and reports every change.
// The conversation itself is not changed. Neighbouring texts of a message
// become one part.
func Normalise(c chat.Conversation, can Abilities) (chat.Conversation, llm.Report, error) {
	turns, report, err := normalise(c, can)
	if err != nil {
		return chat.Conversation{}, nil, err
	}
	c.Messages = messages(turns)
	c.Layout.Policy, c.Layout.Names, c.Layout.Note, c.Layout.Media = "", "", "", ""
	return c, report, nil
}

// normalise is Normalise for formats, which lay turns out.
func normalise(c chat.Conversation, can Abilities) ([]turn, llm.Report, error) {
	n := &normaliser{can: can, policy: c.Layout.Policy, note: c.Layout.Note, open: c.Continue}
	if n.policy == "" {
		n.policy = PolicyAuto
	}
	if err := n.check(c); err != nil {
		return nil, nil, err
	}
	n.turns = turns(c)
	n.place(c)
	if err := n.media(c.Layout.Media); err != nil {
		return nil, nil, err
	}
	n.names(c)
	n.toolText()
	if err := n.apply(); err != nil {
		return nil, nil, err
	}
	return n.turns, n.report, nil
}

type normaliser struct {
	can    Abilities
	policy string
	note   string
	open   bool // the last turn is to be continued
	turns  []turn
	report llm.Report
}

func (n *normaliser) check(c chat.Conversation) error {
	if len(c.Messages) == 0 {
		return llm.Errorf(llm.Invalid, messagesField, "there are no messages to answer")
	}
	if err := limits.Messages.CheckInt(len(c.Messages)); err != nil {
		return llm.Errorf(llm.Invalid, messagesField, "%v", err)
	}
	for i, m := range c.Messages {
		if !m.Role.Valid() {
			return llm.Errorf(llm.Invalid, fmt.Sprintf("messages[%d].role", i), "unknown role %q", m.Role)
		}
	}
	for i, m := range c.Messages {
		system := m.Role == chat.System || m.Role == chat.Developer
		if m.Placement != chat.PlaceHere && (!system || m.Placement != chat.PlaceHead && m.Placement != chat.PlaceTail) {
			return llm.Errorf(llm.Invalid, fmt.Sprintf("messages[%d].placement", i), "a %s message cannot be placed at %q: system and developer messages can, at head or tail", m.Role, m.Placement)
		}
	}
	if names := c.Layout.Names; !slices.Contains([]chat.NamesPolicy{chat.NamesDefault, chat.NamesField, chat.NamesPrefix, chat.NamesNone}, names) {
		return llm.Errorf(llm.Invalid, "names", "%q is none of field, prefix, none", names)
	}
	if note := c.Layout.Note; note != "" && strings.Count(note, noteText) != 1 {
		return llm.Errorf(llm.Invalid, "note", "a note needs %s once, where the message's text goes", noteText)
	}
	last := len(c.Messages) - 1
	if c.Continue && c.Messages[last].Role != chat.Assistant {
		return llm.Errorf(llm.Invalid, fmt.Sprintf("messages[%d].role", last),
			"the last message is to be continued, but it is not the assistant's")
	}
	if !slices.Contains(Policies(), n.policy) {
		e := llm.Errorf(llm.Invalid, "policy", "there is no policy %q for messages", n.policy)
		e.Hint = "one of: " + strings.Join(Policies(), ", ")
		return e
	}
	return nil
}

// repaired notes a change.
func (n *normaliser) repaired(what string, format string, args ...any) {
	n.report.Add(CodeRepaired, what, fmt.Sprintf(format, args...))
}

// place moves the messages that are to be placed elsewhere. A client asked for
// it: it is no repair.
func (n *normaliser) place(c chat.Conversation) {
	var head, here, tail, open []turn
	for i, t := range n.turns {
		switch {
		case n.open && i == len(n.turns)-1:
			open = append(open, t)
		case c.Messages[i].Placement == chat.PlaceHead:
			head = append(head, t)
		case c.Messages[i].Placement == chat.PlaceTail:
			tail = append(tail, t)
		default:
			here = append(here, t)
		}
	}
	if len(head)+len(tail) > 0 {
		n.turns = here
		n.turns = slices.Concat(slices.Insert(here, n.leading(), head...), tail, open)
	}
}

// media puts notes in the place of pictures and sound that cannot be taken, or
// refuses them.
func (n *normaliser) media(policy chat.MediaPolicy) error {
	for i := range n.turns {
		for j, r := range n.turns[i].content {
			if r.media == nil {
				continue
			}
			kind, _, _ := strings.Cut(r.media.MIME, "/")
			if n.can.takes(kind, n.turns[i].role) {
				continue
			}
			field := fmt.Sprintf("messages[%d].content[%d]", r.source.Index, r.source.Part)
			if kind != "image" && kind != "audio" && kind != "video" {
				kind = "file"
			}
			if policy != chat.MediaPlaceholder {
				e := llm.Errorf(llm.Unsupported, field, "this model takes text only%s, and this part is of kind %s", n.can.besides(), kind)
				e.Hint = "leave it out, or ask for a placeholder in its place"
				return e
			}
			n.turns[i].content = slices.Clone(n.turns[i].content)
			n.turns[i].content[j] = ours("[" + kind + "]")
			n.report.Add(CodeMediaPlaceholder, field, "["+kind+"] stands in its place")
		}
	}
	return nil
}

// takes reports whether media of a kind can stand in a message of a role.
func (can Abilities) takes(kind string, role chat.Role) bool {
	return (can.Media || can.UserMedia && role == chat.User) && (kind == "image" || kind == "audio" && can.Audio)
}

// besides says which media can be taken.
func (can Abilities) besides() string {
	if !can.Media && !can.UserMedia {
		return ""
	}
	what := ", and pictures"
	if can.Audio {
		what += " and sound"
	}
	if !can.Media {
		what += " in user messages"
	}
	return what
}

// names puts speakers' names before what they say, where the format has no
// other way to tell them or this one was chosen.
func (n *normaliser) names(c chat.Conversation) {
	if n.can.Names && c.Layout.Names != chat.NamesPrefix && c.Layout.Names != chat.NamesNone {
		return
	}
	for i := range n.turns {
		t := &n.turns[i]
		name := t.name
		t.name = ""
		if name == "" || t.role == chat.Tool || sillyTavern[n.policy] && t.role == chat.System {
			continue
		}
		if c.Layout.Names == chat.NamesNone {
			n.report.Add(CodeNamesOmitted, t.at(), "the name of its speaker is left out, as asked for")
			continue
		}
		if strings.HasPrefix(t.text(), name+": ") {
			continue
		}
		prefix := []run{{text: name, trust: llm.TrustClient, source: source(t.index, 0, fieldName)}, ours(": ")}
		t.content = slices.Concat(prefix, t.content)
		n.repaired(RepairNames, "%s begins with the name of its speaker", t.at())
	}
}

// toolText writes tool calls and their results out where the format has no
// syntax for them.
func (n *normaliser) toolText() {
	called := map[string]string{} // name by id
	for i := range n.turns {
		t := &n.turns[i]
		for _, call := range t.calls {
			called[call.ID] = call.Name
		}
		if len(t.calls) > 0 && !n.can.Calls {
			for _, call := range t.calls {
				from := func(text string) run {
					return run{text: text, trust: llm.TrustModel, source: source(t.index, 0, fieldToolCalls)}
				}
				t.content = join(t.content, []run{ours("[tool call: "), from(call.Name), ours(" "), from(call.Arguments), ours("]")})
			}
			t.calls = nil
			n.repaired(RepairTools, "%s calls tools, written out as text", t.at())
		}
		if t.role == chat.Tool && !n.can.Tools {
			name := ours(unnamedTool)
			if s := called[t.callID]; s != "" {
				name = run{text: s, trust: llm.TrustClient, source: source(t.index, 0, "tool_call_id")}
			}
			t.content = slices.Concat([]run{ours("[tool result: "), name, ours("]\n")}, t.content)
			t.role = chat.User
			n.repaired(RepairTools, "%s is a tool's result, laid out as a user message", t.at())
		}
	}
}
