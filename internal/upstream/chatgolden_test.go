package upstream

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"parley/chat"
	"parley/chatformat"
	"parley/internal/openai"
	"parley/llm"
)

// unshown is a responder of a kind whose engine shows neither template nor
// prompts, and without any engine.
func unshown(k *Kind) *responder {
	can := k.chat.can
	return &responder{engine: &Engine{kind: k}, name: "m", route: k.chat, found: expression{
		can: func(chat.Conversation) chatformat.Abilities { return can }, prefill: k.chat.prefill,
	}}
}

// golden compares one file of an archive, or rewrites it.
func golden(t *testing.T, a *txtar.Archive, name, got string) {
	t.Helper()
	for i := range a.Files {
		if f := &a.Files[i]; f.Name == name {
			if *update {
				f.Data = []byte(got)
			}
			if string(f.Data) != got {
				t.Errorf("%s: got\n%swant\n%s", name, got, f.Data)
			}
			return
		}
	}
	if !*update {
		t.Errorf("%s is missing: go test ./internal/upstream -update", name)
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(got)})
}

func forEachArchive(t *testing.T, pattern string, do func(t *testing.T, a *txtar.Archive)) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			do(t, a)
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A request, as an OpenAI client sends it, and what each kind of engine gets.
func TestRequestsAreWrittenForEachKind(t *testing.T) {
	forEachArchive(t, "testdata/chat/request-*.txtar", func(t *testing.T, a *txtar.Archive) {
		q, err := openai.ParseChat(a.Files[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range kinds {
			if k.chat == nil {
				continue
			}
			golden(t, a, k.Name, written(unshown(k), q))
		}
	})
}

// written is the body that an engine gets, and the report, or the error.
func written(r *responder, q *openai.Request) string {
	c := r.withDefaults(q.Conversation)
	answer, err := r.answer(c, q.Params, r.rungs(c)[0], 0)
	if err != nil {
		return fmt.Sprintf("error %v\n", err)
	}
	body, err := r.route.encode(answer.call)
	if err != nil {
		return fmt.Sprintf("error %v\n", err)
	}
	data, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		return fmt.Sprintf("error %v\n", err)
	}
	return fmt.Sprintf("POST %s\n%s\nreport: %s\n", r.route.path, data, answer.call.report.Header())
}

// The frames of an answer, and the events that they become.
func TestAnswersAreReadOfEachKind(t *testing.T) {
	forEachArchive(t, "testdata/chat/answer-*.txtar", func(t *testing.T, a *txtar.Archive) {
		k := KindNamed(strings.TrimSpace(string(a.Comment)))
		if k == nil {
			t.Fatalf("there is no kind %q", a.Comment)
		}
		golden(t, a, "events", read(unshown(k), strings.Split(strings.TrimSpace(string(a.Files[0].Data)), "\n")))
	})
}

// read gives the events of an answer, one a line.
func read(r *responder, frames []string) string {
	c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "x")}}
	a, err := r.answer(c, llm.Params{LogProbs: new(2), Stop: []string{"STOP"}, Seed: new(int64(1))}, r.rungs(c)[0], 0)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	var last chunk
	write := func(list []chat.Event) {
		for _, e := range list {
			switch e := e.(type) {
			case chat.TextDelta:
				fmt.Fprintf(&b, "text %q%s\n", e.Text, tokensOf(e.Tokens))
			case chat.ReasoningDelta:
				fmt.Fprintf(&b, "thought %q%s\n", e.Text, tokensOf(e.Tokens))
			case chat.ToolCallDelta:
				fmt.Fprintf(&b, "call %d %q %q %q\n", e.Index, e.ID, e.Name, e.Arguments)
			}
		}
	}
	next := r.route.reader()
	for _, data := range frames {
		c, err := next(frame{data: []byte(data)})
		if err != nil {
			fmt.Fprintf(&b, "error %v\n", err)
			return b.String()
		}
		if c.progress != nil {
			fmt.Fprintf(&b, "waiting %d of %d\n", c.progress.Done, c.progress.Total)
		}
		a.see(c)
		if a.ended == nil {
			write(a.events(c))
		}
		if c.finish != "" {
			last = c
		}
	}
	write(a.rest())
	if a.ended != nil {
		last.finish, last.stop = a.ended.Reason, a.ended.Stop
	}
	f := a.finish(last.finish, last.stop)
	fmt.Fprintf(&b, "finish %s %q, tokens: %d prompt, %d cached, %d completion; report: %s\n", f.Reason, f.Stop,
		f.Usage.PromptTokens, f.Usage.CachedTokens, f.Usage.CompletionTokens, f.Report.Header())
	return b.String()
}

func tokensOf(tokens []llm.Token) string {
	s := ""
	for _, t := range tokens {
		s += fmt.Sprintf(" [%q %.2f", t.Text, t.LogProb)
		for _, top := range t.Top {
			s += fmt.Sprintf(" %q %.2f", top.Text, top.LogProb)
		}
		s += "]"
	}
	return s
}

func TestTheChoiceOfToolsIsWritten(t *testing.T) {
	tests := []struct {
		kind string
		mode chat.ToolMode
		want string // of tool_choice, or the field of an error
	}{
		{"openai", chat.ToolAuto, "null"},
		{"openai", chat.ToolNone, `"none"`},
		{"openai", chat.ToolRequired, `"required"`},
		{"openai", chat.ToolNamed, `{"function":{"name":"look"},"type":"function"}`},
		{"anthropic", chat.ToolAuto, "null"},
		{"anthropic", chat.ToolNone, `{"type":"none"}`},
		{"anthropic", chat.ToolRequired, `{"type":"any"}`},
		{"anthropic", chat.ToolNamed, `{"name":"look","type":"tool"}`},
		{"ollama", chat.ToolRequired, "tool_choice"},
		{"mlc", chat.ToolNone, "null"},
		{"mlc", chat.ToolAuto, "tools"},
	}
	for _, test := range tests {
		c := &call{model: "m", conversation: chat.Conversation{
			Messages: []chat.Message{chat.Say(chat.User, "Look.")},
			Tools:    []chat.ToolSpec{{Name: "look"}}, Choice: chat.ToolChoice{Mode: test.mode, Name: "look"},
		}}
		body, err := KindNamed(test.kind).chat.encode(c)
		got := ""
		if err != nil {
			got = llm.AsError(err).Field
		} else {
			data, _ := json.Marshal(body["tool_choice"])
			got = string(data)
		}
		if got != test.want {
			t.Errorf("%s, %q: got %s, want %s", test.kind, test.mode, got, test.want)
		}
	}
}

// Whatever an engine sends, reading it neither panics nor grows without bound,
// and what is text stays valid.
func FuzzAnswers(f *testing.F) {
	files, err := filepath.Glob("testdata/chat/answer-*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data)
	}
	f.Add([]byte(`{"choices":[{"delta":{"tool_calls":[{"index":1000000000,"function":{"arguments":"x"}},{"index":-1}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := strings.Split(string(data), "\n")
		for _, name := range []string{"openai", "ollama", "anthropic"} {
			next := KindNamed(name).chat.reader()
			for _, line := range lines {
				c, err := next(frame{data: []byte(line)})
				if err != nil {
					break
				}
				for _, d := range c.calls {
					if d.Index < 0 || d.Index >= 512 {
						t.Fatalf("%s: a tool call has number %d", name, d.Index)
					}
				}
			}
			read(unshown(KindNamed(name)), lines)
		}
	})
}
