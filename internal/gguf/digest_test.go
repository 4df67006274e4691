package gguf

import (
	"bytes"
	"testing"
)

func TestTheDigestTellsFilesApart(t *testing.T) {
	write := func(name, tensor string, shape []uint64, data []byte) string {
		var b bytes.Buffer
		err := Write(&b, []KV{{Key: "general.architecture", Value: ValueOf("llama")}, {Key: "general.name", Value: ValueOf(name)}},
			[]TensorSource{{Name: tensor, Type: F32, Shape: shape, Data: bytes.NewReader(data)}})
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return f.Digest()
	}
	const size = 64 << 10
	data := make([]byte, size)
	first := write("a", "w", []uint64{size / 4}, data)
	if again := write("a", "w", []uint64{size / 4}, data); again != first {
		t.Errorf("the same file has %s and %s", first, again)
	}
	seen := map[string]bool{first: true}
	for what, digest := range map[string]string{
		"metadata": write("b", "w", []uint64{size / 4}, data),
		"name":     write("a", "v", []uint64{size / 4}, data),
		"shape":    write("a", "w", []uint64{size / 8, 2}, data),
	} {
		if seen[digest] {
			t.Errorf("another %s has the same digest", what)
		}
		seen[digest] = true
	}
	for _, at := range []int{0, size / 2, size - 1} {
		other := bytes.Clone(data)
		other[at] = 1
		if d := write("a", "w", []uint64{size / 4}, other); seen[d] {
			t.Errorf("other data at %d has the same digest", at)
		} else {
			seen[d] = true
		}
	}
}
