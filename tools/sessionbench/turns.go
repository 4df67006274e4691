package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// turnsOfTalk is how many turns each talk has.
const turnsOfTalk = 20

// turns is what a turn takes as a completion and in a session. Talks of both
// kinds take turns with each other, differ in their first words, so that none
// finds another's prompts in the cache, and have replies of 16 tokens.
func turns(o options) error {
	ctx := context.Background()
	kept, err := serve(o, filepath.Join(o.dir, "data"))
	if err != nil {
		return err
	}
	defer kept.kill()
	forgotten, err := serve(o, ":memory:")
	if err != nil {
		return err
	}
	defer forgotten.kill()

	ways := []struct {
		name string
		talk func(n int) (turn func(text string) error, err error)
		took []time.Duration
	}{
		{"a completion", func(n int) (func(string) error, error) { return kept.completions(ctx, n), nil }, nil},
		{"a session, kept in memory", func(n int) (func(string) error, error) { return forgotten.session(ctx, n) }, nil},
		{"a session, kept on the disk", func(n int) (func(string) error, error) { return kept.session(ctx, n) }, nil},
	}
	for n := range o.talks + 1 { // the first one warms up
		said := make([]func(string) error, len(ways))
		for i, way := range ways {
			if said[i], err = way.talk(n*len(ways) + i); err != nil {
				return err
			}
		}
		for i := range turnsOfTalk {
			for w := range ways {
				w = (w + i) % len(ways)
				began := time.Now()
				if err := said[w](text(i)); err != nil {
					return fmt.Errorf("%s: %w", ways[w].name, err)
				}
				if n > 0 {
					ways[w].took = append(ways[w].took, time.Since(began))
				}
			}
		}
	}
	fmt.Printf("| a turn as … | p50 | p99 | more, p50 | more, p99 |\n|---|---|---|---|---|\n")
	var bare [2]float64
	for i, way := range ways {
		slices.Sort(way.took)
		at := func(q float64) float64 {
			return float64(way.took[int(q*float64(len(way.took)-1))].Microseconds()) / 1000
		}
		now := [2]float64{at(.5), at(.99)}
		if i == 0 {
			bare = now
			fmt.Printf("| %s | %.2f ms | %.2f ms | – | – |\n", way.name, now[0], now[1])
			continue
		}
		fmt.Printf("| %s | %.2f ms | %.2f ms | %.2f ms | %.2f ms |\n", way.name, now[0], now[1], now[0]-bare[0], now[1]-bare[1])
	}
	return nil
}

// instructions are at the beginning of each talk.
func instructions(n int) string {
	return fmt.Sprintf("Talk %d. %s", n, strings.Repeat("You are the keeper of the clock in the tower, and answer briefly. ", 4))
}

// completions is a talk whose client sends all of it each time.
func (s *server) completions(ctx context.Context, n int) func(text string) error {
	messages := []object{{"role": "system", "content": instructions(n)}}
	return func(text string) error {
		messages = append(messages, object{"role": "user", "content": text})
		var answer struct {
			Choices []struct{ Message struct{ Content string } }
		}
		if err := s.ask(ctx, "POST", "/v1/chat/completions", object{"messages": messages, "max_tokens": 16, "ignore_eos": true, "temperature": 0}, &answer); err != nil {
			return err
		}
		messages = append(messages, object{"role": "assistant", "content": answer.Choices[0].Message.Content})
		return nil
	}
}

// session is a talk that the server keeps.
func (s *server) session(ctx context.Context, n int) (func(text string) error, error) {
	id, err := s.begin(ctx, object{"system": instructions(n), "params": object{"max_tokens": 16, "ignore_eos": true, "temperature": 0}})
	return func(text string) error {
		var answer struct{}
		return s.ask(ctx, "POST", "/parley/v1/sessions/"+id+"/send", object{"text": text}, &answer)
	}, err
}

func (s *server) begin(ctx context.Context, settings object) (id string, err error) {
	var x struct{ ID string }
	err = s.ask(ctx, "POST", "/parley/v1/sessions", settings, &x)
	return x.ID, err
}
