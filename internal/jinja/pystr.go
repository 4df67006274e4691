package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// str is Python's str(v).
func (st *state) str(v Value) (*Str, error) {
	switch v := v.(type) {
	case *Str:
		return v.plain(), nil
	case None:
		return &Str{s: "None", org: v.Origin}, nil
	case Bool:
		return &Str{s: boolName(v.V), org: v.Origin}, nil
	case Int:
		return &Str{s: strconv.FormatInt(v.N, 10), org: v.Origin}, nil
	case Float:
		return &Str{s: floatRepr(v.F), org: v.Origin}, nil
	case *undefined:
		return emptyStr, nil
	}
	var b builder
	if err := st.repr(&b, v, 0); err != nil {
		return nil, err
	}
	return b.str(), st.alloc(b.len())
}

func boolName(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// floatRepr is Python's repr of a float.
func floatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func parseFloat(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

// repr is Python's repr(v).
func (st *state) repr(b *builder, v Value, depth int) error {
	if err := st.tooDeep(depth); err != nil {
		return err
	}
	if err := st.writable(b, 1); err != nil {
		return err
	}
	if err := st.step(); err != nil {
		return err
	}
	switch v := v.(type) {
	case *Str:
		return st.reprStr(b, v)
	case *List:
		return st.reprList(b, v, depth)
	case *Dict:
		return st.reprDict(b, v, depth)
	case *view:
		return st.reprView(b, v, depth)
	case *bigInt:
		b.add(v.n.String(), v.org)
	case *undefined:
		b.add("Undefined", FromTemplate)
	case *namespace:
		b.add("<Namespace ", FromTemplate)
		if err := st.repr(b, v.attrs, depth+1); err != nil {
			return err
		}
		b.add(">", FromTemplate)
	case *pyRange:
		s := fmt.Sprintf("range(%d, %d)", v.start, v.stop)
		if v.step != 1 {
			s = fmt.Sprintf("range(%d, %d, %d)", v.start, v.stop, v.step)
		}
		b.add(s, FromTemplate)
	case *macro:
		name := "anonymous"
		if v.def.name != "" {
			name = reprOf(v.def.name)
		}
		b.add("<Macro "+name+">", FromTemplate)
	case *loop:
		n, err := v.size(st)
		if err != nil {
			return err
		}
		b.add(fmt.Sprintf("<LoopContext %d/%d>", v.index0+1, n), FromTemplate)
	case *function:
		b.add("<"+v.typeName()+" "+v.name+">", FromTemplate)
	case *generator:
		b.add("<generator object "+v.name+">", FromTemplate)
	case *cycler, *joiner:
		b.add("<jinja2.utils."+v.typeName()+" object>", FromTemplate)
	default:
		t, err := st.str(v)
		if err != nil {
			return err
		}
		b.addStr(t)
	}
	return nil
}

func (st *state) reprList(b *builder, l *List, depth int) error {
	open, shut := "[", "]"
	if l.tuple {
		open, shut = "(", ")"
		if len(l.items) == 1 {
			shut = ",)"
		}
	}
	b.add(open, FromTemplate)
	for i, item := range l.items {
		if i > 0 {
			b.add(", ", FromTemplate)
		}
		if err := st.repr(b, item, depth+1); err != nil {
			return err
		}
	}
	b.add(shut, FromTemplate)
	return nil
}

func (st *state) reprDict(b *builder, d *Dict, depth int) error {
	b.add("{", FromTemplate)
	for i := range d.keys {
		if i > 0 {
			b.add(", ", FromTemplate)
		}
		if err := st.repr(b, d.keys[i], depth+1); err != nil {
			return err
		}
		b.add(": ", FromTemplate)
		if err := st.repr(b, d.vals[i], depth+1); err != nil {
			return err
		}
	}
	b.add("}", FromTemplate)
	return nil
}

func (st *state) reprView(b *builder, v *view, depth int) error {
	b.add(v.typeName()+"([", FromTemplate)
	for i := range v.dict.Len() {
		if i > 0 {
			b.add(", ", FromTemplate)
		}
		if err := st.repr(b, v.at(i), depth+1); err != nil {
			return err
		}
	}
	b.add("])", FromTemplate)
	return nil
}

// reprStr is the repr of a string: quotes are the template's, an escape has
// the origin of the character that it stands for.
func (st *state) reprStr(b *builder, t *Str) error {
	if err := st.writable(b, len(t.s)); err != nil {
		return err
	}
	if t.safe {
		b.add("Markup(", FromTemplate)
	}
	quote := '\''
	if strings.Contains(t.s, "'") && !strings.Contains(t.s, "\"") {
		quote = '"'
	}
	b.addRune(quote, FromTemplate)
	plain := func(c byte) bool { return c >= ' ' && c < 0x7f && c != '\\' && c != '\'' && c != '"' }
	for i := 0; i < len(t.s); {
		j := i
		for j < len(t.s) && plain(t.s[j]) {
			j++
		}
		b.addRange(t, i, j)
		if j == len(t.s) {
			break
		}
		r, n := utf8.DecodeRuneInString(t.s[j:])
		b.add(reprRune(r, quote), t.originAt(j))
		i = j + n
	}
	b.addRune(quote, FromTemplate)
	if t.safe {
		b.add(")", FromTemplate)
	}
	return nil
}

func reprRune(r, quote rune) string {
	switch {
	case r == quote || r == '\\':
		return "\\" + string(r)
	case r == '\n':
		return "\\n"
	case r == '\r':
		return "\\r"
	case r == '\t':
		return "\\t"
	case r == ' ' || r > ' ' && r < 0x7f || r >= 0x7f && unicode.IsPrint(r):
		return string(r)
	case r < 0x100:
		return fmt.Sprintf("\\x%02x", r)
	case r < 0x10000:
		return fmt.Sprintf("\\u%04x", r)
	}
	return fmt.Sprintf("\\U%08x", r)
}

// reprOf is the repr of a Go string.
func reprOf(s string) string {
	const longest = 200 // what an error message may quote
	if len(s) > longest {
		s = s[:runeStart(s, longest)] + "…"
	}
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, "\"") {
		quote = '"'
	}
	var b strings.Builder
	b.WriteRune(quote)
	for _, r := range s {
		b.WriteString(reprRune(r, quote))
	}
	b.WriteRune(quote)
	return b.String()
}

// runeStart is the last boundary of a character at or before i.
func runeStart(s string, i int) int {
	for i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}

// reprText is the repr of a key in a message.
func reprText(v Value) string {
	switch v := v.(type) {
	case *Str:
		return reprOf(v.s)
	case None:
		return "None"
	case Bool:
		return boolName(v.V)
	case Int:
		return strconv.FormatInt(v.N, 10)
	case Float:
		return floatRepr(v.F)
	case *undefined:
		return "Undefined"
	}
	return "<" + v.typeName() + ">"
}
