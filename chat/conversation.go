package chat

import (
	"encoding/json"
	"strings"

	"parley/llm"
)

// Role is who speaks. The list is closed: a dialect refuses other words.
type Role string

const (
	System    Role = "system"
	Developer Role = "developer" // OpenAI's later name for the one who instructs
	User      Role = "user"
	Assistant Role = "assistant"
	Tool      Role = "tool" // the result of a tool call
)

// Valid reports whether r is one of the roles above.
func (r Role) Valid() bool {
	switch r {
	case System, Developer, User, Assistant, Tool:
		return true
	}
	return false
}

// A Conversation is everything that a reply depends on, apart from the
// model's parameters. Whoever answers it must not change it.
type Conversation struct {
	Messages  []Message
	Tools     []ToolSpec
	Documents []Document
	Choice    ToolChoice

	// Continue asks for the rest of the last message, which must be the
	// assistant's, rather than for a message of its own.
	Continue bool

	// Layout says how it is to be laid out for a model that needs that.
	Layout Layout
}

// Layout is what a client may say about the form of the prompt. Empty fields
// leave the choice to the configuration and the model.
type Layout struct {
	Format    string                     // name of a chat format
	Template  string                     // a chat template in Jinja, instead
	Markup    string                     // a chat format in TOML, instead
	Policy    string                     // how messages that the format cannot express are made expressible
	Media     MediaPolicy                // what to do with pictures for a model that takes none
	Names     NamesPolicy                // how speakers' names are told
	Note      string                     // stands around a later system message that becomes a user's; {text} is its place
	Arguments map[string]json.RawMessage // arguments of the model's template (chat_template_kwargs)

	Fit FitPolicy // what happens if it is longer than the context
	// Reply is how many tokens of the context are kept for the reply where the
	// conversation is shortened; 0: as many as the request lets it have, a
	// quarter at most.
	Reply int
	// StopInReasoning says whether stop strings count inside of the model's
	// thoughts; nil leaves it to the configuration.
	StopInReasoning *bool
	// NoAutoStops leaves out the stop strings that the format adds. Where a turn
	// ends with one, the reply may go on with what others say.
	NoAutoStops bool
	// StopNames has a reply end where a line begins as a turn of somebody else
	// who has a name: "Ann:".
	StopNames bool
}

// MediaPolicy is what happens to a picture or sound that a model cannot take.
type MediaPolicy string

const (
	MediaRefuse      MediaPolicy = ""            // the request fails and names the part
	MediaPlaceholder MediaPolicy = "placeholder" // a bracketed note stands in its place, reported
)

// NamesPolicy is how the names of speakers reach the model.
type NamesPolicy string

const (
	NamesDefault NamesPolicy = ""       // as field
	NamesField   NamesPolicy = "field"  // where the format has a place for them, else as prefix
	NamesPrefix  NamesPolicy = "prefix" // "Ann: " before what Ann says
	NamesNone    NamesPolicy = "none"   // left out, reported
)

// FitPolicy is what happens to a conversation that is longer than the context.
type FitPolicy string

const (
	FitDefault    FitPolicy = ""            // what the server's configuration says
	FitRefuse     FitPolicy = "refuse"      // the request fails, with the counts
	FitDropOldest FitPolicy = "drop_oldest" // the oldest turns are left out, and reported
)

// Placement is where a system message goes.
type Placement string

const (
	PlaceHere Placement = ""     // where it stands
	PlaceHead Placement = "head" // behind the system messages at the beginning
	PlaceTail Placement = "tail" // behind all others
)

// A Message is one turn of a conversation.
type Message struct {
	Role  Role
	Name  string // who of several speakers; "" if not said
	Parts []Part // in order; none is the same as one empty text

	// Placement moves a system or developer message; other roles have none.
	Placement Placement
	// Pinned keeps the message where a conversation is shortened to fit.
	Pinned bool

	Reasoning  string     // an assistant's thoughts before the reply
	ToolCalls  []ToolCall // an assistant's calls
	ToolCallID string     // of a Tool message: which call it answers

	// Tokens are the ids with which an assistant's text was generated, if
	// they are known: a layout that keeps the text may use them again, so that
	// the prompt cache holds.
	Tokens []int
}

// A Part is a piece of a message's content: text, or media if Media is set.
type Part struct {
	Text  string
	Media *llm.Media
}

// Text is the text of all parts, laid side by side.
func (m Message) Text() string {
	if len(m.Parts) == 1 {
		return m.Parts[0].Text
	}
	var b strings.Builder
	for _, p := range m.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Say makes a message of one text.
func Say(role Role, text string) Message {
	return Message{Role: role, Parts: []Part{{Text: text}}}
}

// A ToolSpec is a function that the assistant may call.
type ToolSpec struct {
	Name        string
	Description string
	// Parameters is a JSON schema, as the client wrote it; nil if there is none.
	Parameters json.RawMessage
	// Strict asks for arguments that are valid under the schema, wherever the
	// tool is called.
	Strict bool
	// Raw is the whole tool as the client wrote it, for templates that print it.
	Raw json.RawMessage
}

// A ToolCall is the assistant's wish to have a function called.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON text, as generated
}

// A Document is a text to answer from.
type Document struct {
	Title string
	Text  string
	Raw   json.RawMessage // the whole document as the client wrote it
}

// ToolChoice says whether tools may or must be called.
type ToolChoice struct {
	Mode   ToolMode
	Name   string // for ToolNamed
	Single bool   // the reply ends after its first call
}

// ToolMode is one of the ways in which a client restricts tool calls.
type ToolMode string

const (
	ToolAuto     ToolMode = "" // the model decides
	ToolNone     ToolMode = "none"
	ToolRequired ToolMode = "required"
	ToolNamed    ToolMode = "named"
)
