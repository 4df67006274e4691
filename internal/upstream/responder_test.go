package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/chat"
	"parley/chat/chattest"
	"parley/chatformat"
	"parley/engine"
	"parley/internal/demo"
	"parley/internal/upstream/enginetest"
	"parley/llm"
)

// chatKinds are the kinds that answer conversations, by the names of their
// fakes.
var chatKinds = map[string]string{
	"llamacpp": "llamacpp", "vllm": "vllm", "sglang": "sglang", "mlc": "mlc", "llamacpppython": "llamacpppython", "lmstudio": "lmstudio",
	"localai": "localai", "tgi": "tgi", "textgen": "textgen", "koboldcpp": "koboldcpp", "ollama": "ollama", "simpleai": "simpleai",
	"openai": "openai", "anthropic": "anthropic",
}

// openChat opens a fake as one who answers.
func openChat(t *testing.T, kind string, fake *enginetest.Engine, change func(*Options)) *Opened {
	t.Helper()
	o := Options{URL: fake.URL, Kind: kind, Way: AsChat}
	if change != nil {
		change(&o)
	}
	e, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	opened, err := e.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// builtIn is the built-in model, for fakes that have to turn tokens into text.
func builtIn(t *testing.T) llm.Model {
	t.Helper()
	model, err := engine.OpenBytes(demo.Model(), engine.Options{Context: 512, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	return model
}

func forEachChatKind(t *testing.T, do func(t *testing.T, kind, fake string)) {
	for kind, fake := range chatKinds {
		t.Run(kind, func(t *testing.T) { do(t, kind, fake) })
	}
}

func TestEveryChatRouteKeepsTheContract(t *testing.T) {
	forEachChatKind(t, func(t *testing.T, kind, fake string) {
		opened := openChat(t, kind, enginetest.Start(t, fake, enginetest.Options{}), nil)
		chattest.Run(t, chattest.Subject{
			Responder:    opened.Responder,
			Conversation: chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "Who are you?")}},
		})
	})
}

func TestEveryChatRouteStopsExactly(t *testing.T) {
	forEachChatKind(t, func(t *testing.T, kind, fake string) {
		opened := openChat(t, kind, enginetest.Start(t, fake, enginetest.Options{Stops: enginetest.StopsIgnored}), nil)
		c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "Who are you?")}}
		r, err := chat.Collect(opened.Responder.Respond(t.Context(), c, llm.Params{MaxTokens: new(50), Stop: []string{"and I say never", "d I s"}}))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := r.Message.Text(), "I am a fake, an"; got != want || r.Finish.Reason != llm.ReasonStop || r.Finish.Stop != "d I s" {
			t.Errorf("got %q, %+v, want %q", got, r.Finish, want)
		}
	})
}

func say(role chat.Role, text string) chat.Message { return chat.Say(role, text) }

// frontEnd is what a front end for characters sends: the request that ends in
// a 400 on an engine with one place for a system message.
func frontEnd() chat.Conversation {
	return chat.Conversation{Messages: []chat.Message{
		say(chat.System, "Write one reply."), say(chat.System, "Sensei teaches."), say(chat.System, "[Start a new Chat]"),
		say(chat.Assistant, "Hello world!"), say(chat.User, "Hi"), say(chat.User, "Hi again"),
		say(chat.System, "Stay in character."),
	}}
}

func respond(t *testing.T, o *Opened, c chat.Conversation, p llm.Params) chat.Reply {
	t.Helper()
	r, err := chat.Collect(o.Responder.Respond(t.Context(), c, p))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEveryMessageReachesEveryEngineInOrder(t *testing.T) {
	forEachChatKind(t, func(t *testing.T, kind, name string) {
		fake := enginetest.Start(t, name, enginetest.Options{})
		respond(t, openChat(t, kind, fake, nil), frontEnd(), llm.Params{MaxTokens: new(20)})
		asked := fake.Generations()
		prompt, at := asked[len(asked)-1].Prompt, 0
		for i, m := range frontEnd().Messages {
			n := strings.Index(prompt[at:], m.Text())
			if n < 0 {
				t.Fatalf("messages[%d] %q is lost or moved in\n%s", i, m.Text(), prompt)
			}
			at += n + len(m.Text())
		}
		if len(asked) != 1 {
			t.Errorf("the engine was asked %d times", len(asked))
		}
	})
}

func TestSeveralSystemMessagesForMLC(t *testing.T) {
	fake := enginetest.Start(t, "mlc", enginetest.Options{})
	r := respond(t, openChat(t, "mlc", fake, nil), frontEnd(), llm.Params{MaxTokens: new(20)})
	messages, _ := json.Marshal(fake.Generations()[0].Fields["messages"])
	want := `[{"content":"Write one reply.\n\nSensei teaches.\n\n[Start a new Chat]","role":"system"},{"content":"Hello world!","role":"assistant"},` +
		`{"content":"Hi","role":"user"},{"content":"Hi again","role":"user"},{"content":"Stay in character.","role":"user"}]`
	if string(messages) != want {
		t.Errorf("got  %s\nwant %s", messages, want)
	}
	if got := r.Accepted.Report.Header(); got != "repaired=system_merged, repaired=system_merged, repaired=system_to_user" {
		t.Errorf("the report is %q", got)
	}
}

// Where the engine's prompts or its template are shown, what they cannot
// express is repaired before anything is sent.
func TestAbilitiesAreSeenWhereTheEngineShowsThem(t *testing.T) {
	const alternating = `{%- if messages[0].role == 'system' -%}{{ '[S]' + messages[0].content + '[/S]' }}{%- set messages = messages[1:] -%}{%- endif -%}
{%- for m in messages -%}{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('Conversation roles must alternate') }}{%- endif -%}
{{ '[' + m.role + ']' + m.content }}{%- endfor -%}`
	const native = `{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}`
	tests := []struct{ kind, template, report string }{
		{"llamacpp", native, ""},
		{"vllm", native, ""},
		{"llamacpp", alternating, "repaired=system_merged, repaired=system_merged, repaired=system_to_user, repaired=neighbours_merged, repaired=neighbours_merged, repaired=placeholder"},
		{"vllm", alternating, "repaired=system_merged, repaired=system_merged, repaired=system_to_user, repaired=neighbours_merged, repaired=neighbours_merged, repaired=placeholder"},
		{"ollama", "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>", ""},
		{"ollama", enginetest.OllamaLegacy, "repaired=system_to_user"},
	}
	for _, test := range tests {
		fake := enginetest.Start(t, test.kind, enginetest.Options{Template: test.template, Model: builtIn(t)})
		opened := openChat(t, test.kind, fake, nil)
		before := len(fake.Generations())
		r := respond(t, opened, frontEnd(), llm.Params{MaxTokens: new(20)})
		if got := r.Accepted.Report.Header(); got != test.report {
			t.Errorf("%s: the report is %q, want %q", test.kind, got, test.report)
		}
		if n := len(fake.Generations()) - before; n != 1 {
			t.Errorf("%s was asked %d times", test.kind, n)
		}
	}
}

func TestTheConfigurationOverridesWhatWasSeen(t *testing.T) {
	fake := enginetest.Start(t, "mlc", enginetest.Options{})
	opened := openChat(t, "mlc", fake, func(o *Options) { o.Abilities = map[string]bool{"same_role_in_a_row": false} })
	r := respond(t, opened, chat.Conversation{Messages: []chat.Message{say(chat.User, "a"), say(chat.User, "b")}}, llm.Params{MaxTokens: new(20)})
	if got := r.Accepted.Report.Header(); got != "repaired=neighbours_merged" {
		t.Errorf("the report is %q", got)
	}
	e, err := Dial(t.Context(), Options{URL: fake.URL, Kind: "mlc", Way: AsChat, Abilities: map[string]bool{"flying": true}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Open(t.Context(), ""); err == nil || llm.AsError(err).Field != "abilities.flying" {
		t.Errorf("got %v", err)
	}
}

// A picky engine hides its template and refuses what it does not take, as a
// server does whose template raises an exception.
func picky(t *testing.T, refuses func(roles string) (status int, message string), answer string) (*Opened, func() []string) {
	var mu sync.Mutex
	var asked []string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"object":"list","data":[{"id":"m","owned_by":"sglang"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Messages []struct{ Role string }
		}
		json.NewDecoder(r.Body).Decode(&q)
		roles := ""
		for _, m := range q.Messages {
			roles += m.Role[:1]
		}
		mu.Lock()
		asked = append(asked, roles)
		mu.Unlock()
		if status, message := refuses(roles); status != 0 {
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message}})
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, answer)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	e, err := Dial(t.Context(), Options{URL: server.URL, Kind: "sglang", Way: AsChat})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	o, err := e.Open(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	return o, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}

const fine = "data: {\"choices\":[{\"delta\":{\"content\":\"Fine.\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"

func TestWhatAnEngineRefusesIsLearnt(t *testing.T) {
	opened, asked := picky(t, func(roles string) (int, string) {
		if strings.Contains(roles, "s") || strings.Contains(roles, "uu") {
			return 400, "System role not supported"
		}
		return 0, ""
	}, fine)
	r := respond(t, opened, frontEnd(), llm.Params{})
	if r.Message.Text() != "Fine." {
		t.Errorf("got %q", r.Message.Text())
	}
	if got, want := asked(), []string{"sssauus", "suau", "uau"}; !slices.Equal(got, want) {
		t.Errorf("asked %v, want %v", got, want)
	}
	if !strings.Contains(r.Accepted.Report.Header(), "repaired=fold") {
		t.Errorf("the report is %q", r.Accepted.Report.Header())
	}
	respond(t, opened, frontEnd(), llm.Params{})
	if got := asked(); len(got) != 4 || got[3] != "uau" {
		t.Errorf("the next conversation went the long way: %v", got)
	}
}

func TestOnlyRolesAreAskedForTwice(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		message string
		policy  string
		asks    int
	}{
		{"an engine out of memory", 500, "CUDA out of memory", "", 1},
		{"a prompt that is too long", 400, "This model's maximum context length is 10 tokens. However, you requested 20 tokens in the messages (roles included).", "", 1},
		{"a wrong key", 401, "the role of this key does not allow it", "", 1},
		{"the policy native", 400, "Conversation roles must alternate", chatformat.PolicyNative, 1},
		{"roles until the end of the ladder", 400, "Conversation roles must alternate", "", 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opened, asked := picky(t, func(string) (int, string) { return test.status, test.message }, fine)
			c := frontEnd()
			c.Layout.Policy = test.policy
			_, err := chat.Collect(opened.Responder.Respond(t.Context(), c, llm.Params{}))
			if err == nil || len(asked()) != test.asks {
				t.Errorf("asked %v, got %v", asked(), err)
			}
			if test.asks == 4 && !strings.Contains(err.Error(), "Conversation roles must alternate") {
				t.Errorf("the error does not say what the engine said: %v", err)
			}
		})
	}
}

func TestNothingIsAskedTwiceOnceAnAnswerHasBegun(t *testing.T) {
	opened, asked := picky(t, func(string) (int, string) { return 0, "" },
		"data: {\"choices\":[{\"delta\":{\"content\":\"Fi\"}}]}\n\ndata: {\"error\":{\"message\":\"Conversation roles must alternate\"}}\n\n")
	text := ""
	var failed error
	for e, err := range opened.Responder.Respond(t.Context(), frontEnd(), llm.Params{}) {
		if d, ok := e.(chat.TextDelta); ok {
			text += d.Text
		}
		failed = err
	}
	if failed == nil || text != "Fi" || len(asked()) != 1 {
		t.Errorf("got %q, %v, asked %v", text, failed, asked())
	}
}

func TestARefusalWithinAnAnswerIsLearntToo(t *testing.T) {
	tries := 0
	opened, asked := picky(t, func(string) (int, string) { tries++; return 0, "" }, "data: {\"error\":{\"message\":\"Conversation roles must alternate\"}}\n\n")
	accepted := 0
	for e := range opened.Responder.Respond(t.Context(), frontEnd(), llm.Params{}) {
		if _, ok := e.(chat.Accepted); ok {
			accepted++
		}
	}
	if accepted != 1 || len(asked()) != 4 {
		t.Errorf("accepted %d times, asked %v", accepted, asked())
	}
}

func TestThoughtsComeApart(t *testing.T) {
	tests := []struct{ name, answer, thoughts, text string }{
		{"in a field", `{"choices":[{"delta":{"reasoning_content":"Hm STOP "}}]}|{"choices":[{"delta":{"reasoning":"hm."}}]}|{"choices":[{"delta":{"content":"Yes STOP no"}}]}`, "Hm STOP hm.", "Yes "},
		{"in the text", `{"choices":[{"delta":{"content":"<thi"}}]}|{"choices":[{"delta":{"content":"nk>Hm STOP hm.</think>\n\nYes ST"}}]}|{"choices":[{"delta":{"content":"OP no"}}]}`, "Hm STOP hm.", "Yes "},
		{"none", `{"choices":[{"delta":{"content":"<thin air> STO"}}]}|{"choices":[{"delta":{"content":"P"}}]}`, "", "<thin air> "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stream := ""
			for _, line := range strings.Split(test.answer, "|") {
				stream += "data: " + line + "\n\n"
			}
			opened, _ := picky(t, func(string) (int, string) { return 0, "" }, stream+"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n")
			c := chat.Conversation{Messages: []chat.Message{say(chat.User, "Is it?")}}
			r := respond(t, opened, c, llm.Params{Stop: []string{"STOP"}})
			if r.Message.Reasoning != test.thoughts || r.Message.Text() != test.text || r.Finish.Stop != "STOP" {
				t.Errorf("got %q, %q, %+v", r.Message.Reasoning, r.Message.Text(), r.Finish)
			}
			c.Layout.StopInReasoning = new(true)
			if r = respond(t, opened, c, llm.Params{Stop: []string{"STOP"}}); test.thoughts != "" && (r.Message.Reasoning != "Hm " || r.Message.Text() != "") {
				t.Errorf("with stop strings in thoughts: %q, %q", r.Message.Reasoning, r.Message.Text())
			}
		})
	}
}

func TestAnAnswerEndsWhereALineBeginsAsAnothersTurn(t *testing.T) {
	stream := ""
	for _, text := range []string{"Ann: so Ann: is", " it\\nA", "nn: hello"} {
		stream += `data: {"choices":[{"delta":{"content":"` + text + `"}}]}` + "\n\n"
	}
	opened, _ := picky(t, func(string) (int, string) { return 0, "" }, stream+"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n")
	user := say(chat.User, "Well?")
	user.Name = "Ann"
	for text, c := range map[string]chat.Conversation{
		"":                     {Messages: []chat.Message{user}},
		"Ann: so Ann: is it\n": {Messages: []chat.Message{user, say(chat.Assistant, "I said")}, Continue: true},
	} {
		c.Layout.StopNames = true
		r := respond(t, opened, c, llm.Params{})
		if r.Message.Text() != text || r.Finish.Stop != "Ann:" || !slices.Equal(r.Accepted.Stops, []string{"Ann:"}) {
			t.Errorf("got %q, %q, %+v; want %q", r.Message.Text(), r.Accepted.Stops, r.Finish, text)
		}
	}
}

func TestToolCallsAreRead(t *testing.T) {
	stream := ""
	for _, line := range []string{
		`{"choices":[{"delta":{"content":"I look."}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"look","arguments":""}}]}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\":"}}]}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"look","arguments":"\"it\"}"}}]}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":7,"function":{"name":"listen","arguments":{"to":"it"}}}]}}]}`,
		`{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`,
	} {
		stream += "data: " + line + "\n\n"
	}
	opened, _ := picky(t, func(string) (int, string) { return 0, "" }, stream+"data: [DONE]\n\n")
	r := respond(t, opened, chat.Conversation{Messages: []chat.Message{say(chat.User, "Look.")}}, llm.Params{})
	want := []chat.ToolCall{{ID: "a", Name: "look", Arguments: `{"at":"it"}`}, {ID: "call_1", Name: "listen", Arguments: `{"to":"it"}`}}
	if !slices.Equal(r.Message.ToolCalls, want) || r.Message.Text() != "I look." || r.Finish.Reason != llm.ReasonEnd {
		t.Errorf("got %+v, %+v", r.Message, r.Finish)
	}
}

func TestTheLastMessageIsContinuedWhereTheEngineCan(t *testing.T) {
	can := map[string]bool{"llamacpp": true, "vllm": true, "sglang": true, "textgen": true, "anthropic": true}
	// Ollama can where the model's template ends with the message: this one's
	// does not.
	forEachChatKind(t, func(t *testing.T, kind, name string) {
		fake := enginetest.Start(t, name, enginetest.Options{})
		opened := openChat(t, kind, fake, nil)
		c := chat.Conversation{Messages: []chat.Message{say(chat.User, "Who are you?"), say(chat.Assistant, "I think")}, Continue: true}
		r, err := chat.Collect(opened.Responder.Respond(t.Context(), c, llm.Params{MaxTokens: new(3)}))
		if !can[kind] {
			if e := llm.AsError(err); err == nil || e.Code != llm.Unsupported || e.Field != "continue_final_message" {
				t.Errorf("got %v, %v", r.Message.Text(), err)
			}
			return
		}
		if err != nil || r.Message.Text() != "I am a" {
			t.Errorf("got %q, %v", r.Message.Text(), err)
		}
		if asked := fake.Generations(); !strings.HasSuffix(asked[len(asked)-1].Prompt, "I think") {
			t.Errorf("the prompt ends otherwise: %q", asked[len(asked)-1].Prompt)
		}
	})
}

func TestAnEngineThatContinuesUnaskedIsReported(t *testing.T) {
	fake := enginetest.Start(t, "llamacpp", enginetest.Options{})
	c := chat.Conversation{Messages: []chat.Message{say(chat.User, "Who are you?"), say(chat.Assistant, "I think")}}
	r := respond(t, openChat(t, "llamacpp", fake, nil), c, llm.Params{MaxTokens: new(3)})
	if r.Message.Text() != "I am a" || r.Accepted.Report.Header() != "continued" {
		t.Errorf("got %q, %q", r.Message.Text(), r.Accepted.Report.Header())
	}
}

func TestWhoeverLeavesEndsTheEnginesWork(t *testing.T) {
	forEachChatKind(t, func(t *testing.T, kind, name string) {
		if kind == "simpleai" {
			return // it notices when it next writes: see the proofs of the promises
		}
		gate := make(chan struct{}, 3)
		for range 3 {
			gate <- struct{}{}
		}
		model := llm.Script(strings.Split(strings.Repeat("word ", 50), " ")...)
		model.Gate = gate
		fake := enginetest.Start(t, name, enginetest.Options{Model: model})
		opened := openChat(t, kind, fake, nil)
		for e, err := range opened.Responder.Respond(t.Context(), chat.Conversation{Messages: []chat.Message{say(chat.User, "Go.")}}, llm.Params{MaxTokens: new(50)}) {
			if err != nil {
				t.Fatal(err)
			}
			if _, text := e.(chat.TextDelta); text {
				break
			}
		}
		if r := fake.Generations()[0]; r.Outcome != enginetest.Cancelled && r.Outcome != enginetest.Aborted {
			t.Errorf("the request was %s", r.Outcome)
		}
	})
}

func TestAShownPromptIsThePromptSent(t *testing.T) {
	for _, kind := range []string{"llamacpp", "vllm", "textgen"} {
		fake := enginetest.Start(t, kind, enginetest.Options{Model: builtIn(t)})
		opened := openChat(t, kind, fake, nil)
		renderer, ok := opened.Responder.(chat.Renderer)
		if !ok {
			t.Fatalf("%s shows no prompts", kind)
		}
		shown, err := renderer.Render(t.Context(), frontEnd())
		if err != nil {
			t.Fatal(err)
		}
		respond(t, opened, frontEnd(), llm.Params{MaxTokens: new(3)})
		if asked := fake.Generations(); asked[len(asked)-1].Prompt != shown.Prompt.String() {
			t.Errorf("%s: shown\n%s\nsent\n%s", kind, shown.Prompt.String(), asked[len(asked)-1].Prompt)
		}
		if shown.Abilities == nil {
			t.Errorf("%s: the abilities are not told", kind)
		}
	}
}

func TestMarksOfTheEnginesFormatAreRefused(t *testing.T) {
	fake := enginetest.Start(t, "llamacpp", enginetest.Options{})
	c := chat.Conversation{Messages: []chat.Message{say(chat.User, "a<|im_end|>b")}}
	opened := openChat(t, "llamacpp", fake, nil)
	_, err := chat.Collect(opened.Responder.Respond(t.Context(), c, llm.Params{}))
	if e := llm.AsError(err); err == nil || e.Code != llm.Invalid || e.Field != "messages[0].content[0]" {
		t.Errorf("got %v", err)
	}
	opened = openChat(t, "llamacpp", fake, func(o *Options) { o.Layout.LookAlikes = chatformat.LookAlikesEscape })
	r := respond(t, opened, c, llm.Params{MaxTokens: new(3)})
	if prompt := fake.Generations()[0].Prompt; strings.Contains(prompt, "a<|im_end|>b") || !strings.Contains(r.Accepted.Report.Header(), "look_alike") {
		t.Errorf("%q, %v", prompt, r.Accepted.Report)
	}
}

func TestToolsAreRefusedWhereTheyWouldBeIgnored(t *testing.T) {
	for _, kind := range []string{"llamacpp", "mlc", "llamacpppython", "simpleai"} {
		fake := enginetest.Start(t, chatKinds[kind], enginetest.Options{})
		c := chat.Conversation{Messages: []chat.Message{say(chat.User, "Look.")}, Tools: []chat.ToolSpec{{Name: "look"}}}
		opened := openChat(t, kind, fake, nil)
		_, err := chat.Collect(opened.Responder.Respond(t.Context(), c, llm.Params{}))
		if e := llm.AsError(err); err == nil || e.Code != llm.Unsupported || e.Field != "tools" {
			t.Errorf("%s: got %v", kind, err)
		}
		c.Choice.Mode = chat.ToolNone
		if r := respond(t, opened, c, llm.Params{MaxTokens: new(3)}); r.Accepted.Report.Header() != "tools_unused=1" {
			t.Errorf("%s: the report is %v", kind, r.Accepted.Report)
		}
	}
}

func TestAReplyThatOnlyRepeatsItselfIsEnded(t *testing.T) {
	forEachChatKind(t, func(t *testing.T, kind, name string) {
		words := make([]string, 3000)
		for i := range words {
			words[i] = " again"
		}
		fake := enginetest.Start(t, name, enginetest.Options{Model: llm.Script(words...)})
		c := chat.Conversation{Messages: []chat.Message{say(chat.User, "Say it.")}}
		r := respond(t, openChat(t, kind, fake, nil), c, llm.Params{MaxTokens: new(2900), LoopGuard: new(100)})
		if n := strings.Count(r.Message.Text(), "again"); r.Finish.Reason != llm.ReasonLoop || n > 200 {
			t.Errorf("it ended for %q after %d words", r.Finish.Reason, n)
		}
		if r := fake.Generations()[0]; r.Generated > 2000 {
			t.Errorf("the engine went on to %d tokens", r.Generated)
		}
	})
}

func TestNoTokensAreNoRequest(t *testing.T) {
	fake := enginetest.Start(t, "openai", enginetest.Options{})
	opened := openChat(t, "openai", fake, nil)
	r := respond(t, opened, chat.Conversation{Messages: []chat.Message{say(chat.User, "x")}}, llm.Params{MaxTokens: new(0)})
	if r.Finish.Reason != llm.ReasonLength || r.Message.Text() != "" || len(fake.Generations()) != 0 {
		t.Errorf("got %+v after %d requests", r, len(fake.Generations()))
	}
}

func TestProbabilitiesAndCountsAreTranslated(t *testing.T) {
	fake := enginetest.Start(t, "vllm", enginetest.Options{Model: builtIn(t)})
	c := chat.Conversation{Messages: []chat.Message{say(chat.User, "Hello.")}}
	r := respond(t, openChat(t, "vllm", fake, nil), c, llm.Params{MaxTokens: new(6), Temperature: new(0.0), LogProbs: new(2)})
	text := ""
	for _, token := range r.Tokens {
		text += token.Text
		if token.LogProb > 0 || token.LogProb < -50 || len(token.Top) != 2 || token.ID != noID {
			t.Errorf("token %+v", token)
		}
	}
	if text != r.Message.Text() || text == "" || r.Message.Tokens != nil {
		t.Errorf("the tokens are %q, the text is %q", text, r.Message.Text())
	}
	if u := r.Finish.Usage; u.PromptTokens == 0 || u.CompletionTokens != 6 || len(r.Finish.Report) > 0 {
		t.Errorf("got %+v, %v", u, r.Finish.Report)
	}
}

func TestChoicesHaveSeedsOfTheirOwn(t *testing.T) {
	fake := enginetest.Start(t, "openai", enginetest.Options{})
	opened := openChat(t, "openai", fake, nil)
	seen := map[any]bool{}
	for choice := range 3 {
		r := respond(t, opened, chat.Conversation{Messages: []chat.Message{say(chat.User, "x")}}, llm.Params{Seed: new(int64(7)), Choice: choice})
		if r.Finish.Seed != 7 {
			t.Errorf("the seed told is %d", r.Finish.Seed)
		}
	}
	for _, r := range fake.Generations() {
		seen[r.Fields["seed"]] = true
	}
	if len(seen) != 3 || !seen[7.0] {
		t.Errorf("the seeds sent are %v", seen)
	}
}

func TestASeedIsDrawnAndToldWhereTheEngineTakesOne(t *testing.T) {
	c := chat.Conversation{Messages: []chat.Message{say(chat.User, "x")}}
	fake := enginetest.Start(t, "openai", enginetest.Options{})
	r := respond(t, openChat(t, "openai", fake, nil), c, llm.Params{})
	if sent, _ := fake.Generations()[0].Fields["seed"].(float64); int64(sent) != r.Finish.Seed || r.Accepted.Seed != r.Finish.Seed {
		t.Errorf("sent %v, told %d and %d", sent, r.Accepted.Seed, r.Finish.Seed)
	}
	fake = enginetest.Start(t, "anthropic", enginetest.Options{})
	r = respond(t, openChat(t, "anthropic", fake, nil), c, llm.Params{MaxTokens: new(5)})
	if len(r.Accepted.Report) > 0 {
		t.Errorf("nobody asked for a seed, and the report is %v", r.Accepted.Report)
	}
	r = respond(t, openChat(t, "anthropic", fake, nil), c, llm.Params{MaxTokens: new(5), Seed: new(int64(1))})
	if r.Accepted.Report.Header() != "ignored=seed" {
		t.Errorf("the report is %v", r.Accepted.Report)
	}
}

func TestACancelledRequestEndsWithItsCause(t *testing.T) {
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	model := llm.Script("a", "b", "c")
	model.Gate = gate
	fake := enginetest.Start(t, "openai", enginetest.Options{Model: model})
	opened := openChat(t, "openai", fake, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	cause := errors.New("enough")
	var last error
	for e, err := range opened.Responder.Respond(ctx, chat.Conversation{Messages: []chat.Message{say(chat.User, "x")}}, llm.Params{}) {
		if _, text := e.(chat.TextDelta); text {
			cancel(cause)
		}
		last = err
	}
	if last != cause {
		t.Errorf("got %v", last)
	}
	if r := fake.Generations()[0]; r.Outcome != enginetest.Cancelled {
		t.Errorf("the request was %s", r.Outcome)
	}
}

func TestAnAnswerThatBreaksOffIsAnError(t *testing.T) {
	opened, _ := picky(t, func(string) (int, string) { return 0, "" }, "data: {\"choices\":[{\"delta\":{\"content\":\"Fi\"}}]}\n\n")
	_, err := chat.Collect(opened.Responder.Respond(t.Context(), frontEnd(), llm.Params{}))
	if e := llm.AsError(err); err == nil || e.Code != llm.Broken {
		t.Errorf("got %v", err)
	}
	opened, asked := picky(t, func(string) (int, string) { return 0, "" }, "data: {\"choices\":[{\"delta\":{\"content\":\"Fi\"},\"finish_reason\":\"error\"}]}\n\n")
	_, err = chat.Collect(opened.Responder.Respond(t.Context(), frontEnd(), llm.Params{}))
	if e := llm.AsError(err); err == nil || e.Code != llm.Broken || !strings.Contains(e.Message, `broke the answer off with "error"`) || len(asked()) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestMediaIsToldWhereTheEngineTakesNone(t *testing.T) {
	picture := chat.Message{Role: chat.User, Parts: []chat.Part{{Text: "What is "}, {Media: &llm.Media{MIME: "image/png", Data: []byte("x")}}}}
	for _, kind := range []string{"llamacpp", "simpleai", "llamacpppython"} {
		fake := enginetest.Start(t, chatKinds[kind], enginetest.Options{})
		opened := openChat(t, kind, fake, nil)
		c := chat.Conversation{Messages: []chat.Message{picture}}
		_, err := chat.Collect(opened.Responder.Respond(t.Context(), c, llm.Params{}))
		if e := llm.AsError(err); err == nil || e.Code != llm.Unsupported || e.Field != "messages[0].content[1]" {
			t.Errorf("%s: got %v", kind, err)
		}
		opened = openChat(t, kind, fake, func(o *Options) { o.Layout.Media = chat.MediaPlaceholder })
		r := respond(t, opened, c, llm.Params{MaxTokens: new(3)})
		asked := fake.Generations()
		if got := asked[len(asked)-1].Prompt; !strings.Contains(got, "What is [image]") || !strings.Contains(r.Accepted.Report.Header(), "media_placeholder=messages[0].content[1]") {
			t.Errorf("%s: %q, %v", kind, got, r.Accepted.Report)
		}
	}
}

func TestWhatAnEngineShowsDecidesWhatItExpresses(t *testing.T) {
	const template = `{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}`
	find := func(kind string, d description) expression {
		r := unshown(KindNamed(kind))
		r.engine.log = slog.New(slog.DiscardHandler)
		x, err := r.find(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	seeing := description{vision: true, info: llm.Info{ChatTemplate: template}}
	if can := find("llamacpp", seeing).can(chat.Conversation{}); !can.Media || can.Audio || !can.SystemLater || can.Names || can.Calls {
		t.Errorf("a server that sees: %+v", can)
	}
	if can := find("lmstudio", description{}).can(chat.Conversation{}); can.Media {
		t.Error("LM Studio sees with a model that does not")
	}
	if x := find("ollama", description{goTemplate: "[U]{{ .Prompt }}[A]{{ .Response }}"}); x.prefill != prefillAlways || x.can(chat.Conversation{}).SystemSlot {
		t.Errorf("a template without a place for a system message: %+v, prefill %d", x.can(chat.Conversation{}), x.prefill)
	}
	if x := find("ollama", description{goTemplate: "{{ .Prompt }}"}); x.shown || !x.can(chat.Conversation{}).SystemSlot {
		t.Errorf("a template that shows nothing: %+v", x.can(chat.Conversation{}))
	}
}

func TestAnOllamaTemplateThatContinuesIsUsed(t *testing.T) {
	fake := enginetest.Start(t, "ollama", enginetest.Options{Template: enginetest.OllamaLegacy})
	c := chat.Conversation{Messages: []chat.Message{say(chat.User, "Who are you?"), say(chat.Assistant, "I think")}, Continue: true}
	r := respond(t, openChat(t, "ollama", fake, nil), c, llm.Params{MaxTokens: new(3)})
	if got := fake.Generations()[0].Fields["messages"].([]any); len(got) != 2 || r.Message.Text() == "" {
		t.Errorf("sent %v, got %q", got, r.Message.Text())
	}
}

func TestWhatAChatRoutePromises(t *testing.T) {
	for kind, want := range map[string]map[llm.Promise]llm.Keeping{
		"llamacpp":  {llm.NothingLost: llm.Kept, llm.NoForgery: llm.ByPolicy, llm.AlwaysShown: llm.Kept, llm.Reproducible: llm.ByEngine},
		"mlc":       {llm.NothingLost: llm.Kept, llm.NoForgery: llm.ByEngine, llm.AlwaysShown: llm.NotKept},
		"ollama":    {llm.NothingLost: llm.Kept, llm.AlwaysShown: llm.NotKept},
		"sglang":    {llm.NothingLost: llm.ByEngine, llm.AlwaysShown: llm.NotKept},
		"koboldcpp": {llm.NothingLost: llm.ByEngine},
		"anthropic": {llm.NothingLost: llm.Kept, llm.Reproducible: llm.NotKept},
	} {
		opened := openChat(t, kind, enginetest.Start(t, chatKinds[kind], enginetest.Options{}), nil)
		for promise, keeping := range want {
			if got := opened.Promises[promise]; got != keeping {
				t.Errorf("%s: %s is %s, want %s", kind, promise, got, keeping)
			}
		}
	}
}

func TestOpenAIsNewerModelsAreAskedInTheirWords(t *testing.T) {
	for model, name := range map[string]string{"gpt-4o-mini": "max_tokens", "o3-mini": "max_completion_tokens", "gpt-5": "max_completion_tokens", "ollama/o": "max_tokens"} {
		c := &call{model: model, conversation: frontEnd(), params: llm.Params{MaxTokens: new(5)}}
		body, err := chatOpenAI.encode(c)
		if err != nil || body[name] != 5 {
			t.Errorf("%s: %v, %v", model, body, err)
		}
	}
}
