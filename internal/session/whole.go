package session

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// wholeVersion is that of the archives of a whole server.
const wholeVersion = 1

// A wholeLine is a line of JSON of the archive of a whole server. Each has one
// of the fields. Documents come first, each with all its revisions; then
// sessions, each with its messages behind it in the order of their ids, behind
// a message its versions but the first, and then the messages' files. The end tells how many there
// were, so that a file that was cut off is known.
type wholeLine struct {
	Parley   *wholeHead     `json:"parley,omitempty"` // the first line
	Document *wholeDocument `json:"document,omitempty"`
	Session  *Session       `json:"session,omitempty"`
	Message  *Node          `json:"message,omitempty"`
	Version  *Version       `json:"version,omitempty"`
	Media    *Media         `json:"media,omitempty"`
	End      *wholeEnd      `json:"end,omitempty"`
}

type wholeHead struct {
	Version int       `json:"version"`
	Created time.Time `json:"created"`
}

type wholeDocument struct {
	Shelf Shelf `json:"shelf"`
	Document
}

type wholeEnd struct {
	Documents int `json:"documents"` // revisions of all
	Sessions  int `json:"sessions"`
}

// shelves are all, in the order in which an archive has them.
var shelves = []Shelf{Characters, Lorebooks, Personas, Presets}

// IsWhole reports whether a file that begins so is the archive of a whole
// server.
func IsWhole(beginning []byte) bool {
	return bytes.HasPrefix(bytes.TrimPrefix(beginning, []byte("\ufeff")), []byte(`{"parley":`))
}

// ExportAll writes everything there is, deleted things included: documents in
// all their revisions and sessions with everything that was ever in them. One
// revision or session is in memory at a time. What changes meanwhile may be
// written as it was before or after.
func (s *Sessions) ExportAll(ctx context.Context, w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	put := func(line wholeLine) error {
		b.Write(wire.Encode(line))
		return b.WriteByte('\n') // also tells of errors before
	}
	began := s.now()
	if err := put(wholeLine{Parley: &wholeHead{wholeVersion, began}}); err != nil {
		return err
	}
	var end wholeEnd
	for _, shelf := range shelves {
		ids, err := s.allDocuments(ctx, shelf)
		if err != nil {
			return err
		}
		for _, id := range ids {
			for revision := int64(1); ; revision++ {
				d, err := s.store.Document(ctx, shelf, id, revision)
				if notThere(err) {
					break
				}
				if err == nil {
					err = put(wholeLine{Document: &wholeDocument{shelf, d}})
				}
				if err != nil {
					return err
				}
				end.Documents++
			}
		}
	}
	ids, err := s.allSessions(ctx, began)
	if err != nil {
		return err
	}
	for _, id := range ids {
		written, err := s.putWhole(ctx, id, put)
		if err != nil {
			return err
		}
		if written {
			end.Sessions++
		}
	}
	if err := put(wholeLine{End: &end}); err != nil {
		return err
	}
	return b.Flush()
}

func notThere(err error) bool { return err != nil && llm.AsError(err).Code == llm.NotFound }

// allDocuments gives the ids of all documents of a shelf, those of files
// included, which are taken over first. A file that cannot be read is left out.
func (s *Sessions) allDocuments(ctx context.Context, shelf Shelf) ([]string, error) {
	if files := s.files[shelf]; files != nil {
		names, err := files.Names()
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if !plainID(name) {
				continue
			}
			if _, err := s.Document(ctx, shelf, name, 0); err != nil {
				s.log.Warn("not in the archive", string(shelf), name, "reason", err)
			}
		}
	}
	return s.store.DocumentIDs(ctx, shelf)
}

// allSessions gives the ids of all sessions, also of those that change while
// they are listed.
func (s *Sessions) allSessions(ctx context.Context, began time.Time) (ids []string, err error) {
	seen := map[string]bool{}
	for _, since := range []time.Time{{}, began} { // then those that have moved to the front meanwhile
		for _, deleted := range []bool{false, true} {
			q := Query{Deleted: deleted, Limit: limits.ListItems.Int()}
			for more := true; more; {
				list, err := s.store.List(ctx, q)
				if err != nil {
					return nil, err
				}
				more = len(list) == q.Limit
				for i := range list {
					x := &list[i]
					if x.Updated.Before(since) {
						more = false
						break
					}
					if q.After = x; !seen[x.ID] {
						seen[x.ID] = true
						ids = append(ids, x.ID)
					}
				}
			}
		}
	}
	return ids, nil
}

// putWhole writes a session, unless it was purged meanwhile.
func (s *Sessions) putWhole(ctx context.Context, id string, put func(wholeLine) error) (written bool, err error) {
	x, nodes, err := s.stored(ctx, id)
	if err != nil {
		if notThere(err) {
			err = nil
		}
		return false, err
	}
	if err := put(wholeLine{Session: &x}); err != nil {
		return false, err
	}
	for i := range nodes {
		n := nodes[i]
		first := min(1, len(n.Versions))
		more := n.Versions[first:]
		n.Versions = n.Versions[:first]
		if err := put(wholeLine{Message: &n}); err != nil {
			return false, err
		}
		for j := range more {
			if err := put(wholeLine{Version: &more[j]}); err != nil {
				return false, err
			}
		}
	}
	for _, digest := range NewTree(x, nodes).digests() {
		data, err := s.Media(ctx, id, digest)
		if err == nil {
			err = put(wholeLine{Media: &Media{Digest: digest, Data: data}})
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// stored is a session as the store has it.
func (s *Sessions) stored(ctx context.Context, id string) (Session, []Node, error) {
	defer s.lock(id)()
	x, err := s.store.Session(ctx, id)
	if err != nil {
		return Session{}, nil, err
	}
	nodes, err := s.store.Nodes(ctx, id)
	if err != nil {
		return Session{}, nil, err
	}
	return x, nodes[:min(len(nodes), x.Messages)], nil // another process may have added some
}

// Merged is what came of an archive.
type Merged struct {
	Documents MergedKind `json:"documents"` // counted by revisions
	Sessions  MergedKind `json:"sessions"`
}

// A MergedKind counts what came of one kind.
type MergedKind struct {
	Added     int      `json:"added"`
	Same      int      `json:"same"`      // was here already
	Different int      `json:"different"` // is here as something else, and stays that
	Names     []string `json:"names"`     // of the different ones; the first of them
}

func (k *MergedKind) differs(name string) {
	if k.Different++; len(k.Names) < limits.ListItems.Int() {
		k.Names = append(k.Names, name)
	}
}

// ImportAll adds everything of an archive that is not here yet, under its own
// id. What is here stays as it is. When the archive ends early or is damaged,
// the error says so, and what came before has been added: the whole one can be
// read afterwards. One line, and one session, is in memory at a time.
// Token ids that it has divide texts and can be no others (llm.Segment.Spelling).
func (s *Sessions) ImportAll(ctx context.Context, r io.Reader) (Merged, error) {
	m := merger{sessions: s, different: map[string]bool{}}
	m.came.Documents.Names, m.came.Sessions.Names = []string{}, []string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, limits.ArchiveLineBytes.Int())
	for lines.Scan() {
		m.number++
		if text := bytes.TrimSpace(lines.Bytes()); len(text) > 0 {
			if err := m.line(ctx, text); err != nil {
				return m.came, err
			}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		m.number++
		return m.came, m.wrong("it has more than %d bytes (limit %s)", limits.ArchiveLineBytes.Int(), limits.ArchiveLineBytes.Name)
	case err != nil:
		return m.came, err
	case m.number == 0:
		return m.came, noWhole
	case !m.ended:
		return m.came, m.wrong("nothing stands behind it: the archive was cut off")
	}
	return m.came, nil
}

var noWhole = &llm.Error{Code: llm.Unreadable, Message: "this is no archive of a server",
	Hint: "its first line says {\"parley\": …}; a single talk is imported as a session"}

// A merger reads an archive.
type merger struct {
	sessions  *Sessions
	came      Merged
	number    int             // of the line
	have      wholeEnd        // what has been read
	ended     bool            // the end has been read
	open      *Archive        // the session whose messages are being read
	different map[string]bool // documents that are others here
}

func (m *merger) wrong(format string, args ...any) error {
	return &llm.Error{Code: llm.Unreadable, Field: fmt.Sprintf("line %d", m.number), Message: fmt.Sprintf(format, args...),
		Hint: "what stands before it has been added, and is passed over when it comes again"}
}

// at says where an error of what was read is.
func (m *merger) at(what string, err error) error {
	if e := llm.AsError(err); e.Code == llm.Unreadable || e.Code == llm.Invalid {
		return m.wrong("%s: %s", what, e.Message)
	}
	return err
}

func (m *merger) line(ctx context.Context, text []byte) error {
	var line wholeLine
	if _, err := wire.Parse(text); err != nil { // bounds the depth
		if m.number == 1 {
			return noWhole
		}
		return m.wrong("this is no JSON: the archive was cut off")
	}
	err := json.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &line)
	switch {
	case (err != nil || line.Parley == nil) && m.number == 1:
		return noWhole
	case err != nil:
		return m.wrong("this is no line of an archive: %v", err)
	case m.ended:
		return m.wrong("it stands behind the archive's end")
	}
	if m.open != nil && line.Message == nil && line.Version == nil && line.Media == nil {
		x := m.open
		m.open = nil
		m.have.Sessions++
		if err := m.sessions.mergeSession(ctx, x, &m.came.Sessions); err != nil {
			return m.at("the session before it", err)
		}
	}
	switch {
	case line.Parley != nil && m.number == 1:
		if v := line.Parley.Version; v != wholeVersion {
			return &llm.Error{Code: llm.Unreadable, Message: fmt.Sprintf("the archive has the version %d, and this Parley reads %d", v, wholeVersion), Hint: "use the Parley that wrote it, or a newer one"}
		}
	case line.Document != nil:
		m.have.Documents++
		if err := m.sessions.mergeDocument(ctx, line.Document, m.different, &m.came.Documents); err != nil {
			return m.at(fmt.Sprintf("the %s %q", wire.Short(string(line.Document.Shelf)), wire.Short(line.Document.ID)), err)
		}
	case line.Session != nil:
		m.open = &Archive{Session: *line.Session}
	case line.Message != nil && m.open != nil:
		if err := limits.SessionMessages.CheckInt(len(m.open.Messages) + 1); err != nil {
			return m.wrong("the session's messages: %v", err)
		}
		m.open.Messages = append(m.open.Messages, *line.Message)
	case line.Version != nil && m.open != nil && len(m.open.Messages) > 0:
		last := &m.open.Messages[len(m.open.Messages)-1]
		last.Versions = append(last.Versions, *line.Version)
	case line.Media != nil && m.open != nil:
		m.open.Media = append(m.open.Media, *line.Media)
	case line.End != nil:
		m.ended = true
		if want := *line.End; want != m.have {
			return m.wrong("there should be %d documents and %d sessions before it, and there are %d and %d", want.Documents, want.Sessions, m.have.Documents, m.have.Sessions)
		}
	default:
		return m.wrong("nothing is known of such a line, or it stands in the wrong place")
	}
	return nil
}

// mergeDocument adds a revision that is not here. Where one before it is
// another here, the rest is so, too.
func (s *Sessions) mergeDocument(ctx context.Context, d *wholeDocument, different map[string]bool, m *MergedKind) error {
	name := string(d.Shelf) + " " + d.ID
	if !plainID(d.ID) || d.Revision < 1 {
		return llm.Errorf(llm.Unreadable, "id", "its id or revision cannot be")
	}
	if _, _, err := s.readDocument(d.Shelf, d.ID, d.File, d.Data); err != nil {
		return err
	}
	if err := limits.NameBytes.CheckInt(len(d.Name)); err != nil {
		return llm.Errorf(llm.Unreadable, "name", "%v", err)
	}
	if different[name] {
		m.differs(fmt.Sprintf("%s, revision %d", name, d.Revision))
		return nil
	}
	s.documents.Lock()
	defer s.documents.Unlock()
	here, err := s.store.Document(ctx, d.Shelf, d.ID, d.Revision)
	switch {
	case notThere(err):
		err = s.store.AddDocument(context.WithoutCancel(ctx), d.Shelf, d.Document)
		if errors.Is(err, ErrStale) {
			return llm.Errorf(llm.Unreadable, "revision", "the revision before %d is missing", d.Revision)
		}
		if err == nil {
			m.Added++
		}
		return err
	case err != nil:
		return err
	case here.Name == d.Name && here.File == d.File && here.Deleted == d.Deleted && bytes.Equal(here.Data, d.Data):
		m.Same++
	default:
		different[name] = true
		m.differs(fmt.Sprintf("%s, revision %d", name, d.Revision))
	}
	return nil
}

// mergeSession adds a session that is not here.
func (s *Sessions) mergeSession(ctx context.Context, a *Archive, m *MergedKind) error {
	x := &a.Session
	if err := a.check(); err != nil {
		return err
	}
	if !plainID(x.ID) {
		return llm.Errorf(llm.Unreadable, "id", "its id cannot be")
	}
	if err := (New{ExternalID: x.ExternalID, Title: x.Title, Tags: x.Tags, Settings: x.Now()}).check(); err != nil {
		return err
	}
	name := "session " + x.ID
	if here, nodes, err := s.stored(ctx, x.ID); err == nil {
		for i := range nodes {
			nodes[i].settle()
		}
		if same(Archive{Session: here, Messages: nodes}, *a) {
			m.Same++
		} else {
			m.differs(name)
		}
		return nil
	} else if !notThere(err) {
		return err
	}
	err := s.store.Commit(context.WithoutCancel(ctx), Change{Session: *x, Nodes: a.Messages, Media: a.Media})
	switch {
	case errors.Is(err, ErrStale): // another has its external id
		m.differs(name)
		return nil
	case err == nil:
		m.Added++
	}
	return err
}

// same reports whether two sessions are written alike.
func same(a, b Archive) bool {
	return len(a.Messages) == len(b.Messages) && bytes.Equal(wire.Encode(a.Session), wire.Encode(b.Session)) &&
		(len(a.Messages) == 0 || bytes.Equal(wire.Encode(a.Messages), wire.Encode(b.Messages)))
}
