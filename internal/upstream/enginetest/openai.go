package enginetest

import (
	"fmt"
	"maps"
	"net/http"
	"time"

	"parley/llm"
)

// An openAI is what distinguishes one engine's routes in OpenAI's shapes.
type openAI struct {
	prefixes       []string // before /completions and so on
	complete, chat *dialect
	reasoning      string // the field of thoughts, where the engine takes them out of the text
	style          style
}

// A dialect is how one route takes and answers a request.
type dialect struct {
	known      []string   // fields
	strict     bool       // others are refused
	defaults   llm.Params // what a request leaves open
	ids        bool       // prompts may be lists of token ids
	mostStops  int        // more are refused; 0: any number
	dropsStops int        // more are dropped in silence; 0: none
	leaks      bool       // the text has the stop string that ended it
	whole      bool       // stream is refused
	deafWhole  bool       // does not notice a client that goes while it waits for a whole answer
	interrupts bool       // a request ends the streams that run, without a finish
	mute       bool       // never says why an answer ended
	slow       bool       // notices a client that goes only when it next writes
	cuts       bool       // shortens what is too long from the front, and says nothing
	named      bool       // the model's name must be right
	check      func(x *exchange) error
	layout     func(x *exchange, list []message) (llm.Prompt, error)
}

// A style is how an engine streams.
type style struct {
	eol     string // "" is "\n"
	role    roleStyle
	null    bool   // finish_reason is the string "null" until the end
	done    string // "" is "data: [DONE]" and a blank line
	usage   usageStyle
	noText  bool // the first chunk has no content
	pings   bool
	repeats bool // an answer that continues a message begins with that message
	chatted bool // logprobs have the shape of chats for completions, too
	nullUse bool // chunks before the one with the usage have "usage": null
	joined  bool // the finish reason comes with the last text
	mark    func(s step, chunk map[string]any, x *exchange)
}

type roleStyle uint8

const (
	roleFirst roleStyle = iota // a chunk of its own at the beginning
	roleEach                   // in every delta
)

type usageStyle uint8

const (
	usageAsked usageStyle = iota // where stream_options ask for it
	usageNever
	usageChoices // where asked, in the last chunk that has choices, for completions
)

// Fields that every engine in this shape knows.
const (
	chatFields     = "model messages stream max_tokens temperature top_p stop n seed presence_penalty frequency_penalty logit_bias logprobs top_logprobs user tools tool_choice response_format "
	completeFields = "model prompt stream max_tokens temperature top_p stop n seed presence_penalty frequency_penalty logit_bias logprobs echo suffix best_of user "
)

// mount answers on the routes.
func (o *openAI) mount(m *routes) {
	for _, prefix := range o.prefixes {
		if o.complete != nil {
			m.generate(prefix+"/completions", func(x *exchange) error { return o.serve(x, o.complete, false) })
		}
		if o.chat != nil {
			m.generate(prefix+"/chat/completions", func(x *exchange) error { return o.serve(x, o.chat, true) })
		}
	}
}

func (o *openAI) serve(x *exchange, d *dialect, chat bool) error {
	j, err := d.job(x, chat)
	if err != nil {
		return err
	}
	streamed, err := flag(x.req.Fields, "stream")
	if err != nil {
		return err
	}
	if streamed && d.whole {
		return refuse(400, "stream", "streaming is not supported")
	}
	j.deaf, j.slow = d.deafWhole && !streamed, d.slow
	r := &openAIReply{o: o, x: x, chat: chat, id: fmt.Sprintf("%s-%d", map[bool]string{true: "chatcmpl", false: "cmpl"}[chat], len(x.e.Requests()))}
	if list, err := messages(x.req.Fields); err == nil && chat && o.style.repeats && list[len(list)-1].role == "assistant" {
		r.before = list[len(list)-1].content
	}
	r.asks, _ = flag(x.req.Fields, "logprobs")
	if n, _ := integer(x.req.Fields, "logprobs"); n != nil {
		r.asks = true
	}
	r.d = d
	if d.interrupts {
		x.e.abortAll("")
	}
	if !streamed {
		return r.whole(j)
	}
	if d.interrupts && x.tooLong(j) {
		x.events().begin(0) // the stream has begun, and nothing comes
		return nil
	}
	return r.stream(j)
}

// tooLong reports whether a prompt does not fit.
func (x *exchange) tooLong(j job) bool {
	t, ok := x.e.o.Model.(llm.Tokenizer)
	if !ok {
		return false
	}
	tokens, err := t.Tokenize(x.r.Context(), j.prompt)
	return err == nil && len(tokens) >= x.e.o.Context
}

// job reads a request.
func (d *dialect) job(x *exchange, chat bool) (j job, err error) {
	f := x.req.Fields
	x.req.knows(d.known)
	if d.strict && len(x.req.Unknown) > 0 {
		return j, &refusal{status: 400, kind: "unknown", field: x.req.Unknown[0], message: "Unrecognized request argument supplied: " + x.req.Unknown[0]}
	}
	if d.named {
		if name, _ := text(f, "model"); name != x.e.o.Name {
			return j, &refusal{status: 404, kind: "model", field: "model", message: fmt.Sprintf("The model `%s` does not exist.", name)}
		}
	}
	if d.check != nil {
		if err := d.check(x); err != nil {
			return j, err
		}
	}
	if j.params, err = sampling(f, d.known, x.e.defaults(d.defaults)); err != nil {
		return j, err
	}
	if n, err := integer(f, "n"); err != nil || n != nil && *n != 1 {
		return j, refuse(400, "n", "Only one completion choice is allowed")
	}
	if j.stops, err = texts(f, "stop"); err != nil {
		return j, err
	}
	if d.mostStops > 0 && len(j.stops) > d.mostStops {
		return j, &refusal{status: 400, kind: "stops", field: "stop", message: fmt.Sprintf("`stop` supports up to %d stop sequences. Given: %d", d.mostStops, len(j.stops))}
	}
	if d.dropsStops > 0 {
		j.stops = j.stops[:min(len(j.stops), d.dropsStops)]
	}
	j.leaks = d.leaks
	if err := d.logprobs(f, chat, &j.params); err != nil {
		return j, err
	}
	if chat {
		var list []message
		if list, err = messages(f); err != nil {
			return j, err
		}
		j.prompt, err = d.layout(x, list)
	} else {
		j.prompt, err = d.prompt(x.e, f)
	}
	if err == nil && d.cuts {
		reply := 1
		if j.params.MaxTokens != nil {
			reply = *j.params.MaxTokens
		}
		j.prompt = x.e.shortened(j.prompt.String(), reply)
	}
	return j, err
}

func (d *dialect) prompt(e *Engine, f map[string]any) (llm.Prompt, error) {
	switch v := f["prompt"].(type) {
	case string:
		return e.prompt(v, true), nil
	case nil:
		return llm.Prompt{}, &refusal{status: 422, kind: "missing", field: "prompt", message: "Field required"}
	case []any:
		if list, ok := ids(v); ok && d.ids {
			return llm.Tokens(list), nil
		}
		if len(v) == 1 {
			if s, ok := v[0].(string); ok {
				return e.prompt(s, true), nil
			}
		}
	}
	return llm.Prompt{}, wrongType("prompt", "string")
}

func (d *dialect) logprobs(f map[string]any, chat bool, p *llm.Params) error {
	if !chat {
		n, err := integer(f, "logprobs")
		if n != nil {
			p.LogProbs = n
		}
		return err
	}
	ask, err := flag(f, "logprobs")
	if err != nil || !ask {
		return err
	}
	n, err := integer(f, "top_logprobs")
	if p.LogProbs = n; n == nil {
		p.LogProbs = new(0)
	}
	return err
}

// byTemplate lays a conversation out as engines do that render the model's
// template with what the request says.
func byTemplate(x *exchange, list []message) (llm.Prompt, error) {
	f := x.req.Fields
	open := true
	if v, said := f["add_generation_prompt"].(bool); said {
		open = v
	}
	final, _ := f["continue_final_message"].(bool)
	if final && open {
		return llm.Prompt{}, refuse(400, "continue_final_message", "Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
	}
	for _, m := range list {
		if m.hasMedia() {
			return llm.Prompt{}, refuse(400, "messages", "At most 0 image(s) may be provided in one prompt.")
		}
	}
	arguments, _ := f["chat_template_kwargs"].(map[string]any)
	if final && len(list) > 0 && list[len(list)-1].role == "assistant" {
		return prefilled(x.e, list, arguments)
	}
	s, err := render(x.e.o.Template, list, open, arguments)
	return llm.Text(s), err
}

// prefilled renders all but the last message, opens the reply and lets it begin
// with that message.
func prefilled(e *Engine, list []message, arguments map[string]any) (llm.Prompt, error) {
	last := list[len(list)-1]
	s, err := render(e.o.Template, list[:len(list)-1], true, arguments)
	return llm.Text(s + last.content), err
}

// openAIError is OpenAI's own shape.
func openAIError(w http.ResponseWriter, f refusal) {
	kind, code := "invalid_request_error", any(nil)
	switch f.kind {
	case "too_long":
		code = "context_length_exceeded"
	case "model":
		code = "model_not_found"
	case "authentication_error":
		code = "invalid_api_key"
	}
	if f.status == 422 {
		f.status = 400
	}
	if f.status >= 500 {
		kind = "server_error"
	}
	var param any
	if f.field != "" {
		param = f.field
	}
	writeJSON(w, f.status, map[string]any{"error": map[string]any{"message": f.message, "type": kind, "param": param, "code": code}})
}

// validation is FastAPI's answer to a body of the wrong form.
func validation(w http.ResponseWriter, f refusal) {
	writeJSON(w, 422, map[string]any{"detail": []any{map[string]any{
		"type": f.kind, "loc": []any{"body", f.field}, "msg": f.message, "input": nil,
	}}})
}

// invalid reports whether a refusal is one that FastAPI makes before the
// engine's own code sees the request.
func (f refusal) invalid() bool { return f.status == 422 || f.kind == "json" }

// fastAPI404 is what FastAPI answers on a path that is not there.
func fastAPI404(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, 404, map[string]any{"detail": "Not Found"})
}

func models(e *Engine, ownedBy string, more map[string]any) func(*http.Request) any {
	return func(*http.Request) any {
		m := map[string]any{"id": e.o.Name, "object": "model", "created": time.Now().Unix(), "owned_by": ownedBy}
		maps.Copy(m, more)
		return map[string]any{"object": "list", "data": []any{m}}
	}
}
