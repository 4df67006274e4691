package gguf

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Digest tells files with other contents apart without reading all of one: it
// is the SHA-256, in hex, of the metadata and of each tensor's name, type, shape
// and three samples of its data, from its beginning, middle and end, of 4 KiB
// each. Where a file lies and in how many parts does not count.
func (f *File) Digest() string {
	const sample = 4 << 10
	h := sha256.New()
	add := func(data []byte) {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(data))))
		h.Write(data)
	}
	for _, key := range f.keys {
		v := f.values[key]
		add([]byte(key))
		add([]byte{byte(v.Kind), byte(v.Elem)})
		add(v.raw)
	}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		add([]byte(t.Name))
		shape := binary.LittleEndian.AppendUint64(nil, uint64(t.Type))
		for _, n := range t.Shape {
			shape = binary.LittleEndian.AppendUint64(shape, n)
		}
		add(shape)
		for _, at := range []int{0, (len(t.Data) - sample) / 2, len(t.Data) - sample} {
			at = max(at, 0)
			add(t.Data[at:min(at+sample, len(t.Data))])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
