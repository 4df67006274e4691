package session

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"parley/internal/character"
	"parley/internal/limits"
	"parley/internal/lorebook"
	"parley/internal/scene"
	"parley/llm"
)

// LoreSettings are what holds for lorebooks that do not say otherwise.
type LoreSettings struct {
	ScanDepth int      `json:"scan_depth,omitempty"` // messages looked through; 0: 4
	Budget    int      `json:"budget,omitempty"`     // tokens of all entries together; 0: a quarter of the context
	Recursive bool     `json:"recursive,omitempty"`  // entries call each other
	Partial   bool     `json:"partial,omitempty"`    // a key is found within a longer word
	Strategy  Strategy `json:"strategy,omitempty"`
}

// Strategy says whose entries go first, characters' or those that hold
// everywhere, where not all can be told. Those of the session go before both,
// and then the persona's.
type Strategy string

// The strategies, as SillyTavern has them.
const (
	CharacterFirst Strategy = ""
	Evenly         Strategy = "evenly"
	GlobalFirst    Strategy = "global_first"
)

func (l *LoreSettings) check() error {
	if l == nil {
		return nil
	}
	if err := limits.LoreDepth.CheckInt(l.ScanDepth); err != nil {
		return llm.Errorf(llm.Invalid, "lore.scan_depth", "%v", err)
	}
	if err := limits.LoreBudget.CheckInt(l.Budget); err != nil {
		return llm.Errorf(llm.Invalid, "lore.budget", "%v", err)
	}
	if !slices.Contains([]Strategy{CharacterFirst, Evenly, GlobalFirst}, l.Strategy) {
		return llm.Errorf(llm.Invalid, "lore.strategy", "there is no %q; there are evenly and global_first", l.Strategy)
	}
	return nil
}

// ranks are the ranks of the entries of characters and of those that hold
// everywhere; the session's have 0, and the persona's 1.
func (l *LoreSettings) ranks() (characters, everywhere int) {
	switch {
	case l == nil || l.Strategy == CharacterFirst:
		return 2, 3
	case l.Strategy == GlobalFirst:
		return 3, 2
	}
	return 2, 2
}

// An Attached is a lorebook as it was in one of its revisions, and what it is
// attached to.
type Attached struct {
	ID        string `json:"id"`
	Revision  int64  `json:"revision"`
	To        To     `json:"to"`
	Character string `json:"character,omitempty"` // of To character: whose it is
}

// To is what a lorebook is attached to.
type To string

// The places.
const (
	ToSession    To = "session"    // the session's settings name it
	ToPersona    To = "persona"    // the persona of the user names it
	ToCharacter  To = "character"  // the card names it, as extensions.world
	ToEverything To = "everywhere" // the configuration names it
)

// checkLorebooks refuses lorebooks that are not there, but for those that the
// settings had before.
func (s *Sessions) checkLorebooks(ctx context.Context, v Settings, had ...string) error {
	for i, id := range v.Lorebooks {
		if slices.Contains(had, id) {
			continue
		}
		if _, err := s.Document(ctx, Lorebooks, id, 0); err != nil {
			if e := llm.AsError(err); e.Code == llm.NotFound {
				return &llm.Error{Code: llm.NotFound, Field: fmt.Sprintf("lorebooks[%d]", i), Message: e.Message, Hint: "GET /parley/v1/lorebooks lists them, by their ids"}
			}
			return err
		}
	}
	return nil
}

func (v *Settings) checkLore() error {
	if err := limits.Lorebooks.CheckInt(len(v.Lorebooks)); err != nil {
		return llm.Errorf(llm.Invalid, "lorebooks", "%v", err)
	}
	for i, id := range v.Lorebooks {
		if !plainID(id) || slices.Contains(v.Lorebooks[:i], id) {
			return llm.Errorf(llm.Invalid, fmt.Sprintf("lorebooks[%d]", i), "this is no id of a lorebook, or it is there twice")
		}
	}
	return v.Lore.check()
}

// attached finds the newest revisions of the lorebooks that hold, the session's
// first, then the persona's, then the characters', then those that hold everywhere. One that is
// attached twice counts once, at its first place, but for a character's, who
// may not be shown. One that is gone is noted.
func (s *Sessions) attached(ctx context.Context, v Settings, p worn, cast []*part, report *llm.Report) ([]Attached, error) {
	var all []Attached
	add := func(a Attached, find func(context.Context, string) (Document, error)) error {
		d, err := find(ctx, a.ID)
		if err != nil {
			if llm.AsError(err).Code != llm.NotFound {
				return err
			}
			report.Add("no_lorebook", a.ID, "the lorebook is not there, and nothing of it is told")
			return nil
		}
		a.ID, a.Revision = d.ID, d.Revision
		if !slices.ContainsFunc(all, func(b Attached) bool { return b.ID == a.ID && b.To != ToCharacter }) {
			all = append(all, a)
		}
		return nil
	}
	byID := func(ctx context.Context, id string) (Document, error) { return s.Document(ctx, Lorebooks, id, 0) }
	for _, id := range v.Lorebooks {
		if err := add(Attached{ID: id, To: ToSession}, byID); err != nil {
			return nil, err
		}
	}
	if p.Lorebook != "" {
		if err := add(Attached{ID: p.Lorebook, To: ToPersona}, s.world); err != nil {
			return nil, err
		}
	}
	for _, p := range cast {
		if world := p.card.World(); world != "" {
			if own := p.card.Book; own != nil && strings.EqualFold(own.Name, world) {
				if _, err := s.world(ctx, world); err != nil && llm.AsError(err).Code == llm.NotFound {
					continue // the edition within the card is told
				}
			}
			if err := add(Attached{ID: world, To: ToCharacter, Character: p.cast.ID}, s.world); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range s.everywhere {
		if err := add(Attached{ID: id, To: ToEverything}, byID); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// world finds the lorebook that a card or a persona names: by its id, else by its name.
func (s *Sessions) world(ctx context.Context, name string) (Document, error) {
	d, err := s.Document(ctx, Lorebooks, name, 0)
	if err == nil || llm.AsError(err).Code != llm.NotFound {
		return d, err
	}
	all, listErr := s.alike(ctx, Lorebooks, name)
	if listErr != nil {
		return Document{}, listErr
	}
	for _, o := range all {
		if strings.EqualFold(o.Name, name) {
			return s.Document(ctx, Lorebooks, o.ID, 0)
		}
	}
	return Document{}, err
}

// lore puts the lorebooks of a reply into its scene. A lorebook that a card
// names takes the place of the one of the same name within the card, of which
// it is the newer edition.
func (s *Sessions) lore(ctx context.Context, sc *scene.Scene, v Settings, cast []*part, attached []Attached) error {
	characters, everywhere := v.Lore.ranks()
	have := map[string]bool{}
	sc.Lore.Rank = characters
	if l := v.Lore; l != nil {
		sc.Lore.Depth, sc.Lore.Budget, sc.Lore.Recursive, sc.Lore.Parts = l.ScanDepth, l.Budget, l.Recursive, l.Partial
	}
	for _, a := range attached {
		if have[a.ID] {
			continue
		}
		d, err := s.Document(ctx, Lorebooks, a.ID, a.Revision)
		if err != nil {
			return err
		}
		book, _, err := character.ReadBook(d.Data)
		if err != nil {
			return err
		}
		b := lorebook.Book{Name: d.Name, Book: &book}
		switch a.To {
		case ToCharacter:
			i := slices.IndexFunc(cast, func(p *part) bool { return p.cast.ID == a.Character })
			if i < 0 || sc.Shown != nil && !sc.Shown[i] {
				continue
			}
			b.Rank = characters
			if own := sc.Cards[i].Book; own != nil && (strings.EqualFold(own.Name, d.Name) || strings.EqualFold(own.Name, d.ID)) {
				sc.Cards[i].Book = nil
			}
		case ToPersona:
			b.Rank = 1
		case ToEverything:
			b.Rank = everywhere
		}
		sc.Books, have[a.ID] = append(sc.Books, b), true
	}
	return nil
}
