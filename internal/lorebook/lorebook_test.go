package lorebook

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/internal/character"
	"parley/internal/limits"
)

// book reads a lorebook of entries as JSON, the fields that most do not need
// left out.
func book(t testing.TB, fields string, entries ...string) Book {
	t.Helper()
	b, _, err := character.ReadBook([]byte(`{` + fields + `"entries":[` + strings.Join(entries, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return Book{Name: "b", Book: &b}
}

func chat(texts ...string) (messages []Message) {
	for i, text := range texts {
		messages = append(messages, Message{Name: []string{"Tom", "Ada"}[i%2], Text: text, Character: i%2 == 1})
	}
	return messages
}

func activate(t testing.TB, s Scan) Result {
	t.Helper()
	r, err := Activate(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func told(r Result) (all []string) {
	for _, v := range r.Told {
		all = append(all, v.Text)
	}
	return all
}

// Each rule by an entry, what is said, and what becomes of the entry.
func TestWhatCallsAnEntry(t *testing.T) {
	said := chat("Tell me of the Mill.", "Which one?", "The windmill, by the river. 黒猫だ")
	for name, c := range map[string]struct {
		entry string
		why   string // "" if it is told
	}{
		"its key":                      {`"keys":["river"]`, ""},
		"one of its keys":              {`"keys":["sea","river"]`, ""},
		"no key that is there":         {`"keys":["sea"]`, "no_key"},
		"no key at all":                {`"keys":[]`, "no_key"},
		"an empty key":                 {`"keys":[" "]`, "no_key"},
		"in another case":              {`"keys":["RIVER"]`, ""},
		"case counts":                  {`"keys":["RIVER"],"case_sensitive":true`, "no_key"},
		"case counts in its extension": {`"keys":["RIVER"],"extensions":{"case_sensitive":true}`, "no_key"},
		"the specification goes first": {`"keys":["RIVER"],"case_sensitive":false,"extensions":{"case_sensitive":true}`, ""},
		"a part of a word":             {`"keys":["win"]`, "no_key"},
		"the end of a word":            {`"keys":["mill"]`, "no_key"},
		"a part where parts do":        {`"keys":["win"],"extensions":{"match_whole_words":false}`, ""},
		"words side by side":           {`"keys":["by the riv"]`, ""},
		"a script without spaces":      {`"keys":["猫"]`, ""},
		"the speaker's name":           {`"keys":["tom"]`, ""},
		"too far back":                 {`"keys":["tell"]`, "no_key"},
		"as far back as it looks":      {`"keys":["tell"],"extensions":{"scan_depth":3}`, ""},
		"a decorator looks further":    {`"keys":["tell"],"content":"@@scan_depth 3\nc"`, ""},
		"it is off":                    {`"keys":["river"],"enabled":false`, "disabled"},
		"it is empty":                  {`"keys":["river"],"content":" "`, "empty"},
		"it is constant":               {`"keys":[],"constant":true`, ""},
		"a regular expression":         {`"keys":["r.v[aeiou]r"],"use_regex":true`, ""},
		"one in another case":          {`"keys":["R.ver"],"use_regex":true`, "no_key"},
		"SillyTavern's flag":           {`"keys":["River"],"use_regex":true,"extensions":{"selectiveLogic":0}`, ""},
		"its word, not a part":         {`"keys":["win"],"use_regex":true,"extensions":{"selectiveLogic":0}`, "no_key"},
		"its word is no expression":    {`"keys":["ri(ver"],"use_regex":true,"extensions":{"selectiveLogic":0}`, "no_key"},
		"its second keys":              {`"keys":["river"],"selective":true,"secondary_keys":["sea"],"use_regex":true,"extensions":{"selectiveLogic":0}`, "secondary_keys"},
		"its expression":               {`"keys":["/R.ver/i"],"use_regex":true,"extensions":{"selectiveLogic":0}`, ""},
		"one with slashes":             {`"keys":["/WIND.ILL/i"]`, ""},
		"one with numbers of letters":  {`"keys":["/[\\u9ed0-\\u9ed5]\\u{732b}/du"]`, ""},
		"not behind a backslash":       {`"keys":["/\\\\u9ed2/"]`, "no_key"},
		"one whose case counts":        {`"keys":["/WIND.ILL/"]`, "no_key"},
		"one that we do not know":      {`"keys":["/(?=river)/"]`, "no_key"},
		"a path is no expression":      {`"keys":["/river/x/"]`, "no_key"},
		"all of both":                  {`"keys":["river"],"selective":true,"secondary_keys":["sea","which"]`, ""},
		"no second key":                {`"keys":["river"],"selective":true,"secondary_keys":["sea"]`, "secondary_keys"},
		"second keys do not count":     {`"keys":["river"],"selective":false,"secondary_keys":["sea"]`, ""},
		"not all, and it is not":       {`"keys":["river"],"selective":true,"secondary_keys":["sea","which"],"extensions":{"selectiveLogic":1}`, ""},
		"not all, but it is":           {`"keys":["river"],"selective":true,"secondary_keys":["which"],"extensions":{"selectiveLogic":1}`, "secondary_keys"},
		"none, and there is":           {`"keys":["river"],"selective":true,"secondary_keys":["which"],"extensions":{"selectiveLogic":2}`, "secondary_keys"},
		"none, and there is none":      {`"keys":["river"],"selective":true,"secondary_keys":["sea"],"extensions":{"selectiveLogic":2}`, ""},
		"all, but one is missing":      {`"keys":["river"],"selective":true,"secondary_keys":["sea","which"],"extensions":{"selectiveLogic":3}`, "secondary_keys"},
		"all, and they are there":      {`"keys":["river"],"selective":true,"secondary_keys":["which","one"],"extensions":{"selectiveLogic":3}`, ""},
		"never by chance":              {`"keys":["river"],"extensions":{"probability":0}`, "probability"},
		"chance is off":                {`"keys":["river"],"extensions":{"probability":0,"useProbability":false}`, ""},
		"the chat is too short":        {`"keys":["river"],"extensions":{"delay":4}`, "delay"},
		"the chat is long enough":      {`"keys":["river"],"extensions":{"delay":3}`, ""},
		"forced":                       {`"keys":[],"content":"@@activate\nc"`, ""},
		"held back":                    {`"keys":["river"],"content":"@@dont_activate\nc"`, "dont_activate"},
		"forced and held back":         {`"keys":[],"content":"@@dont_activate\n@@activate\nc"`, ""},
		"only after":                   {`"keys":["river"],"content":"@@activate_only_after 2\nc"`, "activate_only_after"},
		"after":                        {`"keys":["river"],"content":"@@activate_only_after 1\nc"`, ""},
		"every second":                 {`"keys":["river"],"content":"@@activate_only_every 2\nc"`, "activate_only_every"},
		"another greeting":             {`"keys":["river"],"content":"@@is_greeting 0\nc"`, "is_greeting"},
		"this greeting":                {`"keys":["river"],"content":"@@is_greeting 1\nc"`, ""},
		"more keys":                    {`"keys":["river"],"content":"@@additional_keys sea, which\nc"`, ""},
		"more keys that are not there": {`"keys":["river"],"content":"@@additional_keys sea\nc"`, "additional_keys"},
		"a key that may not be there":  {`"keys":["river"],"content":"@@exclude_keys which\nc"`, "exclude_keys"},
	} {
		entry := c.entry
		if !strings.Contains(entry, `"content"`) {
			entry += `,"content":"c"`
		}
		r := activate(t, Scan{Books: []Book{book(t, "", `{"enabled":true,`+entry+`}`)}, Messages: said, Depth: 2, WholeWords: true, Greeting: 1})
		v := r.All[0]
		if v.Told != (c.why == "") || !v.Told && v.Why != c.why || v.Told && v.Text != "c" {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestVerdictsSayWhichKeyWasFoundWhere(t *testing.T) {
	r := activate(t, Scan{Depth: 4, Messages: chat("the mill", "a", "b"), Also: []string{"hidden"}, Books: []Book{book(t, `"recursive_scanning":true,`,
		`{"keys":["mill"],"content":"Its owner is Bob."}`, `{"keys":["bob"],"content":"x","comment":"the owner"}`, `{"keys":["hidden"],"content":"y"}`, `{"keys":["/(?<n>/"],"content":"z"}`)}})
	var got []string
	for _, v := range r.All {
		got = append(got, fmt.Sprint(v.Label, "|", v.Why, "|", v.What, "|", v.Notes))
	}
	want := []string{`mill|key|"mill" in message 0|`, `the owner|key|"bob" in another entry|`, `hidden|key|"hidden" in what is looked through besides|`,
		`/(?<n>/|no_key||the key "/(?<n>/" is no regular expression that we know`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestEntriesCallEachOther(t *testing.T) {
	const first = `{"keys":["mill"],"content":"one river"%s}`
	for name, c := range map[string]struct {
		fields  string
		entries []string
		want    []string
	}{
		"not unless asked":         {"", []string{fmt.Sprintf(first, ""), `{"keys":["river"],"content":"two"}`}, []string{"one river"}},
		"if asked":                 {`"recursive_scanning":true,`, []string{fmt.Sprintf(first, ""), `{"keys":["river"],"content":"two sea"}`, `{"keys":["sea"],"content":"three"}`}, []string{"one river", "two sea", "three"}},
		"not one that calls none":  {`"recursive_scanning":true,`, []string{fmt.Sprintf(first, `,"extensions":{"prevent_recursion":true}`), `{"keys":["river"],"content":"two"}`}, []string{"one river"}},
		"not one that is excluded": {`"recursive_scanning":true,`, []string{fmt.Sprintf(first, ""), `{"keys":["river"],"content":"two","extensions":{"exclude_recursion":true}}`}, []string{"one river"}},
		"one that waits for it":    {`"recursive_scanning":true,`, []string{fmt.Sprintf(first, ""), `{"keys":["mill"],"content":"two","extensions":{"delay_until_recursion":true}}`}, []string{"one river", "two"}},
		"one that waits for long":  {`"recursive_scanning":true,`, []string{fmt.Sprintf(first, ""), `{"keys":["river"],"content":"two","extensions":{"delay_until_recursion":3}}`}, []string{"one river", "two"}},
	} {
		r := activate(t, Scan{Depth: 2, Messages: chat("the mill"), Books: []Book{book(t, c.fields, c.entries...)}})
		if got := told(r); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAChainThatIsTooLongSaysWhereItEnds(t *testing.T) {
	var entries []string
	for i := range maxRounds + 2 {
		entries = append(entries, fmt.Sprintf(`{"keys":["<%d>"],"content":"<%d>"}`, i, i+1))
	}
	for more, want := range []string{"", "rounds", "rounds"} {
		r := activate(t, Scan{Depth: 2, Messages: chat("<0>"), Books: []Book{book(t, `"recursive_scanning":true,`, entries[:maxRounds+more]...)}})
		if len(r.Told) != maxRounds {
			t.Errorf("%d are told", len(r.Told))
		}
		if want != "" && (r.All[maxRounds].Why != want || r.All[maxRounds].Told) {
			t.Errorf("behind them: %+v", r.All[maxRounds])
		}
		if more == 2 && r.All[maxRounds+1].Why == "rounds" {
			t.Errorf("one that was not called yet: %+v", r.All[maxRounds+1])
		}
	}
}

func TestAKeyIsNotFoundAcrossMessages(t *testing.T) {
	r := activate(t, Scan{Depth: 5, Messages: []Message{{Text: "the wind"}, {Text: "mill"}}, Books: []Book{book(t, "", `{"keys":["mill\nthe", "wind\nmill", "windmill"],"content":"c"}`)}})
	if len(r.Told) > 0 {
		t.Errorf("%+v", r.Told)
	}
}

func TestBooksAndEntriesDecideWhereTheyLook(t *testing.T) {
	r := activate(t, Scan{Depth: 1, Messages: chat("mill", "x", "y"), Books: []Book{
		book(t, "", `{"keys":["mill"],"content":"default"}`), book(t, `"scan_depth":3,`, `{"keys":["mill"],"content":"book"}`, `{"keys":["mill"],"content":"entry","extensions":{"scan_depth":2}}`)}})
	if got := told(r); !slices.Equal(got, []string{"book"}) {
		t.Error(got)
	}
}

func TestWhatIsTooMuchGoesByPriorityAndOrder(t *testing.T) {
	entries := []string{
		`{"keys":["a"],"content":"aaaa","insertion_order":1,"priority":5}`, `{"keys":["a"],"content":"bbbb","insertion_order":2,"priority":1}`,
		`{"keys":["a"],"content":"cccc","insertion_order":3,"priority":1}`, `{"keys":["a"],"content":"dddd","insertion_order":4,"extensions":{"ignore_budget":true}}`,
	}
	for name, c := range map[string]struct {
		fields string
		budget int
		want   string
	}{
		"no budget":        {"", 0, "aaaa bbbb cccc dddd"},
		"it just fits":     {"", 12, "aaaa bbbb cccc dddd"},
		"one over":         {"", 11, "aaaa cccc dddd"},
		"two over":         {"", 7, "aaaa dddd"},
		"nothing fits":     {"", 1, "dddd"},
		"the book's":       {`"token_budget":8,`, 0, "aaaa cccc dddd"},
		"the least of two": {`"token_budget":8,`, 4, "aaaa dddd"},
	} {
		r := activate(t, Scan{Depth: 1, Budget: c.budget, Messages: chat("a"), Books: []Book{book(t, c.fields, entries...)}})
		if got := strings.Join(told(r), " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		for _, v := range r.All {
			if !v.Told && (v.Why != "budget" || v.Text != "" || !strings.Contains(v.What, "it has 4")) {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

func TestOneOfAGroupIsTold(t *testing.T) {
	entry := func(text, extensions string) string {
		return `{"keys":["a"],"content":"` + text + `","extensions":{"group":"g"` + extensions + `}}`
	}
	seen := map[string]int{}
	for seed := range uint64(300) {
		r := activate(t, Scan{Depth: 1, Seed: seed, Messages: chat("a"), Books: []Book{book(t, "", entry("x", `,"group_weight":300`), entry("y", ""))}})
		if len(r.Told) != 1 {
			t.Fatalf("%+v", r.Told)
		}
		seen[r.Told[0].Text]++
	}
	if seen["x"] < 190 || seen["x"] > 260 || seen["y"] == 0 {
		t.Errorf("by three to one: %v", seen)
	}
	r := activate(t, Scan{Depth: 1, Messages: chat("a"), Books: []Book{book(t, "", entry("x", `,"group_weight":1000`), entry("y", `,"group_override":true`))}})
	if got := told(r); !slices.Equal(got, []string{"y"}) {
		t.Error(got)
	}
	// One that is sticky keeps its place, whatever the others are.
	s := Scan{Depth: 1, Messages: chat("a", "x"), State: State{"lore:b#1": {Told: true, First: 1, At: 1, Sticky: 9}},
		Books: []Book{book(t, "", entry("x", `,"group_override":true`), entry("y", `,"probability":0`))}}
	s.Books[0].Entries[0].Constant = true
	if got := told(activate(t, s)); !slices.Equal(got, []string{"y"}) {
		t.Errorf("a sticky one of a group: %v", got)
	}
	r = activate(t, Scan{Depth: 1, Messages: chat("a"), Books: []Book{book(t, `"recursive_scanning":true,`, entry("b", ""), `{"keys":["b"],"content":"late","extensions":{"group":"g","delay_until_recursion":true}}`)}})
	if got := told(r); !slices.Equal(got, []string{"b"}) {
		t.Errorf("a group that has its entry: %v", got)
	}
}

func TestChanceDependsOnTheSeedAlone(t *testing.T) {
	b := book(t, "", `{"keys":["a"],"content":"c","extensions":{"probability":40}}`)
	hits := 0
	for seed := range uint64(500) {
		s := Scan{Depth: 1, Seed: seed, Messages: chat("a"), Books: []Book{b}}
		r := activate(t, s)
		if again := activate(t, s); !reflect.DeepEqual(r, again) {
			t.Fatal("the same seed, another outcome")
		}
		hits += len(r.Told)
	}
	if hits < 150 || hits > 250 {
		t.Errorf("%d of 500 at 40 %%", hits)
	}
}

// turns plays a chat of so many messages, in the last of which the key is said
// where said has its index, and gives the lengths at which the entry is told.
func turns(t *testing.T, entry string, n int, said ...int) (at []int) {
	t.Helper()
	var state State
	var messages []Message
	for i := 1; i <= n; i++ {
		text := "x"
		if slices.Contains(said, i) {
			text = "key"
		}
		messages = append(messages, Message{Text: text, Character: i%2 == 0})
		s := Scan{Depth: 1, Messages: messages, State: state, Books: []Book{book(t, "", entry)}}
		first := activate(t, s)
		s.State = first.State // as if the reply were made again
		if again := activate(t, s); len(again.Told) != len(first.Told) {
			t.Errorf("at %d messages it is told %d times, then %d", i, len(first.Told), len(again.Told))
		}
		if len(first.Told) > 0 {
			at = append(at, i)
		}
		state = first.State
	}
	return at
}

func TestWhatLastsOverTurns(t *testing.T) {
	for name, c := range map[string]struct {
		entry string
		said  []int
		want  []int
	}{
		"nothing":              {`"content":"c"`, []int{2, 5}, []int{2, 5}},
		"sticky":               {`"content":"c","extensions":{"sticky":3}`, []int{2}, []int{2, 3, 4}},
		"cooldown":             {`"content":"c","extensions":{"cooldown":3}`, []int{2, 3, 4, 5}, []int{2, 5}},
		"sticky, then cooling": {`"content":"c","extensions":{"sticky":2,"cooldown":2}`, []int{2, 4, 5, 6}, []int{2, 3, 6, 7}},
		"kept":                 {`"content":"@@keep_activate_after_match\nc"`, []int{3}, []int{3, 4, 5, 6, 7, 8}},
		"once":                 {`"content":"@@dont_activate_after_match\nc"`, []int{3, 5}, []int{3}},
	} {
		if got := turns(t, `{"keys":["key"],`+c.entry+`}`, 8, c.said...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestWhereEntriesStand(t *testing.T) {
	for entry, want := range map[string]Verdict{
		`"position":"before_char","content":"c"`: {Position: BeforeCharacter, Role: "system"},
		`"content":"c"`:                          {Position: AfterCharacter, Role: "system"},
		`"position":"after_char","content":"c","extensions":{"position":0}`:   {Position: BeforeCharacter, Role: "system"},
		`"content":"c","extensions":{"position":2}`:                           {Position: BeforeNote, Role: "system"},
		`"content":"c","extensions":{"position":3}`:                           {Position: AfterNote, Role: "system"},
		`"content":"c","extensions":{"position":4,"depth":2,"role":1}`:        {Position: AtDepth, Depth: 2, Role: "user"},
		`"content":"c","extensions":{"position":4}`:                           {Position: AtDepth, Depth: 4, Role: "system"},
		`"content":"c","extensions":{"position":5}`:                           {Position: BeforeExamples, Role: "system"},
		`"content":"c","extensions":{"position":6}`:                           {Position: AfterExamples, Role: "system"},
		`"content":"@@depth 3\n@@role assistant\n\nc"`:                        {Position: AtDepth, Depth: 3, Role: "assistant"},
		`"content":"@@reverse_depth 1\nc"`:                                    {Position: AtDepth, Depth: 2, Role: "system"},
		`"content":"@@position personality\n@@depth 3\nc"`:                    {Position: Personality, Role: "system"},
		`"content":"@@position before_desc\nc"`:                               {Position: BeforeCharacter, Role: "system"},
		`"content":"@@nobody_knows 1\n@@@depth x\n@@@depth 1\n@@@depth 2\nc"`: {Position: AtDepth, Depth: 1, Role: "system"},
		`"content":"@@depth 3\n@@depth 2\nc"`:                                 {Position: AtDepth, Depth: 3, Role: "system"},
		`"content":"@@role user\n@@@depth 1\nc"`:                              {Position: AfterCharacter, Role: "user"},
		`"content":"@@ignore_on_max_context\nc"`:                              {Position: AfterCharacter, Role: "system", Trimmed: true},
	} {
		r := activate(t, Scan{Messages: chat("a", "b", "c"), Books: []Book{book(t, "", `{"constant":true,`+entry+`}`)}})
		v := r.All[0]
		got := Verdict{Position: v.Position, Depth: v.Depth, Role: v.Role, Trimmed: v.Trimmed}
		if !reflect.DeepEqual(got, want) || v.Text != "c" {
			t.Errorf("%s: %+v", entry, v)
		}
	}
}

func TestOrderIsByEntryNotByBook(t *testing.T) {
	r := activate(t, Scan{Books: []Book{
		book(t, "", `{"constant":true,"content":"3","insertion_order":30}`, `{"constant":true,"content":"1","insertion_order":10}`),
		book(t, "", `{"constant":true,"content":"2","insertion_order":20}`)}})
	if got := strings.Join(told(r), ""); got != "123" {
		t.Error(got)
	}
}

func TestMacrosOfKeysAndTextsAreExpanded(t *testing.T) {
	s := Scan{Depth: 1, Messages: chat("Ada?"), Books: []Book{book(t, "", `{"keys":["{{char}}"],"content":"It is {{char}}."}`)},
		Expand: func(_, text string) (string, error) { return strings.ReplaceAll(text, "{{char}}", "Ada"), nil }}
	if got := told(activate(t, s)); !slices.Equal(got, []string{"It is Ada."}) {
		t.Error(got)
	}
	s.Expand = func(place, text string) (string, error) {
		if strings.HasPrefix(place, "key") {
			return "ada", nil
		}
		return "", errors.New(place)
	}
	if _, err := Activate(s); err == nil || err.Error() != "lore:b#0" {
		t.Error(err)
	}
}

func TestHostileBooksEnd(t *testing.T) {
	keys := slices.Repeat([]string{`"/(a*)*b.{1,900}/"`}, 50)
	var entries []string
	for range 200 {
		entries = append(entries, `{"keys":[`+strings.Join(keys, ",")+`],"content":"c"}`)
	}
	long := strings.Repeat("a", limits.LoreKeyBytes.Int()+1)
	entries = append(entries, `{"keys":["`+long+`"],"content":"c"}`)
	r := activate(t, Scan{Depth: 10, Messages: []Message{{Text: strings.Repeat("a", 100_000)}}, Books: []Book{book(t, "", entries...)}})
	if len(r.Told) > 0 || r.All[200].Notes != "a key is too long" || !strings.Contains(r.All[199].Notes, "more keys than") {
		t.Errorf("%+v", r.All[199:])
	}
}

func FuzzActivate(f *testing.F) {
	f.Add(`{"entries":[{"keys":["/a/i","b"],"content":"@@depth 1\n@@@x\nc","extensions":{"group":"g,h","sticky":2}}]}`, "a b", uint64(1))
	f.Add(`{"entries":[{"constant":true,"content":"@@"},{"key":["ß"],"keysecondary":["x"],"content":"y"}]}`, "ß İ", uint64(2))
	f.Fuzz(func(t *testing.T, data, text string, seed uint64) {
		b, _, err := character.ReadBook([]byte(data))
		if err != nil {
			return
		}
		s := Scan{Books: []Book{{Name: "b", Book: &b}}, Messages: chat(text, "x"), Depth: 2, Seed: seed, WholeWords: true, Recursive: true, Budget: 100}
		r := activate(t, s)
		if again := activate(t, s); !reflect.DeepEqual(r, again) || len(r.All) != len(b.Entries) {
			t.Fatalf("%+v, then %+v", r, again)
		}
		for _, v := range r.All {
			if v.Why == "" || v.Told && strings.TrimSpace(v.Text) == "" {
				t.Fatalf("%+v", v)
			}
		}
		s.State, s.Messages = r.State, append(s.Messages, Message{Text: text})
		activate(t, s)
	})
}

// Short expressions that are large, and that take long to be found.
func TestExpressionsThatGrowAreTakenSoFar(t *testing.T) {
	entries := []string{`{"keys":["/go{2}d/"],"content":"c"}`}
	for i := range 2000 {
		entries = append(entries, fmt.Sprintf(`{"keys":["/x%d%s/"],"content":"c"}`, i, strings.Repeat("a{900}", 300)))
	}
	r := activate(t, Scan{Depth: 10, Messages: []Message{{Text: "good"}}, Books: []Book{book(t, "", entries...)}})
	if v := r.All[2000]; !strings.Contains(v.Notes, "too much for all regular expressions together") || len(v.Notes) > 200 || !r.All[0].Told {
		t.Errorf("%+v\n%+v", r.All[0], v)
	}
	entries = slices.Repeat([]string{`{"keys":["/` + strings.Repeat("(a|b){1,900}", 300) + `x/"],"content":"c"}`}, 2000)
	r = activate(t, Scan{Depth: 10, Messages: []Message{{Text: strings.Repeat("a", 10_000)}}, Books: []Book{book(t, "", entries...)}})
	if v := r.All[1999]; v.Told || !strings.Contains(v.Notes, "more keys than") {
		t.Errorf("%+v", v)
	}
}
