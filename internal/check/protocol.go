package check

import (
	"context"
	"encoding/json"
	"strings"
)

var protocolChecks = []Check{
	{"models", Protocol, "the list of models", listsModels},
	{"stream-form", Protocol, "the form of a stream", streamForm},
	{"choices", Protocol, "two answers to one request (n)", choices},
	{"usage", Protocol, "tokens are counted and add up", usageAddsUp},
	{"usage-streamed", Protocol, "a stream counts as a whole answer does", usageStreamed},
}

func listsModels(_ context.Context, s *subject) finding {
	x := s.listed
	if err := x.refused(); err != nil {
		return failed(x, err)
	}
	var list struct {
		Object string            `json:"object"`
		Data   []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(x.body, &list); err != nil {
		return broken(of(x), "the list is not JSON of OpenAI's protocol: %s", short(err.Error()))
	}
	all := models(x.body)
	var names []string
	listed := false
	for _, m := range all {
		names = append(names, m.ID)
		listed = listed || m.ID == s.model
	}
	switch {
	case list.Object != "list":
		return broken(of(x), "the list's object is %q, not \"list\"", short(list.Object))
	case len(all) != len(list.Data):
		return broken(of(x), "%d of %d models have no id", len(list.Data)-len(all), len(list.Data))
	case !listed:
		return cannotTell("%q is not in the list, which has %d models", s.model, len(all))
	}
	return kept("%s", short(strings.Join(names, ", ")))
}

func streamForm(ctx context.Context, s *subject) finding {
	q := request{Messages: []message{say("user", s.fresh(prompts[1]))}, MaxTokens: 8, Temperature: new(0.0)}
	r, x, err := s.streamed(ctx, chatPath, q, nil)
	switch {
	case r == nil:
		return failed(x, err)
	case len(r.form) > 0:
		return broken(of(x), "%s", strings.Join(r.form, "; "))
	case err != nil:
		return broken(of(x), "%v", err)
	}
	return kept("%d chunks, a finish_reason and [DONE]", len(r.deltas))
}

func choices(ctx context.Context, s *subject) finding {
	q := request{Messages: []message{say("user", s.fresh(prompts[0]))}, MaxTokens: 8, Temperature: new(1.0), Seed: new(5), N: 2}
	r, x, err := s.chat(ctx, q)
	switch {
	case err != nil:
		return failed(x, err)
	case len(r.texts) != 2:
		return broken(of(x), "n is 2, and there are %d answers", len(r.texts))
	}
	return kept("n = 2 gives 2 answers")
}

func usageAddsUp(ctx context.Context, s *subject) finding {
	q := request{Messages: []message{say("user", s.fresh("Hi"))}, MaxTokens: 4, Temperature: new(0.0)}
	r, x, err := s.chat(ctx, q)
	if err != nil {
		return failed(x, err)
	}
	total := number(r.usage, func(u *usage) *int { return u.Total })
	switch {
	case r.usage == nil:
		return broken(of(x), "the answer has no usage")
	case r.prompt() < 1 || r.completion() < 0 || total < 0:
		return broken(of(x), "usage lacks one of prompt_tokens, completion_tokens and total_tokens")
	case r.prompt()+r.completion() != total:
		return broken(of(x), "%d and %d tokens are %d in all", r.prompt(), r.completion(), total)
	}
	if err := s.calibrate(ctx); err != nil {
		if s.steady != nil {
			return broken(of(x), "%v", err)
		}
		return cannotTell("%v", err)
	}
	return kept("%d + %d = %d tokens", r.prompt(), r.completion(), total)
}

func usageStreamed(ctx context.Context, s *subject) finding {
	q := request{Messages: []message{say("user", s.fresh("Hi"))}, MaxTokens: 4, Temperature: new(0.0)}
	whole, x, err := s.chat(ctx, q)
	if err != nil {
		return failed(x, err)
	}
	q.StreamOptions = &streamOptions{IncludeUsage: true}
	r, x2, err := s.streamed(ctx, chatPath, q, nil)
	switch {
	case err != nil:
		return failed(x2, err)
	case whole.usage == nil:
		return cannotTell("the whole answer has no usage")
	case r.usage == nil:
		return broken(of(x2), "the stream has no usage, though stream_options asks for it")
	case r.prompt() != whole.prompt() || r.said() == whole.said() && r.completion() != whole.completion():
		return broken(of(x, x2), "the stream counts %d and %d tokens, the whole answer %d and %d", r.prompt(), r.completion(), whole.prompt(), whole.completion())
	}
	return kept("%d and %d tokens both times", r.prompt(), r.completion())
}
