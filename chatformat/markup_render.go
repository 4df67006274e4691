package chatformat

import (
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/llm"
)

// Placeholders in a format's texts.
const (
	userPlaceholder      = "{user}" // the name of the user who speaks
	assistantPlaceholder = "{char}" // the assistant's name
	roundPlaceholder     = "{n}"    // how many user messages came before
)

// Render lays a conversation out.
func (m *Markup) Render(c chat.Conversation) (Rendering, error) {
	turns, report, err := normalise(c, m.abilities)
	if err != nil {
		return Rendering{}, err
	}
	if err := m.refuseTools(c, &report); err != nil {
		return Rendering{}, err
	}
	if m.listsTools(c) {
		turns = m.file.Tools.listed(turns, c.Tools, m.file.System.Default)
	}
	w := markupWriter{m: m, turns: turns, report: &report}
	w.conversation(c.Continue)
	r := Rendering{
		Prompt: llm.Prompt{Segments: w.out.segments, Marks: m.marks},
		Stop:   w.stops(),
		Report: report,
	}
	o := replyOptions{lead: m.lead, begun: c.Continue, channels: m.channels}
	forced, err := m.calls.force(c, m.name)
	if err != nil {
		return Rendering{}, err
	}
	if m.listsTools(c) {
		o.tools = newToolReading(c, m.calls.syntaxes)
	}
	if forced != nil {
		o.tools.prefill = forced.write(&r, m.file.Reasoning, c, m.calls)
	} else {
		o.think(m.file.Reasoning, &r)
		if c.Choice.Mode == chat.ToolAuto && m.listsTools(c) {
			m.calls.watch(&r, c.Tools)
		}
	}
	r.Reply = func() Parser { return newReply(o) }
	return r, nil
}

// listsTools reports whether the prompt has the conversation's tools in it.
func (m *Markup) listsTools(c chat.Conversation) bool {
	return len(c.Tools) > 0 && c.Choice.Mode != chat.ToolNone && m.file.Tools != nil
}

// refuseTools refuses a choice that cannot be made, and a list of tools for
// which the format has no words.
func (m *Markup) refuseTools(c chat.Conversation, report *llm.Report) error {
	if err := checkChoice(c); err != nil {
		return err
	}
	if len(c.Tools) == 0 || m.listsTools(c) {
		return nil
	}
	if c.Choice.Mode == chat.ToolNone && m.file.Tools != nil {
		report.Add(CodeToolsUnused, strconv.Itoa(len(c.Tools)), "no tool may be called")
		return nil
	}
	if c.Choice.Mode == chat.ToolNone {
		report.Add(CodeToolsUnused, strconv.Itoa(len(c.Tools)), "the chat format "+m.name+" has no place for a list of tools")
		return nil
	}
	e := llm.Errorf(llm.Unsupported, "tools", "the chat format %s has no place for a list of tools", m.name)
	e.Hint = `send no tools, or tool_choice "none"`
	return e
}

// A markupWriter lays one conversation out.
type markupWriter struct {
	m      *Markup
	turns  []turn
	out    layout
	report *llm.Report

	pending  []run // system text that waits for a user message
	round    int   // user messages so far
	lastUser int   // index of the last user turn
	char     turn  // the assistant's latest turn, for its name
}

func (w *markupWriter) conversation(open bool) {
	f := w.m.file
	w.out.format(f.Start)
	w.lastUser = -1
	for i, t := range w.turns {
		if t.role == chat.User {
			w.lastUser = i
		}
		if t.role == chat.Assistant {
			w.char = t
		}
	}
	if d := f.System.Default; d != "" && !slices.ContainsFunc(w.turns, isSystem) {
		w.turn(-1, turn{role: chat.System, content: []run{ours(d)}, index: -1}, false)
	}
	for i, t := range w.turns {
		if i > 0 {
			w.out.format(f.Between)
		}
		w.turn(i, t, open && i == len(w.turns)-1)
	}
	w.flush()
	if !open {
		w.delimiter(w.m.generation, w.char)
	}
}

func isSystem(t turn) bool { return t.role == chat.System }

// turn writes one message; an open one is left without its suffix, and its
// end untouched, since the reply goes on there.
func (w *markupWriter) turn(i int, t turn, open bool) {
	f := w.m.file
	content := t.content
	if f.Trim == trimAll || f.Trim == trimAssistant && t.role == chat.Assistant {
		content = trimmed(content, true, !open)
	}
	switch t.role {
	case chat.System:
		if f.System.Place == placeUser {
			w.pending = join(w.pending, content)
			return
		}
		w.block(t, roleTag{f.System.Prefix, f.System.Suffix}, content, false)
	case chat.User:
		w.user(t, content)
	case chat.Tool:
		w.flush()
		w.block(t, *f.Tool, content, false)
	default:
		w.flush()
		content = w.thoughts(i, t, content)
		if f.Tools != nil && len(t.calls) > 0 {
			content = f.Tools.called(t, content)
		}
		w.block(t, *f.Assistant, content, open)
	}
}

func (w *markupWriter) block(t turn, tag roleTag, content []run, open bool) {
	if open && empty(content) { // it begins as any reply does
		w.delimiter(w.m.generation, t)
		return
	}
	w.delimiter(tag.Prefix, t)
	for _, r := range content {
		w.out.run(r)
	}
	if !open {
		w.delimiter(tag.Suffix, t)
	}
}

// user writes a user's message, with the system text that waits for one.
func (w *markupWriter) user(t turn, content []run) {
	f := w.m.file
	if !empty(w.pending) {
		system := slices.Concat([]run{ours(f.System.Prefix)}, w.pending, []run{ours(f.System.Suffix)})
		content = append(system, content...)
	}
	w.pending = nil
	w.block(t, *f.User, content, false)
	w.round++
}

// flush writes system text that waits for a user message where none follows
// before somebody else speaks.
func (w *markupWriter) flush() {
	if !empty(w.pending) {
		w.user(turn{role: chat.User, index: -1}, nil)
	}
}

// thoughts puts an assistant's thoughts before its words, where the format has
// a way to: those since the last user message. Earlier ones are left out, as
// models that think are trained.
func (w *markupWriter) thoughts(i int, t turn, content []run) []run {
	think := w.m.file.Reasoning
	reasoning := t.reasoning
	if think != nil && len(reasoning) == 0 {
		reasoning, content = splitThoughts(content, think.Close)
		reasoning = trimPrefix(reasoning, think.Open)
	}
	if len(reasoning) == 0 {
		return content
	}
	if think == nil || i < w.lastUser {
		w.report.Add(CodeReasoningOmitted, t.at(), "the chat format "+w.m.name+" leaves earlier thoughts out")
		return content
	}
	return slices.Concat(
		[]run{ours(think.Open + "\n")}, trimmed(reasoning, true, true),
		[]run{ours("\n" + think.Close + "\n\n")}, trimmed(content, true, false))
}

// splitThoughts divides content at the end of inline reasoning.
func splitThoughts(content []run, end string) (reasoning, rest []run) {
	for i := len(content) - 1; i >= 0; i-- {
		r := content[i]
		at := strings.LastIndex(r.text, end)
		if at < 0 || r.media != nil {
			continue
		}
		before, after := r, r
		before.text, after.text = r.text[:at], r.text[at+len(end):]
		return append(slices.Clone(content[:i]), before), trimmed(append([]run{after}, content[i+1:]...), true, false)
	}
	return nil, content
}

func trimPrefix(runs []run, prefix string) []run {
	runs = trimmed(runs, true, false)
	for i, r := range runs {
		if r.text != "" {
			runs[i].text = strings.TrimPrefix(r.text, prefix)
			break
		}
	}
	return runs
}

// delimiter writes a text of the format with its placeholders filled in. What
// a client chose, a name, is a client's text here too.
func (w *markupWriter) delimiter(text string, t turn) {
	for text != "" {
		at, what := len(text), ""
		for _, p := range []string{userPlaceholder, assistantPlaceholder, roundPlaceholder} {
			if i := strings.Index(text, p); i >= 0 && i < at {
				at, what = i, p
			}
		}
		w.out.format(text[:at])
		switch what {
		case userPlaceholder:
			w.out.run(speaker(t, defaultUserName))
		case assistantPlaceholder:
			w.out.run(speaker(t, defaultAssistantName))
		case roundPlaceholder:
			w.out.format(strconv.Itoa(w.round))
		}
		text = text[at+len(what):]
	}
}

func speaker(t turn, unnamed string) run {
	if t.name == "" {
		return ours(unnamed)
	}
	return run{text: t.name, source: source(t.index, 0, fieldName)}
}

// stops are the format's stop strings, placeholders filled in with the names
// of all who speak.
func (w *markupWriter) stops() []string {
	var stops []string
	add := func(s string) {
		if s != "" && !slices.Contains(stops, s) {
			stops = append(stops, s)
		}
	}
	for _, s := range w.m.stop {
		if !strings.Contains(s, userPlaceholder) && !strings.Contains(s, assistantPlaceholder) {
			add(s)
			continue
		}
		for _, name := range w.names(chat.User, defaultUserName) {
			for _, char := range w.names(chat.Assistant, defaultAssistantName) {
				add(strings.NewReplacer(userPlaceholder, name, assistantPlaceholder, char).Replace(s))
			}
		}
	}
	return stops
}

func (w *markupWriter) names(role chat.Role, unnamed string) []string {
	var names []string
	for _, t := range w.turns {
		if t.role == role && t.name != "" && !slices.Contains(names, t.name) {
			names = append(names, t.name)
		}
	}
	if len(names) == 0 {
		return []string{unnamed}
	}
	return names
}

// insideReasoning reports whether a prompt ends within thoughts that the
// format or a prefill has opened.
func insideReasoning(p llm.Prompt, open, end string) bool {
	var tail strings.Builder
	for i := len(p.Segments) - 1; i >= 0; i-- {
		if p.Segments[i].Trust == llm.TrustClient {
			for _, s := range p.Segments[i+1:] {
				tail.WriteString(s.Text)
			}
			text := tail.String()
			return strings.LastIndex(text, open) > strings.LastIndex(text, end)
		}
	}
	return false
}
