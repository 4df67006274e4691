// Package limits is the one table of limits: every number and every length
// that something from outside may have is bounded by a row here, and nowhere
// else. The documentation is printed from the table and the boundary tests
// walk over it. It imports nothing and may be imported by all.
package limits

import (
	"fmt"
	"math"
	"slices"
)

// A Limit is one row: a closed range of allowed values.
type Limit struct {
	Name string  // "body_bytes"; fixed, part of error messages
	Min  float64 // smallest allowed value
	Max  float64 // largest allowed value
	Unit string  // "bytes", "tokens", "" for plain numbers
	What string  // what it bounds, for the documentation
}

// Exceeded is a value outside its limit.
type Exceeded struct {
	Limit *Limit
	Got   float64
}

func (e *Exceeded) Error() string {
	l, unit := e.Limit, ""
	if l.Unit != "" {
		unit = " " + l.Unit
	}
	if e.Got > l.Max {
		return fmt.Sprintf("%s is more than the %s%s allowed (limit %s)", number(e.Got), number(l.Max), unit, l.Name)
	}
	return fmt.Sprintf("%s is outside %s to %s%s (limit %s)", number(e.Got), number(l.Min), number(l.Max), unit, l.Name)
}

func number(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return fmt.Sprintf("%d", int64(f))
	}
	return fmt.Sprintf("%g", f)
}

// Check gives an *Exceeded for a value outside the limit, NaN included.
func (l *Limit) Check(v float64) error {
	if v >= l.Min && v <= l.Max {
		return nil
	}
	return &Exceeded{l, v}
}

// CheckInt is Check for counts and lengths.
func (l *Limit) CheckInt(v int) error { return l.Check(float64(v)) }

// Int is the largest allowed value as an int.
func (l *Limit) Int() int { return int(l.Max) }

// Int64 is the largest allowed value as an int64.
func (l *Limit) Int64() int64 { return int64(l.Max) }

var table []*Limit

func row(name string, low, high float64, unit, what string) *Limit {
	l := &Limit{name, low, high, unit, what}
	table = append(table, l)
	return l
}

// All lists the rows in the order of the table.
func All() []*Limit { return slices.Clone(table) }
