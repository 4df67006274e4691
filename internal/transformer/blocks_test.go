package transformer

import (
	"slices"
	"testing"

	"parley/internal/gguf"
)

// blockModels are one whose layers all see everything, one with windows, and one of which a page is
// large.
func blockModels(t *testing.T) map[string]*Model {
	models := map[string]*Model{}
	for _, r := range orderRecipes() {
		if r.name == "q8_0" || r.name == "gemma3" {
			models[r.name] = r.load(t, 2)
		}
	}
	if len(models) != 2 {
		t.Fatal("a recipe is gone")
	}
	large := recipe("large pages", gguf.Q8_0)
	large.kvHeads, large.layers = large.heads, 4
	m := large.load(t, 2)
	if size := m.memory.sizes[seesAll]; size < largePage {
		t.Fatalf("a page of %d bytes is not large", size)
	}
	models[large.name] = m
	return models
}

// Whoever writes into a block that others refer to writes into a copy.
func TestSharedBlocksStayAsTheyAre(t *testing.T) {
	for name, m := range blockModels(t) {
		t.Run(name, func(t *testing.T) {
			ids := sequence(3*blockTokens, 8)
			rest := func(kv *KV) [][]float32 {
				var rows [][]float32
				for _, row := range forward(t, m, Step{kv, ids[kv.Len():], All}) {
					rows = append(rows, slices.Clone(row))
				}
				return rows
			}
			want := rest(m.NewKV())
			kv := m.NewKV()
			rest(kv)
			shared := kv.Block(1)
			fork := m.NewKV()
			fork.CopyPrefix(kv, blockTokens+9)
			kv.Truncate(blockTokens + 5)
			forward(t, m, Step{kv, sequence(2*blockTokens, 9), None}) // something else
			same(t, "a fork", rest(fork), want[blockTokens+9:])

			other := m.NewKV()
			forward(t, m, Step{other, ids[:blockTokens], None})
			other.Adopt(1, shared)
			if other.Len() != 2*blockTokens {
				t.Fatalf("%d tokens after a whole block", other.Len())
			}
			same(t, "behind a whole block", rest(other), want[2*blockTokens:])

			other.Truncate(blockTokens)
			other.Copy(shared, 7)
			if other.Len() != blockTokens+7 {
				t.Fatalf("%d tokens after a part", other.Len())
			}
			same(t, "behind a part of a block", rest(other), want[blockTokens+7:])

			other.Adopt(1, shared) // the same again, in place
			if other.Len() != len(ids) {
				t.Fatalf("%d tokens after an exchange", other.Len())
			}
			other.Truncate(2 * blockTokens)
			same(t, "after an exchange", rest(other), want[2*blockTokens:])
		})
	}
}

func TestMemoryIsCountedOnceAndUsedAgain(t *testing.T) {
	for name, m := range blockModels(t) {
		t.Run(name, func(t *testing.T) {
			block := m.KVBytes(1)
			expect := func(what string, blocks int64) {
				t.Helper()
				if m.KVUsed() != blocks*block {
					t.Fatalf("%s: %d bytes in use, want %d blocks of %d", what, m.KVUsed(), blocks, block)
				}
			}
			kv, fork := m.NewKV(), m.NewKV()
			forward(t, m, Step{kv, sequence(2*blockTokens+3, 1), None})
			expect("a sequence", 3)
			fork.CopyPrefix(kv, 2*blockTokens)
			expect("a fork at the end of a block", 3)
			fork.CopyPrefix(kv, 2*blockTokens+1)
			expect("a fork inside a block", 4)
			fork.Truncate(2 * blockTokens)
			b := fork.Block(1)
			fork.Release()
			kv.Truncate(1)
			expect("one token and a block", 2)
			forward(t, m, Step{fork, sequence(1, 2), None})
			expect("another", 3)
			b.Release()
			kv.Release()
			fork.Release()
			expect("at the end", 0)
			if n := len(m.memory.free[seesAll]); n != 4 {
				t.Errorf("%d pages were made, want 4", n)
			}
		})
	}
}

// What a measurement puts before a token takes the memory that tokens would have taken.
func TestFillingTakesMemoryOfItsOwn(t *testing.T) {
	for name, m := range blockModels(t) {
		t.Run(name, func(t *testing.T) {
			ids := sequence(blockTokens+9, 8)
			one, two := m.NewKV(), m.NewKV()
			two.Fill(one, 500)
			if two.Len() != 0 {
				t.Fatalf("copies of nothing are %d tokens", two.Len())
			}
			forward(t, m, Step{one, ids, None})
			one.Fill(one, 4*blockTokens+5)
			two.Fill(one, 2*blockTokens)
			want := m.KVBytes(6 * blockTokens)
			want -= int64(m.memory.sizes[windowed]) // the page of the first one's first block is given up
			if one.Len() != 4*blockTokens || two.Len() != 2*blockTokens || m.KVUsed() != want || one.Bytes()+two.Bytes() != want {
				t.Fatalf("%d and %d tokens in %d bytes, want %d", one.Len(), two.Len(), m.KVUsed(), want)
			}
			a, b := one.Block(2), two.Block(1)
			for g, p := range a.pages {
				if p != nil && (!slices.Equal(p.bytes, b.pages[g].bytes) || &p.bytes[0] == &b.pages[g].bytes[0]) {
					t.Error("it is no copy")
				}
			}
			forward(t, m, Step{one, ids[:3], All})
			if one.Len() != 4*blockTokens+3 {
				t.Errorf("%d tokens behind copies", one.Len())
			}
		})
	}
}
