package session

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// A turn in Markdown begins with a heading that names who speaks and says the
// role in a comment, which is not shown: "## Ada <!-- assistant -->". A line of
// a message that looks like one is written with a backslash before it, so that
// nobody's text makes a turn. A call of a tool stands behind its message, under
// a heading with the tool's name, "call" and its id, and so does its result
// with "tool".
var (
	markedHeading  = regexp.MustCompile(`^## (.*) <!-- (user|assistant|system|(?:call|tool) \S*) -->$`)
	escapedHeading = regexp.MustCompile(`^\\+## .* <!-- (?:user|assistant|system|(?:call|tool) \S*) -->$`)
)

// ended has lines end in one way, so that what is escaped when a talk is written
// is what would begin a turn when it is read.
var ended = regexp.MustCompile(`\r+\n`)

// systemPrompt is who speaks, in the first turn, for the session's own system
// message.
const systemPrompt = "System prompt"

// roleNames are whom a heading names that says no role.
var roleNames = map[chat.Role]string{chat.User: "User", chat.Assistant: "Assistant", chat.System: "System", chat.Tool: "Tool"}

// toMarkdown writes the talk up to the head for people.
func toMarkdown(t *Tree, user string) []byte {
	plain := strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "<", `\<`, "#", `\#`)
	line := func(s string) string { return plain.Replace(strings.Join(strings.Fields(s), " ")) }
	var b strings.Builder
	turn := func(who, mark, said string) {
		fmt.Fprintf(&b, "\n## %s <!-- %s -->\n\n", line(who), mark)
		for text := range strings.SplitSeq(strings.TrimSpace(ended.ReplaceAllString(said, "\n")), "\n") {
			if markedHeading.MatchString(text) || escapedHeading.MatchString(text) {
				b.WriteByte('\\')
			}
			b.WriteString(text + "\n")
		}
	}
	fmt.Fprintf(&b, "# %s\n", line(cmp.Or(t.Session.Title, "Talk")))
	if s := t.Session.Now().System; s != "" {
		turn(systemPrompt, string(chat.System), s)
	}
	for _, m := range paired(t.Messages(t.Session.Head, t.Session.Revision)) {
		who := m.Author.Name
		if who == "" && m.Role == chat.User {
			who = user
		}
		mark := string(m.Role)
		if m.Role == chat.Tool {
			mark += " " + url.QueryEscape(m.ToolCallID)
		}
		turn(cmp.Or(who, roleNames[m.Role]), mark, m.Marked())
		for _, c := range m.ToolCalls {
			turn(c.Function.Name, "call "+url.QueryEscape(c.ID), c.Function.Arguments)
		}
	}
	return []byte(b.String())
}

// speaks finds the label of a turn in what other programs and people write: a
// heading or bold words, perhaps with a colon, and then what was said, perhaps
// in the same line.
var speaks = regexp.MustCompile(`^(?:#{1,6}\s+(?:\*\*)?([^*:]{1,40}?)\s*:?(?:\*\*)?:?\s*$|\*\*([^*:]{1,40}?)\s*(?::\*\*|\*\*\s*:|\*\*\s*$)\s*(.*)$)`)

// speakers are the names whose role everybody knows, in small letters.
var speakers = map[string]chat.Role{
	"user": chat.User, "you": chat.User, "human": chat.User, "me": chat.User, "prompt": chat.User, "question": chat.User,
	"assistant": chat.Assistant, "ai": chat.Assistant, "bot": chat.Assistant, "model": chat.Assistant, "response": chat.Assistant, "answer": chat.Assistant,
	"chatgpt": chat.Assistant, "claude": chat.Assistant, "gemini": chat.Assistant, "deepseek": chat.Assistant, "llama": chat.Assistant,
	"system": chat.System, "system prompt": chat.System,
}

// A markdownTurn is one message in a file.
type markdownTurn struct {
	role  chat.Role // "call" for a call of a tool
	call  string    // of a call and of a tool's result: the call's id
	name  string
	lines []string
}

// markdown reads what toMarkdown writes. Where no heading says a role, turns
// begin where a heading or bold words name one whose role everybody knows, as
// "You" or "Assistant". What stands before the first turn is left out, but for
// a title.
func (r *reader) markdown(data []byte) error {
	lines := strings.Split(ended.ReplaceAllString(strings.TrimSpace(strings.ToValidUTF8(string(data), "\ufffd")), "\n"), "\n")
	begins := func(line string) *markdownTurn {
		if m := markedHeading.FindStringSubmatch(line); m != nil {
			role, call, _ := strings.Cut(m[2], " ")
			call, err := url.QueryUnescape(call)
			if err != nil {
				return nil
			}
			return &markdownTurn{role: chat.Role(role), call: call, name: unescaped(m[1])}
		}
		return nil
	}
	ours := slices.ContainsFunc(lines, markedHeading.MatchString)
	if !ours {
		begins = func(line string) *markdownTurn {
			m := speaks.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil {
				return nil
			}
			role, known := speakers[strings.ToLower(cmp.Or(m[1], m[2]))]
			if !known {
				return nil
			}
			t := &markdownTurn{role: role}
			if m[3] != "" {
				t.lines = append(t.lines, m[3])
			}
			return t
		}
	}
	var turns []*markdownTurn
	code := false // in other programs' files: within a block of code
	for _, line := range lines {
		fence := !ours && strings.HasPrefix(strings.TrimSpace(line), "```")
		if !code && !fence {
			if t := begins(line); t != nil {
				turns = append(turns, t)
				continue
			}
		}
		code = code != fence
		switch {
		case len(turns) > 0:
			if ours && escapedHeading.MatchString(line) {
				line = line[1:]
			}
			t := turns[len(turns)-1]
			t.lines = append(t.lines, line)
		case r.tree.Session.Title == "" && strings.HasPrefix(line, "# "):
			r.tree.Session.Title = unescaped(strings.TrimSpace(line[2:]))
		}
	}
	if len(turns) == 0 {
		return noTalk
	}
	for i, t := range turns {
		if err := r.markdownTurn(i, t, ours); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) markdownTurn(i int, t *markdownTurn, ours bool) error {
	text := strings.TrimSpace(strings.Join(t.lines, "\n"))
	if t.name == roleNames[t.role] {
		t.name = ""
	}
	switch t.role {
	case "call":
		return r.markdownCall(t, text)
	case chat.Tool:
		return r.result("tool_call_id", Result{t.call, []chat.Part{{Text: text}}})
	case chat.System:
		if i == 0 && (t.name == systemPrompt || !ours) {
			r.main = text
			return nil
		}
		t.name = ""
	case chat.User:
		r.user = cmp.Or(r.user, t.name)
	case chat.Assistant:
		r.char = cmp.Or(r.char, t.name)
		if t.name != "" && !slices.Contains(r.speakers, t.name) {
			r.speakers = append(r.speakers, t.name)
		}
	}
	_, err := r.add(r.tree.Session.Head, t.role, Author{Name: t.name}, Version{Text: text})
	return err
}

// markdownCall adds a call to the message before it.
func (r *reader) markdownCall(t *markdownTurn, arguments string) error {
	if len(r.tree.Nodes) == 0 {
		return llm.Errorf(llm.Unreadable, "tool_calls", "the call %q stands behind no message", wire.Short(t.call))
	}
	n := r.tree.Nodes[len(r.tree.Nodes)-1]
	calls := append(slices.Clone(n.Versions[0].ToolCalls), ToolCall{t.call, "function", ToolFunction{t.name, arguments}})
	if err := checkCalls(n.Role, calls, n.ToolCallID); err != nil {
		return llm.Errorf(llm.Unreadable, "tool_calls", "%v", err)
	}
	n.Versions[0].ToolCalls = calls
	return nil
}

// unescaped takes away the backslashes that make signs of Markdown plain.
func unescaped(s string) string {
	return escapedSign.ReplaceAllString(s, "$1")
}

var escapedSign = regexp.MustCompile("\\\\([][\\\\*_`<>#()!.+{}|~-])")
