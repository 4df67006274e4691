package engine

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"parley/llm"
)

// newStated is a loop over a model that goes on only with a state.
func newStated(t *testing.T) (*loop, *fakeModel) {
	return newFake(t, func(_ *loop, m *fakeModel) { m.states = true })
}

// A swipe goes on at the end of its prompt, a chat where its reply ended, and what others
// have in common is read twice, and then known.
func TestAModelWithStatesGoesOnAtItsTurns(t *testing.T) {
	l, m := newStated(t)
	p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true}
	read := func(what string, tokens []int32, cached int) []int32 {
		t.Helper()
		before := m.reads
		r := l.collect(t.Context(), l.ask(tokens, 10, p), nil)
		if r.err != nil {
			t.Fatal(r.err)
		}
		u := r.finish.Usage
		if n := m.reads - before; n != len(tokens)-cached+9 || u.CachedTokens != cached || u.PromptTokens != len(tokens) {
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
	reply := read("a chat begins", first, 0)
	p.Choice = 1
	read("a swipe", first, len(first)-1)
	p.Choice = 2
	read("another swipe", first, len(first)-1)
	p.Choice = 0
	second := slices.Concat(reply, prompt(125, 3))
	longer := read("the chat goes on", second, len(reply)-1)
	p.Choice = 1
	read("a swipe of that", second, len(second)-1)
	read("a swipe of the first reply again", first, len(first)-1)
	p.Choice = 0
	read("another character with the same system prompt", slices.Concat(system, prompt(70, 10)), 0)
	read("a third one", slices.Concat(system, prompt(70, 11)), 4*blockTokens)
	third := slices.Concat(longer, prompt(9, 4))
	read("the chat goes on after others", third, len(longer)-1)
	read("a beginning of it", first[:len(first)-1], 4*blockTokens)
}

// Choices wait for the end of their prompt, and read it once.
func TestChoicesOfAModelWithStatesReadTheirPromptOnce(t *testing.T) {
	l, m := newStated(t)
	results := make([]result, 6)
	done := make(chan int)
	const n = 6000
	steps := 0
	m.before = func([]step) {
		for steps++; steps == 1; runtime.Gosched() { // until all are there
			l.mu.Lock()
			all := len(l.queue) + len(l.running)
			l.mu.Unlock()
			if all == len(results) {
				break
			}
		}
	}
	for i := range results {
		go func() {
			results[i] = l.collect(t.Context(), l.ask(prompt(n, 1), 10, llm.Params{Seed: new(int64(3)), IgnoreEOS: true, Choice: i}), nil)
			done <- i
		}()
	}
	for range results {
		<-done
	}
	for i, r := range results {
		lone, _ := newFake(t, nil)
		p := llm.Params{Seed: new(int64(3)), IgnoreEOS: true, Choice: i}
		if want := lone.collect(t.Context(), lone.ask(prompt(n, 1), 10, p), nil); want.String() != r.String() {
			t.Errorf("choice %d: %v, alone %v", i, r, want)
		}
	}
	if most := n + 6*9 + 5; m.reads > most || steps < 15 {
		t.Errorf("%d tokens read in %d steps, want at most %d", m.reads, steps, most)
	}
}

// States are within the budget, and those of long ago make room.
func TestStatesAreWithinTheBudget(t *testing.T) {
	const budget = 12*fakeBegun + 30*blockTokens*fakeBytes
	l, m := newFake(t, func(l *loop, m *fakeModel) { m.states, l.budget = true, budget })
	r := rand.New(rand.NewPCG(4, 2))
	chats := make([][]int32, 4)
	hits := 0
	for range 150 {
		i := r.IntN(len(chats))
		if len(chats[i]) > 300 {
			chats[i] = nil
		}
		chats[i] = append(chats[i], prompt(1+r.IntN(60), r.Int32())...)
		out := l.collect(t.Context(), l.ask(chats[i], 20, llm.Params{IgnoreEOS: true}), nil)
		if out.err != nil {
			t.Fatal(out.err)
		}
		hits += out.finish.Usage.CachedTokens
		for _, id := range out.ids {
			chats[i] = append(chats[i], int32(id))
		}
		if err := l.do(t.Context(), func() {}); err != nil { // the last step has ended
			t.Fatal(err)
		}
		checkTree(t, &l.prefixes)
	}
	if hits == 0 || m.bytes > budget {
		t.Errorf("%d tokens were found, %d bytes in use of %d", hits, m.bytes, budget)
	}
}

// States go first that were used longest ago, but behind nodes that are of no use.
func TestWhatOfStatesIsForgottenFirst(t *testing.T) {
	m, p := &fakeModel{size: fakeSize, states: true}, &prefixes{}
	read := func(tokens []int32) {
		x := p.newTable(m.NewCache(), "", len(tokens))
		x.states = true
		x.adopt(tokens[:len(tokens)-1])
		x.cache.(*fakeCache).read(tokens[x.Len():])
		x.end(tokens)
	}
	first, other := prompt(blockTokens, 1), prompt(2*blockTokens+5, 3)
	second := append(slices.Clone(first), prompt(9, 2)...)
	read(first)
	read(other)
	read(second) // goes on behind the first, so the other's state is the oldest
	for i, want := range []struct{ nodes, states int }{{5, 2}, {4, 2}, {3, 2}, {2, 2}, {2, 1}, {2, 0}, {1, 0}, {0, 0}} {
		if !p.evict() {
			t.Fatalf("nothing is forgotten in round %d", i)
		}
		checkTree(t, p)
		if p.nodes != want.nodes || m.begun != want.states {
			t.Errorf("round %d: %d nodes and %d states are left, want %+v", i, p.nodes, m.begun, want)
		}
	}
}

// What is measured of a model with states goes on behind prompts and contexts as with others.
func TestBenchOfAModelWithStates(t *testing.T) {
	e := tiny{scanned: true}.open(t, Options{Sequences: 3, Threads: 2})
	b := newBenching(e, BenchOptions{Prompt: 70, Generate: 3, Sequences: []int{1, 3}, Contexts: []int{10, 200, 300}, Behind: []int{1, 2}})
	b.memory = func() float64 { return 1e9 }
	err := e.loop.do(t.Context(), func() {
		for _, part := range []func(context.Context) error{b.sequences, b.contexts} {
			if err := part(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r := b.result
	if len(r.Sequences) != 2 || len(r.Contexts) != 6 {
		t.Errorf("%+v", r)
	}
	if err := e.loop.do(t.Context(), func() {}); err != nil || e.model.KVUsed() != 0 {
		t.Errorf("%d bytes are left, %v", e.model.KVUsed(), err)
	}
}
