package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"parley/llm"
)

// Whatever is allowed to be asked, and whatever a model says: where there is a
// number, a token that has one is chosen.
func TestNoParametersLeaveNothing(t *testing.T) {
	for seed := range uint64(6000) {
		checkAnyParams(t, seed)
	}
}

func FuzzSampler(f *testing.F) {
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) { checkAnyParams(t, seed) })
}

func checkAnyParams(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 11))
	p := anyParams(r)
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	const size = fakeSize
	var prompt []int32
	for range r.IntN(20) {
		prompt = append(prompt, r.Int32N(size))
	}
	sm := newSampler(settle(p), prompt, []int32{3, 4}, fakeWords{size: size})
	var sc scratch
	for step := range 12 {
		logits := nastyLogits(r, size)
		id, ok := sm.pick(logits, &sc)
		possible := slices.ContainsFunc(logits, isNumber)
		if ok != possible || ok && !isNumber(logits[id]) {
			t.Fatalf("seed %d, step %d: %d, %v of %v\n%+v", seed, step, id, ok, logits, p)
		}
		if !ok {
			continue
		}
		sm.accept(id)
		for _, b := range sm.surprise {
			if math.IsNaN(b) || math.IsInf(b, 0) {
				t.Fatalf("seed %d: bound %v\n%+v", seed, b, p)
			}
		}
	}
}

func anyParams(r *rand.Rand) llm.Params {
	number := func(values ...float64) *float64 {
		if i := r.IntN(len(values) + 2); i < len(values) {
			return &values[i]
		} else if i == len(values) {
			return nil
		}
		return new(values[0] + r.Float64()*(values[len(values)-1]-values[0]))
	}
	whole := func(values ...int) *int {
		if i := r.IntN(len(values) + 1); i < len(values) {
			return &values[i]
		}
		return nil
	}
	p := llm.Params{
		Seed: new(int64(r.Uint64())), Temperature: number(0, 1e-300, 0.5, 1, 100), TopK: whole(0, 1, 2, 40, 1<<30),
		TopP: number(0, 1e-300, 0.5, 1), MinP: number(0, 1e-300, 0.5, 1), TypicalP: number(0, 1e-300, 0.3, 1), TopNSigma: number(-1, 0, 1e-300, 1, 100),
		DynamicTemperatureRange: number(0, 1e-300, 1, 100), DynamicTemperatureExponent: number(0, 1, 100),
		XTCProbability: number(0, 0.5, 1), XTCThreshold: number(0, 0.1, 0.5, 1),
		Mirostat: whole(0, 0, 2), MirostatTau: number(0, 5, 100), MirostatEta: number(0, 0.1, 10),
		RepetitionPenalty: number(0.01, 1, 100), RepetitionRange: whole(-1, 0, 5, 64), PresencePenalty: number(-100, 0, 100), FrequencyPenalty: number(-100, 0, 100),
		DRYMultiplier: number(0, 1, 100), DRYBase: number(0, 1, 1.75, 100), DRYAllowedLength: whole(0, 1, 2, 1<<30), DRYRange: whole(-1, 0, 3, 1<<30),
		MinTokens: whole(0, 5, 1<<30), IgnoreEOS: r.IntN(4) == 0,
	}
	if r.IntN(2) == 0 {
		p.Samplers = llm.DefaultSamplers()
		r.Shuffle(len(p.Samplers), func(i, j int) { p.Samplers[i], p.Samplers[j] = p.Samplers[j], p.Samplers[i] })
		p.Samplers = p.Samplers[:r.IntN(len(p.Samplers)+1)]
	}
	for range r.IntN(4) {
		if p.LogitBias == nil {
			p.LogitBias = map[int]float64{}
		}
		p.LogitBias[r.IntN(fakeSize)] = *cmpOr(number(-1000, 0, 1000), new(-1000.0))
	}
	return p
}

func cmpOr(a, b *float64) *float64 {
	if a == nil {
		return b
	}
	return a
}

func nastyLogits(r *rand.Rand, n int) []float32 {
	nasty := []float32{0, 1, -1, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 1e30, -1e30, 88, -88}
	odd := []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	out := make([]float32, n)
	kind := r.IntN(6)
	for i := range out {
		switch {
		case kind == 0:
			out[i] = odd[1+r.IntN(2)]
		case kind == 1:
			out[i] = odd[r.IntN(3)]
		case kind == 2:
			out[i] = nasty[r.IntN(len(nasty))]
		case kind == 3:
			out[i] = append(nasty, odd...)[r.IntN(len(nasty)+3)]
		case kind == 4:
			out[i] = nasty[0]
		default:
			out[i] = float32(r.NormFloat64() * 5)
		}
	}
	if kind < 2 && r.IntN(2) == 0 {
		out[r.IntN(n)] = nasty[r.IntN(len(nasty))]
	}
	return out
}
