package lorebook

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/internal/character"
)

// world reads a world file of SillyTavern.
func world(t *testing.T, entries ...string) Book {
	t.Helper()
	for i, e := range entries {
		entries[i] = fmt.Sprintf("%q:%s", fmt.Sprint(i), e)
	}
	b, _, err := character.ReadBook([]byte(`{"entries":{` + strings.Join(entries, ",") + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	return Book{Name: "w", Book: &b}
}

func TestEntriesAreForWhatIsAskedForAndForWhoSpeaks(t *testing.T) {
	books := []Book{world(t,
		`{"key":[],"constant":true,"content":"all","order":1}`,
		`{"key":[],"constant":true,"content":"normal","order":2,"triggers":["normal"]}`,
		`{"key":[],"constant":true,"content":"rest","order":3,"triggers":["continue","impersonate"]}`,
		`{"key":[],"constant":true,"content":"again","order":4,"triggers":["regenerate"]}`,
		`{"key":[],"constant":true,"content":"ada","order":5,"characterFilter":{"isExclude":false,"names":["ADA","Eve"],"tags":[]}}`,
		`{"key":[],"constant":true,"content":"others","order":6,"characterFilter":{"isExclude":true,"names":["ada"],"tags":[]}}`)}
	for _, c := range []struct {
		trigger string
		speaker []string
		want    string
	}{
		{"", []string{"Ada Lovelace", "Ada"}, "all normal ada"}, {"continue", []string{"Bob"}, "all rest others"}, {"impersonate", nil, "all rest others"},
		{"swipe", []string{"eve"}, "all again ada others"},
	} {
		r := activate(t, Scan{Trigger: c.trigger, Speaker: c.speaker, Books: books})
		if got := strings.Join(told(r), " "); got != c.want {
			t.Errorf("%q by %q: %s, want %s", c.trigger, c.speaker, got, c.want)
		}
	}
	r := activate(t, Scan{Trigger: "continue", Speaker: []string{"Ada"}, Books: books})
	if v := r.All[1]; v.Why != "triggers" || v.What != "it is told for normal" {
		t.Errorf("%+v", v)
	}
	if v := r.All[5]; v.Why != "character_filter" {
		t.Errorf("%+v", v)
	}
}

func TestEntriesLookThroughFurtherTexts(t *testing.T) {
	b := world(t, `{"key":["Mill"],"content":"one","matchScenario":true}`, `{"key":["mill"],"content":"two","matchCreatorNotes":true}`, `{"key":["mill"],"content":"three"}`)
	r := activate(t, Scan{Depth: 1, Messages: chat("x"), Books: []Book{b}, Sources: map[string]string{"match_scenario": "At the MILL.", "match_creator_notes": "Nothing."}})
	if got := told(r); !slices.Equal(got, []string{"one"}) || r.Told[0].What != `"Mill" in what is looked through besides` {
		t.Errorf("%q: %+v", got, r.Told)
	}
}

func TestOfAGroupThatCountsKeysTheBestIsTold(t *testing.T) {
	const more = `,"group":"g","useGroupScoring":true}`
	for name, c := range map[string]struct {
		entries []string
		want    string
	}{
		"the most keys":            {[]string{`{"key":["a","x"],"content":"one","groupWeight":100000` + more, `{"key":["a","b"],"content":"two"` + more}, "two"},
		"secondary keys count":     {[]string{`{"key":["a","b"],"content":"one","groupWeight":100000` + more, `{"key":["a","b"],"keysecondary":["c"],"content":"two"` + more}, "two"},
		"not those that must miss": {[]string{`{"key":["a","b"],"content":"one"` + more, `{"key":["a"],"keysecondary":["y","c"],"selectiveLogic":1,"content":"two"` + more}, "one"},
		"before an override":       {[]string{`{"key":["a"],"content":"one","groupOverride":true` + more, `{"key":["a","b"],"content":"two"` + more}, "two"},
		"one that does not count":  {[]string{`{"key":["a"],"content":"one","group":"g","groupOverride":true}`, `{"key":["a","b"],"content":"two"` + more}, "one"},
	} {
		r := activate(t, Scan{Depth: 1, Messages: chat("a b c"), Books: []Book{world(t, c.entries...)}})
		if got := strings.Join(told(r), " "); got != c.want {
			t.Errorf("%s: %s, want %s\n%+v", name, got, c.want, r.All)
		}
	}
}

// Levels open one after the other, each when nothing more is called.
func TestEntriesThatWaitOpenByLevels(t *testing.T) {
	entry := func(key, text string, level int) string {
		return fmt.Sprintf(`{"key":[%q],"content":%q,"delayUntilRecursion":%d,"order":%d}`, key, text, level, level)
	}
	scan := func(entries ...string) string {
		return strings.Join(told(activate(t, Scan{Depth: 1, Recursive: true, Messages: chat("start"), Books: []Book{world(t, entries...)}})), " ")
	}
	first := `{"key":["start"],"content":"go","order":0}`
	if got := scan(first, entry("start", "two", 2), entry("two", "five", 5), entry("five", "deeper", 5), entry("never", "x", 7)); got != "go two five deeper" {
		t.Error(got)
	}
	// A lower level stays open.
	if got := scan(first, entry("five", "two", 2), entry("go", "five", 5)); got != "go two five" {
		t.Error(got)
	}
	// Where nothing is called, nothing is called by it, unless there are levels to open.
	if got := scan(entry("start", "one", 1)); got != "" {
		t.Error(got)
	}
}

func TestWhatStandsInAnOutletIsNotTold(t *testing.T) {
	r := activate(t, Scan{Books: []Book{world(t, `{"key":[],"constant":true,"content":"x","position":7,"outletName":"o"}`)}})
	if len(r.Told) != 0 || r.All[0].Why != "outlet" {
		t.Errorf("%+v", r.All)
	}
}

func TestBooksOfALowerRankGoFirst(t *testing.T) {
	late := book(t, "", `{"keys":[],"constant":true,"content":"bbbb","insertion_order":9,"extensions":{"group":"g"}}`)
	first := book(t, "", `{"keys":[],"constant":true,"content":"aaaa","insertion_order":1}`)
	late.Name, late.Rank = "late", 1
	r := activate(t, Scan{Budget: 4, Books: []Book{late, first}})
	if got := told(r); !slices.Equal(got, []string{"aaaa"}) {
		t.Error(got)
	}
	first.Entries[0].Priority = new(-1.0)
	if got := told(activate(t, Scan{Budget: 4, Books: []Book{late, first}})); !slices.Equal(got, []string{"bbbb"}) {
		t.Errorf("priority goes before: %v", got)
	}
}
