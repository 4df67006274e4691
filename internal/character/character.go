// Package character says who a model plays. A [Card] is a character with all
// that the card specifications (TavernAI's V1, V2, V3) let it have, read from
// the files of many programs and written back without loss; a [Book] is a
// lorebook. A [Character] is the least that a card says: a name, a context that
// says who that is, and a greeting, as text-generation-webui has it.
package character

import (
	"encoding/json"
	"fmt"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// A Character is someone whom a model plays. Empty fields are not said.
type Character struct {
	Name     string
	User     string // what the one who talks to it is called
	Context  string // who it is, where it is, and how it speaks
	Greeting string // its first words
}

// Fill puts names in place of what stands for them in a character's texts:
// {{user}}, {{char}}, <USER>, <BOT> and <CHAR>, in any case of letters. Names
// are not looked through again.
func Fill(text, user, char string) string {
	var b strings.Builder
	for text != "" {
		at := strings.IndexAny(text, "{<")
		if at < 0 {
			break
		}
		b.WriteString(text[:at])
		text = text[at:]
		mark, name := markAt(text, user, char)
		if mark == "" {
			mark, name = text[:1], text[:1]
		}
		b.WriteString(name)
		text = text[len(mark):]
	}
	b.WriteString(text)
	return b.String()
}

// markAt is the mark with which text begins, and the name that it stands for.
func markAt(text, user, char string) (mark, name string) {
	for _, m := range []struct{ mark, name string }{
		{"{{user}}", user}, {"{{char}}", char}, {"<user>", user}, {"<bot>", char}, {"<char>", char},
	} {
		if n := len(m.mark); len(text) >= n && strings.EqualFold(text[:n], m.mark) {
			return text[:n], m.name
		}
	}
	return "", ""
}

// Parse reads a character's file: a picture or an archive with a card, JSON or
// TOML if its name ends so, else YAML. Of
// several names for the same thing the first that says something counts; a
// character without a context has one put together from its persona, scenario
// and examples, as text-generation-webui does. A file that is a card is read
// as one. The error is an *llm.Error.
func Parse(file string, data []byte) (Character, error) {
	if kindOf(data) != "text" || strings.HasSuffix(file, ".toml") {
		card, _, err := ReadCard(file, data)
		return card.Character(), err
	}
	var fields map[string]any
	var err error
	most := limits.CharacterBytes
	if strings.HasSuffix(file, ".json") {
		most = limits.CardBytes
	}
	if err := most.CheckInt(len(data)); err != nil {
		return Character{}, llm.Errorf(llm.Unreadable, "character", "the character's file is too large: %v", err)
	}
	if strings.HasSuffix(file, ".json") {
		err = json.Unmarshal([]byte(strings.TrimPrefix(string(data), "\ufeff")), &fields)
	} else {
		err = readYAML(data, &fields)
	}
	if err != nil {
		return Character{}, &llm.Error{Code: llm.Unreadable, Field: "character", Message: "the character's file cannot be read",
			Hint: "it must be YAML, or JSON if its name ends in .json", Err: err}
	}
	for _, field := range []string{"data", "first_mes", "description", "personality", "scenario", "mes_example"} {
		if _, isCard := fields[field]; isCard {
			card, _, err := ReadCard(file, data)
			return card.Character(), err
		}
	}
	text := func(names ...string) string {
		for _, name := range names {
			switch v := fields[name].(type) {
			case string:
				if v != "" {
					return strings.ToValidUTF8(v, "\ufffd")
				}
			case uint64, int64, float64, bool: // YAML's plain words
				return fmt.Sprint(v)
			}
		}
		return ""
	}
	c := Character{
		Name:     text("name", "bot", "<|bot|>", "char_name"),
		User:     text("your_name", "user", "<|user|>"),
		Context:  strings.TrimSpace(text("context")),
		Greeting: text("greeting", "char_greeting"),
	}
	if c.Name == "" {
		return Character{}, llm.Errorf(llm.Unreadable, "character", "the character's file gives it no name")
	}
	if err := limits.NameBytes.CheckInt(len(c.Name)); err != nil {
		return Character{}, llm.Errorf(llm.Unreadable, "character", "the character's name: %v", err)
	}
	if c.Context == "" {
		c.add(c.Name+"'s Persona: ", text("char_persona"))
		c.add("Scenario: ", text("world_scenario"))
	}
	c.add("", text("example_dialogue"))
	return c, nil
}

// add puts a line at the context's end, unless it says nothing.
func (c *Character) add(before, s string) {
	if s = strings.TrimSpace(s); s == "" {
		return
	}
	if c.Context != "" {
		c.Context += "\n"
	}
	c.Context += before + s
}
