package chatformat_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

var corpusTools = []chat.ToolSpec{
	{Name: "get_weather", Description: "The weather.", Parameters: json.RawMessage(`{"type": "object", "properties": {
		"location": {"type": "string", "description": "A city."}, "days": {"type": "integer", "description": "How many."}}, "required": ["location"]}`)},
	{Name: "search", Description: "Search the web.", Parameters: json.RawMessage(`{"type": "object", "properties": {
		"query": {"type": "string", "description": "Words."}, "tags": {"type": "array", "items": {"type": "string"}, "description": "Tags."},
		"limit": {"type": ["integer", "null"], "description": "How many."}, "strict": {"type": "boolean", "description": "Exactly these."},
		"filters": {"type": "object", "properties": {"site": {"type": "string", "description": "A site."}, "after": {"type": "array", "items": {"type": "number"}, "description": "Since."}}, "description": "Where."}}, "required": ["query"]}`)},
}

// Calls that a template may find hard to write: quotes, line breaks, letters
// beyond ASCII, values within values.
var (
	weatherCall = chat.ToolCall{ID: "call00001", Name: "get_weather", Arguments: `{"location": "Zürich", "days": 2}`}
	searchCall  = chat.ToolCall{ID: "call00002", Name: "search",
		Arguments: `{"query": "東京 \"weather\"\n\\ <b> it's {x}", "tags": ["a", "b c"], "limit": null, "strict": false, "filters": {"site": "x.jp", "after": [1, 2.5]}}`}
)

// unreadable are the templates whose own calls do not read back, and why;
// COMPATIBILITY.md lists them.
var unreadable = map[string]string{
	"liquidai-lfm2.5-vl-450m.jinja": "it writes quotes within strings without escaping them",
}

// TestWhatATemplateWritesCanBeRead has every template that takes tools write
// calls, and reads them as a reply.
func TestWhatATemplateWritesCanBeRead(t *testing.T) {
	templates := corpus(t)
	var exact, parallel, silent []string
	syntaxes := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		f := templates[name]
		asked := chat.Conversation{Tools: corpusTools, Messages: []chat.Message{chat.Say(chat.User, "Sentinel question.")}}
		prompt, err := f.Render(asked)
		if err != nil {
			continue // no place for a list of tools
		}
		syntaxes[f.CallSyntax()]++
		problem := ""
		for i, calls := range [][]chat.ToolCall{{weatherCall}, {searchCall}, {weatherCall, searchCall}} {
			text, why := writtenBy(f, prompt, asked, calls)
			if why == "" {
				why = readsAs(prompt.Reply(), text, calls)
			}
			switch {
			case why == "" && i == 2:
				parallel = append(parallel, name)
			case why == "refused" && i == 2: // a template that takes one call at a time
			case why == "written as text":
				silent = append(silent, name)
			case why != "":
				problem = fmt.Sprintf("calls %d: %s: %q", i, why, text)
			}
			if why == "written as text" {
				break
			}
		}
		switch reason, known := unreadable[name]; {
		case slices.Contains(silent, name):
		case problem != "" && !known:
			t.Errorf("%s: %s", name, problem)
		case problem == "" && known:
			t.Errorf("%s reads back, but is listed as one that does not: %s", name, reason)
		case problem == "":
			exact = append(exact, name)
		}
	}
	t.Logf("one call at a time: %v", slices.DeleteFunc(slices.Clone(exact), func(name string) bool { return slices.Contains(parallel, name) }))
	t.Logf("%d read back exactly, %d of them two calls at once; %d write no calls: %v", len(exact), len(parallel), len(silent), silent)
	t.Logf("syntaxes: %v", syntaxes)
	if len(exact) < 75 {
		t.Errorf("only %d templates could be read back", len(exact))
	}
}

// writtenBy is the reply for which a template's history of calls stands.
func writtenBy(f *chatformat.Template, prompt chatformat.Rendering, c chat.Conversation, calls []chat.ToolCall) (text, problem string) {
	call := chat.Message{Role: chat.Assistant, ToolCalls: calls}
	c.Messages = append(slices.Clone(c.Messages), call)
	for i, tc := range calls {
		result := chat.Say(chat.Tool, fmt.Sprintf("Sentinel result %d.", i))
		result.ToolCallID = tc.ID
		c.Messages = append(c.Messages, result)
	}
	r, err := f.Render(c)
	if err != nil {
		return "", "refused"
	}
	repaired := map[string]bool{}
	for _, n := range r.Report {
		repaired[n.Value] = true
	}
	switch {
	case repaired[chatformat.RepairNetStrict] || repaired[chatformat.RepairNetFold]:
		return "", "refused"
	case repaired[chatformat.RepairTools]:
		return "", "written as text"
	}
	_, question, _ := strings.Cut(prompt.Prompt.String(), "Sentinel question.")
	_, history, _ := strings.Cut(r.Prompt.String(), "Sentinel question.")
	history, _, _ = strings.Cut(history, "Sentinel result")
	text = chatformat.Addition(history, question)
	for _, stop := range prompt.Stop {
		text, _, _ = strings.Cut(text, stop)
	}
	if prompt.StopOpen == "" && !strings.Contains(text, prompt.StopAfter) {
		text = prompt.StopAfter + text // the thoughts that the prompt opened
	}
	return strings.TrimSuffix(text, "["), "" // Apertus goes on with the results in the same message
}

// readsAs reads a reply at once and says how it differs from calls.
func readsAs(p chatformat.Parser, text string, calls []chat.ToolCall) string {
	reply, err := chat.Collect(func(yield func(chat.Event, error) bool) {
		for _, e := range p.Parse(llm.Piece{Text: text, Finish: &llm.Finish{}}) {
			if !yield(e, nil) {
				return
			}
		}
	})
	if err != nil {
		return err.Error()
	}
	got := reply.Message.ToolCalls
	if len(got) != len(calls) {
		return fmt.Sprintf("%d calls, want %d", len(got), len(calls))
	}
	for i := range got {
		var a, b any
		if json.Unmarshal([]byte(got[i].Arguments), &a) != nil || json.Unmarshal([]byte(calls[i].Arguments), &b) != nil {
			return "arguments that are no JSON: " + got[i].Arguments
		}
		if got[i].Name != calls[i].Name || !reflect.DeepEqual(a, b) {
			return fmt.Sprintf("got %s %s", got[i].Name, got[i].Arguments)
		}
	}
	if s := strings.TrimSpace(reply.Message.Text()); s != "" && !strings.Contains(s, "think") {
		return fmt.Sprintf("besides the calls there is text: %q", s)
	}
	return ""
}
