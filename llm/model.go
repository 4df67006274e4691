package llm

import (
	"context"
	"iter"
)

// A Model continues a prompt.
//
// The stream ends with exactly one of: a piece with Finish set, or an error.
// A stream that does not fail begins with a piece that has Accepted set.
// Breaking off the range, or cancelling ctx, ends the work wherever it is:
// in the queue, in the prompt, between two tokens; a cancelled ctx is
// reported as its cause. Errors are of type *Error where a caller or a user
// can do something about them.
//
// The same prompt, Params and seed give the same tokens, whatever else the
// model works on at the time. A Model may be used by many goroutines at once;
// one stream belongs to one goroutine.
type Model interface {
	Complete(ctx context.Context, p Prompt, params Params) iter.Seq2[Piece, error]
}

// A Tokenizer is a Model that can show how it reads text.
type Tokenizer interface {
	// Tokenize gives the tokens of a prompt exactly as Complete would read
	// them, the beginning-of-text token included where one is added. An empty
	// prompt, which Complete refuses, has no others.
	Tokenize(ctx context.Context, p Prompt) ([]Token, error)
	// Detokenize gives the text of token ids, those of control tokens
	// included.
	Detokenize(ctx context.Context, ids []int) (string, error)
}

// An Embedder is a Model that can turn texts into vectors.
type Embedder interface {
	// Embed gives one vector for each prompt, all with as many numbers and of
	// the Euclidean length 1. An error about one of several has the field
	// input[i].
	Embed(ctx context.Context, prompts []Prompt) ([][]float32, Usage, error)
}

// A Scorer is a Model that can tell how likely a text is.
type Scorer interface {
	// Score gives the tokens of a prompt as Complete reads them. Each but the
	// first has the probability that it has behind those before it, and with
	// params.LogProbs above 0 the most likely tokens there. Of params only
	// LogProbs and CacheScope count.
	Score(ctx context.Context, p Prompt, params Params) ([]Token, error)
}

// A Describer is a Model that can say what it is.
type Describer interface {
	Describe() Info
}

// Info describes a model. Fields that are not known are zero.
type Info struct {
	Name         string // as its file gives it
	Description  string
	Architecture string
	Quantisation string // the type of most of its weights: "Q8_0", …
	Digest       string // of its file, as it is where the engine reads it; "": it is not known
	Parameters   int64  // number of weights
	Bytes        int64  // size of the weights
	Context      int    // tokens that one request may have, prompt and output
	Trained      int    // tokens that the model was trained for
	Vocabulary   int    // number of tokens

	ChatTemplate string   // the Jinja template in its file
	BOS, EOS     string   // text of the tokens
	EndTokens    []string // texts of all tokens that end a reply
	AddsBOS      bool     // whether a BOS is put before prompts

	Infill *Infill // how to ask for what fills a gap; nil: it cannot be asked

	Sampling Params // recommended by its file or the configuration
}
