package transformer

const (
	enough           = 64 // tokens of a dense model: reading its weights is a tenth of the work
	enoughForExperts = 4  // tokens that each expert should see
)

// EnoughTokens is how many tokens of prompts should be read at a time for the reading
// of weights to be a small part of the work. Where each token asks few of many
// experts it takes more.
func (m *Model) EnoughTokens() int {
	n := enough
	for i := range m.layers {
		if r := &m.layers[i].spec.routing; r.experts > 0 {
			n = max(n, enoughForExperts*r.experts/r.used)
		}
	}
	return min(n, m.batchTokens)
}

// Seen is the operations on keys and values for a token that has so many before it,
// for each of those on weights (OperationsPerToken).
func (m *Model) Seen(before int) float64 {
	var n float64
	for i := range m.layers {
		s := &m.layers[i].spec
		seen := before - s.window.first(before)
		n += 2 * float64(seen) * float64(s.heads*(s.keyDim+s.valueDim))
	}
	return n / float64(m.OperationsPerToken())
}
