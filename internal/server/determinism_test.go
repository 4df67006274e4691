package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"parley/chatformat"
	"parley/engine"
	"parley/internal/demo"
)

// demoServer is a server with the built-in model, over HTTP.
func demoServer(t *testing.T) *httptest.Server {
	t.Helper()
	e, err := engine.OpenBytes(demo.Model(), engine.Options{Name: demo.Name, Sequences: 4})
	if err != nil {
		t.Fatal(err)
	}
	f, err := chatformat.Lookup("chatml")
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(New(one(demo.Name, chatformat.NewResponder(e, f, chatformat.Options{}), e), Options{}).Handler(Own))
	t.Cleanup(func() {
		h.Close()
		e.Close()
	})
	return h
}

// A question is the body of a request without what says how it is answered.
type question map[string]any

// questions differ in how they sample, in what is held and in what is cut.
func questions() (all []question) {
	for i, words := range []string{"Write a haiku about snow.", "Who are you?", "Tell me a story.", "Write a haiku about apples."} {
		messages := []any{map[string]any{"role": "user", "content": words}}
		for _, more := range []question{
			{"temperature": 0},
			{"seed": 7 + i, "temperature": 1.5, "max_tokens": 40},
			{"seed": 100 + i, "temperature": 1.2, "top_p": 0.9, "min_p": 0.01, "repeat_penalty": 1.2, "dry_multiplier": 0.8, "stop": []string{"\n"}},
			{"seed": i, "temperature": 3, "response_format": map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "x",
				"schema": map[string]any{"type": "object", "properties": map[string]any{"a": map[string]any{"type": "string", "maxLength": 9}}, "required": []string{"a"}, "additionalProperties": false}}}},
			{"seed": 50 + i, "temperature": 1.4, "max_tokens": 30, "mirostat": 2, "banned_strings": []string{"the"}},
		} {
			more["messages"] = messages
			all = append(all, more)
		}
	}
	return all
}

// A said is what is the same whenever a question is asked: the texts of the
// choices, and why they end.
type said []string

// ask asks a question for n choices, and leaves behind the first event if
// that is told.
func ask(ctx context.Context, url string, q question, n int, stream, leave bool) (said, error) {
	body := question{"n": n, "stream": stream}
	for k, v := range q {
		body[k] = v
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(string(data)))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	type choice struct {
		Index          int
		Message, Delta struct{ Content string }
		FinishReason   string `json:"finish_reason"`
	}
	texts, ends := make([]string, n), make([]string, n)
	read := func(data []byte) error {
		var answer struct{ Choices []choice }
		if err := json.Unmarshal(data, &answer); err != nil {
			return err
		}
		for _, c := range answer.Choices {
			texts[c.Index] += c.Message.Content + c.Delta.Content
			ends[c.Index] += c.FinishReason
		}
		return nil
	}
	if !stream {
		data, err := io.ReadAll(resp.Body)
		if err == nil {
			err = read(data)
		}
		if err != nil {
			return nil, err
		}
	}
	for lines := bufio.NewScanner(resp.Body); stream && lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		if err := read([]byte(data)); err != nil {
			return nil, err
		}
		if leave {
			return nil, nil
		}
	}
	var out said
	for i := range n {
		out = append(out, texts[i]+" | "+ends[i])
	}
	return out, nil
}

// TestAnAnswerIsTheSameHoweverItIsAskedFor asks questions one by one, and then
// many at once, whole and in pieces, for one choice and for three, while others
// leave: what is said depends on the question and its seed alone.
func TestAnAnswerIsTheSameHoweverItIsAskedFor(t *testing.T) {
	all := questions()
	want := make([]said, len(all))
	differ := 0
	for i, q := range all {
		h := demoServer(t)
		got, err := ask(t.Context(), h.URL, q, 3, false, false)
		if err != nil {
			t.Fatalf("%v: %v", q, err)
		}
		if want[i] = got; got[0] != got[1] && got[1] != got[2] {
			differ++
		}
	}
	if differ < len(all)/2 {
		t.Errorf("only %d of %d questions have choices that differ", differ, len(all))
	}
	h := demoServer(t)
	var clients sync.WaitGroup
	for client := range 6 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(client), 3))
			for range 2 {
				for _, i := range r.Perm(len(all)) {
					if r.IntN(3) == 0 {
						if _, err := ask(t.Context(), h.URL, all[r.IntN(len(all))], 1+2*r.IntN(2), true, true); err != nil {
							t.Error(err)
						}
					}
					n, stream := 1+2*r.IntN(2), r.IntN(2) == 0
					got, err := ask(t.Context(), h.URL, all[i], n, stream, false)
					if err != nil || !reflect.DeepEqual(got, want[i][:n]) {
						t.Errorf("%v, %d choices, streamed %v: got %q (%v), alone %q", all[i], n, stream, got, err, want[i][:n])
					}
				}
			}
		})
	}
	clients.Wait()
}
