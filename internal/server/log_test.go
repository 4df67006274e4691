package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/chat"
	"parley/internal/apikey"
	"parley/internal/limits"
	"parley/llm"
)

// A client's words, everywhere that it can write some.
const (
	word   = "sesame"
	bodies = `{"model":"sesame","messages":[{"role":"system","content":"sesame"},{"role":"user","name":"sesame","content":"sesame"}],` +
		`"prompt":"sesame","content":"sesame","input":"sesame","stop":["sesame"],"user":"sesame","max_tokens":5,"genkey":"sesame","memory":"sesame",` +
		`"tools":[{"type":"function","function":{"name":"sesame","description":"sesame"}}],"logit_bias":{"1":0.5},"sesame":"sesame"}`
)

// wrong are bodies that are refused, with the client's words where an error
// could repeat them.
var wrong = []string{
	`sesame`, `{"sesame"`, `["sesame"]`, `"sesame"`, `{"messages":"sesame"}`, `{"messages":[{"role":"sesame","content":"x"}]}`,
	`{"messages":[{"role":"user","content":[{"type":"sesame"}]}]}`, `{"messages":[{"role":"user","content":"x"}],"logit_bias":{"sesame":5000}}`,
	`{"messages":[{"role":"user","content":"x"}],"tools":["sesame"]}`, `{"messages":[{"role":"user","sesame":{"sesame":1},"content":7}]}`,
	`{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"schema":{"properties":{"sesame":{"type":"sesame"}}}}}}`,
	`{"messages":[{"role":"user","content":"x"}],"temperature":"sesame"}`, `{"prompt":["sesame",5]}`, `{"prompt":"x","stop":{"sesame":"sesame"}}`,
	`{"model":{"sesame":1}}`, `{"options":{"sesame":"sesame"},"messages":[]}`, `{"sesame":1,"sesame":2,"messages":[]}`,
	`{"messages":[{"role":"assistant","content":"x","tool_calls":[{"sesame":"sesame"}]}]}`, `{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":"sesame"}`,
}

func TestTheLogHasNothingThatAClientSaid(t *testing.T) {
	says := func(err error) Models {
		r := chat.Script(chat.ReasoningDelta{Text: word}, chat.TextDelta{Text: word}, chat.ToolCallDelta{ID: word, Name: word, Arguments: `{"sesame":"sesame"}`},
			chat.Done{Finish: llm.Finish{Reason: llm.ReasonStop, Stop: word}})
		m := llm.Script(word, word)
		r.Err, m.Err = err, err
		return one("tiny", rendering{r}, m)
	}
	unresolved := func(err error) Models {
		m := one("tiny", nil, nil)
		m.resolve = err
		return m
	}
	models := map[string]Models{
		"answers":    says(nil),
		"invalid":    says(llm.Errorf(llm.Invalid, `logit_bias.sesame`, "there is no word %q", word)),
		"unreadable": says(&llm.Error{Code: llm.Unreadable, Field: "messages[1].sesame", Message: word, Err: errors.New(word)}),
		"engine":     says(&llm.Error{Code: llm.Broken, Message: word, Err: fmt.Errorf("it broke: %w", quoting{word})}),
		"panic":      one("tiny", responder(func(context.Context, llm.Params, func(chat.Event, error) bool) { panic(word) }), nil),
		"no model":   unresolved(llm.Errorf(llm.NotFound, "model", "there is no model %q", word)),
		"neither":    one("tiny", nil, nil),
	}
	asked := 0
	for name, m := range models {
		for _, keys := range [][]apikey.Key{nil, plain("sesame-key")} {
			var log bytes.Buffer
			s := New(m, Options{Keys: keys, Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			for _, r := range routes {
				path := r.path
				if strings.HasSuffix(path, "/") && path != "/" {
					path += "sesame/load"
				}
				for i, body := range append([]string{bodies, strings.Replace(bodies, "{", `{"stream":true,`, 1), strings.Replace(bodies, `"sesame"`, `"tiny"`, 1)}, wrong...) {
					for _, header := range []string{"Authorization", "X-Nothing", "Origin", "Host"} {
						if i > 0 && header != "Authorization" {
							continue // what is wrong with a body does not depend on these
						}
						value := map[string]string{"Authorization": "Bearer sesame-key", "Origin": "https://sesame.example", "Host": "sesame.example"}[header]
						if value == "" {
							value = word
						}
						func() {
							defer func() { _ = recover() }() // a connection that is cut off
							serve(s, r.method, path+"?key=sesame&model=sesame", body, header, value, "User-Agent", word, "Cookie", "a=sesame", "Traceparent", word)
						}()
						asked++
					}
				}
			}
			serve(s, "SESAME", "/v1/models", "")
			if lines := strings.Count(log.String(), `"msg":"request"`); lines == 0 {
				t.Fatal("there is no log")
			}
			for line := range strings.Lines(log.String()) {
				if strings.Contains(strings.ToLower(line), word) {
					t.Fatalf("%s, keys %v: the log has a client's word: %s", name, keys, line)
				}
			}
		}
	}
	if asked < 1000 {
		t.Errorf("only %d requests were sent", asked)
	}
}

// quoting is an error that repeats foreign words.
type quoting struct{ said string }

func (q quoting) Error() string         { return q.said }
func (quoting) WithoutContents() string { return "words were said" }

// line is the log's line of the only request.
func line(t *testing.T, log *bytes.Buffer) map[string]any {
	t.Helper()
	var fields map[string]any
	for text := range strings.Lines(log.String()) {
		if strings.Contains(text, `"msg":"request"`) {
			if err := json.Unmarshal([]byte(text), &fields); err != nil {
				t.Fatal(err)
			}
		}
	}
	return fields
}

func TestTheLineOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		say := responder(func(_ context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
			yield(chat.Accepted{PromptTokens: 40}, nil)
			time.Sleep(3 * time.Second)
			yield(chat.TextDelta{Text: "One", Tokens: []llm.Token{{ID: 1}}}, nil)
			time.Sleep(2 * time.Second)
			yield(chat.TextDelta{Text: " two", Tokens: []llm.Token{{ID: 2}}}, nil)
			yield(chat.Done{Finish: llm.Finish{Reason: llm.ReasonLength, Usage: llm.Usage{
				PromptTokens: 40, CachedTokens: 30, CompletionTokens: 20, Queued: time.Second, Prefill: 2 * time.Second, Decode: 2 * time.Second}}}, nil)
		})
		onStage(t, one("tiny", say, nil), Options{}, func(st *stage) {
			st.ask(whole)
			got := line(t, st.log)
			for key, want := range map[string]any{
				"route": "/v1/chat/completions", "method": "POST", "dialect": "openai", "model": "tiny", "status": 200.0, "ended": "length",
				"prompt_tokens": 40.0, "cached_tokens": 30.0, "completion_tokens": 20.0, "tokens_per_second": 10.0,
				"queued": 1e9, "first_token": 3e9, "took": 5e9,
			} {
				if got[key] != want {
					t.Errorf("%s is %v, want %v", key, got[key], want)
				}
			}
			if got["id"] == "" || got["client"] == "" {
				t.Errorf("got %v", got)
			}
		})
	})
}

func TestTheLogSaysWhoEndedAnAnswer(t *testing.T) {
	endless := responder(func(ctx context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
		for yield(chat.TextDelta{Text: "on and "}, nil) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			}
		}
	})
	for name, c := range map[string]struct {
		end    func(*stage, context.CancelFunc)
		ended  string
		status float64
	}{
		"client":   {func(_ *stage, leave context.CancelFunc) { leave() }, "left", 499},
		"shutdown": {func(st *stage, _ context.CancelFunc) { st.Shutdown(context.Background()) }, "shutdown", 200},
		"patience": {func(*stage, context.CancelFunc) {}, "timeout", 200},
	} {
		t.Run(name, underClock(func(t *testing.T) {
			onStage(t, one("tiny", endless, nil), Options{}, func(st *stage) {
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				resp, err := st.post(ctx, "/v1/chat/completions", streamed)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				time.Sleep(3500 * time.Millisecond)
				var ending sync.WaitGroup
				ending.Go(func() { c.end(st, leave) })
				defer ending.Wait()
				for buf := make([]byte, 1024); err == nil; {
					_, err = resp.Body.Read(buf)
				}
				synctest.Wait()
				got := line(t, st.log)
				if got["ended"] != c.ended || got["status"] != c.status {
					t.Errorf("ended %v with status %v, want %v with %v", got["ended"], got["status"], c.ended, c.status)
				}
				if n, _ := got["completion_tokens"].(float64); n < 2 {
					t.Errorf("it says that %v tokens were generated", n)
				}
			})
		}))
	}
}

func TestContentsAreLoggedWhereTheyAreWanted(t *testing.T) {
	var log bytes.Buffer
	s := New(one("tiny", chat.Script(chat.TextDelta{Text: "Open it is."}), nil), Options{LogContents: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	serve(s, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"Open, `+word+`"}]}`, "Authorization", "Bearer a-key")
	if text := log.String(); !strings.Contains(text, "Open, "+word) || !strings.Contains(text, "Open it is.") || strings.Contains(text, "a-key") {
		t.Errorf("the log is %s", text)
	}
	log.Reset()
	serve(s, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"`+strings.Repeat("long ", 1<<20)+`"}]}`)
	if log.Len() > 1<<18 {
		t.Errorf("a long request makes a log of %d bytes", log.Len())
	}
}

func TestTheLogSaysThatAClientStoppedReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endless := responder(func(ctx context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
			for yield(chat.TextDelta{Text: strings.Repeat("on and on ", 100)}, nil) && ctx.Err() == nil {
			}
		})
		onStage(t, one("tiny", endless, nil), Options{}, func(st *stage) {
			conn, err := st.pipes.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(streamed), streamed)
			time.Sleep(seconds(limits.WriteSeconds) + time.Second)
			synctest.Wait()
			if got := line(t, st.log); got["ended"] != "slow" || got["status"] != 499.0 {
				t.Errorf("ended %v with status %v", got["ended"], got["status"])
			}
			if got := value(scrape(t, st.get), "parley_answers_total", "ended", "slow"); got != 1 {
				t.Errorf("%v answers were too slowly read", got)
			}
		})
	})
}
