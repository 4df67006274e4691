package upstream

import (
	"context"
	"fmt"

	"parley/llm"
)

// What the servers that speak OpenAI's protocol have besides, each its own.

// withTextgen has no second beginning-of-text token put before a prompt.
func withTextgen(c *call, body map[string]any) {
	withSpecials(c, body)
	if c.begun {
		body["add_bos_token"] = false
	}
}

// withVLLM has control tokens shown and token ids told, and no second
// beginning-of-text token put before a prompt.
func withVLLM(c *call, body map[string]any) {
	withSpecials(c, body)
	if c.tokens == nil && c.begun {
		body["add_special_tokens"] = false
	}
	body["return_token_ids"] = true
}

// describeOpenAI reads from the list of models what some add to it.
func describeOpenAI(ctx context.Context, t *transport, model string) (d description, err error) {
	var list struct {
		Data []struct {
			ID      string `json:"id"`
			Context int    `json:"max_model_len"` // vLLM, SGLang
			Window  int    `json:"context_length"`
		} `json:"data"`
	}
	if err := t.get(ctx, "/v1/models", &list); err != nil {
		return d, err
	}
	for _, m := range list.Data {
		if m.ID == model {
			d.info.Context = max(m.Context, m.Window)
		}
	}
	return d, nil
}

func countVLLM(ctx context.Context, t *transport, model, text string) (int, error) {
	var n struct {
		Count int `json:"count"`
	}
	err := t.post(ctx, "/tokenize", map[string]any{"model": model, "prompt": text}, &n)
	return n.Count, err
}

// withoutEnd asks llama-cpp-python for as many tokens as fit, where nobody says
// how many: it takes 0 for that, and else gives sixteen.
func withoutEnd(_ *call, body map[string]any) {
	if body["max_tokens"] == nil {
		body["max_tokens"] = 0
	}
}

func countLlamaPython(ctx context.Context, t *transport, model, text string) (int, error) {
	var n struct {
		Count int `json:"count"`
	}
	err := t.post(ctx, "/extras/tokenize/count", map[string]any{"model": model, "input": text}, &n)
	return n.Count, err
}

func listTextgen(ctx context.Context, t *transport) ([]string, error) {
	var info struct {
		Name string `json:"model_name"`
	}
	if err := t.get(ctx, "/v1/internal/model/info", &info); err != nil {
		return nil, err
	}
	if info.Name == "" || info.Name == "None" {
		e := llm.Errorf(llm.Unavailable, "model", "the engine at %s has no model loaded", t)
		e.Hint = "load one there"
		return nil, e
	}
	return []string{info.Name}, nil
}

func countTextgen(ctx context.Context, t *transport, _, text string) (int, error) {
	var n struct {
		Length int `json:"length"`
	}
	err := t.post(ctx, "/v1/internal/token-count", map[string]any{"text": text}, &n)
	return n.Length, err
}

// wireLMStudio is LM Studio's own list of models.
type wireLMStudio struct {
	Data []struct {
		ID           string `json:"id"`
		Type         string `json:"type"`
		Architecture string `json:"arch"`
		Quantisation string `json:"quantization"`
		Most         int    `json:"max_context_length"`
		Loaded       int    `json:"loaded_context_length"`
	} `json:"data"`
}

func listLMStudio(ctx context.Context, t *transport) (names []string, err error) {
	var list wireLMStudio
	err = t.get(ctx, "/api/v0/models", &list)
	for _, m := range list.Data {
		if m.Type != "embeddings" {
			names = append(names, m.ID)
		}
	}
	return names, err
}

func describeLMStudio(ctx context.Context, t *transport, model string) (d description, err error) {
	var list wireLMStudio
	if err := t.get(ctx, "/api/v0/models", &list); err != nil {
		return d, err
	}
	for _, m := range list.Data {
		if m.ID == model {
			d.info = llm.Info{Architecture: m.Architecture, Quantisation: m.Quantisation, Trained: m.Most, Context: m.Loaded}
			d.vision = m.Type == "vlm"
		}
	}
	return d, nil
}

// describeParley asks another Parley.
func describeParley(ctx context.Context, t *transport, model string) (d description, err error) {
	var list struct {
		Models []struct {
			ID           string `json:"id"`
			Name         string `json:"name"`
			Description  string `json:"description"`
			Architecture string `json:"architecture"`
			Quantisation string `json:"quantisation"`
			Parameters   int64  `json:"parameters"`
			Bytes        int64  `json:"bytes"`
			Context      int    `json:"context"`
			Trained      int    `json:"trained"`
			Vocabulary   int    `json:"vocabulary"`
			ChatTemplate string `json:"chat_template"`
		} `json:"models"`
	}
	if err := t.get(ctx, "/parley/v1/models", &list); err != nil {
		return d, err
	}
	for _, m := range list.Models {
		if m.ID == model {
			d.info = llm.Info{
				Name: m.Name, Description: m.Description, Architecture: m.Architecture, Quantisation: m.Quantisation,
				Parameters: m.Parameters, Bytes: m.Bytes, Context: m.Context, Trained: m.Trained,
				Vocabulary: m.Vocabulary, ChatTemplate: m.ChatTemplate,
			}
			return d, nil
		}
	}
	return d, fmt.Errorf("%s does not list the model %q", t, model)
}

func countParley(ctx context.Context, t *transport, model, text string) (int, error) {
	var n struct {
		Count int `json:"count"`
	}
	err := t.post(ctx, "/parley/v1/tokenize", map[string]any{"model": model, "text": text, "special": true, "bos": true}, &n)
	return n.Count, err
}
