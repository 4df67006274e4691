package catalog

import (
	"context"

	"parley/chatformat"
	"parley/internal/server"
	"parley/internal/upstream"
	"parley/llm"
)

// A Remote is a model on an engine that is reached over HTTP.
type Remote struct {
	Engine upstream.Options
	Model  string // as the engine calls it; "" is the one that it serves

	Chat chatformat.Options

	// Of a model that is laid out here.
	Format func(llm.Info) (chatformat.Format, error) // nil is chatformat.Detect

	Context  int        // tokens that a request may have, where the engine does not tell; 0: not known
	Sampling llm.Params // recommended

	explain explainer
}

// Open reaches the engine and makes the model usable. The caller closes what
// it gives.
func (r Remote) Open(ctx context.Context) (*Loaded, error) {
	o := r.Engine
	o.Context, o.Sampling, o.Layout = r.Context, r.Sampling, r.Chat
	if o.Way == "" && r.Format != nil {
		o.Way = upstream.AsModel // whoever names a format wants it used
	}
	e, err := upstream.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	loaded, err := r.talking(ctx, e)
	if err != nil {
		e.Close()
		return nil, err
	}
	return loaded, nil
}

// talking makes a model of an engine into something that answers
// conversations.
func (r Remote) talking(ctx context.Context, e *upstream.Engine) (*Loaded, error) {
	opened, err := e.Open(ctx, r.Model)
	if err != nil {
		return nil, err
	}
	opened.Model, opened.Responder = r.explain.model(opened.Model), r.explain.responder(opened.Responder)
	l := &Loaded{
		Info: opened.Info, Model: opened.Model, Responder: opened.Responder, Promises: opened.Promises, Close: e.Close,
		Gone:   e.Gone(),
		Engine: server.Engine{Kind: e.Kind().Name, Version: e.Version(), URL: e.URL(), Way: string(opened.Way)},
	}
	if opened.Way == upstream.AsChat {
		return l, nil
	}
	find := r.Format
	if find == nil {
		find = chatformat.Detect
	}
	format, err := find(opened.Info)
	if err != nil {
		if hidden := llm.AsError(err); opened.Info.ChatTemplate == "" && r.Format == nil {
			hidden.Message = e.Kind().Title + " at " + e.URL() + " does not tell the model's chat template"
		}
		return nil, err
	}
	chat := r.Chat
	chat.TextOnly = opened.TextOnly
	l.Format = format.Name()
	l.Responder = chatformat.NewResponder(opened.Model, format, chat)
	return l, nil
}
