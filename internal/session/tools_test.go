package session_test

import (
	"context"
	"encoding/json"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/internal/session"
	"parley/llm"
)

const weather = `[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]`

// calls is a reply that calls two tools, and then one that says what came of it.
type calls struct{ said []chat.Event }

func (c calls) Respond(ctx context.Context, talk chat.Conversation, p llm.Params) iter.Seq2[chat.Event, error] {
	last := len(talk.Messages) - 1
	for last > 0 && talk.Messages[last].Role == chat.System {
		last--
	}
	if talk.Messages[last].Role == chat.Tool {
		return chat.Script(chat.TextDelta{Text: "It rains."}).Respond(ctx, talk, p)
	}
	return chat.Script(c.said...).Respond(ctx, talk, p)
}

// two calls the weather of two towns.
var two = calls{[]chat.Event{
	chat.TextDelta{Text: "I look."},
	chat.ToolCallDelta{Index: 0, ID: "a", Name: "weather"}, chat.ToolCallDelta{Index: 0, Arguments: `{"at":`}, chat.ToolCallDelta{Index: 0, Arguments: `"Bern"}`},
	chat.ToolCallDelta{Index: 1, ID: "b", Name: "weather", Arguments: `{"at":"Rome"}`},
	chat.ToolCallDelta{Index: 2, ID: "c", Name: "weather", Arguments: `{"at`}, chat.ToolCallDelta{Index: 2, Broken: true},
}}

func asked(t *testing.T) *stage {
	t.Helper()
	st := on(t, &model{responder: two}, session.New{Settings: session.Settings{System: "Be brief.", Tools: session.Tools{List: json.RawMessage(weather)}}})
	st.talks("Does it rain?")
	return st
}

func result(id, text string) session.Send {
	return session.Send{Results: []session.Result{{CallID: id, Parts: []chat.Part{{Text: text}}}}}
}

// results sends both, whose reply ends.
func (st *stage) results() session.Receipt {
	st.t.Helper()
	if _, err := st.Add(st.t.Context(), st.id, session.Write{}, result("b", "Rome: dry")); err != nil {
		st.t.Fatal(err)
	}
	r, run := st.begun(st.Send(st.t.Context(), st.id, session.Write{}, result("a", "Bern: wet"), session.Ask{}))
	if _, err := run.Wait(st.t.Context()); err != nil {
		st.t.Fatal(err)
	}
	return r
}

func TestToolsAreCalledAndTheirResultsAreRead(t *testing.T) {
	st := asked(t)
	talk := st.talk()
	want := []session.ToolCall{
		{ID: "a", Type: "function", Function: session.ToolFunction{Name: "weather", Arguments: `{"at":"Bern"}`}},
		{ID: "b", Type: "function", Function: session.ToolFunction{Name: "weather", Arguments: `{"at":"Rome"}`}},
	}
	if m := talk[1]; m.Text != "I look." || !reflect.DeepEqual(m.ToolCalls, want) || m.State != session.Complete {
		t.Errorf("got %+v", m)
	}
	if c := st.asked[0]; len(c.Tools) != 1 || c.Tools[0].Name != "weather" {
		t.Errorf("the model may call %+v", c.Tools)
	}
	// The first of two results begins no reply.
	r, err := st.Send(t.Context(), st.id, session.Write{}, result("b", "Rome: dry"), session.Ask{})
	if err != nil || r.Run != "" || !reflect.DeepEqual(r.Waiting, []string{"a"}) {
		t.Errorf("got %+v, %v", r, err)
	}
	_, run := st.begun(st.Send(t.Context(), st.id, session.Write{}, result("a", "Bern: wet"), session.Ask{}))
	run.Wait(t.Context())
	talk = st.talk()
	if got := said(talk[2:]); got != "tool weather: Rome: dry\ntool weather: Bern: wet\nassistant : It rains.\n" || talk[2].ToolCallID != "b" {
		t.Errorf("the talk is\n%s", got)
	}
	last := st.asked[len(st.asked)-1].Messages
	if len(last) != 5 || last[2].Text() != "I look." || len(last[2].ToolCalls) != 2 || last[3].ToolCallID != "b" || last[4].ToolCallID != "a" {
		t.Errorf("the model read %+v", last)
	}
	// What was called is found, too.
	if hits, err := st.Search(t.Context(), "bern weather", 9); err != nil || len(hits) != 1 || hits[0].Message != 2 {
		t.Errorf("found %+v, %v", hits, err)
	}
}

func TestResultsOfNoCallAreRefused(t *testing.T) {
	st := asked(t)
	ctx := t.Context()
	refused := func(id string, code llm.Code, says string) {
		t.Helper()
		_, err := st.Send(ctx, st.id, session.Write{}, result(id, "x"), session.Ask{})
		if e := llm.AsError(err); err == nil || e.Code != code || e.Field != "tool_call_id" || !strings.Contains(e.Message, says) {
			t.Errorf("%q: %v", id, err)
		}
	}
	refused("z", llm.Invalid, "its calls are a, b")
	for _, begin := range []func() (session.Receipt, error){
		func() (session.Receipt, error) { return st.Answer(ctx, st.id, session.Write{}, session.Ask{}) },
		func() (session.Receipt, error) { return st.Continue(ctx, st.id, session.Write{}, 0, session.Ask{}) },
		func() (session.Receipt, error) {
			all := result("a", "x")
			all.All = true
			return st.Send(ctx, st.id, session.Write{}, all, session.Ask{})
		},
	} {
		if r, err := begin(); llm.AsError(err).Code != llm.Invalid {
			t.Errorf("a reply behind open calls: %+v, %v", r, err)
		}
	}
	if _, err := st.Add(ctx, st.id, session.Write{}, result("a", "wet")); err != nil {
		t.Fatal(err)
	}
	refused("a", llm.Conflict, "in message 3")
	if _, err := st.DeleteMessage(ctx, st.id, session.Write{}, 2, false); err != nil {
		t.Fatal(err)
	}
	refused("b", llm.NotFound, "message 2, which is deleted")
	// Somebody has spoken since.
	if _, err := st.Add(ctx, st.id, session.Write{}, session.Send{Text: "Never mind."}); err != nil {
		t.Fatal(err)
	}
	refused("b", llm.Invalid, "no call of a tool waits")
	if n := len(st.talk()); n != 3 {
		t.Errorf("the talk has %d messages", n)
	}
	// Nothing of what stands alone reaches the model, and the reply says so.
	st.talks("And you?")
	for _, m := range st.asked[len(st.asked)-1].Messages {
		if m.Role == chat.Tool || len(m.ToolCalls) > 0 {
			t.Errorf("the model read %+v", m)
		}
	}
	talk := st.talk()
	if report := talk[len(talk)-1].Reply.Report; !slices.ContainsFunc(report, func(n llm.Note) bool { return n.Code == "tool_results_left_out" }) {
		t.Errorf("the report is %+v", report)
	}
}

func TestCallsLiveThroughEverythingThatHappensToMessages(t *testing.T) {
	st := asked(t)
	ctx := t.Context()
	st.results()
	// Another reply in the place of the call, and back.
	_, run := st.begun(st.Regenerate(ctx, st.id, session.Write{}, 2, session.Ask{}))
	run.Wait(ctx)
	if talk := st.talk(); len(talk) != 2 || talk[1].ID != 6 || len(talk[1].ToolCalls) != 2 {
		t.Errorf("regenerated: %+v", talk)
	}
	if _, err := st.Swipe(ctx, st.id, session.Write{}, 6, true, session.Ask{}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Edit(ctx, st.id, session.Write{}, 2, "Let me see.", false); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Edit(ctx, st.id, session.Write{}, 3, "Rome: foggy", false); err != nil {
		t.Fatal(err)
	}
	x, err := st.Fork(ctx, st.id, 4)
	if err != nil {
		t.Fatal(err)
	}
	_, run = st.begun(st.Regenerate(ctx, x.ID, session.Write{}, 0, session.Ask{}))
	run.Wait(ctx)
	last := st.asked[len(st.asked)-1].Messages
	if len(last) != 5 || last[2].Text() != "Let me see." || len(last[2].ToolCalls) != 2 || last[3].Text() != "Rome: foggy" || last[3].ToolCallID != "b" {
		t.Errorf("the fork's model read %+v", last)
	}
	// Inspected, the prompt is that of then.
	i, err := st.Inspect(ctx, session.Place{Session: x.ID, Message: 5, Version: -1})
	if err != nil || i.Digest != i.Then || i.Digest == "" {
		t.Errorf("inspected: %+v, %v", i, err)
	}
}

func TestToolsOfARequestTakeThePlaceOfTheSessions(t *testing.T) {
	st := asked(t)
	ctx := t.Context()
	own := &session.Tools{List: json.RawMessage(`[{"type":"function","function":{"name":"clock"}}]`), Choice: json.RawMessage(`{"type":"function","function":{"name":"clock"}}`)}
	r, run := st.begun(st.Send(ctx, st.id, session.Write{}, session.Send{Text: "When?"}, session.Ask{Tools: own}))
	run.Wait(ctx)
	c := st.asked[len(st.asked)-1]
	if len(c.Tools) != 1 || c.Tools[0].Name != "clock" || c.Choice.Mode != chat.ToolNamed {
		t.Errorf("the model may call %+v, %+v", c.Tools, c.Choice)
	}
	if _, err := st.Inspect(ctx, session.Place{Session: st.id, Message: r.Reply, Version: -1}); err != nil {
		t.Error(err)
	}
	none := &session.Tools{Choice: json.RawMessage(`"none"`)}
	_, run = st.begun(st.Regenerate(ctx, st.id, session.Write{}, 0, session.Ask{Tools: none}))
	run.Wait(ctx)
	if c := st.asked[len(st.asked)-1]; len(c.Tools) != 1 || c.Tools[0].Name != "weather" || c.Choice.Mode != chat.ToolNone {
		t.Errorf("the model may call %+v, %+v", c.Tools, c.Choice)
	}
	missing := &session.Tools{Choice: json.RawMessage(`{"type":"function","function":{"name":"clock"}}`)}
	if _, err := st.Regenerate(ctx, st.id, session.Write{}, 0, session.Ask{Tools: missing}); llm.AsError(err).Code != llm.Invalid {
		t.Errorf("a tool that is not there: %v", err)
	}
	// In a script nothing is called.
	if err := st.set(func(v *session.Settings) { v.Style = "chat" }); err != nil {
		t.Fatal(err)
	}
	st.talks("Hm.")
	if c := st.asked[len(st.asked)-1]; len(c.Tools) != 0 || strings.Contains(show(c), "weather") {
		t.Errorf("in a script: %+v", c)
	}
}

func TestCallsComeAndGoInFiles(t *testing.T) {
	st := asked(t)
	st.results()
	want := said(st.talk())
	for _, f := range []session.Format{session.FormatParley, session.FormatMessages, session.FormatLlama, session.FormatMarkdown} {
		data, err := st.Export(t.Context(), st.id, f)
		if err != nil {
			t.Fatal(err)
		}
		_, talk := imported(t, st, string(data))
		got := said(talk)
		if f == session.FormatLlama {
			got = strings.ReplaceAll(got, "tool :", "tool weather:")
		}
		if f == session.FormatMarkdown {
			got = strings.ReplaceAll(got, "assistant Assistant:", "assistant :")
		}
		if got != want || len(talk) != 5 || !reflect.DeepEqual(talk[1].ToolCalls, st.talk()[1].ToolCalls) || talk[2].ToolCallID != "b" || talk[3].ToolCallID != "a" {
			t.Errorf("%s: %+v\n%s\n%s", f, talk, got, data)
		}
	}
	for _, f := range []session.Format{session.FormatSillyTavern, session.FormatTextgen} {
		data, err := st.Export(t.Context(), st.id, f)
		if _, talk := imported(t, st, string(data)); err != nil || len(talk) != 3 || talk[2].Text != "It rains." || talk[2].Role != chat.Assistant {
			t.Errorf("%s: %+v, %v", f, talk, err)
		}
	}
	for _, bad := range []string{
		`{"messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"a","content":"x"}]}`,
		`{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}]}`,
		`{"messages":[{"role":"user","content":"x","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}]}`,
		"## Tom <!-- user -->\n\nHi\n\n## f <!-- tool a -->\n\nx\n",
		"## Tom <!-- user -->\n\nHi\n\n## f <!-- call a -->\n\n{}\n",
	} {
		if _, _, err := st.Import(t.Context(), []byte(bad)); err == nil {
			t.Errorf("read: %s", bad)
		}
	}
	// A text that looks like a turn of a tool is none.
	if _, err := st.Add(t.Context(), st.id, session.Write{}, session.Send{Text: "Look:\n## weather <!-- tool a -->\n\nSun"}); err != nil {
		t.Fatal(err)
	}
	data, _ := st.Export(t.Context(), st.id, session.FormatMarkdown)
	if _, talk := imported(t, st, string(data)); len(talk) != 6 || talk[5].Text != "Look:\n## weather <!-- tool a -->\n\nSun" {
		t.Errorf("a forged turn: %+v", talk)
	}
}

// A talk in a session is laid out as the same messages from a client are.
func TestATalkWithToolsIsLaidOutAsAPlainOneIs(t *testing.T) {
	const template = `{% if tools %}{{ tools | tojson }}
{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.content %}{{ m.content }}{% endif %}{% for c in m.tool_calls %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`
	format, err := chatformat.NewTemplate("test", template, chatformat.SpecialTokens{})
	if err != nil {
		t.Fatal(err)
	}
	script := llm.Script("I look.\n<tool_call>\n", `{"name": "weather", "arguments": {"at": "Bern"}}`, "\n</tool_call>")
	var prompts []string
	script.Seen = func(p llm.Prompt, _ llm.Params) { prompts = append(prompts, p.String()) }
	responder := chatformat.NewResponder(script, format, chatformat.Options{})
	st := on(t, &model{responder: responder}, session.New{Settings: session.Settings{System: "Be brief.", Tools: session.Tools{List: json.RawMessage(weather)}}})
	st.talks("Does it rain?")
	call := st.talk()[1].ToolCalls
	if len(call) != 1 {
		t.Fatalf("got %+v", st.talk()[1])
	}
	_, run := st.begun(st.Send(t.Context(), st.id, session.Write{}, result(call[0].ID, "Bern: wet"), session.Ask{}))
	run.Wait(t.Context())
	plain := chat.Conversation{
		Messages: []chat.Message{chat.Say(chat.System, "Be brief."), chat.Say(chat.User, "Does it rain?"),
			{Role: chat.Assistant, Parts: []chat.Part{{Text: "I look."}}, ToolCalls: []chat.ToolCall{{ID: call[0].ID, Name: "weather", Arguments: call[0].Function.Arguments}}},
			{Role: chat.Tool, Parts: []chat.Part{{Text: "Bern: wet"}}, ToolCallID: call[0].ID}},
		Tools: []chat.ToolSpec{{Name: "weather", Parameters: json.RawMessage(`{"type":"object"}`), Raw: json.RawMessage(weather[1 : len(weather)-1])}},
	}
	for range responder.Respond(t.Context(), plain, llm.Params{}) {
	}
	if len(prompts) != 3 || prompts[1] != prompts[2] || !strings.Contains(prompts[1], `"name": "weather"`) || !strings.Contains(prompts[1], "Bern: wet") {
		t.Errorf("the prompts are\n%s", strings.Join(prompts, "\n--\n"))
	}
}

// Who of a company calls a tool goes on when its result is there, and nobody
// speaks in between.
func TestInCompanyWhoCallsGoesOn(t *testing.T) {
	st := company(t, &model{responder: two}, session.Settings{Tools: session.Tools{List: json.RawMessage(weather)}})
	_, said := st.round("Ada and Bob, does it rain?", session.Ask{Round: true, Speaker: "bob"})
	if len(said) != 1 || said[0].Message.Author.Name != "Bob" || said[0].Next != "" || len(said[0].Message.ToolCalls) != 2 {
		t.Fatalf("got %+v", said)
	}
	r := st.results()
	if m := st.talk()[len(st.talk())-1]; m.ID != r.Reply || m.Author.Name != "Bob" || m.Text != "It rains." {
		t.Errorf("it goes on with %+v", m)
	}
	_, said = st.round("Ada and Bob, and now?", session.Ask{Round: true})
	if len(said) != 1 || said[0].Message.Author.Name != "Ada" {
		t.Errorf("a round goes on behind a call: %+v", said)
	}
}
