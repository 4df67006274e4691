package scene

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/chat"
	"parley/internal/character"
	"parley/internal/limits"
)

// people are those who talk, by the names that the model sees.
type people struct {
	user  string
	chars []string // the characters, by card
	users []string // of messages, in the order in which they came
	told  bool     // whether names are told

	names map[string]string // of users, as messages have them: what the model sees
	turns Quoter            // whose turns a user's lines must not look like
}

func newPeople(s *Scene) people {
	p := people{user: PlainName(s.User), names: map[string]string{}}
	if p.user == "" {
		p.user = "User"
	}
	for _, card := range s.Cards {
		p.chars = append(p.chars, PlainName(card.Called()))
	}
	p.user = p.apart(p.user)
	for _, m := range s.Messages {
		if name := p.of(m.Message); m.Role == chat.User && !slices.Contains(p.users, name) {
			p.users = append(p.users, name)
		}
	}
	many := len(s.Cards) > 1 || len(p.users) > 1 || len(p.users) == 1 && p.users[0] != p.user
	p.told = s.Style != Turns || s.Names == NamesAlways || s.Names == NamesIfMany && many
	p.turns = NewQuoter(p.all())
	return p
}

// apart is a user's name by which no model takes him for a character.
func (p *people) apart(name string) string {
	if like := Likeness(name); slices.ContainsFunc(p.chars, func(c string) bool { return Likeness(c) == like }) {
		return name + " (user)"
	}
	return name
}

// of is the name of a message's speaker. No user has a character's name.
func (p *people) of(m chat.Message) string {
	if m.Role == chat.User {
		name, ok := p.names[m.Name]
		if !ok {
			if name = PlainName(m.Name); name == "" {
				name = p.user
			}
			name = p.apart(name)
			p.names[m.Name] = name
		}
		return name
	}
	name := PlainName(m.Name)
	switch m.Role {
	case chat.Assistant:
		if name == "" && len(p.chars) > 0 {
			return p.chars[0]
		}
	}
	return name
}

// all are the names of everyone.
func (p *people) all() []string {
	all := slices.Concat(p.chars, p.users, []string{p.user})
	slices.Sort(all)
	return slices.Compact(all)
}

// Script gives the messages from one on, each with its speaker before it, as
// people read a talk. Empty ones are left out.
func (s *Scene) Script(from int) iter.Seq[string] {
	return func(yield func(string) bool) {
		p := newPeople(s)
		for _, m := range s.Messages[from:] {
			name, text := p.of(m.Message), strings.TrimSpace(m.Text())
			switch {
			case text == "":
				continue
			case m.Role == chat.User:
				text, _ = p.turns.Quote(text)
			case m.Role == chat.Tool:
				text, _ = p.turns.Quote(text)
				name = "Tool"
			case name == "" && m.Role == chat.System:
				name = "Note"
			case name == "":
				name = "Assistant"
			}
			if !yield(name + ": " + text) {
				return
			}
		}
	}
}

// stops are the beginnings of turns that the one who speaks must not go on
// with.
func (p *people) stops(speaker string) (stops []string) {
	if !p.told && len(p.chars) == 0 {
		return nil
	}
	for _, name := range p.all() {
		if name != "" && name != speaker && len(stops) < limits.NameStops.Int() {
			stops = append(stops, "\n"+name+":")
		}
	}
	return stops
}

// A block is one example conversation.
type block struct {
	name  string // of the card
	raw   string // text without speakers, which is told as it is
	turns []chat.Message
}

// examples divides a card's example conversations into turns. A line that
// begins with the user's or a character's name and a colon begins a turn,
// others go on with it; a block in which nobody speaks stays one text.
func (p *people) examples(text string, card int) (blocks []block) {
	for _, part := range splitFold(text, "<START>") {
		part = strings.Trim(part, "\r\n")
		if strings.TrimSpace(part) == "" {
			continue
		}
		b := block{name: p.chars[card]}
		before := ""
		for line := range strings.SplitSeq(part, "\n") {
			line = strings.TrimSuffix(line, "\r")
			role, name, said, ok := p.speaks(line, card)
			last := len(b.turns) - 1
			switch {
			case ok && last >= 0 && b.turns[last].Name == name:
				b.turns[last].Parts[0].Text += "\n" + said
			case ok:
				m := chat.Say(role, before+said)
				m.Name, before = name, ""
				b.turns = append(b.turns, m)
			case last >= 0:
				b.turns[last].Parts[0].Text += "\n" + line
			default:
				before += line + "\n"
			}
		}
		if len(b.turns) == 0 {
			b.raw = part
		}
		for i := range b.turns {
			b.turns[i].Parts[0].Text = strings.TrimSpace(b.turns[i].Parts[0].Text)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// speaks reads a line that begins a turn.
func (p *people) speaks(line string, card int) (role chat.Role, name, said string, ok bool) {
	head, said, found := strings.Cut(line, ":")
	if !found {
		return "", "", "", false
	}
	said = strings.TrimLeft(said, " ")
	if head == p.user {
		return chat.User, p.user, said, true
	}
	for i, name := range p.chars {
		if head == name || i == card && head == PlainName(name) {
			return chat.Assistant, name, said, true
		}
	}
	return "", "", "", false
}

// splitFold divides text at a mark in any case of letters.
func splitFold(text, mark string) (parts []string) {
	lower := strings.ToLower(text)
	if len(lower) != len(text) { // some letters change their length: the mark as it is written
		return strings.Split(text, mark)
	}
	from := 0
	for {
		at := strings.Index(lower[from:], strings.ToLower(mark))
		if at < 0 {
			return append(parts, text[from:])
		}
		parts = append(parts, text[from:from+at])
		from += at + len(mark)
	}
}

// mentioned is where a text first names a character, as the number of a word:
// by one word of its name or nickname that can be told from any other; -1 if
// it does not.
func mentioned(text string, card character.Card) int {
	inName := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !inName(r) })
	first := -1
	for _, name := range []string{card.Name, card.Nickname} {
		parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !inName(r) })
		for _, part := range parts {
			common := len(parts) > 1 && (utf8.RuneCountInString(part) < 3 || part == "the" || part == "and")
			if at := slices.Index(words, part); !common && at >= 0 && (first < 0 || at < first) {
				first = at
			}
		}
	}
	return first
}
