package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"parley/internal/limits"
	"parley/internal/server"
	"parley/llm"
)

// mainMemory is the pool of models that are on no GPU.
const mainMemory = ""

func seconds(l *limits.Limit) time.Duration { return time.Duration(l.Max * float64(time.Second)) }

// A slot is an entry and what became of it. Catalog.mu guards it.
type slot struct {
	Entry
	place

	phase  phase
	since  time.Time
	wanted bool
	asked  time.Time // since when it is wanted
	notYet time.Time // a lost model is not loaded before, unless it is asked for
	lost   int       // how often in a row it could not be loaded though it is wanted
	absent bool      // it is to be there, and never was, or was lost

	dismissed bool // it is to be unloaded as soon as it can be

	info     llm.Info // as when it was last loaded
	promises map[llm.Promise]llm.Keeping

	queue []*waiter
	turns turns
	it    *instance          // set while it is ready or being unloaded
	begun time.Time          // when the load began
	quit  context.CancelFunc // ends the load that is under way
	took  time.Duration
	err   error // why it was last not loaded, or lost; nil once it is loaded
}

// An instance is a model from its load to its end. Requests hold on to the
// instance that they began with.
type instance struct {
	*Loaded
	running int            // requests that use it
	working int            // of these, those that have a turn
	busy    map[string]int // the same for each asker
	ready   time.Time
	used    time.Time
	over    chan struct{} // closed when it is unloaded or lost
}

// acquire gives a slot's model once it is loaded and it is the request's turn.
// It must be released.
func (c *Catalog) acquire(ctx context.Context, s *slot, by server.Asker) (*waiter, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, seconds(limits.Waiting), &llm.Error{
		Code: llm.Unavailable, Message: fmt.Sprintf("the model %s could not be loaded in time", s.Name), Hint: "other models were in use all the while; try again later",
	})
	defer cancel()
	w := &waiter{Asker: by, came: time.Now(), done: make(chan struct{})}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, closedError()
	}
	if err := limits.Queue.CheckInt(len(s.queue) + 1); err != nil {
		err = s.full(err)
		c.mu.Unlock()
		return nil, err
	}
	s.queue = append(s.queue, w)
	c.step()
	c.mu.Unlock()

	select {
	case <-w.done:
		return w, w.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.it != nil {
		s.give(w)
	}
	s.queue = slices.DeleteFunc(s.queue, func(x *waiter) bool { return x == w })
	c.step()
	return nil, context.Cause(ctx)
}

// release is the end of a request. It may be called more than once.
func (c *Catalog) release(s *slot, w *waiter) func() {
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		s.give(w)
		c.step()
	})
}

// step decides what is to be done now, and begins to do it. It is called
// whenever something has happened, with c.mu held.
func (c *Catalog) step() {
	if c.closed {
		return
	}
	c.lose()
	views := make([]view, len(c.slots))
	for i, s := range c.slots {
		views[i] = s.view()
	}
	d := c.rules.decide(time.Now(), views)
	for _, i := range d.refuse {
		err := c.misfit(views, i)
		c.log.Warn("not loaded", "model", c.slots[i].Name, "cause", err.Error())
		c.slots[i].fail(err)
	}
	for _, i := range d.unload {
		c.unload(c.slots[i])
	}
	for _, i := range d.load {
		c.load(c.slots[i])
	}
	for i, s := range c.slots {
		if s.phase == ready && !d.draining[i] {
			s.admit()
		}
	}
	if c.alarm != nil {
		c.alarm.Stop()
	}
	if !d.wake.IsZero() {
		c.alarm = time.AfterFunc(time.Until(d.wake), func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.step()
		})
	}
}

func (s *slot) view() view {
	v := view{place: s.place, phase: s.phase, wanted: s.wanted, waiting: len(s.queue), since: s.asked, took: s.took, notYet: s.notYet, dismissed: s.dismissed}
	if v.waiting > 0 && (!s.wanted || s.queue[0].came.Before(s.asked)) {
		v.since = s.queue[0].came
	}
	if s.since.After(v.since) {
		v.since = s.since // it has had its turn
	}
	if s.it != nil {
		v.running, v.ready, v.used = s.it.running, s.it.ready, s.it.used
	}
	return v
}

// fail tells those who wait that they will not get the model.
func (s *slot) fail(err error) {
	s.wanted, s.err = false, err
	for _, w := range s.queue {
		w.err = err
		close(w.done)
	}
	s.queue = nil
}

// misfit is the error for a model that can never be loaded.
func (c *Catalog) misfit(views []view, i int) error {
	pool, kept, _ := c.rules.obstacle(views, i)
	v := &views[i]
	where := "of the memory for models"
	if pool != mainMemory {
		where = "of GPU " + pool
	}
	e := llm.Errorf(llm.Unavailable, "model", "the model %s needs %s %s, and there are %s", c.slots[i].Name,
		bytesOf(v.memory/int64(len(v.pools))), where, bytesOf(c.rules.budgets[pool]))
	e.Hint = "serve a smaller one, or raise the bound in the configuration"
	if kept > 0 {
		e.Message += fmt.Sprintf(", of which models that are kept have %s", bytesOf(kept))
	}
	return e
}

// bytesOf writes a number of bytes for a person.
func bytesOf(n int64) string {
	const gib = 1 << 30
	if n < gib/10 {
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/gib)
}

func (s *slot) to(p phase) { s.phase, s.since = p, time.Now() }

// load begins to load a model, apart from those who wait for it: the first one
// to leave does not take it from the others, and a client that gives up and
// asks again finds it further on.
func (c *Catalog) load(s *slot) {
	ctx, give := context.WithCancel(c.ctx)
	s.quit = give
	s.begun = time.Now()
	s.to(loading)
	c.log.Info("loading", "model", s.Name)
	c.work.Go(func() {
		defer give()
		loaded, err := s.try(ctx)
		c.mu.Lock()
		if err == nil && (c.closed || ctx.Err() != nil) {
			c.mu.Unlock()
			closeLoaded(loaded)
			err = closedError()
			c.mu.Lock()
		}
		defer c.mu.Unlock()
		given := ctx.Err() != nil && !c.closed
		s.quit = nil
		switch {
		case given:
			// Nobody waited when it was given up. Whoever came since is served
			// by the next load.
			s.to(unloaded)
		case err != nil:
			s.to(unloaded)
			again := s.wanted && s.absent
			s.fail(err)
			c.log.Warn("not loaded", "model", s.Name, "cause", err.Error())
			if again {
				c.again(s)
			}
		default:
			c.loaded(s, loaded)
		}
		c.step()
	})
}

// try turns a panic of a loader into an error: one bad file must not end a
// server that has other models.
func (s *slot) try(ctx context.Context) (loaded *Loaded, err error) {
	defer func() {
		if p := recover(); p != nil {
			loaded, err = nil, &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("model %s cannot be loaded", s.Name), Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	loaded, err = s.Load(ctx)
	if err == nil && loaded == nil {
		err = &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("model %s cannot be loaded", s.Name)}
	}
	return loaded, err
}

func (c *Catalog) loaded(s *slot, l *Loaded) {
	now := time.Now()
	s.to(ready)
	s.wanted, s.absent, s.err, s.lost = false, false, nil, 0
	s.took = now.Sub(s.begun)
	s.it = &instance{Loaded: l, busy: map[string]int{}, ready: now, used: now, over: make(chan struct{})}
	s.learn()
	s.info, s.promises = l.Info, l.Promises
	c.log.Info("loaded", "model", s.Name, "took", s.took)
	if l.Gone != nil {
		c.work.Go(func() {
			select {
			case <-l.Gone:
				c.mu.Lock()
				defer c.mu.Unlock()
				c.step()
			case <-c.ctx.Done():
			}
		})
	}
}

// learn looks how much memory the model uses, for now and for the next time.
func (s *slot) learn() {
	if (s.Memory == 0 || s.AtLeast) && s.it.Memory != nil && len(s.GPUs) == 0 {
		s.memory = max(s.memory, s.it.Memory())
	}
}

// lose takes note of models that were lost, not unloaded by us. Requests that
// use one end by themselves.
func (c *Catalog) lose() {
	for _, s := range c.slots {
		if s.phase != ready {
			continue
		}
		it := s.it
		select {
		case <-it.Gone:
		default:
			continue
		}
		s.it, s.dismissed = nil, false
		close(it.over)
		s.to(unloaded)
		if it.Lost != nil {
			s.err = it.Lost()
		}
		c.work.Go(func() { closeLoaded(it.Loaded) })
		if !s.OnDemand {
			s.absent = true
			c.again(s)
		}
	}
}

// again has a model loaded that is to be there without being asked for: after
// a pause, if it was lost a moment ago.
func (c *Catalog) again(s *slot) {
	s.lost++
	s.wanted, s.asked = true, time.Now()
	s.notYet = s.asked.Add(min(time.Second<<min(s.lost-1, 16), seconds(limits.BackoffSeconds)))
}

// unload begins to unload a model that no request uses, or breaks its load
// off.
func (c *Catalog) unload(s *slot) {
	if s.phase == loading {
		s.quit()
		return
	}
	it := s.it
	s.learn()
	s.to(unloading)
	c.log.Info("unloading", "model", s.Name)
	c.work.Go(func() {
		err := closeLoaded(it.Loaded)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.log.Error("not unloaded", "model", s.Name, "cause", err.Error())
		}
		s.it, s.err, s.dismissed = nil, err, false
		s.to(unloaded)
		close(it.over)
		c.step()
	})
}

// Load loads every model that is to be loaded at the start, and gives the
// first error. Those elsewhere are loaded all at once, and what keeps them from
// it is only logged. For those of the background it does not wait.
func (c *Catalog) Load(ctx context.Context) error {
	c.mu.Lock()
	for _, s := range c.slots {
		if s.Background {
			s.wanted, s.asked = true, time.Now()
		}
	}
	c.step()
	c.mu.Unlock()
	var elsewhere sync.WaitGroup
	defer elsewhere.Wait()
	for _, s := range c.slots {
		if s.OnDemand || s.Background {
			continue
		}
		if s.Elsewhere {
			elsewhere.Go(func() { c.bring(ctx, s) })
			continue
		}
		if err := c.bring(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// dismiss unloads a model when the requests that use it have ended, and waits
// for that.
func (c *Catalog) dismiss(ctx context.Context, s *slot) error {
	c.mu.Lock()
	s.wanted, s.absent = false, false
	if s.phase == loading {
		s.fail(llm.Errorf(llm.Unavailable, "model", "the model %s was unloaded while it was loaded", s.Name))
		s.quit()
	}
	it := s.it
	s.dismissed = s.phase == ready
	c.step()
	c.mu.Unlock()
	if it == nil {
		return nil
	}
	select {
	case <-it.over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// bring loads a model without using it.
func (c *Catalog) bring(ctx context.Context, s *slot) error {
	c.mu.Lock()
	there := s.phase == ready && !s.dismissed
	c.mu.Unlock()
	if there {
		return nil
	}
	w, err := c.acquire(ctx, s, server.Asker{Aside: true})
	if err == nil {
		c.release(s, w)()
	}
	return err
}

// Close closes every model and waits for what is under way. Running requests
// end with an error.
func (c *Catalog) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		c.work.Wait()
		return nil
	}
	c.closed = true
	c.cancel()
	if c.alarm != nil {
		c.alarm.Stop()
	}
	var open []*Loaded
	for _, s := range c.slots {
		if s.phase == ready {
			open = append(open, s.it.Loaded)
			close(s.it.over)
			s.it = nil
			s.to(unloaded)
		}
		s.fail(closedError())
	}
	c.mu.Unlock()

	errs := make([]error, len(open))
	for i, l := range open {
		c.work.Go(func() { errs[i] = closeLoaded(l) })
	}
	c.work.Wait()
	return errors.Join(errs...)
}
