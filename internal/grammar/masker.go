package grammar

import "slices"

// A Masker gives the masks of one grammar over one vocabulary. It may be used
// by many goroutines at once.
type Masker struct {
	g *Grammar
	v *Vocabulary

	// Under the grammar's lock.
	whole map[*State]Mask
	inner map[int32]inner // by place
	loops map[*State]inner
	walk  []*State // by depth
	part  Mask
}

// inner is what may come at a place, as far as that does not depend on what
// comes behind its rule.
type inner struct {
	mask  Mask
	over  []node // at which the rule may have ended
	found method

	// What may come in a loop of ordinary characters may come, too, less the
	// tokens that begin with some nodes of the trie of all tokens.
	loop *inner
	less []int32
}

// A method is how what may come was found.
type method uint8

const (
	byText   method = iota // in the trie of all tokens
	byCount                // by the number of ordinary characters
	byEnding               // by what is behind ordinary characters
)

// A node is one of a trie.
type node struct {
	t *trie
	n int32
}

// NewMasker joins a grammar and a vocabulary.
func NewMasker(g *Grammar, v *Vocabulary) *Masker {
	m := &Masker{g: g, v: v, part: make(Mask, (v.size+63)/64)}
	m.forget()
	return m
}

func (m *Masker) forget() {
	m.whole = map[*State]Mask{}
	m.inner = map[int32]inner{}
	m.loops = map[*State]inner{}
}

// mostMasks bounds the masks that are remembered: 16 KiB each, for the largest
// vocabularies 32.
const mostMasks = 2048

// Start is the grammar's.
func (m *Masker) Start() *State { return m.g.Start() }

// Step is the grammar's.
func (m *Masker) Step(s *State, more string) *State { return m.g.Step(s, more) }

// Mask gives the tokens that may come next. Whoever gets it must not change it.
func (m *Masker) Mask(s *State) Mask {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	if mask := m.whole[s]; mask != nil {
		return mask
	}
	if len(m.whole)+len(m.inner)+len(m.loops) >= mostMasks {
		m.forget()
	}
	mask := m.none()
	for _, c := range s.at {
		in := m.at(c.place)
		var behind *State
		if c.under != nil && (len(in.over) > 0 || in.loop != nil && len(in.loop.over) > 0) {
			m.g.work.begin()
			m.g.work.add(config{c.under.then, c.under.under})
			behind = m.g.close()
		}
		if in.loop != nil {
			clear(m.part)
			m.join(m.part, *in.loop, behind)
			for _, n := range in.less {
				m.part.remove(m.v.all.from(n))
			}
			mask.or(m.part)
		}
		m.join(mask, in, behind)
	}
	m.whole[s] = mask
	return mask
}

// join adds what may come at a place, and where its rule may have ended, what
// may come behind it.
func (m *Masker) join(mask Mask, in inner, behind *State) {
	mask.or(in.mask)
	if behind == nil {
		return
	}
	for _, o := range in.over {
		x := &o.t.nodes[o.n]
		m.through(o.t, o.n+1, x.end, x.depth, behind, func(n int32, _ *State) { mask.add(o.t.of(n)) })
	}
}

func (m *Masker) none() Mask { return make(Mask, (m.v.size+63)/64) }

// at gives what may come at a place.
func (m *Masker) at(place int32) inner {
	p := &m.g.places[place]
	if p.like != 0 && p.like != place && p.far > m.v.all.depth {
		return m.at(p.like)
	}
	in, ok := m.inner[place]
	switch {
	case ok:
		return in
	case p.like != 0 && p.like != place && p.far > 0:
		in = m.lookFar(place, m.at(p.like), p.far)
	default:
		in = m.look(place)
	}
	in.over = slices.Clip(in.over)
	m.inner[place] = in
	return in
}

// look finds what may come at a place, with nothing known of what is behind its
// rule.
func (m *Masker) look(place int32) inner {
	root := m.root(place)
	if in, ok := m.count(root); ok {
		return in
	}
	if m.g.places[place].like == 0 {
		if in, ok := m.differ(root); ok {
			return in
		}
	}
	in := inner{mask: m.none()}
	m.collect(&in, &m.v.all, root)
	return in
}

func (m *Masker) root(place int32) *State { return m.g.intern([]config{{place, nil}}, false) }

// collect goes through a trie from a state.
func (m *Masker) collect(in *inner, t *trie, s *State) {
	m.through(t, 0, int32(len(t.nodes)), 0, s, in.visitor(t))
}

// visitor takes note of nodes that may come.
func (in *inner) visitor(t *trie) func(n int32, s *State) {
	return func(n int32, s *State) {
		in.mask.add(t.of(n))
		if s.accept && t.nodes[n].end > n+1 {
			in.over = append(in.over, node{t, n})
		}
	}
}

// passed gives the states behind so and so many ordinary characters, from the
// first on to the one that stays the same, to a dead one or to all that are
// counted. It reports false where ordinary characters are told apart, or where
// the rule may end behind one.
func (m *Masker) passed(root *State) (states []*State, ok bool) {
	states = []*State{root}
	for len(states) <= mostOrdinary {
		last := states[len(states)-1]
		next, ok := m.g.pass(last)
		if !ok || next.accept {
			return nil, false
		}
		if next == last && len(states) > 1 {
			break
		}
		states = append(states, next)
		if next.dead() {
			break
		}
	}
	return states, true
}

// count looks from a place by the number of ordinary characters that tokens
// begin with.
func (m *Masker) count(root *State) (in inner, ok bool) {
	states, ok := m.passed(root)
	if !ok {
		return in, false
	}
	in = inner{mask: m.none(), found: byCount}
	m.collect(&in, &m.v.behind[0], root)
	if len(states) == 2 && !states[1].dead() {
		in.found = byEnding
		loop := m.loop(states[1])
		in.mask.or(loop.mask)
		in.over = append(in.over, loop.over...)
		return in, true
	}
	for n := 1; n <= mostOrdinary; n++ {
		s := states[min(n, len(states)-1)]
		if s.dead() {
			return in, true
		}
		in.mask.add(m.v.behind[n].empty)
		m.collect(&in, &m.v.behind[n], s)
	}
	m.collect(&in, &m.v.longer, root)
	return in, true
}

// loop is what may come, of all that begins with an ordinary character, where
// these lead to the same state again and again.
func (m *Masker) loop(s *State) inner {
	in, ok := m.loops[s]
	if !ok {
		in = inner{mask: slices.Clone(m.v.only)}
		m.collect(&in, &m.v.ends, s)
		in.over = slices.Clip(in.over)
		m.loops[s] = in
	}
	return in
}

// differ looks from a place at which most ordinary characters lead into a
// loop of them, but not all.
func (m *Masker) differ(root *State) (in inner, ok bool) {
	t := &m.v.all
	weight := map[*State]int32{}
	var loop *State
	for n := int32(0); n < int32(len(t.nodes)); n = t.nodes[n].end {
		if !ordinary.has(rune(t.nodes[n].label)) || t.nodes[n].label >= 0x80 {
			continue
		}
		s := m.g.step(root, m.g.class[t.nodes[n].label])
		if s.dead() || s.accept {
			continue
		}
		if again, ok := m.g.pass(s); !ok || again != s {
			continue
		}
		if weight[s] += t.nodes[n].end - n; loop == nil || weight[s] > weight[loop] {
			loop = s
		}
	}
	if loop == nil {
		return in, false
	}
	in = inner{mask: m.none(), found: byEnding, loop: new(m.loop(loop))}
	m.collect(&in, &m.v.behind[0], root)
	for n := int32(0); n < int32(len(t.nodes)); n = t.nodes[n].end {
		class := m.g.class[t.nodes[n].label]
		like := loop
		if t.nodes[n].label >= 0x80 {
			like = m.g.step(loop, class)
		}
		s := m.g.step(root, class)
		if s == like {
			continue
		}
		in.less = append(in.less, n)
		if !s.dead() {
			visit := in.visitor(t)
			visit(n, s)
			m.through(t, n+1, t.nodes[n].end, 1, s, visit)
		}
	}
	return in, true
}

// lookFar is look for a place of which it is known what tokens of up to far
// characters may come.
func (m *Masker) lookFar(place int32, near inner, far int32) inner {
	root, like := m.root(place), m.root(m.g.places[place].like)
	in := inner{mask: slices.Clone(near.mask), found: near.found}
	if near.found == byText {
		m.correct(&in, near, &m.v.all, 0, root, like, far)
		return in
	}
	states, ok := m.passed(root)
	others, also := m.passed(like)
	if !ok || !also || near.found == byEnding {
		return m.look(place)
	}
	for n := range m.v.behind {
		t, s, other := &m.v.behind[n], states[min(n, len(states)-1)], others[min(n, len(others)-1)]
		if int32(n) > far {
			in.mask.remove(t.empty)
			if !s.dead() {
				in.mask.add(t.empty)
			}
		}
		m.correct(&in, near, t, int32(n), s, other, far)
	}
	m.correct(&in, near, &m.v.longer, 0, root, like, far)
	return in
}

// correct goes through what is in a trie farther than far, of which before lies
// in front of it, and takes over from near what is not. The state there is s,
// where near looked it was like.
func (m *Masker) correct(in *inner, near inner, t *trie, before int32, s, like *State, far int32) {
	far -= before
	for _, o := range near.over {
		if o.t == t && t.nodes[o.n].depth <= far {
			in.over = append(in.over, o)
		}
	}
	type pair struct{ s, like *State }
	walk := []pair{{s, like}}
	for n := int32(0); n < int32(len(t.nodes)); {
		x := &t.nodes[n]
		if x.deep <= far {
			n = x.end
			continue
		}
		walk = walk[:x.depth]
		next := walk[len(walk)-1]
		next.s, next.like = m.follow(next.s, x.label), m.follow(next.like, x.label)
		if next.s.dead() && next.like.dead() {
			n = x.end
			continue
		}
		if x.depth > far {
			in.mask.remove(t.of(n))
			if !next.s.dead() {
				in.mask.add(t.of(n))
			}
			if next.s.accept && x.end > n+1 {
				in.over = append(in.over, node{t, n})
			}
		}
		walk = append(walk, next)
		n++
	}
}

// follow is a step from a state that may be dead.
func (m *Masker) follow(s *State, label byte) *State {
	if s.dead() {
		return s
	}
	return m.g.step(s, m.g.class[label])
}

// through goes through the nodes of a trie from one to another, which lie
// deeper than depth, where the state is s, and visits those whose state is not
// dead.
func (m *Masker) through(t *trie, from, to, depth int32, s *State, visit func(n int32, s *State)) {
	walk := append(m.walk[:0], s)
	for n := from; n < to; {
		x := &t.nodes[n]
		walk = walk[:x.depth-depth]
		next := m.g.step(walk[len(walk)-1], m.g.class[x.label])
		if next.dead() {
			n = x.end
			continue
		}
		visit(n, next)
		walk = append(walk, next)
		n++
	}
	m.walk = walk[:0]
}
