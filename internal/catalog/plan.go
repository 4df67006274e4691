package catalog

import (
	"cmp"
	"slices"
	"time"

	"parley/internal/limits"
)

// What models come and go by. Which of them is loaded and which makes room is
// decided by one function without a clock, a lock or a side effect: decide.
// Its rules, in the order in which they are applied:
//
//  1. A model that nobody used for its idle time is unloaded. Where what
//     models need is only learned when they are loaded, and is too much, those
//     go that were unused for longest.
//  2. Those that are asked for and not loaded are looked at one by one: first
//     those that have waited longer than anybody should, then by priority,
//     then by how long they have waited since they were last loaded.
//  3. One that can never fit is refused.
//  4. One that fits beside all that is loaded, or promised to one before it,
//     is loaded.
//  5. For one that does not fit, the fewest models are chosen that make room:
//     unused ones first, then those of low priority, then those unused for
//     longest. Their place is promised to it; nobody later in the row gets it.
//  6. A chosen model is unloaded when the requests that it works on have
//     ended, and takes no new ones meanwhile; it is never taken from a
//     running request. A load that nobody waits for any more is broken off.
//  7. A model has a turn before it can be chosen: as long as its load took,
//     within bounds, unless it is out of work before. One of higher priority
//     is left alone while it is in use and for a while after, except by those
//     that have waited longer than anybody should.

// A Group says which models may be loaded at the same time.
type Group struct {
	Together  int  // so many of its models at a time; 0: any number
	Exclusive bool // loading one of its models unloads those that are not of the group
	Keep      bool // its models are never unloaded for the sake of models that are not of the group
}

// place says where a model goes and what it takes.
type place struct {
	memory   int64    // bytes; 0: not known, and not counted
	pools    []string // of which it takes equal parts; "" is main memory
	group    string   // "" is none
	priority int
	idle     time.Duration // 0: unloaded only to make room
}

// phase is where in its life a model is.
type phase uint8

const (
	unloaded phase = iota
	loading
	ready
	unloading
)

// A view is what the decision needs to know of a model.
type view struct {
	place
	phase   phase
	wanted  bool          // to be loaded although no request waits for it
	waiting int           // requests that wait for it
	since   time.Time     // it waits for its place since then: the first of them came, or it was wanted, or it was unloaded with requests left
	running int           // requests that use it
	took    time.Duration // to load
	ready   time.Time     // since when it is loaded
	used    time.Time     // when a request last ended; not before ready
	notYet  time.Time     // it is not loaded before this time, unless a request waits for it

	dismissed bool // it is to be unloaded as soon as no request uses it
}

// A decision is what is to be done, by index of the models.
type decision struct {
	load, unload []int
	refuse       []int     // those that can never fit; see obstacle
	draining     []bool    // those that take no new requests
	wake         time.Time // when to decide again although nothing has happened; zero: never
}

func (d *decision) wakeAt(t time.Time) {
	if d.wake.IsZero() || t.Before(d.wake) {
		d.wake = t
	}
}

// rules bound what may be loaded at a time.
type rules struct {
	budgets map[string]int64 // bytes of each pool; a pool without one is not bounded
	soft    bool             // the budget of main memory is an estimate: one model alone may exceed it
	groups  map[string]Group
}

// share is what a model takes of one of its pools.
func (r *rules) share(p *place, pool string) int64 {
	if !slices.Contains(p.pools, pool) {
		return 0
	}
	share := p.memory / int64(len(p.pools))
	if budget, bounded := r.budgets[pool]; bounded && r.soft && pool == "" {
		share = min(share, budget)
	}
	return share
}

// kept reports whether a model cannot be unloaded for the sake of another.
func (r *rules) kept(it, other *place) bool {
	return r.groups[it.group].Keep && it.group != other.group
}

// A set says of each model whether it takes up room.
type set []bool

// over is by how much a model, beside a set, exceeds a pool's budget.
func (r *rules) over(m []view, s set, i int, pool string) int64 {
	budget, bounded := r.budgets[pool]
	if !bounded {
		return 0
	}
	sum := r.share(&m[i].place, pool)
	for j := range m {
		if s[j] && j != i {
			sum += r.share(&m[j].place, pool)
		}
	}
	return max(0, sum-budget)
}

// fits reports whether a model may be loaded beside a set.
func (r *rules) fits(m []view, s set, i int) bool {
	for _, pool := range m[i].pools {
		if r.share(&m[i].place, pool) > 0 && r.over(m, s, i, pool) > 0 {
			return false
		}
	}
	return r.crowd(m, s, i) == 0 && len(r.excluded(m, s, i)) == 0
}

// crowd is how many models of its own group must leave for a model.
func (r *rules) crowd(m []view, s set, i int) int {
	most := r.groups[m[i].group].Together
	if m[i].group == "" || most == 0 {
		return 0
	}
	n := 1
	for j := range m {
		if s[j] && j != i && m[j].group == m[i].group {
			n++
		}
	}
	return max(0, n-most)
}

// excluded are the models that cannot stay when a model is loaded, since its
// group is exclusive.
func (r *rules) excluded(m []view, s set, i int) (all []int) {
	if !r.groups[m[i].group].Exclusive {
		return nil
	}
	for j := range m {
		if s[j] && j != i && m[j].group != m[i].group && !r.kept(&m[j].place, &m[i].place) {
			all = append(all, j)
		}
	}
	return all
}

// obstacle is the pool in which a model can never be placed, and what the
// loaded models hold of it that are kept for good.
func (r *rules) obstacle(m []view, i int) (pool string, kept int64, found bool) {
	s := make(set, len(m))
	for j := range m {
		s[j] = m[j].phase != unloaded && r.kept(&m[j].place, &m[i].place)
	}
	for _, pool := range m[i].pools {
		if r.share(&m[i].place, pool) == 0 || r.over(m, s, i, pool) == 0 {
			continue
		}
		for j := range m {
			if s[j] {
				kept += r.share(&m[j].place, pool)
			}
		}
		return pool, kept, true
	}
	return "", 0, false
}

// planning is one decision in the making.
type planning struct {
	*rules
	decision
	now      time.Time
	m        []view
	occupied set // takes up room now
	stays    set // will take up room when all that leaves has left
	promised set // not loaded yet
}

// decide says what is to be done now.
func (r *rules) decide(now time.Time, m []view) decision {
	p := planning{
		rules: r, now: now, m: m,
		occupied: make(set, len(m)), stays: make(set, len(m)), promised: make(set, len(m)),
	}
	p.draining = make([]bool, len(m))
	for i := range m {
		p.occupied[i] = m[i].phase != unloaded
		p.stays[i] = m[i].phase == loading || m[i].phase == ready
	}
	for i := range m {
		p.rest(i)
	}
	p.relieve()
	for _, i := range p.asked() {
		p.place(i)
	}
	return p.decision
}

// rest unloads a model that has been idle for its time, or is dismissed.
func (p *planning) rest(i int) {
	v := &p.m[i]
	if v.phase == ready && v.dismissed {
		p.leave(i)
		return
	}
	if v.phase != ready || v.running > 0 || v.waiting > 0 || v.idle == 0 {
		return
	}
	if due := v.used.Add(v.idle); p.now.Before(due) {
		p.wakeAt(due)
		return
	}
	p.leave(i)
}

// relieve unloads unused models while there are more than the budgets allow.
func (p *planning) relieve() {
	var unused []int
	for i := range p.m {
		v := &p.m[i]
		if p.stays[i] && v.phase == ready && v.running == 0 && v.waiting == 0 && !p.groups[v.group].Keep {
			unused = append(unused, i)
		}
	}
	slices.SortStableFunc(unused, func(a, b int) int {
		va, vb := &p.m[a], &p.m[b]
		return cmp.Or(cmp.Compare(va.priority, vb.priority), va.used.Compare(vb.used))
	})
	for n, i := range unused {
		for _, pool := range p.m[i].pools {
			if n < len(unused)-1 && p.stays[i] && p.share(&p.m[i].place, pool) > 0 && p.over(p.m, p.stays, i, pool) > 0 {
				p.leave(i)
			}
		}
	}
}

func (p *planning) leave(i int) {
	p.stays[i] = false
	if p.m[i].running > 0 {
		p.draining[i] = true
		return
	}
	p.unload = append(p.unload, i)
}

// starved reports whether a model has waited longer than anybody should.
func (p *planning) starved(i int) bool {
	return !p.now.Before(p.m[i].since.Add(seconds(limits.PatienceSeconds)))
}

// asked are the models that are to be loaded, the most urgent first.
func (p *planning) asked() (all []int) {
	for i := range p.m {
		v := &p.m[i]
		switch {
		case v.phase != unloaded || v.waiting == 0 && !v.wanted:
		case v.waiting == 0 && p.now.Before(v.notYet):
			p.wakeAt(v.notYet)
		default:
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b int) int {
		va, vb := &p.m[a], &p.m[b]
		if sa, sb := p.starved(a), p.starved(b); sa != sb {
			return map[bool]int{true: -1, false: 1}[sa]
		} else if !sa && va.priority != vb.priority {
			return cmp.Compare(vb.priority, va.priority)
		}
		return va.since.Compare(vb.since)
	})
	return all
}

// place loads a model, or sees to it that there will be room.
func (p *planning) place(i int) {
	if _, _, never := p.obstacle(p.m, i); never {
		p.refuse = append(p.refuse, i)
		return
	}
	if p.fits(p.m, p.occupied, i) && p.fits(p.m, p.stays, i) && !p.hindered(i) {
		p.load = append(p.load, i)
		p.occupied[i], p.stays[i], p.promised[i] = true, true, true
		return
	}
	victims, found := p.victims(i)
	p.stays[i], p.promised[i] = true, true
	if found {
		for _, j := range victims {
			p.leave(j)
		}
	}
}

// hindered reports whether a model would stand in the way of one of an
// exclusive group that is about to be loaded.
func (p *planning) hindered(i int) bool {
	for j := range p.m {
		if p.promised[j] && !p.occupied[j] && p.groups[p.m[j].group].Exclusive && p.m[j].group != p.m[i].group && !p.kept(&p.m[i].place, &p.m[j].place) {
			return true
		}
	}
	return false
}

// victims are the models that must leave for a model, as few as possible, or
// none if that is not to be yet. All that leaves already has left here.
func (p *planning) victims(i int) (chosen []int, found bool) {
	left := slices.Clone(p.stays)
	take := func(j int) {
		left[j] = false
		chosen = append(chosen, j)
	}
	for _, j := range p.excluded(p.m, left, i) {
		take(j)
	}
	row := p.row(i)
	for _, j := range row {
		if left[j] && p.m[j].group == p.m[i].group && p.crowd(p.m, left, i) > 0 {
			take(j)
		}
	}
	for _, pool := range p.m[i].pools {
		for _, j := range row {
			if left[j] && p.share(&p.m[j].place, pool) > 0 && p.over(p.m, left, i, pool) > 0 {
				take(j)
			}
		}
	}
	if !p.fits(p.m, left, i) {
		return nil, false
	}
	// What was chosen early can have become needless by what was chosen later.
	for _, j := range slices.Clone(chosen) {
		left[j] = true
		if p.fits(p.m, left, i) {
			chosen = slices.DeleteFunc(chosen, func(k int) bool { return k == j })
		} else {
			left[j] = false
		}
	}
	found = true
	for _, j := range chosen {
		if p.protected(j, i) {
			found = false
		}
	}
	return chosen, found
}

// row are the models that could make room for a model, in the order in which
// they are asked to.
func (p *planning) row(i int) (all []int) {
	for j := range p.m {
		if p.stays[j] && !p.kept(&p.m[j].place, &p.m[i].place) {
			all = append(all, j)
		}
	}
	shielded := map[int]bool{}
	for _, j := range all {
		shielded[j] = p.protected(j, i)
	}
	rank := func(j int) int {
		v := &p.m[j]
		switch {
		case p.promised[j]:
			return 3
		case shielded[j]:
			return 2
		case v.running > 0 || v.waiting > 0:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b int) int {
		va, vb := &p.m[a], &p.m[b]
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(va.priority, vb.priority), va.used.Compare(vb.used))
	})
	return all
}

// protected reports whether a model must not make room for another one yet. It
// notes when that changes of itself.
func (p *planning) protected(j, i int) bool {
	v := &p.m[j]
	if p.promised[j] {
		return true
	}
	if v.phase == loading {
		return v.waiting > 0 || v.wanted
	}
	turn := min(max(v.took.Seconds(), limits.TurnSeconds.Min), limits.TurnSeconds.Max)
	if p.shielded(v, v.ready.Add(time.Duration(turn*float64(time.Second))), seconds(limits.LingerSeconds)) {
		return true
	}
	if v.priority <= p.m[i].priority || p.starved(i) {
		return false
	}
	return p.shielded(v, p.m[i].since.Add(seconds(limits.PatienceSeconds)), seconds(limits.HoldSeconds))
}

// shielded reports whether a model is left alone: until a time at most, while
// it is in use and for so long after.
func (p *planning) shielded(v *view, until time.Time, after time.Duration) bool {
	if rests := v.used.Add(after); v.running == 0 && v.waiting == 0 && rests.Before(until) {
		until = rests
	}
	if !p.now.Before(until) {
		return false
	}
	p.wakeAt(until)
	return true
}
