package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kind is the type of a metadata value, numbered as in the file.
type Kind uint32

// The kinds of metadata values.
const (
	Uint8 Kind = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
)

var kindNames = [...]string{"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string", "array", "uint64", "int64", "float64"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// size is the number of bytes of a fixed-width kind, 0 for strings, arrays and unknown kinds.
func (k Kind) size() uint64 {
	switch k {
	case Uint8, Int8, Bool:
		return 1
	case Uint16, Int16:
		return 2
	case Uint32, Int32, Float32:
		return 4
	case Uint64, Int64, Float64:
		return 8
	}
	return 0
}

// Value is one metadata value, still encoded: it aliases the file's data, so that a vocabulary
// costs nothing until somebody asks for it. It was checked when the file was parsed.
type Value struct {
	Kind Kind
	Elem Kind   // of an array's elements
	Len  uint64 // number of an array's elements

	raw    []byte // the payload; of a string without its length, of an array without its header
	offset uint64 // of the payload in the file
}

// describe names the value in an error: what it is and, if short, what it says.
func (v Value) describe() string {
	switch v.Kind {
	case Array:
		return fmt.Sprintf("an array of %s %s values", decimal(v.Len), v.Elem)
	case String:
		return "a string"
	}
	return fmt.Sprintf("%s of type %s", v, v.Kind)
}

// String shows the value to a person: a long string or array is cut, with its size.
func (v Value) String() string {
	const maxText, maxItems = 200, 8
	switch v.Kind {
	case String:
		if len(v.raw) > maxText {
			return strconv.Quote(string(v.raw[:maxText])) + fmt.Sprintf("… (%s bytes)", decimal(uint64(len(v.raw))))
		}
		return strconv.Quote(string(v.raw))
	case Array:
		if v.Elem == Array {
			return fmt.Sprintf("[%s arrays]", decimal(v.Len))
		}
		var b strings.Builder
		b.WriteByte('[')
		rest := v.raw
		for i := range min(v.Len, maxItems) {
			if i > 0 {
				b.WriteString(", ")
			}
			var e Value
			e, rest = v.next(rest)
			b.WriteString(e.String())
		}
		if v.Len > maxItems {
			fmt.Fprintf(&b, ", … (%s values)", decimal(v.Len))
		}
		b.WriteByte(']')
		return b.String()
	case Bool:
		return strconv.FormatBool(v.raw[0] != 0)
	case Float32:
		x, _ := v.float()
		return strconv.FormatFloat(x, 'g', -1, 32)
	case Float64:
		x, _ := v.float()
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	if x, ok := v.uint(); ok {
		return strconv.FormatUint(x, 10)
	}
	x, _ := v.int()
	return strconv.FormatInt(x, 10)
}

// next takes the first element off an array's remaining payload.
func (v Value) next(rest []byte) (Value, []byte) {
	n := v.Elem.size()
	if v.Elem == String {
		n = binary.LittleEndian.Uint64(rest)
		rest = rest[8:]
	}
	return Value{Kind: v.Elem, raw: rest[:n]}, rest[n:]
}

func (v Value) str() (string, bool) { return string(v.raw), v.Kind == String }

func (v Value) bool() (bool, bool) { return v.Kind == Bool && v.raw[0] != 0, v.Kind == Bool }

func (v Value) uint() (uint64, bool) {
	switch v.Kind {
	case Uint8:
		return uint64(v.raw[0]), true
	case Uint16:
		return uint64(binary.LittleEndian.Uint16(v.raw)), true
	case Uint32:
		return uint64(binary.LittleEndian.Uint32(v.raw)), true
	case Uint64:
		return binary.LittleEndian.Uint64(v.raw), true
	case Int8, Int16, Int32, Int64:
		x, _ := v.int()
		return uint64(x), x >= 0
	}
	return 0, false
}

func (v Value) int() (int64, bool) {
	switch v.Kind {
	case Int8:
		return int64(int8(v.raw[0])), true
	case Int16:
		return int64(int16(binary.LittleEndian.Uint16(v.raw))), true
	case Int32:
		return int64(int32(binary.LittleEndian.Uint32(v.raw))), true
	case Int64:
		return int64(binary.LittleEndian.Uint64(v.raw)), true
	case Uint8, Uint16, Uint32, Uint64:
		x, _ := v.uint()
		return int64(x), x <= math.MaxInt64
	}
	return 0, false
}

func (v Value) float() (float64, bool) {
	switch v.Kind {
	case Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v.raw))), true
	case Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.raw)), true
	}
	const exact = 1 << 53
	x, ok := v.int()
	return float64(x), ok && -exact <= x && x <= exact
}

func (v Value) strings() ([]string, bool) {
	if v.Kind != Array || v.Elem != String {
		return nil, false
	}
	out := make([]string, v.Len)
	all := string(v.raw) // one allocation for all of them
	for i := range out {
		n := binary.LittleEndian.Uint64(v.raw[len(v.raw)-len(all):])
		out[i], all = all[8:8+n], all[8+n:]
	}
	return out, true
}

// elements converts an array of fixed-width values.
func elements[T any](v Value, convert func(Value) (T, bool)) ([]T, bool) {
	if v.Kind != Array || v.Elem.size() == 0 {
		return nil, false
	}
	out := make([]T, v.Len)
	rest := v.raw
	for i := range out {
		var e Value
		var ok bool
		e, rest = v.next(rest)
		if out[i], ok = convert(e); !ok {
			return nil, false
		}
	}
	return out, true
}

func (v Value) ints() ([]int64, bool) { return elements(v, Value.int) }

func (v Value) bools() ([]bool, bool) { return elements(v, Value.bool) }

func (v Value) floats() ([]float32, bool) {
	if v.Kind == Array && v.Elem != Float32 && v.Elem != Float64 {
		return nil, false
	}
	return elements(v, func(e Value) (float32, bool) {
		x, ok := e.float()
		return float32(x), ok
	})
}
