package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A PathStep is one step from a JSON document to a value inside it.
type PathStep struct {
	Key   string // of an object, where Index < 0
	Index int    // of an array
}

// FromJSON reads a JSON document as Python's json.loads does: numbers with a
// point or exponent are floats, others ints, and objects keep their order.
// label gives each string, number, literal and object key its origin; a key
// comes with the path of its value and isKey set. label must not keep the path.
func FromJSON(data []byte, lim Limits, label func(path []PathStep, isKey bool) Origin) (Value, error) {
	d := &jsonReader{dec: json.NewDecoder(bytes.NewReader(data)), label: label, max: lim.Depth}
	d.dec.UseNumber()
	v, err := d.value()
	if err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := d.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading JSON: there is something after the value")
	}
	return v, nil
}

type jsonReader struct {
	dec   *json.Decoder
	label func([]PathStep, bool) Origin
	path  []PathStep
	max   int
}

func (d *jsonReader) value() (Value, error) {
	tok, err := d.dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok := tok.(type) {
	case json.Delim:
		if len(d.path) >= d.max {
			return nil, fmt.Errorf("nested deeper than %d levels", d.max)
		}
		if tok == '{' {
			return d.object()
		}
		return d.array()
	case string:
		return String(tok, d.label(d.path, false)), nil
	case json.Number:
		return numberFromJSON(tok.String(), d.label(d.path, false))
	case bool:
		return Bool{tok, d.label(d.path, false)}, nil
	}
	return None{d.label(d.path, false)}, nil
}

func (d *jsonReader) object() (Value, error) {
	obj := NewDict()
	d.path = append(d.path, PathStep{Index: -1})
	for d.dec.More() {
		tok, err := d.dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := tok.(string)
		d.path[len(d.path)-1].Key = key
		k := String(key, d.label(d.path, true))
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		obj.SetKey(k, v)
	}
	d.path = d.path[:len(d.path)-1]
	_, err := d.dec.Token()
	return obj, err
}

func (d *jsonReader) array() (Value, error) {
	list := NewList()
	d.path = append(d.path, PathStep{})
	for i := 0; d.dec.More(); i++ {
		d.path[len(d.path)-1].Index = i
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		list.items = append(list.items, v)
	}
	d.path = d.path[:len(d.path)-1]
	_, err := d.dec.Token()
	return list, err
}

// numberFromJSON keeps 1 an int and 1.0 a float.
func numberFromJSON(s string, org Origin) (Value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, err
		}
		return Float{f, org}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Int{n, org}, nil
	}
	if len(s) > 4300 {
		return nil, errors.New("an integer has more than 4300 digits")
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return nil, fmt.Errorf("%q is not a number", s)
	}
	return fromBig(n, org)
}

// jsonStyle are the options of json.dumps.
type jsonStyle struct {
	ascii    bool
	sortKeys bool
	pretty   bool
	indent   *Str
	item     *Str // between items
	colon    *Str // between a key and its value
}

// dumps is Python's json.dumps.
func (st *state) dumps(b *builder, v Value, style *jsonStyle, depth int) error {
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
		return st.dumpStr(b, v, style.ascii)
	case None:
		b.add("null", v.Origin)
	case Bool:
		b.add(strconv.FormatBool(v.V), v.Origin)
	case Float:
		b.add(jsonFloat(v.F), v.Origin)
	case Int, *bigInt:
		t, err := st.str(v)
		if err != nil {
			return err
		}
		b.addStr(t)
	case *List:
		return st.dumpList(b, v.items, style, depth)
	case *Dict:
		return st.dumpDict(b, v, style, depth)
	default:
		return typeErrorf("Object of type %s is not JSON serializable", v.typeName())
	}
	return nil
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return floatRepr(f)
}

// newline begins a line of pretty JSON.
func (st *state) newline(b *builder, style *jsonStyle, depth int) error {
	if !style.pretty {
		return nil
	}
	if err := st.writable(b, 1+depth*len(style.indent.s)); err != nil {
		return err
	}
	b.add("\n", FromTemplate)
	for range depth {
		b.addStr(style.indent)
	}
	return nil
}

func (st *state) dumpList(b *builder, items []Value, style *jsonStyle, depth int) error {
	b.add("[", FromTemplate)
	for i, item := range items {
		if i > 0 {
			b.addStr(style.item)
		}
		if err := st.newline(b, style, depth+1); err != nil {
			return err
		}
		if err := st.dumps(b, item, style, depth+1); err != nil {
			return err
		}
	}
	if len(items) > 0 {
		if err := st.newline(b, style, depth); err != nil {
			return err
		}
	}
	b.add("]", FromTemplate)
	return nil
}

func (st *state) dumpDict(b *builder, d *Dict, style *jsonStyle, depth int) error {
	order, err := st.keyOrder(d, style.sortKeys)
	if err != nil {
		return err
	}
	b.add("{", FromTemplate)
	for n, i := range order {
		if n > 0 {
			b.addStr(style.item)
		}
		if err := st.newline(b, style, depth+1); err != nil {
			return err
		}
		key, err := jsonKey(d.keys[i])
		if err != nil {
			return err
		}
		if err := st.dumpStr(b, key, style.ascii); err != nil {
			return err
		}
		b.addStr(style.colon)
		if err := st.dumps(b, d.vals[i], style, depth+1); err != nil {
			return err
		}
	}
	if len(order) > 0 {
		if err := st.newline(b, style, depth); err != nil {
			return err
		}
	}
	b.add("}", FromTemplate)
	return nil
}

func (st *state) keyOrder(d *Dict, sorted bool) ([]int, error) {
	if err := st.allocItems(d.Len()); err != nil {
		return nil, err
	}
	order := make([]int, d.Len())
	for i := range order {
		order[i] = i
	}
	if !sorted {
		return order, nil
	}
	var failed error
	sort.SliceStable(order, func(i, j int) bool {
		if failed != nil {
			return false
		}
		c, err := st.order(d.keys[order[i]], d.keys[order[j]], "<", 0)
		failed = err
		return c < 0
	})
	return order, failed
}

func jsonKey(k Value) (*Str, error) {
	switch k := k.(type) {
	case *Str:
		return k, nil
	case None:
		return &Str{s: "null", org: k.Origin}, nil
	case Bool:
		return &Str{s: strconv.FormatBool(k.V), org: k.Origin}, nil
	case Int:
		return &Str{s: strconv.FormatInt(k.N, 10), org: k.Origin}, nil
	case *bigInt:
		return &Str{s: k.n.String(), org: k.org}, nil
	case Float:
		return &Str{s: jsonFloat(k.F), org: k.Origin}, nil
	}
	return nil, typeErrorf("keys must be str, int, float, bool or None, not %s", k.typeName())
}

// dumpStr writes a JSON string: the quotes are the template's, an escape has
// the origin of the character that it stands for.
func (st *state) dumpStr(b *builder, t *Str, ascii bool) error {
	if err := st.writable(b, len(t.s)); err != nil {
		return err
	}
	b.add("\"", FromTemplate)
	plain := func(c byte) bool {
		return c >= ' ' && c != '"' && c != '\\' && (!ascii || c < 0x7f)
	}
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
		b.add(jsonEscape(r), t.originAt(j))
		i = j + n
	}
	b.add("\"", FromTemplate)
	return nil
}

func jsonEscape(r rune) string {
	switch r {
	case '"':
		return `\"`
	case '\\':
		return `\\`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	}
	if r > 0xffff {
		r -= 0x10000
		return fmt.Sprintf(`\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
