package transformer

import (
	"slices"
	"testing"
)

// eachWindow tests models of which some layers see a window of 5 tokens, or chunks.
func eachWindow(t *testing.T, test func(t *testing.T, m *Model)) {
	for name, r := range map[string]tiny{"window": recipeOf("gemma3"), "short chunks": chunked(7), "long chunks": chunked(100)} {
		t.Run(name, func(t *testing.T) {
			r.context = 2048
			test(t, r.load(t, 2))
		})
	}
}

// However long a text grows, layers with a window take no more than is said, and less than all of it.
func TestWindowsBoundTheMemory(t *testing.T) { eachWindow(t, windowsBoundTheMemory) }

func windowsBoundTheMemory(t *testing.T, m *Model) {
	kv := m.NewKV()
	ids := sequence(2000, 3)
	for _, n := range []int{1, 63, m.MostRead(), 1, m.MostRead(), 200, m.MostRead()} {
		forward(t, m, Step{kv, ids[kv.Len():][:n], None})
		if kv.Bytes() > m.KVBytes(kv.Len()) {
			t.Errorf("%d tokens take %d bytes, said are %d", kv.Len(), kv.Bytes(), m.KVBytes(kv.Len()))
		}
	}
	blocks := int64(blocksFor(kv.Len()))
	if all := blocks * int64(m.memory.sizes[seesAll]+m.memory.sizes[windowed]); m.KVBytes(kv.Len()) >= all {
		t.Errorf("%d bytes are said, all of it takes %d", m.KVBytes(kv.Len()), all)
	}
	if own := kv.Bytes() - blocks*int64(m.memory.sizes[seesAll]); own > int64(blocksFor(m.Window()+windowSlack)+1)*int64(m.memory.sizes[windowed]) {
		t.Errorf("layers with a window hold %d bytes at the end", own)
	}
	kv.Release()
	if m.KVUsed() != 0 {
		t.Errorf("%d bytes are left", m.KVUsed())
	}
}

// The last tokens of a long text can be taken back, and what comes then is as if they had never
// been read; what is farther back than that is gone.
func TestWindowsLetTokensBeTakenBack(t *testing.T) { eachWindow(t, windowsLetTokensBeTakenBack) }

func windowsLetTokensBeTakenBack(t *testing.T, m *Model) {
	ids := sequence(700, 3)
	kv, alone := m.NewKV(), m.NewKV()
	forward(t, m, Step{kv, ids, None})
	const n = 700 - windowSlack
	kv.Truncate(n)
	if kv.Len() != n {
		t.Fatalf("%d tokens are left of %d", kv.Len(), n)
	}
	forward(t, m, Step{alone, ids[:n], None})
	more := sequence(9, 4)
	want := slices.Clone(forward(t, m, Step{alone, more, Last})[0])
	same(t, "behind what was taken back", forward(t, m, Step{kv, more, Last}), [][]float32{want})
	if kv.Truncate(64); kv.Len() != 0 {
		t.Errorf("%d tokens are left where the window finds nothing", kv.Len())
	}
}

// A block is thin or thick; one goes on behind thick ones, and a thin one is thick again with a
// block of the same tokens.
func TestThinBlocks(t *testing.T) { eachWindow(t, thinBlocks) }

func thinBlocks(t *testing.T, m *Model) {
	ids := sequence(2*blockTokens, 3)
	kv, other := m.NewKV(), m.NewKV()
	forward(t, m, Step{kv, ids, None})
	first, last, again := kv.Block(0), kv.Block(1), kv.Block(1)
	first.Thin()
	last.Thin()
	if first.Thick() || last.Thick() || !again.Thick() {
		t.Error("a block says that it is what it is not")
	}
	last.Thicken(again)
	if p := again.pages[windowed]; p.users != 3 || last.pages[windowed] != p { // the sequence's, and both blocks'
		t.Errorf("a page has %d users", p.users)
	}
	other.Adopt(0, first)
	if other.Behind(blockTokens) != 0 {
		t.Error("a sequence could go on behind a thin block")
	}
	other.Adopt(1, last)
	more := sequence(9, 4)
	want := slices.Clone(forward(t, m, Step{kv, more, Last})[0])
	same(t, "behind a thin block and a thick one", forward(t, m, Step{other, more, Last}), [][]float32{want})

	last.Thin()
	kv.Truncate(2 * blockTokens)
	kv.Adopt(1, last) // in place of its own, which it keeps as far as the other has lost it
	same(t, "with a thin block in place", forward(t, m, Step{kv, more, Last}), [][]float32{want})
	for _, b := range []*Block{first, last, again} {
		b.Release()
	}
	kv.Release()
	other.Release()
	if m.KVUsed() != 0 {
		t.Errorf("%d bytes are left", m.KVUsed())
	}
}
