package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/limits"
)

const (
	headerBytes    = 24
	minPairBytes   = 8 + 0 + 4 + 1         // key length, key, kind, smallest value
	minTensorBytes = 8 + 0 + 4 + 8 + 4 + 8 // name length, dimensions, one of them, type, offset
	magic          = "GGUF"
	alignmentKey   = "general.alignment"
	splitCountKey  = "split.count"
)

// Parse reads a file from memory. The data is referenced, not copied: it must not change while the
// File is used.
func Parse(data []byte) (*File, error) { return parseAs(data, false) }

func parseAs(data []byte, part bool) (*File, error) {
	p := &parser{data: data}
	f := &File{Alignment: defaultAlignment}
	pairs, tensors, err := p.header(f)
	if err != nil {
		return nil, err
	}
	if err := p.metadata(f, pairs); err != nil {
		return nil, err
	}
	if err := f.settle(part); err != nil {
		return nil, err
	}
	offsets, err := p.tensorInfos(f, tensors)
	if err != nil {
		return nil, err
	}
	if err := p.place(f, offsets); err != nil {
		return nil, err
	}
	return f, nil
}

// parser walks over the file. Each read checks that the bytes are there.
type parser struct {
	data  []byte
	at    uint64 // next byte to read
	field string // what is being read, for errors
}

func (p *parser) fail(at uint64, format string, args ...any) error {
	return &Error{Offset: at, Field: p.field, Err: fmt.Errorf(format, args...)}
}

func (p *parser) left() uint64 { return uint64(len(p.data)) - p.at }

// take returns the next n bytes.
func (p *parser) take(n uint64) ([]byte, error) {
	if n > p.left() {
		return nil, p.fail(p.at, "file is %s bytes, and this needs %s bytes from here: %w", decimal(uint64(len(p.data))), decimal(n), ErrTruncated)
	}
	b := p.data[p.at : p.at+n : p.at+n]
	p.at += n
	if err := limits.GGUFMetadataBytes.Check(float64(p.at)); err != nil {
		return nil, p.fail(p.at, "metadata: %w", err)
	}
	return b, nil
}

func (p *parser) uint32() (uint32, error) {
	b, err := p.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (p *parser) uint64() (uint64, error) {
	b, err := p.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads a number of things, each of which takes at least so many bytes of the file.
func (p *parser) count(limit *limits.Limit, minBytes uint64) (uint64, error) {
	at := p.at
	n, err := p.uint64()
	if err != nil {
		return 0, err
	}
	if n > uint64(limit.Max) {
		return 0, p.fail(at, "%s declared, at most %s can be read (limit %s)", decimal(n), decimal(uint64(limit.Max)), limit.Name)
	}
	if n > p.left()/minBytes {
		return 0, p.fail(at, "%s declared, more than the %s bytes that follow can hold: %w", decimal(n), decimal(p.left()), ErrTruncated)
	}
	return n, nil
}

// text reads a length and so many bytes.
func (p *parser) text(limit *limits.Limit) ([]byte, error) {
	at := p.at
	n, err := p.uint64()
	if err != nil {
		return nil, err
	}
	if n > uint64(limit.Max) {
		return nil, p.fail(at, "length %s, at most %s can be read (limit %s)", decimal(n), decimal(uint64(limit.Max)), limit.Name)
	}
	return p.take(n)
}

// name reads a text that identifies something and shows up in messages.
func (p *parser) name(limit *limits.Limit) (string, error) {
	at := p.at
	b, err := p.text(limit)
	if err != nil {
		return "", err
	}
	if err := checkName(string(b)); err != nil {
		return "", p.fail(at, "%w", err)
	}
	return string(b), nil
}

func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case !utf8.ValidString(s):
		return fmt.Errorf("%q is not valid UTF-8", s)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%q contains a control character", s)
	}
	return nil
}

func (p *parser) header(f *File) (pairs, tensors uint64, err error) {
	p.field = "magic"
	m := p.data[:min(4, len(p.data))]
	switch {
	case string(m) == magic:
	case string(m) == "FUGG":
		return 0, 0, p.fail(0, "%w", ErrBigEndian)
	case bytes.Equal(m, []byte("lmgg")), bytes.Equal(m, []byte("fmgg")), bytes.Equal(m, []byte("tjgg")), bytes.Equal(m, []byte("algg")):
		return 0, 0, p.fail(0, "%w: it is an older GGML file, convert the model again with llama.cpp", ErrNotGGUF)
	default:
		return 0, 0, p.fail(0, "%w: it begins with %q instead of %q", ErrNotGGUF, m, magic)
	}
	p.at = 4
	p.field = "version"
	if f.Version, err = p.uint32(); err != nil {
		return 0, 0, err
	}
	switch {
	case f.Version == 2 || f.Version == 3:
	case bits.ReverseBytes32(f.Version) >= 1 && bits.ReverseBytes32(f.Version) <= 15:
		return 0, 0, p.fail(4, "%w", ErrBigEndian)
	case f.Version == 1:
		return 0, 0, p.fail(4, "%w: it is version 1, of August 2023; convert the model again with llama.cpp", ErrVersion)
	default:
		return 0, 0, p.fail(4, "%w: it is version %s, and versions 2 and 3 are known", ErrVersion, decimal(uint64(f.Version)))
	}
	p.field = "tensor_count"
	if tensors, err = p.count(limits.GGUFTensors, minTensorBytes); err != nil {
		return 0, 0, err
	}
	p.field = "metadata_kv_count"
	pairs, err = p.count(limits.GGUFPairs, minPairBytes)
	return pairs, tensors, err
}

func (p *parser) metadata(f *File, n uint64) error {
	f.values = make(map[string]Value, n)
	f.keys = make([]string, 0, n)
	for i := range n {
		p.field = fmt.Sprintf("metadata[%d].key", i)
		at := p.at
		key, err := p.name(limits.GGUFKeyBytes)
		if err != nil {
			return err
		}
		if _, ok := f.values[key]; ok {
			return p.fail(at, "%q is there twice", key)
		}
		p.field = fmt.Sprintf("metadata[%d] %q", i, key)
		v, err := p.value()
		if err != nil {
			return err
		}
		f.keys = append(f.keys, key)
		f.values[key] = v
	}
	return nil
}

func (p *parser) value() (Value, error) {
	kind, err := p.uint32()
	if err != nil {
		return Value{}, err
	}
	if Kind(kind) == Array {
		return p.array(1)
	}
	v := Value{Kind: Kind(kind), offset: p.at}
	switch n := v.Kind.size(); {
	case v.Kind == String:
		v.raw, err = p.text(limits.GGUFStringBytes)
	case n > 0:
		v.raw, err = p.take(n)
	default:
		return Value{}, p.fail(p.at-4, "unknown value type %d", kind)
	}
	if err == nil && v.Kind == Bool {
		err = p.checkBools(v.raw)
	}
	return v, err
}

// array reads an array's header and walks over its elements, so that later readers can trust them.
func (p *parser) array(depth int) (Value, error) {
	at := p.at
	if err := limits.GGUFArrayDepth.CheckInt(depth); err != nil {
		return Value{}, p.fail(at, "arrays within arrays: %w", err)
	}
	elem, err := p.uint32()
	if err != nil {
		return Value{}, err
	}
	v := Value{Kind: Array, Elem: Kind(elem), offset: at}
	least := v.Elem.size()
	switch v.Elem {
	case String:
		least = 8 // its length
	case Array:
		least = 4 + 8 // its header
	}
	if least == 0 {
		return Value{}, p.fail(at, "unknown array element type %d", elem)
	}
	if v.Len, err = p.count(limits.GGUFArrayItems, least); err != nil {
		return Value{}, err
	}
	begin := p.at
	switch v.Elem {
	case String:
		for range v.Len {
			if _, err := p.text(limits.GGUFStringBytes); err != nil {
				return Value{}, err
			}
		}
	case Array:
		for range v.Len {
			if _, err := p.array(depth + 1); err != nil {
				return Value{}, err
			}
		}
	default:
		b, err := p.take(v.Len * least) // cannot overflow: Len ≤ limits.GGUFArrayItems
		if err != nil {
			return Value{}, err
		}
		if v.Elem == Bool {
			if err := p.checkBools(b); err != nil {
				return Value{}, err
			}
		}
	}
	v.raw = p.data[begin:p.at:p.at]
	return v, nil
}

func (p *parser) checkBools(b []byte) error {
	for i, x := range b {
		if x > 1 {
			return p.fail(p.at-uint64(len(b)-i), "%d is not a boolean", x)
		}
	}
	return nil
}

// settle applies the metadata that governs the rest of the file.
func (f *File) settle(part bool) error {
	if v, ok := f.values[alignmentKey]; ok {
		if v.Kind != Uint32 {
			return &Error{Offset: v.offset, Field: alignmentKey, Err: fmt.Errorf("is %s, want a uint32", v.describe())}
		}
		f.Alignment, _ = v.uint()
		if err := checkAlignment(f.Alignment); err != nil {
			return &Error{Offset: v.offset, Field: alignmentKey, Err: err}
		}
	}
	count, ok, err := f.Uint(splitCountKey)
	if err != nil {
		return err
	}
	if ok && count > 1 && !part {
		return &Error{Offset: f.values[splitCountKey].offset, Field: splitCountKey, Err: fmt.Errorf("this is one of %s parts: %w", decimal(count), ErrSplit)}
	}
	return nil
}

// tensorInfos reads the list of tensors, and returns where in the file each one's offset stands.
func (p *parser) tensorInfos(f *File, n uint64) (offsetsAt []uint64, err error) {
	f.Tensors = make([]Tensor, n)
	f.tensors = make(map[string]int, n)
	offsetsAt = make([]uint64, n)
	for i := range f.Tensors {
		t := &f.Tensors[i]
		at := p.at
		p.field = fmt.Sprintf("tensor_infos[%d].name", i)
		if t.Name, err = p.name(limits.GGUFNameBytes); err != nil {
			return nil, err
		}
		if first, ok := f.tensors[t.Name]; ok {
			return nil, p.fail(at, "%q is already the name of tensor %d", t.Name, first)
		}
		f.tensors[t.Name] = i

		at = p.at
		p.field = fmt.Sprintf("tensor_infos[%d].dimensions", i)
		if t.Shape, err = p.shape(); err != nil {
			return nil, err
		}
		typeAt := p.at
		p.field = fmt.Sprintf("tensor_infos[%d].type", i)
		id, err := p.uint32()
		if err != nil {
			return nil, err
		}
		if t.Type = Type(id); !t.Type.Known() {
			return nil, p.fail(typeAt, "tensor %q has unknown type %d", t.Name, id)
		}
		p.field = fmt.Sprintf("tensor_infos[%d].dimensions", i)
		if _, err := layout(t.Type, t.Shape); err != nil {
			return nil, p.fail(at, "tensor %q: %w", t.Name, err)
		}
		offsetsAt[i] = p.at
		p.field = fmt.Sprintf("tensor_infos[%d].offset", i)
		if t.Offset, err = p.uint64(); err != nil {
			return nil, err
		}
	}
	return offsetsAt, nil
}

func (p *parser) shape() ([]uint64, error) {
	at := p.at
	dims, err := p.uint32()
	if err != nil {
		return nil, err
	}
	if dims == 0 || dims > maxDims {
		return nil, p.fail(at, "%d dimensions, want 1 to %d", dims, maxDims)
	}
	shape := make([]uint64, dims)
	for i := range shape {
		if shape[i], err = p.uint64(); err != nil {
			return nil, err
		}
	}
	return shape, nil
}

// place turns the offsets of the tensors, which count from the end of the padded header, into
// offsets in the file, and binds the data.
func (p *parser) place(f *File, offsetsAt []uint64) error {
	size := uint64(len(p.data))
	base, ok := align(p.at, f.Alignment)
	if !ok {
		return p.fail(p.at, "%w", errOverflow)
	}
	byOffset := make([]*Tensor, len(f.Tensors))
	for i := range f.Tensors {
		t := &f.Tensors[i]
		byOffset[i] = t
		p.field = fmt.Sprintf("tensor_infos[%d].offset", i)
		if t.Offset%f.Alignment != 0 {
			return p.fail(offsetsAt[i], "tensor %q: offset %s is not a multiple of the alignment, %d", t.Name, decimal(t.Offset), f.Alignment)
		}
		need, err := layout(t.Type, t.Shape)
		if err != nil {
			return p.fail(offsetsAt[i], "tensor %q: %w", t.Name, err)
		}
		start, carry := bits.Add64(base, t.Offset, 0)
		end, carry2 := bits.Add64(start, need, 0)
		if carry != 0 || carry2 != 0 {
			return p.fail(offsetsAt[i], "tensor %q: offset %s: %w", t.Name, decimal(t.Offset), errOverflow)
		}
		if end > size {
			return p.fail(offsetsAt[i], "file is %s bytes, tensor %q needs %s: %w", decimal(size), t.Name, decimal(end), ErrTruncated)
		}
		t.Offset, t.Data = start, p.data[start:end:end]
	}
	slices.SortFunc(byOffset, func(a, b *Tensor) int {
		if a.Offset < b.Offset {
			return -1
		}
		if a.Offset > b.Offset {
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	for i, t := range byOffset[min(1, len(byOffset)):] {
		if prev := byOffset[i]; prev.Offset+uint64(len(prev.Data)) > t.Offset {
			n := f.tensors[t.Name]
			p.field = fmt.Sprintf("tensor_infos[%d].offset", n)
			return p.fail(offsetsAt[n], "the data of tensors %q and %q overlaps", prev.Name, t.Name)
		}
	}
	return nil
}
