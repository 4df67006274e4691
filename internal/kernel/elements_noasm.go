//go:build (!amd64 && !arm64) || purego

package kernel

// How much these did of their work: nothing, Go does it all.

func swiGLU(gate, up []float32) int                  { return 0 }
func swiGLUClamped(gate, up []float32) int           { return 0 }
func geGLU(gate, up []float32) int                   { return 0 }
func gelu(x []float32) int                           { return 0 }
func sigmoid(x []float32) int                        { return 0 }
func softCap(x []float32, scale, limit float32) int  { return 0 }
func rotateHalves(low, high, cos, sin []float32) int { return 0 }
func rotateNeighbours(x, angles []float32) int       { return 0 }
func addProducts(out, x, w []float32) int            { return 0 }
func subtract(out, x []float32, a float32) int       { return 0 }

func sumOf(x []float32) float32 { return sumOfGo(x) }
