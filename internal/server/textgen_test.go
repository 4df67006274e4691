package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// frames are what a socket answers to a request, to the frame that ends it.
func frames(t *testing.T, conn *websocket.Conn, body string) (all []string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(body)); err != nil {
		t.Fatal(err)
	}
	for {
		_, data, err := conn.Read(t.Context())
		if err != nil {
			t.Fatalf("%v after %q", err, all)
		}
		all = append(all, string(data))
		if strings.Contains(string(data), `"stream_end"`) {
			return all
		}
	}
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

func textgenFace(t *testing.T) Face {
	face, ok := FaceNamed("textgen")
	if !ok {
		t.Fatal("there is no such face")
	}
	return face
}

// TestFramesOfASocket: one socket answers several requests, each with frames
// that are numbered from 0.
func TestFramesOfASocket(t *testing.T) {
	log := make(logLines, 100)
	s := New(one("tiny", chat.Script(), llm.Script(" Yes", ", Tom\n", "Tom:", " never")), Options{
		Characters: cast{"Ada": {Name: "Ada", User: "Tom"}}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	live := httptest.NewServer(s.Handler(textgenFace(t)))
	defer live.Close()

	conn := dial(t, live.URL+"/api/v1/stream")
	for range 2 {
		got := frames(t, conn, `{"prompt":"a","stopping_strings":["\nTom:"]}`)
		want := []string{
			`{"event":"text_stream","message_num":0,"text":" Yes"}`, `{"event":"text_stream","message_num":1,"text":", Tom"}`,
			`{"event":"stream_end","message_num":2}`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	}

	conn = dial(t, live.URL+"/api/v1/chat-stream")
	got := frames(t, conn, `{"user_input":"<Hi>","character":"Ada","history":{"internal":[["a","b"]],"visible":[["a","b"]]}}`)
	want := []string{
		`{"event":"text_stream","message_num":0,"history":{"internal":[["a","b"],["<Hi>",""]],"visible":[["a","b"],["&lt;Hi&gt;",""]]}}`,
		`{"event":"text_stream","message_num":1,"history":{"internal":[["a","b"],["<Hi>","Yes"]],"visible":[["a","b"],["&lt;Hi&gt;","Yes"]]}}`,
		`{"event":"text_stream","message_num":2,"history":{"internal":[["a","b"],["<Hi>","Yes, Tom"]],"visible":[["a","b"],["&lt;Hi&gt;","Yes, Tom"]]}}`,
		`{"event":"stream_end","message_num":3}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	got = frames(t, conn, `{"user_input":"","_continue":true,"history":{"internal":[],"visible":[]}}`)
	want = []string{`{"event":"text_stream","message_num":0,"history":{"internal":[],"visible":[]}}`, `{"event":"stream_end","message_num":1}`}
	if !slices.Equal(got, want) {
		t.Errorf("nothing to continue: got %q", got)
	}
	for range 2 {
		if line := <-log; !strings.Contains(line, "route=/api/v1/stream dialect=textgen status=200 bytes=145") || !strings.Contains(line, "completion_tokens=3") {
			t.Errorf("the log says %s of a request", line)
		}
	}
}

// logLines gets a log's lines.
type logLines chan string

func (l logLines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// TestAWrongRequestEndsItsSocket and says why, in a frame and in the reason.
func TestAWrongRequestEndsItsSocket(t *testing.T) {
	model := llm.Script("a", "b")
	model.Err = &llm.Error{Code: llm.Unavailable, Message: "the engine is gone"}
	s := New(one("tiny", chat.Script(), model), Options{})
	live := httptest.NewServer(s.Handler(textgenFace(t)))
	defer live.Close()
	for body, want := range map[string]struct {
		status websocket.StatusCode
		words  string
	}{
		`{"prompt":""}`:  {websocket.StatusPolicyViolation, "the prompt is empty"},
		`{`:              {websocket.StatusPolicyViolation, "not JSON"},
		`{"prompt":"x"}`: {websocket.StatusTryAgainLater, "the engine is gone"},
		`{"prompt":"x","top_p":9,"` + strings.Repeat("ä", 150) + `":1}`: {websocket.StatusPolicyViolation, "top_p"},
	} {
		conn := dial(t, live.URL+"/api/v1/stream")
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(body)); err != nil {
			t.Fatal(err)
		}
		var last string
		for {
			_, data, err := conn.Read(t.Context())
			if err == nil {
				last = string(data)
				continue
			}
			var closed websocket.CloseError
			if !asClose(err, &closed) || closed.Code != want.status || !strings.Contains(closed.Reason, want.words) || !strings.Contains(last, want.words) || !strings.Contains(last, `"event":"error"`) {
				t.Errorf("%s: ended with %v behind %s", body, err, last)
			}
			break
		}
	}
}

func asClose(err error, closed *websocket.CloseError) bool {
	status := websocket.CloseStatus(err)
	if status < 0 {
		return false
	}
	closed.Code, closed.Reason = status, err.Error()
	return true
}

// TestAnAnswerIsStoppedFromElsewhere: whoever asked for it ends it, on every
// route that makes one, and gets what there is.
func TestAnAnswerIsStoppedFromElsewhere(t *testing.T) {
	for _, c := range []struct{ path, body, stop string }{
		{"/api/v1/generate", `{"prompt":"a","max_new_tokens":9}`, "/api/v1/stop-stream"},
		{"/api/v1/chat", `{"user_input":"a"}`, "/api/v1/stop-stream"},
		{"/v1/completions", `{"prompt":"a"}`, "/v1/internal/stop-generation"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"mode":"chat","stream":true}`, "/v1/internal/stop-generation"},
		{"/api/v1/stream", `{"prompt":"a"}`, "/api/v1/stop-stream"},
	} {
		t.Run(c.path, func(t *testing.T) {
			gate := make(chan struct{})
			model := llm.Script("one ", "two ", "three ", "four ")
			model.Gate = gate
			s := New(one("tiny", chat.Script(), model), Options{})
			live := httptest.NewServer(s.Handler(textgenFace(t)))
			defer live.Close()
			answer := make(chan string)
			if c.path == "/api/v1/stream" {
				conn := dial(t, live.URL+c.path)
				go func() { answer <- strings.Join(frames(t, conn, c.body), "") }()
			} else {
				go func() { answer <- post(t, live.URL+c.path, c.body) }()
			}
			gate <- struct{}{}
			gate <- struct{}{}
			if got := post(t, live.URL+c.stop, "{}"); !strings.Contains(got, `"success"`) && got != "\"OK\"\n" {
				t.Errorf("stopping says %s", got)
			}
			if got := <-answer; !strings.Contains(got, "one") || strings.Contains(got, "four") || strings.Contains(got, "error") {
				t.Errorf("the answer is %s", got)
			}
		})
	}
}

func post(t *testing.T, url, body string) string {
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return string(data)
}

// TestASocketThatIsClosedEndsItsAnswer, also while it says nothing.
func TestASocketThatIsClosedEndsItsAnswer(t *testing.T) {
	gate := make(chan struct{})
	model := llm.Script("one ", "two ", "three ")
	model.Gate = gate
	s := New(one("tiny", chat.Script(), model), Options{})
	live := httptest.NewServer(s.Handler(Own))
	defer live.Close()
	conn := dial(t, live.URL+"/api/v1/stream")
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"prompt":"a"}`)); err != nil {
		t.Fatal(err)
	}
	gate <- struct{}{}
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn.CloseNow()
	s.running.Wait()
}

// TestSocketsEndWhenTheServerDoes: one without work at once, one with work when
// it is done.
func TestSocketsEndWhenTheServerDoes(t *testing.T) {
	gate := make(chan struct{})
	model := llm.Script("one ", "two ")
	model.Gate = gate
	s := New(one("tiny", chat.Script(), model), Options{})
	live := httptest.NewServer(s.Handler(Own))
	defer live.Close()
	idle, busy := dial(t, live.URL+"/api/v1/stream"), dial(t, live.URL+"/api/v1/stream")
	if err := busy.Write(t.Context(), websocket.MessageText, []byte(`{"prompt":"a"}`)); err != nil {
		t.Fatal(err)
	}
	gate <- struct{}{}
	down := make(chan error)
	go func() { down <- s.Shutdown(context.Background()) }()
	if _, _, err := idle.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("without work: %v", err)
	}
	go func() { gate <- struct{}{} }()
	var said string
	for {
		_, data, err := busy.Read(t.Context())
		if err != nil {
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("with work: %v", err)
			}
			break
		}
		said += string(data)
	}
	if !strings.Contains(said, "two ") || !strings.Contains(said, "stream_end") {
		t.Errorf("with work: %s", said)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// TestASocketOfAForeignPageIsRefused: browsers send no preflight for sockets.
func TestASocketOfAForeignPageIsRefused(t *testing.T) {
	s := New(one("tiny", chat.Script(), llm.Script("x")), Options{Keys: plain("k")})
	live := httptest.NewServer(s.Handler(Own))
	defer live.Close()
	for name, h := range map[string]http.Header{
		"a foreign page": {"Origin": {"https://evil.example"}, "Authorization": {"Bearer k"}},
		"no key":         {},
	} {
		conn, resp, err := websocket.Dial(t.Context(), live.URL+"/api/v1/stream", &websocket.DialOptions{HTTPHeader: h})
		if err == nil {
			conn.CloseNow()
		}
		if err == nil || resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
	conn, _, err := websocket.Dial(t.Context(), live.URL+"/api/v1/stream", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer k"}}})
	if err != nil {
		t.Fatal(err)
	}
	conn.CloseNow()
}

// TestASocketHoldsSoManyRequests: one that sends more without reading is cut off.
func TestASocketHoldsSoManyRequests(t *testing.T) {
	gate := make(chan struct{})
	model := llm.Script("one ")
	model.Gate = gate
	s := New(one("tiny", chat.Script(), model), Options{})
	live := httptest.NewServer(s.Handler(Own))
	defer live.Close()
	conn := dial(t, live.URL+"/api/v1/stream")
	for range limits.SocketRequests.Int() + 2 { // one is being answered
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"prompt":"a"}`)); err != nil {
			break
		}
	}
	for {
		_, data, err := conn.Read(t.Context())
		if err == nil {
			continue
		}
		if websocket.CloseStatus(err) != websocket.StatusTryAgainLater {
			t.Errorf("got %v behind %s", err, data)
		}
		break
	}
	s.running.Wait()
}

// TestTheOldestTurnsGoFirst: who the character is, and what the user says now,
// stay.
func TestTheOldestTurnsGoFirst(t *testing.T) {
	for _, mode := range []string{"chat", "chat-instruct"} {
		var seen, told string
		model := llm.Script("z")
		model.Context = 4096
		model.Seen = func(p llm.Prompt, _ llm.Params) { seen = p.String() }
		responder := chat.Script(chat.TextDelta{Text: "z"})
		responder.Seen = func(c chat.Conversation, _ llm.Params) { told = c.Messages[0].Text() }
		s := New(one("tiny", counting{responder}, model), Options{})
		var rows [][2]string
		for i := range 10 {
			rows = append(rows, [2]string{strings.TrimSpace(strings.Repeat(fmt.Sprintf("x%d ", i), 4)), fmt.Sprintf("y%d", i)})
		}
		history, err := json.Marshal(map[string]any{"internal": rows, "visible": rows})
		if err != nil {
			t.Fatal(err)
		}
		rec := serve(s, "POST", "/api/v1/chat", fmt.Sprintf(`{"user_input":"now","mode":%q,"name2":"Ada","context":"persona.","greeting":"hello","chat_instruct_command":"<|prompt|>",
			"history":%s,"truncation_length":40,"max_new_tokens":20}`, mode, history))
		if rec.Code != http.StatusOK || !strings.Contains(rec.Header().Get("Parley-Report"), "shortened=") {
			t.Fatalf("%s: %d %s %s", mode, rec.Code, rec.Header().Get("Parley-Report"), rec.Body)
		}
		got := seen + told // one of them
		if !strings.HasPrefix(got, "persona.\n") || !strings.Contains(got, "You: x9 x9 x9 x9\nAda: y9\nYou: now\n") || strings.Contains(got, "hello") || strings.Contains(got, "x0") {
			t.Errorf("%s: the model got %q", mode, got)
		}
		if n := strings.Count(rec.Body.String(), "x0 x0 x0 x0"); n != 2 {
			t.Errorf("%s: the history lost its first row: %s", mode, rec.Body)
		}
	}
}

// counting is a responder whose prompts have a token for every word.
type counting struct{ *chat.Scripted }

func (counting) Render(ctx context.Context, c chat.Conversation) (chat.Rendered, error) {
	r := chat.Rendered{Tokens: []llm.Token{}}
	for _, m := range c.Messages {
		tokens, _ := llm.Script().Tokenize(ctx, llm.Text(m.Text()))
		r.Tokens = append(r.Tokens, tokens...)
	}
	return r, nil
}

// TestAPromptWithoutItsFirstToken: add_bos_token false leaves out what the model
// puts before a text.
func TestAPromptWithoutItsFirstToken(t *testing.T) {
	var seen []llm.Prompt
	model := llm.Script("z")
	model.Seen = func(p llm.Prompt, _ llm.Params) { seen = append(seen, p) }
	s := New(one("tiny", chat.Script(), beginning{model}), Options{})
	for _, body := range []string{`{"prompt":"a b","max_new_tokens":2}`, `{"prompt":"a b","add_bos_token":false,"max_new_tokens":2}`} {
		if rec := serve(s, "POST", "/api/v1/generate", body); rec.Code != http.StatusOK {
			t.Fatal(rec.Body)
		}
	}
	if seen[0].Segments[0].Text != "a b" || !slices.Equal(seen[1].Segments[0].Tokens, []int{0, 1}) {
		t.Errorf("the model got %v", seen)
	}
}

// beginning is a model that puts a token before every text.
type beginning struct{ *llm.Scripted }

func (b beginning) Tokenize(ctx context.Context, p llm.Prompt) ([]llm.Token, error) {
	tokens, err := b.Scripted.Tokenize(ctx, p)
	return append([]llm.Token{{ID: 99, Control: true, Segment: -1}}, tokens...), err
}
