package gguf

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"parley/internal/limits"
)

// TestHostile has one row for each way in which a file can lie.
func TestHostile(t *testing.T) {
	const huge = math.MaxUint64
	alignment := func(v uint32) *build { return head(3, 0, 1).key("general.alignment", Uint32).u32(v) }
	for _, c := range []struct {
		name string
		file *build
		want string // part of the error
		is   error  // or nil
	}{
		{"empty", &build{}, "magic at byte 0x0", ErrNotGGUF},
		{"bad magic", (&build{b: []byte("GGUX")}).zeros(20), `begins with "GGUX"`, ErrNotGGUF},
		{"reversed magic", (&build{b: []byte("FUGG")}).zeros(20), "big-endian", ErrBigEndian},
		{"old magic", (&build{b: []byte("tjgg")}).zeros(20), "older GGML", ErrNotGGUF},
		{"magic alone", &build{b: []byte("GGUF")}, "version at byte 0x4", ErrTruncated},
		{"version 0", head(0, 0, 0), "version 0", ErrVersion},
		{"version 1", head(1, 0, 0), "version 1, of August 2023", ErrVersion},
		{"version 4", head(4, 0, 0), "version 4", ErrVersion},
		{"version 2^31", head(1<<31, 0, 0), "version 2,147,483,648", ErrVersion},
		{"big-endian", head(3<<24, 0, 0), "big-endian", ErrBigEndian},

		{"tensor count 2^64-1", head(3, huge, 0), "tensor_count at byte 0x8: 18,446,744,073,709,551,615 declared", nil},
		{"tensor count 2^63", head(3, 1<<63, 0), "tensor_count", nil},
		{"tensor count over the bytes", head(3, 10, 0), "more than the 8 bytes that follow", ErrTruncated},
		{"pair count 2^64-1", head(3, 0, huge), "metadata_kv_count at byte 0x10", nil},
		{"pair count over the limit", head(3, 0, uint64(limits.GGUFPairs.Max)+1).zeros(20 * limits.GGUFPairs.Int()), "at most 65,536 can be read (limit gguf_pairs)", nil},
		{"pair count over the bytes", head(3, 0, 2).zeros(25), "metadata_kv_count", ErrTruncated},

		{"key empty", head(3, 0, 1).key("", Uint8).zeros(10), "metadata[0].key at byte 0x18: is empty", nil},
		{"key too long", head(3, 0, 1).u64(uint64(limits.GGUFKeyBytes.Max) + 1).zeros(1 << 17), "length 65,536", nil},
		{"key length 2^64-1", head(3, 0, 1).u64(huge).zeros(10), "metadata[0].key", nil},
		{"key past the end", head(3, 0, 1).u64(100).zeros(10), "needs 100 bytes", ErrTruncated},
		{"key not UTF-8", head(3, 0, 1).key("a\xff", Uint8).bytes(1), "not valid UTF-8", nil},
		{"key with NUL", head(3, 0, 1).key("a\x00b", Uint8).bytes(1), "control character", nil},
		{"key twice", head(3, 0, 2).key("a", Uint8).bytes(1).key("a", Uint8).bytes(1), `metadata[1].key at byte 0x26: "a" is there twice`, nil},

		{"kind 13", head(3, 0, 1).key("a", 13).zeros(10), `metadata[0] "a" at byte 0x21: unknown value type 13`, nil},
		{"kind 2^31", head(3, 0, 1).key("a", 1<<31).zeros(10), "unknown value type", nil},
		{"uint64 cut", head(3, 0, 1).key("a", Uint64).zeros(7), "needs 8 bytes", ErrTruncated},
		{"bool 2", head(3, 0, 1).key("a", Bool).bytes(2), "2 is not a boolean", nil},
		{"string past the end", head(3, 0, 1).key("a", String).u64(6).zeros(5), "needs 6 bytes", ErrTruncated},
		{"string over the limit", head(3, 0, 1).key("a", String).u64(uint64(limits.GGUFStringBytes.Int64()) + 1), "length 67,108,865", nil},
		{"string length 2^63", head(3, 0, 1).key("a", String).u64(1 << 63).zeros(5), "length 9,223,372,036,854,775,808", nil},

		{"array of kind 13", head(3, 0, 1).key("a", Array).u32(13).u64(0), "unknown array element type 13", nil},
		{"array count 2^64-1", head(3, 0, 1).key("a", Array).u32(uint32(Uint64)).u64(huge).zeros(9), "18,446,744,073,709,551,615 declared", nil},
		{"array count×size wraps", head(3, 0, 1).key("a", Array).u32(uint32(Uint64)).u64(1 << 61).zeros(9), "declared", nil},
		{"array over the limit", head(3, 0, 1).key("a", Array).u32(uint32(Uint8)).u64(uint64(limits.GGUFArrayItems.Max) + 1), "at most 67,108,864 can be read (limit gguf_array_items)", nil},
		{"array over the bytes", head(3, 0, 1).key("a", Array).u32(uint32(Uint16)).u64(3).zeros(5), "3 declared", ErrTruncated},
		{"strings over the bytes", head(3, 0, 1).key("a", Array).u32(uint32(String)).u64(2).zeros(15), "2 declared", ErrTruncated},
		{"string in array past the end", head(3, 0, 1).key("a", Array).u32(uint32(String)).u64(1).u64(9).zeros(8), "needs 9 bytes", ErrTruncated},
		{"bool in array", head(3, 0, 1).key("a", Array).u32(uint32(Bool)).u64(2).bytes(1, 9), "at byte 0x32: 9 is not a boolean", nil},
		{"arrays five deep", nest(5), "5 is more than the 4 levels allowed (limit gguf_array_depth)", nil},
		{"arrays ten thousand deep", nest(10_000), "5 is more than the 4 levels allowed (limit gguf_array_depth)", nil},

		{"alignment 0", alignment(0), "general.alignment at byte 0x35: alignment 0", nil},
		{"alignment 3", alignment(3), "alignment 3", nil},
		{"alignment 13", alignment(13), "alignment 13", nil},
		{"alignment 2^31", alignment(1 << 31), "alignment 2147483648", nil},
		{"alignment of 64 bits", head(3, 0, 1).key("general.alignment", Uint64).u64(32), "of type uint64, want a uint32", nil},
		{"alignment a string", head(3, 0, 1).key("general.alignment", String).str("32"), "is a string, want a uint32", nil},

		{"one part of three", head(3, 0, 1).key("split.count", Uint16).bytes(3, 0), "one of 3 parts", ErrSplit},
		{"split.count a string", head(3, 0, 1).key("split.count", String).str("3"), "split.count", nil},

		{"tensor name empty", head(3, 1, 0).tensor("", F32, 0, 1).pad(32).zeros(4), "tensor_infos[0].name", nil},
		{"tensor name of 65", head(3, 1, 0).tensor(strings.Repeat("n", 65), F32, 0, 1).pad(32).zeros(4), "length 65", nil},
		{"tensor name length 2^64-1", head(3, 1, 0).u64(huge).zeros(100), "tensor_infos[0].name", nil},
		{"tensor name with newline", head(3, 1, 0).tensor("a\nb", F32, 0, 1).pad(32).zeros(4), "control character", nil},
		{"tensor twice", head(3, 2, 0).tensor("a", F32, 0, 1).tensor("a", F32, 32, 1).pad(32).zeros(36), `"a" is already the name of tensor 0`, nil},
		{"no dimensions", head(3, 1, 0).tensor("a", F32, 0).zeros(64), "tensor_infos[0].dimensions at byte 0x21: 0 dimensions", nil},
		{"five dimensions", head(3, 1, 0).tensor("a", F32, 0, 1, 1, 1, 1, 1).pad(32).zeros(4), "5 dimensions", nil},
		{"2^31 dimensions", head(3, 1, 0).str("a").u32(1 << 31).zeros(100), "2147483648 dimensions", nil},
		{"dimension 0", head(3, 1, 0).tensor("a", F32, 0, 4, 0).pad(32).zeros(4), "dimension 1 is zero", nil},
		{"dimension -1", head(3, 1, 0).tensor("a", F32, 0, huge).pad(32).zeros(4), "overflows", nil},
		{"product wraps at 2", head(3, 1, 0).tensor("a", F32, 0, 1<<32, 1<<32).pad(32).zeros(4), "overflows", nil},
		{"product wraps at 3", head(3, 1, 0).tensor("a", F32, 0, 1<<22, 1<<22, 1<<22).pad(32).zeros(4), "overflows", nil},
		{"product wraps at 4", head(3, 1, 0).tensor("a", I8, 0, 1<<16, 1<<16, 1<<16, 1<<16).pad(32).zeros(4), "overflows", nil},
		{"bytes wrap", head(3, 1, 0).tensor("a", F64, 0, 1<<31, 1<<31).pad(32).zeros(4), "overflows", nil},
		{"bytes are 2^63", head(3, 1, 0).tensor("a", I8, 0, 1<<63).pad(32).zeros(4), "overflows", nil},
		{"ragged row", head(3, 1, 0).tensor("a", Q4_0, 0, 33).pad(32).zeros(36), "rows of 33 elements do not divide into Q4_0 blocks of 32", nil},
		{"ragged row, whole total", head(3, 1, 0).tensor("a", Q4_0, 0, 16, 2).pad(32).zeros(18), "rows of 16", nil},
		{"removed type", head(3, 1, 0).tensor("a", 4, 0, 32).pad(32).zeros(64), `tensor_infos[0].type at byte 0x2d: tensor "a" has unknown type 4`, nil},
		{"unknown type", head(3, 1, 0).tensor("a", 1<<31, 0, 32).pad(32).zeros(64), "unknown type 2147483648", nil},

		{"offset unaligned", head(3, 1, 0).tensor("a", F32, 4, 1).pad(32).zeros(64), "not a multiple of the alignment, 32", nil},
		{"offset past the end", head(3, 1, 0).tensor("a", F32, 1<<40, 1).pad(32).zeros(64), `file is 128 bytes, tensor "a" needs 1,099,511,627,844`, ErrTruncated},
		{"offset wraps", head(3, 1, 0).tensor("a", F32, huge-31, 1).pad(32).zeros(64), "overflows", nil},
		{"one byte short", head(3, 1, 0).tensor("blk.0", F32, 0, 2).pad(32).zeros(7), `tensor_infos[0].offset at byte 0x35: file is 71 bytes, tensor "blk.0" needs 72: the download is incomplete`, ErrTruncated},
		{"no data", head(3, 1, 0).tensor("a", F32, 0, 1), "needs", ErrTruncated},
		{"overlap", head(3, 2, 0).tensor("a", F32, 0, 9).tensor("b", F32, 32, 1).pad(32).zeros(68), `the data of tensors "a" and "b" overlaps`, nil},
		{"same place", head(3, 2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 0, 1).pad(32).zeros(68), "overlaps", nil},
	} {
		f, err := Parse(c.file.b)
		if err == nil {
			t.Errorf("%s: parsed as %v", c.name, f)
			continue
		}
		var e *Error
		if !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) || !errors.As(err, &e) {
			t.Errorf("%s: %v\n\twant %q (%v)", c.name, err, c.want, c.is)
		}
	}
}

// TestTruncated cuts a file everywhere: each cut is refused as a truncated file.
func TestTruncated(t *testing.T) {
	data := sample()
	for n := range len(data) {
		_, err := Parse(data[:n:n])
		if want := ErrTruncated; n < 4 {
			if !errors.Is(err, ErrNotGGUF) {
				t.Errorf("cut to %d bytes: %v", n, err)
			}
		} else if !errors.Is(err, want) {
			t.Errorf("cut to %d bytes: %v, want %v", n, err, want)
		}
	}
}

// TestLayout compares with arithmetic that cannot overflow.
func TestLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var ids []Type
	for id := range Type(64) {
		if id.Known() {
			ids = append(ids, id)
		}
	}
	limit := new(big.Int).Lsh(big.NewInt(1), 63)
	for range 20_000 {
		typ := ids[rng.IntN(len(ids))]
		shape := make([]uint64, 1+rng.IntN(4))
		want := big.NewInt(1)
		for i := range shape {
			shape[i] = 1 + rng.Uint64()>>rng.IntN(64)
			if shape[i] == 0 {
				shape[i] = 1
			}
			if i == 0 && rng.IntN(4) > 0 {
				shape[i] = max(shape[i]/typ.BlockSize(), 1) * typ.BlockSize()
			}
			want.Mul(want, new(big.Int).SetUint64(shape[i]))
		}
		// The number of elements must fit 64 bits too, whatever they take in bytes.
		ok := want.IsUint64() && shape[0]%typ.BlockSize() == 0
		want.Mul(want, new(big.Int).SetUint64(typ.BlockBytes())).Div(want, new(big.Int).SetUint64(typ.BlockSize()))
		ok = ok && want.Cmp(limit) < 0
		got, err := layout(typ, shape)
		if (err == nil) != ok || ok && got != want.Uint64() {
			t.Fatalf("layout(%s, %v) = %d, %v; want %s, %v", typ, shape, got, err, want, ok)
		}
	}
}

// TestAllocation holds the promise that metadata costs no more than a small multiple of the file.
func TestAllocation(t *testing.T) {
	manyKeys := head(3, 0, 20_000)
	for i := range 20_000 {
		manyKeys.key(string(rune('一'+i)), Uint8).bytes(0)
	}
	manyTensors := head(3, 20_000, 0)
	for i := range 20_000 {
		manyTensors.tensor(string(rune('一'+i)), I8, 0, 1)
	}
	for name, data := range map[string][]byte{
		"keys":    manyKeys.b,
		"tensors": manyTensors.b,
		"strings": head(3, 0, 1).key("a", Array).u32(uint32(String)).u64(1 << 18).zeros(8 << 18).b,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f, _ := Parse(data)
		if f != nil {
			f.Strings("a")
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 32*uint64(len(data)) {
			t.Errorf("%s: parsing %d bytes allocated %d", name, len(data), n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample())
	f.Add(head(3, 0, 0).b)
	f.Add(nest(4).b)
	f.Add(head(3, 2, 1).key("general.alignment", Uint32).u32(1).tensor("a", I8, 0, 3).tensor("b", I8, 3, 1).zeros(4).b)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is no *Error", err)
			}
			return
		}
		for _, k := range file.Keys() {
			v, _ := file.Value(k)
			_ = v.String()
			file.String(k)
			file.Strings(k)
			file.Ints(k)
			file.Floats(k)
			file.Bools(k)
			file.Uint(k)
			file.Int(k)
			file.Float(k)
			file.Bool(k)
		}
		for _, x := range file.Tensors {
			if x.Offset+uint64(len(x.Data)) > uint64(len(data)) || x.Elements()/x.Type.BlockSize()*x.Type.BlockBytes() != uint64(len(x.Data)) {
				t.Fatalf("tensor %q lies outside the file", x.Name)
			}
		}
	})
}

// TestFilesAreReadUpToTheirLimits has what the limits just allow; TestHostile has one more.
func TestFilesAreReadUpToTheirLimits(t *testing.T) {
	key := strings.Repeat("k", limits.GGUFKeyBytes.Int())
	name := func(n int) *build {
		return head(3, 1, 0).tensor(strings.Repeat("n", n), F32, 0, 1).pad(32).zeros(4)
	}
	for what, file := range map[string]*build{
		"key":   head(3, 0, 1).key(key, Uint8).bytes(1),
		"name":  name(limits.GGUFNameBytes.Int()),
		"depth": nest(limits.GGUFArrayDepth.Int()),
	} {
		if _, err := Parse(file.b); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Parse(name(limits.GGUFNameBytes.Int() + 1).b); err == nil || !strings.Contains(err.Error(), limits.GGUFNameBytes.Name) {
		t.Errorf("a name too long: %v", err)
	}
}
