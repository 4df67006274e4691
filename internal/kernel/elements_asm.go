//go:build (amd64 || arm64) && !purego

package kernel

// mostChunks are given to assembly at a time, which cannot be preempted.
const mostChunks = 1024

// chunked calls do for chunks of 16 of x, from element i on so many, and says how many elements
// they have.
func chunked(x []float32, do func(i, chunks int)) int {
	if chosen == goOnly {
		return 0
	}
	whole := len(x) / lanes
	for c := 0; c < whole; c += mostChunks {
		do(c*lanes, min(mostChunks, whole-c))
	}
	return whole * lanes
}
