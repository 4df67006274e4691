package transformer

import (
	"fmt"
	"slices"

	"parley/internal/gguf"
	"parley/internal/kernel"
	"parley/internal/limits"
)

// A loader finds tensors and keeps the first error.
type loader struct {
	f       *gguf.File
	used    map[string]bool
	eps     float32
	context int // tokens of the longest sequence to come
	err     error
}

func (l *loader) has(name string) bool {
	_, ok := l.f.Tensor(name)
	return ok
}

// stack reads count matrices that lie one after the other in one tensor: nil after
// an error.
func (l *loader) stack(name string, count, rows, cols int) []kernel.Matrix {
	t, ok := l.f.Tensor(name)
	if !ok {
		l.fail("tensor %s is missing", name)
		return nil
	}
	l.used[name] = true
	if !slices.Equal(t.Shape, []uint64{uint64(cols), uint64(rows), uint64(count)}) {
		l.fail("tensor %s has shape %v, but the metadata asks for [%d %d %d]", name, t.Shape, cols, rows, count)
		return nil
	}
	kind, err := kernelType(t)
	if err != nil {
		l.fail("%w", err)
		return nil
	}
	size, out := len(t.Data)/count, make([]kernel.Matrix, count)
	for i := range out {
		if out[i], err = kernel.NewMatrix(kind, rows, cols, t.Data[i*size:(i+1)*size]); err != nil {
			l.fail("tensor %s: %w", name, err)
			return nil
		}
	}
	return out
}

// A biased is a matrix and, if there is one, its bias.
type biased struct {
	w    kernel.Matrix
	bias []float32
}

// linears are matrices that lie in one tensor, and biases that do, if there are some.
func (l *loader) linears(name string, count, rows, cols int) []biased {
	var out []biased
	for _, w := range l.stack(name+".weight", count, rows, cols) {
		out = append(out, biased{w: w})
	}
	if l.has(name + ".bias") {
		for i, bias := range l.vectors(name+".bias", count, rows) {
			out[i].bias = bias
		}
	}
	return out
}

func (l *loader) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

// linear is a matrix and, if there is one, its bias.
func (l *loader) linear(name string, rows, cols int) (kernel.Matrix, []float32) {
	return l.matrix(name+".weight", rows, cols), l.bias(name, rows)
}

// bias is one that may not be there: nil then.
func (l *loader) bias(name string, n int) []float32 {
	if !l.has(name + ".bias") {
		return nil
	}
	return l.vector(name+".bias", n)
}

// norm is a norm of rows of n elements.
func (l *loader) norm(name string, t traits, n int) *norm {
	x := &norm{centred: t.centred, eps: l.eps, group: n}
	switch {
	case t.weightless:
	case l.has(name): // as Falcon-H1's files have one
		x.weight = l.vector(name, n)
	default:
		x.weight = l.vector(name+".weight", n)
	}
	x.bias = l.bias(name, n)
	return x
}

// bareNorm is a norm of rows of n elements that has no weights.
func (l *loader) bareNorm(n int) *norm {
	return &norm{eps: l.eps, group: n, weight: slices.Repeat([]float32{1}, n)}
}

// headsNorm is a norm of heads, each with weights of its own.
func (l *loader) headsNorm(name string, heads int, s *layerSpec) *norm {
	x := &norm{centred: s.centred, eps: l.eps, group: s.keyDim}
	for _, w := range l.vectors(name+".weight", heads, s.keyDim) {
		x.weight = append(x.weight, w...)
	}
	return x
}

// tall is a matrix whose number of rows the file decides; what says what they are.
func (l *loader) tall(name string, cols int, what string) kernel.Matrix {
	t, ok := l.f.Tensor(name)
	if !ok {
		l.fail("tensor %s is missing", name)
		return kernel.Matrix{}
	}
	if len(t.Shape) != 2 || limits.ModelWidth.Check(float64(t.Shape[1])) != nil {
		l.fail("tensor %s has shape %v, not [%d %s]", name, t.Shape, cols, what)
		return kernel.Matrix{}
	}
	return l.matrix(name, int(t.Shape[1]), cols)
}

func (l *loader) matrix(name string, rows, cols int) kernel.Matrix {
	t, ok := l.f.Tensor(name)
	if !ok {
		l.fail("tensor %s is missing", name)
		return kernel.Matrix{}
	}
	l.used[name] = true
	if len(t.Shape) < 1 || t.Shape[0] != uint64(cols) || t.Elements() != uint64(rows)*uint64(cols) || second(t.Shape) != uint64(rows) {
		l.fail("tensor %s has shape %v, but the metadata asks for [%d %d]", name, t.Shape, cols, rows)
		return kernel.Matrix{}
	}
	kind, err := kernelType(t)
	if err != nil {
		l.fail("%w", err)
		return kernel.Matrix{}
	}
	m, err := kernel.NewMatrix(kind, rows, cols, t.Data)
	if err != nil {
		l.fail("tensor %s: %w", name, err)
	}
	return m
}

// second is the second number of a shape without ones behind the first.
func second(shape []uint64) uint64 {
	for _, n := range shape[1:] {
		if n != 1 {
			return n
		}
	}
	return 1
}

// vector is a row of floats, copied.
func (l *loader) vector(name string, n int) []float32 {
	m := l.matrix(name, 1, n)
	if l.err != nil {
		return nil
	}
	v := make([]float32, n)
	m.Row(v, 0)
	return v
}

// vectors are the rows of a matrix.
func (l *loader) vectors(name string, rows, cols int) [][]float32 {
	m := l.matrix(name, rows, cols)
	if l.err != nil {
		return nil
	}
	out := make([][]float32, rows)
	for i := range out {
		out[i] = make([]float32, cols)
		m.Row(out[i], i)
	}
	return out
}

var kernelTypes = map[gguf.Type]kernel.Type{
	gguf.F32: kernel.F32, gguf.F16: kernel.F16, gguf.BF16: kernel.BF16,
	gguf.Q8_0: kernel.Q8_0, gguf.Q4_0: kernel.Q4_0, gguf.Q4_K: kernel.Q4_K, gguf.Q6_K: kernel.Q6_K,
	gguf.Q4_1: kernel.Q4_1, gguf.Q5_0: kernel.Q5_0, gguf.Q5_1: kernel.Q5_1,
	gguf.Q2_K: kernel.Q2_K, gguf.Q3_K: kernel.Q3_K, gguf.Q5_K: kernel.Q5_K,
	gguf.IQ4_NL: kernel.IQ4_NL, gguf.IQ4_XS: kernel.IQ4_XS, gguf.MXFP4: kernel.MXFP4,
}

func kernelType(t *gguf.Tensor) (kernel.Type, error) {
	if k, ok := kernelTypes[t.Type]; ok {
		return k, nil
	}
	supported := ""
	for i, k := range kernel.Types {
		if i > 0 {
			supported += ", "
		}
		supported += k.String()
	}
	return 0, fmt.Errorf("tensor %s is stored as %s, which is not supported; supported: %s (llama-quantize of llama.cpp converts)", t.Name, t.Type, supported)
}
