package engine

import (
	"testing"
	"time"
)

// A machine takes a fixed time to read the weights, some for each token, and some for
// each that a token sees.
type machine struct{ weights, token, seen time.Duration }

func (m machine) cost(tokens int, seen float64) time.Duration {
	return m.weights + time.Duration(tokens)*m.token + time.Duration(seen*float64(m.seen))
}

// Steps must come to take as long as they should, and never much longer.
func TestPacerFindsTheChunkForTheMachine(t *testing.T) {
	for _, m := range []machine{
		{100 * time.Microsecond, 20 * time.Microsecond, 0},
		{20 * time.Millisecond, 2 * time.Millisecond, 0},
		{20 * time.Millisecond, 7 * time.Millisecond, 0},
		{time.Nanosecond, 0, 0},
	} {
		var p pacer
		step := func(streams int, small bool) (n int, took time.Duration) {
			limit := stepAlone
			if streams > 0 {
				limit = stepMixed
			}
			n = int(p.of(streams > 0).chunk(limit, 0, float64(streams)))
			if small {
				n = 2
			}
			took = m.cost(n+streams, 0)
			p.observe(streams > 0, n+streams, 0, took)
			return n, took
		}
		var n int
		var took time.Duration
		for i := range 60 {
			if n, took = step(0, false); i > 0 && took > 250*time.Millisecond {
				t.Errorf("%v: step %d of %d tokens takes %v", m, i, n, took)
			}
		}
		if n < mostChunk && (took < stepAlone*6/10 || took > stepAlone*12/10) {
			t.Errorf("%v: in the end %d tokens take %v", m, n, took)
		}
		for _, streams := range []int{1, 8, 64} {
			for range 60 {
				n, took = step(streams, false)
			}
			if took > stepMixed*12/10 && n > leastChunk {
				t.Errorf("%v: beside %d streams %d tokens, %v", m, streams, n, took)
			}
		}
		for range 60 {
			n, _ = step(0, false)
		}
		step(0, true) // the end of a prompt
		if now, _ := step(0, false); now != n {
			t.Errorf("%v: after a small step %d tokens, before %d", m, now, n)
		}
	}
	var p pacer
	p.alone.chunk(stepAlone, 0, 0)
	p.observe(false, 8, 0, 10*time.Second)
	if n := p.alone.chunk(stepAlone, 0, 0); n != leastChunk {
		t.Errorf("a very slow machine reads %v tokens in a step", n)
	}
}

// Where nobody waits, as many tokens are read as make the weights worth reading, be
// the machine as slow as it may.
func TestPacerReadsEnoughWhereNobodyWaits(t *testing.T) {
	m := machine{500 * time.Millisecond, 90 * time.Millisecond, 0}
	var p pacer
	n := 0
	for range 10 {
		n = int(p.alone.chunk(stepAlone, 64, 0))
		p.observe(false, n, 0, m.cost(n, 0))
	}
	if n != 64 {
		t.Errorf("%d tokens, want 64", n)
	}
}

// Whatever a token that sees others costs, the chunk shrinks as the context grows, and
// steps take as long as before. A jump to a much longer one is foreseen.
func TestPacerFollowsTheContext(t *testing.T) {
	const shape = 1.0 / 12_000 // what model.Seen gives for each token before
	for _, truly := range []float64{seeingAssumed / 2.0, seeingAssumed, 1.5 * seeingAssumed} {
		m := machine{5 * time.Millisecond, 2 * time.Millisecond, time.Duration(truly * shape * float64(2*time.Millisecond))}
		var p pacer
		step := func(at int) (n int, took time.Duration) {
			cost := p.cost(shape * float64(at))
			n = max(1, int(p.mixed.chunk(stepMixed, 0, 0)/cost))
			took = m.cost(n, float64(n*at))
			p.observe(true, n, shape*float64(n*at), took)
			return n, took
		}
		at, first := 0, 0
		for at < 8000 {
			n, took := step(at)
			if at += n; took > stepMixed*12/10 || at > 1000 && took < stepMixed/2 {
				t.Fatalf("seeing costs %v: %d tokens behind %d take %v", truly, n, at-n, took)
			}
			first = max(first, n)
		}
		n, took := step(30_000)
		if took > stepMixed*15/10 || n >= first {
			t.Errorf("seeing costs %v: a jump: %d tokens behind 30000 take %v, at first %d", truly, n, took, first)
		}
		for at = 30_000; at < 31_000; at += n {
			if n, took = step(at); took > stepMixed*13/10 {
				t.Errorf("seeing costs %v: %d tokens behind %d take %v", truly, n, at, took)
			}
		}
		for i := range 40 {
			if n, took = step(0); i > 20 && (took < stepMixed*6/10 || took > stepMixed*12/10) {
				t.Errorf("seeing costs %v: back at the beginning %d tokens take %v", truly, n, took)
			}
		}
	}
}
