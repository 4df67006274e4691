package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// checkTree looks at everything that the head of prefix.go promises.
func checkTree(t *testing.T, p *prefixes) {
	t.Helper()
	nodes, fixed, points, thickNodes := 0, 0, 0, 0
	unheld := map[*node]bool{}
	var walk func(n *node, before []int32)
	walk = func(n *node, before []int32) {
		if n.parent != nil {
			nodes++
			if thick := p.first != nil && n.block.Thick(); thick != (n.after != nil) || thick && (n.after.prior != n || n.prior.after != n) {
				t.Fatalf("a node is in the list of thick ones or not (%v), as it should not be", n.after != nil)
			} else if thick {
				thickNodes++
			}
			if n.fixed > 0 {
				fixed++
			}
			if n.held == 0 {
				unheld[n] = true
			}
			for i, x := range n.points {
				if x.node != n || x.at < 1 || x.at > len(n.tokens) || i > 0 && n.points[i-1].at >= x.at || x.newer.older != x || x.older.newer != x {
					t.Fatalf("point %d of %d in a node of %d tokens is in disorder", i, x.at, len(n.tokens))
				}
				if s, ok := x.state.(*fakeState); ok && (s.users < 1 || !slices.Equal(s.tokens, slices.Concat(before, n.tokens[:x.at]))) {
					t.Fatalf("the state behind %d of %v behind %v is of %v", x.at, n.tokens, before, s.tokens)
				}
			}
			points += len(n.points)
			switch size := len(n.tokens); {
			case size == 0 || size > blockTokens:
				t.Fatalf("a node of %d tokens", size)
			case size < blockTokens && (len(n.children) > 0 || n.held > 0):
				t.Fatal("a part of a block has children or is held")
			case n.held > 0 && n.parent.held < n.held || n.fixed > n.held || n.fixed > n.parent.fixed && n.parent.parent != nil:
				t.Fatal("a node is held, and those above it are not")
			}
			if b, ok := n.block.(*fakeRef); ok {
				if b.users < 1 || b.held != len(n.tokens) || !slices.Equal(b.before, before) || !slices.Equal(b.tokens[:min(len(b.tokens), len(n.tokens))], n.tokens) {
					t.Fatalf("the block of %v behind %v holds %v behind %v", n.tokens, before, b.tokens, b.before)
				}
			}
		}
		for i, c := range n.children {
			if c.parent != n {
				t.Fatal("a child has another parent")
			}
			if i > 0 && (slices.Compare(n.children[i-1].tokens, c.tokens) >= 0 || shared(n.children[i-1].tokens, c.tokens) == len(n.children[i-1].tokens)) {
				t.Fatalf("children in disorder, or one is in the other: %v, %v", n.children[i-1].tokens, c.tokens)
			}
			walk(c, slices.Concat(before, n.tokens))
		}
	}
	for scope, r := range p.roots {
		if r.scope != scope || r.parent != nil || r.held == 0 && len(r.children) == 0 {
			t.Fatalf("scope %q: a root that should not be", scope)
		}
		walk(r, nil)
	}
	if p.points.older != nil {
		for x := p.points.older; x != &p.points; x = x.older {
			points--
		}
		if points != 0 {
			t.Fatalf("the list of points has %d fewer than the tree", points)
		}
	}
	if p.thick.prior != nil {
		for n := p.thick.prior; n != &p.thick; n = n.prior {
			thickNodes--
		}
	}
	if thickNodes != 0 {
		t.Fatalf("the list of thick nodes has %d fewer than the tree", thickNodes)
	}
	seen := map[*node]bool{}
	if p.list.older != nil {
		for n := p.list.older; n != &p.list; n = n.older {
			if n.older.newer != n || !unheld[n] || seen[n] {
				t.Fatal("the list holds something else than the nodes that nobody holds")
			}
			if n.parent.held == 0 && n.parent.parent != nil && !seen[n.parent] {
				t.Fatal("a child is before its parent in the list")
			}
			seen[n] = true
		}
	}
	if len(seen) != len(unheld) || p.nodes != nodes || p.kept != len(unheld) || p.fixed != fixed {
		t.Fatalf("%d nodes counted, %d kept, %d fixed; there are %d, %d (%d in the list), %d", p.nodes, p.kept, p.fixed, nodes, len(unheld), len(seen), fixed)
	}
}

// A prefixList is the prefix cache in the plainest way: the beginnings of texts
// that are known, one for each node, in no order.
type prefixList struct {
	known []*knownPrefix
	clock int
	first func(n int) int // the first token that a window reaches back to from behind n; nil: there are none
}

type knownPrefix struct {
	scope  string
	tokens []int32 // from the beginning of the text
	held   int
	used   int
	thick  bool
	looked int // at what is thick
}

// see says that a prefix was looked at, by someone who has all of it or not.
func (l *prefixList) see(k *knownPrefix, thick bool) {
	if k.thick = k.thick || thick; k.thick {
		k.looked = l.now()
	}
}

// look is see of what the window reaches back into from the end of whole blocks.
func (l *prefixList) look(whole []*knownPrefix) {
	for i, k := range whole {
		if l.reaches(i, len(whole)) {
			l.see(k, false)
		}
	}
}

// reaches says whether a window reaches back into a block from behind so many.
func (l *prefixList) reaches(block, blocks int) bool {
	return l.first != nil && (block+1)*blockTokens > l.first(blocks*blockTokens)
}

// furthest is how many whole blocks of the beginning of tokens are known such that one can go on
// behind them.
func (l *prefixList) furthest(scope string, tokens []int32) (best int) {
	var thick []bool
	for n := blockTokens; n <= len(tokens); n += blockTokens {
		i := slices.IndexFunc(l.known, func(k *knownPrefix) bool { return k.scope == scope && slices.Equal(k.tokens, tokens[:n]) })
		if i < 0 {
			break
		}
		thick = append(thick, l.known[i].thick)
		there := true
		for i, is := range thick {
			there = there && (is || !l.reaches(i, len(thick)))
		}
		if there {
			best = len(thick)
		}
	}
	return best
}

func (l *prefixList) now() int {
	l.clock++
	return l.clock
}

// longest is how much of the beginning of tokens is known, and can be gone on behind.
func (l *prefixList) longest(scope string, tokens []int32, rewinds bool) (n int) {
	for _, k := range l.known {
		if k.scope == scope {
			m := shared(k.tokens, tokens)
			if m < len(k.tokens) && !rewinds {
				m -= m % blockTokens
			}
			n = max(n, m)
		}
	}
	return n
}

func (l *prefixList) add(scope string, tokens []int32) *knownPrefix {
	start := (len(tokens) - 1) / blockTokens * blockTokens
	var have *knownPrefix
	for _, k := range l.known {
		if k.scope == scope && len(k.tokens) <= start+blockTokens && shared(k.tokens, tokens) == len(tokens) && (have == nil || slices.Compare(k.tokens, have.tokens) < 0) {
			have = k
		}
	}
	if have != nil {
		if have.held == 0 {
			have.used = l.now()
		}
		return have
	}
	l.known = slices.DeleteFunc(l.known, func(k *knownPrefix) bool {
		return k.scope == scope && len(k.tokens) > start && shared(k.tokens, tokens) == len(k.tokens)
	})
	have = &knownPrefix{scope: scope, tokens: slices.Clone(tokens), used: l.now()}
	l.known = append(l.known, have)
	return have
}

func (l *prefixList) evict() bool {
	var oldest *knownPrefix
	for _, k := range l.known {
		begins := func(x *knownPrefix) bool {
			return x != k && x.scope == k.scope && shared(x.tokens, k.tokens) == len(k.tokens)
		}
		if k.held == 0 && (oldest == nil || k.used < oldest.used) && !slices.ContainsFunc(l.known, begins) {
			oldest = k
		}
	}
	var thick *knownPrefix
	for _, k := range l.known {
		if l.first != nil && k.thick && (thick == nil || k.looked < thick.looked) {
			thick = k
		}
	}
	if thick != nil && (oldest == nil || oldest.thick) {
		thick.thick = false
		return true
	}
	l.known = slices.DeleteFunc(l.known, func(k *knownPrefix) bool { return k == oldest })
	return oldest != nil
}

func (l *prefixList) String() string {
	var list []string
	for _, k := range l.known {
		list = append(list, fmt.Sprint(k.scope, k.tokens, k.held, k.thick))
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}

func (p *prefixes) String() string {
	var list []string
	var walk func(scope string, n *node, before []int32)
	walk = func(scope string, n *node, before []int32) {
		before = slices.Concat(before, n.tokens)
		if n.parent != nil {
			list = append(list, fmt.Sprint(scope, before, n.held, p.first != nil && n.block.Thick()))
		}
		for _, c := range n.children {
			walk(scope, c, before)
		}
	}
	for scope, r := range p.roots {
		walk(scope, r, nil)
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}

// A reader is a running sequence without a loop around it.
type reader struct {
	*table
	scope  string
	tokens []int32
	prompt int
	holds  []*knownPrefix

	thickBefore []bool // of its blocks, before they were settled
}

// anyText begins as another one does, most often. There are few different tokens,
// so that texts meet again.
func anyText(r *rand.Rand, texts [][]int32) []int32 {
	var text []int32
	if len(texts) > 0 && r.IntN(8) > 0 {
		text = slices.Clone(texts[r.IntN(len(texts))])
		text = text[:r.IntN(len(text)+1)]
	}
	if r.IntN(4) > 0 || len(text) == 0 {
		start := r.Int32N(3)
		for range 1 + r.IntN(150) {
			text = append(text, start)
		}
		text[len(text)-1] = r.Int32N(3)
	}
	return text[:min(len(text), 500)]
}

// Whatever happens to it, the tree knows what the plain list knows, forgets what
// the list forgets, and is in order.
func TestTheTreeIsAListOfPrefixes(t *testing.T) {
	for seed := range uint64(140) {
		if testing.Short() && seed%5 > 0 { // a race is no matter: there is one goroutine
			continue
		}
		r := rand.New(rand.NewPCG(seed, 4))
		m := &fakeModel{size: fakeSize, runs: seed >= 50 && seed < 80}
		if seed >= 80 {
			m.window, m.chunks = 1+r.IntN(200), seed >= 110
		}
		l := &loop{model: m}
		tree, list := &prefixes{}, &prefixList{}
		if m.window > 0 {
			tree.first, list.first = m.WindowFirst, m.WindowFirst
		}
		var running []*reader
		var texts [][]int32
		hits := 0
		for step := range 300 {
			op := r.IntN(10)
			what := fmt.Sprintf("seed %d, step %d, operation %d", seed, step, op)
			switch {
			case op < 3 && len(running) < 6:
				text := anyText(r, texts)
				x := &reader{scope: []string{"", "", "", "mine"}[r.IntN(4)], tokens: text, prompt: len(text)}
				x.table = tree.newTable(m.NewCache(), x.scope, len(text)-1)
				want, wholes := list.longest(x.scope, text[:len(text)-1], m.Rewinds()), list.furthest(x.scope, text[:len(text)-1])
				got := x.adopt(text[:len(text)-1])
				if list.first != nil && got != wholes*blockTokens {
					t.Fatalf("%s: %d of %d tokens were found, want %d blocks", what, got, len(text), wholes)
				}
				for i := range x.depth() {
					x.holds = append(x.holds, list.add(x.scope, text[:(i+1)*blockTokens]))
					x.holds[i].held++
				}
				list.look(x.holds)
				if n, m := x.last().nearest(text[x.Len() : len(text)-1]); m > 0 && l.usableOf(n, m) > 0 {
					x.share(n.block, m)
					got += m
				}
				if list.first == nil && got != want || x.Len() != got {
					t.Fatalf("%s: %d of %d tokens were found, want %d", what, got, len(text), want)
				}
				hits += got
				running, texts = append(running, x), append(texts, text)
			case op < 7 && len(running) > 0:
				x := running[r.IntN(len(running))]
				if x.Len() == len(x.tokens) {
					x.tokens = append(x.tokens, r.Int32N(2))
				}
				n := 1 + r.IntN(min(100, len(x.tokens)-x.Len()))
				blocks, before := x.blocks(n), m.blocks
				x.cache.(*fakeCache).read(x.tokens[x.Len():][:n])
				if x.copies = 0; m.blocks-before > blocks {
					t.Fatalf("%s: %d new blocks, %d were expected", what, m.blocks-before, blocks)
				}
				if r.IntN(4) == 0 { // tokens are taken back
					n := max(x.prompt-1, x.Len()-r.IntN(80))
					x.Truncate(n)
					x.tokens = slices.Clone(x.tokens[:max(x.prompt, n)])
					for i := len(x.holds) - 1; i >= x.Len()/blockTokens; i-- {
						x.release(list, i)
					}
				}
				x.thickBefore = x.thickBefore[:0]
				for _, p := range x.cache.(*fakeCache).pages {
					x.thickBefore = append(x.thickBefore, p != nil)
				}
				x.settle(x.tokens)
				x.settled(list)
			case op < 9 && len(running) > 0:
				i := r.IntN(len(running))
				x := running[i]
				rest := x.tokens[:x.Len()]
				if r.IntN(4) == 0 {
					x.abandon()
				} else {
					thick := list.first != nil
					x.end(x.tokens)
					list.look(x.holds)
					if len(rest)%blockTokens > 0 {
						k := list.add(x.scope, rest)
						list.see(k, thick && len(k.tokens) == len(rest))
					}
				}
				for i := len(x.holds) - 1; i >= 0; i-- {
					x.release(list, i)
				}
				running, texts = slices.Delete(running, i, i+1), append(texts, slices.Clone(x.tokens))
			case op == 9:
				for range r.IntN(4) {
					if tree.evict() != list.evict() {
						t.Fatalf("%s: only one of them had something to forget", what)
					}
				}
			}
			checkTree(t, tree)
			tails := 0
			for _, x := range running {
				tails += (x.Len()%blockTokens + blockTokens - 1) / blockTokens
			}
			own := min(1, m.window) * ((m.window+fakeSlack)/blockTokens + 4) // pages of a sequence
			if m.blocks > tree.nodes+tails || m.pages > min(1, m.window)*tree.nodes+own*len(running) {
				t.Fatalf("%s: %d blocks and %d pages in memory, for %d nodes and %d that grow", what, m.blocks, m.pages, tree.nodes, tails)
			}
			if got, want := tree.String(), list.String(); got != want {
				t.Fatalf("%s: the tree has\n%s\nwant\n%s", what, got, want)
			}
		}
		if hits == 0 {
			t.Errorf("seed %d: nothing was ever found", seed)
		}
		for _, x := range running {
			x.abandon()
		}
		for tree.evict() {
		}
		if m.blocks+m.pages != 0 || len(tree.roots) != 0 || tree.nodes+tree.kept+tree.fixed != 0 {
			t.Errorf("seed %d: %d blocks left, %+v", seed, m.blocks, tree)
		}
	}
}

// What is thin is not counted as shared: who asks for it will read it again.
func TestThinNodesAreNotCountedAsShared(t *testing.T) {
	m := &fakeModel{size: fakeSize, window: 40}
	p := &prefixes{first: m.WindowFirst}
	text := prompt(2*blockTokens, 1)
	x := p.newTable(m.NewCache(), "", len(text))
	x.cache.(*fakeCache).read(text)
	x.settle(text)
	thick := p.settled("", text)
	p.roots[""].child(text).block.Thin()
	if thin := p.settled("", text); thick == 0 || thin != 0 {
		t.Errorf("%d blocks, and %d when the first is thin", thick, thin)
	}
}

// settled tells the list of the whole blocks read.
func (x *reader) settled(list *prefixList) {
	for i := len(x.holds); (i+1)*blockTokens <= x.Len(); i++ {
		k := list.add(x.scope, x.tokens[:(i+1)*blockTokens])
		list.see(k, x.thickBefore[i])
		k.held++
		x.holds = append(x.holds, k)
	}
}

func (x *reader) release(list *prefixList, i int) {
	k := x.holds[i]
	x.holds = x.holds[:i]
	if k.held--; k.held == 0 {
		k.used = list.now()
	}
}

// Over a real transformer, logits are the same to the bit, whatever part of the
// text was in memory, and however it came there.
func TestLogitsAreTheSameFromTheTree(t *testing.T) {
	t.Run("attention", func(t *testing.T) { logitsFromTheTree(t, tiny{}) })
	t.Run("convolutions", func(t *testing.T) { logitsFromTheTree(t, tiny{convolved: true}) })
	t.Run("states", func(t *testing.T) { logitsFromTheTree(t, tiny{scanned: true}) })
	t.Run("windows", func(t *testing.T) { logitsFromTheTree(t, tiny{windowed: 70}) })
	t.Run("chunks", func(t *testing.T) { logitsFromTheTree(t, tiny{chunked: 150}) })
	t.Run("squares", func(t *testing.T) { logitsFromTheTree(t, tiny{delta: true}) })
}

func logitsFromTheTree(t *testing.T, of tiny) {
	const most = 25                           // blocks
	l := of.open(t, Options{Threads: 2}).loop // which has nothing to do
	m := l.model
	read := func(c cache, tokens []int32, r *rand.Rand) (logits []float32) {
		for len(tokens) > 0 {
			n := min(len(tokens), 1+r.IntN(90))
			s := []step{{cache: c, tokens: tokens[:n], want: true}}
			if err := m.Forward(s); err != nil {
				t.Fatal(err)
			}
			logits, tokens = s[0].logits, tokens[n:]
		}
		return logits
	}
	r := rand.New(rand.NewPCG(3, 9))
	tree := &prefixes{}
	if m.Window() > 0 {
		tree.first = m.WindowFirst
	}
	var texts [][]int32
	var running []*reader
	cached, whole, steps := 0, 0, 300
	if testing.Short() {
		steps = 75
	}
	for step := range steps {
		text := anyText(r, texts)
		texts = append(texts, text)
		x := &reader{table: tree.newTable(m.NewCache(), "", len(text)-1), tokens: text}
		x.states = m.HasStates()
		x.adopt(text[:len(text)-1])
		if n, k := x.last().nearest(text[x.Len() : len(text)-1]); !x.states && k > 0 && l.usableOf(n, k) > 0 {
			x.share(n.block, k)
		}
		cached, whole = cached+x.Len(), whole+len(text)
		if x.states && x.Len()+1 < len(text) && r.IntN(2) == 0 { // as at the end of a prompt
			read(x.cache, text[x.Len():len(text)-1], r)
			x.point(text)
		}
		got := slices.Clone(read(x.cache, text[x.Len():], r))
		x.settle(text)
		alone := m.NewCache()
		for i, want := range read(alone, text, r) {
			if math.Float32bits(got[i]) != math.Float32bits(want) {
				t.Fatalf("step %d: logit %d of %d tokens is %v, without the tree %v", step, i, len(text), got[i], want)
			}
		}
		alone.Release()
		running = append(running, x)
		for len(running) > r.IntN(5) { // the others go on, and end at some time
			i := r.IntN(len(running))
			x := running[i]
			if r.IntN(2) == 0 {
				if x.Truncate(x.Len() - r.IntN(min(x.Len(), 100))); x.Len() == 0 { // where there are states
					x.adopt(x.tokens)
				}
				x.tokens = append(slices.Clone(x.tokens[:x.Len()]), prompt(1+r.IntN(90), r.Int32())...)
				if len(x.tokens) < tinyContext {
					read(x.cache, x.tokens[x.Len():], r)
				}
			}
			x.end(x.tokens)
			running = slices.Delete(running, i, i+1)
			for m.CacheUsed() > most*m.CacheBytes(1) && tree.evict() {
			}
		}
		checkTree(t, tree)
	}
	if cached == 0 || cached > whole*9/10 {
		t.Errorf("%d of %d tokens were in memory", cached, whole)
	}
	for _, x := range running {
		x.end(x.tokens)
	}
	for tree.evict() {
	}
	if m.CacheUsed() != 0 {
		t.Errorf("%d bytes are left", m.CacheUsed())
	}
}
