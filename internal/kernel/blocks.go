package kernel

// What blocks hold, and how they are multiplied: the reference for all that is
// faster. A row's product with a token is one float, to which the blocks are added
// in their order. Within a block all is whole numbers.

// A block32 is the numbers of a block of 32: element i = d·n[i] + m.
type block32 struct {
	n    [32]int8
	d, m float32
}

// A block256 is those of a block of 256 in 16 groups: element i = d·scale·n[i] − dm·minimum.
type block256 struct {
	n       [256]int8
	scale   [16]int8 // of each group
	minimum [16]uint8
	d, dm   float32
}

// addTo32 adds to each token's sum
//
//	float(Σ n·q)·(d·dx)  then  m·(dx·Σ q)
//
// of block index of the row: q is the token's numbers, dx their scale; a type without minima
// has no second part.
func (b *block32) addTo(acc []float32, x *tile, index int, minima bool) {
	for t := range acc {
		q, d, dq := x.bytes32(index, t)
		var sum int32
		for i, n := range b.n {
			sum += int32(n) * int32(q[i])
		}
		acc[t] += float32(float32(b.d*d) * float32(sum))
		if minima {
			acc[t] += float32(b.m * dq)
		}
	}
}

// addTo256 adds to each token's sum
//
//	float(Σ scale·Σ n·q)·(d·dx)  then  −float(Σ minimum·Σ q)·(dm·dx)
//
// where the inner sums are those of groups.
func (b *block256) addTo(acc []float32, x *tile, index int, minima bool) {
	for t := range acc {
		q, d := x.bytes256(index, t)
		var total, low int32
		for g, scale := range b.scale {
			var sum int32
			for i, n := range b.n[16*g:][:16] {
				sum += int32(n) * int32(q[16*g+i])
			}
			total += int32(scale) * sum
			if minima {
				low += int32(b.minimum[g]) * x.sum16(index, t, g)
			}
		}
		acc[t] += float32(float32(b.d*d) * float32(total))
		if minima {
			acc[t] -= float32(float32(b.dm*d) * float32(low))
		}
	}
}

// dotsBlocks writes to out[token·stride + r] the product of row r of w with the
// tile's tokens.
func dotsBlocks(ty Type, out []float32, stride int, w []byte, rows int, x *tile) {
	k := &types[ty]
	var b32 block32
	var b256 block256
	for r := range rows {
		var acc [maxWidth]float32
		sums := acc[:x.tokens]
		for i := range x.cols / k.size {
			block := w[:k.bytes]
			w = w[k.bytes:]
			if k.block32 != nil {
				k.block32(&b32, block)
				b32.addTo(sums, x, i, k.minima)
			} else {
				k.block256(&b256, block)
				b256.addTo(sums, x, i, k.minima)
			}
		}
		for t, sum := range sums {
			out[t*stride+r] = sum
		}
	}
}

// rowBlocks is a row as floats.
func rowBlocks(dst []float32, w []byte, ty Type) {
	k := &types[ty]
	var b32 block32
	var b256 block256
	for len(dst) > 0 {
		if k.block32 != nil {
			k.block32(&b32, w[:k.bytes])
			for i, n := range b32.n {
				dst[i] = float32(b32.d*float32(n)) + b32.m
			}
		} else {
			k.block256(&b256, w[:k.bytes])
			for g, scale := range b256.scale {
				d, low := b256.d*float32(scale), float32(b256.dm*float32(b256.minimum[g]))
				for i, n := range b256.n[16*g:][:16] {
					dst[16*g+i] = float32(d*float32(n)) - low
				}
			}
		}
		dst, w = dst[k.size:], w[k.bytes:]
	}
}

// float16 is the number at the start of b.
func float16(b []byte) float32 { return fromF16(uint16(b[0]) | uint16(b[1])<<8) }

// halves4 writes the low halves of 16 bytes, then the high ones.
func halves4(out *[32]int8, n []byte) {
	for i, v := range n[:16] {
		out[i], out[16+i] = int8(v&15), int8(v>>4)
	}
}

// levels writes what the low halves of 16 bytes stand for, then the high ones.
func levels(out []int8, n []byte, level *[16]int8) {
	out = out[:32]
	for i, v := range n[:16] {
		out[i], out[16+i] = level[v&15], level[v>>4]
	}
}
