package grammar

import (
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"

	"parley/internal/limits"
)

// types is a set of JSON types. A number is a whole one or one with a fraction.
type types uint8

const (
	typeNull types = 1 << iota
	typeBoolean
	typeWhole
	typeFraction
	typeString
	typeArray
	typeObject

	typeNumber = typeWhole | typeFraction
	typeAny    = typeNull | typeBoolean | typeNumber | typeString | typeArray | typeObject
)

var typeNames = map[string]types{
	"null": typeNull, "boolean": typeBoolean, "integer": typeWhole, "number": typeNumber,
	"string": typeString, "array": typeArray, "object": typeObject,
}

// A way is one way of being valid: a schema without alternatives. Lists of
// schemas hold all at once.
type way struct {
	types    types
	constant []*value // one of these; nil: any
	limited  bool     // constant holds, even if it is empty

	lo, hi *bound

	minLength, maxLength int // -1: none
	patterns             []string
	formats              []string // those that are held to

	prefix             []schemas
	items              schemas // behind prefix
	itemsGiven         bool
	minItems, maxItems int

	properties         []property
	declared           bool // the schema names properties, not only required ones
	required           []string
	additional         schemas
	additionalGiven    bool
	minProps, maxProps int
}

type schemas []*value

type property struct {
	name  string
	valid schemas
}

func anything() *way {
	return &way{types: typeAny, maxLength: -1, maxItems: -1, maxProps: -1}
}

// take reads one keyword of a schema and reports whether it is one.
func (w *way) take(m member, of *value) (known bool, err error) {
	v := m.value
	switch m.name {
	case "type":
		err = w.takeType(v)
	case "enum":
		if v.kind != '[' {
			return true, fmt.Errorf("enum is a list")
		}
		if err := limits.GrammarChoices.CheckInt(len(v.items)); err != nil {
			return true, err
		}
		w.limited, w.constant = true, v.items
	case "const":
		w.limited, w.constant = true, []*value{v}
	case "minimum":
		w.lo, err = w.takeBound(w.lo, v, of.get("exclusiveMinimum").isTrue(), 1)
	case "exclusiveMinimum":
		if v.kind != 'b' { // the form of draft 4
			w.lo, err = w.takeBound(w.lo, v, true, 1)
		}
	case "maximum":
		w.hi, err = w.takeBound(w.hi, v, of.get("exclusiveMaximum").isTrue(), -1)
	case "exclusiveMaximum":
		if v.kind != 'b' {
			w.hi, err = w.takeBound(w.hi, v, true, -1)
		}
	case "multipleOf":
		err = w.takeMultiple(v)
	case "minLength":
		w.minLength, err = count(v)
	case "maxLength":
		w.maxLength, err = count(v)
	case "pattern":
		if v.kind != 's' {
			return true, fmt.Errorf("a pattern is a string")
		}
		w.patterns = []string{v.text}
	case "format":
		if v.kind == 's' && formats[v.text] != "" {
			w.formats = []string{v.text}
		}
	case "items":
		if v.kind == '[' { // draft 7
			return true, w.takePrefix(v)
		}
		w.items, w.itemsGiven = schemas{v}, true
	case "prefixItems":
		err = w.takePrefix(v)
	case "additionalItems", "then", "else": // settle gives the one its meaning, "if" the others
	case "minItems":
		w.minItems, err = count(v)
	case "maxItems":
		w.maxItems, err = count(v)
	case "uniqueItems":
		if v.isTrue() {
			err = fmt.Errorf("uniqueItems is not supported")
		}
	case "properties":
		if v.kind != '{' {
			return true, fmt.Errorf("properties are an object")
		}
		w.declared = len(v.members) > 0
		for _, p := range v.members {
			w.properties = append(w.properties, property{p.name, schemas{p.value}})
		}
	case "required":
		err = w.takeRequired(v)
	case "additionalProperties":
		w.additional, w.additionalGiven = schemas{v}, true
	case "minProperties":
		w.minProps, err = count(v)
	case "maxProperties":
		w.maxProps, err = count(v)
	default:
		return false, nil
	}
	return true, err
}

func (w *way) takeMultiple(v *value) error {
	r, ok := v.rat()
	if !ok || r.Sign() <= 0 {
		return fmt.Errorf("it is a number above 0")
	}
	if r.Cmp(big.NewRat(1, 1)) != 0 {
		return fmt.Errorf("multipleOf is not supported, except 1")
	}
	w.types &^= typeFraction
	return nil
}

func (w *way) takeRequired(v *value) error {
	if v.kind != '[' {
		return fmt.Errorf("required is a list of names")
	}
	for _, x := range v.items {
		if x.kind != 's' {
			return fmt.Errorf("required is a list of names")
		}
		if !slices.Contains(w.required, x.text) {
			w.required = append(w.required, x.text)
		}
	}
	return nil
}

func (w *way) takeType(v *value) error {
	names := v.items
	if v.kind == 's' {
		names = []*value{v}
	}
	set := types(0)
	for _, n := range names {
		t, ok := typeNames[n.text]
		if n.kind != 's' || !ok {
			return fmt.Errorf("there is no type %s", n)
		}
		set |= t
	}
	w.types &= set
	return nil
}

func (w *way) takeBound(have *bound, v *value, strict bool, side int) (*bound, error) {
	r, ok := v.rat()
	if !ok {
		return nil, fmt.Errorf("it is a number, and %s is none or too long", v)
	}
	return tighter(have, &bound{r, strict}, side), nil
}

func (w *way) takePrefix(v *value) error {
	if v.kind != '[' {
		return fmt.Errorf("it is a list of schemas")
	}
	for _, x := range v.items {
		w.prefix = append(w.prefix, schemas{x})
	}
	return nil
}

// count reads a number of things. What is more than any text has is no bound.
func count(v *value) (int, error) {
	r, ok := v.rat()
	if !ok || !r.IsInt() || r.Sign() < 0 {
		return 0, fmt.Errorf("it is a whole number from 0 on, not %s", v)
	}
	if !r.Num().IsInt64() || limits.GrammarPlaces.Check(float64(r.Num().Int64())) != nil {
		return 0, limits.GrammarPlaces.Check(1e18)
	}
	return int(r.Num().Int64()), nil
}

// settle does what needs several keywords of one schema.
func (w *way) settle(v *value) error {
	if more := v.get("additionalItems"); more != nil && v.get("items") != nil && v.get("items").kind == '[' {
		w.items, w.itemsGiven = schemas{more}, true
	}
	for _, name := range w.required {
		if w.property(name) == nil {
			w.properties = append(w.properties, property{name, w.additional})
		}
	}
	return nil
}

func (w *way) property(name string) *property {
	i := slices.IndexFunc(w.properties, func(p property) bool { return p.name == name })
	if i < 0 {
		return nil
	}
	return &w.properties[i]
}

// of is what holds for a property, whether it is named or not.
func (w *way) of(name string) schemas {
	if p := w.property(name); p != nil {
		return p.valid
	}
	return w.additional
}

func (w *way) item(i int) schemas {
	if i < len(w.prefix) {
		return w.prefix[i]
	}
	return w.items
}

// join is being valid in both ways.
func join(a, b *way) *way {
	w := *a
	w.types &= b.types
	switch {
	case !a.limited:
		w.limited, w.constant = b.limited, b.constant
	case b.limited:
		w.constant = slices.DeleteFunc(slices.Clone(a.constant), func(v *value) bool { return !slices.ContainsFunc(b.constant, v.same) })
	}
	w.lo, w.hi = tighter(a.lo, b.lo, 1), tighter(a.hi, b.hi, -1)
	w.minLength, w.maxLength = max(a.minLength, b.minLength), least(a.maxLength, b.maxLength)
	w.patterns = distinct(a.patterns, b.patterns)
	w.formats = distinct(a.formats, b.formats)
	w.joinArrays(a, b)
	w.joinObjects(a, b)
	return &w
}

func (w *way) joinArrays(a, b *way) {
	w.minItems, w.maxItems = max(a.minItems, b.minItems), least(a.maxItems, b.maxItems)
	w.prefix = nil
	for i := range max(len(a.prefix), len(b.prefix)) {
		w.prefix = append(w.prefix, slices.Concat(a.item(i), b.item(i)))
	}
	w.items, w.itemsGiven = slices.Concat(a.items, b.items), a.itemsGiven || b.itemsGiven
}

func (w *way) joinObjects(a, b *way) {
	w.minProps, w.maxProps = max(a.minProps, b.minProps), least(a.maxProps, b.maxProps)
	w.properties, w.declared = nil, a.declared || b.declared
	for _, from := range []*way{a, b} {
		for _, p := range from.properties {
			if w.property(p.name) == nil {
				w.properties = append(w.properties, property{p.name, slices.Concat(a.of(p.name), b.of(p.name))})
			}
		}
	}
	w.required = distinct(a.required, b.required)
	w.additional, w.additionalGiven = slices.Concat(a.additional, b.additional), a.additionalGiven || b.additionalGiven
}

// least is the smaller of two counts of which -1 is none.
func least(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

func distinct(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// apart reports whether no value is valid in one of a and one of b, as far as
// that is plain: by type, by constants, by ranges, or by a property that both
// require and that is apart, or that one requires and the other forbids.
func (s *schema) apart(a, b []*way) bool {
	for _, x := range a {
		for _, y := range b {
			if !s.disjoint(x, y, 0) {
				return false
			}
		}
	}
	return true
}

func (s *schema) disjoint(a, b *way, depth int) bool {
	both := a.types & b.types
	switch {
	case both == 0:
		return true
	case a.limited || b.limited:
		return s.constantsApart(a, b)
	case both&^typeNumber == 0:
		return beyond(a.lo, b.hi) || beyond(b.lo, a.hi)
	case both != typeObject:
		return false
	}
	const deep = 4
	for _, p := range distinct(a.required, b.required) {
		if slices.Contains(a.required, p) && forbids(b, p) || slices.Contains(b.required, p) && forbids(a, p) {
			return true
		}
		if slices.Contains(a.required, p) && slices.Contains(b.required, p) && depth < deep {
			x, errX := s.ways(a.of(p))
			y, errY := s.ways(b.of(p))
			if errX == nil && errY == nil && !slices.ContainsFunc(x, func(x *way) bool {
				return slices.ContainsFunc(y, func(y *way) bool { return !s.disjoint(x, y, depth+1) })
			}) {
				return true
			}
		}
	}
	return false
}

// constantsApart looks at each constant of one way whether it may be valid in
// the other. Constants are compared by value and type.
func (s *schema) constantsApart(a, b *way) bool {
	if !a.limited {
		a, b = b, a
	}
	for _, v := range a.constant {
		if typeOf(v)&a.types == 0 || typeOf(v)&b.types == 0 {
			continue
		}
		if !b.limited || slices.ContainsFunc(b.constant, v.same) {
			return false
		}
	}
	return true
}

// forbids reports whether a way has no place for a property.
func forbids(w *way, name string) bool {
	return slices.ContainsFunc(w.of(name), func(v *value) bool { return v.kind == 'b' && !v.truth })
}

// beyond reports whether a lower bound is above an upper one.
func beyond(lo, hi *bound) bool {
	if lo == nil || hi == nil {
		return false
	}
	c := lo.at.Cmp(hi.at)
	return c > 0 || c == 0 && (lo.strict || hi.strict)
}

func typeOf(v *value) types {
	switch v.kind {
	case 'n':
		return typeNull
	case 'b':
		return typeBoolean
	case 's':
		return typeString
	case '[':
		return typeArray
	case '{':
		return typeObject
	}
	if r, ok := v.rat(); ok && r.IsInt() {
		return typeWhole
	}
	return typeFraction
}

// unescape reads a step of a JSON pointer in a URL's fragment.
func unescape(step string) (string, error) {
	s, err := url.PathUnescape(step)
	if err != nil {
		return "", err
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(s), nil
}
