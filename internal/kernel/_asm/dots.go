package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A body is what the inner loop does with one chunk of a row and of the tile.
type body interface {
	sizes() sizes
	begin(d *dots)                    // before the chunks of a row
	chunk(d *dots)                    // one chunk
	end(d *dots, r, t int) VecVirtual // after them: a token's sum
}

// sizes of one chunk, in bytes; for the tile those of one token.
type sizes struct{ row, x int }

// dots is the function that is being written:
//
//	for so many rows at a time: for each chunk: body; add the lanes up; out[token·stride + row] = sum
//
// Where fewer rows are left, the last one is done several times.
type dots struct {
	width, rows int
	w, x        GPVirtual   // first row, activations: at the current chunk
	further     []GPVirtual // where the other rows are behind the first
	acc         [][2]VecVirtual
}

// row is where row r is at the current chunk, and so many bytes behind.
func (d *dots) row(r, disp int) Mem {
	if r == 0 {
		return Mem{Base: d.w, Disp: disp}
	}
	return Mem{Base: d.w, Index: d.further[r-1], Scale: 1, Disp: disp}
}

const signature = "func(out *float32, stride int, w *byte, rowBytes, rows, chunks int, x *byte)"

func dotsOf(name string, width, atATime int, set string, b body) {
	f := fmt.Sprintf("dots%sx%d%s", name, width, set)
	TEXT(f, NOSPLIT, signature)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is dotsGo for %s and tiles of %d.", f, name, width))
	d := &dots{width: width, rows: atATime, w: GP64(), x: GP64()}
	row, out, rows, chunks := GP64(), GP64(), GP64(), GP64()
	Load(Param("w"), row)
	Load(Param("out"), out)
	Load(Param("rows"), rows)
	size := b.sizes()

	Label("row")
	MOVQ(row, d.w)
	sums := []GPVirtual{out} // where those of the rows go
	for r := 1; r < atATime; r++ {
		further, sum := GP64(), GP64()
		d.further, sums = append(d.further, further), append(sums, sum)
	}
	last := GP64()
	if atATime > 1 {
		XORQ(last, last)
	}
	for r := 1; r < atATime; r++ {
		MOVQ(sums[r-1], sums[r])
		here := fmt.Sprintf("noRow%d", r)
		CMPQ(rows, I8(int8(r)))
		JLE(LabelRef(here))
		rowBytes := GP64()
		Load(Param("rowBytes"), rowBytes)
		ADDQ(rowBytes, last)
		ADDQ(I8(4), sums[r])
		Label(here)
		MOVQ(last, d.further[r-1])
	}
	Load(Param("x"), d.x)
	Load(Param("chunks"), chunks)
	b.begin(d)

	Label("chunk")
	b.chunk(d)
	ADDQ(I32(size.row), d.w)
	ADDQ(I32(size.x*width), d.x)
	DECQ(chunks)
	JNZ(LabelRef("chunk"))

	stride := GP64()
	if width > 1 {
		Load(Param("stride"), stride)
	}
	for r := range atATime {
		at := GP64()
		MOVQ(sums[r], at)
		for t := range width {
			VMOVSS(b.end(d, r, t).AsX(), Mem{Base: at})
			if t+1 < width {
				LEAQ(Mem{Base: at, Index: stride, Scale: 4}, at)
			}
		}
	}
	ADDQ(I8(int8(4*atATime)), out)
	for range atATime {
		rowBytes := GP64()
		Load(Param("rowBytes"), rowBytes)
		ADDQ(rowBytes, row)
	}
	SUBQ(I8(int8(atATime)), rows)
	JG(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// addUp is sum16.
func addUp(lanes [2]VecVirtual) VecVirtual { return addUp8(lanes[0], lanes[1]) }

func addUp8(low, upper Register) VecVirtual {
	sum := YMM()
	VADDPS(upper, low, sum)
	high := XMM()
	VEXTRACTF128(U8(1), sum, high)
	VADDPS(sum.AsX(), high, high)
	return addUp4(high)
}

// addUp4 is sum4.
func addUp4(x VecVirtual) VecVirtual {
	y := XMM()
	VMOVHLPS(x, x, y)
	VADDPS(x, y, y)
	z := XMM()
	VMOVSHDUP(y, z)
	VADDSS(z, y, y)
	return y
}

func pairs(width int) [][2]VecVirtual {
	p := make([][2]VecVirtual, width)
	for t := range p {
		p[t] = [2]VecVirtual{YMM(), YMM()}
	}
	return p
}

func zero(regs ...VecVirtual) {
	for _, r := range regs {
		VXORPS(r, r, r)
	}
}

// floatsAVX2 are rows of numbers: chunks of 16, the first eight in one register
// of lanes, the others in the other.
type floatsAVX2 struct{ bits int } // 32, 16, or −16 for BF16

func (f floatsAVX2) sizes() sizes {
	if f.bits == 32 {
		return sizes{row: 64, x: 64}
	}
	return sizes{row: 32, x: 64}
}

func (floatsAVX2) begin(d *dots) {
	d.acc = pairs(d.width)
	for _, a := range d.acc {
		zero(a[0], a[1])
	}
}

func (f floatsAVX2) chunk(d *dots) {
	for h := range 2 {
		w := YMM()
		switch f.bits {
		case 32:
			VMOVUPS(Mem{Base: d.w, Disp: 32 * h}, w)
		case 16:
			VCVTPH2PS(Mem{Base: d.w, Disp: 16 * h}, w)
		default:
			VPMOVZXWD(Mem{Base: d.w, Disp: 16 * h}, w)
			VPSLLD(U8(16), w, w)
		}
		for t := range d.width {
			p := YMM()
			VMULPS(Mem{Base: d.x, Disp: 64*t + 32*h}, w, p)
			VADDPS(p, d.acc[t][h], d.acc[t][h])
		}
	}
}

func (floatsAVX2) end(d *dots, r, t int) VecVirtual { return addUp(d.acc[t]) }
