package openai

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// A Request is what a client asks of a model, in our own words.
type Request struct {
	Model string // as the client wrote it; "" if it did not say
	User  string

	Params       llm.Params
	Choices      int  // answers to each prompt; at least 1
	Stream       bool // chunks rather than a whole answer
	IncludeUsage bool // a stream ends with a chunk that counts tokens
	WantReport   bool // the answer carries an object "parley"

	// Report lists the fields that were not carried out.
	Report llm.Report

	Conversation chat.Conversation // of a chat completion
	Prompts      []llm.Prompt      // of a completion
	Echo         bool              // of a completion: the text begins with the prompt
}

// ParseChat reads the body of a chat completion.
func ParseChat(body []byte) (*Request, error) {
	return parseRequest(body, func(o *object, q *Request) {
		if v, ok := o.take("messages"); ok {
			q.Conversation.Messages = o.messages(o.at("messages"), v)
		} else {
			hint := "send a list of messages, each with a role and content"
			if _, prompt := o.fields["prompt"]; prompt {
				hint = "send a prompt to /v1/completions, or a list of messages here"
			}
			o.fail(&llm.Error{Code: llm.Invalid, Field: "messages", Message: "the field is missing", Hint: hint})
		}
		o.tools(q)
		o.continuation(q)
		o.layout(q)
		q.Params.LogProbs = o.chatLogProbs()
	})
}

// ParseCompletion reads the body of a completion.
func ParseCompletion(body []byte) (*Request, error) {
	return parseRequest(body, func(o *object, q *Request) {
		if v, ok := o.take("prompt"); ok {
			q.Prompts = o.prompts("prompt", v)
		} else {
			hint := "send a string, a list of strings or token ids"
			if _, messages := o.fields["messages"]; messages {
				hint = "send messages to /v1/chat/completions, or a prompt here"
			}
			o.fail(&llm.Error{Code: llm.Invalid, Field: "prompt", Message: "the field is missing", Hint: hint})
		}
		q.Echo = o.isSet("echo")
		q.Params.LogProbs, _ = o.integer(limits.LogProbs, "logprobs")
		if q.Echo && q.Params.LogProbs != nil {
			o.unsupported("echo", "the probabilities of the prompt's own tokens are not known", "leave out logprobs or echo")
		}
		if n := len(q.Prompts) * q.Choices; n > limits.PromptsPerCall.Int() {
			o.invalid("n", "%d prompts with %d answers each are more than the %d answers of one request (limit %s)",
				len(q.Prompts), q.Choices, limits.PromptsPerCall.Int(), limits.PromptsPerCall.Name)
		}
	})
}

func parseRequest(body []byte, own func(*object, *Request)) (*Request, error) {
	v, err := parse(body)
	if err != nil {
		return nil, err
	}
	r := &reader{}
	if v.kind() != '{' {
		r.invalid("", "the body must be a JSON object, not %s", v.what())
		return nil, r.err
	}
	o := r.object("", v)
	q := &Request{Choices: 1}
	o.service(q)
	o.params(&q.Params)
	own(o, q)
	o.rest(o.leftover)
	if r.err == nil {
		if err := q.Params.Check(); err != nil {
			return nil, err
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	q.Report = r.report
	return q, nil
}

// service reads what is about the request rather than about the answer.
func (o *object) service(q *Request) {
	q.Model = o.short("model", limits.NameBytes)
	q.User = o.short("user", limits.NameBytes)
	q.Stream = o.isSet("stream")
	if v, ok := o.take("stream_options"); ok {
		so := o.object("stream_options", v)
		q.IncludeUsage = so.isSet("include_usage")
		so.flag("include_obfuscation") // padding against eavesdroppers on a network: ours is none
		so.rest(func(name string, v value) { o.unknown(so.at(name), v) })
	}
	if n, _ := o.integer(limits.Choices, "n"); n != nil {
		q.Choices = *n
	}
	if v, ok := o.take("best_of"); ok && !isNumber(v, 1, float64(q.Choices)) {
		o.unsupported("best_of", "answers cannot be chosen from a larger number", "ask for n answers and choose among them")
	}
}

// short takes a string of bounded length.
func (o *object) short(name string, l *limits.Limit) string {
	s := o.text(name)
	if err := l.CheckInt(len(s)); err != nil {
		o.invalid(o.at(name), "%v", err)
	}
	return s
}

// continuation reads the spellings of "go on with the assistant's last message".
func (o *object) continuation(q *Request) {
	add := o.flag("add_generation_prompt")
	v, path, ok := o.first([]string{"continue_final_message", "continue_"})
	if ok {
		switch {
		case v.kind() == 't':
			q.Conversation.Continue = v.isTrue()
		case v.kind() == '"' && v.text() == "content":
			q.Conversation.Continue = true
		case v.kind() == '"' && v.text() == "reasoning_content":
			o.unsupported(path, "reasoning cannot be continued", "continue the content")
		default:
			o.invalid(path, "must be true or false, not %s", v.what())
		}
	}
	if !q.Conversation.Continue {
		if add != nil && !*add {
			o.unsupported("add_generation_prompt", "a reply needs a turn of its own unless the last message is continued",
				"add continue_final_message: true")
		}
		return
	}
	if add != nil && *add {
		o.invalid("add_generation_prompt", "cannot be true together with %s", path)
	}
	if m := q.Conversation.Messages; len(m) > 0 && m[len(m)-1].Role != chat.Assistant {
		o.invalid(path, "the last message is the %s's: only an assistant's can be continued", m[len(m)-1].Role)
	}
}

// reservedKwargs are the names that templates get from the server itself.
var reservedKwargs = map[string]bool{
	"messages": true, "tools": true, "documents": true, "bos_token": true, "eos_token": true,
	"add_generation_prompt": true, "continue_final_message": true, "tokenize": true, "chat_template": true,
}

// layout reads what a client may say about the form of the prompt.
func (o *object) layout(q *Request) {
	layout := &q.Conversation.Layout
	argument := func(name string, v value) {
		if layout.Arguments == nil {
			layout.Arguments = map[string]json.RawMessage{}
		}
		if _, said := layout.Arguments[name]; !said {
			layout.Arguments[name] = json.RawMessage(v)
		}
	}
	if v, ok := o.take("chat_template_kwargs"); ok {
		if err := limits.KwargsBytes.CheckInt(len(v)); err != nil {
			o.invalid("chat_template_kwargs", "%v", err)
		}
		args := o.object("chat_template_kwargs", v)
		args.rest(func(name string, v value) {
			if reservedKwargs[name] {
				o.invalid(args.at(name), "is given to templates by the server")
			}
			argument(name, v)
		})
	}
	if v, ok := o.take("enable_thinking"); ok {
		argument("enable_thinking", v)
	}
	if v, ok := o.take("reasoning_effort"); ok {
		if o.textOf("reasoning_effort", v) == "none" {
			argument("enable_thinking", value("false"))
		} else {
			argument("reasoning_effort", v)
		}
	}
	layout.Template = o.text("chat_template")
	if err := limits.TemplateBytes.CheckInt(len(layout.Template)); err != nil && layout.Template != "" {
		o.invalid("chat_template", "%v", err)
	}
	if v, ok := o.take("documents"); ok {
		q.Conversation.Documents = o.documents("documents", v)
	}
	if v, ok := o.take("parley"); ok {
		o.own(q, v)
	}
}

// own reads our extension: true asks for the report, an object may say more.
func (o *object) own(q *Request, v value) {
	if v.kind() == 't' {
		q.WantReport = v.isTrue()
		return
	}
	p := o.object("parley", v)
	q.WantReport = true
	if report := p.flag("report"); report != nil {
		q.WantReport = *report
	}
	layout := &q.Conversation.Layout
	layout.Format = p.short("format", limits.NameBytes)
	layout.Markup = p.text("format_toml")
	if err := limits.FormatFileBytes.CheckInt(len(layout.Markup)); err != nil {
		o.invalid("parley.format_toml", "%v", err)
	}
	layout.Policy = p.short("policy", limits.NameBytes)
	switch media := p.text("media"); media {
	case "", "refuse":
	case string(chat.MediaPlaceholder):
		layout.Media = chat.MediaPlaceholder
	default:
		o.invalid("parley.media", "%q is none of refuse, placeholder", short(media))
	}
	layout.Note = p.short("note", limits.NoteBytes)
	if note := layout.Note; note != "" && strings.Count(note, "{text}") != 1 {
		o.invalid("parley.note", "must hold {text} once, where the message's text goes")
	}
	switch names := chat.NamesPolicy(p.text("names")); names {
	case chat.NamesDefault, chat.NamesField, chat.NamesPrefix, chat.NamesNone:
		layout.Names = names
	default:
		o.invalid("parley.names", "%q is none of field, prefix, none", short(string(names)))
	}
	switch fit := chat.FitPolicy(p.text("fit")); fit {
	case chat.FitDefault, chat.FitRefuse, chat.FitDropOldest:
		layout.Fit = fit
	default:
		o.invalid("parley.fit", "%q is none of refuse, drop_oldest", short(string(fit)))
	}
	layout.StopInReasoning = p.flag("stop_in_reasoning")
	p.rest(func(name string, _ value) {
		o.invalid(p.at(short(name)), "there is no such field; there are report, format, format_toml, policy, names, note, media, fit and stop_in_reasoning")
	})
}

func (o *object) documents(path string, v value) (docs []chat.Document) {
	o.list(path, v, limits.Messages, func(path string, v value) {
		if v.kind() == '"' {
			docs = append(docs, chat.Document{Text: v.text(), Raw: json.RawMessage(v)})
			return
		}
		d := o.object(path, v)
		docs = append(docs, chat.Document{
			Title: d.text("title"), Text: d.text("text", "content", "contents"), Raw: json.RawMessage(v),
		})
	})
	return docs
}

// prompts reads a string, a list of strings, a list of token ids or a list of
// lists of token ids.
func (o *object) prompts(path string, v value) (prompts []llm.Prompt) {
	if v.kind() == '"' {
		return []llm.Prompt{llm.Text(v.text())}
	}
	if v.kind() == '[' && !v.empty() && v[next(v, 1):].kind() == '0' {
		return []llm.Prompt{llm.Tokens(o.ids(path, v))}
	}
	o.list(path, v, limits.PromptsPerCall, func(path string, v value) {
		var p llm.Prompt
		switch v.kind() {
		case '"':
			p = llm.Text(v.text())
		case '[':
			p = llm.Tokens(o.ids(path, v))
		default:
			o.invalid(path, "must be a string or a list of token ids, not %s", v.what())
			return
		}
		p.Segments[0].Source.Index = len(prompts)
		prompts = append(prompts, p)
	})
	if len(prompts) == 0 {
		o.invalid(path, "the list is empty")
	}
	return prompts
}

// ids reads token ids; whether the model has them is for the model to say.
func (o *object) ids(path string, v value) (ids []int) {
	for i, e := range v.elements() {
		id, err := strconv.ParseInt(string(e), 10, 32)
		if err != nil || id < 0 {
			o.invalid(fmt.Sprintf("%s[%d]", path, i), "%s is no token id", short(string(e)))
			return nil
		}
		if i == limits.Context.Int() {
			o.invalid(path, "%v", limits.Context.CheckInt(i+1))
			return nil
		}
		ids = append(ids, int(id))
	}
	return ids
}

// Tokenize is the body of a request to show tokens: Text, or Tokens if they
// are not nil. It is Parley's own, read with the same care.
type Tokenize struct {
	Model   string
	Text    string
	Tokens  []int
	Special bool // control tokens may match
	BOS     bool // with the token that the model puts before a text
}

// ParseTokenize reads the body of a request to show tokens. It is strict: the
// dialect has no history.
func ParseTokenize(body []byte) (*Tokenize, error) {
	v, err := parse(body)
	if err != nil {
		return nil, err
	}
	r := &reader{}
	o := r.object("", v)
	t := &Tokenize{Model: o.short("model", limits.NameBytes), Special: o.isSet("special"), BOS: o.isSet("bos")}
	text, isText := o.take("text")
	ids, isIDs := o.take("tokens")
	switch {
	case isText == isIDs:
		r.invalid("text", "send either text or tokens")
	case isText:
		t.Text = r.textOf("text", text)
	case ids.kind() != '[':
		r.invalid("tokens", "must be a list of token ids, not %s", ids.what())
	default:
		t.Tokens = append([]int{}, o.ids("tokens", ids)...)
	}
	o.rest(func(name string, _ value) {
		r.invalid(short(name), "there is no such field; there are model, text, tokens, special and bos")
	})
	return t, r.err
}
