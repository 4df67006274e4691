package transformer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func stated(t *testing.T) map[string]*Model {
	models := map[string]*Model{}
	for _, r := range orderRecipes() {
		if m := r.load(t, 2); m.HasStates() {
			models[r.name] = m
		}
	}
	if len(models) < 3 {
		t.Fatal("a recipe is gone")
	}
	return models
}

// Sequences go on with states of others, and leave theirs to others, as if each had read
// its text alone.
func TestSequencesGoOnWithStates(t *testing.T) {
	for name, m := range stated(t) {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(8, 5))
			type kept struct {
				state  *State
				blocks []*Block
				tokens []int32
			}
			free := func(k kept) {
				k.state.Release()
				for _, b := range k.blocks {
					b.Release()
				}
			}
			var places []kept
			branches := []*branch{{kv: m.NewKV()}, {kv: m.NewKV()}, {kv: m.NewKV()}}
			resumed := 0
			for step := range 250 {
				b := branches[r.IntN(len(branches))]
				switch op := r.IntN(8); {
				case op < 4:
					if b.kv.Len() > 300 {
						b.kv.Release()
						b.tokens = nil
					}
					more := sequence([]int{1, 1, 2, 1 + r.IntN(20), 1 + r.IntN(90)}[r.IntN(5)], r.Uint64N(3))
					b.tokens = append(slices.Clone(b.tokens), more...)
					got := slices.Clone(forward(t, m, Step{b.kv, more, Last})[0])
					alone := m.NewKV()
					want := forward(t, m, Step{alone, b.tokens, Last})[0]
					alone.Release()
					for i := range got {
						if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
							t.Fatalf("step %d: behind %d tokens logit %d is %v, want %v", step, len(b.tokens), i, got[i], want[i])
						}
					}
				case op < 6 && b.kv.Len() > 0:
					k := kept{state: b.kv.State(), tokens: b.tokens}
					for i := range blocksFor(b.kv.Len()) {
						k.blocks = append(k.blocks, b.kv.Block(i))
					}
					if places = append(places, k); len(places) > 4 {
						free(places[0])
						places = places[1:]
					}
				case op == 6 && b.kv.Len() > 0:
					b.kv.Truncate(b.kv.Len() - 1)
					if b.kv.Len() != 0 {
						t.Fatalf("step %d: %d tokens are left, with the state of one more", step, b.kv.Len())
					}
					b.tokens = nil
				case len(places) > 0: // the blocks may be of a longer text
					k := places[r.IntN(len(places))]
					for _, o := range places {
						if len(o.tokens) >= len(k.tokens) && slices.Equal(o.tokens[:len(k.tokens)], k.tokens) {
							k.blocks = o.blocks[:blocksFor(len(k.tokens))]
						}
					}
					b.kv.Release()
					for i, block := range k.blocks {
						b.kv.Adopt(i, block)
					}
					b.kv.GoOn(k.state)
					b.tokens = k.tokens
					resumed++
					if b.kv.Len() != len(b.tokens) {
						t.Fatalf("step %d: %d tokens, want %d", step, b.kv.Len(), len(b.tokens))
					}
				}
			}
			if resumed < 10 {
				t.Errorf("%d times something went on", resumed)
			}
			for _, b := range branches {
				b.kv.Release()
			}
			for _, k := range places {
				free(k)
			}
			if m.KVUsed() != 0 {
				t.Errorf("%d bytes are left", m.KVUsed())
			}
		})
	}
}

// Blocks alone are not enough, and what a sequence takes is what is said.
func TestNothingGoesOnWithoutAState(t *testing.T) {
	for name, m := range stated(t) {
		a, b := m.NewKV(), m.NewKV()
		forward(t, m, Step{a, sequence(blockTokens+7, 4), None})
		if used := m.KVUsed(); used != m.KVBytes(blockTokens+7) || used != a.Bytes() || m.KVBytes(0) != m.StateBytes() {
			t.Errorf("%s: %d bytes are used, said were %d, of which %d at once", name, used, m.KVBytes(blockTokens+7), m.KVBytes(0))
		}
		block := a.Block(0)
		b.Adopt(0, block)
		if _, err := m.Forward([]Step{{b, []int32{1}, None}}); err == nil {
			t.Errorf("%s: a sequence went on without a state", name)
		}
		b.Release()
		b.CopyPrefix(a, blockTokens)
		c := m.NewKV()
		c.CopyPrefix(a, a.Len())
		if b.Len() != 0 || c.Len() != a.Len() {
			t.Errorf("%s: %d tokens of a part, %d of %d", name, b.Len(), c.Len(), a.Len())
		}
		c.Fill(a, 3*blockTokens)
		forward(t, m, Step{c, []int32{1}, None})
		block.Release()
		for _, kv := range []*KV{a, b, c} {
			kv.Release()
		}
		if m.KVUsed() != 0 {
			t.Errorf("%s: %d bytes are left", name, m.KVUsed())
		}
	}
}
