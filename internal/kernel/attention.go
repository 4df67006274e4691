package kernel

import (
	"encoding/binary"
	"math"
)

// What attention asks for: products of some rows of floats with numbers that lie in
// panels, and the exponentials between the two of them.
//
// A panel is 16 columns of a matrix, so that one row of it fills a register:
//
//	row 0: 16 numbers, row 1: 16 numbers, …     in F16: 32 bytes a row
//
// and a matrix is panels beside each other, columns 0 to 15, 16 to 31, ….

// PanelColumns is the number of columns of a panel.
const PanelColumns = lanes

// F16PanelRow is the number of bytes of a panel's row in F16.
const F16PanelRow = 2 * PanelColumns

// Panels are a matrix in F16.
type Panels struct {
	Data        []byte // from the first row that is meant
	PanelBytes  int    // from one panel to the next
	Rows, Count int    // rows that are meant of each panel; panels
	Next        []byte // what will be asked for after them, fetched meanwhile; or nil
}

// A Rows is rows of floats, Stride apart.
type Rows struct {
	Data          []float32
	Stride, Count int
}

// AddPanels adds to out the product of a and the matrix: to each number of out the
// products of its row of a with its column, one after the other from the first row
// of the panels, each rounded together with its sum. a has at least as many numbers in a row as the panels have rows, out
// as many as they have columns.
func AddPanels(out, a Rows, b Panels) { panels(out, a, b, false) }

// MultiplyPanels does the same with an out that was zero.
func MultiplyPanels(out, a Rows, b Panels) { panels(out, a, b, true) }

func panels(out, a Rows, b Panels, fresh bool) {
	if b.Rows == 0 || b.Count == 0 || a.Count == 0 {
		return
	}
	// What assembly will touch is there.
	_ = out.Data[(a.Count-1)*out.Stride+b.Count*PanelColumns-1]
	_ = a.Data[(a.Count-1)*a.Stride+b.Rows-1]
	_ = b.Data[(b.Count-1)*b.PanelBytes+b.Rows*F16PanelRow-1]
	addPanels(out, a, b, fresh)
}

func addPanelsGo(out, a Rows, b Panels, fresh bool) {
	if fresh {
		for r := range a.Count {
			clear(out.Data[r*out.Stride:][:b.Count*PanelColumns])
		}
	}
	var w [PanelColumns]float32
	for p := range b.Count {
		for k := range b.Rows {
			row := b.Data[p*b.PanelBytes+k*F16PanelRow:][:F16PanelRow]
			for i := range w {
				w[i] = fromF16(binary.LittleEndian.Uint16(row[2*i:]))
			}
			for r := range a.Count {
				x, to := a.Data[r*a.Stride+k], out.Data[r*out.Stride+p*PanelColumns:][:PanelColumns]
				for i := range to {
					to[i] = fma(x, w[i], to[i])
				}
			}
		}
	}
}

// fma is x·y + z, rounded once: in float64, where a product is exact, and where a sum that
// is not is made odd, so that to round it again does not round it twice (Boldo and Melquiond 2008).
func fma(x, y, z float32) float32 {
	p, c := float64(float64(x)*float64(y)), float64(z)
	s := p + c
	b := s - p
	if e := (p - (s - b)) + (c - b); e != 0 && e == e {
		if bits := math.Float64bits(s); bits&1 == 0 {
			if (e > 0) == (s > 0) {
				bits++
			} else {
				bits--
			}
			s = math.Float64frombits(bits)
		}
	}
	return float32(s)
}

// Exponentials makes of x, a multiple of 16 of numbers, exp((x−largest)·scale), and
// returns the largest and the sum of what it made. Element i adds to lane i mod 16. What
// is −∞ becomes nearly nothing, 10⁻³⁸.
func Exponentials(x []float32, scale float32) (largest, sum float32) {
	if len(x)%lanes != 0 {
		panic("kernel: a part of 16 numbers")
	}
	if len(x) == 0 {
		return float32(math.Inf(-1)), 0
	}
	largest = largestOf(x)
	return largest, exponentials(x, scale, largest)
}

// Largest is the largest of x, a multiple of 16 of numbers, at least so many.
func Largest(x []float32) float32 {
	if len(x) == 0 || len(x)%lanes != 0 {
		panic("kernel: a part of 16 numbers")
	}
	return largestOf(x)
}

// ExponentialsBelow is Exponentials with a largest that is given.
func ExponentialsBelow(x []float32, scale, largest float32) (sum float32) {
	if len(x) == 0 || len(x)%lanes != 0 {
		panic("kernel: a part of 16 numbers")
	}
	return exponentials(x, scale, largest)
}

func largestOfGo(x []float32) float32 {
	most := x[0]
	for _, v := range x {
		if v > most {
			most = v
		}
	}
	return most
}

func exponentialsGo(x []float32, scale, largest float32) float32 {
	var acc [lanes]float32
	for i, v := range x {
		x[i] = exp(float32((v - largest) * scale))
		acc[i%lanes] += x[i]
	}
	return sum16(&acc)
}

// Exp is eˣ as the softmax has it: of numbers from −87 to 88, beyond them as at the end.
func Exp(x float32) float32 { return exp(x) }

// Mix makes of x x·a + y·b.
func Mix(x []float32, a float32, y []float32, b float32) {
	n := mix(x, a, y[:len(x)], b)
	for i, v := range x[n:] {
		x[n+i] = float32(v*a) + float32(y[n+i]*b)
	}
}
