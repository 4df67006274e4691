package session_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

// lines is a chat as SillyTavern writes it.
const lines = `{"user_name":"unused","character_name":"Ada","chat_metadata":{"note_prompt":""}}
{"name":"Ada","is_user":false,"is_system":false,"send_date":"2026-01-02T03:04:05.000Z","mes":"Ho, Tom.","extra":{},"swipe_id":1,"swipes":["Hi, Tom.","Ho, Tom."]}
{"name":"Tom","is_user":true,"is_system":false,"send_date":"January 2, 2026 3:04pm","mes":"Who are you?","extra":{}}
{"name":"Ada","is_user":false,"is_system":true,"send_date":1767323045000,"mes":"hidden","extra":{}}
{"name":"System","is_user":false,"is_system":true,"send_date":"whenever","mes":"It rains.","extra":{"type":"narrator"}}
{"name":"Ada","is_user":false,"is_system":false,"mes":"I am Ada.","extra":{"reasoning":"hm","model":"x"}}
`

func said(talk []session.Message) string {
	var b strings.Builder
	for _, m := range talk {
		b.WriteString(string(m.Role) + " " + m.Author.Name + ": " + m.Text + "\n")
	}
	return b.String()
}

func imported(t *testing.T, st *stage, data string) (session.Session, []session.Message) {
	t.Helper()
	x, _, err := st.Import(t.Context(), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	x, talk, err := st.Read(t.Context(), x.ID)
	if err != nil {
		t.Fatal(err)
	}
	return x, talk
}

func TestAChatOfSillyTavernComesAndGoes(t *testing.T) {
	st := on(t, &model{}, session.New{})
	x, talk := imported(t, st, lines)
	const want = "assistant Ada: Ho, Tom.\nuser Tom: Who are you?\nsystem : It rains.\nassistant Ada: I am Ada.\n"
	if got := said(talk); got != want || x.Title != "Ada" || x.Now().User != "Tom" {
		t.Errorf("got %+v\n%s", x, got)
	}
	if !reflect.DeepEqual(talk[0].Alternatives, []int{1, 2}) || talk[3].Reasoning != "hm" ||
		!talk[0].Version.Created.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) || !talk[1].Version.Created.Equal(time.Date(2026, 1, 2, 15, 4, 0, 0, time.UTC)) {
		t.Errorf("got %+v", talk)
	}
	if _, err := st.RestoreMessage(t.Context(), x.ID, session.Write{}, 4); err != nil {
		t.Error(err)
	}
	if _, talk, _ := st.Read(t.Context(), x.ID); len(talk) != 5 || talk[2].Text != "hidden" {
		t.Errorf("what was hidden from the model is %+v", talk)
	}
	data, err := st.Export(t.Context(), x.ID, session.FormatSillyTavern)
	if err != nil {
		t.Fatal(err)
	}
	_, again := imported(t, st, string(data))
	if _, talk, _ := st.Read(t.Context(), x.ID); said(again) != said(talk) || len(again[0].Alternatives) != 2 {
		t.Errorf("it went as\n%s\nand came back as\n%s", data, said(again))
	}
}

func TestDatesOfSillyTavernAreRead(t *testing.T) {
	st := on(t, &model{}, session.New{})
	exact, second := time.Date(2024, 7, 12, 1, 31, 37, 123e6, time.UTC), time.Date(2024, 7, 12, 1, 31, 37, 0, time.UTC)
	for date, want := range map[string]time.Time{
		"2024-07-12@01h31m37s123ms": exact, "2024-7-12 @01h 31m 37s 123ms": exact, "2024-7-12@01h31m37s": second, "2024-07-12T01:31:37Z": second,
		"July 12, 2024 1:31am": second.Truncate(time.Minute), "9999-12-31T23:59:59-23:00": {}, "2024-7-9999999999@01h31m37s": {}, "2024-7--5@01h31m37s": {},
	} {
		_, talk := imported(t, st, `{"user_name":"Tom","character_name":"Ada"}`+"\n"+`{"name":"Tom","is_user":true,"mes":"Hi","send_date":"`+date+`"}`)
		if got := talk[0].Version.Created; !got.Equal(want) && (!want.IsZero() || time.Since(got).Abs() > time.Hour) {
			t.Errorf("%s: %v", date, got)
		}
	}
}

func TestAChatOfSillyTavernFindsItsCharacter(t *testing.T) {
	st := on(t, &model{}, session.New{Settings: session.Settings{Character: ada}})
	x, _ := imported(t, st, lines)
	if d, err := st.Document(t.Context(), session.Characters, x.Now().Character, 0); err != nil || d.Name != "Ada" {
		t.Errorf("got %+v, %v", d, err)
	}
	if x, _ := imported(t, st, strings.ReplaceAll(lines, "Ada", "Eve")); x.Now().Character != "" {
		t.Errorf("somebody else has %+v", x.Now())
	}
}

func TestAHistoryOfTextgenComesAndGoes(t *testing.T) {
	st := on(t, &model{}, session.New{})
	const want = "assistant : Hello <b>.\nuser : Hi\nassistant : How are you?\nuser : Fine.\n"
	x, talk := imported(t, st, `{"internal":[["<|BEGIN-VISIBLE-CHAT|>","Hello <b>."],["Hi","How are you?"],["Fine.",""]],"visible":[["","Hello &lt;b&gt;."]],"metadata":{"a":1}}`)
	if got := said(talk); got != want || x.Title != "Hi" {
		t.Errorf("got %q\n%s", x.Title, got)
	}
	data, err := st.Export(t.Context(), x.ID, session.FormatTextgen)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `["","Hello &lt;b&gt;."]`) {
		t.Errorf("what is shown is %s", data)
	}
	if _, again := imported(t, st, string(data)); said(again) != want {
		t.Errorf("it went as\n%s\nand came back as\n%s", data, said(again))
	}
	if _, old := imported(t, st, `{"data":[["Hi","Ho"]],"data_visible":[["Hi","Ho"]]}`); said(old) != "user : Hi\nassistant : Ho\n" {
		t.Errorf("an old one is %s", said(old))
	}
}

func TestAnArchiveHasEverything(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes.", Tokens: []llm.Token{{ID: 5}}})}
	st := on(t, m, session.New{ExternalID: "x", Tags: []string{"a"}, Settings: session.Settings{System: "Be brief.", User: "Tom"}})
	ctx := t.Context()
	r, run := st.send("Hi")
	run.Wait(ctx)
	was := m.last()
	for _, f := range []func() (session.Receipt, error){
		func() (session.Receipt, error) {
			return st.Edit(ctx, st.id, session.Write{}, r.Message, "Bye", false)
		},
		func() (session.Receipt, error) {
			return st.DeleteMessage(ctx, st.id, session.Write{}, r.Message, false)
		},
	} {
		if _, err := f(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := st.Export(ctx, st.id, session.FormatParley)
	if err != nil {
		t.Fatal(err)
	}
	other := on(t, m, session.New{})
	x, _ := imported(t, other, string(data))
	before, _ := st.Tree(ctx, st.id)
	if reply := before.Nodes[1].Versions[0].Reply; len(reply.Tokens) != 1 {
		t.Errorf("the reply has the tokens %v", reply.Tokens)
	} else {
		reply.Tokens = nil // whose file that is, nobody knows
	}
	after, _ := other.Tree(ctx, x.ID)
	if !reflect.DeepEqual(before.Nodes, after.Nodes) || x.ExternalID != "" || x.Revision != before.Session.Revision || !reflect.DeepEqual(x.Tags, []string{"a"}) {
		t.Errorf("got  %+v\nwant %+v", after.Nodes, before.Nodes)
	}
	if i, err := other.Inspect(ctx, session.Place{Session: x.ID, Message: r.Reply, Version: -1}); err != nil || i.Rendered.Prompt.String() != was {
		t.Errorf("the prompt made again is %+v, %v", i, err)
	}
	other.id = x.ID
	_, run = other.send("And now?")
	if _, err := run.Wait(ctx); err != nil {
		t.Error(err)
	}
	if data, err = st.Export(ctx, st.id, session.FormatMessages); err != nil || !json.Valid(data) || !strings.Contains(string(data), `{"role":"system","content":"Be brief."}`) {
		t.Errorf("got %s, %v", data, err)
	}
}

// page is a conversation as the page of llama.cpp's server writes it: a
// second reply to the first message, and a call of a tool.
const page = `{"harness":"llama.app","type":"session","id":"c","name":"Clocks","lastModified":1767323049000,"currNode":"e","pinned":true}
{"message":{"id":"root","convId":"c","type":"root","timestamp":1767323040000,"role":"system","content":"","parent":null,"children":["s"]},"type":"message"}
{"message":{"id":"s","convId":"c","type":"system","timestamp":1767323041000,"role":"system","content":"Be brief.","parent":"root","children":["a"]},"type":"message"}
{"message":{"id":"a","convId":"c","type":"text","timestamp":1767323049000,"role":"user","content":"Who are you?","parent":"s","children":["b","c"]},"type":"message"}
{"message":{"id":"b","convId":"c","type":"text","timestamp":1767323043000,"role":"assistant","content":"A clock.","parent":"a","children":[]},"type":"message"}
{"message":{"id":"c","convId":"c","type":"text","timestamp":1767323044000,"role":"assistant","content":"","toolCalls":[{"id":"1"}],"parent":"a","children":["d"]},"type":"message"}
{"message":{"id":"d","convId":"c","type":"text","timestamp":1767323045000,"role":"tool","content":"12:00","parent":"c","children":["e"]},"type":"message"}
{"message":{"id":"e","convId":"c","type":"text","timestamp":1767323046000,"role":"assistant","content":"It is noon.","reasoningContent":"hm","model":"m","parent":"d","children":[]},"type":"message"}
{"type":"something new"}
`

func TestAConversationOfLlamaCppsPageComesAndGoes(t *testing.T) {
	st := on(t, &model{}, session.New{})
	const want = "user : Who are you?\nassistant : It is noon.\n"
	check := func(file string) session.Session {
		t.Helper()
		x, talk := imported(t, st, file)
		if got := said(talk); got != want || x.Title != "Clocks" || x.Now().System != "Be brief." || len(talk) != 2 || talk[1].Reasoning != "hm" || len(talk[1].Alternatives) != 2 {
			t.Errorf("%s\nis %+v\n%s", file, x, got)
		}
		return x
	}
	x := check(page)
	if !x.Pinned {
		t.Error("it is not pinned")
	}
	data, err := st.Export(t.Context(), x.ID, session.FormatLlama)
	if err != nil {
		t.Fatal(err)
	}
	check(string(data))
	// The page shows a talk in the order of its times.
	times := map[string]int64{}
	for line := range strings.Lines(string(data)) {
		var m struct {
			Message struct {
				ID, Parent string
				Timestamp  int64
			}
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if times[m.Message.ID] = m.Message.Timestamp; m.Message.Parent != "" && m.Message.Timestamp <= times[m.Message.Parent] {
			t.Errorf("it is not later than its parent: %s", line)
		}
	}
	// Older versions of the page wrote objects, or a list of them.
	const old = `{"conv":{"id":"c","name":"Clocks","lastModified":1,"currNode":"e"},"messages":[
		{"id":"s","type":"text","timestamp":1,"role":"system","content":"Be brief.","parent":null,"children":["a"]},
		{"id":"a","type":"text","timestamp":2,"role":"user","content":"Who are you?","parent":"s","children":["b","e"]},
		{"id":"b","type":"text","timestamp":3,"role":"assistant","content":"A clock.","parent":"a","children":[]},
		{"id":"e","type":"text","timestamp":4,"role":"assistant","content":"It is noon.","thinking":"hm","parent":"a","children":[]}]}`
	check(old)
	check("[" + old + "]")
	for _, bad := range []string{"[" + old + "," + old + "]", page + page, "[]", "[7]", page + `{"message":7,"type":"message"}`,
		`{"conv":{"id":"c"},"messages":[{"id":"a","role":"user","parent":"b"},{"id":"b","role":"user","parent":"a"}]}`,
		`{"conv":{"id":"c"},"messages":[{"id":"a","role":"judge"}]}`} {
		if _, _, err := st.Import(t.Context(), []byte(bad)); llm.AsError(err).Code != llm.Unreadable {
			t.Errorf("%.200s: %v", bad, err)
		}
	}
}

// FuzzImport makes sure that a file of anybody's does no harm, and that what
// it makes can be used.
func FuzzImport(f *testing.F) {
	f.Add([]byte(lines))
	f.Add([]byte(page))
	f.Add([]byte(`[{"conv":{"id":"c","currNode":"b"},"messages":[{"id":"b","role":"user","content":"x","parent":"a","timestamp":1},{"id":"a","role":"assistant","parent":"c","timestamp":2}]}]`))
	f.Add([]byte(`{"internal":[["Hi","Ho"]]}`))
	f.Add([]byte("# T\n\n## A <!-- user -->\n\n\\## B <!-- system -->\n## B <!-- assistant -->\n"))
	f.Add([]byte("**You:** Hi\n\n**ChatGPT:**\nHo\n"))
	f.Add([]byte(`{"session":{"revision":2,"messages":2,"head":2,"settings":[{"since":1}]},"messages":[
		{"id":1,"parent":0,"role":"user","versions":[{"since":1,"text":"a","state":"complete"},{"since":2,"deleted":true,"state":"complete"}]},
		{"id":2,"parent":1,"role":"assistant","versions":[{"since":1,"text":"a","state":"running","reply":{"kind":"answer","base":1}},{"since":2,"text":"ab","state":"complete","reply":{"kind":"continue","base":2,"continued":0}}]}]}`))
	f.Add([]byte(`{"session":{"revision":1,"messages":1,"head":1,"settings":[{"since":1}]},"messages":[{"id":1,"parent":1,"role":"user","versions":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}
		st := &stage{model: m, t: t, store: session.NewMemory()}
		st.open()
		x, _, err := st.Import(t.Context(), data)
		if err != nil {
			if e := llm.AsError(err); e.Code == llm.Broken {
				t.Fatal(err)
			}
			return
		}
		st.id = x.ID
		tree, err := st.Tree(t.Context(), x.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range tree.Nodes {
			tree.Messages(n.ID, x.Revision)
			for v := range n.Versions {
				st.Inspect(t.Context(), session.Place{Session: x.ID, Message: n.ID, Version: v})
			}
		}
		for _, format := range session.Formats {
			if _, err := st.Export(t.Context(), x.ID, format); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := st.Fork(t.Context(), x.ID, 0); err != nil {
			t.Fatal(err)
		}
		r, err := st.Send(t.Context(), x.ID, session.Write{}, session.Send{Text: "Hi"}, session.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		run, err := st.Run(t.Context(), r.Run)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := run.Wait(t.Context()); err != nil && llm.AsError(err).Code == llm.Broken {
			t.Fatalf("%+v %v", out, err)
		}
		st.Close(t.Context())
	})
}

func TestMessagesOfOpenAIsClientsAreRead(t *testing.T) {
	st := on(t, &model{}, session.New{})
	file := `{"model":"x","messages":[{"role":"system","content":"Be brief."},{"role":"user","name":"Tom","content":[{"type":"text","text":"Hello"},{"type":"text","text":"!"}]},{"role":"assistant","content":"Yes?"}]}`
	x, _, err := st.Import(t.Context(), []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	data, err := st.Export(t.Context(), x.ID, session.FormatMessages)
	if want := `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","name":"Tom","content":"Hello!"},{"role":"assistant","content":"Yes?"}]}` + "\n"; err != nil || string(data) != want {
		t.Errorf("got %s, %v", data, err)
	}
	for _, bad := range []string{`{"messages":7}`, `{"messages":[{"role":"tool","content":"x"}]}`, `{"messages":[{"role":"user","content":7}]}`} {
		if _, _, err := st.Import(t.Context(), []byte(bad)); llm.AsError(err).Code != llm.Unreadable {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
