package jinja

import (
	"sort"
	"strconv"
	"strings"
)

// attrPath follows a path such as "function.name" or "0.role".
func (st *state) attrPath(v, path, missing Value) (Value, error) {
	t, ok := path.(*Str)
	if !ok {
		got, err := st.getitem(v, path)
		return orDefault(got, missing), err
	}
	for part := range strings.SplitSeq(t.s, ".") {
		var key Value = text(part)
		if n, err := strconv.Atoi(part); err == nil && n >= 0 && part[0] != '+' {
			key = integer(n)
		}
		var err error
		if v, err = st.getitem(v, key); err != nil {
			return nil, err
		}
		v = orDefault(v, missing)
	}
	return v, nil
}

func orDefault(v, missing Value) Value {
	if _, isUndefined := v.(*undefined); isUndefined && !isNone(missing) {
		return missing
	}
	return v
}

// sortKey is what a filter sorts or compares an item by.
func (st *state) sortKey(item, attribute Value, caseSensitive bool) (Value, error) {
	if !isNone(attribute) {
		var err error
		if item, err = st.attrPath(item, attribute, nil); err != nil {
			return nil, err
		}
	}
	return st.foldCase(item, caseSensitive)
}

func (st *state) foldCase(v Value, caseSensitive bool) (Value, error) {
	if t, ok := v.(*Str); ok && !caseSensitive {
		return lower(t), st.alloc(len(t.s))
	}
	return v, nil
}

// sorted sorts items by keys, stably.
func (st *state) sorted(items, keys []Value, reverse bool) ([]Value, error) {
	if err := st.allocItems(3 * len(items)); err != nil {
		return nil, err
	}
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	var failed error
	sort.SliceStable(order, func(i, j int) bool {
		if failed != nil {
			return false
		}
		l, r := keys[order[i]], keys[order[j]]
		if reverse {
			l, r = r, l
		}
		var c int
		if c, failed = st.order(l, r, "<", 0); failed != nil {
			return false
		}
		return c < 0
	})
	out := make([]Value, len(items))
	for i, k := range order {
		out[i] = items[k]
	}
	return out, failed
}

func filterSort(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("sort", 0, "reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := st.listOf(v)
	if err != nil {
		return nil, err
	}
	var paths []Value
	if t, ok := p[2].(*Str); ok {
		for part := range strings.SplitSeq(t.s, ",") {
			paths = append(paths, text(part))
		}
	} else {
		paths = []Value{p[2]}
	}
	keys := make([]Value, len(items))
	for i, item := range items {
		var parts []Value
		for _, path := range paths {
			k, err := st.sortKey(item, path, boolArg(p[1], false))
			if err != nil {
				return nil, err
			}
			parts = append(parts, k)
		}
		keys[i] = NewList(parts...)
	}
	items, err = st.sorted(items, keys, boolArg(p[0], false))
	return NewList(items...), err
}

func filterDictsort(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("dictsort", 0, "case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	by := "key"
	if p[1] != nil {
		t, err := st.str(p[1])
		if err != nil {
			return nil, err
		}
		by = t.s
	}
	if by != "key" && by != "value" {
		return nil, failf(KindRuntime, "You can only sort by either \"key\" or \"value\"")
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, noAttribute(v, "items")
	}
	if err := st.allocItems(6 * d.Len()); err != nil {
		return nil, err
	}
	items, keys := make([]Value, d.Len()), make([]Value, d.Len())
	for i := range items {
		items[i] = d.pair(i)
		k := d.keys[i]
		if by == "value" {
			k = d.vals[i]
		}
		if keys[i], err = st.foldCase(k, boolArg(p[0], false)); err != nil {
			return nil, err
		}
	}
	items, err = st.sorted(items, keys, boolArg(p[2], false))
	return NewList(items...), err
}

func filterGroupby(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("groupby", 1, "attribute", "default", "case_sensitive")
	if err != nil {
		return nil, err
	}
	items, err := st.listOf(v)
	if err != nil {
		return nil, err
	}
	if err := st.allocItems(8 * len(items)); err != nil {
		return nil, err
	}
	pairs, keys := make([]Value, len(items)), make([]Value, len(items))
	for i, item := range items {
		k, err := st.attrPath(item, p[0], p[1])
		if err != nil {
			return nil, err
		}
		pairs[i] = newTuple(item, k)
		if keys[i], err = st.foldCase(k, boolArg(p[2], false)); err != nil {
			return nil, err
		}
		pairs[i].(*List).items = append(pairs[i].(*List).items, keys[i])
	}
	if pairs, err = st.sorted(pairs, keys, false); err != nil {
		return nil, err
	}
	out := NewList()
	var last Value
	for _, pair := range pairs {
		t := pair.(*List).items
		if last != nil {
			same, err := st.equal(last, t[2], 0)
			if err != nil {
				return nil, err
			}
			if same {
				group := out.items[len(out.items)-1].(*List).items[1].(*List)
				group.items = append(group.items, t[0])
				continue
			}
		}
		last = t[2]
		out.items = append(out.items, &List{items: []Value{t[1], NewList(t[0])}, tuple: true, group: true})
	}
	return out, nil
}

func filterUnique(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("unique", 0, "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	return st.generate("do_unique", func() (func() (Value, bool, error), error) {
		it, err := st.iterate(v)
		if err != nil {
			return nil, err
		}
		seen := NewDict()
		return func() (Value, bool, error) {
			for {
				item, ok, err := it.step(st)
				if err != nil || !ok {
					return nil, false, err
				}
				key, err := st.sortKey(item, p[1], boolArg(p[0], false))
				if err != nil {
					return nil, false, err
				}
				i, err := seen.find(key)
				if err != nil {
					return nil, false, err
				}
				if i >= 0 {
					continue
				}
				if err := st.allocItems(8); err != nil {
					return nil, false, err
				}
				return item, true, seen.put(key, none)
			}
		}, nil
	}), nil
}

func filterMin(st *state, v Value, a *args) (Value, error) { return extreme(st, v, a, "<") }
func filterMax(st *state, v Value, a *args) (Value, error) { return extreme(st, v, a, ">") }

func extreme(st *state, v Value, a *args, op string) (Value, error) {
	p, err := a.bind(map[string]string{"<": "min", ">": "max"}[op], 0, "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	it, err := st.iterate(v)
	if err != nil {
		return nil, err
	}
	var best, bestKey Value
	for {
		item, ok, err := it.step(st)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		key, err := st.sortKey(item, p[1], boolArg(p[0], false))
		if err != nil {
			return nil, err
		}
		if best == nil {
			best, bestKey = item, key
			continue
		}
		better, err := st.compare(op, key, bestKey)
		if err != nil {
			return nil, err
		}
		if better {
			best, bestKey = item, key
		}
	}
	if best == nil {
		return &undefined{hint: "No aggregated item, sequence was empty."}, nil
	}
	return best, nil
}

func filterBatch(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("batch", 1, "linecount", "fill_with")
	if err != nil {
		return nil, err
	}
	size, err := intArg(p[0], 0)
	if err != nil {
		return nil, err
	}
	return st.generate("do_batch", func() (func() (Value, bool, error), error) {
		items, err := st.listOf(v)
		if err != nil {
			return nil, err
		}
		return func() (Value, bool, error) {
			if len(items) == 0 {
				return nil, false, nil
			}
			n := len(items)
			if size > 0 {
				n = min(n, size)
			}
			fill := 0
			if !isNone(p[1]) && size > n {
				fill = size - n
			}
			if err := st.allocItems(n + fill); err != nil {
				return nil, false, err
			}
			row := append([]Value(nil), items[:n]...)
			for range fill {
				row = append(row, p[1])
			}
			items = items[n:]
			return NewList(row...), true, nil
		}, nil
	}), nil
}

func filterSlice(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("slice", 1, "slices", "fill_with")
	if err != nil {
		return nil, err
	}
	slices, err := intArg(p[0], 0)
	if err != nil {
		return nil, err
	}
	return st.generate("do_slice", func() (func() (Value, bool, error), error) {
		items, err := st.listOf(v)
		if err != nil {
			return nil, err
		}
		if slices == 0 {
			return nil, valueErrorf("integer division or modulo by zero")
		}
		if slices < 0 {
			return over(nil), nil
		}
		per, extra := len(items)/slices, len(items)%slices
		number, pos := 0, 0
		return func() (Value, bool, error) {
			if number >= slices {
				return nil, false, nil
			}
			n := per
			if number < extra {
				n++
			}
			if err := st.allocItems(n + 1); err != nil {
				return nil, false, err
			}
			row := append([]Value(nil), items[pos:pos+n]...)
			if number >= extra && !isNone(p[1]) {
				row = append(row, p[1])
			}
			pos += n
			number++
			return NewList(row...), true, nil
		}, nil
	}), nil
}

func filterMap(st *state, v Value, a *args) (Value, error) {
	return st.generate("sync_do_map", func() (func() (Value, bool, error), error) {
		if !truth(v) {
			return over(nil), nil
		}
		f, err := st.mapping(a)
		if err != nil {
			return nil, err
		}
		it, err := st.iterate(v)
		if err != nil {
			return nil, err
		}
		return func() (Value, bool, error) {
			item, ok, err := it.step(st)
			if err != nil || !ok {
				return nil, false, err
			}
			item, err = f(item)
			return item, err == nil, err
		}, nil
	}), nil
}

// mapping is what the arguments of map do with an item.
func (st *state) mapping(a *args) (func(Value) (Value, error), error) {
	if len(a.pos) == 0 {
		var attribute, missing Value
		for i, name := range a.names {
			switch name {
			case "attribute":
				attribute = a.named[i]
			case "default":
				missing = a.named[i]
			}
		}
		if attribute == nil {
			return nil, failf(KindRuntime, "map requires a filter argument")
		}
		for _, name := range a.names {
			if name != "attribute" && name != "default" {
				return nil, failf(KindRuntime, "Unexpected keyword argument %s", reprOf(name))
			}
		}
		return func(v Value) (Value, error) { return st.attrPath(v, attribute, missing) }, nil
	}
	name, err := st.str(a.pos[0])
	if err != nil {
		return nil, err
	}
	f := filters[name.s]
	if f == nil {
		return nil, failf(KindRuntime, "No filter named %s.", reprOf(name.s))
	}
	rest := &args{pos: a.pos[1:], names: a.names, named: a.named}
	return func(v Value) (Value, error) {
		if err := st.deeper(); err != nil {
			return nil, err
		}
		defer func() { st.depth-- }()
		return st.filter(f, v, rest)
	}, nil
}

// selecting makes the filters select, reject, selectattr and rejectattr.
func selecting(name string, byAttr, keep bool) filter {
	return func(st *state, v Value, a *args) (Value, error) {
		return st.generate("sync_do_"+name, func() (func() (Value, bool, error), error) {
			if !truth(v) {
				return over(nil), nil
			}
			holds, err := st.selection(a, byAttr)
			if err != nil {
				return nil, err
			}
			it, err := st.iterate(v)
			if err != nil {
				return nil, err
			}
			return func() (Value, bool, error) {
				for {
					item, ok, err := it.step(st)
					if err != nil || !ok {
						return nil, false, err
					}
					if ok, err = holds(item); err != nil {
						return nil, false, err
					}
					if ok == keep {
						return item, true, nil
					}
				}
			}, nil
		}), nil
	}
}

// selection is the test that the arguments of select and its kin ask for.
func (st *state) selection(a *args, byAttr bool) (func(Value) (bool, error), error) {
	pos := a.pos
	var attribute Value
	if byAttr {
		if len(pos) == 0 {
			return nil, failf(KindRuntime, "Missing parameter for attribute name")
		}
		attribute, pos = pos[0], pos[1:]
	}
	var t test
	if len(pos) > 0 {
		name, err := st.str(pos[0])
		if err != nil {
			return nil, err
		}
		if t = tests[name.s]; t == nil {
			return nil, failf(KindRuntime, "No test named %s.", reprOf(name.s))
		}
		pos = pos[1:]
	}
	rest := &args{pos: pos, names: a.names, named: a.named}
	return func(v Value) (bool, error) {
		if attribute != nil {
			var err error
			if v, err = st.attrPath(v, attribute, nil); err != nil {
				return false, err
			}
		}
		if t == nil {
			return truth(v), nil
		}
		return st.test(t, v, rest)
	}, nil
}
