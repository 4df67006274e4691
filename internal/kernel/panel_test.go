package kernel

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// packing is a matrix of random bytes, with room for its panels.
func packing(t testing.TB, r *rand.Rand, ty Type, rows, cols int) *Matrix {
	t.Helper()
	data := make([]byte, rows*ty.RowBytes(cols))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	m, err := NewMatrix(ty, rows, cols, data)
	if err != nil {
		t.Fatal(err)
	}
	m.packed = make([]byte, m.packedBytes())
	return &m
}

func (m *Matrix) packPanels() {
	for i := range m.panels() {
		m.packPanel(i)
	}
}

// Panels have the same bytes whatever laid them out, also where rows or blocks do not fill them.
func TestPanelsEqualGo(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, ty := range Types {
		if !ty.packs() {
			continue
		}
		for _, rows := range []int{1, 15, 16, 35} {
			for _, blocks := range []int{1, 2, 3, 8} {
				m := packing(t, r, ty, rows, blocks*ty.BlockSize())
				onlyGo(m.packPanels)
				want := m.packed
				for _, i := range available() {
					m.packed = make([]byte, len(want))
					with(i, m.packPanels)
					if !bytes.Equal(m.packed, want) {
						t.Errorf("%s: %d rows of %d blocks of %s lie otherwise", i, rows, blocks, ty)
					}
				}
			}
		}
	}
}

// Laying out what is in a cache.
func BenchmarkPack(b *testing.B) {
	for _, ty := range Types {
		if !ty.packs() {
			continue
		}
		b.Run(ty.String(), func(b *testing.B) {
			m := packing(b, rand.New(rand.NewPCG(1, 2)), ty, 64, 2048)
			b.SetBytes(int64(len(m.packed)))
			for b.Loop() {
				m.packPanels()
			}
		})
	}
}
