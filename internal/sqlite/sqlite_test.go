package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"parley/chat"
	"parley/internal/session"
	"parley/internal/session/storetest"
	"parley/llm"
)

func opened(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestTheContractIsKept(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store {
		return opened(t, filepath.Join(t.TempDir(), "a folder with#odd%characters.db"))
	})
}

func TestATalkIsWhatOneWouldThink(t *testing.T) {
	for seed := range uint64(3) {
		path := filepath.Join(t.TempDir(), "x.db")
		var s *Store
		storetest.Talk(t, seed, func() session.Store {
			if s != nil {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s = opened(t, path)
			return s
		})
	}
}

// message is a change that adds one message to a session.
func message(x *session.Session, text string) session.Change {
	c := session.Change{Session: *x, Base: x.Revision}
	c.Session.Revision++
	c.Session.Messages++
	c.Session.Head = c.Session.Messages
	c.Nodes = []session.Node{{ID: c.Session.Messages, Parent: x.Messages, Role: chat.User,
		Versions: []session.Version{{Since: c.Session.Revision, Text: text, State: session.Complete}}}}
	*x = c.Session
	return c
}

const (
	victim  = "PARLEY_TEST_VICTIM" // says to a child process on which file it works
	writers = 4
)

func TestMain(m *testing.M) {
	if path := os.Getenv(victim); path != "" {
		write(path)
	}
	os.Exit(m.Run())
}

// write adds messages to sessions until the process is killed, and says which
// of them were acknowledged.
func write(path string) {
	ctx := context.Background()
	s, err := Open(ctx, path)
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	var out sync.Mutex
	wg.Go(func() { reply(ctx, s) })
	for w := range writers {
		wg.Go(func() {
			id := fmt.Sprint("s", w)
			x, err := s.Session(ctx, id)
			if err != nil {
				x = session.Session{ID: id}
			}
			for {
				text := fmt.Sprintf("%s/%d", id, x.Messages+1)
				if err := s.Commit(ctx, message(&x, text)); err != nil {
					panic(err)
				}
				out.Lock()
				fmt.Println(text)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

// whole is what a reply says when it is whole.
var whole = strings.Repeat("more ", 20)

// reply generates replies in a session of its own, a word at a time.
func reply(ctx context.Context, s *Store) {
	x, err := s.Session(ctx, "replies")
	if err != nil {
		x = session.Session{ID: "replies"}
	}
	for {
		c := message(&x, "")
		v := &c.Nodes[0].Versions[0]
		v.State = session.Running
		if err := s.Commit(ctx, c); err != nil {
			panic(err)
		}
		for place := (session.Place{Session: x.ID, Message: x.Messages}); v.State == session.Running; {
			if v.Text += "more "; v.Text == whole {
				v.State = session.Complete
			}
			if err := s.Grow(ctx, place, *v); err != nil {
				panic(err)
			}
		}
	}
}

// halves looks at the replies that a kill left: what is not whole does not say
// that it is, before a server recovers the file and after.
func halves(t *testing.T, s *Store) {
	t.Helper()
	for range 2 {
		nodes, err := s.Nodes(t.Context(), "replies")
		if err != nil {
			return // it was killed before there was any
		}
		for _, n := range nodes {
			if v := n.Versions[0]; (v.State == session.Complete) != (v.Text == whole) || !strings.HasPrefix(whole, v.Text) {
				t.Fatalf("a reply is %s and says %q", v.State, v.Text)
			}
		}
		if err := session.Open(s, session.Options{}).Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left, err := s.Unfinished(t.Context()); err != nil || len(left) > 0 {
			t.Fatalf("unfinished are %v (%v)", left, err)
		}
	}
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	acknowledged := map[string]int{}
	for range 10 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), victim+"="+path)
		var failed bytes.Buffer
		cmd.Stderr = &failed
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wanted := 1 + rand.IntN(100)
		lines := bufio.NewScanner(stdout)
		for n := 0; lines.Scan(); n++ {
			id, number, _ := strings.Cut(lines.Text(), "/")
			var have int
			if _, err := fmt.Sscan(number, &have); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			acknowledged[id] = max(acknowledged[id], have)
			if n == wanted {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		cmd.Wait() // it says that it was killed
		if failed.Len() > 0 {
			t.Fatal(failed.String())
		}
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		for id, n := range acknowledged {
			nodes, err := s.Nodes(t.Context(), id)
			if err != nil || len(nodes) < n {
				t.Fatalf("%s: %d messages are there of %d that were acknowledged (%v)", id, len(nodes), n, err)
			}
			for i, node := range nodes {
				if want := fmt.Sprintf("%s/%d", id, i+1); node.Versions[0].Text != want || node.Parent != i {
					t.Fatalf("message %d is %+v", i+1, node)
				}
			}
			acknowledged[id] = len(nodes)
		}
		halves(t, s)
		var sound string
		if err := s.read.QueryRow("PRAGMA quick_check").Scan(&sound); err != nil || sound != "ok" {
			t.Fatalf("the file is %q (%v)", sound, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) != writers {
		t.Errorf("only %d of %d wrote something", len(acknowledged), writers)
	}
}

func TestEveryAcknowledgementIsSynced(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "x.db"))
	for name, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "fullfsync": "1", "foreign_keys": "1"} {
		for range 8 { // connections
			var got string
			if err := s.read.QueryRow("PRAGMA " + name).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %s (%v)", name, got, err)
			}
		}
	}
}

func TestChangesThatWaitAreWrittenTogether(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "x.db"))
	batch := make([]job, 3)
	for i := range batch {
		batch[i].do = func(c *sql.Conn) error {
			ch := &changer{Conn: c, ctx: t.Context()}
			ch.exec("INSERT INTO receipt VALUES ('s', ?, '')", i)
			if i == 1 {
				return session.ErrStale
			}
			return ch.err
		}
	}
	if err := s.apply("", func(c *sql.Conn) error {
		return (&changerOf{c}).exec("INSERT INTO session VALUES ('s', NULL, 1, 0, 0, '{}')")
	}); err != nil {
		t.Fatal(err)
	}
	errs := s.commit(batch)
	if errs[0] != nil || errs[1] != session.ErrStale || errs[2] != nil {
		t.Errorf("got %v", errs)
	}
	var keys string
	if err := s.read.QueryRow("SELECT group_concat(key) FROM receipt").Scan(&keys); err != nil || keys != "0,2" {
		t.Errorf("kept %q (%v)", keys, err)
	}
}

type changerOf struct{ *sql.Conn }

func (c *changerOf) exec(s string) error {
	_, err := c.ExecContext(context.Background(), s)
	return err
}

func TestAFullDiskLosesNothing(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "x.db"))
	ctx := t.Context()
	pages := func(n string) {
		if _, err := s.write.ExecContext(ctx, "PRAGMA max_page_count = "+n); err != nil {
			t.Fatal(err)
		}
	}
	x := session.Session{ID: "s"}
	if err := s.Commit(ctx, message(&x, "first")); err != nil {
		t.Fatal(err)
	}
	pages("1") // as many as there are
	before := x
	var err error
	for err == nil {
		before = x
		err = s.Commit(ctx, message(&x, strings.Repeat("more ", 1000)))
	}
	if e := llm.AsError(err); e.Code != llm.Unavailable || !strings.Contains(e.Message, "full") {
		t.Fatalf("got %v", err)
	}
	if now, err := s.Session(ctx, "s"); err != nil || now.Revision != before.Revision {
		t.Errorf("got %+v, %v", now, err)
	}
	pages("1000000")
	if err := s.Commit(ctx, message(&before, "after")); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestFilesThatAreNotOursAreLeftAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	newer := filepath.Join(dir, "newer.db")
	s := opened(t, newer)
	if err := s.apply("", func(c *sql.Conn) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, word := range map[string]string{newer: "newer", garbage: "damaged", dir: "written", filepath.Join(dir, "no", "where.db"): "written"} {
		before, _ := os.ReadFile(path)
		s, err := Open(t.Context(), path)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", path, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", path)
		}
	}
}

func TestNobodyElseReadsAFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("rights are another matter there")
	}
	dir := t.TempDir()
	s := opened(t, filepath.Join(dir, "x.db"))
	x := session.Session{ID: "s"}
	if err := s.Commit(t.Context(), message(&x, "secret")); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if i, err := f.Info(); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%s has the rights %v (%v)", f.Name(), i.Mode(), err)
		}
	}
}

func TestNothingOfWhatWasPurgedIsInTheFiles(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, filepath.Join(dir, "x.db"))
	// One sign of three letters, as the search keeps it; short, and longer than a page.
	const secret = "ж€ш"
	purged, kept := session.Session{ID: "a"}, session.Session{ID: "b"}
	for i, text := range []string{secret, strings.Repeat(secret+" ", 5000), "plain"} {
		for _, x := range []*session.Session{&purged, &kept} {
			if x == &kept {
				text = fmt.Sprint("kept ", i)
			}
			if err := s.Commit(t.Context(), message(x, text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if holds(t, dir, secret) == nil {
		t.Fatal("the files do not hold what they keep")
	}
	if err := s.Purge(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if where := holds(t, dir, secret); where != nil {
		t.Errorf("what was purged is in %v", where)
	}
}

func TestWhatWasPurgedBesideAReaderGoesWithTheNextChange(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, filepath.Join(dir, "x.db"))
	purged, kept := session.Session{ID: "a"}, session.Session{ID: "b"}
	for _, c := range []session.Change{message(&purged, "a secret"), message(&kept, "kept")} {
		if err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := s.read.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM session").Scan(&n); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if err := s.Purge(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if holds(t, dir, "a secret") == nil {
		t.Error("it is gone from under the reader")
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), message(&kept, "more")); err != nil {
		t.Fatal(err)
	}
	if where := holds(t, dir, "a secret"); where != nil {
		t.Errorf("what was purged is in %v", where)
	}
}

// holds tells in which files of a folder a text stands, and how often.
func holds(t *testing.T, dir, text string) (where []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, []byte(text)); n > 0 {
			where = append(where, fmt.Sprintf("%s %d times", filepath.Base(f), n))
		}
	}
	return where
}

func TestOneProcessServesAFolder(t *testing.T) {
	dir := t.TempDir()
	first, err := Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), dir); llm.AsError(err).Code != llm.Unavailable {
		t.Errorf("got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
