// Package lorebook decides which entries of lorebooks are told: those that the
// last messages speak of. It follows the V2 and V3 specifications, with
// SillyTavern's settings and V3's decorators, and says of every entry why it is
// told or not. It is a pure function: chance comes from a seed, and what lasts
// over turns goes in and comes out as a State.
package lorebook

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"parley/internal/character"
	"parley/internal/limits"
)

// A Scan is what is looked through, for what.
type Scan struct {
	Books    []Book
	Messages []Message         // oldest first
	Also     []string          // texts that are looked through besides
	Greeting int               // which greeting the chat began with, from 0; -1 if none
	State    State             // of the turn before; nil at the beginning
	Trigger  string            // what is asked for: "normal", "continue", "impersonate" or "swipe"; "" is "normal"
	Speaker  []string          // what the character is called who speaks; nil if there is none
	Sources  map[string]string // texts of character.MatchSources
	Seed     uint64            // of all chances

	// What holds where neither book nor entry says otherwise.
	Depth      int  // messages looked through
	Budget     int  // tokens that all entries together may have; 0 is without end
	Recursive  bool // whether what is told is looked through, too
	WholeWords bool // whether a key of one word is not found within another word

	// Count counts tokens; nil counts bytes.
	Count func(string) int
	// Expand expands macros in what an author wrote; nil leaves them. Place
	// names the text. Its error ends everything.
	Expand func(place, text string) (string, error)
}

// A Book is a lorebook by the name that verdicts call it by.
type Book struct {
	Name string
	Rank int // books of a lower one go first where not all can be told
	*character.Book
}

// A Message is one message of a chat.
type Message struct {
	Name      string // who speaks
	Text      string
	Character bool // whether a character speaks
}

// Position is where an entry's text stands.
type Position string

// The places for entries, those of the author's note and of the examples
// before and behind them.
const (
	BeforeCharacter Position = "before_char"
	AfterCharacter  Position = "after_char"
	Personality     Position = "personality"
	Scenario        Position = "scenario"
	BeforeNote      Position = "before_note"
	AfterNote       Position = "after_note"
	BeforeExamples  Position = "before_examples"
	AfterExamples   Position = "after_examples"
	AtDepth         Position = "at_depth"
)

// A Verdict is what became of an entry, and why.
type Verdict struct {
	Book  string `json:"book"`
	Index int    `json:"index"` // in the book, from 0
	Label string `json:"label"` // its name, its comment or its first key
	Told  bool   `json:"told"`
	Why   string `json:"why"`              // a word: "key", "constant", "budget", …
	What  string `json:"detail,omitempty"` // which key, how many tokens, …
	Notes string `json:"notes,omitempty"`  // keys and decorators that were passed over

	// Of one that is told.
	Text     string   `json:"text,omitempty"`
	Tokens   int      `json:"tokens,omitempty"`
	Position Position `json:"position,omitempty"`
	Depth    int      `json:"depth,omitempty"` // at_depth: messages behind it
	Role     string   `json:"role,omitempty"`  // "system", "user" or "assistant"
	Order    float64  `json:"order,omitempty"`
	Trimmed  bool     `json:"-"` // goes first where the context is full
}

// Place names the entry's text among all texts of a chat.
func (v Verdict) Place() string { return "lore:" + v.Book + "#" + strconv.Itoa(v.Index) }

// State is what entries remember from turn to turn, by their Place.
type State map[string]Memory

// A Memory is what one entry remembers.
type Memory struct {
	Told     bool `json:"told,omitempty"`     // was told once
	First    int  `json:"first,omitempty"`    // messages that there were then
	At       int  `json:"at,omitempty"`       // messages that there were when it was last told, not being sticky
	Sticky   int  `json:"sticky,omitempty"`   // is told until there are so many messages
	Cooldown int  `json:"cooldown,omitempty"` // is not told until there are so many
}

// Result is the outcome of a scan.
type Result struct {
	Told  []Verdict // by order, lowest first
	All   []Verdict // of every entry, by book and index
	State State
}

// maxRounds bounds how often entries call each other.
const maxRounds = 16

// candidate is an entry on its way.
type candidate struct {
	entry     *character.Entry
	book      *Book
	settings  character.EntrySettings
	marks     decorators
	verdict   Verdict
	sticky    bool
	keysFound int  // of those that count for its group
	done      bool // decided, for this turn
	order     float64
}

type scanner struct {
	Scan
	all       []*candidate
	haystacks map[haystackKey]string

	recursion, recursionLower string   // what entries told so far say
	lowered                   int      // how much of it stands in recursionLower
	plain, small              []string // the last messages, newest first, also in lower case
	spoken                    int      // messages of characters
	work                      int      // bytes looked through

	patterns map[string]pattern
	parts    int             // of all patterns
	groups   map[string]bool // that have their entry
	state    State
	levels   []int // of entries that wait for others, lowest first; the first is open
	err      error
}

// Activate decides what is told. The error is the one of Expand.
func Activate(scan Scan) (Result, error) {
	s := &scanner{Scan: scan, haystacks: map[haystackKey]string{}, patterns: map[string]pattern{}, groups: map[string]bool{}, state: State{}}
	for _, m := range s.Messages {
		if m.Character {
			s.spoken++
		}
	}
	s.gather()
	for round := 0; ; round++ {
		var now []*candidate
		for _, c := range s.all {
			if !c.done && s.calls(c, round) {
				now = append(now, c)
			}
		}
		if round == maxRounds {
			for _, c := range now {
				c.say("rounds", "entries have called each other %d times, which is all they may", maxRounds)
			}
			break
		}
		s.tell(now)
		if s.err != nil {
			return Result{}, s.err
		}
		if slices.ContainsFunc(now, func(c *candidate) bool { return c.verdict.Told && !c.settings.PreventRecursion }) {
			continue
		}
		if len(s.levels) < 2 { // nothing is called any more, and nobody waits
			break
		}
		s.levels = s.levels[1:]
	}
	s.budget()
	return s.result(), nil
}

func (s *scanner) gather() {
	for i := range s.Books {
		book := &s.Books[i]
		if book.Book == nil {
			continue
		}
		for j := range book.Entries {
			e := &book.Entries[j]
			c := &candidate{entry: e, book: book, settings: e.Settings(), order: e.Order}
			c.marks = readDecorators(e.Content)
			c.verdict = Verdict{Book: book.Name, Index: j, Label: e.Label(), Notes: strings.Join(c.marks.unknown, ", ")}
			s.all = append(s.all, c)
			if level := c.settings.DelayRecursion; level > 0 {
				s.levels = append(s.levels, level)
			}
		}
	}
	slices.Sort(s.levels)
	s.levels = slices.Compact(s.levels)
}

// memory is what an entry remembers, if it still holds: one that was told at a
// message that is there no more (it was undone) remembers nothing of it.
func (s *scanner) memory(c *candidate) Memory {
	m := s.State[c.verdict.Place()]
	if m.At >= len(s.Messages) {
		m.Sticky, m.Cooldown = 0, 0
	}
	m.Told = m.Told && m.First < len(s.Messages)
	return m
}

// calls decides whether an entry is called in a round, and says why.
func (s *scanner) calls(c *candidate, round int) bool {
	n, m := len(s.Messages), s.memory(c)
	never := func(why, format string, args ...any) bool {
		c.done = true
		return c.say(why, format, args...)
	}
	c.sticky = m.Sticky > n
	set, marks := &c.settings, &c.marks
	switch {
	case !c.entry.Enabled:
		return never("disabled", "")
	case strings.TrimSpace(marks.text) == "":
		return never("empty", "")
	case set.Position == 7:
		return never("outlet", "only a macro would place it, and there is none")
	case !s.triggered(set.Triggers):
		return never("triggers", "it is told for %s", strings.Join(set.Triggers, ", "))
	case !s.filtered(set.Filter):
		return never("character_filter", "not for who speaks")
	case n < set.Delay:
		return never("delay", "the chat has %d of %d messages", n, set.Delay)
	case m.Cooldown > n && !c.sticky:
		return never("cooldown", "for %d more messages", m.Cooldown-n)
	case s.spoken < marks.number("activate_only_after", 0):
		return never("activate_only_after", "the character has spoken %d of %d times", s.spoken, marks.number("activate_only_after", 0))
	case marks.has("activate_only_every") && s.spoken%max(1, marks.number("activate_only_every", 1)) != 0:
		return never("activate_only_every", "the character has spoken %d times", s.spoken)
	case marks.has("is_greeting") && s.Greeting >= 0 && marks.number("is_greeting", -1) != s.Greeting:
		return never("is_greeting", "the chat began with greeting %d", s.Greeting)
	case m.Told && marks.has("dont_activate_after_match"):
		return never("dont_activate_after_match", "it was told before")
	}
	if !c.sticky {
		switch {
		case set.DelayRecursion > 0 && (round == 0 || set.DelayRecursion > s.levels[0]):
			return c.say("delay_until_recursion", "it is called by other entries only")
		case round > 0 && set.ExcludeRecursion:
			return false // what was said of it in the first round holds
		}
	}
	switch {
	case marks.has("activate"):
		return c.call("activate", "")
	case marks.has("dont_activate"):
		return never("dont_activate", "")
	case m.Told && marks.has("keep_activate_after_match"):
		return c.call("keep_activate_after_match", "it was told before")
	case c.entry.Constant:
		return c.call("constant", "")
	case c.sticky:
		return c.call("sticky", "for %d more messages", m.Sticky-n)
	}
	return s.matches(c, round)
}

// say notes why an entry is not told.
func (c *candidate) say(why, format string, args ...any) bool {
	c.verdict.Told, c.verdict.Why, c.verdict.What = false, why, fmt.Sprintf(format, args...)
	return false
}

// call notes why an entry is called.
func (c *candidate) call(why, format string, args ...any) bool {
	c.say(why, format, args...)
	return true
}

// triggered reports whether an entry is for what is asked for. Another answer
// in the place of one is a swipe, and SillyTavern knows both words.
func (s *scanner) triggered(triggers []string) bool {
	now := cmp.Or(s.Trigger, "normal")
	return len(triggers) == 0 || slices.Contains(triggers, now) || now == "swipe" && slices.Contains(triggers, "regenerate")
}

// filtered reports whether an entry is for who speaks.
func (s *scanner) filtered(f character.CharacterFilter) bool {
	if len(f.Names) == 0 {
		return true
	}
	named := slices.ContainsFunc(f.Names, func(name string) bool {
		return slices.ContainsFunc(s.Speaker, func(is string) bool { return strings.EqualFold(name, is) })
	})
	return named != f.Exclude
}

// chance is a number from 0 to below 1 that depends on the seed and on what it
// is drawn for.
func (s *scanner) chance(what string) float64 {
	h := fnv.New64a()
	h.Write([]byte(what))
	return rand.New(rand.NewPCG(s.Seed, h.Sum64())).Float64()
}

// tell decides among those that were called in one round.
func (s *scanner) tell(now []*candidate) {
	slices.SortStableFunc(now, func(a, b *candidate) int {
		if a.sticky != b.sticky {
			return map[bool]int{true: -1, false: 1}[a.sticky]
		}
		return cmp.Or(cmp.Compare(a.book.Rank, b.book.Rank), cmp.Compare(b.order, a.order))
	})
	s.chooseOfGroups(now)
	for _, c := range now {
		if c.done {
			continue
		}
		c.done = true
		if p := c.settings.Probability; p < 100 && !c.sticky {
			if roll := 100 * s.chance("probability "+c.verdict.Place()); roll > p {
				c.say("probability", "%.0f was drawn, at most %g would do", roll, p)
				continue
			}
		}
		text := c.marks.text
		if s.Expand != nil {
			if text, s.err = s.Expand(c.verdict.Place(), text); s.err != nil {
				return
			}
		}
		c.verdict.Told, c.verdict.Text, c.verdict.Order = true, text, c.order
		c.verdict.Trimmed = c.marks.has("ignore_on_max_context")
		c.place(len(s.Messages))
		if s.Count != nil {
			c.verdict.Tokens = s.Count(text)
		} else {
			c.verdict.Tokens = len(text)
		}
		for _, g := range c.settings.Groups {
			s.groups[g] = true
		}
		if !c.settings.PreventRecursion && len(s.recursion)+len(text) <= limits.LoreRecursionBytes.Int() {
			s.recursion += between + text
		}
	}
}

// chooseOfGroups leaves one entry of each group: one that is sticky, else one
// that overrides, else one by weight. Of those that count their keys only those
// take part of which the most are found.
func (s *scanner) chooseOfGroups(now []*candidate) {
	members := map[string][]*candidate{}
	var names []string
	for _, c := range now {
		for _, g := range c.settings.Groups {
			if members[g] == nil {
				names = append(names, g)
			}
			members[g] = append(members[g], c)
		}
	}
	for _, g := range names {
		group := slices.DeleteFunc(members[g], func(c *candidate) bool { return c.done })
		if len(group) == 0 {
			continue
		}
		group = s.score(g, group)
		winner := s.chooseOf(g, group)
		for _, c := range group {
			if c != winner {
				c.done = true
				c.say("group", "another entry of the group %q is told", g)
			}
		}
	}
}

// score takes out of a group those that count their keys and have fewer than
// the best of the group.
func (s *scanner) score(name string, group []*candidate) []*candidate {
	if !slices.ContainsFunc(group, func(c *candidate) bool { return c.settings.GroupScoring }) {
		return group
	}
	best := 0
	for _, c := range group {
		best = max(best, c.keysFound)
	}
	return slices.DeleteFunc(group, func(c *candidate) bool {
		if !c.settings.GroupScoring || c.sticky || c.keysFound == best {
			return false
		}
		c.done = true
		c.say("group_scoring", "%d of its keys were found, of another of the group %q there were %d", c.keysFound, name, best)
		return true
	})
}

func (s *scanner) chooseOf(name string, group []*candidate) *candidate {
	if s.groups[name] {
		return nil
	}
	if group[0].sticky { // they stand first
		return group[0]
	}
	for _, c := range group {
		if c.settings.GroupOverride {
			return c
		}
	}
	total := 0.0
	for _, c := range group {
		total += c.settings.GroupWeight
	}
	draw := total * s.chance("group "+name)
	for _, c := range group {
		if draw -= c.settings.GroupWeight; draw < 0 {
			return c
		}
	}
	return group[len(group)-1]
}

// place says where the entry stands, among that many messages.
func (c *candidate) place(messages int) {
	v, set, marks := &c.verdict, &c.settings, &c.marks
	v.Role = "system"
	v.Position = AfterCharacter
	if c.entry.Position == "before_char" {
		v.Position = BeforeCharacter
	}
	switch set.Position {
	case 0:
		v.Position = BeforeCharacter
	case 1:
		v.Position = AfterCharacter
	case 2:
		v.Position = BeforeNote
	case 3:
		v.Position = AfterNote
	case 4:
		v.Position, v.Depth, v.Role = AtDepth, set.Depth, set.Role
	case 5:
		v.Position = BeforeExamples
	case 6:
		v.Position = AfterExamples
	}
	role := marks.value("role")
	position, ok := map[string]Position{"after_desc": AfterCharacter, "before_desc": BeforeCharacter, "personality": Personality, "scenario": Scenario}[marks.value("position")]
	switch {
	case ok:
		v.Position, v.Depth = position, 0
	case marks.has("depth"):
		v.Position, v.Depth = AtDepth, marks.number("depth", 0)
	case marks.has("reverse_depth"):
		v.Position, v.Depth = AtDepth, max(0, messages-marks.number("reverse_depth", 0))
	}
	if role == "system" || role == "user" || role == "assistant" {
		v.Role = role
	}
}

// budget takes back what is too much: of each book first, then of all. The one
// of lowest priority goes first (0 where none is said), then those of the book
// of highest rank, then the one of lowest order.
func (s *scanner) budget() {
	for i := range s.Books {
		if b := &s.Books[i]; b.Book != nil && b.TokenBudget != nil && *b.TokenBudget > 0 {
			s.fit(*b.TokenBudget, fmt.Sprintf("the book's budget is %g tokens", *b.TokenBudget), func(c *candidate) bool { return c.book == b })
		}
	}
	if s.Budget > 0 {
		s.fit(float64(s.Budget), fmt.Sprintf("the budget of all books is %d tokens", s.Budget), func(*candidate) bool { return true })
	}
}

func (s *scanner) fit(budget float64, why string, counts func(*candidate) bool) {
	var told []*candidate
	total := 0.0
	for _, c := range s.all {
		if c.verdict.Told && !c.settings.IgnoreBudget && counts(c) {
			told = append(told, c)
			total += float64(c.verdict.Tokens)
		}
	}
	priority := func(c *candidate) float64 {
		if c.entry.Priority != nil {
			return *c.entry.Priority
		}
		return 0
	}
	slices.SortStableFunc(told, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(priority(a), priority(b)), cmp.Compare(b.book.Rank, a.book.Rank), cmp.Compare(a.order, b.order))
	})
	for _, c := range told {
		if total <= budget {
			return
		}
		total -= float64(c.verdict.Tokens)
		c.say("budget", "%s, it has %d", why, c.verdict.Tokens)
		c.verdict = Verdict{Book: c.verdict.Book, Index: c.verdict.Index, Label: c.verdict.Label, Why: c.verdict.Why, What: c.verdict.What, Notes: c.verdict.Notes}
	}
}

func (s *scanner) result() Result {
	r := Result{State: s.state}
	n := len(s.Messages)
	for _, c := range s.all {
		if c.verdict.Why == "" {
			c.verdict.Why = "no_key"
		}
		r.All = append(r.All, c.verdict)
		m := s.memory(c)
		if !c.verdict.Told {
			if m.Sticky > n || m.Cooldown > n || m.Told {
				s.state[c.verdict.Place()] = m
			}
			continue
		}
		r.Told = append(r.Told, c.verdict)
		if !m.Told {
			m.Told, m.First = true, n
		}
		if !c.sticky {
			m.At, m.Sticky, m.Cooldown = n, 0, 0
			if c.settings.Sticky > 0 {
				m.Sticky = n + c.settings.Sticky
			}
			if c.settings.Cooldown > 0 {
				m.Cooldown = n + c.settings.Sticky + c.settings.Cooldown
			}
		}
		s.state[c.verdict.Place()] = m
	}
	slices.SortStableFunc(r.Told, func(a, b Verdict) int { return cmp.Compare(a.Order, b.Order) })
	return r
}
