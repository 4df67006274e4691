package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"parley/llm"
)

// anyRequest is a request of any kind. Prompts often begin in the same way.
func anyRequest(r *rand.Rand) (p llm.Prompt, params llm.Params) {
	words := []string{"the ", "cat", " in", " the", " hat", "here ", "a", "thin", "<|im_start|>", "\n", "  ", "he", "!"}
	text := func(n int) (s string) {
		for range 1 + r.IntN(n) {
			s += words[r.IntN(len(words))]
		}
		return s
	}
	begin := strings.Repeat("the cat in the hat ", r.IntN(4)*r.IntN(4))
	switch r.IntN(4) {
	case 0:
		p = llm.Text(begin + text(20))
	case 1:
		p.Segments = []llm.Segment{{Tokens: []int{0, 20, 30, 40 + r.IntN(4)}}, {Text: text(8)}}
	default:
		p.Segments = []llm.Segment{
			{Text: "<|im_start|>" + begin, Control: true, Trust: llm.TrustFormat}, {Text: text(10)},
			{Text: "<|im_end|>", Control: true, Trust: llm.TrustFormat}, {Text: text(6), Trust: llm.TrustModel},
		}
	}
	params = anyParams(r)
	params.MaxTokens, params.Choice = new(1+r.IntN(40)), r.IntN(2)*r.IntN(3)
	some := func(set func()) {
		if r.IntN(4) == 0 {
			set()
		}
	}
	some(func() { params.Stop = []string{text(2), "e"} })
	some(func() { params.BannedStrings = []string{"he", text(2), "Q"} })
	some(func() { params.LogProbs = new(r.IntN(4)) })
	some(func() { params.TokenHealing = new(r.IntN(2) == 0) })
	some(func() {
		c := llm.Constraint{Kind: llm.ConstrainJSON}
		switch r.IntN(3) {
		case 0:
			c = llm.Constraint{Kind: llm.ConstrainChoice, Choices: []string{"the cat", "the hat", "here"}}
		case 1:
			c = llm.Constraint{Kind: llm.ConstrainRegexp, Source: "[a-z]{3,9}( [0-9]+)*"}
		}
		params.Constraint = &c
	})
	return p, params
}

// answer is all that a caller sees of an answer, but for times and the cache.
// It leaves after so many pieces; 0 is never.
func answer(t *testing.T, e *Engine, p llm.Prompt, params llm.Params, leave int) string {
	var b strings.Builder
	n := 0
	for piece, err := range e.Complete(t.Context(), p, params) {
		if n++; n == leave {
			break
		}
		if err != nil {
			return b.String() + err.Error()
		}
		b.WriteString(piece.Text)
		for _, tok := range piece.Tokens {
			fmt.Fprintf(&b, "[%d %q %v %v]", tok.ID, tok.Text, tok.LogProb, tok.Top)
		}
		if f := piece.Finish; f != nil {
			fmt.Fprint(&b, f.Reason, f.Stop, f.Seed, f.Usage.PromptTokens, f.Usage.CompletionTokens, f.Report)
		}
	}
	return b.String()
}

// One request has one answer: alone, with others beside it that come and
// leave, behind anything in the cache, and the second time.
func TestAnyRequestHasOneAnswer(t *testing.T) {
	t.Run("attention", func(t *testing.T) { oneAnswerOf(t, tiny{}) })
	t.Run("convolutions", func(t *testing.T) { oneAnswerOf(t, tiny{convolved: true}) })
	t.Run("states", func(t *testing.T) { oneAnswerOf(t, tiny{scanned: true}) })
	t.Run("windows", func(t *testing.T) { oneAnswerOf(t, tiny{windowed: 40}) })
	t.Run("chunks", func(t *testing.T) { oneAnswerOf(t, tiny{chunked: 90}) })
	t.Run("squares", func(t *testing.T) { oneAnswerOf(t, tiny{delta: true}) })
}

func oneAnswerOf(t *testing.T, m tiny) {
	const requests = 120
	rounds := 2
	if testing.Short() {
		rounds = 1
	}
	of := func(i int) (llm.Prompt, llm.Params) { return anyRequest(rand.New(rand.NewPCG(uint64(i), 99))) }
	alone := make([]string, requests)
	kinds := map[string]int{}
	for i := range alone {
		e := m.open(t, Options{Threads: 1})
		p, params := of(i)
		alone[i] = answer(t, e, p, params, 0)
		for _, why := range []llm.Reason{llm.ReasonEnd, llm.ReasonStop, llm.ReasonLength} {
			if strings.Contains(alone[i], string(why)) {
				kinds[string(why)]++
			}
		}
		e.Close()
	}
	if len(kinds) < 3 {
		t.Fatalf("the answers end only as %v", kinds)
	}
	small := m.open(t, Options{}).model // memory for few: what is kept is often forgotten
	e := m.open(t, Options{Sequences: 4, Threads: 2, CacheBytes: 2*small.KVBytes(tinyContext) + 16*small.StateBytes()})
	order := make(chan int)
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(client), 7))
			for i := range order {
				if r.IntN(3) == 0 { // someone who leaves
					p, params := of(r.IntN(requests))
					answer(t, e, p, params, 1+r.IntN(8))
				}
				if r.IntN(4) == 0 {
					if _, _, err := e.Embed(t.Context(), texts(strings.Repeat("the hat ", 1+r.IntN(30)))); err != nil {
						t.Error(err)
					}
				}
				p, params := of(i)
				for range 1 + r.IntN(2) { // many ask again at once
					if got := answer(t, e, p, params, 0); got != alone[i] {
						t.Errorf("request %d among others gave\n%s\nalone\n%s", i, got, alone[i])
					}
				}
			}
		})
	}
	r := rand.New(rand.NewPCG(5, 5))
	for range rounds {
		for _, i := range r.Perm(requests) {
			order <- i
		}
	}
	close(order)
	clients.Wait()
	if err := e.loop.do(t.Context(), func() {}); err != nil { // the last step has ended
		t.Error(err)
	}
	if s := e.Stats(); s.CachedTokens < 250*uint64(rounds) || s.Running+s.Queued != 0 {
		t.Errorf("hardly anything came from the cache, or something still runs: %+v", s)
	}
}
