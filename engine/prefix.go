package engine

import (
	"slices"

	"parley/internal/transformer"
)

// The prefix cache is a tree. A path from its root spells tokens that some
// sequence has read, and its nodes hold their keys and values: a block of
// blockTokens each, and fewer at the end of a path. All requests share it. What
// holds at any time:
//
//  1. A node's keys and values are those of its tokens behind the tokens of the
//     nodes above it, to the bit, whoever computed them. Nobody changes them.
//  2. A node with fewer than blockTokens tokens has no children.
//  3. Children of a node are in the order of their tokens, and the tokens of
//     none begin those of another: nothing is there twice.
//  4. A node is held by the running sequences that have its tokens read, and
//     whoever holds a node holds those above it. Nodes with fewer than
//     blockTokens tokens are never held.
//  5. Nodes that nobody holds are in a list, parents before their children, else
//     those used last first. So the last one has no children and may go.
//  6. No block is released while it is in the tree, and each is when it leaves.
//  7. Where a model's caches cannot go on behind any token (see model), a sequence goes
//     on behind all the tokens of a node, never behind some.
//  8. Where a model's caches go on only with a state, a node has points, in the order of
//     their tokens, each behind some of its tokens, with the state there. Sequences go on
//     behind points alone; nodes without are passed through, or of no use.
//  9. Where some layers see a window, the block of a node is thick or thin, as it has their keys
//     and values or not. A sequence goes on where the nodes that the window reaches into
//     (reached) are thick. Thick ones are in a list of their own, those used last first, held or
//     not: what running sequences look at they have besides.
//  10. Each scope has a tree of its own, which exists as long as it has nodes or
//     somebody uses it.
//
// Only the loop's goroutine touches it.

// blockTokens is the number of tokens whose keys and values are kept together.
const blockTokens = transformer.BlockTokens

// A block holds keys and values of up to blockTokens tokens.
type block interface {
	Release()         // ends the use of it
	Thick() bool      // it has those of layers with a window, too, or there are none
	Thin()            // it gives these up
	Thicken(of block) // it gets these from a block of the same tokens, and maybe more
}

// A node is a block of a tree.
type node struct {
	scope    string // of a root, which has no parent, no tokens and no block
	parent   *node
	tokens   []int32
	block    block
	points   []*point
	children []*node
	held     int // by how many running sequences
	fixed    int // by how many of them in a part that they will not take back

	newer, older *node // neighbours in the list of those not held
	after, prior *node // neighbours in the list of thick ones, used after it and before; nil: it is in none
}

// A state is what else it takes to go on behind a block's tokens.
type state interface {
	Release() // ends the use of it
}

// A point is a place where sequences can go on.
type point struct {
	node  *node
	at    int // behind so many of its tokens
	state state

	newer, older *point // neighbours in the list of all
}

// prefixes is the prefix cache. The zero value is an empty one.
type prefixes struct {
	roots  map[string]*node
	list   node            // its older is the first of the list, its newer the last
	thick  node            // likewise, its prior and its after, of thick nodes where there are windows
	points point           // likewise, of points, those used last first
	first  func(n int) int // the first token that a window reaches back to from behind n; nil: there are none
	nodes  int
	kept   int // nodes not held
	fixed  int // nodes with fixed > 0
}

// root gives the tree of a scope.
func (p *prefixes) root(scope string) *node {
	n := p.roots[scope]
	if n == nil {
		if p.roots == nil {
			p.roots = map[string]*node{}
			p.list.newer, p.list.older = &p.list, &p.list
			p.thick.after, p.thick.prior = &p.thick, &p.thick
			p.points.newer, p.points.older = &p.points, &p.points
		}
		n = &node{scope: scope}
		p.roots[scope] = n
	}
	return n
}

// leave forgets a root that is of no use.
func (p *prefixes) leave(n *node) {
	if n.parent == nil && n.held == 0 && len(n.children) == 0 {
		delete(p.roots, n.scope)
	}
}

// place is where tokens, at most blockTokens, are or would be among the children
// of a node.
func (n *node) place(tokens []int32) (i int, found bool) {
	return slices.BinarySearchFunc(n.children, tokens, func(c *node, t []int32) int { return slices.Compare(c.tokens, t) })
}

// child gives the child that has exactly the first blockTokens of tokens; nil if
// there is none.
func (n *node) child(tokens []int32) *node {
	if len(tokens) >= blockTokens {
		if i, ok := n.place(tokens[:blockTokens]); ok {
			return n.children[i]
		}
	}
	return nil
}

// nearest gives the child that shares the most of the beginning of tokens, and
// how much. In an ordered list it is one of the two neighbours of their place.
func (n *node) nearest(tokens []int32) (best *node, m int) {
	tokens = tokens[:min(len(tokens), blockTokens)]
	i, _ := n.place(tokens)
	for _, c := range n.children[max(0, i-1):min(len(n.children), i+1)] {
		if k := shared(c.tokens, tokens); k > m {
			best, m = c, k
		}
	}
	return best, m
}

// departs gives how much of the beginning of tokens is behind a node, and, if they
// do not end there, how many other tokens there are in their place, at least.
func (n *node) departs(tokens []int32) (m, unused int) {
	c, m := n.nearest(tokens)
	switch {
	case m == len(tokens) || len(n.children) == 0:
		return m, 0
	case c == nil:
		c = n.children[0]
	}
	unused = len(c.tokens) - m
	for len(c.children) > 0 {
		c = c.children[0]
		unused += len(c.tokens)
	}
	return m, unused
}

// shared is the length of the longest common prefix.
func shared(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// settled is how many whole blocks of the beginning of tokens are there, counted as fixed, and
// such that a sequence will go on behind them.
func (p *prefixes) settled(scope string, tokens []int32) (blocks int) {
	for n := p.roots[scope]; n != nil; blocks++ {
		if n = n.child(tokens); n == nil || n.fixed == 0 || !n.block.Thick() {
			break
		}
		tokens = tokens[blockTokens:]
	}
	return blocks
}

// insert puts tokens, at most blockTokens, below a node that is held, with a
// block that is the cache's from now on. It gives the node that has them: another
// one if they were there.
func (p *prefixes) insert(parent *node, tokens []int32, b block) *node {
	i, _ := parent.place(tokens)
	if i < len(parent.children) {
		if c := parent.children[i]; shared(c.tokens, tokens) == len(tokens) {
			if !c.block.Thick() && b.Thick() && len(c.tokens) == len(tokens) {
				c.block.Thicken(b)
			}
			b.Release()
			p.touch(c)
			p.see(c)
			return c
		}
	}
	n := &node{parent: parent, tokens: slices.Clone(tokens), block: b}
	if i > 0 && shared(parent.children[i-1].tokens, tokens) == len(parent.children[i-1].tokens) {
		i--
		old := parent.children[i]
		n.points, old.points = old.points, nil
		for _, x := range n.points {
			x.node = n
		}
		p.remove(old)
	}
	parent.children = slices.Insert(parent.children, i, n)
	p.nodes++
	p.link(n)
	p.see(n)
	return n
}

// reached is the first of n whole blocks that a window reaches back into from behind them; n: it
// reaches into none.
func (p *prefixes) reached(n int) int {
	if p.first == nil {
		return n
	}
	return p.first(n*blockTokens) / blockTokens
}

// see marks a node as looked at, if it is thick and there are windows.
func (p *prefixes) see(n *node) {
	if p.first == nil || !n.block.Thick() {
		return
	}
	n.unsee()
	n.after, n.prior = &p.thick, p.thick.prior
	n.after.prior, n.prior.after = n, n
}

// unsee takes it off the list, if it is there.
func (n *node) unsee() {
	if n.after != nil {
		n.after.prior, n.prior.after = n.prior, n.after
		n.after, n.prior = nil, nil
	}
}

// link puts a node at the head of the list.
func (p *prefixes) link(n *node) {
	n.newer, n.older = &p.list, p.list.older
	n.newer.older, n.older.newer = n, n
	p.kept++
}

func (p *prefixes) unlink(n *node) {
	n.newer.older, n.older.newer = n.older, n.newer
	n.newer, n.older = nil, nil
	p.kept--
}

// touch marks a node as used whose parent is held.
func (p *prefixes) touch(n *node) {
	if n.held == 0 {
		p.unlink(n)
		p.link(n)
	}
}

// hold keeps a node whose parent is held.
func (p *prefixes) hold(n *node, fixed bool) {
	if n.held++; n.held == 1 && n.parent != nil {
		p.unlink(n)
	}
	if fixed {
		if n.fixed++; n.fixed == 1 {
			p.fixed++
		}
	}
}

// unhold is called once for each hold, on the nodes of a path from its end.
func (p *prefixes) unhold(n *node, fixed bool) {
	if fixed {
		if n.fixed--; n.fixed == 0 {
			p.fixed--
		}
	}
	if n.held--; n.held > 0 {
		return
	}
	if n.parent != nil {
		p.link(n)
	} else {
		p.leave(n)
	}
}

// evict removes the node that has been of no use for the longest time; or, before it, the point,
// or what is thick of a node, that has not been used or looked at for the longest time, where
// there are some and it has one, too. It reports whether there was something.
func (p *prefixes) evict() bool {
	n, x, thick := p.list.newer, p.points.newer, p.thick.after
	none, noPoint, allThin := n == nil || n == &p.list, x == nil || x == &p.points, thick == nil || thick == &p.thick
	switch {
	case !noPoint && (none || len(n.points) > 0):
		p.drop(x)
	case !allThin && (none || n.after != nil):
		thick.unsee()
		thick.block.Thin()
	case none:
		return false
	default:
		p.remove(n)
	}
	return true
}

// keep puts a state, which is the cache's from now on, behind so many tokens of a node.
func (p *prefixes) keep(n *node, at int, s state) {
	i, found := slices.BinarySearchFunc(n.points, at, func(x *point, at int) int { return x.at - at })
	if found {
		s.Release()
		p.use(n.points[i])
		return
	}
	x := &point{node: n, at: at, state: s}
	n.points = slices.Insert(n.points, i, x)
	x.link(p)
}

// use marks a point as used.
func (p *prefixes) use(x *point) {
	x.unlink()
	x.link(p)
}

func (x *point) link(p *prefixes) {
	x.newer, x.older = &p.points, p.points.older
	x.newer.older, x.older.newer = x, x
}

func (x *point) unlink() { x.newer.older, x.older.newer = x.older, x.newer }

// drop takes a point off its node.
func (p *prefixes) drop(x *point) {
	i := slices.Index(x.node.points, x)
	x.node.points = slices.Delete(x.node.points, i, i+1)
	x.unlink()
	x.state.Release()
}

// furthest gives the last point behind a node on the way of tokens, and the whole nodes
// up to the one that it is of; nil if there is none. It also tells how many whole nodes
// are on that way.
func (n *node) furthest(tokens []int32) (best *point, path []*node, whole int) {
	depth := 0
	for ; n != nil; whole++ {
		for _, c := range n.children {
			if len(c.points) == 0 {
				continue
			}
			m := shared(c.tokens, tokens)
			for _, x := range c.points {
				if x.at <= m && (best == nil || depth < whole || x.at > best.at) {
					best, depth = x, whole
				}
			}
		}
		if n = n.child(tokens); n == nil {
			break
		}
		path, tokens = append(path, n), tokens[blockTokens:]
	}
	return best, path[:depth], whole
}

// remove takes a node without children out of the tree.
func (p *prefixes) remove(n *node) {
	i, _ := n.parent.place(n.tokens)
	n.parent.children = slices.Delete(n.parent.children, i, i+1)
	p.unlink(n)
	n.unsee()
	p.nodes--
	for len(n.points) > 0 {
		p.drop(n.points[0])
	}
	n.block.Release()
	p.leave(n.parent)
}

// clear removes everything, whoever holds it.
func (p *prefixes) clear() {
	var release func(*node)
	release = func(n *node) {
		if n.block != nil {
			n.block.Release()
		}
		for _, x := range n.points {
			x.state.Release()
		}
		for _, c := range n.children {
			release(c)
		}
	}
	for _, r := range p.roots {
		release(r)
	}
	*p = prefixes{first: p.first}
}
