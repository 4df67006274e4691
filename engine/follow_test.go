package engine

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"

	"parley/llm"
)

// An outcome is a token with its logit, in plain float64.
type outcome struct {
	id    int32
	logit float64
}

func chances(list []outcome) []float64 {
	top := math.Inf(-1)
	for _, o := range list {
		top = max(top, o.logit)
	}
	sum, out := 0.0, make([]float64, len(list))
	for i, o := range list {
		out[i] = math.Exp(o.logit - top)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// distribution is what the steps make of logits, in the words of the papers:
// sort, add up, cut. It knows nothing of the sampler.
func distribution(list []outcome, steps []llm.Sampler, p llm.Params) map[int32]float64 {
	list = slices.Clone(list)
	sort.SliceStable(list, func(i, j int) bool { return list[i].logit > list[j].logit })
	if len(steps) == 0 {
		out := map[int32]float64{}
		for i, c := range chances(list) {
			out[list[i].id] = c
		}
		return out
	}
	step, rest := steps[0], steps[1:]
	c := chances(list)
	switch step {
	case llm.SampleTopK:
		list = list[:min(len(list), *p.TopK)]
	case llm.SampleTopP:
		list = list[:enough(c, *p.TopP)]
	case llm.SampleMinP:
		n := 1
		for n < len(list) && c[n] >= *p.MinP*c[0] {
			n++
		}
		list = list[:n]
	case llm.SampleTopNSigma:
		mean, variance := 0.0, 0.0
		for _, o := range list {
			mean += o.logit / float64(len(list))
		}
		for _, o := range list {
			variance += (o.logit - mean) * (o.logit - mean) / float64(len(list))
		}
		n := 1
		for n < len(list) && list[n].logit >= list[0].logit-*p.TopNSigma*math.Sqrt(variance) {
			n++
		}
		list = list[:n]
	case llm.SampleTypicalP:
		h := 0.0
		for _, q := range c {
			h -= q * math.Log(q)
		}
		order := make([]int, len(list))
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(i, j int) bool {
			return math.Abs(-math.Log(c[order[i]])-h) < math.Abs(-math.Log(c[order[j]])-h)
		})
		var kept []outcome
		var sorted []float64
		for _, i := range order {
			kept, sorted = append(kept, list[i]), append(sorted, c[i])
		}
		list = kept[:enough(sorted, *p.TypicalP)]
	case llm.SampleXTC:
		n := 0
		for n < len(list) && c[n] >= *p.XTCThreshold {
			n++
		}
		without, with := distribution(list, rest, p), distribution(list[max(0, n-1):], rest, p)
		for id := range without {
			without[id] *= 1 - *p.XTCProbability
		}
		for id := range with {
			without[id] += with[id] * *p.XTCProbability
		}
		return without
	case llm.SampleTemperature:
		t := *p.Temperature
		if r := p.DynamicTemperatureRange; r != nil && *r > 0 {
			h := 0.0
			for _, q := range c {
				h -= q * math.Log(q)
			}
			power := math.Pow(h/math.Log(float64(len(list))), *p.DynamicTemperatureExponent)
			low := max(0, t-*r)
			t = low + (t+*r-low)*power
		}
		for i := range list {
			list[i].logit /= t
		}
		if t == 0 {
			list = list[:1]
			list[0].logit = 0
		}
	}
	return distribution(list, rest, p)
}

// enough is how many of the first chances add up to p.
func enough(c []float64, p float64) int {
	sum := 0.0
	for i, x := range c {
		if sum += x; sum >= p {
			return i + 1
		}
	}
	return len(c)
}

func TestEverySamplerMakesItsDistribution(t *testing.T) {
	const (
		k, p, m, y, s, x, h = llm.SampleTopK, llm.SampleTopP, llm.SampleMinP, llm.SampleTypicalP, llm.SampleTopNSigma, llm.SampleXTC, llm.SampleTemperature
	)
	base := llm.Params{
		TopK: new(12), TopP: new(0.8), MinP: new(0.1), TypicalP: new(0.7), TopNSigma: new(1.2),
		XTCProbability: new(0.6), XTCThreshold: new(0.06), Temperature: new(0.7), Seed: new(int64(5)),
	}
	dynamic := base
	dynamic.DynamicTemperatureRange, dynamic.DynamicTemperatureExponent = new(0.6), new(1.5)
	wide := dynamic
	wide.DynamicTemperatureRange = new(3.0)
	cold := base
	cold.Temperature = new(0.0)
	logits := randomLogits(4, 48, 1.6)
	var list []outcome
	for i, l := range logits {
		list = append(list, outcome{int32(i), float64(l)})
	}
	for i, c := range []struct {
		p     llm.Params
		order []llm.Sampler
	}{
		{base, []llm.Sampler{}}, {base, []llm.Sampler{y}}, {base, []llm.Sampler{s}}, {base, []llm.Sampler{x}}, {base, []llm.Sampler{h}},
		{base, []llm.Sampler{s, k, y, p, m, x, h}}, {base, []llm.Sampler{h, p}}, {base, []llm.Sampler{m, p, k}}, {base, []llm.Sampler{h, x, y}},
		{base, []llm.Sampler{p, k, h}}, {base, []llm.Sampler{p, y, m}}, {base, []llm.Sampler{k, s}},
		{dynamic, []llm.Sampler{h}}, {dynamic, []llm.Sampler{k, h}}, {wide, []llm.Sampler{p, h, m}},
		{cold, []llm.Sampler{h}}, {cold, []llm.Sampler{y, h}}, {cold, []llm.Sampler{x, h}}, {cold, []llm.Sampler{h, x}}, {cold, []llm.Sampler{s, m, h, y}},
	} {
		c.p.Samplers = c.order
		want := distribution(list, c.order, c.p)
		checkDraws(t, fmt.Sprintf("case %d, %v", i, c.order), logits, c.p, want)
	}
	// The usual order, and neutral values.
	full := base
	checkDraws(t, "usual order", logits, full, distribution(list, []llm.Sampler{s, k, y, p, m, x, h}, base))
	neutral := llm.Params{
		Seed: new(int64(1)), TypicalP: new(1.0), TopNSigma: new(-1.0), XTCProbability: new(0.0), XTCThreshold: new(0.0),
		DRYMultiplier: new(0.0), Mirostat: new(0), DynamicTemperatureRange: new(0.0),
	}
	if set := settle(neutral); len(set.plan.first)+len(set.plan.rest) > 0 || !set.plan.plain {
		t.Errorf("neutral values make a plan: %+v", set.plan)
	}
	high := llm.Params{Seed: new(int64(1)), XTCProbability: new(1.0), XTCThreshold: new(0.51)}
	checkDraws(t, "XTC above one half", logits, high, distribution(list, nil, high))
}

func checkDraws(t *testing.T, name string, logits []float32, p llm.Params, want map[int32]float64) {
	t.Helper()
	const draws = 10000
	var sc scratch
	sm := newSampler(settle(p), nil, nil, nil)
	count := map[int32]float64{}
	for range draws {
		id, ok := sm.pick(logits, &sc)
		if !ok {
			t.Fatalf("%s: nothing was picked", name)
		}
		count[id]++
	}
	for id := range count {
		if want[id] == 0 {
			t.Errorf("%s: token %d was drawn, which should have been cut", name, id)
		}
	}
	for id, q := range want {
		if sigma := math.Sqrt(draws * q * (1 - q)); math.Abs(count[id]-draws*q) > 5*sigma+1 {
			t.Errorf("%s: token %d drawn %v times, want about %.0f", name, id, count[id], draws*q)
		}
	}
}

// The short way for the usual samplers and the long way for all agree.
func TestTheShortWayIsTheLongWay(t *testing.T) {
	logits := randomLogits(8, 64, 2)
	p := llm.Params{TopK: new(20), TopP: new(0.8), MinP: new(0.05), Temperature: new(0.9), Seed: new(int64(2))}
	short := settle(p)
	if !short.plan.plain {
		t.Fatal("no short way")
	}
	var list []outcome
	for i, l := range logits {
		list = append(list, outcome{int32(i), float64(l)})
	}
	p.Samplers = []llm.Sampler{llm.SampleTopK, llm.SampleTopP, llm.SampleMinP, llm.SampleTemperature}
	want := distribution(list, p.Samplers, p)
	checkDraws(t, "short", logits, p, want)
	sm, sc, count := newSampler(short, nil, nil, nil), new(scratch), map[int32]bool{}
	sm.plan.plain = false
	for range 5000 {
		id, _ := sm.pick(logits, sc)
		count[id] = true
	}
	if len(count) != len(want) {
		t.Errorf("the long way drew %d tokens, want %d", len(count), len(want))
	}
}

func TestPenaltiesWhereverTheyStand(t *testing.T) {
	logits := []float32{5, 4, 3, 2}
	p := llm.Params{PresencePenalty: new(100.0), TopK: new(2), Temperature: new(0.0)}
	pick := func(order ...llm.Sampler) int32 {
		p.Samplers = order
		sm := newSampler(settle(p), nil, nil, nil)
		sm.accept(0)
		sm.accept(1)
		id, _ := sm.pick(logits, new(scratch))
		return id
	}
	if got := pick(llm.SamplePenalties, llm.SampleTopK, llm.SampleTemperature); got != 2 {
		t.Errorf("before top-k: %d", got)
	}
	if got := pick(llm.SampleTopK, llm.SamplePenalties, llm.SampleTemperature); got != 0 {
		t.Errorf("behind top-k: %d", got)
	}
	if got := pick(llm.SampleTopK, llm.SampleTemperature); got != 0 {
		t.Errorf("left out: %d", got)
	}
}

func TestMirostatKeepsTheSurprise(t *testing.T) {
	logits := randomLogits(6, 200, 2.5)
	var list []outcome
	for i, l := range logits {
		list = append(list, outcome{int32(i), float64(l)})
	}
	const tau, eta = 2.5, 0.3
	p := llm.Params{Mirostat: new(2), MirostatTau: new(tau), MirostatEta: new(eta), Seed: new(int64(3)), Temperature: new(1.0), TopK: new(1)}
	var sc scratch
	sm := newSampler(settle(p), nil, nil, nil)
	all := distribution(list, nil, p)
	bound, sum := 2*tau, 0.0
	const n = 4000
	for range n {
		kept := map[int32]float64{}
		total, best := 0.0, 0.0
		for _, q := range all {
			best = max(best, q)
		}
		for id, q := range all {
			if -math.Log2(q) <= bound || q == best {
				kept[id], total = q, total+q
			}
		}
		id, _ := sm.pick(logits, &sc)
		sm.accept(id)
		if kept[id] == 0 {
			t.Fatalf("token %d is more surprising than %v", id, bound)
		}
		surprise := -math.Log2(kept[id] / total)
		sum += surprise
		bound -= eta * (surprise - tau)
		if got := sm.surprise[len(sm.surprise)-1]; math.Abs(got-bound) > 1e-6 {
			t.Fatalf("the bound is %v, want %v", got, bound)
		}
	}
	if mean := sum / n; math.Abs(mean-tau) > 0.05 {
		t.Errorf("%v bits a token, want %v", mean, tau)
	}
	sm.rewind(make([]int32, 7))
	if len(sm.surprise) != 8 || sm.count != 7 {
		t.Errorf("after rewinding: %d bounds, %d tokens", len(sm.surprise), sm.count)
	}
}

func TestForbiddenTokensComeOnlyWhereNothingElseCan(t *testing.T) {
	inf := float32(math.Inf(-1))
	for _, p := range []llm.Params{
		{IgnoreEOS: true}, {MinTokens: new(2)}, {LogitBias: map[int]float64{1: -1000}},
		{IgnoreEOS: true, RepetitionPenalty: new(100.0), RepetitionRange: new(-1)},
		{MinTokens: new(9), TopNSigma: new(0.1)}, {IgnoreEOS: true, TypicalP: new(0.0)}, {IgnoreEOS: true, XTCProbability: new(1.0), XTCThreshold: new(0.0)},
		{IgnoreEOS: true, Temperature: new(100.0), DynamicTemperatureRange: new(100.0)}, {IgnoreEOS: true, Mirostat: new(2), MirostatTau: new(100.0)},
	} {
		for _, c := range []struct {
			logits []float32
			want   int32
		}{{[]float32{-5, 9, inf}, 0}, {[]float32{inf, 9, inf}, 1}} {
			sm := newSampler(settle(p), []int32{1, 0}, []int32{1}, nil)
			for range 5 {
				if id, ok := sm.pick(c.logits, new(scratch)); !ok || id != c.want {
					t.Errorf("%+v of %v: %d, %v", p, c.logits, id, ok)
				}
			}
		}
	}
	sm := newSampler(settle(llm.Params{MinTokens: new(2), Temperature: new(0.0)}), nil, []int32{1}, nil)
	sm.closers = []int32{2}
	var said []int32
	for range 3 {
		id, _ := sm.pick([]float32{1, 3, 2}, new(scratch))
		sm.accept(id)
		said = append(said, id)
	}
	if !slices.Equal(said, []int32{0, 0, 1}) {
		t.Errorf("at least two tokens: %v", said)
	}
	sm.never, sm.barred = []int32{0, 1}, []int32{2}
	if id, ok := sm.pick([]float32{1, 3, 2}, new(scratch)); ok {
		t.Errorf("a barred token came: %d", id)
	}
}
