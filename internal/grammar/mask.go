package grammar

import (
	"math"
	"slices"
	"sort"
)

// A Vocabulary is the tokens that a text is written in, prepared for masks. It
// is immutable.
type Vocabulary struct {
	size  int
	depth int32      // bytes of the longest token
	nodes []trieNode // in the order of their texts, each before those that begin with it
	ids   []int32    // tokens, those of one node side by side
}

type trieNode struct {
	label byte
	depth int32 // from 1
	deep  int32 // bytes of the longest token that begins with this one's text
	end   int32 // the first node that does not begin with this one's text
	from  int32 // its tokens in ids
	to    int32
}

// NewVocabulary prepares the tokens of a model: texts[id] is the bytes that a
// token stands for. Tokens without a text never may come.
func NewVocabulary(texts []string) *Vocabulary {
	v := &Vocabulary{size: len(texts)}
	order := make([]int32, 0, len(texts))
	for id, s := range texts {
		if s != "" {
			order = append(order, int32(id))
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return texts[order[i]] < texts[order[j]] })
	var path []int32 // the node at each depth
	before := ""
	for _, id := range order {
		s := texts[id]
		common := 0
		for common < min(len(s), len(before)) && s[common] == before[common] {
			common++
		}
		for len(path) > common {
			v.nodes[path[len(path)-1]].end = int32(len(v.nodes))
			path = path[:len(path)-1]
		}
		for _, n := range path {
			v.nodes[n].deep = max(v.nodes[n].deep, int32(len(s)))
		}
		for i := common; i < len(s); i++ {
			path = append(path, int32(len(v.nodes)))
			v.depth = max(v.depth, int32(i+1))
			n := int32(len(v.ids))
			v.nodes = append(v.nodes, trieNode{label: s[i], depth: int32(i + 1), deep: int32(len(s)), from: n, to: n})
		}
		v.ids = append(v.ids, id)
		v.nodes[path[len(path)-1]].to = int32(len(v.ids))
		before = s
	}
	for _, n := range path {
		v.nodes[n].end = int32(len(v.nodes))
	}
	return v
}

// A Mask is a set of tokens: bit id%64 of word id/64.
type Mask []uint64

// Has reports whether a token may come.
func (m Mask) Has(id int) bool { return m[id/64]>>(id%64)&1 != 0 }

// Add adds a token.
func (m Mask) Add(id int) { m[id/64] |= 1 << (id % 64) }

// Clone is a copy for a vocabulary of so many tokens; of a nil mask, one without
// tokens.
func (m Mask) Clone(size int) Mask {
	out := make(Mask, (size+63)/64)
	copy(out, m)
	return out
}

// Apply makes the logits of tokens that may not come negative infinity.
func (m Mask) Apply(logits []float32) {
	never := float32(math.Inf(-1))
	for i, w := range m {
		part := logits[min(64*i, len(logits)):min(64*i+64, len(logits))]
		if w == ^uint64(0) {
			continue
		}
		for j := range part {
			if w>>j&1 == 0 {
				part[j] = never
			}
		}
	}
	for i := 64 * len(m); i < len(logits); i++ {
		logits[i] = never
	}
}

func (m Mask) add(ids []int32) {
	for _, id := range ids {
		m[id/64] |= 1 << (id % 64)
	}
}

func (m Mask) remove(ids []int32) {
	for _, id := range ids {
		m[id/64] &^= 1 << (id % 64)
	}
}

// A Masker gives the masks of one grammar over one vocabulary. It may be used
// by many goroutines at once.
type Masker struct {
	g *Grammar
	v *Vocabulary

	// Under the grammar's lock.
	whole map[*State]Mask
	inner map[int32]inner // by place
	walk  []*State        // by depth
}

// inner is what may come at a place, as far as that does not depend on what
// comes behind its rule.
type inner struct {
	mask Mask
	over []int32 // nodes of the trie at which the rule may have ended
}

// NewMasker joins a grammar and a vocabulary.
func NewMasker(g *Grammar, v *Vocabulary) *Masker {
	m := &Masker{g: g, v: v}
	m.forget()
	return m
}

func (m *Masker) forget() {
	m.whole = map[*State]Mask{}
	m.inner = map[int32]inner{}
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
	if len(m.whole)+len(m.inner) >= mostMasks {
		m.forget()
	}
	mask := make(Mask, (m.v.size+63)/64)
	for _, c := range s.at {
		in := m.at(c.place)
		for i, w := range in.mask {
			mask[i] |= w
		}
		if c.under == nil {
			continue
		}
		m.g.work.begin()
		m.g.work.add(config{c.under.then, c.under.under})
		behind := m.g.close()
		for _, n := range in.over {
			m.below(n, behind, mask)
		}
	}
	m.whole[s] = mask
	return mask
}

// at gives what may come at a place.
func (m *Masker) at(place int32) inner {
	p := &m.g.places[place]
	if p.like != 0 && p.like != place && p.far > m.v.depth {
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
	m.inner[place] = in
	return in
}

// lookFar is look for a place of which it is known what tokens of up to far
// bytes may come.
func (m *Masker) lookFar(place int32, near inner, far int32) inner {
	in := inner{mask: slices.Clone(near.mask)}
	for _, n := range near.over {
		if m.v.nodes[n].depth <= far {
			in.over = append(in.over, n)
		}
	}
	root := m.g.intern([]config{{place, nil}}, false)
	walk := append(m.walk[:0], root)
	for n := int32(0); n < int32(len(m.v.nodes)); {
		node := &m.v.nodes[n]
		if node.deep <= far {
			n = node.end
			continue
		}
		ids := m.v.ids[node.from:node.to]
		walk = walk[:node.depth]
		next := deadState
		if before := walk[len(walk)-1]; !before.dead() {
			next = m.g.step(before, m.g.class[node.label])
		}
		if node.depth > far {
			in.mask.remove(ids)
			if !next.dead() {
				in.mask.add(ids)
			}
			if next.accept && node.end > n+1 {
				in.over = append(in.over, n)
			}
		}
		walk = append(walk, next)
		n++
	}
	m.walk = walk[:0]
	in.over = slices.Clip(in.over)
	return in
}

var deadState = &State{}

// look goes through the vocabulary from a place, with nothing known of what is
// behind its rule.
func (m *Masker) look(place int32) inner {
	in := inner{mask: make(Mask, (m.v.size+63)/64)}
	root := m.g.intern([]config{{place, nil}}, false)
	m.through(0, int32(len(m.v.nodes)), 0, root, func(n int32, s *State) {
		in.mask.add(m.v.ids[m.v.nodes[n].from:m.v.nodes[n].to])
		if s.accept && m.v.nodes[n].end > n+1 {
			in.over = append(in.over, n)
		}
	})
	in.over = slices.Clip(in.over)
	return in
}

// below goes through what begins with a node's text.
func (m *Masker) below(n int32, s *State, mask Mask) {
	node := &m.v.nodes[n]
	m.through(n+1, node.end, node.depth, s, func(n int32, _ *State) {
		mask.add(m.v.ids[m.v.nodes[n].from:m.v.nodes[n].to])
	})
}

// through goes through the nodes from one to another, which lie deeper than
// depth, where the state is s, and visits those whose state is not dead.
func (m *Masker) through(from, to, depth int32, s *State, visit func(n int32, s *State)) {
	walk := append(m.walk[:0], s)
	for n := from; n < to; {
		node := &m.v.nodes[n]
		walk = walk[:node.depth-depth]
		next := m.g.step(walk[len(walk)-1], m.g.class[node.label])
		if next.dead() {
			n = node.end
			continue
		}
		visit(n, next)
		walk = append(walk, next)
		n++
	}
	m.walk = walk[:0]
}
