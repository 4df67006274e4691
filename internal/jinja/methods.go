package jinja

// dictMethod is a method of Python's dict.
type dictMethod func(st *state, d *Dict, a *args) (Value, error)

// dictMethods are those that change nothing.
var dictMethods map[string]dictMethod

func init() {
	dictView := func(name string, what viewKind) dictMethod {
		return func(_ *state, d *Dict, a *args) (Value, error) {
			if _, err := a.positional(name, 0, 0); err != nil {
				return nil, err
			}
			return &view{d, what}, nil
		}
	}
	dictMethods = map[string]dictMethod{
		"keys": dictView("keys", viewKeys), "values": dictView("values", viewValues), "items": dictView("items", viewItems),
		"get": methodGet, "copy": methodCopy, "fromkeys": methodFromKeys,
	}
}

func methodGet(_ *state, d *Dict, a *args) (Value, error) {
	p, err := a.positional("get", 1, 2)
	if err != nil {
		return nil, err
	}
	i, err := d.find(p[0])
	if err != nil {
		return nil, err
	}
	if i >= 0 {
		return d.vals[i], nil
	}
	if p[1] == nil {
		return none, nil
	}
	return p[1], nil
}

func methodCopy(st *state, d *Dict, a *args) (Value, error) {
	if _, err := a.positional("copy", 0, 0); err != nil {
		return nil, err
	}
	return d, st.step()
}

func methodFromKeys(st *state, _ *Dict, a *args) (Value, error) {
	p, err := a.positional("fromkeys", 1, 2)
	if err != nil {
		return nil, err
	}
	keys, err := st.listOf(p[0])
	if err != nil {
		return nil, err
	}
	v := p[1]
	if v == nil {
		v = none
	}
	d := NewDict()
	if err := st.allocItems(4 * len(keys)); err != nil {
		return nil, err
	}
	for _, k := range keys {
		if err := d.put(k, v); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// attribute is what a list or tuple has under a name; nil for nothing.
func (l *List) attribute(name string) Value {
	switch name {
	case "index":
		return bound(name, l.indexOf)
	case "count":
		return bound(name, l.count)
	}
	if l.group {
		switch name {
		case "grouper":
			return l.items[0]
		case "list":
			return l.items[1]
		}
	}
	if l.tuple {
		return nil
	}
	switch name {
	case "copy":
		return bound(name, func(*state, *args) (Value, error) { return l, nil })
	case "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove":
		return unsafe(l, name)
	}
	return nil
}

func (l *List) indexOf(st *state, a *args) (Value, error) {
	p, err := a.positional("index", 1, 3)
	if err != nil {
		return nil, err
	}
	start, _, n, err := sliceIndices([3]Value{p[1], p[2], nil}, len(l.items))
	if err != nil {
		return nil, err
	}
	for i := start; i < start+n; i++ {
		eq, err := st.equal(l.items[i], p[0], 0)
		if err != nil {
			return nil, err
		}
		if eq {
			return integer(i), nil
		}
		if err := st.step(); err != nil {
			return nil, err
		}
	}
	return nil, valueErrorf("%s is not in %s", reprText(p[0]), l.typeName())
}

func (l *List) count(st *state, a *args) (Value, error) {
	p, err := a.positional("count", 1, 1)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, item := range l.items {
		eq, err := st.equal(item, p[0], 0)
		if err != nil {
			return nil, err
		}
		if eq {
			n++
		}
		if err := st.step(); err != nil {
			return nil, err
		}
	}
	return integer(n), nil
}

func (c *cycler) attribute(name string) Value {
	switch name {
	case "current":
		return c.items[c.pos]
	case "next":
		return bound(name, func(*state, *args) (Value, error) {
			v := c.items[c.pos]
			c.pos = (c.pos + 1) % len(c.items)
			return v, nil
		})
	case "reset":
		return bound(name, func(*state, *args) (Value, error) {
			c.pos = 0
			return none, nil
		})
	}
	return nil
}
