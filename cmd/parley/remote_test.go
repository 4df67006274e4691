package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

// asked sends one message to a server and gives the reply, and the request as
// the server read it.
func asked(t *testing.T, handle func(w http.ResponseWriter)) (chat.Reply, wireRequest, error) {
	t.Helper()
	var got wireRequest
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" {
			io.WriteString(w, `{"data":[{"id":"the-model"}]}`)
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		handle(w)
	}))
	defer s.Close()
	r, err := newRemote(s.URL+"/v1/", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.choose(t.Context()); err != nil {
		t.Fatal(err)
	}
	talk := chat.Conversation{Messages: []chat.Message{chat.Say(chat.System, "Be brief."), chat.Say(chat.User, "Hi")}}
	reply, err := chat.Collect(r.Respond(t.Context(), talk, llm.Params{Seed: new(int64(3)), Choice: 2, MaxTokens: new(5)}))
	return reply, got, err
}

func TestAServersReply(t *testing.T) {
	reply, got, err := asked(t, func(w http.ResponseWriter) {
		w.Header().Set("Parley-Report", "max_tokens_capped=5, ignored=user")
		io.WriteString(w, ": ping\n\n"+
			`data: {"choices":[{"delta":{"role":"assistant","content":""}}]}`+"\n\n"+
			`data: {"choices":[{"delta":{"reasoning_content":"Hm."}}]}`+"\n\n"+
			`data:{"choices":[{"delta":{"content":"Good"}}]}`+"\n\n"+
			`data: {"choices":[{"delta":{"content":" day"},"finish_reason":"length"}]}`+"\n\n"+
			`data: {"choices":[],"usage":{}}`+"\n\ndata: [DONE]\n\n")
	})
	if err != nil {
		t.Fatal(err)
	}
	if reply.Message.Text() != "Good day" || reply.Message.Reasoning != "Hm." || reply.Finish.Reason != llm.ReasonLength {
		t.Errorf("got %+v", reply)
	}
	if r := reply.Accepted.Report; len(r) != 2 || r[0] != (llm.Note{Code: "max_tokens_capped", Value: "5"}) {
		t.Errorf("report %v", r)
	}
	if got.Model != "the-model" || !got.Stream || *got.Seed != 5 || *got.MaxTokens != 5 || len(got.Messages) != 2 || got.Messages[1] != (wireMessage{chat.User, "Hi"}) {
		t.Errorf("the server read %+v", got)
	}
}

func TestAServersErrors(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"broken off", `data: {"choices":[{"delta":{"content":"Go"}}]}` + "\n\n", "broke off"},
		{"error in the stream", `data: {"error":{"message":"out of memory"}}` + "\n\n", "out of memory"},
		{"no JSON", "data: <html>\n\n", "not JSON"},
		{"nothing", "", "broke off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := asked(t, func(w http.ResponseWriter) { io.WriteString(w, tt.body) })
			if err == nil || !strings.Contains(sentence(err), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	for status, want := range map[int]string{400: "400 Bad Request: no such thing", 401: "401 Unauthorized", 500: "500"} {
		_, _, err := asked(t, func(w http.ResponseWriter) {
			w.WriteHeader(status)
			io.WriteString(w, `{"error":{"message":"no such thing"}}`)
		})
		if err == nil || !strings.Contains(sentence(err), want) {
			t.Errorf("%d: got %v, want %q in it", status, err, want)
		}
	}
}
