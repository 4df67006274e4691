package openai

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// readMessages reads a conversation's messages.
func readMessages(r *wire.Reader, path string, v wire.Value) (all []chat.Message) {
	r.List(path, v, limits.Messages, func(path string, v wire.Value) {
		all = append(all, readMessage(r, path, v))
	})
	if r.Err == nil && len(all) == 0 {
		r.Invalid(path, "there are no messages to answer")
	}
	return all
}

func readMessage(r *wire.Reader, path string, v wire.Value) chat.Message {
	o := r.Object(path, v)
	m := chat.Message{Role: readRole(o)}
	m.Name = o.Bounded("name", limits.NameBytes)
	content, sent := o.Peek("content") // a null is content, too
	o.Take("content")
	if sent && r.Err == nil {
		m.Parts = ReadContent(r, o.At("content"), content)
	}
	switch m.Role {
	case chat.Assistant:
		m.Reasoning = o.Text("reasoning_content", "reasoning", "thinking")
		if calls, ok := o.Take("tool_calls"); ok {
			m.ToolCalls = ReadToolCalls(r, o.At("tool_calls"), calls)
		}
		if call, ok := o.Take("function_call"); ok && !call.Empty() {
			r.Unsupported(o.At("function_call"), "the older form of tool calls is not read", "send tool_calls")
		}
		if refusal := o.Text("refusal"); refusal != "" {
			m.Parts = append(m.Parts, chat.Part{Text: refusal})
		}
		sent = sent || len(m.ToolCalls) > 0 || m.Reasoning != "" || len(m.Parts) > 0
	case chat.Tool:
		m.ToolCallID = o.Text("tool_call_id")
	}
	if !sent {
		r.Fail(&llm.Error{Code: llm.Invalid, Field: o.At("content"), Message: "the message has no content", Hint: `send "" if it is empty`})
	}
	switch place := o.Text("placement"); {
	case place == "" || place == "here":
	case m.Role != chat.System && m.Role != chat.Developer:
		r.Invalid(o.At("placement"), "only system and developer messages can be placed elsewhere, not a %s message", m.Role)
	case place == string(chat.PlaceHead) || place == string(chat.PlaceTail):
		m.Placement = chat.Placement(place)
	default:
		r.Invalid(o.At("placement"), "%q is none of head, here, tail", wire.Short(place))
	}
	m.Pinned = o.IsSet("pinned")
	o.Rest(func(name string, v wire.Value) {
		if !v.Empty() {
			r.Ignore("messages[]." + name)
		}
	})
	return m
}

func readRole(o *wire.Object) chat.Role {
	v, ok := o.Take("role")
	if !ok {
		o.Fail(&llm.Error{Code: llm.Invalid, Field: o.At("role"), Message: "the message has no role", Hint: "roles are " + roles})
		return ""
	}
	role := chat.Role(o.TextOf(o.At("role"), v))
	if !role.Valid() {
		o.Fail(&llm.Error{Code: llm.Invalid, Field: o.At("role"),
			Message: fmt.Sprintf("there is no role %q", wire.Short(string(role))), Hint: "roles are " + roles})
	}
	return role
}

const roles = "system, developer, user, assistant and tool"

// ReadContent reads what a message says: a string, null (which is ""), a part,
// or a list of these.
func ReadContent(r *wire.Reader, path string, v wire.Value) []chat.Part {
	var parts []chat.Part
	var add func(path string, v wire.Value)
	add = func(path string, v wire.Value) {
		switch v.Kind() {
		case 'n':
		case '"':
			parts = append(parts, chat.Part{Text: v.Text()})
		case '{':
			parts = append(parts, readPart(r, path, v))
		case '[':
			r.List(path, v, limits.Parts, add)
		default:
			r.Invalid(path, "must be a string, a list of parts or null, not %s", v.What())
		}
		if r.Err == nil && len(parts) > limits.Parts.Int() {
			r.Invalid(path, "%v", limits.Parts.CheckInt(len(parts)))
		}
	}
	add(path, v)
	return parts
}

// readPart reads one content part.
func readPart(r *wire.Reader, path string, v wire.Value) chat.Part {
	o := r.Object(path, v)
	kind := o.Text("type")
	if o.Has("text") && kind == "" {
		kind = "text"
	}
	var p chat.Part
	switch kind {
	case "text", "input_text", "output_text":
		if !o.Has("text") {
			r.Invalid(o.At("text"), "the part has no text")
		}
		p.Text = o.Text("text")
	case "refusal":
		p.Text = o.Text("refusal")
	case "image_url", "input_image":
		p.Media = o.Image()
	case "input_audio":
		p.Media = o.Audio()
	default:
		r.Fail(&llm.Error{Code: llm.Unsupported, Field: o.At("type"), Message: fmt.Sprintf("parts of type %q are not read", wire.Short(kind)),
			Hint: "types are text, image_url and input_audio"})
	}
	o.Rest(func(name string, v wire.Value) {
		if !v.Empty() && name != "cache_control" { // the prompt cache needs no telling
			r.Ignore("messages[].content[]." + name)
		}
	})
	return p
}

// ReadToolCalls reads the tool calls of an assistant's message.
func ReadToolCalls(r *wire.Reader, path string, v wire.Value) (calls []chat.ToolCall) {
	r.List(path, v, limits.Tools, func(path string, v wire.Value) {
		o := r.Object(path, v)
		call := chat.ToolCall{ID: o.Text("id")}
		onlyFunctions(o)
		f, ok := o.Take("function")
		if !ok {
			r.Invalid(o.At("function"), "the call has no function")
			return
		}
		fn := r.Object(o.At("function"), f)
		if call.Name = fn.Text("name"); call.Name == "" {
			r.Invalid(fn.At("name"), "the function has no name")
		}
		if args, ok := fn.Take("arguments"); ok {
			call.Arguments = string(args) // some clients send the object itself
			if args.Kind() == '"' {
				call.Arguments = args.Text()
			}
		}
		calls = append(calls, call)
	})
	return calls
}

func onlyFunctions(o *wire.Object) {
	if kind := o.Text("type"); kind != "" && kind != "function" {
		o.Unsupported(o.At("type"), strconv.Quote(wire.Short(kind))+" is no kind of tool here", `send tools of type "function"`)
	}
}

// ReadTools takes the tools of a request and how they are to be chosen.
func ReadTools(o *wire.Object) (tools []chat.ToolSpec, choice chat.ToolChoice) {
	if v, ok := o.Take("tools"); ok {
		o.List("tools", v, limits.Tools, func(path string, v wire.Value) {
			tools = append(tools, readTool(o.Reader, path, v))
		})
	}
	if parallel := o.Flag("parallel_tool_calls"); parallel != nil {
		choice.Single = !*parallel
	}
	if v, ok := o.Take("tool_choice"); ok {
		readToolChoice(o, &choice, v)
	}
	if (choice.Mode == chat.ToolRequired || choice.Mode == chat.ToolNamed) && o.Err == nil {
		demandedTool(o, tools, choice)
	}
	return tools, choice
}

// readToolChoice reads a word, or an object that names a function.
func readToolChoice(o *wire.Object, choice *chat.ToolChoice, v wire.Value) {
	const path, hint = "tool_choice", `send auto, none, required, or {"type": "function", "function": {"name": …}}`
	if v.Kind() != '"' {
		named := o.Object(path, v)
		if kind := named.Text("type"); kind != "function" {
			o.Unsupported(path, strconv.Quote(wire.Short(kind))+" is no kind of choice here", hint)
			return
		}
		choice.Mode = chat.ToolNamed
		if f, ok := named.Take("function"); ok {
			choice.Name = o.Object(named.At("function"), f).Text("name")
		}
		if choice.Name == "" {
			o.Invalid(path+".function.name", "the function has no name")
		}
		return
	}
	switch v.Text() {
	case "auto":
	case "none":
		choice.Mode = chat.ToolNone
	case "required", "any": // the latter is Mistral's word
		choice.Mode = chat.ToolRequired
	default:
		o.Unsupported(path, strconv.Quote(wire.Short(v.Text()))+" is no choice of tools", hint)
	}
}

// demandedTool refuses a choice that no tool fits.
func demandedTool(o *wire.Object, tools []chat.ToolSpec, choice chat.ToolChoice) {
	switch {
	case len(tools) == 0:
		o.Invalid("tool_choice", "a tool is to be called, and there are none")
	case choice.Mode == chat.ToolNamed && !slices.ContainsFunc(tools, func(t chat.ToolSpec) bool { return t.Name == choice.Name }):
		o.Invalid("tool_choice.function.name", "there is no tool %q", wire.Short(choice.Name))
	}
}

func readTool(r *wire.Reader, path string, v wire.Value) chat.ToolSpec {
	o := r.Object(path, v)
	spec := chat.ToolSpec{Raw: json.RawMessage(v)}
	onlyFunctions(o)
	f, ok := o.Take("function")
	if !ok {
		r.Invalid(o.At("function"), "the tool has no function")
		return spec
	}
	fn := r.Object(o.At("function"), f)
	if spec.Name = fn.Text("name"); spec.Name == "" {
		r.Invalid(fn.At("name"), "the function has no name")
	}
	spec.Description = fn.Text("description")
	spec.Strict = fn.IsSet("strict")
	if schema, ok := fn.Take("parameters"); ok {
		if schema.Kind() != '{' {
			r.Invalid(fn.At("parameters"), "must be a JSON schema, not %s", schema.What())
		}
		spec.Parameters = json.RawMessage(schema)
	}
	return spec
}
