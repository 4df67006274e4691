package server

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/chatformat"
	"parley/internal/session"
	"parley/llm"
)

// calls starts a server whose model calls a tool, and tells what it was given.
func calls(t *testing.T) (k *keeper, prompt *string) {
	t.Helper()
	model := llm.Script("I look.\n<tool_call>\n", `{"name": "look", "arguments": {"at": "it"}}`, "\n</tool_call>")
	prompt = new(string)
	model.Seen = func(p llm.Prompt, _ llm.Params) { *prompt = p.String() }
	format, err := chatformat.NewTemplate("test", toolTemplate, chatformat.SpecialTokens{})
	if err != nil {
		t.Fatal(err)
	}
	models := one("tiny", chatformat.NewResponder(model, format, chatformat.Options{}), model)
	k = &keeper{t: t, store: session.NewMemory()}
	sessions := session.Open(k.store, session.Options{Models: Answers(models)})
	h := httptest.NewServer(New(models, Options{Sessions: sessions}).Handler(Own))
	k.url = h.URL + "/parley/v1"
	t.Cleanup(func() {
		h.Close()
		sessions.Close(t.Context())
	})
	return k, prompt
}

const lookTool = `[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]`

// body is what a request is answered with.
func (k *keeper) body(status int, method, path, body string) string {
	k.t.Helper()
	resp := k.do(method, path, body)
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != status {
		k.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, data)
	}
	return string(data)
}

func TestASessionsToolsOverTheAPI(t *testing.T) {
	k, prompt := calls(t)
	x := k.answer(201, "POST", "/sessions", `{"tools":`+lookTool+`,"tool_choice":"auto"}`)
	at := "/sessions/" + x.ID
	if got := k.body(200, "GET", at, ""); !strings.Contains(got, `"tools":`+lookTool) || !strings.Contains(got, `"tool_choice":"auto"`) {
		t.Errorf("got %s", got)
	}
	got := k.body(200, "POST", at+"/send", `{"text":"Where is it?"}`)
	_, rest, _ := strings.Cut(got, `"tool_calls":[{"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	if id == "" || !strings.Contains(got, `"type":"function","function":{"name":"look","arguments":"{\"at\": \"it\"}"}`) {
		t.Fatalf("got %s", got)
	}
	if !strings.Contains(*prompt, `"look"`) {
		t.Errorf("the prompt is %s", *prompt)
	}
	// A stream tells of the call, too.
	if got := k.body(200, "POST", at+"/regenerate", `{"stream":true,"tool_choice":"auto"}`); !strings.Contains(got, "event: tool_call\ndata: {") || !strings.Contains(got, `"name":"look"`) {
		t.Errorf("got %s", got)
	}
	k.body(200, "PATCH", at, `{"head":2}`)
	k.body(200, "POST", at+"/send", `{"role":"tool","tool_call_id":"`+id+`","content":"Under the bed."}`)
	if !strings.Contains(*prompt, "Under the bed.") || !strings.Contains(*prompt, `"name": "look"`) {
		t.Errorf("the prompt is %s", *prompt)
	}
	if got := k.body(200, "GET", at, ""); !strings.Contains(got, `"tool_call_id":"`+id+`"`) || !strings.Contains(got, `"role":"tool"`) {
		t.Errorf("got %s", got)
	}
	// Results in one request.
	k.body(200, "PATCH", at, `{"head":2}`)
	k.answer(200, "POST", at+"/undo", `{"count":2}`)
	k.body(200, "POST", at+"/messages", `{"tool_results":[{"tool_call_id":"`+id+`","content":"Nowhere."}]}`)
	if !strings.Contains(*prompt, "Nowhere.") {
		t.Errorf("the prompt is %s", *prompt)
	}
	if got := k.body(200, "PATCH", at, `{"tools":null}`); strings.Contains(got, `"tool_choice"`) {
		t.Errorf("got %s", got)
	}
	k.body(200, "POST", at+"/send", `{"text":"And now?"}`)
	if strings.Contains(*prompt, `"parameters"`) {
		t.Errorf("the prompt is %s", *prompt)
	}
}

func TestAChatCompletionCallsToolsInASession(t *testing.T) {
	k, prompt := calls(t)
	k.url = strings.TrimSuffix(k.url, "/parley/v1") + "/v1"
	got := k.body(200, "POST", "/chat/completions", `{"messages":[{"role":"user","content":"Where?"}],"tools":`+lookTool+`,"parley":{"session":"@x"}}`)
	_, rest, _ := strings.Cut(got, `"tool_calls":[{"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	if id == "" || !strings.Contains(got, `"finish_reason":"tool_calls"`) {
		t.Fatalf("got %s", got)
	}
	k.body(400, "POST", "/chat/completions", `{"messages":[{"role":"tool","tool_call_id":"z","content":"x"}],"parley":{"session":"@x"}}`)
	streamed := k.body(200, "POST", "/chat/completions", `{"stream":true,"messages":[{"role":"tool","tool_call_id":"`+id+`","content":"Here."}],"tools":`+lookTool+`,"parley":{"session":"@x"}}`)
	if !strings.Contains(*prompt, "Here.") || !strings.Contains(streamed, `"tool_calls":[{"index":0,"id":"`) || !strings.Contains(streamed, `"finish_reason":"tool_calls"`) {
		t.Errorf("got %s\nfor %s", streamed, *prompt)
	}
}
