package upstream

import (
	"testing"

	"parley/chat"
	"parley/chat/chattest"
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
	opened, err := e.Open(t.Context(), "fake-model")
	if err != nil {
		t.Fatal(err)
	}
	return opened
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
