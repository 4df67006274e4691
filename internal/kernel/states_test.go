package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRowsOfStatesEqualGo(t *testing.T) {
	for _, i := range available() {
		with(i, func() {
			r := rand.New(rand.NewPCG(3, 4))
			for _, columns := range []int{1, 7, 31, 32, 33, 64} {
				for _, rows := range []int{0, 1, 2, 5, 128} {
					state, out := randomFloats(r, rows*columns), randomFloats(r, columns)
					add, k, q := randomFloats(r, columns), randomFloats(r, rows), randomFloats(r, rows)
					wantState, wantOut := slices.Clone(state), slices.Clone(out)
					addRowsGo(wantOut, wantState, k)
					updateRowsGo(wantOut, wantState, 0.7, add, k, q)
					a, step := randomFloats(r, rows*columns), randomFloats(r, columns)
					fadeRowsGo(wantOut, wantState, a, step, add, k, q)
					AddRows(out, state, k)
					UpdateRows(out, state, 0.7, add, k, q)
					FadeRows(out, state, a, step, add, k, q)
					updateEachRowGo(wantOut, wantState, q, add, k, q)
					UpdateEachRow(out, state, q, add, k, q)
					if !slices.Equal(out, wantOut) || !slices.Equal(state, wantState) {
						t.Errorf("%s: %d rows of %d differ", i, rows, columns)
					}
				}
			}
		})
	}
}

func TestReplacedRowsEqualGo(t *testing.T) {
	for _, i := range available() {
		with(i, func() {
			r := rand.New(rand.NewPCG(3, 4))
			for _, columns := range []int{1, 31, 32, 33} {
				for _, rows := range []int{0, 1, 2, 64} {
					state, keep, q := randomFloats(r, rows*columns), randomFloats(r, rows), randomFloats(r, rows)
					out, back, b := randomFloats(r, columns), randomFloats(r, columns), randomFloats(r, rows)
					add, k := randomFloats(r, columns), randomFloats(r, rows)
					wantState, wantOut := slices.Clone(state), slices.Clone(out)
					replaceRowsGo(wantOut, wantState, keep, back, b, add, k, q)
					ReplaceRows(out, state, keep, back, b, add, k, q)
					if !slices.Equal(out, wantOut) || !slices.Equal(state, wantState) {
						t.Errorf("%s: %d rows of %d differ", i, rows, columns)
					}
				}
			}
		})
	}
}

// What is added is what is said, worked out by hand.
func TestRowsOfStates(t *testing.T) {
	out := []float32{1, 2}
	AddRows(out, []float32{1, 10, 2, 20}, []float32{3, 4}) // 1+3+8, 2+30+80
	state, sum := []float32{1, 10, 2, 20}, []float32{0, 1}
	UpdateRows(sum, state, 0.5, []float32{4, 8}, []float32{1, 2}, []float32{10, 1})
	each, of := []float32{1, 10, 2, 20}, []float32{0, 1}
	UpdateEachRow(of, each, []float32{0.5, 2}, []float32{4, 8}, []float32{1, 2}, []float32{10, 1})
	if !slices.Equal(each, []float32{4.5, 13, 12, 56}) || !slices.Equal(of, []float32{57, 187}) {
		t.Errorf("each by its own number: %v, %v", each, of)
	}
	if !slices.Equal(out, []float32{12, 112}) || !slices.Equal(state, []float32{4.5, 13, 9, 26}) || !slices.Equal(sum, []float32{54, 157}) {
		t.Errorf("%v, %v, %v", out, state, sum)
	}
	replaced, given := []float32{1, 10, 2, 20}, []float32{0, 1}
	ReplaceRows(given, replaced, []float32{0.5, 2}, []float32{3, 5}, []float32{1, -1}, []float32{4, 8}, []float32{1, 2}, []float32{10, 1})
	if !slices.Equal(replaced, []float32{7.5, 18, 9, 51}) || !slices.Equal(given, []float32{84, 232}) { // 4.5+3, 13+5, 12−3, 56−5
		t.Errorf("replaced: %v, %v", replaced, given)
	}
	half, sum := float32(math.Log(0.5)), []float32{0, 1}
	FadeRows(sum, state, []float32{half, half / 2, 2 * half, 0}, []float32{1, 2}, []float32{4, 8}, []float32{1, 2}, []float32{10, 1})
	for i, want := range []float32{6.25, 14.5, 10.25, 42, 72.75, 188} { // 4.5/2+4, 13/2+8, 9/4+8, 26+16, and tens of the first row
		if got := append(slices.Clone(state), sum...)[i]; math.Abs(float64(got-want)) > 1e-5*float64(want) {
			t.Errorf("number %d is %v, want %v", i, got, want)
		}
	}
}

func BenchmarkRowsOfStates(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	const rows = 128
	state, out, add, k := randomFloats(r, rows*RowColumns), randomFloats(r, RowColumns), randomFloats(r, RowColumns), randomFloats(r, rows)
	for _, i := range available() {
		with(i, func() {
			b.Run(string(i)+"/add", func(b *testing.B) {
				for b.Loop() {
					AddRows(out, state, k)
				}
			})
			b.Run(string(i)+"/update", func(b *testing.B) {
				for b.Loop() {
					UpdateRows(out, state, 0.9, add, k, k)
				}
			})
			b.Run(string(i)+"/fade", func(b *testing.B) {
				for b.Loop() {
					FadeRows(out, state, state, add, add, k, k)
				}
			})
			b.Run(string(i)+"/replace", func(b *testing.B) {
				for b.Loop() {
					ReplaceRows(out, state, k, add, k, add, k, k)
				}
			})
			b.Run(string(i)+"/update each", func(b *testing.B) {
				for b.Loop() {
					UpdateEachRow(out, state, k, add, k, k)
				}
			})
		})
	}
}
