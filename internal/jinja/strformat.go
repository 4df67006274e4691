package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatFloat formats as C's printf does, with sharp keeping the point and
// zeros of g.
func formatFloat(x float64, conv byte, prec int, sharp bool) string {
	upperCase := conv >= 'A' && conv <= 'Z'
	conv |= 0x20
	var s string
	switch {
	case math.IsNaN(x):
		s = "nan"
	case math.IsInf(x, 0):
		s = strings.TrimPrefix(strconv.FormatFloat(x, 'f', -1, 64), "+")
		s = strings.ToLower(s)
	case conv == 'g' && sharp:
		s = sharpG(x, max(prec, 1))
	case conv == 'g':
		s = strconv.FormatFloat(x, 'g', max(prec, 1), 64)
		// Go changes to exponents where C does; it pads them alike.
	default:
		s = strconv.FormatFloat(x, conv, prec, 64)
		if sharp && prec == 0 && conv == 'f' {
			s += "."
		}
	}
	if upperCase {
		s = strings.ToUpper(s)
	}
	return s
}

// sharpG is %#g: all significant digits are kept.
func sharpG(x float64, prec int) string {
	e := strconv.FormatFloat(x, 'e', prec-1, 64)
	exp, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	if exp < -4 || exp >= prec {
		return e
	}
	return strconv.FormatFloat(x, 'f', prec-1-exp, 64)
}

// formatSpec is what stands after the colon in "{:>10.2f}".
type formatSpec struct {
	fill        string
	align, sign byte // 0 where left out
	sharp, zero bool
	width, prec int // prec < 0 where left out
	group       byte
	conv        byte
}

func (st *state) parseSpec(s string) (formatSpec, error) {
	sp := formatSpec{fill: " ", prec: -1}
	invalid := valueErrorf("Invalid format specifier")
	i := 0
	if _, n := utf8.DecodeRuneInString(s); len(s) > n && strings.IndexByte("<>=^", s[n]) >= 0 {
		sp.fill, sp.align = s[:n], s[n]
		i = n + 1
	} else if s != "" && strings.IndexByte("<>=^", s[0]) >= 0 {
		sp.align = s[0]
		i = 1
	}
	flag := func(set string) byte {
		if i < len(s) && strings.IndexByte(set, s[i]) >= 0 {
			i++
			return s[i-1]
		}
		return 0
	}
	number := func() (int, bool, error) {
		start := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == start {
			return 0, false, nil
		}
		n, err := strconv.Atoi(s[start:i])
		if err != nil || n > st.lim.LiveBytes {
			return 0, false, st.alloc(-1)
		}
		return n, true, nil
	}
	sp.sign = flag("+- ")
	sp.sharp = flag("#") != 0
	if sp.zero = flag("0") != 0; sp.zero && sp.align == 0 {
		sp.fill, sp.align = "0", '='
	}
	var err error
	if sp.width, _, err = number(); err != nil {
		return sp, err
	}
	sp.group = flag(",_")
	if flag(".") != 0 {
		var ok bool
		if sp.prec, ok, err = number(); err != nil {
			return sp, err
		}
		if !ok {
			return sp, valueErrorf("Format specifier missing precision")
		}
	}
	sp.conv = flag("bcdeEfFgGnosxX%")
	if i < len(s) {
		return sp, invalid
	}
	return sp, st.alloc(sp.width + max(sp.prec, 0))
}

// format is Python's format(v, spec).
func (st *state) format(v Value, spec string) (*Str, error) {
	if spec == "" {
		return st.str(v)
	}
	sp, err := st.parseSpec(spec)
	if err != nil {
		return nil, err
	}
	unknown := func() error {
		return valueErrorf("Unknown format code '%c' for object of type '%s'", sp.conv, v.typeName())
	}
	org := originOf(v)
	switch x := v.(type) {
	case *Str:
		if sp.conv != 0 && sp.conv != 's' {
			return nil, unknown()
		}
		if sp.align == '=' && !sp.zero || sp.sign != 0 {
			return nil, valueErrorf("Sign or '=' not allowed in string format specifier")
		}
		if sp.zero {
			sp.align = '<'
		}
		if sp.prec >= 0 {
			x = x.slice(0, runeOffset(x.s, sp.prec))
		}
		return st.align(x, sp, '<')
	case Float:
		if sp.conv == 's' || strings.IndexByte("bcdoxX", sp.conv) >= 0 && sp.conv != 0 {
			return nil, unknown()
		}
		return st.formatNumber(sp, floatBody(x.F, sp), org)
	}
	n, ok := bigOf(v)
	if !ok {
		return nil, typeErrorf("unsupported format string passed to %s.__format__", v.typeName())
	}
	switch sp.conv {
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		f, _ := number(v)
		return st.formatNumber(sp, floatBody(f, sp), org)
	case 's':
		return nil, unknown()
	case 'c':
		t, err := oneChar(v)
		if err != nil {
			return nil, err
		}
		return st.align(t, sp, '<')
	}
	if sp.prec >= 0 {
		return nil, valueErrorf("Precision not allowed in integer format specifier")
	}
	return st.formatNumber(sp, intBody(n, sp), org)
}

func intBody(n *big.Int, sp formatSpec) string {
	base := map[byte]int{'b': 2, 'o': 8, 'x': 16, 'X': 16}[sp.conv]
	if base == 0 {
		base = 10
	}
	s := n.Text(base)
	if sp.conv == 'X' {
		s = strings.ToUpper(s)
	}
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	every := 3
	if base != 10 {
		every = 4
	}
	s = grouped(s, sp.group, every)
	if sp.sharp && base != 10 {
		s = "0" + string(sp.conv) + s
	}
	if neg {
		s = "-" + s
	}
	return s
}

func floatBody(f float64, sp formatSpec) string {
	conv, prec, suffix := sp.conv, sp.prec, ""
	if prec < 0 {
		prec = 6
	}
	var s string
	switch conv {
	case '%':
		s, suffix = formatFloat(f*100, 'f', prec, sp.sharp), "%"
	case 0:
		if sp.prec < 0 {
			s = floatRepr(f)
			break
		}
		s = formatFloat(f, 'g', prec, false)
		if !strings.ContainsAny(s, ".einf") {
			s += ".0"
		}
	case 'n':
		s = formatFloat(f, 'g', prec, sp.sharp)
	default:
		s = formatFloat(f, conv, prec, sp.sharp)
	}
	if sp.group != 0 {
		whole, rest := s, ""
		if i := strings.IndexAny(s, ".eE"); i >= 0 {
			whole, rest = s[:i], s[i:]
		}
		neg := strings.HasPrefix(whole, "-")
		whole = grouped(strings.TrimPrefix(whole, "-"), sp.group, 3)
		if neg {
			whole = "-" + whole
		}
		s = whole + rest
	}
	return s + suffix
}

func grouped(digits string, sep byte, every int) string {
	if sep == 0 {
		return digits
	}
	var b strings.Builder
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%every == 0 {
			b.WriteByte(sep)
		}
		b.WriteByte(digits[i])
	}
	return b.String()
}

func (st *state) formatNumber(sp formatSpec, s string, org Origin) (*Str, error) {
	if !strings.HasPrefix(s, "-") && (sp.sign == '+' || sp.sign == ' ') {
		s = string(sp.sign) + s
	}
	return st.align(&Str{s: s, org: org}, sp, '>')
}

func (st *state) align(t *Str, sp formatSpec, usual byte) (*Str, error) {
	n := sp.width - runeLen(t.s)
	if n <= 0 {
		return t.plain(), nil
	}
	if sp.align == 0 {
		sp.align = usual
	}
	fill := text(sp.fill)
	switch sp.align {
	case '<':
		return st.pad(t, 0, n, fill)
	case '^':
		return st.pad(t, n/2, n-n/2, fill)
	case '=':
		head := 0
		if t.s != "" && strings.IndexByte("+- ", t.s[0]) >= 0 {
			head = 1
		}
		if strings.HasPrefix(t.s[head:], "0x") || strings.HasPrefix(t.s[head:], "0X") || strings.HasPrefix(t.s[head:], "0b") || strings.HasPrefix(t.s[head:], "0o") {
			head += 2
		}
		rest, err := st.pad(t.slice(head, len(t.s)), n, 0, fill)
		if err != nil {
			return nil, err
		}
		return st.join2(t.slice(0, head), rest)
	}
	return st.pad(t, n, 0, fill)
}

func methodFormat(st *state, t *Str, a *args) (Value, error) {
	d := NewDict()
	for i, name := range a.names {
		d.Set(name, a.named[i])
	}
	return value(st.formatString(t, a.pos, d))
}

func methodFormatMap(st *state, t *Str, a *args) (Value, error) {
	p, err := a.positional("format_map", 1, 1)
	if err != nil {
		return nil, err
	}
	d, ok := p[0].(*Dict)
	if !ok {
		return nil, typeErrorf("'%s' object is not subscriptable", p[0].typeName())
	}
	return value(st.formatString(t, nil, d))
}

// formatString is Python's str.format, through the sandbox.
func (st *state) formatString(t *Str, pos []Value, named *Dict) (*Str, error) {
	f := &formatter{st: st, t: t, pos: pos, named: named}
	var b builder
	if err := f.run(&b, 0, len(t.s), 0); err != nil {
		return nil, err
	}
	out := b.str()
	if t.safe {
		c := *out
		c.safe = true
		out = &c
	}
	return out, st.alloc(b.len())
}

type formatter struct {
	st    *state
	t     *Str
	pos   []Value
	named *Dict
	auto  int // the number of the next {}
}

// run formats t[i:end]; a specification may hold fields once more.
func (f *formatter) run(b *builder, i, end, depth int) error {
	s := f.t.s
	for i < end {
		j := i
		for j < end && s[j] != '{' && s[j] != '}' {
			j++
		}
		if err := f.st.writable(b, j-i); err != nil {
			return err
		}
		b.addRange(f.t, i, j)
		if j == end {
			return nil
		}
		if j+1 < end && s[j+1] == s[j] {
			b.addRange(f.t, j, j+1)
			i = j + 2
			continue
		}
		if s[j] == '}' {
			return valueErrorf("Single '}' encountered in format string")
		}
		close := fieldEnd(s[:end], j+1)
		if close < 0 {
			return valueErrorf("expected '}' before end of string")
		}
		if err := f.field(b, j+1, close, depth); err != nil {
			return err
		}
		i = close + 1
	}
	return nil
}

func fieldEnd(s string, i int) int {
	depth := 1
	for ; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (f *formatter) field(b *builder, i, end, depth int) error {
	if depth > 1 {
		return valueErrorf("Max string recursion exceeded")
	}
	s := f.t.s
	nameEnd := end
	if j := strings.IndexAny(s[i:end], "!:"); j >= 0 {
		nameEnd = i + j
	}
	v, err := f.lookup(s[i:nameEnd])
	if err != nil {
		return err
	}
	i = nameEnd
	if i < end && s[i] == '!' {
		if i+1 >= end {
			return valueErrorf("end of string while looking for conversion specifier")
		}
		if v, err = f.conversion(v, s[i+1]); err != nil {
			return err
		}
		i += 2
	}
	spec := ""
	if i < end {
		if s[i] != ':' {
			return valueErrorf("expected ':' after conversion specifier")
		}
		var sb builder
		if err := f.run(&sb, i+1, end, depth+1); err != nil {
			return err
		}
		spec = string(sb.buf)
	}
	out, err := f.st.format(v, spec)
	if err != nil {
		return err
	}
	if f.t.safe {
		if t, isStr := v.(*Str); !isStr || !t.safe {
			out = escapeHTML(out)
		}
	}
	return f.st.write(b, out)
}

func (f *formatter) conversion(v Value, c byte) (Value, error) {
	switch c {
	case 's':
		return value(f.st.str(v))
	case 'r', 'a':
		var b builder
		err := f.st.repr(&b, v, 0)
		return b.str(), err
	}
	return nil, valueErrorf("Unknown conversion specifier '%c'", c)
}

// lookup finds "0", "name", "name.attr" and "name[key]".
func (f *formatter) lookup(path string) (Value, error) {
	first := path
	if i := strings.IndexAny(path, ".["); i >= 0 {
		first = path[:i]
	}
	rest := path[len(first):]
	v, err := f.first(first)
	if err != nil {
		return nil, err
	}
	for n := 0; rest != ""; n++ {
		if err := chain(n+1, "accesses"); err != nil {
			return nil, err
		}
		isAttr := rest[0] == '.'
		rest = rest[1:]
		var part string
		if isAttr {
			i := strings.IndexAny(rest, ".[")
			if i < 0 {
				i = len(rest)
			}
			part, rest = rest[:i], rest[i:]
		} else {
			i := strings.IndexByte(rest, ']')
			if i < 0 {
				return nil, valueErrorf("Missing ']' in format string")
			}
			part, rest = rest[:i], rest[i+1:]
			if rest != "" && rest[0] != '.' && rest[0] != '[' {
				return nil, valueErrorf("Only '.' or '[' may follow ']' in format field specifier")
			}
		}
		if part == "" {
			return nil, valueErrorf("Empty attribute in format string")
		}
		if isAttr {
			v, err = f.st.getattr(v, text(part))
		} else if k, convErr := strconv.Atoi(part); convErr == nil && k >= 0 {
			v, err = f.st.getitem(v, integer(k))
		} else {
			v, err = f.st.getitem(v, text(part))
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (f *formatter) first(name string) (Value, error) {
	k := f.auto
	if name == "" {
		if f.auto < 0 {
			return nil, valueErrorf("cannot switch from manual field specification to automatic field numbering")
		}
		f.auto++
	} else {
		var err error
		if k, err = strconv.Atoi(name); err != nil || k < 0 {
			if v := f.named.Get(name); v != nil {
				return v, nil
			}
			return nil, failf(KindKey, "%s", reprOf(name))
		}
		if f.auto > 0 {
			return nil, valueErrorf("cannot switch from automatic field numbering to manual field specification")
		}
		f.auto = -1
	}
	if k >= len(f.pos) {
		return nil, failf(KindKey, "Replacement index %d out of range for positional args tuple", k)
	}
	return f.pos[k], nil
}
