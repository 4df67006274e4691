// Package llmtest is the suite that every llm.Model must pass.
package llmtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/llm"
)

// A Subject is a model under test and a prompt that it continues, at
// temperature 0, with at least eight tokens of text and no control token among
// the first eight.
type Subject struct {
	Model  llm.Model
	Prompt llm.Prompt

	// What some engines over HTTP do not tell: of which tokens the output
	// consists, how many the prompt has before it is read, and why the output
	// ended where no stop string did it.
	Untold, Uncounted, Mute bool

	// Mark is the text of a control token that ends no reply and that the model
	// writes within 24 tokens where its id, MarkID, has a logit bias of 100.
	// Empty: the model has none.
	Mark   string
	MarkID int
}

// Run checks the contract of llm.Model. Nothing in it depends on what the
// model says, only on its saying the same again.
func Run(t *testing.T, s Subject) {
	greedy := llm.Params{Temperature: new(0.0), MaxTokens: new(24), Seed: new(int64(7))}
	base := s.complete(t, greedy)
	if len(base.tokens) < 8 && !s.Untold || len(base.text) < 8 {
		t.Fatalf("the subject's reply %q has %d tokens, the suite needs at least 8", base.text, len(base.tokens))
	}

	t.Run("the stream begins with Accepted and ends with Finish", func(t *testing.T) {
		if base.accepted == nil {
			t.Fatal("no piece had Accepted set")
		}
		if got, want := base.accepted.PromptTokens, base.finish.Usage.PromptTokens; !s.Uncounted && (got != want || got == 0) {
			t.Errorf("Accepted counts %d prompt tokens, Finish %d", got, want)
		}
		if base.finish.Seed != 7 {
			t.Errorf("Finish.Seed = %d, want the 7 that was asked for", base.finish.Seed)
		}
	})
	t.Run("the same request gives the same answer", func(t *testing.T) {
		again := s.complete(t, greedy)
		if again.text != base.text || !slices.Equal(again.ids(), base.ids()) {
			t.Errorf("first %q %v\nthen  %q %v", base.text, base.ids(), again.text, again.ids())
		}
	})
	t.Run("tokens spell the text", func(t *testing.T) {
		var b strings.Builder
		for _, tok := range base.tokens {
			if !tok.Control {
				b.WriteString(tok.Text)
			}
		}
		if got := strings.ToValidUTF8(b.String(), "\ufffd"); !s.Untold && !strings.HasPrefix(got, strings.TrimRight(base.text, "\ufffd")) {
			t.Errorf("tokens spell %q, the text is %q", got, base.text)
		}
	})
	t.Run("max tokens", func(t *testing.T) {
		p := greedy
		p.MaxTokens = new(3)
		got := s.complete(t, p)
		if s.Mute && got.finish.Reason == llm.ReasonEnd {
			got.finish.Reason, got.finish.Usage.CompletionTokens = llm.ReasonLength, 3
		}
		if got.finish.Reason != llm.ReasonLength || got.finish.Usage.CompletionTokens != 3 {
			t.Errorf("finish %+v, want length after 3 tokens", got.finish)
		}
		if !strings.HasPrefix(base.text, got.text) {
			t.Errorf("%q is not the beginning of %q", got.text, base.text)
		}
	})
	t.Run("zero tokens", func(t *testing.T) {
		p := greedy
		p.MaxTokens = new(0)
		got := s.complete(t, p)
		if got.text != "" || got.finish.Reason != llm.ReasonLength {
			t.Errorf("got %q, %s", got.text, got.finish.Reason)
		}
	})
	t.Run("output ends exactly before a stop string", func(t *testing.T) { s.stops(t, greedy, base.text) })
	t.Run("a stop string for lines ends a line, and nothing else", func(t *testing.T) { s.lines(t, greedy, base.text) })
	t.Run("stop strings sleep until the marker", func(t *testing.T) {
		runes := []rune(base.text)
		p := greedy
		p.Stop = []string{string(runes[0])}
		p.StopAfter = string(runes[:4])
		rest := string(runes[4:])
		got := s.complete(t, p)
		want := base.text
		if i := strings.Index(rest, p.Stop[0]); i >= 0 {
			want = p.StopAfter + rest[:i]
		}
		if got.text != want {
			t.Errorf("got %q, want %q", got.text, want)
		}
	})
	t.Run("stop strings sleep where the output begins with the opening marker", func(t *testing.T) {
		text := strings.TrimSpace(base.text)
		first := string([]rune(text)[:1])
		before, _, _ := strings.Cut(base.text, first)
		p := greedy
		p.Stop, p.StopAfter = []string{first}, "no output has this \x00"
		for open, want := range map[string]string{
			first:          base.text,
			first + "\x00": before,
			text + "\x00":  before, // the output ends before it can be told
		} {
			p.StopOpen = open
			if got := s.complete(t, p); got.text != want {
				t.Errorf("opened by %q: got %q, want %q", open, got.text, want)
			}
		}
	})
	if s.Mark != "" {
		t.Run("a control token is text where a mark says so", func(t *testing.T) { s.marks(t, greedy) })
	}
	t.Run("bad requests are refused", func(t *testing.T) {
		for name, p := range map[string]llm.Params{
			"temperature": {Temperature: new(-1.0)},
			"top_p":       {TopP: new(2.0)},
			"stop[0]":     {Stop: []string{""}},
		} {
			err := s.fails(t, context.Background(), s.Prompt, p)
			if e := llm.AsError(err); e.Code != llm.Invalid || e.Field != name {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if e := llm.AsError(s.fails(t, context.Background(), llm.Prompt{}, greedy)); e.Code != llm.Invalid {
			t.Errorf("empty prompt: got %v", e)
		}
	})
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.fails(t, ctx, s.Prompt, greedy); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
	t.Run("cancelled in the middle", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var last error
		for piece, err := range s.Model.Complete(ctx, s.Prompt, greedy) {
			if last = err; err != nil {
				break
			}
			if piece.Text != "" {
				cancel()
			}
			if piece.Finish != nil {
				return // it had finished before the cancellation reached it
			}
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", last)
		}
	})
	t.Run("breaking off leaves the model usable", func(t *testing.T) {
		for range 3 {
			for piece := range s.Model.Complete(context.Background(), s.Prompt, greedy) {
				if piece.Text != "" {
					break
				}
			}
		}
		if got := s.complete(t, greedy); got.text != base.text {
			t.Errorf("afterwards %q, before %q", got.text, base.text)
		}
	})
}

// stops cuts the reply at every place, with stop strings of several lengths.
func (s Subject) stops(t *testing.T, p llm.Params, text string) {
	for _, length := range []int{1, 2, 5} {
		for from := 0; from+length <= len(text); from += 1 + len(text)/12 {
			stop := text[from : from+length]
			if !utf8.ValidString(stop) || strings.ContainsRune(stop, utf8.RuneError) {
				continue
			}
			p.Stop = []string{"\x00never", stop}
			got := s.complete(t, p)
			if want := text[:strings.Index(text, stop)]; got.text != want || got.finish.Reason != llm.ReasonStop || got.finish.Stop != stop {
				t.Errorf("stop %q: got %q, %s %q; want %q", stop, got.text, got.finish.Reason, got.finish.Stop, want)
			}
		}
	}
}

// lines looks for strings where the reply begins and where it does not. A line
// feed in a prompt is the client's here, and ends a line.
func (s Subject) lines(t *testing.T, p llm.Params, text string) {
	for from := 0; from+2 <= len(text); from += 1 + len(text)/8 {
		stop := text[from:min(from+5, len(text))]
		if !utf8.ValidString(stop) || strings.ContainsRune(stop, utf8.RuneError) {
			continue
		}
		p.StopLines = []string{stop}
		want := text
		for at := range text {
			if strings.HasPrefix(text[at:], stop) && (at == 0 && s.Prompt.EndsLine() || at > 0 && text[at-1] == '\n') {
				want = text[:at]
				break
			}
		}
		got := s.complete(t, p)
		if got.text != want || (want != text) != (got.finish.Reason == llm.ReasonStop && got.finish.Stop == stop) {
			t.Errorf("lines that begin with %q: got %q, %s %q; want %q", stop, got.text, got.finish.Reason, got.finish.Stop, want)
		}
	}
}

// marks has the model write a control token, with and without a list of marks
// that names it.
func (s Subject) marks(t *testing.T, p llm.Params) {
	p.LogitBias = map[int]float64{s.MarkID: 100}
	for name, c := range map[string]struct {
		marks llm.Marks
		text  bool
	}{
		"none":   {llm.Marks{}, false},
		"turn":   {llm.Marks{Turn: []string{s.Mark}}, false},
		"reply":  {llm.Marks{Reply: []string{s.Mark}}, true},
		"output": {llm.Marks{Output: []string{s.Mark}}, true},
		"both":   {llm.Marks{Turn: []string{s.Mark}, Output: []string{s.Mark}}, true},
	} {
		subject := s
		subject.Prompt.Marks = c.marks
		got := subject.complete(t, p)
		if strings.Contains(got.text, s.Mark) != c.text {
			t.Errorf("%s: the text is %q", name, got.text)
		}
		written := 0
		for _, tok := range got.tokens {
			if tok.ID != s.MarkID {
				continue
			}
			written++
			if tok.Text != s.Mark || tok.Control == c.text {
				t.Errorf("%s: the token is %+v", name, tok)
			}
		}
		if written == 0 {
			t.Errorf("%s: the model did not write token %d: %v", name, s.MarkID, got.ids())
		}
		stopped := p
		stopped.Stop = []string{s.Mark}
		end := subject.complete(t, stopped)
		if before, _, _ := strings.Cut(got.text, s.Mark); end.finish.Reason != llm.ReasonStop || end.finish.Stop != s.Mark || c.text && end.text != before {
			t.Errorf("%s: with the mark as a stop string: %q, %s %q", name, end.text, end.finish.Reason, end.finish.Stop)
		}
	}
}

type answer struct {
	text     string
	tokens   []llm.Token
	accepted *llm.Accepted
	finish   llm.Finish
}

func (a answer) ids() []int {
	var ids []int
	for _, t := range a.tokens {
		ids = append(ids, t.ID)
	}
	return ids
}

// complete reads a whole stream and checks its form.
func (s Subject) complete(t *testing.T, p llm.Params) answer {
	t.Helper()
	var a answer
	var text strings.Builder
	first, done := true, false
	for piece, err := range s.Model.Complete(t.Context(), s.Prompt, p) {
		if err != nil {
			t.Fatalf("Complete: %v", err)
		}
		if done {
			t.Fatal("a piece came after Finish")
		}
		if first != (piece.Accepted != nil) {
			t.Fatal("Accepted must be set on the first piece and on no other")
		}
		if !utf8.ValidString(piece.Text) {
			t.Fatalf("piece %q is not valid UTF-8", piece.Text)
		}
		if first {
			a.accepted, first = piece.Accepted, false
		}
		text.WriteString(piece.Text)
		a.tokens = append(a.tokens, piece.Tokens...)
		if piece.Finish != nil {
			a.finish, done = *piece.Finish, true
		}
	}
	if !done {
		t.Fatal("the stream ended without Finish and without an error")
	}
	a.text = text.String()
	return a
}

func (s Subject) fails(t *testing.T, ctx context.Context, prompt llm.Prompt, p llm.Params) error {
	t.Helper()
	for piece, err := range s.Model.Complete(ctx, prompt, p) {
		if err != nil {
			return err
		}
		if piece.Text != "" || piece.Finish != nil {
			t.Fatalf("got output %+v, want an error", piece)
		}
	}
	t.Fatal("the stream ended without an error")
	return nil
}
