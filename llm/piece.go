package llm

import "time"

// A Piece is a part of a model's output. Which fields are set says what it is;
// Text, Tokens and Finish may come together, the others come alone.
type Piece struct {
	// Accepted is set on the first piece of every stream that does not fail:
	// the request is valid, fits the context and is being worked on.
	Accepted *Accepted

	// Waiting tells, from time to time, what a request that has no output yet
	// waits for.
	Waiting *Waiting

	// Text continues the output. It is valid UTF-8: runes are never divided
	// between pieces, and bytes that are no UTF-8 become U+FFFD. Control tokens
	// have no text here, but for the reply and output marks of the prompt.
	Text string
	// Tokens are the tokens of which Text consists. A token stands in the piece
	// where its text begins. Tokens cut away by a stop string are left out.
	Tokens []Token

	// Finish is set on the last piece, and on no other.
	Finish *Finish
}

// Accepted is what is known of a request before its prompt has been read.
type Accepted struct {
	PromptTokens int
	Seed         int64 // the seed that will be used
	Report       Report
}

// Waiting is the progress of a request that has produced nothing yet.
type Waiting struct {
	Queue int // how many requests are to be begun before this one; 0: it has begun
	Done  int // tokens of the prompt that have been read, the cached ones included
	Total int // tokens of the prompt
}

// A Token is one step of the output or of a tokenised prompt.
type Token struct {
	ID      int    // -1 where only the text is known
	Text    string // the bytes that it stands for, which need not be whole runes
	Control bool   // a control token, not text; of an output: none that Marks makes text

	// LogProb is the natural logarithm of the token's probability before
	// sampling cut anything away, and Top the most likely tokens in falling
	// order. Both only where Params.LogProbs asked for them.
	LogProb float64
	Top     []TokenProb

	// Segment is, for a tokenised prompt, the index of the segment in which
	// the token begins; -1 for a token that is in none (a beginning-of-text
	// token that the model's file asks for).
	Segment int
}

// A TokenProb is a token that might have been chosen.
type TokenProb struct {
	ID      int // -1 where only the text is known
	Text    string
	LogProb float64
}

// Reason is why output ended.
type Reason string

const (
	ReasonEnd    Reason = "end"    // the model ended it
	ReasonStop   Reason = "stop"   // a stop string matched
	ReasonLength Reason = "length" // Params.MaxTokens, or the context is full
	ReasonLoop   Reason = "loop"   // Params.LoopGuard: the output only repeated itself
)

// Finish tells how output ended.
type Finish struct {
	Reason Reason
	// Stop is the stop string that matched, or for ReasonEnd the text of the
	// token that ended the output.
	Stop   string
	Usage  Usage
	Seed   int64
	Report Report
}

// Usage counts tokens and time.
type Usage struct {
	PromptTokens     int  // all tokens of the prompt
	CachedTokens     int  // those of them that did not have to be read again
	CacheUntold      bool // CachedTokens is 0 because the engine does not tell it
	CompletionTokens int  // tokens generated, the one that ended the output included, those taken back not
	DraftedTokens    int  // tokens that were read before they were chosen, because a draft proposed them
	AcceptedTokens   int  // those of them that were chosen

	Broke *Break // nil: nothing in memory was left unused, or the engine does not tell it

	Queued  time.Duration // from acceptance to the first work on it
	Prefill time.Duration // reading the prompt
	Decode  time.Duration // generating
}

// A Break is where a prompt departs from the one in memory that begins like it, so
// that the rest of that one is of no use.
type Break struct {
	Token  int    // the first token of the prompt that differs
	Unused int    // tokens in memory from there on, at least
	Source Source // where the prompt's token comes from
}
