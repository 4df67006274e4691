package session_test

import (
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

// keep puts a persona or a preset on its shelf.
func (st *stage) keep(shelf session.Shelf, id, data string) {
	st.t.Helper()
	if _, err := st.SaveDocument(st.t.Context(), shelf, id, 0, id+".json", []byte(data)); err != nil {
		st.t.Fatal(err)
	}
}

// newest is the newest message of the talk.
func (st *stage) newest() session.Message {
	st.t.Helper()
	_, talk, err := st.Read(st.t.Context(), st.id)
	if err != nil {
		st.t.Fatal(err)
	}
	return talk[len(talk)-1]
}

func TestASessionWithAPersonaTellsWhoTheUserIs(t *testing.T) {
	st := &stage{model: &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, t: t, store: session.NewMemory()}
	st.open()
	st.keep(session.Personas, "tom", `{"name":"Tom","description":"{{user}} is a miller."}`)
	st.keep(session.Characters, "ada", `{"name":"Ada","description":"A clockmaker.","personality":"","scenario":"","first_mes":"Hello, {{user}}!","mes_example":""}`)
	x, _, err := st.Create(t.Context(), session.New{Settings: session.Settings{Character: "ada", PersonaID: "tom"}})
	if err != nil {
		t.Fatal(err)
	}
	st.id = x.ID
	if got := st.newest().Text; got != "Hello, Tom!" {
		t.Errorf("the greeting is %q", got)
	}
	st.talks("Hello.")
	prompt := st.last()
	if !strings.Contains(prompt, "About Tom: Tom is a miller.") {
		t.Errorf("the prompt is\n%s", prompt)
	}
	reply := st.newest()
	if reply.Reply.Persona != (session.Cast{ID: "tom", Revision: 1}) {
		t.Errorf("the persona was %v", reply.Reply.Persona)
	}
	// The prompt of a reply has the persona of then.
	st.keep(session.Personas, "tom", `{"name":"Tim","description":"A smith.","position":"at_depth","depth":1,"role":"user"}`)
	in, err := st.Inspect(t.Context(), session.Place{Session: st.id, Message: reply.ID, Version: -1})
	if err != nil || in.Digest != in.Then {
		t.Errorf("another prompt, or %v", err)
	}
	st.talks("And now?")
	if prompt := st.last(); !strings.HasSuffix(prompt, "user: About Tim: A smith.\nuser: And now?\n") {
		t.Errorf("the prompt is\n%s", prompt)
	}
	// The session's own name and words go before the persona's.
	if err := st.set(func(v *session.Settings) { v.User, v.Persona = "Bob", "A king." }); err != nil {
		t.Fatal(err)
	}
	st.talks("And I?")
	if prompt := st.last(); !strings.Contains(prompt, "About Bob: A king.") || strings.Contains(prompt, "smith") {
		t.Errorf("the prompt is\n%s", prompt)
	}
	if err := st.set(func(v *session.Settings) { v.User = "" }); err != nil {
		t.Fatal(err)
	}
	_, run := st.begun(st.Impersonate(t.Context(), st.id, session.Write{}, session.Ask{}))
	if _, err := run.Wait(t.Context()); err != nil || st.newest().Author.Name != "Tim" {
		t.Errorf("the author is %+v, %v", st.newest().Author, err)
	}
}

func TestAPersonaThatIsGoneEndsNoTalk(t *testing.T) {
	st := on(t, &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, session.New{})
	if err := st.set(func(v *session.Settings) { v.PersonaID = "tom" }); llm.AsError(err).Field != "persona_id" || llm.AsError(err).Code != llm.NotFound {
		t.Errorf("got %v", err)
	}
	st.keep(session.Personas, "tom", `{"name":"Tom","description":"A miller."}`)
	st.keep(session.Presets, "calm", `{"params":{"temperature":0.25}}`)
	if err := st.set(func(v *session.Settings) { v.PersonaID, v.Preset = "tom", "calm" }); err != nil {
		t.Fatal(err)
	}
	for _, shelf := range []session.Shelf{session.Personas, session.Presets} {
		id := map[session.Shelf]string{session.Personas: "tom", session.Presets: "calm"}[shelf]
		if err := st.DeleteDocument(t.Context(), shelf, id, 0); err != nil {
			t.Fatal(err)
		}
	}
	st.talks("Hello.")
	var codes []string
	for _, n := range st.newest().Reply.Report {
		codes = append(codes, n.Code)
	}
	if got := strings.Join(codes, " "); !strings.Contains(got, "no_persona") || !strings.Contains(got, "no_preset") {
		t.Errorf("the report is %v", codes)
	}
	// What it cannot find, it can keep or let go.
	if err := st.set(func(v *session.Settings) { v.Note = "Be kind." }); err != nil {
		t.Error(err)
	}
}

func TestThePersonasLorebookStandsBehindTheSessions(t *testing.T) {
	st := &stage{model: &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, t: t, store: session.NewMemory(), every: []string{"earth"}}
	st.open()
	st.shelve("earth", world("Earth", "It is round.", ""), "sea", world("Sea", "It is deep.", ""), "mill", world("Mill", "It burned.", ""), "x1", world("Flour", "It is white.", ""))
	st.keep(session.Personas, "tom", `{"name":"Tom","lorebook":"flour"}`)
	st.keep(session.Characters, "ada", `{"spec":"chara_card_v2","spec_version":"2.0","data":{"name":"Ada","extensions":{"world":"mill"}}}`)
	for strategy, want := range map[session.Strategy]string{session.CharacterFirst: "Sea Flour Mill", session.GlobalFirst: "Sea Flour Earth"} {
		x, _, err := st.Create(t.Context(), session.New{Settings: session.Settings{Character: "ada", PersonaID: "tom", Lorebooks: []string{"sea"},
			Lore: &session.LoreSettings{Budget: 9, Strategy: strategy}}})
		if err != nil {
			t.Fatal(err)
		}
		st.id = x.ID
		st.talks("Hello.")
		told := map[string]bool{}
		for _, name := range strings.Split(st.told(), ", ") {
			told[name] = true
		}
		for name := range strings.SplitSeq(want, " ") {
			if !told[name] || len(told) != 3 {
				t.Errorf("%q: told of %v, want %s", strategy, told, want)
			}
		}
	}
	var to []session.To
	for _, a := range st.newest().Reply.Lorebooks {
		to = append(to, a.To)
	}
	if len(to) != 4 || to[1] != session.ToPersona {
		t.Errorf("attached are %v", to)
	}
}

func TestAPresetSaysWhatIsLeftOpen(t *testing.T) {
	st := on(t, &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, session.New{})
	st.keep(session.Presets, "calm", `{"name":"Calm","params":{"temperature":0.25,"max_tokens":9},"texts":{"main":"Be calm.","post_history":"Be short."},"order":["history","post_history","main"]}`)
	st.keep(session.Presets, "wild", `{"params":{"temperature":1.5},"texts":{"main":"Be wild."}}`)
	if err := st.set(func(v *session.Settings) { v.Preset, v.Params = "calm", []byte(`{"temperature":0.5}`) }); err != nil {
		t.Fatal(err)
	}
	st.talks("Hello.")
	if got := st.last(); got != "user: Hello.\nsystem: Be short.\n\nBe calm.\n" {
		t.Errorf("the prompt is %q", got)
	}
	if p := st.with[len(st.with)-1]; *p.Temperature != 0.5 || *p.MaxTokens != 9 {
		t.Errorf("the temperature is %v, and %v tokens", *p.Temperature, *p.MaxTokens)
	}
	first := st.newest()
	if first.Reply.Preset != (session.Used{ID: "calm", Revision: 1}) {
		t.Errorf("the preset was %v", first.Reply.Preset)
	}
	// The preset that a request names takes its place, and goes before the session's settings.
	if err := st.set(func(v *session.Settings) { v.System = "Be polite." }); err != nil {
		t.Fatal(err)
	}
	send := func(a session.Ask) {
		t.Helper()
		_, run := st.begun(st.Send(t.Context(), st.id, session.Write{}, session.Send{Text: "More."}, a))
		if _, err := run.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	send(session.Ask{Preset: "wild"})
	p := st.with[len(st.with)-1]
	if got := st.last(); !strings.HasPrefix(got, "system: Be wild.\n") || *p.Temperature != 1.5 || p.MaxTokens != nil {
		t.Errorf("the prompt is %q, with %+v", got, p)
	}
	send(session.Ask{Preset: "wild", Params: llm.Params{Temperature: new(0.1)}})
	if p := st.with[len(st.with)-1]; *p.Temperature != 0.1 {
		t.Errorf("the temperature is %v", *p.Temperature)
	}
	_, err := st.Send(t.Context(), st.id, session.Write{}, session.Send{Text: "More."}, session.Ask{Preset: "none"})
	if llm.AsError(err).Code != llm.NotFound {
		t.Errorf("got %v", err)
	}
	st.keep(session.Presets, "calm", `{}`)
	in, err := st.Inspect(t.Context(), session.Place{Session: st.id, Message: first.ID, Version: -1})
	if err != nil || in.Digest != in.Then {
		t.Errorf("another prompt, or %v", err)
	}
}

func TestPersonasAndPresetsAreCheckedWhenTheyAreSaved(t *testing.T) {
	st := on(t, &model{}, session.New{})
	for _, c := range []struct {
		shelf       session.Shelf
		data, field string
	}{
		{session.Personas, `{}`, "name"}, {session.Personas, `{"name":"A","postion":"x"}`, "postion"}, {session.Personas, `{"name":"A","position":"x"}`, "position"},
		{session.Personas, `{"name":"A","depth":2}`, "depth"}, {session.Personas, `{"name":"A","position":"at_depth","role":"x"}`, "role"}, {session.Personas, `[]`, ""},
		{session.Personas, `{"name":7}`, "name"}, {session.Presets, `{"order":["main"]}`, "order"}, {session.Presets, `{"params":{"temperature":"hot"}}`, "params.temperature"},
		{session.Presets, `{"texts":{"lore":"x"}}`, "texts.lore"}, {session.Presets, `{"style":"x"}`, "style"}, {session.Presets, `{`, ""},
	} {
		_, err := st.SaveDocument(t.Context(), c.shelf, "x", 0, "x.json", []byte(c.data))
		if err == nil || llm.AsError(err).Field != c.field {
			t.Errorf("%s: %v", c.data, err)
		}
	}
}
