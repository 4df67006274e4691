package gguf

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func parse(t *testing.T, data []byte) *File {
	t.Helper()
	f, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMetadata(t *testing.T) {
	f := parse(t, sample())
	want := "u8 i8 u16 i16 u32 i32 f32 yes text words u64 i64 f64 ids flags nested"
	if got := strings.Join(f.Keys(), " "); got != want {
		t.Errorf("keys %s, want %s", got, want)
	}
	check := func(name string, got any, ok bool, err error, want any) {
		t.Helper()
		if err != nil || !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v, %v, %v; want %v", name, got, ok, err, want)
		}
	}
	for key, want := range map[string]uint64{"u8": 200, "u16": 65535, "u32": math.MaxUint32, "u64": math.MaxUint64} {
		x, ok, err := f.Uint(key)
		check(key, x, ok, err, want)
	}
	for key, want := range map[string]int64{"u8": 200, "i8": -128, "i16": -2, "i32": -1, "u32": math.MaxUint32, "i64": math.MinInt64} {
		x, ok, err := f.Int(key)
		check(key, x, ok, err, want)
	}
	for key, want := range map[string]float64{"f32": 1.5, "f64": -0.1, "i8": -128} {
		x, ok, err := f.Float(key)
		check(key, x, ok, err, want)
	}
	s, ok, err := f.String("text")
	check("text", s, ok, err, "h\xffé")
	b, ok, err := f.Bool("yes")
	check("yes", b, ok, err, true)
	ss, ok, err := f.Strings("words")
	check("words", ss, ok, err, []string{"a", "", "ccc"})
	is, ok, err := f.Ints("ids")
	check("ids", is, ok, err, []int64{1, -1})
	bs, ok, err := f.Bools("flags")
	check("flags", bs, ok, err, []bool{false, true})
	if _, ok, err := f.String("absent"); ok || err != nil {
		t.Errorf("an absent key gives %v, %v", ok, err)
	}
	if v, ok := f.Value("words"); !ok || v.Kind != Array || v.Elem != String || v.Len != 3 {
		t.Errorf("words is %+v, %v", v, ok)
	}
}

func TestWrongTypesAreNamed(t *testing.T) {
	f := parse(t, sample())
	for _, c := range []struct {
		err  func() error
		want string
	}{
		{func() error { _, _, err := f.Uint("text"); return err }, `gguf: text at byte 0x`},
		{func() error { _, _, err := f.Uint("text"); return err }, `is a string, want an integer that is not negative`},
		{func() error { _, _, err := f.Uint("i8"); return err }, `is -128 of type int8, want an integer that is not negative`},
		{func() error { _, _, err := f.Int("u64"); return err }, `is 18446744073709551615 of type uint64, want a signed 64-bit integer`},
		{func() error { _, _, err := f.Float("u64"); return err }, `want a number`},
		{func() error { _, _, err := f.String("words"); return err }, `is an array of 3 string values, want a string`},
		{func() error { _, _, err := f.Strings("ids"); return err }, `is an array of 2 int16 values, want an array of strings`},
		{func() error { _, _, err := f.Ints("words"); return err }, `want an array of signed`},
		{func() error { _, _, err := f.Floats("ids"); return err }, `want an array of floats`},
		{func() error { _, _, err := f.Bools("ids"); return err }, `want an array of booleans`},
		{func() error { _, _, err := f.Bool("u8"); return err }, `is 200 of type uint8, want a boolean`},
	} {
		err := c.err()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%v is no *Error", err)
		}
	}
}

func TestValueString(t *testing.T) {
	f := parse(t, sample())
	for key, want := range map[string]string{
		"u8": "200", "i8": "-128", "f32": "1.5", "f64": "-0.1", "yes": "true", "text": `"h\xffé"`,
		"words": `["a", "", "ccc"]`, "ids": "[1, -1]", "nested": "[1 arrays]", "u64": "18446744073709551615",
	} {
		if v, _ := f.Value(key); v.String() != want {
			t.Errorf("%s shows as %s, want %s", key, v, want)
		}
	}
	if got, want := ValueOf(strings.Repeat("x", 1234)).String(), "… (1,234 bytes)"; !strings.HasSuffix(got, want) {
		t.Errorf("a long string shows as %s", got)
	}
	if got, want := ArrayOf(make([]int32, 1000)).String(), "[0, 0, 0, 0, 0, 0, 0, 0, … (1,000 values)]"; got != want {
		t.Errorf("a long array shows as %s, want %s", got, want)
	}
}

func TestTensors(t *testing.T) {
	data := sample()
	f := parse(t, data)
	if len(f.Tensors) != 3 || f.Tensors[0].Name != "b" {
		t.Fatalf("tensors %v", f.Tensors)
	}
	b, ok := f.Tensor("b")
	if !ok || b.Type != Q8_0 || len(b.Data) != 68 || b.Elements() != 64 || &b.Data[0] != &data[b.Offset] {
		t.Errorf("tensor b is %v, %v", b, ok)
	}
	if c, ok := f.Tensor("c"); !ok || len(c.Data) != 8 || !reflect.DeepEqual(c.Shape, []uint64{1, 2, 1, 2}) {
		t.Errorf("tensor c is %v, %v", c, ok)
	}
	if _, ok := f.Tensor("d"); ok {
		t.Error("tensor d exists")
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	if err := os.WriteFile(path, sample(), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	words, _, _ := f.Strings("words")
	if b, ok := f.Tensor("b"); !ok || !bytes.Equal(b.Data, make([]byte, 68)) {
		t.Errorf("tensor b is %v", b)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if words[2] != "ccc" {
		t.Errorf("strings do not outlive the mapping: %q", words)
	}
	if _, ok := f.Tensor("b"); ok {
		t.Error("a closed file still gives tensors")
	}

	for name, c := range map[string]struct {
		data string
		want error
	}{
		"empty.gguf": {"", ErrNotGGUF},
		"short.gguf": {"GGUF", ErrNotGGUF},
		"html.gguf":  {"<html>this is an error page</html>", ErrNotGGUF},
		"cut.gguf":   {string(sample()[:300]), ErrTruncated},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.data), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !errors.Is(err, c.want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %v and the file's name", name, err, c.want)
		}
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("opening a directory: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opening nothing: %v", err)
	}
}

func TestValidEdgeCases(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":          head(3, 0, 0).b,
		"version 2":        head(2, 0, 0).b,
		"alignment 1":      head(3, 2, 1).key("general.alignment", Uint32).u32(1).tensor("a", I8, 0, 3).tensor("b", I8, 3, 1).zeros(4).b,
		"last bytes":       head(3, 1, 0).tensor("a", F32, 0, 1).pad(32).zeros(4).b,
		"empty array":      head(3, 0, 1).key("a", Array).u32(uint32(String)).u64(0).b,
		"empty string":     head(3, 0, 1).key("a", String).str("").b,
		"gap between":      head(3, 2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 64, 1).pad(32).zeros(68).b,
		"name of 64 bytes": head(3, 1, 0).tensor(strings.Repeat("n", 64), F32, 0, 1).pad(32).zeros(4).b,
		"one part of one":  head(3, 0, 1).key("split.count", Uint16).bytes(1, 0).b,
		"trailing data":    head(3, 0, 0).zeros(100).b,
		"alignment 65536":  head(3, 1, 1).key("general.alignment", Uint32).u32(1<<16).tensor("a", I8, 0, 1).pad(1 << 16).zeros(1).b,
		"key of 65535":     head(3, 0, 1).key(strings.Repeat("k", 65535), Uint8).bytes(1).b,
		"arrays four deep": nest(4).b,
	} {
		if _, err := Parse(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// nest is a file with one value: arrays so many deep, the innermost empty.
func nest(depth int) *build {
	x := head(3, 0, 1).key("deep", Array)
	for range depth - 1 {
		x.u32(uint32(Array)).u64(1)
	}
	return x.u32(uint32(Uint8)).u64(0)
}

func TestWriteRoundTrip(t *testing.T) {
	for _, alignment := range []uint32{1, 32, 128} {
		meta := []KV{
			{"general.architecture", ValueOf("llama")},
			{"general.alignment", ValueOf(alignment)},
			{"tokens", ArrayOf([]string{"<s>", "", "é"})},
			{"scores", ArrayOf([]float32{1, -2.5})},
			{"flags", ArrayOf([]bool{true, false})},
			{"big", ValueOf(uint64(math.MaxUint64))},
			{"small", ValueOf(int8(-1))},
			{"half", ValueOf(0.5)},
			{"on", ValueOf(true)},
		}
		data := map[string][]byte{"x": bytes.Repeat([]byte{7}, 34*3), "y": {1, 2, 3, 4, 5, 6, 7, 8}}
		tensors := []TensorSource{
			{"x", Q8_0, []uint64{32, 3}, bytes.NewReader(data["x"])},
			{"y", F32, []uint64{2}, bytes.NewReader(data["y"])},
		}
		var buf bytes.Buffer
		if err := Write(&buf, meta, tensors); err != nil {
			t.Fatal(err)
		}
		f := parse(t, buf.Bytes())
		if f.Version != 3 || f.Alignment != uint64(alignment) {
			t.Errorf("version %d, alignment %d", f.Version, f.Alignment)
		}
		for _, kv := range meta {
			v, ok := f.Value(kv.Key)
			if v.offset = 0; !ok || !reflect.DeepEqual(v, kv.Value) {
				t.Errorf("%s comes back as %v, want %v", kv.Key, v, kv.Value)
			}
		}
		for _, want := range tensors {
			got, ok := f.Tensor(want.Name)
			if !ok || got.Type != want.Type || !reflect.DeepEqual(got.Shape, want.Shape) || !bytes.Equal(got.Data, data[want.Name]) {
				t.Errorf("tensor %s comes back as %v", want.Name, got)
			}
		}
		// Values that were read can be written again.
		var again bytes.Buffer
		var read []KV
		for _, k := range f.Keys() {
			v, _ := f.Value(k)
			read = append(read, KV{k, v})
		}
		var sources []TensorSource
		for _, x := range f.Tensors {
			sources = append(sources, TensorSource{x.Name, x.Type, x.Shape, bytes.NewReader(x.Data)})
		}
		if err := Write(&again, read, sources); err != nil || !bytes.Equal(again.Bytes(), buf.Bytes()) {
			t.Errorf("writing what was read gives other bytes (%v)", err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	bytesOf := func(n int) io.Reader { return bytes.NewReader(make([]byte, n)) }
	for name, c := range map[string]struct {
		meta    []KV
		tensors []TensorSource
		want    string
	}{
		"duplicate key":    {[]KV{{"a", ValueOf(true)}, {"a", ValueOf(true)}}, nil, "there twice"},
		"empty key":        {[]KV{{"", ValueOf(true)}}, nil, "is empty"},
		"alignment":        {[]KV{{"general.alignment", ValueOf(uint32(3))}}, nil, "alignment 3"},
		"alignment's type": {[]KV{{"general.alignment", ValueOf(uint64(32))}}, nil, "want a uint32"},
		"duplicate tensor": {nil, []TensorSource{{"a", I8, []uint64{1}, bytesOf(1)}, {"a", I8, []uint64{1}, bytesOf(1)}}, "already the name"},
		"too little data":  {nil, []TensorSource{{"a", F32, []uint64{2}, bytesOf(7)}}, "not the 8 bytes"},
		"too much data":    {nil, []TensorSource{{"a", F32, []uint64{2}, bytesOf(9)}}, "not the 8 bytes"},
		"ragged blocks":    {nil, []TensorSource{{"a", Q4_K, []uint64{128}, bytesOf(72)}}, "do not divide"},
		"five dimensions":  {nil, []TensorSource{{"a", I8, []uint64{1, 1, 1, 1, 1}, bytesOf(1)}}, "5 dimensions"},
	} {
		if err := Write(io.Discard, c.meta, c.tensors); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestOnePartOfASplitModelIsReadAsAPart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m-00001-of-00003.gguf")
	data := head(3, 1, 1).key("split.count", Uint16).bytes(3, 0).tensor("a", F32, 0, 1).pad(32).zeros(4).b
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrSplit) {
		t.Errorf("as a whole: %v", err)
	}
	f, err := OpenPart(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, ok, _ := f.Uint("split.count"); !ok || n != 3 || len(f.Tensors) != 1 {
		t.Errorf("%d parts, %d tensors", n, len(f.Tensors))
	}
}
