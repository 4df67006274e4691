package upstream

import (
	"encoding/base64"
	"encoding/json"

	"parley/chat"
	"parley/llm"
)

// anthropicMessages is Anthropic's endpoint, and that of those who speak like
// it.
var anthropicMessages = &endpoint{path: "/v1/messages", encode: encodeAnthropic, reader: newAnthropicReader}

// anthropicTokens are asked for where nobody says how many: the dialect
// demands a number, and every model takes this one.
const anthropicTokens = 4096

func encodeAnthropic(c *call) (map[string]any, error) {
	system, messages, err := anthropicTurns(c)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"model": c.model, "messages": messages, "stream": c.stream}
	if len(system) > 0 {
		body["system"] = system
	}
	if err := c.prefilled(); err != nil {
		return nil, err
	}
	if err := vocabAnthropic.write(body, c.params, &c.report); err != nil {
		return nil, err
	}
	if len(c.stops) > 0 {
		body["stop_sequences"] = c.stops
	}
	if err := anthropicTools(c.conversation, body, &c.report); err != nil {
		return nil, err
	}
	if len(c.conversation.Documents) > 0 {
		return nil, documentsRefused()
	}
	argumentsIgnored(c.conversation.Layout.Arguments, &c.report)
	return body, formatRefused(c.conversation.Layout)
}

type block = map[string]any

// anthropicTurns divides a conversation into its leading system messages and
// turns that alternate. Results of tools are the user's.
func anthropicTurns(c *call) (system []block, messages []map[string]any, err error) {
	for _, m := range c.conversation.Messages {
		if m.Role == chat.System || m.Role == chat.Developer {
			if len(messages) > 0 {
				return nil, nil, llm.Errorf(llm.Unreadable, "messages", "this engine takes system messages at the beginning only")
			}
			system = append(system, anthropicBlocks(m)...)
			continue
		}
		role, blocks := "user", anthropicBlocks(m)
		switch m.Role {
		case chat.Assistant:
			role = "assistant"
			if m.Reasoning != "" {
				thoughtsOmitted(&c.report) // it takes only those that it has signed
			}
			for _, call := range m.ToolCalls {
				input, err := objectOf(call)
				if err != nil {
					return nil, nil, err
				}
				blocks = append(blocks, block{"type": "tool_use", "id": call.ID, "name": call.Name, "input": input})
			}
		case chat.Tool:
			result := block{"type": "tool_result", "tool_use_id": m.ToolCallID}
			if len(blocks) > 0 {
				result["content"] = blocks
			}
			blocks = []block{result}
		}
		if last := len(messages) - 1; last >= 0 && messages[last]["role"] == role {
			messages[last]["content"] = append(messages[last]["content"].([]block), blocks...)
		} else {
			messages = append(messages, map[string]any{"role": role, "content": blocks})
		}
	}
	return system, messages, nil
}

// anthropicBlocks are the parts of a message. Empty ones are refused there.
func anthropicBlocks(m chat.Message) []block {
	blocks := []block{}
	for _, p := range m.Parts {
		switch {
		case p.Media != nil:
			blocks = append(blocks, block{"type": "image", "source": map[string]any{
				"type": "base64", "media_type": p.Media.MIME, "data": base64.StdEncoding.EncodeToString(p.Media.Data),
			}})
		case p.Text != "":
			blocks = append(blocks, block{"type": "text", "text": p.Text})
		}
	}
	return blocks
}

func anthropicTools(c chat.Conversation, body map[string]any, report *llm.Report) error {
	if len(c.Tools) == 0 {
		return nil
	}
	list := make([]map[string]any, len(c.Tools))
	for i, tool := range c.Tools {
		list[i] = map[string]any{"name": tool.Name, "input_schema": json.RawMessage(`{"type":"object"}`)}
		if tool.Description != "" {
			list[i]["description"] = tool.Description
		}
		if tool.Parameters != nil {
			list[i]["input_schema"] = tool.Parameters
		}
	}
	body["tools"] = list
	switch c.Choice.Mode {
	case chat.ToolNone:
		body["tool_choice"] = map[string]any{"type": "none"}
	case chat.ToolRequired:
		body["tool_choice"] = map[string]any{"type": "any"}
	case chat.ToolNamed:
		body["tool_choice"] = map[string]any{"type": "tool", "name": c.Choice.Name}
	}
	return nil
}

// anthropicEvent is an event of a stream, or a whole answer.
type anthropicEvent struct {
	Type    string           `json:"type"`
	Index   int              `json:"index"`
	Message *anthropicEvent  `json:"message"`
	Content []anthropicBlock `json:"content"`
	Block   anthropicBlock   `json:"content_block"`
	Delta   struct {
		Type     string          `json:"type"`
		Text     json.RawMessage `json:"text"`
		Thinking json.RawMessage `json:"thinking"`
		Partial  json.RawMessage `json:"partial_json"`
		Reason   json.RawMessage `json:"stop_reason"`
		Stop     json.RawMessage `json:"stop_sequence"`
	} `json:"delta"`
	Reason json.RawMessage `json:"stop_reason"`
	Stop   json.RawMessage `json:"stop_sequence"`
	Usage  *struct {
		Input   int `json:"input_tokens"`
		Created int `json:"cache_creation_input_tokens"`
		Read    int `json:"cache_read_input_tokens"`
		Output  int `json:"output_tokens"`
	} `json:"usage"`
}

type anthropicBlock struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"`
	Thinking json.RawMessage `json:"thinking"`
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Input    json.RawMessage `json:"input"`
}

func newAnthropicReader() func(frame) (chunk, error) {
	var calls toolCalls
	return func(f frame) (chunk, error) {
		var e anthropicEvent
		if err := json.Unmarshal(f.data, &e); err != nil {
			return chunk{}, err
		}
		return e.chunk(&calls)
	}
}

func (e anthropicEvent) chunk(calls *toolCalls) (chunk, error) {
	var c chunk
	switch e.Type {
	case "message_start":
		if e.Message != nil {
			e.Message.count(&c)
		}
	case "content_block_start":
		e.Block.Input = nil // empty here: it comes in deltas
		return c, e.Block.add(&c, e.Index, calls)
	case "content_block_delta":
		c.text, c.reasoning = plainText(e.Delta.Text), plainText(e.Delta.Thinking)
		if partial := plainText(e.Delta.Partial); partial != "" {
			delta, err := calls.delta(e.Index, "", "", partial)
			if err != nil {
				return chunk{}, err
			}
			c.calls = append(c.calls, delta)
		}
	case "message_delta":
		e.count(&c)
		ended(&c, e.Delta.Reason, e.Delta.Stop)
	case "message_stop":
		c.done = true
	case "message":
		for i, b := range e.Content {
			if err := b.add(&c, i, calls); err != nil {
				return chunk{}, err
			}
		}
		e.count(&c)
		ended(&c, e.Reason, e.Stop)
	}
	return c, nil
}

// count reads the counts of tokens: those of the prompt that are cached are
// counted apart there.
func (e *anthropicEvent) count(c *chunk) {
	if u := e.Usage; u != nil {
		c.cached, c.cacheTold = max(u.Read, 0), true
		c.prompt = max(u.Input, 0) + max(u.Created, 0) + c.cached
		c.completion = max(u.Output, 0)
	}
}

func (b anthropicBlock) add(c *chunk, index int, calls *toolCalls) error {
	switch b.Type {
	case "text":
		c.text += plainText(b.Text)
	case "thinking":
		c.reasoning += plainText(b.Thinking)
	case "tool_use":
		delta, err := calls.delta(index, b.ID, b.Name, argumentsText(b.Input))
		if err != nil {
			return err
		}
		c.calls = append(c.calls, delta)
	}
	return nil
}

func ended(c *chunk, reason, stop json.RawMessage) {
	switch plainText(reason) {
	case "":
	case "max_tokens", "model_context_window_exceeded":
		c.finish = llm.ReasonLength
	case "stop_sequence":
		c.finish, c.stop = llm.ReasonStop, plainText(stop)
	default:
		c.finish = llm.ReasonEnd
	}
}
