package upstream_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/upstream"
	"parley/llm"
)

// inBubble runs a server of OpenAI's protocol on the clock of a bubble.
func inBubble(t *testing.T, a answer, test func(t *testing.T, m llm.Model)) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"data":[{"id":"m"}]}`)
		})
		mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // only then is a client's leaving noticed
			a(w, r)
		})
		listener := make(pipes)
		server := &http.Server{Handler: mux}
		go server.Serve(listener)
		defer server.Close()
		transport := &http.Transport{DialContext: listener.dial}
		defer transport.CloseIdleConnections()
		test(t, modelAt(t, upstream.Options{URL: "http://engine", Client: &http.Client{Transport: transport}}))
	})
}

func TestAnEngineThatReadsALongPromptIsWaitedFor(t *testing.T) {
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(60*time.Second + time.Second/2)
		events(first, last, done)(w, r)
	}, func(t *testing.T, m llm.Model) {
		began := time.Now()
		text, waited := "", 0
		for piece, err := range m.Complete(t.Context(), llm.Text("Hi"), llm.Params{}) {
			if err != nil {
				t.Fatal(err)
			}
			if piece.Accepted != nil && time.Since(began) != 5*time.Second {
				t.Errorf("accepted after %s", time.Since(began))
			}
			if piece.Waiting != nil {
				waited++
			}
			text += piece.Text
		}
		if text != "Hello!" || waited != 55 {
			t.Errorf("got %q after %d signs of waiting", text, waited)
		}
	})
}

func TestARefusalThatComesAtOnceIsNotAccepted(t *testing.T) {
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(4 * time.Second)
		status(http.StatusBadRequest)(w, r)
	}, func(t *testing.T, m llm.Model) {
		for piece, err := range m.Complete(t.Context(), llm.Text("Hi"), llm.Params{}) {
			if piece.Accepted != nil || llm.AsError(err).Code != llm.Invalid {
				t.Errorf("got %+v, %v", piece, err)
			}
		}
	})
}

func TestTheLimitsOfSilenceAreThoseOfTheTable(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer answer
		after  time.Duration
	}{
		{"before it begins", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 600 * time.Second},
		{"within it", func(w http.ResponseWriter, r *http.Request) {
			events(first)(w, r)
			<-r.Context().Done()
		}, 120 * time.Second},
		{"with signs of life", func(w http.ResponseWriter, r *http.Request) {
			events(first)(w, r)
			for range 10 {
				time.Sleep(100 * time.Second)
				io.WriteString(w, ": ping\n\n")
				http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		}, 1120 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, c.answer, func(t *testing.T, m llm.Model) {
				began := time.Now()
				_, _, err := say(t.Context(), m, llm.Params{})
				if err == nil || !strings.Contains(err.Error(), "went silent") || time.Since(began) != c.after {
					t.Errorf("after %s: %v", time.Since(began), err)
				}
			})
		})
	}
}
