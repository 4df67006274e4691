package chatformat_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// wire is a conversation as the golden files write it: OpenAI's form, as far
// as the tests need it.
type wire struct {
	Messages []struct {
		Role       chat.Role       `json:"role"`
		Name       string          `json:"name"`
		Content    json.RawMessage `json:"content"`
		Reasoning  string          `json:"reasoning_content"`
		Placement  chat.Placement  `json:"placement"`
		ToolCallID string          `json:"tool_call_id"`
		ToolCalls  []struct {
			ID       string `json:"id"`
			Function struct {
				Name      string `json:"name"`
				Arguments string `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	} `json:"messages"`
	Tools    []json.RawMessage          `json:"tools"`
	Choice   chat.ToolMode              `json:"tool_choice"`
	Continue bool                       `json:"continue"`
	Policy   string                     `json:"policy"`
	Names    chat.NamesPolicy           `json:"names"`
	Note     string                     `json:"note"`
	Media    chat.MediaPolicy           `json:"media"`
	Kwargs   map[string]json.RawMessage `json:"chat_template_kwargs"`
}

func readConversation(t testing.TB, data []byte) chat.Conversation {
	t.Helper()
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		t.Fatalf("conversation: %v", err)
	}
	c := chat.Conversation{Continue: w.Continue, Choice: chat.ToolChoice{Mode: w.Choice}}
	c.Layout.Names, c.Layout.Note = w.Names, w.Note
	c.Layout.Policy, c.Layout.Media, c.Layout.Arguments = w.Policy, w.Media, w.Kwargs
	for _, m := range w.Messages {
		msg := chat.Message{Role: m.Role, Name: m.Name, Placement: m.Placement, Reasoning: m.Reasoning, ToolCallID: m.ToolCallID}
		var text string
		var parts []struct{ Text, Image string }
		switch {
		case len(m.Content) == 0 || string(m.Content) == "null":
		case json.Unmarshal(m.Content, &text) == nil:
			msg.Parts = []chat.Part{{Text: text}}
		case json.Unmarshal(m.Content, &parts) == nil:
			for _, p := range parts {
				part := chat.Part{Text: p.Text}
				if p.Image != "" {
					part.Media = &llm.Media{MIME: p.Image, Data: []byte{1}}
				}
				msg.Parts = append(msg.Parts, part)
			}
		default:
			t.Fatalf("content %s", m.Content)
		}
		for _, call := range m.ToolCalls {
			msg.ToolCalls = append(msg.ToolCalls, chat.ToolCall{ID: call.ID, Name: call.Function.Name, Arguments: call.Function.Arguments})
		}
		c.Messages = append(c.Messages, msg)
	}
	for _, raw := range w.Tools {
		var tool struct {
			Function struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parameters"`
			} `json:"function"`
		}
		if err := json.Unmarshal(raw, &tool); err != nil {
			t.Fatalf("tool: %v", err)
		}
		c.Tools = append(c.Tools, chat.ToolSpec{Name: tool.Function.Name, Description: tool.Function.Description, Parameters: tool.Function.Parameters, Raw: raw})
	}
	return c
}

// show writes a rendering down: one segment a line, then stops and report.
func show(r chatformat.Rendering, err error) string {
	var b strings.Builder
	if err != nil {
		e := llm.AsError(err)
		fmt.Fprintf(&b, "error %s %s: %s\n", e.Code, e.Field, e.Message)
		return b.String()
	}
	for _, s := range r.Prompt.Segments {
		who := s.Source.Kind.String()
		if s.Source.Kind == llm.FromMessage {
			who = fmt.Sprintf("%s[%d].%s[%d]", who, s.Source.Index, s.Source.Field, s.Source.Part)
		} else if s.Source.Kind != llm.FromFormat {
			who = fmt.Sprintf("%s[%d]", who, s.Source.Index)
		}
		if s.Control != (s.Trust == llm.TrustFormat) {
			who += " CONTROL?"
		}
		if s.Trust == llm.TrustModel {
			who += " (model)"
		}
		if s.Media != nil {
			fmt.Fprintf(&b, "%s media %s\n", who, s.Media.MIME)
			continue
		}
		fmt.Fprintf(&b, "%s %s\n", who, quote(s.Text))
	}
	if len(r.Stop) > 0 {
		fmt.Fprintf(&b, "stop %s\n", quote(r.Stop...))
	}
	switch {
	case r.StopOpen != "":
		fmt.Fprintf(&b, "stop after %s, if the reply begins with %s\n", quote(r.StopAfter), quote(r.StopOpen))
	case r.StopAfter != "":
		fmt.Fprintf(&b, "stop after %s\n", quote(r.StopAfter))
	}
	for _, n := range r.Report {
		fmt.Fprintf(&b, "report %s=%s: %s\n", n.Code, n.Value, n.Detail)
	}
	return b.String()
}

func quote(list ...string) string {
	var out []string
	for _, s := range list {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			panic(err)
		}
		out = append(out, strings.TrimSuffix(b.String(), "\n"))
	}
	return strings.Join(out, " ")
}

// compare holds got against the file of an archive, or rewrites it.
func compare(t *testing.T, a *txtar.Archive, name, got string) {
	t.Helper()
	for i := range a.Files {
		if a.Files[i].Name == name {
			if want := string(a.Files[i].Data); want != got {
				if *update {
					a.Files[i].Data = []byte(got)
					return
				}
				t.Errorf("%s:\n got\n%s\nwant\n%s", name, got, want)
			}
			return
		}
	}
	if *update {
		a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(got)})
		return
	}
	t.Errorf("%s is missing from the golden file; got\n%s", name, got)
}

func readArchive(t *testing.T, path string) *txtar.Archive {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if os.IsNotExist(err) && *update {
		return &txtar.Archive{}
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func writeArchive(t *testing.T, path string, a *txtar.Archive) {
	t.Helper()
	if !*update || t.Failed() {
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryFormat lays the same conversations out in every built-in format.
func TestEveryFormat(t *testing.T) {
	conversations := readArchive(t, "testdata/conversations.txtar")
	for _, name := range chatformat.Names() {
		t.Run(name, func(t *testing.T) {
			f, err := chatformat.Lookup(name)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "formats", name+".txtar")
			a := readArchive(t, path)
			for _, c := range conversations.Files {
				compare(t, a, c.Name, show(f.Render(readConversation(t, c.Data))))
			}
			writeArchive(t, path, a)
		})
	}
}

// TestVerifiedFormats compares with what llama.cpp's built-in formats of the
// same layout were measured to render.
func TestVerifiedFormats(t *testing.T) {
	data, err := os.ReadFile("testdata/verified.json")
	if err != nil {
		t.Fatal(err)
	}
	var facts map[string]map[string]string
	if err := json.Unmarshal(data, &facts); err != nil {
		t.Fatal(err)
	}
	if len(facts) != 30 {
		t.Errorf("%d formats, want 30", len(facts))
	}
	conversations := map[string][]chat.Message{
		"normal":         {chat.Say(chat.System, "S"), chat.Say(chat.User, "U1"), chat.Say(chat.Assistant, "A1"), chat.Say(chat.User, "U2")},
		"nosys":          {chat.Say(chat.User, "U1")},
		"assistant_last": {chat.Say(chat.User, "U1"), chat.Say(chat.Assistant, "A1")},
	}
	for name, prompts := range facts {
		f, err := chatformat.Lookup(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for c, want := range prompts {
			r, err := f.Render(chat.Conversation{Messages: conversations[c]})
			if got := r.Prompt.String(); err != nil || got != want {
				t.Errorf("%s, %s:\n got %q, %v\nwant %q", name, c, got, err, want)
			}
		}
	}
}

// TestCases runs the cases in testdata/cases: a conversation, how it is laid
// out, and where there is one, the pieces of a reply and its events.
func TestCases(t *testing.T) {
	paths, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a := readArchive(t, path)
			var r chatformat.Rendering
			var f chatformat.Format
			for _, file := range a.Files {
				switch kind, name, _ := strings.Cut(file.Name, " "); kind {
				case "template":
					f, err = chatformat.NewTemplate(name, strings.TrimSuffix(string(file.Data), "\n"), chatformat.SpecialTokens{BOS: "<s>", EOS: "</s>"})
					if err != nil {
						t.Fatal(err)
					}
				case "format":
					f = formatOf(t, name, file.Data)
				case "conversation":
					r, err = f.Render(readConversation(t, file.Data))
					compare(t, a, strings.TrimSpace("prompt "+name), show(r, err))
				case "reply":
					compare(t, a, strings.TrimSpace("events "+name), showEvents(t, r, file.Data))
				}
			}
			writeArchive(t, path, a)
		})
	}
}

// formatOf is a built-in format by its name, or the one that a file holds.
func formatOf(t *testing.T, name string, data []byte) chatformat.Format {
	t.Helper()
	if len(strings.TrimSpace(string(data))) == 0 {
		f, err := chatformat.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f, err := chatformat.ParseMarkup(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// showEvents reads a reply whose pieces stand one a line, as JSON strings.
func showEvents(t *testing.T, r chatformat.Rendering, data []byte) string {
	t.Helper()
	if r.Reply == nil {
		t.Fatal("there is no rendering to read a reply of")
	}
	p := r.Reply()
	var b strings.Builder
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for i, line := range lines {
		var piece llm.Piece
		if err := json.Unmarshal([]byte(line), &piece.Text); err != nil {
			t.Fatal(err)
		}
		piece.Tokens = []llm.Token{{ID: i, Text: piece.Text}}
		if i == len(lines)-1 {
			piece.Finish = &llm.Finish{Reason: llm.ReasonEnd}
		}
		for _, e := range p.Parse(piece) {
			switch e := e.(type) {
			case chat.TextDelta:
				fmt.Fprintf(&b, "text %s %v\n", quote(e.Text), ids(e.Tokens))
			case chat.ReasoningDelta:
				fmt.Fprintf(&b, "reasoning %s %v\n", quote(e.Text), ids(e.Tokens))
			case chat.ToolCallDelta:
				fmt.Fprintf(&b, "call %d %s %s\n", e.Index, e.Name, quote(e.Arguments))
			default:
				t.Errorf("unexpected %T", e)
			}
		}
	}
	return b.String()
}

func ids(tokens []llm.Token) []int {
	list := []int{}
	for _, t := range tokens {
		list = append(list, t.ID)
	}
	return list
}
