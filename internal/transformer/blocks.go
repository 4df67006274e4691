package transformer

// Who owns the memory of keys and values.
//
// A page is that of blockTokens positions in the layers of one group: those that
// see all positions, and those with a window, which can do without old ones. A KV
// and a Block refer to pages, and several may refer to one. A page that more than
// one refers to is not written any more: who has to write copies it first.
// Pages to which nobody refers are used again, so that a model holds at most what
// was in use at one time. All of it is for one goroutine at a time.

// blockTokens is the number of positions of a page, and BlockTokens is its name
// elsewhere.
const (
	blockTokens = 64
	BlockTokens = blockTokens
)

// Groups of layers.
const (
	seesAll = iota
	windowed
	groups
)

type page struct {
	bytes []byte
	users int
}

// A memory is the pages of a model.
type memory struct {
	sizes [groups]int // of a page in bytes; 0: there are no such layers
	free  [groups][]*page
	used  int64 // bytes that someone refers to
}

// page gives an empty one with one user.
func (m *memory) page(group int) *page {
	m.used += int64(m.sizes[group])
	if n := len(m.free[group]); n > 0 {
		p := m.free[group][n-1]
		m.free[group] = m.free[group][:n-1]
		clear(p.bytes)
		p.users = 1
		return p
	}
	return &page{make([]byte, m.sizes[group]), 1}
}

// release is called by each user once. A nil page has none.
func (m *memory) release(group int, p *page) {
	if p == nil {
		return
	}
	if p.users--; p.users == 0 {
		m.used -= int64(m.sizes[group])
		m.free[group] = append(m.free[group], p)
	}
}

// own gives a page with the same content that has one user: the page itself, or
// a copy in its place.
func (m *memory) own(group int, p *page) *page {
	if p == nil || p.users == 1 {
		return p
	}
	q := m.page(group)
	copy(q.bytes, p.bytes)
	p.users--
	return q
}

// KVUsed is the memory of all keys and values that are held, counted once.
func (m *Model) KVUsed() int64 { return m.memory.used }

// A Block refers to the keys and values of blockTokens positions, or of the first
// of them, as they stand in a sequence. It keeps them as they are, whatever
// becomes of the KV from which it comes.
type Block struct {
	memory *memory
	pages  [groups]*page
}

// Block refers to the i-th block of kv, which has to exist.
func (kv *KV) Block(i int) *Block {
	b := &Block{memory: kv.memory}
	for g := range kv.pages {
		if kv.memory.sizes[g] > 0 {
			b.pages[g] = kv.pages[g][i]
			share(b.pages[g])
		}
	}
	return b
}

func share(p *page) {
	if p != nil {
		p.users++
	}
}

// Release ends the reference.
func (b *Block) Release() {
	for g, p := range b.pages {
		b.memory.release(g, p)
		b.pages[g] = nil
	}
}

// Adopt makes b the i-th block of kv, in memory shared with it: in place of one
// that holds the same, or behind the last one, of which then all positions are
// held.
func (kv *KV) Adopt(i int, b *Block) {
	kv.check(b)
	if i == kv.length/blockTokens && kv.length%blockTokens == 0 {
		kv.Truncate(kv.length) // no empty page stays behind
		kv.length += blockTokens
		for g := range kv.pages {
			if kv.memory.sizes[g] > 0 {
				kv.pages[g] = append(kv.pages[g], nil)
			}
		}
	}
	for g := range kv.pages {
		if kv.memory.sizes[g] > 0 {
			share(b.pages[g])
			kv.memory.release(g, kv.pages[g][i])
			kv.pages[g][i] = b.pages[g]
		}
	}
}

// Copy puts the first n positions of b, at most blockTokens, behind a kv of whole
// blocks, in memory of its own.
func (kv *KV) Copy(b *Block, n int) {
	if n == 0 {
		return
	}
	kv.Adopt(kv.length/blockTokens, b)
	kv.length -= blockTokens - n
	kv.reserve(kv.length) // which makes it its own
}

func (kv *KV) check(b *Block) {
	if kv.memory != b.memory {
		panic("transformer: keys and values of another model")
	}
}
