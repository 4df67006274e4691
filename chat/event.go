package chat

import "parley/llm"

// An Event is a step of a reply. The list is closed: Accepted, Waiting,
// TextDelta, ReasoningDelta, ToolCallDelta and Done.
type Event interface{ event() }

// Accepted is the first event of a reply that does not fail: the request is
// valid, fits the context and is being worked on.
type Accepted struct {
	PromptTokens int
	Seed         int64
	Stops        []string // those in force that the client did not send, as far as they are known
	Report       llm.Report
	Rendered     *Rendered // what the model reads, its tokens left out; nil where it is laid out elsewhere
}

// Waiting comes from time to time while nothing else does.
type Waiting llm.Waiting

// TextDelta continues the reply's text.
type TextDelta struct {
	Text   string
	Tokens []llm.Token // the tokens that began in this text; those of marks that the format took away included
}

// ReasoningDelta continues the thoughts before the reply.
type ReasoningDelta struct {
	Text   string
	Tokens []llm.Token
}

// ToolCallDelta begins or continues a tool call. The first delta of a call has
// ID and Name; Arguments of all deltas laid side by side are one JSON object.
type ToolCallDelta struct {
	Index     int // which call of the reply, from 0
	ID        string
	Name      string
	Arguments string

	// Broken, on the last delta of a call and alone there, says that it turned
	// out to be none: it was not written to its end. Its arguments so far are
	// no whole JSON text; what the model wrote follows as text.
	Broken bool
}

// Done is the last event.
type Done struct {
	Finish llm.Finish
}

func (Accepted) event()       {}
func (Waiting) event()        {}
func (TextDelta) event()      {}
func (ReasoningDelta) event() {}
func (ToolCallDelta) event()  {}
func (Done) event()           {}
