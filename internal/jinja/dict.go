package jinja

import (
	"fmt"
	"math"
	"strings"
)

// indexFrom: a dict of more entries has a hash index.
const indexFrom = 8

// A Dict is Python's dict: ordered, with any hashable key. Once a render has
// begun it is not changed any more.
type Dict struct {
	keys, vals []Value
	index      map[dictKey]int // nil while small
}

// dictKey is a key that equals where Python's keys equal: 1, 1.0 and True are one.
type dictKey struct {
	kind byte
	n    int64
	s    string
}

// NewDict makes an empty dict.
func NewDict() *Dict { return &Dict{} }

// Len is the number of entries.
func (d *Dict) Len() int { return len(d.keys) }

// Set adds an entry or replaces its value; text keys belong to the template.
func (d *Dict) Set(key string, v Value) {
	if i := d.findString(key); i >= 0 {
		d.vals[i] = v
		return
	}
	d.insert(text(key), dictKey{kind: 's', s: key}, v)
}

// SetKey is Set with a key of its own origin.
func (d *Dict) SetKey(key *Str, v Value) {
	if i := d.findString(key.s); i >= 0 {
		d.vals[i] = v
		return
	}
	d.insert(key, dictKey{kind: 's', s: key.s}, v)
}

// Get is the value under a text key; nil where there is none.
func (d *Dict) Get(key string) Value {
	if i := d.findString(key); i >= 0 {
		return d.vals[i]
	}
	return nil
}

func (d *Dict) insert(key Value, hash dictKey, v Value) {
	d.keys = append(d.keys, key)
	d.vals = append(d.vals, v)
	if d.index != nil {
		d.index[hash] = len(d.keys) - 1
		return
	}
	if len(d.keys) <= indexFrom {
		return
	}
	d.index = make(map[dictKey]int, 2*len(d.keys))
	for i, k := range d.keys {
		h, _ := hashKey(k, 0)
		d.index[h] = i
	}
}

func (d *Dict) findString(key string) int {
	if d.index != nil {
		if i, ok := d.index[dictKey{kind: 's', s: key}]; ok {
			return i
		}
		return -1
	}
	for i, k := range d.keys {
		if s, ok := k.(*Str); ok && s.s == key {
			return i
		}
	}
	return -1
}

// find is the index of a key, -1 where there is none; an error where the key
// cannot be one.
func (d *Dict) find(key Value) (int, error) {
	if s, ok := key.(*Str); ok {
		return d.findString(s.s), nil
	}
	hash, err := hashKey(key, 0)
	if err != nil {
		return -1, err
	}
	if d.index != nil {
		if i, ok := d.index[hash]; ok {
			return i, nil
		}
		return -1, nil
	}
	for i, k := range d.keys {
		if h, _ := hashKey(k, 0); h == hash {
			return i, nil
		}
	}
	return -1, nil
}

// put is Set for any key.
func (d *Dict) put(key, v Value) error {
	i, err := d.find(key)
	if err != nil {
		return err
	}
	if i >= 0 {
		d.vals[i] = v
		return nil
	}
	hash, _ := hashKey(key, 0)
	d.insert(key, hash, v)
	return nil
}

func hashKey(v Value, depth int) (dictKey, error) {
	switch v := v.(type) {
	case *Str:
		return dictKey{kind: 's', s: v.s}, nil
	case Int:
		return dictKey{kind: 'i', n: v.N}, nil
	case Bool:
		if v.V {
			return dictKey{kind: 'i', n: 1}, nil
		}
		return dictKey{kind: 'i'}, nil
	case Float:
		if v.F == math.Trunc(v.F) && math.Abs(v.F) < 1<<63 {
			return dictKey{kind: 'i', n: int64(v.F)}, nil
		}
		return dictKey{kind: 'f', n: int64(math.Float64bits(v.F))}, nil
	case None:
		return dictKey{kind: 'n'}, nil
	case *bigInt:
		return dictKey{kind: 'b', s: v.n.String()}, nil
	case *undefined:
		return dictKey{kind: 'u'}, nil
	case *List:
		if v.tuple {
			return hashTuple(v, depth)
		}
		return dictKey{}, typeErrorf("unhashable type: 'list'")
	case *Dict:
		return dictKey{}, typeErrorf("unhashable type: 'dict'")
	case *view:
		if v.what != viewValues {
			return dictKey{}, typeErrorf("unhashable type: '%s'", v.typeName())
		}
	}
	return dictKey{kind: 'p', s: fmt.Sprintf("%p", v)}, nil
}

func hashTuple(t *List, depth int) (dictKey, error) {
	const maxDepth, maxItems = 16, 1024
	if depth > maxDepth || len(t.items) > maxItems {
		return dictKey{}, failf(KindLimit, "a tuple is too large to be a key")
	}
	var b strings.Builder
	for _, item := range t.items {
		h, err := hashKey(item, depth+1)
		if err != nil {
			return dictKey{}, err
		}
		fmt.Fprintf(&b, "%c%d:%d:%s", h.kind, h.n, len(h.s), h.s)
		if b.Len() > 1<<20 {
			return dictKey{}, failf(KindLimit, "a tuple is too large to be a key")
		}
	}
	return dictKey{kind: 't', s: b.String()}, nil
}

// entry i as Python's items() gives it.
func (d *Dict) pair(i int) Value { return newTuple(d.keys[i], d.vals[i]) }

func (v *view) at(i int) Value {
	switch v.what {
	case viewKeys:
		return v.dict.keys[i]
	case viewValues:
		return v.dict.vals[i]
	}
	return v.dict.pair(i)
}

// at is item i of a range.
func (r *pyRange) at(i int64) Value {
	n := r.start + i*r.step
	if n >= 0 && n < int64(len(smallInts)) {
		return smallInts[n]
	}
	return Int{N: n}
}
