package upstream

import (
	"context"

	"parley/chat"
	"parley/llm"
)

// A showing asks an engine for the prompt of a call, whose body is given. It
// generates nothing.
type showing func(ctx context.Context, t *transport, body map[string]any) (chat.Rendered, error)

// asLaidOut is a prompt of which only the text is known: who wrote what in it
// is not told.
func asLaidOut(text string) chat.Rendered {
	return chat.Rendered{Format: "of the engine", Prompt: llm.Prompt{Segments: []llm.Segment{{Text: text, Control: true, Trust: llm.TrustFormat}}}}
}

// showLlama has llama.cpp's server apply its template.
func showLlama(ctx context.Context, t *transport, body map[string]any) (chat.Rendered, error) {
	return showPrompt(ctx, t, "/apply-template", body)
}

func showTextgen(ctx context.Context, t *transport, body map[string]any) (chat.Rendered, error) {
	return showPrompt(ctx, t, "/v1/internal/chat-prompt", body)
}

func showPrompt(ctx context.Context, t *transport, path string, body map[string]any) (chat.Rendered, error) {
	var shown struct {
		Prompt string `json:"prompt"`
	}
	if err := t.post(ctx, path, body, &shown); err != nil {
		return chat.Rendered{}, err
	}
	return asLaidOut(shown.Prompt), nil
}

// showVLLM has vLLM tokenise a conversation and turn the tokens into text
// again.
func showVLLM(ctx context.Context, t *transport, body map[string]any) (chat.Rendered, error) {
	ask := map[string]any{}
	for _, name := range []string{"model", "messages", "tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message"} {
		if v, ok := body[name]; ok {
			ask[name] = v
		}
	}
	var read struct {
		Tokens []int `json:"tokens"`
	}
	if err := t.post(ctx, "/tokenize", ask, &read); err != nil {
		return chat.Rendered{}, err
	}
	var text struct {
		Prompt string `json:"prompt"`
	}
	if err := t.post(ctx, "/detokenize", map[string]any{"model": body["model"], "tokens": read.Tokens}, &text); err != nil {
		return chat.Rendered{}, err
	}
	r := asLaidOut(text.Prompt)
	for _, id := range read.Tokens {
		r.Tokens = append(r.Tokens, llm.Token{ID: id})
	}
	return r, nil
}

// showParley asks another Parley, which knows who wrote every character.
func showParley(ctx context.Context, t *transport, body map[string]any) (chat.Rendered, error) {
	var shown struct {
		Format   string `json:"format"`
		Segments []struct {
			Text    string `json:"text"`
			Tokens  []int  `json:"tokens"`
			Control bool   `json:"control"`
			Trust   string `json:"trust"`
			Source  struct {
				Kind  string `json:"kind"`
				Index int    `json:"index"`
				Part  int    `json:"part"`
				Field string `json:"field"`
			} `json:"source"`
		} `json:"segments"`
		Tokens []struct {
			ID      int    `json:"id"`
			Text    string `json:"text"`
			Control bool   `json:"control"`
			Segment *int   `json:"segment"`
		} `json:"tokens"`
		Stops  []string   `json:"stops"`
		Report llm.Report `json:"report"`
	}
	if err := t.post(ctx, "/parley/v1/render", body, &shown); err != nil {
		return chat.Rendered{}, err
	}
	r := chat.Rendered{Format: shown.Format, Stop: shown.Stops, Report: shown.Report}
	for _, s := range shown.Segments {
		seg := llm.Segment{Text: s.Text, Tokens: s.Tokens, Control: s.Control,
			Source: llm.Source{Index: s.Source.Index, Part: s.Source.Part, Field: s.Source.Field}}
		for _, trust := range []llm.Trust{llm.TrustClient, llm.TrustModel, llm.TrustFormat} {
			if trust.String() == s.Trust {
				seg.Trust = trust
			}
		}
		for kind := llm.FromFormat; kind <= llm.FromPrompt; kind++ {
			if kind.String() == s.Source.Kind {
				seg.Source.Kind = kind
			}
		}
		r.Prompt.Segments = append(r.Prompt.Segments, seg)
	}
	for _, token := range shown.Tokens {
		segment := -1
		if token.Segment != nil {
			segment = *token.Segment
		}
		r.Tokens = append(r.Tokens, llm.Token{ID: token.ID, Text: token.Text, Control: token.Control, Segment: segment})
	}
	return r, nil
}
