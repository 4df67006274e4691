package main

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/chat"
	"parley/internal/session"
	"parley/internal/sqlite"
	"parley/llm"
)

// curves is how long things take as a store and a session grow.
func curves(o options) error {
	store, err := sqlite.Open(context.Background(), filepath.Join(o.dir, "sessions.db"))
	if err != nil {
		return err
	}
	defer store.Close()
	fmt.Println("| sessions | list 50 | list 50 behind the middle | list 50 of a character | open, cold | open | add, cold | add |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	made := 0
	for n := 100; n <= o.sessions; n *= 10 {
		if err := fill(store, made, n); err != nil {
			return err
		}
		made = n
		if err := ofMany(store, n); err != nil {
			return err
		}
	}
	fmt.Println("\n| characters | list 100 | list 100 behind the middle | find by name | open | save |")
	fmt.Println("|---|---|---|---|---|---|")
	made = 0
	for n := 100; n <= o.sessions; n *= 10 {
		if err := each(made, n, func(i int) error { return save(store, i, 1) }); err != nil {
			return err
		}
		made = n
		if err := ofCharacters(store, n); err != nil {
			return err
		}
	}
	fmt.Println("\n| messages | open, cold | open | page in the middle | add, cold | add | a turn, cold | a turn | of it composing | read it all |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	for n := 20; n <= o.messages; n *= 10 {
		if err := ofOne(store, n); err != nil {
			return err
		}
	}
	return nil
}

// text is like what people say.
func text(i int) string {
	return fmt.Sprintf("Message %d. %s", i, strings.Repeat("What was it that you told me about the clock in the tower? ", 1+i%4))
}

// talk is a change that makes a session.
func talk(id string, messages int, at time.Time) session.Change {
	c := session.Change{Session: session.Session{ID: id, Revision: 1, Title: "Session " + id, Created: at, Updated: at,
		Head: messages, Messages: messages, Settings: []session.Settings{{Since: 1, User: "Tom"}}}}
	for i := range messages {
		role := chat.User
		if i%2 == 1 {
			role = chat.Assistant
		}
		v := session.Version{Since: 1, Created: at, Text: text(i), State: session.Complete}
		if role == chat.Assistant {
			v.Reply = &session.Reply{Kind: session.Answer, Base: 1, Asked: at, Model: "model", Seed: int64(i), Tokens: make([]int, 50)}
		}
		c.Nodes = append(c.Nodes, session.Node{ID: i + 1, Parent: i, Role: role, Created: at, Versions: []session.Version{v}})
	}
	return c
}

func name(i int) string { return fmt.Sprintf("s%07d", i) }

// character is one of ten that a session is with.
func character(i int) string { return fmt.Sprint("c", i%10) }

// fill makes the sessions from one number to another.
func fill(store session.Store, from, to int) error {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return each(from, to, func(i int) error {
		c := talk(name(i), 2, began.Add(time.Duration(i)*time.Minute))
		c.Session.Settings[0].Character = character(i)
		return store.Commit(context.Background(), c)
	})
}

// save stores a revision of a character.
func save(store session.Store, i int, revision int64) error {
	return store.AddDocument(context.Background(), session.Characters, session.Document{ID: fmt.Sprint("k", i), Revision: revision,
		Name: called(i), File: "x.yaml", Data: fmt.Appendf(nil, "name: %s\ncontext: %s\n", called(i), text(i)), Created: time.Now()})
}

func called(i int) string { return fmt.Sprintf("Somebody No %d", i*7919%1000003) }

// each does things that have numbers, several at a time.
func each(from, to int, do func(i int) error) error {
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	next := make(chan int)
	for range 64 { // so many share a sync
		wg.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	for i := from; i < to; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// times does a thing often and gives the median and the 99th of 100 times.
func times(often int, f func(i int) error) (string, error) {
	var all []time.Duration
	for i := range often {
		began := time.Now()
		if err := f(i); err != nil {
			return "", err
		}
		all = append(all, time.Since(began))
	}
	return spread(all), nil
}

// spread is the median and the 99th of 100 times.
func spread(all []time.Duration) string {
	slices.Sort(all)
	at := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))].Microseconds()) / 1000 }
	return fmt.Sprintf("%.2f / %.2f ms", at(0.5), at(0.99))
}

// A model answers at once. Its context has room for some hundred messages.
type model struct {
	asked     time.Time
	composing []time.Duration // from when it was asked for to its prompt
}

func (m *model) Answerer(context.Context, string) (session.Answerer, error) {
	m.asked = time.Now()
	return session.Answerer{Model: "model", Info: llm.Info{Context: 8192}, Responder: m, Tokenizer: m}, nil
}

func (m *model) Respond(ctx context.Context, c chat.Conversation, p llm.Params) iter.Seq2[chat.Event, error] {
	m.composing = append(m.composing, time.Since(m.asked))
	return chat.Script(chat.TextDelta{Text: "It stands still."}).Respond(ctx, c, p)
}

// Tokenize makes a token of four bytes.
func (m *model) Tokenize(_ context.Context, p llm.Prompt) ([]llm.Token, error) {
	n := 1
	for _, s := range p.Segments {
		n += len(s.Text) / 4
	}
	return make([]llm.Token, n), nil
}

func (m *model) Detokenize(context.Context, []int) (string, error) { return "", nil }

// A row is the cells of a line of a table.
type row struct {
	cells []string
	err   error
}

func (r *row) time(often int, f func(i int) error) {
	if r.err != nil {
		return
	}
	var cell string
	cell, r.err = times(often, f)
	r.cells = append(r.cells, cell)
}

func (r *row) print(first int) error {
	if r.err == nil {
		fmt.Printf("| %d | %s |\n", first, strings.Join(r.cells, " | "))
	}
	return r.err
}

func ofMany(store session.Store, n int) error {
	ctx := context.Background()
	s := session.Open(store, session.Options{})
	random := rand.New(rand.NewPCG(1, uint64(n)))
	ids := random.Perm(n)
	const often = 100
	list := func(q session.Query) error {
		q.Limit = 50
		_, err := s.List(ctx, q)
		return err
	}
	open := func(i int) error {
		_, _, _, err := s.Tail(ctx, name(ids[i%often]), 0, 50)
		return err
	}
	add := func(i int) error {
		_, err := s.Add(ctx, name(ids[i%often]), session.Write{}, session.Send{Text: text(i)})
		return err
	}
	middle, err := store.Session(ctx, name(n/2))
	if err != nil {
		return err
	}
	var r row
	r.time(often, func(int) error { return list(session.Query{}) })
	r.time(often, func(int) error { return list(session.Query{After: &middle}) })
	r.time(often, func(i int) error { return list(session.Query{Character: character(i)}) })
	r.time(often, open)
	r.time(often, open)
	s = session.Open(store, session.Options{})
	r.time(often, add)
	r.time(often, add)
	return r.print(n)
}

func ofCharacters(store session.Store, n int) error {
	ctx := context.Background()
	s := session.Open(store, session.Options{})
	random := rand.New(rand.NewPCG(1, uint64(n)))
	const often = 100
	list := func(after string) error {
		all, err := s.Titles(ctx, session.Characters, after, 100)
		if err == nil && len(all) == 0 {
			err = fmt.Errorf("there is nothing behind %q", after)
		}
		return err
	}
	some := random.Perm(n)[:often]
	var r row
	r.time(often, func(int) error { return list("") })
	r.time(often, func(int) error { return list(fmt.Sprint("k", n/2)) })
	r.time(often, func(i int) error {
		_, err := s.Named(ctx, strings.ToLower(called(some[i])))
		return err
	})
	r.time(often, func(i int) error {
		_, err := s.Document(ctx, session.Characters, fmt.Sprint("k", some[i]), 0)
		return err
	})
	r.time(often, func(i int) error {
		_, err := s.SaveDocument(ctx, session.Characters, fmt.Sprint("k", some[i]), 0, "x.yaml", fmt.Appendf(nil, "name: %s\ncontext: again\n", called(some[i])))
		return err
	})
	return r.print(n)
}

func ofOne(store session.Store, n int) error {
	ctx := context.Background()
	id := fmt.Sprint("long", n)
	if err := store.Commit(ctx, talk(id, n, time.Now())); err != nil {
		return err
	}
	var s *session.Sessions
	m := &model{}
	again := func() { s = session.Open(store, session.Options{Models: m}) }
	page := func(before int) error {
		_, _, _, err := s.Tail(ctx, id, before, 50)
		return err
	}
	add := func(i int) error {
		_, err := s.Add(ctx, id, session.Write{}, session.Send{Text: text(i)})
		return err
	}
	var r row
	r.time(3, func(int) error { again(); return page(0) })
	r.time(100, func(int) error { return page(0) })
	r.time(100, func(int) error { return page(n / 2) })
	r.time(3, func(i int) error { again(); return add(i) })
	r.time(100, add)
	turn := func(i int) error {
		sent, err := s.Send(ctx, id, session.Write{}, session.Send{Text: text(i)}, session.Ask{})
		if err != nil {
			return err
		}
		run, err := s.Run(ctx, sent.Run)
		if err == nil {
			_, err = run.Wait(ctx)
		}
		return err
	}
	r.time(3, func(i int) error { again(); return turn(i) })
	m.composing = nil
	r.time(100, turn)
	r.cells = append(r.cells, spread(m.composing))
	r.time(3, func(int) error {
		_, _, err := s.Read(ctx, id)
		return err
	})
	return r.print(n)
}
