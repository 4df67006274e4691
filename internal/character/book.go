package character

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// A Book is a lorebook: texts that are told when they are spoken of.
type Book struct {
	Name        string
	Description string
	ScanDepth   *float64 // messages looked through; nil leaves it to the caller
	TokenBudget *float64 // tokens that all texts together may have
	Recursive   *bool    // whether texts call others
	Entries     []Entry
	Extensions  map[string]json.RawMessage
	Extra       map[string]json.RawMessage // fields that no specification knows
}

// An Entry is one text of a Book and what it is told for. SillyTavern's own
// settings (position, depth, probability, …) stand in Extensions.
type Entry struct {
	Keys          []string
	SecondaryKeys []string // count only if Selective
	Content       string
	Enabled       bool
	Order         float64 // lower ones stand higher up
	Constant      bool    // told always
	Selective     bool
	UseRegex      bool     // Keys are regular expressions, if HasPatterns
	CaseSensitive *bool    // nil if not said
	Priority      *float64 // lower ones are dropped first; nil if not said
	Position      string   // "before_char", "after_char" or ""
	Name          string
	Comment       string
	ID            json.RawMessage // a number or a text; nil if not said
	Extensions    map[string]json.RawMessage
	Extra         map[string]json.RawMessage
}

const bookHint = "it must be a lorebook of V3, a world file of SillyTavern or a card that holds a lorebook, in JSON"

// ReadBook reads a lorebook that stands in a file of its own: of V3, of
// SillyTavern (a world file), or the bare object that a card would hold; or
// the one inside of a card. The error is an *llm.Error.
func ReadBook(data []byte) (Book, ImportReport, error) {
	var report ImportReport
	o, err := parseJSON(data, &report)
	if err != nil {
		return Book{}, report, refuse(llm.Error{Code: llm.Unreadable, Field: "lorebook", Message: "the file holds no lorebook", Hint: bookHint}, err)
	}
	book := &o
	report.Format = "SillyTavern's world"
	if text(o.fields["spec"]) == "lorebook_v3" {
		report.Format = "V3 lorebook"
		if in, ok := o.inner("data"); ok {
			book = &in
		}
	} else if in, ok := o.inner("data"); ok {
		report.Format = "a card's lorebook"
		if b, ok := in.inner("character_book"); ok {
			book = &b
		}
	}
	if _, ok := book.fields["entries"]; !ok {
		return Book{}, report, &llm.Error{Code: llm.Unreadable, Field: "lorebook", Message: "there are no entries: this is no lorebook",
			Hint: bookHint}
	}
	b, err := readBook(book)
	return b, report, err
}

// Called is what a lorebook is called: its own name, else that of its file, as
// SillyTavern's worlds have it.
func (b Book) Called(file string) string {
	if name := strings.TrimSpace(b.Name); name != "" {
		return name
	}
	file = path.Base(file)
	return strings.TrimSuffix(file, path.Ext(file))
}

func readBook(o *object) (Book, error) {
	b := Book{Name: o.text("name"), Description: o.text("description")}
	if n, ok := o.number("scan_depth"); ok {
		b.ScanDepth = &n
	}
	if n, ok := o.number("token_budget"); ok {
		b.TokenBudget = &n
	}
	if yes, ok := o.flag("recursive_scanning"); ok {
		b.Recursive = &yes
	}
	if in, ok := o.inner("extensions"); ok {
		b.Extensions = in.rest()
	}
	raw, _ := o.take("entries")
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil { // SillyTavern's: an object, by number
		byKey := fieldsOf(raw)
		keys := slices.SortedFunc(maps.Keys(byKey), func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			if a < b {
				return -1
			}
			return 1
		})
		for _, k := range keys {
			list = append(list, byKey[k])
		}
	}
	if err := limits.LoreEntries.CheckInt(len(list)); err != nil {
		return Book{}, llm.Errorf(llm.Unreadable, "lorebook", "the lorebook: %v", err)
	}
	for i, raw := range list {
		in := object{path: o.at("entries") + "[" + strconv.Itoa(i) + "]", fields: fieldsOf(raw), report: o.report}
		if in.fields == nil {
			o.report.note("ignored", in.path, "it is no entry")
			continue
		}
		e := readEntry(&in)
		e.reportEffectless(&in)
		b.Entries = append(b.Entries, e)
	}
	b.Extra = o.rest()
	return b, nil
}

func readEntry(o *object) Entry {
	if _, ok := o.fields["key"]; ok {
		return readWorldEntry(o)
	}
	e := Entry{
		Keys: o.words("keys"), SecondaryKeys: o.words("secondary_keys"), Content: o.text("content"),
		Enabled: true, Position: o.text("position"), Name: o.text("name"), Comment: o.text("comment"),
	}
	if yes, ok := o.flag("enabled"); ok {
		e.Enabled = yes
	}
	e.Order, _ = o.number("insertion_order")
	e.Constant, _ = o.flag("constant")
	e.Selective, _ = o.flag("selective")
	e.UseRegex, _ = o.flag("use_regex")
	if yes, ok := o.flag("case_sensitive"); ok {
		e.CaseSensitive = &yes
	}
	if n, ok := o.number("priority"); ok {
		e.Priority = &n
	}
	e.ID, _ = o.take("id")
	if in, ok := o.inner("extensions"); ok {
		e.Extensions = in.rest()
	}
	e.Extra = o.rest()
	return e
}

// worldNames are the settings that a world file of SillyTavern has beside an
// entry's fields and a card's entry has among its extensions.
var worldNames = map[string]string{
	"position": "position", "depth": "depth", "role": "role", "probability": "probability", "useProbability": "useProbability",
	"selectiveLogic": "selectiveLogic", "excludeRecursion": "exclude_recursion", "preventRecursion": "prevent_recursion",
	"delayUntilRecursion": "delay_until_recursion", "group": "group", "groupOverride": "group_override", "groupWeight": "group_weight",
	"useGroupScoring": "use_group_scoring", "scanDepth": "scan_depth", "matchWholeWords": "match_whole_words",
	"caseSensitive": "case_sensitive", "sticky": "sticky", "cooldown": "cooldown", "delay": "delay", "ignoreBudget": "ignore_budget",
	"vectorized": "vectorized", "automationId": "automation_id", "outletName": "outlet_name", "displayIndex": "display_index",
	"triggers": "triggers", "characterFilter": "character_filter", "matchPersonaDescription": "match_persona_description",
	"matchCharacterDescription": "match_character_description", "matchCharacterPersonality": "match_character_personality",
	"matchCharacterDepthPrompt": "match_character_depth_prompt", "matchScenario": "match_scenario", "matchCreatorNotes": "match_creator_notes",
}

func readWorldEntry(o *object) Entry {
	e := Entry{
		Keys: o.words("key"), SecondaryKeys: o.words("keysecondary"), Content: o.text("content"),
		Enabled: true, Order: 100, Selective: true, Comment: o.text("comment"), Extensions: map[string]json.RawMessage{},
	}
	if off, _ := o.flag("disable"); off {
		e.Enabled = false
	}
	if n, ok := o.number("order"); ok {
		e.Order = n
	}
	e.Constant, _ = o.flag("constant")
	if yes, ok := o.flag("selective"); ok {
		e.Selective = yes
	}
	e.ID, _ = o.take("uid")
	for world, card := range worldNames {
		if raw, ok := o.take(world); ok {
			e.Extensions[card] = raw
		}
	}
	e.Extra = o.rest()
	return e
}

// reportEffectless notes settings that are kept and change nothing.
func (e Entry) reportEffectless(o *object) {
	for _, name := range []string{"vectorized", "automation_id", "outlet_name"} {
		if raw := string(e.Extensions[name]); raw != "" && raw != "false" && raw != "null" && raw != `""` {
			o.report.note("kept", o.at(name), "it has no effect here")
		}
	}
	if string(e.Extensions["position"]) == "7" {
		o.report.note("kept", o.at("position"), "there are no outlets: the entry is never told")
	}
	if filter := fieldsOf(e.Extensions["character_filter"]); len(filter["tags"]) > 2 {
		o.report.note("kept", o.at("character_filter.tags"), "tags are another program's own: only names count")
	}
}

func text(raw json.RawMessage) (s string) {
	json.Unmarshal(raw, &s) // what is no text says nothing
	return s
}
