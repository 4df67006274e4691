package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"parley/llm"
)

// migrations take a file from one version to the next; PRAGMA user_version is
// how many were made. They are never changed, only added to.
var migrations = []string{
	`CREATE TABLE session (
		id       TEXT PRIMARY KEY,
		external TEXT UNIQUE,
		revision INTEGER NOT NULL,
		updated  INTEGER NOT NULL, -- milliseconds since 1970
		deleted  INTEGER NOT NULL,
		who      TEXT NOT NULL,    -- the character's id
		data     TEXT NOT NULL
	) STRICT;
	CREATE INDEX session_updated ON session (deleted, updated DESC, id);
	CREATE TABLE tag (
		session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
		tag     TEXT NOT NULL,
		PRIMARY KEY (session, tag)
	) STRICT, WITHOUT ROWID;
	CREATE INDEX tag_tag ON tag (tag);
	CREATE TABLE message (
		row     INTEGER PRIMARY KEY, -- that of words, too
		session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
		id      INTEGER NOT NULL,
		data    TEXT NOT NULL,       -- without its versions
		UNIQUE (session, id)
	) STRICT;
	CREATE TABLE version (
		message INTEGER NOT NULL REFERENCES message (row) ON DELETE CASCADE,
		number  INTEGER NOT NULL,
		running INTEGER NOT NULL,
		data    TEXT NOT NULL,
		PRIMARY KEY (message, number)
	) STRICT, WITHOUT ROWID;
	CREATE INDEX version_running ON version (running) WHERE running;
	CREATE TABLE receipt (
		session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
		key     TEXT NOT NULL,
		data    TEXT NOT NULL,
		PRIMARY KEY (session, key)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE character (
		id       TEXT NOT NULL,
		revision INTEGER NOT NULL,
		name     TEXT NOT NULL,
		deleted  INTEGER NOT NULL,
		meta     TEXT NOT NULL,
		data     BLOB NOT NULL,
		PRIMARY KEY (id, revision)
	) STRICT;
	CREATE VIRTUAL TABLE words USING fts5 (text, created UNINDEXED, tokenize = 'trigram');
	CREATE TRIGGER message_gone AFTER DELETE ON message BEGIN
		DELETE FROM words WHERE rowid = old.row;
	END;`,
	`CREATE TABLE media (
		digest TEXT PRIMARY KEY, -- SHA-256, in hex
		data   BLOB NOT NULL
	) STRICT;
	CREATE TABLE shown ( -- which media a session has
		session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
		digest  TEXT NOT NULL REFERENCES media (digest),
		PRIMARY KEY (session, digest)
	) STRICT, WITHOUT ROWID;
	CREATE INDEX shown_digest ON shown (digest);`,
	`CREATE TABLE lorebook (
		id       TEXT NOT NULL,
		revision INTEGER NOT NULL,
		name     TEXT NOT NULL,
		deleted  INTEGER NOT NULL,
		meta     TEXT NOT NULL,
		data     BLOB NOT NULL,
		PRIMARY KEY (id, revision)
	) STRICT;`,
	`CREATE TABLE persona (
		id       TEXT NOT NULL,
		revision INTEGER NOT NULL,
		name     TEXT NOT NULL,
		deleted  INTEGER NOT NULL,
		meta     TEXT NOT NULL,
		data     BLOB NOT NULL,
		PRIMARY KEY (id, revision)
	) STRICT;
	CREATE TABLE preset (
		id       TEXT NOT NULL,
		revision INTEGER NOT NULL,
		name     TEXT NOT NULL,
		deleted  INTEGER NOT NULL,
		meta     TEXT NOT NULL,
		data     BLOB NOT NULL,
		PRIMARY KEY (id, revision)
	) STRICT;`,
	`ALTER TABLE message ADD COLUMN parent INTEGER GENERATED ALWAYS AS (data ->> '$.parent') VIRTUAL;
	CREATE INDEX message_parent ON message (session, parent, id);
	CREATE TABLE member ( -- which characters are in a session
		session   TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
		character TEXT NOT NULL,
		deleted   INTEGER NOT NULL, -- of the session, and updated too
		updated   INTEGER NOT NULL,
		PRIMARY KEY (session, character)
	) STRICT, WITHOUT ROWID;
	CREATE INDEX member_character ON member (character, deleted, updated DESC, session);
	WITH RECURSIVE each (session, deleted, updated, one, others) AS (
		SELECT id, deleted, updated, '', ltrim(who, char(10)) || char(10) FROM session WHERE who <> ''
		UNION ALL
		SELECT session, deleted, updated, substr(others, 1, instr(others, char(10)) - 1), substr(others, instr(others, char(10)) + 1) FROM each WHERE others <> ''
	)
	INSERT OR IGNORE INTO member SELECT session, one, deleted, updated FROM each WHERE one <> '';
	ALTER TABLE session DROP COLUMN who;`,
	// What is deleted is taken out of the index, too, not only marked.
	`INSERT INTO words (words, rank) VALUES ('secure-delete', 1);`,
	`CREATE TABLE title ( -- the newest revisions of documents, deleted ones left out
		shelf     TEXT NOT NULL,
		id        TEXT NOT NULL,
		name      TEXT NOT NULL,
		revision  INTEGER NOT NULL,
		folded_id TEXT NOT NULL, -- without differences in case, as fold has it
		folded    TEXT NOT NULL, -- the name in the same way
		PRIMARY KEY (shelf, id)
	) STRICT, WITHOUT ROWID;
	CREATE INDEX title_name ON title (shelf, name, id);
	CREATE INDEX title_folded_id ON title (shelf, folded_id);
	CREATE INDEX title_folded ON title (shelf, folded);
	INSERT INTO title SELECT 'character', id, name, revision, parley_fold(id), parley_fold(name) FROM character d
		WHERE NOT deleted AND revision = (SELECT max(revision) FROM character o WHERE o.id = d.id);
	INSERT INTO title SELECT 'lorebook', id, name, revision, parley_fold(id), parley_fold(name) FROM lorebook d
		WHERE NOT deleted AND revision = (SELECT max(revision) FROM lorebook o WHERE o.id = d.id);
	INSERT INTO title SELECT 'persona', id, name, revision, parley_fold(id), parley_fold(name) FROM persona d
		WHERE NOT deleted AND revision = (SELECT max(revision) FROM persona o WHERE o.id = d.id);
	INSERT INTO title SELECT 'preset', id, name, revision, parley_fold(id), parley_fold(name) FROM preset d
		WHERE NOT deleted AND revision = (SELECT max(revision) FROM preset o WHERE o.id = d.id);`,
}

// migrate brings a file to the newest version, each step as a whole or not at
// all. With save it is copied into a file beside it before the first step.
func migrate(ctx context.Context, db *sql.Conn, path string, save bool) error {
	var have int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	if have > len(migrations) {
		return &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("the sessions were kept by a newer Parley (version %d of the file, and this one knows %d)", have, len(migrations)),
			Hint: "use the newer Parley"}
	}
	saved := ""
	if save && have > 0 && have < len(migrations) {
		saved = unused(fmt.Sprintf("%s.version-%d", path, have))
		if err := backup(ctx, db, saved); err != nil {
			return err
		}
	}
	for ; have < len(migrations); have++ {
		step := fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT", migrations[have], have+1)
		if _, err := db.ExecContext(ctx, step); err != nil {
			db.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			err = fmt.Errorf("bring the file of sessions to version %d: %w", have+1, err)
			if saved == "" {
				return err
			}
			e := llm.AsError(explain("bring the sessions to the newest version", err))
			return &llm.Error{Code: e.Code, Message: e.Message, Hint: "they are as they were; a copy is in " + saved + ", and parley session restore brings it back", Err: err}
		}
	}
	return nil
}
