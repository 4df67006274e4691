package session

import (
	"cmp"
	"context"
	"encoding/json"

	"parley/internal/limits"
	"parley/internal/scene"
	"parley/internal/wire"
	"parley/llm"
)

// A Preset is how replies are made, under a name: parameters, the order of the
// prompt's slots, and an operator's texts in them. Its document is JSON.
type Preset struct {
	Name   string
	Params json.RawMessage // as the fields of a chat completion
	Order  []scene.Slot    // nil: it says nothing of it

	Main        string // what the model is to do; with macros, as all of them
	PostHistory string // instructions behind the history
	Command     string // the task of style chat-instruct
}

// ReadPreset reads a preset's document.
func ReadPreset(data []byte) (p Preset, err error) {
	o, done, err := openDocument(data)
	if err != nil {
		return Preset{}, err
	}
	p.Name = o.Bounded("name", limits.NameBytes)
	if v, ok := o.Take("params"); ok {
		p.Params = json.RawMessage(v)
	}
	if v, ok := o.Take("order"); ok {
		o.List("order", v, limits.Lorebooks, func(path string, v wire.Value) { p.Order = append(p.Order, scene.Slot(o.TextOf(path, v))) })
	}
	if v, ok := o.Take("texts"); ok {
		texts := o.Object("texts", v)
		p.Main, p.PostHistory, p.Command = texts.Bounded("main", limits.MessageBytes), texts.Bounded("post_history", limits.MessageBytes), texts.Bounded("command", limits.MessageBytes)
		texts.Rest(func(name string, _ wire.Value) {
			o.Invalid(texts.At(wire.Short(name)), "there is no such text; there are main, post_history and command")
		})
	}
	if err := done("name, params, order and texts"); err != nil {
		return Preset{}, err
	}
	if err := scene.CheckOrder(p.Order); err != nil {
		return Preset{}, err
	}
	_, _, err = ParseParams(p.Params)
	return p, err
}

// A Used preset is one in one of its revisions.
type Used struct {
	ID       string `json:"id"`
	Revision int64  `json:"revision"`
	Asked    bool   `json:"asked,omitempty"` // the request named it: it goes before the session's own settings
}

// use finds the preset that a reply is made with: what was asked for, else the
// session's. A session's that is gone is noted.
func (s *Sessions) use(ctx context.Context, v Settings, asked string, report *llm.Report) (Used, error) {
	id := cmp.Or(asked, v.Preset)
	if id == "" {
		return Used{}, nil
	}
	d, err := s.Document(ctx, Presets, id, 0)
	if err != nil && llm.AsError(err).Code == llm.NotFound && asked == "" {
		report.Add("no_preset", id, "the preset is not there, and the reply is made without it")
		return Used{}, nil
	}
	return Used{d.ID, d.Revision, asked != ""}, err
}

// preset reads the preset of a reply.
func (s *Sessions) preset(ctx context.Context, u Used) (Preset, error) {
	if u.ID == "" {
		return Preset{}, nil
	}
	d, err := s.Document(ctx, Presets, u.ID, u.Revision)
	if err != nil {
		return Preset{}, err
	}
	return ReadPreset(d.Data)
}

// settle puts a preset into a scene.
func (p Preset) settle(sc *scene.Scene, asked bool) {
	if p.Main != "" && (asked || sc.Main == "") {
		sc.Main = p.Main
	}
	if p.Order != nil && (asked || sc.Order == nil) {
		sc.Order = p.Order
	}
	sc.PostHistory, sc.Command = p.PostHistory, p.Command
}

// usual are the parameters of a reply that its request leaves open.
func (s *Sessions) usual(ctx context.Context, v Settings, u Used) (llm.Params, error) {
	own, _, err := ParseParams(v.Params)
	if err != nil || u.ID == "" {
		return own, err
	}
	p, err := s.preset(ctx, u)
	if err != nil {
		return llm.Params{}, err
	}
	params, _, err := ParseParams(p.Params)
	if u.Asked {
		return over(params, own), err
	}
	return over(own, params), err
}
