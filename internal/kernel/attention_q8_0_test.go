package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// stored are keys and values of 64 positions in Q8_0.
func stored(x [][]float32) (keys, values []byte) {
	n := len(x[0])
	keys, values = make([]byte, 4*Q8_0KeyPanel(n)), make([]byte, Q8_0Values(n))
	for i, row := range x {
		PutQ8_0Key(keys[i/PanelColumns*Q8_0KeyPanel(n):], i%PanelColumns, row)
		PutQ8_0Value(values, i, row)
	}
	return keys, values
}

func TestQ8_0AttentionEqualsGo(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for rows := 1; rows <= 17; rows++ {
		for _, n := range []int{32, 64, 80, 96, 128, 7} {
			var x [][]float32
			for range q8_0Positions {
				x = append(x, randomFloats(r, n))
			}
			keys, values := stored(x)
			asked, weights := randomFloats(r, rows*n), randomFloats(r, rows*(q8_0Positions+5))
			from := r.IntN(q8_0Positions)
			to := from + 1 + r.IntN(q8_0Positions-from)
			stride := q8_0Blocks(n) * 32
			start := randomFloats(r, rows*stride)
			run := func() []float32 {
				var q Queries
				q.Set(asked, n, rows)
				out := make([]float32, rows*70)
				DotQ8_0Keys(Rows{out, 70, rows}, &q, keys, 4, nil)
				sum := append([]float32(nil), start...)
				AddQ8_0Values(Rows{sum, stride, rows}, Rows{weights, q8_0Positions + 5, rows}, values, from, to, nil)
				return append(out, sum...)
			}
			var want []float32
			onlyGo(func() { want = run() })
			for _, i := range available() {
				with(i, func() { equal(t, fmt.Sprintf("%s: %d rows of %d", i, rows, n), run(), want) })
			}
		}
	}
}

// TestQ8_0AttentionIsNear holds it beside float64.
func TestQ8_0AttentionIsNear(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	const n, rows = 80, 3
	var x [][]float32
	for range q8_0Positions {
		row := make([]float32, n)
		for i := range row {
			row[i] = float32(r.NormFloat64())
		}
		x = append(x, row)
	}
	keys, values := stored(x)
	asked, weights := make([]float32, rows*n), make([]float32, rows*q8_0Positions)
	for i := range asked {
		asked[i] = float32(r.NormFloat64())
	}
	for i := range weights {
		weights[i] = r.Float32()
	}
	var q Queries
	q.Set(asked, n, rows)
	out := make([]float32, rows*q8_0Positions)
	DotQ8_0Keys(Rows{out, q8_0Positions, rows}, &q, keys, 4, nil)
	sum := make([]float32, rows*96)
	AddQ8_0Values(Rows{sum, 96, rows}, Rows{weights, q8_0Positions, rows}, values, 5, 60, nil)
	for row := range rows {
		for p := range q8_0Positions {
			want := 0.0
			for i := range n {
				want += float64(asked[row*n+i]) * float64(x[p][i])
			}
			// Both sides are rounded to 127 steps of about three: some hundredths each, √80 of them.
			if e := math.Abs(float64(out[row*q8_0Positions+p]) - want); e > 0.5 {
				t.Errorf("query %d, position %d: %v, want %v", row, p, out[row*q8_0Positions+p], want)
			}
		}
		for i := range n {
			want := 0.0
			for p := 5; p < 60; p++ {
				want += float64(weights[row*q8_0Positions+p]) * float64(x[p][i])
			}
			if e := math.Abs(float64(sum[row*96+i]) - want); e > 0.2 {
				t.Errorf("query %d, element %d: %v, want %v", row, i, sum[row*96+i], want)
			}
		}
	}
}
