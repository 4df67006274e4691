package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestAdmit(t *testing.T) {
	cases := []struct {
		name           string
		waiting        []int64
		running, slots int
		free           int64
		want           int
	}{
		{"nobody waits", nil, 0, 4, 100, 0},
		{"all fit", []int64{10, 10}, 0, 4, 100, 2},
		{"no slot", []int64{10}, 4, 4, 100, 0},
		{"slots for some", []int64{10, 10, 10}, 2, 4, 100, 2},
		{"memory for some", []int64{40, 40, 40}, 0, 4, 100, 2},
		{"memory exactly", []int64{50, 50}, 0, 4, 100, 2},
		{"the first that does not fit holds back the rest", []int64{60, 60, 10}, 0, 4, 100, 1},
	}
	for _, c := range cases {
		if got := admit(c.waiting, c.running, c.slots, c.free); got != c.want {
			t.Errorf("%s: %d begin, want %d", c.name, got, c.want)
		}
	}
}

func TestShare(t *testing.T) {
	w := func(left int) job { return job{left: left, wait: true} }
	j := func(left int) job { return job{left: left} }
	cases := []struct {
		name  string
		jobs  []job
		chunk int
		want  []int
	}{
		{"nothing", nil, 8, []int{}},
		{"all generate", []job{j(1), j(1)}, 8, []int{1, 1}},
		{"one prompt", []job{j(100)}, 8, []int{8}},
		{"the end of a prompt", []job{j(5)}, 8, []int{5}},
		{"a prompt beside a stream", []job{j(1), j(100), j(1)}, 8, []int{1, 8, 1}},
		{"half for the oldest, half for the shortest", []job{j(100), j(50), j(20)}, 8, []int{4, 0, 4}},
		{"what the shortest does not need", []job{j(100), j(50), j(2)}, 8, []int{6, 0, 2}},
		{"what neither needs", []job{j(3), j(50), j(2)}, 8, []int{3, 3, 2}},
		{"the oldest is the shortest", []job{j(20), j(50)}, 8, []int{8, 0}},
		{"equal ones in order", []job{j(20), j(20), j(20)}, 8, []int{8, 0, 0}},
		{"one waits for another", []job{j(20), w(10)}, 8, []int{8, 0}},
		{"one waits, another need not", []job{j(20), w(10), j(15)}, 8, []int{4, 0, 4}},
		{"a chunk of nothing still goes on", []job{j(20)}, 0, []int{1}},
	}
	for _, c := range cases {
		if got := share(c.jobs, c.chunk); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestShareKeepsItsRules(t *testing.T) {
	for i := range uint64(5000) {
		r := rand.New(rand.NewPCG(i, 1))
		jobs := make([]job, r.IntN(9))
		for k := range jobs {
			jobs[k].left = 1 + r.IntN(1+r.IntN(60))
			jobs[k].wait = k > 0 && jobs[k].left > 1 && r.IntN(4) == 0
		}
		chunk := 1 + r.IntN(40)
		tokens := share(jobs, chunk)
		name := fmt.Sprint(jobs, chunk, tokens)
		prompts, open := 0, 0
		for k, j := range jobs {
			switch n := tokens[k]; {
			case n < 0 || n > j.left:
				t.Fatal("impossible: ", name)
			case j.wait && n > 0:
				t.Fatal("one that waits was given tokens: ", name)
			case j.left == 1 && n != 1:
				t.Fatal("one that generates rests: ", name)
			case j.left > 1 && !j.wait:
				prompts += n
				open += j.left
			}
		}
		if want := min(chunk, open); prompts != want {
			t.Fatal("tokens of prompts, want ", want, ": ", name)
		}
	}
}

// Prompts come for ever, long and short ones, so that there is always a shorter
// one. None waits longer than it takes to read those that came before it, at half
// the speed.
func TestEveryPromptIsReadInTime(t *testing.T) {
	const slots, chunk = 8, 16
	type prompt struct{ left, ahead, age int }
	var running []prompt
	r := rand.New(rand.NewPCG(1, 4))
	for range 20_000 {
		for len(running) < slots {
			size, ahead := []int{20, 20, 20, 3000}[r.IntN(4)]+r.IntN(20), 0
			for _, p := range running {
				ahead += p.left
			}
			running = append(running, prompt{size, ahead + size, 0})
		}
		jobs := make([]job, len(running))
		for i, p := range running {
			jobs[i] = job{left: p.left}
		}
		for i, n := range share(jobs, chunk) {
			p := &running[i]
			p.left -= n
			if p.age++; p.age > p.ahead/(chunk/2)+slots {
				t.Fatalf("a prompt waits for %d steps behind %d tokens: %v", p.age, p.ahead, jobs)
			}
		}
		running = slices.DeleteFunc(running, func(p prompt) bool { return p.left == 0 })
	}
}

// A machine that takes a fixed time to read the weights and some for each
// token: steps must come to take as long as they should, and never much longer.
func TestPacerFindsTheChunkForTheMachine(t *testing.T) {
	for _, m := range []struct{ weights, token time.Duration }{
		{100 * time.Microsecond, 20 * time.Microsecond},
		{20 * time.Millisecond, 2 * time.Millisecond},
		{20 * time.Millisecond, 7 * time.Millisecond},
		{time.Nanosecond, 0},
	} {
		var p pacer
		cost := func(n int) time.Duration { return m.weights + time.Duration(n)*m.token }
		var took time.Duration
		for i := range 60 {
			n := p.chunk(0)
			took = cost(n)
			if i > 0 && took > 250*time.Millisecond {
				t.Errorf("%v: step %d of %d tokens takes %v", m, i, n, took)
			}
			p.observe(n, took)
		}
		if n := p.chunk(0); n < mostChunk && (took < stepAlone*6/10 || took > stepAlone*12/10) {
			t.Errorf("%v: in the end %d tokens take %v", m, n, took)
		}
		for _, streams := range []int{1, 8, 64} {
			var took time.Duration
			n := 0
			for range 60 {
				n = p.chunk(streams)
				took = cost(n + streams)
				p.observe(n+streams, took)
			}
			if took > stepMixed*12/10 && n > leastChunk {
				t.Errorf("%v: beside %d streams %d tokens, %v", m, streams, n, took)
			}
		}
		for range 60 {
			n := p.chunk(0)
			p.observe(n, cost(n))
		}
		n := p.chunk(0)
		p.observe(2, cost(2)) // the end of a prompt
		if p.chunk(0) != n {
			t.Errorf("%v: after a small step %d tokens, before %d", m, p.chunk(0), n)
		}
	}
	var p pacer
	p.observe(8, 10*time.Second)
	if n := p.chunk(0); n != leastChunk {
		t.Errorf("a very slow machine reads %d tokens in a step", n)
	}
}
