package upstream

import (
	"context"
	"encoding/json"
	"strings"

	"parley/llm"
)

// KoboldCpp's route that streams, and the older one, which KoboldAI has too.
var (
	koboldStream = &endpoint{path: "/api/extra/generate/stream", framing: framedSSE, encode: encodeKoboldCpp, constrain: withGrammar("grammar", nil).write, reader: readKobold}
	koboldWhole  = &endpoint{path: "/api/v1/generate", framing: framedWhole, encode: encodeKobold, reader: readKobold}
)

// encodeKobold writes only what KoboldAI knows: it refuses all else.
func encodeKobold(c *call) (map[string]any, error) {
	body := map[string]any{
		"prompt":    c.text,
		"use_story": false, "use_memory": false, "use_authors_note": false, "use_world_info": false,
		"frmtrmblln": false, "frmtrmspch": false, "frmttriminc": false, "frmtadsnsp": false,
		"singleline": false, "disable_input_formatting": true, "disable_output_formatting": true,
	}
	if len(c.stops) > 0 {
		body["stop_sequence"] = c.stops // it stays in the text, so that it is known which one it was
	}
	if c.room > 0 {
		body["max_context_length"] = c.room
	}
	ignoreLogProbs(c)
	if t := c.params.Temperature; t != nil && *t == 0 { // which is refused
		c.params.Temperature, c.params.TopK = new(1.0), new(1)
	}
	return body, vocabKoboldUnited.write(body, c.params, &c.report)
}

func ignoreLogProbs(c *call) {
	if c.params.LogProbs != nil {
		c.report.Add("ignored", "logprobs", "the engine does not tell them with its output")
	}
}

func encodeKoboldCpp(c *call) (map[string]any, error) {
	body := map[string]any{"prompt": c.text, "genkey": c.id, "quiet": true, "render_special": true}
	if c.room > 0 {
		body["max_context_length"] = c.room
	}
	ignoreLogProbs(c)
	return body, vocabKobold.write(body, c.params, &c.report)
}

func readKobold() func(frame) (chunk, error) {
	return func(f frame) (c chunk, err error) {
		var w struct {
			Token   string `json:"token"`
			Finish  string `json:"finish_reason"`
			Results []struct {
				Text       string `json:"text"`
				Finish     string `json:"finish_reason"`
				Prompt     int    `json:"prompt_tokens"`
				Completion int    `json:"completion_tokens"`
			} `json:"results"`
		}
		if err := json.Unmarshal(f.data, &w); err != nil {
			return c, err
		}
		c.text = w.Token
		if len(w.Results) > 0 {
			r := w.Results[0]
			c.text, c.prompt, c.completion = r.Text, r.Prompt, r.Completion
			if w.Finish = r.Finish; w.Finish == "" || w.Finish == "null" {
				w.Finish = "stop" // it has all come
			}
		}
		c.finish, err = reasonOf(w.Finish)
		c.done = c.finish != ""
		return c, err
	}
}

func listKobold(ctx context.Context, t *transport) ([]string, error) {
	var model struct {
		Result string `json:"result"`
	}
	if err := t.get(ctx, "/api/v1/model", &model); err != nil {
		return nil, err
	}
	if model.Result == "ReadOnly" || model.Result == "" {
		e := llm.Errorf(llm.Unavailable, "model", "the engine at %s has no model loaded", t)
		e.Hint = "load one there"
		return nil, e
	}
	return []string{model.Result}, nil
}

// number reads a document of one number.
func number(ctx context.Context, t *transport, path string) (int, error) {
	var n struct {
		Value int `json:"value"`
	}
	err := t.get(ctx, path, &n)
	return n.Value, err
}

func describeKobold(ctx context.Context, t *transport, _ string) (d description, err error) {
	if d.info.Context, err = number(ctx, t, "/api/extra/true_max_context_length"); err != nil {
		return d, err
	}
	var props struct {
		Template string `json:"chat_template"`
	}
	if err := t.get(ctx, "/props", &props); err == nil { // newer ones have it
		d.info.ChatTemplate = strings.TrimRight(props.Template, "\x00")
	}
	if n, err := countKobold(ctx, t, "", ""); err == nil {
		d.bos = new(n > 0)
		d.info.AddsBOS = n > 0
	}
	return d, nil
}

func describeKoboldAI(ctx context.Context, t *transport, _ string) (d description, err error) {
	d.info.Context, err = number(ctx, t, "/api/v1/config/max_context_length")
	return d, err
}

func countKobold(ctx context.Context, t *transport, _, text string) (int, error) {
	var n struct {
		Value int `json:"value"`
	}
	err := t.post(ctx, "/api/extra/tokencount", map[string]any{"prompt": text, "special": true}, &n)
	return max(n.Value, 0), err
}

func abortKobold(id string) (string, any) {
	return "/api/extra/abort", map[string]any{"genkey": id}
}
