package transformer

import (
	"math"
	"testing"
)

func TestWhatIsKnownOfThePace(t *testing.T) {
	dense := &Model{config: Config{}, batchTokens: batchTokens, layers: make([]layer, 2)}
	for i := range dense.layers {
		l := &dense.layers[i]
		l.spec = layerSpec{heads: 4, kvHeads: 2, keyDim: 6, valueDim: 10}
		l.q.Rows, l.q.Cols, l.experts = 100, 40, make([]expert, 1)
	}
	dense.layers[1].spec.window.tokens = 8
	weights := 2.0 * 2 * 100 * 40
	for before, want := range map[int]float64{0: 0, 5: 2 * 5 * 2 * 64, 100: 2*100*64 + 2*7*64} {
		if got := dense.Seen(before) * weights; math.Abs(got-want) > 1e-6 {
			t.Errorf("%v operations behind %d tokens, want %v", got, before, want)
		}
	}
	if n := dense.EnoughTokens(); n != enough {
		t.Errorf("%d tokens are enough, want %d", n, enough)
	}
	for _, c := range []struct{ experts, used, batch, want int }{{8, 2, 512, 64}, {128, 8, 512, 64}, {512, 10, 512, 204}, {512, 2, 512, 512}} {
		m := &Model{batchTokens: c.batch, layers: make([]layer, 1)}
		m.layers[0].spec.routing = routing{experts: c.experts, used: c.used}
		if n := m.EnoughTokens(); n != c.want {
			t.Errorf("%d tokens are enough for %d of %d experts, want %d", n, c.used, c.experts, c.want)
		}
	}
}

// A call that is left between layers changes nothing for others: not even for those
// whose blocks it was about to go on behind.
func TestACallThatIsLeftChangesNothing(t *testing.T) {
	for _, r := range orderRecipes() {
		t.Run(r.name, func(t *testing.T) {
			m := r.load(t, 2)
			ids := sequence(3*blockTokens+9, 7)
			first := len(ids) / 2
			untouched, kv := r.load(t, 2), m.NewKV()
			want := forward(t, untouched, Step{KV: untouched.NewKV(), Tokens: ids, Logits: All})
			forward(t, m, Step{KV: kv, Tokens: ids[:first]})
			for after := range len(m.layers) {
				other, asked := m.NewKV(), 0
				other.CopyPrefix(kv, first)
				m.Unwanted = func() bool { asked++; return asked > after }
				rest := ids[other.Len():]
				if _, err := m.Forward([]Step{{KV: other, Tokens: rest, Logits: All}}); err != ErrLeft {
					t.Fatal(err)
				}
				if m.Unwanted = nil; other.Len() != len(ids)-len(rest) {
					t.Errorf("it is %d tokens long, before %d", other.Len(), len(ids)-len(rest))
				}
				other.Release()
			}
			same(t, "behind calls that were left", forward(t, m, Step{KV: kv, Tokens: ids[first:], Logits: All}), want[first:])
			kv.Release()
			if n := m.KVUsed(); n != 0 {
				t.Errorf("%d bytes are still in use", n)
			}
		})
	}
}
