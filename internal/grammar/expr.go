package grammar

import "unicode/utf8"

// An expr describes a set of texts. The list is closed: class, seq, alt,
// repeat and ref.
type expr interface{ isExpr() }

type (
	// class is one character out of some: sorted ranges that do not overlap.
	class []runeRange
	// seq is one after the other; without any it is the empty text.
	seq []expr
	// alt is one of several; without any it is nothing at all, not even the
	// empty text.
	alt []expr
	// repeat is at least min and at most max times; max -1 is any number.
	repeat struct {
		of       expr
		min, max int
	}
	// ref is a rule, by its number.
	ref int
)

type runeRange struct{ lo, hi rune }

func (class) isExpr()  {}
func (seq) isExpr()    {}
func (alt) isExpr()    {}
func (repeat) isExpr() {}
func (ref) isExpr()    {}

var nothing = seq{}

// text is a text itself.
func text(s string) expr {
	out := make(seq, 0, len(s))
	for _, r := range s {
		out = append(out, class{{r, r}})
	}
	return out
}

func optional(e expr) expr { return repeat{e, 0, 1} }
func star(e expr) expr     { return repeat{e, 0, -1} }

// chars is a class from pairs of bounds: chars("azAZ__").
func chars(pairs string) class {
	var c class
	rs := []rune(pairs)
	for i := 0; i+1 < len(rs); i += 2 {
		c = append(c, runeRange{rs[i], rs[i+1]})
	}
	return c.normal()
}

// normal sorts ranges and joins those that touch.
func (c class) normal() class {
	sorted := make(class, 0, len(c))
	for _, r := range c {
		if r.lo <= r.hi {
			sorted = append(sorted, r)
		}
	}
	sortRanges(sorted)
	out := sorted[:0]
	for _, r := range sorted {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

// not is every other character.
func (c class) not() class {
	var out class
	next := rune(0)
	for _, r := range c.normal() {
		if next < r.lo {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= utf8.MaxRune {
		out = append(out, runeRange{next, utf8.MaxRune})
	}
	return out
}

// without is what is in c and not in d.
func (c class) without(d class) class { return c.and(d.not()) }

// and is what is in both.
func (c class) and(d class) class {
	var out class
	for _, a := range c {
		for _, b := range d {
			if lo, hi := max(a.lo, b.lo), min(a.hi, b.hi); lo <= hi {
				out = append(out, runeRange{lo, hi})
			}
		}
	}
	return out.normal()
}

func (c class) has(r rune) bool {
	for _, x := range c {
		if x.lo <= r && r <= x.hi {
			return true
		}
	}
	return false
}

// A definition is the rules of a language while it is being read.
type definition struct {
	rules []expr
	names []string
}

// rule adds a rule that is to be set, and gives its number.
func (d *definition) rule(name string) ref {
	d.rules = append(d.rules, nil)
	d.names = append(d.names, name)
	return ref(len(d.rules) - 1)
}

func (d *definition) define(name string, e expr) ref {
	r := d.rule(name)
	d.rules[r] = e
	return r
}

// extent is how many characters the texts of an expression without rules have,
// at least and at most; -1 is any number.
func extent(e expr) (least, most int) {
	switch e := e.(type) {
	case class:
		return 1, 1
	case seq:
		for _, x := range e {
			a, b := extent(x)
			least = min(least+a, mostExtent)
			if most >= 0 {
				most = min(most+b, mostExtent)
			}
			if b < 0 {
				most = -1
			}
		}
	case alt:
		for i, x := range e {
			a, b := extent(x)
			if i == 0 {
				least, most = a, b
				continue
			}
			least = min(least, a)
			if most >= 0 && b >= 0 {
				most = max(most, b)
			} else {
				most = -1
			}
		}
	case repeat:
		a, b := extent(e.of)
		least = min(a*e.min, mostExtent)
		switch {
		case b == 0:
		case e.max < 0 || b < 0:
			most = -1
		default:
			most = min(b*e.max, mostExtent)
		}
	}
	return least, most
}

// mostExtent is more than any text has.
const mostExtent = 1 << 30
