package jinja

import (
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// percentSpec is one conversion of a % format.
type percentSpec struct {
	name                            *Str // of %(name)s
	minus, plus, space, zero, sharp bool
	width, prec                     int // prec < 0: not given
	conv                            rune
}

// percent is Python's text % args.
func (st *state) percent(t *Str, arg Value) (Value, error) {
	f := &percenter{st: st, t: t, arg: arg}
	if l, ok := arg.(*List); ok && l.tuple {
		f.tuple = l.items
		f.isTuple = true
	}
	if err := f.run(); err != nil {
		return nil, err
	}
	used := f.next > 0 || f.byName
	_, isDict := arg.(*Dict)
	if f.isTuple && f.next < len(f.tuple) && !f.byName || !f.isTuple && !used && !isDict && !indexable(arg) {
		return nil, typeErrorf("not all arguments converted during string formatting")
	}
	out := f.b.str()
	if t.safe {
		c := *out
		c.safe = true
		out = &c
	}
	return out, st.alloc(f.b.len())
}

// indexable: Python takes lists for mappings here, and lets them go unused.
func indexable(v Value) bool {
	switch v.(type) {
	case *List, *undefined, *pyRange:
		return true
	}
	return false
}

type percenter struct {
	st      *state
	t       *Str
	arg     Value
	tuple   []Value
	isTuple bool
	next    int
	byName  bool
	b       builder
	i       int
}

func (f *percenter) run() error {
	s := f.t.s
	for f.i < len(s) {
		j := strings.IndexByte(s[f.i:], '%')
		if j < 0 {
			j = len(s) - f.i
		}
		if err := f.st.writable(&f.b, j); err != nil {
			return err
		}
		f.b.addRange(f.t, f.i, f.i+j)
		if f.i += j; f.i == len(s) {
			return nil
		}
		at := f.i
		f.i++
		spec, err := f.spec()
		if err != nil {
			return err
		}
		if spec.conv == '%' {
			f.b.addRange(f.t, at, at+1)
			continue
		}
		if err := f.convert(spec); err != nil {
			return err
		}
	}
	return nil
}

func (f *percenter) spec() (percentSpec, error) {
	sp := percentSpec{prec: -1}
	s := f.t.s
	incomplete := valueErrorf("incomplete format")
	if f.i < len(s) && s[f.i] == '(' {
		depth, start := 1, f.i+1
		for f.i++; f.i < len(s) && depth > 0; f.i++ {
			switch s[f.i] {
			case '(':
				depth++
			case ')':
				depth--
			}
		}
		if depth > 0 {
			return sp, valueErrorf("incomplete format key")
		}
		sp.name = f.t.slice(start, f.i-1)
	}
	for ; f.i < len(s); f.i++ {
		switch s[f.i] {
		case '-':
			sp.minus = true
			continue
		case '+':
			sp.plus = true
			continue
		case ' ':
			sp.space = true
			continue
		case '0':
			sp.zero = true
			continue
		case '#':
			sp.sharp = true
			continue
		}
		break
	}
	var err error
	if sp.width, err = f.number(0); err != nil {
		return sp, err
	}
	if sp.width < 0 {
		sp.minus, sp.width = true, -sp.width
	}
	if f.i < len(s) && s[f.i] == '.' {
		f.i++
		if sp.prec, err = f.number(0); err != nil {
			return sp, err
		}
		sp.prec = max(sp.prec, 0)
	}
	for f.i < len(s) && strings.IndexByte("hlL", s[f.i]) >= 0 {
		f.i++
	}
	if f.i >= len(s) {
		return sp, incomplete
	}
	r, n := utf8.DecodeRuneInString(s[f.i:])
	sp.conv = r
	f.i += n
	return sp, nil
}

// number reads a width or precision, or takes it from the arguments.
func (f *percenter) number(missing int) (int, error) {
	s := f.t.s
	if f.i < len(s) && s[f.i] == '*' {
		f.i++
		v, err := f.take()
		if err != nil {
			return 0, err
		}
		if !isInteger(v) {
			return 0, typeErrorf("* wants int")
		}
		return intArg(v, 0)
	}
	start := f.i
	for f.i < len(s) && s[f.i] >= '0' && s[f.i] <= '9' {
		f.i++
	}
	if f.i == start {
		return missing, nil
	}
	n, err := strconv.Atoi(s[start:f.i])
	if err != nil || n > f.st.lim.LiveBytes {
		return 0, f.st.alloc(-1)
	}
	return n, nil
}

func (f *percenter) take() (Value, error) {
	if f.isTuple {
		if f.next >= len(f.tuple) {
			return nil, typeErrorf("not enough arguments for format string")
		}
		f.next++
		return f.tuple[f.next-1], nil
	}
	if f.next > 0 {
		return nil, typeErrorf("not enough arguments for format string")
	}
	f.next++
	return f.arg, nil
}

func (f *percenter) convert(sp percentSpec) error {
	var v Value
	var err error
	if sp.name != nil {
		d, ok := f.arg.(*Dict)
		if !ok {
			return typeErrorf("format requires a mapping")
		}
		f.byName = true
		if v = d.Get(sp.name.s); v == nil {
			return failf(KindKey, "%s", reprOf(sp.name.s))
		}
	} else if v, err = f.take(); err != nil {
		return err
	}
	if sp.prec > f.st.lim.LiveBytes || sp.width > f.st.lim.LiveBytes {
		return f.st.alloc(-1)
	}
	if err := f.st.alloc(sp.width + max(sp.prec, 0)); err != nil {
		return err
	}
	var body *Str
	switch sp.conv {
	case 's', 'r', 'a':
		body, err = f.text(v, sp)
	case 'c':
		body, err = oneChar(v)
	case 'd', 'i', 'u', 'o', 'x', 'X':
		body, err = f.integer(v, &sp)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		body, err = f.float(v, &sp)
	default:
		return valueErrorf("unsupported format character '%c' (0x%x) at index %d", sp.conv, sp.conv, runeLen(f.t.s[:f.i])-1)
	}
	if err != nil {
		return err
	}
	return f.pad(body, sp)
}

func (f *percenter) text(v Value, sp percentSpec) (*Str, error) {
	body, err := f.st.soft(v)
	if sp.conv != 's' {
		var b builder
		err = f.st.repr(&b, v, 0)
		body = b.str()
	} else if f.t.safe && err == nil {
		body = escapeHTML(body)
	}
	if err != nil || sp.prec < 0 {
		return body, err
	}
	return body.slice(0, runeOffset(body.s, sp.prec)), nil
}

func oneChar(v Value) (*Str, error) {
	if t, ok := v.(*Str); ok && runeLen(t.s) == 1 {
		return t, nil
	}
	n, ok := smallInt(v)
	if !ok {
		return nil, typeErrorf("%%c requires int or char")
	}
	if n < 0 || n > utf8.MaxRune {
		return nil, valueErrorf("%%c arg not in range(0x110000)")
	}
	return &Str{s: string(rune(n)), org: originOf(v)}, nil
}

// integer formats digits; sign and prefix are put before the zeros.
func (f *percenter) integer(v Value, sp *percentSpec) (*Str, error) {
	n, ok := bigOf(v)
	if fl, isFloat := v.(Float); isFloat && strings.ContainsRune("diu", sp.conv) {
		t, good := truncate(fl.F, fl.Origin)
		if !good {
			return nil, valueErrorf("cannot convert float %s to integer", floatRepr(fl.F))
		}
		n, ok = bigOf(t)
	}
	if !ok {
		if strings.ContainsRune("diu", sp.conv) {
			return nil, typeErrorf("%%%c format: a real number is required, not %s", sp.conv, v.typeName())
		}
		return nil, typeErrorf("%%%c format: an integer is required, not %s", sp.conv, v.typeName())
	}
	base := map[rune]int{'o': 8, 'x': 16, 'X': 16}[sp.conv]
	if base == 0 {
		base = 10
	}
	digits := new(big.Int).Abs(n).Text(base)
	if sp.conv == 'X' {
		digits = strings.ToUpper(digits)
	}
	if pad := sp.prec - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	prefix := ""
	if sp.sharp && base != 10 {
		prefix = "0" + string(sp.conv)
	}
	return &Str{s: sp.sign(n.Sign() < 0) + prefix + digits, org: originOf(v)}, nil
}

func (sp *percentSpec) sign(neg bool) string {
	switch {
	case neg:
		return "-"
	case sp.plus:
		return "+"
	case sp.space:
		return " "
	}
	return ""
}

func (f *percenter) float(v Value, sp *percentSpec) (*Str, error) {
	x, ok := number(v)
	if !ok {
		if u, isUndefined := v.(*undefined); isUndefined {
			return nil, u.err()
		}
		return nil, typeErrorf("must be real number, not %s", v.typeName())
	}
	prec := sp.prec
	if prec < 0 {
		prec = 6
	}
	s := formatFloat(x, byte(sp.conv), prec, sp.sharp)
	if !strings.HasPrefix(s, "-") {
		s = sp.sign(false) + s
	}
	return &Str{s: s, org: originOf(v)}, nil
}

// pad brings a conversion to its width.
func (f *percenter) pad(body *Str, sp percentSpec) error {
	n := sp.width - runeLen(body.s)
	if err := f.st.writable(&f.b, len(body.s)+max(n, 0)); err != nil {
		return err
	}
	numeric := strings.ContainsRune("diuoxXeEfFgG", sp.conv)
	switch {
	case n <= 0:
		f.b.addStr(body)
	case sp.minus:
		f.b.addStr(body)
		f.b.add(strings.Repeat(" ", n), FromTemplate)
	case sp.zero && numeric:
		head := 0
		if strings.IndexByte("+- ", body.s[0]) >= 0 {
			head = 1
		}
		if len(body.s) > head+1 && body.s[head] == '0' && strings.IndexByte("xXo", body.s[head+1]) >= 0 {
			head += 2
		}
		f.b.addRange(body, 0, head)
		f.b.add(strings.Repeat("0", n), FromTemplate)
		f.b.addRange(body, head, len(body.s))
	default:
		f.b.add(strings.Repeat(" ", n), FromTemplate)
		f.b.addStr(body)
	}
	return nil
}
