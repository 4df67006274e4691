package transformer

import (
	"math"

	"parley/internal/kernel"
)

// Rotary positions (Su et al., RoFormer): pair i of a head is turned by the
// angle position · base^(−2i/n), n being the number of rotated elements. Models
// that were made to read more than they were trained on turn by less: all
// frequencies divided by one factor (linear), each by its own (the tensor
// rope_freqs.weight of Llama 3; rope_factors_short and _long of Phi 3), or the slow
// ones by a factor and the fast ones not (YaRN, Peng et al. 2023).

// A turning is what metadata says of frequencies.
type turning struct {
	base, factor float64 // positions are divided by factor
	yarn         bool    // but not those of frequencies that turn often within original tokens
	fast, slow   float64 // that is, at least fast times; and those that turn less than slow times are all divided
	original     int     // tokens of the context that the model was trained on at first
	length       float64 // of what is rotated, after it by before it
	rotated      int     // elements of a head
}

// turns are the frequencies of a model, or of those of its layers that see a window.
type turns struct {
	first     int       // of its angles among those of all, for one token
	frequency []float64 // of pair i, in radians a token
	length    float64
}

func newTurns(t turning, divisors []float32) *turns {
	out := &turns{frequency: make([]float64, t.rotated/2), length: t.length}
	for i := range out.frequency {
		f := math.Pow(t.base, -2*float64(i)/float64(t.rotated))
		if divisors != nil {
			f /= float64(divisors[i])
		}
		kept := t.kept(i)
		out.frequency[i] = f/t.factor*(1-kept) + f*kept
	}
	return out
}

// kept is how much of pair i's frequency is left as it is: from 0 to 1.
func (t *turning) kept(i int) float64 {
	if !t.yarn {
		return 0
	}
	// The pair that turns so many times within the original context.
	pair := func(times float64) float64 {
		return float64(t.rotated) * math.Log(float64(t.original)/(times*2*math.Pi)) / (2 * math.Log(t.base))
	}
	low, high := max(0, math.Floor(pair(t.fast))), min(float64(t.rotated-1), math.Ceil(pair(t.slow)))
	return 1 - min(1, max(0, (float64(i)-low)/max(0.001, high-low)))
}

// of are the angles of row i of n among those of all frequencies.
func (t *turns) of(all []float32, i, n int) []float32 {
	pairs := 2 * len(t.frequency)
	return all[t.first*n+i*pairs:][:pairs]
}

// at writes cosine and sine of each pair's angle at a position, both times the length: as kernel
// wants them, all cosines first for halves, and alternating for neighbours.
func (t *turns) at(out []float32, position int, p pairing) {
	for i, f := range t.frequency {
		sin, cos := math.Sincos(float64(position) * f)
		at, next := 2*i, 1
		if p == halves {
			at, next = i, len(t.frequency)
		}
		out[at], out[at+next] = float32(cos*t.length), float32(sin*t.length)
	}
}

// growth is how queries grow with their position, so that far more positions than
// in training do not blur what they see: times 1 + scale·ln(1 + ⌊(position+ahead)/every⌋).
type growth struct {
	scale float64 // 0: they do not
	every int     // tokens
	ahead int     // likewise
}

func (g growth) at(position int) float32 {
	if g.scale == 0 {
		return 1
	}
	return float32(1 + g.scale*math.Log1p(float64((position+g.ahead)/g.every)))
}

// readTurning reads frequencies and their scaling.
func (r *reader) readTurning(arch architecture, context int) turning {
	t := turning{
		base: r.number("rope.freq_base", 10000, 1e-3, 1e15), factor: r.ropeFactor(),
		original: r.count("rope.scaling.original_context_length", context),
		length:   r.number("rope.scaling.attn_factor", 1, 1e-3, 1e3),
	}
	kind, _, err := r.f.String(r.prefix + "rope.scaling.type")
	if err != nil && r.err == nil {
		r.err = err
	}
	switch kind {
	case "", "linear", "longrope":
	case "none":
		t.factor = 1
	case "yarn":
		t.yarn = true
		t.fast = r.number("rope.scaling.yarn_beta_fast", 32, 1e-3, 1e6)
		t.slow = r.number("rope.scaling.yarn_beta_slow", 1, 1e-3, 1e6)
		if t.base <= 1 {
			r.fail("rope.freq_base", "is %g: more than 1 is needed for YaRN", t.base)
		}
		t.length *= r.yarnLength(arch, t.factor)
	default:
		r.fail("rope.scaling.type", "is %q, which is not supported; supported: none, linear, yarn, longrope, and a tensor rope_freqs.weight", kind)
	}
	return t
}

// yarnLength is what YaRN multiplies queries and keys by, so that the products of more
// of them differ as much as before.
func (r *reader) yarnLength(arch architecture, factor float64) float64 {
	grown := func(by float64) float64 {
		if factor <= 1 {
			return 1
		}
		return 1 + 0.1*by*math.Log(factor)
	}
	all := r.yarnMultiplier(arch)
	if all == 0 {
		return grown(1)
	}
	if arch.latent { // DeepSeek has it in the scale of the products, whatever the number
		return 1
	}
	return grown(1) / grown(all)
}

// yarnMultiplier is by how much the logarithm of YaRN's factor counts in the products,
// or 0 where the file does not say.
func (r *reader) yarnMultiplier(arch architecture) float64 {
	if arch.yarnLogMul == 0 {
		return 0
	}
	return r.number("rope.scaling.yarn_log_multiplier", 0, 0, 100) * arch.yarnLogMul
}

// ropeFactor is what positions are divided by. Files of Llama 3.1 and later carry
// their scaling as the tensor rope_freqs.weight instead.
func (r *reader) ropeFactor() float64 {
	// An older name of the same number; 0 stands for no scaling.
	old := r.number("rope.scale_linear", 0, 0, 1e6)
	factor := r.number("rope.scaling.factor", 0, 0, 1e6)
	if factor == 0 {
		factor = old
	}
	if factor == 0 {
		return 1
	}
	if factor < 1e-6 {
		r.fail("rope.scaling.factor", "is %g: from 1e-06 is supported", factor)
	}
	return factor
}

// rotate turns the pairs of each head of x, dim elements each, by the angles
// that at wrote.
func rotate(x []float32, dim int, p pairing, angles []float32) {
	n := len(angles)
	for ; len(x) >= dim; x = x[dim:] {
		if p == halves {
			kernel.RotateHalves(x[:n/2], x[n/2:n], angles[:n/2], angles[n/2:])
		} else {
			kernel.RotateNeighbours(x[:n], angles)
		}
	}
}
