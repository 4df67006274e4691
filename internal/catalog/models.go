package catalog

import (
	"context"
	"time"

	"parley/internal/server"
	"parley/llm"
)

var _ server.Models = (*Catalog)(nil)

// List gives the models in the order of the entries. Of one that was never
// loaded little is known but its name.
func (c *Catalog) List(context.Context) ([]server.Listed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []server.Listed
	for _, s := range c.slots {
		if s.Unlisted {
			continue
		}
		one := server.Listed{ID: s.Name, Aliases: s.Aliases, Created: c.created, Info: s.info, Promises: s.promises, Status: s.status()}
		if s.it != nil {
			one.Engine = s.it.Engine
		}
		list = append(list, one)
	}
	return list, nil
}

func (s *slot) status() server.Status {
	st := server.Status{
		State: s.word(), Since: s.since, Waiting: len(s.queue),
		Memory: s.memory, Group: s.Group, GPUs: s.GPUs, Err: s.err,
	}
	if s.it != nil {
		st.Running = s.it.running
		if s.it.running == 0 {
			st.Idle = time.Since(s.it.used)
		}
	}
	return st
}

func (s *slot) word() server.State {
	switch {
	case s.phase == loading:
		return server.Loading
	case s.phase == ready:
		return server.Ready
	case s.phase == unloading:
		return server.Unloading
	case len(s.queue) > 0 || s.wanted:
		return server.Waiting
	case s.err != nil:
		return server.Failed
	}
	return server.Unloaded
}

// Resolve gives what answers to a name, once it is loaded and it is the
// request's turn. A caller that goes while a model is loaded leaves the
// loading to the next.
func (c *Catalog) Resolve(ctx context.Context, name string) (server.Target, error) {
	s, report, err := c.find(name)
	if err != nil {
		return server.Target{}, err
	}
	w, err := c.acquire(ctx, s, server.AskerOf(ctx))
	if err != nil {
		return server.Target{}, err
	}
	return server.Target{ID: s.Name, Model: w.it.Model, Responder: w.it.Responder, Report: report, Release: c.release(s, w)}, nil
}

// LoadModel loads a model without using it, as soon as there is room.
func (c *Catalog) LoadModel(ctx context.Context, name string) error {
	s, err := c.named(name)
	if err != nil {
		return err
	}
	return c.bring(ctx, s)
}

// UnloadModel unloads a model when the requests that use it have ended. It is
// loaded again when it is asked for.
func (c *Catalog) UnloadModel(ctx context.Context, name string) error {
	s, err := c.named(name)
	if err != nil {
		return err
	}
	return c.dismiss(ctx, s)
}

func (c *Catalog) named(name string) (*slot, error) {
	if s := c.byName[name]; s != nil {
		return s, nil
	}
	_, _, err := c.find(name)
	if err == nil { // the rule for requests is more generous
		err = llm.Errorf(llm.NotFound, "model", "there is no model %q", name)
	}
	return nil, err
}

// Ready says that every model is loaded that is to be without being asked for,
// or which one is not.
func (c *Catalog) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.slots {
		if s.absent && s.phase != ready {
			return llm.Errorf(llm.Unavailable, "", "model %s is not loaded", s.Name)
		}
	}
	return nil
}
