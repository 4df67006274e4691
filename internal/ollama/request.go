package ollama

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// A Request is what a client asks, in our own words.
type Request struct {
	Model  string // without the tag "latest"
	Stream bool   // true unless the client says otherwise
	Params llm.Params
	Report llm.Report

	// Conversation is to be answered; Raw, where it is not nil, is to be
	// continued instead. Neither, and the model is only to be loaded, or to be
	// unloaded where Unload is set.
	Conversation chat.Conversation
	Raw          *llm.Prompt
	Suffix       string // what follows the gap behind Raw; "": there is no gap
	Unload       bool

	// Generate says that the answer has the shape of /api/generate, and
	// Context are the tokens that stand before the conversation there.
	Generate bool
	Context  []int
}

// Idle reports whether there is nothing to answer: the model is to come or go.
func (q *Request) Idle() bool { return q.Raw == nil && len(q.Conversation.Messages) == 0 }

// ParseChat reads the body of /api/chat.
func ParseChat(body []byte) (*Request, error) {
	return parse(body, func(o *wire.Object, q *Request) {
		if v, ok := o.Take("messages"); ok {
			o.List("messages", v, limits.Messages, func(path string, v wire.Value) {
				q.Conversation.Messages = append(q.Conversation.Messages, message(o.Reader, path, v))
			})
		}
		if v, ok := o.Take("tools"); ok {
			o.List("tools", v, limits.Tools, func(path string, v wire.Value) {
				q.Conversation.Tools = append(q.Conversation.Tools, tool(o.Reader, path, v))
			})
		}
	})
}

// ParseGenerate reads the body of /api/generate. A prompt is a user's message
// under the model's chat format, unless it is raw.
func ParseGenerate(body []byte) (*Request, error) {
	return parse(body, func(o *wire.Object, q *Request) {
		q.Generate = true
		prompt, system := o.Text("prompt"), o.Text("system")
		pictures := images(o)
		raw := o.IsSet("raw")
		q.Suffix = o.Text("suffix")
		if o.Text("template") != "" {
			o.Unsupported("template", "templates of Ollama's kind are not carried out here", "send raw: true and the prompt as the template makes it, or choose a format on the server")
		}
		if v, ok := o.Take("context"); ok {
			o.List("context", v, limits.MaxTokens, func(path string, v wire.Value) {
				if id, ok := o.Number(path, v, limits.TokenID); ok {
					q.Context = append(q.Context, int(id))
				}
			})
		}
		switch {
		case q.Suffix != "" && (system != "" || q.Context != nil || len(pictures) > 0):
			o.Invalid("suffix", "the gap between two texts is filled without system, context and images")
		case q.Suffix != "":
			p := llm.Text(prompt)
			q.Raw = &p
		case raw && (system != "" || q.Context != nil):
			o.Invalid("raw", "a raw prompt stands for itself, without system and context")
		case raw && len(pictures) > 0:
			o.Unsupported("images", "a raw prompt cannot have pictures", "send them without raw")
		case prompt == "" && len(pictures) == 0:
		case raw:
			p := llm.Text(prompt)
			q.Raw = &p
		default:
			if system != "" {
				q.Conversation.Messages = append(q.Conversation.Messages, chat.Say(chat.System, system))
			}
			m := chat.Say(chat.User, prompt)
			m.Parts = append(pictures, m.Parts...)
			q.Conversation.Messages = append(q.Conversation.Messages, m)
		}
	})
}

func parse(body []byte, own func(*wire.Object, *Request)) (*Request, error) {
	o, err := wire.Body(body)
	if err != nil {
		return nil, err
	}
	q := &Request{Model: Name(o.Bounded("model", limits.NameBytes)), Stream: true}
	if s := o.Flag("stream"); s != nil {
		q.Stream = *s
	}
	q.options(o)
	q.format(o)
	q.think(o)
	if o.IsSet("logprobs") {
		if q.Params.LogProbs, _ = o.Integer(limits.LogProbs, "top_logprobs"); q.Params.LogProbs == nil {
			q.Params.LogProbs = new(0)
		}
	}
	if keep, ok := keepAlive(o); ok {
		q.Unload = keep == 0
		if keep != 0 {
			o.Ignore("keep_alive")
		}
	}
	own(o, q)
	if q.Unload && !q.Idle() {
		o.Ignore("keep_alive") // the model goes when it is idle, or when another needs the room
		q.Unload = false
	}
	truncate, shift := o.Flag("truncate"), o.Flag("shift")
	if truncate == nil || *truncate {
		q.Conversation.Layout.Fit = chat.FitDropOldest
	}
	_ = shift // a context that is full ends the answer, whatever is said
	o.Rest(o.Unknown)
	if err := o.Checked(&q.Params); err != nil {
		return nil, err
	}
	q.Report = o.Report
	return q, nil
}

// Name is a model's name without the tag that stands for none.
func Name(name string) string { return strings.TrimSuffix(name, ":latest") }

// machine are options that say how to run a model, not what to answer.
var machine = []string{
	"num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "use_mlock", "numa", "low_vram", "f16_kv", "vocab_only", "num_ctx", "draft_num_predict",
}

func (q *Request) options(o *wire.Object) {
	v, ok := o.Take("options")
	if !ok {
		return
	}
	options := o.Object("options", v)
	n, _ := options.Integer(limits.OllamaPredict, "num_predict")
	options.Params(&q.Params)
	if n != nil && *n > 0 {
		q.Params.MaxTokens = n
	}
	for _, name := range machine {
		if v, ok := options.Take(name); ok && !v.Empty() {
			options.Ignore(options.At(name))
		}
	}
	if v, ok := options.Take("penalize_newline"); ok && v.IsTrue() {
		options.Ignore(options.At("penalize_newline"))
	}
	options.Rest(func(name string, v wire.Value) { options.Unknown(options.At(name), v) })
}

// format reads "json" or a schema.
func (q *Request) format(o *wire.Object) {
	v, ok := o.Take("format")
	switch {
	case !ok || v.Empty() && v.Kind() != '{':
	case v.Kind() == '{':
		q.Params.Constraint = &llm.Constraint{Kind: llm.ConstrainSchema, Source: string(v), Field: "format"}
	case v.Kind() == '"' && v.Text() == "json":
		q.Params.Constraint = &llm.Constraint{Kind: llm.ConstrainJSON, Field: "format"}
	default:
		o.Invalid("format", `must be "json" or a JSON schema`)
	}
}

// think reads whether the model is to think: true, false or how hard.
func (q *Request) think(o *wire.Object) {
	v, ok := o.Take("think")
	if !ok {
		return
	}
	l := &q.Conversation.Layout
	switch v.Kind() {
	case 't':
		l.Arguments = map[string]json.RawMessage{"enable_thinking": json.RawMessage(v)}
	case '"':
		l.Arguments = map[string]json.RawMessage{"enable_thinking": json.RawMessage("true"), "reasoning_effort": json.RawMessage(v)}
	default:
		o.Invalid("think", "must be true, false, or low, medium or high, not %s", v.What())
	}
}

// keepAlive reads a time such as "5m", or seconds; less than none is for ever.
func keepAlive(o *wire.Object) (keep time.Duration, ok bool) {
	v, ok := o.Take("keep_alive")
	if !ok {
		return 0, false
	}
	text := string(v)
	if v.Kind() == '"' {
		if d, err := time.ParseDuration(v.Text()); err == nil {
			return d, true
		}
		text = v.Text()
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		o.Invalid("keep_alive", `must be a time such as "5m", or a number of seconds`)
	}
	return time.Duration(seconds * float64(time.Second)), true
}

func message(r *wire.Reader, path string, v wire.Value) chat.Message {
	o := r.Object(path, v)
	m := chat.Message{Role: chat.Role(o.Text("role"))}
	if !m.Role.Valid() {
		r.Invalid(o.At("role"), "%q is none of system, user, assistant and tool", wire.Short(string(m.Role)))
	}
	m.Parts = images(o)
	if text := o.Text("content"); text != "" || len(m.Parts) == 0 {
		m.Parts = append(m.Parts, chat.Part{Text: text})
	}
	m.Reasoning = o.Text("thinking")
	if v, ok := o.Take("tool_calls"); ok {
		r.List(o.At("tool_calls"), v, limits.Tools, func(path string, v wire.Value) {
			call := r.Object(path, v)
			one := chat.ToolCall{ID: call.Bounded("id", limits.NameBytes)}
			call.Take("type")
			if f, ok := call.Take("function"); ok {
				function := r.Object(call.At("function"), f)
				one.Name, one.Arguments = function.Bounded("name", limits.NameBytes), "{}"
				if a, ok := function.Take("arguments"); ok {
					one.Arguments = string(a)
					if a.Kind() == '"' {
						one.Arguments = a.Text()
					}
				}
			}
			if one.Name == "" {
				r.Invalid(call.At("function.name"), "the field is missing")
			}
			m.ToolCalls = append(m.ToolCalls, one)
		})
	}
	m.ToolCallID = o.Bounded("tool_call_id", limits.NameBytes)
	if name := o.Bounded("tool_name", limits.NameBytes); name != "" && m.Role == chat.Tool {
		m.Name = name
	}
	o.Rest(func(name string, v wire.Value) { o.Unknown(o.At(name), v) })
	return m
}

// images reads pictures in base64, which say nothing of their type.
func images(o *wire.Object) (parts []chat.Part) {
	v, ok := o.Take("images")
	if !ok {
		return nil
	}
	o.List(o.At("images"), v, limits.Parts, func(path string, v wire.Value) {
		data := o.TextOf(path, v)
		if o.Err == nil {
			parts = append(parts, chat.Part{Media: o.Media(path, pictureType(data), data)})
		}
	})
	return parts
}

// pictureType knows a picture by how its base64 begins.
func pictureType(data string) string {
	for begin, mime := range map[string]string{"/9j/": "image/jpeg", "iVBOR": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp"} {
		if strings.HasPrefix(data, begin) {
			return mime
		}
	}
	return "image/png"
}

func tool(r *wire.Reader, path string, v wire.Value) chat.ToolSpec {
	o := r.Object(path, v)
	spec := chat.ToolSpec{Raw: json.RawMessage(v)}
	if kind := o.Text("type"); kind != "" && kind != "function" {
		r.Unsupported(o.At("type"), fmt.Sprintf("%q is no kind of tool here", wire.Short(kind)), "send functions")
	}
	f, ok := o.Take("function")
	if !ok {
		r.Invalid(o.At("function"), "the tool has no function")
		return spec
	}
	function := r.Object(o.At("function"), f)
	spec.Name, spec.Description = function.Bounded("name", limits.NameBytes), function.Text("description")
	if spec.Name == "" {
		r.Invalid(function.At("name"), "the function has no name")
	}
	if v, ok := function.Take("parameters"); ok {
		spec.Parameters = json.RawMessage(v)
	}
	return spec
}

// A Named is a request about a model by its name.
type Named struct {
	Model   string
	Verbose bool
	Stream  bool
}

// ParseNamed reads the body of /api/show, /api/pull and others like them.
func ParseNamed(body []byte) (Named, error) {
	o, err := wire.Body(body)
	if err != nil {
		return Named{}, err
	}
	n := Named{Verbose: o.IsSet("verbose"), Stream: true}
	if s := o.Flag("stream"); s != nil {
		n.Stream = *s
	}
	n.Model = Name(o.Text("model", "name"))
	if n.Model == "" && o.Err == nil {
		o.Invalid("model", "the field is missing")
	}
	return n, o.Err
}

// An Embed is a request for the vectors of texts.
type Embed struct {
	Model      string
	Inputs     []string
	Dimensions int  // 0: as many as the model has
	One        bool // of /api/embeddings, whose answer has one
	Report     llm.Report
}

// ParseEmbed reads the body of /api/embed, and of the older /api/embeddings.
func ParseEmbed(body []byte, one bool) (Embed, error) {
	o, err := wire.Body(body)
	if err != nil {
		return Embed{}, err
	}
	e := Embed{Model: Name(o.Bounded("model", limits.NameBytes)), One: one}
	name := "input"
	if one {
		name = "prompt"
	}
	v, ok := o.Take(name)
	switch {
	case !ok:
		o.Invalid(name, "the field is missing")
	case v.Kind() == '[':
		o.List(name, v, limits.Inputs, func(path string, v wire.Value) { e.Inputs = append(e.Inputs, o.TextOf(path, v)) })
	default:
		e.Inputs = []string{o.TextOf(name, v)}
	}
	if n, _ := o.Integer(limits.Dimensions, "dimensions"); n != nil {
		e.Dimensions = *n
	}
	for _, field := range []string{"options", "keep_alive"} {
		if v, ok := o.Take(field); ok && !v.Empty() {
			o.Ignore(field)
		}
	}
	o.Flag("truncate")
	o.Rest(o.Unknown)
	e.Report = o.Report
	return e, o.Err
}
