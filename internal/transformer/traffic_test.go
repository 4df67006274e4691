package transformer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"parley/internal/gguf"
	"parley/internal/kernel"
)

// trafficRecipes are a model of each kind, and windows and chunks shorter and longer than a block.
func trafficRecipes() []tiny {
	list := orderRecipes()
	for _, r := range list {
		switch r.name {
		case "gemma3", "gpt-oss-mxfp4":
			r.name += "-wide"
			r.meta = append(slices.Clone(r.meta), gguf.KV{Key: "llama.attention.sliding_window", Value: gguf.ValueOf(uint32(blockTokens + 9))})
			list = append(list, r)
		case "llama4-q8_0":
			short := chunked(7)
			short.context = r.context
			list = append(list, short)
		}
	}
	return list
}

// forks are texts that begin alike: as far as a block, a little further, and not at
// all. The first has parts of so many spans, and is longer than a batch.
func forks(spans int) [][]int32 {
	first := sequence((spans-1)*spanTokens+39, 5)
	return [][]int32{
		first,
		slices.Concat(first[:2*blockTokens], sequence(31, 6)),
		slices.Concat(first[:blockTokens+17], sequence(90, 7)),
		sequence(blockTokens+3, 8),
	}
}

func alike(a, b []int32) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// A talk has read the beginning of a text.
type talk struct {
	*KV
	text int
}

// A keptBlock is the i-th of a text, with the state behind it where its sequence ended there.
type keptBlock struct {
	*Block
	text, i int
	state   *State
}

func (b *keptBlock) release() {
	b.Release()
	if b.state != nil {
		b.state.Release()
	}
}

// A traffic is what goes on in a model.
type traffic struct {
	t     *testing.T
	r     *rand.Rand
	m     *Model
	texts [][]int32
	want  [][][]float32 // the logits of each text
	talks []*talk
	kept  []keptBlock
	seen  int // tokens whose logits were compared
	given int // blocks that others computed
}

// step has some talks go on, each by some tokens.
func (f *traffic) step(what string) {
	var steps []Step
	var rows [][]float32
	for _, k := range f.r.Perm(len(f.talks)) {
		x := f.talks[k]
		text := f.texts[x.text]
		left := len(text) - x.Len()
		if left == 0 || f.r.IntN(4) == 0 {
			continue
		}
		n := min(left, 1+f.r.IntN([]int{1, 4, 20, 2 * batchTokens}[f.r.IntN(4)]))
		from, to := x.Len(), x.Len()+n
		s := Step{KV: x.KV, Tokens: text[from:to], Logits: []Want{None, Last, All}[f.r.IntN(3)]}
		switch s.Logits {
		case Last:
			rows = append(rows, f.want[x.text][to-1])
		case All:
			rows = append(rows, f.want[x.text][from:to]...)
		}
		steps = append(steps, s)
	}
	same(f.t, what, forward(f.t, f.m, steps...), rows)
	f.seen += len(rows)
}

// change does to a talk what an engine may do between two steps.
func (f *traffic) change() {
	if len(f.talks) < 3 || len(f.talks) < 6 && f.r.IntN(4) == 0 {
		f.talks = append(f.talks, &talk{f.m.NewKV(), f.r.IntN(len(f.texts))})
	}
	i := f.r.IntN(len(f.talks))
	x := f.talks[i]
	other := f.r.IntN(len(f.texts)) // it goes on as this one, from where they part
	common := min(x.Len(), alike(f.texts[x.text], f.texts[other]))
	switch f.r.IntN(8) {
	case 0: // tokens are taken back
		x.Truncate(x.Len() - f.r.IntN(min(x.Len()+1, 80)))
	case 1: // an edit
		x.Truncate(common)
		x.text = other
	case 2: // a fork
		y := &talk{f.m.NewKV(), other}
		y.CopyPrefix(x.KV, f.r.IntN(common+1))
		f.talks = append(f.talks, y)
	case 3: // a block is kept
		if n := x.Len() / blockTokens; n > 0 {
			i := f.r.IntN(n)
			b := keptBlock{Block: x.Block(i), text: x.text, i: i}
			if f.m.HasStates() && x.Len() == (i+1)*blockTokens {
				b.state = x.State()
			}
			f.kept = append(f.kept, b)
		}
	case 4, 5: // a kept block goes behind, as a whole or in part, or in the place of its equal
		for _, b := range f.kept {
			n := alike(f.texts[b.text], f.texts[x.text])
			f.given++
			switch at := b.i * blockTokens; {
			case n <= at || x.Len() < at:
				f.given--
			case x.Len() == at && f.m.HasStates():
				if b.state == nil || n < at+blockTokens {
					f.given--
					continue // it could not go on
				}
				x.Adopt(b.i, b.Block)
				x.GoOn(b.state)
			case x.Len() == at && n >= at+blockTokens && f.r.IntN(2) == 0:
				x.Adopt(b.i, b.Block)
			case x.Len() == at && f.r.IntN(2) == 0:
				x.Copy(b.Block, 1+f.r.IntN(min(n-at, blockTokens)))
			case x.Len() == at:
				x.Adopt(b.i, b.Block)
				x.Truncate(at + 1 + f.r.IntN(min(n-at, blockTokens)))
			case x.Len() >= at+blockTokens && n >= at+blockTokens:
				x.Adopt(b.i, b.Block)
			default:
				f.given--
			}
		}
	case 6: // a block is forgotten
		if len(f.kept) > 3 {
			i := f.r.IntN(len(f.kept))
			f.kept[i].release()
			f.kept = slices.Delete(f.kept, i, i+1)
		}
	case 7: // an end
		if x.Len() == len(f.texts[x.text]) || len(f.talks) > 6 {
			x.Release()
			f.talks = slices.Delete(f.talks, i, i+1)
		}
	}
}

func (f *traffic) end() {
	for _, x := range f.talks {
		x.Release()
	}
	for _, b := range f.kept {
		b.release()
	}
	if n := f.m.KVUsed(); n != 0 {
		f.t.Errorf("%d bytes are left", n)
	}
	if f.seen < 8 {
		f.t.Errorf("the logits of only %d tokens were compared", f.seen)
	}
}

// The logits of a token are the same to the bit, alone or in any batch, however its
// text was cut into chunks, computed, forked or put together from blocks that others
// computed, taken back and gone on with, on one thread or several, for each way to
// store keys and values, and whatever of what this processor has computes.
func TestLogitsAreTheSameInAnyTraffic(t *testing.T) {
	sets, given := kernel.Sets(), 0
	fast := len(sets) - 1 // the last is the code in Go, with which some models and little traffic are enough
	for number, recipe := range trafficRecipes() {
		for cache := range CacheTypes {
			r, few := recipe, (number+cache)%3 > 0
			r.cache = CacheType(cache)
			if fast == 0 && few {
				continue
			}
			t.Run(r.name+"-"+r.cache.String(), func(t *testing.T) {
				texts, rounds := forks(2), 20
				switch {
				case fast == 0:
					texts, rounds = beginnings(texts), 12
				case number%5 == 0: // some models are enough: what is added up span by span
					texts, rounds = forks(3), 60
					r.context = 3 * spanTokens
				}
				var want [][][]float32
				for _, text := range texts {
					want = append(want, alone(t, r, text))
				}
				for i, set := range sets {
					if i == fast && few {
						continue
					} else if i == fast {
						texts, rounds = beginnings(texts), 12
					}
					was := kernel.Use(set)
					threads := 1 + (number+i)%3
					f := traffic{t: t, r: rand.New(rand.NewPCG(uint64(number), uint64(i))), m: r.load(t, threads), texts: texts, want: want}
					for round := range rounds {
						f.change()
						f.step(fmt.Sprintf("%s, %d threads, round %d", set, threads, round))
					}
					f.end()
					given += f.given
					kernel.Use(was)
				}
			})
		}
	}
	if given == 0 {
		t.Error("no blocks were used that others computed")
	}
}

// beginnings of texts are a little longer than a block.
func beginnings(texts [][]int32) (short [][]int32) {
	for _, text := range texts {
		short = append(short, text[:min(len(text), blockTokens+19)])
	}
	return short
}
