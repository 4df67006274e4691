package session

import (
	"context"

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
// is. An empty id makes a new character; base is the revision that the caller
// saw, 0 being whichever there is.
func (s *Sessions) SaveCharacter(ctx context.Context, id string, base int64, file string, data []byte) (Character, error) {
	if err := limits.CharacterBytes.CheckInt(len(data)); err != nil {
		return Character{}, llm.Errorf(llm.Invalid, "data", "%v", err)
	}
	if err := limits.NameBytes.CheckInt(len(file)); err != nil {
		return Character{}, llm.Errorf(llm.Invalid, "file", "%v", err)
	}
	who, err := character.Parse(file, data)
	if err != nil {
		return Character{}, err
	}
	c := Character{ID: id, Name: who.Name, File: file, Data: data, Created: s.now()}
	if id == "" {
		c.ID = s.newID()
	}
	return s.revise(ctx, c, id != "", base)
}

// DeleteCharacter makes a character deleted. Sessions that were begun with it
// keep the revisions of their replies.
func (s *Sessions) DeleteCharacter(ctx context.Context, id string, base int64) error {
	c, err := s.Character(ctx, id, 0)
	if err != nil {
		return err
	}
	c.Deleted, c.Created = true, s.now()
	_, err = s.revise(ctx, c, true, base)
	return err
}

func (s *Sessions) revise(ctx context.Context, c Character, exists bool, base int64) (Character, error) {
	defer s.lock("character " + c.ID)()
	if exists {
		old, err := s.store.Character(ctx, c.ID, 0)
		if err != nil {
			return Character{}, err
		}
		if base != 0 && base != old.Revision {
			return Character{}, ErrStale
		}
		c.Revision = old.Revision
	}
	c.Revision++
	return c, s.store.AddCharacter(context.WithoutCancel(ctx), c)
}
