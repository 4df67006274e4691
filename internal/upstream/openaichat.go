package upstream

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// openAIDialect is what distinguishes the servers that speak OpenAI's chat
// completions.
type openAIDialect struct {
	path  string // "" is /v1/chat/completions
	words vocabulary

	reasoning string // field of a message with an assistant's earlier thoughts; "": it does not take them
	arguments bool   // it takes arguments of its template, in chat_template_kwargs
	effort    bool   // it takes reasoning_effort
	documents bool   // it takes documents to answer from
	noTools   bool   // it has no place for a list of tools
	quiet     bool   // it does not know stream_options
	uncounted bool   // the counts that it sends are made up
	progress  bool   // it tells how far it has come, if asked to
	layout    bool   // it is another Parley, and takes what a client says about the layout
}

// prefill is how an engine is asked to continue the assistant's last message.
type prefill uint8

const (
	prefillNone    prefill = iota // it cannot
	prefillAlways                 // it always does: the message is the last, and nothing says otherwise
	prefillFlags                  // continue_final_message, and no prompt for a message of its own
	prefillBoth                   // it always does, and newer versions want the flags
	prefillTextgen                // continue_
)

// always reports whether an assistant's message at the end is continued unasked.
func (p prefill) always() bool { return p == prefillAlways || p == prefillBoth }

// openAIChat is the endpoint of a server that speaks OpenAI's dialect.
func openAIChat(d openAIDialect) *endpoint {
	e := &endpoint{path: "/v1/chat/completions", encode: d.encode, constrain: chatConstraints[d.words].write, reader: newOpenAIReader}
	if d.words == vocabTGIChat {
		e.constrain = tgiGrammar
	}
	if d.path != "" {
		e.path = d.path
	}
	if d.uncounted {
		e.reader = func() func(frame) (chunk, error) {
			read := newOpenAIReader()
			return func(f frame) (chunk, error) {
				c, err := read(f)
				c.prompt, c.completion, c.cached, c.cacheTold = 0, 0, 0, false
				return c, err
			}
		}
	}
	return e
}

func (d openAIDialect) encode(c *call) (map[string]any, error) {
	body := map[string]any{"messages": d.messages(c), "stream": c.stream}
	if c.model != "" {
		body["model"] = c.model
	}
	if err := d.tools(c.conversation, body, &c.report); err != nil {
		return nil, err
	}
	if err := d.continued(c, body); err != nil {
		return nil, err
	}
	if err := d.laidOut(c.conversation, body, &c.report); err != nil {
		return nil, err
	}
	if err := d.words.write(body, c.params, &c.report); err != nil {
		return nil, err
	}
	if n, ok := body["max_tokens"]; ok && d.words == vocabOpenAI && newerModels.MatchString(c.model) {
		delete(body, "max_tokens")
		body["max_completion_tokens"] = n
	}
	if n := c.params.LogProbs; n != nil && d.words.has("LogProbs") {
		body["logprobs"] = true
		body["top_logprobs"] = *n
	}
	if len(c.stops) > 0 {
		body["stop"] = c.stops
	}
	if c.stream && !d.quiet {
		body["stream_options"] = map[string]any{"include_usage": true}
	}
	if c.stream && d.progress {
		body["return_progress"] = true
		body["timings_per_token"] = true // with the counts, should the answer be broken off
	}
	return body, nil
}

// newerModels are those of OpenAI's that refuse max_tokens under that name.
var newerModels = regexp.MustCompile(`^(o[1-9]|gpt-[5-9])`)

func (d openAIDialect) messages(c *call) []map[string]any {
	list := make([]map[string]any, len(c.conversation.Messages))
	for i, m := range c.conversation.Messages {
		w := map[string]any{"role": string(m.Role), "content": openAIContent(m)}
		if m.Name != "" {
			w["name"] = m.Name
		}
		if m.Reasoning != "" {
			if d.reasoning != "" {
				w[d.reasoning] = m.Reasoning
			} else {
				thoughtsOmitted(&c.report)
			}
		}
		if len(m.ToolCalls) > 0 {
			var calls []map[string]any
			for _, call := range m.ToolCalls {
				calls = append(calls, map[string]any{"id": call.ID, "type": "function",
					"function": map[string]any{"name": call.Name, "arguments": call.Arguments}})
			}
			w["tool_calls"] = calls
		}
		if m.ToolCallID != "" {
			w["tool_call_id"] = m.ToolCallID
		}
		list[i] = w
	}
	return list
}

func thoughtsOmitted(r *llm.Report) {
	r.Add(chatformat.CodeReasoningOmitted, "", "the engine does not take the assistant's earlier thoughts")
}

// openAIContent is text, or a list of parts where there are pictures or sound.
func openAIContent(m chat.Message) any {
	if !slices.ContainsFunc(m.Parts, func(p chat.Part) bool { return p.Media != nil }) {
		return m.Text()
	}
	parts := []map[string]any{}
	for _, p := range m.Parts {
		switch {
		case p.Media == nil && p.Text == "":
		case p.Media == nil:
			parts = append(parts, map[string]any{"type": "text", "text": p.Text})
		case strings.HasPrefix(p.Media.MIME, "audio/"):
			parts = append(parts, map[string]any{"type": "input_audio", "input_audio": map[string]any{
				"format": audioFormat(p.Media.MIME), "data": base64.StdEncoding.EncodeToString(p.Media.Data),
			}})
		default:
			parts = append(parts, map[string]any{"type": "image_url", "image_url": map[string]any{"url": dataURL(*p.Media)}})
		}
	}
	return parts
}

func dataURL(m llm.Media) string {
	return "data:" + m.MIME + ";base64," + base64.StdEncoding.EncodeToString(m.Data)
}

// audioFormat is OpenAI's word for a type of sound.
func audioFormat(mime string) string {
	switch format := strings.TrimPrefix(mime, "audio/"); format {
	case "mpeg":
		return "mp3"
	case "x-wav", "wave":
		return "wav"
	default:
		return format
	}
}

// tools writes the list of tools and how they are to be chosen.
func (d openAIDialect) tools(c chat.Conversation, body map[string]any, report *llm.Report) error {
	if len(c.Tools) == 0 {
		return nil
	}
	if d.noTools {
		return toolsRefused(c, report)
	}
	list := make([]any, len(c.Tools))
	for i, tool := range c.Tools {
		list[i] = openAITool(tool)
	}
	body["tools"] = list
	switch c.Choice.Mode {
	case chat.ToolNone, chat.ToolRequired:
		body["tool_choice"] = string(c.Choice.Mode)
	case chat.ToolNamed:
		body["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": c.Choice.Name}}
	}
	return nil
}

// toolsRefused is for an engine without a place for a list of tools.
func toolsRefused(c chat.Conversation, report *llm.Report) error {
	if c.Choice.Mode == chat.ToolNone {
		report.Add(chatformat.CodeToolsUnused, fmt.Sprint(len(c.Tools)), "no tool may be called")
		return nil
	}
	e := llm.Errorf(llm.Unsupported, "tools", "this engine has no place for a list of tools")
	e.Hint = `send no tools, or tool_choice "none"`
	return e
}

func openAITool(tool chat.ToolSpec) any {
	if tool.Raw != nil {
		return tool.Raw
	}
	function := map[string]any{"name": tool.Name}
	if tool.Description != "" {
		function["description"] = tool.Description
	}
	if tool.Parameters != nil {
		function["parameters"] = tool.Parameters
	}
	return map[string]any{"type": "function", "function": function}
}

// continued asks for the rest of the last message.
func (d openAIDialect) continued(c *call, body map[string]any) error {
	if err := c.prefilled(); err != nil || !c.conversation.Continue {
		return err
	}
	switch c.prefill {
	case prefillFlags, prefillBoth:
		body["continue_final_message"] = true
		body["add_generation_prompt"] = false
	case prefillTextgen:
		body["continue_"] = true
	}
	return nil
}

// codeContinued says that the engine continues the assistant's last message
// although nobody asked for that.
const codeContinued = "continued"

// prefilled refuses to continue a message where the engine cannot, and reports
// where it does so unasked.
func (c *call) prefilled() error {
	p, list := c.prefill, c.conversation.Messages
	last := len(list) - 1
	switch {
	case c.conversation.Continue && p == prefillNone:
		e := llm.Errorf(llm.Unsupported, "continue_final_message", "this engine begins a message of its own and cannot continue the last one")
		e.Hint = `have the engine used as a model (way = "model"), or ask for the rest in a message`
		return e
	case !c.conversation.Continue && p.always() && last >= 0 && list[last].Role == chat.Assistant:
		c.report.Add(codeContinued, "", "the engine continues the assistant's last message")
	}
	return nil
}

// laidOut writes what shapes the prompt: documents, and arguments of the
// template. What the engine does not take is an error or a note.
func (d openAIDialect) laidOut(c chat.Conversation, body map[string]any, report *llm.Report) error {
	if len(c.Documents) > 0 {
		if !d.documents {
			return documentsRefused()
		}
		list := make([]any, len(c.Documents))
		for i, doc := range c.Documents {
			if list[i] = doc.Raw; doc.Raw == nil {
				list[i] = map[string]any{"title": doc.Title, "text": doc.Text}
			}
		}
		body["documents"] = list
	}
	arguments := maps.Clone(c.Layout.Arguments)
	if effort, ok := arguments["reasoning_effort"]; ok && d.effort {
		body["reasoning_effort"] = effort
		delete(arguments, "reasoning_effort")
	}
	if len(arguments) > 0 && d.arguments {
		body["chat_template_kwargs"] = arguments
	} else {
		argumentsIgnored(arguments, report)
	}
	if d.layout {
		if l := layoutOf(c.Layout); len(l) > 0 {
			body["parley"] = l
		}
		if c.Layout.Template != "" {
			body["chat_template"] = c.Layout.Template
		}
		return nil
	}
	return formatRefused(c.Layout)
}

// layoutOf is what Parley's own extension says of the layout. What has been
// carried out before is not in it.
func layoutOf(l chat.Layout) map[string]any {
	own := map[string]any{}
	for name, value := range map[string]string{"format": l.Format, "format_toml": l.Markup, "fit": string(l.Fit)} {
		if value != "" {
			own[name] = value
		}
	}
	if l.StopInReasoning != nil {
		own["stop_in_reasoning"] = *l.StopInReasoning
	}
	if l.NoAutoStops {
		own["auto_stops"] = false
	}
	return own
}

func documentsRefused() error {
	e := llm.Errorf(llm.Unsupported, "documents", "this engine has no place for documents")
	e.Hint = "put them into a message"
	return e
}

func argumentsIgnored(arguments map[string]json.RawMessage, report *llm.Report) {
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		report.Add(codeIgnored, "chat_template_kwargs."+name, "the engine takes no arguments for its chat template")
	}
}

// formatRefused is for an engine that lays messages out in its own format.
func formatRefused(l chat.Layout) error {
	field := ""
	switch {
	case l.Format != "":
		field = "parley.format"
	case l.Markup != "":
		field = "parley.format_toml"
	case l.Template != "":
		field = "chat_template"
	case l.Fit == chat.FitDropOldest:
		field = "parley.fit"
	default:
		return nil
	}
	e := llm.Errorf(llm.Unsupported, field, "this engine lays conversations out itself")
	e.Hint = `leave it out, or have the engine used as a model (way = "model")`
	return e
}
