package jinja

func (st *state) run(body []stmt, fr *frame, out *builder) (signal, error) {
	for _, s := range body {
		if sig, err := s.exec(st, fr, out); err != nil || sig != done {
			return sig, err
		}
	}
	return done, nil
}

// capture runs a body and gives what it writes.
func (st *state) capture(body []stmt, fr *frame) (*Str, signal, error) {
	b := st.takeBuilder()
	defer st.giveBuilder(b)
	sig, err := st.run(body, fr, b)
	if err != nil {
		return nil, done, err
	}
	if err := st.alloc(b.len()); err != nil {
		return nil, done, err
	}
	return b.str(), sig, nil
}

func (s *dataStmt) exec(st *state, _ *frame, out *builder) (signal, error) {
	if err := st.writable(out, len(s.text.s)); err != nil {
		return done, err
	}
	out.add(s.text.s, FromTemplate)
	return done, st.step()
}

func (s *outputStmt) exec(st *state, fr *frame, out *builder) (signal, error) {
	if sum, ok := s.e.(*sumExpr); ok {
		return done, sum.write(st, fr, out)
	}
	v, err := s.e.eval(st, fr)
	if err != nil {
		return done, err
	}
	return done, st.write(out, v)
}

// write prints a value.
func (st *state) write(out *builder, v Value) error {
	t, ok := v.(*Str)
	if !ok {
		var err error
		if t, err = st.str(v); err != nil {
			return err
		}
	}
	if err := st.writable(out, len(t.s)); err != nil {
		return err
	}
	out.addStr(t)
	return st.step()
}

func (s *ifStmt) exec(st *state, fr *frame, out *builder) (signal, error) {
	for i := range s.arms {
		v, err := s.arms[i].cond.eval(st, fr)
		if err != nil {
			return done, err
		}
		if truth(v) {
			return st.run(s.arms[i].body, fr, out)
		}
	}
	return st.run(s.otherwise, fr, out)
}

func (s *setStmt) exec(st *state, fr *frame, _ *builder) (signal, error) {
	for _, n := range s.spaces {
		if _, ok := st.lookup(fr, n.hops, n.slot).(*namespace); !ok {
			return done, st.at(n.pos, failf(KindRuntime, "cannot assign attribute on non-namespace object"))
		}
	}
	v, err := s.value.eval(st, fr)
	if err != nil {
		return done, err
	}
	return done, st.at(s.pos, s.target.assign(st, fr, v))
}

func (t *nameTarget) assign(_ *state, fr *frame, v Value) error {
	fr.vars[t.slot] = v
	return nil
}

func (t *attrTarget) assign(st *state, fr *frame, v Value) error {
	ns, ok := st.lookup(fr, t.ns.hops, t.ns.slot).(*namespace)
	if !ok {
		return failf(KindRuntime, "cannot assign attribute on non-namespace object")
	}
	ns.attrs.SetKey(t.attr, v)
	return st.step()
}

func (t *tupleTarget) assign(st *state, fr *frame, v Value) error {
	l, ok := v.(*List)
	if !ok {
		var err error
		if l, err = st.unpackable(v); err != nil {
			return err
		}
	}
	want := len(t.items)
	if len(l.items) > want {
		return valueErrorf("too many values to unpack (expected %d)", want)
	}
	if len(l.items) < want {
		return valueErrorf("not enough values to unpack (expected %d, got %d)", want, len(l.items))
	}
	for i, item := range t.items {
		if err := item.assign(st, fr, l.items[i]); err != nil {
			return err
		}
	}
	return nil
}

// unpackable is the list that an iterable unpacks to.
func (st *state) unpackable(v Value) (*List, error) {
	it, err := st.iterate(v)
	if err != nil {
		return nil, typeErrorf("cannot unpack non-iterable %s object", v.typeName())
	}
	items, err := st.collect(&it)
	return &List{items: items}, err
}

func (s *setBlockStmt) exec(st *state, fr *frame, _ *builder) (signal, error) {
	s.scope.enter(st, fr)
	defer s.scope.leave(fr)
	t, sig, err := st.capture(s.body, fr)
	if err != nil || sig != done {
		return sig, err
	}
	var v Value = t
	if s.filter != nil {
		st.captured = t
		if v, err = s.filter.eval(st, fr); err != nil {
			return done, err
		}
	}
	return done, st.at(s.pos, s.target.assign(st, fr, v))
}

func (s *filterStmt) exec(st *state, fr *frame, out *builder) (signal, error) {
	s.scope.enter(st, fr)
	defer s.scope.leave(fr)
	t, sig, err := st.capture(s.body, fr)
	if err != nil || sig != done {
		return sig, err
	}
	st.captured = t
	v, err := s.filter.eval(st, fr)
	if err != nil {
		return done, err
	}
	return done, st.write(out, v)
}

func (s *withStmt) exec(st *state, fr *frame, out *builder) (signal, error) {
	s.scope.enter(st, fr)
	defer s.scope.leave(fr)
	for i, e := range s.values {
		v, err := e.eval(st, fr)
		if err != nil {
			return done, err
		}
		if err := s.targets[i].assign(st, fr, v); err != nil {
			return done, err
		}
	}
	return st.run(s.body, fr, out)
}

func (s *scopeStmt) exec(st *state, fr *frame, out *builder) (signal, error) {
	s.scope.enter(st, fr)
	defer s.scope.leave(fr)
	return st.run(s.body, fr, out)
}

func (s *blockStmt) exec(st *state, fr *frame, out *builder) (signal, error) {
	if !s.scoped {
		fr = st.root
	}
	t, err := st.callMacro(&macro{s.body, fr}, noArgs)
	if err != nil {
		return done, st.at(s.pos, err)
	}
	return done, st.write(out, t)
}

// callBlock is {{ self.name() }}.
func (st *state) callBlock(s *blockStmt, root *frame, a *args) (Value, error) {
	if s.scoped {
		return nil, failf(KindRuntime, "self.%s: a scoped block cannot be called here", s.body.name)
	}
	return value(st.callMacro(&macro{s.body, root}, a))
}

func (s *macroStmt) exec(st *state, fr *frame, _ *builder) (signal, error) {
	fr.vars[s.target.slot] = &macro{s.macro, fr}
	return done, st.step()
}

func (s *callStmt) exec(st *state, fr *frame, out *builder) (signal, error) {
	v, err := s.call.evalWith(st, fr, &macro{s.body, fr})
	if err != nil {
		return done, err
	}
	return done, st.write(out, v)
}

func (s *generationStmt) exec(st *state, fr *frame, out *builder) (signal, error) {
	v, err := st.callMacro(&macro{s.body, fr}, noArgs)
	if err != nil {
		return done, st.at(s.pos, err)
	}
	st.generation = append(st.generation, generated{st.out.len(), runeLen(v.s)})
	return done, st.write(out, v)
}

func (s *breakStmt) exec(st *state, _ *frame, _ *builder) (signal, error) {
	return breaking, st.step()
}

func (s *continueStmt) exec(st *state, _ *frame, _ *builder) (signal, error) {
	return continuing, st.step()
}

func (s *failStmt) exec(st *state, _ *frame, _ *builder) (signal, error) {
	return done, st.at(s.pos, typeErrorf("%s", s.msg))
}
