package upstream

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// ollamaGenerate is Ollama's route for raw prompts.
var ollamaGenerate = &endpoint{path: "/api/generate", framing: framedLines, encode: encodeOllama, constrain: ollamaConstraints.write, reader: readOllama}

func encodeOllama(c *call) (map[string]any, error) {
	// The model's own stop strings hold unless others are given.
	options := map[string]any{"stop": append([]string{}, c.stops...)}
	if c.resize > 0 {
		options["num_ctx"] = c.resize // another size loads the model anew
	}
	body := map[string]any{
		"model": c.model, "prompt": c.text, "raw": true, "stream": c.stream, "options": options,
		"truncate": false, "shift": false, // what is too long is to be refused
	}
	if n := c.params.LogProbs; n != nil {
		body["logprobs"], body["top_logprobs"] = true, *n
	}
	return body, vocabOllama.write(options, c.params, &c.report)
}

func readOllama() func(frame) (chunk, error) {
	return func(f frame) (c chunk, err error) {
		var w struct {
			Response   string `json:"response"`
			Thinking   string `json:"thinking"`
			Done       bool   `json:"done"`
			Reason     string `json:"done_reason"`
			Prompt     int    `json:"prompt_eval_count"`
			Completion int    `json:"eval_count"`

			LogProbs []wireLlamaToken `json:"logprobs"` // without ids
		}
		if err := json.Unmarshal(f.data, &w); err != nil {
			return c, err
		}
		c.text = w.Thinking + w.Response
		c.prompt, c.completion = w.Prompt, w.Completion
		for _, p := range w.LogProbs {
			t := p.token()
			t.ID = -1
			for i := range t.Top {
				t.Top[i].ID = -1
			}
			c.tokens = append(c.tokens, t)
		}
		if w.Done {
			if w.Reason == "" {
				w.Reason = "stop"
			}
			c.finish, err = reasonOf(w.Reason)
			c.done = true
		}
		return c, err
	}
}

func listOllama(ctx context.Context, t *transport) (names []string, err error) {
	var list struct {
		Models []struct {
			Name string `json:"name"`
		} `json:"models"`
	}
	if err := t.get(ctx, "/api/tags", &list); err != nil {
		return nil, err
	}
	for _, m := range list.Models {
		names = append(names, m.Name)
	}
	return names, nil
}

// describeOllama reads what is shown of a model, and the context that it runs
// with, if it is loaded. Its own template is one of Go's and not what a chat
// format is made of.
func describeOllama(ctx context.Context, t *transport, model string) (d description, err error) {
	var show struct {
		Details struct {
			Family       string `json:"family"`
			Quantisation string `json:"quantization_level"`
		} `json:"details"`
		Info         map[string]any `json:"model_info"`
		Capabilities []string       `json:"capabilities"`
		Template     string         `json:"template"`
		Modelfile    string         `json:"modelfile"`
	}
	if err := t.post(ctx, "/api/show", map[string]any{"model": model}, &show); err != nil {
		return d, err
	}
	d.info.Architecture, d.info.Quantisation = show.Details.Family, show.Details.Quantisation
	d.goTemplate = show.Template
	for line := range strings.Lines(show.Modelfile) {
		if path, ok := strings.CutPrefix(line, "FROM "); ok && d.file == "" {
			d.file = strings.TrimSpace(path)
		}
	}
	for key, value := range show.Info {
		n, isNumber := value.(float64)
		switch {
		case !isNumber:
		case strings.HasSuffix(key, ".context_length"):
			d.info.Trained = int(n)
		case key == "general.parameter_count":
			d.info.Parameters = int64(n)
		}
	}
	d.noTools = len(show.Capabilities) > 0 && !slices.Contains(show.Capabilities, "tools")
	for _, c := range show.Capabilities {
		d.vision = d.vision || c == "vision"
	}
	var running struct {
		Models []struct {
			Name    string `json:"name"`
			Context int    `json:"context_length"`
		} `json:"models"`
	}
	if err := t.get(ctx, "/api/ps", &running); err == nil {
		for _, m := range running.Models {
			if m.Name == model {
				d.info.Context = m.Context
			}
		}
	}
	return d, nil
}
