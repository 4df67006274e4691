package jinja

// resolver binds every name of a template to its variable and finds what only
// the whole tree shows: unknown filters, a break outside a loop, too much
// nesting.
type resolver struct {
	globals map[string]int
	names   []string // of globals
	height  int
	max     int // of height
	root    *symbols
	blocks  map[string]*blockStmt
	pos     int // of the error that stops it
}

// where is the surroundings of a statement.
type where struct {
	sym     *symbols
	soft    bool // unknown filters are errors only when they are reached
	inLoop  bool // of the same proc
	forBody bool // some loop is around: loop cannot be assigned
}

func (w where) within(sym *symbols) where {
	w.sym, w.soft = sym, false
	return w
}

func (r *resolver) global(name string) int {
	i, ok := r.globals[name]
	if !ok {
		i = len(r.names)
		r.globals[name] = i
		r.names = append(r.names, name)
	}
	return i
}

// finish turns analysed symbols into what is done on entering the block.
func (r *resolver) finish(s *symbols) *scope {
	sc := &scope{}
	for _, name := range s.order {
		v, l := s.vars[name], s.loads[name]
		switch l.kind {
		case loadGlobal:
			g := r.global(name)
			if !s.stores[name] {
				v.slot = ^g
				continue
			}
			sc.loads = append(sc.loads, load{kind: loadGlobal, slot: v.slot, from: g})
		case loadAlias:
			hops, from := distance(s.proc, l.from)
			sc.loads = append(sc.loads, load{loadAlias, v.slot, hops, from})
		default:
			sc.loads = append(sc.loads, load{kind: l.kind, slot: v.slot})
		}
	}
	return sc
}

// distance is how a proc reaches a variable.
func distance(p *proc, v *variable) (hops, slot int) {
	for ; p != v.proc; p = p.parent {
		hops++
	}
	return hops, v.slot
}

func (r *resolver) fail(pos int, kind Kind, format string, args ...any) error {
	r.pos = pos
	return failf(kind, format, args...)
}

// up counts a level of the tree's height; the caller defers r.down.
func (r *resolver) up() error {
	r.height++
	if r.height > r.max {
		return failf(KindLimit, "the template nests too deep (limit template_depth)")
	}
	return nil
}

func (r *resolver) down() { r.height-- }

func (r *resolver) body(list []stmt, w where) error {
	if err := r.up(); err != nil {
		return err
	}
	defer r.down()
	for _, s := range list {
		if err := r.stmt(s, w); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) stmt(s stmt, w where) error {
	switch s := s.(type) {
	case *outputStmt:
		return r.expr(s.e, w)
	case *ifStmt:
		w.soft = true
		for i := range s.arms {
			if err := r.expr(s.arms[i].cond, w); err != nil {
				return err
			}
			if err := r.body(s.arms[i].body, w); err != nil {
				return err
			}
		}
		return r.body(s.otherwise, w)
	case *forStmt:
		return r.forStmt(s, w)
	case *setStmt:
		if err := r.expr(s.value, w); err != nil {
			return err
		}
		for _, n := range s.spaces {
			r.name(n, w)
		}
		return r.target(s.target, w)
	case *setBlockStmt:
		return r.setBlock(s, w)
	case *filterStmt:
		sym := newSymbols(w.sym, w.sym.proc)
		sym.analyse(s.body)
		sym.reads(s.filter)
		s.scope = r.finish(sym)
		if err := r.body(s.body, w.within(sym)); err != nil {
			return err
		}
		return r.expr(s.filter, w.within(sym))
	case *macroStmt:
		if err := r.target(&s.target, w); err != nil {
			return err
		}
		return r.macro(s.macro, w)
	case *callStmt:
		if err := r.macro(s.body, w); err != nil {
			return err
		}
		return r.expr(s.call, w)
	case *generationStmt:
		return r.macro(s.body, w)
	case *withStmt:
		return r.with(s, w)
	case *scopeStmt:
		sym := newSymbols(w.sym, w.sym.proc)
		sym.analyse(s.body)
		s.scope = r.finish(sym)
		return r.body(s.body, w.within(sym))
	case *blockStmt:
		return r.block(s, w)
	case *breakStmt:
		if !w.inLoop {
			return r.fail(s.pos, KindSyntax, "'break' outside loop")
		}
	case *continueStmt:
		if !w.inLoop {
			return r.fail(s.pos, KindSyntax, "'continue' not properly in loop")
		}
	}
	return nil
}

func (r *resolver) forStmt(s *forStmt, w where) error {
	if err := r.expr(s.iter, w); err != nil {
		return err
	}
	p := w.sym.proc
	if s.recursive {
		p = &proc{parent: p}
		s.fn = p
	}
	if s.test != nil {
		sym := newSymbols(w.sym, p)
		sym.assigns(s.testTarget, true)
		sym.reads(s.test)
		s.testScope = r.finish(sym)
		inner := w.within(sym)
		if err := r.target(s.testTarget, inner); err != nil {
			return err
		}
		if err := r.expr(s.test, inner); err != nil {
			return err
		}
	}
	sym := newSymbols(w.sym, p)
	loopVar := sym.param("loop")
	sym.assigns(s.target, true)
	sym.analyse(s.body)
	s.bodyScope = r.finish(sym)
	s.loopSlot = loopVar.slot
	inner := w.within(sym)
	inner.inLoop, inner.forBody = true, true
	if err := r.target(s.target, inner); err != nil {
		return err
	}
	if err := r.body(s.body, inner); err != nil {
		return err
	}
	sym = newSymbols(w.sym, p)
	sym.analyse(s.otherwise)
	s.elseScope = r.finish(sym)
	inner = w.within(sym)
	inner.forBody = true
	if s.recursive {
		inner.inLoop = false
	}
	if err := r.body(s.otherwise, inner); err != nil {
		return err
	}
	if !s.recursive && !mentionsLoop(s.body) {
		s.loopSlot = -1
	}
	return nil
}

func (r *resolver) setBlock(s *setBlockStmt, w where) error {
	if err := r.target(s.target, w); err != nil {
		return err
	}
	sym := newSymbols(w.sym, w.sym.proc)
	sym.analyse(s.body)
	if s.filter != nil {
		sym.reads(s.filter)
	}
	s.scope = r.finish(sym)
	if err := r.body(s.body, w.within(sym)); err != nil {
		return err
	}
	if s.filter == nil {
		return nil
	}
	return r.expr(s.filter, w.within(sym))
}

func (r *resolver) with(s *withStmt, w where) error {
	for _, e := range s.values {
		if err := r.expr(e, w); err != nil {
			return err
		}
	}
	sym := newSymbols(w.sym, w.sym.proc)
	for _, t := range s.targets {
		sym.assigns(t, true)
	}
	sym.analyse(s.body)
	s.scope = r.finish(sym)
	for _, t := range s.targets {
		if err := r.target(t, w.within(sym)); err != nil {
			return err
		}
	}
	return r.body(s.body, w.within(sym))
}

func (r *resolver) block(s *blockStmt, w where) error {
	if r.blocks[s.body.name] != nil {
		return r.fail(s.pos, KindSyntax, "block %s defined twice", reprOf(s.body.name))
	}
	r.blocks[s.body.name] = s
	if !s.scoped {
		w.sym = r.root
	}
	return r.macro(s.body, w)
}

func (r *resolver) macro(m *macroDef, w where) error {
	m.fn = &proc{parent: w.sym.proc}
	sym := newSymbols(w.sym, m.fn)
	explicit := map[string]int{}
	for i := range m.params {
		sym.param(m.params[i].name)
		explicit[m.params[i].name] = i + 1
	}
	special := func(name string, used *bool, slot *int) {
		if *used = mentions(m.body, name); *used {
			*slot = sym.param(name).slot
		}
	}
	if i := explicit["caller"]; i == 0 {
		special("caller", &m.usesCaller, &m.caller)
	} else if mentions(m.body, "caller") && i <= len(m.params)-len(m.defaults) {
		return r.fail(m.params[i-1].pos, KindSyntax, "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.")
	}
	if explicit["kwargs"] == 0 {
		special("kwargs", &m.usesKw, &m.kwargs)
	}
	if explicit["varargs"] == 0 {
		special("varargs", &m.usesArgs, &m.varargs)
	}
	for _, e := range m.defaults {
		sym.reads(e)
	}
	sym.analyse(m.body)
	m.scope = r.finish(sym)
	inner := w.within(sym)
	inner.inLoop = false
	for i := range m.params {
		r.name(&m.params[i].nameExpr, inner)
	}
	for _, e := range m.defaults {
		if err := r.expr(e, inner); err != nil {
			return err
		}
	}
	return r.body(m.body, inner)
}

func (r *resolver) name(n *nameExpr, w where) {
	v := w.sym.find(n.name)
	if v == nil {
		// Only where jinja2 itself would stumble: a filter of a set block.
		n.slot = ^r.global(n.name)
		return
	}
	if v.slot < 0 {
		n.slot = v.slot
		return
	}
	n.hops, n.slot = distance(w.sym.proc, v)
}

func (r *resolver) target(t target, w where) error {
	switch t := t.(type) {
	case *nameTarget:
		if t.name == "loop" && w.forBody {
			return r.fail(t.pos, KindSyntax, "Can't assign to special loop variable in for-loop target")
		}
		r.name(&t.nameExpr, w)
	case *attrTarget:
		r.name(&t.ns, w)
	case *tupleTarget:
		for _, item := range t.items {
			if err := r.target(item, w); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *resolver) expr(e expr, w where) (err error) {
	if err := r.up(); err != nil {
		return err
	}
	defer r.down()
	switch e := e.(type) {
	case *nameExpr:
		r.name(e, w)
		return nil
	case *filterExpr:
		if e.fn == nil && !w.soft {
			return r.fail(e.pos, KindSyntax, "No filter named %s.", reprOf(e.name))
		}
	case *testExpr:
		if e.fn == nil && !w.soft {
			return r.fail(e.pos, KindSyntax, "No test named %s.", reprOf(e.name))
		}
	case *condExpr:
		w.soft = true
	}
	children(e, func(c *expr) {
		if err == nil {
			err = r.expr(*c, w)
		}
	})
	return err
}

// mentionsLoop reports whether a loop's body may use the variable loop.
func mentionsLoop(body []stmt) bool { return mentions(body, "loop") }

// mentions reports whether a body reads a name, in any scope, before it
// assigns it.
func mentions(body []stmt, name string) bool {
	read, _ := mention(body, name)
	return read
}

// mention reports whether the name is read first, or assigned first.
func mention(body []stmt, name string) (read, assigned bool) {
	inExpr := func(list ...expr) bool {
		found := false
		for _, e := range list {
			walk(e, func(e expr) {
				n, ok := e.(*nameExpr)
				found = found || ok && n.name == name
			})
		}
		return found
	}
	var inTarget func(t target) bool
	inTarget = func(t target) bool {
		switch t := t.(type) {
		case *nameTarget:
			return t.name == name
		case *tupleTarget:
			for _, item := range t.items {
				if inTarget(item) {
					return true
				}
			}
		case *attrTarget:
			return false
		}
		return false
	}
	// step looks at one part; it ends the search where that decides.
	type part struct {
		exprs  []expr
		target target
		body   []stmt
	}
	var parts []part
	for _, s := range body {
		switch s := s.(type) {
		case *outputStmt:
			parts = append(parts, part{exprs: []expr{s.e}})
		case *ifStmt:
			for _, a := range s.arms {
				parts = append(parts, part{exprs: []expr{a.cond}}, part{body: a.body})
			}
			parts = append(parts, part{body: s.otherwise})
		case *forStmt:
			parts = append(parts, part{exprs: []expr{s.iter}}, part{target: s.target}, part{exprs: []expr{s.test}}, part{body: s.body}, part{body: s.otherwise})
		case *setStmt:
			parts = append(parts, part{exprs: []expr{s.value}}, part{target: s.target})
		case *setBlockStmt:
			parts = append(parts, part{target: s.target})
			if s.filter != nil {
				parts = append(parts, part{exprs: []expr{s.filter}})
			}
			parts = append(parts, part{body: s.body})
		case *filterStmt:
			parts = append(parts, part{body: s.body}, part{exprs: []expr{s.filter}})
		case *macroStmt:
			parts = append(parts, part{exprs: s.macro.defaults}, part{body: s.macro.body})
		case *callStmt:
			parts = append(parts, part{exprs: []expr{s.call}}, part{exprs: s.body.defaults}, part{body: s.body.body})
		case *generationStmt:
			parts = append(parts, part{body: s.body.body})
		case *withStmt:
			parts = append(parts, part{exprs: s.values}, part{body: s.body})
		case *scopeStmt:
			parts = append(parts, part{body: s.body})
		case *blockStmt:
			if s.scoped {
				parts = append(parts, part{body: s.body.body})
			}
		}
	}
	for _, p := range parts {
		if inExpr(p.exprs...) {
			return true, false
		}
		if p.target != nil && inTarget(p.target) {
			return false, true
		}
		if p.body != nil {
			if r, a := mention(p.body, name); r || a {
				return r, a
			}
		}
	}
	return false, false
}
