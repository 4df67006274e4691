package chatformat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// long is a conversation of so many turns, each of about 20 words, with a tool
// group in the second and examples before the first.
func long(turns int) chat.Conversation {
	named := func(name, text string) chat.Message {
		m := chat.Say(chat.System, text)
		m.Name = name
		return m
	}
	words := func(what string, n int) string {
		return strings.Repeat(what+" ", 9) + fmt.Sprint(what, n)
	}
	c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.System, "Rules."), named("example_user", "Example question."), named("example_assistant", "Example answer.")}}
	for i := range turns {
		c.Messages = append(c.Messages, chat.Say(chat.User, words("question", i)))
		if i == 1 {
			call := chat.Say(chat.Assistant, "")
			call.ToolCalls = []chat.ToolCall{{ID: "c", Name: "tool", Arguments: "{}"}}
			result := chat.Say(chat.Tool, "tool result")
			result.ToolCallID = "c"
			c.Messages = append(c.Messages, call, result)
		}
		c.Messages = append(c.Messages, chat.Say(chat.Assistant, words("answer", i)))
	}
	c.Messages = append(c.Messages, chat.Say(chat.System, "Note."), chat.Say(chat.User, "And now?"))
	return c
}

func TestTooLongIsRefusedUnlessAskedFor(t *testing.T) {
	m := llm.Script("ok")
	m.Context = 100
	r := chatformat.NewResponder(silent{m, llm.Info{Context: 100}}, lookup(t, "chatml"), chatformat.Options{})
	_, err := chat.Collect(r.Respond(t.Context(), long(10), llm.Params{}))
	if e := llm.AsError(err); e.Code != llm.TooLong {
		t.Errorf("got %v", err)
	}
}

func TestTheOldestTurnsGoWholeAndInSteps(t *testing.T) {
	const size = 400
	m := llm.Script("ok")
	m.Context = size
	r := chatformat.NewResponder(silent{m, llm.Info{Context: size}}, lookup(t, "chatml"), chatformat.Options{Fit: chat.FitDropOldest})
	var cuts []string
	for turns := range 40 {
		c := long(turns)
		reply, err := chat.Collect(r.Respond(t.Context(), c, llm.Params{MaxTokens: new(20)}))
		if err != nil {
			t.Fatalf("%d turns: %v", turns, err)
		}
		shown, err := r.Render(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		text := shown.Prompt.String()
		for _, kept := range []string{"Rules.", "Note.", "And now?"} {
			if !strings.Contains(text, kept) {
				t.Errorf("%d turns: %q is gone", turns, kept)
			}
		}
		if strings.Contains(text, "Example") && shortened(shown.Report) != "" && strings.Count(text, "question ") < 9*turns {
			t.Errorf("%d turns: examples outlived history", turns)
		}
		if strings.Contains(text, "[tool call") != strings.Contains(text, "tool result") {
			t.Errorf("%d turns: the tool group was torn: %s", turns, text)
		}
		if q, a := strings.Index(text, "question "), strings.Index(text, "answer "); a >= 0 && (q < 0 || a < q) {
			t.Errorf("%d turns: history begins with an answer", turns)
		}
		for _, s := range shown.Prompt.Segments {
			if s.Source.Kind == llm.FromMessage && s.Source.Field == "content" && !strings.Contains(c.Messages[s.Source.Index].Text(), s.Text) {
				t.Errorf("%d turns: %q is not from message %d", turns, s.Text, s.Source.Index)
			}
		}
		if got := len(shown.Tokens); got >= size {
			t.Errorf("%d turns: %d tokens", turns, got)
		}
		if n := shortened(reply.Accepted.Report); n != "" {
			cuts = append(cuts, n)
		}
	}
	if distinct := len(slices.Compact(slices.Clone(cuts))); len(cuts) < 20 || distinct > len(cuts)/3 {
		t.Errorf("the cut moved %d times in %d turns: %v", distinct, len(cuts), cuts)
	}
}

func shortened(r llm.Report) string {
	for _, n := range r {
		if n.Code == chatformat.CodeShortened {
			return n.Value
		}
	}
	return ""
}

func TestWhatCannotBeShortenedIsTooLong(t *testing.T) {
	m := llm.Script("ok")
	m.Context = 20
	r := chatformat.NewResponder(silent{m, llm.Info{Context: 20}}, lookup(t, "chatml"), chatformat.Options{Fit: chat.FitDropOldest})
	c := long(3)
	c.Messages[len(c.Messages)-1] = chat.Say(chat.User, strings.Repeat("word ", 50))
	_, err := chat.Collect(r.Respond(t.Context(), c, llm.Params{}))
	if e := llm.AsError(err); e.Code != llm.TooLong {
		t.Errorf("got %v", err)
	}
}

func TestARequestMayAskForFittingAndPinMessages(t *testing.T) {
	const size = 200
	m := llm.Script("ok")
	m.Context = size
	var sent string
	m.Seen = func(p llm.Prompt, _ llm.Params) { sent = p.String() }
	r := chatformat.NewResponder(silent{m, llm.Info{Context: size}}, lookup(t, "chatml"), chatformat.Options{})
	c := long(12)
	c.Layout.Fit = chat.FitDropOldest
	pinned := slices.IndexFunc(c.Messages, func(m chat.Message) bool { return strings.Contains(m.Text(), "question3") })
	for _, pin := range []bool{false, true} {
		c.Messages[pinned].Pinned = pin
		if _, err := chat.Collect(r.Respond(t.Context(), c, llm.Params{MaxTokens: new(10)})); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(sent, "question3") != pin || strings.Contains(sent, "answer3") != pin || strings.Contains(sent, "question2") {
			t.Errorf("pinned %v: the prompt is %q", pin, sent)
		}
	}
	c.Layout.Fit = chat.FitRefuse
	if _, err := chat.Collect(r.Respond(t.Context(), c, llm.Params{})); llm.AsError(err).Code != llm.TooLong {
		t.Errorf("refuse: got %v", err)
	}
}

func TestAPromptThatWasReadIsToldAndCanBeShownAgain(t *testing.T) {
	const size, most = 400, 20
	m := llm.Script("ok")
	m.Context = size
	r := chatformat.NewResponder(silent{m, llm.Info{Context: size}}, lookup(t, "chatml"), chatformat.Options{Fit: chat.FitDropOldest})
	others := 0 // that look otherwise to one who does not know how long the reply may be
	for turns := range 40 {
		c := long(turns)
		var read *chat.Rendered
		for e, err := range r.Respond(t.Context(), c, llm.Params{MaxTokens: new(most)}) {
			if err != nil {
				t.Fatal(err)
			}
			if a, ok := e.(chat.Accepted); ok {
				read = a.Rendered
			}
		}
		plain, err := r.Render(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		c.Layout.Reply = most
		shown, err := r.Render(t.Context(), c)
		if err != nil || read == nil || read.Format != "chatml" || read.Prompt.String() != shown.Prompt.String() || !slices.Equal(read.Stop, shown.Stop) {
			t.Fatalf("%d turns: %v: read\n%+v\nshown\n%+v", turns, err, read, shown)
		}
		if plain.Prompt.String() != shown.Prompt.String() {
			others++
		}
	}
	if others == 0 {
		t.Error("no prompt depends on how long the reply may be")
	}
}
