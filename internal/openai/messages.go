package openai

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// messages reads a conversation's messages.
func (r *reader) messages(path string, v value) (all []chat.Message) {
	r.list(path, v, limits.Messages, func(path string, v value) {
		all = append(all, r.message(path, v))
	})
	if r.err == nil && len(all) == 0 {
		r.invalid(path, "there are no messages to answer")
	}
	return all
}

func (r *reader) message(path string, v value) chat.Message {
	o := r.object(path, v)
	m := chat.Message{Role: o.role()}
	m.Name = o.short("name", limits.NameBytes)
	content, sent := o.fields["content"]
	delete(o.fields, "content")
	if sent && r.err == nil {
		m.Parts = r.content(o.at("content"), content)
	}
	switch m.Role {
	case chat.Assistant:
		m.Reasoning = o.text("reasoning_content", "reasoning", "thinking")
		if calls, ok := o.take("tool_calls"); ok {
			m.ToolCalls = r.toolCalls(o.at("tool_calls"), calls)
		}
		if call, ok := o.take("function_call"); ok && !call.empty() {
			r.unsupported(o.at("function_call"), "the older form of tool calls is not read", "send tool_calls")
		}
		if refusal := o.text("refusal"); refusal != "" {
			m.Parts = append(m.Parts, chat.Part{Text: refusal})
		}
		sent = sent || len(m.ToolCalls) > 0 || m.Reasoning != "" || len(m.Parts) > 0
	case chat.Tool:
		m.ToolCallID = o.text("tool_call_id")
	}
	if !sent {
		r.fail(&llm.Error{Code: llm.Invalid, Field: o.at("content"), Message: "the message has no content", Hint: `send "" if it is empty`})
	}
	switch place := o.text("placement"); {
	case place == "" || place == "here":
	case m.Role != chat.System && m.Role != chat.Developer:
		r.invalid(o.at("placement"), "only system and developer messages can be placed elsewhere, not a %s message", m.Role)
	case place == string(chat.PlaceHead) || place == string(chat.PlaceTail):
		m.Placement = chat.Placement(place)
	default:
		r.invalid(o.at("placement"), "%q is none of head, here, tail", short(place))
	}
	m.Pinned = o.isSet("pinned")
	o.rest(func(name string, v value) {
		if !v.empty() {
			r.ignore("messages[]." + name)
		}
	})
	return m
}

func (o *object) role() chat.Role {
	v, ok := o.take("role")
	if !ok {
		o.fail(&llm.Error{Code: llm.Invalid, Field: o.at("role"), Message: "the message has no role", Hint: "roles are " + roles})
		return ""
	}
	role := chat.Role(o.textOf(o.at("role"), v))
	if !role.Valid() {
		o.fail(&llm.Error{Code: llm.Invalid, Field: o.at("role"),
			Message: fmt.Sprintf("there is no role %q", short(string(role))), Hint: "roles are " + roles})
	}
	return role
}

const roles = "system, developer, user, assistant and tool"

// content reads a string, null (which is ""), a part, or a list of these.
func (r *reader) content(path string, v value) []chat.Part {
	var parts []chat.Part
	var add func(path string, v value)
	add = func(path string, v value) {
		switch v.kind() {
		case 'n':
		case '"':
			parts = append(parts, chat.Part{Text: v.text()})
		case '{':
			parts = append(parts, r.part(path, v))
		case '[':
			r.list(path, v, limits.Parts, add)
		default:
			r.invalid(path, "must be a string, a list of parts or null, not %s", v.what())
		}
		if r.err == nil && len(parts) > limits.Parts.Int() {
			r.invalid(path, "%v", limits.Parts.CheckInt(len(parts)))
		}
	}
	add(path, v)
	return parts
}

// part reads one content part.
func (r *reader) part(path string, v value) chat.Part {
	o := r.object(path, v)
	kind := o.text("type")
	if _, text := o.fields["text"]; text && kind == "" {
		kind = "text"
	}
	var p chat.Part
	switch kind {
	case "text", "input_text", "output_text":
		if _, there := o.fields["text"]; !there {
			r.invalid(o.at("text"), "the part has no text")
		}
		p.Text = o.text("text")
	case "refusal":
		p.Text = o.text("refusal")
	case "image_url", "input_image":
		p.Media = o.image()
	case "input_audio":
		p.Media = o.audio()
	default:
		r.fail(&llm.Error{Code: llm.Unsupported, Field: o.at("type"), Message: fmt.Sprintf("parts of type %q are not read", short(kind)),
			Hint: "types are text, image_url and input_audio"})
	}
	o.rest(func(name string, v value) {
		if !v.empty() && name != "cache_control" { // the prompt cache needs no telling
			r.ignore("messages[].content[]." + name)
		}
	})
	return p
}

func (o *object) image() *llm.Media {
	v, ok := o.take("image_url")
	path := o.at("image_url")
	if ok && v.kind() == '{' {
		inner := o.object(path, v)
		if detail := inner.text("detail"); detail != "" && detail != "auto" {
			o.ignore("messages[].content[].image_url.detail")
		}
		path = inner.at("url")
		v, ok = inner.take("url")
	}
	if !ok {
		o.invalid(path, "the part has no picture")
		return nil
	}
	url := o.textOf(path, v)
	mime, data, isData := dataURL(url)
	switch {
	case o.err != nil:
	case !isData:
		o.unsupported(path, "pictures are not fetched from the network", "send the picture itself as a data: URL")
	case !strings.HasPrefix(mime, "image/"):
		o.invalid(path, "%q is no type of picture", short(mime))
	default:
		return o.media(path, mime, data)
	}
	return nil
}

func (o *object) audio() *llm.Media {
	v, ok := o.take("input_audio")
	if !ok {
		o.invalid(o.at("input_audio"), "the part has no sound")
		return nil
	}
	inner := o.object(o.at("input_audio"), v)
	format := inner.text("format")
	return o.media(inner.at("data"), "audio/"+short(format), inner.text("data"))
}

// dataURL divides "data:image/png;base64,…".
func dataURL(url string) (mime, data string, ok bool) {
	rest, ok := strings.CutPrefix(url, "data:")
	if !ok {
		return "", "", false
	}
	head, data, ok := strings.Cut(rest, ",")
	mime, encoding, _ := strings.Cut(head, ";")
	return strings.ToLower(mime), data, ok && strings.HasSuffix(encoding, "base64")
}

func (o *object) media(path, mime, data string) *llm.Media {
	data = strings.TrimRight(data, "=")
	if err := limits.MediaBytes.CheckInt(base64.RawStdEncoding.DecodedLen(len(data))); err != nil {
		o.invalid(path, "%v", err)
		return nil
	}
	decoded, err := base64.RawStdEncoding.DecodeString(data)
	if err != nil || len(decoded) == 0 {
		o.invalid(path, "the data is not base64")
		return nil
	}
	return &llm.Media{MIME: mime, Data: decoded}
}

func (r *reader) toolCalls(path string, v value) (calls []chat.ToolCall) {
	r.list(path, v, limits.Tools, func(path string, v value) {
		o := r.object(path, v)
		call := chat.ToolCall{ID: o.text("id")}
		o.onlyFunctions()
		f, ok := o.take("function")
		if !ok {
			r.invalid(o.at("function"), "the call has no function")
			return
		}
		fn := r.object(o.at("function"), f)
		if call.Name = fn.text("name"); call.Name == "" {
			r.invalid(fn.at("name"), "the function has no name")
		}
		if args, ok := fn.take("arguments"); ok {
			call.Arguments = string(args) // some clients send the object itself
			if args.kind() == '"' {
				call.Arguments = args.text()
			}
		}
		calls = append(calls, call)
	})
	return calls
}

func (o *object) onlyFunctions() {
	if kind := o.text("type"); kind != "" && kind != "function" {
		o.unsupported(o.at("type"), strconv.Quote(short(kind))+" is no kind of tool here", `send tools of type "function"`)
	}
}

// tools reads the tools of a request and how they are to be chosen.
func (o *object) tools(q *Request) {
	if v, ok := o.take("tools"); ok {
		o.list("tools", v, limits.Tools, func(path string, v value) {
			q.Conversation.Tools = append(q.Conversation.Tools, o.tool(path, v))
		})
	}
	choice := &q.Conversation.Choice
	if parallel := o.flag("parallel_tool_calls"); parallel != nil {
		choice.Single = !*parallel
	}
	if v, ok := o.take("tool_choice"); ok {
		o.toolChoice(choice, v)
	}
	if (choice.Mode == chat.ToolRequired || choice.Mode == chat.ToolNamed) && o.err == nil {
		o.demandedTool(q.Conversation)
	}
}

// toolChoice reads a word, or an object that names a function.
func (o *object) toolChoice(choice *chat.ToolChoice, v value) {
	const path, hint = "tool_choice", `send auto, none, required, or {"type": "function", "function": {"name": …}}`
	if v.kind() != '"' {
		named := o.object(path, v)
		if kind := named.text("type"); kind != "function" {
			o.unsupported(path, strconv.Quote(short(kind))+" is no kind of choice here", hint)
			return
		}
		choice.Mode = chat.ToolNamed
		if f, ok := named.take("function"); ok {
			choice.Name = o.object(named.at("function"), f).text("name")
		}
		if choice.Name == "" {
			o.invalid(path+".function.name", "the function has no name")
		}
		return
	}
	switch v.text() {
	case "auto":
	case "none":
		choice.Mode = chat.ToolNone
	case "required", "any": // the latter is Mistral's word
		choice.Mode = chat.ToolRequired
	default:
		o.unsupported(path, strconv.Quote(short(v.text()))+" is no choice of tools", hint)
	}
}

// demandedTool refuses a choice that no tool fits.
func (o *object) demandedTool(c chat.Conversation) {
	switch {
	case len(c.Tools) == 0:
		o.invalid("tool_choice", "a tool is to be called, and there are none")
	case c.Choice.Mode == chat.ToolNamed && !slices.ContainsFunc(c.Tools, func(t chat.ToolSpec) bool { return t.Name == c.Choice.Name }):
		o.invalid("tool_choice.function.name", "there is no tool %q", short(c.Choice.Name))
	}
}

func (r *reader) tool(path string, v value) chat.ToolSpec {
	o := r.object(path, v)
	spec := chat.ToolSpec{Raw: json.RawMessage(v)}
	o.onlyFunctions()
	f, ok := o.take("function")
	if !ok {
		r.invalid(o.at("function"), "the tool has no function")
		return spec
	}
	fn := r.object(o.at("function"), f)
	if spec.Name = fn.text("name"); spec.Name == "" {
		r.invalid(fn.at("name"), "the function has no name")
	}
	spec.Description = fn.text("description")
	if fn.isSet("strict") {
		r.ignore("tools[].function.strict")
	}
	if schema, ok := fn.take("parameters"); ok {
		if schema.kind() != '{' {
			r.invalid(fn.at("parameters"), "must be a JSON schema, not %s", schema.what())
		}
		spec.Parameters = json.RawMessage(schema)
	}
	return spec
}
