package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"parley/chat"
	"parley/llm"
)

// fake is an entry whose model says its name.
func fake(name string, aliases ...string) Entry {
	return Entry{Name: name, Aliases: aliases, Load: func(context.Context) (*Loaded, error) {
		return says(name), nil
	}}
}

func says(name string) *Loaded {
	return &Loaded{Info: llm.Info{Name: name}, Model: llm.Script(name), Responder: chat.Script(chat.TextDelta{Text: name})}
}

func catalogOf(t *testing.T, o Options, entries ...Entry) *Catalog {
	t.Helper()
	c, err := New(entries, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestNames(t *testing.T) {
	one := []Entry{fake("one", "alias")}
	two := []Entry{fake("one", "alias"), fake("two")}
	tests := []struct {
		name     string
		entries  []Entry
		strict   bool
		ask      string
		want     string // "" for an error
		reported bool
	}{
		{"its name", one, false, "one", "one", false},
		{"its alias", one, false, "alias", "one", false},
		{"no name, one model", one, false, "", "one", true},
		{"unknown name, one model", one, false, "gpt-4", "one", true},
		{"its name, strict", one, true, "one", "one", false},
		{"its alias, strict", one, true, "alias", "one", false},
		{"no name, strict", one, true, "", "", false},
		{"unknown name, strict", one, true, "gpt-4", "", false},
		{"second of two", two, false, "two", "two", false},
		{"alias of one of two", two, false, "alias", "one", false},
		{"no name, two models", two, false, "", "", false},
		{"unknown name, two models", two, false, "gpt-4", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := catalogOf(t, Options{Strict: tt.strict}, tt.entries...)
			r, err := c.Resolve(t.Context(), tt.ask)
			if tt.want == "" {
				var e *llm.Error
				if !errors.As(err, &e) || e.Code != llm.NotFound || e.Field != "model" {
					t.Fatalf("Resolve(%q) = %v, want a not_found at model", tt.ask, err)
				}
				for _, name := range c.names() {
					if !strings.Contains(e.Hint, name) {
						t.Errorf("hint %q does not name %s", e.Hint, name)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			reply, err := chat.Collect(r.Responder.Respond(t.Context(), chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "who?")}}, llm.Params{}))
			if err != nil {
				t.Fatal(err)
			}
			if r.ID != tt.want || reply.Message.Text() != tt.want {
				t.Errorf("Resolve(%q) = %s, and %s answers; want %s", tt.ask, r.ID, reply.Message.Text(), tt.want)
			}
			if reported := slices.ContainsFunc(r.Report, func(n llm.Note) bool { return n.Code == "model" && n.Value == tt.want }); reported != tt.reported {
				t.Errorf("report %v, want a note about the model: %v", r.Report, tt.reported)
			}
		})
	}
}

func TestTheDefaultAnswersWhereNoOtherDoes(t *testing.T) {
	two := []Entry{fake("one", "alias"), fake("two")}
	for _, tt := range []struct {
		ask    string
		strict bool
		want   string // "" for an error
	}{
		{"", false, "one"}, {"gpt-4", false, "one"}, {"two", false, "two"},
		{"", true, "one"}, {"gpt-4", true, ""}, {"two", true, "two"},
	} {
		c := catalogOf(t, Options{Strict: tt.strict, Default: "alias"}, two...)
		r, err := c.Resolve(t.Context(), tt.ask)
		if tt.want == "" && err == nil || tt.want != "" && (err != nil || r.ID != tt.want) {
			t.Errorf("%q, strict %t: %s, %v; want %q", tt.ask, tt.strict, r.ID, err, tt.want)
		}
		if reported := len(r.Report) > 0; err == nil && reported != (tt.ask != "two") {
			t.Errorf("%q: report %v", tt.ask, r.Report)
		}
	}
	if _, err := New(two, Options{Default: "three"}); err == nil || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("a default that is not served: %v", err)
	}
}

func TestAnErrorNamesAFewOfManyModels(t *testing.T) {
	var many []Entry
	for i := range 30 {
		many = append(many, fake(fmt.Sprintf("m%02d", i)))
	}
	_, err := catalogOf(t, Options{}, many...).Resolve(t.Context(), "x")
	if e := llm.AsError(err); !strings.HasSuffix(e.Hint, "m08, m09 and 20 more") {
		t.Errorf("hint %q", e.Hint)
	}
}

func TestTheBuiltInModelLeavesWhenAnotherIsServed(t *testing.T) {
	builtIn := fake("demo")
	builtIn.BuiltIn = true
	if got := catalogOf(t, Options{}, builtIn).names(); !slices.Equal(got, []string{"demo"}) {
		t.Errorf("alone: %v", got)
	}
	if got := catalogOf(t, Options{}, builtIn, fake("real")).names(); !slices.Equal(got, []string{"real"}) {
		t.Errorf("beside another: %v", got)
	}
}

func TestANameStandsForOneModel(t *testing.T) {
	for _, entries := range [][]Entry{
		{fake("a"), fake("a")},
		{fake("a"), fake("b", "a")},
		{fake("a", "x"), fake("b", "x")},
		{fake("")},
		{},
	} {
		if _, err := New(entries, Options{}); err == nil {
			t.Errorf("New(%v) has no error", entries)
		}
	}
}

func TestAModelIsLoadedOnceForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int32
		gate := make(chan struct{})
		c, err := New([]Entry{{Name: "slow", Load: func(context.Context) (*Loaded, error) {
			loads.Add(1)
			<-gate
			return says("slow"), nil
		}}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()

		// The first to ask leaves; the others still get the model.
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := c.Resolve(ctx, "slow")
			left <- err
		}()
		synctest.Wait()
		answers := make(chan error)
		for range 10 {
			go func() {
				_, err := c.Resolve(t.Context(), "slow")
				answers <- err
			}()
		}
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the one who left got %v", err)
		}
		close(gate)
		for range 10 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if n := loads.Load(); n != 1 {
			t.Errorf("loaded %d times", n)
		}
	})
}

func TestAFailedLoadIsTriedAgain(t *testing.T) {
	broken := errors.New("broken")
	attempts := 0
	c := catalogOf(t, Options{}, Entry{Name: "m", Load: func(context.Context) (*Loaded, error) {
		attempts++
		switch attempts {
		case 1:
			return nil, broken
		case 2:
			panic("a bug")
		}
		return says("m"), nil
	}})
	if _, err := c.Resolve(t.Context(), "m"); !errors.Is(err, broken) {
		t.Errorf("first: %v", err)
	}
	if _, err := c.Resolve(t.Context(), "m"); err == nil || llm.AsError(err).Code != llm.Broken {
		t.Errorf("second: %v", err)
	}
	if _, err := c.Resolve(t.Context(), "m"); err != nil {
		t.Errorf("third: %v", err)
	}
}

func TestLoadLoadsAll(t *testing.T) {
	broken := errors.New("broken")
	loaded := false
	entry := fake("good")
	load := entry.Load
	entry.Load = func(ctx context.Context) (*Loaded, error) { loaded = true; return load(ctx) }
	c := catalogOf(t, Options{}, entry, Entry{Name: "bad", Load: func(context.Context) (*Loaded, error) { return nil, broken }})
	if err := c.Load(t.Context()); !errors.Is(err, broken) || !loaded {
		t.Errorf("Load = %v, the first loaded: %v", err, loaded)
	}
}

func TestClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed []string
		entry := func(name string, gate chan struct{}) Entry {
			return Entry{Name: name, Load: func(context.Context) (*Loaded, error) {
				<-gate
				l := says(name)
				l.Close = func() error { closed = append(closed, name); return nil }
				return l, nil
			}}
		}
		open := make(chan struct{})
		close(open)
		slow := make(chan struct{})
		c, err := New([]Entry{entry("ready", open), entry("loading", slow)}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Resolve(t.Context(), "ready"); err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error, 1)
		go func() {
			_, err := c.Resolve(t.Context(), "loading")
			waiting <- err
		}()
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- c.Close() }()
		synctest.Wait()
		close(slow)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := <-waiting; llm.AsError(err).Code != llm.Unavailable {
			t.Errorf("the one who waited got %v", err)
		}
		if !slices.Equal(closed, []string{"ready", "loading"}) {
			t.Errorf("closed %v", closed)
		}
		if _, err := c.Resolve(t.Context(), "ready"); llm.AsError(err).Code != llm.Unavailable {
			t.Errorf("after closing: %v", err)
		}
	})
}

func TestListAndReady(t *testing.T) {
	c := catalogOf(t, Options{}, fake("a", "other"), fake("b"))
	if err := c.Ready(); err == nil {
		t.Error("ready before anything is loaded")
	}
	if _, err := c.Resolve(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	list, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].ID != "a" || !slices.Equal(list[0].Aliases, []string{"other"}) || list[1].ID != "b" || list[0].Info.Name != "a" || list[1].Info.Name != "" || list[0].Created.IsZero() {
		t.Errorf("listed %+v", list)
	}
	if err := c.Ready(); err == nil {
		t.Error("ready without the second")
	}
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
}
