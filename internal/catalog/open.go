package catalog

import (
	"parley/chatformat"
	"parley/engine"
	"parley/internal/demo"
	"parley/internal/server"
	"parley/llm"
)

// BuiltInName is what the built-in model is called.
const BuiltInName = "parley-demo"

// embedded is what is said to run a model of this process.
const embedded = "embedded"

// kept are the promises of a model of this process: all hold.
func kept() map[llm.Promise]llm.Keeping {
	promises := map[llm.Promise]llm.Keeping{}
	for _, p := range llm.Promises() {
		promises[p] = llm.Kept
	}
	return promises
}

// A File is a model to run in this process.
type File struct {
	Path   string // of a GGUF file; "" is the built-in model
	Engine engine.Options
	Chat   chatformat.Options

	// Format gives the chat format of a model; nil is chatformat.Detect.
	Format func(llm.Info) (chatformat.Format, error)
}

// Open loads the file and finds its chat format. The caller closes what it
// gives.
func (f File) Open() (*Loaded, error) {
	e, err := f.open()
	if err != nil {
		return nil, err
	}
	loaded, err := f.talking(e)
	if err != nil {
		e.Close()
		return nil, err
	}
	return loaded, nil
}

func (f File) open() (*engine.Engine, error) {
	if f.Path == "" {
		return engine.OpenBytes(demo.Model(), f.Engine)
	}
	return engine.Open(f.Path, f.Engine)
}

// talking makes an engine into something that answers conversations.
func (f File) talking(e *engine.Engine) (*Loaded, error) {
	info := e.Describe()
	find := f.Format
	if find == nil {
		find = chatformat.Detect
	}
	format, err := find(info)
	if err != nil {
		return nil, err
	}
	return &Loaded{
		Info:      info,
		Format:    format.Name(),
		Engine:    server.Engine{Kind: embedded, Slots: e.Sequences()},
		Promises:  kept(),
		Model:     e,
		Memory:    e.Memory,
		Responder: chatformat.NewResponder(e, format, f.Chat),
		Close:     e.Close,
	}, nil
}
