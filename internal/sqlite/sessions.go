package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"parley/internal/session"
)

func (s *Store) one(ctx context.Context, missing error, where string, arg string) (x session.Session, err error) {
	var data []byte
	err = s.read.QueryRowContext(ctx, "SELECT data FROM session WHERE "+where, arg).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return x, missing
	}
	if err == nil {
		err = json.Unmarshal(data, &x)
	}
	if err != nil {
		err = explain("read a session", err)
	}
	return x, err
}

// Session implements session.Store.
func (s *Store) Session(ctx context.Context, id string) (session.Session, error) {
	return s.one(ctx, session.NoSession(id), "id = ?", id)
}

// External implements session.Store.
func (s *Store) External(ctx context.Context, externalID string) (session.Session, error) {
	return s.one(ctx, session.NoSession(externalID), "external = ?", externalID)
}

// Nodes implements session.Store.
func (s *Store) Nodes(ctx context.Context, id string) ([]session.Node, error) {
	return s.nodes(ctx, id, `SELECT m.id, m.data, v.data FROM message m JOIN version v ON v.message = m.row
		WHERE m.session = ? ORDER BY m.id, v.number`, id)
}

// Tail implements session.Store.
func (s *Store) Tail(ctx context.Context, id string, to, most int) ([]session.Node, error) {
	return s.nodes(ctx, id, `WITH RECURSIVE
		way (parent, more) AS (
			SELECT parent, ?3 - 1 FROM message WHERE session = ?1 AND id = ?2 AND ?3 > 0
			UNION ALL
			SELECT m.parent, more - 1 FROM way JOIN message m ON m.session = ?1 AND m.id = way.parent WHERE more > 0
		)
		SELECT m.id, m.data, v.data FROM way CROSS JOIN message m ON m.session = ?1 AND m.parent = way.parent JOIN version v ON v.message = m.row
		ORDER BY m.id, v.number`, id, to, most)
}

// nodes gives the messages of a session that a query finds: their ids, what
// stands of them, and one version in each row.
func (s *Store) nodes(ctx context.Context, id, query string, args ...any) ([]session.Node, error) {
	nodes, err := s.queryNodes(ctx, query, args...)
	if err != nil {
		return nil, explain("read the messages of a session", err)
	}
	if len(nodes) == 0 {
		if _, err := s.Session(ctx, id); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

func (s *Store) queryNodes(ctx context.Context, query string, args ...any) ([]session.Node, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []session.Node
	for rows.Next() {
		var id int
		var message, version sql.RawBytes
		if err := rows.Scan(&id, &message, &version); err != nil {
			return nil, err
		}
		if len(all) == 0 || all[len(all)-1].ID != id {
			var n session.Node
			if err := json.Unmarshal(message, &n); err != nil {
				return nil, err
			}
			n.Versions = nil
			all = append(all, n)
		}
		var v session.Version
		if err := json.Unmarshal(version, &v); err != nil {
			return nil, err
		}
		n := &all[len(all)-1]
		n.Versions = append(n.Versions, v)
	}
	return all, rows.Err()
}

// Media implements session.Store.
func (s *Store) Media(ctx context.Context, id, digest string) (data []byte, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT m.data FROM shown s JOIN media m ON m.digest = s.digest WHERE s.session = ? AND s.digest = ?", id, digest).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, session.NoMedia(digest)
	}
	if err != nil {
		return nil, explain("read a picture", err)
	}
	return data, nil
}

// List implements session.Store.
func (s *Store) List(ctx context.Context, q session.Query) ([]session.Session, error) {
	from, id := "session l", "l.id" // in whose index they stand in order
	where, args := []string{"l.deleted = ?"}, []any{q.Deleted}
	if q.Character != "" {
		from, id = "member l CROSS JOIN session s ON s.id = l.session", "l.session"
		where, args = append(where, "l.character = ?"), append(args, q.Character)
	}
	if q.Tag != "" {
		where, args = append(where, id+" IN (SELECT session FROM tag WHERE tag = ?)"), append(args, q.Tag)
	}
	if q.After != nil {
		at := q.After.Updated.UnixMilli()
		where, args = append(where, "l.updated <= ? AND (l.updated < ? OR "+id+" > ?)"), append(args, at, at, q.After.ID)
	}
	rows, err := s.read.QueryContext(ctx, "SELECT data FROM "+from+" WHERE "+strings.Join(where, " AND ")+" ORDER BY l.updated DESC, "+id+" LIMIT ?", append(args, q.Limit)...)
	if err != nil {
		return nil, explain("list the sessions", err)
	}
	all, err := collect[session.Session](rows)
	if err != nil {
		return nil, explain("list the sessions", err)
	}
	return all, nil
}

// collect reads rows of one column in JSON.
func collect[T any](rows *sql.Rows) ([]T, error) {
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		var data sql.RawBytes
		var v T
		if err := rows.Scan(&data); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// Search implements session.Store. Words of three characters and more are
// found by the index; it cannot find shorter ones, which are looked for in
// what the others leave.
func (s *Store) Search(ctx context.Context, words []string, limit int) ([]session.Hit, error) {
	where, args := []string{"s.deleted = 0"}, []any{}
	var indexed []string
	for _, w := range words {
		if utf8.RuneCountInString(w) >= 3 {
			indexed = append(indexed, `"`+strings.ReplaceAll(w, `"`, `""`)+`"`)
			continue
		}
		where = append(where, `w.text LIKE ? ESCAPE '\'`)
		args = append(args, "%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(w)+"%")
	}
	if len(indexed) > 0 {
		where, args = append(where, "words MATCH ?"), append(args, strings.Join(indexed, " AND "))
	}
	rows, err := s.read.QueryContext(ctx, `SELECT m.session, m.id, w.text FROM words w JOIN message m ON m.row = w.rowid JOIN session s ON s.id = m.session
		WHERE `+strings.Join(where, " AND ")+` ORDER BY w.created DESC, m.session, m.id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, explain("search", err)
	}
	defer rows.Close()
	hits := []session.Hit{}
	for rows.Next() {
		var h session.Hit
		if err := rows.Scan(&h.Session, &h.Message, &h.Text); err != nil {
			return nil, explain("search", err)
		}
		hits = append(hits, h)
	}
	if err := rows.Err(); err != nil {
		return nil, explain("search", err)
	}
	return hits, nil
}

// Unfinished implements session.Store.
func (s *Store) Unfinished(ctx context.Context) ([]session.Place, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT m.session, m.id, v.number FROM version v JOIN message m ON m.row = v.message WHERE v.running")
	if err != nil {
		return nil, explain("look for unfinished replies", err)
	}
	defer rows.Close()
	var all []session.Place
	for rows.Next() {
		var p session.Place
		if err := rows.Scan(&p.Session, &p.Message, &p.Version); err != nil {
			return nil, explain("look for unfinished replies", err)
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// Receipt implements session.Store.
func (s *Store) Receipt(ctx context.Context, id, key string) (r session.Receipt, err error) {
	var data []byte
	err = s.read.QueryRowContext(ctx, "SELECT data FROM receipt WHERE session = ? AND key = ?", id, key).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return r, session.NoReceipt(key)
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		err = explain("read a receipt", err)
	}
	return r, err
}
