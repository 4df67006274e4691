package session

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/character"
	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// Titles gives the newest revisions of documents without their data, in the
// order of their names, and where these are the same of their ids: so many at
// most, behind the one with an id, or "" from the first. Those of files that
// were never used have the revision 0.
func (s *Sessions) Titles(ctx context.Context, shelf Shelf, after string, limit int) ([]Document, error) {
	var behind *Document
	if after != "" {
		d, err := s.store.Document(ctx, shelf, after, 0)
		if notThere(err) && s.files[shelf] != nil {
			d, err = Document{ID: after, Name: after}, nil // a file
		}
		if err != nil {
			return nil, err
		}
		behind = &d
	}
	all, err := s.store.Titles(ctx, shelf, behind, limit)
	if err != nil {
		return nil, err
	}
	files, err := s.unused(ctx, shelf, limit, func(d Document) bool { return behind == nil || byName(*behind, d) < 0 })
	if err != nil {
		return nil, err
	}
	all = append(all, files...)
	slices.SortFunc(all, byName)
	return all[:min(limit, len(all))], nil
}

// EachTitle gives all of them, a page at a time.
func (s *Sessions) EachTitle(ctx context.Context, shelf Shelf) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		page := limits.ListItems.Int()
		for after := ""; ; {
			all, err := s.Titles(ctx, shelf, after, page)
			if err != nil {
				yield(Document{}, err)
				return
			}
			for _, d := range all {
				if !yield(d, nil) {
					return
				}
				after = d.ID
			}
			if len(all) < page {
				return
			}
		}
	}
}

// unused gives the files of a shelf that were never used, or that came after
// their document was deleted: so many of those wanted.
func (s *Sessions) unused(ctx context.Context, shelf Shelf, limit int, wanted func(Document) bool) (all []Document, err error) {
	files := s.files[shelf]
	if files == nil {
		return nil, nil
	}
	names, err := files.Names()
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !plainID(name) || !wanted(Document{ID: name, Name: name}) })
	slices.Sort(names)
	if names, err = s.store.Untitled(ctx, shelf, names); err != nil {
		return nil, err
	}
	for _, name := range names {
		if len(all) == limit {
			break
		}
		old, err := s.store.Document(ctx, shelf, name, 0)
		if err == nil { // deleted
			if _, data, err := files.Read(ctx, name); !old.Folder || err != nil || bytes.Equal(data, old.Data) {
				continue
			}
		} else if !notThere(err) {
			return nil, err
		}
		all = append(all, Document{ID: name, Name: name, Folder: true})
	}
	return all, nil
}

// alike gives the titles that may be meant by a name, in their order.
func (s *Sessions) alike(ctx context.Context, shelf Shelf, name string) ([]Document, error) {
	all, err := s.store.Alike(ctx, shelf, name)
	if err != nil {
		return nil, err
	}
	files, err := s.unused(ctx, shelf, math.MaxInt, func(d Document) bool { return strings.EqualFold(slug(d.ID), slug(name)) })
	if err != nil {
		return nil, err
	}
	all = append(all, files...)
	slices.SortFunc(all, byName)
	return all, nil
}

// slug is a name with a hyphen for the spaces between its words.
func slug(name string) string { return strings.Join(strings.Fields(name), "-") }

// Named finds a character by what people call it: its id, its name or its slug,
// which is the name with a hyphen for each space, in any case of letters. Of
// several the first by id, then by name counts.
func (s *Sessions) Named(ctx context.Context, name string) (Document, error) {
	all, err := s.alike(ctx, Characters, name)
	if err != nil {
		return Document{}, err
	}
	for _, is := range []func(d Document) bool{
		func(d Document) bool { return strings.EqualFold(d.ID, name) },
		func(d Document) bool { return strings.EqualFold(d.Name, name) },
		func(d Document) bool { return strings.EqualFold(slug(d.Name), name) },
	} {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return s.Document(ctx, Characters, all[i].ID, 0)
		}
	}
	return Document{}, NoDocument(Characters, name)
}

// Document gives a revision of a document; 0 is the newest, if it is not
// deleted. A file that is new, or another than the newest revision was taken
// from, is taken over; what was saved here goes before files.
func (s *Sessions) Document(ctx context.Context, shelf Shelf, id string, revision int64) (Document, error) {
	d, err := s.store.Document(ctx, shelf, id, revision)
	missing := err != nil && llm.AsError(err).Code == llm.NotFound
	if revision != 0 || err != nil && !missing {
		return d, err
	}
	if files := s.files[shelf]; files != nil && plainID(id) && (missing || d.Folder) {
		file, data, err := files.Read(ctx, id)
		switch {
		case err == nil && !bytes.Equal(data, d.Data):
			taken, err := s.save(ctx, shelf, id, d.Revision, file, data, true)
			return taken.Document, err
		case err != nil && llm.AsError(err).Code != llm.NotFound:
			return Document{}, err
		}
	}
	if missing || d.Deleted {
		return Document{}, NoDocument(shelf, id)
	}
	return d, nil
}

// Saved is what came of a file that was sent.
type Saved struct {
	Document
	Created bool // there was none of this id
	Report  character.ImportReport
}

// SaveDocument adds a revision of a document, as a file that says what it is;
// one that is not there begins with it. An empty id is one that no other has.
// base is the revision that the caller saw, 0 being whichever there is.
func (s *Sessions) SaveDocument(ctx context.Context, shelf Shelf, id string, base int64, file string, data []byte) (Saved, error) {
	return s.save(ctx, shelf, id, base, file, data, false)
}

func (s *Sessions) save(ctx context.Context, shelf Shelf, id string, base int64, file string, data []byte, folder bool) (saved Saved, err error) {
	if err := limits.NameBytes.CheckInt(len(file)); err != nil {
		return Saved{}, llm.Errorf(llm.Invalid, "file", "%v", err)
	}
	name, report, err := s.readDocument(shelf, id, file, data)
	saved.Report = report
	if err != nil {
		return Saved{}, err
	}
	if id == "" {
		id = s.newID()
	}
	if !plainID(id) {
		return Saved{}, &llm.Error{Code: llm.Invalid, Field: "id", Message: "an id has at most 64 bytes, on one line and without a slash"}
	}
	saved.Document, saved.Created, err = s.revise(ctx, shelf, Document{ID: id, Name: name, File: file, Data: data, Created: s.now(), Folder: folder}, base)
	return saved, err
}

// readDocument takes a document apart, as far as one has to know what it is
// called and whether it can be used. A character is called as its card says,
// others may have no name but their id.
func (s *Sessions) readDocument(shelf Shelf, id, file string, data []byte) (name string, report character.ImportReport, err error) {
	switch shelf {
	case Lorebooks:
		var book character.Book
		if book, report, err = character.ReadBook(data); err == nil {
			if name = book.Called(file); name == "." {
				name = id
			}
			if wrong := limits.NameBytes.CheckInt(len(name)); wrong != nil {
				err = llm.Errorf(llm.Unreadable, "lorebook", "the lorebook's name: %v", wrong)
			}
		}
	case Personas:
		var p Persona
		p, err = ReadPersona(data)
		name, report.Format = p.Name, "Parley's persona"
	case Presets:
		var p Preset
		p, err = ReadPreset(data)
		name, report.Format = cmp.Or(p.Name, id), "Parley's preset"
	case Characters:
		var card character.Card
		card, report, err = character.ReadCard(file, data)
		name = card.Name
	default:
		err = llm.Errorf(llm.Unreadable, "shelf", "there is no shelf %q", wire.Short(string(shelf)))
	}
	return name, report, err
}

// plainID reports whether an id can be a part of a path.
func plainID(id string) bool {
	return id != "" && len(id) <= 64 && utf8.ValidString(id) && strings.Trim(id, ".") != "" && id == strings.TrimSpace(id) &&
		!strings.ContainsFunc(id, func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) })
}

// DeleteDocument makes a document deleted. Sessions that used it keep the
// revisions of their replies.
func (s *Sessions) DeleteDocument(ctx context.Context, shelf Shelf, id string, base int64) error {
	d, err := s.Document(ctx, shelf, id, 0)
	if err != nil {
		return err
	}
	d.Deleted, d.Created = true, s.now()
	_, _, err = s.revise(ctx, shelf, d, base)
	return err
}

func (s *Sessions) revise(ctx context.Context, shelf Shelf, d Document, base int64) (_ Document, created bool, err error) {
	s.documents.Lock()
	defer s.documents.Unlock()
	old, err := s.store.Document(ctx, shelf, d.ID, 0)
	if e, ok := errors.AsType[*llm.Error](err); ok && e.Code == llm.NotFound {
		created = true
	} else if err != nil {
		return Document{}, false, err
	}
	if base != 0 && base != old.Revision {
		return Document{}, false, ErrStale
	}
	d.Revision = old.Revision + 1
	return d, created, s.store.AddDocument(context.WithoutCancel(ctx), shelf, d)
}
