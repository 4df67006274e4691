package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A panelFunc is the function that is being written, for one type and one width of
// tile (see panel.go of package kernel for what lies where):
//
//	for each panel: for each chunk: body; out[token·stride] … [+ 15] = the tile's sums
//
// Where a register holds 8 rows, a chunk is gone over twice, each time for one half of its lines.
type panelFunc struct {
	width   int
	body    panelBody
	w, x, m GPVirtual // weights, activations, what belongs to them: at the current chunk
	back    GPVirtual // −16 in the second half of a line, 0 else
	sums    GPVirtual // where the sums of this half are,
	local   Mem       // which are here
	asked   map[int]bool
}

// A panelBody is what is done with one chunk of a panel and of the tile.
type panelBody interface {
	bytes() int       // of weights in a chunk
	form() activation // of the activations
	begin(p *panelFunc)
	chunk(p *panelFunc)
	end(p *panelFunc, store func(t, row int, sum VecVirtual)) // from that row of the panel on
}

// An activation is a form of activations: columns of a chunk, and words of 32 bits
// that belong to a token's.
type activation struct{ cols, words int }

// How far before its use a line is asked for, in bytes, each time anew: a processor that has as
// many requests under way as it can drops further ones, and a line that was asked for once only
// is then waited for. With registers of 8 rows each ask is made twice, once for each half.
var (
	aheads       = []int{32 << 10, 16 << 10, 8 << 10, 4 << 10}
	aheadsHalves = []int{16 << 10}
)

const panelSignature = "func(out *float32, stride int, w *byte, panels, chunks int, x *int8, meta *uint32)"

func panelOf(name string, width int, set string, b panelBody) {
	f := fmt.Sprintf("panels%sx%d%s", name, width, set)
	attributes := attr.NOSPLIT
	if b.form() == bytes256 && width > 8 {
		attributes = 0 // more of the stack than that allows
	}
	TEXT(f, attributes, panelSignature)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s multiplies panels of %s with tiles of %d.", f, name, width))
	p := &panelFunc{width: width, body: b, w: GP64(), x: GP64(), m: GP64(), asked: map[int]bool{}}
	out, panels, chunks := GP64(), GP64(), GP64()
	if set != "AVX512" {
		p.back, p.sums = GP64(), GP64()
	}
	Load(Param("w"), p.w)
	Load(Param("out"), out)
	Load(Param("panels"), panels)

	Label("panel")
	Load(Param("x"), p.x)
	Load(Param("meta"), p.m)
	Load(Param("chunks"), chunks)
	b.begin(p)

	Label("chunk")
	if p.back != nil {
		XORQ(p.back, p.back)
		LEAQ(p.local, p.sums)
		Label("half")
	}
	b.chunk(p)
	for i := range b.bytes() / 64 {
		p.ask(i)
	}
	if p.back != nil {
		NOTQ(p.back)
		ANDQ(I8(-16), p.back)
		JZ(LabelRef("whole"))
		ADDQ(I8(32), p.w)
		ADDQ(I32(int32(32*width)), p.sums)
		JMP(LabelRef("half"))
		Label("whole")
		SUBQ(I8(32), p.w)
	}
	a := b.form()
	ADDQ(I32(int32(b.bytes())), p.w)
	ADDQ(I32(int32(a.cols*width)), p.x)
	ADDQ(I32(int32(4*a.words*width)), p.m)
	DECQ(chunks)
	JNZ(LabelRef("chunk"))

	at, stride := GP64(), GP64()
	MOVQ(out, at)
	if width > 1 {
		Load(Param("stride"), stride)
	}
	last := 0
	b.end(p, func(t, row int, sum VecVirtual) {
		for ; last < t; last++ {
			LEAQ(Mem{Base: at, Index: stride, Scale: 4}, at)
		}
		VMOVUPS(sum, Mem{Base: at, Disp: 4 * row})
	})
	ADDQ(I8(64), out)
	DECQ(panels)
	JNZ(LabelRef("panel"))
	VZEROUPPER()
	RET()
}

// The tile's data at the current chunk.

// four is where the bytes of columns 4k to 4k+3 of token t are.
func (p *panelFunc) four(cols, t, k int) Mem { return Mem{Base: p.x, Disp: cols*t + 4*k} }

// word is where word i of token t is.
func (p *panelFunc) word(i, t int) Mem { return Mem{Base: p.m, Disp: 4 * (i*p.width + t)} }

// line is where line i of 64 bytes of the weights is.
func (p *panelFunc) line(i int) Mem {
	p.ask(i)
	return Mem{Base: p.w, Disp: 64 * i}
}

// ask asks for the lines that are so far ahead of one, once in a chunk: the processor itself
// looks ahead too little while it computes.
func (p *panelFunc) ask(i int) {
	if !p.asked[i] {
		p.asked[i] = true
		if p.back != nil {
			askFor(aheadsHalves, Mem{Base: p.w, Disp: 64 * i})
		} else {
			askFor(aheads, Mem{Base: p.w, Disp: 64 * i})
		}
	}
}

func askFor(aheads []int, line Mem) {
	for _, n := range aheads {
		PREFETCHT1(line.Offset(n))
	}
}
