package jinja

// textArg is an argument as a string; the default where it was left out.
func (st *state) textArg(v Value, missing string) (*Str, error) {
	if v == nil {
		return text(missing), nil
	}
	return st.str(v)
}

// strArg is an argument that must be a string.
func strArg(v Value) (*Str, error) {
	switch v := v.(type) {
	case *Str:
		return v, nil
	case *undefined:
		return nil, typeErrorf("must be str, not Undefined")
	}
	return nil, typeErrorf("must be str, not %s", v.typeName())
}

// intArg is an argument that must be an integer.
func intArg(v Value, missing int) (int, error) {
	if v == nil {
		return missing, nil
	}
	n, ok := smallInt(v)
	if !ok {
		if u, ok := v.(*undefined); ok {
			return 0, u.err()
		}
		return 0, typeErrorf("'%s' object cannot be interpreted as an integer", v.typeName())
	}
	const most = 1 << 40
	return int(min(max(n, -most), most)), nil
}

func boolArg(v Value, missing bool) bool {
	if v == nil {
		return missing
	}
	return truth(v)
}

func isNone(v Value) bool {
	_, ok := v.(None)
	return v == nil || ok
}

// listOf is Python's list(v).
func (st *state) listOf(v Value) ([]Value, error) {
	it, err := st.iterate(v)
	if err != nil {
		return nil, err
	}
	return st.collect(&it)
}

// soft is jinja2's soft_str: strings stay, all else is printed.
func (st *state) soft(v Value) (*Str, error) {
	if t, ok := v.(*Str); ok {
		return t, nil
	}
	return st.str(v)
}

// generate makes a generator out of a function that is run at its first item.
func (st *state) generate(name string, start func() (func() (Value, bool, error), error)) *generator {
	var next func() (Value, bool, error)
	return &generator{name: name, next: func() (Value, bool, error) {
		// A generator may draw from another, and that from a third.
		if err := st.deeper(); err != nil {
			return nil, false, err
		}
		defer func() { st.depth-- }()
		if next == nil {
			var err error
			if next, err = start(); err != nil {
				return nil, false, err
			}
		}
		return next()
	}}
}

// over is a generator's function over a list.
func over(items []Value) func() (Value, bool, error) {
	i := 0
	return func() (Value, bool, error) {
		if i >= len(items) {
			return nil, false, nil
		}
		i++
		return items[i-1], true, nil
	}
}
