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
	"maps"
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
	// Unlisted models are not listed; they answer to their names.
	Unlisted bool

	// Elsewhere says that it runs on an engine that may come and go: that it
	// cannot be loaded does not stop a server from starting, and is tried
	// again when it is asked for.
	Elsewhere bool
	// OnDemand models are loaded when a request comes for them; others are
	// loaded at the start, and again when they are lost.
	OnDemand bool
	// Background models are loaded at the start, too, but nobody waits for
	// that; where it fails it is tried again.
	Background bool

	Memory   int64         // bytes that it needs when it is loaded; 0: not known, and learned where it can be
	AtLeast  bool          // it may need more than Memory, which is learned where it can be
	GPUs     []string      // on which it is placed, in equal parts; none: main memory
	Group    string        // one of Options.Groups; "" is none
	Priority int           // of two models that want the same place the higher one gets it
	Parallel int           // requests that it works on at a time, while others wait for their turn; 0: any number
	Idle     time.Duration // it is unloaded when it was not used for so long; 0: never

	// Load makes the model ready. It is called by one goroutine at a time, and
	// not while the model is loaded. ctx ends when the catalog is closed, and
	// when the load is not wanted any more.
	Load func(ctx context.Context) (*Loaded, error)
}

// Loaded is a model that is ready.
type Loaded struct {
	Info      llm.Info
	Format    string // name of the chat format
	Model     llm.Model
	Responder chat.Responder
	Engine    server.Engine
	Promises  map[llm.Promise]llm.Keeping
	Close     func() error // ends running requests and gives the memory back; may be nil

	Gone   <-chan struct{} // closed when the model is lost without Close; nil: it cannot be
	Lost   func() error    // why it is; nil: it is not said
	Memory func() int64    // bytes that it uses; nil: not known
}

// Options say how names are understood and what may be loaded at a time.
type Options struct {
	// Strict refuses every name that is neither a model's nor an alias, also
	// where there is one model only.
	Strict bool
	// Default is the name of the model that answers where no other does: to
	// clients that name none, and unless Strict is set to those that name one
	// that is not served. "" is the only one, if there is only one.
	Default string

	Memory int64 // bytes of main memory for models; 0: not bounded
	// Estimate says that Memory is a guess: one model alone may exceed it.
	Estimate bool
	GPUs     map[string]int64 // bytes of each GPU; one that is missing is not bounded
	Groups   map[string]Group

	Logger *slog.Logger // nil: silent
}

// A Catalog is the models of a server. It may be used by many goroutines at
// once.
type Catalog struct {
	strict bool
	preset *slot   // the default; may be nil
	slots  []*slot // those that are served, in the order of the entries
	byName map[string]*slot
	rules  rules
	log    *slog.Logger

	created time.Time

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // loads, unloads, watchers

	mu     sync.Mutex // guards the slots and what follows
	closed bool
	alarm  *time.Timer
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
	c := &Catalog{strict: o.Strict, byName: map[string]*slot{}, log: o.Logger, created: time.Now().Truncate(time.Second)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.rules = rules{budgets: map[string]int64{}, soft: o.Estimate, groups: o.Groups}
	maps.Copy(c.rules.budgets, o.GPUs)
	if o.Memory > 0 {
		c.rules.budgets[mainMemory] = o.Memory
	}
	for _, e := range entries {
		if _, known := o.Groups[e.Group]; e.Group != "" && !known {
			return nil, llm.Errorf(llm.Invalid, "", "model %s is of group %q, which does not exist", e.Name, e.Group)
		}
		s := &slot{Entry: e, since: c.created, absent: !e.OnDemand && !e.Elsewhere, place: place{
			memory: e.Memory, pools: e.GPUs, group: e.Group, priority: e.Priority, idle: e.Idle,
		}}
		if len(s.pools) == 0 {
			s.pools = []string{mainMemory}
		}
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
	if o.Default != "" {
		if c.preset = c.byName[o.Default]; c.preset == nil {
			e := llm.Errorf(llm.Invalid, "", "the default is to be the model %q, which is not served", o.Default)
			e.Hint = "served: " + Few(c.names())
			return nil, e
		}
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// names lists what is served, in the order of the entries.
func (c *Catalog) names() (names []string) {
	for _, s := range c.slots {
		if !s.Unlisted {
			names = append(names, s.Name)
		}
	}
	return names
}

// find is the rule for names. A model's name or alias finds it. Where one
// model is served, or one is the default, every other name, and none, is
// answered by it and reported; else, or where the catalog is strict, other
// names are refused.
func (c *Catalog) find(name string) (*slot, llm.Report, error) {
	if s := c.byName[name]; s != nil {
		return s, nil, nil
	}
	s := c.preset
	if s == nil && len(c.slots) == 1 && !c.strict {
		s = c.slots[0]
	}
	if s != nil && (name == "" || !c.strict) {
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
		e = llm.Errorf(llm.NotFound, "model", "no model was named, and several are served")
	}
	e.Hint = "served: " + Few(c.names())
	return nil, nil, e
}

// Few lists names, and how many more there are: for messages.
func Few(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
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
