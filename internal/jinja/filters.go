package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// A filter is jinja2's filter of the same name.
type filter func(st *state, v Value, a *args) (Value, error)

var filters map[string]filter

func init() {
	filters = map[string]filter{
		"abs": filterAbs, "attr": filterAttr, "batch": filterBatch, "capitalize": textFilter("capitalize", capitalize),
		"center": filterCenter, "count": filterLength, "d": filterDefault, "default": filterDefault, "dictsort": filterDictsort,
		"e": filterEscape, "escape": filterEscape, "filesizeformat": filterFilesize, "first": filterFirst, "float": filterFloat,
		"forceescape": filterForceEscape, "format": filterFormat, "groupby": filterGroupby, "indent": filterIndent, "int": filterInt,
		"items": filterItems, "join": filterJoin, "last": filterLast, "length": filterLength, "list": filterList,
		"lower": textFilter("lower", lower), "map": filterMap, "max": filterMax, "min": filterMin,
		"reject": selecting("reject", false, false), "rejectattr": selecting("rejectattr", true, false), "replace": filterReplace,
		"reverse": filterReverse, "round": filterRound, "safe": filterSafe, "select": selecting("select", false, true),
		"selectattr": selecting("selectattr", true, true), "slice": filterSlice, "sort": filterSort, "string": filterString,
		"striptags": filterStriptags, "sum": filterSum, "title": textFilter("title", filterTitle), "tojson": filterToJSON,
		"trim": filterTrim, "truncate": filterTruncate, "unique": filterUnique, "upper": textFilter("upper", upper),
		"urlencode": filterURLEncode, "wordcount": filterWordcount, "xmlattr": filterXMLAttr,
	}
}

func textFilter(name string, f func(*Str) *Str) filter {
	return func(st *state, v Value, a *args) (Value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		t, err := st.soft(v)
		if err != nil {
			return nil, err
		}
		return f(t), st.alloc(len(t.s))
	}
}

func filterAbs(_ *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("abs", 0); err != nil {
		return nil, err
	}
	if f, ok := v.(Float); ok {
		f.F = math.Abs(f.F)
		return f, nil
	}
	n, ok := bigOf(v)
	if !ok {
		return nil, typeErrorf("bad operand type for abs(): '%s'", v.typeName())
	}
	return fromBig(new(big.Int).Abs(n), originOf(v))
}

func filterAttr(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("attr", 1, "name")
	if err != nil {
		return nil, err
	}
	if u, ok := v.(*undefined); ok {
		return nil, u.err()
	}
	name, err := strArg(p[0])
	if err != nil {
		return nil, err
	}
	if got, err := st.attribute(v, name.s); got != nil || err != nil {
		return got, err
	}
	return missing(v, name), nil
}

func filterLength(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("len", 0); err != nil {
		return nil, err
	}
	n, err := st.length(v)
	return integer(n), err
}

func filterDefault(_ *state, v Value, a *args) (Value, error) {
	p, err := a.bind("default", 0, "default_value", "boolean")
	if err != nil {
		return nil, err
	}
	_, isUndefined := v.(*undefined)
	if !isUndefined && (!boolArg(p[1], false) || truth(v)) {
		return v, nil
	}
	if p[0] == nil {
		return emptyValue, nil
	}
	return p[0], nil
}

func filterFirst(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("first", 0); err != nil {
		return nil, err
	}
	it, err := st.iterate(v)
	if err != nil {
		return nil, err
	}
	first, ok, err := it.step(st)
	if err == nil && !ok {
		return &undefined{hint: "No first item, sequence was empty."}, nil
	}
	return first, err
}

func filterLast(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("last", 0); err != nil {
		return nil, err
	}
	if t, ok := v.(*Str); ok && t.s != "" {
		return st.index(t, -1)
	}
	items, err := st.reversible(v)
	if err == nil && len(items) == 0 {
		return &undefined{hint: "No last item, sequence was empty."}, nil
	}
	if err != nil {
		return nil, err
	}
	return items[len(items)-1], nil
}

// reversible is the items of what Python's reversed() takes.
func (st *state) reversible(v Value) ([]Value, error) {
	switch v.(type) {
	case *List, *Str, *Dict, *view, *pyRange, *undefined:
		return st.listOf(v)
	}
	return nil, typeErrorf("'%s' object is not reversible", v.typeName())
}

func filterReverse(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("reverse", 0); err != nil {
		return nil, err
	}
	if t, ok := v.(*Str); ok {
		return st.slice(t, [3]Value{nil, nil, Int{N: -1}})
	}
	items, err := st.reversible(v)
	if err != nil {
		if items, err = st.listOf(v); err != nil {
			return nil, failf(KindRuntime, "argument must be iterable")
		}
	}
	if err := st.allocItems(len(items)); err != nil {
		return nil, err
	}
	back := make([]Value, len(items))
	for i, item := range items {
		back[len(items)-1-i] = item
	}
	return &generator{name: "reversed", next: over(back)}, nil
}

func filterList(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("list", 0); err != nil {
		return nil, err
	}
	items, err := st.listOf(v)
	return NewList(items...), err
}

func filterItems(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("items", 0); err != nil {
		return nil, err
	}
	return st.generate("do_items", func() (func() (Value, bool, error), error) {
		switch v := v.(type) {
		case *undefined:
			return over(nil), nil
		case *Dict:
			i := 0
			return func() (Value, bool, error) {
				if i >= v.Len() {
					return nil, false, nil
				}
				i++
				return v.pair(i - 1), true, st.alloc(64)
			}, nil
		}
		return nil, typeErrorf("Can only get item pairs from a mapping.")
	}), nil
}

func filterString(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("string", 0); err != nil {
		return nil, err
	}
	return value(st.soft(v))
}

func filterSafe(st *state, v Value, a *args) (Value, error) {
	if _, err := a.bind("safe", 0); err != nil {
		return nil, err
	}
	t, err := st.str(v)
	if err != nil {
		return nil, err
	}
	c := *t
	c.safe = true
	return &c, nil
}

func filterTrim(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("trim", 0, "chars")
	if err != nil {
		return nil, err
	}
	t, err := st.soft(v)
	if err != nil {
		return nil, err
	}
	return strip(t, p[0], true, true)
}

func filterReplace(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("replace", 2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	var s [3]*Str
	for i, x := range [...]Value{v, p[0], p[1]} {
		if s[i], err = st.str(x); err != nil {
			return nil, err
		}
	}
	count := -1
	if !isNone(p[2]) {
		if count, err = intArg(p[2], -1); err != nil {
			return nil, err
		}
	}
	return value(st.replace(s[0], s[1], s[2], count))
}

func filterJoin(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("join", 0, "d", "attribute")
	if err != nil {
		return nil, err
	}
	sep, err := st.textArg(p[0], "")
	if err != nil {
		return nil, err
	}
	it, err := st.iterate(v)
	if err != nil {
		return nil, err
	}
	b := &st.scratch
	start := len(b.buf)
	for first := true; ; first = false {
		item, ok, err := it.step(st)
		if err != nil {
			return nil, err
		}
		if !ok {
			return value(st.cut(b, start))
		}
		if !isNone(p[1]) {
			if item, err = st.attrPath(item, p[1], nil); err != nil {
				return nil, err
			}
		}
		if !first {
			if err := st.write(b, sep); err != nil {
				return nil, err
			}
		}
		if err := st.write(b, item); err != nil {
			return nil, err
		}
	}
}

func filterInt(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("int", 0, "default", "base")
	if err != nil {
		return nil, err
	}
	fallback := p[0]
	if fallback == nil {
		fallback = integer(0)
	}
	base, err := intArg(p[1], 10)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case *undefined:
		return nil, v.err()
	case *Str:
		if n, ok, err := parseInt(v, base); ok || err != nil {
			return n, err
		}
		if f, ok := parsePyFloat(v.s); ok {
			if n, ok := truncate(f, v.anyOrigin()); ok {
				return n, nil
			}
		}
		return fallback, nil
	case Float:
		if n, ok := truncate(v.F, v.Origin); ok {
			return n, nil
		}
		return fallback, nil
	}
	if n, ok := bigOf(v); ok {
		return fromBig(n, originOf(v))
	}
	return fallback, nil
}

func truncate(f float64, org Origin) (Value, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, false
	}
	n, _ := big.NewFloat(f).Int(nil)
	v, err := fromBig(n, org)
	return v, err == nil
}

// parseInt is Python's int(text, base).
func parseInt(t *Str, base int) (Value, bool, error) {
	s := strings.TrimFunc(t.s, IsSpace)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	if len(s)+1 < len(strings.TrimFunc(t.s, IsSpace)) {
		return nil, false, nil // two signs
	}
	if len(s) > 2 && s[0] == '0' {
		prefix := map[byte]int{'x': 16, 'o': 8, 'b': 2}[s[1]|0x20]
		if prefix > 0 && (prefix == base || base == 0) {
			s, base = strings.TrimPrefix(s[2:], "_"), prefix
		}
	}
	if base == 0 {
		base = 10
	}
	if base < 2 || base > 36 || s == "" || s[0] == '_' || s[len(s)-1] == '_' || strings.Contains(s, "__") || strings.ContainsAny(s, "+-") {
		return nil, false, nil
	}
	if len(s) > 4300 {
		return nil, false, nil
	}
	s = strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII && unicode.IsDigit(r) {
			return '0' + decimalDigit(r)
		}
		return r
	}, strings.ReplaceAll(s, "_", ""))
	n, ok := new(big.Int).SetString(s, base)
	if !ok {
		return nil, false, nil
	}
	if neg {
		n.Neg(n)
	}
	v, err := fromBig(n, t.anyOrigin())
	return v, true, err
}

// decimalDigit is the value of a digit of any script: they come in tens.
func decimalDigit(r rune) rune {
	zero := r
	for zero > 0 && unicode.IsDigit(zero-1) && r-zero < 9 {
		zero--
	}
	return r - zero
}

// parsePyFloat is Python's float(text).
func parsePyFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, IsSpace)
	switch strings.ToLower(strings.TrimLeft(s, "+-")) {
	case "inf", "infinity", "nan":
	default:
		if strings.ContainsAny(s, "xXpPiInN") || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
			return 0, false
		}
	}
	if len(s) > 8192 {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

func filterFloat(_ *state, v Value, a *args) (Value, error) {
	p, err := a.bind("float", 0, "default")
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case *undefined:
		return nil, v.err()
	case *Str:
		if f, ok := parsePyFloat(v.s); ok {
			return Float{f, v.anyOrigin()}, nil
		}
	default:
		if f, ok := number(v); ok {
			return Float{f, originOf(v)}, nil
		}
	}
	if p[0] == nil {
		return Float{}, nil
	}
	return p[0], nil
}

func filterRound(_ *state, v Value, a *args) (Value, error) {
	p, err := a.bind("round", 0, "precision", "method")
	if err != nil {
		return nil, err
	}
	digits, err := intArg(p[0], 0)
	if err != nil {
		return nil, err
	}
	method := "common"
	if p[1] != nil {
		t, err := strArg(p[1])
		if err != nil {
			return nil, err
		}
		method = t.s
	}
	if u, ok := v.(*undefined); ok {
		return nil, u.err()
	}
	f, ok := number(v)
	if !ok {
		return nil, typeErrorf("type %s doesn't define __round__ method", v.typeName())
	}
	_, isFloat := v.(Float)
	switch {
	case method == "common" && !isFloat && digits >= 0:
		return v, nil
	case method == "common" && !isFloat:
		n, _ := bigOf(v)
		return roundInt(n, -digits, originOf(v))
	case method == "common":
		return Float{roundFloat(f, digits), originOf(v)}, nil
	case method == "ceil" || method == "floor":
		scale := math.Pow(10, float64(digits))
		round := math.Ceil
		if method == "floor" {
			round = math.Floor
		}
		return Float{round(f*scale) / scale, originOf(v)}, nil
	}
	return nil, failf(KindRuntime, "method must be common, ceil or floor")
}

// roundInt rounds n to a multiple of 10**digits, halves to the even one.
func roundInt(n *big.Int, digits int, org Origin) (Value, error) {
	if digits > 4300 {
		return integer(0), nil
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	q, m := floorDivMod(n, unit)
	twice := new(big.Int).Lsh(m, 1)
	if c := twice.Cmp(unit); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	return fromBig(q.Mul(q, unit), org)
}

// roundFloat is Python's round(f, digits): the decimal expansion decides.
func roundFloat(f float64, digits int) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) || digits > 323 {
		return f
	}
	if digits >= 0 {
		return parseFloat(strconv.FormatFloat(f, 'f', digits, 64))
	}
	if digits < -308 {
		return math.Copysign(0, f)
	}
	scale := math.Pow(10, float64(-digits))
	return math.RoundToEven(f/scale) * scale
}

func filterSum(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("sum", 0, "attribute", "start")
	if err != nil {
		return nil, err
	}
	sum := p[1]
	if sum == nil {
		sum = integer(0)
	}
	if _, isStr := sum.(*Str); isStr {
		return nil, typeErrorf("sum() can't sum strings [use ''.join(seq) instead]")
	}
	it, err := st.iterate(v)
	if err != nil {
		return nil, err
	}
	for {
		item, ok, err := it.step(st)
		if err != nil || !ok {
			return sum, err
		}
		if !isNone(p[0]) {
			if item, err = st.attrPath(item, p[0], nil); err != nil {
				return nil, err
			}
		}
		if sum, err = st.add(sum, item); err != nil {
			return nil, err
		}
	}
}

func filterToJSON(st *state, v Value, a *args) (Value, error) {
	p, err := a.bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	style := &jsonStyle{ascii: boolArg(p[0], false), sortKeys: boolArg(p[3], false), item: text(", "), colon: text(": ")}
	if !isNone(p[1]) {
		style.pretty, style.item = true, text(",")
		if t, ok := p[1].(*Str); ok {
			style.indent = t
		} else {
			n, err := intArg(p[1], 0)
			if err != nil {
				return nil, err
			}
			if err := st.alloc(max(n, 0)); err != nil {
				return nil, err
			}
			style.indent = text(strings.Repeat(" ", max(n, 0)))
		}
	}
	if !isNone(p[2]) {
		l, ok := p[2].(*List)
		if !ok {
			if l, err = st.unpackable(p[2]); err != nil {
				return nil, err
			}
		}
		if len(l.items) != 2 {
			return nil, valueErrorf("separators must be a pair")
		}
		var ok2 bool
		style.item, ok = l.items[0].(*Str)
		style.colon, ok2 = l.items[1].(*Str)
		if !ok || !ok2 {
			return nil, typeErrorf("separators must be strings")
		}
	}
	b := st.takeBuilder()
	defer st.giveBuilder(b)
	if err := st.dumps(b, v, style, 0); err != nil {
		return nil, err
	}
	return b.str(), st.alloc(b.len())
}
