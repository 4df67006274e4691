package chatformat

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"parley/chat"
	"parley/llm"
)

// A callForm is how the models of a template write tool calls.
type callForm struct {
	// syntaxes are those in which a reply is read.
	syntaxes []*callSyntax
	// known says that the template's own calls read back in the first of them,
	// rather than that others are looked for.
	known bool

	// opening is how a reply begins that calls a tool, up to the tool's name,
	// and middle is what stands between the name and the arguments.
	opening, middle string
	argued          bool   // middle goes as far as the mark of an argument
	exact           bool   // a call is whole with its arguments, which are JSON as they stand there
	stop            string // the token that ends a reply with calls
}

// probedTool has an argument of each kind.
var probedTool = chat.ToolSpec{
	Name: "lookup_word", Description: "Look a word up.",
	Parameters: json.RawMessage(`{"type": "object", "properties": {
		"word": {"type": "string", "description": "The word."}, "count": {"type": "integer", "description": "How many."},
		"exact": {"type": "boolean", "description": "No others."}, "tags": {"type": "array", "items": {"type": "string"}, "description": "Tags."},
		"filter": {"type": "object", "properties": {"site": {"type": "string", "description": "A site."}}, "description": "Where."}}, "required": ["word"]}`),
}

const (
	plainArguments = `{"word": "bread"}`
	richArguments  = `{"word": "\"brød\"\nand butter", "count": 3, "exact": true, "tags": ["a", "b"], "filter": {"site": "x.org"}}`
)

// probedIDs are ids that templates take: nine letters and digits, or what
// Kimi K2 makes of the name.
var probedIDs = []string{"call00001", "functions.lookup_word:0"}

// calls finds out how the models of the template write tool calls: it has the
// template write one, and looks for the syntax in which that reads back.
func (t *Template) calls() callForm {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.form == nil {
		form := t.findCalls()
		t.form = &form
	}
	return *t.form
}

func (t *Template) findCalls() callForm {
	candidates := toolSyntaxes
	if t.channels {
		candidates = []*callSyntax{harmonyCall}
	}
	for _, id := range probedIDs {
		for _, arguments := range []string{richArguments, plainArguments} {
			text, ok := t.writtenCall(id, arguments)
			if !ok {
				continue
			}
			for _, s := range candidates {
				if stop, ok := readsBack(replyOptions{channels: t.channels, wrap: t.wrap}, s, text, arguments); ok {
					form := callForm{syntaxes: []*callSyntax{s}, known: true, stop: stop}
					if plain, ok := t.writtenCall(id, plainArguments); ok {
						form.divide(replyOptions{channels: t.channels, wrap: t.wrap}, plain, id)
					}
					return form
				}
			}
		}
	}
	var form callForm
	for _, s := range candidates {
		if t.channels || s.hasMarks(t.text) {
			form.syntaxes = append(form.syntaxes, s)
		}
	}
	if len(form.syntaxes) == 0 {
		form.syntaxes = usualSyntaxes
	}
	return form
}

// writtenCall is what a model would have to write for the template's own
// history to come out: a reply that calls the probed tool.
func (t *Template) writtenCall(id, arguments string) (string, bool) {
	c := chat.Conversation{Tools: []chat.ToolSpec{probedTool}}
	asked, err := t.execute(probeTurns("u"), c, true)
	if err != nil {
		return "", false
	}
	prompt := asked.after(probeTurns("u")[0])
	for _, shape := range []string{"uctau", "uct", "uc"} {
		turns := probeTurns(shape)
		turns[1].calls = []chat.ToolCall{{ID: id, Name: probedTool.Name, Arguments: arguments}}
		for i := range turns {
			if turns[i].callID != "" {
				turns[i].callID = id
			}
		}
		out, err := t.execute(turns, c, false)
		if err != nil {
			continue
		}
		text := out.after(turns[0])
		if len(turns) > 2 {
			text = out.between(turns[0], turns[2])
		}
		if strings.Contains(text, probedTool.Name) {
			return addition(text, prompt), true
		}
	}
	return "", false
}

// readsBack reports whether a reply reads as the call that it was written
// from, and gives the token that ends it.
func readsBack(o replyOptions, s *callSyntax, text, arguments string) (stop string, ok bool) {
	o.tools = newToolReading(chat.Conversation{Tools: []chat.ToolSpec{probedTool}}, []*callSyntax{s})
	r := newReply(o)
	var calls []chat.ToolCall
	after := ""
	for _, e := range r.Parse(llm.Piece{Text: text, Finish: &llm.Finish{}}) {
		switch e := e.(type) {
		case chat.ToolCallDelta:
			if e.Broken {
				return "", false
			}
			if e.Name != "" {
				calls = append(calls, chat.ToolCall{Name: e.Name})
			}
			calls[len(calls)-1].Arguments += e.Arguments
		case chat.TextDelta:
			if len(calls) > 0 {
				after += e.Text
			}
		}
	}
	if len(calls) != 1 || calls[0].Name != probedTool.Name || !sameJSON(calls[0].Arguments, arguments) {
		return "", false
	}
	after = strings.TrimSpace(after)
	if at := tokenLike.FindStringIndex(after); at != nil && at[0] == 0 {
		stop = after[:at[1]]
	}
	return stop, true
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// dividedCall divides a reply that calls the probed tool with plainArguments:
// what stands before the name, and between name and arguments. Both are empty
// where a reply cannot begin so without being wrong. argued says that only the
// mark of an argument ends the name.
func dividedCall(text, id string) (opening, middle string, argued bool) {
	opening, rest, _ := strings.Cut(text, probedTool.Name)
	between, _, found := strings.Cut(rest, "word")
	if !found || strings.Contains(opening, id) {
		return "", "", false
	}
	if i := strings.LastIndexByte(between, '{'); i >= 0 {
		middle = between[:i]
	} else if i := strings.IndexByte(between, '('); i >= 0 {
		middle = between[:i+1]
	} else if i := strings.LastIndexByte(between, '<'); i >= 0 {
		middle, argued = between[:i], i == 0
	}
	// Most vocabularies join a space to the word behind it.
	if middle = strings.TrimRight(middle, " "); middle == "" {
		middle = strings.TrimSuffix(between, `"`)
	}
	return opening, middle, argued
}

// divide learns from a reply that calls the probed tool with plainArguments.
func (f *callForm) divide(o replyOptions, text, id string) {
	f.opening, f.middle, f.argued = dividedCall(text, id)
	if f.opening+f.middle != "" {
		_, f.exact = readsBack(o, f.syntaxes[0], f.opening+probedTool.Name+f.middle+plainArguments, plainArguments)
	}
}

// noArguments is the schema of a tool that says nothing of arguments.
const noArguments = `{"type":"object","additionalProperties":false}`

// held is what holds a reply behind the beginning of a call to the rest of one
// call, with arguments that its tool takes; nil where that cannot be said
// exactly. Where any tool may be called, their names must be strings of JSON:
// between a bare name and the arguments stands a mark, which as text is not what
// the model knows.
func (f callForm) held(call *forcedCall, tools []chat.ToolSpec) *llm.Constraint {
	if !f.exact || call.tool < 0 && !strings.HasPrefix(f.middle, `"`) {
		return nil
	}
	c := &llm.Constraint{Kind: llm.ConstrainCall, Field: "tool_choice"}
	for i, t := range tools {
		if call.tool >= 0 && call.tool != i {
			continue
		}
		one := llm.Call{Name: t.Name, Schema: schemaOf(t)}
		if call.tool < 0 {
			one.Before = jsonName(t.Name) + f.middle
		}
		c.Calls = append(c.Calls, one)
	}
	return c
}

// watch holds the calls of a reply that need not have any: where one begins, it
// is of a tool that was sent, with arguments that are valid where the tool is
// strict. Each call must begin with a mark of its own and hold its name as a
// string of JSON.
func (f callForm) watch(r *Rendering, tools []chat.ToolSpec) {
	if !slices.ContainsFunc(tools, func(t chat.ToolSpec) bool { return t.Strict }) {
		return
	}
	mark, head, found := strings.Cut(f.opening, "{")
	rest := mark[len(strings.TrimRightFunc(mark, unicode.IsSpace)):] + "{" + head
	mark = strings.TrimSpace(mark)
	if !f.exact || !found || !strings.HasPrefix(f.middle, `"`) || !slices.Contains(f.syntaxes[0].begins, mark) {
		for _, t := range tools {
			if t.Strict {
				r.Report.Add(llm.CodeArgumentsUnheld, t.Name, "calls in this format are not held to schemas; check the arguments, or demand the call by tool_choice")
			}
		}
		return
	}
	c := &llm.Constraint{Kind: llm.ConstrainCall, Field: "tools", After: r.StopAfter, Open: r.StopOpen, Behind: mark}
	for _, t := range tools {
		one := llm.Call{Name: t.Name, Before: rest + jsonName(t.Name) + f.middle}
		if t.Strict {
			one.Schema = schemaOf(t)
		}
		c.Calls = append(c.Calls, one)
	}
	r.held = c
}

// schemaOf is the schema of a tool's arguments.
func schemaOf(t chat.ToolSpec) string {
	if s := string(t.Parameters); s != "" && s != "null" {
		return s
	}
	return noArguments
}

// jsonName is a name as it stands between the quotes of a JSON string.
func jsonName(name string) string {
	quoted := quoteJSON(name)
	return quoted[1 : len(quoted)-1]
}

// A forcedCall is the beginning of a call with which a prompt ends, so that
// the reply can be nothing else.
type forcedCall struct {
	opening, middle string
	tool            int // index of the tool that is to be called; -1: any
}

// checkChoice refuses a choice of tools that the conversation has not.
func checkChoice(c chat.Conversation) error {
	switch c.Choice.Mode {
	case chat.ToolRequired, chat.ToolNamed:
	default:
		return nil
	}
	if len(c.Tools) == 0 {
		return llm.Errorf(llm.Invalid, "tool_choice", "a tool is to be called, and there are none")
	}
	if c.Choice.Mode == chat.ToolNamed && toolIndex(c) < 0 {
		return llm.Errorf(llm.Invalid, "tool_choice", "there is no tool %q", c.Choice.Name)
	}
	return nil
}

// toolIndex is the tool that must be called; -1 if any may be.
func toolIndex(c chat.Conversation) int {
	if c.Choice.Mode == chat.ToolRequired && len(c.Tools) == 1 {
		return 0
	}
	if c.Choice.Mode != chat.ToolNamed {
		return -1
	}
	return slices.IndexFunc(c.Tools, func(t chat.ToolSpec) bool { return t.Name == c.Choice.Name })
}

// force gives the beginning of the call that a conversation demands; nil where
// it demands none.
func (f callForm) force(c chat.Conversation, format string) (*forcedCall, error) {
	if c.Choice.Mode != chat.ToolRequired && c.Choice.Mode != chat.ToolNamed {
		return nil, nil
	}
	call := &forcedCall{opening: f.opening, middle: f.middle, tool: toolIndex(c)}
	if call.tool >= 0 && f.argued && !hasArguments(c.Tools[call.tool]) {
		return nil, &llm.Error{Code: llm.Unsupported, Field: "tool_choice",
			Message: fmt.Sprintf("in the format %s a call of the tool %s, which takes no arguments, cannot be told from others before its end", format, c.Tools[call.tool].Name),
			Hint:    "send auto"}
	}
	if c.Continue || !f.known || call.tool < 0 && call.opening == "" || call.tool >= 0 && call.opening+call.middle == "" {
		what := "the format %s has no beginning of a reply that makes it a tool call"
		if c.Continue {
			what = "a message that is to be continued cannot be made a tool call in the format %s"
		}
		return nil, &llm.Error{Code: llm.Unsupported, Field: "tool_choice", Message: fmt.Sprintf(what, format), Hint: "send auto or none"}
	}
	return call, nil
}

func hasArguments(t chat.ToolSpec) bool {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	return json.Unmarshal(t.Parameters, &schema) == nil && len(schema.Properties) > 0
}

// write ends a prompt with the beginning of a call, and gives what of it the
// reader of the reply has to know.
func (call *forcedCall) write(r *Rendering, think *thinkTag, c chat.Conversation, form callForm) (prefill string) {
	r.unheld = "it is to be a tool call"
	r.held = form.held(call, c.Tools)
	l := layout{segments: r.Prompt.Segments}
	if think != nil && insideReasoning(r.Prompt, think.Open, think.Close) && !strings.Contains(call.opening, think.Close) {
		l.format("\n" + think.Close + "\n\n")
	}
	l.format(call.opening)
	prefill = call.opening
	for _, begin := range form.syntaxes[0].begins {
		if i := strings.Index(call.opening, begin); i >= 0 {
			prefill = call.opening[i:]
			break
		}
	}
	if call.tool >= 0 {
		name := c.Tools[call.tool].Name
		l.run(run{text: name, source: llm.Source{Kind: llm.FromTool, Index: call.tool, Field: fieldName}})
		l.format(call.middle)
		prefill += name + call.middle
	}
	r.Prompt.Segments = l.segments
	return prefill
}
