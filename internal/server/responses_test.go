package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// responding is a server of which each response has another id, and what its
// model was asked last.
func responding(t *testing.T, o Options) (ask func(method, path, key, body string) *httptest.ResponseRecorder, last func() string) {
	t.Helper()
	r := chat.Script(chat.ReasoningDelta{Text: "Hm."}, chat.TextDelta{Text: "yes", Tokens: []llm.Token{{ID: 5, Text: "yes"}}})
	var seen chat.Conversation
	r.Seen = func(c chat.Conversation, _ llm.Params) { seen = c }
	s := fixed(one("tiny", r, nil), o)
	n := 0
	s.newID = func() string { n++; return strconv.Itoa(n) }
	h := s.Handler(Own)
	ask = func(method, path, key, body string) *httptest.ResponseRecorder {
		q := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
		q.RemoteAddr = "127.0.0.1:4321"
		if key != "" {
			q.Header.Set("Authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		return w
	}
	last = func() string {
		var said []string
		for _, m := range seen.Messages {
			said = append(said, m.Text())
		}
		return strings.Join(said, " ")
	}
	return ask, last
}

func TestAResponseGoesOnFromAnother(t *testing.T) {
	for _, stream := range []string{"false", "true"} {
		ask, last := responding(t, Options{})
		ask("POST", "/v1/responses", "", `{"model":"tiny","instructions":"one","input":"a","stream":`+stream+`}`)
		w := ask("POST", "/v1/responses", "", `{"model":"tiny","instructions":"two","input":"b","previous_response_id":"resp_1","stream":`+stream+`}`)
		if last() != "two a yes b" || w.Code != http.StatusOK {
			t.Errorf("stream %s: %d, the model was asked %q", stream, w.Code, last())
		}
		ask("POST", "/v1/responses", "", `{"model":"tiny","input":"c","previous_response_id":"resp_2","store":false}`)
		if last() != "a yes b yes c" {
			t.Errorf("stream %s: the model was asked %q", stream, last())
		}

		w = ask("GET", "/v1/responses/resp_2", "", "")
		var body struct {
			ID       string `json:"id"`
			Status   string `json:"status"`
			Previous string `json:"previous_response_id"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.ID != "resp_2" || body.Status != "completed" || body.Previous != "resp_1" {
			t.Errorf("stream %s: kept as %d %s", stream, w.Code, w.Body)
		}
		for path, want := range map[string]int{"/v1/responses/resp_3": 404, "/v1/responses/resp_2/input_items": 404, "/v1/responses/resp_2?stream=true": 400} {
			if w := ask("GET", path, "", ""); w.Code != want {
				t.Errorf("%s: %d, want %d", path, w.Code, want)
			}
		}
		if w := ask("DELETE", "/v1/responses/resp_1", "", ""); strings.TrimSpace(w.Body.String()) != `{"id":"resp_1","object":"response","deleted":true}` {
			t.Errorf("deleted: %d %s", w.Code, w.Body)
		}
		if w := ask("POST", "/v1/responses", "", `{"input":"b","previous_response_id":"resp_1"}`); w.Code != 404 {
			t.Errorf("gone on from what was deleted: %d", w.Code)
		}
		if w := ask("GET", "/v1/responses/resp_2", "", ""); w.Code != 200 {
			t.Errorf("what goes on from what was deleted: %d", w.Code)
		}
	}
}

// What the model wrote is in the prompt again with its own tokens.
func TestWhatIsKeptHasItsTokens(t *testing.T) {
	r := chat.Script(chat.TextDelta{Text: "yes", Tokens: []llm.Token{{ID: 5, Text: "yes"}}})
	var seen chat.Conversation
	r.Seen = func(c chat.Conversation, _ llm.Params) { seen = c }
	s := fixed(one("tiny", r, nil), Options{})
	for _, body := range []string{`{"input":"a"}`, `{"input":"b","previous_response_id":"resp_ID"}`} {
		q := httptest.NewRequest("POST", "http://127.0.0.1/v1/responses", strings.NewReader(body))
		q.RemoteAddr = "127.0.0.1:4321"
		s.Handler(Own).ServeHTTP(httptest.NewRecorder(), q)
	}
	if m := seen.Messages[1]; len(m.Tokens) != 1 || m.Tokens[0] != 5 {
		t.Errorf("the reply came back as %+v", m)
	}
}

func TestAResponseIsForItsKeyAlone(t *testing.T) {
	ask, _ := responding(t, Options{Keys: plain("ann", "ben")})
	ask("POST", "/v1/responses", "ann", `{"input":"a"}`)
	for key, want := range map[string]int{"ann": 200, "ben": 404, "": 401} {
		if w := ask("GET", "/v1/responses/resp_1", key, ""); w.Code != want {
			t.Errorf("key %q gets %d, want %d", key, w.Code, want)
		}
	}
	if w := ask("POST", "/v1/responses", "ben", `{"input":"a","previous_response_id":"resp_1"}`); w.Code != 404 {
		t.Errorf("another key goes on from it: %d", w.Code)
	}
	if w := ask("DELETE", "/v1/responses/resp_1", "ben", ""); w.Code != 404 {
		t.Errorf("another key deletes it: %d", w.Code)
	}
}

func TestTheOldestResponsesGiveWay(t *testing.T) {
	var k keptResponses
	most := limits.StoredResponses.Int()
	for i := range most + 2 {
		k.keep("", strconv.Itoa(i), []byte("x"), nil)
	}
	for id, want := range map[int]bool{0: false, 1: false, 2: true, most + 1: true} {
		if _, ok := k.find("", strconv.Itoa(id)); ok != want {
			t.Errorf("response %d is there: %v", id, ok)
		}
	}
	third := limits.StoredBytes.Int() / 3
	large := []chat.Message{{Parts: []chat.Part{{Media: &llm.Media{Data: make([]byte, third)}}}}}
	for i := range 4 {
		k.keep("", "large"+strconv.Itoa(i), nil, large)
	}
	for i, want := range []bool{false, false, true, true} {
		if _, ok := k.find("", "large"+strconv.Itoa(i)); ok != want {
			t.Errorf("large response %d is there: %v", i, ok)
		}
	}
	k.keep("", "huge", make([]byte, limits.StoredBytes.Int()+1), nil)
	if _, ok := k.find("", "huge"); ok {
		t.Error("a response is kept that is larger than all may be")
	}
	if _, ok := k.find("", "large3"); !ok {
		t.Error("what could not be kept has driven out another")
	}
}
