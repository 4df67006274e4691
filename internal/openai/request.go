package openai

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/roleplay"
	"parley/internal/wire"
	"parley/llm"
)

// A Request is what a client asks of a model, in our own words.
type Request struct {
	Model string // as the client wrote it; "" if it did not say
	User  string

	Params       llm.Params
	Choices      int  // answers to each prompt; at least 1
	BestOf       int  // of a completion: of so many answers to each prompt the likeliest are wanted; at least Choices
	Stream       bool // chunks rather than a whole answer
	IncludeUsage bool // a stream ends with a chunk that counts tokens
	Progress     bool // a stream tells how much of the prompt has been read
	WantReport   bool // the answer carries an object "parley"

	// Report lists the fields that were not carried out.
	Report llm.Report

	Preset string // name of sampling parameters that go before those of the request; "" is none

	Conversation chat.Conversation // of a chat completion
	Setting      roleplay.Setting  // how it is laid out, if not in the model's chat format alone
	Prompts      []llm.Prompt      // of a completion
	Echo         bool              // of a completion: the text begins with the prompt
	Session      string            // of a chat completion: the id of the session in which it is the next message
	Speaker      string            // and who of a company answers, by id or name
	Suffix       string            // of a completion: what follows the gap behind the prompt; "": there is no gap
}

// ParseChat reads the body of a chat completion.
func ParseChat(body []byte) (*Request, error) {
	return parseRequest(body, func(o *wire.Object, q *Request) {
		if v, ok := o.Take("messages"); ok {
			q.Conversation.Messages = readMessages(o.Reader, o.At("messages"), v)
		} else {
			hint := "send a list of messages, each with a role and content"
			if o.Has("prompt") {
				hint = "send a prompt to /v1/completions, or a list of messages here"
			}
			o.Fail(&llm.Error{Code: llm.Invalid, Field: "messages", Message: "the field is missing", Hint: hint})
		}
		q.Conversation.Tools, q.Conversation.Choice = ReadTools(o)
		readContinuation(o, q)
		readLayout(o, q)
		q.Setting = o.Roleplay(roleplay.Instruct)
		q.Params.LogProbs = o.ChatLogProbs()
		q.Params.Prediction = readPrediction(o)
		if q.BestOf != q.Choices {
			o.Unsupported("best_of", "a reply is not chosen from several", "ask for n answers and choose among them")
		}
	})
}

// readPrediction reads what a client expects the output to be.
func readPrediction(o *wire.Object) string {
	v, ok := o.Take("prediction")
	if !ok || v.Kind() == 'n' {
		return ""
	}
	path := o.At("prediction")
	p := o.Object(path, v)
	if kind := p.Text("type"); kind != "content" {
		p.Invalid(p.At("type"), "%q is not content, the one kind of prediction", kind)
		return ""
	}
	content, ok := p.Take("content")
	if !ok {
		p.Invalid(p.At("content"), "the prediction has no content")
		return ""
	}
	var text strings.Builder
	for _, part := range ReadContent(o.Reader, p.At("content"), content) {
		if part.Media != nil {
			p.Invalid(p.At("content"), "a prediction is text")
		}
		text.WriteString(part.Text)
	}
	return text.String()
}

// ParseCompletion reads the body of a completion.
func ParseCompletion(body []byte) (*Request, error) {
	return parseRequest(body, func(o *wire.Object, q *Request) {
		if v, ok := o.Take("prompt"); ok {
			q.Prompts = readPrompts(o, "prompt", v, limits.PromptsPerCall)
		} else {
			hint := "send a string, a list of strings or token ids"
			if o.Has("messages") {
				hint = "send messages to /v1/chat/completions, or a prompt here"
			}
			o.Fail(&llm.Error{Code: llm.Invalid, Field: "prompt", Message: "the field is missing", Hint: hint})
		}
		q.Echo = o.IsSet("echo")
		q.Suffix = o.Text("suffix")
		q.Params.LogProbs, _ = o.Integer(limits.LogProbs, "logprobs")
		if q.Echo && q.Params.LogProbs != nil && q.Suffix != "" {
			o.Unsupported("echo", "how likely a text before a gap is is not told", "leave out logprobs, echo or suffix")
		}
		switch {
		case q.BestOf < q.Choices:
			o.Invalid("best_of", "%d answers cannot be chosen from %d", q.Choices, q.BestOf)
		case q.BestOf > q.Choices && q.Stream:
			o.Invalid("best_of", "which answers are the best is known when all have ended: they cannot be streamed")
		}
		if n := len(q.Prompts) * q.BestOf; n > limits.PromptsPerCall.Int() {
			o.Invalid("n", "%d prompts with %d answers each are more than the %d answers of one request (limit %s)",
				len(q.Prompts), q.BestOf, limits.PromptsPerCall.Int(), limits.PromptsPerCall.Name)
		}
	})
}

func parseRequest(body []byte, own func(*wire.Object, *Request)) (*Request, error) {
	o, err := wire.Body(body)
	if err != nil {
		return nil, err
	}
	q := &Request{Choices: 1}
	readService(o, q)
	o.Params(&q.Params)
	own(o, q)
	o.Rest(o.Leftover)
	if err := o.Checked(&q.Params); err != nil {
		return nil, err
	}
	q.Report = o.Report
	return q, nil
}

// readService reads what is about the request rather than about the answer.
func readService(o *wire.Object, q *Request) {
	q.Model = o.Bounded("model", limits.NameBytes)
	q.User = o.Bounded("user", limits.NameBytes)
	if q.Preset = o.Bounded("preset", limits.NameBytes); q.Preset == "None" { // text-generation-webui's word
		q.Preset = ""
	}
	q.Stream = o.IsSet("stream")
	if v, ok := o.Take("stream_options"); ok {
		so := o.Object("stream_options", v)
		q.IncludeUsage = so.IsSet("include_usage")
		q.Progress = so.IsSet("include_progress")
		so.Flag("include_obfuscation") // padding against eavesdroppers on a network: ours is none
		so.Rest(func(name string, v wire.Value) { o.Unknown(so.At(name), v) })
	}
	q.Progress = o.IsSet("return_progress") || q.Progress
	if n, _ := o.Integer(limits.Choices, "n"); n != nil {
		q.Choices = *n
	}
	q.BestOf = q.Choices
	if n, _ := o.Integer(limits.Choices, "best_of"); n != nil && *n > 1 {
		q.BestOf = *n
	}
}

// readContinuation reads the spellings of "go on with the assistant's last message".
func readContinuation(o *wire.Object, q *Request) {
	add := o.Flag("add_generation_prompt")
	v, path, ok := o.First([]string{"continue_final_message", "continue_"})
	if ok {
		switch {
		case v.Kind() == 't':
			q.Conversation.Continue = v.IsTrue()
		case v.Kind() == '"' && v.Text() == "content":
			q.Conversation.Continue = true
		case v.Kind() == '"' && v.Text() == "reasoning_content":
			o.Unsupported(path, "reasoning cannot be continued", "continue the content")
		default:
			o.Invalid(path, "must be true or false, not %s", v.What())
		}
	}
	if !q.Conversation.Continue {
		if add != nil && !*add {
			o.Unsupported("add_generation_prompt", "a reply needs a turn of its own unless the last message is continued",
				"add continue_final_message: true")
		}
		return
	}
	if add != nil && *add {
		o.Invalid("add_generation_prompt", "cannot be true together with %s", path)
	}
	if m := q.Conversation.Messages; len(m) > 0 && m[len(m)-1].Role != chat.Assistant {
		o.Invalid(path, "the last message is the %s's: only an assistant's can be continued", m[len(m)-1].Role)
	}
}

// reservedKwargs are the names that templates get from the server itself.
var reservedKwargs = map[string]bool{
	"messages": true, "tools": true, "documents": true, "bos_token": true, "eos_token": true,
	"add_generation_prompt": true, "continue_final_message": true, "tokenize": true, "chat_template": true,
}

// readLayout reads what a client may say about the form of the prompt.
func readLayout(o *wire.Object, q *Request) {
	layout := &q.Conversation.Layout
	if v, ok := o.Take("chat_template_kwargs"); ok {
		if err := limits.KwargsBytes.CheckInt(len(v)); err != nil {
			o.Invalid("chat_template_kwargs", "%v", err)
		}
		args := o.Object("chat_template_kwargs", v)
		args.Rest(func(name string, v wire.Value) {
			if reservedKwargs[name] {
				o.Invalid(args.At(name), "is given to templates by the server")
			}
			q.argument(name, v)
		})
	}
	if v, ok := o.Take("enable_thinking"); ok {
		q.argument("enable_thinking", v)
	}
	if v, ok := o.Take("reasoning_effort"); ok {
		readEffort(o, q, "reasoning_effort", v)
	}
	layout.Template = o.Text("chat_template")
	if err := limits.TemplateBytes.CheckInt(len(layout.Template)); err != nil && layout.Template != "" {
		o.Invalid("chat_template", "%v", err)
	}
	if v, ok := o.Take("documents"); ok {
		q.Conversation.Documents = readDocuments(o, "documents", v)
	}
	if v, ok := o.Take("parley"); ok {
		readOwn(o, q, v)
	}
}

// argument gives the model's template an argument, unless it has it already.
func (q *Request) argument(name string, v wire.Value) {
	layout := &q.Conversation.Layout
	if layout.Arguments == nil {
		layout.Arguments = map[string]json.RawMessage{}
	}
	if _, said := layout.Arguments[name]; !said {
		layout.Arguments[name] = json.RawMessage(v)
	}
}

// readEffort reads how long to think, as arguments of the model's template.
func readEffort(o *wire.Object, q *Request, path string, v wire.Value) {
	if o.TextOf(path, v) == "none" {
		q.argument("enable_thinking", wire.Value("false"))
	} else {
		q.argument("reasoning_effort", v)
	}
}

// readOwn reads our extension: true asks for the report, an object may say more.
func readOwn(o *wire.Object, q *Request, v wire.Value) {
	if v.Kind() == 't' {
		q.WantReport = v.IsTrue()
		return
	}
	p := o.Object("parley", v)
	q.WantReport = true
	if report := p.Flag("report"); report != nil {
		q.WantReport = *report
	}
	q.Session = p.Bounded("session", limits.ExternalIDBytes)
	if q.Speaker = p.Bounded("speaker", limits.NameBytes); q.Speaker != "" && q.Session == "" {
		o.Invalid("parley.speaker", "only in a session there is somebody to choose")
	}
	layout := &q.Conversation.Layout
	layout.Format = p.Bounded("format", limits.NameBytes)
	layout.Markup = p.Text("format_toml")
	if err := limits.FormatFileBytes.CheckInt(len(layout.Markup)); err != nil {
		o.Invalid("parley.format_toml", "%v", err)
	}
	layout.Policy = p.Bounded("policy", limits.NameBytes)
	switch media := p.Text("media"); media {
	case "", "refuse":
	case string(chat.MediaPlaceholder):
		layout.Media = chat.MediaPlaceholder
	default:
		o.Invalid("parley.media", "%q is none of refuse, placeholder", wire.Short(media))
	}
	layout.Note = p.Bounded("note", limits.NoteBytes)
	if note := layout.Note; note != "" && strings.Count(note, "{text}") != 1 {
		o.Invalid("parley.note", "must hold {text} once, where the message's text goes")
	}
	switch names := chat.NamesPolicy(p.Text("names")); names {
	case chat.NamesDefault, chat.NamesField, chat.NamesPrefix, chat.NamesNone:
		layout.Names = names
	default:
		o.Invalid("parley.names", "%q is none of field, prefix, none", wire.Short(string(names)))
	}
	switch fit := chat.FitPolicy(p.Text("fit")); fit {
	case chat.FitDefault, chat.FitRefuse, chat.FitDropOldest:
		layout.Fit = fit
	default:
		o.Invalid("parley.fit", "%q is none of refuse, drop_oldest", wire.Short(string(fit)))
	}
	layout.StopInReasoning = p.Flag("stop_in_reasoning")
	if auto := p.Flag("auto_stops"); auto != nil {
		layout.NoAutoStops = !*auto
	}
	layout.StopNames = p.IsSet("stop_names")
	p.Rest(func(name string, _ wire.Value) {
		o.Invalid(p.At(wire.Short(name)), "there is no such field; there are report, session, speaker, format, format_toml, policy, names, note, media, fit, stop_in_reasoning, auto_stops and stop_names")
	})
}

func readDocuments(o *wire.Object, path string, v wire.Value) (docs []chat.Document) {
	o.List(path, v, limits.Messages, func(path string, v wire.Value) {
		if v.Kind() == '"' {
			docs = append(docs, chat.Document{Text: v.Text(), Raw: json.RawMessage(v)})
			return
		}
		d := o.Object(path, v)
		docs = append(docs, chat.Document{
			Title: d.Text("title"), Text: d.Text("text", "content", "contents"), Raw: json.RawMessage(v),
		})
	})
	return docs
}

// readPrompts reads a string, a list of strings, a list of token ids or a list of
// lists of token ids, at most as many as a limit allows.
func readPrompts(o *wire.Object, path string, v wire.Value, most *limits.Limit) (prompts []llm.Prompt) {
	if v.Kind() == '"' {
		return []llm.Prompt{llm.Text(v.Text())}
	}
	if first, ok := v.Element(); ok && first.Kind() == '0' {
		return []llm.Prompt{llm.Tokens(readIDs(o, path, v))}
	}
	o.List(path, v, most, func(path string, v wire.Value) {
		var p llm.Prompt
		switch v.Kind() {
		case '"':
			p = llm.Text(v.Text())
		case '[':
			p = llm.Tokens(readIDs(o, path, v))
		default:
			o.Invalid(path, "must be a string or a list of token ids, not %s", v.What())
			return
		}
		p.Segments[0].Source.Index = len(prompts)
		prompts = append(prompts, p)
	})
	if len(prompts) == 0 {
		o.Invalid(path, "the list is empty")
	}
	return prompts
}

// readIDs reads token ids; whether the model has them is for the model to say.
func readIDs(o *wire.Object, path string, v wire.Value) (ids []int) {
	for i, e := range v.Elements() {
		id, err := strconv.ParseInt(string(e), 10, 32)
		if err != nil || id < 0 {
			o.Invalid(fmt.Sprintf("%s[%d]", path, i), "%s is no token id", wire.Short(string(e)))
			return nil
		}
		if i == limits.Context.Int() {
			o.Invalid(path, "%v", limits.Context.CheckInt(i+1))
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
	o, err := wire.Body(body)
	if err != nil {
		return nil, err
	}
	t := &Tokenize{Model: o.Bounded("model", limits.NameBytes), Special: o.IsSet("special"), BOS: o.IsSet("bos")}
	text, isText := o.Take("text")
	ids, isIDs := o.Take("tokens")
	switch {
	case isText == isIDs:
		o.Invalid("text", "send either text or tokens")
	case isText:
		t.Text = o.TextOf("text", text)
	case ids.Kind() != '[':
		o.Invalid("tokens", "must be a list of token ids, not %s", ids.What())
	default:
		t.Tokens = append([]int{}, readIDs(o, "tokens", ids)...)
	}
	o.Rest(func(name string, _ wire.Value) {
		o.Invalid(wire.Short(name), "there is no such field; there are model, text, tokens, special and bos")
	})
	return t, o.Err
}
