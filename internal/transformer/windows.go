package transformer

// Layers that see a window.
//
// Such a layer looks back over so many positions and no further, or to the beginning of the
// chunk that a token is in (Llama 4), so a sequence that goes on needs the pages of those blocks
// alone: the others it gives up as it goes. Some more are kept, so that its last tokens can be
// taken back. A Block may have lost its page, too (Thin), when others hold its keys and values
// for the layers that see all. So a sequence can go on behind a place where the blocks that the
// window reaches into are all there, or at the beginning.

const (
	// windowSlack is how many tokens can be taken back at any time.
	windowSlack = 2 * blockTokens
	// mostRead is how many tokens are read at a time where there are windows: what is read
	// has to be there besides.
	mostRead = 512
)

// A window is what a token sees of the positions before it; the zero value is all.
type window struct {
	tokens  int  // that it sees at most, with itself
	chunked bool // it sees those of its own chunk: all are of so many tokens
}

// first is the first position that a token behind n others sees.
func (w window) first(n int) int {
	switch {
	case w.tokens == 0:
		return 0
	case w.chunked:
		return n / w.tokens * w.tokens
	}
	return max(0, n-w.tokens+1)
}

// Window is how many positions layers with a window see at most, with a token's own; 0: there
// are none.
func (m *Model) Window() int { return m.kv.window.tokens }

// WindowFirst is the first position that layers with a window see of a token behind n others.
func (m *Model) WindowFirst(n int) int { return m.kv.window.first(n) }

// MostRead is how many tokens of a sequence a call of Forward may read for its memory to be
// what KVBytes says; 0: any number.
func (m *Model) MostRead() int {
	if m.Window() == 0 {
		return 0
	}
	return mostRead
}

// windowBlocks is how many pages of layers with a window a sequence has at most.
func (l *kvLayout) windowBlocks() int {
	return blocksFor(l.window.tokens+windowSlack+mostRead) + 1
}

// slide gives up the pages that no token will look at.
func (kv *KV) slide() {
	l := kv.layout
	first := l.window.first(max(0, kv.length-windowSlack))
	for pages := kv.pages[windowed]; (kv.slid+1)*blockTokens <= first; kv.slid++ {
		kv.memory.release(windowed, pages[kv.slid])
		pages[kv.slid] = nil
	}
}

// seesWindow reports whether a token behind n others finds all that its layers look at.
func (kv *KV) seesWindow(n int) bool {
	l := kv.layout
	if l.window.tokens == 0 {
		return true
	}
	for i := l.window.first(n) / blockTokens; i < blocksFor(n); i++ {
		if kv.pages[windowed][i] == nil {
			return false
		}
	}
	return true
}

// Thick reports whether a block has all its pages, those of layers with a window, too.
func (b *Block) Thick() bool { return b.memory.sizes[windowed] == 0 || b.pages[windowed] != nil }

// Thin gives up the page of layers with a window.
func (b *Block) Thin() {
	b.memory.release(windowed, b.pages[windowed])
	b.pages[windowed] = nil
}

// Thicken takes over that page of a block of the same tokens.
func (b *Block) Thicken(of *Block) {
	share(of.pages[windowed])
	b.Thin()
	b.pages[windowed] = of.pages[windowed]
}
