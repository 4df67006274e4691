package jinja

import "math"

var builtins map[string]Value

func init() {
	builtins = map[string]Value{}
	for name, call := range map[string]func(*state, *args) (Value, error){
		"range": globalRange, "dict": globalDict, "namespace": globalNamespace, "cycler": globalCycler, "joiner": globalJoiner,
		"raise_exception": globalRaise, "strftime_now": globalStrftime,
	} {
		builtins[name] = &function{name: name, call: call}
	}
}

// builtin is the function that a render has under a name that its variables
// do not define; nil where there is none.
func builtin(name string) Value { return builtins[name] }

func globalRange(st *state, a *args) (Value, error) {
	p, err := a.positional("range", 1, 3)
	if err != nil {
		return nil, err
	}
	var n [3]int64
	for i, v := range p {
		if v == nil {
			continue
		}
		k, ok := smallInt(v)
		if !ok {
			return nil, typeErrorf("'%s' object cannot be interpreted as an integer", v.typeName())
		}
		const most = math.MaxInt64 / 4
		n[i] = min(max(k, -most), most)
	}
	start, stop, step := n[0], n[1], n[2]
	if p[1] == nil {
		start, stop = 0, n[0]
	}
	if p[2] == nil {
		step = 1
	}
	if step == 0 {
		return nil, valueErrorf("range() arg 3 must not be zero")
	}
	size := int64(0)
	if step > 0 && start < stop {
		size = (stop-start-1)/step + 1
	} else if step < 0 && start > stop {
		size = (start-stop-1)/-step + 1
	}
	if size > int64(st.lim.Range) {
		return nil, valueErrorf("Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", st.lim.Range)
	}
	return &pyRange{start, stop, step, size}, nil
}

func globalDict(st *state, a *args) (Value, error) {
	d := NewDict()
	if len(a.pos) > 1 {
		return nil, typeErrorf("dict expected at most 1 argument, got %d", len(a.pos))
	}
	if len(a.pos) == 1 {
		if err := st.fill(d, a.pos[0]); err != nil {
			return nil, err
		}
	}
	if err := st.allocItems(4 * len(a.names)); err != nil {
		return nil, err
	}
	for i, name := range a.names {
		d.Set(name, a.named[i])
	}
	return d, nil
}

// fill adds the entries of a dict or of an iterable of pairs.
func (st *state) fill(d *Dict, from Value) error {
	if src, ok := from.(*Dict); ok {
		if err := st.allocItems(4 * src.Len()); err != nil {
			return err
		}
		for i, k := range src.keys {
			if err := d.put(k, src.vals[i]); err != nil {
				return err
			}
		}
		return nil
	}
	it, err := st.iterate(from)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		item, ok, err := it.step(st)
		if err != nil || !ok {
			return err
		}
		if err := st.allocItems(4); err != nil {
			return err
		}
		pair, err := st.unpackable(item)
		if err != nil {
			return typeErrorf("cannot convert dictionary update sequence element #%d to a sequence", i)
		}
		if len(pair.items) != 2 {
			return valueErrorf("dictionary update sequence element #%d has length %d; 2 is required", i, len(pair.items))
		}
		if err := d.put(pair.items[0], pair.items[1]); err != nil {
			return err
		}
	}
}

func globalNamespace(st *state, a *args) (Value, error) {
	d, err := globalDict(st, a)
	if err != nil {
		return nil, err
	}
	return &namespace{d.(*Dict)}, nil
}

func globalCycler(_ *state, a *args) (Value, error) {
	if len(a.names) > 0 {
		return nil, typeErrorf("Cycler.__init__() got an unexpected keyword argument '%s'", a.names[0])
	}
	if len(a.pos) == 0 {
		return nil, failf(KindRuntime, "at least one item has to be provided")
	}
	return &cycler{items: a.pos}, nil
}

func globalJoiner(_ *state, a *args) (Value, error) {
	p, err := a.bind("Joiner.__init__", 0, "sep")
	if err != nil {
		return nil, err
	}
	if p[0] == nil {
		p[0] = text(", ")
	}
	return &joiner{sep: p[0]}, nil
}

// globalRaise is transformers' raise_exception.
func globalRaise(st *state, a *args) (Value, error) {
	p, err := a.bind("raise_exception", 1, "message")
	if err != nil {
		return nil, err
	}
	t, err := st.str(p[0])
	if err != nil {
		return nil, err
	}
	return nil, &Error{Kind: KindRaise, Msg: t.s}
}

func globalStrftime(st *state, a *args) (Value, error) {
	p, err := a.bind("strftime_now", 1, "format")
	if err != nil {
		return nil, err
	}
	layout, err := strArg(p[0])
	if err != nil {
		return nil, typeErrorf("strftime() argument 1 must be str, not %s", p[0].typeName())
	}
	return value(st.strftime(layout))
}
