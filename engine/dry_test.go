package engine

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"parley/llm"
)

// listWords is a vocabulary: token i is the i-th text. One that begins with
// "<" is a control token, "<end>" ends a reply.
type listWords []string

func (w listWords) Text(id int) (string, bool) { return w[id], strings.HasPrefix(w[id], "<") }
func (w listWords) Ends(id int) bool           { return w[id] == "<end>" }
func (w listWords) Size() int                  { return len(w) }

// slowDRY is the definition: for each earlier place, compare backwards.
func slowDRY(h []int32, words listWords, s drySettings) map[int32]float64 {
	if s.lookBack >= 0 {
		h = h[max(0, len(h)-s.lookBack):]
	}
	breaks := func(tokens []int32) bool { // a breaker ends in the last of them
		text := ""
		for _, id := range tokens[:len(tokens)-1] {
			text += words[id]
		}
		whole := text + words[tokens[len(tokens)-1]]
		for _, b := range s.breakers {
			for end := len(text) + 1; end <= len(whole); end++ {
				if strings.HasSuffix(whole[:end], b) {
					return true
				}
			}
		}
		return false
	}
	limit := 0
	for limit < len(h) && !breaks(h[:len(h)-limit]) {
		limit++
	}
	found := map[int32]int{}
	for at := 1; at < len(h); at++ { // h[at] came after h[:at]
		n := 0
		for n < limit && n < at && h[at-1-n] == h[len(h)-1-n] {
			n++
		}
		if n >= s.allowed {
			found[h[at]] = max(found[h[at]], n)
		}
	}
	out := map[int32]float64{}
	for id, n := range found {
		spared := false
		for _, b := range s.breakers {
			spared = spared || strings.Contains(words[id], b)
		}
		if !spared {
			out[id] = s.multiplier * math.Pow(s.base, float64(n-s.allowed))
		}
	}
	return out
}

func TestDRYFindsWhatComparingFinds(t *testing.T) {
	words := listWords{"a", "b", "c ", "ab", ":", ".\n", "US", "ER:", "x*y"}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 5))
		s := drySettings{
			multiplier: 0.8, base: []float64{1, 1.75, 3}[r.IntN(3)], allowed: r.IntN(4), lookBack: []int{-1, 3, 10, 100}[r.IntN(4)],
			breakers: [][]string{nil, usualBreakers, {"USER:"}, {"bc", "c a"}}[r.IntN(4)],
		}
		d := newDRY(s, nil, words)
		var h []int32
		n := 1 + r.IntN(len(words))
		for range r.IntN(40) {
			id := r.Int32N(int32(n))
			h = append(h, id)
			d.accept(id)
		}
		if len(h) > 5 && r.IntN(3) == 0 { // back and the same again
			d.rewind(len(h) - 5)
			for _, id := range h[len(h)-5:] {
				d.accept(id)
			}
		}
		if len(h) == 0 {
			continue
		}
		got := make([]float32, len(words))
		d.apply(got)
		want := slowDRY(h, words, s)
		var sc scratch
		logits := sc.clean(make([]float32, len(words)))
		sc.peak(logits)
		cs := sc.reaching(logits, last)
		d.applyTo(cs)
		for id := range words {
			if w := -want[int32(id)]; math.Abs(float64(got[id])-w) > 1e-3*max(1, -w) || cs[id].logit != got[id] {
				t.Fatalf("seed %d: %v of %v: token %d %v (%v), want %v\n%+v", seed, h, words, id, got[id], cs[id].logit, w, want)
			}
		}
	}
}

// The example of llama.cpp's documentation: after "a b c c b c y a b c", c
// would make a repetition of three longer, b one of one, y one of two.
func TestDRYByHand(t *testing.T) {
	words := listWords{"a", "b", "c", "y"}
	h := []int32{0, 1, 2, 2, 1, 2, 3, 0, 1, 2}
	for allowed, want := range map[int]map[int32]int{1: {2: 3, 1: 1, 3: 2}, 2: {2: 3, 3: 2}, 3: {2: 3}, 4: {}} {
		if got := newDRY(drySettings{multiplier: 1, base: 2, allowed: allowed, lookBack: -1}, h, words).find(); !maps.Equal(got, want) {
			t.Errorf("allowed %d: %v, want %v", allowed, got, want)
		}
	}
	d := newDRY(drySettings{multiplier: 0.5, base: 2, allowed: 2, lookBack: -1}, h, words)
	if d.penalty(2) != 0.5 || d.penalty(5) != 4 || d.penalty(100_000) != 1e30 {
		t.Errorf("penalties %v, %v, %v", d.penalty(2), d.penalty(5), d.penalty(100_000))
	}
}

func TestDRYEndsALoop(t *testing.T) {
	words := listWords{"a", "b", "c", "d"}
	logits := []float32{9, 8, 4, 3}
	say := func(p llm.Params) (ids []int32) {
		p.Temperature = new(0.0)
		sm := newSampler(settle(p), []int32{0, 1, 0, 1}, nil, words)
		for range 12 {
			id, _ := sm.pick(logits, new(scratch))
			sm.accept(id)
			ids = append(ids, id)
		}
		return ids
	}
	if got := say(llm.Params{}); slices.ContainsFunc(got, func(id int32) bool { return id != 0 }) {
		t.Errorf("without: %v", got)
	}
	if got := say(llm.Params{DRYMultiplier: new(3.0), DRYAllowedLength: new(1)}); !slices.Contains(got, 1) || !slices.Contains(got, 2) {
		t.Errorf("with: %v", got)
	}
	if got := say(llm.Params{DRYMultiplier: new(3.0), DRYAllowedLength: new(1), DRYBreakers: []string{"a", "b", "c", "d"}}); slices.ContainsFunc(got, func(id int32) bool { return id != 0 }) {
		t.Errorf("across breakers: %v", got)
	}
}
