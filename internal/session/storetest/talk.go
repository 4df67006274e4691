package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

// parrot is a model whose replies are all different.
type parrot struct{ said atomic.Int64 }

func (p *parrot) Answerer(context.Context, string) (session.Answerer, error) {
	return session.Answerer{Model: "parrot", Responder: chat.Script(chat.TextDelta{Text: "reply "}, chat.TextDelta{Text: fmt.Sprint(p.said.Add(1))})}, nil
}

// A naive talk is the obvious way to keep one: all messages, and who stands
// behind whom.
type naive struct {
	messages map[int]*naiveMessage
	head     int
}

type naiveMessage struct {
	parent  int
	role    chat.Role
	text    string
	deleted bool
}

func (n *naive) add(id, parent int, role chat.Role, text string) {
	n.messages[id] = &naiveMessage{parent: parent, role: role, text: text}
	n.head = id
}

func (n *naive) path() []string {
	texts := []string{}
	for id := n.head; id != 0; id = n.messages[id].parent {
		if m := n.messages[id]; !m.deleted {
			texts = append(texts, string(m.role)+": "+m.text)
		}
	}
	slices.Reverse(texts)
	return texts
}

func (n *naive) below(id int) int {
	last := 0
	for other, m := range n.messages {
		if m.parent == id && !m.deleted {
			last = max(last, other)
		}
	}
	if last == 0 {
		return id
	}
	return n.below(last)
}

func (n *naive) under(id, top int) bool {
	return id == top || id != 0 && n.under(n.messages[id].parent, top)
}

// Talk does what comes to mind with a session on a store, many times, and
// compares it with a naive copy; the store may be closed and opened again
// in between.
func Talk(t *testing.T, seed uint64, open func() session.Store) {
	random := rand.New(rand.NewPCG(seed, 0))
	ctx := t.Context()
	model := &parrot{}
	begin := func() *session.Sessions {
		s := session.Open(open(), session.Options{Models: model})
		if err := s.Recover(ctx); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := begin()
	x, _, err := s.Create(ctx, session.New{Settings: session.Settings{System: "Be brief."}})
	if err != nil {
		t.Fatal(err)
	}
	n := &naive{messages: map[int]*naiveMessage{}}
	revision := x.Revision
	var history [][]string // by revision
	for step := range 150 {
		if step%50 == 49 {
			s.Close(ctx)
			s = begin()
		}
		w := session.Write{}
		if random.IntN(2) == 0 {
			w.Base = revision
		}
		some := 0
		if len(n.messages) > 0 {
			some = 1 + random.IntN(len(n.messages))
		}
		text := fmt.Sprintf("text %d", step)
		var r session.Receipt
		reply := func() string {
			if err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			run, err := s.Run(ctx, r.Run)
			if err != nil {
				t.Fatal(err)
			}
			out, err := run.Wait(ctx)
			if err != nil {
				t.Fatal(err)
			}
			r.Revision = out.Revision
			return out.Message.Text
		}
		switch op := random.IntN(11); {
		case op == 0 || some == 0:
			parent := n.head
			r, err = s.Send(ctx, x.ID, w, session.Send{Text: text}, session.Ask{})
			answer := reply()
			n.add(r.Message, parent, chat.User, text)
			n.add(r.Reply, r.Message, chat.Assistant, answer)
		case op == 1:
			parent := n.head
			r, err = s.Add(ctx, x.ID, w, session.Send{Text: text})
			n.add(r.Message, parent, chat.User, text)
		case op == 2:
			m := n.messages[some]
			parent := some
			if m.role == chat.Assistant {
				parent = m.parent
			}
			r, err = s.Regenerate(ctx, x.ID, w, some, session.Ask{})
			n.add(r.Reply, parent, chat.Assistant, reply())
		case op == 3:
			m := n.messages[some]
			r, err = s.Continue(ctx, x.ID, w, some, session.Ask{})
			if m.role != chat.Assistant || m.deleted {
				wantCode(t, err, map[bool]llm.Code{true: llm.NotFound, false: llm.Invalid}[m.role == chat.Assistant])
				err = nil
				continue
			}
			before := m.text
			if m.text = reply(); m.text[:len(before)] != before || m.text == before {
				t.Fatalf("%q continues %q", m.text, before)
			}
			n.head = some
		case op == 4:
			r, err = s.Edit(ctx, x.ID, w, some, text, false)
			if n.messages[some].deleted {
				wantCode(t, err, llm.NotFound)
				err = nil
				continue
			}
			n.messages[some].text = text
		case op == 5:
			r, err = s.Edit(ctx, x.ID, w, some, text, true)
			if n.messages[some].deleted {
				wantCode(t, err, llm.NotFound)
				err = nil
				continue
			}
			n.add(r.Message, n.messages[some].parent, n.messages[some].role, text)
		case op == 6:
			r, err = s.DeleteMessage(ctx, x.ID, w, some, false)
			n.messages[some].deleted = true
		case op == 7 && random.IntN(3) == 0:
			r, err = s.DeleteMessage(ctx, x.ID, w, some, true)
			within := n.under(n.head, some)
			for id, m := range n.messages {
				m.deleted = m.deleted || n.under(id, some)
			}
			if within {
				n.head = n.messages[some].parent
				beside := 0
				for id, m := range n.messages {
					if m.parent == n.head && !m.deleted {
						beside = max(beside, id)
					}
				}
				if beside != 0 {
					n.head = n.below(beside)
				}
			}
		case op == 8:
			r, err = s.RestoreMessage(ctx, x.ID, w, some)
			n.messages[some].deleted = false
		case op == 9:
			count := 1 + random.IntN(3)
			r, err = s.Undo(ctx, x.ID, w, count)
			for range count {
				for n.head != 0 && n.messages[n.head].deleted {
					n.head = n.messages[n.head].parent
				}
				if n.head != 0 {
					n.head = n.messages[n.head].parent
				}
			}
		default:
			r, err = s.Update(ctx, x.ID, w, session.Patch{Head: &some})
			if n.messages[some].deleted {
				wantCode(t, err, llm.NotFound)
				err = nil
				continue
			}
			n.head = n.below(some)
		}
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		now, talk, err := s.Read(ctx, x.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := texts(talk), n.path(); now.Head != n.head || !reflect.DeepEqual(got, want) {
			t.Fatalf("step %d: the head is %d, want %d\ngot  %q\nwant %q", step, now.Head, n.head, got, want)
		}
		if now.Revision != r.Revision {
			t.Fatalf("step %d: revision %d was told as %d", step, now.Revision, r.Revision)
		}
		for int64(len(history)) <= now.Revision {
			history = append(history, nil)
		}
		history[now.Revision], revision = texts(talk), now.Revision
		history[now.Revision] = append(history[now.Revision], fmt.Sprint(now.Head))
	}
	looksBack(t, s, x.ID, history)
	forks(t, s, x.ID)
	s.Close(ctx)
}

func texts(talk []session.Message) []string {
	all := []string{}
	for _, m := range talk {
		all = append(all, string(m.Role)+": "+m.Text)
	}
	return all
}

// looksBack compares the session as it was at each revision with what was seen
// then.
func looksBack(t *testing.T, s *session.Sessions, id string, history [][]string) {
	tree, err := s.Tree(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for revision, then := range history {
		if then == nil {
			continue
		}
		var head int
		fmt.Sscan(then[len(then)-1], &head)
		if got := texts(tree.Messages(head, int64(revision))); !reflect.DeepEqual(got, then[:len(then)-1]) {
			t.Fatalf("revision %d is now seen as\n%q and was\n%q", revision, got, then)
		}
	}
}

func forks(t *testing.T, s *session.Sessions, id string) {
	_, want, err := s.Read(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Fork(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := s.Read(t.Context(), f.ID); err != nil || !reflect.DeepEqual(texts(got), texts(want)) {
		t.Errorf("the fork has %q, want %q (%v)", texts(got), texts(want), err)
	}
}
