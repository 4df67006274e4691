package chatformat

import (
	"parley/chat"
	"parley/llm"
)

// A Format lays conversations out for a model. It may be used by many
// goroutines at once.
type Format interface {
	// Name is what a client or a configuration calls the format.
	Name() string
	// Render lays a conversation out. It does not change it.
	Render(c chat.Conversation) (Rendering, error)
}

// A Rendering is a conversation laid out, and what is needed to read the
// reply.
type Rendering struct {
	Prompt llm.Prompt

	// Stop are the strings at which the format ends a reply, in no order and
	// without duplicates.
	Stop []string
	// StopAfter is set where the prompt ends inside of reasoning: the marker
	// that ends it, before which no stop string counts.
	StopAfter string
	// StopOpen is set where the model may open its reasoning itself: the
	// marker with which a reply then begins. StopAfter is its end.
	StopOpen string

	// Reply begins to read a reply; each reply needs a parser of its own.
	Reply func() Parser

	// Report says what was repaired.
	Report llm.Report

	// unheld says why the reply cannot be held to a language; "" if it can.
	unheld string
	// held is the language of a reply that is to be a call; nil where nothing
	// holds it.
	held *llm.Constraint
}

// A Parser reads one reply. The events of all calls laid side by side do not
// depend on how the output was divided into pieces.
type Parser interface {
	// Parse turns the next piece of output into TextDelta, ReasoningDelta and
	// ToolCallDelta events, none of them empty. With a piece whose Finish is
	// set all that was held back comes out; Finish itself is not turned into
	// an event.
	Parse(p llm.Piece) []chat.Event
	// Report says what was read otherwise than it was written; it is whole
	// after the last piece.
	Report() llm.Report
}

// The codes of the notes in a Rendering's Report.
const (
	// CodeRepaired is a change without which the format could not express the
	// conversation; the note's value is one of the Repair words.
	CodeRepaired = "repaired"
	// CodeReasoningOmitted says that the format leaves earlier thoughts of
	// the assistant out.
	CodeReasoningOmitted = "reasoning_omitted"
	// CodeNamesOmitted says that a speaker's name was left out by policy.
	CodeNamesOmitted = "names_omitted"
	// CodeMediaPlaceholder says that a bracketed note stands for a picture or
	// a sound.
	CodeMediaPlaceholder = "media_placeholder"
	// CodeToolsUnused says that tools were listed with a choice of none, and
	// that the format leaves the list out.
	CodeToolsUnused = "tools_unused"
	// CodeLookAlike says that a client's text holds words with which the
	// format marks turns.
	CodeLookAlike = "look_alike"
)

// The values of notes with CodeRepaired.
const (
	RepairSystemMerged  = "system_merged"     // leading system messages became one
	RepairSystemToUser  = "system_to_user"    // a later system message became a user's, in place
	RepairSystemHoisted = "system_hoisted"    // system messages were moved to the front
	RepairSystemFolded  = "system_folded"     // the system message was put in front of the first user message
	RepairNeighbours    = "neighbours_merged" // messages of one role in a row became one
	RepairVoidDropped   = "void_dropped"      // an assistant message without any content was left out
	RepairPlaceholder   = "placeholder"       // a user message was put in where the format demands one
	RepairNames         = "names_prefixed"    // a speaker's name was put before the text
	RepairTools         = "tools_as_text"     // tool calls or results were written out as text
	RepairSingle        = "single_user"       // the whole conversation became one user message
	RepairParts         = "parts_joined"      // content parts were joined by blank lines
	RepairDeveloper     = "developer_role"    // a developer message was laid out as a system message
	RepairNetStrict     = "strict"            // the chat template refused the conversation and was given turns that alternate
	RepairNetFold       = "fold"              // besides, without system messages and tool syntax
)

const (
	placeholderText      = "Let's get started."
	separator            = "\n\n"
	noteText             = "{text}"
	unnamedTool          = "tool"
	messagesField        = "messages"
	fieldContent         = "content"
	fieldName            = "name"
	fieldReasoning       = "reasoning"
	fieldToolCalls       = "tool_calls"
	defaultUserName      = "User"
	defaultAssistantName = "Assistant"
)
