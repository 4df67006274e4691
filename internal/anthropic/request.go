package anthropic

import (
	"encoding/json"
	"fmt"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// A Request is what a client asks, in our own words.
type Request struct {
	Model        string
	Conversation chat.Conversation
	Params       llm.Params
	Stream       bool
	Report       llm.Report

	places wire.Places // where each message of the conversation stands in the request
}

// ParseMessages reads the body of a request for a message.
func ParseMessages(body []byte) (*Request, error) {
	return parse(body, func(o *wire.Object, q *Request) {
		if q.Params.MaxTokens, _ = o.Integer(limits.MaxTokens, "max_tokens"); q.Params.MaxTokens == nil {
			o.Fail(&llm.Error{Code: llm.Invalid, Field: "max_tokens", Message: "the field is missing", Hint: "send the greatest number of tokens that the answer may have"})
		}
	})
}

// ParseCount reads the body of a request to count tokens.
func ParseCount(body []byte) (*Request, error) {
	return parse(body, func(o *wire.Object, q *Request) { o.Take("max_tokens") })
}

// silent are fields that change nothing here: prompts are kept in memory
// without being told, and nothing is billed or sent to anybody.
var silent = []string{"cache_control", "service_tier", "metadata", "container", "inference_geo", "betas", "anthropic_version"}

func parse(body []byte, own func(*wire.Object, *Request)) (*Request, error) {
	o, err := wire.Body(body)
	if err != nil {
		return nil, err
	}
	q := &Request{Model: o.Bounded("model", limits.NameBytes), Stream: o.IsSet("stream")}
	p := &q.Params
	p.Temperature = o.Float(limits.Temperature, "temperature")
	p.TopP = o.Float(limits.TopP, "top_p")
	p.TopK, _ = o.Integer(limits.TopK, "top_k")
	p.Stop = o.Stops("stop_sequences")
	own(o, q)
	if v, ok := o.Take("system"); ok {
		q.system(o.Reader, v)
	}
	if v, ok := o.Take("messages"); ok {
		q.messages(o.Reader, v)
	} else {
		o.Invalid("messages", "the field is missing")
	}
	q.tools(o)
	q.thinking(o)
	for _, name := range silent {
		o.Take(name)
	}
	o.Rest(func(name string, v wire.Value) {
		switch name {
		case "mcp_servers":
			if !v.Empty() {
				o.Unsupported(name, "this server calls no other servers", "give the tools themselves")
			}
		default:
			o.Unknown(name, v)
		}
	})
	if o.Err != nil {
		return nil, o.Err // at the client's place already
	}
	if err := p.Check(); err != nil {
		return nil, q.Locate(err)
	}
	q.Report = o.Report
	return q, nil
}

// add appends a message that stands at a place of the request.
func (q *Request) add(place string, m chat.Message) {
	q.places = append(q.places, place)
	q.Conversation.Messages = append(q.Conversation.Messages, m)
}

// Locate gives an error that names a message of the conversation the place at
// which the client wrote it: one message of theirs may be several of ours.
func (q *Request) Locate(err error) error { return q.places.Locate(err) }

// system reads the instructions: each block is a message of its own, so that
// they are kept apart as the format does it.
func (q *Request) system(r *wire.Reader, v wire.Value) {
	if v.Kind() == '"' {
		if text := v.Text(); text != "" {
			q.add("system", chat.Say(chat.System, text))
		}
		return
	}
	r.List("system", v, limits.Parts, func(path string, v wire.Value) {
		b := r.Object(path, v)
		if kind := b.Text("type"); kind != "text" {
			r.Unsupported(b.At("type"), fmt.Sprintf("a system block is text, not %q", wire.Short(kind)), "send text")
		}
		if text := b.Text("text"); text != "" {
			q.add(path, chat.Say(chat.System, text))
		}
		b.Take("cache_control")
		b.Rest(unknown(b))
	})
}

func (q *Request) messages(r *wire.Reader, v wire.Value) {
	r.List("messages", v, limits.Messages, func(path string, v wire.Value) {
		o := r.Object(path, v)
		role := chat.Role(o.Text("role"))
		content, ok := o.Take("content")
		o.Rest(unknown(o))
		switch {
		case !ok:
			r.Invalid(o.At("content"), "the message has no content")
		case role == chat.Assistant:
			q.assistant(r, path, o.At("content"), content)
		case role == chat.User:
			q.user(r, path, o.At("content"), content)
		case role == chat.System:
			q.add(path, chat.Message{Role: chat.System, Parts: texts(r, o.At("content"), content)})
		default:
			r.Invalid(o.At("role"), "%q is none of user, assistant and system", wire.Short(string(role)))
		}
	})
	n := len(q.Conversation.Messages)
	if n > 0 && q.Conversation.Messages[n-1].Role == chat.Assistant {
		q.Conversation.Continue = true
	}
}

func unknown(o *wire.Object) func(string, wire.Value) {
	return func(name string, v wire.Value) { o.Unknown(o.At(name), v) }
}

// blocks walks over content, which is a text or a list of blocks.
func blocks(r *wire.Reader, path string, v wire.Value, each func(kind string, b *wire.Object)) {
	if v.Kind() == '"' {
		each("text", r.Object(path, wire.Value(`{"text":`+string(v)+`}`)))
		return
	}
	r.List(path, v, limits.Parts, func(path string, v wire.Value) {
		b := r.Object(path, v)
		kind := b.Text("type")
		b.Take("cache_control")
		b.Take("citations")
		each(kind, b)
		b.Rest(unknown(b))
	})
}

// texts is content that is text alone.
func texts(r *wire.Reader, path string, v wire.Value) (parts []chat.Part) {
	blocks(r, path, v, func(kind string, b *wire.Object) {
		if kind != "text" {
			r.Unsupported(b.At("type"), fmt.Sprintf("only text can stand here, not %q", wire.Short(kind)), "send text")
		}
		parts = append(parts, chat.Part{Text: b.Text("text")})
	})
	return parts
}

// user reads a user's turn. Results of tools are messages of their own; what
// stands between and behind them keeps its place.
func (q *Request) user(r *wire.Reader, place, path string, v wire.Value) {
	said := chat.Message{Role: chat.User}
	flush := func() {
		if said.Parts != nil {
			q.add(place, said)
		}
		said = chat.Message{Role: chat.User}
	}
	blocks(r, path, v, func(kind string, b *wire.Object) {
		if kind == "tool_result" {
			flush()
			q.result(r, place, b)
			return
		}
		said.Parts = behind(said.Parts, part(r, kind, b))
	})
	if said.Parts == nil && len(q.places) > 0 && q.places[len(q.places)-1] == place {
		return // nothing but results
	}
	if said.Parts == nil {
		said.Parts = []chat.Part{{}}
	}
	flush()
}

// behind appends a part. Blocks of text are paragraphs: clients do not end one
// before they begin the next.
func behind(parts []chat.Part, p chat.Part) []chat.Part {
	if n := len(parts); n > 0 && parts[n-1].Media == nil && p.Media == nil && parts[n-1].Text != "" && p.Text != "" {
		p.Text = "\n\n" + p.Text
	}
	return append(parts, p)
}

// part reads a block of what a user or a tool shows.
func part(r *wire.Reader, kind string, b *wire.Object) chat.Part {
	switch kind {
	case "text":
		if !b.Has("text") {
			r.Invalid(b.At("text"), "the block has no text")
		}
		return chat.Part{Text: b.Text("text")}
	case "image":
		return chat.Part{Media: picture(r, b)}
	case "document":
		return chat.Part{Text: document(r, b)}
	case "search_result":
		title, source := b.Text("title"), b.Text("source")
		v, _ := b.Take("content")
		var text strings.Builder
		fmt.Fprintf(&text, "[%s](%s)\n", title, source)
		if v != nil {
			for _, p := range texts(r, b.At("content"), v) {
				text.WriteString(p.Text)
			}
		}
		return chat.Part{Text: text.String()}
	}
	r.Unsupported(b.At("type"), fmt.Sprintf("a block of type %q cannot be read here", wire.Short(kind)), "send text, images or tool results")
	return chat.Part{}
}

// source opens where a picture or a document comes from.
func source(r *wire.Reader, b *wire.Object) (s *wire.Object, kind string) {
	v, ok := b.Take("source")
	if !ok {
		r.Invalid(b.At("source"), "the field is missing")
		return r.Object(b.At("source"), wire.Value("{}")), ""
	}
	s = r.Object(b.At("source"), v)
	return s, s.Text("type")
}

func picture(r *wire.Reader, b *wire.Object) *llm.Media {
	s, kind := source(r, b)
	switch {
	case r.Err != nil:
		return nil
	case kind != "base64":
		r.Unsupported(s.At("type"), "pictures are not fetched from elsewhere", "send the picture itself, in base64")
		return nil
	}
	mime := s.Text("media_type")
	if !strings.HasPrefix(mime, "image/") {
		r.Invalid(s.At("media_type"), "%q is no type of picture", wire.Short(mime))
		return nil
	}
	return s.Media(s.At("data"), mime, s.Text("data"))
}

func document(r *wire.Reader, b *wire.Object) string {
	s, kind := source(r, b)
	title := b.Text("title")
	about := b.Text("context")
	text := ""
	switch kind {
	case "text":
		text = s.Text("data")
		s.Take("media_type")
	case "content":
		v, _ := s.Take("content")
		if v != nil {
			for _, p := range texts(r, s.At("content"), v) {
				text += p.Text
			}
		}
	default:
		r.Unsupported(s.At("type"), "only documents that are text can be read here", "send the document's text")
	}
	for _, head := range []string{about, title} {
		if head != "" {
			text = head + "\n\n" + text
		}
	}
	return text
}

// result reads what a tool has answered.
func (q *Request) result(r *wire.Reader, place string, b *wire.Object) {
	m := chat.Message{Role: chat.Tool, ToolCallID: b.Bounded("tool_use_id", limits.NameBytes)}
	if m.ToolCallID == "" {
		r.Invalid(b.At("tool_use_id"), "the field is missing")
	}
	if v, ok := b.Take("content"); ok {
		blocks(r, b.At("content"), v, func(kind string, b *wire.Object) {
			m.Parts = behind(m.Parts, part(r, kind, b))
		})
	}
	if b.IsSet("is_error") {
		m.Parts = append([]chat.Part{{Text: "Error: "}}, m.Parts...)
	}
	q.add(place, m)
}

// assistant reads an earlier reply: thoughts, text and calls.
func (q *Request) assistant(r *wire.Reader, place, path string, v wire.Value) {
	m := chat.Message{Role: chat.Assistant}
	blocks(r, path, v, func(kind string, b *wire.Object) {
		switch kind {
		case "text":
			m.Parts = behind(m.Parts, chat.Part{Text: b.Text("text")})
		case "thinking":
			m.Reasoning += b.Text("thinking")
			b.Take("signature")
		case "redacted_thinking": // sealed by another server: nobody here can read it
			b.Take("data")
			r.Ignore(b.At("type"))
		case "tool_use":
			input, ok := b.Take("input")
			if !ok {
				input = wire.Value("{}")
			} else if input.Kind() != '{' {
				r.Invalid(b.At("input"), "must be an object, not %s", input.What())
			}
			call := chat.ToolCall{ID: b.Bounded("id", limits.NameBytes), Name: b.Bounded("name", limits.NameBytes), Arguments: string(input)}
			if call.Name == "" {
				r.Invalid(b.At("name"), "the field is missing")
			}
			b.Take("caller")
			m.ToolCalls = append(m.ToolCalls, call)
		default:
			r.Unsupported(b.At("type"), fmt.Sprintf("a block of type %q cannot be read here", wire.Short(kind)), "send text, thinking or tool_use")
		}
	})
	if m.Parts == nil && m.ToolCalls == nil && m.Reasoning == "" {
		m.Parts = []chat.Part{{}}
	}
	q.add(place, m)
}

func (q *Request) tools(o *wire.Object) {
	c := &q.Conversation
	if v, ok := o.Take("tools"); ok {
		o.List("tools", v, limits.Tools, func(path string, v wire.Value) {
			t := o.Object(path, v)
			if kind := t.Text("type"); kind != "" && kind != "custom" {
				o.Unsupported(t.At("type"), fmt.Sprintf("the server has no tool of type %q", wire.Short(kind)), "describe the tool by name, description and input_schema")
				return
			}
			spec := chat.ToolSpec{Name: t.Bounded("name", limits.NameBytes), Description: t.Text("description")}
			if spec.Name == "" {
				o.Invalid(t.At("name"), "the field is missing")
			}
			if v, ok := t.Take("input_schema"); ok {
				if v.Kind() != '{' {
					o.Invalid(t.At("input_schema"), "must be an object, not %s", v.What())
				}
				spec.Parameters = json.RawMessage(v)
			}
			spec.Strict = t.IsSet("strict")
			spec.Raw = wire.Function(spec.Name, spec.Description, spec.Parameters, spec.Strict)
			for _, name := range []string{"cache_control", "eager_input_streaming", "input_examples", "defer_loading", "allowed_callers"} {
				t.Take(name)
			}
			t.Rest(unknown(t))
			c.Tools = append(c.Tools, spec)
		})
	}
	v, ok := o.Take("tool_choice")
	if !ok {
		return
	}
	choice := o.Object("tool_choice", v)
	c.Choice.Single = choice.IsSet("disable_parallel_tool_use")
	switch kind := choice.Text("type"); kind {
	case "auto":
	case "none":
		c.Choice.Mode = chat.ToolNone
	case "any":
		c.Choice.Mode = chat.ToolRequired
	case "tool":
		c.Choice.Mode, c.Choice.Name = chat.ToolNamed, choice.Text("name")
	default:
		o.Invalid("tool_choice.type", "%q is none of auto, any, tool and none", wire.Short(kind))
	}
	demanded := c.Choice.Mode == chat.ToolRequired || c.Choice.Mode == chat.ToolNamed
	if demanded && len(c.Tools) == 0 {
		o.Invalid("tool_choice", "a tool is to be called, and there are none")
	}
	if c.Choice.Mode == chat.ToolNamed {
		for _, t := range c.Tools {
			if t.Name == c.Choice.Name {
				return
			}
		}
		o.Invalid("tool_choice.name", "there is no tool %q", wire.Short(c.Choice.Name))
	}
}

// thinking reads whether the model is to think, and what holds its answer.
func (q *Request) thinking(o *wire.Object) {
	if v, ok := o.Take("thinking"); ok {
		t := o.Object("thinking", v)
		switch kind := t.Text("type"); kind {
		case "enabled", "adaptive":
			q.argument("enable_thinking", "true")
		case "disabled":
			q.argument("enable_thinking", "false")
		default:
			o.Invalid("thinking.type", "%q is none of enabled, adaptive and disabled", wire.Short(kind))
		}
		if _, there := t.Take("budget_tokens"); there {
			o.Ignore("thinking.budget_tokens")
		}
		t.Take("display")
	}
	format, path, ok := wire.Value(nil), "output_format", false
	if format, ok = o.Take(path); !ok {
		if v, there := o.Take("output_config"); there {
			c := o.Object("output_config", v)
			path = c.At("format")
			format, ok = c.Take("format")
			if effort := c.Text("effort"); effort != "" {
				q.argument("reasoning_effort", string(wire.Encode(effort)))
			}
			c.Rest(unknown(c))
		}
	}
	if ok {
		q.Params.Constraint = o.ResponseFormat(path, format)
	}
}

// argument sets an argument of the model's chat template.
func (q *Request) argument(name, value string) {
	l := &q.Conversation.Layout
	if l.Arguments == nil {
		l.Arguments = map[string]json.RawMessage{}
	}
	l.Arguments[name] = json.RawMessage(value)
}
