package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/scene"
	"parley/internal/session"
	"parley/llm"
)

// world is a lorebook of one entry that is always told.
func world(name, text, more string) string {
	return fmt.Sprintf(`{"spec":"lorebook_v3","data":{"name":%q,"entries":[{"keys":[],"content":%q,"enabled":true,"constant":true,"insertion_order":1,"use_regex":false,"extensions":{}%s}],"extensions":{}}}`, name, text, more)
}

// shelve puts lorebooks on the shelf, by their ids.
func (st *stage) shelve(books ...string) {
	st.t.Helper()
	for i := 0; i < len(books); i += 2 {
		if _, err := st.SaveDocument(st.t.Context(), session.Lorebooks, books[i], 0, books[i]+".json", []byte(books[i+1])); err != nil {
			st.t.Fatal(err)
		}
	}
}

// told lists the lorebooks of which the newest reply was told something.
func (st *stage) told() string {
	st.t.Helper()
	_, messages, err := st.Read(st.t.Context(), st.id)
	if err != nil {
		st.t.Fatal(err)
	}
	var books []string
	for _, v := range messages[len(messages)-1].Reply.Lore {
		books = append(books, v.Book)
	}
	return strings.Join(books, ", ")
}

func (st *stage) talks(text string) {
	st.t.Helper()
	_, run := st.send(text)
	if _, err := run.Wait(st.t.Context()); err != nil {
		st.t.Fatal(err)
	}
}

// set changes the session's settings.
func (st *stage) set(change func(*session.Settings)) error {
	st.t.Helper()
	x, _, err := st.Read(st.t.Context(), st.id)
	if err != nil {
		st.t.Fatal(err)
	}
	v := x.Now()
	change(&v)
	_, err = st.Update(st.t.Context(), st.id, session.Write{}, session.Patch{Settings: &v})
	return err
}

func TestLorebooksHoldForASessionACharacterOrEverywhere(t *testing.T) {
	ctx := t.Context()
	st := &stage{model: &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, t: t, store: session.NewMemory(), every: []string{"earth", "lost"}}
	st.open()
	st.shelve("earth", world("Earth", "It is round.", ""), "sea", world("Sea", "It is deep.", ""), "x1", world("Mill", "It burned.", ""))
	ada := `{"spec":"chara_card_v2","spec_version":"2.0","data":{"name":"Ada","extensions":{"world":"mill"},
		"character_book":{"name":"Mill","extensions":{},"entries":[{"keys":[],"content":"It stands.","constant":true,"enabled":true,"insertion_order":1,"extensions":{}}]}}}`
	if _, err := st.SaveDocument(ctx, session.Characters, "ada", 0, "ada.json", []byte(ada)); err != nil {
		t.Fatal(err)
	}
	x, _, err := st.Create(ctx, session.New{Settings: session.Settings{Character: "ada", Lorebooks: []string{"sea"}}})
	if err != nil {
		t.Fatal(err)
	}
	st.id = x.ID
	st.talks("Hello.")
	if got := st.told(); got != "Sea, Mill, Earth" {
		t.Errorf("told of %s", got)
	}
	// The lorebook that the card names is the newer edition of the one within it.
	prompt := st.last()
	if !strings.Contains(prompt, "It burned.") || strings.Contains(prompt, "It stands.") {
		t.Errorf("the prompt is\n%s", prompt)
	}
	_, messages, _ := st.Read(ctx, st.id)
	reply := messages[len(messages)-1]
	if got := fmt.Sprint(reply.Reply.Lorebooks); got != "[{sea 1 session } {x1 1 character ada} {earth 1 everywhere }]" {
		t.Errorf("the reply knows %s", got)
	}
	if got := fmt.Sprint(reply.Reply.Report); !strings.Contains(got, "no_lorebook lost") {
		t.Errorf("the report is %s", got)
	}
	// A lorebook that changed, or is gone, changes no prompt of before.
	st.shelve("sea", world("Sea", "It is salt.", ""))
	if err := st.DeleteDocument(ctx, session.Lorebooks, "earth", 0); err != nil {
		t.Fatal(err)
	}
	i, err := st.Inspect(ctx, session.Place{Session: st.id, Message: reply.ID, Version: -1})
	if err != nil {
		t.Fatal(err)
	}
	var books []string
	for _, v := range i.Scene.Lore {
		books = append(books, v.Book+" "+v.Text)
	}
	if got := strings.Join(books, ", "); got != "Sea It is deep., Mill It burned., Earth It is round." {
		t.Errorf("inspect has %s", got)
	}
	st.talks("And now?")
	if got := st.told(); got != "Sea, Mill" || !strings.Contains(st.last(), "It is salt.") {
		t.Errorf("told of %s in\n%s", got, st.last())
	}
	// Where the one that the card names is gone, the one within it is told, and nothing is missed.
	if err := st.DeleteDocument(ctx, session.Lorebooks, "x1", 0); err != nil {
		t.Fatal(err)
	}
	st.talks("And then?")
	_, messages, _ = st.Read(ctx, st.id)
	if got := fmt.Sprint(messages[len(messages)-1].Reply.Report); strings.Contains(strings.ToLower(got), "no_lorebook mill") || !strings.Contains(st.last(), "It stands.") {
		t.Errorf("the report is %s of\n%s", got, st.last())
	}
}

func TestOneLorebookAtTwoPlacesIsToldOnce(t *testing.T) {
	st := &stage{model: &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, t: t, store: session.NewMemory(), every: []string{"sea"}}
	st.open()
	st.shelve("sea", world("", "It is deep.", ""))
	for _, name := range []string{"ada", "bob"} {
		card := fmt.Sprintf(`{"spec":"chara_card_v2","data":{"name":%q,"extensions":{"world":"SEA"}}}`, name)
		if _, err := st.SaveDocument(t.Context(), session.Characters, name, 0, name+".json", []byte(card)); err != nil {
			t.Fatal(err)
		}
	}
	for _, books := range [][]string{{"sea"}, nil} {
		x, _, err := st.Create(t.Context(), session.New{Settings: session.Settings{Characters: []session.Member{{ID: "ada"}, {ID: "bob"}}, Lorebooks: books}})
		if err != nil {
			t.Fatal(err)
		}
		st.id = x.ID
		st.talks("ada?")
		if got := st.told(); got != "sea" {
			t.Errorf("told of %s", got)
		}
	}
}

// Where not all can be told, the session's lorebooks go first, then the
// characters', then those that hold everywhere; a strategy turns the latter.
func TestWhoseLorebookGoesFirst(t *testing.T) {
	words := strings.Repeat("word ", 40)
	for strategy, want := range map[session.Strategy]string{"": "S, C", "global_first": "S, E", "evenly": "S, E"} {
		st := &stage{model: &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, t: t, store: session.NewMemory(), every: []string{"e"}}
		st.open()
		late := `,"comment":"x"`
		st.shelve("s", world("S", words, late), "c", world("C", words, late), "e", strings.Replace(world("E", words, late), `"insertion_order":1`, `"insertion_order":9`, 1))
		if _, err := st.SaveDocument(t.Context(), session.Characters, "ada", 0, "ada.json", []byte(`{"spec":"chara_card_v2","data":{"name":"Ada","extensions":{"world":"c"}}}`)); err != nil {
			t.Fatal(err)
		}
		x, _, err := st.Create(t.Context(), session.New{Settings: session.Settings{Character: "ada", Lorebooks: []string{"s"}, Lore: &session.LoreSettings{Budget: 110, Strategy: strategy}}})
		if err != nil {
			t.Fatal(err)
		}
		st.id = x.ID
		st.talks("Hello.")
		if got := st.told(); got != want {
			t.Errorf("strategy %q: told of %s, want %s", strategy, got, want)
		}
	}
}

func TestASessionSetsHowLorebooksAreRead(t *testing.T) {
	st := on(t, &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, session.New{Settings: session.Settings{Character: "name: Ada\n"}})
	st.shelve("w", `{"entries":{"0":{"key":["dragon"],"content":"A dragon guards the cave."},"1":{"key":["cave"],"content":"The cave is dark."}}}`)
	st.talks("The dragons!")
	for i, c := range []struct {
		lore *session.LoreSettings
		want int
	}{
		{nil, 0},
		{&session.LoreSettings{Partial: true}, 1},
		{&session.LoreSettings{Partial: true, Recursive: true}, 2},
		{&session.LoreSettings{Partial: true, Recursive: true, ScanDepth: 1}, 0},
	} {
		if err := st.set(func(v *session.Settings) { v.Lorebooks, v.Lore = []string{"w"}, c.lore }); err != nil {
			t.Fatal(err)
		}
		if _, run := st.begun(st.Regenerate(t.Context(), st.id, session.Write{}, 0, session.Ask{})); run != nil {
			if _, err := run.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		_, messages, _ := st.Read(t.Context(), st.id)
		if c.lore != nil && c.lore.ScanDepth == 1 {
			st.talks("Well.")
			_, messages, _ = st.Read(t.Context(), st.id)
		}
		if got := len(messages[len(messages)-1].Reply.Lore); got != c.want {
			t.Errorf("%d: %d entries were told, want %d", i, got, c.want)
		}
	}
	for _, bad := range []func(*session.Settings){
		func(v *session.Settings) { v.Lorebooks = []string{"nothing"} },
		func(v *session.Settings) { v.Lorebooks = []string{"w", "w"} },
		func(v *session.Settings) { v.Lore = &session.LoreSettings{Strategy: "x"} },
		func(v *session.Settings) { v.Lore = &session.LoreSettings{ScanDepth: -1} },
		func(v *session.Settings) { v.Order = []scene.Slot{"history", "x"} },
		func(v *session.Settings) { v.Order = []scene.Slot{"main"} },
	} {
		if err := st.set(bad); err == nil {
			t.Error("it was taken")
		}
	}
}

func TestASessionSetsTheOrderOfSlots(t *testing.T) {
	st := on(t, &model{responder: chat.Script(chat.TextDelta{Text: "Yes."})}, session.New{Settings: session.Settings{Character: "name: Ada\ncontext: Ada counts.\n", Persona: "Tall.",
		Order: []scene.Slot{"description", "persona", "history"}}})
	st.talks("Hello.")
	if got := st.last(); strings.Index(got, "Ada counts.") > strings.Index(got, "Tall.") || strings.Contains(got, "stay in character") {
		t.Errorf("the prompt is\n%s", got)
	}
}

func TestLorebooksHaveRevisions(t *testing.T) {
	ctx := context.Background()
	st := on(t, &model{}, session.New{})
	saved, err := st.SaveDocument(ctx, session.Lorebooks, "", 0, "Eldoria.json", []byte(`{"entries":{}}`))
	if err != nil || saved.Name != "Eldoria" || saved.Revision != 1 || !saved.Created || saved.Report.Format != "SillyTavern's world" {
		t.Fatalf("%+v, %v", saved, err)
	}
	again, err := st.SaveDocument(ctx, session.Lorebooks, saved.ID, 1, "x.json", []byte(world("Sea", "x", "")))
	if err != nil || again.Name != "Sea" || again.Revision != 2 || again.Created {
		t.Fatalf("%+v, %v", again, err)
	}
	if _, err := st.SaveDocument(ctx, session.Lorebooks, saved.ID, 1, "x.json", []byte(world("Sea", "x", ""))); llm.AsError(err).Code != llm.Conflict {
		t.Error(err)
	}
	if _, err := st.SaveDocument(ctx, session.Lorebooks, "", 0, "x.json", []byte("name: Ada\n")); llm.AsError(err).Field != "lorebook" {
		t.Error(err)
	}
	if _, err := st.Document(ctx, session.Characters, saved.ID, 0); llm.AsError(err).Code != llm.NotFound {
		t.Error("a lorebook is a character", err)
	}
}

func TestALorebookThatIsGoneStopsNoChangeOfSettings(t *testing.T) {
	st := on(t, &model{}, session.New{})
	st.shelve("w", world("W", "x", ""))
	if err := st.set(func(v *session.Settings) { v.Lorebooks = []string{"w"} }); err != nil {
		t.Fatal(err)
	}
	if err := st.DeleteDocument(t.Context(), session.Lorebooks, "w", 0); err != nil {
		t.Fatal(err)
	}
	if err := st.set(func(v *session.Settings) { v.User = "Tom" }); err != nil {
		t.Error(err)
	}
	if err := st.set(func(v *session.Settings) { v.Lorebooks = append(v.Lorebooks, "x") }); err == nil {
		t.Error("another that is not there was taken")
	}
}

func TestWhatSillyTavernKeepsOfAChatComesAndGoes(t *testing.T) {
	st := on(t, &model{}, session.New{})
	st.shelve("eldoria", world("Eldoria", "x", ""))
	x, _ := imported(t, st, `{"chat_metadata":{"world_info":"Eldoria","note_prompt":"Be brief.","note_depth":3,"scenario":"A mill.","note_position":"1"},"user_name":"Tom","character_name":"Ada"}
{"name":"Tom","is_user":true,"mes":"Hi"}
`)
	check := func(v session.Settings) {
		t.Helper()
		if fmt.Sprint(v.Lorebooks) != "[eldoria]" || v.Note != "Be brief." || v.NoteDepth != 3 || v.Scenario != "A mill." {
			t.Errorf("got %+v", v)
		}
	}
	check(x.Now())
	data, err := st.Export(t.Context(), x.ID, session.FormatSillyTavern)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := imported(t, st, string(data))
	check(again.Now())
	if err := st.DeleteDocument(t.Context(), session.Lorebooks, "eldoria", 0); err != nil {
		t.Fatal(err)
	}
	archive, err := st.Export(t.Context(), x.ID, session.FormatParley)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{string(data), string(archive)} {
		if lost, _ := imported(t, st, data); len(lost.Now().Lorebooks) != 0 {
			t.Errorf("a lorebook of another server is kept: %v", lost.Now().Lorebooks)
		}
	}
}
