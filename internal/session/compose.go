package session

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/character"
	"parley/internal/lorebook"
	"parley/internal/scene"
)

// A part is a character as composition needs it.
type part struct {
	cast Cast
	card character.Card
}

// part reads a revision of a character; 0 is the newest.
func (s *Sessions) part(ctx context.Context, id string, revision int64) (*part, error) {
	c, err := s.Document(ctx, Characters, id, revision)
	if err != nil {
		return nil, err
	}
	card, _, err := character.ReadCard(c.File, c.Data)
	if err != nil {
		return nil, err
	}
	return &part{Cast{c.ID, c.Revision}, card}, nil
}

func (p *part) name() string { return p.card.Called() }

// draw is where chance comes from: always the same for the same session and
// place in it.
func draw(session string, at ...int64) uint64 {
	h := fnv.New64a()
	h.Write([]byte(session))
	binary.Write(h, binary.LittleEndian, at)
	return h.Sum64()
}

// set is a session without its messages, as a scene.
func set(x Session, v Settings, who []*part) scene.Scene {
	sc := scene.Scene{
		User: v.User, Persona: v.Persona, Main: v.System, Scenario: v.Scenario, Summary: v.Summary, Style: v.Style, Names: v.Names, Order: v.Order,
		Started: x.Created, Chat: draw(x.ID), Lore: scene.LoreSettings{Greeting: -1},
	}
	for _, p := range who {
		sc.Cards = append(sc.Cards, p.card)
	}
	if v.Note != "" {
		sc.Notes = []scene.Note{{Text: v.Note, Depth: v.NoteDepth}}
	}
	return sc
}

// compose makes a conversation of the talk that a reply answers. It depends on
// nothing but the session as it was at the reply's base, the revisions of
// characters, lorebooks, persona and preset, the reply's kind and budget, when it was asked for,
// and how the model counts tokens: the same again gives the same.
func (s *Sessions) compose(ctx context.Context, t *Tree, at Place, r *Reply, model Answerer) (scene.Composed, error) {
	if r.Kind == Summarise {
		return s.task(ctx, t, at, r)
	}
	settings := t.Session.At(r.Base)
	n := t.Nodes[at.Message-1]
	cast, speaker, err := s.recast(ctx, r)
	if err != nil {
		return scene.Composed{}, err
	}
	persona, err := s.wear(ctx, r.Persona)
	if err != nil {
		return scene.Composed{}, err
	}
	preset, err := s.preset(ctx, r.Preset)
	if err != nil {
		return scene.Composed{}, err
	}
	settings = persona.under(settings)
	sc := set(t.Session, settings, cast)
	sc.PersonaPlace = persona.Place
	preset.settle(&sc, r.Preset.Asked)
	if sc.Speaker = speaker; len(cast) > 1 {
		sc.Shown = settings.shown(speaker)
	}
	if err := s.lore(ctx, &sc, settings, cast, r.Lorebooks); err != nil {
		return scene.Composed{}, err
	}
	sc.Now, sc.Seed = r.Asked, draw(t.Session.ID, r.Base, int64(at.Message))
	path := t.Path(n.Parent)
	sc.Lore.Greeting = t.greeting(path)
	var until int
	sc.Summary, until = t.recall(r.Summary, settings)
	sc.Messages = make([]scene.Message, 0, len(path)+1)
	names, files := newNamesakes(), attachedFiles{}
	add := func(m Message) {
		if m.Text != "" || m.State == Complete || len(m.ToolCalls) > 0 {
			sc.Messages = append(sc.Messages, names.said(m, r.Model))
			files.note(sc.Messages[len(sc.Messages)-1], m.Attachments)
		}
		if m.ID == until {
			sc.Summarised = len(sc.Messages)
		}
	}
	for m := range t.talk(path, r.Base) {
		if m.Reply != nil && m.Reply.Mind != nil {
			sc.Lore.State = m.Reply.Mind
		}
		add(m)
	}
	switch r.Kind {
	case Continue:
		sc.Kind = scene.Continue
		before := Message{ID: n.ID, Role: n.Role, Author: n.Author, Version: n.Versions[r.Continued]}
		add(before)
	case Impersonate:
		sc.Kind = scene.Impersonate
	case Answer:
		if slices.ContainsFunc(t.Nodes[:n.ID-1], func(o *Node) bool { return o.Parent == n.Parent && o.Role == n.Role }) {
			sc.Lore.Trigger = "swipe"
		}
	}
	tools := r.Tools.over(settings.Tools)
	c, err := s.fitted(ctx, sc, tools, files, settings, r, model)
	if err == nil {
		err = tools.offer(&c, r.Kind, sc.Style)
	}
	if err == nil {
		err = files.read(ctx, s, t.Session.ID, c.Conversation)
	}
	c.Conversation.Layout.Media = settings.Media
	if r.Budget > 0 {
		c.Conversation.Layout.Reply = max(model.Info.Context-r.Budget, 0)
	}
	if c.Conversation.Layout.Fit = settings.Fit; settings.Fit == chat.FitDefault {
		c.Conversation.Layout.Fit = chat.FitDropOldest
	}
	return c, err
}

// namesakes tells people of the same name apart.
type namesakes struct {
	told map[Author]string   // what each of them is called
	ids  map[string][]string // of those whose names look the same, in the order in which they came
}

func newNamesakes() namesakes {
	return namesakes{told: map[Author]string{}, ids: map[string][]string{}}
}

// said is a message whose author is told apart from others.
func (all namesakes) said(m Message, model string) scene.Message {
	if m.Role == chat.User {
		m.Author.Name = all.tell(m.Author)
	}
	return said(m, model)
}

// tell is what a user is called: by his name, with a number if somebody else
// had it before.
func (all namesakes) tell(a Author) string {
	if a.ID == "" || strings.TrimSpace(a.Name) == "" {
		return a.Name
	}
	name, ok := all.told[a]
	if ok {
		return name
	}
	like := scene.Likeness(a.Name)
	at := slices.Index(all.ids[like], a.ID)
	if at < 0 {
		at = len(all.ids[like])
		all.ids[like] = append(all.ids[like], a.ID)
	}
	if name = a.Name; at > 0 {
		name = fmt.Sprintf("%s (%d)", name, at+1)
	}
	all.told[a] = name
	return name
}

// said is a message of the talk for a scene that a model gets. Token ids are
// those of the model that generated them, and mean nothing to another.
func said(m Message, model string) scene.Message {
	out := scene.Message{ID: strconv.Itoa(m.ID), Message: chat.Message{Role: m.Role, Parts: m.parts()}}
	out.Name = m.Author.Name
	if strings.TrimSpace(out.Name) == "" {
		out.Name = m.Author.ID
	}
	if out.ToolCallID = m.ToolCallID; m.Role == chat.Tool {
		out.Name = ""
	}
	if m.Role == chat.Assistant {
		out.Reasoning = m.Reasoning
		for _, c := range m.ToolCalls {
			out.ToolCalls = append(out.ToolCalls, chat.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments})
		}
		if m.Reply != nil && m.Reply.Model == model {
			out.Tokens = m.Reply.Tokens
		}
	}
	return out
}

// greeting is which of the first messages the talk began with, from 0; -1 if
// it began with none.
func (t *Tree) greeting(path []int) int {
	if len(path) == 0 || t.Nodes[path[0]-1].Role != chat.Assistant {
		return -1
	}
	return path[0] - 1 // greetings are the first messages of a session
}

// told keeps of what lorebooks told that and why, and not the texts.
func told(all []lorebook.Verdict) []lorebook.Verdict {
	all = slices.DeleteFunc(slices.Clone(all), func(v lorebook.Verdict) bool { return !v.Told })
	for i := range all {
		all[i].Text = ""
	}
	return all
}
