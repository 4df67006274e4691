// Package storetest checks that a session.Store keeps its contract.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

// Run checks a store. Each check opens one of its own, which is empty and is
// closed by whoever opens it.
func Run(t *testing.T, open func(*testing.T) session.Store) {
	for name, check := range map[string]func(*testing.T, session.Store){
		"a change is there as a whole":               whole,
		"what was made from an old revision is kept": stale,
		"an external id belongs to one":              external,
		"only what runs grows":                       grows,
		"lists are in order, page by page":           lists,
		"who left a session is not in its list":      members,
		"the end of a way has what stands beside it": tails,
		"search finds words and nothing deleted":     search,
		"keys are remembered":                        receipts,
		"what is purged is gone":                     purge,
		"documents keep their revisions":             documents,
		"titles are in order, page by page":          titles,
		"one of many writers wins each time":         race,
		"nothing is shared":                          shared,
		"pictures are their sessions'":               media,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)

func at(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }

// talk is a new session with messages behind each other.
func talk(id string, minutes int, texts ...string) session.Change {
	x := session.Session{ID: id, Revision: 1, Title: "About " + id, Created: at(minutes), Updated: at(minutes), Messages: len(texts), Head: len(texts),
		Tags: []string{"a", id}, Settings: []session.Settings{{Since: 1, Model: "m", Character: "c" + id, Params: []byte(`{"top_k":3}`)}}}
	c := session.Change{Session: x}
	for i, text := range texts {
		c.Nodes = append(c.Nodes, session.Node{ID: i + 1, Parent: i, Role: chat.User, Author: session.Author{ID: "7", Name: "Ann"}, Created: at(minutes),
			Versions: []session.Version{{Since: 1, Created: at(minutes), Text: text, State: session.Complete}}})
	}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code llm.Code) {
	t.Helper()
	if err == nil || llm.AsError(err).Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func whole(t *testing.T, s session.Store) {
	ctx := t.Context()
	c := talk("one", 0, "Hello", "there")
	c.Nodes[1].Origin = &session.Place{Session: "x", Message: 3, Version: 1}
	c.Nodes[1].Versions[0].Reply = &session.Reply{Kind: session.Answer, Base: 1, Seed: 1<<62 + 1, Tokens: []int{1, 2}, Usage: session.Usage{Prompt: 3, Cached: new(0)}}
	c.Session.Settings[0].Tools = session.Tools{List: []byte(`[{"type":"function"}]`), Choice: []byte(`"none"`), Parallel: new(false)}
	c.Nodes[0].Versions[0].ToolCalls = []session.ToolCall{{ID: "a", Type: "function", Function: session.ToolFunction{Name: "f", Arguments: `{"x":1}`}}}
	c.Nodes[1].ToolCallID = "a"
	must(t, s.Commit(ctx, c))
	x, err := s.Session(ctx, "one")
	must(t, err)
	if !reflect.DeepEqual(x, c.Session) {
		t.Errorf("got  %+v\nwant %+v", x, c.Session)
	}
	nodes, err := s.Nodes(ctx, "one")
	must(t, err)
	if !reflect.DeepEqual(nodes, c.Nodes) {
		t.Errorf("got  %+v\nwant %+v", nodes, c.Nodes)
	}
	next := session.Change{Session: x, Base: 1}
	next.Session.Revision, next.Session.Messages, next.Session.Head, next.Session.Title = 2, 3, 3, "New"
	next.Nodes = []session.Node{{ID: 3, Parent: 2, Role: chat.Assistant, Created: at(1), Versions: []session.Version{{Since: 2, Created: at(1), Text: "!", State: session.Running}}}}
	next.Versions = []session.Written{
		{Message: 1, Version: 1, Value: session.Version{Since: 2, Created: at(1), Text: "Hallo", State: session.Complete}},
		{Message: 2, Version: 0, Value: session.Version{Since: 1, Created: at(1), Text: "replaced", State: session.Stopped}},
	}
	must(t, s.Commit(ctx, next))
	nodes, err = s.Nodes(ctx, "one")
	must(t, err)
	want := slices.Concat(c.Nodes, next.Nodes)
	want[0].Versions = append(slices.Clone(want[0].Versions), next.Versions[0].Value)
	want[1].Versions = []session.Version{next.Versions[1].Value}
	if !reflect.DeepEqual(nodes, want) {
		t.Errorf("got  %+v\nwant %+v", nodes, want)
	}
	if x, _ = s.Session(ctx, "one"); x.Title != "New" || x.Head != 3 {
		t.Errorf("got %+v", x)
	}
	_, err = s.Session(ctx, "none")
	wantCode(t, err, llm.NotFound)
	_, err = s.Nodes(ctx, "none")
	wantCode(t, err, llm.NotFound)
}

func stale(t *testing.T, s session.Store) {
	ctx := t.Context()
	c := talk("one", 0, "Hello")
	must(t, s.Commit(ctx, c))
	for name, bad := range map[string]func(*session.Change){
		"again":    func(*session.Change) {},
		"too new":  func(c *session.Change) { c.Base, c.Session.Revision = 2, 3 },
		"no next":  func(c *session.Change) { c.Base, c.Session.Revision = 1, 1 },
		"too far":  func(c *session.Change) { c.Base, c.Session.Revision = 1, 3 },
		"another":  func(c *session.Change) { c.Base, c.Session.Revision = 0, 5 },
		"from old": func(c *session.Change) { c.Base, c.Session.Revision = 0, 2 },
	} {
		d := talk("one", 5, "lost")
		bad(&d)
		if err := s.Commit(ctx, d); !errors.Is(err, session.ErrStale) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	none := talk("none", 0)
	none.Session.Revision = 0
	if err := s.Commit(ctx, none); !errors.Is(err, session.ErrStale) {
		t.Errorf("a revision 0: %v", err)
	}
	late := talk("late", 0, "imported")
	late.Session.Revision = 7
	must(t, s.Commit(ctx, late))
	must(t, s.Commit(ctx, talk("two", 0, "kept"))) // a refusal is of one change alone
	nodes, err := s.Nodes(ctx, "one")
	must(t, err)
	if len(nodes) != 1 || nodes[0].Versions[0].Text != "Hello" {
		t.Errorf("something was overwritten: %+v", nodes)
	}
}

func external(t *testing.T, s session.Store) {
	ctx := t.Context()
	c := talk("one", 0)
	c.Session.ExternalID = "channel/7"
	must(t, s.Commit(ctx, c))
	d := talk("two", 0)
	d.Session.ExternalID = "channel/7"
	if err := s.Commit(ctx, d); !errors.Is(err, session.ErrStale) {
		t.Errorf("got %v", err)
	}
	x, err := s.External(ctx, "channel/7")
	must(t, err)
	if x.ID != "one" {
		t.Errorf("got %s", x.ID)
	}
	c.Session.ExternalID, c.Base, c.Session.Revision, c.Nodes = "", 1, 2, nil
	must(t, s.Commit(ctx, c))
	must(t, s.Commit(ctx, d))
	must(t, s.Commit(ctx, talk("three", 0))) // none is no id that is taken
	must(t, s.Commit(ctx, talk("four", 0)))
	_, err = s.External(ctx, "")
	wantCode(t, err, llm.NotFound)
	_, err = s.External(ctx, "other")
	wantCode(t, err, llm.NotFound)
}

func grows(t *testing.T, s session.Store) {
	ctx := t.Context()
	c := talk("one", 0, "Hello", "")
	c.Nodes[1].Versions[0].State = session.Running
	must(t, s.Commit(ctx, c))
	place := session.Place{Session: "one", Message: 2, Version: 0}
	places, err := s.Unfinished(ctx)
	must(t, err)
	if !reflect.DeepEqual(places, []session.Place{place}) {
		t.Errorf("got %+v", places)
	}
	v := c.Nodes[1].Versions[0]
	v.Text = "Hi"
	must(t, s.Grow(ctx, place, v))
	v.Text, v.State = "Hi!", session.Interrupted
	must(t, s.Grow(ctx, place, v))
	nodes, err := s.Nodes(ctx, "one")
	must(t, err)
	if !reflect.DeepEqual(nodes[1].Versions, []session.Version{v}) {
		t.Errorf("got %+v", nodes[1].Versions)
	}
	if places, _ = s.Unfinished(ctx); len(places) != 0 {
		t.Errorf("got %+v", places)
	}
	for _, bad := range []session.Place{place, {Session: "one", Message: 1}, {Session: "one", Message: 2, Version: 1}, {Session: "one", Message: 9}, {Session: "one", Message: 2, Version: -1}} {
		if err := s.Grow(ctx, bad, v); !errors.Is(err, session.ErrStale) {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
	if x, _ := s.Session(ctx, "one"); x.Revision != 1 {
		t.Errorf("the revision is %d", x.Revision)
	}
}

func ids(list []session.Session) string {
	var all []string
	for _, x := range list {
		all = append(all, x.ID)
	}
	return strings.Join(all, " ")
}

func lists(t *testing.T, s session.Store) {
	ctx := t.Context()
	for i, id := range []string{"e", "b", "d", "a", "c"} {
		must(t, s.Commit(ctx, talk(id, i/2))) // e b | d a | c
	}
	gone := talk("gone", 9)
	gone.Session.Deleted = new(at(9))
	must(t, s.Commit(ctx, gone))
	company := talk("many", -1)
	company.Session.Settings[0].Character, company.Session.Settings[0].Characters = "", []session.Member{{ID: "x"}, {ID: "y z", Muted: true}}
	must(t, s.Commit(ctx, company))
	for want, q := range map[string]session.Query{
		"c a d b e many": {Limit: 9},
		"c a":            {Limit: 2},
		"gone":           {Limit: 9, Deleted: true},
		"b":              {Limit: 9, Tag: "b"},
		"d":              {Limit: 9, Character: "cd"},
		"many":           {Limit: 9, Character: "y z"},
		"":               {Limit: 9, Tag: "nobody's"},
	} {
		if q.Character == "y z" { // not by a part of an id
			if list, err := s.List(ctx, session.Query{Limit: 9, Character: "y"}); err != nil || len(list) != 0 {
				t.Errorf("got %q, %v", ids(list), err)
			}
		}
		list, err := s.List(ctx, q)
		must(t, err)
		if got := ids(list); got != want {
			t.Errorf("%+v: got %q, want %q", q, got, want)
		}
	}
	var got []string
	q := session.Query{Limit: 2}
	for {
		list, err := s.List(ctx, q)
		must(t, err)
		if len(list) == 0 {
			break
		}
		got = append(got, ids(list))
		q.After = &list[len(list)-1]
	}
	if strings.Join(got, "|") != "c a|d b|e many" {
		t.Errorf("pages: %q", got)
	}
}

// members checks the lists of those sessions in which a character is.
func members(t *testing.T, s session.Store) {
	ctx := t.Context()
	for i, id := range []string{"a", "b", "c"} {
		c := talk(id, i)
		c.Session.Settings[0].Character, c.Session.Settings[0].Characters = "", []session.Member{{ID: "x"}, {ID: "y"}}
		must(t, s.Commit(ctx, c))
	}
	want := func(q session.Query, want string) {
		t.Helper()
		q.Limit = 9
		list, err := s.List(ctx, q)
		must(t, err)
		if got := ids(list); got != want {
			t.Errorf("%+v: got %q, want %q", q, got, want)
		}
	}
	change := func(id string, minutes int, f func(*session.Session)) {
		t.Helper()
		x, err := s.Session(ctx, id)
		must(t, err)
		c := session.Change{Session: x, Base: x.Revision}
		c.Session.Revision++
		c.Session.Updated = at(minutes)
		f(&c.Session)
		must(t, s.Commit(ctx, c))
	}
	want(session.Query{Character: "x"}, "c b a")
	change("a", 5, func(x *session.Session) {
		x.Settings = append(x.Settings, session.Settings{Since: x.Revision, Character: "y"})
	})
	change("b", 6, func(x *session.Session) { x.Deleted = new(at(6)) })
	want(session.Query{Character: "x"}, "c")
	want(session.Query{Character: "y"}, "a c")
	want(session.Query{Character: "y", Deleted: true}, "b")
	want(session.Query{Character: "y", Tag: "c"}, "c")
	after, err := s.Session(ctx, "a")
	must(t, err)
	want(session.Query{Character: "y", After: &after}, "c")
	must(t, s.Purge(ctx, "c"))
	want(session.Query{Character: "x"}, "")
}

func tails(t *testing.T, s session.Store) {
	ctx := t.Context()
	c := talk("one", 0, "1", "2", "3", "beside 3", "behind 4", "beside 2", "beside 1")
	for i, parent := range []int{0, 1, 2, 2, 4, 1, 0} {
		c.Nodes[i].Parent = parent
	}
	must(t, s.Commit(ctx, c))
	must(t, s.Commit(ctx, talk("two", 0, "another", "session")))
	x, err := s.Session(ctx, "one")
	must(t, err)
	next := session.Change{Session: x, Base: 1, Versions: []session.Written{
		{Message: 4, Version: 1, Value: session.Version{Since: 2, Created: at(1), Deleted: true, State: session.Complete}}}}
	next.Session.Revision = 2
	must(t, s.Commit(ctx, next))
	whole, err := s.Nodes(ctx, "one")
	must(t, err)
	for _, c := range []struct {
		to, most int
		want     []int
	}{
		{5, 1, []int{5}}, {5, 2, []int{3, 4, 5}}, {5, 3, []int{2, 3, 4, 5, 6}}, {5, 4, []int{1, 2, 3, 4, 5, 6, 7}}, {5, 99, []int{1, 2, 3, 4, 5, 6, 7}},
		{3, 1, []int{3, 4}}, {7, 5, []int{1, 7}}, {5, 0, nil}, {0, 5, nil}, {8, 5, nil}, {-1, 5, nil},
	} {
		var want []session.Node
		for _, id := range c.want {
			want = append(want, whole[id-1])
		}
		if got, err := s.Tail(ctx, "one", c.to, c.most); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d before %d: got %+v, want %+v (%v)", c.most, c.to, got, want, err)
		}
	}
	_, err = s.Tail(ctx, "none", 1, 1)
	wantCode(t, err, llm.NotFound)
}

func search(t *testing.T, s session.Store) {
	ctx := t.Context()
	must(t, s.Commit(ctx, talk("one", 0, "The grüne DRAGON sleeps", "a dragon: \"50% off\" OR nothing", "我喜欢龙和猫")))
	must(t, s.Commit(ctx, talk("two", 1, "Dragons everywhere", "no such beast")))
	called := talk("called", 0, "")
	called.Nodes[0].Versions[0].ToolCalls = []session.ToolCall{{ID: "a", Type: "function", Function: session.ToolFunction{Name: "griffin", Arguments: `{"x":"eagle"}`}}}
	must(t, s.Commit(ctx, called))
	gone := talk("gone", 2, "a deleted dragon")
	gone.Session.Deleted = new(at(2))
	must(t, s.Commit(ctx, gone))
	for _, c := range []struct {
		words string
		want  string
	}{
		{"dragon", "two/1 one/2 one/1"},
		{"GRÜNE dragon", "one/1"},
		{"ragon sleep", "one/1"},
		{"50%", "one/2"},
		{`"50%`, "one/2"},
		{"_", ""},
		{"OR", "one/2"},
		{"龙和", "one/3"},
		{"喜欢龙", "one/3"},
		{"griffin eagle", "called/1"},
		{"unicorn", ""},
		{"dragon unicorn", ""},
		{"*", ""},
	} {
		hits, err := s.Search(ctx, strings.Fields(c.words), 10)
		must(t, err)
		var got []string
		for _, h := range hits {
			got = append(got, fmt.Sprintf("%s/%d", h.Session, h.Message))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", c.words, got, c.want)
		}
	}
	if hits, _ := s.Search(ctx, []string{"dragon"}, 1); len(hits) != 1 || hits[0].Text != "Dragons everywhere" {
		t.Errorf("got %+v", hits)
	}
	x, err := s.Session(ctx, "two")
	must(t, err)
	next := session.Change{Session: x, Base: 1, Versions: []session.Written{
		{Message: 1, Version: 1, Value: session.Version{Since: 2, Created: at(3), Deleted: true, State: session.Complete}},
		{Message: 2, Version: 1, Value: session.Version{Since: 2, Created: at(3), Text: "a wyvern", State: session.Complete}},
	}}
	next.Session.Revision = 2
	must(t, s.Commit(ctx, next))
	for words, want := range map[string]int{"everywhere": 0, "beast": 0, "wyvern": 1} {
		if hits, _ := s.Search(ctx, []string{words}, 10); len(hits) != want {
			t.Errorf("%s: got %+v", words, hits)
		}
	}
}

func receipts(t *testing.T, s session.Store) {
	ctx := t.Context()
	c := talk("one", 0, "Hello")
	c.Receipt = &session.Receipt{Key: "k", Digest: "d", Session: "one", Revision: 1, Message: 1, Run: "r"}
	must(t, s.Commit(ctx, c))
	r, err := s.Receipt(ctx, "one", "k")
	must(t, err)
	if !reflect.DeepEqual(r, *c.Receipt) {
		t.Errorf("got %+v", r)
	}
	_, err = s.Receipt(ctx, "one", "other")
	wantCode(t, err, llm.NotFound)
	_, err = s.Receipt(ctx, "two", "k")
	wantCode(t, err, llm.NotFound)
}

func purge(t *testing.T, s session.Store) {
	ctx := t.Context()
	c := talk("one", 0, "Hello dragon", "")
	c.Session.ExternalID = "x"
	c.Nodes[1].Versions[0].State = session.Running
	c.Receipt = &session.Receipt{Key: "k"}
	must(t, s.Commit(ctx, c))
	must(t, s.Commit(ctx, talk("two", 0, "Hello")))
	must(t, s.Purge(ctx, "one"))
	_, err := s.Session(ctx, "one")
	wantCode(t, err, llm.NotFound)
	_, err = s.External(ctx, "x")
	wantCode(t, err, llm.NotFound)
	_, err = s.Receipt(ctx, "one", "k")
	wantCode(t, err, llm.NotFound)
	wantCode(t, s.Purge(ctx, "one"), llm.NotFound)
	if hits, _ := s.Search(ctx, []string{"dragon"}, 10); len(hits) != 0 {
		t.Errorf("it is still found: %+v", hits)
	}
	if places, _ := s.Unfinished(ctx); len(places) != 0 {
		t.Errorf("it is still unfinished: %+v", places)
	}
	if _, err := s.Nodes(ctx, "two"); err != nil {
		t.Error(err)
	}
	must(t, s.Commit(ctx, talk("one", 0, "anew")))
}

func documents(t *testing.T, s session.Store) {
	for _, shelf := range []session.Shelf{session.Characters, session.Lorebooks, session.Personas, session.Presets} {
		t.Run(string(shelf), func(t *testing.T) { documentsOf(t, s, shelf) })
	}
}

func documentsOf(t *testing.T, s session.Store, shelf session.Shelf) {
	ctx := t.Context()
	c := session.Document{ID: "a", Revision: 1, Name: "Zoe", File: "z.yaml", Data: []byte("name: Zoe\n\x00\xff"), Created: at(0)}
	must(t, s.AddDocument(ctx, shelf, c))
	must(t, s.AddDocument(ctx, shelf, session.Document{ID: "b", Revision: 1, Name: "Ada", File: "a.json", Data: []byte("{}"), Created: at(0)}))
	must(t, s.AddDocument(ctx, shelf, session.Document{ID: "c", Revision: 1, Name: "Bob", File: "b.json", Data: []byte("{}"), Created: at(0)}))
	d := c
	d.Revision, d.Data = 2, []byte("name: Zoë\n")
	must(t, s.AddDocument(ctx, shelf, d))
	for _, bad := range []int64{0, 1, 2, 4} {
		x := c
		x.Revision = bad
		if err := s.AddDocument(ctx, shelf, x); !errors.Is(err, session.ErrStale) {
			t.Errorf("revision %d: %v", bad, err)
		}
	}
	must(t, s.AddDocument(ctx, shelf, session.Document{ID: "c", Revision: 2, Name: "Bob", File: "b.json", Data: []byte("{}"), Created: at(1), Deleted: true}))
	for revision, want := range map[int64]session.Document{0: d, 1: c, 2: d} {
		want.Bytes = len(want.Data)
		got, err := s.Document(ctx, shelf, "a", revision)
		must(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("revision %d: got %+v, want %+v", revision, got, want)
		}
	}
	_, err := s.Document(ctx, shelf, "a", 3)
	wantCode(t, err, llm.NotFound)
	_, err = s.Document(ctx, shelf, "x", 0)
	wantCode(t, err, llm.NotFound)
	if gone, err := s.Document(ctx, shelf, "c", 0); err != nil || !gone.Deleted {
		t.Errorf("got %+v, %v", gone, err)
	}
	titles, err := s.Titles(ctx, shelf, nil, 9)
	must(t, err)
	if len(titles) != 2 || titles[0].Name != "Ada" || titles[1].Revision != 2 || titles[1].Data != nil || titles[1].Bytes != len(d.Data) {
		t.Errorf("got %+v", titles)
	}
	if ids, err := s.DocumentIDs(ctx, shelf); err != nil || !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("got %q, %v", ids, err)
	}
	if ids, err := s.Untitled(ctx, shelf, []string{"z", "a", "c", "\"b", "b"}); err != nil || !slices.Equal(ids, []string{"z", "c", "\"b"}) {
		t.Errorf("not among the titles are %q, %v", ids, err)
	}
}

// titles has documents of the same name, one that gets another, and one that
// goes and comes back.
func titles(t *testing.T, s session.Store) {
	ctx := t.Context()
	revisions := map[string]int64{}
	add := func(id, name string, gone bool) {
		revisions[id]++
		must(t, s.AddDocument(ctx, session.Lorebooks, session.Document{ID: id, Revision: revisions[id], Name: name, Data: []byte(id), Created: at(0), Deleted: gone}))
	}
	for _, name := range []string{"5", "Ann Lee", "ÉVA", "4", "1", "4", "6"} {
		add(fmt.Sprint("x", len(revisions)), name, false)
	}
	must(t, s.AddDocument(ctx, session.Personas, session.Document{ID: "x", Revision: 1, Name: "3", Created: at(0)}))
	add("x0", "0", false)
	add("x6", "6", true)
	add("x4", "1", true)
	add("x4", "1", false)
	const want = "0/x0 1/x4 4/x3 4/x5 Ann Lee/x1 ÉVA/x2 "
	for page := 1; page <= 7; page++ {
		got, after := "", (*session.Document)(nil)
		for more := true; more; {
			all, err := s.Titles(ctx, session.Lorebooks, after, page)
			must(t, err)
			if more = len(all) == page; len(all) > page {
				t.Fatalf("%d in a page of %d", len(all), page)
			}
			for _, d := range all {
				got, after = got+d.Name+"/"+d.ID+" ", &d
			}
		}
		if got != want {
			t.Errorf("in pages of %d: %s, want %s", page, got, want)
		}
	}
	for name, want := range map[string]string{"ann-LEE": "x1", "Ann  lee": "x1", "éva": "x2", "4": "x3 x5", "X3": "x3", "6": "", "5": "", "0": "x0", "3": ""} {
		all, err := s.Alike(ctx, session.Lorebooks, name)
		must(t, err)
		var ids []string
		for _, d := range all {
			ids = append(ids, d.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}

func race(t *testing.T, s session.Store) {
	ctx := context.Background()
	must(t, s.Commit(ctx, talk("one", 0)))
	const writers, each = 4, 20
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for n := 0; n < each; {
				x, err := s.Session(ctx, "one")
				if err != nil {
					t.Error(err)
					return
				}
				c := session.Change{Session: x, Base: x.Revision}
				c.Session.Revision++
				c.Session.Messages++
				c.Nodes = []session.Node{{ID: c.Session.Messages, Parent: x.Messages, Role: chat.User, Versions: []session.Version{{Since: c.Session.Revision, Text: "x", State: session.Complete}}}}
				switch err := s.Commit(ctx, c); {
				case err == nil:
					n++
				case !errors.Is(err, session.ErrStale):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	x, err := s.Session(ctx, "one")
	must(t, err)
	nodes, err := s.Nodes(ctx, "one")
	must(t, err)
	if x.Revision != 1+writers*each || len(nodes) != writers*each {
		t.Errorf("revision %d with %d messages, want %d", x.Revision, len(nodes), writers*each)
	}
	for i, n := range nodes {
		if n.ID != i+1 || n.Parent != i {
			t.Fatalf("message %d is %+v", i, n)
		}
	}
}

func shared(t *testing.T, s session.Store) {
	ctx := t.Context()
	c := talk("one", 0, "Hello")
	must(t, s.Commit(ctx, c))
	c.Session.Settings[0].Model, c.Session.Tags[0], c.Nodes[0].Versions[0].Text = "changed", "changed", "changed"
	x, _ := s.Session(ctx, "one")
	nodes, _ := s.Nodes(ctx, "one")
	for range 2 {
		if x.Settings[0].Model != "m" || x.Tags[0] != "a" || nodes[0].Versions[0].Text != "Hello" {
			t.Fatalf("got %+v, %+v", x, nodes)
		}
		y, _ := s.Session(ctx, "one")
		more, _ := s.Nodes(ctx, "one")
		x.Settings[0].Model, x.Tags[0], nodes[0].Versions[0].Text = "changed", "changed", "changed"
		x, nodes = y, more
	}
}

func media(t *testing.T, s session.Store) {
	ctx := t.Context()
	picture, other := session.Media{Digest: "p", Data: []byte("\x89PNG\x00\xff")}, session.Media{Digest: "o", Data: []byte("other")}
	one, two := talk("one", 0, "look"), talk("two", 0, "look")
	one.Media, two.Media = []session.Media{picture, other, picture}, []session.Media{picture}
	must(t, s.Commit(ctx, one))
	must(t, s.Commit(ctx, two))
	picture.Data[0] = 'x'
	lost := talk("one", 0)
	lost.Base, lost.Session.Revision, lost.Media = 7, 8, []session.Media{{Digest: "lost", Data: []byte("lost")}}
	if err := s.Commit(ctx, lost); !errors.Is(err, session.ErrStale) {
		t.Errorf("got %v", err)
	}
	for _, c := range []struct {
		session, digest string
		want            string
	}{{"one", "p", "\x89PNG\x00\xff"}, {"one", "o", "other"}, {"two", "p", "\x89PNG\x00\xff"}, {"two", "o", ""}, {"one", "lost", ""}, {"none", "p", ""}} {
		got, err := s.Media(ctx, c.session, c.digest)
		if c.want == "" {
			wantCode(t, err, llm.NotFound)
		} else if err != nil || string(got) != c.want {
			t.Errorf("%s of %s is %q (%v)", c.digest, c.session, got, err)
		}
	}
	three := talk("three", 0, "look")
	three.Media = []session.Media{{Digest: "o", Of: "one"}, {Digest: "p", Of: "none"}, {Digest: "lost", Of: "one"}}
	must(t, s.Commit(ctx, three))
	must(t, s.Purge(ctx, "one"))
	_, err := s.Media(ctx, "one", "o")
	wantCode(t, err, llm.NotFound)
	if got, err := s.Media(ctx, "three", "o"); err != nil || string(got) != "other" {
		t.Errorf("it went with the session from which it was taken over: %q (%v)", got, err)
	}
	for _, digest := range []string{"p", "lost"} {
		_, err = s.Media(ctx, "three", digest)
		wantCode(t, err, llm.NotFound)
	}
	if got, err := s.Media(ctx, "two", "p"); err != nil || string(got) != "\x89PNG\x00\xff" {
		t.Errorf("it went with another session: %q (%v)", got, err)
	}
}
