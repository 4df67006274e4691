package jinja

import (
	"cmp"
	"math"
	"math/big"
	"strings"

	"parley/internal/limits"
)

// add is Python's l + r.
func (st *state) add(l, r Value) (Value, error) {
	switch a := l.(type) {
	case Int, Float, Bool, *bigInt:
		return st.arithmetic("+", l, r)
	case *Str:
		b, ok := r.(*Str)
		if !ok {
			if u, ok := r.(*undefined); ok {
				return nil, u.err()
			}
			if a.safe {
				return nil, operandError("+", l, r)
			}
			return nil, typeErrorf("can only concatenate str (not \"%s\") to str", r.typeName())
		}
		return st.join2(a, b)
	case *List:
		b, ok := r.(*List)
		if !ok || a.tuple != b.tuple {
			if u, ok := r.(*undefined); ok {
				return nil, u.err()
			}
			kind := map[bool]string{false: "list", true: "tuple"}[a.tuple]
			return nil, typeErrorf("can only concatenate %s (not \"%s\") to %s", kind, r.typeName(), kind)
		}
		if err := st.allocItems(len(a.items) + len(b.items)); err != nil {
			return nil, err
		}
		items := append(append(make([]Value, 0, len(a.items)+len(b.items)), a.items...), b.items...)
		return &List{items: items, tuple: a.tuple}, nil
	}
	return nil, operandError("+", l, r)
}

// join2 adds two strings; Markup escapes the other one.
func (st *state) join2(a, b *Str) (*Str, error) {
	safe := a.safe || b.safe
	if safe {
		if !a.safe {
			a = escapeHTML(a)
		}
		if !b.safe {
			b = escapeHTML(b)
		}
	}
	if err := st.alloc(len(a.s) + len(b.s)); err != nil {
		return nil, err
	}
	var out builder
	out.addStr(a)
	out.addStr(b)
	t := out.str()
	if safe {
		c := *t
		c.safe = true
		t = &c
	}
	return t, nil
}

func operandError(op string, l, r Value) error {
	for _, v := range [...]Value{l, r} {
		if u, ok := v.(*undefined); ok {
			return u.err()
		}
	}
	if op == "**" {
		op = "** or pow()"
	}
	return typeErrorf("unsupported operand type(s) for %s: '%s' and '%s'", op, l.typeName(), r.typeName())
}

func unary(v Value, neg bool) (Value, error) {
	switch v := v.(type) {
	case Float:
		if neg {
			v.F = -v.F
		}
		return v, nil
	case *undefined:
		return nil, v.err()
	}
	n, ok := bigOf(v)
	if !ok {
		return nil, typeErrorf("bad operand type for unary %s: '%s'", map[bool]string{true: "-", false: "+"}[neg], v.typeName())
	}
	if neg {
		n = new(big.Int).Neg(n)
	}
	return fromBig(n, originOf(v))
}

// arithmetic is Python's l op r for + - * / // % **.
func (st *state) arithmetic(op string, l, r Value) (Value, error) {
	if err := st.step(); err != nil {
		return nil, err
	}
	if t, ok := l.(*Str); ok && op == "%" {
		return st.percent(t, r)
	}
	if op == "*" {
		if v, err, ok := st.repeat(l, r); ok {
			return v, err
		}
	}
	if v, ok := smallArithmetic(op, l, r); ok {
		return v, nil
	}
	a, aok := number(l)
	b, bok := number(r)
	if !aok || !bok {
		return nil, operandError(op, l, r)
	}
	org := mixed(l, r)
	x, xok := bigOf(l)
	y, yok := bigOf(r)
	if xok && yok && op != "/" {
		return bigArithmetic(op, x, y, org)
	}
	if math.IsInf(a, 0) && xok || math.IsInf(b, 0) && yok {
		return nil, valueErrorf("int too large to convert to float")
	}
	f, err := floatArithmetic(op, a, b, l, r)
	return Float{f, org}, err
}

// smallArithmetic is the common case: integers that stay far from overflow.
func smallArithmetic(op string, l, r Value) (Value, bool) {
	a, aok := l.(Int)
	b, bok := r.(Int)
	const bound = 1 << 31
	if !aok || !bok || a.N > bound || a.N < -bound || b.N > bound || b.N < -bound {
		return nil, false
	}
	var n int64
	switch {
	case op == "+":
		n = a.N + b.N
	case op == "-":
		n = a.N - b.N
	case op == "*":
		n = a.N * b.N
	case op == "%" && b.N > 0:
		n = ((a.N % b.N) + b.N) % b.N
	default:
		return nil, false
	}
	org := mixed(l, r)
	if org == FromTemplate && n >= 0 && n < int64(len(smallInts)) {
		return smallInts[n], true
	}
	return Int{n, org}, true
}

func bigArithmetic(op string, x, y *big.Int, org Origin) (Value, error) {
	z := new(big.Int)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	case "//", "%":
		if y.Sign() == 0 {
			if op == "//" {
				return nil, valueErrorf("integer division or modulo by zero")
			}
			return nil, valueErrorf("integer modulo by zero")
		}
		q, m := floorDivMod(x, y)
		z = q
		if op == "%" {
			z = m
		}
	case "**":
		if y.Sign() < 0 {
			return bigPowNegative(x, y, org)
		}
		if x.CmpAbs(big.NewInt(1)) > 0 && (!y.IsInt64() || y.Int64() > limits.TemplateIntBits.Int64() || y.Int64()*int64(x.BitLen()-1) > limits.TemplateIntBits.Int64()) {
			return nil, failf(KindLimit, "an integer has more than 4300 digits")
		}
		if x.CmpAbs(big.NewInt(1)) <= 0 {
			// 0, 1 and -1 only need to know whether y is odd or zero.
			y = big.NewInt(int64(2*min(y.Sign(), 1)) - int64(y.Bit(0)))
		}
		z.Exp(x, y, nil)
	}
	return fromBig(z, org)
}

func bigPowNegative(x, y *big.Int, org Origin) (Value, error) {
	a, _ := new(big.Float).SetInt(x).Float64()
	b, _ := new(big.Float).SetInt(y).Float64()
	if a == 0 {
		return nil, valueErrorf("0.0 cannot be raised to a negative power")
	}
	return Float{math.Pow(a, b), org}, nil
}

// floorDivMod rounds towards minus infinity, as Python does.
func floorDivMod(x, y *big.Int) (q, m *big.Int) {
	q, m = new(big.Int).QuoRem(x, y, new(big.Int))
	if m.Sign() != 0 && (m.Sign() < 0) != (y.Sign() < 0) {
		q.Sub(q, big.NewInt(1))
		m.Add(m, y)
	}
	return q, m
}

func floatArithmetic(op string, a, b float64, l, r Value) (float64, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "/":
		if b == 0 {
			if _, isFloat := l.(Float); !isFloat {
				if _, isFloat = r.(Float); !isFloat {
					return 0, valueErrorf("division by zero")
				}
			}
			return 0, valueErrorf("float division by zero")
		}
		return a / b, nil
	case "//", "%":
		if b == 0 {
			if op == "%" {
				return 0, valueErrorf("float modulo")
			}
			return 0, valueErrorf("float floor division by zero")
		}
		m := math.Mod(a, b)
		if m != 0 && (m < 0) != (b < 0) {
			m += b
		} else if m == 0 {
			m = math.Copysign(0, b)
		}
		if op == "%" {
			return m, nil
		}
		q := (a - m) / b
		if q == 0 {
			return math.Copysign(0, a/b), nil
		}
		if f := math.Floor(q); q-f > 0.5 {
			return f + 1, nil
		}
		return math.Floor(q), nil
	}
	if a == 0 && b < 0 {
		return 0, valueErrorf("0.0 cannot be raised to a negative power")
	}
	if a < 0 && b != math.Trunc(b) {
		return 0, typeErrorf("complex numbers are not known here")
	}
	f := math.Pow(a, b)
	if math.IsInf(f, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
		return 0, valueErrorf("(34, 'Numerical result out of range')")
	}
	return f, nil
}

// repeat is sequence * int; ok is false where neither operand is a sequence.
func (st *state) repeat(l, r Value) (Value, error, bool) {
	seq, by := l, r
	if _, isSeq := sequence(l); !isSeq {
		seq, by = r, l
	}
	size, isSeq := sequence(seq)
	if !isSeq {
		return nil, nil, false
	}
	n, ok := smallInt(by)
	if !ok {
		if u, ok := by.(*undefined); ok {
			return nil, u.err(), true
		}
		return nil, typeErrorf("can't multiply sequence by non-int of type '%s'", by.typeName()), true
	}
	if n <= 0 || size == 0 {
		n = 0
	} else if n > int64(st.lim.LiveBytes/size) {
		return nil, st.alloc(-1), true
	}
	if t, ok := seq.(*Str); ok {
		if err := st.alloc(size * int(n)); err != nil {
			return nil, err, true
		}
		out := &Str{s: strings.Repeat(t.s, int(n)), org: t.org, safe: t.safe}
		if t.runs != nil && n > 0 {
			if err := st.allocItems(len(t.runs) * int(n)); err != nil {
				return nil, err, true
			}
			for i := range int(n) {
				for _, r := range t.runs {
					out.runs = append(out.runs, run{r.end + i*size, r.org})
				}
			}
		}
		return out, nil, true
	}
	list := seq.(*List)
	if err := st.allocItems(size * int(n)); err != nil {
		return nil, err, true
	}
	items := make([]Value, 0, size*int(n))
	for range int(n) {
		items = append(items, list.items...)
	}
	return &List{items: items, tuple: list.tuple}, nil, true
}

// sequence is the length of a string in bytes or of a list in items.
func sequence(v Value) (int, bool) {
	switch v := v.(type) {
	case *Str:
		return len(v.s), true
	case *List:
		return len(v.items), true
	}
	return 0, false
}

// compare is Python's l op r for comparisons.
func (st *state) compare(op string, l, r Value) (bool, error) {
	if err := st.step(); err != nil {
		return false, err
	}
	switch op {
	case "==":
		return st.equal(l, r, 0)
	case "!=":
		eq, err := st.equal(l, r, 0)
		return !eq, err
	case "in":
		return st.contains(r, l)
	case "not in":
		in, err := st.contains(r, l)
		return !in, err
	}
	c, err := st.order(l, r, op, 0)
	if err != nil {
		return false, err
	}
	switch op {
	case "<":
		return c < 0 && c != unordered, nil
	case "<=":
		return c <= 0 && c != unordered, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

// unordered is the order of a NaN.
const unordered = math.MinInt8

func (st *state) tooDeep(depth int) error {
	if depth > st.lim.Depth {
		return failf(KindLimit, "a value nests deeper than %d levels (limit template_depth)", st.lim.Depth)
	}
	return nil
}

// equal is Python's l == r.
func (st *state) equal(l, r Value, depth int) (bool, error) {
	switch a := l.(type) {
	case *Str:
		b, ok := r.(*Str)
		if !ok || len(a.s) != len(b.s) {
			return false, nil
		}
		return a.s == b.s, st.work(len(a.s))
	case None:
		_, ok := r.(None)
		return ok, nil
	case Int:
		if b, ok := r.(Int); ok {
			return a.N == b.N, nil
		}
		return numbersEqual(l, r), nil
	case Bool, Float, *bigInt:
		return numbersEqual(l, r), nil
	case *undefined:
		_, ok := r.(*undefined)
		return ok, nil
	case *List:
		b, ok := r.(*List)
		if !ok || a.tuple != b.tuple || len(a.items) != len(b.items) {
			return false, nil
		}
		return st.listsEqual(a.items, b.items, depth)
	case *Dict:
		b, ok := r.(*Dict)
		if !ok || a.Len() != b.Len() {
			return false, nil
		}
		return st.dictsEqual(a, b, depth)
	case *pyRange:
		b, ok := r.(*pyRange)
		return ok && a.n == b.n && (a.n == 0 || a.start == b.start && (a.n == 1 || a.step == b.step)), nil
	}
	return l == r, nil
}

func (st *state) listsEqual(a, b []Value, depth int) (bool, error) {
	if err := st.tooDeep(depth); err != nil {
		return false, err
	}
	for i := range a {
		if err := st.step(); err != nil {
			return false, err
		}
		if eq, err := st.equal(a[i], b[i], depth+1); err != nil || !eq {
			return false, err
		}
	}
	return true, nil
}

func (st *state) dictsEqual(a, b *Dict, depth int) (bool, error) {
	if err := st.tooDeep(depth); err != nil {
		return false, err
	}
	for i, k := range a.keys {
		if err := st.step(); err != nil {
			return false, err
		}
		j, err := b.find(k)
		if err != nil || j < 0 {
			return false, err
		}
		if eq, err := st.equal(a.vals[i], b.vals[j], depth+1); err != nil || !eq {
			return false, err
		}
	}
	return true, nil
}

func numbersEqual(l, r Value) bool {
	c, ok := numberOrder(l, r)
	return ok && c == 0
}

// numberOrder compares numbers exactly.
func numberOrder(l, r Value) (int, bool) {
	if a, ok := l.(Int); ok {
		if b, ok := r.(Int); ok {
			return cmp.Compare(a.N, b.N), true
		}
	}
	x, xok := bigOf(l)
	y, yok := bigOf(r)
	if xok && yok {
		return x.Cmp(y), true
	}
	a, aok := number(l)
	b, bok := number(r)
	if !aok || !bok {
		return 0, false
	}
	if math.IsNaN(a) || math.IsNaN(b) {
		return unordered, true
	}
	if !math.IsInf(a, 0) && !math.IsInf(b, 0) {
		return exact(a, x).Cmp(exact(b, y)), true
	}
	switch {
	case a < b:
		return -1, true
	case a > b:
		return 1, true
	}
	return 0, true
}

func exact(f float64, n *big.Int) *big.Float {
	if n != nil {
		return new(big.Float).SetInt(n)
	}
	return big.NewFloat(f)
}

// order is -1, 0 or 1 as l is less than, equal to or greater than r.
func (st *state) order(l, r Value, op string, depth int) (int, error) {
	if err := st.step(); err != nil {
		return 0, err
	}
	if c, ok := numberOrder(l, r); ok {
		return c, nil
	}
	switch a := l.(type) {
	case *Str:
		if b, ok := r.(*Str); ok {
			return strings.Compare(a.s, b.s), st.work(min(len(a.s), len(b.s)))
		}
	case *List:
		if b, ok := r.(*List); ok && a.tuple == b.tuple {
			return st.listOrder(a.items, b.items, op, depth)
		}
	}
	for _, v := range [...]Value{l, r} {
		if u, ok := v.(*undefined); ok {
			return 0, u.err()
		}
	}
	return 0, typeErrorf("'%s' not supported between instances of '%s' and '%s'", op, l.typeName(), r.typeName())
}

func (st *state) listOrder(a, b []Value, op string, depth int) (int, error) {
	if err := st.tooDeep(depth); err != nil {
		return 0, err
	}
	for i := range min(len(a), len(b)) {
		eq, err := st.equal(a[i], b[i], depth+1)
		if err != nil {
			return 0, err
		}
		if !eq {
			return st.order(a[i], b[i], op, depth+1)
		}
	}
	switch {
	case len(a) < len(b):
		return -1, nil
	case len(a) > len(b):
		return 1, nil
	}
	return 0, nil
}

// contains is Python's item in box.
func (st *state) contains(box, item Value) (bool, error) {
	switch b := box.(type) {
	case *Str:
		t, ok := item.(*Str)
		if !ok {
			return false, typeErrorf("'in <string>' requires string as left operand, not %s", item.typeName())
		}
		return strings.Contains(b.s, t.s), st.work(len(b.s))
	case *Dict:
		i, err := b.find(item)
		return i >= 0, err
	case *undefined:
		return false, nil
	case None, Bool, Int, Float, *bigInt, *macro, *function, *namespace, *cycler, *joiner:
		return false, typeErrorf("argument of type '%s' is not iterable", box.typeName())
	}
	it, err := st.iterate(box)
	if err != nil {
		return false, typeErrorf("argument of type '%s' is not iterable", box.typeName())
	}
	for {
		v, ok, err := it.step(st)
		if err != nil || !ok {
			return false, err
		}
		if eq, err := st.equal(v, item, 0); err != nil || eq {
			return eq, err
		}
	}
}

// length is Python's len(v).
func (st *state) length(v Value) (int, error) {
	switch v := v.(type) {
	case *Str:
		return runeLen(v.s), st.work(len(v.s))
	case *List:
		return len(v.items), nil
	case *Dict:
		return v.Len(), nil
	case *view:
		return v.dict.Len(), nil
	case *pyRange:
		return int(v.n), nil
	case *undefined:
		return 0, nil
	case *loop:
		return v.size(st)
	}
	return 0, typeErrorf("object of type '%s' has no len()", v.typeName())
}
