package jinja

import "unicode"

// A test is jinja2's test of the same name: what stands after is.
type test func(st *state, v Value, a *args) (bool, error)

var tests map[string]test

func init() {
	tests = map[string]test{
		"boolean":     kindTest(func(v Value) bool { _, ok := v.(Bool); return ok }),
		"callable":    kindTest(isCallable),
		"defined":     kindTest(func(v Value) bool { _, ok := v.(*undefined); return !ok }),
		"undefined":   kindTest(func(v Value) bool { _, ok := v.(*undefined); return ok }),
		"none":        kindTest(func(v Value) bool { _, ok := v.(None); return ok }),
		"escaped":     kindTest(func(v Value) bool { t, ok := v.(*Str); return ok && t.safe }),
		"false":       kindTest(func(v Value) bool { b, ok := v.(Bool); return ok && !b.V }),
		"true":        kindTest(func(v Value) bool { b, ok := v.(Bool); return ok && b.V }),
		"float":       kindTest(func(v Value) bool { _, ok := v.(Float); return ok }),
		"integer":     kindTest(isInteger),
		"number":      kindTest(func(v Value) bool { _, ok := number(v); return ok }),
		"string":      kindTest(func(v Value) bool { _, ok := v.(*Str); return ok }),
		"mapping":     kindTest(func(v Value) bool { _, ok := v.(*Dict); return ok }),
		"sequence":    kindTest(isSequence),
		"iterable":    isIterable,
		"lower":       caseTest(isLower),
		"upper":       caseTest(isUpper),
		"even":        parity(0),
		"odd":         parity(1),
		"divisibleby": divisibleBy,
		"sameas":      sameAs,
		"in":          func(st *state, v Value, a *args) (bool, error) { return against(st, v, a, "in") },
		"filter": func(st *state, v Value, a *args) (bool, error) {
			return named(v, a, func(n string) bool { return filters[n] != nil })
		},
		"test": func(st *state, v Value, a *args) (bool, error) {
			return named(v, a, func(n string) bool { return tests[n] != nil })
		},
	}
	for op, names := range map[string][]string{
		"==": {"eq", "equalto", "=="}, "!=": {"ne", "!="}, "<": {"lt", "lessthan", "<"},
		"<=": {"le", "<="}, ">": {"gt", "greaterthan", ">"}, ">=": {"ge", ">="},
	} {
		for _, name := range names {
			tests[name] = func(st *state, v Value, a *args) (bool, error) { return against(st, v, a, op) }
		}
	}
}

func kindTest(f func(Value) bool) test {
	return func(_ *state, v Value, a *args) (bool, error) {
		if len(a.pos)+len(a.named) > 0 {
			return false, typeErrorf("the test takes no argument (%d given)", len(a.pos)+len(a.named))
		}
		return f(v), nil
	}
}

func against(st *state, v Value, a *args, op string) (bool, error) {
	p, err := a.bind("test", 1, "other")
	if err != nil {
		return false, err
	}
	return st.compare(op, v, p[0])
}

func named(v Value, a *args, known func(string) bool) (bool, error) {
	if _, err := a.bind("test", 0); err != nil {
		return false, err
	}
	t, ok := v.(*Str)
	return ok && known(t.s), nil
}

func isCallable(v Value) bool {
	switch v.(type) {
	case *function, *macro, *undefined, *loop, *joiner:
		return true
	}
	return false
}

func isInteger(v Value) bool {
	switch v.(type) {
	case Int, *bigInt:
		return true
	}
	return false
}

func isSequence(v Value) bool {
	switch v.(type) {
	case *Str, *List, *Dict, *pyRange, *undefined:
		return true
	}
	return false
}

func isIterable(st *state, v Value, a *args) (bool, error) {
	if _, err := a.bind("iterable", 0); err != nil {
		return false, err
	}
	if _, isLoop := v.(*loop); isLoop {
		return true, nil
	}
	_, err := st.iterate(v)
	return err == nil, nil
}

func caseTest(f func(string) bool) test {
	return func(st *state, v Value, a *args) (bool, error) {
		t, err := st.str(v)
		if err != nil {
			return false, err
		}
		return f(t.s), st.work(len(t.s))
	}
}

func isLower(s string) bool { return allCased(s, unicode.IsLower) }
func isUpper(s string) bool { return allCased(s, unicode.IsUpper) }

// allCased reports whether there are cased characters and all are of the case.
func allCased(s string, is func(rune) bool) bool {
	found := false
	for _, r := range s {
		if !isCased(r) {
			continue
		}
		if !is(r) && !(unicode.In(r, unicode.Other_Lowercase) && is('a')) && !(unicode.In(r, unicode.Other_Uppercase) && is('A')) {
			return false
		}
		found = true
	}
	return found
}

func parity(want int) test {
	return func(st *state, v Value, a *args) (bool, error) {
		if _, err := a.bind("test", 0); err != nil {
			return false, err
		}
		m, err := st.arithmetic("%", v, integer(2))
		if err != nil {
			return false, err
		}
		return st.equal(m, integer(want), 0)
	}
}

func divisibleBy(st *state, v Value, a *args) (bool, error) {
	p, err := a.bind("divisibleby", 1, "num")
	if err != nil {
		return false, err
	}
	m, err := st.arithmetic("%", v, p[0])
	if err != nil {
		return false, err
	}
	return st.equal(m, integer(0), 0)
}

// sameAs is Python's is: true for the singletons and for one and the same object.
func sameAs(st *state, v Value, a *args) (bool, error) {
	p, err := a.bind("sameas", 1, "other")
	if err != nil {
		return false, err
	}
	switch l := v.(type) {
	case None:
		_, ok := p[0].(None)
		return ok, nil
	case Bool:
		r, ok := p[0].(Bool)
		return ok && l.V == r.V, nil
	case Int:
		r, ok := p[0].(Int)
		return ok && l.N == r.N, nil
	case *Str:
		r, ok := p[0].(*Str)
		return ok && l.s == r.s, st.work(len(l.s))
	}
	return v == p[0], nil
}
