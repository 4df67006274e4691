package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// An Input is a batch of activations, rows of floats, about to be multiplied
// with matrices. What the types of the matrices ask for (8-bit forms) is made
// on first use and kept until the next Set. The zero value is ready to use; its
// buffers grow to the largest batch seen. Not for use by several goroutines.
type Input struct {
	x            []float32
	tokens, cols int
	forms        [activations]form
}

type form struct {
	ready bool
	tiles []tile
	f     []float32
	q     []int8
	meta  []uint32
}

// Set makes x the input: tokens rows of cols floats, one after the other. x is
// kept and must not change before the products are made.
func (in *Input) Set(x []float32, tokens, cols int) {
	in.x, in.tokens, in.cols = x[:tokens*cols], tokens, cols
	for i := range in.forms {
		in.forms[i].ready = false
	}
}

// A tile is a few tokens' activations, woven chunk by chunk, so that a chunk of
// weights is multiplied with neighbours. Rows are filled up with zeros to a whole number of
// chunks, and tiles with tokens of zeros to a width that there is code for.
type tile struct {
	width  int // tokens, with those of zeros
	tokens int
	first  int // which token of the input is the first
	cols   int // elements of a row, without filling

	f    []float32 // floats: chunks of 16
	q    []int8    // chunks of 64 (bytes32) or 256 (bytes256)
	meta []uint32  // what belongs to a block of q: words, each for all tokens of the tile
}

// The words of meta.
const (
	// bytes32
	scaleOf32 = iota // d, float32: element i is d·q[i]
	eighths32        // −8·Σ q, which numbers that were made positive by adding 8 start from
	whole32          // −128·Σ q, likewise
	sum32            // d·Σ q, float32
	words32
)

const (
	// bytes256; sums of groups of 16 or 32
	scaleOf256 = 0              // d, float32
	sixteens   = 1              // −32·Σ of each 16
	thirtyTwos = sixteens + 16  // −128·Σ of each 32
	pairs32    = thirtyTwos + 8 // Σ of each 32, int16, two in a word
	pairs16    = pairs32 + 4    // Σ of each 16, likewise
	words256   = pairs16 + 8
)

const (
	maxWidth      = 12
	floatChunk    = 16
	bytes32Chunk  = 64
	bytes256Chunk = 256
)

// floats are elements 16c to 16c+15 of token t.
func (t *tile) floats(c, token int) []float32 {
	return t.f[(c*t.width+token)*floatChunk:][:floatChunk]
}

// bytes32 are the 32 elements of block b of a token, their scale, and their sum
// times that.
func (t *tile) bytes32(b, token int) (q []int8, d, sum float32) {
	chunk := b/2*t.width + token
	return t.q[chunk*bytes32Chunk+b%2*32:][:32], math.Float32frombits(*t.word(words32, b, scaleOf32, token)), math.Float32frombits(*t.word(words32, b, sum32, token))
}

// bytes256 are the 256 elements of block b of a token, and their scale.
func (t *tile) bytes256(b, token int) (q []int8, d float32) {
	return t.q[(b*t.width+token)*bytes256Chunk:][:bytes256Chunk], math.Float32frombits(*t.word(words256, b, scaleOf256, token))
}

// sum16 is the sum of group g of 16 elements of such a block.
func (t *tile) sum16(b, token, g int) int32 {
	return int32(*t.word(words256, b, sixteens+g, token)) / -32
}

// word is a word of meta; words is how many a block has.
func (t *tile) word(words, b, word, token int) *uint32 {
	return &t.meta[(b*words+word)*t.width+token]
}

// Prepare makes the form that a matrix asks for, on the threads of p. Products that find
// none make it themselves.
func (in *Input) Prepare(p *Pool, w *Matrix) {
	if w.Cols != in.cols {
		panic(fmt.Sprintf("kernel: rows of %d times rows of %d", w.Cols, in.cols))
	}
	a := types[w.Type].activation
	f := &in.forms[a]
	if f.ready {
		return
	}
	f.ready = true
	in.cut(f, a)
	// One tile is shared among threads, since all of them wait for it.
	size := [...]int{floats: floatChunk, bytes32: bytes32Chunk, bytes256: bytes256Chunk}[a]
	chunks := in.chunks(size)
	tokens := min(in.tokens, maxWidth)
	shares := min((p.Threads()+len(f.tiles)-1)/max(1, len(f.tiles)), (tokens*chunks*size+minShare-1)/minShare)
	p.Run(len(f.tiles)*shares, func(i int) {
		t, part := &f.tiles[i/shares], i%shares
		from, to := chunks*part/shares, chunks*(part+1)/shares
		switch a {
		case floats:
			in.fillFloats(t, from, to)
		case bytes32:
			in.fill32(t, from, to)
		case bytes256:
			in.fill256(t, from, to)
		}
	})
}

// minShare is the least number of elements of a tile, made in a microsecond or two, that are worth another
// thread: it takes as
// long until all of them have begun and ended.
const minShare = 8192

func (in *Input) chunks(size int) int { return (in.cols + size - 1) / size }

// cut divides the tokens into tiles, the widest first.
func (in *Input) cut(f *form, a activation) {
	f.tiles = f.tiles[:0]
	widths := 0
	for first := 0; first < in.tokens; {
		width := tileWidth(a, in.tokens-first)
		t := tile{width: width, tokens: min(width, in.tokens-first), first: first, cols: in.cols}
		f.tiles = append(f.tiles, t)
		first += t.tokens
		widths += width
	}
	switch a {
	case floats:
		f.f = grown(f.f, widths*in.chunks(floatChunk)*floatChunk)
	case bytes32:
		f.q, f.meta = grown(f.q, widths*in.chunks(bytes32Chunk)*bytes32Chunk), grown(f.meta, widths*in.chunks(bytes32Chunk)*2*words32)
	case bytes256:
		f.q, f.meta = grown(f.q, widths*in.cols), grown(f.meta, widths*in.chunks(bytes256Chunk)*words256)
	}
	from := 0
	for i := range f.tiles {
		t := &f.tiles[i]
		to := from + t.width
		switch a {
		case floats:
			t.f = share(f.f, from, to, widths)
		default:
			t.q, t.meta = share(f.q, from, to, widths), share(f.meta, from, to, widths)
		}
		from = to
	}
}

// share is the part of s that is for from to to of n.
func share[T any](s []T, from, to, n int) []T { return s[len(s)/n*from : len(s)/n*to] }

// Each of these fills chunks from and up to of a tile.

func (in *Input) fillFloats(t *tile, from, to int) {
	for token := range t.tokens {
		x := in.x[(t.first+token)*in.cols:][:in.cols]
		for c := from; c < to; c++ {
			clear(t.floats(c, token)[copy(t.floats(c, token), x[c*floatChunk:]):])
		}
	}
}

func (in *Input) fill32(t *tile, from, to int) {
	if t.tokens < t.width || in.cols%bytes32Chunk != 0 {
		clear(t.q[from*bytes32Chunk*t.width : to*bytes32Chunk*t.width])
		clear(t.meta[from*2*words32*t.width : to*2*words32*t.width])
	}
	last := min(to*bytes32Chunk, in.cols)
	if t.width == 1 {
		blocks32(t.q[from*bytes32Chunk:], t.meta[from*2*words32:], in.x[t.first*in.cols:][from*bytes32Chunk:last])
		return
	}
	for token := range t.tokens {
		x := in.x[(t.first+token)*in.cols:][:in.cols]
		for c := from; c < to; c++ {
			var meta [2 * words32]uint32
			part := x[c*bytes32Chunk : min((c+1)*bytes32Chunk, last)]
			blocks32(t.q[(c*t.width+token)*bytes32Chunk:], meta[:], part)
			for i, v := range meta[:len(part)/32*words32] {
				t.meta[(c*2*words32+i)*t.width+token] = v
			}
		}
	}
}

// blocks32 makes the bytes and the words of blocks of one token, one after the other.
func blocks32(q []int8, meta []uint32, x []float32) {
	for {
		left := fillBlocks32(q, meta, x)
		if left == 0 {
			return
		}
		done := len(x)/32 - left
		q, meta, x = q[32*done:], meta[words32*done:], x[32*done:]
		d := quantise(q[:32], x[:32])
		sum := sum(q[:32])
		meta[scaleOf32] = math.Float32bits(d)
		meta[eighths32] = uint32(-8 * sum)
		meta[whole32] = uint32(-128 * sum)
		meta[sum32] = math.Float32bits(d * float32(sum))
		q, meta, x = q[32:], meta[words32:], x[32:]
	}
}

func (in *Input) fill256(t *tile, from, to int) {
	if t.tokens < t.width {
		clear(t.q[from*bytes256Chunk*t.width : to*bytes256Chunk*t.width])
		clear(t.meta[from*words256*t.width : to*words256*t.width])
	}
	if t.width == 1 {
		blocks256(t.q[from*bytes256Chunk:], t.meta[from*words256:], in.x[t.first*in.cols:][from*bytes256Chunk:to*bytes256Chunk])
		return
	}
	for token := range t.tokens {
		x := in.x[(t.first+token)*in.cols:][:in.cols]
		for b := from; b < to; b++ {
			var meta [words256]uint32
			blocks256(t.q[(b*t.width+token)*bytes256Chunk:], meta[:], x[b*bytes256Chunk:][:bytes256Chunk])
			for i, v := range meta {
				t.meta[(b*words256+i)*t.width+token] = v
			}
		}
	}
}

// blocks256 is blocks32 for blocks of 256.
func blocks256(q []int8, meta []uint32, x []float32) {
	for {
		left := fillBlocks256(q, meta, x)
		if left == 0 {
			return
		}
		done := len(x)/256 - left
		q, meta, x = q[256*done:], meta[words256*done:], x[256*done:]
		meta[scaleOf256] = math.Float32bits(quantise(q[:256], x[:256]))
		var sums [16]int32
		for g := range sums {
			sums[g] = sum(q[16*g:][:16])
			meta[sixteens+g] = uint32(-32 * sums[g])
		}
		both := func(a, b int32) uint32 { return uint32(uint16(a)) | uint32(b)<<16 }
		for g := 0; g < 16; g += 2 {
			meta[pairs16+g/2] = both(sums[g], sums[g+1])
			sums[g/2] = sums[g] + sums[g+1]
			meta[thirtyTwos+g/2] = uint32(-128 * sums[g/2])
		}
		for g := 0; g < 8; g += 2 {
			meta[pairs32+g/2] = both(sums[g], sums[g+1])
		}
		q, meta, x = q[256:], meta[words256:], x[256:]
	}
}

// sum adds up bytes, as many as a multiple of 8: as numbers from 0 on, first
// neighbours and then all four pairs of eight in the upper 16 bits of a product.
func sum(q []int8) (s int32) {
	const even, ones = 0x00ff00ff00ff00ff, 0x0001000100010001
	for b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(q))), len(q)); len(b) >= 8; b = b[8:] {
		v := binary.LittleEndian.Uint64(b) ^ 0x8080808080808080
		s += int32((v&even+v>>8&even)*ones>>48) - 8*128
	}
	return s
}

// quantiseGo rounds x to bytes: q[i] = x[i]·127/max|x|, to the nearest, ties to
// even. It returns the scale that leads back. len(x) is a multiple of 32.
func quantiseGo(q []int8, x []float32) float32 {
	var largest float32
	for _, v := range x {
		largest = max(largest, math.Float32frombits(math.Float32bits(v)&^(1<<31)))
	}
	if !(largest >= minScale) || largest > math.MaxFloat32 {
		clear(q)
		return quantiseOdd(largest)
	}
	up := 127 / largest
	for i, v := range x {
		// Adding 1.5·2²³ leaves the whole number in the lowest bits.
		q[i] = int8(math.Float32bits(float32(v*up) + 0x1.8p23))
	}
	return largest / 127
}

// minScale is the least number whose 127th is not subnormal enough to
// overflow its reciprocal: what is smaller counts as zero.
const minScale = 0x1p-100

// quantiseOdd is the scale of a block that has no bytes: zero, or what makes
// the product no number where the block held none.
func quantiseOdd(largest float32) float32 {
	if largest < minScale {
		return 0
	}
	return float32(math.NaN())
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
