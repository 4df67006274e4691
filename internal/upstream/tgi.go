package upstream

import (
	"context"
	"encoding/json"
	"slices"

	"parley/llm"
)

// tgiStream is the own route of Text Generation Inference.
var tgiStream = &endpoint{path: "/generate_stream", framing: framedSSE, encode: encodeTGI, constrain: tgiGrammar, reader: readTGI}

func encodeTGI(c *call) (map[string]any, error) {
	parameters := map[string]any{"return_full_text": false, "details": true}
	if len(c.stops) > 0 {
		parameters["stop"] = c.stops
	}
	body := map[string]any{"inputs": c.text, "parameters": parameters}
	if n := c.params.LogProbs; n != nil && *n > 0 {
		parameters["top_n_tokens"] = min(*n, 5)
	}
	return body, vocabTGI.write(parameters, c.params, &c.report)
}

func readTGI() func(frame) (chunk, error) {
	return func(f frame) (c chunk, err error) {
		var w struct {
			Token *struct {
				ID      int      `json:"id"`
				Text    string   `json:"text"`
				LogProb *float64 `json:"logprob"`
				Special bool     `json:"special"`
			} `json:"token"`
			Top []struct {
				ID      int     `json:"id"`
				Text    string  `json:"text"`
				LogProb float64 `json:"logprob"`
			} `json:"top_tokens"`
			Details *struct {
				Finish    string `json:"finish_reason"`
				Generated int    `json:"generated_tokens"`
				Input     int    `json:"input_length"`
			} `json:"details"`
		}
		if err := json.Unmarshal(f.data, &w); err != nil {
			return c, err
		}
		if d := w.Details; d != nil {
			c.completion, c.prompt = d.Generated, d.Input
			if c.finish, err = reasonOf(d.Finish); err != nil {
				return c, err
			}
			c.done = c.finish != ""
		}
		if t := w.Token; t != nil {
			token := llm.Token{ID: t.ID, Text: t.Text}
			if t.LogProb != nil {
				token.LogProb = *t.LogProb
			}
			for _, top := range w.Top {
				token.Top = append(token.Top, llm.TokenProb{ID: top.ID, Text: top.Text, LogProb: top.LogProb})
			}
			// Special tokens are shown: a format's marks are among them. The one
			// that ended the output is no text.
			if t.Special && w.Details != nil && w.Details.Finish == "eos_token" {
				token.Control, c.stop = true, t.Text
			} else {
				c.text = t.Text
			}
			if token.Text != "" { // the last frame of a stream has one without
				c.tokens = []llm.Token{token}
			}
		}
		return c, nil
	}
}

type wireTGIInfo struct {
	ModelID string `json:"model_id"`
	Total   int    `json:"max_total_tokens"`
}

func listTGI(ctx context.Context, t *transport) ([]string, error) {
	var info wireTGIInfo
	err := t.get(ctx, "/info", &info)
	return slices.DeleteFunc([]string{info.ModelID}, func(s string) bool { return s == "" }), err
}

func describeTGI(ctx context.Context, t *transport, _ string) (d description, err error) {
	var info wireTGIInfo
	err = t.get(ctx, "/info", &info)
	d.info.Context = info.Total
	return d, err
}

func countTGI(ctx context.Context, t *transport, _, text string) (int, error) {
	var tokens []struct {
		ID int `json:"id"`
	}
	err := t.post(ctx, "/tokenize", map[string]any{"inputs": text}, &tokens)
	return len(tokens), err
}
