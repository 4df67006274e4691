package chatformat

import (
	"encoding/json"
	"fmt"
	"slices"

	"parley/chat"
	"parley/internal/jinja"
	"parley/llm"
)

// labels number the runs that a render is given, so that what comes out can be
// mapped back. 0 is the template itself.
type labels struct {
	runs []run
}

func (l *labels) label(r run) jinja.Origin {
	if r.ours {
		return jinja.FromTemplate
	}
	l.runs = append(l.runs, r)
	return jinja.Origin(len(l.runs))
}

// run is what an origin stands for; false: the template.
func (l *labels) run(o jinja.Origin) (run, bool) {
	if o == jinja.FromTemplate {
		return run{}, false
	}
	return l.runs[o-1], true
}

// text makes a string of runs.
func (l *labels) text(runs []run) *jinja.Str {
	parts := make([]*jinja.Str, len(runs))
	for i, r := range runs {
		parts[i] = jinja.String(r.text, l.label(r))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return jinja.Concat(parts...)
}

// json makes a value of JSON text in which everything is from one place; text
// that is not JSON stays a string.
func (l *labels) json(text string, from run) jinja.Value {
	from.text = text
	o := l.label(from)
	all := func([]jinja.PathStep, bool) jinja.Origin { return o }
	if v, err := jinja.FromJSON([]byte(text), jinja.DefaultLimits(), all); err == nil {
		return v
	}
	return jinja.String(text, o)
}

// arguments of a template that a client must not set, since the conversation
// does.
var reserved = []string{"messages", "tools", "documents", "bos_token", "eos_token"}

func checkArguments(c chat.Conversation) error {
	for _, name := range reserved {
		if _, ok := c.Layout.Arguments[name]; ok {
			return llm.Errorf(llm.Invalid, "chat_template_kwargs."+name, "the template argument %s is set by the conversation itself", name)
		}
	}
	for name, raw := range c.Layout.Arguments {
		if !json.Valid(raw) {
			return llm.Errorf(llm.Invalid, "chat_template_kwargs."+name, "the value is not JSON")
		}
	}
	return nil
}

// variables are what a template is given: what transformers would give it.
func (t *Template) variables(turns []turn, c chat.Conversation, generation bool, l *labels) (*jinja.Dict, error) {
	vars := jinja.NewDict()
	messages := make([]jinja.Value, len(turns))
	called := map[string]run{}
	for i, turn := range turns {
		messages[i] = t.message(turn, called, l)
	}
	vars.Set("messages", jinja.NewList(messages...))
	vars.Set("tools", l.tools(c.Tools))
	if t.toolList && len(c.Tools) == 0 {
		vars.Set("tools", jinja.NewList())
	}
	vars.Set("documents", l.documents(c.Documents))
	vars.Set("add_generation_prompt", jinja.Bool{V: generation})
	if t.tokens.BOS != "" {
		vars.Set("bos_token", jinja.String(t.tokens.BOS, jinja.FromTemplate))
	}
	if t.tokens.EOS != "" {
		vars.Set("eos_token", jinja.String(t.tokens.EOS, jinja.FromTemplate))
	}
	for name, raw := range c.Layout.Arguments {
		vars.Set(name, l.json(string(raw), run{source: llm.Source{Kind: llm.FromOption, Field: name}}))
	}
	return vars, nil
}

// message is one message as a template sees it. Roles are a closed list and
// count as the template's own words.
func (t *Template) message(turn turn, called map[string]run, l *labels) jinja.Value {
	d := jinja.NewDict()
	d.Set("role", jinja.String(string(turn.role), jinja.FromTemplate))
	d.Set("content", t.content(turn, l))
	name := run{text: turn.name, source: source(turn.index, 0, fieldName)}
	if turn.role == chat.Tool && turn.name == "" {
		name = called[turn.callID]
	}
	if name.text != "" {
		d.Set("name", l.text([]run{name}))
	}
	if len(turn.reasoning) > 0 && t.reasoningKey != "" {
		d.Set(t.reasoningKey, l.text(turn.reasoning))
	}
	if len(turn.calls) > 0 {
		calls := make([]jinja.Value, len(turn.calls))
		for i, call := range turn.calls {
			from := run{text: call.Name, trust: llm.TrustModel, source: source(turn.index, i, fieldToolCalls)}
			called[call.ID] = from
			calls[i] = t.call(call, from, l)
		}
		d.Set("tool_calls", jinja.NewList(calls...))
	}
	if turn.callID != "" {
		d.Set("tool_call_id", l.text([]run{{text: turn.callID, source: source(turn.index, 0, "tool_call_id")}}))
	}
	return d
}

// content is text, or for a template that knows nothing else a list of one
// part.
func (t *Template) content(turn turn, l *labels) jinja.Value {
	text := l.text(turn.content)
	if !t.parts {
		return text
	}
	part := jinja.NewDict()
	part.Set("type", jinja.String("text", jinja.FromTemplate))
	part.Set("text", text)
	return jinja.NewList(part)
}

// call is a tool call with its arguments as a dict, as most templates are
// written for, or as text.
func (t *Template) call(call chat.ToolCall, from run, l *labels) jinja.Value {
	f := jinja.NewDict()
	f.Set("name", l.text([]run{from}))
	if t.textCalls {
		arguments := from
		arguments.text = call.Arguments
		f.Set("arguments", l.text([]run{arguments}))
	} else {
		f.Set("arguments", l.json(call.Arguments, from))
	}
	d := jinja.NewDict()
	if call.ID != "" {
		id := from
		id.text = call.ID
		d.Set("id", l.text([]run{id}))
	}
	d.Set("type", jinja.String("function", jinja.FromTemplate))
	d.Set("function", f)
	return d
}

func (l *labels) tools(tools []chat.ToolSpec) jinja.Value {
	if len(tools) == 0 {
		return jinja.None{}
	}
	list := make([]jinja.Value, len(tools))
	for i, tool := range tools {
		raw := tool.Raw
		if raw == nil {
			raw = toolJSON(tool)
		}
		list[i] = l.json(string(raw), run{source: llm.Source{Kind: llm.FromTool, Index: i}})
	}
	return jinja.NewList(list...)
}

// toolJSON is a tool as OpenAI's clients send it.
func toolJSON(tool chat.ToolSpec) json.RawMessage {
	type function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
	}
	raw, err := json.Marshal(struct {
		Type     string   `json:"type"`
		Function function `json:"function"`
	}{"function", function{tool.Name, tool.Description, tool.Parameters}})
	if err != nil {
		return json.RawMessage(fmt.Sprintf("%q", tool.Name))
	}
	return raw
}

func (l *labels) documents(docs []chat.Document) jinja.Value {
	if len(docs) == 0 {
		return jinja.None{}
	}
	list := make([]jinja.Value, len(docs))
	for i, doc := range docs {
		from := run{source: llm.Source{Kind: llm.FromDocument, Index: i}}
		if doc.Raw != nil {
			list[i] = l.json(string(doc.Raw), from)
			continue
		}
		d := jinja.NewDict()
		title, text := from, from
		title.text, text.text = doc.Title, doc.Text
		d.Set("title", l.text([]run{title}))
		d.Set("text", l.text([]run{text}))
		list[i] = d
	}
	return jinja.NewList(list...)
}

// mentions reports whether anything of a kind is in the output.
func (o output) mentions(kind llm.SourceKind) bool {
	return slices.ContainsFunc(o.spans, func(s jinja.Span) bool {
		r, ok := o.labels.run(s.Origin)
		return ok && r.source.Kind == kind
	})
}

// has reports whether anything from the place of a run is in the output.
func (o output) has(r run) bool {
	return slices.ContainsFunc(o.spans, func(s jinja.Span) bool {
		have, ok := o.labels.run(s.Origin)
		return ok && have.source == r.source
	})
}
