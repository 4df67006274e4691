package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"parley/chat"
	"parley/llm"
)

var update = flag.Bool("update", false, "rewrite the responses in testdata")

// Each file of testdata is a talk with the server: a face says as what it is
// spoken to, a script says what the model answers from there on, a request is sent as it stands, a response is
// what must come back to the byte, and seen is what reached the model.
func TestTalks(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no talks in testdata", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { talk(t, file) })
	}
}

func talk(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	archive := txtar.Parse(data)
	models := one("tiny", chat.Script(), llm.Script())
	var s *Server
	var last *httptest.ResponseRecorder
	var seen string
	o := Options{
		Hosts: []string{"chat.example"}, Origins: []string{"https://page.example"},
		Characters: cast{"Ada": {Name: "Ada", User: "Tom", Context: "{{char}} counts with <USER>.\n", Greeting: "Hello, {{user}}!"}},
		Presets:    map[string]llm.Params{"Calm": {Temperature: new(0.25), TopK: new(3)}},
	}
	face := Own
	for i := range archive.Files {
		f := &archive.Files[i]
		got := ""
		switch f.Name {
		case "keys":
			o.Keys = plain(strings.Fields(string(f.Data))...)
			continue
		case "face":
			var ok bool
			if face, ok = FaceNamed(strings.TrimSpace(string(f.Data))); !ok {
				t.Fatalf("%s: no face %s", file, f.Data)
			}
			continue
		case "script":
			events, fails := script(t, string(f.Data))
			seen = ""
			responder, model := chat.Script(events...), llm.Script(tokens(events)...)
			responder.Err, model.Err = fails, fails
			var mu sync.Mutex
			note := func(s string) {
				mu.Lock()
				defer mu.Unlock()
				seen += s
			}
			responder.Seen = func(c chat.Conversation, p llm.Params) { note(showConversation(c) + showParams(p)) }
			model.Seen = func(q llm.Prompt, p llm.Params) { note(showPrompt(q) + showParams(p)) }
			models = one("tiny", rendering{responder}, model)
			if _, ok := events[0].(chat.TextDelta); !ok || len(events[0].(chat.TextDelta).Tokens) == 0 {
				continue
			}
			models.target.Model = replay(events) // a script of llm has no probabilities
			continue
		case "scores":
			models.target.Model = scoring{models.target.Model}
			continue
		case "gaps":
			models.target.Model = gaps{models.target.Model}
			continue
		case "vectors":
			models.target.Model = vectoring{models.target.Model}
			continue
		case "request":
			s = fixed(models, o)
			last = httptest.NewRecorder()
			s.Handler(face).ServeHTTP(last, request(t, f.Data))
			if len(s.textgen.running) > 0 {
				t.Errorf("%s, section %d: an answer is still being made", file, i)
			}
			continue
		case "response":
			got = dump(last)
		case "seen":
			got = seen
		default:
			t.Fatalf("%s: what is %q?", file, f.Name)
		}
		if want := string(f.Data); got != want && !*update {
			t.Errorf("%s, section %d (%s)\ngot:\n%s\nwant:\n%s", file, i, f.Name, got, want)
		}
		f.Data = []byte(got)
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// fixed is a server whose ids and clock stand still.
func fixed(m Models, o Options) *Server {
	s := New(m, o)
	s.newID = func() string { return "ID" }
	s.now = func() time.Time { return time.Unix(1700000000, 0) }
	return s
}

// request reads a request; the length of its body need not be given.
func request(t *testing.T, data []byte) *http.Request {
	t.Helper()
	head, body, _ := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	raw := lines[0] + " HTTP/1.1\r\n"
	if !strings.Contains(string(head), "Host:") {
		raw += "Host: 127.0.0.1:7275\r\n"
	}
	body = bytes.TrimSuffix(body, []byte("\n"))
	raw += strings.Join(append(lines[1:], "Content-Length: "+strconv.Itoa(len(body))), "\r\n") + "\r\n\r\n" + string(body)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:4321"
	return r
}

var shown = []string{
	"Content-Type", "Parley-Report", "Retry-After", "Allow", "WWW-Authenticate", "X-Request-Id",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Allow-Private-Network",
}

func dump(rec *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", rec.Code)
	for _, name := range shown {
		if v := rec.Header().Get(name); v != "" && v != "ID" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	b.WriteString("\n")
	b.WriteString(rec.Body.String())
	if body := rec.Body.String(); body != "" && !strings.HasSuffix(body, "\n") {
		b.WriteString("\n")
	}
	return b.String()
}

// script reads one event a line: a word and its arguments as JSON.
func script(t *testing.T, s string) (events []chat.Event, fails error) {
	t.Helper()
	id := 0
	for line := range strings.Lines(s) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		var e chat.Event
		var err error
		switch word {
		case "text":
			var d chat.TextDelta
			err = json.Unmarshal([]byte(rest), &d.Text)
			e = d
		case "token": // a token with its probability and one that was not chosen
			var v struct{ Text, Other string }
			err = json.Unmarshal([]byte(rest), &v)
			e = chat.TextDelta{Text: v.Text, Tokens: []llm.Token{{ID: id, Text: v.Text, LogProb: -0.25, Top: []llm.TokenProb{
				{ID: id, Text: v.Text, LogProb: -0.25}, {ID: id + 100, Text: v.Other, LogProb: -1.5},
			}}}}
			id++
		case "reasoning":
			d := chat.ReasoningDelta{Tokens: []llm.Token{{ID: 7}}}
			err = json.Unmarshal([]byte(rest), &d.Text)
			e = d
		case "call":
			var d chat.ToolCallDelta
			err = json.Unmarshal([]byte(rest), &d)
			e = d
		case "accepted":
			var a chat.Accepted
			err = json.Unmarshal([]byte(rest), &a)
			e = a
		case "waiting":
			w := chat.Waiting{Queue: 1}
			if rest != "" {
				err = json.Unmarshal([]byte(rest), &w)
			}
			e = w
		case "done":
			var d chat.Done
			err = json.Unmarshal([]byte(rest), &d.Finish)
			e = d
		case "fail":
			var x llm.Error
			if err := json.Unmarshal([]byte(rest), &x); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			fails = &x
			continue
		default:
			t.Fatalf("no event %q", word)
		}
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		events = append(events, e)
	}
	return events, fails
}

func tokens(events []chat.Event) (all []string) {
	for _, e := range events {
		if d, ok := e.(chat.TextDelta); ok {
			all = append(all, d.Text)
		}
	}
	return all
}

func showConversation(c chat.Conversation) string {
	var b strings.Builder
	for _, m := range c.Messages {
		fmt.Fprintf(&b, "%s", m.Role)
		if m.Name != "" {
			fmt.Fprintf(&b, " (%s)", m.Name)
		}
		fmt.Fprintf(&b, ": %q\n", m.Text())
	}
	if c.Continue {
		b.WriteString("continue\n")
	}
	if c.Layout.NoAutoStops || c.Layout.StopNames {
		fmt.Fprintf(&b, "stops: no automatic ones %v, names %v\n", c.Layout.NoAutoStops, c.Layout.StopNames)
	}
	return b.String()
}

func showPrompt(p llm.Prompt) string {
	var b strings.Builder
	for _, s := range p.Segments {
		fmt.Fprintf(&b, "prompt %d: %q %v\n", s.Source.Index, s.Text, s.Tokens)
	}
	return b.String()
}

func showParams(p llm.Params) string {
	var b strings.Builder
	b.WriteString("params:")
	put := func(name string, v any) { fmt.Fprintf(&b, " %s=%v", name, v) }
	for _, n := range []struct {
		name string
		v    *int
	}{{"max_tokens", p.MaxTokens}, {"top_k", p.TopK}, {"logprobs", p.LogProbs}} {
		if n.v != nil {
			put(n.name, *n.v)
		}
	}
	for _, n := range []struct {
		name string
		v    *float64
	}{{"temperature", p.Temperature}, {"top_p", p.TopP}, {"presence", p.PresencePenalty}, {"frequency", p.FrequencyPenalty}} {
		if n.v != nil {
			put(n.name, *n.v)
		}
	}
	if p.Seed != nil {
		put("seed", *p.Seed)
	}
	if p.Stop != nil {
		put("stop", fmt.Sprintf("%q", p.Stop))
	}
	if p.StopLines != nil {
		put("stop_lines", fmt.Sprintf("%q", p.StopLines))
	}
	if p.Choice != 0 {
		put("choice", p.Choice)
	}
	b.WriteString("\n")
	return b.String()
}
