package upstream

import (
	"parley/chat"
	"parley/llm"
)

// A Kind is a family of engines: what its members have in common.
type Kind struct {
	Name  string // "llamacpp": what a configuration says
	Title string // "llama.cpp": what people call it
	Ports []int  // where its engines listen unless told otherwise

	// Default is how engines of this kind are used where nobody says.
	Default Way

	complete *endpoint // continues prompts; nil: it cannot
	chat     *endpoint // answers conversations; nil: it cannot

	facts facts
}

// Way is how an engine is used.
type Way string

const (
	AsModel Way = "model" // we lay out, stop and read; the engine continues the prompt
	AsChat  Way = "chat"  // the engine lays messages out itself
)

// facts are what distinguishes the members of the table where no code has to.
type facts struct {
	tokens    bool // prompts may be token ids
	sampling  vocabulary
	mostStops int // stop strings that a request may have; 0: any number
}

// vocabulary names a column of the table of sampling parameters.
type vocabulary int

// An endpoint is a route that generates, and how it is spoken.
type endpoint struct {
	path    string
	framing framing

	// encode writes the body of a request, which is sent as JSON. What it
	// cannot express it notes in the call's report.
	encode func(*call) (map[string]any, error)

	// reader begins to read an answer: the function it gives is called with
	// each frame in order, and once for an answer that comes whole.
	reader func() func(frame) (chunk, error)
}

// framing is how the parts of a streamed answer are told apart.
type framing uint8

const (
	framedSSE   framing = iota // server-sent events
	framedLines                // one JSON value a line
	framedWhole                // not streamed: one JSON value
)

// A frame is one part of an answer.
type frame struct {
	event string // the event's name, for server-sent events that have one
	data  []byte // valid until the next frame is read
}

// A call is one request to an engine.
type call struct {
	model  string // as the engine calls it
	stream bool

	room int // tokens that the context has; 0: not known

	// Of a prompt to continue: token ids where the engine takes them and they
	// are known, else text.
	text   string
	tokens []int

	// Of a conversation, normalised to what the engine takes.
	conversation chat.Conversation

	params llm.Params // what the client and the configuration chose
	stops  []string   // those that the engine is to look for, too
	id     string     // names the call where an engine wants that to abort it

	report llm.Report
}

// A chunk is what one frame says. Fields that it says nothing of are zero.
type chunk struct {
	text      string
	tokens    []llm.Token // those that text consists of, where the engine tells them
	reasoning string
	calls     []chat.ToolCallDelta

	prompt, cached, completion int // counts of tokens so far; 0: not told
	progress                   *llm.Waiting

	finish llm.Reason // "": it goes on
	stop   string     // the stop string that the engine says has matched
	done   bool       // nothing comes behind this frame
}
