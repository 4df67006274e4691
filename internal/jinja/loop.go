package jinja

// iterator goes through the items of a value.
type iterator struct {
	items []Value
	i     int
	str   *Str                        // characters of a string, from byte i
	at    func(i int) Value           // items by number, n of them
	next  func() (Value, bool, error) // items one by one
	n     int
}

// iterate is Python's iter(v).
func (st *state) iterate(v Value) (iterator, error) {
	switch v := v.(type) {
	case *List:
		return iterator{items: v.items, n: len(v.items)}, nil
	case *Dict:
		return iterator{items: v.keys, n: len(v.keys)}, nil
	case *Str:
		return iterator{str: v}, nil
	case *view:
		if v.what == viewKeys {
			return iterator{items: v.dict.keys, n: v.dict.Len()}, nil
		}
		return iterator{at: v.at, n: v.dict.Len()}, nil
	case *pyRange:
		return iterator{at: func(i int) Value { return v.at(int64(i)) }, n: int(v.n)}, nil
	case *generator:
		return iterator{next: v.next}, nil
	case *undefined:
		return iterator{}, nil
	}
	return iterator{}, typeErrorf("'%s' object is not iterable", v.typeName())
}

// step is Python's next(): false at the end.
func (it *iterator) step(st *state) (Value, bool, error) {
	if err := st.step(); err != nil {
		return nil, false, err
	}
	switch {
	case it.str != nil:
		if it.i >= len(it.str.s) {
			return nil, false, nil
		}
		start := it.i
		it.i += runeOffset(it.str.s[start:], 1)
		return it.str.slice(start, it.i), true, st.alloc(64)
	case it.next != nil:
		return it.next()
	case it.i >= it.n:
		return nil, false, nil
	}
	it.i++
	if it.at != nil {
		return it.at(it.i - 1), true, nil
	}
	return it.items[it.i-1], true, nil
}

// length is Python's len(), -1 for a generator.
func (it *iterator) length() int {
	switch {
	case it.str != nil:
		return runeLen(it.str.s)
	case it.next != nil:
		return -1
	}
	return it.n
}

// collect is Python's list(it).
func (st *state) collect(it *iterator) ([]Value, error) {
	if it.items != nil && it.i == 0 {
		if err := st.allocItems(len(it.items)); err != nil {
			return nil, err
		}
		it.i = it.n
		return it.items[:len(it.items):len(it.items)], nil
	}
	var out []Value
	for {
		v, ok, err := it.step(st)
		if err != nil || !ok {
			return out, err
		}
		if err := st.allocItems(1); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
}

// loop is the variable of that name inside a for loop.
type loop struct {
	it        iterator
	index0    int
	length    int // -1 while unknown
	prev, cur Value
	peeked    Value
	hasPeek   bool
	atEnd     bool // a peek found no item
	depth0    int
	changed   []Value
	again     func(st *state, iter Value, depth int) (*Str, error) // of a recursive loop
}

func (*loop) typeName() string { return "LoopContext" }

func newLoop(it iterator, depth int) *loop {
	return &loop{it: it, index0: -1, length: it.length(), depth0: depth}
}

func (l *loop) next(st *state) (Value, bool, error) {
	var v Value
	if l.hasPeek {
		v = l.peeked
		l.hasPeek, l.peeked = false, nil
	} else {
		var ok bool
		var err error
		if v, ok, err = l.it.step(st); err != nil || !ok {
			return nil, ok, err
		}
	}
	l.index0++
	l.prev, l.cur = l.cur, v
	return v, true, nil
}

func (l *loop) peek(st *state) (Value, bool, error) {
	if l.hasPeek {
		return l.peeked, true, nil
	}
	if l.atEnd {
		return nil, false, nil
	}
	v, ok, err := l.it.step(st)
	if err != nil {
		return nil, false, err
	}
	l.peeked, l.hasPeek, l.atEnd = v, ok, !ok
	return v, ok, nil
}

// size is loop.length; a generator is read to its end for it.
func (l *loop) size(st *state) (int, error) {
	if l.length >= 0 {
		return l.length, nil
	}
	rest, err := st.collect(&l.it)
	if err != nil {
		return 0, err
	}
	l.it = iterator{items: rest, n: len(rest)}
	l.length = len(rest) + l.index0 + 1
	if l.hasPeek {
		l.length++
	}
	return l.length, nil
}

// attr is an attribute of the loop; nil where there is none.
func (l *loop) attr(st *state, name string) (Value, error) {
	switch name {
	case "index":
		return integer(l.index0 + 1), nil
	case "index0":
		return integer(l.index0), nil
	case "first":
		return boolean(l.index0 == 0), nil
	case "last":
		_, more, err := l.peek(st)
		return boolean(!more), err
	case "length":
		n, err := l.size(st)
		return integer(n), err
	case "revindex":
		n, err := l.size(st)
		return integer(n - l.index0), err
	case "revindex0":
		n, err := l.size(st)
		return integer(n - l.index0 - 1), err
	case "depth":
		return integer(l.depth0 + 1), nil
	case "depth0":
		return integer(l.depth0), nil
	case "previtem":
		if l.index0 == 0 {
			return &undefined{hint: "there is no previous item"}, nil
		}
		return l.prev, nil
	case "nextitem":
		v, ok, err := l.peek(st)
		if !ok && err == nil {
			v = &undefined{hint: "there is no next item"}
		}
		return v, err
	case "cycle":
		return &function{name: name, method: true, call: l.cycle}, nil
	case "changed":
		return &function{name: name, method: true, call: l.hasChanged}, nil
	}
	return nil, nil
}

func (l *loop) cycle(_ *state, a *args) (Value, error) {
	if len(a.pos) == 0 {
		return nil, typeErrorf("no items for cycling given")
	}
	return a.pos[l.index0%len(a.pos)], nil
}

func (l *loop) hasChanged(st *state, a *args) (Value, error) {
	if l.changed != nil {
		same, err := st.equal(newTuple(l.changed...), newTuple(a.pos...), 0)
		if err != nil || same {
			return pyFalse, err
		}
	}
	l.changed = append([]Value{}, a.pos...)
	return pyTrue, nil
}

func (s *forStmt) exec(st *state, fr *frame, out *builder) (signal, error) {
	v, err := s.iter.eval(st, fr)
	if err != nil {
		return done, err
	}
	if !s.recursive {
		sig, err := s.each(st, fr, v, 0, out)
		return sig, st.at(s.pos, err)
	}
	t, err := s.recurse(st, fr, v, 0)
	if err != nil {
		return done, st.at(s.pos, err)
	}
	return done, st.write(out, t)
}

// recurse runs a recursive loop in a frame of its own.
func (s *forStmt) recurse(st *state, fr *frame, v Value, depth int) (*Str, error) {
	if err := st.deeper(); err != nil {
		return nil, err
	}
	defer func() { st.depth-- }()
	b := st.takeBuilder()
	defer st.giveBuilder(b)
	if _, err := s.each(st, newFrame(s.fn, fr), v, depth, b); err != nil {
		return nil, err
	}
	return b.str(), st.alloc(b.len())
}

// each runs the loop over v; fr is the frame of its body.
func (s *forStmt) each(st *state, fr *frame, v Value, depth int, out *builder) (signal, error) {
	it, err := st.iterate(v)
	if err != nil {
		return done, err
	}
	if s.test != nil {
		s.testScope.enter(st, fr)
		it = iterator{next: s.filtered(st, fr, it)}
	}
	completed := false
	if s.loopSlot >= 0 {
		l := newLoop(it, depth)
		if s.recursive {
			l.again = func(st *state, v Value, depth int) (*Str, error) { return s.recurse(st, fr.outer, v, depth) }
		}
		completed, err = s.passes(st, fr, out, l, l.next)
	} else {
		completed, err = s.passes(st, fr, out, nil, it.step)
	}
	if err != nil {
		return done, err
	}
	s.bodyScope.leave(fr)
	if completed || len(s.otherwise) == 0 {
		return done, nil
	}
	s.elseScope.enter(st, fr)
	defer s.elseScope.leave(fr)
	return st.run(s.otherwise, fr, out)
}

// passes runs the body for each item; it reports whether one pass was
// completed, neither broken off nor continued.
func (s *forStmt) passes(st *state, fr *frame, out *builder, l *loop, next func(*state) (Value, bool, error)) (completed bool, err error) {
	for {
		item, ok, err := next(st)
		if err != nil || !ok {
			return completed, err
		}
		if err := s.target.assign(st, fr, item); err != nil {
			return completed, err
		}
		if l != nil {
			fr.vars[s.loopSlot] = l
		}
		s.bodyScope.enter(st, fr)
		sig, err := st.run(s.body, fr, out)
		if err != nil {
			return completed, err
		}
		if sig == breaking {
			return completed, nil
		}
		completed = completed || sig == done
	}
}

// filtered are the items for which the loop's test holds.
func (s *forStmt) filtered(st *state, fr *frame, it iterator) func() (Value, bool, error) {
	return func() (Value, bool, error) {
		for {
			item, ok, err := it.step(st)
			if err != nil || !ok {
				return nil, false, err
			}
			if err := s.testTarget.assign(st, fr, item); err != nil {
				return nil, false, err
			}
			v, err := s.test.eval(st, fr)
			if err != nil {
				return nil, false, err
			}
			if truth(v) {
				return item, true, nil
			}
		}
	}
}
