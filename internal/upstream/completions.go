package upstream

import (
	"cmp"
	"encoding/json"
	"slices"

	"parley/llm"
)

// completions is OpenAI's route for raw prompts. more, if it is not nil, adds
// what a kind has besides.
func completions(path string, v vocabulary, more func(*call, map[string]any)) *endpoint {
	return &endpoint{
		path: path, framing: framedSSE,
		encode: func(c *call) (map[string]any, error) {
			body := map[string]any{"model": c.model, "prompt": c.prompt(), "stream": c.stream}
			if len(c.stops) > 0 {
				body["stop"] = c.stops
			}
			if err := v.write(body, c.params, &c.report); err != nil {
				return nil, err
			}
			if c.params.LogProbs != nil {
				body["logprobs"] = *c.params.LogProbs
			}
			if more != nil {
				more(c, body)
			}
			return body, nil
		},
		constrain: rawConstraints[v].write,
		reader:    readCompletions,
	}
}

// ending is an endpoint whose answers may end without saying why.
func ending(e *endpoint) *endpoint {
	e.lax = true
	return e
}

// withUsage asks for the counts of tokens.
func withUsage(_ *call, body map[string]any) {
	body["stream_options"] = map[string]any{"include_usage": true}
}

// withSpecials has control tokens shown: the marks of the format are among
// them.
func withSpecials(c *call, body map[string]any) {
	withUsage(c, body)
	body["skip_special_tokens"] = false
}

// wireUsage is OpenAI's count of tokens.
type wireUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Details    *struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

func (u *wireUsage) count(c *chunk) {
	if u == nil {
		return
	}
	c.prompt, c.completion = u.Prompt, u.Completion
	if u.Details != nil {
		c.cached, c.cacheTold = u.Details.Cached, true
	}
}

type wireCompletion struct {
	Choices []struct {
		Index    int           `json:"index"`
		Text     string        `json:"text"`
		TokenIDs []int         `json:"token_ids"`
		LogProbs *wireLogProbs `json:"logprobs"`
		Finish   string        `json:"finish_reason"`
		// vLLM and SGLang: the string, or the id of the token, that ended it.
		Stop json.RawMessage `json:"stop_reason"`
	} `json:"choices"`
	Usage *wireUsage `json:"usage"`
}

func readCompletions() func(frame) (chunk, error) { return alike(completionFrames) }

func completionFrames(f frame) (c chunk, err error) {
	var w wireCompletion
	if err := json.Unmarshal(f.data, &w); err != nil {
		return c, err
	}
	w.Usage.count(&c)
	for i := range w.Choices {
		choice := &w.Choices[i]
		if choice.Index != 0 {
			continue
		}
		c.text = choice.Text
		c.tokens = choice.LogProbs.tokens(choice.TokenIDs)
		if c.finish, err = reasonOf(choice.Finish); err != nil {
			return c, err
		}
		if json.Unmarshal(choice.Stop, &c.stop) == nil && c.stop != "" {
			c.finish = llm.ReasonStop
		}
	}
	return c, nil
}

// reasonOf reads the words that engines have for the end of an output.
func reasonOf(word string) (llm.Reason, error) {
	switch word {
	case "", "null":
		return "", nil
	case "length", "max_tokens", "model_length", "limit", "load":
		return llm.ReasonLength, nil
	case "abort", "error", "preempt":
		return "", &endedError{word}
	}
	return llm.ReasonEnd, nil
}

// wireLogProbs is OpenAI's form of 2020: lists of equal length.
type wireLogProbs struct {
	Tokens   []string             `json:"tokens"`
	LogProbs []*float64           `json:"token_logprobs"`
	Top      []map[string]float64 `json:"top_logprobs"`
}

// tokens puts together what is told of the tokens. Those whose id is not told
// have -1.
func (w *wireLogProbs) tokens(ids []int) (tokens []llm.Token) {
	if w == nil {
		for _, id := range ids {
			tokens = append(tokens, llm.Token{ID: id})
		}
		return tokens
	}
	for i, text := range w.Tokens {
		t := llm.Token{ID: -1, Text: text}
		if len(ids) == len(w.Tokens) {
			t.ID = ids[i]
		}
		if i < len(w.LogProbs) && w.LogProbs[i] != nil {
			t.LogProb = *w.LogProbs[i]
		}
		if i < len(w.Top) {
			for text, p := range w.Top[i] {
				t.Top = append(t.Top, llm.TokenProb{ID: -1, Text: text, LogProb: p})
			}
			slices.SortFunc(t.Top, func(a, b llm.TokenProb) int {
				return cmp.Or(cmp.Compare(b.LogProb, a.LogProb), cmp.Compare(a.Text, b.Text))
			})
		}
		tokens = append(tokens, t)
	}
	return tokens
}
