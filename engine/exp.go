package engine

import "math"

// Sampling takes the exponential of every logit of a vocabulary. exp does so in less
// time than math.Exp: eˣ = e⁻ʷ · e^(−p/64) · eʳ with whole numbers w and p and 0 ≥ r > −1/64,
// the first two from tables, the third by Taylor's series up to r⁵/120. The relative error
// is below 10⁻¹³. Each product is rounded before it is added to, so that the value is the
// same on every processor.

const (
	expLeast = -700 // below, what is near zero is left to math.Exp
	expParts = 64
)

var (
	expWholes   [-expLeast]float64
	expFraction [expParts]float64
)

func init() {
	for w := range expWholes {
		expWholes[w] = math.Exp(float64(-w))
	}
	for p := range expFraction {
		expFraction[p] = math.Exp(-float64(p) / expParts)
	}
}

// exp is eˣ; x is seldom above zero.
func exp(x float64) float64 {
	if !(x <= 0 && x > expLeast) {
		return math.Exp(x)
	}
	k := int(x * -expParts)
	r := x + float64(float64(k)*(1./expParts)) // exact
	y := 1./24 + float64(r*(1./120))
	y = 1./6 + float64(r*y)
	y = 1./2 + float64(r*y)
	y = 1 + float64(r*y)
	y = 1 + float64(r*y)
	return expWholes[k/expParts] * expFraction[k%expParts] * y
}
