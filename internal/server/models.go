package server

import (
	"context"
	"time"

	"parley/chat"
	"parley/llm"
)

// Models is what the handlers need of the models. It is used by many
// goroutines at once.
type Models interface {
	// List gives the models that can be asked for by name.
	List(ctx context.Context) ([]Listed, error)

	// Resolve gives what answers to a name, loading it if need be. Whose name
	// is answered is decided here and nowhere else: where one model is served,
	// or one is the default, it answers to every other name, the empty one
	// included, and Target.Report says so; where several are, an unknown name
	// is an *llm.Error with Code NotFound and Field "model".
	Resolve(ctx context.Context, name string) (Target, error)

	// LoadModel loads a model by its name, and UnloadModel unloads it when no
	// request uses it any more. Both wait until that is done.
	LoadModel(ctx context.Context, name string) error
	UnloadModel(ctx context.Context, name string) error

	// Ready is nil when requests can be answered, or says what is missing.
	Ready() error
}

// Listed is a model that can be asked for.
type Listed struct {
	ID      string
	Aliases []string // other names that find it
	Created time.Time
	Info    llm.Info
	Status  Status

	Engine   Engine                      // what runs it; zero where it is not loaded
	Promises map[llm.Promise]llm.Keeping // how far each holds; nil where it is not loaded
}

// Engine is what runs a model.
type Engine struct {
	Kind    string // "embedded", or the name of a kind of engine over HTTP
	Version string // as it tells, or ""
	URL     string // of one over HTTP, without anything secret
	Way     string // of one over HTTP: "model" or "chat"
	Slots   int    // answers that it works on at a time; 0: not known
}

// State is whether a model is loaded.
type State string

// The states. A model that waits was asked for, and there is no room for it
// yet; one that failed was asked for and could not be loaded, or was lost.
const (
	Unloaded  State = "unloaded"
	Waiting   State = "waiting"
	Loading   State = "loading"
	Ready     State = "ready"
	Unloading State = "unloading"
	Failed    State = "failed"
)

// Status is what becomes of a model.
type Status struct {
	State   State
	Since   time.Time
	Running int           // requests that use it
	Waiting int           // requests that wait for it
	Idle    time.Duration // since it was last used; 0 while it is
	Memory  int64         // bytes that it needs; 0: not known
	GPUs    []string      // where; none: main memory
	Group   string
	Err     error // why it failed
}

// Target is what answers a request.
type Target struct {
	ID        string
	Model     llm.Model      // nil if it takes no raw prompts
	Responder chat.Responder // nil if it takes no conversations
	Report    llm.Report     // for the client: why it is this one
	Release   func()         // called once when the request is over; may be nil
}

func (t Target) release() {
	if t.Release != nil {
		t.Release()
	}
}
