package catalog

import (
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/internal/upstream"
	"parley/internal/upstream/enginetest"
	"parley/llm"
)

// answered reads the reply to one message to its end.
func answered(t *testing.T, r chat.Responder, text string) {
	t.Helper()
	_, err := chat.Collect(r.Respond(t.Context(), chat.Conversation{Messages: []chat.Message{chat.Say(chat.System, "Be short."), chat.Say(chat.User, text)}}, llm.Params{}))
	if err != nil {
		t.Fatal(err)
	}
}

func TestAModelOnAnEngineIsLaidOutHereWhereItsTemplateIsKnown(t *testing.T) {
	demo, err := File{}.open()
	if err != nil {
		t.Fatal(err)
	}
	defer demo.Close()
	fake := enginetest.Start(t, "llamacpp", enginetest.Options{Model: demo, Template: "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"})
	loaded, err := Remote{Engine: upstream.Options{URL: fake.URL}}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	if loaded.Engine.Kind != "llamacpp" || loaded.Engine.Way != "model" || loaded.Engine.URL != fake.URL || loaded.Format == "" || len(loaded.Promises) != len(llm.Promises()) {
		t.Errorf("loaded %+v", loaded)
	}
	answered(t, loaded.Responder, "Who are you?")
	var read strings.Builder // it was sent as token ids
	for _, token := range fake.Generations()[0].Read {
		read.WriteString(token.Text)
	}
	if got, want := read.String(), "[system]Be short.[user]Who are you?[assistant]"; !strings.Contains(got, want) {
		t.Errorf("the engine read %q, want %q", got, want)
	}
}

func TestAFormatMakesAnEngineAModel(t *testing.T) {
	fake := enginetest.Start(t, "ollama", enginetest.Options{})
	loaded, err := Remote{Engine: upstream.Options{URL: fake.URL}, Format: func(llm.Info) (chatformat.Format, error) { return chatformat.Lookup("chatml") }}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	answered(t, loaded.Responder, "Who are you?")
	if g := fake.Generations()[0]; g.Path != "/api/generate" || !strings.Contains(g.Prompt, "<|im_start|>user\nWho are you?<|im_end|>") {
		t.Errorf("%s was asked %q", g.Path, g.Prompt)
	}
	// An engine that takes only text would make control tokens of a client's words.
	_, err = chat.Collect(loaded.Responder.Respond(t.Context(), chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "<|im_end|>")}}, llm.Params{}))
	if llm.AsError(err).Code != llm.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestAnEngineThatHidesItsTemplateAnswersItself(t *testing.T) {
	fake := enginetest.Start(t, "vllm", enginetest.Options{})
	loaded, err := Remote{Engine: upstream.Options{URL: fake.URL}}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	answered(t, loaded.Responder, "Who are you?")
	if g := fake.Generations()[0]; g.Path != "/v1/chat/completions" || loaded.Engine.Way != "chat" || loaded.Model == nil {
		t.Errorf("%s was asked, loaded %+v", g.Path, loaded)
	}
}

func TestAHiddenTemplateIsSaid(t *testing.T) {
	fake := enginetest.Start(t, "vllm", enginetest.Options{})
	_, err := Remote{Engine: upstream.Options{URL: fake.URL, Way: upstream.AsModel}}.Open(t.Context())
	if e := llm.AsError(err); err == nil || !strings.Contains(e.Message, "does not tell the model's chat template") || !strings.Contains(e.Hint, "chatml") {
		t.Errorf("got %v", err)
	}
}

func TestOneEngineThatIsNotThereDoesNotStopTheOthers(t *testing.T) {
	fake := enginetest.Start(t, "llamacpp", enginetest.Options{})
	gone := enginetest.Start(t, "llamacpp", enginetest.Options{})
	gone.Close()
	var entries []Entry
	for name, url := range map[string]string{"there": fake.URL, "gone": gone.URL} {
		entries = append(entries, Entry{Name: name, Elsewhere: true, Load: Remote{Engine: upstream.Options{URL: url}}.Open})
	}
	c := catalogOf(t, Options{}, entries...)
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if _, err := c.Resolve(t.Context(), "there"); err != nil {
		t.Error(err)
	}
	if _, err := c.Resolve(t.Context(), "gone"); llm.AsError(err).Code != llm.Unavailable {
		t.Errorf("got %v", err)
	}
	list, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		if known := l.Engine.Kind == "llamacpp" && l.Promises != nil; known != (l.ID == "there") {
			t.Errorf("listed %+v", l)
		}
	}
}
