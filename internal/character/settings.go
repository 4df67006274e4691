package character

import (
	"maps"
	"strings"
)

// EntrySettings are what SillyTavern lets an entry of a lorebook have beyond
// the specification.
type EntrySettings struct {
	Position    int    // 0 before the character, 1 behind it, 2 and 3 around the note, 4 at Depth, 5 and 6 around the examples; -1 if not said
	Depth       int    // messages behind it
	Role        string // "system", "user" or "assistant"
	Probability float64
	Logic       int  // of secondary keys: 0 any, 1 not all, 2 none, 3 all
	ScanDepth   *int // messages looked through

	WholeWords    *bool
	CaseSensitive *bool

	ExcludeRecursion bool // is not called by other entries
	PreventRecursion bool // calls no others
	DelayRecursion   int  // is called by other entries only, from this round on; 0 is off

	Groups        []string // of each group one entry is told
	GroupOverride bool     // goes before the others of its group
	GroupWeight   float64

	// In messages.
	Sticky   int // stays told for so long
	Cooldown int // is not told again for so long
	Delay    int // is not told before the chat has so many

	IgnoreBudget bool

	GroupScoring bool            // of its group only those are told of which the most keys are found
	Triggers     []string        // what must be asked for: "normal", "continue", "impersonate", "swipe", "regenerate", "quiet"; none is all
	Filter       CharacterFilter // who must speak
	Match        []string        // what else is looked through: see MatchSources
}

// A CharacterFilter says for which characters an entry is told.
type CharacterFilter struct {
	Exclude bool // for all but those
	Names   []string
}

// MatchSources are the texts beside the messages that an entry's keys may be
// looked for in, by the names that SillyTavern has for them.
var MatchSources = []string{"match_persona_description", "match_character_description", "match_character_personality",
	"match_character_depth_prompt", "match_scenario", "match_creator_notes"}

// Settings reads the settings of SillyTavern from the entry's extensions.
func (e Entry) Settings() EntrySettings {
	o := object{fields: maps.Clone(e.Extensions)}
	count := func(name string, unsaid int) int {
		if n, ok := o.number(name); ok && n >= 0 && n <= 1e6 {
			return int(n)
		}
		return unsaid
	}
	flag := func(name string) *bool {
		if yes, ok := o.flag(name); ok {
			return &yes
		}
		return nil
	}
	s := EntrySettings{
		Position: count("position", -1), Depth: count("depth", 4), Probability: 100, Logic: count("selectiveLogic", 0),
		WholeWords: flag("match_whole_words"), CaseSensitive: flag("case_sensitive"),
		Sticky: count("sticky", 0), Cooldown: count("cooldown", 0), Delay: count("delay", 0), GroupWeight: 100,
	}
	s.Role = [...]string{"system", "user", "assistant"}[min(count("role", 0), 2)]
	if p, ok := o.number("probability"); ok && p >= 0 && p <= 100 {
		s.Probability = p
	}
	if use, ok := o.flag("useProbability"); ok && !use {
		s.Probability = 100
	}
	if d := count("scan_depth", -1); d >= 0 {
		s.ScanDepth = &d
	}
	s.ExcludeRecursion, _ = o.flag("exclude_recursion")
	s.PreventRecursion, _ = o.flag("prevent_recursion")
	switch raw := string(o.fields["delay_until_recursion"]); raw { // a level, or just yes
	case "true", "false":
		if raw == "true" {
			s.DelayRecursion = 1
		}
	default:
		s.DelayRecursion = count("delay_until_recursion", 0)
	}
	for g := range strings.SplitSeq(o.text("group"), ",") {
		if g = strings.TrimSpace(g); g != "" {
			s.Groups = append(s.Groups, g)
		}
	}
	s.GroupOverride, _ = o.flag("group_override")
	if w, ok := o.number("group_weight"); ok && w > 0 && w <= 1e6 {
		s.GroupWeight = w
	}
	s.IgnoreBudget, _ = o.flag("ignore_budget")
	s.GroupScoring, _ = o.flag("use_group_scoring")
	s.Triggers = o.words("triggers")
	for _, source := range MatchSources {
		if yes, _ := o.flag(source); yes {
			s.Match = append(s.Match, source)
		}
	}
	if filter, ok := o.inner("character_filter"); ok {
		s.Filter.Exclude, _ = filter.flag("isExclude")
		s.Filter.Names = filter.texts("names")
	}
	return s
}

// HasPatterns reports whether the entry's keys are regular expressions.
// SillyTavern writes use_regex to every entry of a card and asks for it in none:
// there a key is one between slashes only, and any other a word.
func (e Entry) HasPatterns() bool {
	_, sillyTavern := e.Extensions["selectiveLogic"]
	return e.UseRegex && !sillyTavern
}

// Label is what a person may know the entry by.
func (e Entry) Label() string {
	for _, s := range append([]string{e.Name, e.Comment}, e.Keys...) {
		if strings.TrimSpace(s) != "" {
			return quote(s)
		}
	}
	return "without a name"
}
