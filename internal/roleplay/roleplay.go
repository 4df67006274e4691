// Package roleplay lays out a talk with a character as text-generation-webui
// does: as text in which every turn begins with the name of its speaker, and
// as a command to an assistant to go on with such a text.
package roleplay

import (
	"slices"
	"strings"

	"parley/internal/character"
	"parley/llm"
)

// Mode is how a talk reaches the model.
type Mode string

const (
	Chat         Mode = "chat"          // a text with names in it, and nothing else
	ChatInstruct Mode = "chat-instruct" // that text within a command, in the model's own chat format
	Instruct     Mode = "instruct"      // turns of the model's own chat format; no character
)

// Valid reports whether m is one of the modes above.
func (m Mode) Valid() bool { return m == Chat || m == ChatInstruct || m == Instruct }

// A Setting is what a client says of a talk. Empty fields say nothing.
type Setting struct {
	Mode      Mode
	Character string // name of one that the server keeps
	Command   string // of ChatInstruct; <|character|> and <|prompt|> stand for what they say
	Template  string // a template in Jinja, in which Chat lays out instead

	Format         string // name of the chat format of the other modes
	FormatTemplate string // a template in Jinja, instead

	// These go before what the character's own file says.
	User, Bot, Context, Greeting string
	Bio                          string // who the user is
}

// usualCommand is the command where a client sends none.
const usualCommand = "Below is a dialogue. Go on with it: write the next reply of \"<|character|>\", and only that one.\n\n<|prompt|>"

// names of those whom nobody named.
const (
	usualUser = "You"
	usualBot  = "Assistant"
)

// Assistant is who answers where no character is chosen.
var Assistant = character.Character{
	Name:    usualBot,
	Context: "What follows is a talk between {{user}} and {{char}}, who knows much, is friendly, and answers every question as well as it can.",
}

// A Scene is a talk's setting with the character in it: all names stand where
// they belong.
type Scene struct {
	User, Bot string
	Context   string
	Bio       string
	Greeting  string // the bot's first words; "" if it has none
	Command   string
}

// Scene puts a character into a setting.
func (s Setting) Scene(c character.Character) Scene {
	first := func(all ...string) string {
		i := slices.IndexFunc(all, func(s string) bool { return s != "" })
		if i < 0 {
			return ""
		}
		return all[i]
	}
	sc := Scene{User: first(s.User, c.User, usualUser), Bot: first(s.Bot, c.Name, usualBot), Command: first(s.Command, usualCommand)}
	fill := func(text string) string { return strings.TrimSpace(character.Fill(text, sc.User, sc.Bot)) }
	sc.Context = fill(first(s.Context, c.Context))
	sc.Bio = fill(s.Bio)
	sc.Greeting = fill(first(s.Greeting, c.Greeting))
	return sc
}

// A Turn is what one of the two says, or an instruction in between.
type Turn struct {
	Who    Speaker
	Name   string // of one of several users or bots; "" is the scene's
	Text   string
	Source llm.Source
}

// Speaker is whose turn it is.
type Speaker uint8

const (
	User      Speaker = iota
	Bot               // the character
	Narration         // neither: it stands in the text without a name
)

// Begin are the turns with the greeting before them, unless they begin with
// words of the bot already.
func (s Scene) Begin(turns []Turn) []Turn {
	i := slices.IndexFunc(turns, func(t Turn) bool { return t.Who != Narration })
	if s.Greeting == "" || i >= 0 && turns[i].Who == Bot {
		return turns
	}
	greeting := Turn{Who: Bot, Text: s.Greeting, Source: llm.Source{Kind: llm.FromOption, Field: "greeting"}}
	return slices.Insert(slices.Clone(turns), max(i, 0), greeting)
}

// Transcript is the text in which the bot is to go on: with words of its own,
// or where open is set with those of the last turn, which must be its. None of
// it is anything but text.
func (s Scene) Transcript(turns []Turn, open bool) llm.Prompt {
	var p llm.Prompt
	add := func(text string, trust llm.Trust, source llm.Source) {
		if text != "" {
			p.Segments = append(p.Segments, llm.Segment{Text: text, Trust: trust, Source: source})
		}
	}
	named := func(t Turn, colon string) {
		if t.Who != Narration {
			add(s.name(t), llm.TrustClient, llm.Source{Kind: llm.FromOption, Field: "name"})
			add(colon, llm.TrustFormat, llm.Source{})
		}
	}
	line := func(text, field string) {
		if text != "" {
			add(text, llm.TrustClient, llm.Source{Kind: llm.FromOption, Field: field})
			add("\n", llm.TrustFormat, llm.Source{})
		}
	}
	line(s.Context, "context")
	line(s.Bio, "user_bio")
	for i, t := range turns {
		trust := llm.TrustClient
		if t.Who == Bot {
			trust = llm.TrustModel
		}
		named(t, ": ")
		if open && i == len(turns)-1 {
			add(t.Text, trust, t.Source)
			return p
		}
		add(strings.TrimSpace(t.Text), trust, t.Source)
		add("\n", llm.TrustFormat, llm.Source{})
	}
	named(Turn{Who: Bot}, ":")
	return p
}

func (s Scene) name(t Turn) string {
	switch {
	case t.Name != "":
		return t.Name
	case t.Who == Bot:
		return s.Bot
	}
	return s.User
}

// Order is the same as a command to an assistant, and how its answer begins.
// The text stands at the command's end if it has no place for it.
func (s Scene) Order(turns []Turn, open bool) (command, begin string) {
	begin = s.Bot + ":"
	if open && len(turns) > 0 {
		begin += " " + turns[len(turns)-1].Text
		turns = turns[:len(turns)-1]
	}
	text := s.Transcript(turns, false).String()
	text = strings.TrimSuffix(text, s.Bot+":")
	command = s.Command
	if !strings.Contains(command, "<|prompt|>") {
		command += "\n\n<|prompt|>"
	}
	return strings.NewReplacer("<|character|>", s.Bot, "<|prompt|>", text).Replace(command), begin
}

// Stops are the strings at which somebody would begin another turn.
func (s Scene) Stops(turns []Turn) []string {
	stops := []string{"\n" + s.User + ":", "\n" + s.Bot + ":"}
	for _, t := range turns {
		if t.Name != "" {
			stops = append(stops, "\n"+t.Name+":")
		}
	}
	slices.Sort(stops)
	return slices.Compact(stops)
}

// LookAlikes notes where a user's words look like a turn of somebody.
func (s Scene) LookAlikes(turns []Turn, report *llm.Report) {
	stops := s.Stops(turns)
	for _, t := range turns {
		for _, stop := range stops {
			if t.Who == User && strings.Contains(t.Text, stop) {
				report.Add("look_alike", t.Source.Field, "a line of the user's begins like a turn of "+strings.Trim(stop, "\n:"))
			}
		}
	}
}
