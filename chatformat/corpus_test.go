package chatformat_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// corpus reads real models' templates, which are not ours and not in the
// repository.
func corpus(t *testing.T) map[string]*chatformat.Template {
	t.Helper()
	dir := os.Getenv("PARLEY_TESTDATA")
	if dir == "" {
		dir = "../../shared/data"
	}
	f, err := os.Open(filepath.Join(dir, "chat-templates", "templates.dev.json.gz"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no chat templates to test with: ", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var files map[string]struct {
		Template string         `json:"template"`
		Tokens   map[string]any `json:"special_tokens"`
	}
	if err := json.NewDecoder(z).Decode(&files); err != nil {
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
		templates[name] = f
	}
	return templates
}

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
		}
	}
	t.Logf("%d conversations, repairs: %v", each*len(templates), repaired)
}
