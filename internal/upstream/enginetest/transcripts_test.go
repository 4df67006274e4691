package enginetest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/engine"
	"parley/internal/demo"
	"parley/internal/upstream/enginetest"
)

// An exchange of a transcript: what a real engine was asked, and what it said.
type exchange struct {
	name, method, path, body string
	status                   int
	answer                   string
}

func transcript(t *testing.T, file string) (all []exchange) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../../tools/engines/testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(data), "\n-- ")[1:] {
		name, rest, _ := strings.Cut(part, " --\n")
		asked, answered, found := strings.Cut(rest, "\n---\n")
		if !found {
			continue
		}
		var x exchange
		x.name = name
		line, body, _ := strings.Cut(asked, "\n\n")
		line, _, _ = strings.Cut(strings.TrimSpace(line), "\n") // headers follow
		x.method, x.path, _ = strings.Cut(line, " ")
		x.body = strings.TrimSpace(body)
		fmt.Sscan(answered, &x.status)
		_, x.answer, _ = strings.Cut(answered, "\n\n")
		all = append(all, x)
	}
	return all
}

// spoken is all text of an answer, whole or in parts, whatever its dialect.
func spoken(answer string) string {
	var b strings.Builder
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "data:"))
		var a map[string]any
		if json.Unmarshal([]byte(line), &a) == nil {
			b.WriteString(rawText(a) + chatText(a) + str(a["content"]) + str(a["response"]) + str(get(a, "message", "content")))
		}
	}
	return b.String()
}

// notFaked is what the fakes do not have of the real engines, by words in the
// names of exchanges: what nothing here asks for.
var notFaked = []string{
	"embeddings", "messages of Anthropic", "responses of OpenAI", "metrics", "adapters", "tokens of", "two answers", "two prompts", "prompt object",
	"grammar", "JSON schema", "generate JSON", "wrong format", "divided character", "bias", "forbidden token", "echo", "suffix", "own template",
	"preserved control tokens", "control tokens in its output",
	"wrong method", "of nothing", "of no tokens", "empty stop string", "without messages", "role nobody knows",
	"generate what is too long", "past the context", "chat with a prompt that is too long", // cut elsewhere than the real one cuts
}

// The fakes answer as the real engines did when they ran the same model: with
// the same status, and where it is 200, with the same words.
func TestFakesAnswerAsTheRealEnginesDid(t *testing.T) {
	model, err := engine.OpenBytes(demo.Model(), engine.Options{Context: 256, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	for file, kind := range map[string]string{"llama-server.txt": "llamacpp", "ollama.txt": "ollama", "llama-cpp-python.txt": "llamacpppython"} {
		fake := enginetest.Start(t, kind, enginetest.Options{Model: model, Name: "parley-demo", Context: 256})
		compared := 0
	exchanges:
		for _, x := range transcript(t, file) {
			for _, words := range notFaked {
				if strings.Contains(x.name, words) {
					continue exchanges
				}
			}
			req, err := http.NewRequestWithContext(t.Context(), x.method, fake.URL+x.path, strings.NewReader(x.body))
			if err != nil {
				t.Fatal(x.name, err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(x.name, err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if got, want := spoken(string(body)), spoken(x.answer); resp.StatusCode != x.status || got != want {
				t.Errorf("%s, %q: %d %q, the real one %d %q", kind, x.name, resp.StatusCode, got, x.status, want)
			}
			compared++
		}
		t.Logf("%s: %d answers compared", kind, compared)
	}
}
