package catalog

import (
	"context"

	"parley/internal/server"
	"parley/llm"
)

var _ server.Models = (*Catalog)(nil)

// List gives the models in the order of the entries. Of one that is not
// loaded nothing is known but its name.
func (c *Catalog) List(context.Context) ([]server.Listed, error) {
	list := make([]server.Listed, len(c.slots))
	for i, s := range c.slots {
		list[i] = server.Listed{ID: s.Name, Aliases: s.Aliases, Created: c.created}
		if loaded := s.get(); loaded != nil {
			list[i].Info, list[i].Engine, list[i].Promises = loaded.Info, loaded.Engine, loaded.Promises
		}
	}
	return list, nil
}

// Resolve gives what answers to a name, loading it if need be. A caller that
// goes while a model is loaded leaves the loading to the next.
func (c *Catalog) Resolve(ctx context.Context, name string) (server.Target, error) {
	s, report, err := c.find(name)
	if err != nil {
		return server.Target{}, err
	}
	loaded, err := c.get(ctx, s)
	if err != nil {
		return server.Target{}, err
	}
	return server.Target{ID: s.Name, Model: loaded.Model, Responder: loaded.Responder, Report: report}, nil
}

// Ready says that every model is loaded, or which one is not. Those elsewhere
// need not be.
func (c *Catalog) Ready() error {
	for _, s := range c.slots {
		if s.get() == nil && !s.Elsewhere {
			return llm.Errorf(llm.Unavailable, "", "model %s is not loaded", s.Name)
		}
	}
	return nil
}

// get is the model if it is loaded.
func (s *slot) get() *Loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded
}
