package server

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

// TestAKoboldAnswerIsLookedAtAndAborted has an answer made word by word: what
// there is of it can be polled, and whoever began it can end it, streamed or
// not, with a key or without.
func TestAKoboldAnswerIsLookedAtAndAborted(t *testing.T) {
	for name, c := range map[string]struct{ path, body, ask string }{
		"streamed":             {"/api/extra/generate/stream", `{"prompt":"a"}`, ``},
		"streamed, by key":     {"/api/extra/generate/stream", `{"prompt":"a","genkey":"K"}`, `{"genkey":"K"}`},
		"whole":                {"/api/v1/generate", `{"prompt":"a"}`, ``},
		"whole, by its key":    {"/api/v1/generate", `{"prompt":"a","genkey":"K"}`, `{"genkey":"K"}`},
		"whole, an odd prefix": {"/api/latest//generate/", `{"prompt":"a"}`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{})
			model := llm.Script("one ", "two ", "three ", "four ")
			model.Gate = gate
			s := New(one("tiny", chat.Script(), model), Options{})
			live := httptest.NewServer(s.Handler(Own))
			defer live.Close()
			post := func(path, body string) string {
				resp, err := http.Post(live.URL+path, "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return ""
				}
				defer resp.Body.Close()
				data, _ := io.ReadAll(resp.Body)
				return string(data)
			}
			answer := make(chan string)
			go func() { answer <- post(c.path, c.body) }()
			gate <- struct{}{}
			gate <- struct{}{} // the first word has been noted when the second is asked for
			for !strings.Contains(post("/api/extra/generate/check", c.ask), "one ") {
			}
			if got := post("/api/extra/generate/check", `{"genkey":"other"}`); !strings.Contains(got, `"text":""`) {
				t.Errorf("another key sees %s", got)
			}
			if got := post("/api/extra/abort", `{"genkey":"other"}`); !strings.Contains(got, `"success":"false"`) {
				t.Errorf("another key ends it: %s", got)
			}
			if got := post("/api/extra/abort", c.ask); !strings.Contains(got, `"success":"true"`) {
				t.Errorf("it cannot be ended: %s", got)
			}
			if got := <-answer; !strings.Contains(got, "one ") || strings.Contains(got, "four") || !strings.Contains(got, `"stop"`) {
				t.Errorf("the answer is %s", got)
			}
			if got := post("/api/extra/abort", c.ask); !strings.Contains(got, `"success":"false"`) {
				t.Errorf("it is ended twice: %s", got)
			}
		})
	}
}

// TestAKoboldAnswerThatWaitsIsAborted: also before there is a model to ask.
func TestAKoboldAnswerThatWaitsIsAborted(t *testing.T) {
	for path, want := range map[string]string{"/api/v1/generate": `"text":""`, "/api/extra/generate/stream": `"finish_reason":"stop"`} {
		m := one("tiny", nil, llm.Script("one"))
		m.hold = make(chan struct{})
		s := New(m, Options{})
		answer := make(chan *httptest.ResponseRecorder)
		go func() { answer <- serve(s, "POST", path, `{"prompt":"a","genkey":"K"}`) }()
		for !strings.Contains(serve(s, "POST", "/api/extra/abort", `{"genkey":"K"}`).Body.String(), `"success":"true"`) {
		}
		if rec := <-answer; rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), want) || strings.Contains(rec.Body.String(), "one") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
		if n := len(s.kobold.running); n != 0 {
			t.Errorf("%s: %d runs stay behind", path, n)
		}
	}
}

// TestATextgenAnswerThatWaitsIsStopped: as above.
func TestATextgenAnswerThatWaitsIsStopped(t *testing.T) {
	for path, body := range map[string]string{
		"/api/v1/generate": `{"prompt":"a","max_new_tokens":5}`,
		"/api/v1/chat":     `{"user_input":"a","max_new_tokens":5,"mode":"instruct","history":{"internal":[],"visible":[]}}`,
	} {
		m := one("tiny", chat.Script(chat.TextDelta{Text: "one"}), llm.Script("one"))
		m.hold = make(chan struct{})
		s := New(m, Options{})
		answer := make(chan *httptest.ResponseRecorder)
		go func() { answer <- serve(s, "POST", path, body) }()
		for waiting := true; waiting; {
			serve(s, "POST", "/api/v1/stop-stream", `{}`)
			select {
			case rec := <-answer:
				waiting = false
				if rec.Code != http.StatusOK || strings.Contains(rec.Body.String(), "one") || !strings.Contains(rec.Body.String(), "results") {
					t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
				}
			default:
			}
		}
	}
}

// TestAKoboldClientThatLeavesEndsItsAnswer: hanging up is enough.
func TestAKoboldClientThatLeavesEndsItsAnswer(t *testing.T) {
	gate := make(chan struct{})
	model := llm.Script("one ", "two ", "three ")
	model.Gate = gate
	s := New(one("tiny", chat.Script(), model), Options{})
	live := httptest.NewServer(s.Handler(Own))
	defer live.Close()
	resp, err := http.Post(live.URL+"/api/extra/generate/stream", "application/json", strings.NewReader(`{"prompt":"a"}`))
	if err == nil {
		gate <- struct{}{}
		_, err = bufio.NewReader(resp.Body).ReadString('\n')
	}
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for len(s.kobold.of(owner{addr: s.client(&http.Request{RemoteAddr: "127.0.0.1:1"})})) > 0 {
	}
}

// TestWhatIsTooLongIsCutBehindTheMemory: the prompt's beginning goes, and the
// report says how much of it.
func TestWhatIsTooLongIsCutBehindTheMemory(t *testing.T) {
	var seen llm.Prompt
	model := llm.Script("x")
	model.Context = 100
	model.Seen = func(p llm.Prompt, _ llm.Params) { seen = p }
	s := New(one("tiny", chat.Script(), model), Options{})
	body := `{"memory":"m1 m2 ","prompt":"` + strings.Repeat("old ", 50) + `new","max_length":4,"max_context_length":20}`
	rec := serve(s, "POST", "/api/v1/generate", body)
	if rec.Code != http.StatusOK || !strings.Contains(rec.Header().Get("Parley-Report"), "prompt_cut=37") {
		t.Fatalf("%d %s %s", rec.Code, rec.Header().Get("Parley-Report"), rec.Body)
	}
	ids := seen.Segments[0].Tokens
	if len(ids) != 16 || ids[0] != 0 || ids[1] != 1 || ids[2] != 39 || ids[15] != 52 {
		t.Errorf("the model got %v", ids)
	}
}
