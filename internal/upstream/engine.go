package upstream

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"parley/chat"
	"parley/llm"
)

// Options say which engine and how it is used.
type Options struct {
	URL     string      // "http://127.0.0.1:8080", with or without /v1
	Kind    string      // name of a kind; "" is found by probing
	Key     string      // sent as the kind wants it; never logged
	Headers http.Header // sent along
	Way     Way         // "" is the kind's default

	// Tokenizer is a file or directory from which the model's vocabulary is
	// read (GGUF, tokenizer.json); "" asks the engine for what it can tell.
	Tokenizer string

	Connect time.Duration // to connect; 0: as in the table of limits
	Silence time.Duration // between two signs of life; 0: as in the table of limits

	Client *http.Client // nil: one of its own
	Logger *slog.Logger // nil: no log
}

// An Engine is a server that was reached and recognised.
type Engine struct{}

// Dial reaches an engine and finds out what it is and can do. An error is an
// *llm.Error that says what was tried and what to change.
func Dial(ctx context.Context, o Options) (*Engine, error)

// Kind is what the engine was recognised as.
func (e *Engine) Kind() *Kind

// Version is what the engine says of itself, or "".
func (e *Engine) Version() string

// Models lists what the engine serves, under its own names.
func (e *Engine) Models(ctx context.Context) ([]string, error)

// Open makes one of the engine's models usable; "" is the one that it serves.
func (e *Engine) Open(ctx context.Context, model string) (*Opened, error)

// Opened is a model on an engine.
type Opened struct {
	Name string
	Info llm.Info
	Way  Way

	Model     llm.Model      // set where the engine is used as a model
	Responder chat.Responder // set where it answers itself
	TextOnly  bool           // prompts reach it as text: see chatformat.Options.TextOnly

	Promises map[llm.Promise]llm.Keeping
}
