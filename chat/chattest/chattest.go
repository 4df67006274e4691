// Package chattest is the suite that every chat.Responder must pass.
package chattest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"testing"
	"unicode/utf8"

	"parley/chat"
	"parley/llm"
)

// A Subject is a responder under test and a conversation that it answers with
// some text.
type Subject struct {
	Responder    chat.Responder
	Conversation chat.Conversation
}

// Run checks the contract of chat.Responder.
func Run(t *testing.T, s Subject) {
	greedy := llm.Params{Temperature: new(0.0), MaxTokens: new(24), Seed: new(int64(7))}
	respond := func(ctx context.Context, c chat.Conversation) iter.Seq2[chat.Event, error] {
		return s.Responder.Respond(ctx, c, greedy)
	}

	t.Run("the stream begins with Accepted and ends with Done", func(t *testing.T) {
		first, done := true, false
		for e, err := range respond(t.Context(), s.Conversation) {
			if err != nil {
				t.Fatal(err)
			}
			if done {
				t.Fatalf("%T came after Done", e)
			}
			if _, accepted := e.(chat.Accepted); accepted != first {
				t.Fatal("Accepted must be the first event and no other")
			}
			first = false
			switch e := e.(type) {
			case chat.TextDelta:
				if !utf8.ValidString(e.Text) {
					t.Errorf("text %q is not valid UTF-8", e.Text)
				}
			case chat.Done:
				done = true
			}
		}
		if !done {
			t.Fatal("the stream ended without Done and without an error")
		}
	})
	t.Run("the same request gives the same answer and the conversation stays as it was", func(t *testing.T) {
		before := fmt.Sprintf("%#v", s.Conversation)
		a, err := chat.Collect(respond(t.Context(), s.Conversation))
		if err != nil {
			t.Fatal(err)
		}
		b, err := chat.Collect(respond(t.Context(), s.Conversation))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a.Message, b.Message) {
			t.Errorf("first %+v\nthen  %+v", a.Message, b.Message)
		}
		if a.Message.Text() == "" && len(a.Message.ToolCalls) == 0 {
			t.Error("the reply is empty")
		}
		if after := fmt.Sprintf("%#v", s.Conversation); after != before {
			t.Error("the responder changed the conversation")
		}
	})
	t.Run("a conversation without messages is refused", func(t *testing.T) {
		_, err := chat.Collect(respond(t.Context(), chat.Conversation{}))
		if e := llm.AsError(err); err == nil || e.Code != llm.Invalid || e.Field != "messages" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := chat.Collect(respond(ctx, s.Conversation)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
	t.Run("breaking off", func(t *testing.T) {
		for range respond(t.Context(), s.Conversation) {
			break
		}
		if _, err := chat.Collect(respond(t.Context(), s.Conversation)); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
