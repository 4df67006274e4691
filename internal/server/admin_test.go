package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/chat"
	"parley/llm"
)

func TestModelsAreLoadedAndUnloadedByTheirPath(t *testing.T) {
	m := one("meta/tiny", chat.Script(), nil)
	s := New(m, Options{})
	for _, c := range []struct {
		path, says string
		status     int
	}{
		{"/parley/v1/models/meta/tiny/load", `"state":"failed"`, 200},
		{"/parley/v1/models/meta/tiny/unload", "", 200},
		{"/parley/v1/models/meta%2Ftiny/load", "", 200},
		{"/parley/v1/models/other/load", "there is no model", 404},
		{"/parley/v1/models/meta/tiny", "ends in /load or /unload", 404},
	} {
		rec := serve(s, "POST", c.path, "")
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.says) {
			t.Errorf("%s: %d %s", c.path, rec.Code, rec.Body)
		}
	}
	if want := []string{"load", "unload", "load"}; !slices.Equal(m.changed, want) {
		t.Errorf("did %v, want %v", m.changed, want)
	}
}

// TestAStreamIsKeptAliveWhileItsModelIsLoaded: also the error of a load that
// fails after the first sign of life is a whole event.
func TestAStreamIsKeptAliveWhileItsModelIsLoaded(t *testing.T) {
	hello := chat.Script(chat.TextDelta{Text: "Hello"})
	for name, c := range map[string]struct {
		err  error
		took time.Duration
		want []string
	}{
		"loaded":       {nil, 25 * time.Second, []string{": ping", ": ping", "Hello", "[DONE]"}},
		"fails":        {&llm.Error{Code: llm.Broken, Message: "it has crashed"}, 25 * time.Second, []string{": ping", ": ping", "it has crashed"}},
		"fails sooner": {&llm.Error{Code: llm.Broken, Message: "it has crashed"}, time.Second, []string{"it has crashed"}},
	} {
		t.Run(name, underClock(func(t *testing.T) {
			m := one("tiny", hello, nil)
			m.hold, m.resolve = make(chan struct{}), c.err
			onStage(t, m, Options{}, func(st *stage) {
				time.AfterFunc(c.took, func() { close(m.hold) })
				status, text := st.ask(streamed)
				for _, word := range c.want {
					i := strings.Index(text, word)
					if i < 0 {
						t.Fatalf("%d %q lacks %q", status, text, word)
					}
					text = text[i+len(word):]
				}
				if early := c.took < 10*time.Second; early != (status == 500) || strings.Contains(text, "DONE") {
					t.Errorf("%d, and then %q", status, text)
				}
			})
		}))
	}
}

func TestAClientThatLeavesWhileItsModelIsLoadedIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one("tiny", chat.Script(), nil)
		m.hold = make(chan struct{})
		onStage(t, m, Options{}, func(st *stage) {
			ctx, leave := context.WithCancel(t.Context())
			time.AfterFunc(15*time.Second, leave)
			resp, err := st.post(ctx, "/v1/chat/completions", streamed)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := resp.Body.Read(make([]byte, 100)); err != nil {
				t.Error(err)
			}
			if _, err := resp.Body.Read(make([]byte, 100)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			synctest.Wait() // Shutdown would wait for it otherwise
		})
	})
}
