package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
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
	w := func(left int) job { return job{left: left, wait: true, cost: 1} }
	j := func(left int) job { return job{left: left, cost: 1} }
	d := func(left int) job { return job{left: left, cost: 5} } // behind a long context
	cases := []struct {
		name  string
		jobs  []job
		chunk float64
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
		{"a long context costs more", []job{d(100), j(1)}, 12, []int{2, 1}},
		{"half of the work, not of the tokens", []job{d(100), j(50)}, 20, []int{2, 10}},
		{"one token of a long context is too much", []job{d(100)}, 4, []int{1}},
		{"neither stops the other", []job{d(100), j(50)}, 4, []int{1, 1}},
		{"what the oldest cannot use", []job{d(100), j(50)}, 8, []int{1, 3}},
		{"the shortest sees much", []job{j(100), d(50)}, 8, []int{3, 1}},
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
			jobs[k].cost = 1 + float64(r.IntN(3))*r.Float64()*5
			jobs[k].wait = k > 0 && jobs[k].left > 1 && r.IntN(4) == 0
		}
		chunk := 40 * r.Float64()
		tokens := share(jobs, chunk)
		name := fmt.Sprint(jobs, chunk, tokens)
		work, open, least, dearest := 0.0, 0.0, 0.0, 0.0
		oldest, shortest := -1, -1
		for k, j := range jobs {
			switch n := tokens[k]; {
			case n < 0 || n > j.left:
				t.Fatal("impossible: ", name)
			case j.wait && n > 0:
				t.Fatal("one that waits was given tokens: ", name)
			case j.left == 1 && n != 1:
				t.Fatal("one that generates rests: ", name)
			case j.left > 1 && !j.wait:
				work += float64(n) * j.cost
				open += float64(j.left) * j.cost
				dearest = max(dearest, j.cost)
				if oldest < 0 {
					oldest, shortest = k, k
				} else if j.left < jobs[shortest].left {
					shortest = k
				}
			}
		}
		if oldest < 0 {
			continue
		}
		if tokens[oldest] < 1 || tokens[shortest] < 1 {
			t.Fatal("one is stopped: ", name)
		}
		if least = jobs[oldest].cost; oldest != shortest {
			least += jobs[shortest].cost
		}
		const rounded = 1e-6
		if most := max(chunk, least); work > most+rounded || work < min(open, most-dearest)-rounded {
			t.Fatal("work ", work, " of ", most, ": ", name)
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
			jobs[i] = job{left: p.left, cost: 1}
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
