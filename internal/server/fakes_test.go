package server

import (
	"context"
	"errors"
	"iter"
	"time"

	"parley/chat"
	"parley/internal/apikey"
	"parley/internal/character"
	"parley/llm"
)

// single serves one model.
type single struct {
	target   Target
	ready    error
	resolve  error
	released chan string   // if set, gets the model's id on each release
	changed  []string      // what was loaded and unloaded
	hold     chan struct{} // if set, names are resolved when it is closed
}

// plain are keys for everything.
func plain(texts ...string) (keys []apikey.Key) {
	for _, t := range texts {
		keys = append(keys, apikey.Plain(t))
	}
	return keys
}

func one(id string, r chat.Responder, m llm.Model) *single {
	return &single{target: Target{ID: id, Responder: r, Model: m}}
}

func (s *single) List(context.Context) ([]Listed, error) {
	return []Listed{{
		ID: s.target.ID, Aliases: []string{"other/name"}, Created: time.Unix(1690000000, 0),
		Info: llm.Info{Name: "Tiny", Architecture: "llama", Quantisation: "Q8_0", Context: 4096, Trained: 8192, Vocabulary: 300},
		Status: Status{State: Failed, Since: time.Unix(1690000000, 0), Waiting: 2, Idle: 1500 * time.Millisecond, Memory: 1 << 30, GPUs: []string{"0"},
			Group: "large", Err: &llm.Error{Message: "it ended", Hint: "try", Err: errors.New("the key is x")}},
	}}, nil
}

func (s *single) Resolve(ctx context.Context, name string) (Target, error) {
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return Target{}, context.Cause(ctx)
		}
	}
	if s.resolve != nil {
		return Target{}, s.resolve
	}
	t := s.target
	if name != t.ID {
		t.Report.Add("model", t.ID, "the only model served")
	}
	if s.released != nil {
		t.Release = func() { s.released <- t.ID }
	}
	return t, nil
}

func (s *single) LoadModel(_ context.Context, name string) error   { return s.change("load", name) }
func (s *single) UnloadModel(_ context.Context, name string) error { return s.change("unload", name) }

func (s *single) change(what, name string) error {
	if name != s.target.ID {
		return llm.Errorf(llm.NotFound, "model", "there is no model %q", name)
	}
	s.changed = append(s.changed, what)
	return nil
}

func (s *single) Ready() error { return s.ready }

// cast are characters by name.
type cast map[string]character.Character

func (c cast) Character(_ context.Context, name string) (character.Character, error) {
	one, ok := c[name]
	if !ok {
		return one, llm.Errorf(llm.NotFound, "character", "there is no character of this name")
	}
	return one, nil
}

// rendering is a responder that can show its prompts.
type rendering struct{ chat.Responder }

func (rendering) Render(_ context.Context, c chat.Conversation) (chat.Rendered, error) {
	r := chat.Rendered{Format: "colons", Stop: []string{"\nuser:"}, Tokens: []llm.Token{{ID: 1, Text: "<s>", Control: true, Segment: -1}}}
	add := func(s llm.Segment) {
		r.Tokens = append(r.Tokens, llm.Token{ID: 10 + len(r.Prompt.Segments), Text: s.Text, Segment: len(r.Prompt.Segments)})
		r.Prompt.Segments = append(r.Prompt.Segments, s)
	}
	for i, m := range c.Messages {
		add(llm.Segment{Text: string(m.Role) + ": ", Control: true, Trust: llm.TrustFormat})
		add(llm.Segment{Text: m.Text(), Source: llm.Source{Kind: llm.FromMessage, Index: i, Field: "content"}})
	}
	add(llm.Segment{Text: "\nassistant:", Control: true, Trust: llm.TrustFormat})
	r.Report.Add("repaired", "names", "")
	return r, nil
}

// vectoring is a model that makes vectors of lengths and places.
type vectoring struct{ llm.Model }

func (vectoring) Embed(_ context.Context, prompts []llm.Prompt) (vectors [][]float32, u llm.Usage, err error) {
	for i, p := range prompts {
		if p.Empty() {
			return nil, u, llm.Errorf(llm.Invalid, "input", "the text is empty")
		}
		control := float32(0)
		if s := p.Segments[0]; s.Control && len(s.Tokens) == 0 {
			control = 1
		}
		vectors = append(vectors, []float32{float32(len(p.String())), float32(i), 0.5, control})
		u.PromptTokens += len(p.String()) + len(p.Segments[0].Tokens)
	}
	return vectors, u, nil
}

// scoring is a model to which each word of a prompt is half as likely.
type scoring struct{ llm.Model }

func (s scoring) Score(ctx context.Context, p llm.Prompt, _ llm.Params) ([]llm.Token, error) {
	tokens, err := llm.Script().Tokenize(ctx, p)
	for i := range tokens {
		tokens[i].LogProb = -0.5 * float64(i)
		if i > 0 {
			tokens[i].Top = []llm.TokenProb{{Text: tokens[i].Text, LogProb: tokens[i].LogProb}}
		}
	}
	if p.String() == "bos" {
		tokens = append([]llm.Token{{Text: "<s>", Control: true, Segment: -1}}, llm.Token{Text: " bos", LogProb: -2})
	}
	return tokens, err
}

// gaps is a model that can be asked to fill gaps.
type gaps struct{ llm.Model }

func (gaps) Describe() llm.Info {
	return llm.Info{Infill: &llm.Infill{Prefix: []int{7}, Suffix: []int{8}, Middle: []int{9}, File: []int{6}, BOS: []int{1}}}
}

// replay is a model that says the texts and tokens of events.
type replay []chat.Event

func (r replay) Complete(ctx context.Context, p llm.Prompt, params llm.Params) iter.Seq2[llm.Piece, error] {
	return func(yield func(llm.Piece, error) bool) {
		if !yield(llm.Piece{Accepted: &llm.Accepted{PromptTokens: 1}}, nil) {
			return
		}
		n := 0
		for _, e := range r {
			if d, ok := e.(chat.TextDelta); ok {
				n++
				if !yield(llm.Piece{Text: d.Text, Tokens: d.Tokens}, nil) {
					return
				}
			}
		}
		yield(llm.Piece{Finish: &llm.Finish{Reason: llm.ReasonEnd, Usage: llm.Usage{PromptTokens: 1, CompletionTokens: n}}}, nil)
	}
}

// seeing is a single that notes for whom it is asked.
type seeing struct {
	*single
	seen []Asker
}

func (s *seeing) Resolve(ctx context.Context, name string) (Target, error) {
	s.seen = append(s.seen, AskerOf(ctx))
	return s.single.Resolve(ctx, name)
}
