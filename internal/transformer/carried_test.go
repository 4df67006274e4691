package transformer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// carrying are models whose layers carry something along.
func carrying(t *testing.T) map[string]*Model {
	models := map[string]*Model{}
	for _, r := range orderRecipes() {
		if m := r.load(t, 2); !m.Rewinds() && !m.HasStates() {
			models[r.name] = m
		}
	}
	if len(models) < 3 {
		t.Fatal("a recipe is gone")
	}
	return models
}

// A branch is a sequence, told in the plainest way.
type branch struct {
	kv     *KV
	tokens []int32
	ahead  int // how many tokens were read since it was last known where they can be taken back to
}

// Whatever sequences take over from each other and take back, a token's logits are what
// they are where its text is read at once.
func TestSequencesGoOnWhereTheyCan(t *testing.T) {
	for name, m := range carrying(t) {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(8, 3))
			type kept struct {
				block  *Block
				before []int32
				tokens []int32
			}
			var blocks []kept
			branches := []*branch{{kv: m.NewKV()}, {kv: m.NewKV()}, {kv: m.NewKV()}}
			exact, fell, adopted := 0, 0, 0
			for step := range 400 {
				b := branches[r.IntN(len(branches))]
				before := b.kv.Len()
				switch op := r.IntN(8); {
				case op < 4:
					if before > 400 {
						b.kv.Release()
						b.tokens, b.ahead = nil, 0
					}
					n := []int{1, 1, 2, 1 + r.IntN(20), 1 + r.IntN(90)}[r.IntN(5)]
					more := sequence(n, r.Uint64N(3))
					b.tokens = append(slices.Clone(b.tokens), more...)
					got := slices.Clone(forward(t, m, Step{b.kv, more, Last})[0])
					alone := m.NewKV()
					want := forward(t, m, Step{alone, b.tokens, Last})[0]
					alone.Release()
					for i := range got {
						if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
							t.Fatalf("step %d: behind %d tokens, the last %d of them read at the end, logit %d is %v, want %v", step, len(b.tokens), n, i, got[i], want[i])
						}
					}
					b.ahead = n
				case op < 6:
					n := max(0, before-r.IntN(40))
					b.kv.Truncate(n)
					switch {
					case b.kv.Len() == n:
						exact++
					case n%blockTokens == 0 || before-n <= min(Rewinds, b.ahead):
						t.Fatalf("step %d: %d tokens are left of %d, where the last %d were read at once; want %d", step, b.kv.Len(), before, b.ahead, n)
					case b.kv.Len() != n/blockTokens*blockTokens:
						t.Fatalf("step %d: %d tokens are left of %d, want %d or the block before", step, b.kv.Len(), before, n)
					default:
						fell++
					}
					b.tokens, b.ahead = b.tokens[:b.kv.Len()], max(0, b.ahead-(before-b.kv.Len()))
				case op < 7 && before > 0: // what others may go on with
					i := r.IntN(blocksFor(before))
					blocks = append(blocks, kept{b.kv.Block(i), slices.Clone(b.tokens[:i*blockTokens]), slices.Clone(b.tokens[i*blockTokens : min(before, (i+1)*blockTokens)])})
					if len(blocks) > 6 {
						blocks[0].block.Release()
						blocks = blocks[1:]
					}
				case len(blocks) > 0:
					k := blocks[r.IntN(len(blocks))]
					if i := len(k.before) / blockTokens; slices.Equal(k.before, b.tokens) {
						b.kv.Adopt(i, k.block)
						b.tokens = slices.Concat(k.before, k.tokens)
						adopted++
					} else if len(k.tokens) == blockTokens && before >= len(k.before)+blockTokens && slices.Equal(b.tokens[:len(k.before)+blockTokens], slices.Concat(k.before, k.tokens)) {
						b.kv.Adopt(i, k.block)
						continue
					} else { // it begins anew, as another one does
						o := branches[r.IntN(len(branches))]
						b.kv.CopyPrefix(o.kv, r.IntN(o.kv.Len()+1))
						b.tokens = o.tokens[:b.kv.Len()]
					}
					if b.kv.Len() != len(b.tokens) {
						t.Fatalf("step %d: %d tokens, want %d", step, b.kv.Len(), len(b.tokens))
					}
					b.ahead = 0
				}
			}
			if exact < 20 || fell < 20 || adopted < 5 {
				t.Errorf("%d exact, %d fell back, %d adopted", exact, fell, adopted)
			}
			for _, b := range branches {
				b.kv.Release()
			}
			for _, k := range blocks {
				k.block.Release()
			}
			if m.KVUsed() != 0 {
				t.Errorf("%d bytes are left", m.KVUsed())
			}
		})
	}
}

// A sequence takes no more than it is said to, with a block of its end for others.
func TestWhatIsCarriedAlongIsCounted(t *testing.T) {
	for name, m := range carrying(t) {
		l := &m.kv.carried
		columns := int64(l.layers * l.columns * l.dim * 4)
		if block := m.KVBytes(blockTokens) - m.KVBytes(0); m.KVBytes(0) != columns/int64(l.columns)*int64(l.columns+Rewinds) || block != columns+int64(m.kv.sizes[seesAll]) {
			t.Errorf("%s: %d bytes, and %d for a block, with %d of columns", name, m.KVBytes(0), block, columns)
		}
		kv := m.NewKV()
		if m.KVUsed() != 0 {
			t.Errorf("%s: an empty one takes %d bytes", name, m.KVUsed())
		}
		for n := 1; n < 3*blockTokens; n += 7 {
			forward(t, m, Step{kv, sequence(7, 4), None})
			b := kv.Block(kv.Len() / blockTokens)
			if used := m.KVUsed(); used > m.KVBytes(kv.Len()) || used != kv.Bytes()+columns {
				t.Errorf("%s: %d tokens take %d bytes, said were %d", name, kv.Len(), used, m.KVBytes(kv.Len()))
			}
			b.Release()
		}
		kv.Release()
		if m.KVUsed() != 0 {
			t.Errorf("%s: %d bytes are left", name, m.KVUsed())
		}
	}
}
