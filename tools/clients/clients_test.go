//go:build clients

package clients

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	own = "http://127.0.0.1:7275"
	mlc = "http://127.0.0.1:8000"

	kobold        = "http://127.0.0.1:5001"
	textgen       = "http://127.0.0.1:5000"
	textgenSocket = "http://127.0.0.1:5005"
)

func TestClients(t *testing.T) {
	serve(t)
	cache := need(t, "PARLEY_CLIENTS")
	python := filepath.Join(cache, "python", "bin", "python")

	t.Run("openai for Python", func(t *testing.T) { run(t, exec.Command(python, "python/sdk.py", own)) })
	t.Run("openai for Node", func(t *testing.T) {
		run(t, exec.Command("node", filepath.Join(cache, "sdk.mjs"), own, "python/tools.jinja"))
	})
	t.Run("openai for Go", func(t *testing.T) { run(t, exec.Command(filepath.Join(cache, "gosdk"), own, "python/tools.jinja")) })
	t.Run("Responses by openai for Python", func(t *testing.T) { run(t, exec.Command(python, "python/responses.py", own)) })
	t.Run("Responses by openai for Node", func(t *testing.T) { run(t, exec.Command("node", filepath.Join(cache, "responses.mjs"), own)) })
	t.Run("Open Responses", func(t *testing.T) { run(t, exec.Command(python, "python/openresponses.py", own)) })
	t.Run("anthropic for Python", func(t *testing.T) { run(t, exec.Command(python, "python/messages.py", own)) })
	t.Run("anthropic for Node", func(t *testing.T) { run(t, exec.Command("node", filepath.Join(cache, "messages.mjs"), own)) })
	t.Run("ollama for JavaScript", func(t *testing.T) { run(t, exec.Command("node", filepath.Join(cache, "ollama.mjs"), own)) })
	t.Run("koboldapi for Python", func(t *testing.T) { run(t, exec.Command(python, "python/kobold.py", kobold)) })
	t.Run("LangChain", func(t *testing.T) { run(t, exec.Command(python, "python/langchain_chat.py", own)) })
	t.Run("AutoGen, two agents", func(t *testing.T) { run(t, exec.Command(python, "python/autogen_chat.py", own)) })
	t.Run("a bot in a channel with many people", func(t *testing.T) { run(t, exec.Command(python, "python/chatbot.py", own)) })
	t.Run("text-generation-webui's clients", func(t *testing.T) {
		run(t, exec.Command(python, "python/textgen.py", textgen, strings.Replace(textgenSocket, "http", "ws", 1)))
	})
	t.Run("llm in the terminal", func(t *testing.T) { terminal(t, filepath.Join(cache, "python", "bin", "llm")) })
	t.Run("two system messages, the script as it was reported", func(t *testing.T) {
		out := run(t, exec.Command(python, "-c", reported(t)))
		_, haiku, _ := strings.Cut(out, "\n")
		if !strings.Contains(haiku, "green") || !strings.Contains(haiku, "apple") || len(strings.Split(strings.TrimSpace(haiku), "\n")) != 3 {
			t.Errorf("no haiku about apples with green in it:\n%s", out)
		}
	})
	t.Run("SillyTavern's request, as it was reported", func(t *testing.T) {
		run(t, exec.Command("node", filepath.Join(cache, "sillytavern.mjs"), own, report(t)))
	})
	t.Run("a request's own chat format", func(t *testing.T) {
		run(t, exec.Command(python, "../../examples/chat-format/wrapper.py", own))
	})
	t.Run("curl without a content type", func(t *testing.T) {
		body := `{"messages":[{"role":"user","content":"Hi"}]}`
		out := run(t, exec.Command("curl", "-sS", "--fail-with-body", own+"/v1/chat/completions", "-d", body))
		if !strings.Contains(out, `"assistant"`) {
			t.Errorf("got %s", out)
		}
	})
}

// terminal talks by a program of the command line, which remembers what was
// said.
func terminal(t *testing.T, program string) {
	home := t.TempDir()
	models := "- model_id: parley\n  model_name: parley-demo\n  api_base: " + own + "/v1\n"
	if err := os.WriteFile(filepath.Join(home, "extra-openai-models.yaml"), []byte(models), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, said := range []struct {
		args []string
		want string
	}{
		{[]string{"-m", "parley", "-s", "You are Mira, a pirate captain.", "Hi"}, "Ahoy"},
		{[]string{"-c", "Who are you?"}, "Mira"},
		{[]string{"-m", "parley", "--no-stream", "Who are you?"}, "Parley"},
	} {
		cmd := exec.Command(program, append(said.args, "-o", "temperature", "0")...)
		cmd.Env = append(os.Environ(), "LLM_USER_PATH="+home, "OPENAI_API_KEY=none")
		if out := run(t, cmd); !strings.Contains(out, said.want) {
			t.Errorf("%q: there is no %q in %s", said.args, said.want, out)
		}
	}
}

// report is the document that started it all.
func report(t *testing.T) string {
	t.Helper()
	data := os.Getenv("PARLEY_TESTDATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(data, "..", "seeds", "mlc-llm-multiple-system-messages.txt")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// reported is the script of the report, cut out by its first and last line.
func reported(t *testing.T) string {
	t.Helper()
	path := report(t)
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(doc), "import requests")
	script, _, ended := strings.Cut(rest, "for choice in choices:")
	if !found || !ended {
		t.Fatalf("%s does not hold the script", path)
	}
	loop := strings.SplitN(rest[len(script):], "\n", 3)
	return "import requests" + script + loop[0] + "\n" + loop[1] + "\n"
}

// serve starts the binary and stops it at the end of the test, by the signal
// that a terminal sends.
func serve(t *testing.T) {
	t.Helper()
	characters, err := filepath.Abs("characters")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "parley.toml")
	if err := os.WriteFile(config, []byte("[characters]\ndir = '"+characters+"'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(need(t, "PARLEY_BINARY"), "serve", "--config", config, "--no-discover", "--data", ":memory:", "--as", "mlc", "--as", "koboldcpp", "--as", "textgen", "--request-formats")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			said = append(said, lines.Text())
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		if t.Failed() {
			t.Log(strings.Join(said, "\n"))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, url := range []string{own, mlc, kobold, textgen, textgenSocket} {
		for {
			if resp, err := http.Get(url + "/readyz"); err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			select {
			case <-ended:
				t.Fatalf("the server ended:\n%s", strings.Join(said, "\n"))
			case <-ctx.Done():
				t.Fatalf("the server was not ready within a minute at %s", url)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args[:1], err, out)
	}
	t.Logf("%s", out)
	return string(out)
}

func need(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run tools/clients/run.sh", name)
	}
	return value
}
