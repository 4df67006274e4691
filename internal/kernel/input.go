package kernel

import "math"

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
	ready   bool
	tiles   []tile
	f       []float32
	q       []int8
	d       []float32
	sums    []int16
	offsets []int32
}

// Set makes x the input: tokens rows of cols floats, one after the other. x is
// kept and must not change before the products are made.
func (in *Input) Set(x []float32, tokens, cols int) {
	in.x, in.tokens, in.cols = x[:tokens*cols], tokens, cols
	for i := range in.forms {
		in.forms[i].ready = false
	}
}

// A tile is one, two, four or eight tokens' activations, woven chunk by chunk, so that
// a chunk of weights is multiplied with neighbours. Rows are filled up with
// zeros to a whole number of chunks.
type tile struct {
	width int // tokens
	first int // which token of the input is the first
	cols  int // elements of a row, without filling

	f       []float32 // chunks of 16 floats
	q       []int8    // chunks of 64 (bytes32) or 256 (bytes256)
	d       []float32 // scales: two a chunk (bytes32), one (bytes256)
	sums    []int16   // bytes256: sums of 16 elements, 16 a chunk
	offsets []int32   // bytes32, where wanted: −8 times the sums of each four, 16 a chunk
}

const (
	maxWidth      = 8
	floatChunk    = 16
	bytes32Chunk  = 64
	bytes256Chunk = 256
)

// floats are elements 16c to 16c+15 of token t.
func (t *tile) floats(c, token int) []float32 {
	return t.f[(c*t.width+token)*floatChunk:][:floatChunk]
}

// bytes32 are the 32 elements of block b of a token, and their scale.
func (t *tile) bytes32(b, token int) (q []int8, d float32) {
	chunk := (b/2*t.width + token)
	return t.q[chunk*bytes32Chunk+b%2*32:][:32], t.d[chunk*2+b%2]
}

// bytes256 are the 256 elements of block b of a token, their scale, and the
// sums of each 16.
func (t *tile) bytes256(b, token int) (q []int8, d float32, sums []int16) {
	chunk := b*t.width + token
	return t.q[chunk*bytes256Chunk:][:bytes256Chunk], t.d[chunk], t.sums[chunk*16:][:16]
}

// as gives the input in the form a.
func (in *Input) as(a activation, p *Pool) []tile {
	f := &in.forms[a]
	if f.ready {
		return f.tiles
	}
	f.ready = true
	switch a {
	case floats:
		n := in.chunks(floatChunk)
		f.f = grown(f.f, in.tokens*n*floatChunk)
		in.cut(f, func(t *tile, from, to int) { t.f = f.f[from*n*floatChunk : to*n*floatChunk] })
	case bytes32:
		n := in.chunks(bytes32Chunk)
		f.q, f.d = grown(f.q, in.tokens*n*bytes32Chunk), grown(f.d, in.tokens*n*2)
		if wantsOffsets() {
			f.offsets = grown(f.offsets, in.tokens*n*16)
		}
		in.cut(f, func(t *tile, from, to int) {
			t.q, t.d = f.q[from*n*bytes32Chunk:to*n*bytes32Chunk], f.d[from*n*2:to*n*2]
			if wantsOffsets() {
				t.offsets = f.offsets[from*n*16 : to*n*16]
			}
		})
	case bytes256:
		n := in.chunks(bytes256Chunk)
		f.q, f.d, f.sums = grown(f.q, in.tokens*n*bytes256Chunk), grown(f.d, in.tokens*n), grown(f.sums, in.tokens*n*16)
		in.cut(f, func(t *tile, from, to int) {
			t.q, t.d, t.sums = f.q[from*n*bytes256Chunk:to*n*bytes256Chunk], f.d[from*n:to*n], f.sums[from*n*16:to*n*16]
		})
	}
	p.Run(len(f.tiles), func(i int) { in.fill(a, &f.tiles[i]) })
	return f.tiles
}

func (in *Input) chunks(size int) int { return (in.cols + size - 1) / size }

// cut divides the tokens into tiles of a power of two, the widest first.
func (in *Input) cut(f *form, share func(t *tile, from, to int)) {
	f.tiles = f.tiles[:0]
	for from, width := 0, widest(); from < in.tokens; from += width {
		for width > in.tokens-from {
			width /= 2
		}
		f.tiles = append(f.tiles, tile{width: width, first: from, cols: in.cols})
		share(&f.tiles[len(f.tiles)-1], from, from+width)
	}
}

func (in *Input) fill(a activation, t *tile) {
	for token := range t.width {
		x := in.x[(t.first+token)*in.cols:][:in.cols]
		switch a {
		case floats:
			for c := range in.chunks(floatChunk) {
				clear(t.floats(c, token)[copy(t.floats(c, token), x[c*floatChunk:]):])
			}
		case bytes32:
			for b := range 2 * in.chunks(bytes32Chunk) {
				q, _ := t.bytes32(b, token)
				d := &t.d[(b/2*t.width+token)*2+b%2]
				if b*32 >= in.cols {
					clear(q)
					*d = 0
					continue
				}
				*d = quantise(q, x[b*32:][:32])
			}
		case bytes256:
			for b := range in.chunks(bytes256Chunk) {
				q, _, sums := t.bytes256(b, token)
				t.d[b*t.width+token] = quantise(q, x[b*256:][:256])
				sums16(sums, q)
			}
		}
	}
	if a == bytes32 && wantsOffsets() {
		putOffsets(t.offsets, t.q)
	}
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

func sums16(sums []int16, q []int8) {
	for i := range sums {
		var s int16
		for _, v := range q[i*16:][:16] {
			s += int16(v)
		}
		sums[i] = s
	}
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
