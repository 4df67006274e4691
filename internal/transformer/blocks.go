package transformer

import "parley/internal/kernel"

// Who owns the memory of keys and values.
//
// A page is that of blockTokens positions in the layers of one group: those that
// see all positions, those with a window, which do without old ones (windows.go), and those that
// carry something along (carried.go), of which there is a page for whole blocks only. A KV
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
	carried
	groups

	recent = groups     // a KV's ring is a page of its own kind
	whole  = groups + 1 // and so is all state that runs along
	kinds  = groups + 2
)

type page struct {
	bytes  []byte    // keys and values
	floats []float32 // or columns
	users  int
}

// A memory is the pages of a model.
type memory struct {
	sizes [kinds]int // of a page in bytes; 0: there are no such layers
	free  [kinds][]*page
	used  int64 // bytes that someone refers to
	arena kernel.Arena
}

// largePage is the size from which pages lie in the arena: as many as a text has take whole huge
// pages then. The few of a small model are not worth one.
const largePage = 128 << 10

// page gives an empty one with one user.
func (m *memory) page(group int) *page {
	m.used += int64(m.sizes[group])
	if n := len(m.free[group]); n > 0 {
		p := m.free[group][n-1]
		m.free[group] = m.free[group][:n-1]
		clear(p.bytes)
		clear(p.floats)
		p.users = 1
		return p
	}
	p, size := &page{users: 1}, m.sizes[group]
	floats, large := group == carried || group >= recent, size >= largePage
	switch {
	case floats && large:
		p.floats = m.arena.Floats(size / 4)
	case floats:
		p.floats = make([]float32, size/4)
	case large:
		p.bytes = m.arena.Bytes(size)
	default:
		p.bytes = make([]byte, size)
	}
	return p
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
	copy(q.floats, p.floats)
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
	held   int // positions
}

// Block refers to the i-th block of kv, which has to exist.
func (kv *KV) Block(i int) *Block {
	b := &Block{memory: kv.memory, held: min(blockTokens, kv.length-i*blockTokens)}
	for g := range kv.pages {
		switch {
		case kv.memory.sizes[g] == 0:
		case g == carried && b.held < blockTokens:
			b.pages[g] = kv.ending()
		default:
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
// that holds the same, or behind the last one, and then kv ends where b does.
func (kv *KV) Adopt(i int, b *Block) {
	kv.check(b)
	behind := i == kv.length/blockTokens && kv.length%blockTokens == 0
	if behind {
		kv.Truncate(kv.length) // no empty page stays behind
		kv.length += b.held
		kv.since = kv.length
		if b.held < blockTokens && kv.memory.sizes[carried] > 0 {
			kv.tail = b.pages[carried]
			share(kv.tail)
		}
	}
	for g := range kv.pages {
		if kv.memory.sizes[g] == 0 || g == carried && b.held < blockTokens {
			continue
		}
		if behind {
			kv.pages[g] = append(kv.pages[g], nil)
		}
		if !behind && b.pages[g] == nil {
			continue // its own is as good
		}
		share(b.pages[g])
		kv.memory.release(g, kv.pages[g][i])
		kv.pages[g][i] = b.pages[g]
	}
	kv.slide()
}

// Copy puts the first n positions of b, at most as many as it holds, behind a kv of
// whole blocks, in memory of its own: none, where kv cannot go on behind them.
func (kv *KV) Copy(b *Block, n int) {
	if n == 0 {
		return
	}
	start := kv.length
	kv.Adopt(start/blockTokens, b)
	kv.Truncate(start + n)
	kv.reserve(kv.length) // which makes it its own
}

// Fill puts copies of the last whole block of src behind the whole blocks of kv, as many
// as make up to n positions. It takes the memory and the time of any others to read them, which is
// all that they are good for: a key says where its token stood.
func (kv *KV) Fill(src *KV, n int) {
	if src.length < blockTokens {
		return
	}
	b := src.Block(src.length/blockTokens - 1)
	defer b.Release()
	defer kv.fillState(src)
	for kv.Truncate(kv.length / blockTokens * blockTokens); kv.length+blockTokens <= n; {
		i := kv.length / blockTokens
		kv.Adopt(i, b)
		for g, pages := range kv.pages {
			if kv.memory.sizes[g] > 0 {
				pages[i] = kv.memory.own(g, pages[i])
			}
		}
	}
}

func (kv *KV) check(b *Block) {
	if kv.memory != b.memory {
		panic("transformer: keys and values of another model")
	}
}
