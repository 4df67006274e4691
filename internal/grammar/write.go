package grammar

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// way is the expression for one way of being valid.
func (s *schema) way(w *way) (expr, error) {
	if w.limited {
		return s.constants(w)
	}
	var all alt
	for _, t := range []struct {
		types types
		write func(*way) (expr, error)
	}{
		{typeObject, s.object},
		{typeArray, s.array},
		{typeString, s.str},
		{typeNumber, s.num},
	} {
		if w.types&t.types == 0 {
			continue
		}
		e, err := t.write(w)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if w.types&typeBoolean != 0 {
		all = append(all, text("true"), text("false"))
	}
	if w.types&typeNull != 0 {
		all = append(all, text("null"))
	}
	return all, nil
}

// constants are those of a way that are valid otherwise, too.
func (s *schema) constants(w *way) (expr, error) {
	rest := *w
	rest.limited, rest.constant = false, nil
	var check *Grammar
	if !plain(&rest) {
		sub := newSchema(s.root, new(definition))
		sub.chain = s.chain
		e, err := sub.way(&rest)
		if err != nil {
			return nil, err
		}
		if check, err = sub.d.compile(sub.d.define("constant", e)); err != nil {
			return alt{}, nil // nothing is valid
		}
	}
	var all alt
	for _, v := range w.constant {
		if typeOf(v)&w.types != 0 && (check == nil || check.Matches(v.String())) {
			all = append(all, s.literal(v))
		}
	}
	return all, nil
}

// plain reports whether a way says nothing but types.
func plain(w *way) bool {
	return w.lo == nil && w.hi == nil && w.minLength == 0 && w.maxLength < 0 && len(w.patterns) == 0 && len(w.formats) == 0 &&
		len(w.prefix) == 0 && !w.itemsGiven && w.minItems == 0 && w.maxItems < 0 &&
		len(w.properties) == 0 && !w.additionalGiven && w.minProps == 0 && w.maxProps < 0
}

// literal is a value, with the white space that objects and lists may have.
func (s *schema) literal(v *value) expr {
	switch {
	case v.kind == '{' && len(v.members) > 0:
		out := seq{text("{"), s.spaces}
		for i, m := range v.members {
			if i > 0 {
				out = append(out, s.comma())
			}
			out = append(out, text(quote(m.name)), s.colon(), s.literal(m.value))
		}
		return append(out, s.spaces, text("}"))
	case v.kind == '[' && len(v.items) > 0:
		out := seq{text("["), s.spaces}
		for i, x := range v.items {
			if i > 0 {
				out = append(out, s.comma())
			}
			out = append(out, s.literal(x))
		}
		return append(out, s.spaces, text("]"))
	}
	return text(v.String())
}

func (s *schema) comma() expr { return seq{text(","), s.spaces} }
func (s *schema) colon() expr { return seq{text(":"), s.spaces} }

func (s *schema) num(w *way) (expr, error) {
	if w.types&typeFraction == 0 {
		return integers(w.lo, w.hi), nil
	}
	if w.lo == nil && w.hi == nil {
		return s.shared("number", anyNumber), nil
	}
	e, ok := decimals(w.lo, w.hi)
	if !ok {
		return nil, fmt.Errorf("the bounds of the number have no decimal form of at most %d digits", fractionDigits)
	}
	return e, nil
}

func (s *schema) array(w *way) (expr, error) {
	most := w.maxItems
	if !w.itemsGiven && len(w.prefix) > 0 {
		most = least(most, max(len(w.prefix), w.minItems))
	}
	if most >= 0 && most < w.minItems {
		return alt{}, nil
	}
	item := func(i int) (expr, error) {
		r, err := s.all(w.item(i))
		if err != nil {
			return nil, under("items", err)
		}
		if i == 0 {
			return r, nil
		}
		return seq{s.comma(), r}, nil
	}
	var rest func(i int) (expr, error)
	rest = func(i int) (expr, error) {
		if i == most {
			return nothing, nil
		}
		one, err := item(i)
		if err != nil {
			return nil, err
		}
		var e expr
		if i < len(w.prefix) || i == 0 {
			more, err := rest(i + 1)
			if err != nil {
				return nil, err
			}
			e = seq{one, more}
			if i >= w.minItems {
				e = optional(e)
			}
			return e, nil
		}
		return repeat{one, max(0, w.minItems-i), upTo(most-i, most)}, nil
	}
	inside, err := rest(0)
	if err != nil {
		return nil, err
	}
	if most != 0 {
		inside = seq{inside, s.spaces}
	}
	return seq{text("["), s.spaces, inside, text("]")}, nil
}

// upTo is n, or -1 where there is no bound.
func upTo(n, bound int) int {
	if bound < 0 {
		return -1
	}
	return n
}

func (s *schema) object(w *way) (expr, error) {
	// Properties that are not named come where the schema says so, or names none.
	open := (w.additionalGiven || !w.declared) && s.possible(w.additional)
	atLeastOne, most, err := w.propertyCounts(open)
	if err != nil {
		return nil, err
	}
	o := objectWriter{schema: s, way: w, open: open, atLeastOne: atLeastOne, most: most, rests: map[[2]int]ref{}}
	inside, err := o.rest(0, true)
	if err != nil {
		return nil, err
	}
	return seq{text("{"), s.spaces, inside, s.spaces, text("}")}, nil
}

// possible reports whether a schema is not plainly false.
func (s *schema) possible(v schemas) bool {
	return !slices.ContainsFunc(v, func(v *value) bool { return v.kind == 'b' && !v.truth })
}

// propertyCounts sees whether minProperties and maxProperties can be held to.
// Names that are not in the schema may come twice, which counts once.
func (w *way) propertyCounts(open bool) (atLeastOne bool, most int, err error) {
	switch {
	case w.minProps <= len(w.required):
	case w.minProps == 1:
		atLeastOne = true
	default:
		return false, 0, fmt.Errorf("minProperties of more than the required ones is not supported")
	}
	switch {
	case w.maxProps < 0, !open && w.maxProps >= len(w.properties):
		return atLeastOne, -1, nil
	case len(w.properties) == 0:
		return atLeastOne, w.maxProps, nil
	}
	return false, 0, fmt.Errorf("maxProperties of less than all properties is not supported")
}

// An objectWriter writes the properties of one object, in order.
type objectWriter struct {
	*schema
	*way
	open       bool
	atLeastOne bool
	most       int            // of those that are not named; -1: any number
	rests      map[[2]int]ref // by the next property, and whether it is the first
}

// rest is the rule for the properties from the i-th on.
func (o *objectWriter) rest(i int, first bool) (expr, error) {
	key := [2]int{i, 0}
	if first {
		key[1] = 1
	}
	if r, ok := o.rests[key]; ok {
		return r, nil
	}
	r := o.d.rule("properties")
	o.rests[key] = r
	e, err := o.from(i, first)
	o.d.rules[r] = e
	return r, err
}

func (o *objectWriter) from(i int, first bool) (expr, error) {
	if i == len(o.properties) {
		return o.others(first)
	}
	p := o.properties[i]
	valid, err := o.all(p.valid)
	if err != nil {
		return nil, under("properties", under(p.name, err))
	}
	with, err := o.rest(i+1, false)
	if err != nil {
		return nil, err
	}
	e := expr(seq{o.separator(first), text(quote(p.name)), o.colon(), valid, with})
	if slices.Contains(o.required, p.name) {
		return e, nil
	}
	without, err := o.rest(i+1, first)
	if err != nil {
		return nil, err
	}
	return alt{e, without}, nil
}

func (o *objectWriter) separator(first bool) expr {
	if first {
		return nothing
	}
	return o.comma()
}

// others are properties that are not named.
func (o *objectWriter) others(first bool) (expr, error) {
	if !o.open {
		if first && o.atLeastOne {
			return alt{}, nil
		}
		return nothing, nil
	}
	valid, err := o.all(o.additional)
	if err != nil {
		return nil, under("additionalProperties", err)
	}
	var names []string
	for _, p := range o.properties {
		names = append(names, p.name)
	}
	name := expr(seq{text(`"`), nameNot(names), text(`"`)})
	if len(names) == 0 {
		name = o.shared("name", seq{text(`"`), star(plainChar), text(`"`)})
	}
	pair := seq{name, o.colon(), valid}
	if !first {
		return repeat{seq{o.comma(), pair}, 0, o.most}, nil
	}
	if o.most == 0 {
		return nothing, nil
	}
	e := expr(seq{pair, repeat{seq{o.comma(), pair}, 0, upTo(o.most-1, o.most)}})
	if !o.atLeastOne {
		e = optional(e)
	}
	return e, nil
}

// plainChar is what stands in a string without an escape.
var plainChar = class{{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}.not()

// nameNot are names without escapes that are not among some.
func nameNot(names []string) expr {
	next := map[rune][]string{}
	var order []rune
	ends := false
	for _, n := range names {
		if n == "" {
			ends = true
			continue
		}
		r, size := utf8.DecodeRuneInString(n)
		if next[r] == nil {
			order = append(order, r)
		}
		next[r] = append(next[r], n[size:])
	}
	var c class
	var all alt
	if !ends {
		all = append(all, nothing)
	}
	for _, r := range order {
		c = append(c, runeRange{r, r})
		if plainChar.has(r) {
			all = append(all, seq{class{{r, r}}, nameNot(next[r])})
		}
	}
	return append(all, seq{plainChar.without(c.normal()), star(plainChar)})
}

// anyChar is what stands for one character of a string.
var anyChar = alt{
	plainChar,
	seq{text(`\`), chars(`""\\//bbffnnrrtt`)},
	seq{text(`\u`), alt{
		seq{chars("09acACefEF"), hex, hex, hex},
		seq{chars("ddDD"), chars("07"), hex, hex},
	}},
}

var hex = chars("09afAF")

func (s *schema) str(w *way) (expr, error) {
	long := w.minLength > 0 || w.maxLength >= 0
	switch {
	case w.maxLength >= 0 && w.maxLength < w.minLength:
		return alt{}, nil
	case len(w.patterns)+len(w.formats) > 1:
		return nil, fmt.Errorf("several patterns and formats for one string are not supported")
	case len(w.patterns) == 1:
		return w.written("pattern", shortRepeats(w.patterns[0]), star(class{{0, utf8.MaxRune}}))
	case len(w.formats) == 1:
		return w.written("format", formats[w.formats[0]], nothing)
	}
	if !long {
		return s.shared("string", seq{text(`"`), star(anyChar), text(`"`)}), nil
	}
	return seq{text(`"`), repeat{anyChar, w.minLength, w.maxLength}, text(`"`)}, nil
}

// written is the string that an expression describes. Lengths may stand beside
// it where no text of it is shorter or longer.
func (w *way) written(keyword, source string, around expr) (expr, error) {
	e, err := parseRegexp(source, around)
	if err != nil {
		return nil, under(keyword, err)
	}
	if least, most := extent(e); least < w.minLength || w.maxLength >= 0 && (most < 0 || most > w.maxLength) {
		return nil, fmt.Errorf("%s together with a minLength or maxLength that it does not keep itself is not supported (write the length into a pattern)", keyword)
	}
	return seq{text(`"`), inString(e), text(`"`)}, nil
}

// shared is the rule for an expression that occurs again and again.
func (s *schema) shared(name string, e expr) expr {
	r, ok := s.common[name]
	if !ok {
		r = s.d.define(name, e)
		s.common[name] = r
	}
	return r
}

// inString is an expression of characters as it stands in a JSON string.
func inString(e expr) expr {
	each := func(xs []expr) []expr {
		out := make([]expr, len(xs))
		for i, x := range xs {
			out[i] = inString(x)
		}
		return out
	}
	switch e := e.(type) {
	case class:
		out := alt{e.and(plainChar)}
		for _, r := range e.without(plainChar) {
			for c := r.lo; c <= r.hi; c++ {
				out = append(out, text(escaped(c)))
			}
		}
		return out
	case seq:
		return seq(each(e))
	case alt:
		return alt(each(e))
	case repeat:
		return repeat{inString(e.of), e.min, e.max}
	}
	return e
}

// formats are those that are held to, as expressions for a subset that every
// reader agrees on. Others are notes for readers, as the specification has it.
var formats = map[string]string{
	"date":      date,
	"time":      clock,
	"date-time": date + "T" + clock,
	"duration":  `P(\d{1,4}W|\d{1,4}Y(\d{1,4}M(\d{1,4}D)?)?(T` + span + `)?|\d{1,4}M(\d{1,4}D)?(T` + span + `)?|\d{1,4}D(T` + span + `)?|T` + span + `)`,
	"uuid":      `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`,
	"ipv4":      octet + strings.Repeat(`\.`+octet, 3),
	"ipv6":      `([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}`,
	"hostname":  label + `(\.` + label + `){0,3}`,
	"email":     `[a-zA-Z0-9_+-]{1,30}(\.[a-zA-Z0-9_+-]{1,30}){0,1}@` + label + `(\.` + label + `){1,3}`,
	"uri":       `[a-z][a-z0-9+-]{1,15}://` + label + `(\.` + label + `){0,3}(:[0-9]{1,4})?(/[a-zA-Z0-9._~-]{0,64}){0,16}(\?[a-zA-Z0-9._~=&-]{0,256})?(#[a-zA-Z0-9._~-]{0,64})?`,
}

const (
	date  = `\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))`
	clock = `([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)`
	span  = `(\d{1,4}H(\d{1,4}M(\d{1,4}S)?)?|\d{1,4}M(\d{1,4}S)?|\d{1,4}S)`
	octet = `(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
	label = `[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?`
)
