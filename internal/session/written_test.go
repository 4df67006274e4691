package session_test

import (
	"context"
	"iter"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/engine"
	"parley/internal/demo"
	"parley/internal/session"
	"parley/llm"
)

// embedded is a model that runs here.
type embedded struct {
	*chatformat.Responder
	engine *engine.Engine
}

func (m *embedded) Answerer(context.Context, string) (session.Answerer, error) {
	return session.Answerer{Model: "demo", Info: m.engine.Describe(), Responder: m, Tokenizer: m.engine}, nil
}

// halting is a model whose reply stands still behind some tokens, until it is
// stopped.
type halting struct {
	*embedded
	after int // pieces; 0: it does not
	still chan struct{}
}

func (m *halting) Answerer(ctx context.Context, name string) (session.Answerer, error) {
	a, err := m.embedded.Answerer(ctx, name)
	a.Responder = m
	return a, err
}

func (m *halting) Respond(ctx context.Context, c chat.Conversation, p llm.Params) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		n := 0
		for e, err := range m.embedded.Respond(ctx, c, p) {
			if _, ok := e.(chat.TextDelta); ok {
				n++
			}
			if !yield(e, err) || err != nil {
				return
			}
			if n == m.after && n > 0 {
				m.after = 0
				close(m.still)
				<-ctx.Done()
				yield(nil, context.Cause(ctx))
				return
			}
		}
	}
}

// Whatever becomes of a reply, the turn behind it reads none of it again: it
// was written in letters, as no tokenizer would write it.
func TestRepliesAreReadAgainAsTheyWereWritten(t *testing.T) {
	e, err := engine.OpenBytes(demo.Model(), engine.Options{Name: demo.Name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	f, err := chatformat.Lookup("chatml")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	m := &halting{embedded: &embedded{chatformat.NewResponder(e, f, chatformat.Options{}), e}}
	s := session.Open(session.NewMemory(), session.Options{Models: m})
	defer s.Close(ctx)
	params := llm.Params{Temperature: new(2.0), Seed: new(int64(7)), MaxTokens: new(20), TopK: new(0), TopP: new(1.0), LogitBias: map[int]float64{}}
	for _, letter := range "abcdefghijklmnopqrstuvwxyz ," {
		tokens, err := e.Tokenize(ctx, llm.Prompt{Segments: []llm.Segment{{Text: string(letter)}}})
		if err != nil {
			t.Fatal(err)
		}
		params.LogitBias[tokens[len(tokens)-1].ID] = 100
	}
	wait := func(r session.Receipt, err error) session.Message {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		run, err := s.Run(ctx, r.Run)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := run.Wait(ctx)
		return out.Message
	}
	say := session.Send{Text: "Tell me."}
	stopped := func(id string) session.Message {
		m.after, m.still = 9, make(chan struct{})
		still := m.still
		r, err := s.Send(ctx, id, session.Write{}, say, session.Ask{Params: params})
		<-still
		s.Stop(id)
		return wait(r, err)
	}
	for _, c := range []struct {
		what  string
		reply func(id string) session.Message
	}{
		{"whole", func(id string) session.Message {
			return wait(s.Send(ctx, id, session.Write{}, say, session.Ask{Params: params}))
		}},
		{"with a hidden stop string", func(id string) session.Message {
			p := params
			p.Stop = []string{"j"}
			return wait(s.Send(ctx, id, session.Write{}, say, session.Ask{Params: p}))
		}},
		{"continued", func(id string) session.Message {
			wait(s.Send(ctx, id, session.Write{}, say, session.Ask{Params: params}))
			wait(s.Continue(ctx, id, session.Write{}, 0, session.Ask{Params: params}))
			return wait(s.Continue(ctx, id, session.Write{}, 0, session.Ask{Params: params}))
		}},
		{"stopped", stopped},
		{"stopped and continued", func(id string) session.Message {
			stopped(id)
			return wait(s.Continue(ctx, id, session.Write{}, 0, session.Ask{Params: params}))
		}},
	} {
		x, _, err := s.Create(ctx, session.New{Settings: session.Settings{System: "Be " + c.what + "."}})
		if err != nil {
			t.Fatal(err)
		}
		reply := c.reply(x.ID)
		if hidden := c.what == "with a hidden stop string"; hidden != (reply.Reply.Reason == llm.ReasonStop) {
			t.Errorf("%s: it ended by %s", c.what, reply.Reply.Reason)
		}
		if len(reply.Reply.Tokens) < 5 {
			t.Errorf("%s: %q is kept as %v", c.what, reply.Text, reply.Reply.Tokens)
		}
		text, err := e.Detokenize(ctx, reply.Reply.Tokens)
		if err != nil || !strings.HasPrefix(text, reply.Text) {
			t.Errorf("%s: the tokens spell %q, want %q", c.what, text, reply.Text)
		}
		next := wait(s.Send(ctx, x.ID, session.Write{}, session.Send{Text: "And then?"}, session.Ask{Params: llm.Params{MaxTokens: new(1)}}))
		all := 0 // that were read when the reply ended, but for its last ones
		if u := reply.Reply.Usage; c.what == "whole" || c.what == "with a hidden stop string" {
			all = u.Prompt + len(reply.Reply.Tokens) - 2
		} else {
			all = next.Reply.Usage.Prompt - 20 // what stands behind it
		}
		if cached := *next.Reply.Usage.Cached; cached < all {
			t.Errorf("%s: of %d tokens %d were cached, want %d", c.what, next.Reply.Usage.Prompt, cached, all)
		}
		i, err := s.Inspect(ctx, session.Place{Session: x.ID, Message: next.ID, Version: -1})
		if err != nil || i.Digest != i.Then || i.Digest == "" {
			t.Errorf("%s: the prompt made again is another: %v", c.what, err)
		}
		if n := len(i.Rendered.Tokens); n != next.Reply.Usage.Prompt {
			t.Errorf("%s: it has %d tokens, and had %d", c.what, n, next.Reply.Usage.Prompt)
		}
	}
}
