package gguf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// parts writes a model of tensors "t0", "t1" … of one byte each, whose value is
// their number, as several files.
func parts(t *testing.T, dir string, change func(i int, meta []KV, tensors []TensorSource) ([]KV, []TensorSource)) []string {
	t.Helper()
	const count = 3
	paths := PartPaths(filepath.Join(dir, "m-00001-of-00003.gguf"))
	for i, path := range paths {
		meta := []KV{{"split.no", ValueOf(uint16(i))}, {"split.count", ValueOf(uint16(count))}, {"split.tensors.count", ValueOf(int32(5))}}
		if i == 0 {
			meta = append(meta, KV{"general.name", ValueOf("whole")})
		}
		var tensors []TensorSource
		for n := i; n < 5; n += count {
			tensors = append(tensors, TensorSource{"t" + strconv.Itoa(n), I8, []uint64{1}, bytes.NewReader([]byte{byte(n)})})
		}
		if change != nil {
			meta, tensors = change(i, meta, tensors)
		}
		var b bytes.Buffer
		if err := Write(&b, meta, tensors); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

func TestASplitModelIsOpenedWholeByAnyOfItsParts(t *testing.T) {
	for _, path := range parts(t, t.TempDir(), nil) {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			x, ok := f.Tensor("t" + strconv.Itoa(n))
			if !ok || len(x.Data) != 1 || x.Data[0] != byte(n) {
				t.Errorf("%s: tensor %d: %+v", filepath.Base(path), n, x)
			}
		}
		if name, _, _ := f.String("general.name"); name != "whole" || len(f.Tensors) != 5 {
			t.Errorf("%s: %q with %d tensors", filepath.Base(path), name, len(f.Tensors))
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPartsThatAreNoWholeModelAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(i int, meta []KV, tensors []TensorSource) ([]KV, []TensorSource)
		remove int // a part, from 1 on
		want   string
	}{
		"the first is missing": {nil, 1, "m-00001-of-00003.gguf: gguf: part 1 of 3 is not there"},
		"the last is missing":  {nil, 3, "m-00003-of-00003.gguf: gguf: part 3 of 3 is not there"},
		"another number": {func(i int, meta []KV, tensors []TensorSource) ([]KV, []TensorSource) {
			meta[0].Value = ValueOf(uint16(0))
			return meta, tensors
		}, 0, "split.no at byte"},
		"another count": {func(i int, meta []KV, tensors []TensorSource) ([]KV, []TensorSource) {
			meta[1].Value = ValueOf(uint16(3 + i))
			return meta, tensors
		}, 0, "is 4, and the file's name says 3"},
		"another model's": {func(i int, meta []KV, tensors []TensorSource) ([]KV, []TensorSource) {
			return meta, append(tensors, TensorSource{"u" + strconv.Itoa(i), I8, []uint64{1}, bytes.NewReader([]byte{0})})
		}, 0, "they do not belong together"},
		"a tensor twice": {func(i int, meta []KV, tensors []TensorSource) ([]KV, []TensorSource) {
			return meta, append(tensors, TensorSource{"u", I8, []uint64{1}, bytes.NewReader([]byte{0})})
		}, 0, `tensor "u" is in another part, too`},
	} {
		t.Run(name, func(t *testing.T) {
			paths := parts(t, t.TempDir(), c.change)
			if c.remove > 0 {
				os.Remove(paths[c.remove-1])
			}
			if f, err := Open(paths[1]); err == nil || !strings.Contains(err.Error(), c.want) || c.remove > 0 && !errors.Is(err, ErrSplit) {
				t.Errorf("%v, %v", f, err)
			}
		})
	}
	// By its name it is no part: what it is a part of cannot be told.
	paths := parts(t, t.TempDir(), nil)
	alone := filepath.Join(filepath.Dir(paths[0]), "renamed.gguf")
	if err := os.Rename(paths[0], alone); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(alone); !errors.Is(err, ErrSplit) {
		t.Error(err)
	}
}

func TestPartPathsNameTheWholeModel(t *testing.T) {
	dir := filepath.FromSlash("a/b")
	got := PartPaths(filepath.Join(dir, "q-00002-of-00002.gguf"))
	if len(got) != 2 || got[0] != filepath.Join(dir, "q-00001-of-00002.gguf") || got[1] != filepath.Join(dir, "q-00002-of-00002.gguf") {
		t.Error(got)
	}
	for _, alone := range []string{"q.gguf", "q-00003-of-00002.gguf", "q-00000-of-00002.gguf", "q-00001-of-99999.gguf", "q-1-of-2.gguf"} {
		if got := PartPaths(alone); len(got) != 1 || got[0] != alone {
			t.Errorf("%s: %v", alone, got)
		}
	}
}

func TestNameOf(t *testing.T) {
	for path, want := range map[string]string{
		"/models/Llama-3.2-3B.Q4_K_M.gguf": "Llama-3.2-3B.Q4_K_M",
		"model.GGUF":                       "model",
		"plain":                            "plain",
		"v1.5":                             "v1.5",
		"q-00002-of-00003.gguf":            "q",
	} {
		if got := NameOf(path); got != want {
			t.Errorf("NameOf(%q) = %q, want %q", path, got, want)
		}
	}
}
