package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"parley/llm"
)

// expected computes the distribution that settings ask for in the plainest way:
// sort everything, cut, normalise.
func expected(logits []float32, s settings) map[int32]float64 {
	type entry struct {
		id int32
		l  float64
	}
	var all []entry
	for i, l := range logits {
		all = append(all, entry{int32(i), float64(l)})
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].l > all[j].l })
	if s.topK > 0 && s.topK < len(all) {
		all = all[:s.topK]
	}
	share := func(t float64) []float64 {
		sum, out := 0.0, []float64(nil)
		for _, e := range all {
			out = append(out, math.Exp((e.l-all[0].l)/t))
			sum += out[len(out)-1]
		}
		for i := range out {
			out[i] /= sum
		}
		return out
	}
	if s.topP < 1 {
		sum := 0.0
		for i, p := range share(1) {
			if sum += p; sum >= s.topP {
				all = all[:i+1]
				break
			}
		}
	}
	if s.minP > 0 {
		p := share(1)
		n := 1
		for n < len(p) && p[n] >= s.minP*p[0] {
			n++
		}
		all = all[:n]
	}
	out := map[int32]float64{}
	for i, p := range share(s.temperature) {
		out[all[i].id] = p
	}
	return out
}

func randomLogits(seed uint64, n int, spread float64) []float32 {
	r := rand.New(rand.NewPCG(seed, 99))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64() * spread)
	}
	return out
}

func TestDrawsFollowTheDistributionAskedFor(t *testing.T) {
	cases := []llm.Params{
		{},
		{Temperature: new(0.5)},
		{Temperature: new(2.0), TopK: new(5)},
		{TopP: new(0.6)},
		{TopP: new(0.0)},
		{MinP: new(0.2), Temperature: new(1.5)},
		{TopK: new(20), TopP: new(0.8), MinP: new(0.05), Temperature: new(0.9)},
		{TopK: new(1000), TopP: new(0.99)},
	}
	logits := randomLogits(1, 64, 2)
	for _, p := range cases {
		p.Seed = new(int64(5))
		set := settle(p)
		want := expected(logits, set)
		sm := newSampler(set, nil, nil, nil)
		const draws = 40000
		count := map[int32]int{}
		for range draws {
			id, ok := sm.pick(logits, new(scratch))
			if !ok {
				t.Fatal("pick failed")
			}
			count[id]++
		}
		name := fmt.Sprintf("%+v", set)
		for id := range count {
			if want[id] == 0 {
				t.Errorf("%s: token %d was drawn, which should have been cut", name, id)
			}
		}
		for id, p := range want {
			sigma := math.Sqrt(draws * p * (1 - p))
			if got := float64(count[id]); math.Abs(got-draws*p) > 5*sigma+1 {
				t.Errorf("%s: token %d drawn %v times, want about %.0f", name, id, got, draws*p)
			}
		}
	}
}

// The shortcuts must keep exactly the tokens that sorting everything keeps.
func TestCutsKeepWhatSortingKeeps(t *testing.T) {
	var sc scratch
	for i := range uint64(300) {
		r := rand.New(rand.NewPCG(i, 7))
		n := 1 + r.IntN(3000)
		logits := randomLogits(i, n, 0.1+4*r.Float64())
		if r.IntN(3) == 0 { // many equal ones
			for j := range logits {
				logits[j] = float32(math.Round(float64(logits[j])))
			}
		}
		s := settings{temperature: 1, topK: r.IntN(2) * r.IntN(n+10), topP: []float64{1, 0.3, 0.9, 0.999}[r.IntN(4)], minP: []float64{0, 0.01, 0.5}[r.IntN(3)]}
		sm := newSampler(s, nil, nil, nil)
		clean := sc.clean(logits)
		best := sc.peak(clean)
		kept := sc.reaching(clean, last)
		if sm.cuts() {
			kept = sm.cut(clean, best, &sc)
		}
		var got []int32
		for _, c := range kept {
			got = append(got, c.id)
		}
		want := expected(logits, s)
		if len(got) != len(want) {
			// A sum that comes to exactly the limit may round either way.
			if d := len(got) - len(want); s.topP == 1 || d < -1 || d > 1 {
				t.Fatalf("%+v of %d: %d kept, want %d", s, n, len(got), len(want))
			}
			continue
		}
		for _, id := range got {
			if _, ok := want[id]; !ok {
				t.Fatalf("%+v of %d: token %d kept", s, n, id)
			}
		}
	}
}

// What float32 is sure of, float64 says too, of flat and of steep logits.
func TestDrawsInFloat32AreThoseInFloat64(t *testing.T) {
	var near, exact scratch
	sure, all, few := 0, 0, 0
	for i := range uint64(400) {
		r := rand.New(rand.NewPCG(i, 9))
		logits := randomLogits(i, 1+r.IntN(20_000), 4*r.Float64())
		if r.IntN(2) == 0 { // as of a model that knows what it says
			for range 20 {
				logits[r.IntN(len(logits))] += float32(12 * r.Float64())
			}
		}
		if r.IntN(3) == 0 {
			for range len(logits) / 2 {
				logits[r.IntN(len(logits))] = []float32{last, float32(math.Inf(-1))}[r.IntN(2)]
			}
		}
		near.clean(logits)
		best := near.peak(logits)
		if math.IsInf(float64(best.logit), -1) {
			continue
		}
		exact.peak(exact.clean(logits))
		p := []float64{0, 0.1, 0.5, 0.9, 0.95, 0.99}[r.IntN(6)]
		if got, ok := near.nucleusNear(near.logits[:len(logits)], p, best); ok {
			few++
			if want := exact.nucleus(exact.logits[:len(logits)], p, best.logit); !slices.Equal(got, want) {
				t.Fatalf("logits %d, top-p %v: %v, want %v", i, p, got, want)
			}
		}
		temperature := []float64{1, 0.7, 1.5, 0.02, 0.001, 90}[r.IntN(6)]
		for j := range 50 {
			u := r.Float64()
			if j%2 == 0 { // near the end of a token's share
				drawAt(0, exact.reaching(logits, last), best, temperature, &exact)
				sum, end := 0.0, r.IntN(len(exact.weights))
				total := 0.0
				for k, w := range exact.weights {
					if total += w; k < end {
						sum += w
					}
				}
				u = max(0, min(0.9999999, sum/total*(1+1e-7*r.NormFloat64())))
			}
			id, ok := near.drawNear(u, best, temperature)
			if all++; !ok {
				continue
			}
			sure++
			if want := drawAt(u, exact.reaching(logits, last), best, temperature, &exact); id != want {
				t.Fatalf("logits %d, %v at temperature %v: token %d, want %d", i, u, temperature, id, want)
			}
		}
	}
	if sure < all/3 || few < 100 {
		t.Errorf("of %d draws only %d were sure, and %d nuclei", all, sure, few)
	}
}

// Of equal logits the first are better, wherever parts end, and few are the first of many.
func TestTopOfManyIsTopOfAll(t *testing.T) {
	var sc scratch
	for i := range uint64(200) {
		r := rand.New(rand.NewPCG(i, 11))
		logits := randomLogits(i, 1+r.IntN(40*partSize), 3)
		if r.IntN(2) == 0 {
			for j := range logits {
				logits[j] = float32(math.Round(float64(logits[j])))
			}
		}
		var want []candidate
		for id, x := range logits {
			want = append(want, candidate{x, int32(id)})
		}
		fall(want)
		sc.clean(logits)
		if best := sc.peak(logits); best != want[0] || argmax(logits) != best.id {
			t.Fatalf("logits %d: the best is %v, argmax %d, want %v", i, best, argmax(logits), want[0])
		}
		k := 1 + r.IntN(60)
		if got := sc.top(logits, k); !slices.Equal(got, want[:min(k, len(want))]) {
			t.Fatalf("logits %d: the best %d are %v, want %v", i, k, got, want[:min(k, len(want))])
		}
	}
}

func TestGreedyTakesTheFirstOfTheGreatest(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	cases := []struct {
		logits []float32
		want   int32
		ok     bool
	}{
		{[]float32{1, 3, 3, 2}, 1, true},
		{[]float32{nan, -5, nan}, 1, true},
		{[]float32{0, inf, math.MaxFloat32}, 1, true},
		{[]float32{-inf, nan, -inf}, 0, false},
		{[]float32{-inf, -1000}, 1, true},
	}
	for _, c := range cases {
		sm := newSampler(settle(llm.Params{Temperature: new(0.0)}), nil, nil, nil)
		if id, ok := sm.pick(c.logits, new(scratch)); ok != c.ok || ok && id != c.want {
			t.Errorf("%v: got %d, %v", c.logits, id, ok)
		}
	}
}

func TestNumbersThatAreNoneAreNeverDrawn(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, p := range []llm.Params{{}, {TopK: new(3)}, {TopP: new(0.9)}, {MinP: new(0.1)}, {Temperature: new(1e-300)}, {Temperature: new(100.0), TopP: new(0.0)}} {
		for _, logits := range [][]float32{{nan, 2, -inf, nan}, {-inf, math.MaxFloat32, 0, nan}, {-inf, inf, -inf, 1}, {nan, -math.MaxFloat32, nan, -inf}} {
			for range 20 {
				if id, ok := newSampler(settle(p), nil, nil, nil).pick(logits, new(scratch)); !ok || id != 1 {
					t.Errorf("%+v of %v: got %d, %v", settle(p), logits, id, ok)
				}
			}
		}
		if _, ok := newSampler(settle(p), nil, nil, nil).pick([]float32{nan, -inf}, new(scratch)); ok {
			t.Errorf("%+v: something was drawn of nothing", settle(p))
		}
	}
}

func TestPenalties(t *testing.T) {
	prompt := []int32{0, 0, 1, 2}
	logits := []float32{4, -4, 4, 4, 4}
	after := func(p llm.Params, generated ...int32) []float32 {
		sm := newSampler(settle(p), prompt, []int32{4}, nil)
		for _, id := range generated {
			sm.accept(id)
		}
		l := slices.Clone(logits)
		sm.penalties.apply(l)
		return l
	}
	cases := []struct {
		name string
		p    llm.Params
		said []int32
		want []float32
	}{
		{"none", llm.Params{}, []int32{3}, []float32{4, -4, 4, 4, 4}},
		{"repetition", llm.Params{RepetitionPenalty: new(2.0)}, []int32{3}, []float32{2, -8, 2, 2, 4}},
		{"repetition of the last two", llm.Params{RepetitionPenalty: new(2.0), RepetitionRange: new(2)}, []int32{3}, []float32{4, -4, 2, 2, 4}},
		{"repetition of all", llm.Params{RepetitionPenalty: new(2.0), RepetitionRange: new(-1)}, []int32{3}, []float32{2, -8, 2, 2, 4}},
		{"repetition of none", llm.Params{RepetitionPenalty: new(2.0), RepetitionRange: new(0)}, []int32{3}, []float32{4, -4, 4, 4, 4}},
		{"presence is for what was generated", llm.Params{PresencePenalty: new(1.0)}, []int32{3, 3}, []float32{4, -4, 4, 3, 4}},
		{"frequency counts", llm.Params{FrequencyPenalty: new(1.0)}, []int32{3, 3, 1}, []float32{4, -5, 4, 2, 4}},
		{"all", llm.Params{RepetitionPenalty: new(2.0), PresencePenalty: new(0.5), FrequencyPenalty: new(1.0)}, []int32{3}, []float32{2, -8, 2, 0.5, 4}},
	}
	for _, c := range cases {
		if got := after(c.p, c.said...); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestBiasAndIgnoreEOS(t *testing.T) {
	logits := []float32{1, 2, 3}
	pick := func(p llm.Params) int32 {
		p.Temperature = new(0.0)
		id, _ := newSampler(settle(p), nil, []int32{2}, nil).pick(logits, new(scratch))
		return id
	}
	if got := pick(llm.Params{LogitBias: map[int]float64{0: 5}}); got != 0 {
		t.Errorf("biased: %d", got)
	}
	if got := pick(llm.Params{IgnoreEOS: true}); got != 1 {
		t.Errorf("ignoring the end: %d", got)
	}
	if got := pick(llm.Params{IgnoreEOS: true, LogitBias: map[int]float64{2: 100}}); got != 1 {
		t.Errorf("ignoring the end against a bias: %d", got)
	}
}

func TestSeedAndChoiceMakeTheStream(t *testing.T) {
	logits := make([]float32, 1000)
	draw := func(seed int64, choice int) (ids []int32) {
		sm := newSampler(settle(llm.Params{Seed: &seed, Choice: choice}), nil, nil, nil)
		for range 20 {
			id, _ := sm.pick(logits, new(scratch))
			ids = append(ids, id)
		}
		return ids
	}
	base := draw(-3, 0)
	if !slices.Equal(base, draw(-3, 0)) {
		t.Error("the same seed gave other numbers")
	}
	if slices.Equal(base, draw(-2, 0)) || slices.Equal(base, draw(-3, 1)) {
		t.Error("another seed or choice gave the same numbers")
	}
	if a, b := settle(llm.Params{}).seed, settle(llm.Params{}).seed; a == b || a < 0 || a >= 1<<53 {
		t.Errorf("drawn seeds %d, %d", a, b)
	}
}

func TestProbabilitiesAreThoseOfTheModel(t *testing.T) {
	var sc scratch
	logits := []float32{float32(math.Log(0.5)), float32(math.Log(0.125)), float32(math.Log(0.375)), float32(math.Inf(-1))}
	of, best, logProb := probabilities(logits, 1, 2, &sc)
	if math.Abs(of-math.Log(0.125)) > 1e-6 || len(best) != 2 || best[0].id != 0 || best[1].id != 2 || math.Abs(logProb(best[1].logit)-math.Log(0.375)) > 1e-6 {
		t.Errorf("got %v, %v", of, best)
	}
	if of, _, _ := probabilities(logits, 3, 0, &sc); of != leastLogProb {
		t.Errorf("log 0 is %v", of)
	}
}

func TestSamplingAllocatesNothing(t *testing.T) {
	var sc scratch
	logits := randomLogits(3, 5000, 2)
	for _, p := range []llm.Params{{}, {TopK: new(40), TopP: new(0.9), MinP: new(0.05)}, {TopP: new(0.95)}} {
		sm := newSampler(settle(p), []int32{1, 2, 3}, nil, nil)
		for range 50 { // some of which are not sure in float32
			sm.pick(logits, &sc)
		}
		if n := testing.AllocsPerRun(20, func() { sm.pick(logits, &sc) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func TestExponentialsAreThoseOfMath(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		x := -r.ExpFloat64() * 20
		switch i % 4 {
		case 0:
			x = -float64(i%50_000) / expParts
		case 1:
			x = math.Nextafter(-float64(i%50_000)/expParts, float64(i%3-1)*1000)
		}
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-13*want {
			t.Fatalf("exp(%v) is %v, want %v", x, got, want)
		}
	}
	for _, x := range []float64{0, math.Copysign(0, -1), math.Inf(-1), -1e308, expLeast, -745.2, 1, 709.9, math.Inf(1)} {
		if got, want := exp(x), math.Exp(x); got != want {
			t.Errorf("exp(%v) is %v, want %v", x, got, want)
		}
	}
	if !math.IsNaN(exp(math.NaN())) {
		t.Error("of what is no number, exp is one")
	}
}

// The vocabulary is as large as Qwen 3's, and the reply has gone on for a while.
func BenchmarkSampler(b *testing.B) {
	const words = 151_936
	logits := randomLogits(3, words, 2)
	for name, p := range map[string]llm.Params{
		"greedy":        {Temperature: new(0.0)},
		"temperature":   {},
		"of one sure":   {},
		"its top-p":     {TopP: new(0.95)},
		"top-k 40":      {TopK: new(40)},
		"top-p 0.95":    {TopP: new(0.95)},
		"min-p 0.05":    {MinP: new(0.05)},
		"as llama.cpp":  {TopK: new(40), TopP: new(0.95), MinP: new(0.05), Temperature: new(0.8)},
		"penalties too": {TopK: new(40), TopP: new(0.95), MinP: new(0.05), Temperature: new(0.7), RepetitionPenalty: new(1.1), PresencePenalty: new(0.5)},
		"typical":       {TypicalP: new(0.9)},
		"xtc":           {MinP: new(0.02), XTCProbability: new(0.5)},
		"top-nσ":        {TopNSigma: new(1.0), Temperature: new(1.5)},
		"mirostat":      {Mirostat: new(2)},
	} {
		b.Run(name, func(b *testing.B) {
			var sc scratch
			logits := logits
			if name == "of one sure" || name == "its top-p" { // most of what a model says is likelier than all of the rest
				logits = slices.Clone(logits)
				logits[4711] += 20
			}
			sm := newSampler(settle(p), nil, nil, nil)
			for i := range 500 {
				sm.accept(int32(i * 7919 % words))
			}
			for b.Loop() {
				sm.pick(logits, &sc)
			}
		})
	}
	b.Run("probabilities of 5", func(b *testing.B) {
		var sc scratch
		for b.Loop() {
			probabilities(logits, 1, 5, &sc)
		}
	})
}
