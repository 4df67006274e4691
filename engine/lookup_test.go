package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// longestRun is the answer of a lookup by the definition: the longest run that
// stood before, of those as long the newest.
func longestRun(expected, text []int32, most int) (draft []int32, run int) {
	look := func(in []int32, ends []int) {
		for _, at := range ends {
			n := 0
			for n < lookupLong && n < at && n < len(text) && in[at-1-n] == text[len(text)-1-n] {
				n++
			}
			if n >= lookupRun && n > run {
				run, draft = n, nil
				for i := range most {
					switch {
					case at+i < len(in):
						draft = append(draft, in[at+i])
					case &in[0] == &text[0]:
						draft = append(draft, draft[at+i-len(in)])
					}
				}
			}
		}
	}
	backwards := func(n int) (list []int) {
		for at := n; at >= lookupRun; at-- {
			list = append(list, at)
		}
		return list
	}
	if len(text) >= lookupRun {
		look(text, backwards(len(text)-1))
		if len(expected) > 0 {
			look(expected, backwards(len(expected)))
		}
	}
	return draft, run
}

func TestALookupFindsTheLongestRun(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		word := func() int32 { return int32(r.IntN(2 + int(seed%9))) }
		var expected, text []int32
		for range r.IntN(2) * r.IntN(12) {
			expected = append(expected, word())
		}
		for range r.IntN(4) {
			text = append(text, word())
		}
		l := newLookup(text, expected, 40)
		for range 60 {
			if r.IntN(8) == 0 {
				text = text[:len(text)-r.IntN(len(text)+1)]
				l.rewind(len(text))
			}
			id := word()
			text = append(text, id)
			l.add(id)
			draft, run := l.find(6)
			want, longest := longestRun(expected, text, 6)
			// Among many places some are not looked at.
			if places := len(text) + len(expected); places <= lookupTries && (run != longest || !slices.Equal(draft, want)) {
				t.Fatalf("seed %d: expected %v, text %v: got %v behind %d, want %v behind %d", seed, expected, text, draft, run, want, longest)
			}
			if run > longest || run > 0 && run < lookupRun || l.length() != len(text) {
				t.Fatalf("seed %d: a run of %d of %d", seed, run, longest)
			}
		}
	}
}

func TestALookupGoesOnWithWhatRepeatsItself(t *testing.T) {
	l := newLookup([]int32{9, 1, 2, 3, 1, 2, 3}, nil, 10)
	if draft, run := l.find(5); !slices.Equal(draft, []int32{1, 2, 3, 1, 2}) || run != 3 {
		t.Errorf("got %v behind %d", draft, run)
	}
}

func BenchmarkLookup(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	text := make([]int32, 100_000)
	for i := range text {
		text[i] = int32(r.IntN(200))
	}
	b.Run("100,000 tokens filed", func(b *testing.B) {
		for b.Loop() {
			newLookup(text, nil, len(text))
		}
	})
	l := newLookup(text, nil, len(text))
	b.Run("a step", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			l.find(16)
			l.add(text[i%len(text)])
			l.rewind(len(text))
		}
	})
}
