package session_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

// model answers as its responder does, and remembers what it was asked.
type model struct {
	responder chat.Responder
	err       error
	name      string
	context   int
	words     llm.Tokenizer

	mu    sync.Mutex
	asked []chat.Conversation
	with  []llm.Params
}

func (m *model) Answerer(_ context.Context, name string) (session.Answerer, error) {
	if m.err != nil {
		return session.Answerer{}, m.err
	}
	return session.Answerer{Model: cmp.Or(m.name, "tiny"), Info: llm.Info{Context: m.context, ChatTemplate: "{{ x }}", Sampling: llm.Params{TopK: new(7)}}, Responder: m, Tokenizer: m.words}, nil
}

func (m *model) Respond(ctx context.Context, c chat.Conversation, p llm.Params) iter.Seq2[chat.Event, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked, m.with = append(m.asked, c), append(m.with, p)
	said := m.responder.Respond(ctx, c, p)
	return func(yield func(chat.Event, error) bool) {
		for e, err := range said {
			if a, ok := e.(chat.Accepted); ok {
				a.Rendered = new(rendered(c))
				e = a
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func rendered(c chat.Conversation) chat.Rendered {
	return chat.Rendered{Format: "plain", Prompt: llm.Text(show(c))}
}

func (m *model) Render(_ context.Context, c chat.Conversation) (chat.Rendered, error) {
	return rendered(c), nil
}

func show(c chat.Conversation) string {
	var b strings.Builder
	for _, m := range c.Messages {
		fmt.Fprintf(&b, "%s", m.Role)
		if m.Name != "" {
			fmt.Fprintf(&b, " %s", m.Name)
		}
		fmt.Fprintf(&b, ": %s\n", m.Text())
	}
	if c.Continue {
		b.WriteString("…")
	}
	return b.String()
}

func (m *model) last() string { return show(m.asked[len(m.asked)-1]) }

type stage struct {
	*session.Sessions
	*model
	t     *testing.T
	store *session.Memory
	files map[session.Shelf]session.Files
	every []string // lorebooks that hold everywhere
	id    string
}

// on opens sessions and begins one.
func on(t *testing.T, m *model, n session.New) *stage {
	t.Helper()
	st := &stage{model: m, t: t, store: session.NewMemory()}
	st.open()
	if n.Settings.Character != "" {
		c, err := st.SaveDocument(t.Context(), session.Characters, "", 0, "ada.yaml", []byte(n.Settings.Character))
		if err != nil {
			t.Fatal(err)
		}
		n.Settings.Character = c.ID
	}
	x, created, err := st.Create(t.Context(), n)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	st.id = x.ID
	return st
}

func (st *stage) open() {
	st.Sessions = session.Open(st.store, session.Options{Models: st.model, Files: st.files, Everywhere: st.every})
	if err := st.Recover(st.t.Context()); err != nil {
		st.t.Fatal(err)
	}
}

func (st *stage) send(text string) (session.Receipt, *session.Run) {
	st.t.Helper()
	return st.begun(st.Send(st.t.Context(), st.id, session.Write{}, session.Send{Text: text}, session.Ask{}))
}

func (st *stage) begun(r session.Receipt, err error) (session.Receipt, *session.Run) {
	st.t.Helper()
	if err != nil {
		st.t.Fatal(err)
	}
	run, err := st.Run(st.t.Context(), r.Run)
	if err != nil {
		st.t.Fatal(err)
	}
	return r, run
}

func (st *stage) talk() []session.Message {
	st.t.Helper()
	_, talk, err := st.Read(st.t.Context(), st.id)
	if err != nil {
		st.t.Fatal(err)
	}
	return talk
}

func events(t *testing.T, r *session.Run, after int) (all []string) {
	t.Helper()
	for e, err := range r.Events(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%d %s", e.ID, e.Kind)
		if d, ok := e.Data.(session.Text); ok {
			text += " " + d.Text
		}
		all = append(all, text)
	}
	return all
}

func TestAReplyGoesOnWhenNobodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		script := chat.Script(chat.Accepted{PromptTokens: 3}, chat.Waiting{Queue: 1}, chat.ReasoningDelta{Text: "hm"}, chat.TextDelta{Text: "Hel"}, chat.TextDelta{Text: "lo"})
		script.Gate = gate
		st := on(t, &model{responder: script}, session.New{})
		sent, stop := context.WithCancel(t.Context())
		r, err := st.Send(sent, st.id, session.Write{}, session.Send{Text: "Hi"}, session.Ask{})
		_, run := st.begun(r, err)
		stop() // he who sent it has gone

		var early []string
		watching, leave := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		done := make(chan error)
		go func() {
			var last error
			for e, err := range run.Events(watching, 0) {
				if last = err; err == nil {
					early = append(early, string(e.Kind))
				}
			}
			done <- last
		}()
		for range 4 {
			gate <- struct{}{}
			synctest.Wait()
		}
		leave(gone)
		if err := <-done; err != gone {
			t.Errorf("the watching ended with %v", err)
		}
		if want := []string{"started", "progress", "reasoning", "text"}; !reflect.DeepEqual(early, want) {
			t.Errorf("he who left saw %q", early)
		}
		time.Sleep(time.Second) // what there is, is stored meanwhile
		synctest.Wait()
		nodes, _ := st.store.Nodes(t.Context(), st.id)
		if v := nodes[1].Versions[0]; v.Text != "Hel" || v.Reasoning != "hm" || v.State != session.Running {
			t.Errorf("after a second there is %+v", v)
		}
		close(gate)
		out, err := run.Wait(t.Context())
		if err != nil || out.Message.Text != "Hello" || out.Message.State != session.Complete {
			t.Errorf("got %+v, %v", out, err)
		}
		for after, want := range map[int][]string{
			0: {"1 started", "2 reasoning hm", "3 text Hel", "4 text lo", "5 done"},
			3: {"4 text lo", "5 done"},
			5: nil, 99: nil,
		} {
			if got := events(t, run, after); !reflect.DeepEqual(got, want) {
				t.Errorf("after %d: %q", after, got)
			}
		}
		st.Close(t.Context())
	})
}

func TestOneReplyAtATime(t *testing.T) {
	gate := make(chan struct{})
	script := chat.Script(chat.TextDelta{Text: "Hi"})
	script.Gate = gate
	st := on(t, &model{responder: script}, session.New{})
	r, run := st.send("one")
	ctx := t.Context()
	for name, f := range map[string]func() error{
		"send": func() error {
			_, err := st.Send(ctx, st.id, session.Write{}, session.Send{Text: "two"}, session.Ask{})
			return err
		},
		"add": func() error {
			_, err := st.Add(ctx, st.id, session.Write{}, session.Send{Text: "two"})
			return err
		},
		"regenerate": func() error {
			_, err := st.Regenerate(ctx, st.id, session.Write{}, 0, session.Ask{})
			return err
		},
		"undo": func() error { _, err := st.Undo(ctx, st.id, session.Write{}, 1); return err },
		"delete": func() error {
			_, err := st.DeleteMessage(ctx, st.id, session.Write{}, r.Reply, false)
			return err
		},
	} {
		err := f()
		running, ok := errors.AsType[*session.RunningError](err)
		if llm.AsError(err).Code != llm.Conflict || !ok || running.Run != run.ID {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := st.Update(ctx, st.id, session.Write{}, session.Patch{Title: new("renamed")}); err != nil {
		t.Errorf("a title may change: %v", err)
	}
	close(gate)
	if _, err := run.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if x, _, _ := st.Read(ctx, st.id); x.Title != "renamed" {
		t.Errorf("the end of the reply took the title back: %+v", x)
	}
	st.send("two")
	st.Close(ctx)
}

func TestWhatWasStoppedIsKeptAndMarked(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*stage, *session.Run)
		want session.State
	}{
		"stopped": {func(_ *stage, r *session.Run) { r.Stop() }, session.Stopped},
		"the server ends": {func(st *stage, _ *session.Run) {
			now, cancel := context.WithCancel(context.Background())
			cancel()
			st.Close(now)
		}, session.Interrupted},
	} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{}, 9)
			script := chat.Script(chat.TextDelta{Text: "Hel"}, chat.TextDelta{Text: "lo"})
			script.Gate = gate
			st := on(t, &model{responder: script}, session.New{})
			_, run := st.send("Hi")
			gate <- struct{}{}
			gate <- struct{}{}
			for e := range run.Events(t.Context(), 0) {
				if e.Kind == session.EventText {
					break
				}
			}
			c.end(st, run)
			out, err := run.Wait(t.Context())
			if err != nil || out.Message.Text != "Hel" || out.Message.State != c.want {
				t.Errorf("got %+v, %v", out.Message, err)
			}
			if m := st.talk()[1]; m.Text != "Hel" || m.State != c.want {
				t.Errorf("there is %+v", m)
			}
		})
	}
}

func TestNothingIsLeftOfWhatWasPurged(t *testing.T) {
	st := on(t, &model{responder: chat.Script(chat.TextDelta{Text: "secret"})}, session.New{})
	ctx := t.Context()
	_, run := st.begun(st.Send(ctx, st.id, session.Write{}, session.Send{Text: "Hi"}, session.Ask{}))
	if _, err := run.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Run(ctx, run.ID); err != nil {
		t.Fatal(err)
	}
	if err := st.Purge(ctx, st.id); err != nil {
		t.Fatal(err)
	}
	if r, err := st.Run(ctx, run.ID); llm.AsError(err).Code != llm.NotFound {
		t.Errorf("the run is still there: %+v, %v", r, err)
	}
}

func TestAReplyThatTheServerDidNotEndIsNeverWhole(t *testing.T) {
	gate := make(chan struct{})
	script := chat.Script(chat.TextDelta{Text: "Hel"})
	script.Gate = gate
	st := on(t, &model{responder: script}, session.New{})
	r, _ := st.send("Hi")
	killed := st.Sessions
	st.open() // another process, on what the first had stored
	if m := st.talk(); len(m) != 2 || m[1].State != session.Interrupted {
		t.Errorf("there is %+v", m)
	}
	run, err := st.Run(t.Context(), r.Run)
	if err != nil {
		t.Fatal(err)
	}
	if got := events(t, run, 0); !reflect.DeepEqual(got, []string{"1 started", "2 snapshot", "3 done"}) {
		t.Errorf("its run is now %q", got)
	}
	close(gate)
	killed.Close(t.Context())
}

func TestAnErrorIsNoReply(t *testing.T) {
	script := chat.Script(chat.TextDelta{Text: "Hel"})
	script.Err = &llm.Error{Code: llm.Broken, Message: "the plug was pulled", Err: errors.New("secret")}
	m := &model{responder: script}
	st := on(t, m, session.New{})
	_, run := st.send("Hi")
	out, err := run.Wait(t.Context())
	if llm.AsError(err).Message != "the plug was pulled" || out.Message.State != session.Failed || out.Message.Text != "Hel" || out.Error == nil {
		t.Errorf("got %+v, %v", out, err)
	}
	m.err = llm.Errorf(llm.NotFound, "model", "there is no such model")
	_, run = st.send("Hi again")
	if _, err := run.Wait(t.Context()); llm.AsError(err).Code != llm.NotFound {
		t.Errorf("got %v", err)
	}
	talk := st.talk()
	if last := talk[len(talk)-1]; last.Text != "Hi again" || len(talk) != 3 {
		t.Errorf("a reply without a word stands in the talk: %+v", talk)
	}
	m.err, m.responder = nil, chat.Script(chat.TextDelta{Text: "Hello"})
	_, run = st.begun(st.Regenerate(t.Context(), st.id, session.Write{}, 0, session.Ask{}))
	if out, err := run.Wait(t.Context()); err != nil || out.Message.Parent != talk[2].ID {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestTheSameKeySendsOnce(t *testing.T) {
	st := on(t, &model{responder: chat.Script(chat.TextDelta{Text: "Hello"})}, session.New{})
	w := session.Write{Key: "k", Digest: "d"}
	send := func() (session.Receipt, error) {
		return st.Send(t.Context(), st.id, w, session.Send{Text: "Hi"}, session.Ask{})
	}
	r, run := st.begun(send())
	if again, err := send(); err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("while it runs: %+v, %v", again, err)
	}
	run.Wait(t.Context())
	if again, err := send(); err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("when it is over: %+v, %v", again, err)
	}
	if len(st.talk()) != 2 {
		t.Errorf("there is %+v", st.talk())
	}
	w.Digest = "other"
	if _, err := send(); llm.AsError(err).Code != llm.Conflict {
		t.Errorf("another request with the key: %v", err)
	}
}

func TestAStaleWriteChangesNothing(t *testing.T) {
	st := on(t, &model{}, session.New{})
	ctx := t.Context()
	r, err := st.Add(ctx, st.id, session.Write{Base: 1}, session.Send{Text: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Edit(ctx, st.id, session.Write{Base: 1}, r.Message, "lost", false); err != session.ErrStale {
		t.Errorf("got %v", err)
	}
	if _, err := st.Edit(ctx, st.id, session.Write{Base: r.Revision}, r.Message, "two", false); err != nil {
		t.Error(err)
	}
	if m := st.talk(); len(m) != 1 || m[0].Text != "two" || m[0].Versions != 2 {
		t.Errorf("there is %+v", m)
	}
}
