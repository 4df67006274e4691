package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Scalar is what a metadata value or an element of an array can be.
type Scalar interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64 | bool | string
}

// KV is one metadata pair to write.
type KV struct {
	Key   string
	Value Value
}

// ValueOf encodes one value for [Write].
func ValueOf[T Scalar](x T) Value {
	kind, raw := encode(nil, x)
	return Value{Kind: kind, raw: raw}
}

// ArrayOf encodes an array for [Write].
func ArrayOf[T Scalar](xs []T) Value {
	var zero T
	elem, _ := encode(nil, zero)
	var raw []byte
	for _, x := range xs {
		if s, ok := any(x).(string); ok {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(len(s)))
		}
		_, raw = encode(raw, x)
	}
	return Value{Kind: Array, Elem: elem, Len: uint64(len(xs)), raw: raw}
}

func encode[T Scalar](b []byte, x T) (Kind, []byte) {
	le := binary.LittleEndian
	switch x := any(x).(type) {
	case uint8:
		return Uint8, append(b, x)
	case int8:
		return Int8, append(b, byte(x))
	case uint16:
		return Uint16, le.AppendUint16(b, x)
	case int16:
		return Int16, le.AppendUint16(b, uint16(x))
	case uint32:
		return Uint32, le.AppendUint32(b, x)
	case int32:
		return Int32, le.AppendUint32(b, uint32(x))
	case uint64:
		return Uint64, le.AppendUint64(b, x)
	case int64:
		return Int64, le.AppendUint64(b, uint64(x))
	case float32:
		return Float32, le.AppendUint32(b, math.Float32bits(x))
	case float64:
		return Float64, le.AppendUint64(b, math.Float64bits(x))
	case bool:
		if x {
			return Bool, append(b, 1)
		}
		return Bool, append(b, 0)
	case string:
		return String, append(b, x...)
	}
	panic("unreachable: Scalar has no other types")
}

// TensorSource is one tensor to write. Data gives exactly the bytes that type and shape ask for;
// it is read once, when the tensor's turn comes.
type TensorSource struct {
	Name  string
	Type  Type
	Shape []uint64 // fastest varying dimension first
	Data  io.Reader
}

// Write writes a GGUF version 3 file: metadata and tensors in the order given, aligned to
// general.alignment if meta has it, else to 32 bytes. What it writes, [Parse] accepts; what Parse
// would refuse is refused here before anything is written, but for tensor data of a wrong size,
// which is noticed when it is read.
func Write(w io.Writer, meta []KV, tensors []TensorSource) error {
	head, sizes, alignment, err := encodeHead(meta, tensors)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<20)
	if _, err := out.Write(head); err != nil {
		return fmt.Errorf("gguf: write metadata: %w", err)
	}
	at := uint64(len(head))
	for i, t := range tensors {
		if at, err = pad(out, at, alignment); err != nil {
			return fmt.Errorf("gguf: write tensor %q: %w", t.Name, err)
		}
		n, err := io.Copy(out, io.LimitReader(t.Data, int64(sizes[i])))
		if err != nil {
			return fmt.Errorf("gguf: write tensor %q: %w", t.Name, err)
		}
		var more [1]byte
		if extra, _ := io.ReadFull(t.Data, more[:]); uint64(n) != sizes[i] || extra != 0 {
			return fmt.Errorf("gguf: write tensor %q: the data is not the %s bytes of its type and shape", t.Name, decimal(sizes[i]))
		}
		at += sizes[i]
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("gguf: write: %w", err)
	}
	return nil
}

// pad writes zeros up to the next multiple of alignment.
func pad(w io.Writer, at, alignment uint64) (uint64, error) {
	next, ok := align(at, alignment)
	if !ok {
		return 0, errOverflow
	}
	_, err := w.Write(make([]byte, next-at))
	return next, err
}

// encodeHead encodes everything before the tensors' data.
func encodeHead(meta []KV, tensors []TensorSource) (head []byte, sizes []uint64, alignment uint64, err error) {
	le := binary.LittleEndian
	alignment = defaultAlignment
	head = append(head, magic...)
	head = le.AppendUint32(head, 3)
	head = le.AppendUint64(head, uint64(len(tensors)))
	head = le.AppendUint64(head, uint64(len(meta)))
	for _, kv := range meta {
		head = appendText(head, kv.Key)
		head = le.AppendUint32(head, uint32(kv.Value.Kind))
		switch v := kv.Value; v.Kind {
		case String:
			head = appendText(head, string(v.raw))
		case Array:
			head = le.AppendUint32(head, uint32(v.Elem))
			head = le.AppendUint64(head, v.Len)
			head = append(head, v.raw...)
		default:
			head = append(head, v.raw...)
		}
		if kv.Key == alignmentKey {
			if alignment, _ = kv.Value.uint(); checkAlignment(alignment) != nil {
				return nil, nil, 0, fmt.Errorf("gguf: write %s: %w", alignmentKey, checkAlignment(alignment))
			}
		}
	}
	sizes = make([]uint64, len(tensors))
	offset := uint64(0)
	for i, t := range tensors {
		if sizes[i], err = layout(t.Type, t.Shape); err != nil {
			return nil, nil, 0, fmt.Errorf("gguf: write tensor %q: %w", t.Name, err)
		}
		var ok bool
		if offset, ok = align(offset, alignment); !ok {
			return nil, nil, 0, fmt.Errorf("gguf: write tensor %q: %w", t.Name, errOverflow)
		}
		head = appendText(head, t.Name)
		head = le.AppendUint32(head, uint32(len(t.Shape)))
		for _, d := range t.Shape {
			head = le.AppendUint64(head, d)
		}
		head = le.AppendUint32(head, uint32(t.Type))
		head = le.AppendUint64(head, offset)
		if offset += sizes[i]; offset < sizes[i] {
			return nil, nil, 0, fmt.Errorf("gguf: write tensor %q: %w", t.Name, errOverflow)
		}
	}
	if err := checkHead(head); err != nil {
		return nil, nil, 0, fmt.Errorf("write: %w", err)
	}
	return head, sizes, alignment, nil
}

func appendText(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

// checkHead reads back what was encoded, by the reader's own rules.
func checkHead(head []byte) error {
	p := &parser{data: head}
	var f File
	pairs, tensors, err := p.header(&f)
	if err != nil {
		return err
	}
	if err := p.metadata(&f, pairs); err != nil {
		return err
	}
	if err := f.settle(true); err != nil {
		return err
	}
	_, err = p.tensorInfos(&f, tensors)
	return err
}
