package character

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// readAgnai reads a character as Agnai exports it. Who it is stands there as a
// text or as lists of words by their headings, which become lines.
func readAgnai(o *object) (Card, error) {
	c := Card{
		Name: o.text("name"), CreatorNotes: o.text("description"), Scenario: o.text("scenario"), FirstMessage: o.text("greeting"),
		Examples: o.text("sampleChat"), AlternateGreetings: o.texts("alternateGreetings"), SystemPrompt: o.text("systemPrompt"),
		PostHistory: o.text("postHistoryInstructions"), Creator: o.text("creator"), Version: o.text("characterVersion"), Tags: o.words("tags"),
	}
	if persona, ok := o.inner("persona"); ok {
		if attributes, ok := persona.inner("attributes"); ok {
			c.Description = attributes.lines()
		}
	}
	if in, ok := o.inner("extensions"); ok {
		c.Extensions = in.rest()
	}
	if in, ok := o.inner("characterBook"); ok {
		b, err := readMemoryBook(&in)
		if err != nil {
			return Card{}, err
		}
		c.Book = &b
	}
	o.take("kind")
	c.Extra = o.rest()
	return c, nil
}

// lines are lists of words, each in a line behind its heading; those under
// "text" are a text of their own.
func (o *object) lines() string {
	var lines []string
	for _, heading := range slices.Sorted(maps.Keys(o.fields)) {
		words := o.texts(heading)
		switch {
		case len(words) == 0:
		case heading == "text":
			lines = append(lines, strings.Join(words, "\n"))
		default:
			lines = append(lines, heading+": "+strings.Join(words, ", "))
		}
	}
	return strings.Join(lines, "\n")
}

// readMemoryBook reads a lorebook of Agnai's.
func readMemoryBook(o *object) (Book, error) {
	b := Book{Name: o.text("name"), Description: o.text("description")}
	raw, _ := o.take("entries")
	var list []json.RawMessage
	if len(raw) > 0 && json.Unmarshal(raw, &list) != nil {
		o.report.note("ignored", o.at("entries"), "it is no list of entries")
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
		e := Entry{Name: in.text("name"), Content: in.text("entry"), Keys: in.words("keywords"), Enabled: true}
		if yes, ok := in.flag("enabled"); ok {
			e.Enabled = yes
		}
		if n, ok := in.number("priority"); ok {
			e.Priority = &n
		}
		e.Order, _ = in.number("weight")
		e.Extra = in.rest()
		b.Entries = append(b.Entries, e)
	}
	o.take("kind")
	b.Extra = o.rest()
	return b, nil
}
