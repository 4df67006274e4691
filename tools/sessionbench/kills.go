package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"parley/internal/session"
)

// writers is how many clients add messages at the same time.
const writers = 8

// A tally is what a client was told of its session.
type tally struct {
	id      string
	ours    int      // messages that it has sent so far, acknowledged or not
	known   int      // messages that were there when the server was started last
	pending []string // acknowledged since
}

// kills lets clients add messages over HTTP and another one have replies
// generated, kills the server in the middle of it, starts it again and looks
// for what was acknowledged, again and again on the same file.
func kills(o options) error {
	ctx := context.Background()
	data := filepath.Join(o.dir, "data")
	var all [writers]tally
	var talk, whole string // the session of replies, and what each says when it is whole
	acknowledged, lost, complete, interrupted, wrong := 0, 0, 0, 0, 0
	replies := map[int]bool{} // that were counted
	random := rand.New(rand.NewPCG(1, 1))
	began := time.Now()
	var waited time.Duration
	for cycle := range o.kills + 1 { // the last one only looks
		start := time.Now()
		s, err := serve(o, data)
		if err != nil {
			return err
		}
		waited += time.Since(start)
		if cycle == 0 {
			for i := range all {
				if all[i].id, err = s.begin(ctx, object{}); err != nil {
					s.kill()
					return err
				}
			}
			// At temperature 0 the first reply is what all in its place say.
			if talk, err = s.begin(ctx, object{"params": object{"temperature": 0, "max_tokens": 200, "ignore_eos": true}}); err != nil {
				s.kill()
				return err
			}
			if err := s.ask(ctx, "POST", "/parley/v1/sessions/"+talk+"/send", object{"text": "Tell me a story."}, &struct{}{}); err != nil {
				s.kill()
				return err
			}
		}
		for i := range all {
			there, err := s.messages(ctx, all[i].id)
			if err != nil {
				s.kill()
				return err
			}
			lost += all[i].missing(there)
			acknowledged += len(all[i].pending)
			all[i].known, all[i].pending = len(there), nil
		}
		there, err := s.tree(ctx, talk)
		if err != nil {
			s.kill()
			return err
		}
		for _, n := range there {
			v := n.Versions[0]
			if n.Role != "assistant" || replies[n.ID] {
				continue
			}
			replies[n.ID] = true
			switch {
			case whole == "":
				whole = v.Text
			case v.State == session.Complete && v.Text == whole:
				complete++
			case v.State == session.Interrupted && strings.HasPrefix(whole, v.Text):
				interrupted++
			default:
				wrong++
			}
		}
		if cycle == o.kills {
			s.kill()
			break
		}
		s.load(ctx, all[:], talk, time.Duration(50+random.IntN(200))*time.Millisecond)
	}
	fmt.Println("| kill -9 | messages acknowledged | lost | replies whole | broken off, and marked so | half ones shown as whole | start after a kill |")
	fmt.Println("|---|---|---|---|---|---|---|")
	fmt.Printf("| %d | %d | %d | %d | %d | %d | %d ms |\n", o.kills, acknowledged, lost, complete, interrupted, wrong, waited.Milliseconds()/int64(o.kills+1))
	fmt.Printf("\nin %.0f s\n", time.Since(began).Seconds())
	return nil
}

// missing counts the acknowledged messages that are not there, or not in their
// order.
func (t *tally) missing(there []session.Message) (n int) {
	have := there[min(t.known, len(there)):]
	lost := t.known - min(t.known, len(there))
	for _, text := range t.pending {
		for len(have) > 0 && have[0].Text != text { // written, and killed before it was said
			have = have[1:]
		}
		if len(have) == 0 {
			lost++
			continue
		}
		have = have[1:]
	}
	return lost
}

// load has clients write until the server is killed.
func (s *server) load(ctx context.Context, all []tally, talk string, span time.Duration) {
	var clients sync.WaitGroup
	for i := range all {
		clients.Go(func() {
			t := &all[i]
			for {
				t.ours++
				text := fmt.Sprintf("%d of %s", t.ours, t.id)
				var answer struct{}
				if s.ask(ctx, "POST", "/parley/v1/sessions/"+t.id+"/send", object{"text": text, "reply": false}, &answer) != nil {
					return
				}
				t.pending = append(t.pending, text)
			}
		})
	}
	clients.Go(func() {
		for { // always another reply in the place of the first
			var answer struct{}
			if s.ask(ctx, "POST", "/parley/v1/sessions/"+talk+"/regenerate", object{}, &answer) != nil {
				return
			}
		}
	})
	time.Sleep(span)
	s.kill()
	clients.Wait()
}

// messages reads the whole talk of a session, page by page.
func (s *server) messages(ctx context.Context, id string) (all []session.Message, err error) {
	path := "/parley/v1/sessions/" + id + "?limit=1000"
	for {
		var page struct {
			Messages []session.Message
			More     bool
		}
		if err := s.ask(ctx, "GET", path, nil, &page); err != nil {
			return nil, err
		}
		all = append(page.Messages, all...)
		if !page.More {
			return all, nil
		}
		path = fmt.Sprintf("/parley/v1/sessions/%s?limit=1000&before=%d", id, all[0].ID)
	}
}

// tree reads all messages of a session with all their versions.
func (s *server) tree(ctx context.Context, id string) ([]session.Node, error) {
	var x struct{ Messages []session.Node }
	err := s.ask(ctx, "GET", "/parley/v1/sessions/"+id+"/messages", nil, &x)
	return x.Messages, err
}
