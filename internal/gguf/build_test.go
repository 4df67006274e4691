package gguf

import (
	"encoding/binary"
	"math"
)

// build assembles GGUF bytes field by field, right or wrong.
type build struct{ b []byte }

func (x *build) u32(v uint32) *build { x.b = binary.LittleEndian.AppendUint32(x.b, v); return x }
func (x *build) u64(v uint64) *build { x.b = binary.LittleEndian.AppendUint64(x.b, v); return x }
func (x *build) bytes(v ...byte) *build {
	x.b = append(x.b, v...)
	return x
}
func (x *build) str(s string) *build            { x.u64(uint64(len(s))); x.b = append(x.b, s...); return x }
func (x *build) zeros(n int) *build             { x.b = append(x.b, make([]byte, n)...); return x }
func (x *build) pad(n int) *build               { return x.zeros((n - len(x.b)%n) % n) }
func (x *build) key(k string, kind Kind) *build { return x.str(k).u32(uint32(kind)) }

func head(version uint32, tensors, pairs uint64) *build {
	x := &build{b: []byte("GGUF")}
	return x.u32(version).u64(tensors).u64(pairs)
}

// tensor appends a tensor's info.
func (x *build) tensor(name string, t Type, offset uint64, shape ...uint64) *build {
	x.str(name).u32(uint32(len(shape)))
	for _, d := range shape {
		x.u64(d)
	}
	return x.u32(uint32(t)).u64(offset)
}

// sample is a file with one value of each kind and three tensors.
func sample() []byte {
	x := head(3, 3, 16)
	x.key("u8", Uint8).bytes(200)
	x.key("i8", Int8).bytes(0x80)
	x.key("u16", Uint16).bytes(0xff, 0xff)
	x.key("i16", Int16).bytes(0xfe, 0xff)
	x.key("u32", Uint32).u32(math.MaxUint32)
	x.key("i32", Int32).u32(math.MaxUint32)
	x.key("f32", Float32).u32(math.Float32bits(1.5))
	x.key("yes", Bool).bytes(1)
	x.key("text", String).str("h\xffé")
	x.key("words", Array).u32(uint32(String)).u64(3).str("a").str("").str("ccc")
	x.key("u64", Uint64).u64(math.MaxUint64)
	x.key("i64", Int64).u64(1 << 63)
	x.key("f64", Float64).u64(math.Float64bits(-0.1))
	x.key("ids", Array).u32(uint32(Int16)).u64(2).bytes(1, 0, 0xff, 0xff)
	x.key("flags", Array).u32(uint32(Bool)).u64(2).bytes(0, 1)
	x.key("nested", Array).u32(uint32(Array)).u64(1).u32(uint32(Float32)).u64(1).u32(0)
	x.tensor("b", Q8_0, 64, 32, 2)
	x.tensor("a", F32, 0, 3)
	x.tensor("c", F16, 160, 1, 2, 1, 2)
	return x.pad(32).zeros(12).pad(32).zeros(32).zeros(68).pad(32).zeros(8).b
}
