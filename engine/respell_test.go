package engine

import (
	"slices"
	"strings"
	"testing"

	"parley/llm"
)

// respeak is speak with a text behind the prompt that is to be spelled.
func respeak(prompt []int32, rest string, asked []int32, seed uint64, maxTokens int, p llm.Params) *speaker {
	sp := speak(prompt, seed, maxTokens, p)
	r := sp.s.request
	r.rest, r.asked = rest, asked
	sp.s = newSequence(r)
	sp.s.cache = &table{cache: &plainCache{}}
	return sp
}

func bytesOf(ids []int32) string { return strings.Join(spellList(ids), "") }

// Wherever the bytes of a greedy output are cut, even inside a rune whose bytes
// are tokens of their own, the rest comes with the tokens that it had.
func TestAnyBytesAreSpelledAsTheyWere(t *testing.T) {
	const n = 12
	p := llm.Params{Temperature: new(0.0), LogitBias: map[int]float64{12: -1000}, IgnoreEOS: true, LoopGuard: new(0)}
	for seed := range uint64(200) {
		start := []int32{int32(seed % 9)}
		first := speak(start, seed, n, p)
		first.say(t)
		all := first.s.tokens
		raw := bytesOf(all[1:])
		for at := 1; at < len(raw); at++ {
			asked := append(slices.Clone(start), 0, 0, 0)
			sp := respeak(start, raw[:at], asked, seed, n, p)
			text, ids, f := sp.say(t)
			if len(sp.s.tokens) < len(all) || !slices.Equal(sp.s.tokens[:len(all)], all) {
				t.Fatalf("seed %d, behind %q: tokens %v, want %v", seed, raw[:at], sp.s.tokens, all)
			}
			behind := cutRune([]string{bytesOf(sp.s.tokens[1:])[at:]})
			if want, _ := whole(behind, nil, nil, false, "", ""); text != want || len(ids) != n {
				t.Fatalf("seed %d, behind %q: %q with %d tokens, want %q", seed, raw[:at], text, len(ids), want)
			}
			if f.Usage.PromptTokens != len(asked) || f.Usage.CompletionTokens != n {
				t.Fatalf("seed %d, behind %q: %+v", seed, raw[:at], f.Usage)
			}
		}
	}
}

// What comes behind a text spelled anew is chosen as behind the same tokens
// in the prompt, whatever remembers tokens.
func TestSpelledTokensCountAsThePrompts(t *testing.T) {
	for seed := range uint64(300) {
		p := llm.Params{
			Temperature: new(0.0), LogitBias: map[int]float64{12: -1000}, LoopGuard: new(0), MinTokens: new(3),
			RepetitionPenalty: new(1.5), PresencePenalty: new(0.5), FrequencyPenalty: new(0.5), DRYMultiplier: new(0.8), DRYAllowedLength: new(1),
		}
		rest := []string{"ab", "a b", "üab", "aab", "Aü"}[seed%5]
		sp := respeak([]int32{8}, rest, []int32{8, 0}, seed, 20, p)
		got, ids, _ := sp.say(t)
		prompt := sp.s.prompt
		if bytesOf(prompt) != " "+rest {
			continue // the last token goes on beyond the text
		}
		want, wantIDs, _ := speak(prompt, seed, 20, p).say(t)
		if got != want || !slices.Equal(ids, wantIDs) {
			t.Fatalf("seed %d, behind %v: %q %v, want %q %v", seed, prompt, got, ids, want, wantIDs)
		}
	}
}

func TestAPhraseMayBeginInTheTokenThatSpellsTheEnd(t *testing.T) {
	taken := 0
	for seed := range uint64(300) {
		p := llm.Params{Temperature: new(0.0), LogitBias: map[int]float64{12: -1000}, LoopGuard: new(0), IgnoreEOS: true, BannedStrings: []string{"b", "üa"}}
		sp := respeak([]int32{8}, "b a", []int32{8, 1, 8, 0}, seed, 10, p)
		text, _, _ := sp.say(t)
		if low := strings.ToLower(text); strings.Contains(low, "b") || strings.Contains(low, "üa") {
			t.Fatalf("seed %d: %q", seed, text)
		}
		if got := bytesOf(sp.s.tokens); !strings.HasPrefix(got, " b a") {
			t.Fatalf("seed %d: the whole is %q", seed, got)
		}
		taken += sp.s.rewound
	}
	if taken == 0 {
		t.Error("nothing was taken back")
	}
}

func TestWhatNoTokenSpellsStaysAsItWas(t *testing.T) {
	p := llm.Params{Temperature: new(0.8), Seed: new(int64(4)), LogitBias: map[int]float64{12: -1000}, LoopGuard: new(0)}
	for _, rest := range []string{"\x9c", "a\x9c", "ab\x9c", "aü\x9cb"} {
		for seed := range uint64(50) {
			asked := []int32{8, 3, 4}
			sp := respeak([]int32{8}, rest, asked, seed, 10, p)
			got, ids, f := sp.say(t)
			if !slices.Equal(sp.s.prompt, asked) || f.Usage.PromptTokens != 3 || len(sp.s.tokens) != 3+f.Usage.CompletionTokens {
				t.Fatalf("%q: prompt %v, %+v", rest, sp.s.prompt, f.Usage)
			}
			if rest != "\x9c" {
				continue // random numbers have gone
			}
			want, wantIDs, _ := speak(asked, seed, 10, p).say(t)
			if got != want || !slices.Equal(ids, wantIDs) {
				t.Fatalf("%q: %q %v, want %q %v", rest, got, ids, want, wantIDs)
			}
		}
	}
}

// A token over the joint of the prompt and the reply is none that the model
// had when it began.
func TestTheJointStaysBetweenTokens(t *testing.T) {
	e := tiny{}.open(t, Options{})
	he, _ := e.words.ID("he")
	p := llm.Params{Temperature: new(0.0), MaxTokens: new(6), LogitBias: map[int]float64{he: 8}, IgnoreEOS: true}
	before := llm.Segment{Text: "<|im_start|>in t", Control: true, Trust: llm.TrustFormat}
	say := func(begun string, p llm.Params) string {
		return complete(t, e, llm.Prompt{Segments: []llm.Segment{before, {Text: begun, Trust: llm.TrustModel}}}, p).text
	}
	whole := say("", p)
	if !strings.HasPrefix(whole, "he") || strings.Contains(whole, " ") {
		t.Fatalf("%q does not begin with what makes a token with the prompt, or has a second word", whole)
	}
	for at := range len(whole) {
		if got := say(whole[:at], p); !strings.HasPrefix(got, whole[at:]) {
			t.Errorf("behind %q: %q, want %q", whole[:at], got, whole[at:])
		}
	}
}
