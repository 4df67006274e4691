package kernel

import (
	"encoding/binary"
	"unsafe"
)

// Keys and values in Q8_0: 32 numbers in 34 bytes, as in Q8_0's blocks, but laid out as
// attention reads them.
//
// Keys: a panel is 16 positions, so that four elements of 16 positions fill a register;
// what is missing to a whole block of elements is zero.
//
//	byte 0                           32·blocks
//	     d F16 of 16 positions,      elements 0 to 3 of position 0, of position 1, … of position 15,
//	     for each block              elements 4 to 7 of position 0, …                    int8
//
// Values: a group is 32 elements of 64 positions.
//
//	byte 0                           128                            1152
//	     d F16 of 64 positions       elements 0 to 15 of position   elements 16 to 31 of position
//	                                 0, of position 1, …   int8     0, of position 1, …   int8
const (
	q8_0Positions  = 64
	q8_0ValueScale = 2 * q8_0Positions
	q8_0ValuePanel = PanelColumns * q8_0Positions
	q8_0ValueGroup = q8_0ValueScale + 2*q8_0ValuePanel
)

// Q8_0KeyPanel is the size of a panel of keys of so many elements.
func Q8_0KeyPanel(elements int) int { return q8_0Blocks(elements) * PanelColumns * q8_0Bytes }

// Q8_0Values is the size of the values of 64 positions.
func Q8_0Values(elements int) int { return q8_0Blocks(elements) * q8_0ValueGroup }

func q8_0Blocks(elements int) int { return (elements + 31) / 32 }

// PutQ8_0Key stores a key in a column of a panel.
func PutQ8_0Key(panel []byte, column int, x []float32) {
	blocks := q8_0Blocks(len(x))
	eachBlock(x, func(b int, q *[32]int8, d float32) {
		binary.LittleEndian.PutUint16(panel[(b*PanelColumns+column)*2:], toF16(d))
		for j := range 8 {
			at := panel[blocks*32+((b*8+j)*PanelColumns+column)*4:]
			at[0], at[1], at[2], at[3] = byte(q[4*j]), byte(q[4*j+1]), byte(q[4*j+2]), byte(q[4*j+3])
		}
	})
}

// PutQ8_0Value stores the value of one of 64 positions.
func PutQ8_0Value(values []byte, position int, x []float32) {
	eachBlock(x, func(b int, q *[32]int8, d float32) {
		group := values[b*q8_0ValueGroup:]
		binary.LittleEndian.PutUint16(group[2*position:], toF16(d))
		for p := range 2 {
			to := group[q8_0ValueScale+p*q8_0ValuePanel+position*PanelColumns:][:PanelColumns]
			for i := range to {
				to[i] = byte(q[p*PanelColumns+i])
			}
		}
	})
}

// eachBlock rounds x to blocks of 32.
func eachBlock(x []float32, do func(b int, q *[32]int8, d float32)) {
	var q [32]int8
	var full [32]float32
	for b := 0; b*32 < len(x); b++ {
		part := x[b*32 : min(b*32+32, len(x))]
		if len(part) < 32 {
			full = [32]float32{}
			copy(full[:], part)
			part = full[:]
		}
		do(b, &q, quantise(q[:], part))
	}
}

// Queries are rows of floats as bytes, to be multiplied with keys: blocks of 32 elements
// with a scale each; of each block first that of the first row, then of the second, ….
// The zero value is ready; its room grows.
type Queries struct {
	blocks, count int
	q             []int8
	d             []float32
	offsets       []int32 // −128 times the sum of a block
}

// Set makes them of rows of so many floats.
func (s *Queries) Set(x []float32, elements, count int) {
	s.blocks, s.count = q8_0Blocks(elements), count
	n := s.blocks * count
	s.q, s.d, s.offsets = grown(s.q, 32*n), grown(s.d, n), grown(s.offsets, n)
	for r := range count {
		eachBlock(x[r*elements:][:elements], func(b int, q *[32]int8, d float32) {
			at := b*count + r
			copy(s.q[at*32:], q[:])
			s.d[at] = d
			sum := int32(0)
			for _, v := range q {
				sum += int32(v)
			}
			s.offsets[at] = -128 * sum
		})
	}
}

// DotQ8_0Keys writes to out the products of the queries with panels of keys: of each
// block of 32 the sum in whole numbers, times the product of the scales, added from the first
// block on. next is what will be asked for after them, or nil.
func DotQ8_0Keys(out Rows, q *Queries, keys []byte, panels int, next []byte) {
	if q.count == 0 || panels == 0 || q.blocks == 0 {
		return
	}
	_ = out.Data[(q.count-1)*out.Stride+panels*PanelColumns-1]
	_ = keys[panels*q.blocks*PanelColumns*q8_0Bytes-1]
	dotPanels(out, q, keys, panels, next)
}

func dotPanelsGo(out Rows, q *Queries, keys []byte, panels int) {
	for p := range panels {
		panel := keys[p*q.blocks*PanelColumns*q8_0Bytes:]
		for r := range q.count {
			to := out.Data[r*out.Stride+p*PanelColumns:][:PanelColumns]
			clear(to)
			for b := range q.blocks {
				at := b*q.count + r
				x := q.q[at*32:][:32]
				var sums [PanelColumns]int32
				for j := range 8 {
					row := panel[q.blocks*32+(b*8+j)*PanelColumns*4:][:PanelColumns*4]
					for i := range sums {
						w, v := row[4*i:][:4], x[4*j:][:4]
						sums[i] += int32(int8(w[0]))*int32(v[0]) + int32(int8(w[1]))*int32(v[1]) +
							int32(int8(w[2]))*int32(v[2]) + int32(int8(w[3]))*int32(v[3])
					}
				}
				for i := range to {
					s := fromF16(binary.LittleEndian.Uint16(panel[(b*PanelColumns+i)*2:])) * q.d[at]
					to[i] += float32(s * float32(sums[i]))
				}
			}
		}
	}
}

// AddQ8_0Values adds to out, rows of a multiple of 32 numbers, the values of some of 64
// positions, from and up to, each times the number of weights' row that stands at the
// position: the number times the scale, times the byte, from the first position on, each rounded
// together with its sum. weights
// has 64 numbers in a row; next is as above.
func AddQ8_0Values(out, weights Rows, values []byte, from, to int, next []byte) {
	if from >= to || weights.Count == 0 {
		return
	}
	var scaled [8 * q8_0Positions]float32
	for r := 0; r < weights.Count; r += 8 {
		n := min(8, weights.Count-r)
		for g := 0; (g+1)*32 <= out.Stride; g++ {
			group := values[g*q8_0ValueGroup:][:q8_0ValueGroup]
			for i := range n {
				row := weights.Data[(r+i)*weights.Stride:][:q8_0Positions]
				scaleByF16(scaled[i*q8_0Positions:][:q8_0Positions], row, group)
			}
			ahead := Panels{
				Data: group[q8_0ValueScale+from*PanelColumns:], PanelBytes: q8_0ValuePanel, Rows: to - from, Count: 2,
			}
			if next != nil && r == 0 {
				ahead.Next = next[g*q8_0ValueGroup:]
			}
			addBytes(Rows{out.Data[r*out.Stride+g*32:], out.Stride, n}, Rows{scaled[from:], q8_0Positions, n}, ahead)
		}
	}
}

func scaleByF16Go(out, x []float32, d []byte) {
	for i, v := range x {
		out[i] = v * fromF16(binary.LittleEndian.Uint16(d[2*i:]))
	}
}

// addBytesGo is addPanelsGo for panels of bytes, 16 a row.
func addBytesGo(out, a Rows, b Panels) {
	for p := range b.Count {
		for k := range b.Rows {
			row := b.Data[p*b.PanelBytes+k*PanelColumns:][:PanelColumns]
			for r := range a.Count {
				x, to := a.Data[r*a.Stride+k], out.Data[r*out.Stride+p*PanelColumns:][:PanelColumns]
				for i := range to {
					to[i] = fma(x, float32(int8(row[i])), to[i])
				}
			}
		}
	}
}

// first is where a prefetch begins: what comes next, or what is read anyway.
func first(next, now []byte) *byte {
	if len(next) == 0 {
		return unsafe.SliceData(now)
	}
	return unsafe.SliceData(next)
}
