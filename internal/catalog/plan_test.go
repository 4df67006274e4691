package catalog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/limits"
)

var noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

// ago is a number of seconds before noon, the now of the table.
func ago(s float64) time.Time { return noon.Add(-time.Duration(s * float64(time.Second))) }

// A model of the table: where it goes, and then what it is doing.
func at(group string, memory int64, change ...func(*view)) view {
	v := view{place: place{memory: memory, pools: []string{mainMemory}, group: group}}
	for _, f := range change {
		f(&v)
	}
	return v
}

// up is loaded for a minute and was last used so many seconds ago.
func up(used float64) func(*view) {
	return func(v *view) { v.phase, v.ready, v.used = ready, ago(60), ago(used) }
}

// asked has requests that wait, the first for so many seconds.
func asked(since float64) func(*view) { return func(v *view) { v.waiting, v.since = 1, ago(since) } }

func busy(v *view)                     { v.running = 1 }
func fresh(v *view)                    { v.ready, v.used = ago(2), ago(1.5) }
func in(p phase) func(*view)           { return func(v *view) { v.phase = p } }
func prio(n int) func(*view)           { return func(v *view) { v.priority = n } }
func on(gpus ...string) func(*view)    { return func(v *view) { v.pools = gpus } }
func idle(d time.Duration) func(*view) { return func(v *view) { v.idle = d } }

func TestWhatIsUnloadedToLetAnotherIn(t *testing.T) {
	groups := map[string]Group{
		"one":   {Together: 1},
		"alone": {Exclusive: true, Together: 1},
		"kept":  {Keep: true},
	}
	const never = -1
	tests := []struct {
		name   string
		models []view
		want   string  // what is done: + load, - unload, ~ takes no new requests, ! refuse; by place in the list
		wake   float64 // seconds from now
	}{
		{"nothing is asked for", []view{at("", 6), at("", 6, up(5))}, "", never},
		{"it fits", []view{at("", 4, asked(0)), at("", 6, up(5))}, "+0", never},
		{"the least recently used leaves", []view{at("", 4, asked(0)), at("", 5, up(5)), at("", 5, up(50))}, "-2", never},
		{"no more than have to", []view{at("", 5, asked(0)), at("", 2, up(50)), at("", 3, up(40)), at("", 5, up(5))}, "-1 -2", never},
		{"not the small one when the large one must leave anyway", []view{at("", 9, asked(0)), at("", 1, up(50)), at("", 8, up(40))}, "-2", never},
		{"two leave where one is too small", []view{at("", 10, asked(0)), at("", 5, up(5)), at("", 5, up(50))}, "-1 -2", never},
		{"one that is not known fits always", []view{at("", 0, asked(0)), at("", 10, up(5))}, "+0", never},
		{"it waits for what is still leaving", []view{at("", 6, asked(0)), at("", 6, in(unloading))}, "", never},
		{"nothing more leaves while that is leaving", []view{at("", 6, asked(0)), at("", 6, in(unloading)), at("", 4, up(5))}, "", never},
		{"requests end before their model leaves", []view{at("", 6, asked(0)), at("", 6, up(5), busy)}, "~1", never},
		{"the unused one leaves, however recent", []view{at("", 5, asked(0)), at("", 5, up(50), busy), at("", 5, up(5))}, "-2", never},
		{"a turn is finished", []view{at("", 6, asked(0)), at("", 6, up(5), busy, fresh)}, "", 8},
		{"a turn ends with the work", []view{at("", 6, asked(0)), at("", 6, up(5), fresh)}, "-1", never},
		{"but not at once", []view{at("", 6, asked(0)), at("", 6, up(0.25), func(v *view) { v.ready = ago(2) })}, "", 0.75},
		{"a long load has a long turn", []view{at("", 6, asked(0)), at("", 6, up(5), busy, func(v *view) { v.took, v.ready = 30*time.Second, ago(20) })}, "", 10},
		{"a load that is waited for goes on", []view{at("", 6, asked(0)), at("", 6, in(loading), asked(1))}, "", never},
		{"a load that nobody waits for is broken off", []view{at("", 6, asked(0)), at("", 6, in(loading))}, "-1", never},
		{"a load that nobody waits for goes on if it is in nobody's way", []view{at("", 4, asked(0)), at("", 6, in(loading))}, "+0", never},
		{"the one that waits longer goes first", []view{at("", 6, asked(1)), at("", 6, asked(2))}, "+1", never},
		{"the one of higher priority goes first", []view{at("", 6, asked(1), prio(1)), at("", 6, asked(2))}, "+0", never},
		{"unless it has waited too long", []view{at("", 6, asked(1), prio(1)), at("", 6, asked(61))}, "+1", never},
		{"a small one does not take the place of a large one that waits", []view{at("", 10, asked(5)), at("", 6, up(5), busy), at("", 4, asked(0))}, "~1", never},
		{"a small one that is in nobody's way is loaded at once", []view{at("", 7, asked(5)), at("", 6, up(5), busy), at("", 3, asked(0))}, "+2 ~1", never},
		{"low priority leaves before long unused", []view{at("", 5, asked(0)), at("", 5, up(500), prio(1)), at("", 5, up(90))}, "-2", never},
		{"high priority is left alone for a while", []view{at("", 6, asked(0)), at("", 6, up(45), prio(1))}, "", 15},
		{"and then not", []view{at("", 6, asked(0)), at("", 6, up(60), prio(1))}, "-1", never},
		{"in use, high priority is left alone until the other has waited long", []view{at("", 6, asked(20)), at("", 6, up(90), prio(1), busy)}, "", 40},
		{"and then not either", []view{at("", 6, asked(60)), at("", 6, up(90), prio(1), busy)}, "~1", never},
		{"high priority does not wait for low", []view{at("", 6, asked(0), prio(1)), at("", 6, up(5), busy)}, "~1", never},
		{"too large", []view{at("", 11, asked(0)), at("", 6, up(5))}, "!0", never},
		{"too large beside what is kept", []view{at("", 8, asked(0)), at("kept", 4, up(500))}, "!0", never},
		{"what is kept stays", []view{at("", 6, asked(0)), at("kept", 4, up(500)), at("", 6, up(5))}, "-2", never},
		{"among themselves the kept make room", []view{at("kept", 8, asked(0)), at("kept", 4, up(500))}, "-1", never},
		{"one of a group at a time", []view{at("one", 1, asked(0)), at("one", 1, up(5)), at("", 1, up(50))}, "-1", never},
		{"groups do not disturb each other", []view{at("one", 1, asked(0)), at("", 1, up(5))}, "+0", never},
		{"exclusive", []view{at("alone", 1, asked(0)), at("one", 1, up(5)), at("", 1, up(50)), at("kept", 1, up(5)), at("alone", 1, up(5))}, "-1 -2 -4", never},
		{"exclusive waits for all", []view{at("alone", 1, asked(0)), at("one", 1, up(5)), at("", 1, up(50), busy)}, "-1 ~2", never},
		{"others may come to an exclusive one", []view{at("", 1, asked(0)), at("alone", 1, up(5))}, "+0", never},
		{"but not before it", []view{at("", 1, asked(0)), at("alone", 1, asked(5)), at("one", 1, up(50), busy)}, "~2", never},
		{"GPUs are apart", []view{at("", 8, asked(0), on("0")), at("", 8, up(5), on("1")), at("", 8, up(5))}, "+0", never},
		{"a GPU is full", []view{at("", 8, asked(0), on("0")), at("", 8, up(5), on("1")), at("", 8, up(5), on("0"))}, "-2", never},
		{"two GPUs share a model", []view{at("", 16, asked(0), on("0", "1")), at("", 8, up(5), on("1"))}, "-1", never},
		{"a GPU without a bound takes all", []view{at("", 800, asked(0), on("7")), at("", 8, up(5), on("7"))}, "+0", never},
		{"idle", []view{at("", 6, up(600), idle(10*time.Minute)), at("", 1, up(540), idle(10*time.Minute)), at("", 1, up(600))}, "-0", 60},
		{"not idle while it works", []view{at("", 6, up(600), busy, idle(time.Minute))}, "", never},
		{"more than there is room for, as was learned", []view{at("", 6, up(5)), at("", 6, up(50)), at("", 3, up(70), busy), at("", 0, up(90))}, "-1", never},
		{"wanted", []view{at("", 6, func(v *view) { v.wanted = true })}, "+0", never},
		{"wanted, but not yet", []view{at("", 6, func(v *view) { v.wanted, v.notYet = true, noon.Add(3*time.Second) })}, "", 3},
		{"dismissed", []view{at("", 6, up(0), func(v *view) { v.dismissed = true }), at("", 1, up(0), busy, func(v *view) { v.dismissed = true })}, "-0 ~1", never},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rules{budgets: map[string]int64{mainMemory: 10, "0": 10, "1": 10}, groups: groups}
			d := r.decide(noon, tt.models)
			if got := written(d); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			wake := float64(never)
			if !d.wake.IsZero() {
				wake = d.wake.Sub(noon).Seconds()
			}
			if wake != tt.wake {
				t.Errorf("looks again after %g s, want %g", wake, tt.wake)
			}
		})
	}
}

func written(d decision) string {
	var all []string
	for _, list := range []struct {
		mark string
		of   []int
	}{{"+", d.load}, {"-", d.unload}, {"!", d.refuse}} {
		for _, i := range slices.Sorted(slices.Values(list.of)) {
			all = append(all, fmt.Sprint(list.mark, i))
		}
	}
	for i, is := range d.draining {
		if is {
			all = append(all, fmt.Sprint("~", i))
		}
	}
	return strings.Join(all, " ")
}

func TestAnEstimateBoundsTheOthersButNotAModelAlone(t *testing.T) {
	r := rules{budgets: map[string]int64{mainMemory: 10}, soft: true}
	if got := written(r.decide(noon, []view{at("", 30, asked(0)), at("", 1, up(50))})); got != "-1" {
		t.Errorf("beside another: %q", got)
	}
	if got := written(r.decide(noon, []view{at("", 30, asked(0))})); got != "+0" {
		t.Errorf("alone: %q", got)
	}
}

// world plays a server's life against the decisions, under a clock that jumps
// from event to event.
type world struct {
	*rules
	rnd   *rand.Rand
	now   time.Time
	m     []view
	queue [][]time.Time // of each model: when its requests came
	ends  []event
	given []time.Time   // of each model: when it last took a request
	gone  []time.Time   // and when it was last unloaded
	worst time.Duration // that a model took none although some waited
	left  int           // requests that have not been answered
	log   []string
}

type event struct {
	at   time.Time
	do   func()
	what string
}

func (w *world) later(d time.Duration, what string, do func()) {
	w.ends = append(w.ends, event{w.now.Add(d), do, what})
}

func (w *world) upTo(most time.Duration) time.Duration {
	return time.Duration(w.rnd.Int64N(int64(most)))
}

// step does what is decided, and checks that it may be done.
func (w *world) step() error {
	for i := range w.m {
		w.m[i].waiting = len(w.queue[i])
		if len(w.queue[i]) > 0 {
			w.m[i].since = later(w.queue[i][0], w.gone[i])
		}
	}
	d := w.decide(w.now, w.m)
	w.log = append(w.log, fmt.Sprintf("%s %s", w.now.Sub(noon), written(d)))
	for _, i := range d.refuse {
		return fmt.Errorf("%d was refused", i)
	}
	for _, i := range d.unload {
		v := &w.m[i]
		if v.running > 0 || v.phase != ready && v.phase != loading || v.phase == loading && v.waiting > 0 {
			return fmt.Errorf("%d was unloaded in use", i)
		}
		v.phase = unloading
		w.later(w.upTo(3*time.Second), "unloaded", func() { v.phase, w.gone[i] = unloaded, w.now })
	}
	for _, i := range d.load {
		v := &w.m[i]
		if v.phase != unloaded || v.waiting == 0 {
			return fmt.Errorf("%d was loaded for nobody", i)
		}
		v.phase = loading
		if err := w.check(i); err != nil {
			return err
		}
		took := w.upTo(20 * time.Second)
		w.later(took, "loaded", func() {
			if v.phase == loading {
				v.phase, v.ready, v.used, v.took = ready, w.now, w.now, took
			}
		})
	}
	for i := range w.m {
		v := &w.m[i]
		if v.phase != ready || d.draining[i] {
			continue
		}
		for len(w.queue[i]) > 0 && v.running < 4 {
			w.worst, w.given[i] = max(w.worst, w.now.Sub(later(w.queue[i][0], w.given[i]))), w.now
			w.queue[i] = w.queue[i][1:]
			v.running++
			w.later(w.upTo(15*time.Second), "answered", func() {
				v.running--
				v.used = w.now
				w.left--
			})
		}
	}
	if !d.wake.IsZero() {
		if !d.wake.After(w.now) {
			return fmt.Errorf("wakes at once, for ever")
		}
		w.ends = slices.DeleteFunc(w.ends, func(e event) bool { return e.what == "wake" })
		w.ends = append(w.ends, event{d.wake, func() {}, "wake"})
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// check looks at what is loaded together with a model that is about to be.
func (w *world) check(i int) error {
	sums, together := map[string]int64{}, 0
	for j := range w.m {
		v := &w.m[j]
		if v.phase == unloaded {
			continue
		}
		for _, pool := range v.pools {
			sums[pool] += v.memory / int64(len(v.pools))
		}
		if v.group == w.m[i].group && v.group != "" {
			together++
		}
		if w.groups[w.m[i].group].Exclusive && v.group != w.m[i].group && !w.groups[v.group].Keep {
			return fmt.Errorf("%d is loaded beside the exclusive %d", j, i)
		}
	}
	for pool, sum := range sums {
		if budget, bounded := w.budgets[pool]; bounded && sum > budget {
			return fmt.Errorf("%d bytes in pool %q of %d", sum, pool, budget)
		}
	}
	if most := w.groups[w.m[i].group].Together; most > 0 && together > most {
		return fmt.Errorf("%d of group %q together", together, w.m[i].group)
	}
	return nil
}

// TestDecisionsKeepTheBoundsAndServeEverybody plays random lives of random
// servers: no bound is ever exceeded, no model leaves a request, everybody is
// answered, and no model that is asked for is left waiting beyond a bound,
// however much others are asked for.
func TestDecisionsKeepTheBoundsAndServeEverybody(t *testing.T) {
	const lives = 80
	for seed := range uint64(lives) {
		w := life(seed)
		if err := w.play(); err != nil {
			t.Fatalf("life %d: %v\n%s", seed, err, strings.Join(w.log[max(0, len(w.log)-30):], "\n"))
		}
		// The turn, drain, unload and load of every other model and its own,
		// and the patience that low priority needs.
		bound := time.Duration(len(w.m))*(20+15+3+20)*time.Second + seconds(limits.PatienceSeconds)
		if w.worst > bound {
			t.Errorf("life %d: a model waited %s, more than %s, of %d", seed, w.worst, bound, len(w.m))
		}
	}
}

func life(seed uint64) *world {
	rnd := rand.New(rand.NewPCG(seed, 1))
	w := &world{rnd: rnd, now: noon, rules: &rules{
		budgets: map[string]int64{mainMemory: 10, "0": 8},
		groups: map[string]Group{
			"one": {Together: 1}, "two": {Together: 2}, "alone": {Exclusive: true, Together: 1 + rnd.IntN(2)}, "kept": {Keep: true},
		},
	}}
	names := []string{"", "", "one", "two", "alone", "alone", "kept"}
	kept := int64(0)
	for range 2 + rnd.IntN(6) {
		v := at(names[rnd.IntN(len(names))], rnd.Int64N(9))
		v.priority = rnd.IntN(3)
		if v.group == "kept" {
			v.memory = min(v.memory, 1-kept) // the rest has to fit beside them
			kept += v.memory
		}
		switch rnd.IntN(4) {
		case 0:
			v.pools = []string{"0"}
			if v.group == "kept" {
				v.pools = []string{mainMemory}
			}
		case 1:
			if v.group != "kept" {
				v.pools = []string{mainMemory, "0"}
			}
		}
		if rnd.IntN(2) == 0 {
			v.idle = time.Minute
		}
		w.m = append(w.m, v)
	}
	w.queue, w.given, w.gone = make([][]time.Time, len(w.m)), make([]time.Time, len(w.m)), make([]time.Time, len(w.m))
	return w
}

// play has requests come for ten minutes, in bursts, and then answers the rest.
func (w *world) play() error {
	for n := range 200 {
		at := w.upTo(10 * time.Minute)
		i := w.rnd.IntN(len(w.m))
		if n%2 == 0 {
			i = 0 // everybody's favourite
		}
		w.left++
		w.later(at, "asked", func() { w.queue[i] = append(w.queue[i], w.now) })
	}
	for steps := 0; len(w.ends) > 0; steps++ {
		if steps > 100_000 {
			return fmt.Errorf("it never ends")
		}
		next := 0
		for i := range w.ends {
			if w.ends[i].at.Before(w.ends[next].at) {
				next = i
			}
		}
		e := w.ends[next]
		w.ends = slices.Delete(w.ends, next, next+1)
		w.now = e.at
		e.do()
		if err := w.step(); err != nil {
			return err
		}
	}
	if w.left > 0 {
		return fmt.Errorf("%d requests were never answered", w.left)
	}
	return nil
}
