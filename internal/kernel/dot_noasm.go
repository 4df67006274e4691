//go:build (!amd64 && !arm64) || purego

package kernel

func available() []implementation { return []implementation{goOnly} }

func wantsPanels() bool { return false }

func tileWidth(a activation, tokens int) int { return min(tokens, 4) }

func dotsPacked(ty Type, out []float32, stride int, w []byte, n int, x *tile) {}

func dots(ty Type, out []float32, stride int, w []byte, rows int, x *tile) {
	dotsGo(ty, out, stride, w, rows, x)
}

func quantise(q []int8, x []float32) float32 { return quantiseGo(q, x) }
func sumSquares(x []float32) float32         { return sumSquaresGo(x) }

// What these did of their work: here nothing, Go does it all.
func expSum(acc *[lanes]float32, x []float32, scale, largest float32) int { return 0 }
func putF16(dst []byte, x []float32) int                                  { return 0 }

func read(b []byte) uint64 { return readGo(b) }

// How many blocks of an input are left: here all, Go makes them.
func fillBlocks32(q []int8, meta []uint32, x []float32) int  { return len(x) / 32 }
func fillBlocks256(q []int8, meta []uint32, x []float32) int { return len(x) / 256 }

func transpose(t *transposition, dst, src []byte) bool { return false }
