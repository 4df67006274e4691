package transformer

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"parley/internal/gguf"
	"parley/internal/limits"
)

// A reader reads numbers of one architecture's metadata and keeps the first error.
type reader struct {
	f      *gguf.File
	prefix string
	trunk  int // layers without those that guess: lists of one element for each may stop there
	err    error
}

// lists says whether a list of so many elements has one for each of the layers.
func (r *reader) lists(key string, elements, layers int) bool {
	if elements == layers || elements == r.trunk && r.trunk > 0 {
		return true
	}
	r.fail(key, "has %d elements, but there are %d layers", elements, layers)
	return false
}

func (r *reader) fail(key, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s%s %s", r.prefix, key, fmt.Sprintf(format, args...))
	}
}

// count reads a number from 1 to limits.ModelWidth; absent is otherwise, or an error where
// that is negative.
func (r *reader) count(key string, otherwise int) int {
	n := r.optional(key, otherwise)
	if r.err == nil && n <= 0 {
		if n < 0 {
			r.fail(key, "is missing")
		} else {
			r.fail(key, "is 0")
		}
	}
	return n
}

// optional reads a number from 0 to limits.ModelWidth.
func (r *reader) optional(key string, otherwise int) int {
	n, ok, err := r.f.Uint(r.prefix + key)
	switch {
	case r.err != nil:
	case err != nil:
		r.err = err
	case !ok:
		return otherwise
	case limits.ModelWidth.Check(float64(n)) != nil:
		r.fail(key, "%v", limits.ModelWidth.Check(float64(n)))
	default:
		return int(n)
	}
	return 0
}

// whole is optional of a number that some files write as a float.
func (r *reader) whole(key string, otherwise int) int {
	n := r.number(key, float64(otherwise), 0, limits.ModelWidth.Max)
	if n != math.Trunc(n) {
		r.fail(key, "is %g, which is no whole number", n)
	}
	return int(n)
}

// perLayer reads one number for all layers, or an array of one for each.
func (r *reader) perLayer(key string, layers int, otherwise []int) []int {
	return r.perLayerFrom(1, key, layers, otherwise)
}

// perLayerFrom is perLayer of numbers that are not less than least, 0 or 1, in an array.
func (r *reader) perLayerFrom(least int64, key string, layers int, otherwise []int) []int {
	if v, ok := r.f.Value(r.prefix + key); ok && v.Kind == gguf.Array {
		list, _, err := r.f.Ints(r.prefix + key)
		if err != nil {
			if r.err == nil {
				r.err = err
			}
			return nil
		}
		if !r.lists(key, len(list), layers) {
			return nil
		}
		out := make([]int, layers)
		for i, n := range list {
			if n < least || n > limits.ModelWidth.Int64() {
				r.fail(key, "[%d] is %d: from %d to %d is supported (limit %s)", i, n, least, limits.ModelWidth.Int(), limits.ModelWidth.Name)
			}
			out[i] = int(n)
		}
		return out
	} else if !ok && otherwise != nil {
		return otherwise
	}
	n, out := r.count(key, -1), make([]int, layers)
	for i := range out {
		out[i] = n
	}
	return out
}

// number reads a float from low to high; absent is otherwise, or an error where
// that is not a number.
func (r *reader) number(key string, otherwise, low, high float64) float64 {
	v, ok, err := r.f.Float(r.prefix + key)
	switch {
	case r.err != nil:
	case err != nil:
		r.err = err
	case !ok && math.IsNaN(otherwise):
		r.fail(key, "is missing")
	case !ok:
		return otherwise
	case !(v >= low && v <= high):
		r.fail(key, "is %s: from %g to %g is supported", strconv.FormatFloat(v, 'g', -1, 64), low, high)
	}
	return v
}

// numberPerLayer reads one float from low to high for all layers, or an array of one for each.
func (r *reader) numberPerLayer(key string, layers int, low, high float64) []float32 {
	v, ok := r.f.Value(r.prefix + key)
	if !ok || v.Kind != gguf.Array {
		return slices.Repeat([]float32{float32(r.number(key, math.NaN(), low, high))}, layers)
	}
	list, _, err := r.f.Floats(r.prefix + key)
	if err != nil {
		if r.err == nil {
			r.err = err
		}
		return nil
	}
	r.lists(key, len(list), layers)
	for i, v := range list {
		if v := float64(v); !(v >= low && v <= high) {
			r.fail(key, "[%d] is %g: from %g to %g is supported", i, v, low, high)
		}
	}
	return list
}

// flag reads whether something is so; absent is otherwise.
func (r *reader) flag(key string, otherwise bool) bool {
	v, ok, err := r.f.Bool(r.prefix + key)
	if err != nil && r.err == nil {
		r.err = err
	}
	if !ok {
		return otherwise
	}
	return v
}

// pattern reads which layers something holds for: an array of one flag for each,
// or a number n, for all but every n-th, the last of so many or the first. Absent is the number
// otherwise; 0 is all.
func (r *reader) pattern(key string, layers, otherwise int, first bool) []bool {
	out := make([]bool, layers)
	if v, ok := r.f.Value(r.prefix + key); ok && v.Kind == gguf.Array {
		flags, _, err := r.f.Bools(r.prefix + key)
		if err != nil { // some write them as numbers
			var list []int64
			list, _, err = r.f.Ints(r.prefix + key)
			for _, n := range list {
				flags = append(flags, n != 0)
			}
		}
		if err != nil && r.err == nil {
			r.err = err
		}
		r.lists(key, len(flags), layers)
		copy(out, flags)
		return out
	}
	n, at := r.optional(key, otherwise), 1
	if first {
		at = 0
	}
	for i := range out {
		out[i] = n == 0 || (i+at)%n != 0
	}
	return out
}
