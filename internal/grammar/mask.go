package grammar

import "math"

// A Mask is a set of tokens: bit id%64 of word id/64.
type Mask []uint64

// Has reports whether a token may come.
func (m Mask) Has(id int) bool { return m[id/64]>>(id%64)&1 != 0 }

// Add adds a token.
func (m Mask) Add(id int) { m[id/64] |= 1 << (id % 64) }

// Clone is a copy for a vocabulary of so many tokens; of a nil mask, one without
// tokens.
func (m Mask) Clone(size int) Mask {
	out := make(Mask, (size+63)/64)
	copy(out, m)
	return out
}

// Apply makes the logits of tokens that may not come negative infinity.
func (m Mask) Apply(logits []float32) {
	never := float32(math.Inf(-1))
	for i, w := range m {
		part := logits[min(64*i, len(logits)):min(64*i+64, len(logits))]
		if w == ^uint64(0) {
			continue
		}
		for j := range part {
			if w>>j&1 == 0 {
				part[j] = never
			}
		}
	}
	for i := 64 * len(m); i < len(logits); i++ {
		logits[i] = never
	}
}

func (m Mask) or(other Mask) {
	for i, w := range other {
		m[i] |= w
	}
}

func (m Mask) add(ids []int32) {
	for _, id := range ids {
		m[id/64] |= 1 << (id % 64)
	}
}

func (m Mask) remove(ids []int32) {
	for _, id := range ids {
		m[id/64] &^= 1 << (id % 64)
	}
}
