package session

import (
	"context"
	"errors"
	"regexp"

	"parley/internal/character"
	"parley/internal/limits"
	"parley/llm"
)

// Characters gives the newest revisions of all characters.
func (s *Sessions) Characters(ctx context.Context) ([]Character, error) {
	return s.store.Characters(ctx)
}

// Character gives a revision of a character; 0 is the newest, if it is not
// deleted.
func (s *Sessions) Character(ctx context.Context, id string, revision int64) (Character, error) {
	c, err := s.store.Character(ctx, id, revision)
	if err == nil && c.Deleted && revision == 0 {
		return Character{}, NoCharacter(id)
	}
	return c, err
}

// SaveCharacter adds a revision of a character, as a file that says who it
// is; a character that is not there begins with it. An empty id is one that no
// other has. base is the revision that the caller saw, 0 being whichever there
// is. created says that the character is new.
func (s *Sessions) SaveCharacter(ctx context.Context, id string, base int64, file string, data []byte) (c Character, created bool, err error) {
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
	if !plainID.MatchString(id) {
		return Character{}, false, &llm.Error{Code: llm.Invalid, Field: "id", Message: "a character's id has letters, digits, _ and -, at most 64 of them"}
	}
	return s.revise(ctx, Character{ID: id, Name: card.Name, File: file, Data: data, Created: s.now()}, base)
}

// plainID is what can stand in a path without being escaped.
var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

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
	defer s.lock("character " + c.ID)()
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
