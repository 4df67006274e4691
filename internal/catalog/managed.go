package catalog

import (
	"context"
	"errors"
	"iter"
	"time"

	"parley/chat"
	"parley/internal/process"
	"parley/llm"
)

// A Managed is an engine that is started here when its model is loaded, and
// ended when that is unloaded.
type Managed struct {
	process *process.Process
}

// NewManaged makes a Managed, which does not run yet.
func NewManaged(p process.Options) *Managed { return &Managed{process.New(p)} }

// Open starts the engine, waits until it is ready and makes its model usable;
// where the engine answers is not r's to say. The caller closes what it gives,
// and with it the engine.
func (m *Managed) Open(ctx context.Context, r Remote) (*Loaded, error) {
	run, err := m.process.Start(ctx)
	if err != nil {
		return nil, err
	}
	r.Engine.URL = run.URL
	r.explain = func(ctx context.Context, err error) error { return m.explain(ctx, run, err) }
	l, err := r.Open(ctx)
	if err != nil {
		err = m.explain(ctx, run, err)
		return nil, errors.Join(err, m.process.Stop(run))
	}
	closeRemote := l.Close
	l.Close = func() error { return errors.Join(closeRemote(), m.process.Stop(run)) }
	l.Gone, l.Lost = run.Gone, m.process.Crash
	l.Memory = func() int64 { return m.process.Status().Memory }
	return l, nil
}

// crashTime is how long after a connection broke off it may become known that
// the engine has crashed.
const crashTime = time.Second

// explain puts the crash of the engine in the place of an error that came of
// it. One that hangs is ended.
func (m *Managed) explain(ctx context.Context, run *process.Run, err error) error {
	if code := llm.AsError(err).Code; ctx.Err() != nil || code != llm.Broken && code != llm.Unavailable {
		return err
	}
	select {
	case <-run.Gone:
	case <-ctx.Done():
		return err
	case <-time.After(crashTime):
		if !m.process.Doubt(ctx, run) {
			return err
		}
	}
	if crash := m.process.Crash(); crash != nil {
		return crash
	}
	return err
}

// explainer turns an error of an engine into a better one.
type explainer func(context.Context, error) error

// model is a model whose errors are explained. It can do what the model can.
func (explain explainer) model(m llm.Model) llm.Model {
	if explain == nil || m == nil {
		return m
	}
	e := explained{m, explain}
	t, tokenizes := m.(llm.Tokenizer)
	v, embeds := m.(llm.Embedder)
	switch {
	case tokenizes && embeds:
		return struct {
			explained
			llm.Tokenizer
			llm.Embedder
		}{e, t, v}
	case tokenizes:
		return struct {
			explained
			llm.Tokenizer
		}{e, t}
	case embeds:
		return struct {
			explained
			llm.Embedder
		}{e, v}
	}
	return e
}

// responder is someone who answers and whose errors are explained.
func (explain explainer) responder(r chat.Responder) chat.Responder {
	if explain == nil || r == nil {
		return r
	}
	e := answering{r, explain}
	if shows, ok := r.(chat.Renderer); ok {
		return struct {
			answering
			chat.Renderer
		}{e, shows}
	}
	return e
}

type explained struct {
	inner   llm.Model
	explain explainer
}

func (e explained) Complete(ctx context.Context, p llm.Prompt, params llm.Params) iter.Seq2[llm.Piece, error] {
	return withErrors(ctx, e.inner.Complete(ctx, p, params), e.explain)
}

// Describe is what the model says of itself.
func (e explained) Describe() llm.Info {
	if d, ok := e.inner.(llm.Describer); ok {
		return d.Describe()
	}
	return llm.Info{}
}

type answering struct {
	inner   chat.Responder
	explain explainer
}

func (a answering) Respond(ctx context.Context, c chat.Conversation, params llm.Params) iter.Seq2[chat.Event, error] {
	return withErrors(ctx, a.inner.Respond(ctx, c, params), a.explain)
}

func withErrors[T any](ctx context.Context, stream iter.Seq2[T, error], explain explainer) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range stream {
			if err != nil {
				err = explain(ctx, err)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}
