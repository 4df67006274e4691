package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"parley/internal/session"
)

// A changer makes the statements of one change; the first error stays.
type changer struct {
	*sql.Conn
	ctx context.Context
	err error
}

func (c *changer) exec(statement string, args ...any) (rows int64) {
	if c.err != nil {
		return 0
	}
	var r sql.Result
	if r, c.err = c.ExecContext(c.ctx, statement, args...); c.err == nil {
		rows, c.err = r.RowsAffected()
	}
	return rows
}

func (c *changer) json(v any) string {
	data, err := json.Marshal(v)
	if c.err == nil {
		c.err = err
	}
	return string(data)
}

// change applies what f does as a whole or not at all.
func (s *Store) change(ctx context.Context, what string, f func(*changer)) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.apply(what, func(conn *sql.Conn) error {
		c := &changer{Conn: conn, ctx: context.WithoutCancel(ctx)}
		f(c)
		return c.err
	})
}

// Commit implements session.Store.
func (s *Store) Commit(ctx context.Context, ch session.Change) error {
	return s.change(ctx, "store a change of a session", func(c *changer) {
		x := ch.Session
		if x.Revision != ch.Base+1 && !(ch.Base == 0 && x.Revision > 0) {
			c.err = session.ErrStale
			return
		}
		external := sql.NullString{String: x.ExternalID, Valid: x.ExternalID != ""}
		args := []any{external, x.Revision, x.Updated.UnixMilli(), x.Deleted != nil, c.json(x), x.ID}
		var rows int64
		if ch.Base == 0 {
			rows = c.exec("INSERT INTO session (external, revision, updated, deleted, data, id) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", args...)
		} else {
			rows = c.exec("UPDATE OR IGNORE session SET external = ?, revision = ?, updated = ?, deleted = ?, data = ? WHERE id = ? AND revision = ?", append(args, ch.Base)...)
		}
		if c.err == nil && rows == 0 {
			c.err = session.ErrStale
			return
		}
		c.exec("DELETE FROM tag WHERE session = ?", x.ID)
		for _, tag := range x.Tags {
			c.exec("INSERT OR IGNORE INTO tag VALUES (?, ?)", x.ID, tag)
		}
		c.exec("DELETE FROM member WHERE session = ?", x.ID)
		for _, m := range x.Now().Members() {
			c.exec("INSERT OR IGNORE INTO member VALUES (?, ?, ?, ?)", x.ID, m.ID, x.Deleted != nil, x.Updated.UnixMilli())
		}
		for _, n := range ch.Nodes {
			c.node(x.ID, n)
		}
		for _, w := range ch.Versions {
			row := c.row(x.ID, w.Message)
			c.version(row, w.Version, w.Value)
			c.index(row, w.Value)
		}
		for _, m := range ch.Media {
			if m.Of != "" {
				c.exec("INSERT OR IGNORE INTO shown SELECT ?, digest FROM shown WHERE session = ? AND digest = ?", x.ID, m.Of, m.Digest)
				continue
			}
			c.exec("INSERT OR IGNORE INTO media VALUES (?, ?)", m.Digest, m.Data)
			c.exec("INSERT OR IGNORE INTO shown VALUES (?, ?)", x.ID, m.Digest)
		}
		if r := ch.Receipt; r != nil {
			c.exec("INSERT INTO receipt VALUES (?, ?, ?)", x.ID, r.Key, c.json(r))
		}
	})
}

func (c *changer) node(id string, n session.Node) {
	versions := n.Versions
	n.Versions = nil
	c.exec("INSERT INTO message (session, id, data) VALUES (?, ?, ?)", id, n.ID, c.json(n))
	row := c.row(id, n.ID)
	for i, v := range versions {
		c.version(row, i, v)
	}
	if len(versions) > 0 {
		c.index(row, versions[len(versions)-1])
	}
}

func (c *changer) row(id string, message int) (row int64) {
	if c.err == nil {
		c.err = c.QueryRowContext(c.ctx, "SELECT row FROM message WHERE session = ? AND id = ?", id, message).Scan(&row)
	}
	return row
}

func (c *changer) version(row int64, number int, v session.Version) {
	c.exec("INSERT OR REPLACE INTO version VALUES (?, ?, ?, ?)", row, number, v.State == session.Running, c.json(v))
}

// index makes a message findable by its newest version.
func (c *changer) index(row int64, v session.Version) {
	c.exec("DELETE FROM words WHERE rowid = ?", row)
	if words := v.Words(); !v.Deleted && v.State != session.Running && words != "" {
		c.exec("INSERT INTO words (rowid, text, created) VALUES (?, ?, ?)", row, words, v.Created.UnixMilli())
	}
}

// Grow implements session.Store.
func (s *Store) Grow(ctx context.Context, at session.Place, v session.Version) error {
	return s.change(ctx, "store a reply", func(c *changer) {
		var row int64
		c.err = c.QueryRowContext(c.ctx, `SELECT m.row FROM message m JOIN version v ON v.message = m.row
			WHERE m.session = ? AND m.id = ? AND v.number = ? AND v.running`, at.Session, at.Message, at.Version).Scan(&row)
		if errors.Is(c.err, sql.ErrNoRows) {
			c.err = session.ErrStale
			return
		}
		c.version(row, at.Version, v)
		if v.State != session.Running {
			c.index(row, v)
		}
	})
}

// Purge implements session.Store.
func (s *Store) Purge(ctx context.Context, id string) error {
	return s.change(ctx, "purge a session", func(c *changer) {
		s.purged = true
		if c.exec("DELETE FROM session WHERE id = ?", id) == 0 && c.err == nil {
			c.err = session.NoSession(id)
		}
		c.exec("DELETE FROM media WHERE NOT EXISTS (SELECT 1 FROM shown WHERE shown.digest = media.digest)")
	})
}
