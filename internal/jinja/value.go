package jinja

import (
	"iter"
	"math"
	"math/big"

	"parley/internal/limits"
)

// A Value is what a template computes with: one of the types below, each named
// after Python's. Values are never changed after they were made, namespaces,
// cyclers and joiners excepted, which live inside one render.
type Value interface {
	// typeName is what Python's type(x).__name__ says.
	typeName() string
}

type (
	// None is Python's None.
	None struct{ Origin Origin }
	// Bool is True or False.
	Bool struct {
		V      bool
		Origin Origin
	}
	// Int is an integer of 64 bits.
	Int struct {
		N      int64
		Origin Origin
	}
	// Float is Python's float.
	Float struct {
		F      float64
		Origin Origin
	}
	// bigInt is an integer that does not fit an Int.
	bigInt struct {
		n   *big.Int
		org Origin
	}
	// List is a list, or a tuple.
	List struct {
		items []Value
		tuple bool
		group bool // a tuple of groupby, with the attributes grouper and list
	}
	// undefined is a name or attribute that does not exist.
	undefined struct {
		hint string // the message, where it is not made of obj and name
		obj  Value  // what was asked for the attribute; nil: a variable
		name Value
		kind Kind // of the error that its use raises
	}
	// pyRange is range(start, stop, step).
	pyRange struct{ start, stop, step, n int64 }
	// view is dict.keys(), dict.values() or dict.items().
	view struct {
		dict *Dict
		what viewKind
	}
	// generator gives its items once. next's second result is false at the end.
	generator struct {
		name string // of the Python function, for its repr
		next func() (Value, bool, error)
	}
	// namespace is what namespace() makes: the one thing a template may change.
	namespace struct{ attrs *Dict }
	// function is a built-in function, or a method bound to its object.
	function struct {
		name   string
		method bool
		call   func(st *state, a *args) (Value, error)
	}
	// self is the template; its attributes are its blocks, to be called.
	self   struct{}
	cycler struct {
		items []Value
		pos   int
	}
	joiner struct {
		sep  Value
		used bool
	}
)

type viewKind int

const (
	viewKeys viewKind = iota
	viewValues
	viewItems
)

var viewNames = [...]string{"dict_keys", "dict_values", "dict_items"}

func (None) typeName() string       { return "NoneType" }
func (Bool) typeName() string       { return "bool" }
func (Int) typeName() string        { return "int" }
func (*bigInt) typeName() string    { return "int" }
func (Float) typeName() string      { return "float" }
func (*Dict) typeName() string      { return "dict" }
func (*undefined) typeName() string { return "Undefined" }
func (*pyRange) typeName() string   { return "range" }
func (v *view) typeName() string    { return viewNames[v.what] }
func (*generator) typeName() string { return "generator" }
func (*namespace) typeName() string { return "Namespace" }
func (self) typeName() string       { return "TemplateReference" }
func (*cycler) typeName() string    { return "Cycler" }
func (*joiner) typeName() string    { return "Joiner" }

func (t *Str) typeName() string {
	if t.safe {
		return "Markup"
	}
	return "str"
}

func (l *List) typeName() string {
	switch {
	case l.group:
		return "_GroupTuple"
	case l.tuple:
		return "tuple"
	}
	return "list"
}

func (f *function) typeName() string {
	if f.method {
		return "builtin_function_or_method"
	}
	return "function"
}

// modules of the types that are not Python's own, for messages.
var modules = map[string]string{
	"Undefined": "jinja2.runtime", "Namespace": "jinja2.utils", "Cycler": "jinja2.utils", "TemplateReference": "jinja2.runtime", "Joiner": "jinja2.utils",
	"LoopContext": "jinja2.runtime", "Macro": "jinja2.runtime", "Markup": "markupsafe", "_GroupTuple": "jinja2.filters",
}

// typeRepr names an object's type as jinja2's messages do.
func typeRepr(v Value) string {
	name := v.typeName()
	if _, ok := v.(None); ok {
		return "None"
	}
	if m := modules[name]; m != "" {
		name = m + "." + name
	}
	return name + " object"
}

var (
	none       Value = None{}
	pyTrue     Value = Bool{V: true}
	pyFalse    Value = Bool{V: false}
	emptyValue Value = emptyStr
)

func boolean(b bool) Value {
	if b {
		return pyTrue
	}
	return pyFalse
}

// smallInts saves the allocation of the integers that loops count with.
var smallInts = func() (a [1024]Value) {
	for i := range a {
		a[i] = Int{N: int64(i)}
	}
	return
}()

func integer(n int) Value {
	if n >= 0 && n < len(smallInts) {
		return smallInts[n]
	}
	return Int{N: int64(n)}
}

// NewList makes a list that owns items.
func NewList(items ...Value) *List { return &List{items: items} }

// Items are a list's values, not to be changed.
func (l *List) Items() []Value { return l.items }

func newTuple(items ...Value) *List { return &List{items: items, tuple: true} }

// message is the error that the use of an undefined value raises.
func (u *undefined) message() string {
	switch {
	case u.hint != "":
		return u.hint
	case u.obj == nil:
		return reprText(u.name) + " is undefined"
	}
	if s, ok := u.name.(*Str); ok {
		return reprOf(typeRepr(u.obj)) + " has no attribute " + reprOf(s.s)
	}
	return typeRepr(u.obj) + " has no element " + reprText(u.name)
}

func (u *undefined) err() error {
	kind := u.kind
	if kind == 0 {
		kind = KindUndefined
	}
	return &Error{Kind: kind, Msg: u.message()}
}

// unknownVariable is the value of a name that nothing defines.
func unknownVariable(name string) *undefined { return &undefined{name: text(name)} }

// missing is the value of an attribute or element that an object lacks.
func missing(obj, name Value) *undefined { return &undefined{obj: obj, name: name} }

// truth is Python's bool(x).
func truth(v Value) bool {
	switch v := v.(type) {
	case Bool:
		return v.V
	case *Str:
		return v.s != ""
	case None, *undefined:
		return false
	case Int:
		return v.N != 0
	case Float:
		return v.F != 0
	case *List:
		return len(v.items) > 0
	case *Dict:
		return v.Len() > 0
	case *view:
		return v.dict.Len() > 0
	case *pyRange:
		return v.n > 0
	case *loop:
		return v.length > 0 || v.length < 0
	}
	return true
}

// number reports v as a float, where it is a number.
func number(v Value) (float64, bool) {
	switch v := v.(type) {
	case Int:
		return float64(v.N), true
	case Float:
		return v.F, true
	case Bool:
		if v.V {
			return 1, true
		}
		return 0, true
	case *bigInt:
		f, _ := new(big.Float).SetInt(v.n).Float64()
		return f, true
	}
	return 0, false
}

// smallInt reports v as an int64, where Python could use it as an index.
func smallInt(v Value) (int64, bool) {
	switch v := v.(type) {
	case Int:
		return v.N, true
	case Bool:
		if v.V {
			return 1, true
		}
		return 0, true
	case *bigInt:
		if v.n.Sign() < 0 {
			return math.MinInt64, true
		}
		return math.MaxInt64, true
	}
	return 0, false
}

// bigOf is v as a big integer, where it is one.
func bigOf(v Value) (*big.Int, bool) {
	switch v := v.(type) {
	case Int:
		return big.NewInt(v.N), true
	case Bool:
		if v.V {
			return big.NewInt(1), true
		}
		return new(big.Int), true
	case *bigInt:
		return v.n, true
	}
	return nil, false
}

// fromBig is the integer n in its shortest form.
func fromBig(n *big.Int, org Origin) (Value, error) {
	if n.IsInt64() {
		if org == FromTemplate && n.IsInt64() && n.Int64() >= 0 && n.Int64() < int64(len(smallInts)) {
			return smallInts[n.Int64()], nil
		}
		return Int{n.Int64(), org}, nil
	}
	if n.BitLen() > limits.TemplateIntBits.Int() {
		return nil, failf(KindLimit, "an integer has more than 4300 digits")
	}
	return &bigInt{n, org}, nil
}

// originOf is a client's origin if a scalar has one.
func originOf(v Value) Origin {
	switch v := v.(type) {
	case None:
		return v.Origin
	case Bool:
		return v.Origin
	case Int:
		return v.Origin
	case Float:
		return v.Origin
	case *bigInt:
		return v.org
	case *Str:
		return v.anyOrigin()
	}
	return FromTemplate
}

// mixed is the origin of what is computed from two scalars: a client's, if
// either is.
func mixed(a, b Value) Origin {
	if o := originOf(a); o != FromTemplate {
		return o
	}
	return originOf(b)
}

// All are a dict's entries under text keys, in their order.
func (d *Dict) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i, k := range d.keys {
			if s, ok := k.(*Str); ok && !yield(s.s, d.vals[i]) {
				return
			}
		}
	}
}
