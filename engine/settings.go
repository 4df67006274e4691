package engine

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"parley/internal/limits"
	"parley/llm"
)

// settings are the parts of llm.Params that choose tokens, with nothing left
// open.
type settings struct {
	temperature  float64
	dynamicRange float64
	exponent     float64

	topK     int // 0: all
	topP     float64
	minP     float64
	typicalP float64
	sigmas   float64 // 0 and less: all

	xtcProbability float64
	xtcThreshold   float64

	mirostat bool
	tau, eta float64

	repetition float64
	lookBack   int // tokens that repetition looks at; -1: all
	presence   float64
	frequency  float64
	dry        drySettings

	bias      []bias
	ignoreEOS bool
	minTokens int
	loopGuard int // 0: off
	logProbs  int // alternatives to report; -1: no probabilities at all

	plan   plan
	seed   int64
	choice int
}

// A bias is what is added to the logit of a token.
type bias struct {
	id     int32
	by     float32
	forbid bool // instead
}

// A plan is the steps that change anything, in order.
type plan struct {
	first  []llm.Sampler // penalties and DRY, before anything is cut
	rest   []llm.Sampler
	greedy bool // rest comes to taking the most likely token
	plain  bool // rest is some of top-k, top-p, min-p and temperature in this order
	signs  bool // penalties follow the temperature, so that logits must keep their signs
}

// usualBreakers are DRY's.
var usualBreakers = []string{"\n", ":", "\"", "*"}

// usualLoop is how many tokens of mere repetition end a reply. A hundred
// times the same sentence, or a matrix of zeros with twenty rows, is less.
const usualLoop = 1024

// settle fills in the neutral value of everything that p leaves open.
func settle(p llm.Params) settings {
	s := settings{
		temperature:    value(p.Temperature, 1),
		dynamicRange:   value(p.DynamicTemperatureRange, 0),
		exponent:       value(p.DynamicTemperatureExponent, 1),
		topK:           max(0, value(p.TopK, 0)),
		topP:           value(p.TopP, 1),
		minP:           value(p.MinP, 0),
		typicalP:       value(p.TypicalP, 1),
		sigmas:         value(p.TopNSigma, 0),
		xtcProbability: value(p.XTCProbability, 0),
		xtcThreshold:   value(p.XTCThreshold, 0.1),
		mirostat:       value(p.Mirostat, 0) == 2,
		tau:            value(p.MirostatTau, 5),
		eta:            value(p.MirostatEta, 0.1),
		repetition:     value(p.RepetitionPenalty, 1),
		lookBack:       value(p.RepetitionRange, 64),
		presence:       value(p.PresencePenalty, 0),
		frequency:      value(p.FrequencyPenalty, 0),
		dry: drySettings{
			multiplier: value(p.DRYMultiplier, 0),
			base:       value(p.DRYBase, 1.75),
			allowed:    value(p.DRYAllowedLength, 2),
			lookBack:   value(p.DRYRange, -1),
			breakers:   p.DRYBreakers,
		},
		bias:      biases(p.LogitBias),
		ignoreEOS: p.IgnoreEOS,
		minTokens: value(p.MinTokens, 0),
		logProbs:  value(p.LogProbs, -1),
		choice:    p.Choice,
	}
	if s.dry.breakers == nil {
		s.dry.breakers = usualBreakers
	}
	switch {
	case p.LoopGuard != nil:
		s.loopGuard = *p.LoopGuard
	case !p.IgnoreEOS:
		s.loopGuard = usualLoop
	}
	if p.Seed != nil {
		s.seed = *p.Seed
	} else {
		s.seed = rand.Int64N(1 << 53) // every JSON reader can hold it
	}
	order := p.Samplers
	if order == nil {
		order = llm.DefaultSamplers()
	}
	s.omit(order)
	s.plan = s.planFor(order)
	return s
}

// omit makes neutral what an order leaves out.
func (s *settings) omit(order []llm.Sampler) {
	for _, step := range llm.DefaultSamplers() {
		if slices.Contains(order, step) {
			continue
		}
		switch step {
		case llm.SamplePenalties:
			s.repetition, s.presence, s.frequency = 1, 0, 0
		case llm.SampleDRY:
			s.dry.multiplier = 0
		case llm.SampleTopNSigma:
			s.sigmas = 0
		case llm.SampleTopK:
			s.topK = 0
		case llm.SampleTypicalP:
			s.typicalP = 1
		case llm.SampleTopP:
			s.topP = 1
		case llm.SampleMinP:
			s.minP = 0
		case llm.SampleXTC:
			s.xtcProbability = 0
		case llm.SampleTemperature:
			s.temperature, s.dynamicRange = 1, 0
		}
	}
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func biases(of map[int]float64) (list []bias) {
	for id, by := range of {
		list = append(list, bias{id: int32(id), by: float32(by), forbid: by <= limits.LogitBias.Min})
	}
	slices.SortFunc(list, func(a, b bias) int { return cmp.Compare(a.id, b.id) })
	return list
}

// planFor leaves out of an order what changes nothing.
func (s *settings) planFor(order []llm.Sampler) (p plan) {
	for _, step := range order {
		switch {
		case !s.does(step):
		case len(p.rest) == 0 && (step == llm.SamplePenalties || step == llm.SampleDRY):
			p.first = append(p.first, step)
		default:
			p.rest = append(p.rest, step)
		}
	}
	if heat := slices.Index(p.rest, llm.SampleTemperature); heat >= 0 {
		p.signs = slices.Contains(p.rest[heat:], llm.SamplePenalties)
	}
	p.greedy = s.isGreedy(p.rest)
	p.plain = s.isPlain(p.rest)
	return p
}

// does reports whether a step changes anything. Mirostat stands in for all
// that cut.
func (s *settings) does(step llm.Sampler) bool {
	switch step {
	case llm.SamplePenalties:
		return s.repeats() || s.presence != 0 || s.frequency != 0
	case llm.SampleDRY:
		return s.dry.multiplier > 0 && s.dry.base >= 1 && s.dry.lookBack != 0
	case llm.SampleTemperature:
		return s.temperature != 1 || s.dynamicRange > 0
	}
	if s.mirostat {
		return false
	}
	switch step {
	case llm.SampleTopNSigma:
		return s.sigmas > 0
	case llm.SampleTopK:
		return s.topK > 0
	case llm.SampleTypicalP:
		return s.typicalP < 1
	case llm.SampleTopP:
		return s.topP < 1
	case llm.SampleMinP:
		return s.minP > 0
	case llm.SampleXTC:
		return s.xtcProbability > 0 && s.xtcThreshold <= 0.5
	}
	return false
}

// repeats reports whether there is a penalty on what was seen.
func (s *settings) repeats() bool { return s.repetition != 1 && s.lookBack != 0 }

// isGreedy reports whether only the most likely token can come out: nothing
// that might take it away comes before a temperature of 0.
func (s *settings) isGreedy(steps []llm.Sampler) bool {
	for _, step := range steps {
		switch step {
		case llm.SampleTemperature:
			return s.temperature == 0 && s.dynamicRange == 0
		case llm.SampleTopNSigma, llm.SampleTopK, llm.SampleTopP, llm.SampleMinP:
		default:
			return false
		}
	}
	return false
}

// isPlain reports whether the steps are those for which there is a short way.
func (s *settings) isPlain(steps []llm.Sampler) bool {
	if s.mirostat || s.dynamicRange > 0 {
		return false
	}
	left := []llm.Sampler{llm.SampleTopK, llm.SampleTopP, llm.SampleMinP, llm.SampleTemperature}
	for _, step := range steps {
		i := slices.Index(left, step)
		if i < 0 {
			return false
		}
		left = left[i+1:]
	}
	return true
}
