package engine

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"parley/llm"
)

// The tokens of an answer are as likely in a text as they were when they were
// chosen, whatever was read before.
func TestATextIsAsLikelyAsItsTokensWere(t *testing.T) {
	e := tiny{}.open(t, Options{Threads: 2})
	start, err := e.Tokenize(t.Context(), llm.Text(strings.Repeat("the cat in the hat ", 4)))
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, tok := range start {
		all = append(all, tok.ID)
	}
	n := len(all)
	params := llm.Params{MaxTokens: new(40), IgnoreEOS: true, Seed: new(int64(3)), LogProbs: new(3), CacheScope: "a"}
	var said []llm.Token
	for piece, err := range e.Complete(t.Context(), llm.Tokens(all), params) {
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, piece.Tokens...)
	}
	for _, tok := range said {
		all = append(all, tok.ID)
	}
	for range 2 {
		scored, err := e.Score(t.Context(), llm.Tokens(all), llm.Params{LogProbs: new(3), CacheScope: "a"})
		if err != nil {
			t.Fatal(err)
		}
		if len(scored) != len(all) || len(said) != 40 || scored[0].LogProb != 0 || scored[0].Top != nil {
			t.Fatalf("%d tokens scored of %d, the first %+v", len(scored), len(all), scored[0])
		}
		for i, tok := range said {
			if got := scored[n+i]; got.ID != tok.ID || got.LogProb != tok.LogProb || !reflect.DeepEqual(got.Top, tok.Top) {
				t.Fatalf("token %d: %+v, when it was chosen %+v", i, got, tok)
			}
		}
	}
	after := complete(t, e, llm.Tokens(all), llm.Params{MaxTokens: new(1), CacheScope: "a"})
	if got := after.finish.Usage.CachedTokens; got != len(all)-1 {
		t.Errorf("%d tokens of a scored text come from the cache, want %d", got, len(all)-1)
	}
}

func TestScoresOfShortTexts(t *testing.T) {
	e := tiny{}.open(t, Options{Context: 16})
	one, err := e.Score(t.Context(), llm.Text("a"), llm.Params{})
	if err != nil || len(one) != 2 || one[1].LogProb >= 0 || math.IsInf(one[1].LogProb, 0) || one[1].Top != nil {
		t.Errorf("%+v, %v", one, err)
	}
	if full, err := e.Score(t.Context(), llm.Text(strings.Repeat("x", 15)), llm.Params{}); err != nil || len(full) != 16 {
		t.Errorf("a text that fills the context: %d tokens, %v", len(full), err)
	}
	if _, err := e.Score(t.Context(), llm.Text(strings.Repeat("x", 16)), llm.Params{}); llm.AsError(err).Code != llm.TooLong {
		t.Errorf("one that is too long: %v", err)
	}
	if _, err := e.Score(t.Context(), llm.Text(""), llm.Params{}); err == nil {
		t.Error("nothing has a score")
	}
}
