package upstream

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// ollamaChat is Ollama's own chat endpoint.
var ollamaChat = &endpoint{path: "/api/chat", framing: framedLines, encode: encodeOllamaChat, constrain: ollamaConstraints.write, reader: newOllamaChatReader}

func encodeOllamaChat(c *call) (map[string]any, error) {
	messages, err := ollamaMessages(c)
	if err != nil {
		return nil, err
	}
	if err := c.prefilled(); err != nil {
		return nil, err
	}
	options := map[string]any{}
	if err := vocabOllama.write(options, c.params, &c.report); err != nil {
		return nil, err
	}
	if len(c.stops) > 0 {
		options["stop"] = c.stops
	}
	if c.room > 0 {
		options["num_ctx"] = c.room
	}
	body := map[string]any{
		"model": c.model, "messages": messages, "stream": c.stream, "options": options,
		"truncate": false, "shift": false, // too long is an error: it would leave messages out
	}
	if n := c.params.LogProbs; n != nil {
		body["logprobs"] = true
		body["top_logprobs"] = *n
	}
	if err := ollamaTools(c.conversation, body, &c.report); err != nil {
		return nil, err
	}
	if len(c.conversation.Documents) > 0 {
		return nil, documentsRefused()
	}
	ollamaThinking(c.conversation.Layout.Arguments, body, &c.report)
	return body, formatRefused(c.conversation.Layout)
}

func ollamaMessages(c *call) ([]map[string]any, error) {
	called := map[string]string{} // name by id
	list := []map[string]any{}
	for _, m := range c.conversation.Messages {
		w := map[string]any{"role": string(m.Role), "content": m.Text()}
		var images []string
		for i, p := range m.Parts {
			if p.Media == nil {
				continue
			}
			images = append(images, base64.StdEncoding.EncodeToString(p.Media.Data))
			if i >= len(images) {
				c.report.Add(chatformat.CodeRepaired, repairMediaFirst, "the engine is given a message's pictures apart from its text")
			}
		}
		if images != nil {
			w["images"] = images
		}
		if m.Reasoning != "" {
			w["thinking"] = m.Reasoning
		}
		var calls []map[string]any
		for _, call := range m.ToolCalls {
			called[call.ID] = call.Name
			arguments, err := objectOf(call)
			if err != nil {
				return nil, err
			}
			calls = append(calls, map[string]any{"id": call.ID, "function": map[string]any{"name": call.Name, "arguments": arguments}})
		}
		if calls != nil {
			w["tool_calls"] = calls
		}
		if m.Role == chat.Tool {
			w["tool_name"] = called[m.ToolCallID]
			if m.Name != "" {
				w["tool_name"] = m.Name
			}
			w["tool_call_id"] = m.ToolCallID
		}
		list = append(list, w)
	}
	return list, nil
}

// repairMediaFirst says that pictures no longer stand between the texts of a
// message.
const repairMediaFirst = "media_first"

// objectOf gives the arguments of a call as an object, for engines that take
// nothing else.
func objectOf(call chat.ToolCall) (json.RawMessage, error) {
	text := strings.TrimSpace(call.Arguments)
	if text == "" {
		text = "{}"
	}
	if !json.Valid([]byte(text)) || text[0] != '{' {
		return nil, llm.Errorf(llm.Invalid, "messages", "the arguments of the call of %q in the history are no JSON object, and this engine takes nothing else", call.Name)
	}
	return json.RawMessage(text), nil
}

func ollamaTools(c chat.Conversation, body map[string]any, report *llm.Report) error {
	if len(c.Tools) == 0 {
		return nil
	}
	switch c.Choice.Mode {
	case chat.ToolNone:
		report.Add(chatformat.CodeToolsUnused, fmt.Sprint(len(c.Tools)), "no tool may be called")
		return nil
	case chat.ToolRequired, chat.ToolNamed:
		e := llm.Errorf(llm.Unsupported, "tool_choice", "this engine cannot be made to call a tool")
		e.Hint = "send auto or none"
		return e
	}
	list := make([]any, len(c.Tools))
	for i, tool := range c.Tools {
		list[i] = openAITool(tool)
	}
	body["tools"] = list
	return nil
}

// ollamaThinking writes the one argument of templates that the engine has:
// whether, or how much, to think.
func ollamaThinking(arguments map[string]json.RawMessage, body map[string]any, report *llm.Report) {
	arguments = maps.Clone(arguments)
	for _, name := range []string{"enable_thinking", "thinking", "reasoning_effort"} {
		raw, ok := arguments[name]
		if !ok || body["think"] != nil {
			continue
		}
		switch string(raw) {
		case "true", "false", `"low"`, `"medium"`, `"high"`:
			body["think"] = raw
			delete(arguments, name)
		}
	}
	argumentsIgnored(arguments, report)
}

// ollamaAnswer is a line of an answer.
type ollamaAnswer struct {
	Message struct {
		Content   json.RawMessage `json:"content"`
		Thinking  json.RawMessage `json:"thinking"`
		ToolCalls []struct {
			ID       string `json:"id"`
			Function struct {
				Name      string          `json:"name"`
				Arguments json.RawMessage `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	} `json:"message"`
	Done       bool            `json:"done"`
	Reason     json.RawMessage `json:"done_reason"`
	Prompt     int             `json:"prompt_eval_count"`
	Completion int             `json:"eval_count"`
	LogProbs   []openAIToken   `json:"logprobs"`
}

func newOllamaChatReader() func(frame) (chunk, error) {
	var calls toolCalls
	return func(f frame) (chunk, error) {
		var a ollamaAnswer
		if err := json.Unmarshal(f.data, &a); err != nil {
			return chunk{}, err
		}
		c := chunk{
			text: plainText(a.Message.Content), reasoning: plainText(a.Message.Thinking), tokens: openAITokens(a.LogProbs),
			prompt: max(a.Prompt, 0), completion: max(a.Completion, 0), done: a.Done,
		}
		for _, call := range a.Message.ToolCalls { // each comes whole
			delta, err := calls.delta(-1, call.ID, call.Function.Name, argumentsText(call.Function.Arguments))
			if err != nil {
				return chunk{}, err
			}
			c.calls = append(c.calls, delta)
		}
		if !a.Done {
			return c, nil
		}
		var err error
		if c.finish, err = reasonOf(plainText(a.Reason)); c.finish == "" && err == nil {
			c.finish = llm.ReasonEnd
		}
		return c, err
	}
}
