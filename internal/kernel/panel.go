package kernel

import (
	"encoding/binary"
	"fmt"
)

// Rows of blocks lie packed in panels for assembly: 16 rows, of which vector code
// multiplies a few columns at a time with the same activations, so that nothing has
// to be added up across a register. A panel is chunks of 64 columns (types with blocks of
// 32) or 256, a chunk is lines of 64 bytes, and a line is a word of 32 bits of each row:
//
//	line      row 0      row 1            row 15
//	  0       word 0     word 0     …     word 0      of the row's first block in the chunk
//	  1       word 1     word 1     …     word 1
//	  …
//	  n       word 0     word 0     …     word 0      of its second, where a chunk has two
//
// The words are those of a block as the file has it, so that a panel is as large as its
// rows, and the four bytes of a word are one, two or four times four neighbouring columns,
// some of their bits each: a quad. Three things differ. A scale that would put the
// words out of step is in a line of its own: 16 halves for the first block, 16 for the second
// (scaleFirst: the first line; scaleLast: the last one of a block, whose second half is not used).
// Some words are changed (flip, fifth), or are in another line, so that lines are
// first needed in their order (order); these are drawn in the file of the type. Rows and columns are filled up with zeros to whole
// panels and chunks.
type panel struct {
	words int // of a block, four at least
	scale scalePlace
	flip  uint32  // bits that are the other way round
	fifth int     // the line of fifth bits (q5_0.go), or 0
	order []uint8 // the line of each word
}

// order makes a table of a function.
func order(words int, line func(word int) int) []uint8 {
	t := make([]uint8, words)
	for i := range t {
		t[i] = uint8(line(i))
	}
	return t
}

type scalePlace uint8

const (
	scaleNone  scalePlace = iota // among the words
	scaleFirst                   // F16, before them
	scaleLast                    // F16, behind them
	scalePower                   // one byte before them, of MXFP4; in the line as BF16
)

const (
	panelRows = 16
	lineBytes = 64
)

// chunkCols is the number of columns of a chunk.
func (t Type) chunkCols() int { return max(64, types[t].size) }

// chunkLines is the number of lines of one.
func (t Type) chunkLines() int {
	n := t.chunkCols() / types[t].size * types[t].panel.words
	if types[t].panel.scale != scaleNone {
		n++
	}
	return n
}

func (t Type) packs() bool { return types[t].panel.words > 0 }

// panelBytes is the size of a panel of the matrix.
func (m *Matrix) panelBytes() int {
	return (m.Cols + m.Type.chunkCols() - 1) / m.Type.chunkCols() * m.Type.chunkLines() * lineBytes
}

func (m *Matrix) panels() int { return (m.Rows + panelRows - 1) / panelRows }

// packedBytes is what the matrix takes packed: nothing if it is multiplied as it is.
func (m *Matrix) packedBytes() int {
	if !m.Type.packs() {
		return 0
	}
	return m.panels() * m.panelBytes()
}

// Packed is the memory of packed matrices.
type Packed struct{ memory []byte }

// Pack lays matrices out for multiplication, on the threads of p, where what computes
// wants it; the others stay as they are. Their data is read once, a group of them after the other, each of
// which done is told of, and from then on only by Row. The matrices must not be used after Free.
//
// All lie in one piece of memory, so that all but its end is huge pages, whatever the size of a
// group: in small ones, memory is read at two thirds of the speed.
func Pack(p *Pool, groups [][]*Matrix, done func()) (*Packed, error) {
	if !wantsPanels() {
		return &Packed{}, nil
	}
	size := 0
	for _, matrices := range groups {
		for _, m := range matrices {
			size += m.packedBytes()
		}
	}
	if size == 0 {
		return &Packed{}, nil
	}
	memory, err := allocate(size)
	if err != nil {
		return nil, fmt.Errorf("kernel: memory of %d bytes for weights: %w", size, err)
	}
	rest := memory
	for _, matrices := range groups {
		rest = packGroup(p, matrices, rest)
		done()
	}
	return &Packed{memory}, nil
}

// packGroup takes the memory from the beginning, and returns the rest.
func packGroup(p *Pool, matrices []*Matrix, memory []byte) []byte {
	type part struct {
		m    *Matrix
		from int // panel
	}
	const partPanels = 4
	var parts []part
	for _, m := range matrices {
		n := m.packedBytes()
		if n == 0 {
			continue
		}
		m.packed, memory = memory[:n:n], memory[n:]
		for i := 0; i < m.panels(); i += partPanels {
			parts = append(parts, part{m, i})
		}
	}
	p.Run(len(parts), func(i int) {
		m := parts[i].m
		for k := parts[i].from; k < min(parts[i].from+partPanels, m.panels()); k++ {
			m.packPanel(k)
		}
	})
	return memory
}

// Bytes is the size of the memory.
func (p *Packed) Bytes() int { return len(p.memory) }

// Free gives the memory back.
func (p *Packed) Free() {
	if p.memory != nil {
		release(p.memory)
		p.memory = nil
	}
}

func (m *Matrix) packPanel(index int) {
	k := &types[m.Type]
	p := &k.panel
	dst := m.packed[index*m.panelBytes():][:m.panelBytes()]
	rows := min(panelRows, m.Rows-index*panelRows)
	src := m.rows(index*panelRows, index*panelRows+rows)
	chunkBytes, blocks := m.Type.chunkLines()*lineBytes, m.Cols/k.size
	perChunk := m.Type.chunkCols() / k.size
	for b := range min(perChunk, blocks) { // the blocks that are at this place in their chunk
		t := transposition{
			rows: rows, rowBytes: m.rowBytes, words: p.words, lines: p.order, flip: p.flip,
			blocks: (blocks - b + perChunk - 1) / perChunk, srcStep: perChunk * k.bytes, dstStep: chunkBytes,
		}
		if t.lines == nil {
			t.lines = inOrder
		}
		first, scale := p.words*b*lineBytes, 2*panelRows*b
		from := src[b*k.bytes:]
		switch p.scale {
		case scaleNone:
			t.do(dst[first:], from)
		case scaleFirst:
			t.do(dst[first+lineBytes:], from[2:])
			t.scales(dst[scale:], from)
		case scalePower:
			t.do(dst[first+lineBytes:], from[1:])
			t.powers(dst[scale:], from)
		case scaleLast:
			t.do(dst[first:], from)
			t.scales(dst[first+p.words*lineBytes:], from[4*p.words:])
		}
		if p.fifth > 0 {
			t.fifthBits(dst[first+p.fifth*lineBytes:])
		}
	}
}

// A transposition is how the words of rows become lines.
type transposition struct {
	rows, rowBytes           int
	blocks, srcStep, dstStep int // how many, and how far one is from the next
	words                    int
	lines                    []uint8 // that they become
	flip                     uint32
}

func (t *transposition) do(dst, src []byte) {
	// What assembly will touch is there.
	_ = src[(t.rows-1)*t.rowBytes+(t.blocks-1)*t.srcStep+4*t.words-1]
	_ = dst[(t.blocks-1)*t.dstStep+t.words*lineBytes-1]
	if t.rows < panelRows || !transpose(t, dst, src) {
		t.transposeGo(dst, src)
	}
}

func (t *transposition) transposeGo(dst, src []byte) {
	le := binary.LittleEndian
	for i := range t.blocks {
		for r := range t.rows {
			block, lines := src[r*t.rowBytes+i*t.srcStep:][:4*t.words], dst[i*t.dstStep+4*r:]
			for w, line := range t.lines[:t.words] {
				le.PutUint32(lines[lineBytes*int(line):], le.Uint32(block[4*w:])^t.flip)
			}
		}
	}
}

// scales puts halves beside each other.
func (t *transposition) scales(dst, src []byte) {
	for r := range t.rows {
		row := src[r*t.rowBytes:]
		for i := range t.blocks {
			from, to := row[i*t.srcStep:][:2], dst[i*t.dstStep+2*r:][:2]
			to[0], to[1] = from[0], from[1]
		}
	}
}

// powers does so with those of MXFP4.
func (t *transposition) powers(dst, src []byte) {
	for r := range t.rows {
		row := src[r*t.rowBytes:]
		for i := range t.blocks {
			h := toBF16(scaleMXFP4(row[i*t.srcStep]))
			binary.LittleEndian.PutUint16(dst[i*t.dstStep+2*r:], h)
		}
	}
}

// fifthBits changes a line of words of them.
func (t *transposition) fifthBits(dst []byte) {
	for i := range t.blocks {
		line := dst[i*t.dstStep:][:4*t.rows]
		for at := 0; at+4 <= len(line); at += 4 {
			binary.LittleEndian.PutUint32(line[at:], fifthBits(binary.LittleEndian.Uint32(line[at:])))
		}
	}
}

// inOrder are the lines of words that stay in order.
var inOrder = order(64, func(word int) int { return word })
