package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"parley/internal/session"
	"parley/llm"
)

// Backup writes a copy of all that there is at this moment into a new file,
// also while others write. It is on the disk when Backup returns.
func (s *Store) Backup(ctx context.Context, path string) error {
	return backup(ctx, s.read, path)
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func backup(ctx context.Context, db execer, path string) error {
	what := "write a backup to " + path
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // for nobody else's eyes; SQLite takes an empty file
	if errors.Is(err, fs.ErrExist) {
		return &llm.Error{Code: llm.Invalid, Field: "file", Message: path + " exists already", Hint: "choose another name"}
	}
	if err != nil {
		return explain(what, err)
	}
	defer f.Close()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", path)
	if err == nil {
		err = errors.Join(f.Sync(), syncDir(filepath.Dir(path)))
	}
	if err != nil {
		os.Remove(path)
		return explain(what, err)
	}
	return nil
}

// syncDir puts the names of a folder's files on the disk, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // Windows cannot, and does it by itself
	return d.Close()
}

// Restore puts a backup in the place of the file at path, which nobody may
// use meanwhile. What was there is moved aside, and its new name given; "" if
// there was nothing. A backup that is not sound is refused, and nothing is
// changed.
func Restore(ctx context.Context, from, path string) (aside string, err error) {
	what := "restore the sessions from " + from
	fresh := path + ".restoring"
	if err := errors.Join(remove(fresh), copyFile(from, fresh)); err != nil {
		return "", errors.Join(explain(what, err), remove(fresh))
	}
	if err := sound(ctx, fresh); err != nil {
		return "", errors.Join(explain(what, err), remove(fresh))
	}
	if _, err := os.Stat(path); err == nil {
		aside = unused(path + ".before-restore")
		if old, err := Open(ctx, path); err == nil { // what is in its log goes into the file
			old.Close()
		}
		for _, end := range []string{"", "-wal", "-shm"} {
			if err := os.Rename(path+end, aside+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", explain(what, err)
			}
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		return aside, explain(what, err)
	}
	return aside, syncDir(filepath.Dir(path))
}

// sound opens a copy as this program would, and looks whether all is there.
func sound(ctx context.Context, path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		return &llm.Error{Code: llm.Unreadable, Message: "the file is empty"}
	}
	s, err := open(ctx, path, false)
	if err != nil {
		return err
	}
	wrong, err := s.Check(ctx)
	if err == nil && len(wrong) > 0 {
		err = &llm.Error{Code: llm.Unreadable, Message: "the backup is not sound: " + wrong[0]}
	}
	return errors.Join(err, s.Close())
}

func remove(path string) error {
	var all error
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	return all
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// unused is a name that no file has: the wanted one, or that with a number.
func unused(path string) string {
	for n, name := 2, path; ; n++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name
		}
		name = fmt.Sprintf("%s-%d", path, n)
	}
}

// Check looks whether the file is sound, and whether all is there that
// sessions say is there. What it gives is what is wrong, for people.
func (s *Store) Check(ctx context.Context) (wrong []string, err error) {
	for _, pragma := range []string{"integrity_check", "foreign_key_check"} {
		rows, err := s.read.QueryContext(ctx, "SELECT * FROM pragma_"+pragma)
		if err != nil {
			return nil, explain("check the sessions", err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			row := make([]any, len(columns))
			for i := range row {
				row[i] = new(sql.NullString)
			}
			if err := rows.Scan(row...); err != nil {
				rows.Close()
				return nil, explain("check the sessions", err)
			}
			if text := row[0].(*sql.NullString).String; text != "ok" {
				wrong = append(wrong, pragma+": "+text)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, explain("check the sessions", err)
		}
	}
	more, err := s.complete(ctx)
	if err != nil {
		return nil, explain("check the sessions", err)
	}
	return append(wrong, more...), nil
}

// complete looks for sessions that lack messages, and for messages without a
// version.
func (s *Store) complete(ctx context.Context) (wrong []string, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT s.id, s.data, count(DISTINCT m.id), coalesce(max(m.id), 0), count(DISTINCT v.message)
		FROM session s LEFT JOIN message m ON m.session = s.id LEFT JOIN version v ON v.message = m.row GROUP BY s.id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var data sql.RawBytes
		var messages, last, said int
		if err := rows.Scan(&id, &data, &messages, &last, &said); err != nil {
			return nil, err
		}
		var x session.Session
		switch err := json.Unmarshal(data, &x); {
		case err != nil || x.ID != id:
			wrong = append(wrong, fmt.Sprintf("session %s cannot be read", id))
		case x.Messages != messages || last != messages || said != messages || x.Head > messages:
			wrong = append(wrong, fmt.Sprintf("session %s has %d messages, and %d are there", id, x.Messages, min(messages, said)))
		}
	}
	return wrong, rows.Err()
}
