package textmatch_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"parley/internal/textmatch"
)

// plainGuard is the rule of a LoopGuard, written down as it is told.
type plainGuard struct {
	bound  int
	units  []uint32
	counts map[[textmatch.LoopRun]uint32]int
	stale  int
}

func (g *plainGuard) see(unit uint32) bool {
	g.units = append(g.units, unit)
	if len(g.units) < textmatch.LoopRun {
		return false
	}
	run := [textmatch.LoopRun]uint32(g.units[len(g.units)-textmatch.LoopRun:])
	if g.counts[run] < textmatch.LoopBefore {
		g.counts[run]++
		g.stale = 0
		return false
	}
	g.stale++
	return g.stale >= g.bound
}

func TestALoopIsFoundWhereTheRuleSaysSo(t *testing.T) {
	found := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		bound := []int{1, 2, 15, 16, 17, 100, 1023, 1024, 1025, 3000}[r.IntN(10)]
		var text []uint32
		for range r.IntN(2000) { // something new
			text = append(text, r.Uint32N(500))
		}
		period := make([]uint32, 1+r.IntN(60))
		for i := range period {
			period[i] = r.Uint32N(500)
		}
		text = append(text, slices.Repeat(period, 1+r.IntN(6000)/len(period))...)
		fast, plain := textmatch.LoopGuard{Bound: bound}, plainGuard{bound: bound, counts: map[[textmatch.LoopRun]uint32]int{}}
		for i, unit := range text {
			got, want := fast.See(unit), plain.see(unit)
			if got != want {
				t.Fatalf("seed %d, bound %d, unit %d of %d: %v, want %v", seed, bound, i, len(text), got, want)
			}
			if got {
				found++
				break
			}
		}
		if fast.Seen != len(plain.units) {
			t.Fatalf("it has seen %d units of %d", fast.Seen, len(plain.units))
		}
	}
	if found < 50 {
		t.Errorf("only %d loops were found", found)
	}
}

func TestAGuardThatIsOffSeesNothing(t *testing.T) {
	var g textmatch.LoopGuard
	for range 10_000 {
		if g.See(7) || g.Seen != 0 {
			t.Fatal("it found a loop")
		}
	}
}

func BenchmarkLoopGuard(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		g := textmatch.LoopGuard{Bound: 1024}
		for i := range uint32(400) {
			g.See(i * 2654435761)
		}
	}
}
