package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/chat"
	"parley/internal/demo"
	"parley/internal/process"
	"parley/internal/upstream"
	"parley/llm"
)

// The test's own binary is the engine that is started: it looks like
// llama.cpp's server, and says its process id. ENGINE says what it is like:
// "deaf" does not heed SIGTERM. ALIVE is an address to which it holds a connection
// for as long as it lives.
func TestMain(m *testing.M) {
	if kind := os.Getenv("ENGINE"); kind != "" {
		beEngine(kind, os.Args[1])
		return
	}
	os.Exit(m.Run())
}

func beEngine(kind, address string) {
	if kind == "deaf" {
		signal.Ignore(syscall.SIGTERM)
	}
	if alive := os.Getenv("ALIVE"); alive != "" {
		c, err := net.Dial("tcp", alive)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		defer c.Close()
	}
	value := func(v string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(v)) }
	}
	http.HandleFunc("/health", value(`{"status":"ok"}`))
	http.HandleFunc("/props", value(`{"default_generation_settings":{"n_ctx":4096},"bos_token":"","eos_token":"<|im_end|>","chat_template":"{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"}`))
	http.HandleFunc("/v1/models", value(`{"data":[{"id":"m","owned_by":"llamacpp","meta":{"n_vocab":1000}}]}`))
	http.HandleFunc("/tokenize", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Content string `json:"content"`
		}
		json.NewDecoder(r.Body).Decode(&q)
		type token struct {
			ID    int    `json:"id"`
			Piece string `json:"piece"`
		}
		all := []token{} // each byte is one
		for _, b := range []byte(q.Content) {
			all = append(all, token{int(b), string(rune(b))})
		}
		json.NewEncoder(w).Encode(map[string]any{"tokens": all})
	})
	http.HandleFunc("/completion", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Prompt any `json:"prompt"`
		}
		json.NewDecoder(r.Body).Decode(&q)
		w.Header().Set("Content-Type", "text/event-stream")
		send := func(format string, args ...any) {
			fmt.Fprintf(w, "data: "+format+"\n\n", args...)
			w.(http.Flusher).Flush()
		}
		send(`{"content":"%d","tokens":[1],"stop":false}`, os.Getpid())
		said := fmt.Sprint(q.Prompt)
		if ids, ok := q.Prompt.([]any); ok {
			said = ""
			for _, id := range ids {
				said += string(rune(id.(float64)))
			}
		}
		if strings.Contains(said, "for ever") {
			<-r.Context().Done()
			return
		}
		send(`{"content":"","tokens":[],"stop":true,"stop_type":"eos","tokens_predicted":1,"tokens_evaluated":3}`)
	})
	fmt.Println(http.ListenAndServe(address, nil))
	os.Exit(1)
}

// engineEntry is a model on such an engine; or on a real one, where the
// environment names a llama-server.
func engineEntry(t *testing.T, name, kind, alive string) Entry {
	p := process.Options{
		Name: name, Command: []string{os.Args[0], "127.0.0.1:{port}"}, Env: []string{"ENGINE=" + kind, "ALIVE=" + alive},
		Start: time.Minute, Grace: 5 * time.Second,
	}
	if kind == "deaf" {
		p.Grace = 50 * time.Millisecond
	}
	r := Remote{Engine: upstream.Options{Kind: "llamacpp"}}
	if program := os.Getenv("PARLEY_LLAMA_SERVER"); program != "" && kind == "real" {
		file := filepath.Join(t.TempDir(), "demo.gguf")
		if err := os.WriteFile(file, demo.Model(), 0o644); err != nil {
			t.Fatal(err)
		}
		p.Command, p.Env = []string{program, "--model", file, "--host", "127.0.0.1", "--port", "{port}", "--ctx-size", "2048", "--parallel", "4"}, nil
		r.Engine.Tokenizer = file
	}
	m := NewManaged(p)
	return Entry{Name: name, OnDemand: true, Group: "g", Parallel: 4, Load: func(ctx context.Context) (*Loaded, error) { return m.Open(ctx, r) }}
}

// oneAtATime is an address to which engines hold connections, of which each must
// have ended before the next begins.
func oneAtATime(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var watching sync.WaitGroup
	t.Cleanup(watching.Wait)
	t.Cleanup(func() { l.Close() })
	watching.Go(func() {
		var before net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if before != nil && !ended(before) {
				t.Error("two engines are alive")
			}
			before = c
		}
	})
	return l.Addr().String()
}

// ended reports whether the other end of a connection is closed. If it is, that
// is known here already; time is only for a machine that is slow to look.
func ended(c net.Conn) bool {
	defer c.Close()
	for range 3 {
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return true
		}
	}
	return false
}

func say(t *testing.T, c *Catalog, model, text string, seen func(string)) (string, error) {
	target, err := c.Resolve(t.Context(), model)
	if err != nil {
		return "", err
	}
	defer target.Release()
	var said strings.Builder
	conversation := chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, text)}}
	for e, err := range target.Responder.Respond(t.Context(), conversation, llm.Params{MaxTokens: new(4)}) {
		if err != nil {
			return said.String(), err
		}
		if d, ok := e.(chat.TextDelta); ok {
			said.WriteString(d.Text)
			if seen != nil {
				seen(said.String())
			}
		}
	}
	return said.String(), nil
}

// TestTwentyClientsOfTwoEngines: two engines of which only one may be alive
// answer everybody, whether or not they end when they are asked to.
func TestTwentyClientsOfTwoEngines(t *testing.T) {
	for _, kind := range []string{"plain", "deaf", "real"} {
		t.Run(kind, func(t *testing.T) {
			alive := oneAtATime(t)
			c := catalogOf(t, Options{Groups: map[string]Group{"g": {Together: 1}}}, engineEntry(t, "a", kind, alive), engineEntry(t, "b", kind, alive))
			var clients sync.WaitGroup
			for i := range 20 {
				clients.Go(func() {
					for range 3 {
						if said, err := say(t, c, []string{"a", "b"}[i%2], "Hello", nil); err != nil || said == "" {
							t.Errorf("%q, %v", said, err)
						}
					}
				})
			}
			clients.Wait()
		})
	}
}

func TestAnEngineThatCrashesEndsItsAnswersWithASentenceAndIsStartedAgain(t *testing.T) {
	c := catalogOf(t, Options{Groups: map[string]Group{"g": {}}}, engineEntry(t, "a", "plain", ""))
	first, err := say(t, c, "a", "go on for ever", func(said string) {
		if pid, err := strconv.Atoi(said); err == nil {
			if p, err := os.FindProcess(pid); err == nil {
				p.Kill()
			}
		}
	})
	e := llm.AsError(err)
	if first == "" || e.Code != llm.Broken || !strings.HasPrefix(e.Message, "a has crashed: ") {
		t.Fatalf("said %q, then %v", first, err)
	}
	second, err := say(t, c, "a", "Hello", nil)
	if err != nil || second == "" || second == first {
		t.Errorf("said %q, then %q, %v", first, second, err)
	}
}

func TestAnEngineThatIsNotWhatItShouldBeIsEnded(t *testing.T) {
	e := engineEntry(t, "a", "plain", "")
	m := NewManaged(process.Options{Name: "a", Command: []string{os.Args[0], "127.0.0.1:{port}"}, Env: []string{"ENGINE=plain"}})
	e.Load = func(ctx context.Context) (*Loaded, error) {
		return m.Open(ctx, Remote{Engine: upstream.Options{Kind: "ollama"}})
	}
	c := catalogOf(t, Options{Groups: map[string]Group{"g": {}}}, e)
	if _, err := c.Resolve(t.Context(), "a"); err == nil {
		t.Fatal("no error")
	}
	if s := m.process.Status(); s.State != process.Stopped || s.PID != 0 {
		t.Errorf("the engine is %+v", s)
	}
}
