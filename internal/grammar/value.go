package grammar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"parley/internal/limits"
)

// A value is JSON with the order of its members kept. It is immutable.
type value struct {
	kind    byte // one of n b # s [ {
	truth   bool
	number  json.Number
	text    string
	items   []*value
	members []member
}

type member struct {
	name  string
	value *value
}

// parseJSON reads one JSON value. A name that stands twice in an object is an
// error: what it means is not agreed upon.
func parseJSON(data []byte) (*value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind the JSON value")
	}
	return v, nil
}

func readValue(d *json.Decoder, depth int) (*value, error) {
	if err := limits.GrammarDepth.CheckInt(depth); err != nil {
		return nil, err
	}
	t, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return &value{kind: 'n'}, nil
	case bool:
		return &value{kind: 'b', truth: t}, nil
	case json.Number:
		return &value{kind: '#', number: t}, nil
	case string:
		return &value{kind: 's', text: t}, nil
	}
	v := &value{kind: byte(t.(json.Delim))}
	for d.More() {
		name := ""
		if v.kind == '{' {
			t, err := d.Token()
			if err != nil {
				return nil, err
			}
			name = t.(string)
			if v.get(name) != nil {
				return nil, fmt.Errorf("%q stands twice in an object", name)
			}
		}
		x, err := readValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		if v.kind == '{' {
			v.members = append(v.members, member{name, x})
		} else {
			v.items = append(v.items, x)
		}
	}
	_, err = d.Token()
	return v, err
}

// get is a member's value, or nil.
func (v *value) get(name string) *value {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func (v *value) isTrue() bool { return v != nil && v.kind == 'b' && v.truth }

// rat is the exact number, or false where it has a thousand digits.
func (v *value) rat() (*big.Rat, bool) {
	if v.kind != '#' {
		return nil, false
	}
	const most = 400
	s := v.number.String()
	if _, exponent, ok := strings.Cut(strings.ToLower(s), "e"); len(s) > most || ok && len(exponent) > 4 {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// String is the value as JSON without white space, numbers without an exponent
// where they have one, so that equal values of the same order are equal texts.
func (v *value) String() string {
	var b strings.Builder
	v.write(&b)
	return b.String()
}

func (v *value) write(b *strings.Builder) {
	switch v.kind {
	case 'n':
		b.WriteString("null")
	case 'b':
		fmt.Fprint(b, v.truth)
	case '#':
		b.WriteString(v.plainNumber())
	case 's':
		b.WriteString(quote(v.text))
	case '[':
		b.WriteByte('[')
		for i, x := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			x.write(b)
		}
		b.WriteByte(']')
	case '{':
		b.WriteByte('{')
		for i, m := range v.members {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(m.name))
			b.WriteByte(':')
			m.value.write(b)
		}
		b.WriteByte('}')
	}
}

// plainNumber is a number as decimals, or as it was written where that is too
// long.
func (v *value) plainNumber() string {
	r, ok := v.rat()
	if !ok {
		return v.number.String()
	}
	n, exact := r.FloatPrec()
	if s := r.FloatString(n); exact && len(s) <= digitsAround {
		return s
	}
	return v.number.String()
}

// digitsAround is the longest number that is written without an exponent.
const digitsAround = 40

// quote is a text as a JSON string, with no more escapes than needed.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		b.WriteString(escaped(r))
	}
	b.WriteByte('"')
	return b.String()
}

// escaped is a character as it stands in a JSON string.
func escaped(r rune) string {
	switch r {
	case '"':
		return `\"`
	case '\\':
		return `\\`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r < ' ' {
		return fmt.Sprintf(`\u%04x`, r)
	}
	return string(r)
}

// same reports whether two values are equal as JSON values are: numbers by
// their value, objects whatever their order.
func (v *value) same(w *value) bool {
	if v.kind != w.kind || len(v.items) != len(w.items) || len(v.members) != len(w.members) {
		return false
	}
	switch v.kind {
	case 'b':
		return v.truth == w.truth
	case 's':
		return v.text == w.text
	case '#':
		a, okA := v.rat()
		b, okB := w.rat()
		return okA && okB && a.Cmp(b) == 0 || v.number == w.number
	}
	for i := range v.items {
		if !v.items[i].same(w.items[i]) {
			return false
		}
	}
	for _, m := range v.members {
		x := w.get(m.name)
		if x == nil || !x.same(m.value) {
			return false
		}
	}
	return true
}
