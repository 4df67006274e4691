package session

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/scene"
	"parley/llm"
)

// A Member is a character of a company.
type Member struct {
	ID    string `json:"id"`
	Muted bool   `json:"muted,omitempty"` // is not chosen to speak, unless asked by name
}

// Cards says whose texts the prompt of a company has.
type Cards string

// The ways. All but CardsSwap leave the beginning of the prompt the same
// whoever speaks, so that an engine need not read it again.
const (
	CardsJoin Cards = ""           // those of all who are not muted, and of the speaker
	CardsAll  Cards = "join_muted" // everyone's
	CardsSwap Cards = "swap"       // the speaker's
)

// Members are who is there: a company, or the session's one character.
func (v Settings) Members() []Member {
	if len(v.Characters) == 0 && v.Character != "" {
		return []Member{{ID: v.Character}}
	}
	return v.Characters
}

// turn is how it is decided who answers.
func (v *Settings) turn() scene.Turn {
	if v.Turn == "" {
		return scene.TurnNatural
	}
	return v.Turn
}

// shown says of each member whether the prompt has its texts; nil is everyone.
func (v *Settings) shown(speaker int) []bool {
	if len(v.Characters) == 0 || v.Cards == CardsAll {
		return nil
	}
	shown := make([]bool, len(v.Characters))
	for i, m := range v.Characters {
		shown[i] = i == speaker || v.Cards == CardsJoin && !m.Muted
	}
	return shown
}

func (v *Settings) checkCompany() error {
	if err := limits.Company.CheckInt(len(v.Characters)); err != nil {
		return llm.Errorf(llm.Invalid, "characters", "%v", err)
	}
	if len(v.Characters) > 0 && v.Character != "" {
		return &llm.Error{Code: llm.Invalid, Field: "characters", Message: "a session has one character or a company of several", Hint: `send "character": "" along, to make a company of it`}
	}
	for i, m := range v.Characters {
		path := fmt.Sprintf("characters[%d]", i)
		if err := limits.NameBytes.CheckInt(len(m.ID)); err != nil {
			return llm.Errorf(llm.Invalid, path, "%v", err)
		}
		if m.ID == "" || slices.ContainsFunc(v.Characters[:i], func(o Member) bool { return o.ID == m.ID }) {
			return llm.Errorf(llm.Invalid, path, "the character has no id, or is there twice")
		}
	}
	if v.Turn != "" && !slices.Contains(scene.AllTurns(), v.Turn) {
		return llm.Errorf(llm.Invalid, "turn", "there is no %q; there are %v", v.Turn, scene.AllTurns())
	}
	if !slices.Contains([]Cards{CardsJoin, CardsAll, CardsSwap}, v.Cards) {
		return llm.Errorf(llm.Invalid, "cards", "there is no %q; there are join_muted and swap", v.Cards)
	}
	return nil
}

// identify puts ids in the place of what people call characters.
func (s *Sessions) identify(ctx context.Context, v *Settings) error {
	v.Characters = slices.Clone(v.Characters)
	names := []*string{&v.Character}
	for i := range v.Characters {
		names = append(names, &v.Characters[i].ID)
	}
	for _, name := range names {
		if *name == "" {
			continue
		}
		_, err := s.Document(ctx, Characters, *name, 0)
		if err != nil && llm.AsError(err).Code == llm.NotFound {
			var d Document
			if d, err = s.Named(ctx, *name); err == nil {
				*name = d.ID
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cast reads the newest revisions of who is there.
func (s *Sessions) cast(ctx context.Context, v Settings) ([]*part, error) {
	var all []*part
	for i, m := range v.Members() {
		p, err := s.part(ctx, m.ID, 0)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			if strings.EqualFold(o.name(), p.name()) {
				return nil, &llm.Error{Code: llm.Invalid, Field: fmt.Sprintf("characters[%d]", i), Message: "two characters of the company are called " + p.name(), Hint: "give one of them a nickname"}
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// recast reads who was there when a reply was asked for, and which of them
// speaks.
func (s *Sessions) recast(ctx context.Context, r *Reply) (all []*part, speaker int, err error) {
	company := r.Company
	if len(company) == 0 && r.Character.ID != "" {
		company = []Cast{r.Character}
	}
	for i, c := range company {
		p, err := s.part(ctx, c.ID, c.Revision)
		if err != nil {
			return nil, 0, err
		}
		if all = append(all, p); c.ID == r.Character.ID {
			speaker = i
		}
	}
	return all, speaker, nil
}

// A job is a reply to begin, before it is known who speaks.
type job struct {
	node  *Node     // a message that goes on; nil: a new one
	new   chat.Role // of a new one
	after int       // the message behind which it stands
	reply Reply
	said  int   // the message that was sent with it
	keep  *Node // whose speaker speaks; nil: who is chosen
	ask   Ask
}

// A round is who speaks behind a reply.
type round struct {
	rest []string // those who were chosen and have not spoken
	left int      // how many more replies there may be
	anew bool     // whether more are chosen when all have spoken
}

// speaker decides who of the cast speaks; -1 if nobody is to.
func (s *Sessions) speaker(t *Tree, j *job, cast []*part) (int, round, error) {
	v := t.Session.Now()
	alone := round{left: max(0, j.ask.Replies-1), anew: true}
	if j.ask.Speaker != "" {
		if j.new == chat.User || j.node != nil {
			return 0, round{}, llm.Errorf(llm.Invalid, "speaker", "it is known who speaks here")
		}
		for i, p := range cast {
			if p.cast.ID == j.ask.Speaker || strings.EqualFold(p.name(), j.ask.Speaker) || strings.EqualFold(p.card.Name, j.ask.Speaker) {
				return i, alone, nil
			}
		}
		return 0, round{}, &llm.Error{Code: llm.Invalid, Field: "speaker", Message: "there is no such character in the session", Hint: "name one of its characters by id or name"}
	}
	if len(v.Characters) == 0 {
		return 0, round{}, nil
	}
	if j.keep != nil {
		if i := speakerOf(j.keep, cast); i >= 0 {
			return i, alone, nil
		}
		if j.new != chat.Assistant {
			return 0, alone, nil
		}
	}
	chosen, err := s.choose(t, j.after, cast)
	if err != nil || len(chosen) == 0 {
		return -1, round{}, err
	}
	r := alone
	for _, i := range chosen[1:] {
		r.rest = append(r.rest, cast[i].cast.ID)
	}
	switch {
	case j.ask.Replies > 0:
	case j.ask.Round:
		r.left, r.anew = len(r.rest), false
	default:
		r = round{}
	}
	return chosen[0], r, nil
}

// choose decides who answers a message.
func (s *Sessions) choose(t *Tree, message int, cast []*part) ([]int, error) {
	v := t.Session.Now()
	c := scene.Choice{How: v.turn(), Self: v.SelfAnswers, Seed: draw(t.Session.ID, t.Session.Revision, int64(message))}
	for i, p := range cast {
		c.Cards, c.Muted = append(c.Cards, p.card), append(c.Muted, v.Characters[i].Muted)
	}
	for m := range t.talk(t.Path(message), t.Session.Revision) {
		c.Messages = append(c.Messages, said(m, ""))
	}
	return c.Speakers()
}

// speakerOf finds who of the cast a message is by; -1 if none of them.
func speakerOf(n *Node, cast []*part) int {
	for _, is := range []func(*part) bool{
		func(p *part) bool { return p.cast.ID == n.Author.ID },
		func(p *part) bool { return n.last().Reply != nil && p.cast.ID == n.last().Reply.Character.ID },
		func(p *part) bool { return n.Author.Name != "" && p.name() == n.Author.Name },
	} {
		if i := slices.IndexFunc(cast, is); i >= 0 && n.Role == chat.Assistant {
			return i
		}
	}
	return -1
}

// ErrNobody is why there is no reply that somebody asked for.
var ErrNobody = &llm.Error{Code: llm.Invalid, Field: "speaker", Message: "nobody of the company is to answer: all are muted, or speak only when they are told to",
	Hint: "say who with speaker"}

// next begins the reply of who speaks behind one that is complete; nil if
// nobody does. It is stored with the end of the other.
func (s *Sessions) next(ctx context.Context, t *Tree, r *Run) *Run {
	if r.round.left <= 0 || t.Session.Head != r.Place.Message {
		return nil
	}
	v := t.Session.Now()
	cast, err := s.cast(ctx, v)
	rest, speaker := r.round.rest, -1
	for len(rest) > 0 && speaker < 0 {
		speaker = slices.IndexFunc(v.Characters, func(m Member) bool { return m.ID == rest[0] && !m.Muted })
		rest = rest[1:]
	}
	if err == nil && speaker < 0 && r.round.anew && len(v.Characters) > 0 {
		var chosen []int
		if chosen, err = s.choose(t, r.Place.Message, cast); len(chosen) > 0 {
			speaker = chosen[0]
			for _, i := range chosen[1:] {
				rest = append(rest, cast[i].cast.ID)
			}
		}
	}
	var next *Run
	if err == nil && speaker >= 0 {
		j := &job{new: chat.Assistant, after: r.Place.Message, reply: Reply{Kind: Answer}, ask: r.ask}
		if next, err = s.put(ctx, t, j, cast, speaker, round{rest, r.round.left - 1, r.round.anew}); err != nil {
			next = nil
			t.takeBack()
		}
	}
	if err != nil && err != errClosing {
		s.log.Error("a round did not go on", "run", r.ID, "cause", err)
	}
	return next
}

// put puts a reply's message into the tree and makes its run.
func (s *Sessions) put(ctx context.Context, t *Tree, j *job, cast []*part, speaker int, more round) (*Run, error) {
	r := j.reply
	v := t.Session.Now()
	r.Base, r.Asked, r.Wanted = t.Session.Revision, s.now(), j.ask.Model
	if r.Wanted == "" {
		r.Wanted = v.Model
	}
	j.ask.Report = slices.Clone(j.ask.Report)
	persona, err := s.worn(ctx, v, &j.ask.Report)
	if err != nil {
		return nil, err
	}
	if r.Preset, err = s.use(ctx, v, j.ask.Preset, &j.ask.Report); err != nil {
		return nil, err
	}
	r.Persona = persona.cast
	if !j.ask.Tools.none() && r.Kind != Impersonate {
		r.Tools = j.ask.Tools
		if _, _, err := r.Tools.over(v.Tools).read(); err != nil {
			return nil, err
		}
	}
	attached, err := s.attached(ctx, v, persona, cast, &j.ask.Report)
	if err != nil {
		return nil, err
	}
	r.Lorebooks = attached
	author := Author{Name: persona.under(v).User}
	if j.new == chat.Assistant {
		author = Author{}
	}
	if len(cast) > 0 {
		r.Character = cast[speaker].cast
		if j.new == chat.Assistant {
			author.Name = cast[speaker].name()
		}
	}
	if len(v.Characters) > 0 {
		for _, p := range cast {
			r.Company = append(r.Company, p.cast)
		}
		if j.new == chat.Assistant {
			author.ID = r.Character.ID
		}
	}
	var n *Node
	if j.node != nil {
		n = t.mine(j.node.ID)
	} else {
		n = t.Nodes[t.Add(j.after, j.new, author, Version{Created: s.now(), State: Running})-1]
	}
	r.Summary = t.recalled(n.Parent, r.Base, 0)
	place := Place{t.Session.ID, n.ID, len(n.Versions) - 1}
	version := n.Versions[place.Version]
	version.Reply = &r
	if n.Versions[place.Version] = version; n.ID <= t.known {
		t.wrote[len(t.wrote)-1].Value = version
	}
	run := newRun(place, r)
	run.ask, run.round = j.ask, more
	run.text.WriteString(version.Text)
	run.thoughts.WriteString(version.Reasoning)
	run.outcome.Message.Version.Created = version.Created
	run.tell(EventStarted, Started{run.ID, t.Session.ID, n.ID, n.Parent, r.Kind, n.Author})
	return run, s.claim(run)
}
