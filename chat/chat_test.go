package chat_test

import (
	"errors"
	"reflect"
	"testing"

	"parley/chat"
	"parley/chat/chattest"
	"parley/llm"
)

func TestScriptKeepsTheContract(t *testing.T) {
	chattest.Run(t, chattest.Subject{
		Responder:    chat.Script(chat.ReasoningDelta{Text: "hm"}, chat.TextDelta{Text: "Hel"}, chat.TextDelta{Text: "lo"}),
		Conversation: chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "Hi")}},
	})
}

func TestCollectPutsDeltasTogether(t *testing.T) {
	r, err := chat.Collect(chat.Script(
		chat.Waiting{Queue: 2},
		chat.ReasoningDelta{Text: "let me ", Tokens: []llm.Token{{ID: 1}}},
		chat.ReasoningDelta{Text: "see"},
		chat.TextDelta{Text: "I will ", Tokens: []llm.Token{{ID: 2}, {ID: 3}}},
		chat.TextDelta{Text: "look."},
		chat.ToolCallDelta{Index: 0, ID: "c0", Name: "look"},
		chat.ToolCallDelta{Index: 1, ID: "c1", Name: "listen", Arguments: "{}"},
		chat.ToolCallDelta{Index: 0, Arguments: `{"at":`},
		chat.ToolCallDelta{Index: 0, Arguments: `"it"}`},
		chat.ToolCallDelta{Index: 2, ID: "c2", Name: "touch", Arguments: `{"a`},
		chat.ToolCallDelta{Index: 2, Broken: true},
	).Respond(t.Context(), chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "x")}}, llm.Params{}))
	if err != nil {
		t.Fatal(err)
	}
	want := chat.Message{
		Role: chat.Assistant, Parts: []chat.Part{{Text: "I will look."}}, Reasoning: "let me see",
		ToolCalls: []chat.ToolCall{{ID: "c0", Name: "look", Arguments: `{"at":"it"}`}, {ID: "c1", Name: "listen", Arguments: "{}"}},
		Tokens:    []int{1, 2, 3},
	}
	if !reflect.DeepEqual(r.Message, want) {
		t.Errorf("got  %+v\nwant %+v", r.Message, want)
	}
	if len(r.Tokens) != 2 {
		t.Errorf("the text has %d tokens, want 2", len(r.Tokens))
	}
}

func TestTokensWhoseIDsAreNotToldAreNotTheMessages(t *testing.T) {
	r, err := chat.Collect(chat.Script(
		chat.TextDelta{Text: "a", Tokens: []llm.Token{{ID: 1, Text: "a"}}},
		chat.TextDelta{Text: "b", Tokens: []llm.Token{{ID: -1, Text: "b"}}},
	).Respond(t.Context(), chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "x")}}, llm.Params{}))
	if err != nil || r.Message.Tokens != nil || len(r.Tokens) != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestAFailedStreamIsNeverACompleteReply(t *testing.T) {
	s := chat.Script(chat.TextDelta{Text: "Hel"})
	s.Err = errors.New("the plug was pulled")
	r, err := chat.Collect(s.Respond(t.Context(), chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "x")}}, llm.Params{}))
	if err != s.Err || r.Message.Text() != "" {
		t.Errorf("got %+v, %v", r, err)
	}
}
