//go:build (!amd64 && !arm64) || purego

package kernel

func addPanels(out, a Rows, b Panels, fresh bool) { addPanelsGo(out, a, b, fresh) }
func largestOf(x []float32) float32               { return largestOfGo(x) }
func exponentials(x []float32, scale, largest float32) float32 {
	return exponentialsGo(x, scale, largest)
}
func mix(x []float32, a float32, y []float32, b float32) int { return 0 }
func scale(x []float32, a float32) int                       { return 0 }
func addBytes(out, a Rows, b Panels)                         { addBytesGo(out, a, b) }
func dotPanels(out Rows, q *Queries, keys []byte, panels int, next []byte) {
	dotPanelsGo(out, q, keys, panels)
}
func scaleByF16(out, x []float32, d []byte) { scaleByF16Go(out, x, d) }
func addRows(out, rows, k []float32) bool   { return false }
func updateRows(out, rows []float32, keep float32, add, k, q []float32) bool {
	return false
}
func updateEachRow(out, rows, keep, add, k, q []float32) bool { return false }
func replaceRows(out, rows, keep, back, b, add, k, q []float32) bool {
	return false
}
func fadeRows(out, rows, a, step, add, k, q []float32) bool {
	return false
}
func scaleBy(out, x, w []float32, a float32) int { return 0 }
