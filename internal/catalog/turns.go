package catalog

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"parley/internal/limits"
	"parley/internal/server"
	"parley/llm"
)

// A waiter is a request that waits for a model, and then has it.
type waiter struct {
	server.Asker
	came  time.Time
	done  chan struct{} // closed when one of the fields below is set
	it    *instance
	err   error
	began time.Time // when it got the model
}

// turns is what a slot knows of who had turns, to divide them fairly.
type turns struct {
	count  uint64
	latest map[string]uint64 // the count at an asker's latest turn
	lasts  time.Duration     // how long a turn takes, lately
}

// atATime is how many requests a model works on at a time; 0: any number.
func (s *slot) atATime() int { return cmp.Or(s.Parallel, s.it.Engine.Slots) }

// admit gives the model to those who wait, as many as it works on at a time.
func (s *slot) admit() {
	for now := time.Now(); len(s.queue) > 0; {
		i := s.next(now)
		if i < 0 {
			return
		}
		w := s.queue[i]
		s.queue = slices.Delete(s.queue, i, i+1)
		s.it.running++
		if !w.Aside {
			s.it.busy[w.Name]++
			s.it.working++
			s.turns.take(w.Name, s.queue)
		}
		w.it, w.began = s.it, now
		close(w.done)
	}
}

// next says whose turn it is: -1 is nobody's. Who only looks never waits. Those
// who can wait let others go first, for a while. Then the model goes to the
// asker for whom it does least, then to the one whose latest turn is longest
// ago, and to each asker's requests in the order in which they came: a hundred
// requests of one do not hold up another's first.
func (s *slot) next(now time.Time) int {
	if i := slices.IndexFunc(s.queue, func(w *waiter) bool { return w.Aside }); i >= 0 {
		return i
	}
	most := s.atATime()
	if most == 0 {
		return 0
	}
	if s.it.working >= most {
		return -1
	}
	best := 0
	for i := 1; i < len(s.queue); i++ {
		a, b := s.queue[i], s.queue[best]
		if cmp.Or(
			order(a.yields(now), b.yields(now)),
			cmp.Compare(s.it.busy[a.Name], s.it.busy[b.Name]),
			cmp.Compare(s.turns.latest[a.Name], s.turns.latest[b.Name]),
		) < 0 {
			best = i
		}
	}
	return best
}

// yields reports whether others go first. Nobody waits for ever.
func (w *waiter) yields(now time.Time) bool {
	return w.Low && now.Sub(w.came) < seconds(limits.PatienceSeconds)
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// take notes a turn. What is remembered of askers who do not wait is forgotten
// when it becomes much: their next turn comes a little early then.
func (t *turns) take(name string, waiting []*waiter) {
	const much = 1024
	t.count++
	if t.latest == nil {
		t.latest = map[string]uint64{}
	}
	t.latest[name] = t.count
	if len(t.latest) > much+2*len(waiting) {
		maps.DeleteFunc(t.latest, func(n string, _ uint64) bool {
			return !slices.ContainsFunc(waiting, func(w *waiter) bool { return w.Name == n })
		})
	}
}

// give ends a waiter's use of its model.
func (s *slot) give(w *waiter) {
	now := time.Now()
	it := w.it
	it.running--
	it.used = now
	if w.Aside {
		return
	}
	it.working--
	if it.busy[w.Name]--; it.busy[w.Name] == 0 {
		delete(it.busy, w.Name)
	}
	if took := now.Sub(w.began); s.turns.lasts == 0 {
		s.turns.lasts = took
	} else {
		s.turns.lasts += (took - s.turns.lasts) / 8
	}
}

// full is the error when too many wait. It says when the row will have moved
// on by as many as stand in it, as far as that is known.
func (s *slot) full(err error) error {
	busy := &llm.BusyError{Err: err}
	if s.it != nil {
		busy.RetryAfter = s.turns.lasts * time.Duration(len(s.queue)) / time.Duration(max(s.atATime(), 1))
	}
	return &llm.Error{Code: llm.Overloaded, Message: "too many requests wait for the model " + s.Name, Hint: "try again later", Err: busy}
}
