package session_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"parley/chat"
	"parley/internal/scene"
	"parley/internal/session"
	"parley/llm"
)

// cardOf is a character's file.
func cardOf(name, more string) string {
	return `{"spec":"chara_card_v3","spec_version":"3.0","data":{"name":"` + name + `","description":"{{char}} is here.",` + more + `"extensions":{}}}`
}

// company begins a session with Ada, Bob and Cyd, who all speak only when they
// are named.
func company(t *testing.T, m *model, v session.Settings) *stage {
	t.Helper()
	st := &stage{model: m, t: t, store: session.NewMemory()}
	st.open()
	for _, c := range []string{
		cardOf("Ada", `"first_mes":"Hello, {{user}}.","alternate_greetings":["Ho."],"system_prompt":"Be Ada.","post_history_instructions":"Rhyme, Ada.",`),
		cardOf("Bob", `"group_only_greetings":["All here?"],"first_mes":"Alone?","character_book":{"entries":[{"keys":["bread"],"content":"Bread is dear.","enabled":true,"insertion_order":1,"extensions":{}}]},`),
		cardOf("Cyd", ""),
	} {
		c = strings.Replace(c, `"extensions":{}}}`, `"extensions":{"talkativeness":0}}}`, 1)
		name := c[strings.Index(c, `"name":"`)+8:][:3]
		if _, err := st.SaveDocument(t.Context(), session.Characters, strings.ToLower(name), 0, name+".json", []byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	if v.Characters == nil {
		v.Characters = []session.Member{{ID: "ada"}, {ID: "bob"}, {ID: "cyd"}}
	}
	x, _, err := st.Create(t.Context(), session.New{Settings: v})
	if err != nil {
		t.Fatal(err)
	}
	st.id = x.ID
	return st
}

// round sends a text and waits until nobody speaks any more.
func (st *stage) round(text string, a session.Ask) (receipt session.Receipt, outcomes []session.Outcome) {
	st.t.Helper()
	receipt, err := st.Send(st.t.Context(), st.id, session.Write{}, session.Send{Text: text}, a)
	if err != nil {
		st.t.Fatal(err)
	}
	if receipt.Run == "" {
		return receipt, nil
	}
	run, err := st.Run(st.t.Context(), receipt.Run)
	if err != nil {
		st.t.Fatal(err)
	}
	for ; run != nil; run = st.Following(st.t.Context(), run) {
		out, _ := run.Wait(st.t.Context())
		outcomes = append(outcomes, out)
	}
	return receipt, outcomes
}

// script is who said what, and behind which message.
func (st *stage) script() string {
	var all []string
	for _, m := range st.talk() {
		all = append(all, fmt.Sprintf("%d<%d %s: %s", m.ID, m.Parent, m.Author.Name, m.Text))
	}
	return strings.Join(all, "\n")
}

func TestACompanyTalks(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}
	st := company(t, m, session.Settings{User: "Tom"})
	_, out := st.round("Bob, and you, Ada?", session.Ask{Round: true})
	if got, want := st.script(), `1<0 Ada: Hello, Tom.
3<1 Bob: All here?
5<3 : Bob, and you, Ada?
6<5 Bob: Yes.
7<6 Ada: Yes.`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(out) != 2 || out[0].Next == "" || out[1].Next != "" || out[0].Message.Author.ID != "bob" {
		t.Errorf("the round is %+v", out)
	}
	if got, want := m.last(), `system: You play Ada, Bob, Cyd, who talk with Tom and with each other. Each message is by one of them, who stays in character.

Ada: Ada is here.

Bob: Bob is here.

Cyd: Cyd is here.
assistant Ada: Hello, Tom.
assistant Bob: All here?
user Tom: Bob, and you, Ada?
assistant Bob: Yes.
system: Rhyme, Ada.

Write the next message of Ada, and nobody else's.
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := strings.Join(m.with[1].Stop, ""); got != "\nBob:\nCyd:\nTom:" {
		t.Errorf("it stops at %q", got)
	}
	r := out[1].Message.Reply
	if r.Character != (session.Cast{ID: "ada", Revision: 1}) || len(r.Company) != 3 || r.Company[2].ID != "cyd" {
		t.Errorf("the reply knows %+v of %+v", r.Character, r.Company)
	}
	i, err := st.Inspect(t.Context(), session.Place{Session: st.id, Message: 7, Version: -1})
	if err != nil || i.Digest != i.Then || i.Scene.Speaker != "Ada" || len(i.Scene.Company) != 3 || !i.Scene.Company[1].Shown {
		t.Errorf("made again it is %+v, %v", i, err)
	}
	if got := st.talk()[0]; len(got.Alternatives) != 2 {
		t.Errorf("the first greeting is %+v", got)
	}
}

func TestASpeakerStaysWhenAReplyIsMadeAnewAndGoesOn(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}
	st := company(t, m, session.Settings{User: "Tom"})
	st.round("Bob?", session.Ask{})
	wait := func(r session.Receipt, err error) session.Outcome {
		t.Helper()
		_, run := st.begun(r, err)
		out, err := run.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ctx, w := t.Context(), session.Write{}
	for name, out := range map[string]session.Outcome{
		"anew":    wait(st.Regenerate(ctx, st.id, w, 0, session.Ask{})),
		"goes on": wait(st.Continue(ctx, st.id, w, 0, session.Ask{})),
	} {
		if out.Message.Author.Name != "Bob" || out.Message.Reply.Character.ID != "bob" {
			t.Errorf("%s: %+v", name, out.Message)
		}
	}
	if out := wait(st.Regenerate(ctx, st.id, w, 0, session.Ask{Speaker: "CYD"})); out.Message.Author.ID != "cyd" || len(out.Message.Alternatives) != 3 {
		t.Errorf("in the place of Bob's: %+v", out.Message)
	}
	if out := wait(st.Answer(ctx, st.id, w, session.Ask{Speaker: "ada"})); out.Message.Author.Name != "Ada" {
		t.Errorf("behind it: %+v", out.Message)
	}
	if out := wait(st.Impersonate(ctx, st.id, w, session.Ask{})); out.Message.Role != chat.User || out.Message.Author.Name != "Tom" || !strings.Contains(m.last(), "Rhyme, Ada.") || !strings.Contains(m.last(), "message of Tom") {
		t.Errorf("the user's: %+v after\n%s", out.Message, m.last())
	}
	for _, a := range []session.Ask{{Speaker: "eve"}, {Speaker: strings.Repeat("x", 1<<20)}, {Replies: -1}, {Replies: 1 << 20}} {
		if _, err := st.Answer(ctx, st.id, w, a); llm.AsError(err).Code != llm.Invalid {
			t.Errorf("%.40v: %v", a, err)
		}
	}
	if _, err := st.Continue(ctx, st.id, w, 3, session.Ask{Speaker: "ada"}); llm.AsError(err).Field != "speaker" {
		t.Errorf("got %v", err)
	}
}

func TestWhoIsInACompanyChanges(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}
	st := company(t, m, session.Settings{User: "Tom", Characters: []session.Member{{ID: "ada"}, {ID: "bob", Muted: true}}})
	ctx := t.Context()
	_, first := st.round("Bob?", session.Ask{Round: true})
	if first[0].Message.Author.Name != "Ada" || strings.Contains(m.last(), "Bob is here") || !strings.Contains(strings.Join(m.with[0].Stop, ""), "Bob:") {
		t.Errorf("who is muted is not heard of: %+v\n%s", first, m.last())
	}
	was := m.last()
	if _, out := st.round("Say.", session.Ask{Speaker: "bob"}); out[0].Message.Author.Name != "Bob" || !strings.Contains(m.last(), "Bob is here") {
		t.Errorf("who is asked by name speaks: %+v", out)
	}
	x, _, _ := st.Read(ctx, st.id)
	set := func(change func(*session.Settings)) {
		t.Helper()
		v := x.Now()
		change(&v)
		if _, err := st.Update(ctx, st.id, session.Write{}, session.Patch{Settings: &v}); err != nil {
			t.Fatal(err)
		}
	}
	set(func(v *session.Settings) { v.Characters = []session.Member{{ID: "cyd"}, {ID: "bob"}} })
	if _, out := st.round("Ada?", session.Ask{}); out[0].Message.Author.Name == "Ada" || !strings.Contains(m.last(), "Bob is here") || strings.Contains(m.last(), "Ada is here") {
		t.Errorf("who has left is gone: %+v\n%s", out, m.last())
	}
	if i, err := st.Inspect(ctx, session.Place{Session: st.id, Message: first[0].Message.ID, Version: -1}); err != nil || i.Rendered.Prompt.String() != was {
		t.Errorf("the prompt of before is %+v, %v", i, err)
	}
	for name, v := range map[string]session.Settings{
		"twice":         {Characters: []session.Member{{ID: "ada"}, {ID: "ada"}}},
		"no id":         {Characters: []session.Member{{}}},
		"unknown":       {Characters: []session.Member{{ID: "eve"}}},
		"and one alone": {Character: "ada", Characters: []session.Member{{ID: "bob"}}},
		"turn":          {Turn: "x"},
		"cards":         {Cards: "x"},
		"too many":      {Characters: make([]session.Member, 1000)},
	} {
		if _, err := st.Update(ctx, st.id, session.Write{}, session.Patch{Settings: &v}); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	if _, err := st.SaveDocument(ctx, session.Characters, "adas", 0, "x.yaml", []byte("name: ADA\n")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := st.Create(ctx, session.New{Settings: session.Settings{Characters: []session.Member{{ID: "ada"}, {ID: "adas"}}}}); err == nil || !strings.Contains(err.Error(), "called ADA") {
		t.Errorf("two of one name: %v", err)
	}
}

func TestTheCardsOfACompanyAreSwapped(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}
	st := company(t, m, session.Settings{User: "Tom", Cards: session.CardsSwap})
	st.round("Ada?", session.Ask{})
	if got := m.last(); !strings.HasPrefix(got, "system: Be Ada.\n\nAda is here.\nassistant Ada") || strings.Contains(got, "Bob is") {
		t.Errorf("got\n%s", got)
	}
	st.round("Bread, Bob?", session.Ask{})
	if got := m.last(); !strings.HasPrefix(got, "system: You are Bob. Answer Tom as Bob would, and stay in character.\n\nBob is here.\n\nBread is dear.\n") || strings.Contains(got, "Ada is") {
		t.Errorf("got\n%s", got)
	}
	if got := strings.Join(m.with[1].Stop, ""); got != "\nAda:\nCyd:\nTom:" {
		t.Errorf("it stops at %q", got)
	}
}

func TestRepliesBehindEachOtherAreCounted(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}
	st := company(t, m, session.Settings{Turn: scene.TurnRoundRobin})
	_, out := st.round("Go on.", session.Ask{Replies: 5})
	var who []string
	for _, o := range out {
		who = append(who, o.Message.Author.ID)
	}
	if got := strings.Join(who, " "); got != "cyd ada bob cyd ada" { // Bob's greeting is the last
		t.Errorf("there spoke %s", got)
	}
	st = company(t, m, session.Settings{Turn: scene.TurnManual})
	if r, _ := st.round("Anyone?", session.Ask{}); r.Message == 0 || r.Run != "" || len(st.talk()) != 3 {
		t.Errorf("nobody was told to speak, and there is %+v\n%s", r, st.script())
	}
	if _, err := st.Answer(t.Context(), st.id, session.Write{}, session.Ask{}); err != session.ErrNobody {
		t.Errorf("got %v", err)
	}
}

// A round ends with a reply that is stopped, and is the session's until then.
func TestARoundCanBeStopped(t *testing.T) {
	gate := make(chan struct{})
	script := chat.Script(chat.TextDelta{Text: "Yes."}, chat.TextDelta{Text: " No."})
	script.Gate = gate
	m := &model{responder: script}
	st := company(t, m, session.Settings{Turn: scene.TurnList})
	r, run := st.begun(st.Send(t.Context(), st.id, session.Write{}, session.Send{Text: "All?"}, session.Ask{Round: true}))
	for range 4 { // all of the first reply, with its beginning and its end
		gate <- struct{}{}
	}
	second := st.Following(t.Context(), run)
	if second == nil {
		t.Fatal("nobody follows")
	}
	if _, err := st.Add(t.Context(), st.id, session.Write{}, session.Send{Text: "x"}); llm.AsError(err).Code != llm.Conflict {
		t.Errorf("between two of a round: %v", err)
	}
	for range 2 {
		gate <- struct{}{}
	}
	for e, err := range second.Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == session.EventText {
			break
		}
	}
	st.Stop(st.id)
	if out, _ := second.Wait(t.Context()); out.Message.State != session.Stopped || out.Next != "" || out.Message.Text != "Yes." || out.Message.Parent != r.Reply {
		t.Errorf("got %+v", out)
	}
	if st.Active(st.id) != nil {
		t.Error("the round goes on")
	}
}

func TestATalkOfACompanyIsSillyTavernsGroupChat(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}
	st := company(t, m, session.Settings{User: "Tom"})
	st.round("Bob, and Ada?", session.Ask{Round: true})
	data, err := st.Export(t.Context(), st.id, session.FormatSillyTavern)
	if err != nil || strings.Count(string(data), `"original_avatar":"Bob.png"`) != 2 {
		t.Fatalf("%v\n%s", err, data)
	}
	data = append(data, `{"name":"Eve","is_user":false,"mes":"I am not here.","original_avatar":"Eve.png"}`...)
	x, _, err := st.Import(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	st.id = x.ID
	if got, want := fmt.Sprint(x.Now().Characters), "[{ada false} {bob false}]"; got != want || x.Now().User != "Tom" {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := st.script(); !strings.Contains(got, "Bob: Yes.") || !strings.HasSuffix(got, "Eve: I am not here.") {
		t.Errorf("got\n%s", got)
	}
	if _, out := st.round("Ada?", session.Ask{}); out[0].Message.Author.ID != "ada" {
		t.Errorf("got %+v", out)
	}
}

// A server that is ending lets the reply end that is being generated, and
// begins no other.
func TestARoundEndsWithItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		script := chat.Script(chat.TextDelta{Text: "Yes."})
		script.Gate = gate
		st := company(t, &model{responder: script}, session.Settings{Turn: scene.TurnList})
		r, run := st.begun(st.Send(t.Context(), st.id, session.Write{}, session.Send{Text: "All?"}, session.Ask{Round: true}))
		go st.Close(t.Context())
		synctest.Wait() // it takes no new ones
		close(gate)
		out, err := run.Wait(t.Context())
		x, talk, _ := st.Read(t.Context(), st.id)
		if err != nil || out.Next != "" || x.Head != r.Reply || x.Messages != r.Reply || talk[len(talk)-1].State != session.Complete {
			t.Errorf("got %+v, %v, %+v", out, err, x)
		}
	})
}
