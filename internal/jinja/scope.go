package jinja

import (
	"maps"
	"slices"
)

// This file finds out which variable a name means, by jinja2's rules (its
// idtracking): a loop, macro, call, set, filter or with block has variables of
// its own; what is assigned in it begins as a copy of the outer variable and
// is gone at its end; if has no scope; a name that is assigned on some
// branches only comes from the render's variables on the others.

// A proc is what Python would compile to a function: the template, a macro, a
// call block, a recursive loop. A frame holds the variables of one run of it.
type proc struct {
	parent *proc
	slots  int
}

type frame struct {
	vars  []Value // nil where a variable has no value
	outer *frame
}

func newFrame(p *proc, outer *frame) *frame {
	return &frame{vars: make([]Value, p.slots), outer: outer}
}

// A scope is what happens to variables when a block is entered and left.
type scope struct {
	loads []load
}

type load struct {
	kind       loadKind
	slot       int
	hops, from int // of an alias, as in nameExpr; of a global its index in from
}

type loadKind int

const (
	loadParam  loadKind = iota // set by whoever enters
	loadNone                   // no value yet
	loadGlobal                 // a variable of the render
	loadAlias                  // a copy of an outer variable
)

func (s *scope) enter(st *state, fr *frame) {
	for i := range s.loads {
		l := &s.loads[i]
		switch l.kind {
		case loadNone:
			fr.vars[l.slot] = nil
		case loadGlobal:
			fr.vars[l.slot] = st.globals[l.from]
		case loadAlias:
			fr.vars[l.slot] = st.lookup(fr, l.hops, l.from)
		}
	}
}

func (s *scope) leave(fr *frame) {
	for i := range s.loads {
		fr.vars[s.loads[i].slot] = nil
	}
}

// lookup is the value of a variable, nil if it has none.
func (st *state) lookup(fr *frame, hops, slot int) Value {
	if slot < 0 {
		return st.globals[^slot]
	}
	for ; hops > 0; hops-- {
		fr = fr.outer
	}
	return fr.vars[slot]
}

type variable struct {
	proc *proc
	slot int // ^index of a variable of the render that is never assigned
}

// symbols are the names known in one block while it is analysed. A branch of
// an if is an overlay on the symbols before it.
type symbols struct {
	parent *symbols // of the block around
	base   *symbols // what a branch adds to
	proc   *proc
	vars   map[string]*variable // one for each name, shared by branches
	refs   map[string]bool      // names that are known so far
	stores map[string]bool
	loads  map[string]symbolLoad
	order  []string // of loads
}

type symbolLoad struct {
	kind loadKind
	from *variable
}

func newSymbols(parent *symbols, p *proc) *symbols {
	return &symbols{parent: parent, proc: p, vars: map[string]*variable{}, refs: map[string]bool{}, stores: map[string]bool{}, loads: map[string]symbolLoad{}}
}

func (s *symbols) branch() *symbols {
	b := newSymbols(s.parent, s.proc)
	b.base, b.vars = s, s.vars
	return b
}

func (s *symbols) known(name string) bool {
	for ; s != nil; s = s.base {
		if s.refs[name] {
			return true
		}
	}
	return false
}

func (s *symbols) stored(name string) bool {
	for ; s != nil; s = s.base {
		if s.stores[name] {
			return true
		}
	}
	return false
}

func (s *symbols) find(name string) *variable {
	for ; s != nil; s = s.parent {
		if s.known(name) {
			return s.vars[name]
		}
	}
	return nil
}

func (s *symbols) setLoad(name string, l symbolLoad) {
	if _, known := s.loads[name]; !known {
		s.order = append(s.order, name)
	}
	s.loads[name] = l
}

func (s *symbols) define(name string, l symbolLoad) *variable {
	v := s.vars[name]
	if v == nil {
		v = &variable{proc: s.proc, slot: s.proc.slots}
		s.proc.slots++
		s.vars[name] = v
	}
	s.refs[name] = true
	s.setLoad(name, l)
	return v
}

func (s *symbols) read(name string) {
	if s.find(name) == nil {
		s.define(name, symbolLoad{kind: loadGlobal})
	}
}

func (s *symbols) param(name string) *variable {
	s.stores[name] = true
	return s.define(name, symbolLoad{kind: loadParam})
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if s.known(name) {
		return
	}
	if outer := s.parent.find(name); outer != nil {
		s.define(name, symbolLoad{loadAlias, outer})
		return
	}
	s.define(name, symbolLoad{kind: loadNone})
}

// merge brings the branches of an if together.
func (s *symbols) merge(branches ...*symbols) {
	var names []string
	for _, b := range branches {
		for name := range b.stores {
			if !s.stored(name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, b := range branches {
		maps.Copy(s.refs, b.refs)
		maps.Copy(s.stores, b.stores)
		for _, name := range b.order {
			s.setLoad(name, b.loads[name])
		}
	}
	for _, name := range names {
		if outer := s.parent.find(name); outer != nil {
			s.setLoad(name, symbolLoad{loadAlias, outer})
		} else {
			s.setLoad(name, symbolLoad{kind: loadGlobal})
		}
	}
}

// analyse finds the names of a block's own scope; blocks inside that have
// scopes of their own are not entered.
func (s *symbols) analyse(body []stmt) {
	for _, st := range body {
		switch st := st.(type) {
		case *outputStmt:
			s.reads(st.e)
		case *ifStmt:
			s.analyseIf(st)
		case *forStmt:
			s.reads(st.iter)
		case *setStmt:
			s.reads(st.value)
			s.assigns(st.target, false)
		case *setBlockStmt:
			s.assigns(st.target, false)
		case *filterStmt:
			s.reads(st.filter)
		case *macroStmt:
			s.store(st.target.name)
		case *callStmt:
			s.reads(st.call)
		case *withStmt:
			for _, e := range st.values {
				s.reads(e)
			}
		}
	}
}

func (s *symbols) analyseIf(st *ifStmt) {
	s.reads(st.arms[0].cond)
	body, elifs, otherwise := s.branch(), s.branch(), s.branch()
	body.analyse(st.arms[0].body)
	for _, arm := range st.arms[1:] {
		elifs.reads(arm.cond)
		b := elifs.branch()
		b.analyse(arm.body)
		elifs.merge(b)
	}
	otherwise.analyse(st.otherwise)
	s.merge(body, elifs, otherwise)
}

// reads notes the names that an expression uses.
func (s *symbols) reads(e expr) {
	walk(e, func(e expr) {
		if n, ok := e.(*nameExpr); ok {
			s.read(n.name)
		}
	})
}

func (s *symbols) assigns(t target, asParam bool) {
	switch t := t.(type) {
	case *nameTarget:
		if asParam {
			s.param(t.name)
		} else {
			s.store(t.name)
		}
	case *tupleTarget:
		for _, item := range t.items {
			s.assigns(item, asParam)
		}
	case *attrTarget:
		s.read(t.ns.name)
	}
}

// walk calls f for an expression and all inside it.
func walk(e expr, f func(expr)) {
	if e == nil {
		return
	}
	f(e)
	children(e, func(c *expr) { walk(*c, f) })
}

// children calls f for the expressions directly inside e that are not nil.
func children(e expr, f func(*expr)) {
	one := func(c *expr) {
		if *c != nil {
			f(c)
		}
	}
	many := func(list []expr) {
		for i := range list {
			one(&list[i])
		}
	}
	args := func(a *argExprs) {
		many(a.pos)
		many(a.named)
		one(&a.dynPos)
		one(&a.dynNamed)
	}
	switch e := e.(type) {
	case *listExpr:
		many(e.items)
	case *dictExpr:
		for i := range e.keys {
			one(&e.keys[i])
			one(&e.vals[i])
		}
	case *attrExpr:
		one(&e.obj)
	case *itemExpr:
		one(&e.obj)
		one(&e.key)
	case *sliceExpr:
		one(&e.obj)
		one(&e.start)
		one(&e.stop)
		one(&e.step)
	case *callExpr:
		one(&e.fn)
		args(&e.args)
	case *filterExpr:
		one(&e.obj)
		args(&e.args)
	case *testExpr:
		one(&e.obj)
		args(&e.args)
	case *notExpr:
		one(&e.obj)
	case *andExpr:
		many(e.terms)
	case *orExpr:
		many(e.terms)
	case *sumExpr:
		many(e.terms)
	case *binaryExpr:
		one(&e.l)
		one(&e.r)
	case *unaryExpr:
		one(&e.obj)
	case *concatExpr:
		many(e.terms)
	case *compareExpr:
		one(&e.l)
		many(e.rest)
	case *condExpr:
		one(&e.cond)
		one(&e.then)
		one(&e.otherwise)
	}
}
