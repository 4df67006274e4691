package jinja

// args are the arguments of a call.
type args struct {
	pos   []Value
	names []string
	named []Value
	few   [2]Value // holds pos where it is short
}

// placed are arguments in the places of a function's parameters; nil where one
// was left out.
type placed [5]Value

var noArgs = &args{}

// with is a with one more named argument.
func (a *args) with(name string, v Value) *args {
	return &args{pos: a.pos, names: append(append([]string(nil), a.names...), name), named: append(append([]Value(nil), a.named...), v)}
}

// arguments evaluates the arguments of a call.
func (st *state) arguments(e *argExprs, fr *frame) (*args, error) {
	if e.empty() {
		return noArgs, st.step()
	}
	a := &args{names: e.names}
	var err error
	if n := len(e.pos); n <= len(a.few) {
		for i, p := range e.pos {
			if a.few[i], err = p.eval(st, fr); err != nil {
				return nil, err
			}
		}
		a.pos = a.few[:n:n]
	} else if a.pos, err = st.evalAll(e.pos, fr); err != nil {
		return nil, err
	}
	if a.named, err = st.evalAll(e.named, fr); err != nil {
		return nil, err
	}
	if e.dynPos != nil {
		v, err := e.dynPos.eval(st, fr)
		if err != nil {
			return nil, err
		}
		it, err := st.iterate(v)
		if err != nil {
			return nil, typeErrorf("argument after * must be an iterable, not %s", v.typeName())
		}
		more, err := st.collect(&it)
		if err != nil {
			return nil, err
		}
		a.pos = append(a.pos[:len(a.pos):len(a.pos)], more...)
	}
	if e.dynNamed != nil {
		if err := st.spread(a, e.dynNamed, fr); err != nil {
			return nil, err
		}
	}
	return a, st.step()
}

// spread adds what **e stands for.
func (st *state) spread(a *args, e expr, fr *frame) error {
	v, err := e.eval(st, fr)
	if err != nil {
		return err
	}
	d, ok := v.(*Dict)
	if !ok {
		return typeErrorf("argument after ** must be a mapping, not %s", v.typeName())
	}
	if err := st.allocItems(2 * d.Len()); err != nil {
		return err
	}
	names := append([]string(nil), a.names...)
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		seen[n] = true
	}
	for i, k := range d.keys {
		s, ok := k.(*Str)
		if !ok {
			return typeErrorf("keywords must be strings")
		}
		if seen[s.s] {
			return typeErrorf("got multiple values for keyword argument '%s'", s.s)
		}
		names = append(names, s.s)
		a.named = append(a.named[:len(a.named):len(a.named)], d.vals[i])
	}
	a.names = names
	return nil
}

// bind gives the arguments the places of a function's parameters; what was
// left out is nil. The first ones, as many as required says, must be there.
func (a *args) bind(fn string, required int, params ...string) (out placed, err error) {
	if len(a.pos) > len(params) {
		return out, typeErrorf("%s() takes at most %d arguments (%d given)", fn, len(params), len(a.pos))
	}
	copy(out[:], a.pos)
	for i, name := range a.names {
		at := -1
		for j, p := range params {
			if p == name {
				at = j
			}
		}
		if at < 0 {
			return out, typeErrorf("%s() got an unexpected keyword argument '%s'", fn, name)
		}
		if out[at] != nil {
			return out, typeErrorf("%s() got multiple values for argument '%s'", fn, name)
		}
		out[at] = a.named[i]
	}
	for i := range required {
		if out[i] == nil {
			return out, typeErrorf("%s() missing required argument: '%s'", fn, params[i])
		}
	}
	return out, nil
}

// positional is bind for functions that take no keywords.
func (a *args) positional(fn string, least, most int) (out placed, err error) {
	if len(a.names) > 0 {
		return out, typeErrorf("%s() takes no keyword arguments", fn)
	}
	if len(a.pos) < least || len(a.pos) > most {
		return out, typeErrorf("%s() takes from %d to %d arguments (%d given)", fn, least, most, len(a.pos))
	}
	copy(out[:], a.pos)
	return out, nil
}

// call is Python's fn(*args).
func (st *state) call(fn Value, a *args) (Value, error) {
	switch fn := fn.(type) {
	case *macro:
		return value(st.callMacro(fn, a))
	case *function:
		return fn.call(st, a)
	case *undefined:
		return nil, fn.err()
	case *loop:
		return st.callLoop(fn, a)
	case *joiner:
		if _, err := a.positional("Joiner.__call__", 0, 0); err != nil {
			return nil, err
		}
		if !fn.used {
			fn.used = true
			return emptyValue, nil
		}
		return fn.sep, nil
	}
	return nil, typeErrorf("'%s' object is not callable", fn.typeName())
}

// value keeps a nil *Str from becoming a Value.
func value(t *Str, err error) (Value, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (st *state) callLoop(l *loop, a *args) (Value, error) {
	if l.again == nil {
		return nil, typeErrorf("The loop must have the 'recursive' marker to be called recursively.")
	}
	v, err := a.bind("loop", 1, "iterable")
	if err != nil {
		return nil, err
	}
	return value(l.again(st, v[0], l.depth0+1))
}

// deeper counts a call; the caller takes it off st.depth again.
func (st *state) deeper() error {
	if st.depth >= st.lim.Depth {
		return failf(KindLimit, "calls nest deeper than %d levels (limit template_depth)", st.lim.Depth)
	}
	st.depth++
	return nil
}

// macro is a macro with the frame that it was defined in.
type macro struct {
	def   *macroDef
	outer *frame
}

func (*macro) typeName() string { return "Macro" }

// callMacro binds the arguments as jinja2's Macro does and gives what the body
// writes.
func (st *state) callMacro(m *macro, a *args) (*Str, error) {
	if err := st.deeper(); err != nil {
		return nil, err
	}
	defer func() { st.depth-- }()
	def := m.def
	fr := newFrame(def.fn, m.outer)
	if err := st.allocItems(def.fn.slots); err != nil {
		return nil, err
	}
	if err := st.bindMacro(def, fr, a); err != nil {
		return nil, err
	}
	def.scope.enter(st, fr)
	for i := range def.params {
		p := &def.params[i]
		if fr.vars[p.slot] != nil {
			continue
		}
		d := i - (len(def.params) - len(def.defaults))
		if d < 0 {
			fr.vars[p.slot] = &undefined{hint: "parameter " + reprOf(p.name) + " was not provided", name: text(p.name)}
			continue
		}
		v, err := def.defaults[d].eval(st, fr)
		if err != nil {
			return nil, err
		}
		fr.vars[p.slot] = v
	}
	t, _, err := st.capture(def.body, fr)
	return t, err
}

func (st *state) bindMacro(def *macroDef, fr *frame, a *args) error {
	n := min(len(a.pos), len(def.params))
	for i := range n {
		fr.vars[def.params[i].slot] = a.pos[i]
	}
	used := make([]bool, len(a.names))
	take := func(name string) Value {
		for i, have := range a.names {
			if have == name && !used[i] {
				used[i] = true
				return a.named[i]
			}
		}
		return nil
	}
	for i := n; i < len(def.params); i++ {
		fr.vars[def.params[i].slot] = take(def.params[i].name)
	}
	if def.usesCaller {
		v := take("caller")
		if _, isNone := v.(None); v == nil || isNone {
			v = &undefined{hint: "No caller defined", name: text("caller")}
		}
		fr.vars[def.caller] = v
	}
	rest := NewDict()
	for i, name := range a.names {
		if used[i] {
			continue
		}
		if !def.usesKw {
			if name == "caller" {
				return typeErrorf("macro %s was invoked with two values for the special caller argument. This is most likely a bug.", macroName(def))
			}
			return typeErrorf("macro %s takes no keyword argument %s", macroName(def), reprOf(name))
		}
		rest.Set(name, a.named[i])
	}
	if def.usesKw {
		fr.vars[def.kwargs] = rest
	}
	if def.usesArgs {
		fr.vars[def.varargs] = newTuple(a.pos[n:]...)
	} else if len(a.pos) > len(def.params) {
		return typeErrorf("macro %s takes not more than %d argument(s)", macroName(def), len(def.params))
	}
	return nil
}

func macroName(def *macroDef) string {
	if def.name == "" {
		return "None"
	}
	return reprOf(def.name)
}

// callMethod calls a string's method.
func (st *state) callMethod(m strMethod, self *Str, a *args) (Value, error) {
	n := len(self.s)
	for _, v := range a.pos {
		if t, ok := v.(*Str); ok {
			n += len(t.s)
		}
	}
	if err := st.work(n); err != nil {
		return nil, err
	}
	return m(st, self, a)
}

// filter applies a filter.
func (st *state) filter(f filter, v Value, a *args) (Value, error) {
	if t, ok := v.(*Str); ok {
		if err := st.work(len(t.s)); err != nil {
			return nil, err
		}
	}
	return f(st, v, a)
}

// test applies a test.
func (st *state) test(t test, v Value, a *args) (bool, error) {
	if err := st.step(); err != nil {
		return false, err
	}
	return t(st, v, a)
}
