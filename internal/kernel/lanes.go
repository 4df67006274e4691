package kernel

// lanes is the number of partial sums of a dot product: one AVX-512 register
// of float32, two of AVX2.
const lanes = 16

// sum16 adds 16 lanes in the order in which vector code does: the upper half
// onto the lower, three more times.
func sum16(a *[lanes]float32) float32 {
	var b [4]float32
	for i := range b {
		b[i] = (a[i] + a[i+8]) + (a[i+4] + a[i+12])
	}
	return sum4(&b)
}

func sum4(a *[4]float32) float32 { return (a[0] + a[2]) + (a[1] + a[3]) }
