package engine

// A table is the memory of a running sequence. Its whole blocks are nodes of the
// prefix cache, except where nothing is to be kept; the last one, which grows, is
// its own.
type table struct {
	cache
	prefixes *prefixes // nil: nothing comes from it or goes to it
	path     []*node   // the root and the nodes held
	begun    bool      // something was read: it has what it takes besides blocks
	fixed    int       // how many nodes will not be taken back
	states   bool      // it goes on only with a state
	copies   int       // 1 if its last block is another's too, and is copied when the sequence goes on
}

// newTable makes an empty one. The first fixed tokens will never be taken back.
func (p *prefixes) newTable(c cache, scope string, fixed int) *table {
	root := p.root(scope)
	p.hold(root, false)
	return &table{cache: c, prefixes: p, path: []*node{root}, fixed: fixed / blockTokens}
}

// depth is how many whole blocks are nodes.
func (t *table) depth() int { return max(0, len(t.path)-1) }

func (t *table) last() *node { return t.path[len(t.path)-1] }

// even reports whether it ends with a node, so that another one may follow.
func (t *table) even() bool { return t.prefixes != nil && t.Len() == t.depth()*blockTokens }

func (t *table) push(n *node) {
	t.prefixes.hold(n, t.depth() < t.fixed)
	t.path = append(t.path, n)
}

func (t *table) pop() {
	n := t.last()
	t.path = t.path[:len(t.path)-1]
	t.prefixes.unhold(n, t.depth() < t.fixed)
}

// settled is how many of its blocks count as fixed in the prefix cache.
func (t *table) settled() int { return min(t.depth(), t.fixed) }

// adopt goes on with whole blocks of tokens as long as they are in the prefix
// cache, and gives the number of tokens.
func (t *table) adopt(tokens []int32) int {
	before := t.Len()
	if t.states {
		t.goOn(tokens[min(before, len(tokens)):])
		return t.Len() - before
	}
	if !t.even() {
		return 0
	}
	for _, n := range t.prefixes.way(t.last(), t.depth(), tokens[min(before, len(tokens)):]) {
		t.Adopt(t.depth(), n.block)
		t.push(n)
	}
	if t.Len() > before {
		t.look()
	}
	return t.Len() - before
}

// way gives the nodes on the way of tokens behind one, at a depth, behind which a sequence can go
// on, up to the last behind which it can, too.
func (p *prefixes) way(n *node, depth int, tokens []int32) []*node {
	var list []*node
	thick, best := p.reached(depth), 0 // all are from here on
	for n = n.child(tokens); n != nil; n = n.child(tokens) {
		list, tokens = append(list, n), tokens[blockTokens:]
		if !n.block.Thick() {
			thick = depth + len(list)
		}
		if p.reached(depth+len(list)) >= thick {
			best = len(list)
		}
	}
	return list[:best]
}

// look marks the nodes that the window reaches back into from the end as looked at.
func (t *table) look() {
	for _, n := range t.path[1+t.prefixes.reached(t.depth()):] {
		t.prefixes.see(n)
	}
}

// goOn goes on at the last point of the prefix cache on the way of tokens.
func (t *table) goOn(tokens []int32) {
	if !t.even() {
		return
	}
	x, path, _ := t.last().furthest(tokens)
	if x == nil {
		return
	}
	for _, n := range path {
		t.Adopt(t.depth(), n.block)
		t.push(n)
	}
	t.Adopt(t.depth(), x.node.block)
	if x.at == blockTokens {
		t.push(x.node)
	} else {
		t.prefixes.touch(x.node)
		t.copies = 1
	}
	t.GoOn(x.state)
	t.prefixes.use(x)
	t.begun = false // its state is another's, too
}

// point keeps the state at the end of what was read, tokens or the beginning of them, in
// the prefix cache.
func (t *table) point(tokens []int32) {
	if t.prefixes == nil || !t.states || t.Len() == 0 {
		return
	}
	t.settle(tokens)
	n, at := t.last(), t.Len()-t.depth()*blockTokens
	if at == 0 {
		at = blockTokens
	} else {
		n = t.prefixes.insert(n, tokens[t.Len()-at:t.Len()], t.Block(t.depth()))
		t.copies = 1
	}
	t.prefixes.keep(n, at, t.State())
	t.begun = false
}

// share goes on, behind whole blocks, with the first n tokens of a block, which have to
// be usable.
func (t *table) share(b block, n int) {
	at := t.Len()
	t.Adopt(at/blockTokens, b)
	t.cache.Truncate(at + n)
	t.copies = 1
}

// settle makes the whole blocks of what was read nodes of the prefix cache. The
// tokens are those read, and may be more.
func (t *table) settle(tokens []int32) {
	if t.prefixes == nil {
		return
	}
	for i := t.depth(); (i+1)*blockTokens <= t.Len(); i++ {
		mine := t.Block(i)
		n := t.prefixes.insert(t.last(), tokens[i*blockTokens:(i+1)*blockTokens], mine)
		if n.block != mine {
			t.Adopt(i, n.block)
		}
		t.push(n)
	}
}

// Truncate takes back what is behind the first n tokens, or more, as the cache does.
func (t *table) Truncate(n int) {
	if n < t.Len() {
		n = t.Behind(n)
	}
	for n < t.depth()*blockTokens {
		t.pop()
		t.copies = 1 // if the end is inside a block, it is a node's
	}
	t.cache.Truncate(n)
}

// blocks is how many new blocks it takes to read n tokens more.
func (t *table) blocks(n int) int {
	have := (t.Len() + blockTokens - 1) / blockTokens
	need := (t.Len() + n + blockTokens - 1) / blockTokens
	if t.Len()%blockTokens > 0 {
		need += t.copies
	}
	return need - have
}

// end gives the memory back, and leaves what was read, tokens or the beginning of
// them, in the prefix cache.
func (t *table) end(tokens []int32) {
	if t.prefixes != nil && t.states {
		t.point(tokens)
	} else if t.prefixes != nil {
		t.settle(tokens)
		t.look()
		if rest := t.Len() - t.depth()*blockTokens; rest > 0 {
			t.prefixes.insert(t.last(), tokens[t.Len()-rest:t.Len()], t.Block(t.depth()))
		}
	}
	t.abandon()
}

// abandon gives the memory back.
func (t *table) abandon() {
	if t.prefixes != nil {
		for t.depth() > 0 {
			t.pop()
		}
		t.prefixes.unhold(t.path[0], false)
		t.path, t.prefixes = nil, nil
	}
	t.Release()
}
