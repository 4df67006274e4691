// Package gguf reads and writes GGUF model files, versions 2 and 3.
//
// Its contract: every length, count, offset and alignment that a file declares is checked against
// the bytes that are really there before it is used, so a hostile or truncated file gives an
// [*Error] that names the field and its offset, and never a panic, an endless loop, or an
// allocation much larger than the file itself. What [Parse] returns is consistent: each tensor's
// data lies within the file, has exactly the size that its type and shape ask for, and overlaps no
// other tensor.
package gguf

import (
	"errors"
	"fmt"
	"math"
	"os"

	"parley/internal/limits"
)

// File is a parsed GGUF file. It is safe for concurrent use until it is closed.
type File struct {
	Version   uint32   // 2 or 3
	Alignment uint64   // of tensor data, a power of two; 32 where the file does not say
	Tensors   []Tensor // in file order

	keys    []string
	values  map[string]Value
	tensors map[string]int // name → index in Tensors
	mapped  [][]byte       // the files' mappings, none if the data is not ours
	unmap   func() error   // likewise
}

// Tensor is one tensor of a file.
type Tensor struct {
	Name   string
	Type   Type
	Shape  []uint64 // in GGUF order: the fastest varying dimension first; 1 to 4 dimensions, none zero
	Offset uint64   // of the data, from the start of the file that has it
	Data   []byte   // aliases the file's data: read only, and invalid once the File is closed
}

// Elements returns the number of elements, the product of the dimensions.
func (t *Tensor) Elements() uint64 {
	n := uint64(1)
	for _, d := range t.Shape {
		n *= d // cannot overflow: checked by layout when the file was parsed
	}
	return n
}

// Open maps the file into memory and parses it. The caller closes the File when neither it nor any
// tensor's Data is used any more. If the file is truncated by someone else while it is mapped,
// reading Data faults: the operating system gives no protection against that.
//
// Of a model that is split over several files, path names any one: all are opened as one File. If
// they are not all there, or do not belong together, the error is an ErrSplit or says which differs.
func Open(path string) (*File, error) {
	f, err := open(path, false)
	if errors.Is(err, ErrSplit) {
		if paths := PartPaths(path); len(paths) > 1 {
			return openParts(paths)
		}
	}
	return f, err
}

// OpenPart is Open for one file alone, though it may be one part of a model that is split: it has
// the tensors of that part, and the first one has the metadata of the whole.
func OpenPart(path string) (*File, error) { return open(path, true) }

func open(path string, part bool) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	defer f.Close() // the mapping outlives the descriptor
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: gguf: it is not a regular file", path)
	}
	if st.Size() < headerBytes {
		return nil, fmt.Errorf("%s: gguf: %w: it has only %s bytes", path, ErrNotGGUF, decimal(uint64(st.Size())))
	}
	if err := limits.GGUFBytes.Check(float64(st.Size())); err != nil {
		return nil, fmt.Errorf("%s: gguf: %w", path, err)
	}
	if uint64(st.Size()) > math.MaxInt {
		return nil, fmt.Errorf("%s: gguf: it is too large for this machine's address space", path)
	}
	data, unmap, err := mapFile(f, int(st.Size()))
	if err != nil {
		return nil, fmt.Errorf("%s: gguf: map it into memory: %w", path, err)
	}
	file, err := parseAs(data, part)
	if err != nil {
		unmap()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file.unmap, file.mapped = unmap, [][]byte{data}
	return file, nil
}

// ReadAhead asks the operating system to read all of the file, from the beginning on, and returns
// when it was asked; what is in memory costs next to nothing. Pages that are merely touched, by
// several threads in places of their own, come from a disk at a fraction of its speed.
func (f *File) ReadAhead() {
	const piece = 4 << 20
	for _, data := range f.mapped {
		for ; len(data) > piece; data = data[piece:] {
			readAhead(data[:piece])
		}
		readAhead(data)
	}
}

// Forget says that what was read of the tensors is not needed soon, and lets the operating
// system have that memory. Nothing else changes: it is read from the file again.
func (f *File) Forget() {
	for _, data := range f.mapped {
		forget(data)
	}
}

// Close releases the mapping. No Value taken from the File and no tensor's Data may be used
// afterwards; strings and slices returned by the typed getters are copies and stay valid.
func (f *File) Close() error {
	unmap := f.unmap
	f.unmap, f.mapped, f.keys, f.values, f.tensors, f.Tensors = nil, nil, nil, nil, nil, nil
	if unmap == nil {
		return nil
	}
	if err := unmap(); err != nil {
		return fmt.Errorf("gguf: unmap: %w", err)
	}
	return nil
}

// Keys returns the metadata keys in file order. The caller must not change the slice.
func (f *File) Keys() []string { return f.keys }

// Value returns the metadata value of a key, and whether the key is present.
func (f *File) Value(key string) (Value, bool) {
	v, ok := f.values[key]
	return v, ok
}

// Tensor returns the tensor of that name, and whether there is one.
func (f *File) Tensor(name string) (*Tensor, bool) {
	i, ok := f.tensors[name]
	if !ok {
		return nil, false
	}
	return &f.Tensors[i], true
}

// get finds a key and converts its value; the error names the key and the type that it has.
func get[T any](f *File, key, want string, convert func(Value) (T, bool)) (T, bool, error) {
	var zero T
	v, ok := f.values[key]
	if !ok {
		return zero, false, nil
	}
	x, ok := convert(v)
	if !ok {
		return zero, true, &Error{Offset: v.offset, Field: key, Err: fmt.Errorf("is %s, want %s", v.describe(), want)}
	}
	return x, true, nil
}

// String returns a string value, and whether the key is present; it is an error, naming the key,
// if the value has another type. The same holds for the other getters.
func (f *File) String(key string) (string, bool, error) {
	return get(f, key, "a string", Value.str)
}

// Uint returns an integer value of any width that is not negative.
func (f *File) Uint(key string) (uint64, bool, error) {
	return get(f, key, "an integer that is not negative", Value.uint)
}

// Int returns an integer value of any width that fits an int64.
func (f *File) Int(key string) (int64, bool, error) {
	return get(f, key, "a signed 64-bit integer", Value.int)
}

// Float returns a float value of either width, or an integer that a float64 holds exactly.
func (f *File) Float(key string) (float64, bool, error) {
	return get(f, key, "a number", Value.float)
}

// Bool returns a boolean value.
func (f *File) Bool(key string) (bool, bool, error) {
	return get(f, key, "a boolean", Value.bool)
}

// Strings returns an array of strings.
func (f *File) Strings(key string) ([]string, bool, error) {
	return get(f, key, "an array of strings", Value.strings)
}

// Ints returns an array of integers of any width that fit an int64.
func (f *File) Ints(key string) ([]int64, bool, error) {
	return get(f, key, "an array of signed 64-bit integers", Value.ints)
}

// Floats returns an array of floats; 64-bit ones are rounded to 32 bits.
func (f *File) Floats(key string) ([]float32, bool, error) {
	return get(f, key, "an array of floats", Value.floats)
}

// Bools returns an array of booleans.
func (f *File) Bools(key string) ([]bool, bool, error) {
	return get(f, key, "an array of booleans", Value.bools)
}
