package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"strconv"
	"strings"
	"time"

	"parley/chat"
	"parley/internal/server"
	"parley/llm"
)

const (
	events = 100                    // of an answer
	pace   = 250 * time.Millisecond // between the events of a slow one
)

// serveScript says its address and serves.
func serveScript(say io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(say, l.Addr())
	return server.New(models{}, server.Options{Profiles: true}).Serve(l, server.Own)
}

// models answer to their names: "fast" at once, "slow" at a pace and without an
// end, "endless" as fast as it is read.
type models struct{}

func (models) List(context.Context) ([]server.Listed, error) {
	return []server.Listed{{ID: "fast"}, {ID: "slow"}, {ID: "endless"}}, nil
}

func (models) Resolve(_ context.Context, name string) (server.Target, error) {
	return server.Target{ID: name, Responder: script(name)}, nil
}

func (models) LoadModel(context.Context, string) error   { return nil }
func (models) UnloadModel(context.Context, string) error { return nil }
func (models) Ready() error                              { return nil }

type script string

// Respond says the time again and again.
func (s script) Respond(ctx context.Context, _ chat.Conversation, _ llm.Params) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		if !yield(chat.Accepted{PromptTokens: 900}, nil) {
			return
		}
		var tick <-chan time.Time
		if s == "slow" {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			tick = ticker.C
		}
		long := ""
		if s == "endless" {
			long = strings.Repeat("on and on ", 400)
		}
		for i := 0; s != "fast" || i < events; i++ {
			if tick != nil {
				select {
				case <-tick:
				case <-ctx.Done():
				}
			}
			if err := context.Cause(ctx); err != nil {
				yield(nil, err)
				return
			}
			text := "@" + strconv.FormatInt(time.Now().UnixNano(), 10) + " " + long
			if !yield(chat.TextDelta{Text: text, Tokens: []llm.Token{{ID: i, Text: text}}}, nil) {
				return
			}
		}
		yield(chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd, Usage: llm.Usage{PromptTokens: 900, CompletionTokens: events}}}, nil)
	}
}
