package engine

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"parley/internal/textmatch"
	"parley/llm"
)

// at tells after how many tokens a guard with the usual bound ends a reply; 0
// is never.
func loopAt(tokens []int32) int {
	g := textmatch.LoopGuard{Bound: usualLoop}
	for i, id := range tokens {
		if g.See(uint32(id)) {
			return i + 1
		}
	}
	return 0
}

func repeat(block []int32, tokens int) (out []int32) {
	for len(out) < tokens {
		out = append(out, block...)
	}
	return out
}

func randomTokens(r *rand.Rand, n, size int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = r.Int32N(int32(size))
	}
	return out
}

func TestALoopOfAnyLengthIsNoticed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, period := range []int{1, 2, 3, 7, 16, 40, 300, 1500} {
		before := randomTokens(r, 200, 1000)
		block := randomTokens(r, period, 1000)
		want := 200 + textmatch.LoopRun - 1 + textmatch.LoopBefore*period + usualLoop
		if got := loopAt(append(before, repeat(block, want+100)...)); got == 0 || got > want || got < want-period {
			t.Errorf("a block of %d tokens: %d, want about %d", period, got, want)
		}
	}
	// Nearly the same from time to time, as in a spam of few hashtags.
	var spam []int32
	for len(spam) < 20_000 {
		spam = append(spam, 1, 2, 3, 4, 5, 6, 7, 8)
		if r.IntN(20) == 0 {
			spam = append(spam, 9)
		}
	}
	if got := loopAt(spam); got == 0 {
		t.Error("a loop with variations goes on")
	}
}

func TestWhatOnlyLooksLikeALoopPasses(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	words := func(n int) []int32 { return randomTokens(r, n, 5000) }
	var list, table, lines, verse []int32
	for i := range int32(1000) {
		list = append(list, 1, 2, 1000+i, 3) // "- Item 17\n"
		table = append(append(table, 1), words(2)...)
		table = append(table, 1, 2, 2, 2, 1, 3, 3, 3, 1, 2, 2, 2, 1, 3, 3, 3, 1)
		verse = append(append(verse, words(30)...), 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
	}
	for range 100 {
		lines = append(lines, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) // "I must not talk in class.\n"
	}
	file := words(3000)
	for name, tokens := range map[string][]int32{
		"ha ha ha":            repeat([]int32{5}, 800),
		"a hundred lines":     lines,
		"a list":              list,
		"a table":             table,
		"verses and refrain":  verse,
		"a file three times":  slices.Concat(file, file, file),
		"noughts and crosses": randomTokens(r, 4000, 3),
		"prose":               words(20_000),
		"a matrix of zeros":   repeat(append(repeat([]int32{1, 2}, 40), 3, 4), 840),
	} {
		if at := loopAt(tokens); at != 0 {
			t.Errorf("%s ends after %d of %d tokens", name, at, len(tokens))
		}
	}
}

func TestARunawayReplyIsEnded(t *testing.T) {
	bias := llm.Params{Seed: new(int64(1)), LogitBias: map[int]float64{1: 500}}
	ask := func(p llm.Params, most int) result {
		l, _ := newFake(t, nil)
		return l.collect(t.Context(), l.ask(prompt(5, 1), most, p), nil)
	}
	n := textmatch.LoopRun - 1 + textmatch.LoopBefore + usualLoop
	r := ask(bias, 3000)
	if r.finish.Reason != llm.ReasonLoop || len(r.ids) != n || r.text != strings.Repeat("w1 ", n) || len(r.finish.Report) != 1 || r.finish.Report[0].Code != "loop" {
		t.Errorf("%d tokens, %+v", len(r.ids), r.finish)
	}
	for name, change := range map[string]func(*llm.Params){
		"off":         func(p *llm.Params) { p.LoopGuard = new(0) },
		"ignored end": func(p *llm.Params) { p.IgnoreEOS = true },
		"greater":     func(p *llm.Params) { p.LoopGuard = new(5000) },
		"at least":    func(p *llm.Params) { p.MinTokens = new(2000) },
	} {
		p := bias
		change(&p)
		if r := ask(p, 1500); r.finish.Reason != llm.ReasonLength || len(r.ids) != 1500 {
			t.Errorf("%s: %d tokens, %s", name, len(r.ids), r.finish.Reason)
		}
	}
	p := bias
	p.LoopGuard, p.IgnoreEOS, p.BannedStrings = new(30), true, []string{"w1 w2", "w9"}
	if r := ask(p, 1500); r.finish.Reason != llm.ReasonLoop || !strings.HasPrefix(r.text, "w1 w1 ") || len(r.ids) > 60 {
		t.Errorf("asked for: %d tokens, %s", len(r.ids), r.finish.Reason)
	}
}
