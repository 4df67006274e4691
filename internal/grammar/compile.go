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
	for range e.min {
		next := c.place()
		c.build(e.of, from, next)
		from = next
	}
	if e.max < 0 {
		loop := c.place()
		c.free(from, loop)
		c.build(e.of, loop, loop)
		c.free(loop, to)
		return
	}
	for range e.max - e.min {
		c.free(from, to)
		next := c.place()
		c.build(e.of, from, next)
		from = next
		if c.err != nil {
			return
		}
	}
	c.free(from, to)
}

// inlined is how large a rule may be, in nodes, to be written out where it is
// used. A mask is then not computed apart for the characters of a string.
const inlined = 24

// inline writes out small rules that use no others.
func (d *definition) inline() {
	for range 4 {
		small := make([]bool, len(d.rules))
		for i, e := range d.rules {
			n, refs := size(e)
			small[i] = n <= inlined && !refs
		}
		for i, e := range d.rules {
			d.rules[i] = d.expand(e, small)
		}
	}
}

// size counts the nodes of e, and says whether any is a ref.
func size(e expr) (n int, refs bool) {
	count := func(xs []expr) {
		for _, x := range xs {
			m, r := size(x)
			n, refs = n+m, refs || r
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
		n *= max(1, e.min, e.max)
	case ref:
		refs = true
	}
	return n + 1, refs
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
