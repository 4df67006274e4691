package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"

	"parley/internal/catalog"
	"parley/internal/session"
)

// A reply that is asked for again with its own seed and parameters says the
// same, and its prompt can be made again, whatever was done to the session
// meanwhile.
func TestAReplyCanBeReplayed(t *testing.T) {
	loaded, err := catalog.File{}.Open()
	if err != nil {
		t.Fatal(err)
	}
	talk := keptTalk(t, loaded, io.Discard, nil)
	ctx := t.Context()
	reply := func(path string, body map[string]any) session.Message {
		t.Helper()
		var v struct{ Message session.Message }
		if err := talk.ask(ctx, http.MethodPost, talk.path(path), body, &v); err != nil {
			t.Fatal(err)
		}
		return v.Message
	}
	hot := map[string]any{"temperature": 1.6, "max_tokens": 40}
	var first []session.Message
	for _, text := range []string{"Hello.", "Who are you?", "What can you do?"} {
		first = append(first, reply("/send", map[string]any{"text": text, "params": hot}))
	}
	if err := talk.change(ctx, map[string]any{"system": "Say nothing.", "title": "Other"}); err != nil {
		t.Fatal(err)
	}
	if err := talk.take(ctx, "/edit 1 Something else."); err != nil {
		t.Fatal(err)
	}
	other := 0
	for _, was := range first {
		if was.Reply.Seed == 0 || was.Reply.ModelDigest != loaded.Info.Digest || len(was.Reply.ModelDigest) != 64 {
			t.Errorf("message %d has the seed %d and the model's digest %q", was.ID, was.Reply.Seed, was.Reply.ModelDigest)
		}
		var shown struct {
			Same bool
			Text string
		}
		if err := talk.ask(ctx, http.MethodGet, talk.path("/messages/"+strconv.Itoa(was.ID)+"/prompt"), nil, &shown); err != nil {
			t.Fatal(err)
		}
		if !shown.Same {
			t.Errorf("the prompt of message %d is now\n%s", was.ID, shown.Text)
		}
	}
	// As the session was: a copy of it before the changes.
	if err := talk.change(ctx, map[string]any{"system": ""}); err != nil {
		t.Fatal(err)
	}
	if err := talk.take(ctx, "/edit 1 Hello."); err != nil {
		t.Fatal(err)
	}
	for _, was := range first {
		var params map[string]any
		d := json.NewDecoder(bytes.NewReader(was.Reply.Params))
		d.UseNumber()
		if err := d.Decode(&params); err != nil {
			t.Fatal(err)
		}
		params["seed"] = was.Reply.Seed
		again := reply("/regenerate", map[string]any{"message": was.ID, "params": params})
		if again.Text != was.Text || again.Reply.PromptDigest != was.Reply.PromptDigest {
			t.Errorf("with the seed %d it said\n%q, and then\n%q", was.Reply.Seed, was.Text, again.Text)
		}
		for n := int64(1); n <= 40 && other == 0; n++ { // many say the same: the model is sure of itself
			params["seed"] = was.Reply.Seed + n
			if reply("/regenerate", map[string]any{"message": was.ID, "params": params}).Text != was.Text {
				other++
			}
		}
	}
	if other == 0 {
		t.Error("with another seed everything is the same: the seeds were not used")
	}
}
