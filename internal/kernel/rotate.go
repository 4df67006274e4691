package kernel

// RotateHalves turns pairs by angles, of which the cosines and sines are given: low[i] and high[i]
// become low·cos − high·sin and low·sin + high·cos. All have the length of low.
func RotateHalves(low, high, cos, sin []float32) {
	high, cos, sin = high[:len(low)], cos[:len(low)], sin[:len(low)]
	n := rotateHalves(low, high, cos, sin)
	rotateHalvesGo(low[n:], high[n:], cos[n:], sin[n:])
}

func rotateHalvesGo(low, high, cos, sin []float32) {
	for i, a := range low {
		b := high[i]
		low[i] = float32(a*cos[i]) - float32(b*sin[i])
		high[i] = float32(a*sin[i]) + float32(b*cos[i])
	}
}

// RotateNeighbours does so with pairs of elements 2i and 2i+1 of x; in angles are cosine and sine
// of each, alternating.
func RotateNeighbours(x, angles []float32) {
	angles = angles[:len(x)]
	n := rotateNeighbours(x, angles)
	rotateNeighboursGo(x[n:], angles[n:])
}

func rotateNeighboursGo(x, angles []float32) {
	for i := 0; i+1 < len(x) && i+1 < len(angles); i += 2 {
		a, b, cos, sin := x[i], x[i+1], angles[i], angles[i+1]
		x[i] = float32(a*cos) - float32(b*sin)
		x[i+1] = float32(a*sin) + float32(b*cos)
	}
}
