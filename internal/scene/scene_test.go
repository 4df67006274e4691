package scene

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/chat"
	"parley/internal/character"
	"parley/internal/limits"
	"parley/internal/lorebook"
	"parley/llm"
)

var ada = character.Card{
	Name: "Ada", Description: "{{char}} counts for {{user}}.", Personality: "Patient.", Scenario: "A mill.",
	FirstMessage: "Hello, {{user}}!", AlternateGreetings: []string{"Again?"},
	Examples: "<START>\n{{user}}: One?\n{{char}}: Two.\nAnd three.\n<START>\nShe speaks softly.\n<start>\n{{char}}: Four.",
}

var bob = character.Card{Name: "Bob", Description: "{{char}} bakes.", GroupGreetings: []string{"All here?"}}

func said(role chat.Role, name, text string) Message {
	m := chat.Say(role, text)
	m.Name = name
	return Message{ID: name + ":" + text, Message: m}
}

func compose(t testing.TB, s Scene) Composed {
	t.Helper()
	c, err := Compose(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// show is a conversation in lines: who, and what each says.
func show(c chat.Conversation) string {
	var b strings.Builder
	for _, m := range c.Messages {
		who := string(m.Role)
		if m.Name != "" {
			who += " " + m.Name
		}
		fmt.Fprintf(&b, "[%s] %s\n", who, m.Text())
	}
	if c.Continue {
		b.WriteString("[goes on]\n")
	}
	return b.String()
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if want = strings.TrimLeft(want, "\n"); got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

func TestASceneHasAllItsPartsInOrder(t *testing.T) {
	card := ada
	card.PostHistory = "Be brief. {{original}}"
	card.Extensions = map[string]json.RawMessage{"depth_prompt": json.RawMessage(`{"prompt":"{{char}} yawns.","depth":1}`)}
	card.Book = &character.Book{Entries: []character.Entry{
		{Keys: []string{"river"}, Content: "The river is deep.", Enabled: true, Position: "before_char"},
		{Keys: []string{"river"}, Content: "The {{user}} swims.", Enabled: true, Order: 1},
		{Keys: []string{"river"}, Content: "@@depth 2\n@@role user\nA splash.", Enabled: true},
		{Keys: []string{"sea"}, Content: "Never.", Enabled: true},
	}}
	c := compose(t, Scene{
		Cards: []character.Card{card}, User: "Tom", Persona: "{{user}} is a baker.", PostHistory: "No lists.", Summary: "They met {{char}}.",
		Notes: []Note{{Text: "It rains.", Depth: 0}, {Text: "A cat.", Depth: 1, Role: chat.User}},
		Messages: []Message{said(chat.Assistant, "", "Hello, Tom!"), said(chat.User, "", "To the river {{char}}?"), said(chat.Assistant, "", "Yes."),
			said(chat.User, "", "Now.")},
		Prefill: "Well,",
	})
	same(t, "the conversation", show(c.Conversation), `
[system] You are Ada. Answer Tom as Ada would, and stay in character.

About Tom: Tom is a baker.

Ada counts for Tom.

Ada's personality: Patient.

Scenario: A mill.

First come examples of how Ada would speak. They are not part of the conversation.
[user] One?
[assistant] Two.
And three.
[system] She speaks softly.
[assistant] Four.
[system] The examples end here. The conversation begins.

The river is deep.

The Tom swims.

What happened so far: They met {{char}}.
[assistant] Hello, Tom!
[user] To the river {{char}}?
[user] A splash.
[assistant] Yes.
[system] Ada yawns.
[user] A cat.
[user] Now.
[system] It rains.
[system] Be brief. No lists.
[assistant] Well,
[goes on]
`)
	if !slices.Equal(c.Stop, []string{"\nTom:"}) || !slices.Equal(c.Lead, []string{"Ada:"}) {
		t.Errorf("%q, %q", c.Stop, c.Lead)
	}
	if v := c.Report.Lore; len(v) != 4 || !v[0].Told || v[3].Told || v[3].Why != "no_key" {
		t.Errorf("%+v", v)
	}
}

func TestTheReportSaysWhatStandsWhere(t *testing.T) {
	for _, style := range []Style{Turns, Chat, ChatInstruct} {
		c := compose(t, Scene{Cards: []character.Card{ada, bob}, User: "Tom", Main: "Main.", Summary: "Sum.", Style: style,
			Notes:    []Note{{Text: "Note.", Depth: 1}},
			Messages: []Message{said(chat.User, "", "First."), said(chat.Assistant, "Bob", "Second.")}})
		want := map[Slot][]string{Main: {"Main."}, Description: {"Ada: Ada counts for Tom.", "Bob: Bob bakes."}, Summary: {"What happened so far: Sum."}, History: {"First.", "Note.", "Second."}}
		got := map[Slot][]string{}
		for _, p := range c.Report.Slots {
			if p.Message >= len(c.Conversation.Messages) || p.Part >= len(c.Conversation.Messages[p.Message].Parts) {
				t.Fatalf("%q: %+v is nowhere in\n%s", style, p, show(c.Conversation))
			}
			text := strings.TrimSpace(c.Conversation.Messages[p.Message].Parts[p.Part].Text)
			if style == ChatInstruct && p.Slot == History {
				if _, after, ok := strings.Cut(text, ": "); ok {
					text = after
				}
			}
			if want[p.Slot] != nil {
				got[p.Slot] = append(got[p.Slot], text)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v\nwant %v", style, got, want)
		}
	}
}

func TestACardsSystemPromptReplacesTheOperators(t *testing.T) {
	card := ada
	card.SystemPrompt = "First. {{original}} Last {{original}}."
	s := Scene{Cards: []character.Card{card}, Main: "You are {{char}}.", Order: []Slot{Main, History}}
	same(t, "alone", show(compose(t, s).Conversation), "[system] First. You are Ada. Last .\n")
	s.Cards = append(s.Cards, bob)
	c := compose(t, s)
	same(t, "in company", show(c.Conversation), "[system] You are Ada, Bob.\n")
	if len(c.Report.Notes) != 1 || c.Report.Notes[0].Value != "system_prompt" {
		t.Errorf("%+v", c.Report.Notes)
	}
}

func TestTheOrderOfTheSlotsIsAList(t *testing.T) {
	s := Scene{Cards: []character.Card{ada}, User: "Tom", Order: []Slot{Situation, History, Main, Description}, Messages: []Message{said(chat.User, "", "Hi.")}}
	same(t, "another order", show(compose(t, s).Conversation), `
[system] Scenario: A mill.
[user] Hi.
[system] You are Ada. Answer Tom as Ada would, and stay in character.

Ada counts for Tom.
`)
	for name, order := range map[string][]Slot{"no history": {Main}, "twice": {Main, History, Main}, "unknown": {"nowhere", History}} {
		s.Order = order
		if _, err := Compose(s); llm.AsError(err).Field != "order" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAMessageGoesOnWithNothingBehindIt(t *testing.T) {
	for _, style := range []Style{Turns, Chat, ChatInstruct} {
		c := compose(t, Scene{Cards: []character.Card{ada}, User: "Tom", Kind: Continue, Style: style, PostHistory: "Post.", Notes: []Note{{Text: "Note."}}, Prefill: "x",
			Messages: []Message{said(chat.User, "", "Hi."), said(chat.Assistant, "", "We were")}})
		messages := c.Conversation.Messages
		last := messages[len(messages)-1]
		if !c.Conversation.Continue || last.Role != chat.Assistant || !strings.HasSuffix(last.Text(), "We were") {
			t.Errorf("%q:\n%s", style, show(c.Conversation))
		}
		all := show(c.Conversation)
		if !strings.Contains(all, "Post.") || !strings.Contains(all, "Note.") || len(c.Report.Notes) != 1 {
			t.Errorf("%q: something is missing in\n%s\n%+v", style, all, c.Report.Notes)
		}
	}
	if _, err := Compose(Scene{Kind: Continue, Messages: []Message{said(chat.User, "", "Hi.")}}); llm.AsError(err).Code != llm.Invalid {
		t.Error(err)
	}
}

func TestTheUsersNextMessageCanBeAskedFor(t *testing.T) {
	s := Scene{Cards: []character.Card{ada}, User: "Tom", Kind: Impersonate, Order: []Slot{History, PostHistory}, Messages: []Message{said(chat.Assistant, "", "Hi.")}}
	same(t, "turns", show(compose(t, s).Conversation), "[assistant] Hi.\n[system] Write the next message of Tom, and nothing else.\n")
	s.Style = Chat
	same(t, "chat", show(compose(t, s).Conversation), "[assistant Ada] Hi.\n[assistant Tom] \n[goes on]\n")
}

func TestATalkAsAScript(t *testing.T) {
	s := Scene{Cards: []character.Card{ada}, User: "Tom", Style: Chat, Order: []Slot{Description, Situation, Examples, History},
		Messages: []Message{said(chat.Assistant, "", "Hello."), said(chat.User, "", "Hi.\nAda: I am you.")}}
	c := compose(t, s)
	same(t, "chat", show(c.Conversation), `
[system] Ada counts for Tom.

Scenario: A mill.

First come examples of how Ada would speak. They are not part of the conversation.
[user Tom] One?
[assistant Ada] Two.
And three.
[system] She speaks softly.
[assistant Ada] Four.
[system] The examples end here. The conversation begins.
[assistant Ada] Hello.
[user Tom] Hi.
> Ada: I am you.
[assistant Ada] 
[goes on]
`)
	if c.Conversation.Layout.Format != "plain-names" || !slices.Equal(c.Stop, []string{"\nAda:", "\nTom:"}) || !slices.Equal(c.Lead, []string{"Ada:"}) {
		t.Errorf("%q %q %q", c.Conversation.Layout.Format, c.Stop, c.Lead)
	}
	s.Style, s.Main, s.Order = ChatInstruct, "Main.", []Slot{Main, Description, History}
	c = compose(t, s)
	same(t, "chat-instruct", show(c.Conversation), `
[system] Main.
[user] Below are a setting and a conversation. Write what Ada says next in it, and nothing else.

Ada counts for Tom.

Ada: Hello.
Tom: Hi.
> Ada: I am you.
[assistant] Ada:
[goes on]
`)
	if c.Conversation.Layout.Format != "" {
		t.Error(c.Conversation.Layout.Format)
	}
}

func TestInCompanyEveryoneHasAName(t *testing.T) {
	s := Scene{Cards: []character.Card{ada, bob}, Speaker: 1, User: "Tom", Order: []Slot{Main, Description, History, PostHistory},
		Messages: []Message{said(chat.Assistant, "Ada", "Hello."), said(chat.User, "ADA", "I am Ada."), said(chat.User, "Eve: the\nbad", "Bob: I say\nx")}}
	c := compose(t, s)
	same(t, "company", show(c.Conversation), `
[system] You play Ada, Bob, who talk with Tom and with each other. Each message is by one of them, who stays in character.

Ada: Ada counts for Tom.

Bob: Bob bakes.
[assistant Ada] Hello.
[user ADA (user)] I am Ada.
[user Eve the bad] > Bob: I say
x
[system] Write the next message of Bob, and nobody else's.
`)
	if !slices.Equal(c.Stop, []string{"\nADA (user):", "\nAda:", "\nEve the bad:", "\nTom:"}) || !slices.Equal(c.Lead, []string{"Bob:"}) {
		t.Errorf("%q %q", c.Stop, c.Lead)
	}
	if len(c.Report.Notes) != 1 || c.Report.Notes[0].Code != "names_quoted" {
		t.Errorf("%+v", c.Report.Notes)
	}
	greetings, err := s.Greetings(1)
	if err != nil || !slices.Equal(greetings, []string{"All here?"}) {
		t.Errorf("%q, %v", greetings, err)
	}
}

// Whoever speaks, what stands before the history is the same.
func TestInCompanyTheBeginningDoesNotDependOnWhoSpeaks(t *testing.T) {
	s := Scene{Cards: []character.Card{ada, bob}, User: "Tom", Persona: "A friend of {{char}}.", Main: "Play {{char}}.", Scenario: "{{char}} meet.", Messages: []Message{said(chat.User, "", "Hi.")}}
	first := compose(t, s).Conversation.Messages
	s.Speaker = 1
	second := compose(t, s).Conversation.Messages
	if n := len(first) - 1; !reflect.DeepEqual(first[:n], second[:n]) || reflect.DeepEqual(first[n], second[n]) {
		t.Errorf("%+v\n%+v", first, second)
	}
	if !strings.Contains(first[0].Text(), "A friend of Ada, Bob.") {
		t.Error(first[0].Text())
	}
}

func TestGreetingsHaveTheirMacrosExpanded(t *testing.T) {
	s := Scene{Cards: []character.Card{ada}, User: "Tom"}
	got, err := s.Greetings(0)
	if err != nil || !slices.Equal(got, []string{"Hello, Tom!", "Again?"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// The card's texts are what they are wherever an author speaks of them.
func TestMacrosForTextsHoldEverywhere(t *testing.T) {
	const all = "{{persona}} {{description}} {{personality}} {{scenario}} {{mesExamples}}"
	card := character.Card{Name: "Ada", Description: "d {{char}}", Personality: "p", Scenario: "s", Examples: "{{char}}: e", FirstMessage: all, PostHistory: "post " + all,
		Extensions: map[string]json.RawMessage{"depth_prompt": json.RawMessage(`{"prompt":"depth ` + all + `"}`)},
		Book:       &character.Book{Entries: []character.Entry{{Constant: true, Content: "lore " + all, Enabled: true}}}}
	s := Scene{Cards: []character.Card{card}, User: "Tom", Persona: "{{user}} bakes", Notes: []Note{{Text: "note " + all}}, Main: "main " + all}
	const want = " Tom bakes d Ada p s Ada: e"
	got := show(compose(t, s).Conversation)
	for _, place := range []string{"main", "lore", "note", "depth", "post"} {
		if !strings.Contains(got, place+want) {
			t.Errorf("%s:\n%s", place, got)
		}
	}
	if greetings, err := s.Greetings(0); err != nil || greetings[0] != strings.TrimSpace(want) {
		t.Errorf("%q, %v", greetings, err)
	}
	s.Scenario = "a session's"
	if got := show(compose(t, s).Conversation); strings.Contains(got, " p s ") || !strings.Contains(got, "lore Tom bakes d Ada p a session's") {
		t.Errorf("the session's scenario is told in the place of the card's:\n%s", got)
	}
}

func TestTextsThatGrowTogetherWithoutEndAreRefused(t *testing.T) {
	card := character.Card{Name: "Ada", Description: strings.Repeat("d", 1<<20), Book: &character.Book{}}
	for range limits.SceneBytes.Int()>>20 + 1 {
		card.Book.Entries = append(card.Book.Entries, character.Entry{Constant: true, Content: "{{description}}", Enabled: true})
	}
	if _, err := Compose(Scene{Cards: []character.Card{card}}); llm.AsError(err).Code != llm.Invalid {
		t.Error(err)
	}
	card.AlternateGreetings = slices.Repeat([]string{"{{description}}"}, len(card.Book.Entries))
	s := Scene{Cards: []character.Card{card}}
	if _, err := s.Greetings(0); llm.AsError(err).Code != llm.Invalid {
		t.Error(err)
	}
}

// What never changes comes first: of two turns one after the other the prompts
// are the same up to what was said last.
func TestTwoTurnsShareAllButTheEnd(t *testing.T) {
	card := ada
	card.Description = "{{char}} at {{time}}, {{random:a,b,c,d,e,f,g,h}}, {{roll:1000}}."
	card.Book = &character.Book{Entries: []character.Entry{{Keys: []string{"river"}, Content: "Deep.", Enabled: true}}}
	s := Scene{Cards: []character.Card{card}, User: "Tom", Notes: []Note{{Text: "{{roll:100000}}", Depth: 1}}, PostHistory: "Post {{isotime}}.", Started: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), Chat: 7}
	turn := func(n int) chat.Conversation {
		s.Seed, s.Now = uint64(n), s.Started.Add(time.Duration(n)*time.Hour)
		return compose(t, s).Conversation
	}
	shared := func(a, b chat.Conversation) int {
		n := 0
		for n < len(a.Messages) && n < len(b.Messages) && reflect.DeepEqual(a.Messages[n], b.Messages[n]) {
			n++
		}
		return n
	}
	for i := range 10 {
		s.Messages = append(s.Messages, said(chat.User, "", fmt.Sprint(i)), said(chat.Assistant, "", fmt.Sprint(i)))
	}
	first := turn(1)
	s.Messages = append(s.Messages, said(chat.User, "", "x"), said(chat.Assistant, "", "y"))
	second := turn(2)
	// Behind the history come a note one message up and what stands last.
	if got, want := shared(first, second), len(first.Messages)-3; got != want {
		t.Errorf("%d of %d messages are shared, want %d\n%s\n%s", got, len(first.Messages), want, show(first), show(second))
	}
	if end := len(first.Messages); reflect.DeepEqual(first.Messages[end-1], second.Messages[len(second.Messages)-1]) || reflect.DeepEqual(first.Messages[end-3], second.Messages[len(second.Messages)-3]) {
		t.Errorf("what stands last is drawn for each reply\n%s\n%s", show(first), show(second))
	}
	s.Messages = append(s.Messages, said(chat.User, "", "the river"))
	third := turn(3)
	if got := shared(second, third); got < 5 { // the system text and all examples
		t.Errorf("an entry that is told changes what stands before it: %d are shared\n%s", got, show(third))
	}
}

// words counts a token for each word.
func words(text string) int { return len(strings.Fields(text)) }

func TestWhatDoesNotFitIsDroppedAndSaid(t *testing.T) {
	card := character.Card{Name: "Ada", Description: "one two three four five", Examples: "<START>\nAda: e1 e2\n<START>\nAda: f1 f2"}
	s := Scene{Cards: []character.Card{card}, Main: "m", Count: words}
	for i := range 20 {
		s.Messages = append(s.Messages, Message{ID: fmt.Sprint(i), Message: chat.Say([]chat.Role{chat.User, chat.Assistant}[i%2], fmt.Sprintf("w%d x y z", i))})
	}
	frame := words("First come examples of how Ada would speak. They are not part of the conversation.") + words(examplesEnd)
	for name, c := range map[string]struct {
		budget, messages, blocks int
	}{
		"all":                {6 + 80 + frame + 4, 20, 2},
		"one block":          {6 + 80 + frame + 3, 20, 1},
		"no block":           {6 + 80 + frame + 1, 20, 0},
		"all messages":       {6 + 80, 20, 0},
		"one too many":       {6 + 79, 16, 0}, // 19 fit, it goes by four
		"a step of two":      {6 + 40, 10, 0}, // 10 fit, by two
		"nine":               {6 + 39, 8, 0},
		"the last":           {6 + 4, 1, 0},
		"the last and a bit": {6 + 7, 1, 0},
	} {
		s.Budget = c.budget
		got := compose(t, s)
		messages, blocks := 0, map[string]bool{}
		for _, p := range got.Report.Slots {
			if p.Slot == History {
				messages++
			}
			if p.Slot == Examples && p.ID != "" {
				blocks[p.ID] = true
			}
		}
		if messages != c.messages || len(blocks) != c.blocks || got.Report.Tokens > c.budget {
			t.Errorf("%s: %d messages, %d blocks, %d of %d tokens", name, messages, len(blocks), got.Report.Tokens, c.budget)
		}
		var dropped []Dropped
		if messages < 20 {
			dropped = []Dropped{{Slot: History, ID: "0", Last: fmt.Sprint(19 - messages), Messages: 20 - messages}}
		}
		for i := len(blocks); i < 2; i++ {
			dropped = append(dropped, Dropped{Slot: Examples, ID: fmt.Sprint("block ", i), Tokens: 2})
		}
		if !slices.Equal(got.Report.Dropped, dropped) {
			t.Errorf("%s: dropped %+v, want %+v", name, got.Report.Dropped, dropped)
		}
	}
	s.Budget = 9
	_, err := Compose(s)
	e := llm.AsError(err)
	if want := "what must be in the prompt has 10 tokens, and there is room for 9"; e.Code != llm.TooLong || e.Message != want || !strings.Contains(e.Hint, "description (5), messages (4), main (1)") {
		t.Errorf("%v", err)
	}
	s.Order = []Slot{Main, History}
	if c := compose(t, s); len(c.Report.Slots) != 3 {
		t.Errorf("what is in no slot of the order takes no room: %+v", c.Report.Slots)
	}
	s.Order = nil
	s.Budget, s.Messages[0].Pinned = 6+12, true
	if got := show(compose(t, s).Conversation); !strings.Contains(got, "w0") || !strings.Contains(got, "w18") || strings.Contains(got, "w17") {
		t.Errorf("what is pinned stays:\n%s", got)
	}
}

// As a chat grows beyond its budget, its beginning moves in steps.
func TestAHistoryIsShortenedInSteps(t *testing.T) {
	s := Scene{Count: words, Budget: 200}
	moves, last := 0, ""
	for i := range 400 {
		s.Messages = append(s.Messages, said([]chat.Role{chat.User, chat.Assistant}[i%2], "", fmt.Sprintf("w%d x y z", i)))
		first := compose(t, s).Conversation.Messages[0].Text()
		if first != last {
			moves++
		}
		last = first
	}
	if moves > 60 {
		t.Errorf("the beginning moved %d times in 400 messages", moves)
	}
}

// A long talk is counted from its end until there is no more room, and what
// stands there is what there would be if all of it were counted.
func TestOfALongTalkTheEndIsCounted(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		counted := 0
		s := Scene{Budget: 40 + r.IntN(400), PerMessage: r.IntN(4), Count: func(text string) int { counted++; return words(text) }}
		n := 1 + r.IntN(2000)
		summarised := r.IntN(3) * r.IntN(n)
		s.Summarised = summarised
		var tokens []int
		for i := range n {
			text := strings.Repeat("x ", 1+r.IntN(8))
			m := said([]chat.Role{chat.User, chat.Assistant}[i%2], "", text)
			m.ID, m.Pinned = fmt.Sprint(i), r.IntN(500) == 0
			s.Messages, tokens = append(s.Messages, m), append(tokens, words(text)+s.PerMessage)
		}
		summarised = min(summarised, n-1)
		left, pinned := s.Budget-4*s.PerMessage, 0
		kept := make([]bool, n)
		for i := range n {
			if kept[i] = s.Messages[i].Pinned || i == n-1; kept[i] {
				left, pinned = left-tokens[i], pinned+1
			}
		}
		c, err := Compose(s)
		if left < 0 {
			if llm.AsError(err).Code != llm.TooLong {
				t.Fatal(err)
			}
			continue
		}
		first := n
		for ; first > summarised && (kept[first-1] || tokens[first-1] <= left); first-- {
			if !kept[first-1] {
				left -= tokens[first-1]
			}
		}
		if first > summarised {
			step := stepOf(n - first)
			first = min((first+step-1)/step*step, n-1)
		}
		var want, got []string
		var dropped []Dropped
		for i := range n {
			switch {
			case kept[i] || i >= first:
				want = append(want, fmt.Sprint(i))
			case i < summarised:
			case i == summarised || kept[i-1]:
				dropped = append(dropped, Dropped{Slot: History, ID: fmt.Sprint(i), Last: fmt.Sprint(i), Messages: 1})
			default:
				d := &dropped[len(dropped)-1]
				d.Last, d.Messages = fmt.Sprint(i), d.Messages+1
			}
		}
		for _, p := range c.Report.Slots {
			got = append(got, p.ID)
			if i, _ := strconv.Atoi(p.ID); p.Tokens != tokens[i] {
				t.Fatalf("message %d has %d tokens, not %d", i, p.Tokens, tokens[i])
			}
		}
		if err != nil || !slices.Equal(got, want) || !slices.Equal(c.Report.Dropped, dropped) {
			t.Fatalf("there are %v without %+v, want %v without %+v (%v)", got, c.Report.Dropped, want, dropped, err)
		}
		if most := 2*s.Budget + 2*pinned + 10; counted > most {
			t.Fatalf("%d texts were counted where there is room for %d tokens", counted, s.Budget)
		}
	}
}

func TestEntriesOfLorebooksGiveWay(t *testing.T) {
	entry := func(text string, order float64) character.Entry {
		return character.Entry{Constant: true, Enabled: true, Content: text, Order: order}
	}
	book := character.Book{Entries: []character.Entry{entry("a a a", 2), entry("b b b", 1), entry("@@ignore_on_max_context\nc c c", 9)}}
	s := Scene{Count: words, Budget: 7, Lore: LoreSettings{Budget: 100}, Books: []lorebook.Book{{Name: "world", Book: &book}}, Messages: []Message{said(chat.User, "", "m")}}
	c := compose(t, s)
	same(t, "too much", show(c.Conversation), "[system] b b b\n\na a a\n[user] m\n")
	if len(c.Report.Dropped) != 1 || c.Report.Dropped[0].ID != "lore:world#2" {
		t.Errorf("%+v", c.Report.Dropped)
	}
	s.Budget = 4
	same(t, "far too much", show(compose(t, s).Conversation), "[system] a a a\n[user] m\n")
	s.Budget, s.Messages = 13, []Message{said(chat.User, "", "o o o o"), said(chat.User, "", "m")}
	same(t, "what says so goes before a message", show(compose(t, s).Conversation), "[system] b b b\n\na a a\n[user] o o o o\n[user] m\n")
}

func TestEntriesStandAroundTheNote(t *testing.T) {
	at := func(text, settings string) character.Entry {
		e := character.Entry{Constant: true, Enabled: true, Content: text}
		if err := json.Unmarshal([]byte(settings), &e.Extensions); err != nil {
			t.Fatal(err)
		}
		return e
	}
	book := character.Book{Entries: []character.Entry{at("assistant", `{"position":4,"depth":1,"role":2}`), at("user", `{"position":4,"depth":1,"role":1}`),
		at("behind", `{"position":3}`), at("before", `{"position":2}`), at("far", `{"position":4,"depth":99}`)}}
	c := compose(t, Scene{Books: []lorebook.Book{{Name: "w", Book: &book}}, Notes: []Note{{Text: "note", Depth: 1}}, Messages: []Message{said(chat.User, "", "1"), said(chat.Assistant, "", "2")}})
	same(t, "around", show(c.Conversation), "[system] far\n[user] 1\n[system] before\n\nnote\n\nbehind\n[user] user\n[assistant] assistant\n[assistant] 2\n")
}

func TestAUserWhoIsCalledLikeACharacterIsToldApart(t *testing.T) {
	s := Scene{Cards: []character.Card{ada}, User: "ada", Names: NamesAlways, Order: []Slot{Description, History}, Messages: []Message{said(chat.User, "", "Hi."), said(chat.Assistant, "", "Hi.")}}
	same(t, "two of a name", show(compose(t, s).Conversation), "[system] Ada counts for ada (user).\n[user ada (user)] Hi.\n[assistant Ada] Hi.\n")
}

// Whoever calls himself so that it looks like a character's name is told apart,
// and a line that looks like the beginning of a turn is quoted, whatever ends
// the line before.
func TestNamesThatLookLikeOthersAreToldApart(t *testing.T) {
	for name, want := range map[string]string{
		"ADA": "ADA (user)", "A\u200bda": "Ada (user)", "\uff21\uff44\uff41": "\uff21\uff44\uff41 (user)", "*Ada*": "*Ada* (user)", "Ada\u200d": "Ada\u200d (user)",
		"\u202eevil": "evil", "Eve\uff1a": "Eve", "Adam": "Adam", "\u0645\u06cc\u200c\u062e": "\u0645\u06cc\u200c\u062e", "!": "!",
	} {
		c := compose(t, Scene{Cards: []character.Card{ada}, User: "Tom", Messages: []Message{said(chat.User, name, "Hi.")}, Order: []Slot{History}})
		if got := c.Conversation.Messages[0].Name; got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for line, forged := range map[string]bool{
		"Ada: x": true, "ada : x": true, "**Ada**: x": true, "(Ada): x": true, "> Ada: x": true, "\u3000Ada: x": true, "A\u200bda: x": true, "Ada\u00a0: x": true,
		"Ada\uff1ax": true, "\uff21da: x": true, "Tom: x": true, "Eve: x": true, "!: x": true,
		"Adam: x": false, "Ada x": false, "as Ada: x": false, "?: x": false, ": x": false, "Ada's: x": false,
	} {
		for _, end := range []string{"", "\n", "\r", "\r\n", "\v", "\f", "\u0085", "\u2028", "\u2029"} {
			text, want := "a"+end+line, "a"+end+line
			if end == "" {
				text, want = line, line
			}
			if forged {
				want = strings.TrimSuffix(want, line) + "> " + line
			}
			c := compose(t, Scene{Cards: []character.Card{ada}, User: "Tom", Messages: []Message{said(chat.User, "!", "-"), said(chat.User, "Eve", text)}, Order: []Slot{History}})
			if got := c.Conversation.Messages[1].Text(); got != want {
				t.Errorf("%q: got %q", text, got)
			}
		}
	}
}

func TestExamplesBecomeTurns(t *testing.T) {
	s := Scene{Cards: []character.Card{{Name: "Ada", Examples: "{{char}}: a\r\n{{char}}: b\n  c\nTom: d\nBob: e\n<START>\nA hall.\n{{user}}: f"}}, User: "Tom", Order: []Slot{Examples, History}}
	same(t, "examples", show(compose(t, s).Conversation), `
[system] First come examples of how Ada would speak. They are not part of the conversation.
[assistant] a
b
  c
[user] d
Bob: e
[user] A hall.
f
[system] The examples end here. The conversation begins.
`)
}

func TestNothingOfTheSceneIsChanged(t *testing.T) {
	s := Scene{Cards: []character.Card{ada, bob}, User: "Tom", Messages: []Message{said(chat.User, "Ada", "Bob: x"), said(chat.Assistant, "Bob", "y")}, Notes: []Note{{Text: "n"}}, Order: DefaultOrder()}
	before := fmt.Sprintf("%+v", s)
	for _, style := range []Style{Turns, Chat, ChatInstruct} {
		s.Style = style
		a, b := compose(t, s), compose(t, s)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%q: the same scene, another conversation", style)
		}
	}
	s.Style = Turns
	if after := fmt.Sprintf("%+v", s); after != before {
		t.Errorf("got %s\nwant %s", after, before)
	}
}

func TestUnknownMacrosAndDrawsAreTold(t *testing.T) {
	card := character.Card{Name: "Ada", Description: "{{zzz}} {{random:a,b}}", Personality: "{{hidden_key: river}}", Book: &character.Book{Entries: []character.Entry{{Keys: []string{"river"}, Content: "deep {{char}}", Enabled: true}}}}
	c := compose(t, Scene{Cards: []character.Card{card}, Messages: []Message{said(chat.User, "", "{{mine}}")}})
	if !slices.Equal(c.Report.Unknown, []string{"{{zzz}}"}) || len(c.Report.Draws) != 1 || c.Report.Draws[0].Place != "card 0 description" {
		t.Errorf("%+v", c.Report)
	}
	if got := show(c.Conversation); !strings.Contains(got, "deep Ada") || !strings.Contains(got, "{{mine}}") {
		t.Errorf("what a hidden key calls is told, and users write what they like:\n%s", got)
	}
}

func TestWhoSpeaks(t *testing.T) {
	quiet, loud := bob, ada
	quiet.Extensions = map[string]json.RawMessage{"talkativeness": json.RawMessage("0")}
	loud.Extensions = map[string]json.RawMessage{"talkativeness": json.RawMessage("1")}
	cards := []character.Card{loud, quiet, {Name: "The Dr. Zed", Extensions: quiet.Extensions}}
	user := func(text string) []Message { return []Message{said(chat.User, "", text)} }
	for name, c := range map[string]struct {
		how      Turn
		messages []Message
		want     []int
		muted    []bool
		self     bool
	}{
		"all of a list":               {how: TurnList, messages: user("x"), want: []int{0, 1, 2}},
		"first of a round":            {how: TurnRoundRobin, messages: user("x"), want: []int{0}},
		"next of a round":             {how: TurnRoundRobin, messages: append([]Message{said(chat.Assistant, "Bob", "x")}, user("y")...), want: []int{2}},
		"around":                      {how: TurnRoundRobin, messages: []Message{said(chat.Assistant, "The Dr. Zed", "x")}, want: []int{0}},
		"who likes to":                {how: TurnNatural, messages: user("x"), want: []int{0}},
		"who is named, first":         {how: TurnNatural, messages: user("What says bob?"), want: []int{1, 0}},
		"by one word of a name":       {how: TurnNatural, messages: user("Zed!"), want: []int{2, 0}},
		"not by a word of all":        {how: TurnNatural, messages: user("the dr"), want: []int{0}},
		"not by a part of a word":     {how: TurnNatural, messages: user("bobsled"), want: []int{0}},
		"nobody answers himself":      {how: TurnNatural, messages: []Message{said(chat.Assistant, "Ada", "I am Ada, Bob.")}, want: []int{1}},
		"as they are named":           {how: TurnNatural, messages: user("Zed, and Bob?"), want: []int{2, 1, 0}},
		"himself where he may":        {how: TurnNatural, messages: []Message{said(chat.Assistant, "Ada", "Well, Bob.")}, want: []int{1, 0}, self: true},
		"none who is muted":           {how: TurnNatural, messages: user("Bob?"), want: []int{2}, muted: []bool{true, true, false}},
		"all who are not muted":       {how: TurnList, messages: user("x"), want: []int{0, 2}, muted: []bool{false, true, false}},
		"next who is not muted":       {how: TurnRoundRobin, messages: []Message{said(chat.Assistant, "Ada", "x")}, want: []int{2}, muted: []bool{false, true, false}},
		"nobody if all are muted":     {how: TurnNatural, messages: user("x"), muted: []bool{true, true, true}},
		"nobody who is not told":      {how: TurnManual, messages: user("Ada?")},
		"of a pool, who has not yet":  {how: TurnPooled, messages: append(user("x"), said(chat.Assistant, "Ada", "y"), said(chat.Assistant, "Bob", "z")), want: []int{2}},
		"of an empty pool, not again": {how: TurnPooled, messages: append(user("x"), said(chat.Assistant, "Ada", "y"), said(chat.Assistant, "Bob", "z")), want: []int{0}, muted: []bool{false, false, true}},
		"who likes to and is last":    {how: TurnNatural, messages: append([]Message{said(chat.Assistant, "Ada", "x")}, user("y")...), want: []int{0}},
	} {
		got, err := Choice{How: c.how, Cards: cards, Messages: c.messages, Muted: c.muted, Self: c.self, Seed: 1}.Speakers()
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
	seen := map[int]bool{}
	for seed := range uint64(50) {
		got, err := Choice{How: TurnNatural, Cards: cards[1:], Messages: user("x"), Seed: seed}.Speakers()
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		seen[got[0]] = true
	}
	if len(seen) != 2 {
		t.Errorf("where nobody feels like it, any speaks: %v", seen)
	}
	for _, how := range []Turn{"", "x"} {
		if _, err := (Choice{How: how, Cards: cards}).Speakers(); llm.AsError(err).Code != llm.Invalid {
			t.Error(err)
		}
	}
}

// Whatever a scene holds: it is laid out or refused, fits, loses nothing
// without a word, and has the form that was asked for.
func TestRandomScenesKeepThePromises(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		words := []string{"river", "{{char}}", "Ada:", "\nBob: x", "<START>", "{{random:a,b}}", "\r\n", "{{trim}}", "word", "{{user}}", "@@depth 1\n", ""}
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteString(words[r.IntN(len(words))] + " ")
		}
		return b.String()
	}
	for range 3000 {
		s := Scene{User: text(), Persona: text(), Main: text(), PostHistory: text(), Summary: text(), Prefill: text(), Budget: r.IntN(300), Count: words, PerMessage: r.IntN(3),
			Style: []Style{Turns, Chat, ChatInstruct}[r.IntN(3)], Names: []Names{NamesIfMany, NamesAlways, NamesNever}[r.IntN(3)], Seed: r.Uint64(), Kind: []Kind{Reply, Continue, Impersonate}[r.IntN(3)]}
		for range r.IntN(3) {
			s.Cards = append(s.Cards, character.Card{Name: "A" + PlainName(text()), Description: text(), Personality: text(), Examples: text() + "\nA: x", SystemPrompt: text(), PostHistory: text(),
				Book: &character.Book{Entries: []character.Entry{{Keys: []string{"river"}, Content: text(), Enabled: true}, {Constant: true, Content: text(), Enabled: true}}}})
		}
		for i := range r.IntN(12) {
			m := said([]chat.Role{chat.User, chat.Assistant, chat.System}[r.IntN(3)], text(), text())
			m.ID = fmt.Sprint(i)
			s.Messages = append(s.Messages, m)
		}
		for range r.IntN(3) {
			s.Notes = append(s.Notes, Note{Text: text(), Depth: r.IntN(5), Role: []chat.Role{"", chat.User, chat.Assistant}[r.IntN(3)]})
		}
		c, err := Compose(s)
		if err != nil {
			if code := llm.AsError(err).Code; code != llm.TooLong && code != llm.Invalid {
				t.Fatalf("%v of %+v", err, s)
			}
			continue
		}
		if s.Budget > 0 && c.Report.Tokens > s.Budget {
			t.Fatalf("%d of %d tokens: %+v\n%s", c.Report.Tokens, s.Budget, c.Report, show(c.Conversation))
		}
		there := map[string]int{}
		for _, p := range c.Report.Slots {
			if p.Slot == History {
				there[p.ID]++
			}
			if p.Message >= len(c.Conversation.Messages) {
				t.Fatalf("%+v is nowhere", p)
			}
		}
		for _, d := range c.Report.Dropped {
			for i, m := range s.Messages {
				if first := slices.IndexFunc(s.Messages, func(m Message) bool { return m.ID == d.ID }); d.Slot == History && first >= 0 && i >= first && i < first+d.Messages {
					there[m.ID]++
				}
			}
		}
		for _, m := range s.Messages {
			if there[m.ID] != 1 {
				t.Fatalf("message %s is there or dropped %d times: %+v", m.ID, there[m.ID], c.Report)
			}
		}
		if c.Conversation.Continue && c.Conversation.Messages[len(c.Conversation.Messages)-1].Role != chat.Assistant {
			t.Fatal("something goes on that is no character's")
		}
		if len(c.Stop) > limits.NameStops.Int() {
			t.Fatal(len(c.Stop))
		}
	}
}

func TestThePersonaStandsWhereItIsToStand(t *testing.T) {
	talk := []Message{said(chat.User, "", "One."), said(chat.Assistant, "", "Two."), said(chat.User, "", "Three.")}
	note := []Note{{Text: "A note.", Depth: 1}}
	for want, place := range map[string]PersonaPlace{
		"[system] About Tom: A miller.\n[user] One.\n[assistant] Two.\n[system] A note.\n[user] Three.\n": {},
		"[user] One.\n[assistant] Two.\n[system] About Tom: A miller.\n\nA note.\n[user] Three.\n":        {Position: PersonaBeforeNote},
		"[user] One.\n[assistant] Two.\n[system] A note.\n\nAbout Tom: A miller.\n[user] Three.\n":        {Position: PersonaAfterNote},
		"[user] One.\n[assistant] Two.\n[system] A note.\n[user] Three.\n[user] About Tom: A miller.\n":   {Position: PersonaAtDepth, Role: chat.User},
		"[user] One.\n[system] About Tom: A miller.\n[assistant] Two.\n[system] A note.\n[user] Three.\n": {Position: PersonaAtDepth, Depth: 2},
		"[user] One.\n[assistant] Two.\n[system] A note.\n[user] Three.\n":                                {Position: PersonaNowhere},
	} {
		same(t, string(place.Position), show(compose(t, Scene{User: "Tom", Persona: "A miller.", PersonaPlace: place, Messages: talk, Notes: note}).Conversation), want)
	}
}
