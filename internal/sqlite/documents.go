package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	engine "modernc.org/sqlite"

	"parley/internal/session"
)

// The migrations use it.
func init() {
	engine.MustRegisterDeterministicScalarFunction("parley_fold", 1, func(_ *engine.FunctionContext, args []driver.Value) (driver.Value, error) {
		text, ok := args[0].(string)
		if !ok {
			return nil, fmt.Errorf("parley_fold takes a text, and not %T", args[0])
		}
		return fold(text), nil
	})
}

// fold makes names equal that strings.EqualFold takes for the same when each
// has a hyphen for the spaces between its words.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		return least
	}, strings.Join(strings.Fields(name), "-"))
}

// Document implements session.Store.
func (s *Store) Document(ctx context.Context, shelf session.Shelf, id string, revision int64) (session.Document, error) {
	where, args := "revision = ?", []any{id, revision}
	if revision == 0 {
		where, args = "revision = (SELECT max(revision) FROM "+table(shelf)+" WHERE id = ?)", []any{id, id}
	}
	all, err := s.documents(ctx, shelf, "SELECT meta, data, length(data) FROM "+table(shelf)+" WHERE id = ? AND "+where, args...)
	if err != nil {
		return session.Document{}, err
	}
	if len(all) == 0 {
		return session.Document{}, session.NoDocument(shelf, id)
	}
	return all[0], nil
}

// Titles implements session.Store.
func (s *Store) Titles(ctx context.Context, shelf session.Shelf, after *session.Document, limit int) ([]session.Document, error) {
	which, args := "title WHERE shelf = ?", []any{table(shelf)}
	if after != nil {
		which, args = which+" AND (name, id) > (?, ?)", append(args, after.Name, after.ID)
	}
	return s.titles(ctx, shelf, which+" ORDER BY name, id LIMIT ?", append(args, limit)...)
}

// Alike implements session.Store.
func (s *Store) Alike(ctx context.Context, shelf session.Shelf, name string) ([]session.Document, error) {
	in, like := table(shelf), fold(name)
	return s.titles(ctx, shelf, `title INDEXED BY title_folded WHERE shelf = ? AND folded = ?
		UNION ALL SELECT id, name, revision FROM title INDEXED BY title_folded_id WHERE shelf = ? AND folded_id = ? AND folded <> ?`, in, like, in, like, like)
}

// titles gives the documents of some rows of the table of titles without
// their data. The plus signs keep SQLite from going through all titles in
// their order.
func (s *Store) titles(ctx context.Context, shelf session.Shelf, which string, args ...any) ([]session.Document, error) {
	return s.documents(ctx, shelf, "SELECT d.meta, NULL, length(d.data) FROM (SELECT id, name, revision FROM "+which+") t CROSS JOIN "+
		table(shelf)+" d ON d.id = t.id AND d.revision = t.revision ORDER BY +t.name, +t.id", args...)
}

// Untitled implements session.Store.
func (s *Store) Untitled(ctx context.Context, shelf session.Shelf, ids []string) ([]string, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return s.ids(ctx, shelf, "SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM title WHERE shelf = ? AND id = value) ORDER BY key", string(list), table(shelf))
}

// DocumentIDs implements session.Store.
func (s *Store) DocumentIDs(ctx context.Context, shelf session.Shelf) ([]string, error) {
	return s.ids(ctx, shelf, "SELECT DISTINCT id FROM "+table(shelf)+" ORDER BY id")
}

func (s *Store) ids(ctx context.Context, shelf session.Shelf, query string, args ...any) ([]string, error) {
	what := "read the " + string(shelf) + "s"
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, explain(what, err)
	}
	defer rows.Close()
	all := []string{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, explain(what, err)
		}
		all = append(all, id)
	}
	if err := rows.Err(); err != nil {
		return nil, explain(what, err)
	}
	return all, nil
}

// table is where the documents of a shelf are.
func table(shelf session.Shelf) string {
	switch shelf {
	case session.Lorebooks, session.Personas, session.Presets:
		return string(shelf)
	}
	return "character"
}

// documents gives what a query finds: of each document all but the data, the
// data, and how many bytes it has.
func (s *Store) documents(ctx context.Context, shelf session.Shelf, query string, args ...any) ([]session.Document, error) {
	what := "read the " + string(shelf) + "s"
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, explain(what, err)
	}
	defer rows.Close()
	all := []session.Document{}
	for rows.Next() {
		var meta sql.RawBytes
		var data []byte
		var bytes int
		var d session.Document
		if err := rows.Scan(&meta, &data, &bytes); err != nil {
			return nil, explain(what, err)
		}
		if err := json.Unmarshal(meta, &d); err != nil {
			return nil, explain(what, err)
		}
		d.Data, d.Bytes = data, bytes
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, explain(what, err)
	}
	return all, nil
}

// AddDocument implements session.Store.
func (s *Store) AddDocument(ctx context.Context, shelf session.Shelf, d session.Document) error {
	return s.change(ctx, "store a "+string(shelf), func(c *changer) {
		meta, data := d, d.Data
		meta.Data = nil
		if data == nil {
			data = []byte{}
		}
		rows := c.exec(`INSERT INTO `+table(shelf)+` SELECT ?, ?, ?, ?, ?, ? WHERE ? = (SELECT coalesce(max(revision), 0) + 1 FROM `+table(shelf)+` WHERE id = ?)`,
			d.ID, d.Revision, d.Name, d.Deleted, c.json(meta), data, d.Revision, d.ID)
		if c.err == nil && rows == 0 {
			c.err = session.ErrStale
		}
		c.exec("DELETE FROM title WHERE shelf = ? AND id = ?", table(shelf), d.ID)
		if !d.Deleted {
			c.exec("INSERT INTO title VALUES (?, ?, ?, ?, ?, ?)", table(shelf), d.ID, d.Name, d.Revision, fold(d.ID), fold(d.Name))
		}
	})
}
