package engine

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"parley/llm"
)

// constraintWords can spell JSON, thoughts and more in many ways.
var constraintWords = plainWords{
	"{", "}", "\"", "a", "b", ":", ",", " ", "1", "2", "[", "]", "{\"", "\":", "ab", "\"}", "</", "think>", "</think>", "<think>", "\n\n", ">{", ">x", "<", "think", "ü", "\xc3", "\xbc",
	"<ctl>", "<end>",
}

// plainWords are tokens of which few are control tokens.
type plainWords []string

func (w plainWords) Text(id int) (string, bool) { return w[id], w[id] == "<ctl>" || w.Ends(id) }
func (w plainWords) Ends(id int) bool           { return w[id] == "<end>" }
func (w plainWords) Size() int                  { return len(w) }

// hold has a sequence on a model of random logits say something.
func hold(t *testing.T, seed uint64, maxTokens int, p llm.Params) (text string, f *llm.Finish) {
	t.Helper()
	words := constraintWords
	c := constraints{words: func() []string {
		out := make([]string, len(words))
		for id := range words {
			if s, control := words.Text(id); !control && !words.Ends(id) {
				out[id] = s
			}
		}
		return out
	}}
	held, err := c.ready(p.Constraint)
	if err != nil {
		t.Fatal(err)
	}
	s := newSequence(&request{
		prompt: []int32{1}, maxTokens: maxTokens, settings: settle(p), stop: p.Stop, stopAfter: p.StopAfter, stopOpen: p.StopOpen,
		banned: p.BannedStrings, masker: held.masker, constraint: p.Constraint, ends: []int32{int32(len(words) - 1)}, words: words,
	})
	s.cache = &table{cache: &plainCache{}}
	var sc scratch
	for {
		s.cache.cache.(*plainCache).tokens = append([]int32(nil), s.tokens...)
		logits := randomLogits(seed<<20+uint64(len(s.tokens)), len(words), 3)
		ended, err := s.next(logits, &sc)
		if err != nil {
			t.Fatal(err)
		}
		pieces, _ := s.fetch()
		for _, p := range pieces {
			text += p.Text
			f = p.Finish
		}
		if ended {
			return text, f
		}
	}
}

func TestConstrainedOutputIsInTheLanguage(t *testing.T) {
	const schema = `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"array","items":{"enum":["a","ab"]},"maxItems":3}},"required":["a"],"additionalProperties":false}`
	ended := 0
	for seed := range uint64(300) {
		p := llm.Params{Constraint: &llm.Constraint{Kind: llm.ConstrainSchema, Source: schema}}
		if seed%3 == 1 {
			p.Temperature = new(0.0)
		}
		if seed%5 == 2 {
			p.BannedStrings = []string{"ab"}
		}
		text, f := hold(t, seed, 90, p)
		if f.Reason != llm.ReasonEnd {
			continue
		}
		ended++
		var x struct {
			A *int
			B []string
		}
		if err := json.Unmarshal([]byte(text), &x); err != nil || x.A == nil || len(x.B) > 3 {
			t.Errorf("%q: %v", text, err)
		}
		if strings.Contains(text, "ab") && p.BannedStrings != nil {
			t.Errorf("%q holds a banned phrase", text)
		}
	}
	if ended < 200 {
		t.Errorf("only %d texts came to an end", ended)
	}
}

// TestAConstraintWaitsForTheThoughts lets a model think, or not, before what is
// held begins, with marks spelled in one token or in several.
func TestAConstraintWaitsForTheThoughts(t *testing.T) {
	thought, direct := 0, 0
	for seed := range uint64(400) {
		c := &llm.Constraint{Kind: llm.ConstrainRegexp, Source: `\{1+\}`, After: "</think>"}
		inside := seed%2 == 0
		if !inside {
			c.Open = "<think>"
		}
		text, f := hold(t, seed, 400, llm.Params{Constraint: c, LogitBias: map[int]float64{19: 1}})
		if f.Reason != llm.ReasonEnd {
			continue
		}
		reply := strings.TrimSpace(text)
		if begins := strings.HasPrefix(reply, "<think>"); inside || begins {
			_, behind, found := strings.Cut(text, "</think>")
			if !found {
				continue // the model ended in its thoughts
			}
			reply = strings.TrimSpace(behind)
			thought++
		} else {
			direct++
		}
		if trimmed := strings.Trim(reply, "{1}"); trimmed != "" || !strings.HasPrefix(reply, "{1") || !strings.HasSuffix(reply, "}") || strings.Count(reply, "{") != 1 {
			t.Errorf("seed %d: %q", seed, text)
		}
	}
	if thought < 30 || direct < 30 {
		t.Errorf("%d thought, %d did not", thought, direct)
	}
}

// TestAConstraintBehindAMarkComesAgainAndAgain leaves an output free but for
// what follows a mark, however that is spelled, and what thoughts say of it.
func TestAConstraintBehindAMarkComesAgainAndAgain(t *testing.T) {
	held := regexp.MustCompile(`^\{1+\}`)
	whole, several, free, thoughts := 0, 0, 0, 0
	for seed := range uint64(300) {
		c := &llm.Constraint{Kind: llm.ConstrainRegexp, Source: `\{1+\}`, Behind: "<ctl>"}
		if seed%2 == 0 {
			c.Behind = "ab<"
		}
		if seed%3 == 1 {
			c.After = "</think>"
		}
		if seed%3 == 2 {
			c.After, c.Open = "</think>", "<think>"
		}
		text, f := hold(t, seed, 150, llm.Params{Constraint: c, LogitBias: map[int]float64{14: 4, 23: 3, 26: 3, 27: -3}})
		rest := text
		if thinks := strings.HasPrefix(strings.TrimSpace(text), "<think>"); c.After != "" && (c.Open == "" || thinks) {
			thought, behind, found := strings.Cut(text, c.After)
			if !found {
				continue
			}
			rest = behind
			if strings.Contains(thought, c.Behind) {
				thoughts++
			}
		}
		if c.Behind == "<ctl>" {
			continue // a control token is not in the text
		}
		calls := strings.Split(rest, c.Behind)
		if len(calls) > 2 {
			several++
		}
		for i, call := range calls[1:] {
			switch {
			case held.MatchString(call):
				whole++
				if call = held.ReplaceAllString(call, ""); strings.Trim(call, "1{}") != "" {
					free++
				}
			case i < len(calls)-2 || f.Reason != llm.ReasonLength:
				t.Errorf("seed %d: %q behind the mark in %q", seed, call, text)
			}
		}
	}
	if whole < 50 || several < 10 || free < 10 || thoughts < 3 {
		t.Errorf("%d were held, %d times more than one, %d times something followed, %d thoughts had the mark", whole, several, free, thoughts)
	}
}

func TestAChoiceEndsAsSoonAsItIsMade(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(60) {
		text, f := hold(t, seed, 50, llm.Params{Constraint: &llm.Constraint{Kind: llm.ConstrainChoice, Choices: []string{"a", "ab", "ü"}}})
		if f.Reason != llm.ReasonEnd {
			t.Errorf("%q ended by %s", text, f.Reason)
		}
		seen[text] = true
	}
	if fmt.Sprint(len(seen), seen["a"], seen["ab"], seen["ü"]) != "3 true true true" {
		t.Errorf("got %v", seen)
	}
}

func TestConstraintsThatCannotBeNameTheirField(t *testing.T) {
	e := tiny{}.open(t, Options{Threads: 1})
	for _, c := range []llm.Constraint{
		{Kind: llm.ConstrainSchema, Source: `{"not":{}}`, Field: "response_format.json_schema.schema"},
		{Kind: llm.ConstrainGBNF, Source: `x`, Field: "grammar"},
		{Kind: llm.ConstrainRegexp, Source: `(`, Field: "guided_regex"},
		{Kind: llm.ConstrainChoice, Field: "guided_choice"},
	} {
		for _, err := range e.Complete(t.Context(), llm.Text("the cat"), llm.Params{Constraint: &c}) {
			if x := llm.AsError(err); err == nil || x.Code != llm.Invalid || x.Field != c.Field {
				t.Errorf("%s: %v", c.Kind, err)
			}
		}
	}
}

func TestWordsOfASchemaThatSayNothingAreReported(t *testing.T) {
	e := tiny{}.open(t, Options{Threads: 1})
	c := llm.Constraint{Kind: llm.ConstrainSchema, Source: `{"type":"null","minLenght":3}`}
	for range 2 { // the second time the schema is known
		for piece, err := range e.Complete(t.Context(), llm.Text("the cat"), llm.Params{Constraint: &c}) {
			if err != nil {
				t.Fatal(err)
			}
			if a := piece.Accepted; a != nil && a.Report.Header() != "schema_word_ignored=minLenght" {
				t.Errorf("the report is %q", a.Report.Header())
			}
		}
	}
}

func TestAConstrainedAnswerIsTheSameInCompany(t *testing.T) {
	e := tiny{}.open(t, Options{Threads: 2})
	say := func(i int) string {
		p := llm.Params{Seed: new(int64(i)), MaxTokens: new(24)}
		if i%2 == 0 {
			p.Constraint = &llm.Constraint{Kind: llm.ConstrainRegexp, Source: `[a-z ]{3,40}(cat|hat)`}
		}
		var b strings.Builder
		for piece, err := range e.Complete(t.Context(), llm.Text("the cat in the hat"), p) {
			if err != nil {
				return err.Error()
			}
			b.WriteString(piece.Text)
		}
		return b.String()
	}
	alone := make([]string, 6)
	for i := range alone {
		alone[i] = say(i)
	}
	together := make([]string, len(alone))
	done := make(chan int)
	for i := range alone {
		go func() { together[i] = say(i); done <- i }()
	}
	for range alone {
		<-done
	}
	for i := range alone {
		if alone[i] != together[i] {
			t.Errorf("%d: alone %q, together %q", i, alone[i], together[i])
		}
	}
}
