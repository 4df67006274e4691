package upstream

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"parley/llm"
)

// llamaCompletion is llama.cpp's own route for raw prompts.
var llamaCompletion = &endpoint{path: "/completion", framing: framedSSE, encode: encodeLlama, constrain: llamaConstraints.write, reader: readLlama}

func encodeLlama(c *call) (map[string]any, error) {
	body := map[string]any{
		"prompt": c.prompt(), "stream": c.stream, "cache_prompt": true,
		"return_tokens": true, "return_progress": true,
	}
	if c.model != "" {
		body["model"] = c.model // for a server that has several
	}
	if marks := slices.Concat(c.marks.Turn, c.marks.Reply, c.marks.Output); len(marks) > 0 {
		body["preserved_tokens"] = marks // else they are not in the text
	}
	if len(c.stops) > 0 {
		body["stop"] = c.stops
	}
	if n := c.params.LogProbs; n != nil {
		body["n_probs"] = max(*n, 1)
	}
	return body, vocabLlamaCPP.write(body, c.params, &c.report)
}

type wireLlama struct {
	Content   string `json:"content"`
	Tokens    []int  `json:"tokens"`
	Stop      bool   `json:"stop"`
	StopType  string `json:"stop_type"`
	StopWord  string `json:"stopping_word"`
	Evaluated int    `json:"tokens_evaluated"`
	Predicted int    `json:"tokens_predicted"`
	Limited   bool   `json:"stopped_limit"` // before stop_type was there
	Timings   *struct {
		Cached int `json:"cache_n"`
	} `json:"timings"`
	Progress *struct {
		Total     int `json:"total"`
		Cached    int `json:"cache"`
		Processed int `json:"processed"`
	} `json:"prompt_progress"`
	Probabilities []wireLlamaToken `json:"completion_probabilities"`
}

type wireLlamaToken struct {
	ID      int              `json:"id"`
	Token   string           `json:"token"`
	Bytes   []int            `json:"bytes"`
	LogProb *float64         `json:"logprob"`
	Top     []wireLlamaToken `json:"top_logprobs"`
}

func readLlama() func(frame) (chunk, error) {
	return func(f frame) (c chunk, err error) {
		var w wireLlama
		if err := json.Unmarshal(f.data, &w); err != nil {
			return c, err
		}
		c.text = w.Content
		c.prompt, c.completion = w.Evaluated, w.Predicted
		if w.Timings != nil {
			c.cached, c.cacheTold = w.Timings.Cached, true
		}
		if p := w.Progress; p != nil {
			c.progress = &llm.Waiting{Done: p.Processed, Total: p.Total}
			c.cached, c.cacheTold = p.Cached, true
			w.Tokens = nil // the id here is of no token
		}
		for _, id := range w.Tokens { // those that are no text are control tokens
			c.tokens = append(c.tokens, llm.Token{ID: id, Control: w.Content == "" && !w.Stop})
		}
		if n := len(w.Probabilities); n > 0 && (n == len(w.Tokens) || len(w.Tokens) == 0) {
			c.tokens = c.tokens[:0]
			for _, p := range w.Probabilities {
				c.tokens = append(c.tokens, p.token())
			}
		}
		if w.Stop {
			c.done, c.finish, c.stop = true, llm.ReasonEnd, w.StopWord
			switch {
			case w.StopType == "limit" || w.Limited:
				c.finish = llm.ReasonLength
			case w.StopType == "word":
				c.finish = llm.ReasonStop
			}
		}
		return c, nil
	}
}

func (w wireLlamaToken) token() llm.Token {
	t := llm.Token{ID: w.ID, Text: w.text(), LogProb: w.probability()}
	for _, top := range w.Top {
		t.Top = append(t.Top, llm.TokenProb{ID: top.ID, Text: top.text(), LogProb: top.probability()})
	}
	return t
}

func (w wireLlamaToken) text() string {
	if len(w.Bytes) == 0 {
		return w.Token
	}
	b := make([]byte, len(w.Bytes))
	for i, n := range w.Bytes {
		b[i] = byte(n)
	}
	return string(b)
}

// probability is a number also where the engine's is none: JSON has no -Inf.
func (w wireLlamaToken) probability() float64 {
	if w.LogProb == nil {
		return -9999 // as OpenAI writes it
	}
	return *w.LogProb
}

// describeLlama reads /props, and what /tokenize makes of nothing.
func describeLlama(ctx context.Context, t *transport, model string) (d description, err error) {
	var props struct {
		Settings struct {
			Context int `json:"n_ctx"`
		} `json:"default_generation_settings"`
		Template   string `json:"chat_template"`
		Path       string `json:"model_path"`
		BOS        string `json:"bos_token"`
		EOS        string `json:"eos_token"`
		Modalities struct {
			Vision bool `json:"vision"`
			Audio  bool `json:"audio"`
		} `json:"modalities"`
	}
	path := "/props"
	if model != "" {
		path += "?model=" + url.QueryEscape(model)
	}
	if err := t.get(ctx, path, &props); err != nil {
		return d, err
	}
	d.info = llm.Info{ChatTemplate: strings.TrimRight(props.Template, "\x00"), Context: props.Settings.Context, BOS: props.BOS, EOS: props.EOS}
	d.vision, d.audio, d.file = props.Modalities.Vision, props.Modalities.Audio, props.Path
	var list struct {
		Data []struct {
			ID   string `json:"id"`
			Meta struct {
				Trained    int   `json:"n_ctx_train"`
				Vocabulary int   `json:"n_vocab"`
				Parameters int64 `json:"n_params"`
				Bytes      int64 `json:"size"`
			} `json:"meta"`
		} `json:"data"`
	}
	if err := t.get(ctx, "/v1/models", &list); err == nil {
		for _, m := range list.Data {
			if m.ID == model || len(list.Data) == 1 {
				d.info.Trained, d.info.Vocabulary = m.Meta.Trained, m.Meta.Vocabulary
				d.info.Parameters, d.info.Bytes = m.Meta.Parameters, m.Meta.Bytes
			}
		}
	}
	if n, err := countLlama(ctx, t, model, ""); err == nil {
		d.bos = new(n > 0)
		d.info.AddsBOS = n > 0
	}
	return d, nil
}

// newRouteWords makes tokens by /tokenize.
func newRouteWords(ctx context.Context, t *transport, model string) (words, error) {
	w := &routeWords{transport: t, model: model, control: map[int]bool{}}
	bos, err := idsLlama(ctx, t, model, "")
	w.bos = bos
	return w, err
}

// countLlama counts the tokens of a prompt.
func countLlama(ctx context.Context, t *transport, model, text string) (int, error) {
	ids, err := idsLlama(ctx, t, model, text)
	return len(ids), err
}

func idsLlama(ctx context.Context, t *transport, model, text string) ([]int, error) {
	var list struct {
		Tokens []int `json:"tokens"`
	}
	body := map[string]any{"content": text, "add_special": true, "parse_special": true}
	if model != "" {
		body["model"] = model
	}
	err := t.post(ctx, "/tokenize", body, &list)
	return list.Tokens, err
}
