package session

import (
	"context"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/scene"
	"parley/internal/wire"
	"parley/llm"
)

// A Persona is who a person is in talks. Its document is JSON.
type Persona struct {
	Name        string // what the person is called
	Description string // who that is, with macros
	Place       scene.PersonaPlace
	Lorebook    string // by its id or name; told wherever the persona talks
}

// ReadPersona reads a persona's document.
func ReadPersona(data []byte) (p Persona, err error) {
	o, done, err := openDocument(data)
	if err != nil {
		return Persona{}, err
	}
	p = Persona{Name: o.Bounded("name", limits.NameBytes), Description: o.Bounded("description", limits.MessageBytes), Lorebook: o.Bounded("lorebook", limits.NameBytes)}
	p.Place = scene.PersonaPlace{Position: scene.PersonaPosition(o.Text("position")), Role: chat.Role(o.Text("role"))}
	if n, _ := o.Integer(limits.NoteDepth, "depth"); n != nil {
		p.Place.Depth = *n
	}
	if err := done("name, description, position, depth, role and lorebook"); err != nil {
		return Persona{}, err
	}
	if p.Name == "" {
		return Persona{}, &llm.Error{Code: llm.Invalid, Field: "name", Message: "the persona has no name", Hint: `send a JSON object with at least {"name": "…"}`}
	}
	return p, p.Place.Check()
}

// openDocument opens a document that is a JSON object; done reports the first
// field that is wrong, or is none of those there are.
func openDocument(data []byte) (o *wire.Object, done func(fields string) error, err error) {
	v, err := wire.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	r := &wire.Reader{}
	o = r.Object("", v)
	return o, func(fields string) error {
		o.Rest(func(name string, _ wire.Value) {
			o.Invalid(wire.Short(name), "there is no such field; there are %s", fields)
		})
		return r.Err
	}, r.Err
}

// A worn persona is one in one of its revisions; the zero value is nobody's.
type worn struct {
	cast Cast
	Persona
}

// wear reads a persona; revision 0 is the newest.
func (s *Sessions) wear(ctx context.Context, c Cast) (worn, error) {
	if c.ID == "" {
		return worn{}, nil
	}
	d, err := s.Document(ctx, Personas, c.ID, c.Revision)
	if err != nil {
		return worn{}, err
	}
	p, err := ReadPersona(d.Data)
	return worn{Cast{d.ID, d.Revision}, p}, err
}

// worn is the persona that holds now; one that is gone is noted, and nobody's.
func (s *Sessions) worn(ctx context.Context, v Settings, report *llm.Report) (worn, error) {
	p, err := s.wear(ctx, Cast{ID: v.PersonaID})
	if err != nil && llm.AsError(err).Code == llm.NotFound {
		report.Add("no_persona", v.PersonaID, "the persona is not there, and nothing of it is told")
		return worn{}, nil
	}
	return p, err
}

// under lays the persona under settings, whose own name and description go
// before its.
func (p worn) under(v Settings) Settings {
	if v.User == "" {
		v.User = p.Name
	}
	if v.Persona == "" {
		v.Persona = p.Description
	}
	return v
}

// userOf is what the person of a session is called.
func (s *Sessions) userOf(ctx context.Context, v Settings) (string, error) {
	p, err := s.worn(ctx, v, &llm.Report{})
	return p.under(v).User, err
}

// checkNamed refuses a persona or a preset that is not there, but for those
// that the settings had before.
func (s *Sessions) checkNamed(ctx context.Context, v, had Settings) error {
	for _, c := range []struct {
		field    string
		shelf    Shelf
		is, then string
	}{{"persona_id", Personas, v.PersonaID, had.PersonaID}, {"preset", Presets, v.Preset, had.Preset}} {
		if c.is == "" || c.is == c.then {
			continue
		}
		if _, err := s.Document(ctx, c.shelf, c.is, 0); err != nil {
			if e := llm.AsError(err); e.Code == llm.NotFound {
				return &llm.Error{Code: llm.NotFound, Field: c.field, Message: e.Message, Hint: "GET /parley/v1/" + string(c.shelf) + "s lists them, by their ids"}
			}
			return err
		}
	}
	return nil
}
