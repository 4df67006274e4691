package engine

import (
	"slices"
	"strings"
	"testing"

	"parley/llm"
)

// newRunning is a loop over a model whose caches cannot go on behind any token.
func newRunning(t *testing.T) (*loop, *fakeModel) {
	return newFake(t, func(_ *loop, m *fakeModel) { m.runs = true })
}

// A chat goes on where it ended; what departs from it goes on behind the last whole
// block that they share.
func TestAModelThatRunsAlongReadsLessThanABlockAgain(t *testing.T) {
	l, m := newRunning(t)
	p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true}
	read := func(what string, tokens []int32, cached int, broke bool) []int32 {
		t.Helper()
		before := m.reads
		r := l.collect(t.Context(), l.ask(tokens, 10, p), nil)
		if r.err != nil {
			t.Fatal(r.err)
		}
		u := r.finish.Usage
		if n := m.reads - before; n != len(tokens)-cached+9 || u.CachedTokens != cached || u.PromptTokens != len(tokens) || (u.Broke != nil) != broke {
			t.Errorf("%s: %d tokens of %d read, want %d; %+v", what, n-9, len(tokens), len(tokens)-cached, u)
		}
		reply := slices.Clone(tokens)
		for _, id := range r.ids {
			reply = append(reply, int32(id))
		}
		return reply
	}
	system := prompt(300, 1)
	first := slices.Concat(system, prompt(40, 2))
	reply := read("a chat begins", first, 0, false)
	p.Choice = 1
	read("a swipe", first, 5*blockTokens, false)
	p.Choice = 0
	second := slices.Concat(reply, prompt(25, 3))
	reply = read("the chat goes on", second, len(reply)-1, false)
	read("another character with the same system prompt", slices.Concat(system, prompt(70, 10)), 4*blockTokens, true)
	third := slices.Concat(reply, prompt(9, 4))
	read("the chat goes on after others", third, len(reply)-1, false)
	edited := slices.Clone(third)
	edited[330]++
	read("an edit", edited, 5*blockTokens, false) // of too little to be told of
	read("the edit is taken back", third, len(third)/blockTokens*blockTokens, false)
}

// Choices and bursts of one beginning wait for its whole blocks, and not for more.
func TestChoicesOfAModelThatRunsAlongShareWholeBlocks(t *testing.T) {
	for _, n := range []int{40, 1000} {
		l, m := newRunning(t)
		results := make([]result, 6)
		done := make(chan int)
		for i := range results {
			p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true, Choice: i}
			go func() {
				results[i] = l.collect(t.Context(), l.ask(prompt(n, 1), 10, p), nil)
				done <- i
			}()
		}
		for range results {
			<-done
		}
		for i, r := range results {
			lone, _ := newRunning(t)
			p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true, Choice: i}
			if want := lone.collect(t.Context(), lone.ask(prompt(n, 1), 10, p), nil); want.String() != r.String() {
				t.Errorf("choice %d: %v, alone %v", i, r, want)
			}
		}
		if most := n + 6*9 + 5*(n%blockTokens+worthWaiting); m.reads > most {
			t.Errorf("%d tokens read, want at most %d", m.reads, most)
		}
	}
}

// What is taken back may be more than can be, so that part of the prompt is read
// again; it is counted once.
func TestTakingBackMoreThanAStep(t *testing.T) {
	l, m := newRunning(t)
	p := llm.Params{Temperature: new(0.0), IgnoreEOS: true, LoopGuard: new(0)}
	text := prompt(blockTokens+6, 1)
	free := l.collect(t.Context(), l.ask(text, 40, p), nil)
	if free.err != nil {
		t.Fatal(free.err)
	}
	other := l.collect(t.Context(), l.ask(text[:blockTokens+5], 1, llm.Params{CacheScope: "mine"}), nil)
	if other.err != nil {
		t.Fatal(other.err)
	}
	p.BannedStrings, p.CacheScope = []string{strings.TrimSpace(spell(free.ids[:mostProposed+8]))}, "mine"
	before := m.reads
	r := l.collect(t.Context(), l.ask(text, 40, p), nil)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if u := r.finish.Usage; u.CachedTokens != blockTokens+5 || strings.Contains(r.text, p.BannedStrings[0]) || m.reads-before < 40+mostProposed {
		t.Errorf("%q, %+v, %d tokens read", r.text, u, m.reads-before)
	}
	lone, _ := newFake(t, nil) // where nothing is read again
	if want := lone.collect(t.Context(), lone.ask(text, 40, p), nil); want.text != r.text {
		t.Errorf("%q, want %q", r.text, want.text)
	}
}

// A small model that runs along, too, is asked behind what it has in memory.
func TestADraftKnowsWhatItHasInMemory(t *testing.T) {
	d := &drafter{model: &fakeModel{size: fakeSize, runs: true}, window: 1000}
	s := &sequence{request: &request{}, tokens: prompt(300, 1)}
	rest := d.follow(s)
	draft := &s.guesses.draft
	if err := d.model.Forward([]step{{cache: draft.cache, tokens: rest}}); err != nil {
		t.Fatal(err)
	}
	draft.tokens = append(draft.tokens, rest...)
	s.tokens = append(slices.Clone(s.tokens[:250]), 1, 2, 3)
	rest = d.follow(s)
	if n := draft.cache.Len(); n != len(draft.tokens) || n != 3*blockTokens || !slices.Equal(slices.Concat(draft.tokens, rest), s.tokens[draft.start:]) {
		t.Errorf("%d tokens in memory, %d known, %d to be read, from %d on", n, len(draft.tokens), len(rest), draft.start)
	}
}
