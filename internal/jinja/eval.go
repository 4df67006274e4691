package jinja

import "strconv"

func (e *constExpr) eval(*state, *frame) (Value, error) { return e.v, nil }

func (e *nameExpr) eval(st *state, fr *frame) (Value, error) {
	if v := st.lookup(fr, e.hops, e.slot); v != nil {
		return v, nil
	}
	return unknownVariable(e.name), nil
}

func (st *state) evalAll(list []expr, fr *frame) ([]Value, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if err := st.allocItems(len(list)); err != nil {
		return nil, err
	}
	out := make([]Value, len(list))
	for i, e := range list {
		v, err := e.eval(st, fr)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (e *listExpr) eval(st *state, fr *frame) (Value, error) {
	items, err := st.evalAll(e.items, fr)
	if err != nil {
		return nil, st.at(e.pos, err)
	}
	return &List{items: items, tuple: e.tuple}, nil
}

func (e *dictExpr) eval(st *state, fr *frame) (Value, error) {
	if err := st.allocItems(2 * len(e.keys)); err != nil {
		return nil, st.at(e.pos, err)
	}
	d := NewDict()
	for i := range e.keys {
		k, err := e.keys[i].eval(st, fr)
		if err != nil {
			return nil, err
		}
		v, err := e.vals[i].eval(st, fr)
		if err != nil {
			return nil, err
		}
		if err := d.put(k, v); err != nil {
			return nil, st.at(e.pos, err)
		}
	}
	return d, nil
}

func (e *attrExpr) eval(st *state, fr *frame) (Value, error) {
	obj, err := e.obj.eval(st, fr)
	if err != nil {
		return nil, err
	}
	v, err := st.getattr(obj, e.nameV)
	if err != nil {
		return nil, st.at(e.pos, err)
	}
	return v, nil
}

func (e *itemExpr) eval(st *state, fr *frame) (Value, error) {
	obj, err := e.obj.eval(st, fr)
	if err != nil {
		return nil, err
	}
	key, err := e.key.eval(st, fr)
	if err != nil {
		return nil, err
	}
	v, err := st.getitem(obj, key)
	if err != nil {
		return nil, st.at(e.pos, err)
	}
	return v, nil
}

func (e *sliceExpr) eval(st *state, fr *frame) (Value, error) {
	obj, err := e.obj.eval(st, fr)
	if err != nil {
		return nil, err
	}
	var parts [3]Value
	for i, p := range [...]expr{e.start, e.stop, e.step} {
		if p == nil {
			continue
		}
		if parts[i], err = p.eval(st, fr); err != nil {
			return nil, err
		}
	}
	v, err := st.slice(obj, parts)
	return v, st.at(e.pos, err)
}

func (e *notExpr) eval(st *state, fr *frame) (Value, error) {
	v, err := e.obj.eval(st, fr)
	if err != nil {
		return nil, err
	}
	return boolean(!truth(v)), nil
}

func (e *andExpr) eval(st *state, fr *frame) (v Value, err error) {
	for _, t := range e.terms {
		if v, err = t.eval(st, fr); err != nil || !truth(v) {
			return v, err
		}
	}
	return v, nil
}

func (e *orExpr) eval(st *state, fr *frame) (v Value, err error) {
	for _, t := range e.terms {
		if v, err = t.eval(st, fr); err != nil || truth(v) {
			return v, err
		}
	}
	return v, nil
}

func (e *condExpr) eval(st *state, fr *frame) (Value, error) {
	c, err := e.cond.eval(st, fr)
	if err != nil {
		return nil, err
	}
	if truth(c) {
		return e.then.eval(st, fr)
	}
	if e.otherwise == nil {
		return &undefined{hint: "the inline if-expression on line " + strconv.Itoa(e.line) + " evaluated to false and no else section was defined."}, nil
	}
	return e.otherwise.eval(st, fr)
}

func (e *unaryExpr) eval(st *state, fr *frame) (Value, error) {
	v, err := e.obj.eval(st, fr)
	if err != nil {
		return nil, err
	}
	v, err = unary(v, e.neg)
	return v, st.at(e.pos, err)
}

func (e *binaryExpr) eval(st *state, fr *frame) (Value, error) {
	l, err := e.l.eval(st, fr)
	if err != nil {
		return nil, err
	}
	r, err := e.r.eval(st, fr)
	if err != nil {
		return nil, err
	}
	v, err := st.arithmetic(e.op, l, r)
	return v, st.at(e.pos, err)
}

// cut takes what was put on the scratch builder since start off again.
func (st *state) cut(b *builder, start int) (*Str, error) {
	n := len(b.buf) - start
	if err := st.alloc(n); err != nil {
		return nil, err
	}
	out := &Str{s: string(b.buf[start:])}
	first := len(b.runs)
	for first > 0 && b.runs[first-1].end > start {
		first--
	}
	switch tail := b.runs[first:]; len(tail) {
	case 0:
	case 1:
		out.org = tail[0].org
	default:
		out.runs = make([]run, len(tail))
		for i, r := range tail {
			out.runs[i] = run{r.end - start, r.org}
		}
	}
	b.truncate(start)
	return out, nil
}

// truncate drops the bytes from n on.
func (b *builder) truncate(n int) {
	b.buf = b.buf[:n]
	for len(b.runs) > 0 {
		last := len(b.runs) - 1
		before := 0
		if last > 0 {
			before = b.runs[last-1].end
		}
		if before < n {
			b.runs[last].end = n
			return
		}
		b.runs = b.runs[:last]
	}
}

func (e *sumExpr) eval(st *state, fr *frame) (Value, error) {
	b := &st.scratch
	start := len(b.buf)
	v, err := e.into(st, fr, b)
	if err != nil || v != nil {
		b.truncate(start)
		return v, err
	}
	t, err := st.cut(b, start)
	if err != nil {
		return nil, st.at(e.pos[0], err)
	}
	return t, nil
}

// write prints the sum.
func (e *sumExpr) write(st *state, fr *frame, out *builder) error {
	v, err := e.into(st, fr, out)
	if err != nil || v == nil {
		return err
	}
	return st.write(out, v)
}

// into adds the terms from left to right. As long as all are plain strings
// they are put on b, and nil is returned; otherwise b is as before and the sum
// is returned.
func (e *sumExpr) into(st *state, fr *frame, b *builder) (Value, error) {
	start := len(b.buf)
	var sum Value // nil while all is on b
	for i, term := range e.terms {
		v, err := term.eval(st, fr)
		if err != nil {
			return nil, err
		}
		t, ok := v.(*Str)
		if ok = ok && !t.safe; ok && sum == nil {
			if err := st.writable(b, len(t.s)); err != nil {
				return nil, st.at(e.pos[max(0, i-1)], err)
			}
			b.addStr(t)
			continue
		}
		if i == 0 {
			sum = v
			continue
		}
		pos := e.pos[i-1]
		if sum == nil {
			if sum, err = st.cut(b, start); err != nil {
				return nil, st.at(pos, err)
			}
		}
		if sum, err = st.add(sum, v); err != nil {
			return nil, st.at(pos, err)
		}
	}
	return sum, st.step()
}

func (e *concatExpr) eval(st *state, fr *frame) (Value, error) {
	b := &st.scratch
	start := len(b.buf)
	for _, term := range e.terms {
		v, err := term.eval(st, fr)
		if err == nil {
			err = st.at(e.pos, st.write(b, v))
		}
		if err != nil {
			b.truncate(start)
			return nil, err
		}
	}
	t, err := st.cut(b, start)
	if err != nil {
		return nil, st.at(e.pos, err)
	}
	return t, nil
}

func (e *compareExpr) eval(st *state, fr *frame) (Value, error) {
	l, err := e.l.eval(st, fr)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		r, err := e.rest[i].eval(st, fr)
		if err != nil {
			return nil, err
		}
		ok, err := st.compare(op, l, r)
		if err != nil {
			return nil, st.at(e.pos, err)
		}
		if !ok {
			return pyFalse, nil
		}
		l = r
	}
	return pyTrue, nil
}

func (e *callExpr) eval(st *state, fr *frame) (Value, error) { return e.evalWith(st, fr, nil) }

// evalWith calls with the additional argument caller, unless that is nil.
func (e *callExpr) evalWith(st *state, fr *frame, caller *macro) (Value, error) {
	var fn Value
	var str *Str
	var dict *Dict
	var err error
	attr, ok := e.fn.(*attrExpr)
	if ok && (attr.strMethod != nil || attr.dictMethod != nil) {
		// The common methods are called without being made values first.
		obj, err := attr.obj.eval(st, fr)
		if err != nil {
			return nil, err
		}
		switch o := obj.(type) {
		case *Str:
			if attr.strMethod != nil {
				str = o
			}
		case *Dict:
			if attr.dictMethod != nil {
				dict = o
			}
		}
		if str == nil && dict == nil {
			if fn, err = st.getattr(obj, attr.nameV); err != nil {
				return nil, st.at(attr.pos, err)
			}
		}
	} else if fn, err = e.fn.eval(st, fr); err != nil {
		return nil, err
	}
	a, err := st.arguments(&e.args, fr)
	if err != nil {
		return nil, st.at(e.pos, err)
	}
	if caller != nil {
		a = a.with("caller", caller)
	}
	switch {
	case str != nil:
		v, err := st.callMethod(attr.strMethod, str, a)
		return v, st.at(attr.pos, err)
	case dict != nil:
		v, err := attr.dictMethod(st, dict, a)
		return v, st.at(attr.pos, err)
	}
	v, err := st.call(fn, a)
	return v, st.at(e.pos, err)
}

func (e *filterExpr) eval(st *state, fr *frame) (Value, error) {
	var obj Value
	var err error
	if e.obj == nil {
		obj = st.captured
	} else if obj, err = e.obj.eval(st, fr); err != nil {
		return nil, err
	}
	if e.fn == nil {
		return nil, st.at(e.pos, failf(KindRuntime, "No filter named %s found.", reprOf(e.name)))
	}
	a, err := st.arguments(&e.args, fr)
	if err != nil {
		return nil, st.at(e.pos, err)
	}
	v, err := st.filter(e.fn, obj, a)
	return v, st.at(e.pos, err)
}

func (e *testExpr) eval(st *state, fr *frame) (Value, error) {
	obj, err := e.obj.eval(st, fr)
	if err != nil {
		return nil, err
	}
	if e.fn == nil {
		return nil, st.at(e.pos, failf(KindRuntime, "No test named %s found.", reprOf(e.name)))
	}
	a, err := st.arguments(&e.args, fr)
	if err != nil {
		return nil, st.at(e.pos, err)
	}
	ok, err := st.test(e.fn, obj, a)
	return boolean(ok), st.at(e.pos, err)
}
