package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/catalog"
	"parley/internal/server"
	"parley/internal/session"
	"parley/llm"
)

// keptTalk begins a session on a server at which the partner answers.
func keptTalk(t *testing.T, partner chat.Responder, out io.Writer, between func(http.Handler) http.Handler) *sessionTalk {
	t.Helper()
	models, err := catalog.New([]catalog.Entry{{Name: "partner", Load: func(context.Context) (*catalog.Loaded, error) {
		return &catalog.Loaded{Responder: partner}, nil
	}}}, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { models.Close() })
	h := server.New(models, server.Options{Sessions: session.Open(session.NewMemory(), session.Options{Models: server.Answers(models)})}).Handler(server.Own)
	if between != nil {
		h = between(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	r, err := newRemote(s.URL, "", "")
	if err != nil {
		t.Fatal(err)
	}
	talk := &sessionTalk{screen: screen{out: out, notes: io.Discard, said: map[llm.Note]bool{}}, server: r}
	if err := talk.begin(t.Context(), &chatCmd{Session: "mine"}); err != nil {
		t.Fatal(err)
	}
	return talk
}

// A cutter breaks the first connection off on which a text was sent.
type cutter struct {
	http.ResponseWriter
	done *bool
}

func (c cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c cutter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	if bytes.Contains(p, []byte("Once")) && !*c.done {
		*c.done = true
		http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestAReplyIsShownWholeWhenTheConnectionBreaks(t *testing.T) {
	var out strings.Builder
	cut := false
	talk := keptTalk(t, chat.Script(chat.TextDelta{Text: "Once"}, chat.TextDelta{Text: " upon"}, chat.TextDelta{Text: " a time"}), &out, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(cutter{w, &cut}, r) })
	})
	if err := talk.take(t.Context(), "Tell me a story."); err != nil {
		t.Fatal(err)
	}
	if out.String() != "Once upon a time\n\n" || !cut {
		t.Errorf("printed %q; cut: %v", out.String(), cut)
	}
}

func TestASeedGivesAnotherReplyWhenItIsMadeAgain(t *testing.T) {
	partner := chat.Script(chat.TextDelta{Text: "Yes"})
	var seeds []int64
	partner.Seen = func(_ chat.Conversation, p llm.Params) { seeds = append(seeds, *p.Seed) }
	talk := keptTalk(t, partner, io.Discard, nil)
	talk.params.Seed = new(int64(7))
	for _, text := range []string{"Hello", "/swipe", "/swipe 1", "/swipe 3"} {
		if err := talk.take(t.Context(), text); err != nil {
			t.Fatal(text, err)
		}
	}
	if len(seeds) != 3 || seeds[0] != 7 || seeds[1] != 8 || seeds[2] != 9 {
		t.Errorf("the seeds were %v", seeds)
	}
}
