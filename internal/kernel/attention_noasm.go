//go:build !amd64 || purego

package kernel

func addPanels(out, a Rows, b Panels, fresh bool) { addPanelsGo(out, a, b, fresh) }
func largestOf(x []float32) float32               { return largestOfGo(x) }
func exponentials(x []float32, scale, largest float32) float32 {
	return exponentialsGo(x, scale, largest)
}
func mix(x []float32, a float32, y []float32, b float32) int { return 0 }
func scale(x []float32, a float32) int                       { return 0 }
