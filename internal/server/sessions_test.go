package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"parley/chat"
	"parley/internal/character"
	"parley/internal/scene"
	"parley/internal/session"
	"parley/llm"
)

// keeper is a server that keeps sessions, and a client of it.
type keeper struct {
	t     *testing.T
	gate  chan struct{}
	store *session.Memory
	url   string
	heard atomic.Pointer[chat.Conversation] // the last that the model was given
}

// listening is a responder of a keeper, who hears what it is given.
type listening struct {
	chat.Responder
	k *keeper
}

func (h listening) Respond(ctx context.Context, c chat.Conversation, p llm.Params) iter.Seq2[chat.Event, error] {
	h.k.heard.Store(&c)
	return h.Responder.Respond(ctx, c, p)
}

// keeps starts a server whose model says "Hello", one piece for each value
// that it gets from the gate; a nil gate does not hold it.
func keeps(t *testing.T, gate chan struct{}) *keeper {
	script := chat.Script(chat.Accepted{PromptTokens: 3}, chat.TextDelta{Text: "Hel"}, chat.TextDelta{Text: "lo"})
	script.Gate = gate
	k := &keeper{t: t, gate: gate, store: session.NewMemory()}
	models := one("tiny", rendering{listening{script, k}}, nil)
	sessions := session.Open(k.store, session.Options{Models: Answers(models)})
	s := New(models, Options{Sessions: sessions})
	h := httptest.NewServer(s.Handler(Own))
	k.url = h.URL + "/parley/v1"
	t.Cleanup(func() {
		h.Close()
		sessions.Close(t.Context())
	})
	return k
}

func (k *keeper) do(method, path, body string, header ...string) *http.Response {
	k.t.Helper()
	return k.doing(context.Background(), method, path, body, header...)
}

func (k *keeper) doing(ctx context.Context, method, path, body string, header ...string) *http.Response {
	k.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, k.url+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	return resp
}

// answer is a request's answer, which must have a status.
func (k *keeper) answer(status int, method, path, body string, header ...string) (v struct {
	ID, Title, Run, Text, Name, ETag, Location string
	Revision                                   int64
	Head, Sent, Count                          int
	Messages                                   []session.Message
	Message                                    json.RawMessage
	Hits                                       []session.Hit
	Sessions, Characters                       []struct{ ID string }
	Import                                     struct{ Format string }
	Scene                                      scene.Report
	Same, More, Over                           bool
	Outcome                                    session.Outcome
	Personas, Presets                          []struct{ ID string }
	Content                                    json.RawMessage
	Error                                      struct{ Message, Code, Param string }
}) {
	k.t.Helper()
	resp := k.do(method, path, body, header...)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	if resp.StatusCode != status {
		k.t.Fatalf("%s %s: %s, want %d\n%s", method, path, resp.Status, status, data)
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &v); err != nil {
			k.t.Fatalf("%s: %v", data, err)
		}
	}
	v.ETag, v.Location = resp.Header.Get("ETag"), resp.Header.Get("Location")
	return v
}

func (k *keeper) texts(id string) string {
	k.t.Helper()
	var all []string
	for _, m := range k.answer(200, "GET", "/sessions/"+id, "").Messages {
		all = append(all, m.Text)
	}
	return strings.Join(all, "|")
}

// read reads events until one of a kind has come, or the stream ends.
func read(t *testing.T, body io.Reader, until string) (events []string) {
	t.Helper()
	event := ""
	for lines := bufio.NewScanner(body); lines.Scan(); {
		line := lines.Text()
		if line == "" {
			events = append(events, event)
			if strings.Contains(event, until) && until != "" {
				return events
			}
			event = ""
			continue
		}
		if line, data := strings.CutPrefix(line, "data: "); data {
			var v struct{ Text string }
			json.Unmarshal([]byte(line), &v)
			event += v.Text
			continue
		}
		_, value, _ := strings.Cut(line, ": ")
		event += value + " "
	}
	return events
}

func TestASessionIsTalkedInOverTheAPI(t *testing.T) {
	k := keeps(t, nil)
	c := k.answer(201, "POST", "/characters?file=ada.yaml", "name: Ada\ngreeting: Hello, {{user}}!\n")
	x := k.answer(201, "POST", "/sessions", `{"character":"`+c.ID+`","user":"Tom","tags":["a"],"params":{"temperature":0.5}}`)
	if x.Title != "Ada" || len(x.Messages) != 1 || x.Messages[0].Text != "Hello, Tom!" || x.ETag != `"1"` || x.Location != "/parley/v1/sessions/"+x.ID {
		t.Errorf("got %+v", x)
	}
	at := "/sessions/" + x.ID
	sent := k.answer(200, "POST", at+"/send", `{"text":"Hi"}`)
	var m session.Message
	if err := json.Unmarshal(sent.Message, &m); err != nil || m.Text != "Hello" || sent.Sent != 2 || m.Author.Name != "Ada" || sent.ETag != fmt.Sprintf(`"%d"`, sent.Revision) {
		t.Errorf("got %+v, %v", sent, err)
	}
	prompt := k.answer(200, "GET", fmt.Sprintf("%s/messages/%d/prompt", at, m.ID), "")
	if !prompt.Same || !strings.Contains(prompt.Text, "user: Hi") {
		t.Errorf("got %+v", prompt)
	}
	k.answer(200, "POST", at+"/regenerate", `{}`)
	k.answer(200, "POST", at+"/continue", ``)
	if got := k.texts(x.ID); got != "Hello, Tom!|Hi|HelloHello" {
		t.Errorf("got %q", got)
	}
	k.answer(200, "PATCH", at, fmt.Sprintf(`{"head":%d}`, m.ID))
	k.answer(200, "PATCH", at+"/messages/2", `{"text":"Hi there"}`)
	k.answer(200, "DELETE", at+"/messages/1", "")
	if got := k.texts(x.ID); got != "Hi there|Hello" {
		t.Errorf("got %q", got)
	}
	k.answer(200, "POST", at+"/messages/1/restore", "")
	k.answer(200, "POST", at+"/undo", `{"count":2}`)
	k.answer(200, "POST", at+"/send", `{"text":"narrated","role":"system","reply":false}`)
	if got := k.texts(x.ID); got != "Hello, Tom!|narrated" {
		t.Errorf("got %q", got)
	}
	f := k.answer(201, "POST", at+"/fork", `{"message":2}`)
	if got := k.texts(f.ID); got != "Hello, Tom!|Hi there" {
		t.Errorf("got %q", got)
	}
	if hits := k.answer(200, "GET", "/search?q=THERE", "").Hits; len(hits) != 2 {
		t.Errorf("got %+v", hits)
	}
	k.answer(200, "PATCH", at, `{"title":"T","pinned":true,"tags":["b"],"user":"Jim","params":null}`)
	for query, want := range map[string]int{"": 2, "?tag=b": 1, "?tag=a": 1, "?deleted=1": 0, "?limit=1": 1, "?character=" + c.ID: 2} {
		if got := k.answer(200, "GET", "/sessions"+query, ""); len(got.Sessions) != want || got.More != (query == "?limit=1") {
			t.Errorf("%s: %+v", query, got)
		}
	}
	k.answer(200, "DELETE", at, "")
	if got := k.answer(404, "POST", at+"/send", `{"text":"Hi"}`); !strings.Contains(got.Error.Message, "restore") {
		t.Errorf("got %+v", got)
	}
	k.answer(200, "POST", at+"/restore", "")
	exported := k.do("GET", at+"/messages", "")
	data, _ := io.ReadAll(exported.Body)
	exported.Body.Close()
	again := k.answer(201, "POST", "/sessions/import", string(data))
	if got, want := k.texts(again.ID), k.texts(x.ID); got != want || again.ID == x.ID {
		t.Errorf("got %q, want %q", got, want)
	}
	k.answer(204, "DELETE", at+"?purge=1", "")
	k.answer(404, "GET", at, "")
}

func TestATalkIsReadInPages(t *testing.T) {
	k := keeps(t, nil)
	id := k.answer(http.StatusCreated, "POST", "/sessions", "{}").ID
	for i := range 5 {
		k.answer(http.StatusOK, "POST", "/sessions/"+id+"/send", fmt.Sprintf(`{"text": "%d", "reply": false}`, i+1))
	}
	for query, want := range map[string]string{"limit=2": "4 5 true", "limit=2&before=4": "2 3 true", "before=2": "1 false", "limit=5": "1 2 3 4 5 false", "before=1": "false"} {
		v := k.answer(http.StatusOK, "GET", "/sessions/"+id+"?"+query, "")
		got := ""
		for _, m := range v.Messages {
			got += m.Text + " "
		}
		if got += fmt.Sprint(v.More); got != want || v.ETag == "" {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	k.answer(http.StatusNotFound, "GET", "/sessions/"+id+"?before=9", "")
	k.answer(http.StatusBadRequest, "GET", "/sessions/"+id+"?limit=x", "")
}

func TestListsAreReadInPages(t *testing.T) {
	k := keeps(t, nil)
	for _, name := range []string{"d", "a", "c", "b", "e"} {
		k.answer(http.StatusCreated, "PUT", "/characters/"+name, "name: "+name+"\n")
		k.answer(http.StatusCreated, "PUT", "/presets/"+name, "{}")
	}
	for _, shelf := range []string{"characters", "presets"} {
		for query, want := range map[string]string{"limit=2": "a b true", "limit=2&after=b": "c d true", "after=d": "e false", "": "a b c d e false"} {
			resp := k.do("GET", "/"+shelf+"?"+query, "")
			data, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			var list map[string]any
			if err := json.Unmarshal(data, &list); err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, d := range list[shelf].([]any) {
				got += d.(map[string]any)["id"].(string) + " "
				if d.(map[string]any)["bytes"].(float64) == 0 {
					t.Errorf("got %v", d)
				}
			}
			if got += fmt.Sprint(list["more"]); got != want {
				t.Errorf("%s?%s: %s, want %s", shelf, query, got, want)
			}
			tag := resp.Header.Get("ETag")
			same := k.do("GET", "/"+shelf+"?"+query, "", "If-None-Match", `"x", W/`+tag)
			data, _ = io.ReadAll(same.Body)
			if same.Body.Close(); same.StatusCode != http.StatusNotModified || len(data) > 0 || tag == "" {
				t.Errorf("the same list again: %d, %s", same.StatusCode, data)
			}
		}
		k.answer(http.StatusNotFound, "GET", "/"+shelf+"?after=x", "")
		k.answer(http.StatusBadRequest, "GET", "/"+shelf+"?limit=0", "")
		tag := k.answer(http.StatusOK, "GET", "/"+shelf, "").ETag
		k.answer(http.StatusNoContent, "DELETE", "/"+shelf+"/a", "")
		if now := k.answer(http.StatusOK, "GET", "/"+shelf, "", "If-None-Match", tag).ETag; now == tag {
			t.Errorf("%s: another list has the same tag", shelf)
		}
	}
}

func TestCharactersHaveRevisions(t *testing.T) {
	k := keeps(t, nil)
	c := k.answer(201, "POST", "/characters?file=ada.yaml", "name: Ada\n")
	at := "/characters/" + c.ID
	k.answer(200, "PUT", at, "name: Eve\n", "If-Match", c.ETag)
	if got := k.answer(409, "PUT", at, "name: Lost\n", "If-Match", c.ETag); got.Error.Code != "conflict" {
		t.Errorf("got %+v", got)
	}
	for path, want := range map[string]string{at + "/file": "name: Eve\n", at + "/file?revision=1": "name: Ada\n"} {
		resp := k.do("GET", path, "")
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(data) != want || resp.Header.Get("Content-Disposition") == "" {
			t.Errorf("%s: %q", path, data)
		}
	}
	if got := k.answer(200, "GET", at+"?revision=1", ""); got.Name != "Ada" {
		t.Errorf("got %+v", got)
	}
	k.answer(422, "POST", "/characters", "\x00\x01")
	k.answer(201, "PUT", "/characters/tom", "name: Tom\n")
	k.answer(200, "PUT", "/characters/tom", "name: Tom\n")
	k.answer(409, "PUT", "/characters/new", "name: Tom\n", "If-Match", `"1"`)
	k.answer(400, "PUT", "/characters/"+strings.Repeat("x", 65), "name: Tom\n")
	k.answer(204, "DELETE", "/characters/tom", "")
	k.answer(204, "DELETE", at, "")
	k.answer(404, "GET", at, "")
	if got := k.answer(200, "GET", "/characters", ""); len(got.Characters) != 0 {
		t.Errorf("got %+v", got)
	}
	k.answer(404, "POST", "/sessions", `{"character":"`+c.ID+`"}`)
}

func TestLorebooksOverTheAPI(t *testing.T) {
	k := keeps(t, nil)
	const at, book = "/lorebooks/sea", `{"entries":{"0":{"key":["sea"],"content":"It is deep."}}}`
	saved := k.answer(201, "PUT", at, book)
	if saved.Name != "sea" || saved.Import.Format != "SillyTavern's world" || saved.ETag != `"1"` {
		t.Errorf("got %+v", saved)
	}
	if got := k.answer(201, "POST", "/lorebooks?file=Eldoria.json", book); got.Name != "Eldoria" || got.Location != "/parley/v1/lorebooks/"+got.ID {
		t.Errorf("got %+v", got)
	}
	if got := k.answer(422, "PUT", at, `{"name":"Ada"}`).Error; got.Param != "lorebook" {
		t.Errorf("got %+v", got)
	}
	k.answer(409, "PUT", at, book, "If-Match", `"7"`)
	resp := k.do("GET", at+"/file", "")
	data, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(data) != book || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s, %v", data, resp.Header)
	}

	x := k.answer(201, "POST", "/sessions", `{"lorebooks":["sea"],"lore":{"scan_depth":2,"partial":true},"order":["lore_before","lore_after","history"]}`)
	in := "/sessions/" + x.ID
	k.answer(200, "POST", in+"/send", `{"text":"To the seashore!"}`)
	got := k.answer(200, "GET", in+"/messages/2/prompt", "")
	if len(got.Scene.Lore) != 1 || got.Scene.Lore[0].Book != "sea" || !got.Scene.Lore[0].Told || got.Scene.Lore[0].What != `"sea" in message 0` {
		t.Errorf("got %+v", got.Scene.Lore)
	}
	if len(got.Scene.Slots) == 0 || got.Scene.Slots[0].ID != "lore:sea#0" {
		t.Errorf("got %+v", got.Scene.Slots)
	}
	k.answer(204, "DELETE", at, "")
	k.answer(404, "GET", at, "")
	for body, param := range map[string]string{
		`{"lorebooks":["nothing"]}`: "lorebooks[0]", `{"lorebooks":"sea"}`: "lorebooks", `{"lore":{"depth":1}}`: "lore.depth", `{"lore":{"scan_depth":-1}}`: "lore.scan_depth",
		`{"lore":{"strategy":"x"}}`: "lore.strategy", `{"order":["main"]}`: "order",
	} {
		status := 400
		if param == "lorebooks[0]" {
			status = 404
		}
		if got := k.answer(status, "POST", "/sessions", body).Error; got.Param != param {
			t.Errorf("%s: %+v", body, got)
		}
	}
	// A lorebook that is gone ends no talk, and can be let go.
	k.answer(200, "POST", in+"/send", `{"text":"The sea again?"}`)
	k.answer(200, "PATCH", in, `{"lorebooks":[],"lore":null,"order":[]}`)
}

func TestPersonasAndPresetsOverTheAPI(t *testing.T) {
	k := keeps(t, nil)
	const tom, calm = `{"name":"Tom","description":"A miller.","lorebook":"sea"}`, `{"name":"Calm","params":{"max_tokens":9},"texts":{"main":"Be calm."}}`
	saved := k.answer(201, "PUT", "/personas/tom", tom)
	if saved.Name != "Tom" || saved.ETag != `"1"` || saved.Location != "/parley/v1/personas/tom" {
		t.Errorf("got %+v", saved)
	}
	k.answer(200, "PUT", "/personas/tom", tom, "If-Match", `"1"`)
	k.answer(409, "PUT", "/personas/tom", tom, "If-Match", `"1"`)
	if got := k.answer(400, "PUT", "/personas/tom", `{"name":"Tom","position":"above"}`).Error; got.Param != "position" {
		t.Errorf("got %+v", got)
	}
	calmly := k.answer(201, "POST", "/presets", calm)
	for path, want := range map[string]string{"/personas/tom": tom, "/personas/tom?revision=1": tom, "/presets/" + calmly.ID: calm} {
		if got := k.answer(200, "GET", path, ""); string(got.Content) != want {
			t.Errorf("%s: %s", path, got.Content)
		}
	}
	if a, b := k.answer(200, "GET", "/personas", "").Personas, k.answer(200, "GET", "/presets", "").Presets; len(a) != 1 || len(b) != 1 || a[0].ID != "tom" {
		t.Errorf("got %v and %v", a, b)
	}

	k.answer(201, "PUT", "/lorebooks/sea", `{"entries":{"0":{"key":["sea"],"content":"It is deep."}}}`)
	in := "/sessions/" + k.answer(201, "POST", "/sessions", `{"persona_id":"tom","preset":"`+calmly.ID+`"}`).ID
	k.answer(200, "POST", in+"/send", `{"text":"To the sea!"}`)
	got := k.answer(200, "GET", in+"/messages/2/prompt", "")
	if !got.Same || len(got.Scene.Lore) != 1 || !got.Scene.Lore[0].Told || len(got.Scene.Slots) < 2 || got.Scene.Slots[0].Slot != scene.Main || got.Scene.Slots[1].Slot != scene.Persona {
		t.Errorf("got %+v", got.Scene)
	}
	k.answer(404, "POST", in+"/send", `{"text":"Hello.","preset":"none"}`)
	k.answer(200, "PATCH", in, `{"persona_id":"","preset":""}`)
	k.answer(204, "DELETE", "/personas/tom", "")
	k.answer(204, "DELETE", "/presets/"+calmly.ID, "")
	for body, param := range map[string]string{`{"persona_id":"tom"}`: "persona_id", `{"preset":"none"}`: "preset"} {
		if got := k.answer(404, "PATCH", in, body).Error; got.Param != param {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestACompanyIsTalkedWithOverTheAPI(t *testing.T) {
	k := keeps(t, nil)
	for _, name := range []string{"ada", "bob"} {
		k.answer(201, "PUT", "/characters/"+name, "name: "+strings.ToUpper(name[:1])+name[1:]+"\n")
	}
	x := k.answer(201, "POST", "/sessions", `{"characters":["ada",{"id":"bob","muted":true}],"turn":"list","user":"Tom"}`)
	if x.Title != "Ada, Bob" {
		t.Errorf("got %+v", x)
	}
	at := "/sessions/" + x.ID
	type reply struct {
		Run     string
		Message session.Message
		Then    []reply
	}
	send := func(path, body string) (all []string) {
		t.Helper()
		resp := k.do("POST", at+path, body)
		defer resp.Body.Close()
		var r reply
		if err := json.NewDecoder(resp.Body).Decode(&r); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.Status, err)
		}
		for _, one := range append([]reply{r}, r.Then...) {
			all = append(all, one.Message.Author.ID)
		}
		return all
	}
	who := func(path, body, want string) {
		t.Helper()
		if got := strings.Join(send(path, body), " "); got != want {
			t.Errorf("%s %s: %q spoke, want %q", path, body, got, want)
		}
	}
	who("/send", `{"text":"Hi","round":true}`, "ada")
	k.answer(200, "PATCH", at, `{"characters":["bob","ada"]}`)
	who("/send", `{"text":"Hi","round":true}`, "bob ada")
	who("/send", `{"text":"Hi"}`, "bob")
	who("/regenerate", `{}`, "bob")
	who("/answer", `{"speaker":"Ada"}`, "ada")
	who("/answer", `{"replies":3}`, "bob ada bob")
	streamed := k.do("POST", at+"/send", `{"text":"Hi","round":true,"stream":true}`)
	if got := read(t, streamed.Body, ""); !reflect.DeepEqual(got, []string{"1 started ", "2 text Hel", "3 text lo", "4 done ", "1 started ", "2 text Hel", "3 text lo", "4 done "}) {
		t.Errorf("got %q", got)
	}
	streamed.Body.Close()
	for path, body := range map[string]string{
		"/send?1": `{"text":"Hi","speaker":"eve"}`, "/send?2": `{"text":"Hi","replies":0}`, "/answer": `{"message":1}`, "/impersonate": `{"speaker":"ada"}`,
	} {
		k.answer(400, "POST", at+path, body)
	}
	k.answer(400, "PATCH", at, `{"characters":[{"id":"ada","loud":true}]}`)
	k.answer(200, "PATCH", at, `{"turn":"manual"}`)
	if got := k.answer(200, "POST", at+"/send", `{"text":"Alone?"}`); got.Run != "" {
		t.Errorf("somebody answered: %+v", got)
	}
	if got := k.answer(200, "GET", "/sessions?character=bob", ""); len(got.Sessions) != 1 {
		t.Errorf("got %+v", got)
	}
	completions := func(body string, status int) {
		t.Helper()
		resp, err := http.Post(strings.TrimSuffix(k.url, "/parley/v1")+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if data, _ := io.ReadAll(resp.Body); resp.StatusCode != status {
			t.Errorf("%s: %s %s", body, resp.Status, data)
		}
	}
	completions(`{"parley":{"session":"`+x.ID+`","speaker":"bob"},"messages":[{"role":"user","content":"You?"}]}`, 200)
	completions(`{"parley":{"session":"`+x.ID+`"},"messages":[{"role":"user","content":"You?"}]}`, 400)
	completions(`{"parley":{"speaker":"bob"},"messages":[{"role":"user","content":"You?"}]}`, 400)
	k.answer(200, "PATCH", at, `{"character":"ada"}`)
	who("/send", `{"text":"Hi"}`, "")
}

func TestAnExternalIDFindsItsSessionAgain(t *testing.T) {
	k := keeps(t, nil)
	x := k.answer(201, "POST", "/sessions", `{"external_id":"channel 7"}`)
	if again := k.answer(200, "POST", "/sessions", `{"external_id":"channel 7"}`); again.ID != x.ID {
		t.Errorf("got %s and %s", x.ID, again.ID)
	}
	k.answer(200, "POST", "/sessions/@channel%207/send", `{"text":"Hi"}`)
	if got := k.texts(x.ID); got != "Hi|Hello" {
		t.Errorf("got %q", got)
	}
	k.answer(404, "GET", "/sessions/@other", "")
}

func TestARequestThatComesTwiceSendsOnce(t *testing.T) {
	k := keeps(t, nil)
	at := "/sessions/" + k.answer(201, "POST", "/sessions", `{}`).ID
	first := k.answer(200, "POST", at+"/send", `{"text":"Hi"}`, "Idempotency-Key", "1")
	second := k.answer(200, "POST", at+"/send", `{"text":"Hi"}`, "Idempotency-Key", "1")
	if !reflect.DeepEqual(first.Message, second.Message) {
		t.Errorf("got %s\nand %s", first.Message, second.Message)
	}
	if got := k.answer(409, "POST", at+"/send", `{"text":"Ho"}`, "Idempotency-Key", "1"); got.Error.Param != "Idempotency-Key" {
		t.Errorf("got %+v", got)
	}
}

func TestAReplyIsWatchedFromAnyEvent(t *testing.T) {
	k := keeps(t, make(chan struct{}))
	at := "/sessions/" + k.answer(201, "POST", "/sessions", `{}`).ID
	ctx, leave := context.WithCancel(t.Context())
	first := k.doing(ctx, "POST", at+"/send", `{"text":"Hi","stream":true}`)
	if kind := first.Header.Get("Content-Type"); kind != "text/event-stream; charset=utf-8" {
		t.Errorf("got %s", kind)
	}
	k.gate <- struct{}{}
	k.gate <- struct{}{}
	if got := read(t, first.Body, "text"); !reflect.DeepEqual(got, []string{"1 started ", "2 text Hel"}) {
		t.Errorf("got %q", got)
	}
	leave()
	first.Body.Close()

	busy := k.answer(409, "POST", at+"/send", `{"text":"Ho"}`)
	run := strings.TrimPrefix(busy.Location, "/parley/v1")
	if !strings.HasPrefix(run, "/runs/") || k.answer(200, "GET", at, "").Run != strings.TrimPrefix(run, "/runs/") {
		t.Fatalf("got %+v", busy)
	}
	second, third := k.do("GET", run+"/events", ""), k.do("GET", run+"/events", "", "Last-Event-ID", "2")
	defer second.Body.Close()
	defer third.Body.Close()
	close(k.gate)
	if got := read(t, second.Body, ""); !reflect.DeepEqual(got, []string{"1 started ", "2 text Hel", "3 text lo", "4 done "}) {
		t.Errorf("the second sees %q", got)
	}
	if got := read(t, third.Body, ""); !reflect.DeepEqual(got, []string{"3 text lo", "4 done "}) {
		t.Errorf("the third sees %q", got)
	}
	if got := k.answer(200, "GET", run, ""); !got.Over || got.Outcome.Message.Text != "Hello" {
		t.Errorf("got %+v", got)
	}
	k.answer(400, "GET", run+"/events?after=x", "")
	k.answer(404, "GET", "/runs/none.1.0", "")
}

func TestAReplyIsStoppedByWhoSaysSo(t *testing.T) {
	for name, stop := range map[string]func(k *keeper, at, run string){
		"the run":     func(k *keeper, at, run string) { k.answer(200, "POST", run+"/stop", "") },
		"the session": func(k *keeper, at, run string) { k.answer(200, "POST", at+"/stop", "") },
	} {
		t.Run(name, func(t *testing.T) {
			k := keeps(t, make(chan struct{}))
			at := "/sessions/" + k.answer(201, "POST", "/sessions", `{}`).ID
			began := k.answer(202, "POST", at+"/send", `{"text":"Hi","wait":false}`)
			run := "/runs/" + began.Run
			k.gate <- struct{}{}
			k.gate <- struct{}{}
			watching := k.do("GET", run+"/events", "")
			read(t, watching.Body, "text")
			watching.Body.Close()
			stop(k, at, run)
			m := k.answer(200, "GET", at, "").Messages
			if len(m) != 2 || m[1].Text != "Hel" || m[1].State != session.Stopped {
				t.Errorf("got %+v", m)
			}
		})
	}
}

func TestWhoWantsItStopsByLeaving(t *testing.T) {
	k := keeps(t, make(chan struct{}))
	at := "/sessions/" + k.answer(201, "POST", "/sessions", `{}`).ID
	ctx, leave := context.WithCancel(t.Context())
	first := k.doing(ctx, "POST", at+"/send", `{"text":"Hi","stream":true,"stop_on_disconnect":true}`)
	k.gate <- struct{}{}
	k.gate <- struct{}{}
	read(t, first.Body, "text")
	run := strings.TrimPrefix(first.Header.Get("Location"), "/parley/v1")
	leave()
	first.Body.Close()
	watching := k.do("GET", run+"/events", "")
	defer watching.Body.Close()
	read(t, watching.Body, "")
	if got := k.answer(200, "GET", run, ""); got.Outcome.Message.State != session.Stopped {
		t.Errorf("got %+v", got)
	}
}

func TestAShutdownKeepsWhatThereIsOfAReply(t *testing.T) {
	script := chat.Script(chat.TextDelta{Text: "Hel"}, chat.TextDelta{Text: "lo"})
	gate := make(chan struct{})
	script.Gate = gate
	models := one("tiny", script, nil)
	sessions := session.Open(session.NewMemory(), session.Options{Models: Answers(models)})
	s := New(models, Options{Sessions: sessions})
	x, _, err := sessions.Create(t.Context(), session.New{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sessions.Send(t.Context(), x.ID, session.Write{}, session.Send{Text: "Hi"}, session.Ask{}); err != nil {
		t.Fatal(err)
	}
	gate <- struct{}{}
	gate <- struct{}{}
	for e := range sessions.Active(x.ID).Events(t.Context(), 0) {
		if e.Kind == session.EventText {
			break
		}
	}
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(now); err != nil {
		t.Fatal(err)
	}
	_, talk, err := sessions.Read(t.Context(), x.ID)
	if err != nil || len(talk) != 2 || talk[1].Text != "Hel" || talk[1].State != session.Interrupted {
		t.Errorf("got %+v, %v", talk, err)
	}
	if _, err := sessions.Send(t.Context(), x.ID, session.Write{}, session.Send{Text: "Hi"}, session.Ask{}); llm.AsError(err).Code != llm.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestRequestsThatAreWrongAreToldHow(t *testing.T) {
	k := keeps(t, nil)
	at := "/sessions/" + k.answer(201, "POST", "/sessions", `{}`).ID
	for _, c := range []struct {
		method, path, body, param string
		status                    int
	}{
		{"POST", "/sessions", `{"nonsense":1}`, "nonsense", 400},
		{"POST", "/sessions", `[]`, "", 400},
		{"POST", "/sessions", `{"title":7}`, "title", 400},
		{"POST", "/sessions", `{"character":"none"}`, "character", 404},
		{"POST", "/sessions", `{"params":{"top_p":7}}`, "params.top_p", 400},
		{"POST", "/sessions", `{"fit":"somehow"}`, "fit", 400},
		{"GET", "/sessions/none", ``, "session", 404},
		{"GET", "/sessions?limit=0", ``, "limit", 400},
		{"GET", "/sessions?after=none", ``, "session", 404},
		{"GET", "/search?q=", ``, "q", 400},
		{"POST", at + "/send", `{}`, "text", 400},
		{"POST", at + "/send", `{"text":"x","role":"tool"}`, "tool_call_id", 400},
		{"POST", at + "/send", `{"text":"x","role":"tool","tool_call_id":"a"}`, "tool_call_id", 400},
		{"POST", at + "/send", `{"text":"x","tool_call_id":"a"}`, "tool_call_id", 400},
		{"POST", at + "/send", `{"text":"x","tool_results":[{"tool_call_id":"a","content":"b"}]}`, "tool_results", 400},
		{"POST", at + "/send", `{"text":"x","role":"critic"}`, "role", 400},
		{"POST", at + "/send", `{"text":"x","tools":[{"type":"function"}]}`, "tools[0].function", 400},
		{"POST", at + "/send", `{"text":"x","tool_choice":"required"}`, "tool_choice", 400},
		{"PATCH", at, `{"tools":7}`, "tools", 400},
		{"POST", at + "/send", `{"text":"x","author":7}`, "author", 400},
		{"POST", at + "/continue", `{}`, "message", 400},
		{"POST", at + "/regenerate", `{"message":9}`, "message", 404},
		{"POST", at + "/impersonate", `{"message":1}`, "message", 400},
		{"PATCH", at + "/messages/x", `{"text":"x"}`, "message", 404},
		{"PATCH", at + "/messages/9", `{"text":"x"}`, "message", 404},
		{"GET", at + "/messages/9/prompt", ``, "message", 404},
		{"GET", at + "/export?as=x", ``, "as", 400},
		{"POST", "/sessions/import", `{"x":1}`, "", 422},
		{"PATCH", at, `{"head":9}`, "message", 404},
	} {
		if got := k.answer(c.status, c.method, c.path, c.body).Error; got.Param != c.param || got.Message == "" {
			t.Errorf("%s %s %s: %+v", c.method, c.path, c.body, got)
		}
	}
	k.answer(400, "PATCH", at, `{}`, "If-Match", "now")
	k.answer(405, "PUT", at, `{}`)
	if got := k.texts(strings.TrimPrefix(at, "/sessions/")); got != "" {
		t.Errorf("something was sent: %q", got)
	}
}

func TestAParameterThatARouteDoesNotHaveIsRefused(t *testing.T) {
	k := keeps(t, nil)
	x := k.answer(201, "POST", "/sessions", `{"external_id":"x"}`)
	for path, hint := range map[string]string{
		"/sessions?chracter=ada":                  "tag, character",
		"/sessions?limit=5&":                      "",
		"/sessions/" + x.ID + "?limits=5":         "limit, before",
		"/sessions/" + x.ID + "/export?format=v2": "as",
		"/sessions/" + x.ID + "/messages?page=2":  "this route has none",
		"/search?q=a&page=2":                      "q, limit",
		"/characters?file=a.png":                  "limit, after",
	} {
		resp := k.do("GET", path, "")
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if hint == "" {
			if resp.StatusCode != 200 {
				t.Errorf("%s: %s", path, data)
			}
			continue
		}
		if resp.StatusCode != 400 || !strings.Contains(string(data), "no such parameter") || !strings.Contains(string(data), hint) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, data)
		}
	}
}

func TestAServerWithoutSessionsSaysSo(t *testing.T) {
	s := New(one("tiny", chat.Script(), nil), Options{})
	for _, r := range sessionRoutes {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(r.method, "http://127.0.0.1"+strings.ReplaceAll(r.path, "*", "1"), bytes.NewReader(nil))
		s.Handler(Own).ServeHTTP(rec, req)
		want := http.StatusBadRequest
		if strings.HasSuffix(r.path, "openapi.json") {
			want = http.StatusOK
		}
		if rec.Code != want || want != 200 && !strings.Contains(rec.Body.String(), "--data") {
			t.Errorf("%s %s: %d %s", r.method, r.path, rec.Code, rec.Body)
		}
	}
}

func TestAChatCompletionMayBeTheNextMessageOfASession(t *testing.T) {
	k := keeps(t, nil)
	c := k.answer(201, "PUT", "/characters/ada?file=ada.yaml", "name: Ada\ngreeting: Hello!\n")
	x := k.answer(201, "POST", "/sessions", `{"external_id":"x","character":"`+c.ID+`"}`)
	native := k.url
	defer func() { k.url = native }()
	k.url = strings.TrimSuffix(native, "/parley/v1") + "/v1"
	post := func(body string) string {
		t.Helper()
		resp := k.do("POST", "/chat/completions", body)
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		return resp.Status + " " + string(data)
	}
	whole := post(`{"model":"tiny","messages":[{"role":"user","content":"Hi"}],"parley":{"session":"@x"}}`)
	if !strings.Contains(whole, `"content":"Hello"`) || !strings.Contains(whole, `"finish_reason":"stop"`) || !strings.Contains(whole, `"prompt_tokens":1`) {
		t.Errorf("got %s", whole)
	}
	streamed := post(`{"messages":[{"role":"user","content":"And?"}],"stream":true,"parley":{"session":"` + x.ID + `"}}`)
	if !strings.Contains(streamed, `"content":"Hel"`) || !strings.Contains(streamed, "data: [DONE]") {
		t.Errorf("got %s", streamed)
	}
	for body, want := range map[string]string{
		`{"messages":[{"role":"user","content":"Hi"},{"role":"user","content":"Hi"}],"parley":{"session":"@x"}}`: "400",
		`{"messages":[{"role":"user","content":"Hi"}],"n":2,"parley":{"session":"@x"}}`:                          "400",
		`{"messages":[{"role":"user","content":"Hi"}],"parley":{"session":"none"}}`:                              "404",
		`{"messages":[{"role":"tool","tool_call_id":"a","content":"Hi"}],"parley":{"session":"@x"}}`:             "400",
	} {
		if got := post(body); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", body, got)
		}
	}
	if got := post(`{"messages":[{"role":"user","content":"Hi"}],"parley":{"session":"@new"}}`); !strings.HasPrefix(got, "200") {
		t.Errorf("a new one: %s", got)
	}
	k.url = native
	if got := k.texts(x.ID); got != "Hello!|Hi|Hello|And?|Hello" {
		t.Errorf("got %q", got)
	}
	k.answer(400, "POST", "/render", `{"messages":[{"role":"user","content":"Hi"}],"parley":{"session":"@x"}}`)
}

// Whoever asks for the prompt of a chat completion that goes on with a session
// is not shown another prompt.
func TestPromptsOfASessionAreShownThere(t *testing.T) {
	for _, path := range []string{"/parley/v1/render", "/v1/internal/chat-prompt"} {
		s := New(one("tiny", rendering{chat.Script()}, llm.Script("x")), Options{})
		body := `{"messages":[{"role":"user","content":"a"}]`
		if rec := serve(s, "POST", path, body+`,"parley":{"session":"x"}}`); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "parley.session") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
		if rec := serve(s, "POST", path, body+`}`); rec.Code != http.StatusOK {
			t.Errorf("%s without it: %d %s", path, rec.Code, rec.Body)
		}
	}
}

func TestASummaryIsWrittenMadeAndRead(t *testing.T) {
	k := keeps(t, nil)
	id := k.answer(201, "POST", "/sessions", `{"memory":{"auto":"full","keep":1,"params":{"temperature":0}}}`).ID
	k.answer(200, "POST", "/sessions/"+id+"/send", `{"text":"Hi"}`)
	if got := k.answer(200, "PUT", "/sessions/"+id+"/summary", `{"text":"They met.","until":1}`); got.Text != "They met." {
		t.Errorf("got %+v", got)
	}
	if got := k.answer(200, "POST", "/sessions/"+id+"/summary", `{"until":2}`); !strings.Contains(string(got.Message), `"text":"Hello"`) {
		t.Errorf("got %s", got.Message)
	}
	if got := k.answer(200, "GET", "/sessions/"+id+"/summary", ""); got.Text != "Hello" || got.ETag == "" {
		t.Errorf("got %+v", got)
	}
	if got := k.answer(200, "GET", "/sessions/"+id+"/summary?message=1", ""); got.Text != "They met." {
		t.Errorf("of the talk before it is %+v", got)
	}
	k.answer(400, "POST", "/sessions/"+id+"/summary", `{"until":9}`)
	k.answer(400, "PATCH", "/sessions/"+id, `{"memory":{"auto":"always"}}`)
}

func TestErrorsOfOurOwnRoutesAreProblems(t *testing.T) {
	k := keeps(t, nil)
	for path, status := range map[string]int{"/sessions/none": 404, "/sessions?limit=x": 400, "/characters/none": 404, "/nothing": 404} {
		resp := k.do("GET", path, "")
		var v struct {
			Type, Title, Detail string
			Status              int
			Error               struct{ Message string }
		}
		err := json.NewDecoder(resp.Body).Decode(&v)
		resp.Body.Close()
		if got := resp.Header.Get("Content-Type"); err != nil || got != "application/problem+json" || v.Type != "about:blank" || v.Status != status || v.Status != resp.StatusCode ||
			v.Title != http.StatusText(status) || v.Detail == "" || v.Detail != v.Error.Message {
			t.Errorf("%s: %s %+v, %v", path, got, v, err)
		}
	}
}

func TestACharacterWithoutAFileNameGetsOneOfItsKind(t *testing.T) {
	k := keeps(t, nil)
	for body, want := range map[string]string{
		`{"name":"Ada","first_mes":"Ho."}`: "character.json", "\ufeff {\"char_name\":\"Ada\"}": "character.json", "name: Ada\n": "character.yaml",
	} {
		resp := k.do("POST", "/characters/import", body)
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 201 || !strings.Contains(string(data), `"file":"`+want+`"`) {
			t.Errorf("%s: %d %s", body, resp.StatusCode, data)
		}
	}
}

func TestMessagesAreSentAndSwipedByTheirPath(t *testing.T) {
	k := keeps(t, nil)
	c := k.answer(201, "POST", "/characters/import", "name = \"Ada\"\nfirst_mes = \"Ho.\"\nalternate_greetings = [\"Hey.\"]\n", "Content-Type", "application/toml")
	at := "/sessions/" + k.answer(201, "POST", "/sessions", `{"character":"`+c.ID+`"}`).ID
	added := k.answer(200, "POST", at+"/messages", `{"content":"Hi","name":"Ann","generate":false}`)
	k.answer(200, "DELETE", at+"/messages/"+string(added.Message), "")
	if got := k.answer(200, "POST", at+"/messages", `{"content":"Hello?","name":"Ann"}`); got.Run == "" {
		t.Errorf("got %+v", got)
	}
	talk := k.answer(200, "GET", at, "").Messages
	if len(talk) != 3 || talk[1].Text != "Hello?" || talk[1].Author.Name != "Ann" || talk[2].Text != "Hello" {
		t.Fatalf("got %+v", talk)
	}
	reply := fmt.Sprintf("%s/messages/%d", at, talk[2].ID)
	if got := k.answer(200, "GET", reply+"/inspect", ""); !got.Same {
		t.Errorf("got %+v", got)
	}
	another := k.answer(200, "POST", reply+"/swipe", `{}`) // there was one
	if another.Run == "" {
		t.Errorf("got %+v", another)
	}
	key := []string{"Idempotency-Key", "1"}
	for range 2 {
		if got := k.answer(200, "POST", fmt.Sprintf("%s/messages/%d/swipe", at, talk[2].ID+1), `{"back":true}`, key...); got.Run != "" || string(got.Message) != fmt.Sprint(talk[2].ID) {
			t.Errorf("got %+v", got)
		}
	}
	if got := k.answer(200, "GET", at, ""); got.Head != talk[2].ID {
		t.Errorf("got %+v", got)
	}
	if got := k.answer(200, "POST", reply+"/swipe", ``); string(got.Message) != fmt.Sprint(talk[2].ID+1) {
		t.Errorf("got %s", got.Message)
	}
	for _, want := range []string{"2", "1"} { // greetings go round
		from := map[string]string{"2": "1", "1": "2"}[want]
		if got := k.answer(200, "POST", at+"/messages/"+from+"/swipe", `{}`); string(got.Message) != want {
			t.Errorf("got %s, want %s", got.Message, want)
		}
	}
	k.answer(404, "POST", at+"/messages/99/swipe", `{}`)
	k.answer(404, "POST", at+"/messages/"+string(added.Message)+"/swipe", `{}`)
	k.answer(400, "POST", at+"/messages", `{"content":"Hi","text":"Ho"}`)
	k.answer(400, "POST", at+"/messages", `{"content":"Hi","name":"Ann","author":{"name":"Bob"}}`)
}

func TestARunIsStoppedByDeletingIt(t *testing.T) {
	gate := make(chan struct{}, 1)
	k := keeps(t, gate)
	at := "/sessions/" + k.answer(201, "POST", "/sessions", `{}`).ID
	gate <- struct{}{}
	run := k.answer(202, "POST", at+"/send", `{"text":"Hi","wait":false}`).Run
	if got := k.answer(200, "DELETE", "/runs/"+run, ""); !got.Over || got.Outcome.Message.State != session.Stopped {
		t.Errorf("got %+v", got)
	}
}

func TestCharactersAreExportedAsCards(t *testing.T) {
	k := keeps(t, nil)
	c := k.answer(201, "POST", "/characters?file=ada.yaml", "name: Ada\ncontext: A clockmaker.\n")
	for query, want := range map[string]string{"?as=json": "chara_card_v3", "?as=json&format=v2": "chara_card_v2", "?as=v2": "chara_card_v2", "?as=v3": "chara_card_v3", "": "picture", "?format=v3&as=png": "picture"} {
		resp := k.do("GET", "/characters/"+c.ID+"/export"+query, "")
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		card, report, err := character.ReadCard("x", data)
		if err != nil || card.Name != "Ada" || card.Description != "A clockmaker." || resp.Header.Get("Content-Disposition") == "" {
			t.Errorf("%s: %+v %+v, %v", query, card, report, err)
		}
		if png := bytes.HasPrefix(data, []byte("\x89PNG")); png != (want == "picture") || !png && !bytes.Contains(data, []byte(want)) {
			t.Errorf("%s: %.80q", query, data)
		}
		if got := resp.Header.Get("Content-Type"); got != map[bool]string{true: "image/png", false: "application/json"}[want == "picture"] {
			t.Errorf("%s: %s", query, got)
		}
	}
	k.answer(400, "GET", "/characters/"+c.ID+"/export?as=gif", "")
	k.answer(400, "GET", "/characters/"+c.ID+"/export?format=v1", "")
	k.answer(404, "GET", "/characters/none/export", "")
}

func TestAModelsNameMayMeanACharacter(t *testing.T) {
	k := keeps(t, nil)
	k.answer(201, "POST", "/characters", "name: Alice Liddell\ncontext: Alice is curious.\ngreeting: Hello!\n")
	k.answer(201, "PUT", "/characters/rabbit", "name: White Rabbit\ncontext: He is late.\n")
	ask := func(body string) (v struct{ Model, Prompt string }) {
		t.Helper()
		resp, err := http.Post(strings.TrimSuffix(k.url, "/parley/v1")+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		if err := json.Unmarshal(data, &v); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s %s", resp.Status, data)
		}
		for _, m := range k.heard.Load().Messages {
			v.Prompt += m.Text() + "\n"
		}
		return v
	}
	for name, want := range map[string]string{
		"alice-liddell": "curious", "Alice Liddell": "curious", "ALICE-LIDDELL@tiny": "curious", "rabbit@tiny": "late", "White-rabbit": "late", "tiny": "", "gpt-4o": "", "nobody@tiny": "",
	} {
		got := ask(`{"model":"` + name + `","messages":[{"role":"user","content":"Who are you?"}]}`)
		if got.Model != "tiny" || strings.Contains(got.Prompt, "curious") != (want == "curious") || strings.Contains(got.Prompt, "late") != (want == "late") {
			t.Errorf("%s: model %s, prompt %s", name, got.Model, got.Prompt)
		}
	}
	// In a session of an id of one's own, the character is that of the session.
	ask(`{"model":"rabbit@tiny","parley":{"session":"@hole"},"messages":[{"role":"user","content":"Who are you?"}]}`)
	if got := k.answer(200, "GET", "/sessions/@hole", ""); got.Title != "White Rabbit" {
		t.Errorf("got %+v", got)
	}
}

func TestAMessageOfASessionHasPictures(t *testing.T) {
	k := keeps(t, nil)
	x := k.answer(201, "POST", "/sessions", `{"media":"placeholder"}`)
	at := "/sessions/" + x.ID
	const data = "iVBORw0KGgoAAAANSUhEUg==" // how a PNG begins
	part := `{"type":"image_url","image_url":{"url":"data:image/png;base64,` + data + `"}}`
	k.answer(200, "POST", at+"/send", `{"content":[{"type":"text","text":"Look: "},`+part+`]}`)
	k.answer(200, "POST", at+"/messages", `{"content":"And?","generate":false}`)
	k.answer(200, "POST", at+"/send", `{"content":[{"type":"input_audio","input_audio":{"format":"wav","data":"eA=="}}],"reply":false}`)
	talk := k.answer(200, "GET", at, "").Messages
	if len(talk) != 4 || talk[0].Text != "Look: " || len(talk[0].Attachments) != 1 || talk[0].Attachments[0].At != 6 || talk[0].Attachments[0].MIME != "image/png" ||
		talk[2].Text != "And?" || len(talk[3].Attachments) != 1 || talk[3].Attachments[0].MIME != "audio/wav" {
		t.Fatalf("got %+v", talk)
	}
	for i, want := range map[int][2]string{0: {"image/png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"}, 3: {"application/octet-stream", "x"}} {
		resp := k.do("GET", at+"/media/"+talk[i].Attachments[0].Digest, "")
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if h := resp.Header; resp.StatusCode != 200 || string(got) != want[1] && i == 3 || !strings.HasPrefix(string(got), want[1]) || h.Get("Content-Type") != want[0] || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %q with %v", resp.Status, got, h)
		}
	}
	k.answer(404, "GET", at+"/media/x", "")
	for body, param := range map[string]string{
		`{"content":[{"type":"image_url","image_url":{"url":"https://a.example/x.png"}}]}`:    "content[0].image_url.url",
		`{"content":[{"type":"image_url","image_url":{"url":"data:text/html;base64,eA=="}}]}`: "content[0].image_url.url",
		`{"content":[]}`: "text", `{"content":7}`: "content", `{"content":"x","text":"x"}`: "content",
	} {
		if got := k.answer(400, "POST", at+"/send", body).Error; got.Param != param {
			t.Errorf("%s: %+v", body, got)
		}
	}
	native := k.url
	k.url = strings.TrimSuffix(native, "/parley/v1") + "/v1"
	k.answer(200, "POST", "/chat/completions", `{"model":"tiny","messages":[{"role":"user","content":[`+part+`]}],"parley":{"session":"`+x.ID+`"}}`)
	k.url = native
	if talk := k.answer(200, "GET", at, "").Messages; len(talk) != 6 || len(talk[4].Attachments) != 1 || talk[4].Attachments[0].Digest != talk[0].Attachments[0].Digest {
		t.Errorf("got %+v", talk)
	}
	if got := k.answer(200, "PATCH", at, `{"media":""}`, "If-Match", "*"); got.ID != x.ID {
		t.Errorf("%+v", got)
	}
	k.answer(400, "PATCH", at, `{"media":"x"}`)
}

func TestACharacterAnswersInEveryDialect(t *testing.T) {
	k := keeps(t, nil)
	k.answer(201, "POST", "/characters", "name: Alice Liddell\ncontext: Alice is curious.\n")
	root := strings.TrimSuffix(k.url, "/parley/v1")
	send := func(path, body string) (status int, answer string) {
		t.Helper()
		resp, err := http.Post(root+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(data)
	}
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"NAME","messages":[{"role":"user","content":"Who are you?"}]}`,
		"/chat/completions":    `{"model":"NAME","messages":[{"role":"user","content":"Who are you?"}]}`,
		"/v1/responses":        `{"model":"NAME","input":"Who are you?"}`,
		"/v1/messages":         `{"model":"NAME","max_tokens":9,"messages":[{"role":"user","content":"Who are you?"}]}`,
		"/api/chat":            `{"model":"NAME","messages":[{"role":"user","content":"Who are you?"}],"stream":false}`,
		"/api/generate":        `{"model":"NAME","prompt":"Who are you?","stream":false}`,
	} {
		for name, curious := range map[string]bool{"alice-liddell": true, "Alice-Liddell@tiny": true, "tiny": false, "nobody": false} {
			k.heard.Store(nil)
			status, answer := send(path, strings.Replace(body, "NAME", name, 1))
			heard := k.heard.Load()
			if status != 200 || heard == nil || !strings.Contains(answer, "Hello") {
				t.Errorf("%s %s: %d %s", path, name, status, answer)
				continue
			}
			prompt := ""
			for _, m := range heard.Messages {
				prompt += m.Text() + "\n"
			}
			if strings.Contains(prompt, "Alice is curious.") != curious || !strings.Contains(prompt, "Who are you?") {
				t.Errorf("%s %s: the model gets %q", path, name, prompt)
			}
		}
	}
	if status, answer := send("/v1/messages", `{"model":"alice-liddell","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"x","input_schema":{}}]}`); status != 400 || !strings.Contains(answer, "characters call no tools") {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := send("/parley/v1/render", `{"model":"alice-liddell","messages":[{"role":"user","content":"Hi"}]}`); status != 200 || !strings.Contains(answer, "Alice is curious.") {
		t.Errorf("%d %s", status, answer)
	}
}

func TestCharactersAreListedWithTheModelsIfAsked(t *testing.T) {
	for _, asked := range []bool{false, true} {
		models := one("tiny", rendering{chat.Script(chat.TextDelta{Text: "Hello"})}, nil)
		sessions := session.Open(session.NewMemory(), session.Options{Models: Answers(models)})
		h := httptest.NewServer(New(models, Options{Sessions: sessions, ListCharacters: asked}).Handler(Own))
		defer h.Close()
		for id, file := range map[string]string{"1": "name: Alice Liddell\n", "2": "name: ALICE liddell\n", "3": "name: a/b\n", "4": "name: Tiny\n"} {
			if _, err := sessions.SaveDocument(t.Context(), session.Characters, id, 0, "c.yaml", []byte(file)); err != nil {
				t.Fatal(err)
			}
		}
		for path, list := range map[string]func(data []byte) []string{
			"/v1/models": func(data []byte) (ids []string) {
				var v struct{ Data []struct{ ID string } }
				json.Unmarshal(data, &v)
				for _, m := range v.Data {
					ids = append(ids, m.ID)
				}
				return ids
			},
			"/api/tags": func(data []byte) (ids []string) {
				var v struct{ Models []struct{ Name string } }
				json.Unmarshal(data, &v)
				for _, m := range v.Models {
					ids = append(ids, strings.TrimSuffix(m.Name, ":latest"))
				}
				return ids
			},
		} {
			resp, err := http.Get(h.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			data, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			want := []string{"tiny"}
			if asked {
				want = []string{"tiny", "alice-liddell", "1", "4", "3"}
			}
			if got := list(data); !reflect.DeepEqual(got, want) {
				t.Errorf("%s lists %q, want %q", path, got, want)
			}
		}
		for name, want := range map[string]int{"tiny": 200, "alice-liddell": map[bool]int{false: 404, true: 200}[asked]} {
			resp, err := http.Get(h.URL + "/v1/models/" + name)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: %s", name, resp.Status)
			}
		}
	}
}
