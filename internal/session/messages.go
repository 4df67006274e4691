package session

import (
	"context"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// Send is a message that someone writes.
type Send struct {
	Text   string
	Parts  []chat.Part // instead of Text: with pictures and sounds
	Author Author
	Role   chat.Role // "": the user

	Results []Result // instead of all these: what tools came to that the last reply calls
	All     bool     // and no call may be left without one
}

func (m Send) check() error {
	if len(m.Results) > 0 {
		return m.checkResults()
	}
	text, attachments, files := m.says()
	if err := limits.MessageBytes.CheckInt(len(text)); err != nil {
		return llm.Errorf(llm.Invalid, "text", "%v", err)
	}
	if err := checkAttachments(text, attachments); err != nil {
		return llm.Errorf(llm.Invalid, "content", "%v", err)
	}
	for _, f := range files {
		if err := limits.MediaBytes.CheckInt(len(f.Data)); err != nil {
			return llm.Errorf(llm.Invalid, "content", "%v", err)
		}
	}
	if strings.TrimSpace(text) == "" && len(files) == 0 {
		return llm.Errorf(llm.Invalid, "text", "the message is empty")
	}
	for _, c := range []struct{ field, value string }{{"author.id", m.Author.ID}, {"author.name", m.Author.Name}} {
		if err := limits.NameBytes.CheckInt(len(c.value)); err != nil {
			return llm.Errorf(llm.Invalid, c.field, "%v", err)
		}
	}
	switch m.Role {
	case "", chat.User, chat.Assistant, chat.System:
		return nil
	}
	return llm.Errorf(llm.Invalid, "role", "there is no %q here; there are user, assistant and system", m.Role)
}

func (m Send) checkResults() error {
	if err := limits.Tools.CheckInt(len(m.Results)); err != nil {
		return llm.Errorf(llm.Invalid, "tool_results", "%v", err)
	}
	for _, r := range m.Results {
		if err := limits.NameBytes.CheckInt(len(r.CallID)); err != nil || r.CallID == "" {
			return llm.Errorf(llm.Invalid, "tool_call_id", "the result of a tool names the call that it answers")
		}
		said := Send{Parts: append([]chat.Part{{Text: "-"}}, r.Parts...)}
		if err := said.check(); err != nil {
			return err
		}
	}
	return nil
}

// says is the message's text, what stands in it, and the files.
func (m Send) says() (text string, all []Attachment, files []Media) {
	if m.Parts == nil {
		return m.Text, nil, nil
	}
	return divide(m.Parts)
}

// put adds the message at the head, or the results.
func (m Send) put(s *Sessions, t *Tree) (int, error) {
	for _, r := range m.Results {
		if err := t.putResult(s.now(), "tool_call_id", r); err != nil {
			return 0, err
		}
	}
	if len(m.Results) > 0 {
		if waiting := t.waiting(t.Session.Head); m.All && len(waiting) > 0 {
			return 0, unanswered(waiting)
		}
		return t.Session.Head, nil
	}
	if m.Role == "" {
		m.Role = chat.User
	}
	text, attachments, files := m.says()
	if t.Session.Title == "" && m.Role == chat.User {
		t.Session.Title = titleOf(text)
	}
	t.files = append(t.files, files...)
	return t.Add(t.Session.Head, m.Role, m.Author, Version{Created: s.now(), Text: text, Attachments: attachments, State: Complete}), nil
}

// titleOf is the beginning of a text's first line.
func titleOf(text string) string {
	const longest = 60
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if r := []rune(line); len(r) > longest {
		line, more = string(r[:longest]), true
	}
	if more {
		line += "…"
	}
	return strings.ToValidUTF8(line, "\ufffd")
}

// Add adds a message and asks for no reply.
func (s *Sessions) Add(ctx context.Context, id string, w Write, m Send) (Receipt, error) {
	if err := m.check(); err != nil {
		return Receipt{}, err
	}
	read := s.near
	if len(m.Results) > 0 {
		read = s.tree // the calls may stand far before them
	}
	return s.changed(ctx, id, w, read, func(t *Tree) (Receipt, error) {
		if err := s.open(t); err != nil {
			return Receipt{}, err
		}
		said, err := m.put(s, t)
		if err != nil || len(m.Results) == 0 {
			return Receipt{Message: said}, err
		}
		return Receipt{Message: said, Waiting: t.waiting(said)}, nil
	})
}

// open says why a session takes no message now: it is deleted, or a reply is
// being generated behind which the message would have to go.
func (s *Sessions) open(t *Tree) error {
	if t.Session.Deleted != nil {
		return &llm.Error{Code: llm.NotFound, Field: "session", Message: "the session is deleted", Hint: "restore it"}
	}
	return s.idle(t.Session.ID)
}

func deleted(id int) error {
	return &llm.Error{Code: llm.NotFound, Field: "message", Message: "the message is deleted", Hint: "restore it"}
}

// Edit gives a message another text. What stands behind it stays, and so do
// its pictures, its calls of tools and the version that it had. With branch, the text is a message of its own beside
// the other, and the talk goes on from there.
func (s *Sessions) Edit(ctx context.Context, id string, w Write, message int, text string, branch bool) (Receipt, error) {
	if err := (Send{Text: text}).check(); err != nil {
		return Receipt{}, err
	}
	return s.message(ctx, id, w, message, func(t *Tree, n *Node) (Receipt, error) {
		v := Version{Created: s.now(), Text: text, Attachments: under(text, n.last().Attachments), ToolCalls: n.last().ToolCalls, State: Complete}
		switch {
		case n.last().Deleted:
			return Receipt{}, deleted(message)
		case branch:
			id := t.Add(n.Parent, n.Role, n.Author, v)
			t.Nodes[id-1].ToolCallID = n.ToolCallID
			return Receipt{Message: id}, nil
		}
		t.Write(n, v)
		return Receipt{Message: n.ID}, nil
	})
}

// DeleteMessage takes a message out of the talk, with branch all behind it,
// too.
func (s *Sessions) DeleteMessage(ctx context.Context, id string, w Write, message int, branch bool) (Receipt, error) {
	return s.message(ctx, id, w, message, func(t *Tree, n *Node) (Receipt, error) {
		t.Delete(message, branch, s.now())
		return Receipt{Message: message}, nil
	})
}

// RestoreMessage brings a deleted message back.
func (s *Sessions) RestoreMessage(ctx context.Context, id string, w Write, message int) (Receipt, error) {
	return s.message(ctx, id, w, message, func(t *Tree, n *Node) (Receipt, error) {
		if n.last().Deleted {
			t.Restore(n, s.now())
		}
		return Receipt{Message: message}, nil
	})
}

// message changes a message, which must not be one that is being generated.
func (s *Sessions) message(ctx context.Context, id string, w Write, message int, f func(*Tree, *Node) (Receipt, error)) (Receipt, error) {
	return s.change(ctx, id, w, func(t *Tree) (Receipt, error) {
		if err := s.idle(id); err != nil {
			return Receipt{}, err
		}
		n, err := t.Node(message)
		if err != nil {
			return Receipt{}, err
		}
		return f(t, n)
	})
}

// errLast is why there is no message to go on at.
var errLast = llm.Errorf(llm.Invalid, "message", "it is the last of its alternatives")

// Swipe goes on at the alternative of a message that was made behind it, or
// with back before it. Where there is none, it is the one at the other end;
// but behind the last reply, another one is generated.
func (s *Sessions) Swipe(ctx context.Context, id string, w Write, message int, back bool, a Ask) (Receipt, error) {
	r, err := s.message(ctx, id, w, message, func(t *Tree, n *Node) (Receipt, error) {
		all := t.Alternatives(message)
		at := slices.Index(all, message)
		if at < 0 {
			return Receipt{}, deleted(message)
		}
		switch {
		case back:
			at += len(all) - 1
		case at == len(all)-1 && n.Role == chat.Assistant && n.Parent != 0:
			return Receipt{}, errLast
		default:
			at++
		}
		to := all[at%len(all)]
		t.Session.Head = t.Below(to)
		return Receipt{Message: to}, nil
	})
	if err == errLast {
		return s.Regenerate(ctx, id, w, message, a)
	}
	return r, err
}

// Undo moves the head back by so many messages. They stay where they are: the
// talk can go on at any of them again.
func (s *Sessions) Undo(ctx context.Context, id string, w Write, count int) (Receipt, error) {
	return s.change(ctx, id, w, func(t *Tree) (Receipt, error) {
		if err := s.idle(id); err != nil {
			return Receipt{}, err
		}
		t.Undo(count)
		return Receipt{Message: t.Session.Head}, nil
	})
}
