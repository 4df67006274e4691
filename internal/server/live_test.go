package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// These tests run a whole server and its clients on in-memory connections
// under a clock of their own: minutes pass in no time, and nothing else does.

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7275} }
func (p *pipes) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	}
}

// stage is a server with a client.
type stage struct {
	*Server
	pipes *pipes
	http  http.Client
	log   *bytes.Buffer
}

// onStage runs f with a server under a clock of its own, and shuts the server
// down after it. It must be called inside synctest.Test.
func onStage(t *testing.T, m Models, o Options, f func(*stage)) {
	st := &stage{pipes: newPipes(), log: &bytes.Buffer{}}
	o.Logger = slog.New(slog.NewJSONHandler(st.log, nil))
	st.Server = New(m, o)
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return st.pipes.dial() },
	}
	st.http.Transport = transport
	served := make(chan error)
	go func() { served <- st.Serve(st.pipes, Own) }()
	synctest.Wait()
	f(st)
	transport.CloseIdleConnections()
	if err := st.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if n := len(st.askers); n != 0 {
		t.Errorf("%d addresses still have requests", n)
	}
}

// underClock makes a test of f under a clock of its own.
func underClock(f func(t *testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

func (st *stage) post(ctx context.Context, path, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", "http://127.0.0.1:7275"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	return st.http.Do(r)
}

// ask posts and reads to the end.
func (st *stage) ask(body string) (status int, text string) {
	resp, err := st.post(context.Background(), "/v1/chat/completions", body)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, string(all) + err.Error()
	}
	return resp.StatusCode, string(all)
}

const (
	whole    = `{"model":"tiny","messages":[{"role":"user","content":"a secret wish"}]}`
	streamed = `{"model":"tiny","stream":true,"messages":[{"role":"user","content":"a secret wish"}]}`
)

// responder is a function that answers.
type responder func(ctx context.Context, params llm.Params, yield func(chat.Event, error) bool)

func (f responder) Respond(ctx context.Context, _ chat.Conversation, p llm.Params) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) { f(ctx, p, yield) }
}

// patient speaks one word and then nothing until its context ends.
func patient(accept bool, ended chan<- error) responder {
	return func(ctx context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
		if accept && !(yield(chat.Accepted{}, nil) && yield(chat.TextDelta{Text: "Well"}, nil)) {
			ended <- errors.New("broken off")
			return
		}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		yield(nil, context.Cause(ctx))
	}
}

func TestAClientThatLeavesEndsItsWork(t *testing.T) {
	for name, body := range map[string]string{
		"whole":             whole,
		"stream":            streamed,
		"space behind":      whole + strings.Repeat(" ", 5000),
		"several":           strings.Replace(streamed, `"model"`, `"n":3,"model"`, 1),
		"several, in whole": strings.Replace(whole, `"model"`, `"n":3,"model"`, 1),
	} {
		for _, accept := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, accepted %v", name, accept), underClock(func(t *testing.T) {
				ended := make(chan error, 3)
				m := one("tiny", patient(accept, ended), nil)
				m.released = make(chan string, 1)
				onStage(t, m, Options{}, func(st *stage) {
					ctx, leave := context.WithCancel(context.Background())
					go func() {
						if resp, err := st.post(ctx, "/v1/chat/completions", body); err == nil {
							io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
					}()
					synctest.Wait()
					start := time.Now()
					leave()
					for range 1 + 2*strings.Count(body, `"n":3`) {
						if err := <-ended; !errors.Is(err, context.Canceled) {
							t.Errorf("ended with %v", err)
						}
					}
					<-m.released
					synctest.Wait()
					if took := time.Since(start); took > 250*time.Millisecond {
						t.Errorf("it took %v", took)
					}
					if log := st.log.String(); !strings.Contains(log, `"status":499`) || strings.Contains(log, "ERROR") {
						t.Errorf("the log says %s", log)
					}
				})
			}))
		}
	}
}

func TestSilenceIsFilledWithPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pause := 25 * time.Second
		slow := responder(func(_ context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
			time.Sleep(pause) // loading, or waiting in a queue
			_ = yield(chat.Accepted{Report: llm.Report{{Code: "capped"}}}, nil) &&
				yield(chat.Waiting{Total: 9}, nil) && func() bool { time.Sleep(pause); return true }() &&
				yield(chat.TextDelta{Text: "Hello"}, nil) && yield(chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd}}, nil)
		})
		onStage(t, one("tiny", slow, nil), Options{}, func(st *stage) {
			status, text := st.ask(streamed)
			var got []string
			for line := range strings.Lines(text) {
				switch line = strings.TrimSpace(line); {
				case strings.Contains(line, `"role"`):
					got = append(got, "role")
				case strings.Contains(line, "Hello"):
					got = append(got, "Hello")
				case line == ": ping", strings.Contains(line, "DONE"):
					got = append(got, line)
				}
			}
			if want := "[: ping : ping role : ping : ping Hello data: [DONE]]"; status != 200 || fmt.Sprint(got) != want {
				t.Errorf("%d %v\nwant %s", status, got, want)
			}
		})
	})
}

func TestAClientThatNeverReadsIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		talker := responder(func(ctx context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
			yield(chat.Accepted{}, nil)
			for yield(chat.TextDelta{Text: "blah "}, nil) {
			}
			ended <- context.Cause(ctx)
		})
		onStage(t, one("tiny", talker, nil), Options{}, func(st *stage) {
			conn, err := st.pipes.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(streamed), streamed)
			start := time.Now()
			<-ended
			if took := time.Since(start); took > seconds(limits.WriteSeconds)+time.Second {
				t.Errorf("it took %v", took)
			}
		})
	})
}

func TestSlowSendersAreCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		sent  string
		limit *limits.Limit
	}{
		"headers":       {"POST /v1/chat/completions HTTP/1.1\r\nHost: loc", limits.HeaderSeconds},
		"body":          {"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", limits.BodySeconds},
		"unwanted body": {"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", limits.BodySeconds},
		"idle":          {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", limits.IdleSeconds},
	} {
		t.Run(name, underClock(func(t *testing.T) {
			onStage(t, one("tiny", chat.Script(), nil), Options{}, func(st *stage) {
				conn, err := st.pipes.dial()
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				go io.WriteString(conn, c.sent)
				answer, _ := io.ReadAll(conn)
				if took := time.Since(start); took < seconds(c.limit)-time.Second || took > seconds(c.limit)+5*time.Second {
					t.Errorf("cut off after %v, want %v\n%s", took, seconds(c.limit), answer)
				}
				if name == "body" && !strings.HasPrefix(string(answer), "HTTP/1.1 408") {
					t.Errorf("got %s", answer)
				}
			})
		}))
	}
}

func TestShutdownLetsRunningAnswersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		s := chat.Script(chat.TextDelta{Text: "Hello"}, chat.TextDelta{Text: " world"})
		s.Gate = gate
		onStage(t, one("tiny", s, nil), Options{Drain: 20 * time.Second}, func(st *stage) {
			answers := make(chan string)
			go func() { _, text := st.ask(streamed); answers <- text }()
			gate <- struct{}{} // accepted
			gate <- struct{}{} // Hello
			over := make(chan struct{})
			go func() { st.Shutdown(context.Background()); close(over) }()
			synctest.Wait()

			if _, err := st.pipes.dial(); err == nil {
				t.Error("the server still accepts connections")
			}
			for _, path := range []string{"/readyz", "/v1/chat/completions"} {
				method := map[bool]string{true: "GET", false: "POST"}[path == "/readyz"]
				rec := serve(st.Server, method, path, whole)
				if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || !strings.Contains(rec.Body.String(), "shutting down") {
					t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
				}
			}
			select {
			case <-over:
				t.Error("the server did not wait")
			default:
			}
			gate <- struct{}{} // world
			gate <- struct{}{} // done
			if text := <-answers; !strings.Contains(text, " world") || !strings.HasSuffix(text, "data: [DONE]\n\n") {
				t.Errorf("got %s", text)
			}
			<-over
		})
	})
}

func TestShutdownTellsThoseWhoTakeTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 2)
		onStage(t, one("tiny", patient(true, ended), nil), Options{Drain: 20 * time.Second}, func(st *stage) {
			answers := make(chan string, 2)
			for _, body := range []string{streamed, whole} {
				go func() { status, text := st.ask(body); answers <- fmt.Sprint(status, text) }()
			}
			synctest.Wait()
			start := time.Now()
			st.Shutdown(context.Background())
			if took := time.Since(start); took < 20*time.Second || took > 22*time.Second {
				t.Errorf("it took %v", took)
			}
			for range 2 {
				<-ended
				text := <-answers
				if !strings.Contains(text, "shutting down") || strings.Contains(text, "[DONE]") {
					t.Errorf("got %s", text)
				}
				if strings.HasPrefix(text, "200") && !strings.Contains(text, "data: {\"error\":") || strings.HasPrefix(text, "503") != !strings.Contains(text, "Well") {
					t.Errorf("got %s", text)
				}
			}
		})
	})
}

func TestShutdownEndsAtOnceWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		onStage(t, one("tiny", patient(true, ended), nil), Options{}, func(st *stage) {
			go st.ask(streamed)
			synctest.Wait()
			ctx, now := context.WithCancel(context.Background())
			now()
			start := time.Now()
			st.Shutdown(ctx)
			<-ended
			if took := time.Since(start); took > time.Second {
				t.Errorf("it took %v", took)
			}
		})
	})
}

func TestSeveralAnswersInOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meet := make(chan struct{}) // the answers come together, or not at all
		r := responder(func(_ context.Context, p llm.Params, yield func(chat.Event, error) bool) {
			yield(chat.Accepted{}, nil)
			if p.Choice == 0 {
				meet <- struct{}{}
			} else {
				<-meet
			}
			yield(chat.TextDelta{Text: fmt.Sprintf("I am %d,", p.Choice)}, nil)
			yield(chat.TextDelta{Text: fmt.Sprintf(" seed %d", *p.Seed-1)}, nil)
			yield(chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd}}, nil)
		})
		onStage(t, one("tiny", r, nil), Options{}, func(st *stage) {
			_, text := st.ask(strings.Replace(streamed, `"model"`, `"n":2,"seed":8,"stream_options":{"include_usage":true},"model"`, 1))
			said := [2]string{}
			for line := range strings.Lines(text) {
				for i := range said {
					if _, c, ok := strings.Cut(line, fmt.Sprintf(`"index":%d,"delta":{"content":"`, i)); ok {
						c, _, _ = strings.Cut(c, `"`)
						said[i] += c
					}
				}
			}
			if said != [2]string{"I am 0, seed 7", "I am 1, seed 7"} || strings.Count(text, `"finish_reason":"stop"`) != 2 || strings.Count(text, "[DONE]") != 1 {
				t.Errorf("got %q\n%s", said, text)
			}
		})
	})
}

func TestABrokenModelBreaksOnlyItsRequest(t *testing.T) {
	for name, c := range map[string]struct {
		say  responder
		body string
		want []string
	}{
		"panic before": {func(context.Context, llm.Params, func(chat.Event, error) bool) { panic("secret cause") }, whole, []string{"500", "internal error"}},
		"panic in a stream": {func(_ context.Context, _ llm.Params, y func(chat.Event, error) bool) {
			y(chat.Accepted{}, nil)
			panic("secret cause")
		}, streamed, []string{"200", `data: {"error":{"message":"internal error"`}},
		"no end":           {func(_ context.Context, _ llm.Params, y func(chat.Event, error) bool) { y(chat.Accepted{}, nil) }, streamed, []string{"200", `data: {"error":{"message":"the answer broke off"`}},
		"no end, in whole": {func(_ context.Context, _ llm.Params, y func(chat.Event, error) bool) { y(chat.Accepted{}, nil) }, whole, []string{"500", "the answer broke off"}},
	} {
		t.Run(name, underClock(func(t *testing.T) {
			m := one("tiny", c.say, nil)
			m.released = make(chan string, 1)
			onStage(t, m, Options{}, func(st *stage) {
				status, text := st.ask(c.body)
				got := fmt.Sprint(status, text)
				for _, w := range c.want {
					if !strings.Contains(got, w) {
						t.Errorf("got %s, want %q in it", got, w)
					}
				}
				if strings.Contains(got, "secret") || strings.Contains(got, "[DONE]") {
					t.Errorf("got %s", got)
				}
				<-m.released
				synctest.Wait()
				if strings.Contains(name, "panic") && !strings.Contains(st.log.String(), "panic: a value of type string") {
					t.Error("the log does not know the cause")
				}
				if strings.Contains(st.log.String(), "secret") {
					t.Errorf("the log knows what was said: %s", st.log)
				}
			})
		}))
	}
}

// A handler of ours that panics answers, or cuts the connection once it has
// begun to.
func TestAPanicOfTheServerItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one("tiny", chat.Script(), nil)
		m.resolve = nil
		onStage(t, panicky{m}, Options{}, func(st *stage) {
			if status, text := st.ask(whole); status != 500 || !strings.Contains(text, `"message":"internal error"`) {
				t.Errorf("%d %s", status, text)
			}
			conn, err := st.pipes.dial()
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 {
				t.Errorf("afterwards: %v, %v", resp, err)
			}
			io.Copy(io.Discard, conn)
		})
	})
}

type panicky struct{ *single }

func (panicky) Resolve(context.Context, string) (Target, error) { panic("oops") }
