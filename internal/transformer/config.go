package transformer

import (
	"fmt"
	"math"
	"slices"

	"parley/internal/gguf"
	"parley/internal/kernel"
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

	arch          architecture
	blocks        int // of the file: layers, and behind them those that guess at later tokens
	layers        []layerSpec
	turns         []turning
	perLayer      int // size of the embedding that each layer has, or 0
	altup         altupSpec
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
	c := &Config{Architecture: name, arch: arch}
	c.blocks = r.count("block_count", -1)
	guessing := r.optional("nextn_predict_layers", 0)
	c.Dim = r.count("embedding_length", -1)
	c.Context = r.count("context_length", -1)
	if r.err == nil {
		if err := limits.Context.CheckInt(c.Context); err != nil {
			r.err = fmt.Errorf("%scontext_length: %w", r.prefix, err)
		}
	}
	if arch.centred {
		c.Eps = float32(r.number("attention.layer_norm_epsilon", math.NaN(), 1e-30, 1))
	} else {
		c.Eps = float32(r.number("attention.layer_norm_rms_epsilon", math.NaN(), 1e-30, 1))
	}
	if r.err == nil && c.blocks > len(f.Tensors) {
		r.fail("block_count", "is %d, but the file has only %d tensors", c.blocks, len(f.Tensors))
	}
	if r.err == nil && guessing >= c.blocks {
		r.fail("nextn_predict_layers", "is %d of %d layers", guessing, c.blocks)
	}
	if r.err != nil {
		return nil, r.err
	}
	c.Layers = c.blocks - guessing
	r.trunk = c.Layers
	c.readSections(r)
	c.turns = []turning{r.readTurning(arch, c.Context)}
	c.readMultipliers(r)
	if r.err != nil {
		return nil, r.err
	}
	if err := c.readLayers(r); err != nil {
		return nil, err
	}
	return c, nil
}

// readMultipliers reads what scales and bends the stream and the logits.
func (c *Config) readMultipliers(r *reader) {
	c.embedScale, c.residualScale, c.logitScale = 1, 1, 1
	switch {
	case c.arch.rootOfDim:
		c.embedScale = float32(math.Sqrt(float64(c.Dim)))
		c.logitCap = float32(r.number("final_logit_softcapping", c.arch.caps[1], 0, 1e6))
	case c.arch.multipliers:
		c.embedScale = float32(r.number("embedding_scale", 1, 1e-6, 1e6))
		c.residualScale = float32(r.number("residual_scale", 1, 1e-6, 1e6))
		c.logitScale = float32(1 / r.number("logit_scale", math.NaN(), 1e-6, 1e6))
	case c.arch.logitScale:
		c.logitScale = float32(r.number("logit_scale", 1, 1e-6, 1e6))
	}
}

func (c *Config) readLayers(r *reader) error {
	arch := c.arch
	heads := make([]int, c.blocks)
	kvHeads, ffn := heads, heads
	switch {
	case arch.rwkv > 0:
		ffn = r.readFFN(arch, c.blocks)
	case !arch.layersScan:
		heads = r.readHeadCounts(arch, c.blocks)
		kvHeads = r.readKVHeads(arch, c.blocks, heads)
		if arch.lacking && r.err == nil && slices.Max(kvHeads) == 0 {
			r.fail("attention.head_count_kv", "is 0 in all layers")
		}
		ffn = r.readFFN(arch, c.blocks)
	}
	var seen window
	local := make([]bool, c.blocks)
	switch {
	case arch.chunked:
		seen = r.readChunks(arch)
	case arch.global > 0 && (arch.windowed == 0 || arch.windowed == c.Layers):
		seen.tokens = r.optional("attention.sliding_window", arch.window)
	}
	if seen.tokens > 0 {
		local = r.pattern("attention.sliding_window_pattern", c.blocks, arch.global, arch.globalFirst)
		c.readLocalTurning(r)
	}
	mixture, ownKV := r.readMixture(arch), c.Layers
	if arch.sharedKV {
		shared := 0
		if arch.ownKV > 0 {
			shared = max(0, c.Layers-arch.ownKV)
		}
		ownKV -= r.whole("attention.shared_kv_layers", shared)
	}
	if arch.perLayer {
		c.perLayer = r.optional("embedding_length_per_layer_input", 0)
	}
	sparse := make([]sparsity, c.blocks)
	if arch.altup {
		c.perLayer = r.count("embedding_length_per_layer_input", 256)
		c.altup, sparse = r.readAltup(), r.readSparsity(c.blocks)
	}
	var bent []kernel.XIELU
	if arch.activation == xIELU {
		bent = r.readXIELU(c.blocks)
	}
	limits, expertLimits := make([]float32, c.blocks), make([]float32, c.blocks)
	if arch.limited {
		limits, expertLimits = r.limits("swiglu_clamp_shexp", c.blocks), r.limits("swiglu_clamp_exp", c.blocks)
	}
	taps := 0
	if arch.convolved {
		taps = r.readTaps()
	}
	var scanned mambaSpec
	if arch.scanned {
		scanned = r.readMamba(arch)
	}
	var channels mamba1Spec
	if arch.mamba1 {
		channels = r.readMamba1(arch.mamba1Norms)
	}
	var net deltaSpec
	if arch.delta {
		net = r.readDelta(arch.deltaNext)
		kvHeads = slices.Clone(kvHeads)
		for i, is := range r.recurrent(c.blocks) {
			if is && i < len(kvHeads) {
				kvHeads[i] = 0
			}
		}
	}
	var mixing rwkvSpec
	halving := 0
	if arch.rwkv > 0 {
		mixing = r.readRWKV(arch, c.Dim)
	}
	if arch.rwkv == 6 && arch.channelMix {
		halving = r.optional("rescale_every_n_layers", 0)
	}
	// Files of Llama 4 may not say it: of its models only the one of 128 experts has none.
	bare := arch.qkNorm == headsBare && r.flag("use_qk_norm", mixture.experts != 128)
	alibi := 0.0
	if arch.alibi > 0 && (arch.alibiLayers == 0 || arch.alibiLayers == c.Layers) {
		alibi = r.number("attention.max_alibi_bias", arch.alibi, 0, 1e3)
	}
	rotates := !arch.multipliers || r.flag("rope.scaling.finetuned", true) // so Granite's files say it
	for i := range c.Layers {
		if r.err != nil {
			return r.err
		}
		s := layerSpec{traits: arch.traits, heads: heads[i], kvHeads: kvHeads[i], ffn: ffn[i], sparsity: sparse[i], limit: limits[i], alibi: alibi}
		if arch.activation == xIELU {
			s.xielu = bent[i]
		}
		if arch.parallel == asFileSays {
			s.parallel = sequential
			if r.flag("use_parallel_residual", true) {
				s.parallel = parallel
			}
		}
		if arch.besides {
			s.mamba = scanned
		}
		if s.kvHeads == 0 {
			if arch.kda {
				net = r.readKDA(s.heads)
			}
			s.linear = arch.lacking && s.heads > 0
			s.heads = 0
			if !arch.split || s.ffn == 0 {
				s.taps, s.mamba, s.mamba1, s.delta, s.rwkv = taps, scanned, channels, net, mixing
			} else {
				s.ffnNorm = "attn_norm"
			}
			if s.linear && s.ffn == 0 {
				r.fail("feed_forward_length", "[%d] is 0 in a layer that has a matrix in place of attention, which is not supported", i)
			}
		} else {
			if arch.split && s.ffn > 0 {
				r.fail("feed_forward_length", "[%d] is %d in a layer that has attention", i, s.ffn)
			}
			if arch.lacking && s.ffn == 0 {
				r.fail("feed_forward_length", "[%d] is 0 in a layer that has attention, which is not supported", i)
			}
			if s.heads == 0 {
				r.fail("attention.head_count", "[%d] is 0, but there are %d heads of keys and values", i, s.kvHeads)
				return r.err
			}
			if s.heads%s.kvHeads != 0 {
				r.fail("attention.head_count_kv", "is %d, which does not divide the %d heads", s.kvHeads, s.heads)
			}
			c.readHeads(r, &s, local[i])
		}
		s.rwkv.halved = halving > 0 && (i+1)%halving == 0
		if r.err != nil {
			return r.err
		}
		if mixture.in(i) && (!arch.split || s.ffn > 0) && (!arch.routed || r.routed(i)) {
			s.routing, s.ffn = mixture.routing, r.count("expert_feed_forward_length", s.ffn)
			s.shared = mixture.shared(s.ffn, ffn[i])
			s.routing.limit = expertLimits[i]
		}
		if local[i] {
			s.window = seen
			s.turns = len(c.turns) - 1
		}
		if !rotates || alibi > 0 || arch.split || s.kvHeads == 0 || arch.notRotated > 0 && (i+1)%arch.notRotated == 0 || arch.localTurns && seen.tokens > 0 && !local[i] {
			s.turns = -1
		}
		if s.turns < 0 && arch.growsPlain {
			s.growth = growth{r.number("attention.temperature_scale", 0.1, 0, 1e3), r.count("attention.temperature_length", 8192), 1}
		}
		if s.qkNorm == headsBare && (!bare || s.turns < 0) {
			s.qkNorm = notNormed
		}
		c.setRotated(r, &s, i)
		s.source = i
		if i >= ownKV {
			c.readSource(r, &s, ownKV, local[i])
		}
		c.layers = append(c.layers, s)
	}
	if alpha := r.number("rope.scaling.alpha", 0, 0, 1e6); arch.stretched && alpha > 0 && r.err == nil {
		n := float64(c.layers[0].keyDim)
		c.turns[0].base *= math.Pow(alpha, n/max(1, n-2))
	}
	return r.err
}

// readFFN reads how wide the feed-forward part of each layer is: 0 where there is none, or where
// there are only experts, and files need not say it.
func (r *reader) readFFN(arch architecture, layers int) []int {
	const key = "feed_forward_length"
	if arch.split || arch.lacking {
		return r.perLayerFrom(0, key, layers, nil)
	}
	if arch.delta && arch.experts && r.optional(key, 0) == 0 {
		return make([]int, layers)
	}
	return r.perLayer(key, layers, nil)
}

// readHeadCounts reads how many heads of queries each layer has: none where it has no attention.
func (r *reader) readHeadCounts(arch architecture, layers int) []int {
	least := int64(1)
	if arch.lacking {
		least = 0
	}
	return r.perLayerFrom(least, "attention.head_count", layers, nil)
}

// setRotated makes the frequencies of a layer as many as its heads want: all layers that
// share them want the same.
func (c *Config) setRotated(r *reader, s *layerSpec, i int) {
	if s.turns < 0 {
		return
	}
	t := &c.turns[s.turns]
	if t.rotated == 0 {
		t.rotated = s.rotated
	}
	if t.rotated != s.rotated {
		r.fail("attention.head_count", "gives heads of which %d elements are rotated in layer %d and %d in the first", s.rotated, i, t.rotated)
	}
}

// readSource finds the layer whose keys and values a layer sees that has none: the last
// with a window, or the last without, of those that have their own, which end with one of
// each.
func (c *Config) readSource(r *reader, s *layerSpec, own int, local bool) {
	if s.source = own - 1; local {
		s.source = own - 2
	}
	const key = "attention.shared_kv_layers"
	if s.source < 0 {
		r.fail(key, "is %d of %d layers", c.Layers-own, c.Layers)
		return
	}
	if of := &c.layers[s.source]; of.window != s.window || of.kvHeads != s.kvHeads || of.keyDim != s.keyDim || of.valueDim != s.valueDim {
		r.fail(key, "is %d: layer %d has keys and values of another kind than the last layers", c.Layers-own, s.source)
	}
}

// readSections reads how many pairs of a head are rotated by each position of a
// picture. Text has one position for the first three; where there are sections,
// pairs are halves whatever the architecture has otherwise.
func (c *Config) readSections(r *reader) {
	const key = "rope.dimension_sections"
	if !c.arch.sections {
		return
	}
	list, _, err := r.f.Ints(r.prefix + key)
	if err != nil && r.err == nil {
		r.err = err
	}
	if len(list) > 3 && list[3] != 0 {
		r.fail(key, "has a fourth section, which is not supported")
	}
	if len(list) > 1 && list[0] > 0 && list[1] > 0 {
		c.arch.pairing = halves
	}
}

// readChunks reads how long the chunks are that some layers see.
func (r *reader) readChunks(arch architecture) window {
	const off = "attention.sliding_window" // its number does not count, but it may be 0: then there are none
	if r.optional(off, arch.window) == 0 {
		r.fail(off, "is 0, so that all layers see all: that is not supported in this architecture")
	}
	return window{r.count("attention.chunk_size", arch.window), true}
}

// readLocalTurning reads the frequencies of the layers that see a window, if they have
// their own.
func (c *Config) readLocalTurning(r *reader) {
	local := c.turns[0]
	switch {
	case c.arch.localBase:
		local = turning{base: 10000, factor: 1, length: 1}
	case c.arch.plainLocal:
		local = turning{base: local.base, factor: 1, length: 1, original: local.original}
	}
	local.base = r.number("rope.freq_base_swa", local.base, 1e-3, 1e15)
	if local != c.turns[0] {
		c.turns = append(c.turns, local)
	}
}

// readHeads reads the shape of a layer's heads, and what scales and bends their products.
func (c *Config) readHeads(r *reader, s *layerSpec, local bool) {
	arch := &c.arch
	s.values = float32(r.number("attention.value_scale", 1, 1e-6, 1e6))
	if arch.growing {
		s.growth = growth{r.number("attention.temperature_scale", 0, 0, 1e3), r.count("attention.temperature_length", c.turns[0].original), 0}
	}
	if arch.latent {
		r.readLatent(s, c.turns[0])
	} else {
		own := c.Dim / s.heads
		if own == 0 || c.Dim%s.heads != 0 {
			own = -1 // then the file has to say
		}
		s.keyDim = r.count("attention.key_length", own)
		s.valueDim = r.count("attention.value_length", own)
		s.rotated = r.optional("rope.dimension_count", s.keyDim)
		if local && arch.localHeads {
			s.keyDim = r.count("attention.key_length_swa", s.keyDim)
			s.valueDim = r.count("attention.value_length_swa", s.valueDim)
			s.rotated = r.optional("rope.dimension_count_swa", min(s.rotated, s.keyDim))
		}
		if !local && arch.halfTurned {
			s.rotated /= 2
		}
		s.scale = float32(1 / math.Sqrt(float64(s.keyDim)))
		if arch.scaleByDim {
			s.scale = 1 / float32(s.keyDim)
		}
	}
	if r.err == nil && (s.rotated%2 != 0 || s.rotated > s.keyDim) {
		r.fail("rope.dimension_count", "is %d, but has to be even and at most a head's %d", s.rotated, s.keyDim)
	}
	if s.gates == gatesInQueries && s.keyDim != s.valueDim {
		r.fail("attention.value_length", "is %d, but has to be that of keys, %d", s.valueDim, s.keyDim)
	}
	if arch.unscaled {
		s.scale = 1
	}
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
	if arch.clamped {
		s.clamp = float32(r.number("attention.clamp_kqv", 0, 0, 1e6))
	}
}
