package session

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/character"
	"parley/internal/limits"
	"parley/llm"
)

// A part is a character as composition needs it.
type part struct {
	cast Cast
	who  character.Character
}

// part reads a revision of a character; 0 is the newest.
func (s *Sessions) part(ctx context.Context, id string, revision int64) (*part, error) {
	c, err := s.store.Character(ctx, id, revision)
	if err != nil {
		return nil, err
	}
	if c.Deleted && revision == 0 {
		return nil, NoCharacter(id)
	}
	who, err := character.Parse(c.File, c.Data)
	if err != nil {
		return nil, err
	}
	return &part{Cast{c.ID, c.Revision}, who}, nil
}

func (p *part) name() string { return p.who.Name }

// greetings are the first messages to choose from.
func (p *part) greetings(v Settings) []string {
	if p.who.Greeting == "" {
		return nil
	}
	return []string{character.Fill(p.who.Greeting, p.user(v), p.name())}
}

// user is what the person is called who talks to the character.
func (p *part) user(v Settings) string {
	if v.User == "" && p.who.User != "" {
		return p.who.User
	}
	if v.User == "" {
		return "You"
	}
	return v.User
}

// A scene is a talk made ready for a model.
type scene struct {
	conversation chat.Conversation
	stop         []string // what the model is not to go on with: the others' turns
	names        []string // with which of them a reply may begin that is cut off
	report       llm.Report
}

// compose makes a conversation of the talk that a reply answers. It depends on
// nothing but the session as it was at the reply's base, the character's
// revision and the reply's kind: the same again gives the same.
func (s *Sessions) compose(ctx context.Context, t *Tree, at Place, r *Reply) (scene, error) {
	settings := t.Session.At(r.Base)
	n := &t.Nodes[at.Message-1]
	var who *part
	if r.Character.ID != "" {
		var err error
		if who, err = s.part(ctx, r.Character.ID, r.Character.Revision); err != nil {
			return scene{}, err
		}
	}
	var sc scene
	add := func(m chat.Message) { sc.conversation.Messages = append(sc.conversation.Messages, m) }
	if text := introduction(settings, who); text != "" {
		add(chat.Say(chat.System, text))
	}
	talk := t.Messages(n.Parent, r.Base)
	if r.Kind == Continue {
		before := Message{Role: n.Role, Author: n.Author, Version: n.Versions[r.Continued]}
		before.Reply = nil // its tokens are the beginning of a text that goes on
		talk = append(talk, before)
	}
	talk = slices.DeleteFunc(talk, func(m Message) bool { return m.Text == "" && m.State != Complete })
	people := peopleOf(talk, settings, who)
	depth := settings.NoteDepth
	if r.Kind == Continue {
		depth = max(depth, 1) // nothing may stand behind what goes on
	}
	for i, m := range talk {
		if settings.Note != "" && i == max(len(talk)-depth, 0) {
			add(chat.Say(chat.System, settings.Note))
		}
		add(people.message(m, &sc.report))
	}
	if settings.Note != "" && (depth == 0 || len(talk) == 0) {
		add(chat.Say(chat.System, settings.Note))
	}
	if r.Kind == Impersonate {
		add(chat.Say(chat.System, fmt.Sprintf("Write the next message of %s in this conversation, from their point of view, and nothing else.", people.user)))
	}
	sc.conversation.Continue = r.Kind == Continue
	sc.conversation.Layout.Fit = settings.Fit
	sc.stop, sc.names = people.turns(r.Kind)
	return sc, nil
}

// introduction is what stands before the talk.
func introduction(v Settings, who *part) string {
	var parts []string
	user, char := v.User, ""
	if who != nil {
		user, char = who.user(v), who.name()
	}
	for _, text := range []string{v.System, contextOf(who), v.Persona} {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if who != nil {
			text = character.Fill(text, user, char)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "\n\n")
}

func contextOf(who *part) string {
	if who == nil {
		return ""
	}
	return who.who.Context
}

// people are those who talk, by the names that the model sees.
type people struct {
	user  string
	char  string
	names []string // of users, in the order in which they came
	many  bool     // more than one of them: names are told
}

func peopleOf(talk []Message, v Settings, who *part) people {
	p := people{user: v.User}
	if who != nil {
		p.user, p.char = who.user(v), who.name()
	}
	if p.user == "" {
		p.user = "the user"
	}
	for _, m := range talk {
		if m.Role != chat.User {
			continue
		}
		name := p.seen(m.Author)
		if name != "" && !slices.Contains(p.names, name) {
			p.names = append(p.names, name)
		}
	}
	p.many = len(p.names) > 1 || len(p.names) == 1 && p.names[0] != v.User
	return p
}

// seen is an author's name for the model: on one line, without what ends a
// name, and never the character's own.
func (p people) seen(a Author) string {
	name := strings.Join(strings.FieldsFunc(a.Name, func(r rune) bool {
		return r <= ' ' || r == ':' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\u0085'
	}), " ")
	if name == "" {
		name = strings.TrimSpace(a.ID)
	}
	if p.char != "" && strings.EqualFold(name, p.char) {
		name += " (user)"
	}
	return name
}

// message is a message of the talk for a model.
func (p people) message(m Message, report *llm.Report) chat.Message {
	out := chat.Say(m.Role, m.Text)
	switch {
	case m.Role == chat.User && p.many:
		out.Name = p.seen(m.Author)
		if text, forged := p.quoted(m.Text); forged {
			out.Parts[0].Text = text
			report.Add("names_quoted", fmt.Sprint(m.ID), "lines of the message begin with somebody's name: they are quoted, so that they are not taken for their words")
		}
	case m.Role == chat.Assistant:
		out.Reasoning = m.Reasoning
		if m.Reply != nil && m.State == Complete {
			out.Tokens = m.Reply.Tokens
		}
		if p.many {
			out.Name = p.char
		}
	}
	return out
}

// quoted puts "> " before the lines of a user's text that look like the turn
// of somebody.
func (p people) quoted(text string) (string, bool) {
	lines := strings.SplitAfter(text, "\n")
	forged := false
	for i, line := range lines {
		for _, name := range append(slices.Clone(p.names), p.char) {
			rest, ok := cutFold(strings.TrimLeft(line, " \t[*_"), name)
			if name != "" && ok && strings.HasPrefix(strings.TrimLeft(rest, " \t]*_"), ":") {
				lines[i], forged = "> "+line, true
				break
			}
		}
	}
	return strings.Join(lines, ""), forged
}

func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// turns are the beginnings of turns that a reply must not go on with, and the
// names with which it may itself begin.
func (p people) turns(kind Kind) (stop, own []string) {
	if !p.many {
		return nil, nil
	}
	names := slices.Clone(p.names)
	if kind == Impersonate {
		own, names = names, []string{p.char}
	} else if p.char != "" {
		own = []string{p.char}
	}
	for _, name := range names {
		if s := "\n" + name + ":"; name != "" && len(stop) < limits.NameStops.Int() && limits.StopBytes.CheckInt(len(s)) == nil {
			stop = append(stop, s)
		}
	}
	return stop, own
}
