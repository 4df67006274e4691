// Package catalog knows which models there are: a name becomes something that
// answers. Models are loaded when they are first asked for, or all at the
// start, held, and closed together. The rule by which a client's model name
// finds a model is here and nowhere else.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/chat"
	"parley/internal/server"
	"parley/llm"
)

// An Entry is a model that can be served.
type Entry struct {
	Name    string   // how clients call it
	Aliases []string // other names for it

	// BuiltIn is the model that answers where nothing was chosen: it is not
	// there as soon as another one is.
	BuiltIn bool

	// Elsewhere says that it runs on an engine that may come and go: that it
	// cannot be loaded does not stop a server from starting.
	Elsewhere bool

	// Load makes the model ready. It is called by one goroutine at a time and
	// not again after it has succeeded. ctx ends when the catalog is closed.
	Load func(ctx context.Context) (*Loaded, error)
}

// Loaded is a model that is ready.
type Loaded struct {
	Info      llm.Info
	Format    string // name of the chat format; "" where it is laid out elsewhere
	Engine    server.Engine
	Promises  map[llm.Promise]llm.Keeping
	Model     llm.Model
	Responder chat.Responder
	Close     func() error // ends running requests and gives the memory back; may be nil
}

// Options say how names are understood.
type Options struct {
	// Strict refuses every name that is neither a model's nor an alias, also
	// where there is one model only.
	Strict bool

	Logger *slog.Logger // nil: silent
}

// A Catalog is the models of a server. It may be used by many goroutines at
// once.
type Catalog struct {
	strict bool
	log    *slog.Logger
	slots  []*slot // those that are served, in the order of the entries
	byName map[string]*slot

	created time.Time

	ctx    context.Context
	cancel context.CancelFunc
	loads  sync.WaitGroup
}

// A slot is an entry and what became of it.
type slot struct {
	Entry

	mu      sync.Mutex
	loaded  *Loaded
	loading *load
	closed  bool
}

// A load is an attempt that some wait for.
type load struct {
	done   chan struct{} // closed when the fields below are set
	loaded *Loaded
	err    error
}

// New makes a catalog of the entries. Every name and alias stands for one
// model.
func New(entries []Entry, o Options) (*Catalog, error) {
	if real := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return e.BuiltIn }); len(real) > 0 {
		entries = real
	}
	if len(entries) == 0 {
		return nil, errors.New("a catalog needs a model")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Catalog{strict: o.Strict, log: o.Logger, byName: map[string]*slot{}, created: time.Now().Truncate(time.Second)}
	for _, e := range entries {
		s := &slot{Entry: e}
		c.slots = append(c.slots, s)
		for _, name := range append([]string{e.Name}, e.Aliases...) {
			if name == "" {
				return nil, llm.Errorf(llm.Invalid, "", "a model has an empty name")
			}
			if c.byName[name] != nil {
				e := llm.Errorf(llm.Invalid, "", "two models are called %q", name)
				e.Hint = "name one of them otherwise: NAME=PATH"
				return nil, e
			}
			c.byName[name] = s
		}
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// NameOf is the name of a model that comes from a file: the file's, less
// .gguf.
func NameOf(path string) string {
	name := filepath.Base(path)
	if ext := filepath.Ext(name); strings.EqualFold(ext, ".gguf") {
		name = strings.TrimSuffix(name, ext)
	}
	return name
}

// names lists what is served, in the order of the entries.
func (c *Catalog) names() []string {
	names := make([]string, len(c.slots))
	for i, s := range c.slots {
		names[i] = s.Name
	}
	return names
}

// find is the rule for names. A model's name or alias finds it. Where one
// model is served, every other name, and none, is answered by it and
// reported; where several are, or where the catalog is strict, other names
// are refused.
func (c *Catalog) find(name string) (*slot, llm.Report, error) {
	if s := c.byName[name]; s != nil {
		return s, nil, nil
	}
	if len(c.slots) == 1 && !c.strict {
		s := c.slots[0]
		var report llm.Report
		detail := fmt.Sprintf("no model was named; %s answers", s.Name)
		if name != "" {
			detail = fmt.Sprintf("%q is not served; %s answers", name, s.Name)
		}
		report.Add("model", s.Name, detail)
		return s, report, nil
	}
	e := llm.Errorf(llm.NotFound, "model", "there is no model %q", name)
	if name == "" {
		e = llm.Errorf(llm.NotFound, "model", "no model was named")
	}
	e.Hint = "served: " + strings.Join(c.names(), ", ")
	return nil, nil, e
}

// get gives the model of a slot, loading it if need be. Those who ask for a
// model that is being loaded wait for the same attempt; one that fails is
// their error, and the next who asks tries again.
func (c *Catalog) get(ctx context.Context, s *slot) (*Loaded, error) {
	s.mu.Lock()
	if s.loaded != nil {
		defer s.mu.Unlock()
		return s.loaded, nil
	}
	if s.closed {
		defer s.mu.Unlock()
		return nil, closedError()
	}
	l := s.loading
	if l == nil {
		l = &load{done: make(chan struct{})}
		s.loading = l
		c.loads.Go(func() { c.load(s, l) })
	}
	s.mu.Unlock()

	select {
	case <-l.done:
		return l.loaded, l.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// load runs apart from those who wait, so that the first one to leave does
// not take the model from the others.
func (c *Catalog) load(s *slot, l *load) {
	loaded, err := c.try(s)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.loading = nil
	if err == nil && s.closed {
		closeLoaded(loaded)
		loaded, err = nil, closedError()
	}
	if err == nil {
		s.loaded = loaded
	}
	l.loaded, l.err = loaded, err
	close(l.done)
}

// try turns a panic of a loader into an error: one bad file must not end a
// server that has other models.
func (c *Catalog) try(s *slot) (loaded *Loaded, err error) {
	defer func() {
		if p := recover(); p != nil {
			loaded, err = nil, &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("model %s cannot be loaded", s.Name), Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	loaded, err = s.Load(c.ctx)
	if err == nil && loaded == nil {
		err = &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("model %s cannot be loaded", s.Name)}
	}
	return loaded, err
}

// Load loads every model and gives the first error. Those elsewhere are loaded
// all at once; what keeps them from it is logged, and who asks for one tries
// again.
func (c *Catalog) Load(ctx context.Context) error {
	var elsewhere sync.WaitGroup
	defer elsewhere.Wait()
	for _, s := range c.slots {
		if s.Elsewhere {
			elsewhere.Go(func() {
				if _, err := c.get(ctx, s); err != nil && ctx.Err() == nil {
					c.log.Warn("a model is not there yet", "model", s.Name, "err", err)
				}
			})
			continue
		}
		if _, err := c.get(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// Close closes every model and waits for loads that are under way. Running
// requests end with an error.
func (c *Catalog) Close() error {
	c.cancel()
	var errs []error
	for _, s := range c.slots {
		s.mu.Lock()
		loaded := s.loaded
		s.loaded, s.closed = nil, true
		s.mu.Unlock()
		if loaded != nil {
			errs = append(errs, closeLoaded(loaded))
		}
	}
	c.loads.Wait()
	return errors.Join(errs...)
}

func closeLoaded(l *Loaded) error {
	if l.Close == nil {
		return nil
	}
	return l.Close()
}

func closedError() error {
	return &llm.Error{Code: llm.Unavailable, Message: "the server is shutting down"}
}
