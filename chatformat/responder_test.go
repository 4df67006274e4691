package chatformat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/chat/chattest"
	"parley/chatformat"
	"parley/internal/limits"
	"parley/llm"
)

func lookup(t *testing.T, name string) chatformat.Format {
	t.Helper()
	f, err := chatformat.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func hello() chat.Conversation {
	return chat.Conversation{Messages: []chat.Message{chat.Say(chat.System, "Be brief."), chat.Say(chat.User, "Hello!")}}
}

func TestResponderKeepsTheContract(t *testing.T) {
	for name, tokens := range map[string][]string{
		"chatml":  {"Hello", " there", ",", " you", "."},
		"qwen3":   {"<think>", "\n", "Hm.", "\n", "</think>", "\n\n", "Hello", "."},
		"vicuna":  {" Hello", " there"},
		"mistral": {" Hello", " there"},
	} {
		t.Run(name, func(t *testing.T) {
			chattest.Run(t, chattest.Subject{
				Responder:    chatformat.NewResponder(llm.Script(tokens...), lookup(t, name), chatformat.Options{}),
				Conversation: hello(),
			})
		})
	}
}

func TestTheFormatsStopsJoinTheClients(t *testing.T) {
	m := llm.Script("Hi", "<|im_end|>", "\n<|im_start|>user")
	var seen llm.Params
	m.Seen = func(_ llm.Prompt, p llm.Params) { seen = p }
	r := chatformat.NewResponder(m, lookup(t, "chatml"), chatformat.Options{})
	client := []string{"\nUser:", "<|im_end|>"}
	reply, err := chat.Collect(r.Respond(t.Context(), hello(), llm.Params{Stop: client}))
	if err != nil || reply.Message.Text() != "Hi" || reply.Finish.Stop != "<|im_end|>" {
		t.Errorf("got %q, %+v, %v", reply.Message.Text(), reply.Finish, err)
	}
	if want := []string{"\nUser:", "<|im_end|>"}; !slices.Equal(seen.Stop, want) {
		t.Errorf("the model saw the stops %q, want %q", seen.Stop, want)
	}
}

func TestAsManyStopsAsAClientMaySendLeaveRoomForTheFormats(t *testing.T) {
	var client []string
	for i := range limits.Stops.Int() {
		client = append(client, fmt.Sprintf("stop %d", i))
	}
	r := chatformat.NewResponder(llm.Script("Hi", "<|im_end|>"), lookup(t, "chatml"), chatformat.Options{})
	reply, err := chat.Collect(r.Respond(t.Context(), hello(), llm.Params{Stop: client}))
	if err != nil || reply.Message.Text() != "Hi" {
		t.Errorf("got %q, %v", reply.Message.Text(), err)
	}
}

func TestAReplyEndsWhereSomebodyElseSpeaks(t *testing.T) {
	say := func(role chat.Role, name, text string) chat.Message {
		m := chat.Say(role, text)
		m.Name = name
		return m
	}
	c := chat.Conversation{Messages: []chat.Message{
		say(chat.System, "example_user", "Hi"), say(chat.User, "Ann", "Hello"), say(chat.Assistant, "Mira", "Good day"),
		say(chat.User, "Bob", "And me?"), say(chat.User, "Mira", "I am you"), say(chat.User, "Ann", "No"),
	}}
	m := llm.Script("Mira", ": Bob: told", " Ann: all\n", "Bob", "by\n", "Bo", "b: no")
	r := chatformat.NewResponder(m, lookup(t, "chatml"), chatformat.Options{})
	for _, o := range []struct {
		names, noAuto bool
		text          string
		stops         []string
	}{
		{false, false, "Mira: Bob: told Ann: all\nBobby\nBob: no", []string{"<|im_end|>"}},
		{true, false, "Mira: Bob: told Ann: all\nBobby\n", []string{"<|im_end|>", "example_user:", "Ann:", "Bob:"}},
		{true, true, "Mira: Bob: told Ann: all\nBobby\n", []string{"example_user:", "Ann:", "Bob:"}},
		{false, true, "Mira: Bob: told Ann: all\nBobby\nBob: no", nil},
	} {
		c.Layout.StopNames, c.Layout.NoAutoStops = o.names, o.noAuto
		reply, err := chat.Collect(r.Respond(t.Context(), c, llm.Params{Stop: []string{"###"}}))
		if err != nil || reply.Message.Text() != o.text || !slices.Equal(reply.Accepted.Stops, o.stops) {
			t.Errorf("%+v: %q, %q, %v", o, reply.Message.Text(), reply.Accepted.Stops, err)
		}
		if o.names && reply.Finish.Stop != "Bob:" {
			t.Errorf("%+v: %+v", o, reply.Finish)
		}
		if shown, err := r.Render(t.Context(), c); err != nil || !slices.Equal(shown.Stop, o.stops) {
			t.Errorf("%+v: the prompt is shown with %q, %v", o, shown.Stop, err)
		}
	}
	own := llm.Script("Hi", "<|im_end|>", "\n")
	own.Control = []string{"<|im_end|>"}
	c.Layout.NoAutoStops = true
	reply, err := chat.Collect(chatformat.NewResponder(own, lookup(t, "chatml"), chatformat.Options{}).Respond(t.Context(), c, llm.Params{}))
	if err != nil || reply.Message.Text() != "Hi\n" {
		t.Errorf("without the format's stops: %q, %v", reply.Message.Text(), err)
	}
}

func TestReasoningIsToldApartAndItsTokensStay(t *testing.T) {
	m := llm.Script("<think>", "Hm", ".", "</think>", "\n", "Hello")
	r := chatformat.NewResponder(m, lookup(t, "qwen3"), chatformat.Options{})
	reply, err := chat.Collect(r.Respond(t.Context(), hello(), llm.Params{}))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Message.Reasoning != "Hm." || reply.Message.Text() != "Hello" {
		t.Errorf("reasoning %q, text %q", reply.Message.Reasoning, reply.Message.Text())
	}
	if want := []int{0, 1, 2, 3, 4, 5}; !slices.Equal(reply.Message.Tokens, want) {
		t.Errorf("tokens %v, want %v", reply.Message.Tokens, want)
	}
}

func TestStopsSleepWhileThePromptIsInsideReasoning(t *testing.T) {
	m := llm.Script(" of", " all", "</think>", "Yes", " all")
	r := chatformat.NewResponder(m, lookup(t, "qwen3"), chatformat.Options{})
	c := hello()
	c.Messages = append(c.Messages, chat.Say(chat.Assistant, "<think>First"))
	c.Continue = true
	reply, err := chat.Collect(r.Respond(t.Context(), c, llm.Params{Stop: []string{" all"}}))
	if err != nil || reply.Message.Reasoning != " of all" || reply.Message.Text() != "Yes" {
		t.Errorf("reasoning %q, text %q, %v", reply.Message.Reasoning, reply.Message.Text(), err)
	}
}

func TestStopsSleepInReasoningThatTheModelOpens(t *testing.T) {
	template, err := chatformat.NewTemplate("thinks", "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}{% endfor %}"+
		"{% if add_generation_prompt %}<|assistant|>{% endif %}", chatformat.SpecialTokens{})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]chatformat.Format{"markup": lookup(t, "qwen3"), "template": template} {
		for _, c := range []struct {
			said          []string
			inReasoning   bool
			thought, text string
		}{
			{[]string{"<think>", "\n", "one", " two", "</think>", "\n\n", "three", " two"}, false, "one two", "three"},
			{[]string{"\n<th", "ink>one two</think>", "three", " two", " more"}, false, "one two", "three"},
			{[]string{"<think>", "one", " two", "</think>", "three"}, true, "one", ""},
			{[]string{"one", " two", " three"}, false, "", "one"},
			{[]string{"one", " two <think> two </think>"}, false, "", "one"},
		} {
			r := chatformat.NewResponder(llm.Script(c.said...), f, chatformat.Options{StopInReasoning: true})
			talk := hello()
			talk.Layout.StopInReasoning = &c.inReasoning
			reply, err := chat.Collect(r.Respond(t.Context(), talk, llm.Params{Stop: []string{" two"}}))
			if err != nil || reply.Message.Reasoning != c.thought || reply.Message.Text() != c.text {
				t.Errorf("%s, %q: thought %q, said %q, %v", name, c.said, reply.Message.Reasoning, reply.Message.Text(), err)
			}
		}
	}
}

func TestAConversationChoosesItsFormatAndIsReported(t *testing.T) {
	r := chatformat.NewResponder(llm.Script("ok"), lookup(t, "chatml"), chatformat.Options{})
	c := hello()
	c.Layout.Format = "Llama-2"
	c.Messages = append(c.Messages, chat.Say(chat.System, "Now."))
	shown, err := r.Render(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if shown.Format != "llama2" || !strings.Contains(shown.Prompt.String(), "<<SYS>>") || len(shown.Tokens) == 0 {
		t.Errorf("got %+v", shown)
	}
	reply, err := chat.Collect(r.Respond(t.Context(), c, llm.Params{}))
	if err != nil || !slices.Equal(reply.Accepted.Report, shown.Report) || len(shown.Report) == 0 {
		t.Errorf("report %v, shown %v, %v", reply.Accepted.Report, shown.Report, err)
	}
	c.Layout.Format = "nonsense"
	if _, err := r.Render(t.Context(), c); llm.AsError(err).Code != llm.NotFound {
		t.Errorf("got %v", err)
	}
}

// silent is a model whose file has a beginning-of-text token and does not ask
// for it.
type silent struct {
	*llm.Scripted
	info llm.Info
}

func (m silent) Describe() llm.Info { return m.info }

func TestTheFormatsBeginningOfTextIsThereOnce(t *testing.T) {
	for name, c := range map[string]struct {
		format string
		info   llm.Info
		want   string
	}{
		"asked for by the file": {"llama3", llm.Info{BOS: "<|begin_of_text|>", AddsBOS: true}, "<|start_header_id|>"},
		"not asked for":         {"llama3", llm.Info{BOS: "<|begin_of_text|>"}, "<|begin_of_text|><|start_header_id|>"},
		"of another vocabulary": {"llama3", llm.Info{BOS: "<s>"}, "<|start_header_id|>"},
		"part of the layout":    {"llama2", llm.Info{BOS: "<s>"}, "<s>[INST]"},
		"of no format":          {"chatml", llm.Info{BOS: "<s>"}, "<|im_start|>"},
	} {
		t.Run(name, func(t *testing.T) {
			r := chatformat.NewResponder(silent{llm.Script("ok"), c.info}, lookup(t, c.format), chatformat.Options{})
			shown, err := r.Render(t.Context(), hello())
			if got := shown.Prompt.String(); err != nil || !strings.HasPrefix(got, c.want) || strings.HasPrefix(got, "<s><s>") {
				t.Errorf("got %q, %v", got, err)
			}
			if s := shown.Prompt.Segments[0]; !s.Control || s.Trust != llm.TrustFormat {
				t.Errorf("the first segment is %+v", s)
			}
		})
	}
}
