package character

import (
	"encoding/json"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// A Card says who a character is, in the fields of the V3 specification. What
// the specification does not know is kept and written back. Texts may hold
// macros ({{char}}, {{user}}), which are not expanded here.
type Card struct {
	Name        string
	Nickname    string // takes {{char}}'s place, if not empty
	Description string
	Personality string
	Scenario    string

	FirstMessage       string
	AlternateGreetings []string // other first messages
	GroupGreetings     []string // first messages in company only
	Examples           string   // conversations, each begun by a line <START>

	SystemPrompt string // replaces the operator's own; {{original}} is its place
	PostHistory  string // instructions behind the history, likewise

	// None of these ever reaches a model.
	Creator        string
	CreatorNotes   string
	CreatorNotesIn map[string]string // by language
	Version        string
	Tags           []string
	Source         []string
	Assets         []Asset
	Created        int64 // seconds since 1970; 0 if not said
	Modified       int64

	Book       *Book // nil if there is none
	Extensions map[string]json.RawMessage

	Extra map[string]json.RawMessage // other fields beside those above
	Outer map[string]json.RawMessage // other fields around them
}

// An Asset is a picture or another file that belongs to a card. Nothing is
// ever fetched from its URI.
type Asset struct {
	Type string `json:"type"`
	URI  string `json:"uri"`
	Name string `json:"name"`
	Ext  string `json:"ext"`
}

// Called is what the character is called in a conversation.
func (c Card) Called() string {
	if c.Nickname != "" {
		return c.Nickname
	}
	return c.Name
}

// Greetings lists the first messages to choose from; in company those for
// company come first. Empty ones are left out, and those beyond the limit.
func (c Card) Greetings(company bool) (all []string) {
	add := func(s string) {
		if strings.TrimSpace(s) != "" && limits.Greetings.CheckInt(len(all)+1) == nil {
			all = append(all, s)
		}
	}
	if company {
		for _, s := range c.GroupGreetings {
			add(s)
		}
	}
	add(c.FirstMessage)
	for _, s := range c.AlternateGreetings {
		add(s)
	}
	return all
}

// A DepthPrompt is a note of a card that stands among the last messages.
type DepthPrompt struct {
	Text  string
	Depth int    // messages behind it
	Role  string // "system", "user" or "assistant"
}

// DepthPrompt is the note that SillyTavern keeps in the extension
// depth_prompt. Its text is empty if there is none.
func (c Card) DepthPrompt() DepthPrompt {
	o := object{fields: fieldsOf(c.Extensions["depth_prompt"])}
	p := DepthPrompt{Text: o.text("prompt"), Depth: 4, Role: "system"}
	if d, ok := o.number("depth"); ok && d >= 0 && d < 1<<20 {
		p.Depth = int(d)
	}
	if r := o.text("role"); r == "user" || r == "assistant" {
		p.Role = r
	}
	return p
}

// Talkativeness says how readily the character speaks in company, from 0 to 1,
// as SillyTavern keeps it among the extensions; 0.5 if it is not said.
func (c Card) Talkativeness() float64 {
	o := object{fields: map[string]json.RawMessage{"t": c.Extensions["talkativeness"]}}
	if t, ok := o.number("t"); ok && t >= 0 && t <= 1 {
		return t
	}
	return 0.5
}

// World is the lorebook beside the card that belongs to it, by its name, as
// SillyTavern keeps it among the extensions; "" if it has none.
func (c Card) World() string { return strings.TrimSpace(text(c.Extensions["world"])) }

// Character is the card as a context in one text, for those who take no more.
func (c Card) Character() Character {
	ch := Character{Name: c.Called(), Context: strings.TrimSpace(c.Description)}
	if greetings := c.Greetings(false); len(greetings) > 0 {
		ch.Greeting = greetings[0]
	}
	ch.add("", c.Personality)
	ch.add("Scenario: ", c.Scenario)
	ch.add("", c.Examples)
	return ch
}

// An ImportReport says what a file was, and what became of what stood in it.
// The codes of its notes: "repaired" is something wrong that was put right,
// "kept" is something that is written back but has no effect, "ignored" is
// lost.
type ImportReport struct {
	Format string     `json:"format"` // "V3 in PNG", …
	Notes  llm.Report `json:"notes,omitempty"`
}

// maxNotes bounds a report: a file of a thousand faults is told apart from
// one of ten by nobody.
const maxNotes = 100

func (r *ImportReport) note(code, value, detail string) {
	if r != nil && len(r.Notes) < maxNotes {
		r.Notes.Add(code, value, detail)
	}
}
