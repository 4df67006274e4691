package grammar

import (
	"fmt"
	"slices"

	"parley/internal/limits"
)

// An automaton is compiled rules. Place 0 is dead.
type automaton struct {
	places []place
	starts []int32 // of each rule
	class  [256]uint8
	sample []byte // one byte of each class
}

// A place is a state of the nondeterministic automaton.
type place struct {
	bytes []byteEdge
	free  []int32 // taken without reading
	calls []callEdge
	end   bool // the rule ends here

	// In a counted repetition, all places of one regime (before the least
	// number is reached, or behind it) look alike to whoever reads no further
	// than far more repetitions. like is the one that stands for them; 0: none.
	like, far int32

	// Where every ordinary character leads; nothing else is to be known of them
	// unless some lead elsewhere than others.
	ordinary []int32
	partly   bool
}

type byteEdge struct {
	byteRange
	to int32
}

type callEdge struct {
	rule int
	then int32
}

// compile makes an automaton of rules; the first is where texts begin. An
// error names the rule.
func (d *definition) compile(root ref) (*Grammar, error) {
	d.inline()
	c := compiler{d: d}
	c.a.places = append(c.a.places, place{})
	for range d.rules {
		c.a.starts = append(c.a.starts, c.place())
	}
	for i, e := range d.rules {
		end := c.place()
		c.a.places[end].end = true
		c.build(e, c.a.starts[i], end)
		if c.err != nil {
			return nil, fmt.Errorf("rule %s: %w", d.names[i], c.err)
		}
	}
	if !c.a.prune(int(root)) {
		return nil, fmt.Errorf("no text is in the language of rule %s", d.names[root])
	}
	if cycle := c.a.leftRecursive(); cycle >= 0 {
		return nil, fmt.Errorf("rule %s begins with itself, which is not supported (write repetitions with * or +)", d.names[cycle])
	}
	c.a.classify()
	return newGrammar(&c.a, int(root)), nil
}

type compiler struct {
	d   *definition
	a   automaton
	err error
}

func (c *compiler) place() int32 {
	if err := limits.GrammarPlaces.CheckInt(len(c.a.places)); err != nil && c.err == nil {
		c.err = err
	}
	if c.err != nil {
		return 0
	}
	c.a.places = append(c.a.places, place{})
	return int32(len(c.a.places) - 1)
}

// build lays e between two places.
func (c *compiler) build(e expr, from, to int32) {
	if c.err != nil {
		return
	}
	switch e := e.(type) {
	case class:
		for _, r := range e {
			for _, bytes := range sequences(r.lo, r.hi) {
				c.bytes(bytes, from, to)
			}
		}
		switch p, common := &c.a.places[from], e.and(ordinary); {
		case slices.Equal(common, ordinary):
			p.ordinary = append(p.ordinary, to)
		case len(common) > 0:
			p.partly = true
		}
	case seq:
		for i, x := range e {
			next := to
			if i < len(e)-1 {
				next = c.place()
			}
			c.build(x, from, next)
			from = next
		}
		if len(e) == 0 {
			c.free(from, to)
		}
	case alt:
		for _, x := range e {
			c.build(x, from, to)
		}
	case repeat:
		c.repeat(e, from, to)
	case ref:
		p := &c.a.places[from]
		p.calls = append(p.calls, callEdge{int(e), to})
	}
}

func (c *compiler) free(from, to int32) {
	c.a.places[from].free = append(c.a.places[from].free, to)
}

func (c *compiler) bytes(bytes []byteRange, from, to int32) {
	for i, b := range bytes {
		next := to
		if i < len(bytes)-1 {
			next = c.place()
		}
		p := &c.a.places[from]
		p.bytes = append(p.bytes, byteEdge{b, next})
		from = next
	}
}

func (c *compiler) repeat(e repeat, from, to int32) {
	from = c.copies(e.of, e.min, from, -1)
	if e.max >= 0 {
		c.free(c.copies(e.of, e.max-e.min, from, to), to)
		return
	}
	loop := c.place()
	c.free(from, loop)
	c.build(e.of, loop, loop)
	c.free(loop, to)
}

// copies lays n copies of e one behind the other, with a way out to a place
// before each of them if it is not -1, and gives the place behind the last.
func (c *compiler) copies(e expr, n int, from, out int32) int32 {
	alike := n > 1 && reads(e)
	first := int32(len(c.a.places))
	for i := range n {
		if out >= 0 {
			c.free(from, out)
		}
		begin := int32(len(c.a.places))
		next := c.place()
		c.build(e, from, next)
		if c.err != nil {
			return 0
		}
		for p := begin; alike && p < int32(len(c.a.places)); p++ {
			if x := &c.a.places[p]; x.like == 0 {
				x.like, x.far = first+p-begin, int32(n-i-1)
			}
		}
		from = next
	}
	return from
}

// reads reports whether e surely reads something, whatever rules it uses.
func reads(e expr) bool {
	switch e := e.(type) {
	case class:
		return true
	case seq:
		return slices.ContainsFunc(e, reads)
	case alt:
		for _, x := range e {
			if !reads(x) {
				return false
			}
		}
		return len(e) > 0
	case repeat:
		return e.min > 0 && reads(e.of)
	}
	return false
}

// inlined is how large a rule may be, in nodes, to be written out where it is
// used.
const inlined = 48

// inline writes out small rules that use no others and have an end: what may
// come inside of a long one is worth being found out once for all its uses,
// while the end of a short one is never far.
func (d *definition) inline() {
	for range 4 {
		small := make([]bool, len(d.rules))
		for i, e := range d.rules {
			n, open := size(e)
			small[i] = n <= inlined && !open
		}
		for i, e := range d.rules {
			d.rules[i] = d.expand(e, small)
		}
	}
}

// size counts the nodes of e, and says whether it may go on for ever or uses a
// rule.
func size(e expr) (n int, open bool) {
	count := func(xs []expr) {
		for _, x := range xs {
			m, o := size(x)
			n, open = n+m, open || o
		}
	}
	switch e := e.(type) {
	case class:
		return len(e), false
	case seq:
		count(e)
	case alt:
		count(e)
	case repeat:
		count([]expr{e.of})
		n, open = n*max(1, e.min, e.max), open || e.max < 0
	case ref:
		open = true
	}
	return n + 1, open
}

func (d *definition) expand(e expr, small []bool) expr {
	all := func(xs []expr) []expr {
		out := make([]expr, len(xs))
		for i, x := range xs {
			out[i] = d.expand(x, small)
		}
		return out
	}
	switch e := e.(type) {
	case seq:
		return seq(all(e))
	case alt:
		return alt(all(e))
	case repeat:
		return repeat{d.expand(e.of, small), e.min, e.max}
	case ref:
		if small[e] {
			return d.rules[e]
		}
	}
	return e
}

// prune takes away what leads nowhere, so that from every place that is left
// the end of its rule can be reached. It reports whether the root can.
func (a *automaton) prune(root int) bool {
	ends := make([]bool, len(a.places))  // the rule's end can be reached
	works := make([]bool, len(a.starts)) // the rule has a text
	for changed := true; changed; {
		changed = false
		for i := len(a.places) - 1; i > 0; i-- {
			if !ends[i] && a.places[i].leads(ends, works) {
				ends[i], changed = true, true
			}
		}
		for r, start := range a.starts {
			if ends[start] && !works[r] {
				works[r], changed = true, true
			}
		}
	}
	for i := range a.places {
		p := &a.places[i]
		p.bytes = slices.DeleteFunc(p.bytes, func(e byteEdge) bool { return !ends[e.to] })
		p.ordinary = slices.DeleteFunc(p.ordinary, func(to int32) bool { return !ends[to] })
		p.free = slices.DeleteFunc(p.free, func(to int32) bool { return !ends[to] })
		p.calls = slices.DeleteFunc(p.calls, func(e callEdge) bool { return !ends[e.then] || !works[e.rule] })
	}
	return works[root]
}

func (p *place) leads(ends, works []bool) bool {
	return p.end ||
		slices.ContainsFunc(p.bytes, func(e byteEdge) bool { return ends[e.to] }) ||
		slices.ContainsFunc(p.free, func(to int32) bool { return ends[to] }) ||
		slices.ContainsFunc(p.calls, func(e callEdge) bool { return ends[e.then] && works[e.rule] })
}

// leftRecursive finds a rule that can call itself before anything is read, or
// gives -1.
func (a *automaton) leftRecursive() int {
	empty := a.nullable()
	const (
		unseen = iota
		open
		done
	)
	seen := make([]uint8, len(a.starts))
	var visit func(r int) int
	visit = func(r int) int {
		switch seen[r] {
		case open:
			return r
		case done:
			return -1
		}
		seen[r] = open
		for _, p := range a.ahead(a.starts[r], empty) {
			for _, call := range a.places[p].calls {
				if bad := visit(call.rule); bad >= 0 {
					return bad
				}
			}
		}
		seen[r] = done
		return -1
	}
	for r := range a.starts {
		if bad := visit(r); bad >= 0 {
			return bad
		}
	}
	return -1
}

// nullable finds the rules that may be empty.
func (a *automaton) nullable() []bool {
	empty := make([]bool, len(a.starts))
	for changed := true; changed; {
		changed = false
		for r, start := range a.starts {
			if !empty[r] && slices.ContainsFunc(a.ahead(start, empty), func(p int32) bool { return a.places[p].end }) {
				empty[r], changed = true, true
			}
		}
	}
	return empty
}

// ahead lists the places that are reached from p without reading.
func (a *automaton) ahead(p int32, empty []bool) []int32 {
	list := []int32{p}
	seen := map[int32]bool{p: true}
	add := func(to int32) {
		if !seen[to] {
			seen[to] = true
			list = append(list, to)
		}
	}
	for i := 0; i < len(list); i++ {
		for _, to := range a.places[list[i]].free {
			add(to)
		}
		for _, call := range a.places[list[i]].calls {
			if empty[call.rule] {
				add(call.then)
			}
		}
	}
	return list
}

// classify sorts bytes into classes that no edge tells apart.
func (a *automaton) classify() {
	var cut [257]bool
	for i := range a.places {
		for _, e := range a.places[i].bytes {
			cut[e.lo], cut[int(e.hi)+1] = true, true
		}
	}
	n := uint8(0)
	for b := range 256 {
		if b == 0 || cut[b] {
			if b > 0 {
				n++
			}
			a.sample = append(a.sample, byte(b))
		}
		a.class[b] = n
	}
}
