//go:build clients

package sillytavern

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Where everything is by default, and all on one machine.
const (
	tavern = "http://127.0.0.1:8000"
	own    = "http://127.0.0.1:7275"
)

// names lead to this machine only for SillyTavern's server (hosts.cjs).
const names = "parley,parley.internal,host.docker.internal,parley.local,parley.example.org"

func TestSillyTavern(t *testing.T) {
	log := serveParley(t)
	serveTavern(t)
	t.Run("chat completion", func(t *testing.T) { chatCompletion(t, log) })
	t.Run("text completion", func(t *testing.T) { textCompletion(t, log) })
	t.Run("KoboldAI Classic", func(t *testing.T) { koboldClassic(t, log) })
	t.Run("post-processing", postProcessing)
	t.Run("characters", cards)
	t.Run("chats", chats)
	t.Run("by another name", otherNames)
	t.Run("the page", func(t *testing.T) { page(t, log) })
}

// serveParley starts the binary with the faces that connection types look for.
func serveParley(t *testing.T) *output {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "parley.toml")
	if err := os.WriteFile(config, []byte("[server]\nlog_format = \"json\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(need(t, "PARLEY_BINARY"), "serve", "--config", config, "--no-discover", "--data", ":memory:", "--as", "ollama,llamacpp,koboldcpp")
	cmd.Dir = dir
	return start(t, "parley", cmd, own+"/readyz", time.Minute)
}

// serveTavern starts SillyTavern's server as its start script does, with a
// data folder of its own.
func serveTavern(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	// Its own placeholder, where the configuration names none.
	settings := "promptPlaceholder: \"Let's get started.\"\n" +
		"extensions:\n  enabled: false\n" // they download what they need
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cache := need(t, "PARLEY_SILLYTAVERN")
	cmd := exec.Command("node", "--require", filepath.Join(cache, "hosts.cjs"), "server.js",
		"--configPath", config, "--dataRoot", filepath.Join(dir, "data"), "--browserLaunchEnabled", "false", "--disableCsrf")
	cmd.Dir = filepath.Join(cache, "node_modules", "sillytavern")
	cmd.Env = append(os.Environ(), "PARLEY_NAMES="+names)
	start(t, "SillyTavern", cmd, tavern+"/version", 5*time.Minute) // it bundles its page first
}

// start runs a server until the end of the test, and waits until it answers.
func start(t *testing.T, name string, cmd *exec.Cmd, url string, patience time.Duration) *output {
	t.Helper()
	if resp, err := http.Get(url); err == nil {
		resp.Body.Close()
		t.Fatalf("something answers at %s already: %s needs the port", url, name)
	}
	log := &output{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", name, log.tail())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return log
			}
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", name, log.tail())
		case <-ctx.Done():
			t.Fatalf("%s was not ready within %v at %s", name, patience, url)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// output is what a server printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.text.Bytes()
	return string(b[max(0, len(b)-8000):])
}

// A logged request of Parley.
type logged struct {
	Route string
	Ended string // what ended the answer
	Bytes int
}

// requests are those that Parley logged so far.
func (o *output) requests() []logged {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []logged
	for line := range strings.Lines(o.text.String()) {
		var r logged
		if json.Unmarshal([]byte(line), &r) == nil && r.Route != "" {
			all = append(all, r)
		}
	}
	return all
}

// wait waits until Parley has logged a request after the first n that is as
// wanted.
func (o *output) wait(t *testing.T, n int, what string, wanted func(logged) bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		all := o.requests()
		for _, r := range all[n:] {
			if wanted(r) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 seconds; there were %+v", what, all[n:])
		}
	}
}

// object is a JSON object.
type object = map[string]any

// ask posts a body to a server and returns what it answers.
func ask(t *testing.T, url string, body any) string {
	t.Helper()
	resp := post(t, t.Context(), url, body)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", url, resp.Status, err, answer)
	}
	return string(answer)
}

func post(t *testing.T, ctx context.Context, url string, body any) *http.Response {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true // so that leaving closes the connection, as a page's does
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// read takes a JSON answer apart.
func read[T any](t *testing.T, answer string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	return v
}

// leave asks for a long answer, goes while it is being written, and waits
// until Parley has ended it: by the closed connection or, where SillyTavern
// says so to KoboldCpp's before, as if the answer were whole.
func leave(t *testing.T, log *output, url string, body object, stream bool, path string) {
	t.Helper()
	before := len(log.requests())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	whole := make(chan string, 1)
	go func() {
		if !stream {
			defer close(whole)
		}
		data, _ := json.Marshal(body)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(data))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		if stream {
			io.ReadFull(resp.Body, make([]byte, 20))
			close(whole) // it has begun
			<-ctx.Done()
			return
		}
		if _, err := io.ReadAll(resp.Body); err == nil {
			whole <- resp.Status
		}
	}()
	if stream {
		<-whole
	} else {
		busy(t)
	}
	cancel()
	if status, ok := <-whole; ok {
		t.Fatalf("the answer was whole (%s) before the client could leave", status)
	}
	log.wait(t, before, path+" ends when the client leaves", func(r logged) bool {
		// KoboldAI's clients say that they leave: then the answer ends as if it were
		// whole, and 3,500 tokens are more bytes.
		return r.Route == path && (r.Ended == "left" || r.Ended == "end" && r.Bytes < 5000)
	})
}

// busy waits until Parley is writing an answer.
func busy(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get("http://127.0.0.1:8080/slots")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, slot := range read[[]struct {
			Busy bool `json:"is_processing"`
		}](t, string(answer)) {
			if slot.Busy {
				return
			}
		}
	}
	t.Fatal("no answer was begun within 10 seconds")
}

func need(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run tools/sillytavern/run.sh", name)
	}
	return value
}
