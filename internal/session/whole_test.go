package session_test

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

// stocked is a server with everything that an archive can have.
func stocked(t *testing.T) *stage {
	t.Helper()
	m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes.", Tokens: []llm.Token{{ID: 5}}})}
	st := on(t, m, session.New{ExternalID: "x", Title: "Nobody", Tags: []string{"a"}})
	ctx := t.Context()
	st.keep(session.Personas, "tom", `{"name":"Tom","lorebook":"mill"}`)
	st.keep(session.Presets, "calm", `{"name":"Calm","params":{"temperature":0.5}}`)
	st.keep(session.Lorebooks, "mill", `{"entries":{"0":{"key":["mill"],"content":"It burned down."}}}`)
	st.keep(session.Characters, "ada", "name: Ada\ngreeting: Hi.\n")
	st.keep(session.Characters, "ada", "name: Ada\ngreeting: Ho.\n")
	st.keep(session.Characters, "bob", "name: Bob\n")
	if err := st.DeleteDocument(ctx, session.Characters, "bob", 0); err != nil {
		t.Fatal(err)
	}
	x, _, err := st.Create(ctx, session.New{Settings: session.Settings{Character: "ada", PersonaID: "tom", Preset: "calm"}})
	if err != nil {
		t.Fatal(err)
	}
	st.id = x.ID
	r, run := st.send("Is the mill there?")
	run.Wait(ctx)
	_, run = st.begun(st.Regenerate(ctx, st.id, session.Write{}, 0, session.Ask{}))
	run.Wait(ctx)
	if _, err := st.Edit(ctx, st.id, session.Write{}, r.Message, "Is it there?", false); err != nil {
		t.Fatal(err)
	}
	if _, err := st.SetSummary(ctx, st.id, session.Write{}, "They talked.", &r.Message); err != nil {
		t.Fatal(err)
	}
	gone, _, err := st.Create(ctx, session.New{Title: "Gone"})
	if err == nil {
		_, err = st.Delete(ctx, gone.ID, session.Write{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func empty(t *testing.T) *stage {
	t.Helper()
	st := &stage{model: &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, t: t, store: session.NewMemory()}
	st.open()
	return st
}

func whole(t *testing.T, st *stage) string {
	t.Helper()
	var b bytes.Buffer
	if err := st.ExportAll(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// less is an archive without when it was written.
func less(archive string) string { _, rest, _ := strings.Cut(archive, "\n"); return rest }

func TestAWholeServerMoves(t *testing.T) {
	st, other := stocked(t), empty(t)
	ctx := t.Context()
	archive := whole(t, st)
	m, err := other.ImportAll(ctx, strings.NewReader(archive))
	if err != nil || m.Documents.Added != 7 || m.Sessions.Added != 3 || m.Documents.Same+m.Documents.Different+m.Sessions.Same+m.Sessions.Different != 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	if got := whole(t, other); less(got) != less(archive) {
		t.Errorf("it went as\n%s\nand is now\n%s", archive, got)
	}
	// Replies can be looked into, and the talk goes on.
	x, talk, err := other.Read(ctx, st.id)
	if err != nil || len(talk) != 3 || talk[0].Text != "Ho." || len(talk[2].Alternatives) != 2 || x.Now().Preset != "calm" {
		t.Fatalf("%+v %+v, %v", x, talk, err)
	}
	was, err := st.Inspect(ctx, session.Place{Session: st.id, Message: talk[2].ID, Version: -1})
	if err != nil {
		t.Fatal(err)
	}
	is, err := other.Inspect(ctx, session.Place{Session: st.id, Message: talk[2].ID, Version: -1})
	if err != nil || is.Rendered.Prompt.String() != was.Rendered.Prompt.String() || !strings.Contains(is.Rendered.Prompt.String(), "burned down") {
		t.Errorf("the prompt made again is %+v, %v", is, err)
	}
	if y, err := other.External(ctx, "x"); err != nil || y.Title != "Nobody" {
		t.Errorf("%+v, %v", y, err)
	}
	other.id = st.id
	_, run := other.send("And now?")
	if _, err := run.Wait(ctx); err != nil {
		t.Error(err)
	}
}

func TestAnArchiveOverwritesNothing(t *testing.T) {
	st, other := stocked(t), empty(t)
	ctx := t.Context()
	archive := whole(t, st)
	other.keep(session.Characters, "ada", "name: Ada the second\n")
	if _, _, err := other.Create(ctx, session.New{ExternalID: "x"}); err != nil {
		t.Fatal(err)
	}
	m, err := other.ImportAll(ctx, strings.NewReader(archive))
	if err != nil || m.Documents.Added != 5 || m.Documents.Different != 2 || m.Sessions.Added != 2 || m.Sessions.Different != 1 ||
		!reflect.DeepEqual(m.Documents.Names, []string{"character ada, revision 1", "character ada, revision 2"}) || len(m.Sessions.Names) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	if d, err := other.Document(ctx, session.Characters, "ada", 0); err != nil || d.Name != "Ada the second" || d.Revision != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	// What has come is passed over, and what came on since then is different.
	other.id = st.id
	_, run := other.send("More.")
	run.Wait(ctx)
	m, err = other.ImportAll(ctx, strings.NewReader(archive))
	if err != nil || m.Documents.Added != 0 || m.Documents.Same != 5 || m.Sessions.Added != 0 || m.Sessions.Same != 1 || m.Sessions.Different != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	// A later archive brings what is new.
	st.keep(session.Personas, "tom", `{"name":"Thomas"}`)
	m, err = other.ImportAll(ctx, strings.NewReader(whole(t, st)))
	if err != nil || m.Documents.Added != 1 || m.Documents.Same != 5 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestAnArchiveThatIsNotWholeIsRefused(t *testing.T) {
	archive := whole(t, stocked(t))
	all := strings.SplitAfter(strings.TrimSuffix(archive, "\n"), "\n")
	const head = `{"parley":{"version":1,"created":"2026-01-02T03:04:05Z"}}` + "\n"
	for name, bad := range map[string]string{
		"nothing": "", "something else": lines, "a single talk": `{"session":{},"messages":[]}`, "not from the beginning": less(archive),
		"a version of the future":     `{"parley":{"version":2}}` + "\n",
		"without its end":             strings.Join(all[:len(all)-1], ""),
		"within a line":               archive[:len(archive)-200],
		"without a message":           strings.Join(append(append([]string{}, all[:len(all)-3]...), all[len(all)-2:]...), ""),
		"without a document":          head + strings.Join(all[2:], ""),
		"with more behind it":         archive + all[1],
		"a message of no session":     head + `{"message":{"id":1}}` + "\n",
		"a version of no message":     head + `{"session":{}}` + "\n" + `{"version":{}}` + "\n",
		"an unknown shelf":            head + `{"document":{"shelf":"spoon","id":"a","revision":1}}` + "\n",
		"a path as an id":             head + `{"document":{"shelf":"persona","id":"../a","revision":1,"data":"e30="}}` + "\n",
		"a revision that is left out": head + `{"document":{"shelf":"persona","id":"a","revision":2,"data":"eyJuYW1lIjoiQSJ9"}}` + "\n",
		"a second head":               head + head,
		"an unknown line":             head + `{"x":1}` + "\n",
		"a line without end":          head + `"` + strings.Repeat("x", 65<<20),
		"a session that cannot be":    head + `{"session":{"id":"a","revision":1,"head":7,"settings":[{"since":1}]}}` + "\n" + `{"end":{"documents":0,"sessions":1}}` + "\n",
	} {
		st := empty(t)
		_, err := st.ImportAll(t.Context(), strings.NewReader(bad))
		if e := llm.AsError(err); err == nil || e.Code != llm.Unreadable || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
		// What came before it is whole, and the whole archive can follow.
		if _, err := st.ImportAll(t.Context(), strings.NewReader(archive)); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
		if name != "a revision that is left out" && less(whole(t, st)) != less(archive) {
			t.Errorf("after %s there is\n%s", name, whole(t, st))
		}
	}
	if _, _, err := empty(t).Import(t.Context(), []byte(archive)); err == nil || !strings.Contains(llm.AsError(err).Hint, "/parley/v1/import") {
		t.Errorf("as a single talk: %v", err)
	}
	if _, err := empty(t).ImportAll(t.Context(), io.MultiReader(strings.NewReader(head), broken{})); err == nil || !strings.Contains(err.Error(), "torn") {
		t.Errorf("a reader that fails: %v", err)
	}
	if err := stocked(t).ExportAll(t.Context(), broken{}); err == nil {
		t.Error("a writer that fails goes unnoticed")
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, fmt.Errorf("torn") }
func (broken) Write([]byte) (int, error) { return 0, fmt.Errorf("torn") }

func TestFilesOfAFolderAreInAnArchive(t *testing.T) {
	st := &stage{model: &model{}, t: t, store: session.NewMemory(), files: map[session.Shelf]session.Files{session.Characters: folder{"eve": "name: Eve\n", "bad": "[", "../x": "name: X\n"}}}
	st.open()
	other := empty(t)
	if m, err := other.ImportAll(t.Context(), strings.NewReader(whole(t, st))); err != nil || m.Documents.Added != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	if d, err := other.Document(t.Context(), session.Characters, "eve", 0); err != nil || d.Name != "Eve" || !d.Folder {
		t.Errorf("%+v, %v", d, err)
	}
}

// FuzzImportAll makes sure that an archive of anybody's does no harm.
func FuzzImportAll(f *testing.F) {
	const head = `{"parley":{"version":1}}` + "\n"
	f.Add([]byte(head + `{"document":{"shelf":"persona","id":"a","revision":1,"file":"a.json","data":"eyJuYW1lIjoiQSJ9"}}` + "\n" + `{"end":{"documents":1,"sessions":0}}`))
	f.Add([]byte(head + `{"session":{"id":"a","revision":2,"messages":1,"head":1,"settings":[{"since":1}]}}
{"message":{"id":1,"parent":0,"role":"assistant","versions":[{"since":1,"text":"a","state":"running","reply":{"kind":"answer","base":1,"tokens":[1]}}]}}
{"version":{"since":2,"text":"ab","state":"complete"}}
{"end":{"documents":0,"sessions":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		st := empty(t)
		_, err := st.ImportAll(t.Context(), bytes.NewReader(data))
		if err != nil && llm.AsError(err).Code == llm.Broken {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if e := st.ExportAll(t.Context(), &b); e != nil {
			t.Fatal(e)
		}
		if _, e := empty(t).ImportAll(t.Context(), &b); e != nil {
			t.Fatalf("what came of it is refused: %v", e)
		}
		list, _ := st.List(t.Context(), session.Query{Limit: 10})
		for _, x := range list {
			tree, err := st.Tree(t.Context(), x.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range tree.Nodes {
				tree.Messages(n.ID, x.Revision)
			}
		}
	})
}
