package upstream

import (
	"context"

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

	complete *endpoint  // continues prompts; nil: it cannot
	chat     *chatRoute // answers conversations; nil: it cannot

	facts facts
	asks  asks
}

// Way is how an engine is used.
type Way string

const (
	AsModel Way = "model" // we lay out, stop and read; the engine continues the prompt
	AsChat  Way = "chat"  // the engine lays messages out itself
)

// facts are what distinguishes the members of the table where no code has to.
type facts struct {
	tokens     bool // prompts may be token ids
	sampling   vocabulary
	mostStops  int               // stop strings that a request may have; 0: any number
	endless    bool              // without a number of tokens it goes on until its context is full
	mute       bool              // it does not tell why output ended
	truncates  bool              // it cuts prompts that are too long, and says nothing
	addsBOS    bool              // it puts a beginning-of-text token before prompts that are text
	begun      bool              // it can be told that a prompt has that token already
	resizes    bool              // its context is as large as a request says
	embeds     bool              // it turns texts into vectors by OpenAI's route, with a model that can
	unlisted   bool              // it takes names of models that it does not list
	mostTokens int               // of one answer; 0: any number
	runsOn     bool              // it goes on working when nobody listens any more
	slowly     bool              // it notices that nobody listens any more when it has something to say
	keyHeader  string            // the header that has the key; "": Authorization, as Bearer
	headers    map[string]string // that it wants besides
}

// asks are the questions that the engines of a kind answer besides.
type asks struct {
	signs    []sign                                                                     // by which it is recognised: one is enough
	version  func(documents) string                                                     // nil: it does not say
	models   func(context.Context, *transport) ([]string, error)                        // under their own names
	describe func(ctx context.Context, t *transport, model string) (description, error) // nil: it says nothing
	count    func(ctx context.Context, t *transport, model, text string) (int, error)   // tokens of a prompt that is text; nil: it cannot
	words    func(ctx context.Context, t *transport, model string) (words, error)       // make tokens by asking it; nil: it cannot
	identity func(ctx context.Context, t *transport, model string) (string, error)      // tells apart the models that it may run, one at a time; nil: requests name them
	abort    func(id string) (path string, body any)                                    // nil: hanging up is enough
}

// A description is what an engine tells of a model. What it does not tell is
// zero.
type description struct {
	info          llm.Info
	vision, audio bool
	goTemplate    string // Ollama's own template, which is one of Go's
	noTools       bool   // it says that the model takes no tools
	bos           *bool  // whether a beginning-of-text token is put before prompts that are text
	file          string // where its machine has the model
}

// vocabulary names a column of the table of sampling parameters.
type vocabulary int

// An endpoint is a route that generates, and how it is spoken.
type endpoint struct {
	path    string
	framing framing
	lax     bool // the mark that ends a stream is enough: why the answer ended may not be said

	// encode writes the body of a request, which is sent as JSON. What it
	// cannot express it notes in the call's report; an error names the field
	// or the message.
	encode func(*call) (map[string]any, error)

	// constrain writes what holds the output to a language, and reports whether
	// that can be said. nil: nothing of the kind can.
	constrain func(k *llm.Constraint, body map[string]any) bool

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

// A call is one request to an engine.
type call struct {
	model  string // as the engine calls it
	stream bool

	// Of a prompt to continue: token ids where the engine takes them and they
	// are known, else text.
	text   string
	tokens []int
	begun  bool      // text has its beginning-of-text token itself
	marks  llm.Marks // of the chat format: they are to be seen in the output
	room   int       // tokens that the engine's context has; 0: not known
	resize int       // tokens that it is to have; 0: as it has

	// Of a conversation, normalised to what the engine takes.
	conversation chat.Conversation
	prefill      prefill // how the engine continues the assistant's last message

	params llm.Params // what the client and the configuration chose
	stops  []string   // those that the engine is to look for, too
	id     string     // names the call where an engine wants that to abort it

	report llm.Report
}

// prompt is the prompt as most engines take it.
func (c *call) prompt() any {
	if c.tokens != nil {
		return c.tokens
	}
	return c.text
}

// A chunk is what one frame says. Fields that it says nothing of are zero.
type chunk struct {
	accepted bool // the engine has taken the call: set on the first chunk, which says no more

	text      string
	tokens    []llm.Token // those that text consists of, where the engine tells them
	reasoning string
	calls     []chat.ToolCallDelta

	prompt, cached, completion int  // counts of tokens so far; 0: not told
	cacheTold                  bool // cached is told, even if it is 0
	progress                   *llm.Waiting

	finish llm.Reason // "": it goes on
	stop   string     // the stop string that the engine says has matched
	done   bool       // nothing comes behind this frame
}
