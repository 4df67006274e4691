package transformer

import "parley/internal/kernel"

// A norm makes rows of one size: RMSNorm (Zhang and Sennrich 2019), or LayerNorm,
// which also takes their mean away.
type norm struct {
	centred bool
	eps     float32
	group   int       // elements that are normalised together
	weight  []float32 // of a group, or of several, one after the other; nil: none
	bias    []float32 // likewise
}

// apply writes x, whole groups, normalised to out, which may be x.
func (n *norm) apply(out, x []float32) {
	for from := 0; from < len(x); from += n.group {
		to, at := from+n.group, 0
		if len(n.weight) > n.group {
			at = from
		}
		if n.centred {
			kernel.LayerNorm(out[from:to], x[from:to], part(n.weight, at, n.group), part(n.bias, at, n.group), n.eps)
			continue
		}
		kernel.RMSNorm(out[from:to], x[from:to], n.weight[at:at+n.group], n.eps)
		if n.bias != nil {
			kernel.Add(out[from:to], n.bias[at:at+n.group])
		}
	}
}

func part(x []float32, at, n int) []float32 {
	if x == nil {
		return nil
	}
	return x[at : at+n]
}
