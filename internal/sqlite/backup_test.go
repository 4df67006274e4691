package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/internal/session"
	"parley/llm"
)

// old makes a file as its first version had it, with a session in it.
func old(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", uri(path, "journal_mode(WAL)"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		migrations[0], "PRAGMA user_version = 1",
		`INSERT INTO session VALUES ('s', NULL, 3, 7, 0, '', '{"id":"s","revision":3,"title":"Old","created":"2026-01-02T03:04:05Z","updated":"2026-01-02T03:04:05Z","head":1,"messages":1,"settings":[{"since":1}]}')`,
		"INSERT INTO session VALUES ('one', NULL, 1, 8, 0, 'a\\n''b', '{\"id\":\"one\",\"revision\":1,\"settings\":[]}')",
		"INSERT INTO session VALUES ('many', NULL, 1, 9, 0, '\nx\na\\n''b\n', '{\"id\":\"many\",\"revision\":1,\"settings\":[]}')",
		`INSERT INTO message VALUES (1, 's', 1, '{"id":1,"parent":0,"role":"user","created":"2026-01-02T03:04:05Z","versions":null}')`,
		`INSERT INTO version VALUES (1, 0, 0, '{"since":1,"created":"2026-01-02T03:04:05Z","text":"from long ago","state":"complete"}')`,
		`INSERT INTO character VALUES ('a', 1, 'Old', 0, '{"id":"a","revision":1,"name":"Old"}', X'78')`,
		`INSERT INTO character VALUES ('a', 2, 'Ann Lee', 0, '{"id":"a","revision":2,"name":"Ann Lee"}', X'7879')`,
		`INSERT INTO character VALUES ('b', 1, 'Gone', 0, '{"id":"b","revision":1,"name":"Gone"}', X'78')`,
		`INSERT INTO character VALUES ('b', 2, 'Gone', 1, '{"id":"b","revision":2,"name":"Gone","deleted":true}', X'78')`,
		`INSERT INTO words (rowid, text, created) VALUES (1, 'from long ago', 7)`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "-wal") && !strings.HasSuffix(f.Name(), "-shm") {
			all = append(all, f.Name())
		}
	}
	return all
}

func version(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", uri(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("PRAGMA user_version").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnOldFileIsCopiedAndBroughtUpToDate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	old(t, path)
	if err := os.WriteFile(path+".version-1", []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := opened(t, path)
		nodes, err := s.Nodes(t.Context(), "s")
		if err != nil || len(nodes) != 1 || nodes[0].Versions[0].Text != "from long ago" {
			t.Fatalf("got %+v, %v", nodes, err)
		}
		if hits, err := s.Search(t.Context(), []string{"long"}, 1); err != nil || len(hits) != 1 {
			t.Errorf("found %v (%v)", hits, err)
		}
		if tail, err := s.Tail(t.Context(), "s", 1, 1); err != nil || len(tail) != 1 {
			t.Errorf("the end is %+v (%v)", tail, err)
		}
		for who, want := range map[string]int{"x": 1, `a\n'b`: 2, "": 3} {
			if list, err := s.List(t.Context(), session.Query{Character: who, Limit: 9}); err != nil || len(list) != want {
				t.Errorf("%q is in %+v (%v)", who, list, err)
			}
		}
		if all, err := s.Titles(t.Context(), session.Characters, nil, 9); err != nil || len(all) != 1 || all[0].Revision != 2 || all[0].Bytes != 2 {
			t.Errorf("the characters are %+v (%v)", all, err)
		}
		if all, err := s.Alike(t.Context(), session.Characters, "ann-lee"); err != nil || len(all) != 1 {
			t.Errorf("found %+v (%v)", all, err)
		}
		if wrong, err := s.Check(t.Context()); err != nil || len(wrong) > 0 {
			t.Errorf("wrong is %q (%v)", wrong, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"x.db", "x.db.version-1", "x.db.version-1-2"}) {
		t.Fatalf("there are %q", got)
	}
	if now, then := version(t, path), version(t, path+".version-1-2"); now != len(migrations) || then != 1 {
		t.Errorf("the file has version %d, its copy %d", now, then)
	}
}

func TestAStepThatFailsLeavesTheFileAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	old(t, path)
	whole := migrations
	defer func() { migrations = whole }()
	migrations = append(slices.Clone(whole), "CREATE TABLE more (x); nonsense;")
	_, err := Open(t.Context(), path)
	if e := llm.AsError(err); err == nil || !strings.Contains(e.Hint, path+".version-1") || !strings.Contains(e.Hint, "parley session restore") {
		t.Fatalf("got %v, %q", err, e.Hint)
	}
	if n := version(t, path); n != len(whole) {
		t.Errorf("the file has version %d", n)
	}
	migrations = whole
	s := opened(t, path)
	if nodes, err := s.Nodes(t.Context(), "s"); err != nil || len(nodes) != 1 {
		t.Errorf("got %+v, %v", nodes, err)
	}
}

func TestABackupIsOfOneMomentAndComesBack(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "x.db"), filepath.Join(dir, "copy.db")
	s := opened(t, path)
	x := session.Session{ID: "s"}
	add := func(text string) {
		t.Helper()
		if err := s.Commit(t.Context(), message(&x, text)); err != nil {
			t.Fatal(err)
		}
	}
	add("first")
	stop, done := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 0; stop.Err() == nil; n++ {
			if err := s.Commit(t.Context(), message(&x, fmt.Sprint("more ", n))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	err := s.Backup(t.Context(), copied)
	done()
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), copied); llm.AsError(err).Code != llm.Invalid {
		t.Errorf("over a file that is there: %v", err)
	}
	add("after the backup")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	aside, err := Restore(t.Context(), copied, path)
	if err != nil || aside != path+".before-restore" {
		t.Fatal(aside, err)
	}
	s = opened(t, path)
	nodes, err := s.Nodes(t.Context(), "s")
	if err != nil || len(nodes) == 0 || nodes[0].Versions[0].Text != "first" || nodes[len(nodes)-1].Versions[0].Text == "after the backup" {
		t.Fatalf("got %+v, %v", nodes, err)
	}
	if wrong, err := s.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("wrong is %q (%v)", wrong, err)
	}
	then := opened(t, aside)
	if nodes, err := then.Nodes(t.Context(), "s"); err != nil || nodes[len(nodes)-1].Versions[0].Text != "after the backup" {
		t.Errorf("aside are %+v, %v", nodes, err)
	}
}

func TestWhatIsNoBackupChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	s := opened(t, path)
	x := session.Session{ID: "s"}
	if err := s.Commit(t.Context(), message(&x, "kept")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{}
	put := func(name, why string, data []byte) {
		bad[filepath.Join(dir, name)] = why
		if data != nil {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("garbage", "damaged", []byte(strings.Repeat("no database ", 1000)))
	put("empty", "empty", []byte{})
	put("missing", "no such file", nil)
	lacking := opened(t, filepath.Join(dir, "lacking"))
	x = session.Session{ID: "s"}
	if err := lacking.Commit(t.Context(), message(&x, "lost")); err != nil {
		t.Fatal(err)
	}
	if _, err := lacking.write.ExecContext(t.Context(), "DELETE FROM message"); err != nil {
		t.Fatal(err)
	}
	if wrong, err := lacking.Check(t.Context()); err != nil || len(wrong) != 1 || !strings.Contains(wrong[0], "session s has 1 messages, and 0 are there") {
		t.Errorf("wrong is %q (%v)", wrong, err)
	}
	if err := lacking.Close(); err != nil {
		t.Fatal(err)
	}
	put("lacking", "not sound", nil)
	before := len(names(t, dir))
	for from, why := range bad {
		if _, err := Restore(t.Context(), from, path); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", from, err)
		}
	}
	if got := names(t, dir); len(got) != before {
		t.Errorf("there are %q", got)
	}
	s = opened(t, path)
	if nodes, err := s.Nodes(t.Context(), "s"); err != nil || nodes[0].Versions[0].Text != "kept" {
		t.Errorf("got %+v, %v", nodes, err)
	}
}
