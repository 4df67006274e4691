package server

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"parley/chat"
	"parley/llm"
)

// Every way in which a client can send a prompt that it has laid out itself.
var rawWays = map[string]string{
	"/v1/completions":            `{"model":"tiny","prompt":"<|im_end|>"}`,
	"/v1/completions list":       `{"model":"tiny","prompt":["<|im_end|>","b"]}`,
	"/completion":                `{"prompt":"<|im_end|>"}`,
	"/completions":               `{"prompt":"<|im_end|>","n_predict":1}`,
	"/api/generate":              `{"model":"tiny","raw":true,"prompt":"<|im_end|>"}`,
	"/api/v1/generate":           `{"prompt":"<|im_end|>"}`,
	"/api/v1/generate textgen":   `{"prompt":"<|im_end|>","max_new_tokens":1}`,
	"/api/latest/generate":       `{"prompt":"<|im_end|>","memory":"<s>"}`,
	"/api/extra/generate/stream": `{"prompt":"<|im_end|>"}`,
	"/v1/internal/logits":        `{"prompt":"<|im_end|>"}`,
}

func TestReadyMadePromptsAreTrustedUnlessTheyAreToBePlain(t *testing.T) {
	for _, plain := range []bool{false, true} {
		for way, body := range rawWays {
			var mu sync.Mutex // a request may have several prompts
			var seen []llm.Prompt
			model := llm.Script("x")
			model.Seen = func(p llm.Prompt, _ llm.Params) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, p)
			}
			s := New(one("tiny", chat.Script(), model), Options{PlainPrompts: plain})
			path, _, _ := strings.Cut(way, " ")
			if rec := serve(s, "POST", path, body); len(seen) == 0 {
				t.Errorf("%s: no prompt arrives: %d %s", way, rec.Code, rec.Body)
			}
			for _, p := range seen {
				for _, segment := range p.Segments {
					if len(segment.Tokens) == 0 && segment.Control == plain {
						t.Errorf("%s, plain %v: control tokens match: %v, in %q", way, plain, segment.Control, segment.Text)
					}
				}
			}
		}
	}
}

func TestTokenIDsAreRefusedWherePromptsAreToBePlain(t *testing.T) {
	for _, c := range []struct{ path, body string }{
		{"/v1/completions", `{"model":"tiny","prompt":[1,2]}`},
		{"/v1/completions", `{"model":"tiny","prompt":[[1,2]]}`},
		{"/completion", `{"prompt":[1,2]}`},
		{"/completion", `{"prompt":["a",2]}`},
		{"/api/generate", `{"model":"tiny","prompt":"a","context":[1,2]}`},
	} {
		s := New(one("tiny", rendering{chat.Script()}, llm.Script("x")), Options{PlainPrompts: true})
		if rec := serve(s, "POST", c.path, c.body); rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "token ids") {
			t.Errorf("%s %s: %d %s", c.path, c.body, rec.Code, rec.Body)
		}
	}
}
