package openai

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// A reader takes a body apart. The first error stays, and everything read
// after it is zero.
type reader struct {
	err     error
	report  llm.Report
	ignored int
}

func (r *reader) fail(e *llm.Error) {
	if r.err == nil {
		r.err = e
	}
}

func (r *reader) invalid(path, format string, args ...any) {
	r.fail(llm.Errorf(llm.Invalid, path, format, args...))
}

func (r *reader) unsupported(path, message, hint string) {
	r.fail(&llm.Error{Code: llm.Unsupported, Field: path, Message: message, Hint: hint})
}

// ignore notes that a field was not carried out.
func (r *reader) ignore(path string) {
	path = short(path)
	before := len(r.report)
	if r.ignored < limits.IgnoredFields.Int() {
		r.report.Add("ignored", path, "not supported; the answer was made without it")
	} else {
		r.report.Add("ignored", "others", "more fields than are listed")
	}
	r.ignored += len(r.report) - before
}

// An object is a JSON object that is being read: its fields are taken one by
// one, and what nobody took is looked at in the end.
type object struct {
	*reader
	path   string
	names  []string // in order
	fields map[string]value
}

// object opens v, which must be an object without repeated names.
func (r *reader) object(path string, v value) *object {
	o := &object{reader: r, path: path, fields: map[string]value{}}
	if v.kind() != '{' {
		r.invalid(path, "must be an object, not %s", v.what())
		return o
	}
	for name, field := range v.fields() {
		if _, twice := o.fields[name]; twice {
			r.invalid(o.at(short(name)), "the field stands twice in the same object")
			break
		}
		if err := limits.Fields.CheckInt(len(o.names) + 1); err != nil {
			r.invalid(path, "the object's fields: %v", err)
			break
		}
		o.names = append(o.names, name)
		o.fields[name] = field
	}
	return o
}

// short is a client's word as an error or a report repeats it.
func short(word string) string {
	if most := limits.QuotedBytes.Int(); len(word) > most {
		return strings.ToValidUTF8(word[:most], "") + "…"
	}
	return word
}

// at is the path of a field.
func (o *object) at(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// take gives a field and counts it as read. A null is as good as absent.
func (o *object) take(name string) (value, bool) {
	v, ok := o.fields[name]
	delete(o.fields, name)
	return v, ok && o.err == nil && !v.null()
}

// first takes a field that has several names: the first one present counts;
// the others are noted if they say something else.
func (o *object) first(names []string) (v value, path string, ok bool) {
	for _, name := range names {
		other, there := o.take(name)
		switch {
		case there && !ok:
			v, path, ok = other, o.at(name), true
		case there && string(other) != string(v):
			o.ignore(o.at(name))
		}
	}
	return v, path, ok
}

// rest walks over the fields that nobody took, null ones excepted, in order.
func (o *object) rest(each func(name string, v value)) {
	for _, name := range o.names {
		if v, left := o.take(name); left {
			each(name, v)
		}
	}
}

func (o *object) text(names ...string) string {
	v, path, ok := o.first(names)
	if !ok {
		return ""
	}
	return o.textOf(path, v)
}

func (r *reader) textOf(path string, v value) string {
	if v.kind() != '"' {
		r.invalid(path, "must be a string, not %s", v.what())
		return ""
	}
	return v.text()
}

func (o *object) flag(names ...string) *bool {
	v, path, ok := o.first(names)
	if !ok {
		return nil
	}
	if v.kind() != 't' {
		o.invalid(path, "must be true or false, not %s", v.what())
		return nil
	}
	return new(v.isTrue())
}

func (o *object) isSet(names ...string) bool {
	f := o.flag(names...)
	return f != nil && *f
}

func (o *object) float(l *limits.Limit, names ...string) *float64 {
	v, path, ok := o.first(names)
	if !ok {
		return nil
	}
	f, ok := o.number(path, v, l)
	if !ok {
		return nil
	}
	return &f
}

// integer takes a whole number. The second result is the name that was used.
func (o *object) integer(l *limits.Limit, names ...string) (*int, string) {
	v, path, ok := o.first(names)
	if !ok {
		return nil, ""
	}
	f, ok := o.number(path, v, l)
	if !ok {
		return nil, ""
	}
	if f != math.Trunc(f) {
		o.invalid(path, "must be a whole number, not %s", strconv.FormatFloat(f, 'g', -1, 64))
		return nil, ""
	}
	return new(int(f)), path
}

// number reads a number, or a string that holds one, within a limit.
func (r *reader) number(path string, v value, l *limits.Limit) (float64, bool) {
	s, ok := numeral(v)
	if !ok {
		r.invalid(path, "must be a number, not %s", v.what())
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		r.invalid(path, "must be a number, not %q", short(s))
		return 0, false
	}
	if err := l.Check(f); err != nil {
		r.invalid(path, "%v", err)
		return 0, false
	}
	return f, true
}

// numeral is the text of a number. Some clients put numbers into strings.
func numeral(v value) (string, bool) {
	switch v.kind() {
	case '0':
		return string(v), true
	case '"':
		return strings.TrimSpace(v.text()), true
	}
	return "", false
}

// isNumber reports whether v is a number, perhaps in a string, out of a list.
func isNumber(v value, of ...float64) bool {
	s, ok := numeral(v)
	if !ok {
		return false
	}
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && slices.Contains(of, f)
}

// list walks over a list of at most l.Max elements.
func (r *reader) list(path string, v value, l *limits.Limit, each func(path string, v value)) {
	if v.kind() != '[' {
		r.invalid(path, "must be a list, not %s", v.what())
		return
	}
	for i, e := range v.elements() {
		if i == l.Int() {
			r.invalid(path, "the list is longer than the %d allowed (limit %s)", l.Int(), l.Name)
		}
		if r.err != nil {
			return
		}
		each(fmt.Sprintf("%s[%d]", path, i), e)
	}
}
