package engine

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"parley/internal/textmatch"
	"parley/llm"
)

// banWords divides words and runes in many ways.
var banWords = listWords{"a", "b", "ab", "A", "ü", "\xc3", "\xbc", "\xff", " ", "ba", "Ü", "aü", "<ctl>", "<end>"}

// A speaker is a sequence on a model whose logits are a function of the tokens,
// without a loop around it.
type speaker struct {
	s    *sequence
	seed uint64
}

func speak(prompt []int32, seed uint64, maxTokens int, p llm.Params) *speaker {
	words := banWords
	s := newSequence(&request{
		prompt: prompt, maxTokens: maxTokens, settings: settle(p), stop: p.Stop, stopAfter: p.StopAfter, banned: p.BannedStrings,
		ends: []int32{int32(len(words) - 1)}, words: words,
	})
	s.cache = &table{cache: &plainCache{}}
	return &speaker{s, seed}
}

// A plainCache knows what was read and is shared with nobody.
type plainCache struct {
	cache
	tokens []int32
}

func (c *plainCache) Len() int         { return len(c.tokens) }
func (c *plainCache) Behind(n int) int { return n }
func (c *plainCache) Truncate(n int)   { c.tokens = c.tokens[:n:n] }

func logitsFor(seed uint64, tokens []int32) []float32 {
	h := fnv.New64a()
	h.Write([]byte{byte(seed), byte(seed >> 8)})
	for _, id := range tokens {
		h.Write([]byte{byte(id)})
	}
	return randomLogits(h.Sum64(), len(banWords), 2)
}

// say runs to the end and gives what came out.
func (sp *speaker) say(t *testing.T) (text string, ids []int, f *llm.Finish) {
	t.Helper()
	var sc scratch
	for steps := 0; ; steps++ {
		c := sp.s.cache.cache.(*plainCache)
		if !slices.Equal(c.tokens, sp.s.tokens[:len(c.tokens)]) || len(c.tokens) >= len(sp.s.tokens) && steps > 0 {
			t.Fatalf("the cache has read %v of %v", c.tokens, sp.s.tokens)
		}
		c.tokens = slices.Clone(sp.s.tokens)
		ended, err := sp.s.next(logitsFor(sp.seed, c.tokens), &sc)
		if err != nil {
			t.Fatal(err)
		}
		pieces, _ := sp.s.fetch()
		for _, p := range pieces {
			text += p.Text
			for _, tok := range p.Tokens {
				ids = append(ids, tok.ID)
			}
			f = p.Finish
		}
		if ended != (f != nil) {
			t.Fatalf("ended %v, finish %v", ended, f)
		}
		if ended {
			return text, ids, f
		}
	}
}

// twin says the same in the plainest way: the whole text is looked at after
// each token, and where a phrase has come, the token in which it begins is
// chosen anew, or the first that was not given away. A token is given away with
// the text that begins in it, once no phrase has begun before the end of that.
func twin(prompt []int32, seed uint64, maxTokens int, p llm.Params) (kept []int32, gaveUp bool) {
	tried := map[int][]int32{}
	rewinds := 0
	texts := func(ids []int32) (out []string) {
		for _, id := range ids {
			if text, control := banWords.Text(int(id)); !control {
				out = append(out, text)
			} else {
				out = append(out, "")
			}
		}
		return out
	}
	decoded := func(ids []int32) string { // whole characters only
		o := newOutput(textmatch.Stops{}, nil)
		text := ""
		for _, s := range texts(ids) {
			text += o.decode(s)
		}
		return strings.ToLower(text)
	}
	contains := func(text string) (at int) {
		at = -1
		for _, b := range p.BannedStrings {
			if i := strings.Index(text, strings.ToLower(b)); i >= 0 && (at < 0 || i < at) {
				at = i
			}
		}
		return at
	}
	held := func(text string) (n int) {
		for _, b := range p.BannedStrings {
			b = strings.ToLower(b)
			if slices.ContainsFunc(p.BannedStrings, func(c string) bool { c = strings.ToLower(c); return c != b && strings.Contains(b, c) }) {
				continue
			}
			for k := 1; k < len(b); k++ {
				if strings.HasSuffix(text, b[:k]) {
					n = max(n, k)
				}
			}
		}
		return n
	}
	inWhich := func(at int) int {
		place := len(kept) - 1
		for place > 0 && len(decoded(kept[:place])) > at {
			place--
		}
		return place
	}
	given := 0
	for len(kept) < maxTokens {
		logits := logitsFor(seed, append(slices.Clone(prompt), kept...))
		best, found := 0, math.Inf(-1)
		for id, l := range logits {
			text, control := banWords.Text(id)
			if slices.Contains(tried[len(kept)], int32(id)) || !control && utf8.ValidString(text) && contains(strings.ToLower(text)) >= 0 {
				continue
			}
			if float64(l) > found {
				best, found = id, float64(l)
			}
		}
		if math.IsInf(found, -1) {
			return kept, true
		}
		if banWords.Ends(best) {
			return kept, false
		}
		kept = append(kept, int32(best))
		at := contains(decoded(kept))
		if at < 0 {
			free := len(decoded(kept))
			if n := held(decoded(kept)); n > 0 {
				free = len(decoded(kept[:inWhich(free-n)]))
			}
			for given < len(kept) && len(decoded(kept[:given])) < free {
				given++
			}
			continue
		}
		place := max(given, inWhich(at))
		for k := range tried {
			if k > place {
				delete(tried, k)
			}
		}
		tried[place] = append(tried[place], kept[place])
		kept = kept[:place]
		if rewinds++; rewinds > mostRewinds+len(kept) {
			return kept, true
		}
	}
	return kept, false
}

func spellList(ids []int32) (texts []string) {
	for _, id := range ids {
		if text, control := banWords.Text(int(id)); !control {
			texts = append(texts, text)
		}
	}
	return texts
}

func TestBannedPhrasesNeverCome(t *testing.T) {
	lists := [][]string{{"aba"}, {"ab", "x"}, {"üa", "BB"}, {"a b"}, {"ü"}, {"Ab a", "bab", "ba"}, {"\ufffd"}, {"a", "b"}, {"aaaa", "bbbb", "abab"}}
	rewound, unavoidable := 0, 0
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 8))
		p := llm.Params{Seed: new(int64(seed)), Temperature: new(0.0), BannedStrings: lists[r.IntN(len(lists))], LoopGuard: new(0)}
		start := []int32{int32(r.IntN(9))}
		n := 1 + r.IntN(30)
		sp := speak(start, seed, n, p)
		text, ids, f := sp.say(t)
		kept, gaveUp := twin(start, seed, n, p)
		texts := spellList(kept)
		if f.Reason == llm.ReasonLength {
			texts = cutRune(texts)
		}
		want, _ := whole(texts, nil, nil, false, "", "")
		if gaveUp != (f.Reason == llm.ReasonStop) {
			// A character that was not finished may make the last phrase.
			if last := strings.ToLower(text + "\ufffd"); gaveUp || !strings.Contains(last, f.Stop) {
				t.Fatalf("seed %d: %+v, twin gave up: %v", seed, f, gaveUp)
			}
			continue
		}
		if text != want || len(ids) != len(kept) {
			t.Fatalf("seed %d, %q banned:\n got %q %v %v\nwant %q %v", seed, p.BannedStrings, text, ids, f.Reason, want, kept)
		}
		for i, id := range ids {
			if int32(id) != kept[i] {
				t.Fatalf("seed %d: %v, want %v", seed, ids, kept)
			}
		}
		for _, b := range p.BannedStrings {
			if strings.Contains(strings.ToLower(text), strings.ToLower(b)) {
				t.Fatalf("seed %d: %q contains %q", seed, text, b)
			}
		}
		rewound += sp.s.rewound
		if gaveUp {
			unavoidable++
		}
	}
	if rewound < 400 {
		t.Errorf("only %d times taken back", rewound)
	}
	t.Logf("taken back %d times, %d unavoidable", rewound, unavoidable)
}

// With stop strings beside them, at any temperature, with all that remembers
// tokens: no phrase, no lost byte, and the same again.
func TestBansBesideStopsAndSeeds(t *testing.T) {
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 9))
		word := func() (s string) {
			for range 1 + r.IntN(3) {
				s += []string{"a", "b", "ü", " ", "B"}[r.IntN(5)]
			}
			return s
		}
		p := llm.Params{
			Seed: new(int64(seed)), BannedStrings: []string{word(), word()}, IgnoreEOS: r.IntN(2) == 0, Temperature: new(0.5 + r.Float64()),
			RepetitionPenalty: new(1.2), FrequencyPenalty: new(0.1), DRYMultiplier: new(0.5), Mirostat: new(2 * r.IntN(2)), LoopGuard: new(r.IntN(2) * 40),
		}
		for range r.IntN(3) {
			p.Stop = append(p.Stop, word())
		}
		if r.IntN(3) == 0 {
			p.StopAfter = word()
		}
		n := 1 + r.IntN(40)
		sp := speak([]int32{1, 2}, seed, n, p)
		text, ids, f := sp.say(t)
		again, _, g := speak([]int32{1, 2}, seed, n, p).say(t)
		if text != again || f.Reason != g.Reason {
			t.Fatalf("seed %d: %q, then %q", seed, text, again)
		}
		for _, b := range p.BannedStrings {
			if strings.Contains(fold(text), fold(b)) {
				t.Fatalf("seed %d: %q contains %q", seed, text, b)
			}
		}
		all := sp.s.tokens[2:]
		if f.Reason == llm.ReasonEnd {
			all = all[:len(all)-1]
		}
		texts := spellList(all)
		if f.Reason == llm.ReasonLength {
			texts = cutRune(texts)
		}
		want, stop := whole(texts, p.Stop, nil, false, p.StopAfter, p.StopOpen)
		if f.Report != nil || f.Reason == llm.ReasonStop && stop == "" {
			want, stop = text, f.Stop // it had to end before a phrase
		}
		if text != want || f.Reason == llm.ReasonStop && f.Stop != stop {
			t.Fatalf("seed %d, stops %q after %q, banned %q:\n got %q %q\nwant %q %q", seed, p.Stop, p.StopAfter, p.BannedStrings, text, f.Stop, want, stop)
		}
		for i, id := range ids {
			if all[i] != int32(id) {
				t.Fatalf("seed %d: tokens %v of %v", seed, ids, all)
			}
		}
		// What remembers tokens is as if they had been said at once.
		fresh := newSampler(sp.s.settings, sp.s.prompt, sp.s.ends, sp.s.words)
		for _, id := range sp.s.tokens[2:] {
			fresh.accept(id)
		}
		a, b := randomLogits(1, len(banWords), 2), randomLogits(1, len(banWords), 2)
		fresh.penalties.apply(a)
		sp.s.sampler.penalties.apply(b)
		fresh.dry.apply(a)
		sp.s.sampler.dry.apply(b)
		if !slices.Equal(a, b) || fresh.count != sp.s.sampler.count {
			t.Fatalf("seed %d: %v, afresh %v", seed, b, a)
		}
	}
}

func TestBansHoldBackFromTheTokenOn(t *testing.T) {
	o := newOutput(textmatch.Stops{Anywhere: []string{"\nU"}}, newBans([]string{"Down her spine"}))
	for _, c := range []struct{ token, want string }{
		{"It ran", "It ran"}, {" DOWN", ""}, {" her", ""}, {" back", " DOWN her back"}, {".\n", "."}, {"x", "\nx"}, {"a do", ""}, {"\n", "a do"}, {"b", "\nb"},
	} {
		if p, stop := o.push(llm.Token{Text: c.token}); p.Text != c.want || stop != "" || o.back > 0 {
			t.Errorf("after %q: %q %q %d, want %q", c.token, p.Text, stop, o.back, c.want)
		}
	}
	o.push(llm.Token{ID: 7, Text: " d"})
	o.push(llm.Token{ID: 8, Text: "own her sp"})
	if p, _ := o.push(llm.Token{ID: 9, Text: "ine."}); p.Text != "" || o.back != 3 || o.ban != "Down her spine" {
		t.Errorf("%q, %d back because of %q", p.Text, o.back, o.ban)
	}
	o.takeBack(3)
	if p, _ := o.push(llm.Token{ID: 10, Text: " up"}); p.Text != " up" || len(p.Tokens) != 1 || p.Tokens[0].ID != 10 {
		t.Errorf("another way: %+v", p)
	}
}

func TestPhrasesInOtherPhrasesAreLeftOut(t *testing.T) {
	b := newBans([]string{"xab", "AB", "ab", "\xff", "cd"})
	for text, want := range map[string]string{"xAb": "AB", "acD": "cd", "xa": ""} {
		_, m := b.set.NewScanner().Feed(fold(text))
		if m == nil && want != "" || m != nil && b.phrases[m.Index] != want {
			t.Errorf("%q: %v, want %q", text, m, want)
		}
	}
	if newBans(nil) != nil || newBans([]string{"\xff"}) != nil {
		t.Error("nothing is banned")
	}
	if got := b.within(listWords{"ab", "<ab>", "cab", "a", "CD", "<end>"}); !slices.Equal(got, []int32{0, 2, 4}) {
		t.Errorf("tokens with a phrase: %v", got)
	}
}

func TestEverySamplerIsTheSameAloneAndInCompany(t *testing.T) {
	params := func(i int) llm.Params {
		p := anyParams(rand.New(rand.NewPCG(uint64(i), 3)))
		p.BannedStrings = []string{"w3 w", "w1 W2", "7 w9", "w20 w21"}
		p.MinTokens, p.LogProbs = new(5), new(2)
		return p
	}
	alone := map[int]string{}
	for i := range 12 {
		l, _ := newFake(t, nil)
		r := l.collect(t.Context(), l.ask(prompt(20+9*i, int32(i)), 40, params(i)), nil)
		if alone[i] = r.String(); r.err != nil || strings.Contains(r.text, "w3 w") {
			t.Errorf("%d: %v", i, r)
		}
	}
	l, _ := newFake(t, nil)
	for range 3 {
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				if got := l.collect(t.Context(), l.ask(prompt(20+9*i, int32(i)), 40, params(i)), nil).String(); got != alone[i] {
					t.Errorf("request %d gave\n%s\nalone\n%s", i, got, alone[i])
				}
			})
		}
		wg.Wait()
	}
}

func TestWhereNothingElseIsLeftTheOutputEnds(t *testing.T) {
	words := listWords{"a", "b", "<end>"}
	for _, p := range []llm.Params{
		{BannedStrings: []string{"aa", "AB", "ba", "bb"}, IgnoreEOS: true, LogitBias: map[int]float64{2: -1000}},
		{BannedStrings: []string{"a", "b"}},
	} {
		s := newSequence(&request{prompt: []int32{0}, maxTokens: 9, settings: settle(p), banned: p.BannedStrings, words: words})
		s.cache = &table{cache: &plainCache{}}
		inf := float32(math.Inf(-1))
		for range 9 {
			s.cache.cache.(*plainCache).tokens = slices.Clone(s.tokens)
			if ended, err := s.next([]float32{2, 1, inf}, new(scratch)); err != nil {
				t.Fatal(err)
			} else if ended {
				break
			}
		}
		pieces, _ := s.fetch()
		f := pieces[len(pieces)-1].Finish
		if f == nil || f.Reason != llm.ReasonStop || !slices.Contains(p.BannedStrings, f.Stop) || len(f.Report) != 1 || f.Report[0].Code != "banned_unavoidable" {
			t.Errorf("%q banned: %+v", p.BannedStrings, f)
		}
	}
	// A model that says nothing at all is another matter.
	s := newSequence(&request{prompt: []int32{0}, maxTokens: 9, settings: settle(llm.Params{}), banned: []string{"a"}, words: words})
	if _, err := s.next([]float32{float32(math.NaN()), float32(math.Inf(-1)), float32(math.Inf(-1))}, new(scratch)); llm.AsError(err).Code != llm.Broken {
		t.Errorf("not a number: %v", err)
	}
}
