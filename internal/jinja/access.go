package jinja

import (
	"math"
	"strings"
)

// getattr is what the template's obj.name means: Python's attribute, else the
// item of that name, else undefined.
func (st *state) getattr(obj Value, name *Str) (Value, error) {
	if err := st.step(); err != nil {
		return nil, err
	}
	if u, ok := obj.(*undefined); ok {
		return nil, u.err()
	}
	v, err := st.attribute(obj, name.s)
	if v != nil || err != nil {
		return v, err
	}
	if d, ok := obj.(*Dict); ok {
		if i := d.findString(name.s); i >= 0 {
			return d.vals[i], nil
		}
	}
	return missing(obj, name), nil
}

// getitem is what obj[key] means: Python's item, else the attribute of that
// name, else undefined.
func (st *state) getitem(obj, key Value) (Value, error) {
	if err := st.step(); err != nil {
		return nil, err
	}
	switch o := obj.(type) {
	case *undefined:
		return nil, o.err()
	case *Dict:
		// An unhashable key is a TypeError that jinja2 takes for absence.
		if i, err := o.find(key); err == nil && i >= 0 {
			return o.vals[i], nil
		}
	case *List, *Str, *pyRange:
		if i, ok := smallInt(key); ok {
			v, err := st.index(obj, i)
			if v != nil || err != nil {
				return v, err
			}
		}
	}
	if name, ok := key.(*Str); ok {
		if v, err := st.attribute(obj, name.s); v != nil || err != nil {
			return v, err
		}
	}
	return missing(obj, key), nil
}

// index is obj[i], nil where there is no such item.
func (st *state) index(obj Value, i int64) (Value, error) {
	switch o := obj.(type) {
	case *List:
		if i < 0 {
			i += int64(len(o.items))
		}
		if i >= 0 && i < int64(len(o.items)) {
			return o.items[i], nil
		}
	case *pyRange:
		if i < 0 {
			i += o.n
		}
		if i >= 0 && i < o.n {
			return o.at(i), nil
		}
	case *Str:
		if err := st.work(len(o.s)); err != nil {
			return nil, err
		}
		n := int64(len(o.s))
		if !isASCII(o.s) {
			n = int64(runeLen(o.s))
		}
		if i < 0 {
			i += n
		}
		if i < 0 || i >= n {
			return nil, nil
		}
		if n == int64(len(o.s)) {
			return o.slice(int(i), int(i)+1), nil
		}
		start := runeOffset(o.s, int(i))
		return o.slice(start, start+runeOffset(o.s[start:], 1)), nil
	}
	return nil, nil
}

// attribute is Python's getattr(obj, name) inside the sandbox; nil where there
// is no such attribute.
func (st *state) attribute(obj Value, name string) (Value, error) {
	switch o := obj.(type) {
	case *loop:
		if v, err := o.attr(st, name); v != nil || err != nil {
			return v, err
		}
	case *namespace:
		return o.attrs.Get(name), nil
	case *Str:
		if m := strMethods[name]; m != nil {
			return &function{name: name, method: true, call: func(st *state, a *args) (Value, error) { return st.callMethod(m, o, a) }}, nil
		}
	case *Dict:
		if m := dictMethods[name]; m != nil {
			return bound(name, func(st *state, a *args) (Value, error) { return m(st, o, a) }), nil
		}
		switch name {
		case "clear", "pop", "popitem", "setdefault", "update":
			return unsafe(obj, name), nil
		}
	case *List:
		if v := o.attribute(name); v != nil {
			return v, nil
		}
	case *macro:
		switch name {
		case "name":
			if o.def.name == "" {
				return none, nil
			}
			return text(o.def.name), nil
		case "arguments":
			names := newTuple()
			for _, p := range o.def.params {
				names.items = append(names.items, text(p.name))
			}
			return names, nil
		case "caller":
			return boolean(o.def.usesCaller), nil
		case "catch_kwargs":
			return boolean(o.def.usesKw), nil
		case "catch_varargs":
			return boolean(o.def.usesArgs), nil
		}
	case self:
		if b := st.t.blocks[name]; b != nil {
			return bound(name, func(st *state, a *args) (Value, error) { return st.callBlock(b, st.root, a) }), nil
		}
	case *cycler:
		if v := o.attribute(name); v != nil {
			return v, nil
		}
	case Int, Bool, *bigInt:
		switch name {
		case "real", "numerator":
			return unary(obj, false)
		case "imag":
			return integer(0), nil
		case "denominator":
			return integer(1), nil
		}
	case Float:
		switch name {
		case "real":
			return o, nil
		case "imag":
			return Float{}, nil
		case "is_integer":
			return bound(name, func(*state, *args) (Value, error) {
				return boolean(o.F == math.Trunc(o.F) && !math.IsInf(o.F, 0)), nil
			}), nil
		}
	}
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") && len(name) > 4 {
		return unsafe(obj, name), nil
	}
	return nil, nil
}

func bound(name string, call func(*state, *args) (Value, error)) *function {
	return &function{name: name, method: true, call: call}
}

// unsafe is an attribute that the sandbox does not give out.
func unsafe(obj Value, name string) Value {
	return &undefined{
		hint: "access to attribute " + reprOf(name) + " of " + reprOf(obj.typeName()) + " object is unsafe.",
		obj:  obj, name: text(name), kind: KindSecurity,
	}
}

// slice is obj[start:stop:step]; the parts left out are nil.
func (st *state) slice(obj Value, parts [3]Value) (Value, error) {
	var n int
	switch o := obj.(type) {
	case *Str:
		if err := st.work(len(o.s)); err != nil {
			return nil, err
		}
		n = runeLen(o.s)
	case *List:
		n = len(o.items)
	case *pyRange:
		n = int(o.n)
	case *undefined:
		return nil, o.err()
	case *Dict:
		return nil, typeErrorf("unhashable type: 'slice'")
	default:
		return nil, typeErrorf("'%s' object is not subscriptable", obj.typeName())
	}
	start, step, count, err := sliceIndices(parts, n)
	if err != nil {
		return nil, err
	}
	switch o := obj.(type) {
	case *List:
		if step == 1 {
			return &List{items: o.items[start : start+count : start+count], tuple: o.tuple}, st.step()
		}
		if err := st.allocItems(count); err != nil {
			return nil, err
		}
		items := make([]Value, count)
		for i := range items {
			items[i] = o.items[start+i*step]
		}
		return &List{items: items, tuple: o.tuple}, nil
	case *pyRange:
		r := &pyRange{start: o.start + int64(start)*o.step, step: o.step * int64(step), n: int64(count)}
		r.stop = r.start + r.n*r.step
		return r, nil
	}
	return st.sliceStr(obj.(*Str), start, step, count, n)
}

func (st *state) sliceStr(t *Str, start, step, count, n int) (Value, error) {
	ascii := n == len(t.s)
	if step == 1 {
		i, j := start, start+count
		if !ascii {
			i = runeOffset(t.s, start)
			j = i + runeOffset(t.s[i:], count)
		}
		return t.slice(i, j), nil
	}
	if err := st.alloc(16 * len(t.s)); err != nil {
		return nil, err
	}
	offsets := make([]int, 0, n+1)
	for i := range t.s {
		offsets = append(offsets, i)
	}
	offsets = append(offsets, len(t.s))
	var b builder
	for k := range count {
		i := start + k*step
		b.addRange(t, offsets[i], offsets[i+1])
	}
	return b.str(), nil
}

// sliceIndices is Python's slice.indices, as start, step and number of items.
func sliceIndices(parts [3]Value, n int) (start, step, count int, err error) {
	var idx [3]int64
	var given [3]bool
	for i, p := range parts {
		if p == nil {
			continue
		}
		if _, isNone := p.(None); isNone {
			continue
		}
		var ok bool
		if idx[i], ok = smallInt(p); !ok {
			return 0, 0, 0, typeErrorf("slice indices must be integers or None or have an __index__ method")
		}
		given[i] = true
	}
	stp := int64(1)
	if given[2] {
		if stp = idx[2]; stp == 0 {
			return 0, 0, 0, valueErrorf("slice step cannot be zero")
		}
	}
	low, high := int64(0), int64(n)
	if stp < 0 {
		low, high = -1, int64(n)-1
	}
	clamp := func(i int, missing int64) int64 {
		if !given[i] {
			return missing
		}
		v := idx[i]
		if v < 0 {
			if v < -int64(n) {
				return low
			}
			v += int64(n)
		}
		return min(max(v, low), high)
	}
	from, to := clamp(0, low), clamp(1, high)
	if stp < 0 {
		from, to = clamp(0, high), clamp(1, low)
	}
	var cnt int64
	switch {
	case stp > 0 && from < to:
		cnt = (to-from-1)/stp + 1
	case stp < 0 && to < from:
		if stp == math.MinInt64 {
			stp++
		}
		cnt = (from-to-1)/(-stp) + 1
	}
	if cnt == 0 {
		return 0, 1, 0, nil
	}
	return int(from), int(stp), int(cnt), nil
}
