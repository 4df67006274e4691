package session_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

// counted is a store that counts how often all messages of a session are read.
type counted struct {
	session.Store
	reads atomic.Int64
	fails atomic.Bool
}

func (c *counted) Nodes(ctx context.Context, id string) ([]session.Node, error) {
	c.reads.Add(1)
	return c.Store.Nodes(ctx, id)
}

func (c *counted) Commit(ctx context.Context, x session.Change) error {
	if c.fails.Load() {
		return errors.New("no room")
	}
	return c.Store.Commit(ctx, x)
}

// begun opens sessions on a store that counts, with one session in it.
func begun(t *testing.T) (*counted, *session.Sessions, string) {
	t.Helper()
	store := &counted{Store: session.NewMemory()}
	s := session.Open(store, session.Options{Models: &model{responder: chat.Script(chat.TextDelta{Text: "Hi"})}})
	x, _, err := s.Create(t.Context(), session.New{})
	if err != nil {
		t.Fatal(err)
	}
	return store, s, x.ID
}

func add(t *testing.T, s *session.Sessions, id, text string) int {
	t.Helper()
	r, err := s.Add(t.Context(), id, session.Write{}, session.Send{Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return r.Message
}

func TestAChangeReadsNotTheWholeSession(t *testing.T) {
	store, s, id := begun(t)
	for i := range 50 {
		add(t, s, id, fmt.Sprint("text ", i))
	}
	r, err := s.Send(t.Context(), id, session.Write{}, session.Send{Text: "and you?"}, session.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	run, err := s.Run(t.Context(), r.Run)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := store.reads.Load(); n > 1 {
		t.Errorf("the session was read %d times", n)
	}
	// What was kept in memory is what the store has.
	here, err := s.Tree(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	there, err := session.Open(store, session.Options{}).Tree(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(here.Archive(), there.Archive()) {
		t.Errorf("in memory is\n%+v\nand stored\n%+v", here.Archive(), there.Archive())
	}
}

func TestWhatWasReadStaysAsItWas(t *testing.T) {
	store, s, id := begun(t)
	first := add(t, s, id, "one")
	before, err := s.Tree(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	store.fails.Store(true)
	if _, err := s.Edit(t.Context(), id, session.Write{}, first, "lost", false); err == nil {
		t.Error("stored where nothing can be")
	}
	if _, err := s.Add(t.Context(), id, session.Write{}, session.Send{Text: "lost"}); err == nil {
		t.Error("stored where nothing can be")
	}
	store.fails.Store(false)
	if m, err := s.Tree(t.Context(), id); err != nil || !reflect.DeepEqual(m.Archive(), before.Archive()) {
		t.Errorf("what failed left %+v, %v", m.Archive(), err)
	}
	for _, change := range []func() (session.Receipt, error){
		func() (session.Receipt, error) {
			return s.Edit(t.Context(), id, session.Write{}, first, "two", false)
		},
		func() (session.Receipt, error) {
			return s.Add(t.Context(), id, session.Write{}, session.Send{Text: "three"})
		},
		func() (session.Receipt, error) {
			return s.DeleteMessage(t.Context(), id, session.Write{}, first, true)
		},
		func() (session.Receipt, error) { return s.RestoreMessage(t.Context(), id, session.Write{}, first) },
	} {
		if _, err := change(); err != nil {
			t.Fatal(err)
		}
	}
	if len(before.Nodes) != 1 || len(before.Nodes[0].Versions) != 1 || before.Nodes[0].Versions[0].Text != "one" || before.Session.Revision != 2 {
		t.Errorf("what was read before is now %+v", before.Archive())
	}
}

func TestAChangeByAnotherIsSeen(t *testing.T) {
	store, s, id := begun(t)
	add(t, s, id, "one")
	add(t, session.Open(store, session.Options{}), id, "two")
	if _, talk, err := s.Read(t.Context(), id); err != nil || len(talk) != 2 || talk[1].Text != "two" {
		t.Errorf("the talk is %+v, %v", talk, err)
	}
	if add(t, s, id, "three") != 3 {
		t.Error("a message was put in the place of another")
	}
	if err := s.Purge(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tree(t.Context(), id); err == nil || llm.AsError(err).Code != llm.NotFound {
		t.Errorf("what was purged is there: %v", err)
	}
}

// Many read and write at once; the race detector watches.
func TestReadersAndWritersShareASession(t *testing.T) {
	_, s, id := begun(t)
	add(t, s, id, "one")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 25 {
				if _, err := s.Edit(t.Context(), id, session.Write{}, 1, fmt.Sprint(i, j), false); err != nil {
					t.Error(err)
				}
				if _, err := s.Add(t.Context(), id, session.Write{}, session.Send{Text: "more"}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				x, talk, err := s.Read(t.Context(), id)
				if err != nil || len(talk) != x.Messages {
					t.Errorf("%d of %d messages, %v", len(talk), x.Messages, err)
				}
			}
		})
	}
	wg.Wait()
	if x, talk, _ := s.Read(t.Context(), id); len(talk) != 101 || x.Revision != 202 || talk[0].Versions != 101 {
		t.Errorf("%d messages at revision %d, the first in %d versions", len(talk), x.Revision, talk[0].Versions)
	}
}

func TestATalkIsReadInPages(t *testing.T) {
	_, s, id := begun(t)
	for i := range 7 {
		add(t, s, id, fmt.Sprint(i+1))
	}
	if _, err := s.DeleteMessage(t.Context(), id, session.Write{}, 4, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Edit(t.Context(), id, session.Write{}, 7, "seven", true); err != nil { // 8, beside 7
		t.Fatal(err)
	}
	_, whole, err := s.Read(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for most := 1; most <= 8; most++ {
		var all []session.Message
		before, more := 0, true
		for more {
			var page []session.Message
			if _, page, more, err = s.Tail(t.Context(), id, before, most); err != nil || len(page) == 0 || len(page) > most || more != (len(page)+len(all) < len(whole)) {
				t.Fatal(most, len(page), more, err)
			}
			all = append(page, all...)
			before = page[0].ID
		}
		if !reflect.DeepEqual(all, whole) {
			t.Errorf("in pages of %d: %+v, want %+v", most, all, whole)
		}
	}
	if _, _, _, err := s.Tail(t.Context(), id, 99, 1); err == nil {
		t.Error("there is something before a message that is not there")
	}
}

// A long session is read by pages until something needs all of it, and adding
// to it reads none of it; nothing looks different.
func TestALongSessionIsReadAsFarAsNeeded(t *testing.T) {
	store, s, id := begun(t)
	const messages, most = 300, 20
	for i := range messages {
		last := add(t, s, id, fmt.Sprint(i+1))
		switch {
		case i%10 == 3:
			if _, err := s.Edit(t.Context(), id, session.Write{}, last, "beside", true); err != nil {
				t.Fatal(err)
			}
		case i%50 > 20 && i%50 < 45: // more in a row than a page has
			if _, err := s.DeleteMessage(t.Context(), id, session.Write{}, last, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	pages := func(s *session.Sessions) (all []session.Message) {
		for before, more := 0, true; more; before = all[0].ID {
			var page []session.Message
			var err error
			if _, page, more, err = s.Tail(t.Context(), id, before, most); err != nil || len(page) == 0 {
				t.Fatal(before, len(page), err)
			}
			all = append(page, all...)
		}
		return all
	}
	_, whole, err := s.Read(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got := pages(s); !reflect.DeepEqual(got, whole) {
		t.Errorf("the pages of what is in memory are %d messages of %d", len(got), len(whole))
	}

	store.reads.Store(0)
	s = session.Open(store, session.Options{})
	if got := pages(s); !reflect.DeepEqual(got, whole) {
		t.Errorf("the pages of what is stored are\n%+v\nnot\n%+v", got, whole)
	}
	deleted, err := s.Tree(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	store.reads.Store(0)
	s = session.Open(store, session.Options{})
	for _, n := range deleted.Nodes { // what stands before a deleted one, too
		want, more := deleted.Tail(n.Parent, most)
		if _, got, m, err := s.Tail(t.Context(), id, n.ID, most); err != nil || m != more || !reflect.DeepEqual(got, want) {
			t.Fatalf("before %d: got %+v, %v, want %+v, %v (%v)", n.ID, got, m, want, more, err)
		}
	}
	if _, _, _, err := s.Tail(t.Context(), id, len(deleted.Nodes)+1, most); err == nil || llm.AsError(err).Code != llm.NotFound {
		t.Errorf("before what is not there: %v", err)
	}
	last := add(t, s, id, "the last")
	if _, err := s.Update(t.Context(), id, session.Write{}, session.Patch{Title: new("Long")}); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(context.Context, string, session.Write) (session.Receipt, error){s.Delete, s.Restore} {
		if _, err := change(t.Context(), id, session.Write{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := store.reads.Load(); n != 0 {
		t.Errorf("all of the session was read %d times", n)
	}
	x, now, err := s.Read(t.Context(), id)
	if err != nil || x.Title != "Long" || x.Head != last || len(now) != len(whole)+1 || now[len(now)-1].Text != "the last" || now[len(now)-1].Parent != whole[len(whole)-1].ID {
		t.Errorf("the talk is %+v, %v", now, err)
	}
	if _, page, _, err := s.Tail(t.Context(), id, 0, 1); err != nil || page[0].ID != last || store.reads.Load() != 1 {
		t.Errorf("%d times read, %v", store.reads.Load(), err)
	}
}
