package chatformat

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"parley/chat"
	"parley/llm"
)

// Abilities are what a format, or an engine that lays messages out itself, can
// express as it is sent. What it can is left untouched; only what it cannot is
// repaired. They belong to the format, not to a request, so that the beginning
// of a growing conversation is always laid out in the same way.
type Abilities struct {
	SystemSlot     bool // one leading system message
	SystemRun      bool // several leading system messages
	SystemLater    bool // system messages at any later place
	SameRole       bool // users, or assistants, several times in a row
	AssistantFirst bool // no user before the first assistant
	NoUser         bool // no user at all
	Developer      bool // developer messages, told apart from system ones
	Tools          bool // results of tools as messages of their own
	Calls          bool // an assistant's tool calls
	Names          bool // names of speakers
	Media          bool // pictures
	UserMedia      bool // pictures in messages of the user, at least
	Audio          bool // sound, too, where pictures may stand
}

// AllAbilities can express everything.
func AllAbilities() Abilities {
	return Abilities{
		SystemSlot: true, SystemRun: true, SystemLater: true, SameRole: true, AssistantFirst: true, NoUser: true,
		Developer: true, Tools: true, Calls: true, Names: true, Media: true, UserMedia: true, Audio: true,
	}
}

// named are the abilities by the names that documents, answers and
// configurations use.
func (can *Abilities) named() map[string]*bool {
	return map[string]*bool{
		"system":             &can.SystemSlot,
		"several_systems":    &can.SystemRun,
		"later_systems":      &can.SystemLater,
		"same_role_in_a_row": &can.SameRole,
		"assistant_first":    &can.AssistantFirst,
		"no_user":            &can.NoUser,
		"developer":          &can.Developer,
		"tool_results":       &can.Tools,
		"tool_calls":         &can.Calls,
		"names":              &can.Names,
		"media":              &can.Media,
	}
}

// Map gives the abilities by their names.
func (can Abilities) Map() map[string]bool {
	all := map[string]bool{}
	for name, has := range can.named() {
		all[name] = *has
	}
	return all
}

// With is the abilities with some replaced, by their names.
func (can Abilities) With(said map[string]bool) (Abilities, error) {
	named := can.named()
	for _, name := range slices.Sorted(maps.Keys(said)) {
		has := named[name]
		if has == nil {
			e := llm.Errorf(llm.Invalid, "abilities."+name, "there is no ability %q", name)
			e.Hint = "there are: " + strings.Join(slices.Sorted(maps.Keys(named)), ", ")
			return can, e
		}
		*has = said[name]
	}
	return can, nil
}

// abilitiesOf names what a format can express of conversations like this one.
func abilitiesOf(f Format, c chat.Conversation) map[string]bool {
	switch f := f.(type) {
	case *Markup:
		return f.abilities.Map()
	case *Template:
		return f.Abilities(c).Map()
	}
	return nil
}

// A prober lays out shapes of conversations, as probeTurns makes them, to find
// out what can be expressed.
type prober interface {
	// takes reports whether all of the shapes are expressed faithfully.
	takes(shapes ...string) bool
	// setsApart reports whether more than white space stands between a system
	// message and its neighbours, so that it is not taken for theirs.
	setsApart(shape string, index int) bool
}

// find finds out what depends on the order of roles alone.
func find(p prober) Abilities {
	can := Abilities{
		SystemSlot: p.takes("su", "suau"),
		SameRole:   p.takes("uu", "uau", "uuau", "uaau", "uauu"),
	}
	s := ""
	if can.SystemSlot {
		s = "s"
	}
	can.SameRole = can.SameRole && p.takes(s+"uu", s+"uuau", s+"uaau")
	can.AssistantFirst = p.takes("au", s+"au", s+"auau")
	can.NoUser = p.takes("s", "sa", "a") && can.SystemSlot
	can.SystemRun = can.SystemSlot && p.takes("ssu", "sssu", "ssuau")
	can.SystemLater = can.SystemSlot && p.takes("suasu", "susu", "suaus", "us", "uas", "uasu", "suauasu", "sussu") &&
		p.setsApart("suasu", 3) && p.setsApart("suaus", 4) && p.setsApart("susu", 2)
	return can
}

// Probe finds out what a function that lays messages out can express, by
// having it lay out short conversations. It tells what depends on roles and
// their order; developer messages, tools, names and media are left out. An
// error says that it cannot lay out so much as a user's and an assistant's
// message.
func Probe(lay func([]chat.Message) (string, error)) (Abilities, error) {
	p := textProber(lay)
	if err := p.try("uau"); err != nil {
		return Abilities{}, fmt.Errorf("lay out a user's and an assistant's message: %w", err)
	}
	return find(p), nil
}

// textProber probes what gives nothing but text: the sentences of the shapes
// are looked for in it.
type textProber func([]chat.Message) (string, error)

func (lay textProber) takes(shapes ...string) bool {
	for _, s := range shapes {
		if lay.try(s) != nil {
			return false
		}
	}
	return true
}

func (lay textProber) try(shape string) error {
	_, err := lay.between(shape)
	return err
}

func (lay textProber) setsApart(shape string, index int) bool {
	between, err := lay.between(shape)
	return err == nil && strings.TrimSpace(between[index-1]) != "" &&
		(index+1 == len(shape) || strings.TrimSpace(between[index]) != "")
}

var errNotShown = errors.New("a message is left out, moved or joined to another")

// between gives what stands behind each message, up to the next one or the
// end. It is an error if a message is not there exactly once, in its place and
// apart from others.
func (lay textProber) between(shape string) ([]string, error) {
	turns := probeTurns(shape)
	text, err := lay(messages(turns))
	if err != nil {
		return nil, err
	}
	var between []string
	for i, t := range turns {
		before, after, found := strings.Cut(text, t.text())
		if !found || strings.Contains(after, t.text()) || i > 0 && before == "" {
			return nil, errNotShown
		}
		if i > 0 {
			between = append(between, before)
		}
		text = after
	}
	return append(between, text), nil
}
