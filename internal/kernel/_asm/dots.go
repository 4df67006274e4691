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
	begin(d *dots)                 // before the chunks of a row
	chunk(d *dots)                 // one chunk
	end(d *dots, t int) VecVirtual // after them: a token's sum
}

// sizes of one chunk, in bytes; for the tile those of one token.
type sizes struct{ row, x, d, sums, offsets int }

// dots is the function that is being written:
//
//	for each row: for each chunk: body; add the lanes up; out[token·stride + row] = sum
type dots struct {
	width      int
	w, x, d, s GPVirtual // row, activations, scales, sums: at the current chunk
	o          GPVirtual // offsets, likewise
	acc        [][2]VecVirtual
	total      [][2]VecVirtual
	float      Mem // lanes kept in memory: 64 bytes a token
	low        Mem // likewise the four lanes of minima: 16 bytes a token
	scale      Mem // 32 bytes
}

const signature = "func(out *float32, stride int, w *byte, rowBytes, rows, chunks int, x *byte, d *float32, sums *int16, offsets *int32)"

func dotsOf(name string, width int, set string, b body) {
	f := fmt.Sprintf("dots%sx%d%s", name, width, set)
	TEXT(f, NOSPLIT, signature)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is dotsGo for %s and tiles of %d.", f, name, width))
	d := &dots{width: width, w: GP64()}
	row, out, rows, chunks := GP64(), GP64(), GP64(), GP64()
	Load(Param("w"), row)
	Load(Param("out"), out)
	Load(Param("rows"), rows)

	// What advances beside the row.
	size := b.sizes()
	var beside []func()
	for _, p := range []struct {
		name string
		step int
		reg  *GPVirtual
	}{{"x", size.x, &d.x}, {"d", size.d, &d.d}, {"sums", size.sums, &d.s}, {"offsets", size.offsets, &d.o}} {
		if p.step > 0 {
			*p.reg = GP64()
			beside = append(beside, func() { ADDQ(I32(p.step*width), *p.reg) })
		}
	}

	Label("row")
	MOVQ(row, d.w)
	loadBeside(d)
	Load(Param("chunks"), chunks)
	b.begin(d)

	Label("chunk")
	b.chunk(d)
	ADDQ(I32(size.row), d.w)
	for _, advance := range beside {
		advance()
	}
	DECQ(chunks)
	JNZ(LabelRef("chunk"))

	at, stride := GP64(), GP64()
	MOVQ(out, at)
	if width > 1 {
		Load(Param("stride"), stride)
	}
	for t := range width {
		VMOVSS(b.end(d, t).AsX(), Mem{Base: at})
		if t+1 < width {
			LEAQ(Mem{Base: at, Index: stride, Scale: 4}, at)
		}
	}
	ADDQ(I8(4), out)
	rowBytes := GP64()
	Load(Param("rowBytes"), rowBytes)
	ADDQ(rowBytes, row)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// loadBeside sets what advances beside a row to its start.
func loadBeside(d *dots) {
	for _, p := range []struct {
		name string
		reg  GPVirtual
	}{{"x", d.x}, {"d", d.d}, {"sums", d.s}, {"offsets", d.o}} {
		if p.reg != nil {
			Load(Param(p.name), p.reg)
		}
	}
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

func (floatsAVX2) end(d *dots, t int) VecVirtual { return addUp(d.acc[t]) }

// blocks32AVX2 are Q8_0 (34 bytes a block) and Q4_0 (18): chunks of two blocks, one
// in each register of lanes.
type blocks32AVX2 struct{ bytes int }

func (b blocks32AVX2) sizes() sizes { return sizes{row: 2 * b.bytes, x: 64, d: 8} }

func (blocks32AVX2) begin(d *dots) {
	floatsAVX2{}.begin(d)
}

func (b blocks32AVX2) chunk(d *dots) {
	for h := range 2 {
		w, size, scale := YMM(), YMM(), YMM()
		block := Mem{Base: d.w, Disp: b.bytes * h}
		if b.bytes == 34 {
			VMOVDQU(block.Offset(2), w)
		} else {
			high := XMM()
			VMOVDQU(block.Offset(2), w.AsX())
			VPSRLW(U8(4), w.AsX(), high)
			VINSERTI128(U8(1), high, w, w)
			VPAND(repeatedBytes(15), w, w)
			VPSUBB(repeatedBytes(8), w, w)
		}
		VPABSB(w, size)
		VPBROADCASTW(block, scale.AsX())
		VCVTPH2PS(scale.AsX(), scale)
		for t := range d.width {
			// The one factor without sign, the other with that of the product.
			p, s := YMM(), YMM()
			VMOVDQU(Mem{Base: d.x, Disp: 64*t + 32*h}, p)
			VPSIGNB(w, p, p)
			VPMADDUBSW(p, size, p)
			VPMADDWD(repeatedWords(1), p, p)
			VCVTDQ2PS(p, p)
			VBROADCASTSS(Mem{Base: d.d, Disp: 8*t + 4*h}, s)
			VMULPS(scale, s, s)
			VMULPS(s, p, p)
			VADDPS(p, d.acc[t][h], d.acc[t][h])
		}
	}
}

func (blocks32AVX2) end(d *dots, t int) VecVirtual { return addUp(d.acc[t]) }

// blocks256 keep whole numbers in registers during a block, and the lanes of
// floats in memory.
func beginBlocks256(d *dots, minima bool) {
	d.total = pairs(d.width)
	if d.float.Base == nil {
		d.float, d.scale = AllocLocal(64*d.width), AllocLocal(32)
		if minima {
			d.low = AllocLocal(16 * d.width)
		}
	}
	z := YMM()
	zero(z)
	for t := range d.width {
		VMOVUPS(z, d.float.Offset(64*t))
		VMOVUPS(z, d.float.Offset(64*t+32))
		if minima {
			VMOVUPS(z.AsX(), d.low.Offset(16*t))
		}
	}
}

// endBlock adds the totals, times the scale at the address given times the
// token's, to the lanes in memory.
func endBlock(d *dots, scale Mem) {
	dw := YMM()
	VPBROADCASTW(scale, dw.AsX())
	VCVTPH2PS(dw.AsX(), dw)
	for t := range d.width {
		s := YMM()
		VBROADCASTSS(Mem{Base: d.d, Disp: 4 * t}, s)
		VMULPS(dw, s, s)
		for h, total := range d.total[t] {
			at := d.float.Offset(64*t + 32*h)
			VCVTDQ2PS(total, total)
			VMULPS(s, total, total)
			VADDPS(at, total, total)
			VMOVUPS(total, at)
		}
	}
}

func endBlocks256(d *dots, t int) VecVirtual {
	lanes := [2]VecVirtual{YMM(), YMM()}
	for h, l := range lanes {
		VMOVUPS(d.float.Offset(64*t+32*h), l)
	}
	return addUp(lanes)
}

type q4_kAVX2 struct{}

func (q4_kAVX2) sizes() sizes { return sizes{row: 144, x: 256, d: 4, sums: 32} }

func (q4_kAVX2) begin(d *dots) { beginBlocks256(d, true) }

func (q4_kAVX2) chunk(d *dots) {
	scale, minimum := q4_kScales(d)
	VPMOVZXBW(scale, scale)
	VMOVDQU(scale, d.scale)
	q4_kMinima(d, minimum)
	for _, a := range d.total {
		zero(a[0], a[1])
	}
	for j := range 4 {
		var half [2]VecVirtual
		half[0], half[1] = YMM(), YMM()
		VMOVDQU(Mem{Base: d.w, Disp: 16 + 32*j}, half[0])
		VPSRLW(U8(4), half[0], half[1])
		for h, w := range half {
			scale := YMM()
			VPAND(repeatedBytes(15), w, w)
			VPBROADCASTW(d.scale.Offset(2*(2*j+h)), scale)
			for t := range d.width {
				p := YMM()
				VPMADDUBSW(Mem{Base: d.x, Disp: 256*t + 64*j + 32*h}, w, p)
				VPMADDWD(scale, p, p)
				VPADDD(p, d.total[t][h], d.total[t][h])
			}
		}
	}
	endBlock(d, Mem{Base: d.w})
}

// q4_kMinima adds to the lanes in memory the minima times the sums of the
// activations: four lanes of two groups each.
func q4_kMinima(d *dots, minimum VecVirtual) {
	dm := XMM()
	VPMOVZXBW(minimum, minimum)
	VPBROADCASTW(Mem{Base: d.w, Disp: 2}, dm)
	VCVTPH2PS(dm, dm)
	for t := range d.width {
		p, s := XMM(), XMM()
		VMOVDQU(Mem{Base: d.s, Disp: 32 * t}, p)
		VPHADDW(Mem{Base: d.s, Disp: 32*t + 16}, p, p)
		VPMADDWD(minimum, p, p)
		VCVTDQ2PS(p, p)
		VBROADCASTSS(Mem{Base: d.d, Disp: 4 * t}, s)
		VMULPS(dm, s, s)
		VMULPS(s, p, p)
		VADDPS(d.low.Offset(16*t), p, p)
		VMOVUPS(p, d.low.Offset(16*t))
	}
}

// q4_kScales is scalesQ4_K: both as eight bytes.
func q4_kScales(d *dots) (scale, minimum VecVirtual) {
	a, b, c, e := GP32(), GP32(), GP32(), GP32()
	MOVL(Mem{Base: d.w, Disp: 4}, a)
	MOVL(Mem{Base: d.w, Disp: 8}, b)
	MOVL(Mem{Base: d.w, Disp: 12}, c)
	join := func(first, fourBits GPVirtual) VecVirtual {
		low, high := XMM(), XMM()
		MOVL(first, e)
		ANDL(U32(0x3f3f3f3f), e)
		VMOVD(e, low)
		SHRL(U8(2), first)
		ANDL(U32(0x30303030), first)
		MOVL(fourBits, e)
		ANDL(U32(0x0f0f0f0f), e)
		ORL(e, first)
		VMOVD(first, high)
		VPUNPCKLDQ(high, low, low)
		return low
	}
	scale = join(a, c)
	SHRL(U8(4), c)
	return scale, join(b, c)
}

func (q4_kAVX2) end(d *dots, t int) VecVirtual {
	sum, low := endBlocks256(d, t), XMM()
	VMOVUPS(d.low.Offset(16*t), low)
	VSUBSS(addUp4(low), sum, sum)
	return sum
}

type q6_kAVX2 struct{}

func (q6_kAVX2) sizes() sizes { return sizes{row: 210, x: 256, d: 4, sums: 32} }

func (q6_kAVX2) begin(d *dots) { beginBlocks256(d, false) }

func (q6_kAVX2) chunk(d *dots) {
	scales := YMM()
	VPMOVSXBW(Mem{Base: d.w, Disp: 192}, scales)
	VMOVDQU(scales, d.scale)
	for t, a := range d.total {
		// What the −32 does.
		p := YMM()
		VPMADDWD(Mem{Base: d.s, Disp: 32 * t}, scales, p)
		VPSLLD(U8(5), p, p)
		zero(a[0], a[1])
		VPSUBD(p, a[0], a[0])
	}
	for g := range 8 {
		p, k := g/4, g%4
		bits, high, scale := YMM(), YMM(), YMM()
		VMOVDQU(Mem{Base: d.w, Disp: 64*p + 32*(k%2)}, bits)
		if k >= 2 {
			VPSRLW(U8(4), bits, bits)
		}
		VPAND(repeatedBytes(15), bits, bits)
		VMOVDQU(Mem{Base: d.w, Disp: 128 + 32*p}, high)
		switch k {
		case 0:
			VPSLLW(U8(4), high, high)
		case 1:
			VPSLLW(U8(2), high, high)
		case 3:
			VPSRLW(U8(2), high, high)
		}
		VPAND(repeatedBytes(0x30), high, high)
		VPOR(high, bits, bits)
		VPBROADCASTD(d.scale.Offset(4*g), scale)
		VPSHUFB(firstThenSecond(), scale, scale)
		for t := range d.width {
			sum, total := YMM(), d.total[t][g%2]
			VPMADDUBSW(Mem{Base: d.x, Disp: 256*t + 32*g}, bits, sum)
			VPMADDWD(scale, sum, sum)
			VPADDD(sum, total, total)
		}
	}
	endBlock(d, Mem{Base: d.w, Disp: 208})
}

func (q6_kAVX2) end(d *dots, t int) VecVirtual { return endBlocks256(d, t) }
