package session

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/character"
	"parley/internal/limits"
	"parley/llm"
)

// Characters gives the newest revisions of all characters. Those of files that
// were never used have the revision 0 and no data.
func (s *Sessions) Characters(ctx context.Context) ([]Character, error) {
	all, err := s.store.Characters(ctx)
	if err != nil || s.files == nil {
		return all, err
	}
	names, err := s.files.Names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if plainID(name) && !slices.ContainsFunc(all, func(c Character) bool { return c.ID == name }) {
			all = append(all, Character{ID: name, Name: name, Folder: true})
		}
	}
	return all, nil
}

// Character gives a revision of a character; 0 is the newest, if it is not
// deleted. A file that is new, or another than the newest revision was taken
// from, is taken over; what was saved here goes before files.
func (s *Sessions) Character(ctx context.Context, id string, revision int64) (Character, error) {
	c, err := s.store.Character(ctx, id, revision)
	missing := err != nil && llm.AsError(err).Code == llm.NotFound
	if revision != 0 || err != nil && !missing {
		return c, err
	}
	if s.files != nil && plainID(id) && (missing || c.Folder) {
		file, data, err := s.files.Read(ctx, id)
		switch {
		case err == nil && !bytes.Equal(data, c.Data):
			taken, _, err := s.save(ctx, id, c.Revision, file, data, true)
			return taken, err
		case err != nil && llm.AsError(err).Code != llm.NotFound:
			return Character{}, err
		}
	}
	if missing || c.Deleted {
		return Character{}, NoCharacter(id)
	}
	return c, nil
}

// SaveCharacter adds a revision of a character, as a file that says who it
// is; a character that is not there begins with it. An empty id is one that no
// other has. base is the revision that the caller saw, 0 being whichever there
// is. created says that the character is new.
func (s *Sessions) SaveCharacter(ctx context.Context, id string, base int64, file string, data []byte) (c Character, created bool, err error) {
	return s.save(ctx, id, base, file, data, false)
}

func (s *Sessions) save(ctx context.Context, id string, base int64, file string, data []byte, folder bool) (c Character, created bool, err error) {
	if err := limits.NameBytes.CheckInt(len(file)); err != nil {
		return Character{}, false, llm.Errorf(llm.Invalid, "file", "%v", err)
	}
	card, _, err := character.ReadCard(file, data)
	if err != nil {
		return Character{}, false, err
	}
	if id == "" {
		id = s.newID()
	}
	if !plainID(id) {
		return Character{}, false, &llm.Error{Code: llm.Invalid, Field: "id", Message: "a character's id has at most 64 bytes, on one line and without a slash"}
	}
	return s.revise(ctx, Character{ID: id, Name: card.Name, File: file, Data: data, Created: s.now(), Folder: folder}, base)
}

// plainID reports whether an id can be a part of a path.
func plainID(id string) bool {
	return id != "" && len(id) <= 64 && utf8.ValidString(id) && strings.Trim(id, ".") != "" && id == strings.TrimSpace(id) &&
		!strings.ContainsFunc(id, func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) })
}

// DeleteCharacter makes a character deleted. Sessions that were begun with it
// keep the revisions of their replies.
func (s *Sessions) DeleteCharacter(ctx context.Context, id string, base int64) error {
	c, err := s.Character(ctx, id, 0)
	if err != nil {
		return err
	}
	c.Deleted, c.Created = true, s.now()
	_, _, err = s.revise(ctx, c, base)
	return err
}

func (s *Sessions) revise(ctx context.Context, c Character, base int64) (_ Character, created bool, err error) {
	s.characters.Lock()
	defer s.characters.Unlock()
	old, err := s.store.Character(ctx, c.ID, 0)
	if e, ok := errors.AsType[*llm.Error](err); ok && e.Code == llm.NotFound {
		created = true
	} else if err != nil {
		return Character{}, false, err
	}
	if base != 0 && base != old.Revision {
		return Character{}, false, ErrStale
	}
	c.Revision = old.Revision + 1
	return c, created, s.store.AddCharacter(context.WithoutCancel(ctx), c)
}
