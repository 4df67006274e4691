package transformer

import (
	"fmt"
	"math"
	"strconv"

	"parley/internal/gguf"
	"parley/internal/limits"
)

// A Config is the shape of a model as its metadata gives it.
type Config struct {
	Architecture string
	Layers       int
	Dim          int // width of the residual stream
	Context      int // tokens of a sequence, as trained
	Vocab        int // rows of the embedding
	Eps          float32
	RopeBase     float64
	RopeFactor   float64 // positions are divided by it

	layers        []layerSpec
	turns         []turning
	embedScale    float32 // of embeddings
	residualScale float32 // of what a layer adds to the stream
	logitScale    float32
	logitCap      float32 // logits are bent to stay below it, 0: not
}

// readConfig checks each number as it is read. Vocab is left to the embedding's
// shape.
func readConfig(f *gguf.File) (*Config, error) {
	name, ok, err := f.String("general.architecture")
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("general.architecture is missing: this file says of no model what it is")
	}
	arch, err := findArchitecture(name)
	if err != nil {
		return nil, err
	}
	r := &reader{f: f, prefix: name + "."}
	c := &Config{Architecture: name}
	c.Layers = r.count("block_count", -1)
	c.Dim = r.count("embedding_length", -1)
	c.Context = r.count("context_length", -1)
	if r.err == nil {
		if err := limits.Context.CheckInt(c.Context); err != nil {
			r.err = fmt.Errorf("%scontext_length: %w", r.prefix, err)
		}
	}
	c.Eps = float32(r.number("attention.layer_norm_rms_epsilon", math.NaN(), 1e-30, 1))
	c.RopeBase = r.number("rope.freq_base", 10000, 1e-3, 1e15)
	c.RopeFactor = r.ropeFactor()
	c.turns = []turning{{base: c.RopeBase, factor: c.RopeFactor}}
	c.readMultipliers(r, arch)
	if r.err == nil && c.Layers > len(f.Tensors) {
		r.fail("block_count", "is %d, but the file has only %d tensors", c.Layers, len(f.Tensors))
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := c.readLayers(r, arch); err != nil {
		return nil, err
	}
	return c, nil
}

// readMultipliers reads what scales and bends the stream and the logits.
func (c *Config) readMultipliers(r *reader, arch architecture) {
	c.embedScale, c.residualScale, c.logitScale = 1, 1, 1
	if arch.rootOfDim {
		c.embedScale = float32(math.Sqrt(float64(c.Dim)))
	}
	if arch.multipliers {
		c.embedScale = float32(r.number("embedding_scale", 1, 1e-6, 1e6))
		c.residualScale = float32(r.number("residual_scale", 1, 1e-6, 1e6))
		c.logitScale = float32(1 / r.number("logit_scale", math.NaN(), 1e-6, 1e6))
	}
	if arch.rootOfDim { // of Gemma's family
		c.logitCap = float32(r.number("final_logit_softcapping", arch.caps[1], 0, 1e6))
	}
}

func (c *Config) readLayers(r *reader, arch architecture) error {
	heads := r.perLayer("attention.head_count", c.Layers, nil)
	kvHeads := r.perLayer("attention.head_count_kv", c.Layers, heads)
	ffn := r.perLayer("feed_forward_length", c.Layers, nil)
	window, global := 0, 0
	if arch.global > 0 {
		window = r.optional("attention.sliding_window", arch.window)
		global = r.optional("attention.sliding_window_pattern", arch.global)
	}
	if arch.localBase && window > 0 {
		c.turns = append(c.turns, turning{base: r.number("rope.freq_base_swa", 10000, 1e-3, 1e15), factor: 1})
	}
	experts, used := r.optional("expert_count", 0), 0
	if experts > 0 {
		if !arch.experts {
			r.fail("expert_count", "is %d: mixtures of experts are not supported in this architecture", experts)
		}
		if used = r.count("expert_used_count", -1); used > experts {
			r.fail("expert_used_count", "is %d of %d experts", used, experts)
		}
	}
	for i := range c.Layers {
		if r.err != nil {
			return r.err
		}
		s := layerSpec{
			heads: heads[i], kvHeads: kvHeads[i], ffn: ffn[i], experts: experts, used: used,
			pairing: arch.pairing, gelu: arch.gelu, normUsed: arch.expertsSum1, fusedGate: arch.fusedGate,
			preNorms: !arch.noPreNorms, postNorms: arch.postNorms, qkNorm: arch.qkNorm,
		}
		if s.heads%s.kvHeads != 0 {
			r.fail("attention.head_count_kv", "is %d, which does not divide the %d heads", s.kvHeads, s.heads)
		}
		own := c.Dim / s.heads
		if own == 0 || c.Dim%s.heads != 0 {
			own = -1 // then the file has to say
		}
		s.keyDim = r.count("attention.key_length", own)
		s.valueDim = r.count("attention.value_length", own)
		s.rotated = r.optional("rope.dimension_count", s.keyDim)
		if r.err == nil && (s.rotated%2 != 0 || s.rotated > s.keyDim) {
			r.fail("rope.dimension_count", "is %d, but has to be even and at most a head's %d", s.rotated, s.keyDim)
		}
		if r.err == nil && i > 0 && s.rotated != c.layers[0].rotated {
			r.fail("attention.head_count", "gives heads of which %d elements are rotated in layer %d and %d in the first", s.rotated, i, c.layers[0].rotated)
		}
		if experts > 0 {
			s.ffn = r.count("expert_feed_forward_length", s.ffn)
		}
		if window > 0 && (global == 0 || (i+1)%global != 0) {
			s.window = window
			s.turns = len(c.turns) - 1
		}
		if arch.notRotated > 0 && (i+1)%arch.notRotated == 0 {
			s.turns = -1
		}
		s.scale = float32(1 / math.Sqrt(float64(s.keyDim)))
		if arch.wide > 0 && c.Layers == arch.wide {
			s.scale = float32(1 / math.Sqrt(float64(c.Dim/s.heads)))
		}
		if arch.multipliers {
			if given := r.number("attention.scale", 0, 0, 1e6); given != 0 {
				s.scale = float32(given)
			}
		}
		if arch.caps[0] > 0 {
			s.cap = float32(r.number("attn_logit_softcapping", arch.caps[0], 0, 1e6))
		}
		c.layers = append(c.layers, s)
	}
	return r.err
}

// A reader reads numbers of one architecture's metadata and keeps the first error.
type reader struct {
	f      *gguf.File
	prefix string
	err    error
}

func (r *reader) fail(key, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s%s %s", r.prefix, key, fmt.Sprintf(format, args...))
	}
}

// count reads a number from 1 to limits.ModelWidth; absent is otherwise, or an error where
// that is negative.
func (r *reader) count(key string, otherwise int) int {
	n := r.optional(key, otherwise)
	if r.err == nil && n <= 0 {
		if n < 0 {
			r.fail(key, "is missing")
		} else {
			r.fail(key, "is 0")
		}
	}
	return n
}

// optional reads a number from 0 to limits.ModelWidth.
func (r *reader) optional(key string, otherwise int) int {
	n, ok, err := r.f.Uint(r.prefix + key)
	switch {
	case r.err != nil:
	case err != nil:
		r.err = err
	case !ok:
		return otherwise
	case limits.ModelWidth.Check(float64(n)) != nil:
		r.fail(key, "%v", limits.ModelWidth.Check(float64(n)))
	default:
		return int(n)
	}
	return 0
}

// perLayer reads one number for all layers, or an array of one for each.
func (r *reader) perLayer(key string, layers int, otherwise []int) []int {
	if v, ok := r.f.Value(r.prefix + key); ok && v.Kind == gguf.Array {
		list, _, err := r.f.Ints(r.prefix + key)
		if err != nil {
			if r.err == nil {
				r.err = err
			}
			return nil
		}
		if len(list) != layers {
			r.fail(key, "has %d elements, but there are %d layers", len(list), layers)
			return nil
		}
		out := make([]int, layers)
		for i, n := range list {
			if n <= 0 || n > limits.ModelWidth.Int64() {
				r.fail(key, "[%d] is %d: from 1 to %d is supported (limit %s)", i, n, limits.ModelWidth.Int(), limits.ModelWidth.Name)
			}
			out[i] = int(n)
		}
		return out
	} else if !ok && otherwise != nil {
		return otherwise
	}
	n, out := r.count(key, -1), make([]int, layers)
	for i := range out {
		out[i] = n
	}
	return out
}

// number reads a float from low to high; absent is otherwise, or an error where
// that is not a number.
func (r *reader) number(key string, otherwise, low, high float64) float64 {
	v, ok, err := r.f.Float(r.prefix + key)
	switch {
	case r.err != nil:
	case err != nil:
		r.err = err
	case !ok && math.IsNaN(otherwise):
		r.fail(key, "is missing")
	case !ok:
		return otherwise
	case !(v >= low && v <= high):
		r.fail(key, "is %s: from %g to %g is supported", strconv.FormatFloat(v, 'g', -1, 64), low, high)
	}
	return v
}

// ropeFactor is what positions are divided by. Files of Llama 3.1 and later carry
// their scaling as the tensor rope_freqs.weight instead.
func (r *reader) ropeFactor() float64 {
	kind, _, err := r.f.String(r.prefix + "rope.scaling.type")
	if err != nil && r.err == nil {
		r.err = err
	}
	switch kind {
	case "none":
		return 1
	case "", "linear":
	default:
		r.fail("rope.scaling.type", "is %q, which is not supported; supported: none, linear, and a tensor rope_freqs.weight", kind)
	}
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
