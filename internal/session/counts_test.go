package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

// words counts every word, and a beginning of the text before them.
type words struct {
	asked int
	err   error
}

func (w *words) Tokenize(_ context.Context, p llm.Prompt) ([]llm.Token, error) {
	w.asked++
	n := 1
	for _, s := range p.Segments {
		n += len(strings.Fields(s.Text))
	}
	return make([]llm.Token, n), w.err
}

func (w *words) Detokenize(context.Context, []int) (string, error) { return "", nil }

// A context of 80 tokens with 20 for the reply leaves 60 for the prompt.
func counting(t *testing.T, v session.Settings) (*stage, *words) {
	w := &words{}
	return on(t, &model{responder: chat.Script(chat.TextDelta{Text: "Yes, ten words are said here, each of them counted."}), context: 80, words: w}, session.New{Settings: v}), w
}

func TestWhatDoesNotFitIsLeftOutByRealCounts(t *testing.T) {
	st, w := counting(t, session.Settings{Character: "name: Ada\ncontext: Ada counts.\n"})
	for range 8 {
		st.talks("This makes ten words if you count all of them.")
	}
	_, messages, _ := st.Read(t.Context(), st.id)
	last := messages[len(messages)-1]
	r := last.Reply
	if r.Budget != 60 || len(r.Dropped) != 1 || r.Dropped[0].ID != "1" || r.Dropped[0].Messages < 8 || !strings.Contains(st.last(), "Ada counts.") {
		t.Errorf("the budget was %d and %v is left out of\n%s", r.Budget, r.Dropped, st.last())
	}
	if got := r.Report[0]; got.Code != "shortened" {
		t.Errorf("the report is %v", r.Report)
	}
	i, err := st.Inspect(t.Context(), session.Place{Session: st.id, Message: last.ID, Version: -1})
	if err != nil || i.Digest != i.Then || i.Scene.Budget != 60 || i.Scene.Tokens > 60 {
		t.Errorf("%v: %d of %d tokens, %s, then %s", err, i.Scene.Tokens, i.Scene.Budget, i.Digest, i.Then)
	}
	before := w.asked
	st.talks("This is new.")
	if asked := w.asked - before; asked > 8 {
		t.Errorf("%d texts were counted for one turn", asked)
	}
}

func TestWhatMustBeThereAndDoesNotFitIsAnErrorWithNumbers(t *testing.T) {
	st, _ := counting(t, session.Settings{Character: "name: Ada\ncontext: " + strings.Repeat("very ", 90) + "tall.\n"})
	_, run := st.send("Hello.")
	_, err := run.Wait(t.Context())
	e := llm.AsError(err)
	if e.Code != llm.TooLong || !strings.Contains(e.Message, "room for 60") || !strings.Contains(e.Hint, "description (91)") {
		t.Errorf("got %+v", e)
	}
}

func TestLorebooksKeepTheirBudgetByRealCounts(t *testing.T) {
	for budget, want := range map[int]int{0: 1, 40: 2, 12: 1, 3: 0} { // 0 is a quarter of 60
		st, _ := counting(t, session.Settings{Lore: &session.LoreSettings{Budget: budget}})
		st.shelve("a", world("A", "one two three four five six seven eight nine ten", ""), "b", world("B", "one two three four five six seven eight nine ten", ""))
		if err := st.set(func(v *session.Settings) { v.Lorebooks = []string{"a", "b"} }); err != nil {
			t.Fatal(err)
		}
		st.talks("Hello.")
		_, messages, _ := st.Read(t.Context(), st.id)
		if got := len(messages[len(messages)-1].Reply.Lore); got != want {
			t.Errorf("budget %d: %d entries were told, want %d", budget, got, want)
		}
	}
}

func TestAModelThatCannotCountStillAnswers(t *testing.T) {
	st, w := counting(t, session.Settings{})
	w.err = errors.New("busy")
	st.talks("Hello.")
	_, messages, _ := st.Read(t.Context(), st.id)
	if r := messages[len(messages)-1].Reply.Report; len(r) == 0 || r[0].Code != "not_counted" {
		t.Errorf("the report is %v", r)
	}
}

func TestARefusingSessionLeavesNothingOut(t *testing.T) {
	st, _ := counting(t, session.Settings{Fit: chat.FitRefuse})
	for range 8 {
		st.talks("This makes ten words if you count all of them.")
	}
	_, messages, _ := st.Read(t.Context(), st.id)
	if r := messages[len(messages)-1].Reply; len(r.Dropped) > 0 || len(r.Report) > 0 {
		t.Errorf("%v is left out, the report is %v", r.Dropped, r.Report)
	}
}
