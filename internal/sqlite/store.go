package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	driver "modernc.org/sqlite"

	"parley/llm"
)

// A Store keeps sessions in a file. It has one connection that writes and
// several that read.
type Store struct {
	read  *sql.DB
	write *sql.Conn
	close func() error

	jobs   chan job
	purged bool // something that was purged may still stand in the log; the writer's own
	done   sync.WaitGroup
	mu     sync.RWMutex // held for reading by those who put a job into jobs
	over   bool
}

// A job is a change that waits to be written.
type job struct {
	do   func(*sql.Conn) error
	done chan<- error
}

// Open opens a file, or makes it. A file that is none of ours is refused and
// left as it is; one of an older version is brought to the newest, and how it
// was is kept in a file beside it.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := open(ctx, path, true)
	if err != nil {
		return nil, explain("open the sessions in "+path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string, save bool) (_ *Store, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// What people say to each other is for nobody else's eyes; SQLite's other files
	// get the same rights. Where this fails, SQLite says why.
	if f, err := os.OpenFile(abs, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		f.Close()
	}
	db, err := sql.Open("sqlite", uri(abs, "busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "fullfsync(1)", "checkpoint_fullfsync(1)", "foreign_keys(1)", "trusted_schema(0)", "secure_delete(1)"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	write, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, write, abs, save); err != nil {
		return nil, err
	}
	s := &Store{read: db, write: write, jobs: make(chan job, 64)}
	s.close = func() error { return errors.Join(write.Close(), db.Close()) }
	s.done.Go(s.writer)
	return s, nil
}

// uri is how SQLite is told of a file, with what is set for each connection.
func uri(abs string, pragmas ...string) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	if !strings.HasPrefix(u.Path, "/") { // a drive's letter
		u.Path = "/" + u.Path
	}
	return u.String()
}

// explain turns an error of SQLite into one for a user.
func explain(what string, err error) error {
	if _, ok := errors.AsType[*llm.Error](err); ok {
		return err
	}
	e := &llm.Error{Code: llm.Broken, Message: "cannot " + what, Err: err}
	if sqlite, ok := errors.AsType[*driver.Error](err); ok {
		switch sqlite.Code() & 0xff {
		case 5, 6: // SQLITE_BUSY, SQLITE_LOCKED
			e.Code, e.Message, e.Hint = llm.Unavailable, e.Message+": another program uses the file", "end it, or use another folder"
		case 8, 14, 23: // SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_AUTH
			e.Message, e.Hint = e.Message+": it cannot be written", "choose a folder in which you may write"
		case 13: // SQLITE_FULL
			e.Code, e.Message, e.Hint = llm.Unavailable, e.Message+": the disk is full", "make room on it"
		case 11, 26: // SQLITE_CORRUPT, SQLITE_NOTADB
			e.Message, e.Hint = e.Message+": the file is damaged or no file of sessions", "move it away, and restore it from a backup"
		}
	}
	return e
}

// Close ends the store when what is being written is written.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return nil
	}
	s.over = true
	close(s.jobs)
	s.mu.Unlock()
	s.done.Wait()
	return s.close()
}

// most is how many changes are written together.
const most = 64

// writer writes the jobs: all that wait, with one commit and so with one sync.
func (s *Store) writer() {
	for first := range s.jobs {
		batch := []job{first}
	more:
		for len(batch) < most {
			select {
			case j, ok := <-s.jobs:
				if !ok {
					break more
				}
				batch = append(batch, j)
			default:
				break more
			}
		}
		errs := s.commit(batch)
		if s.purged {
			s.wipe()
		}
		for i, j := range batch {
			j.done <- errs[i]
		}
	}
}

// wipe brings all that was written into the file itself, where what was
// deleted is overwritten, and empties the log, in which it still stands. While
// somebody reads what was before, that waits for the next change, or the end.
func (s *Store) wipe() {
	ctx := context.Background()
	busy, pages := 1, 0
	s.write.ExecContext(ctx, "PRAGMA busy_timeout = 0")
	s.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &pages)
	s.write.ExecContext(ctx, "PRAGMA busy_timeout = 5000")
	s.purged = busy != 0
}

// commit writes a batch. One that fails leaves nothing of itself and the
// others as they are; if the commit fails, they all have.
func (s *Store) commit(batch []job) []error {
	ctx := context.Background()
	errs := make([]error, len(batch))
	exec := func(statement string) error {
		_, err := s.write.ExecContext(ctx, statement)
		return err
	}
	err := exec("BEGIN IMMEDIATE")
	for i := 0; i < len(batch) && err == nil; i++ {
		if err = exec("SAVEPOINT change"); err != nil {
			break
		}
		if errs[i] = batch[i].do(s.write); errs[i] != nil {
			err = exec("ROLLBACK TO change")
		}
		if err == nil {
			err = exec("RELEASE change")
		}
	}
	if err == nil {
		err = exec("COMMIT")
	}
	if err == nil {
		return errs
	}
	_ = exec("ROLLBACK") // there may be nothing to roll back
	for i := range errs {
		if errs[i] == nil {
			errs[i] = err
		}
	}
	return errs
}

// apply has a change written and waits until it is on the disk.
func (s *Store) apply(what string, do func(*sql.Conn) error) error {
	done := make(chan error, 1)
	s.mu.RLock()
	if s.over {
		s.mu.RUnlock()
		return &llm.Error{Code: llm.Unavailable, Message: "the sessions are closed"}
	}
	s.jobs <- job{do, done}
	s.mu.RUnlock()
	if err := <-done; err != nil {
		return explain(what, err)
	}
	return nil
}

// A lock is held by the process that serves a file.
type lock struct {
	db   *sql.DB
	conn *sql.Conn
}

func (l *lock) Close() error { return errors.Join(l.conn.Close(), l.db.Close()) }

// Lock makes sure that no other process serves the sessions of a folder: it
// fails while one does. One that is just ending is waited for. The lock ends
// with Close, or with the process.
func Lock(ctx context.Context, dir string) (io.Closer, error) {
	abs, err := filepath.Abs(filepath.Join(dir, "serving.lock"))
	if err != nil {
		return nil, err
	}
	// What people say to each other is for nobody else's eyes; SQLite's other files
	// get the same rights. Where this fails, SQLite says why.
	if f, err := os.OpenFile(abs, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		f.Close()
	}
	db, err := sql.Open("sqlite", uri(abs, "busy_timeout(500)", "journal_mode(MEMORY)"))
	if err != nil {
		return nil, err
	}
	l := &lock{db: db}
	if l.conn, err = db.Conn(ctx); err == nil {
		_, err = l.conn.ExecContext(ctx, "BEGIN EXCLUSIVE")
	}
	if err != nil {
		if l.conn != nil {
			l.conn.Close()
		}
		db.Close()
		return nil, explain(fmt.Sprintf("serve the sessions in %s", dir), err)
	}
	return l, nil
}
