package openai

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// A ResponseRequest is what a client asks of the Responses API.
type ResponseRequest struct {
	*Request

	Store    bool   // the response may be asked for, and gone on from, later
	Previous string // id of the response that this one goes on from, or ""

	places wire.Places // of the conversation's messages
	headed bool        // the first of them are the instructions
	open   bool        // the last of them is an assistant's that further items belong to
	echo   echo
}

// An echo is what a response repeats of its request.
type echo struct {
	instructions   *string
	format         responseFormat
	verbosity      *string
	effort         *string
	summary        *string
	tools          []responseTool
	toolChoice     any
	truncation     string
	metadata       json.RawMessage
	maxTokens      *int
	maxToolCalls   *int
	promptCacheKey *string
	safetyID       *string
}

type responseTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description *string         `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"`
}

type responseFormat struct {
	Type        string          `json:"type"`
	Name        string          `json:"name,omitempty"`
	Description *string         `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
	Strict      *bool           `json:"strict,omitempty"`
}

// ParseResponse reads the body of a request for a response.
func ParseResponse(body []byte) (*ResponseRequest, error) {
	p := &ResponseRequest{Store: true, echo: echo{
		format: responseFormat{Type: "text"}, tools: []responseTool{}, toolChoice: "auto", truncation: "disabled", metadata: json.RawMessage("{}"),
	}}
	_, err := parseRequest(body, func(o *wire.Object, q *Request) {
		p.Request = q
		p.state(o)
		p.instructions(o)
		p.input(o)
		p.tools(o)
		p.toolChoice(o)
		p.text(o)
		p.reasoning(o)
		readContinuation(o, q)
		readLayout(o, q)
		p.service(o)
	})
	if err != nil {
		return nil, p.Locate(err)
	}
	return p, nil
}

// Locate gives an error that names a message of the conversation the place at
// which the client wrote it.
func (p *ResponseRequest) Locate(err error) error { return p.places.Locate(err) }

// Follow puts the messages of the response before this one in their place.
func (p *ResponseRequest) Follow(said []chat.Message) {
	at := 0
	if p.headed {
		at = 1
	}
	p.Conversation.Messages = slices.Insert(p.Conversation.Messages, at, said...)
	p.places = slices.Insert(p.places, at, slices.Repeat([]string{"previous_response_id"}, len(said))...)
}

// Said is the conversation without the instructions, which hold for one
// response only.
func (p *ResponseRequest) Said() []chat.Message {
	if p.headed {
		return p.Conversation.Messages[1:]
	}
	return p.Conversation.Messages
}

// state reads what is kept on the server.
func (p *ResponseRequest) state(o *wire.Object) {
	if store := o.Flag("store"); store != nil {
		p.Store = *store
	}
	p.Previous = o.Bounded("previous_response_id", limits.NameBytes)
	if v, ok := o.Take("conversation"); ok && !v.Empty() {
		o.Unsupported("conversation", "no conversations are kept on this server", "send previous_response_id, or the items themselves")
	}
	if v, ok := o.Take("prompt"); ok && !v.Empty() {
		o.Unsupported("prompt", "no prompts are kept on this server", "send the prompt's text as instructions and input")
	}
	if o.IsSet("background") {
		o.Unsupported("background", "responses are not made in the background", "stream it, or wait for it")
	}
}

func (p *ResponseRequest) add(place string, m chat.Message) {
	p.places = append(p.places, place)
	p.Conversation.Messages = append(p.Conversation.Messages, m)
	p.open = m.Role == chat.Assistant
}

func (p *ResponseRequest) instructions(o *wire.Object) {
	v, ok := o.Take("instructions")
	if !ok {
		return
	}
	text := o.TextOf("instructions", v)
	p.echo.instructions = &text
	if text != "" {
		p.add("instructions", chat.Say(chat.System, text))
		p.headed = true
	}
}

// input reads a text, or a list of items.
func (p *ResponseRequest) input(o *wire.Object) {
	v, ok := o.Take("input")
	switch {
	case !ok:
		hint := "send a text or a list of items"
		if o.Has("messages") {
			hint = "send messages to /v1/chat/completions, or a text or a list of items here"
		}
		o.Fail(&llm.Error{Code: llm.Invalid, Field: "input", Message: "the field is missing", Hint: hint})
	case v.Kind() == '"':
		p.add("input", chat.Say(chat.User, v.Text()))
	default:
		o.List("input", v, limits.Messages, func(path string, v wire.Value) { p.item(o.Reader, path, v) })
		if o.Err == nil && len(p.Conversation.Messages) == 0 && p.Previous == "" {
			o.Invalid("input", "there is nothing to answer")
		}
	}
}

const itemTypes = "items of type message, function_call, function_call_output and reasoning are read"

// item reads one item. What an assistant did in a row, its thoughts, its text
// and its calls, is one message of the conversation.
func (p *ResponseRequest) item(r *wire.Reader, path string, v wire.Value) {
	o := r.Object(path, v)
	kind := o.Text("type")
	o.Text("id")
	o.Text("status")
	switch {
	case kind == "message" || kind == "" && o.Has("role"):
		p.message(o, path)
	case kind == "function_call":
		p.functionCall(o, path)
	case kind == "function_call_output":
		m := chat.Message{Role: chat.Tool, ToolCallID: o.Text("call_id")}
		if m.ToolCallID == "" {
			r.Invalid(o.At("call_id"), "the item does not say which call it answers")
		}
		content, ok := o.Take("output")
		if !ok {
			r.Fail(&llm.Error{Code: llm.Invalid, Field: o.At("output"), Message: "the call has no output", Hint: `send "" if it is empty`})
			return
		}
		m.Parts = readItemContent(r, o.At("output"), content)
		p.add(path, m)
	case kind == "reasoning":
		p.thoughts(o, path)
	case kind == "":
		r.Fail(&llm.Error{Code: llm.Invalid, Field: o.At("type"), Message: "the item has no type", Hint: itemTypes})
	default:
		r.Unsupported(o.At("type"), "items of type "+strconv.Quote(wire.Short(kind))+" are not read", itemTypes)
	}
	o.Rest(func(name string, v wire.Value) {
		if !v.Empty() {
			r.Ignore("input[]." + name)
		}
	})
}

func (p *ResponseRequest) message(o *wire.Object, path string) {
	role := readRole(o)
	if role == chat.Tool {
		o.Invalid(o.At("role"), "the result of a call is an item of type function_call_output")
	}
	content, sent := o.Peek("content")
	o.Take("content")
	if !sent {
		o.Fail(&llm.Error{Code: llm.Invalid, Field: o.At("content"), Message: "the message has no content", Hint: `send "" if it is empty`})
	}
	if o.Err != nil {
		return
	}
	parts := readItemContent(o.Reader, o.At("content"), content)
	if role != chat.Assistant {
		p.add(path, chat.Message{Role: role, Parts: parts})
		return
	}
	p.assistant(path, func(m *chat.Message) bool { return len(m.Parts)+len(m.ToolCalls) == 0 }).Parts = parts
}

// assistant is the message to which an assistant's next item belongs: the last
// one, if it fits there, or else a new one.
func (p *ResponseRequest) assistant(path string, fits func(*chat.Message) bool) *chat.Message {
	all := p.Conversation.Messages
	if !p.open || !fits(&all[len(all)-1]) {
		p.add(path, chat.Message{Role: chat.Assistant})
		all = p.Conversation.Messages
	}
	return &all[len(all)-1]
}

func (p *ResponseRequest) functionCall(o *wire.Object, path string) {
	call := chat.ToolCall{ID: o.Text("call_id"), Name: o.Text("name"), Arguments: o.Text("arguments")}
	if call.ID == "" {
		o.Invalid(o.At("call_id"), "the call has no id")
	}
	if call.Name == "" {
		o.Invalid(o.At("name"), "the call has no name")
	}
	m := p.assistant(path, func(*chat.Message) bool { return true })
	m.ToolCalls = append(m.ToolCalls, call)
}

// thoughts reads what an assistant thought, or the summary where that is all
// there is.
func (p *ResponseRequest) thoughts(o *wire.Object, path string) {
	var said [2][]string
	for i, name := range []string{"content", "summary"} {
		if v, ok := o.Take(name); ok {
			o.List(o.At(name), v, limits.Parts, func(path string, v wire.Value) {
				said[i] = append(said[i], o.Object(path, v).Text("text"))
			})
		}
	}
	sealed := o.Text("encrypted_content")
	if len(said[0]) == 0 {
		said[0] = said[1]
	}
	text := strings.Join(said[0], "\n\n")
	switch {
	case text != "":
		m := p.assistant(path, func(m *chat.Message) bool { return m.Reasoning == "" && len(m.Parts)+len(m.ToolCalls) == 0 })
		m.Reasoning = text
	case sealed != "":
		o.Ignore("input[].encrypted_content")
	}
}

// readItemContent reads a text, null (which is ""), or a list of parts.
func readItemContent(r *wire.Reader, path string, v wire.Value) (parts []chat.Part) {
	switch v.Kind() {
	case 'n':
	case '"':
		return []chat.Part{{Text: v.Text()}}
	default:
		r.List(path, v, limits.Parts, func(path string, v wire.Value) {
			parts = append(parts, readItemPart(r, path, v))
		})
	}
	return parts
}

func readItemPart(r *wire.Reader, path string, v wire.Value) (p chat.Part) {
	o := r.Object(path, v)
	switch kind := o.Text("type"); kind {
	case "input_text", "output_text", "text":
		if !o.Has("text") {
			r.Invalid(o.At("text"), "the part has no text")
		}
		p.Text = o.Text("text")
		o.Take("annotations")
		o.Take("logprobs")
	case "refusal":
		p.Text = o.Text("refusal")
	case "input_image":
		if detail := o.Text("detail"); detail != "" && detail != "auto" {
			r.Ignore("input[].content[].detail")
		}
		if !o.Has("image_url") && o.Has("file_id") {
			r.Unsupported(o.At("file_id"), "no files are kept on this server", "send the picture itself as a data: URL in image_url")
		}
		p.Media = o.Image()
	default:
		r.Unsupported(o.At("type"), fmt.Sprintf("parts of type %q are not read", wire.Short(kind)), "types are input_text, output_text, refusal and input_image")
	}
	o.Rest(func(name string, v wire.Value) {
		if !v.Empty() {
			r.Ignore("input[].content[]." + name)
		}
	})
	return p
}

// tools reads functions; what OpenAI's own servers do for a model is refused.
func (p *ResponseRequest) tools(o *wire.Object) {
	if parallel := o.Flag("parallel_tool_calls"); parallel != nil {
		p.Conversation.Choice.Single = !*parallel
	}
	v, ok := o.Take("tools")
	if !ok {
		return
	}
	o.List("tools", v, limits.Tools, func(path string, v wire.Value) {
		t := o.Object(path, v)
		if kind := t.Text("type"); kind != "function" {
			o.Unsupported(t.At("type"), strconv.Quote(wire.Short(kind))+" is no kind of tool here", `send tools of type "function"`)
			return
		}
		spec, said := chat.ToolSpec{Name: t.Text("name")}, responseTool{Type: "function"}
		if spec.Name == "" {
			o.Invalid(t.At("name"), "the function has no name")
		}
		if text := t.Text("description"); text != "" {
			spec.Description, said.Description = text, &text
		}
		if schema, ok := t.Take("parameters"); ok {
			if schema.Kind() != '{' {
				o.Invalid(t.At("parameters"), "must be a JSON schema, not %s", schema.What())
			}
			spec.Parameters = json.RawMessage(schema)
		}
		said.Strict = t.IsSet("strict")
		spec.Strict = said.Strict
		t.Rest(func(name string, v wire.Value) {
			if !v.Empty() {
				o.Ignore("tools[]." + name)
			}
		})
		if o.Err != nil {
			return
		}
		said.Name, said.Parameters = spec.Name, spec.Parameters
		spec.Raw = wire.Function(spec.Name, spec.Description, spec.Parameters, spec.Strict)
		p.Conversation.Tools = append(p.Conversation.Tools, spec)
		p.echo.tools = append(p.echo.tools, said)
	})
}

// rawTool is a tool as chat templates know it, which are written for the older
// toolChoice reads a word, or an object that names a function or those that
// may be called.
func (p *ResponseRequest) toolChoice(o *wire.Object) {
	const hint = `send auto, none, required, {"type": "function", "name": …} or {"type": "allowed_tools", "mode": …, "tools": […]}`
	v, ok := o.Take("tool_choice")
	if !ok {
		return
	}
	p.echo.toolChoice = json.RawMessage(v)
	choice := &p.Conversation.Choice
	mode := ""
	if v.Kind() == '"' {
		mode = v.Text()
	} else {
		c := o.Object("tool_choice", v)
		switch kind := c.Text("type"); kind {
		case "function":
			choice.Mode, choice.Name = chat.ToolNamed, c.Text("name")
			if !p.has(choice.Name) {
				o.Invalid("tool_choice.name", "there is no tool %q", wire.Short(choice.Name))
			}
			return
		case "allowed_tools":
			p.allow(c)
			mode = c.Text("mode")
		default:
			o.Unsupported("tool_choice", strconv.Quote(wire.Short(kind))+" is no kind of choice here", hint)
			return
		}
	}
	switch mode {
	case "auto":
	case "none":
		choice.Mode = chat.ToolNone
	case "required":
		choice.Mode = chat.ToolRequired
		if len(p.Conversation.Tools) == 0 {
			o.Invalid("tool_choice", "a tool is to be called, and there are none")
		}
	default:
		o.Unsupported("tool_choice", strconv.Quote(wire.Short(mode))+" is no choice of tools", hint)
	}
}

func (p *ResponseRequest) has(tool string) bool {
	return slices.ContainsFunc(p.Conversation.Tools, func(t chat.ToolSpec) bool { return t.Name == tool })
}

// allow leaves only the tools of a list: the model is not shown the others.
func (p *ResponseRequest) allow(c *wire.Object) {
	v, ok := c.Take("tools")
	if !ok {
		c.Invalid(c.At("tools"), "the field is missing")
		return
	}
	allowed := map[string]bool{}
	c.List(c.At("tools"), v, limits.Tools, func(path string, v wire.Value) {
		t := c.Object(path, v)
		t.Text("type")
		name := t.Text("name")
		if !p.has(name) {
			c.Invalid(t.At("name"), "there is no tool %q", wire.Short(name))
		}
		allowed[name] = true
	})
	p.Conversation.Tools = slices.DeleteFunc(p.Conversation.Tools, func(t chat.ToolSpec) bool { return !allowed[t.Name] })
}

// text reads the form of the answer.
func (p *ResponseRequest) text(o *wire.Object) {
	v, ok := o.Take("text")
	if !ok {
		return
	}
	t := o.Object("text", v)
	if v, ok := t.Take("format"); ok {
		constraint := o.ResponseFormat(t.At("format"), v)
		if constraint != nil && p.Params.Constraint != nil {
			o.Invalid(constraint.Field, "the answer is constrained twice, by %s, too: send one of them", p.Params.Constraint.Field)
		}
		if constraint != nil {
			p.Params.Constraint = constraint
		}
		if o.Err == nil {
			p.echo.format = formatOf(v, constraint)
		}
	}
	if verbosity := t.Text("verbosity"); verbosity != "" {
		p.echo.verbosity = &verbosity
		if verbosity != "medium" {
			o.Ignore(t.At("verbosity"))
		}
	}
	t.Rest(func(name string, v wire.Value) { o.Unknown(t.At(name), v) })
}

func formatOf(v wire.Value, c *llm.Constraint) responseFormat {
	var f responseFormat
	if json.Unmarshal(v, &f) != nil || c == nil {
		return responseFormat{Type: "text"}
	}
	if f.Type != "json_schema" {
		return responseFormat{Type: "json_object"}
	}
	if f.Schema == nil {
		f.Schema = json.RawMessage(c.Source) // it stood deeper
	}
	if !json.Valid(f.Schema) {
		f.Schema = nil
	}
	f.Strict = new(true) // every answer keeps to its schema
	return f
}

func (p *ResponseRequest) reasoning(o *wire.Object) {
	v, ok := o.Take("reasoning")
	if !ok {
		return
	}
	t := o.Object("reasoning", v)
	if v, ok := t.Take("effort"); ok {
		readEffort(o, p.Request, t.At("effort"), v)
		if o.Err == nil {
			p.echo.effort = new(v.Text())
		}
	}
	if v, path, ok := t.First([]string{"summary", "generate_summary"}); ok {
		p.echo.summary = new(o.TextOf(path, v))
		o.Ignore(path) // thoughts are told as they are
	}
	t.Rest(func(name string, v wire.Value) { o.Unknown(t.At(name), v) })
}

// service reads what remains.
func (p *ResponseRequest) service(o *wire.Object) {
	if n, _ := o.Integer(limits.MaxTokens, "max_output_tokens"); n != nil {
		p.Params.MaxTokens, p.echo.maxTokens = n, n
	}
	if p.Choices > 1 {
		o.Unsupported("n", "a response is one answer", "send the request several times")
	}
	top, _ := o.Integer(limits.LogProbs, "top_logprobs")
	if top != nil && *top > 0 {
		p.Params.LogProbs = top
	}
	if v, ok := o.Take("include"); ok {
		o.List("include", v, limits.Parts, func(path string, v wire.Value) {
			switch what := o.TextOf(path, v); what {
			case "message.output_text.logprobs":
				if p.Params.LogProbs == nil {
					p.Params.LogProbs = new(0)
				}
			case "reasoning.encrypted_content": // what was thought is told as it is
			default:
				o.Ignore("include." + what)
			}
		})
	}
	fit := chat.FitDefault
	switch word := o.Text("truncation"); word {
	case "":
	case "auto":
		fit, p.echo.truncation = chat.FitDropOldest, word
	case "disabled":
		fit = chat.FitRefuse
	default:
		o.Invalid("truncation", "%q is none of auto, disabled", wire.Short(word))
	}
	if layout := &p.Conversation.Layout; layout.Fit == chat.FitDefault {
		layout.Fit = fit
	}
	if v, ok := o.Take("metadata"); ok {
		o.Object("metadata", v)
		p.echo.metadata = json.RawMessage(v)
	}
	p.echo.maxToolCalls, _ = o.Integer(limits.Tools, "max_tool_calls") // counts calls of tools that a server runs
	word := func(name string) *string {
		if s := o.Bounded(name, limits.NameBytes); s != "" {
			return &s
		}
		return nil
	}
	p.echo.promptCacheKey = word("prompt_cache_key") // the prompt cache needs no telling
	o.Take("prompt_cache_retention")
	p.echo.safetyID = word("safety_identifier")
}
