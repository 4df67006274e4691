package grammar

import (
	"math/big"
	"strings"
)

// How many digits numbers have: every JSON reader can hold them, and a model
// that writes digits for ever is stopped.
const (
	wholeDigits    = 20
	fractionDigits = 20
	exponentDigits = 2
)

var (
	digit   = chars("09")
	sign    = optional(text("-"))
	whole   = alt{text("0"), seq{chars("19"), repeat{digit, 0, wholeDigits - 1}}}
	zeros   = repeat{chars("00"), 0, fractionDigits}
	anyMore = repeat{digit, 0, fractionDigits}

	fraction = seq{text("."), repeat{digit, 1, fractionDigits}}
	exponent = seq{chars("EEee"), optional(alt{text("+"), text("-")}), repeat{digit, 1, exponentDigits}}

	anyInteger = seq{sign, whole}
	anyNumber  = seq{sign, whole, optional(fraction), optional(exponent)}
)

// A bound is one end of a range of numbers; nil is none.
type bound struct {
	at     *big.Rat
	strict bool // the number itself is outside
}

// tighter gives the stronger of two bounds; side is 1 for lower bounds, -1 for
// upper ones.
func tighter(a, b *bound, side int) *bound {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	switch c := a.at.Cmp(b.at) * side; {
	case c > 0 || c == 0 && a.strict:
		return a
	}
	return b
}

// integers are the whole numbers of a range.
func integers(lo, hi *bound) expr {
	if lo == nil && hi == nil {
		return anyInteger
	}
	var a, b *big.Int
	one := big.NewInt(1)
	if lo != nil { // rounded up
		a = floor(new(big.Rat).Neg(lo.at))
		a.Neg(a)
		if lo.strict && lo.at.IsInt() {
			a.Add(a, one)
		}
	}
	if hi != nil {
		b = floor(hi.at)
		if hi.strict && hi.at.IsInt() {
			b.Sub(b, one)
		}
	}
	greatest := new(big.Int).Exp(big.NewInt(10), big.NewInt(wholeDigits), nil)
	greatest.Sub(greatest, one)
	if a == nil {
		a = new(big.Int).Neg(greatest)
	}
	if b == nil {
		b = greatest
	}
	var all alt
	if a.Sign() < 0 { // from -1 downwards
		least := one
		if b.Sign() < 0 {
			least = new(big.Int).Neg(b)
		}
		all = append(all, seq{text("-"), naturals(least, new(big.Int).Neg(a))})
	}
	if b.Sign() >= 0 {
		from := a
		if a.Sign() < 0 {
			from = new(big.Int)
		}
		all = append(all, naturals(from, b))
	}
	return all
}

func floor(r *big.Rat) *big.Int {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int)) // Euclidean: m ≥ 0, the denominator is positive
	_ = m
	return q
}

// naturals are the numbers from lo to hi, which are not negative, without
// leading zeros.
func naturals(lo, hi *big.Int) expr {
	var all alt
	if lo.Cmp(hi) > 0 {
		return all
	}
	a, b := lo.String(), hi.String()
	for n := len(a); n <= len(b); n++ {
		from, to := a, b
		if n > len(a) {
			from = "1" + strings.Repeat("0", n-1)
		}
		if n < len(b) {
			to = strings.Repeat("9", n)
		}
		all = append(all, sameLength(from, to))
	}
	return all
}

// sameLength are the strings of digits between two of the same length.
func sameLength(lo, hi string) expr {
	switch {
	case lo == "":
		return nothing
	case strings.Trim(lo, "0") == "" && strings.Trim(hi, "9") == "":
		return repeat{digit, len(lo), len(lo)}
	case lo[0] == hi[0]:
		return seq{text(lo[:1]), sameLength(lo[1:], hi[1:])}
	}
	k := len(lo) - 1
	all := alt{
		seq{text(lo[:1]), sameLength(lo[1:], strings.Repeat("9", k))},
		seq{text(hi[:1]), sameLength(strings.Repeat("0", k), hi[1:])},
	}
	if lo[0]+1 < hi[0] {
		all = append(all, seq{class{{rune(lo[0] + 1), rune(hi[0] - 1)}}, repeat{digit, k, k}})
	}
	return all
}

// decimals are the numbers of a range, written without an exponent. ok is
// false where a bound has no finite decimal form or too many digits.
func decimals(lo, hi *bound) (e expr, ok bool) {
	if lo == nil && hi == nil {
		return anyNumber, true
	}
	zero := new(big.Rat)
	var all alt
	if lo == nil || lo.at.Sign() < 0 {
		least := &bound{at: zero}
		if hi != nil && hi.at.Sign() <= 0 {
			least = &bound{new(big.Rat).Neg(hi.at), hi.strict}
		}
		var most *bound
		if lo != nil {
			most = &bound{new(big.Rat).Neg(lo.at), lo.strict}
		}
		e, ok := magnitudes(least, most)
		if !ok {
			return nil, false
		}
		all = append(all, seq{text("-"), e})
	}
	if hi == nil || hi.at.Sign() >= 0 {
		least := &bound{at: zero}
		if lo != nil && lo.at.Sign() >= 0 {
			least = lo
		}
		e, ok := magnitudes(least, hi)
		if !ok {
			return nil, false
		}
		all = append(all, e)
	}
	return all, true
}

// magnitudes are the decimals from lo on, which is not negative, to hi.
func magnitudes(lo, hi *bound) (expr, bool) {
	a, fa, ok := split(lo.at)
	if !ok {
		return nil, false
	}
	one := big.NewInt(1)
	if hi == nil {
		greatest := new(big.Int).Exp(big.NewInt(10), big.NewInt(wholeDigits), nil)
		return alt{
			seq{text(a.String()), fractionFrom(fa, lo.strict)},
			seq{naturals(new(big.Int).Add(a, one), greatest.Sub(greatest, one)), optional(fraction)},
		}, true
	}
	if lo.at.Cmp(hi.at) > 0 {
		return alt{}, true
	}
	b, fb, ok := split(hi.at)
	if !ok {
		return nil, false
	}
	if a.Cmp(b) == 0 {
		return seq{text(a.String()), fractionBetween(fa, fb, lo.strict, hi.strict)}, true
	}
	return alt{
		seq{text(a.String()), fractionFrom(fa, lo.strict)},
		seq{naturals(new(big.Int).Add(a, one), new(big.Int).Sub(b, one)), optional(fraction)},
		seq{text(b.String()), fractionTo(fb, hi.strict)},
	}, true
}

// split gives a number that is not negative as its whole part and the digits
// behind the point, without zeros at the end.
func split(r *big.Rat) (whole *big.Int, digits string, ok bool) {
	n, exact := r.FloatPrec()
	if !exact || n > fractionDigits {
		return nil, "", false
	}
	s := r.FloatString(n)
	if len(s) > wholeDigits+fractionDigits {
		return nil, "", false
	}
	before, digits, _ := strings.Cut(s, ".")
	whole, ok = new(big.Int).SetString(before, 10)
	return whole, strings.TrimRight(digits, "0"), ok
}

// fractionFrom is what may stand behind a whole number so that the fraction is
// at least as great as the digits say.
func fractionFrom(digits string, strict bool) expr {
	if digits == "" && !strict {
		return optional(fraction)
	}
	return seq{text("."), digitsFrom(digits, strict)}
}

func digitsFrom(digits string, strict bool) expr {
	switch {
	case digits == "" && strict:
		return seq{zeros, chars("19"), anyMore}
	case digits == "":
		return anyMore
	}
	all := alt{seq{text(digits[:1]), digitsFrom(digits[1:], strict)}}
	if digits[0] < '9' {
		all = append(all, seq{class{{rune(digits[0] + 1), '9'}}, anyMore})
	}
	return all
}

// fractionTo is the same for at most.
func fractionTo(digits string, strict bool) expr {
	switch {
	case digits == "" && strict:
		return alt{}
	case digits == "":
		return optional(seq{text("."), text("0"), zeros})
	}
	return optional(seq{text("."), digitsTo(digits, strict, true)})
}

// digitsTo may be empty unless the first digit is still to come.
func digitsTo(digits string, strict, first bool) expr {
	switch {
	case digits == "" && strict:
		return alt{}
	case digits == "" && first:
		return seq{text("0"), zeros}
	case digits == "":
		return zeros
	}
	all := alt{seq{text(digits[:1]), digitsTo(digits[1:], strict, false)}}
	if !first {
		all = append(all, nothing)
	}
	if digits[0] > '0' {
		all = append(all, seq{class{{'0', rune(digits[0] - 1)}}, anyMore})
	}
	return all
}

// fractionBetween is what may stand behind a whole number that both bounds have.
func fractionBetween(lo, hi string, strictLo, strictHi bool) expr {
	e := expr(seq{text("."), digitsBetween(lo, hi, strictLo, strictHi, true)})
	if lo == "" && !strictLo && (hi != "" || !strictHi) {
		return optional(e)
	}
	return e
}

func digitsBetween(lo, hi string, strictLo, strictHi, first bool) expr {
	switch {
	case lo == "" && !strictLo:
		return digitsTo(hi, strictHi, first)
	case hi == "":
		return alt{} // more than hi's zeros
	}
	a, restLo := byte('0'), ""
	if lo != "" {
		a, restLo = lo[0], lo[1:]
	}
	switch {
	case a > hi[0]:
		return alt{}
	case a == hi[0]:
		return seq{text(string(a)), digitsBetween(restLo, hi[1:], strictLo, strictHi, false)}
	}
	all := alt{
		seq{text(string(a)), digitsFrom(restLo, strictLo)},
		seq{text(hi[:1]), digitsTo(hi[1:], strictHi, false)},
	}
	if a+1 < hi[0] {
		all = append(all, seq{class{{rune(a + 1), rune(hi[0] - 1)}}, anyMore})
	}
	return all
}
