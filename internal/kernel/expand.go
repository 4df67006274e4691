package kernel

import (
	"encoding/binary"
	"sync"
)

// Most types are multiplied by way of another one that holds their numbers
// exactly: a few rows are expanded to rows of that one, which all tokens of the
// input then share. What does not fit there, a minimum of each group, is
// multiplied with the sums of the activations of the group. So each such type
// is a layout and an expansion, and what is fast for Q8_0 and Q6_K is fast for
// all. The price is paid once for a row and call: it tells with one token, and
// hardly with many.

// An expansion says how.
type expansion struct {
	into  Type // Q8_0 or Q6_K, of the same block
	parts int  // blocks of it whose sum a block is
	lows  int  // minima of a block, 0 or as many as there are sums of activations (16 of 256, 1 of 32)
	// block expands one block w into parts blocks, and the minima, which are
	// subtracted from the elements of their groups.
	block func(parts [][]byte, low []float32, w []byte)
}

// expandRows is how many rows are expanded at a time: what they become has to
// stay in the cache.
const expandRows = 8

// expanded is the working memory of one thread.
type expanded struct {
	w    []byte    // for each row its parts, one after the other
	low  []float32 // for each row its minima
	sums []float32 // for one token, the sums of the groups times the scale
	out  []float32 // of the parts, where there are several
	at   [2][]byte // the blocks that are being written
}

var expandedRows = sync.Pool{New: func() any { return new(expanded) }}

// expand makes rows of cols elements from w.
func (e *expanded) expand(ty Type, w []byte, rows, cols int) {
	x, size := types[ty].expansion, ty.BlockBytes()
	blocks, into := cols/ty.BlockSize(), x.into.BlockBytes()
	e.w, e.low = grown(e.w, rows*x.parts*blocks*into), grown(e.low, rows*blocks*x.lows)
	for r := range rows {
		for b := range blocks {
			for p := range x.parts {
				e.at[p] = e.w[((r*x.parts+p)*blocks+b)*into:][:into]
			}
			i := r*blocks + b
			x.block(e.at[:x.parts], e.low[i*x.lows:][:x.lows], w[i*size:][:size])
		}
	}
}

func multiplyExpanded(job *Product, in *Input, from, to int) {
	m, x := job.W, types[job.W.Type].expansion
	tiles := in.forms[types[m.Type].activation].tiles
	e := expandedRows.Get().(*expanded)
	defer expandedRows.Put(e)
	for r := from; r < to; r += expandRows {
		end := min(r+expandRows, to)
		rows := end - r
		e.expand(m.Type, m.rows(r, end), rows, m.Cols)
		for i := range tiles {
			t := &tiles[i]
			out := job.Out[t.first*m.Rows+r:]
			if x.parts == 1 {
				dots(x.into, out, m.Rows, e.w, rows, t)
			} else {
				e.out = grown(e.out, t.width*rows*2)
				dots(x.into, e.out, rows*2, e.w, rows*2, t)
				for token := range t.width {
					for k := range rows {
						out[token*m.Rows+k] = e.out[(token*rows+k)*2] + e.out[(token*rows+k)*2+1]
					}
				}
			}
			if x.lows == 0 {
				continue
			}
			n := m.Cols / m.Type.BlockSize() * x.lows
			for token := range t.width {
				e.sums = grown(e.sums, n)
				t.groupSums(e.sums, token, x.lows)
				for k := range rows {
					out[token*m.Rows+k] -= dotLows(e.low[k*n:][:n], e.sums)
				}
			}
		}
	}
}

// groupSums writes the sums of a token's activations, in groups of 16 of a block
// of 256 (lows is 16), or of blocks of 32 (1).
func (t *tile) groupSums(out []float32, token, lows int) {
	if lows == 16 {
		for b := range len(out) / 16 {
			_, d, sums := t.bytes256(b, token)
			for g, s := range sums {
				out[b*16+g] = d * float32(s)
			}
		}
		return
	}
	for b := range out {
		q, d := t.bytes32(b, token)
		var sum int32
		for _, v := range q {
			sum += int32(v)
		}
		out[b] = d * float32(sum)
	}
}

// dotLows adds product i to lane i mod 4.
func dotLows(low, sums []float32) float32 {
	var acc [4]float32
	sums = sums[:len(low)]
	for len(low) >= 4 {
		acc[0] += float32(low[0] * sums[0])
		acc[1] += float32(low[1] * sums[1])
		acc[2] += float32(low[2] * sums[2])
		acc[3] += float32(low[3] * sums[3])
		low, sums = low[4:], sums[4:]
	}
	for i, v := range low {
		acc[i] += float32(v * sums[i])
	}
	return sum4(&acc)
}

// rowExpanded is the row that an expansion into one part gives.
func rowExpanded(dst []float32, w []byte, ty Type) {
	x, e := types[ty].expansion, expandedRows.Get().(*expanded)
	defer expandedRows.Put(e)
	e.expand(ty, w, 1, len(dst))
	types[x.into].row(dst, e.w)
	for i, low := range e.low {
		group := dst[i*ty.BlockSize()/x.lows:][:ty.BlockSize()/x.lows]
		for k := range group {
			group[k] -= low
		}
	}
}

// packSixBits lays 256 numbers, 0 to 63, out as Q6_K does, eight at a time.
func packSixBits(block []byte, n *[256]uint8) {
	le := binary.LittleEndian
	for p := range 2 {
		for i := 0; i < 32; i += 8 {
			a, b := le.Uint64(n[128*p+i:]), le.Uint64(n[128*p+32+i:])
			c, d := le.Uint64(n[128*p+64+i:]), le.Uint64(n[128*p+96+i:])
			le.PutUint64(block[64*p+i:], a&eachLow4|c&eachLow4<<4)
			le.PutUint64(block[64*p+32+i:], b&eachLow4|d&eachLow4<<4)
			le.PutUint64(block[128+32*p+i:], a>>4&eachLow2|b>>2&(eachLow2<<2)|c&(eachLow2<<4)|d<<2&(eachLow2<<6))
		}
	}
}

// Masks of eight bytes.
const (
	eachOne  = 0x0101010101010101
	eachLow2 = 3 * eachOne
	eachLow4 = 15 * eachOne
)
