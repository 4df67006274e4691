package wire

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// A Reader takes a body apart. The first error stays, and everything read
// after it is zero.
type Reader struct {
	Err     error
	Report  llm.Report
	ignored int
}

// Fail keeps an error, unless there is one already.
func (r *Reader) Fail(e *llm.Error) {
	if r.Err == nil {
		r.Err = e
	}
}

// Invalid keeps an error of code Invalid at a path.
func (r *Reader) Invalid(path, format string, args ...any) {
	r.Fail(llm.Errorf(llm.Invalid, path, format, args...))
}

// Unsupported keeps an error of code Unsupported, with a way out.
func (r *Reader) Unsupported(path, message, hint string) {
	r.Fail(&llm.Error{Code: llm.Unsupported, Field: path, Message: message, Hint: hint})
}

// Ignore notes that a field was not carried out.
func (r *Reader) Ignore(path string) {
	path = Short(path)
	before := len(r.Report)
	if r.ignored < limits.IgnoredFields.Int() {
		r.Report.Add("ignored", path, "not supported; the answer was made without it")
	} else {
		r.Report.Add("ignored", "others", "more fields than are listed")
	}
	r.ignored += len(r.Report) - before
}

// An Object is a JSON object that is being read: its fields are taken one by
// one, and what nobody took is looked at in the end.
type Object struct {
	*Reader
	path   string
	names  []string // in order
	fields map[string]Value
}

// Body opens the body of a request, which is a JSON object.
func Body(body []byte) (*Object, error) {
	v, err := Parse(body)
	if err != nil {
		return nil, err
	}
	r := &Reader{}
	if v.Kind() != '{' {
		r.Invalid("", "the body must be a JSON object, not %s", v.What())
		return nil, r.Err
	}
	o := r.Object("", v)
	return o, r.Err
}

// Checked gives the first error of what was read, or else of the parameters
// that were.
func (r *Reader) Checked(p *llm.Params) error {
	if r.Err != nil {
		return r.Err
	}
	return p.Check()
}

// Object opens v, which must be an object without repeated names.
func (r *Reader) Object(path string, v Value) *Object {
	o := &Object{Reader: r, path: path, fields: map[string]Value{}}
	if v.Kind() != '{' {
		r.Invalid(path, "must be an object, not %s", v.What())
		return o
	}
	for name, field := range v.Fields() {
		if _, twice := o.fields[name]; twice {
			r.Invalid(o.At(Short(name)), "the field stands twice in the same object")
			break
		}
		if err := limits.Fields.CheckInt(len(o.names) + 1); err != nil {
			r.Invalid(path, "the object's fields: %v", err)
			break
		}
		o.names = append(o.names, name)
		o.fields[name] = field
	}
	return o
}

// Short is a client's word as an error or a report repeats it.
func Short(word string) string {
	if most := limits.QuotedBytes.Int(); len(word) > most {
		return strings.ToValidUTF8(word[:most], "") + "…"
	}
	return word
}

// At is the path of a field.
func (o *Object) At(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// Has reports whether a field is there and was not taken, even if it is null.
func (o *Object) Has(name string) bool {
	_, ok := o.fields[name]
	return ok
}

// Peek gives a field without counting it as read.
func (o *Object) Peek(name string) (Value, bool) {
	v, ok := o.fields[name]
	return v, ok
}

// Take gives a field and counts it as read. A null is as good as absent.
func (o *Object) Take(name string) (Value, bool) {
	v, ok := o.fields[name]
	delete(o.fields, name)
	return v, ok && o.Err == nil && !v.Null()
}

// First takes a field that has several names: the first one present counts;
// the others are noted if they say something else.
func (o *Object) First(names []string) (v Value, path string, ok bool) {
	for _, name := range names {
		other, there := o.Take(name)
		switch {
		case there && !ok:
			v, path, ok = other, o.At(name), true
		case there && string(other) != string(v):
			o.Ignore(o.At(name))
		}
	}
	return v, path, ok
}

// Rest walks over the fields that nobody took, null ones excepted, in order.
func (o *Object) Rest(each func(name string, v Value)) {
	for _, name := range o.names {
		if v, left := o.Take(name); left {
			each(name, v)
		}
	}
}

// Text takes a string that has one of several names; "" if there is none.
func (o *Object) Text(names ...string) string {
	v, path, ok := o.First(names)
	if !ok {
		return ""
	}
	return o.TextOf(path, v)
}

// TextOf is the text of a string.
func (r *Reader) TextOf(path string, v Value) string {
	if v.Kind() != '"' {
		r.Invalid(path, "must be a string, not %s", v.What())
		return ""
	}
	return v.Text()
}

// Flag takes a boolean; nil if there is none.
func (o *Object) Flag(names ...string) *bool {
	v, path, ok := o.First(names)
	if !ok {
		return nil
	}
	if v.Kind() != 't' {
		o.Invalid(path, "must be true or false, not %s", v.What())
		return nil
	}
	return new(v.IsTrue())
}

// IsSet takes a boolean and reports whether it is there and true.
func (o *Object) IsSet(names ...string) bool {
	f := o.Flag(names...)
	return f != nil && *f
}

// Float takes a number within a limit; nil if there is none.
func (o *Object) Float(l *limits.Limit, names ...string) *float64 {
	v, path, ok := o.First(names)
	if !ok {
		return nil
	}
	f, ok := o.Number(path, v, l)
	if !ok {
		return nil
	}
	return &f
}

// Integer takes a whole number. The second result is the name that was used.
func (o *Object) Integer(l *limits.Limit, names ...string) (*int, string) {
	v, path, ok := o.First(names)
	if !ok {
		return nil, ""
	}
	f, ok := o.Number(path, v, l)
	if !ok {
		return nil, ""
	}
	if f != math.Trunc(f) {
		o.Invalid(path, "must be a whole number, not %s", strconv.FormatFloat(f, 'g', -1, 64))
		return nil, ""
	}
	return new(int(f)), path
}

// Number reads a number, or a string that holds one, within a limit.
func (r *Reader) Number(path string, v Value, l *limits.Limit) (float64, bool) {
	s, ok := numeral(v)
	if !ok {
		r.Invalid(path, "must be a number, not %s", v.What())
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		r.Invalid(path, "must be a number, not %q", Short(s))
		return 0, false
	}
	if err := l.Check(f); err != nil {
		r.Invalid(path, "%v", err)
		return 0, false
	}
	return f, true
}

// numeral is the text of a number. Some clients put numbers into strings.
func numeral(v Value) (string, bool) {
	switch v.Kind() {
	case '0':
		return string(v), true
	case '"':
		return strings.TrimSpace(v.Text()), true
	}
	return "", false
}

// IsNumber reports whether v is a number, perhaps in a string, out of a list.
func IsNumber(v Value, of ...float64) bool {
	s, ok := numeral(v)
	if !ok {
		return false
	}
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && slices.Contains(of, f)
}

// List walks over a list of at most l.Max elements.
func (r *Reader) List(path string, v Value, l *limits.Limit, each func(path string, v Value)) {
	if v.Kind() != '[' {
		r.Invalid(path, "must be a list, not %s", v.What())
		return
	}
	for i, e := range v.Elements() {
		if i == l.Int() {
			r.Invalid(path, "the list is longer than the %d allowed (limit %s)", l.Int(), l.Name)
		}
		if r.Err != nil {
			return
		}
		each(fmt.Sprintf("%s[%d]", path, i), e)
	}
}

// Bounded takes a string of bounded length.
func (o *Object) Bounded(name string, l *limits.Limit) string {
	s := o.Text(name)
	if err := l.CheckInt(len(s)); err != nil {
		o.Invalid(o.At(name), "%v", err)
	}
	return s
}
