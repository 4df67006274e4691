package check

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

var whyChecks = []Check{
	{"max-tokens", Why, "max_tokens is kept to", maxTokens},
	{"temperature", Why, "temperature is heeded", temperature},
	{"logit-bias", Why, "logit_bias is heeded", logitBias},
	{"unknown-field", Why, "a field that does not exist", unknownField},
	{"unknown-model", Why, "a model that does not exist", unknownModel},
	{"bad-json", Why, "a body that is no JSON", badBody(`{"messages": [`)},
	{"wrong-type", Why, "a field of the wrong type", badBody(`{"messages": "hello", "max_tokens": 1}`)},
	{"cached-told", Why, "how much was in the prompt cache", cachedTold},
	{"context-told", Why, "how long the context is", contextTold},
}

func maxTokens(ctx context.Context, s *subject) finding {
	const most = 4
	r, x, err := s.chat(ctx, request{Messages: []message{say("user", s.fresh(prompts[0]))}, MaxTokens: most, Temperature: new(0.0)})
	if err != nil {
		return failed(x, err)
	}
	const longestToken = 32 // bytes; few are half as long
	n := r.completion()
	switch {
	case n > most || n < 0 && len(r.said()) > most*longestToken:
		return broken(of(x), "max_tokens is %d, and the answer has %d (%d bytes)", most, n, len(r.said()))
	case n < 0:
		return kept("the answer has %d bytes", len(r.said()))
	}
	return kept("the answer has %d tokens of %d, finish_reason %q", n, most, short(r.finish))
}

// temperature asks with 0 and several seeds, which must change nothing, and
// with 2, which must.
func temperature(ctx context.Context, s *subject) finding {
	q := request{Messages: []message{say("user", s.fresh("Tell me about the moon."))}, MaxTokens: 12}
	ask := func(t float64, seed int) (*reply, *exchange, error) {
		q.Temperature, q.Seed = &t, &seed
		return s.chat(ctx, q)
	}
	cold, x, err := ask(0, 1)
	if err != nil {
		return failed(x, err)
	}
	other, x, err := ask(0, 2)
	switch {
	case err != nil:
		return failed(x, err)
	case cold.said() == "":
		return cannotTell("%v", errTooShort)
	case cold.said() != other.said():
		if same, _, err := ask(0, 1); err != nil || same.said() != cold.said() {
			return cannotTell("the same request gives different answers by itself")
		}
		return broken(of(x), "with temperature 0 the seed makes a difference: %s, not %s", parting(other.said(), cold.said()), parting(cold.said(), other.said()))
	}
	const hot, tries = 2, 3
	for seed := range tries {
		r, x2, err := ask(hot, seed+1)
		if err != nil {
			return failed(x2, err)
		}
		if r.said() != cold.said() {
			return kept("0 is always the same answer, %d another one", hot)
		}
		x = x2
	}
	q.LogProbs, q.TopLogProbs = true, 2
	r, _, err := ask(0, 1)
	if err != nil || r.logProbs == nil {
		return cannotTell("the answer is the same with temperature 0 and %d", hot)
	}
	stays := 1.0 // the chance that a hot answer is the cold one, at most
	for _, t := range r.logProbs.Content {
		if len(t.Top) > 1 {
			a, b := math.Exp(t.Top[0].LogProb/hot), math.Exp(t.Top[1].LogProb/hot)
			stays *= a / (a + b)
		}
	}
	if math.Pow(stays, tries) < 0.001 {
		return broken(of(x), "temperature is ignored: with %d the answer is three times the one of 0", hot)
	}
	return cannotTell("the model is so sure that temperature %d changes nothing", hot)
}

// logitBias forbids the token with which a reply begins.
func logitBias(ctx context.Context, s *subject) finding {
	q := request{Messages: []message{say("user", s.fresh(prompts[0]))}, MaxTokens: 1, Temperature: new(0.0)}
	r, x, err := s.chat(ctx, q)
	if err != nil {
		return failed(x, err)
	}
	id, known := s.tokenID(ctx, r.said())
	if !known {
		return cannotTell("the server does not show the number of a token")
	}
	q.LogitBias = map[string]float64{strconv.Itoa(id): -100}
	with, x, err := s.chat(ctx, q)
	switch {
	case err != nil:
		return failed(x, err)
	case with.said() != r.said():
		return kept("a forbidden token does not come")
	case strings.Contains(x.header.Get("Parley-Report"), "logit_bias"):
		return notOffered("logit_bias is not carried out, and that is reported")
	}
	return broken(of(x), "logit_bias is ignored in silence: the token %d, %q, has a bias of -100 and comes", id, short(r.said()))
}

// tokenID is the number of a token, if the text is one.
func (s *subject) tokenID(ctx context.Context, text string) (id int, known bool) {
	if s.tokenizes == "" || text == "" {
		return 0, false
	}
	body := map[string]any{"model": s.model, "content": text, "add_special": false}
	switch s.software {
	case "Parley":
		body = map[string]any{"model": s.model, "text": text}
	case "vLLM":
		body = map[string]any{"model": s.model, "prompt": text, "add_special_tokens": false}
	}
	var told struct {
		Tokens []json.RawMessage `json:"tokens"`
	}
	if !s.ask(ctx, "POST", s.tokenizes, body, &told) || len(told.Tokens) != 1 {
		return 0, false
	}
	var object struct{ ID *int }
	if json.Unmarshal(told.Tokens[0], &object) == nil && object.ID != nil {
		return *object.ID, true
	}
	return id, json.Unmarshal(told.Tokens[0], &id) == nil
}

func unknownField(ctx context.Context, s *subject) finding {
	_, x, err := s.chat(ctx, request{Messages: []message{say("user", "Hi")}, MaxTokens: 1, Unknown: new(1)})
	if r, refused := errors.AsType[*refusal](err); refused && r.status < 500 {
		if strings.Contains(string(x.body), "no_such_field") {
			return kept("refused by name")
		}
		return broken(of(x), "refused, but without its name: %v", r)
	}
	if err != nil {
		return failed(x, err)
	}
	if strings.Contains(x.header.Get("Parley-Report"), "no_such_field") || strings.Contains(string(x.body), "no_such_field") {
		return kept("ignored, and that is reported")
	}
	return broken(of(x), "ignored in silence: whoever misspells a field does not learn of it")
}

func unknownModel(ctx context.Context, s *subject) finding {
	const name = "no-such-model"
	r, x, err := s.chat(ctx, request{Model: name, Messages: []message{say("user", "Hi")}, MaxTokens: 1})
	if e, refused := errors.AsType[*refusal](err); refused && e.status < 500 {
		if e.message == "" {
			return broken(of(x), "refused without a reason: HTTP %d", e.status)
		}
		return kept("refused: %v", e)
	}
	switch {
	case err != nil:
		return failed(x, err)
	case r.model == name || r.model == "":
		return broken(of(x), "another model answers in silence, under the name %q", short(r.model))
	}
	return kept("%q answers, and the answer says so", short(r.model))
}

// badBody sends what must be refused.
func badBody(body string) func(context.Context, *subject) finding {
	return func(ctx context.Context, s *subject) finding {
		x, err := s.do(ctx, "POST", chatPath, []byte(body))
		r, refused := errors.AsType[*refusal](err)
		switch {
		case err == nil:
			return broken(of(x), "answered as if it were right: HTTP %d", x.status)
		case !refused:
			return cannotTell("%v", err)
		case r.status >= 500 || r.message == "":
			return failed(x, err)
		}
		return kept("refused: %v", r)
	}
}

func cachedTold(ctx context.Context, s *subject) finding {
	m := []message{say("user", s.fresh("Hm"+fill(40)))}
	if _, x, err := s.touch(ctx, m); err != nil {
		return failed(x, err)
	}
	r, x, err := s.touch(ctx, m)
	switch {
	case err != nil:
		return failed(x, err)
	case r.cached < 0:
		return notOffered("usage.prompt_tokens_details.cached_tokens is not there")
	case r.cached > r.prompt():
		return broken(of(x), "%d tokens of %d are said to have been in the cache", r.cached, r.prompt())
	}
	return kept("%d of %d tokens were in the cache the second time", r.cached, r.prompt())
}

func contextTold(ctx context.Context, s *subject) finding {
	if s.contextNow(ctx) == 0 {
		return notOffered("neither the list of models nor another route tells it")
	}
	return kept("%d tokens", s.context)
}
