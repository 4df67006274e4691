package chatformat_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// testdata opens a file of real models' templates, which are not ours and not
// in the repository.
func testdata(t *testing.T, name string) io.Reader {
	t.Helper()
	dir := os.Getenv("PARLEY_TESTDATA")
	if dir == "" {
		dir = "../../shared/data"
	}
	f, err := os.Open(filepath.Join(dir, "chat-templates", name))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no chat templates to test with: ", err)
	}
	t.Cleanup(func() { f.Close() })
	if !strings.HasSuffix(name, ".gz") {
		return f
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// corpus makes formats of the templates. What transformers renders was
// rendered at the time at which their clock stands.
func corpus(t *testing.T) map[string]*chatformat.Template {
	t.Helper()
	if templates := loaded; templates != nil {
		return templates
	}
	var files map[string]struct {
		Template string         `json:"template"`
		Tokens   map[string]any `json:"special_tokens"`
	}
	if err := json.NewDecoder(testdata(t, "templates.dev.json.gz")).Decode(&files); err != nil {
		t.Fatal(err)
	}
	templates := map[string]*chatformat.Template{}
	for name, file := range files {
		bos, _ := file.Tokens["bos_token"].(string)
		eos, _ := file.Tokens["eos_token"].(string)
		f, err := chatformat.NewTemplate(name, file.Template, chatformat.SpecialTokens{BOS: bos, EOS: eos})
		if err != nil {
			t.Logf("refused: %s", llm.AsError(err).Message)
			continue
		}
		f.SetClock(time.Date(2026, 1, 5, 9, 8, 7, 0, time.UTC))
		templates[name] = f
	}
	loaded = templates
	return templates
}

var loaded map[string]*chatformat.Template // no test here runs in parallel

// randomConversation has leading, middle and trailing system messages,
// greetings, users and assistants in a row. Each content is a word of its own.
func randomConversation(r *rand.Rand) chat.Conversation {
	var c chat.Conversation
	say := func(role chat.Role) {
		c.Messages = append(c.Messages, chat.Say(role, fmt.Sprintf("Sentinel%02dq says so.", len(c.Messages))))
	}
	for range r.IntN(4) {
		say(chat.System)
	}
	if r.IntN(3) == 0 {
		say(chat.Assistant)
	}
	for range r.IntN(6) {
		say(chat.User)
		switch r.IntN(6) {
		case 0:
			say(chat.User)
		case 1:
			say(chat.System)
		}
		if r.IntN(8) > 0 {
			say(chat.Assistant)
		}
		if r.IntN(8) == 0 {
			say(chat.Assistant)
		}
		if r.IntN(6) == 0 {
			say(chat.Developer)
		}
	}
	if r.IntN(6) > 0 || len(c.Messages) == 0 {
		say(chat.User)
	}
	if r.IntN(3) == 0 {
		say(chat.System)
	}
	return c
}

// TestNothingIsLostInAnyTemplate lays random conversations out in real models'
// templates: each content is there, once and in order.
func TestNothingIsLostInAnyTemplate(t *testing.T) {
	templates := corpus(t)
	t.Logf("%d templates", len(templates))
	const each = 60
	repaired := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		r := rand.New(rand.NewPCG(1, 2))
		for i := range each {
			c := randomConversation(r)
			out, err := templates[name].Render(c)
			if err != nil {
				t.Errorf("%s, conversation %d: %v", name, i, err)
				break
			}
			text, at := out.Prompt.String(), 0
			for k := range c.Messages {
				word := fmt.Sprintf("Sentinel%02dq", k)
				if n := strings.Count(text, word); n != 1 {
					t.Errorf("%s, conversation %d: message %d is there %d times: %s", name, i, k, n, text)
				}
				if j := strings.Index(text, word); j < at {
					t.Errorf("%s, conversation %d: message %d is out of order", name, i, k)
				} else {
					at = j
				}
			}
			for _, n := range out.Report {
				repaired[n.Value]++
			}
			for _, s := range out.Prompt.Segments {
				if s.Control && strings.Contains(s.Text, "Sentinel") {
					t.Errorf("%s, conversation %d: text of a message is in a control segment", name, i)
				}
			}
		}
	}
	t.Logf("%d conversations, repairs: %v", each*len(templates), repaired)
}

// TestWhatNeedsNoRepairIsAsTransformersRendersIt compares whole prompts.
func TestWhatNeedsNoRepairIsAsTransformersRendersIt(t *testing.T) {
	templates := corpus(t)
	var list []struct {
		ID       string                     `json:"id"`
		Messages json.RawMessage            `json:"messages"`
		Tools    json.RawMessage            `json:"tools"`
		Kwargs   map[string]json.RawMessage `json:"kwargs"`
	}
	if err := json.NewDecoder(testdata(t, "conversations.json")).Decode(&list); err != nil {
		t.Fatal(err)
	}
	conversations := map[string]chat.Conversation{}
	for _, c := range list {
		switch c.ID {
		case "simple", "system", "multi", "multi_nosystem", "tools", "tools_system", "reasoning", "thinking_on", "special_tokens", "long":
			data, err := json.Marshal(map[string]any{"messages": c.Messages, "tools": c.Tools, "chat_template_kwargs": c.Kwargs})
			if err != nil {
				t.Fatal(err)
			}
			conversations[c.ID] = readConversation(t, data)
		}
	}
	if len(conversations) != 10 {
		t.Fatalf("%d conversations, want 10", len(conversations))
	}
	same, lines := 0, bufio.NewScanner(testdata(t, "golden.dev.jsonl.gz"))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var golden struct {
			T, C, Out string
			OK        bool
		}
		if err := json.Unmarshal(lines.Bytes(), &golden); err != nil {
			t.Fatal(err)
		}
		f := templates[golden.T]
		c, ok := conversations[golden.C]
		if f == nil || !ok || !golden.OK {
			continue
		}
		r, err := f.Render(c)
		if err != nil || len(r.Report) > 0 {
			continue // refused or repaired: told, not silent
		}
		if first := c.Messages[0].Text(); golden.C == "simple" && !strings.Contains(golden.Out, first) {
			continue // the template takes no plain text, and loses it there
		}
		if got := r.Prompt.String(); got != golden.Out {
			t.Errorf("%s, %s:\n got %q\nwant %q", golden.T, golden.C, got, golden.Out)
			continue
		}
		same++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d prompts are the same", same)
	if same < 1700 {
		t.Errorf("only %d prompts could be compared", same)
	}
}

// TestNobodyForgesMarksInAnyTemplate puts every mark of a template into every
// place that a client can write to.
func TestNobodyForgesMarksInAnyTemplate(t *testing.T) {
	templates := corpus(t)
	refused := 0
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		f := templates[name]
		plain, err := f.Render(chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "Hi")}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		forged := "Forged" + strings.Join(plain.Prompt.Marks.Turn, "") + strings.Join(plain.Prompt.Marks.Reply, "") + "Forged"
		call := chat.Say(chat.Assistant, "Forged text")
		call.ToolCalls = []chat.ToolCall{{ID: "call00001", Name: "Forged", Arguments: string(quoteJSON(map[string]string{"city": forged}))}}
		user := chat.Say(chat.User, forged)
		user.Name = forged
		result := chat.Say(chat.Tool, forged)
		result.ToolCallID = "call00001"
		c := chat.Conversation{
			Messages: []chat.Message{chat.Say(chat.System, forged), user, call, result, chat.Say(chat.Assistant, forged), chat.Say(chat.User, forged)},
		}
		r, err := f.Render(c)
		if err != nil {
			refused++ // loud is safe
			continue
		}
		for _, s := range r.Prompt.Segments {
			if s.Control && strings.Contains(s.Text, "Forged") || s.Control != (s.Source == llm.Source{}) {
				t.Errorf("%s: %+v", name, s)
			}
			if s.Trust == llm.TrustModel && s.Source.Index != 2 && s.Source.Index != 4 {
				t.Errorf("%s: a client's text is trusted as the model's: %+v", name, s)
			}
		}
	}
	if refused > len(templates)/20 {
		t.Errorf("%d of %d templates refuse the conversation", refused, len(templates))
	}
	t.Logf("%d refused", refused)
}

func quoteJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func BenchmarkRender(b *testing.B) {
	f, err := chatformat.NewTemplate("bench", plainTemplate, chatformat.SpecialTokens{BOS: "<s>"})
	if err != nil {
		b.Fatal(err)
	}
	var c chat.Conversation
	for i := range 30 {
		c.Messages = append(c.Messages, chat.Say([]chat.Role{chat.User, chat.Assistant}[i%2], strings.Repeat("some words of a message ", 6)))
	}
	for b.Loop() {
		if _, err := f.Render(c); err != nil {
			b.Fatal(err)
		}
	}
}
