package grammar

import (
	"encoding/binary"
	"slices"
	"sync"

	"parley/internal/limits"
)

// A Grammar is a language. It may be used by many goroutines at once.
type Grammar struct {
	// Ignored are words of a JSON schema that no draft knows. Nothing depends on
	// them.
	Ignored []string

	*automaton
	tail []bool // behind this place the rule has nothing more

	mu     sync.Mutex
	states map[string]*State
	frames map[frame]*frame
	nframe int32
	start  *State
	work   closure
}

// A State is how far a text of a grammar has come. It is immutable, and belongs
// to the grammar that gave it.
type State struct {
	at     []config // places with something to read, in order
	accept bool
	next   []*State // by class of byte; nil: not known yet. Under the grammar's lock.
	past   *State   // behind an ordinary character; nil: not known yet. Likewise.
}

// A config is a place and what comes behind the end of its rule.
type config struct {
	place int32
	under *frame
}

// A frame is a rule's return: to a place, and on from there. The lowest frame
// is nil: the text ends there.
type frame struct {
	id    int32
	then  int32
	under *frame
}

func newGrammar(a *automaton, root int) *Grammar {
	g := &Grammar{automaton: a, tail: make([]bool, len(a.places))}
	for i := range a.places {
		for _, call := range a.places[i].calls {
			g.tail[call.then] = g.isTail(call.then)
		}
	}
	g.forget()
	g.work.begin()
	g.work.add(config{a.starts[root], nil})
	g.start = g.close()
	return g
}

// isTail reports whether nothing but the rule's end follows a place.
func (g *Grammar) isTail(p int32) bool {
	for _, q := range g.ahead(p, make([]bool, len(g.starts))) {
		if x := &g.places[q]; len(x.bytes) > 0 || len(x.calls) > 0 {
			return false
		}
	}
	return true
}

// forget drops what was remembered. States that are in use stay right.
func (g *Grammar) forget() {
	g.states = map[string]*State{}
	g.frames = map[frame]*frame{}
}

// Start is before the first byte.
func (g *Grammar) Start() *State { return g.start }

// Accepts reports whether the text may end here.
func (s *State) Accepts() bool { return s.accept }

// Ended reports whether the text can only end here.
func (s *State) Ended() bool { return s.accept && len(s.at) == 0 }

// Step is the state behind more text, or nil if no text of the grammar goes on
// like this.
func (g *Grammar) Step(s *State, more string) *State {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range len(more) {
		if s = g.step(s, g.class[more[i]]); s.dead() {
			return nil
		}
	}
	return s
}

// Matches reports whether a text is in the language.
func (g *Grammar) Matches(text string) bool {
	s := g.Step(g.start, text)
	return s != nil && s.accept
}

func (s *State) dead() bool { return len(s.at) == 0 && !s.accept }

// step is the state behind a byte of a class. The caller holds mu.
func (g *Grammar) step(s *State, class uint8) *State {
	if s.next == nil {
		s.next = make([]*State, len(g.sample))
	}
	if t := s.next[class]; t != nil {
		return t
	}
	b := g.sample[class]
	g.work.begin()
	for _, c := range s.at {
		for _, e := range g.places[c.place].bytes {
			if e.lo <= b && b <= e.hi {
				g.work.add(config{e.to, c.under})
			}
		}
	}
	t := g.close()
	s.next[class] = t
	return t
}

// pass is the state behind an ordinary character, whichever it is. It reports
// false where they lead to different states. The caller holds mu.
func (g *Grammar) pass(s *State) (*State, bool) {
	if s.past != nil {
		return s.past, true
	}
	g.work.begin()
	for _, c := range s.at {
		p := &g.places[c.place]
		if p.partly {
			return nil, false
		}
		for _, to := range p.ordinary {
			g.work.add(config{to, c.under})
		}
	}
	s.past = g.close()
	return s.past, true
}

// A closure collects configs. It is working memory.
type closure struct {
	list []config
	seen map[config]bool
}

func (w *closure) begin() {
	w.list = w.list[:0]
	if w.seen == nil || len(w.seen) > 4096 {
		w.seen = map[config]bool{}
	}
	clear(w.seen)
}

func (w *closure) add(c config) {
	if !w.seen[c] {
		w.seen[c] = true
		w.list = append(w.list, c)
	}
}

// close follows what needs no reading and gives the state. A state has no more
// places than the limit: the language is then smaller than it was meant, but
// nothing comes that is not in it.
func (g *Grammar) close() *State {
	w := &g.work
	accept := false
	most := limits.GrammarConfigs.Int()
	for i := 0; i < len(w.list) && i < most; i++ {
		c := w.list[i]
		p := &g.places[c.place]
		for _, to := range p.free {
			w.add(config{to, c.under})
		}
		for _, call := range p.calls {
			under := c.under
			if !g.tail[call.then] {
				under = g.frame(call.then, c.under)
			}
			w.add(config{g.starts[call.rule], under})
		}
		if p.end {
			if c.under == nil {
				accept = true
			} else {
				w.add(config{c.under.then, c.under.under})
			}
		}
	}
	kernel := make([]config, 0, len(w.list))
	for _, c := range w.list[:min(len(w.list), most)] {
		if len(g.places[c.place].bytes) > 0 {
			kernel = append(kernel, c)
		}
	}
	return g.intern(kernel, accept)
}

func (g *Grammar) frame(then int32, under *frame) *frame {
	key := frame{then: then, under: under}
	f := g.frames[key]
	if f == nil {
		g.nframe++
		f = &frame{g.nframe, then, under}
		g.frames[key] = f
	}
	return f
}

func (f *frame) number() int32 {
	if f == nil {
		return 0
	}
	return f.id
}

// intern gives the one state that has these configs.
func (g *Grammar) intern(at []config, accept bool) *State {
	slices.SortFunc(at, func(a, b config) int {
		if a.place != b.place {
			return int(a.place - b.place)
		}
		return int(a.under.number() - b.under.number())
	})
	key := make([]byte, 0, 8*len(at)+1)
	for _, c := range at {
		key = binary.LittleEndian.AppendUint32(key, uint32(c.place))
		key = binary.LittleEndian.AppendUint32(key, uint32(c.under.number()))
	}
	if accept {
		key = append(key, 1)
	}
	if s := g.states[string(key)]; s != nil {
		return s
	}
	if len(g.states) >= limits.GrammarStates.Int() || len(g.frames) >= limits.GrammarStates.Int() {
		g.forget()
	}
	s := &State{at: at, accept: accept}
	g.states[string(key)] = s
	return s
}
